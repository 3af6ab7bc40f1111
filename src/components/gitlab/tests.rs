//! The stand-in shows what a real GitLab and a real runner show.

use super::*;
use crate::components::http;
use crate::time::SystemClock;
use serde_json::json;

const AT: TimestampMs = TimestampMs(1_764_000_002_011);

async fn gitlab() -> StandInGitlab {
    let gitlab = StandInGitlab::start(SystemClock::shared()).await.unwrap();
    gitlab.add_project(CiProject {
        id: 4711,
        path: "acme/archive".to_owned(),
    });
    gitlab.add_runner(CiRunner {
        id: 42,
        description: "manager-3".to_owned(),
        tags: vec!["linux".to_owned()],
        executor: Executor::Shell,
    });
    gitlab.create_job(CiJob {
        id: 9,
        project: 4711,
        pipeline: 7,
        name: "unit".to_owned(),
        stage: "test".to_owned(),
        git_ref: "main".to_owned(),
        sha: "7d2c0f1e5f0a4b7e".to_owned(),
        created_at: AT.plus_ms(-5_000),
    });
    gitlab.take(9, 42, AT);
    gitlab
}

async fn get(gitlab: &StandInGitlab, path: &str, token: &str) -> (u16, String) {
    let headers = [("PRIVATE-TOKEN", token.to_owned())];
    let port = gitlab.address.port();
    http::get_with(port, &format!("/api/v4{path}"), &headers)
        .await
        .unwrap()
}

#[tokio::test]
async fn rest_shows_ms_and_the_hook_whole_seconds() {
    let gitlab = gitlab().await;
    gitlab.finish(9, JobOutcome::Success, AT.plus_ms(219_311));
    let (status, job) = get(&gitlab, "/projects/4711/jobs/9", TOKEN).await;
    let job: Value = serde_json::from_str(&job).unwrap();
    assert_eq!((status, &job["status"]), (200, &json!("success")));
    assert_eq!(job["finished_at"], "2025-11-24T16:03:41.322Z");
    assert_eq!(job["runner"]["id"], 42);
    let hook = gitlab.hook_body(9, HookSpelling::Recent);
    assert_eq!(hook["build_finished_at"], "2025-11-24 16:03:41 UTC");
    assert_eq!(gitlab.calls(), ["GET /api/v4/projects/4711/jobs/9"]);
}

#[tokio::test]
async fn tokens_paths_and_limits_are_those_of_gitlab() {
    let gitlab = gitlab().await;
    assert_eq!(get(&gitlab, "/projects/4711/jobs/9", "x").await.0, 401);
    assert_eq!(get(&gitlab, "/projects/4712/jobs/9", TOKEN).await.0, 404);
    let by_path = get(&gitlab, "/projects/acme%2Farchive/jobs/9", TOKEN);
    assert_eq!(by_path.await.0, 200);
    gitlab.append_log(9, b"log so far\n");
    let trace = get(&gitlab, "/projects/4711/jobs/9/trace", TOKEN).await;
    assert_eq!(trace, (200, "log so far\n".to_owned()));
    gitlab.limit_requests(1);
    assert_eq!(get(&gitlab, "/runners/42", TOKEN).await.0, 200);
    assert_eq!(get(&gitlab, "/runners/42", TOKEN).await.0, 429);
}

#[tokio::test]
async fn four_failures_disable_a_hook_and_nothing_is_sent_twice() {
    let gitlab = gitlab().await;
    let nobody = crate::components::free_port().unwrap();
    let hooks = HookSender::new(gitlab.url(), nobody, SystemClock::shared());
    let body = gitlab.hook_body(9, HookSpelling::Recent);
    for _ in 0..4 {
        assert_eq!(hooks.deliver_job(&body).await, Delivery::Failed);
    }
    assert_eq!(hooks.deliver_job(&body).await, Delivery::Disabled);
}

#[test]
fn the_log_is_what_a_runner_prints() {
    let mut log = RunnerLog::begin(AT, "manager-3", Executor::DockerMachine);
    log.machine(AT, Executor::DockerMachine, "machine-9");
    log.script(AT);
    log.section_start(AT, "unit");
    log.section_end(AT.plus_ms(1_500), "unit");
    log.end(AT.plus_ms(2_000), true);
    let text = String::from_utf8(log.take()).unwrap();
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!(
        lines[0],
        "2025-11-24T16:00:02.011000Z 00O \x1b[0KRunning with gitlab-runner 19.4.0 (d79f3e7b)\x1b[0;m"
    );
    for part in [
        "\n2025-11-24T16:00:02.011000Z 00O section_end:1764000002:prepare_executor\r\x1b[0K\n",
        "\n2025-11-24T16:00:02.011000Z 00O+section_start:1764000002:prepare_script\r\x1b[0K\n",
        "01O Running on runner-zxwgkjaph-project-4711-concurrent-0 via machine-9...\n",
        "01O \x1b[0Ksection_end:1764000003:unit\r\x1b[0K\n",
        "00O+\x1b[32;1mJob succeeded\x1b[0;m\n",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    assert!(log.take().is_empty());
}
