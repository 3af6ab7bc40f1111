//! `tachograph show`.

use super::{fails, run, stderr, stdout};
use crate::support::{World, fleet_job, report, with};
use serde_json::{Value, json};
use tachograph::testkit::scripted::{Reply, ScriptedServer, refusing_url};

async fn show(world: &World, args: &[&str]) -> String {
    let server = ["show", "--server", world.api().base()];
    let output = run(&[&server, args].concat()).await;
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archived_job_has_charts_sections_and_statistics() {
    let world = World::start().await;
    let job = fleet_job(0);
    let half = job
        .window
        .from
        .plus_ms(job.window.len_ms() / 2)
        .to_rfc3339();
    let (from, to) = (job.window.from.to_rfc3339(), job.window.to.to_rfc3339());
    let sections = json!([
        {"name": "get_sources", "started_at": from, "finished_at": half},
        {"name": "step_script", "started_at": half, "finished_at": to},
    ]);
    let body = with(report(job), json!({ "sections": sections }));
    let archived = world.archive("a%2Fb", &body).await;
    let text = show(&world, &["gitlab/a/b"]).await;
    let samples = format!(
        "data complete, 100 % covered, {} samples",
        archived["sample_count"]
    );
    for part in [
        "acme/app / unit  #a/b  success",
        &job.machine,
        "CPUs",
        &samples,
        "\u{251c}get_sources",
        "\u{251c}step_script",
        "CPU  ",
        "memory  ",
        "network  ",
        "disk  ",
        " cores",
        "cpu_used_seconds",
        "memory_used_bytes",
        "peak memory",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    let drawn = text
        .chars()
        .filter(|c| ('\u{2581}'..='\u{2588}').contains(c))
        .count();
    assert!(drawn > 40, "nothing is drawn:\n{text}");
    assert!(!text.contains("not measured"), "{text}");

    let json: Value = serde_json::from_str(&show(&world, &["gitlab/a/b", "--json"]).await).unwrap();
    assert_eq!(json["job"], archived);
    assert_eq!(json["profile"], world.api().profile("a%2Fb").await);

    world
        .api()
        .report("2", &with(body, json!({"runner_id": 9})))
        .await;
    world
        .api()
        .job_when("2", "pending", "waiting_for_runner")
        .await;
    let text = show(&world, &["gitlab/2"]).await;
    assert!(
        text.contains("pending: The job's runner is not registered."),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_goes_to_a_file_or_a_pipe_in_every_format_and_not_to_a_terminal() {
    let world = World::start().await;
    world.archive("1", &report(fleet_job(0))).await;
    let dir = tempfile::tempdir().unwrap();
    let at = ["show", "gitlab/1", "--server", world.api().base()];
    for format in ["json", "csv", "parquet", "arrow", "openmetrics"] {
        let path = format!("/api/v1/jobs/gitlab/1/profile?raw=true&format={format}");
        let answer = world.api().get(&path).await;
        let file = dir.path().join(format);
        // What was there before is replaced.
        std::fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
        let wanted = ["--format", format, "--raw"];
        let to_file = ["--output", file.to_str().unwrap()];
        let output = run(&[&at[..], &wanted, &to_file].concat()).await;
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
        let bytes = format!("{} bytes", answer.body.len());
        assert!(stderr(&output).contains(&bytes), "{}", stderr(&output));
        assert_eq!(std::fs::read(&file).unwrap(), answer.body);
        let piped = run(&[&at[..], &wanted].concat()).await;
        assert_eq!(piped.stdout, answer.body);

        // `script` gives a terminal.
        let words = [&[env!("CARGO_BIN_EXE_tachograph")], &at[..], &wanted].concat();
        let shown = tokio::process::Command::new("script")
            .args(["-qec", &words.join(" "), "/dev/null"])
            .stdin(std::process::Stdio::null())
            .output();
        let shown = shown.await.unwrap();
        let text = stdout(&shown);
        if ["parquet", "arrow"].contains(&format) {
            assert_eq!(shown.status.code(), Some(64), "{text}");
            assert!(text.contains("--output job-gitlab-1."), "{text}");
        } else {
            assert_eq!(shown.status.code(), Some(0), "{text}");
            assert!(text.len() > 500, "{text}");
        }
    }
    let nowhere = dir.path().join("no/such/folder");
    let args = ["--format", "csv", "--output", nowhere.to_str().unwrap()];
    fails(&[&at[..], &args].concat(), 75, &["no/such/folder"]).await;
    fails_usage(
        &[&at[..], &["--format", "xlsx"]].concat(),
        "known are: json, csv",
    )
    .await;
    fails_usage(&[&at[..], &["--output", "x"]].concat(), "--format").await;
}

/// Wrong arguments end with code 2 and an explanation.
async fn fails_usage(args: &[&str], part: &str) {
    let output = run(args).await;
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains(part), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_shown_has_an_exit_code_and_an_explanation() {
    let world = World::unregistered().await;
    let base = world.api().base();
    let at = |server: &str, job: &str| ["show", "--server", server, job].map(str::to_owned);
    let nobody = refusing_url().await.unwrap();
    let stranger = Reply::new(200, "text/html", "<html>Sign in</html>");
    let stranger = ScriptedServer::always(stranger).await.unwrap();
    for (args, code, parts) in [
        (
            at(base, "gitlab/1"),
            66,
            ["no job gitlab/1", "check source and job id"],
        ),
        (at(base, "1"), 64, ["\"1\" is no job", "SOURCE/JOB_ID"]),
        (
            at(&nobody, "gitlab/1"),
            69,
            ["no answer from", "--server URL"],
        ),
        (
            at(&stranger.url(), "gitlab/1"),
            69,
            ["not ours", "/api/v1/jobs/gitlab/1"],
        ),
    ] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        fails(&args, code, &parts).await;
    }
}
