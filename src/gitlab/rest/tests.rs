//! The REST client against a server that answers exactly as told.

use super::*;
use crate::components::gitlab::{Executor, RunnerLog};
use crate::model::id::JobId;
use crate::secret::Secret;
use crate::testkit::clock::ManualClock;
use crate::testkit::scripted::{Answer, Reply as Scripted, ScriptedServer};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const NOW: TimestampMs = TimestampMs(1_764_000_000_000);
const TOKEN: &str = "glpat-very-secret";

fn job() -> JobRef {
    JobRef {
        source: Source::parse("gitlab").unwrap(),
        job_id: JobId::parse("9000000123").unwrap(),
    }
}

fn rest(server: &ScriptedServer, clock: &Arc<ManualClock>) -> GitlabRest {
    let settings = GitlabSettings {
        source: Source::parse("gitlab").unwrap(),
        url: format!("{}/sub/path/", server.url()),
        hook_tokens: Vec::new(),
        signing_tokens: Vec::new(),
        api_token: Some(Secret::parse(TOKEN).unwrap()),
    };
    let secrets = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let clock: SharedClock = Arc::<ManualClock>::clone(clock);
    let (_unchanged, settings) = watch::channel(Arc::from([settings]));
    GitlabRest::new(settings, Box::new(secrets), Timeouts::default(), clock).unwrap()
}

fn json(body: &str) -> Scripted {
    Scripted::new(200, "application/json", body)
}

#[tokio::test]
async fn a_job_is_asked_for_under_its_project_with_the_token() {
    let body = r#"{"id":9000000123,"status":"success","started_at":"2025-11-24T16:00:02.011Z",
        "finished_at":"2025-11-24T16:03:41.322Z","runner":{"id":42},"further":[1]}"#;
    let server = ScriptedServer::start(move |_| json(body).into())
        .await
        .unwrap();
    let rest = rest(&server, &ManualClock::at(NOW));
    let project = "acme/archive".to_owned();
    let facts = rest.job(&job(), &project).await.unwrap();
    assert_eq!(facts.status, Some(JobStatus::Success));
    assert_eq!(facts.started_at, Some(TimestampMs(1_764_000_002_011)));
    assert_eq!(facts.runner_id.as_deref(), Some("42"));
    let asked = &server.requests()[0];
    assert_eq!(
        asked.path,
        "/sub/path/api/v4/projects/acme%2Farchive/jobs/9000000123"
    );
    assert_eq!(asked.header("private-token"), TOKEN);
    assert!(!format!("{rest:?}").contains(TOKEN));
}

#[tokio::test]
async fn another_job_and_no_job_are_refused() {
    for body in [
        r#"{"id":5,"status":"success"}"#,
        "[]",
        "{}",
        "null",
        "{\"id\":",
    ] {
        let server = ScriptedServer::start(move |_| json(body).into())
            .await
            .unwrap();
        let rest = rest(&server, &ManualClock::at(NOW));
        let error = rest.job(&job(), &"1".to_owned()).await.unwrap_err();
        assert_eq!(error.kind, CiErrorKind::Refused, "{body}: {error}");
    }
    let server = ScriptedServer::start(|_| json("{}").into()).await.unwrap();
    let rest = rest(&server, &ManualClock::at(NOW));
    let named = JobRef {
        job_id: JobId::parse("../../user").unwrap(),
        ..job()
    };
    assert!(rest.job(&named, &"1".to_owned()).await.is_err());
    assert!(server.requests().is_empty(), "no such address is asked for");
}

#[tokio::test]
async fn a_rate_limit_is_waited_out_without_a_call() {
    let limited =
        || Scripted::new(429, "text/plain", "Retry later").with_header("retry-after", "30");
    let server = ScriptedServer::start(move |_| limited().into())
        .await
        .unwrap();
    let clock = ManualClock::at(NOW);
    let rest = rest(&server, &clock);
    let project = "1".to_owned();
    for moved in [0, 29_999] {
        clock.advance_ms(moved);
        let error = rest.job(&job(), &project).await.unwrap_err();
        assert_eq!(error.kind, CiErrorKind::Limited);
        assert_eq!(error.retry_at, Some(NOW.plus_ms(30_000)));
        assert_eq!(server.requests().len(), 1);
    }
    clock.advance_ms(1);
    rest.job(&job(), &project).await.unwrap_err();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn the_last_call_of_a_window_is_the_last_one() {
    let reset = NOW.plus_ms(40_000).0 / 1_000;
    let answer = move |_: &crate::testkit::scripted::Received| {
        json(r#"{"id":9000000123,"status":"running"}"#)
            .with_header("ratelimit-remaining", "0")
            .with_header("ratelimit-reset", &reset.to_string())
            .into()
    };
    let server = ScriptedServer::start(answer).await.unwrap();
    let rest = rest(&server, &ManualClock::at(NOW));
    let project = "1".to_owned();
    rest.job(&job(), &project).await.unwrap();
    let error = rest.job(&job(), &project).await.unwrap_err();
    assert_eq!(error.retry_at, Some(NOW.plus_ms(40_000)));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn who_wants_only_the_machine_does_not_read_to_the_end() {
    let mut log = RunnerLog::begin(NOW, "manager", Executor::Docker);
    log.machine(NOW, Executor::Docker, "machine-9");
    log.script(NOW);
    let body = log.take();
    let endless = move |_: &crate::testkit::scripted::Received| {
        Answer::Endless(Scripted::new(200, "text/plain", body.clone()))
    };
    let server = ScriptedServer::start(endless).await.unwrap();
    let rest = rest(&server, &ManualClock::at(NOW));
    let (job, project) = (job(), "1".to_owned());
    let read = rest.log(&job, &project, LogWish::Machine);
    let read = tokio::time::timeout(Duration::from_secs(10), read).await;
    let found = read.expect("reading stops").unwrap();
    assert_eq!(found.facts.machine.unwrap().as_str(), "machine-9");
    assert_eq!(found.facts.sections, None, "not all was read");
}
