//! What a body says, by versions of GitLab that differ.

use super::*;
use crate::limits;
use crate::model::job::{JobFacts, JobStatus};
use proptest::prelude::*;
use serde_json::{Value, json};

const RUNNING: &str = include_str!("../../../../tests/fixtures/hooks/running.json");
const FAILED_OLD: &str = include_str!("../../../../tests/fixtures/hooks/failed-old.json");

fn parse_at(url: &str, body: &str) -> Hook {
    body::parse(&instance("gl", url, &[TOKEN], &[]), body.as_bytes())
}

fn facts_at(url: &str, body: &str) -> JobFacts {
    match parse_at(url, body) {
        Hook::Job(event) => event.facts,
        Hook::Unwanted(why) => panic!("{why}: {body}"),
    }
}

/// The running job with some fields replaced; `Null` takes a field out.
fn changed(fields: Value) -> String {
    let mut body: Value = serde_json::from_str(RUNNING).unwrap();
    let all = body.as_object_mut().unwrap();
    for (name, value) in fields.as_object().unwrap() {
        if value.is_null() {
            all.remove(name);
        } else {
            all.insert(name.clone(), value.clone());
        }
    }
    body.to_string()
}

fn facts(body: &str) -> JobFacts {
    facts_at(URL, body)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_running_job_is_understood() {
    let Hook::Job(event) = parse_at(URL, RUNNING) else {
        panic!("unwanted");
    };
    assert_eq!(event.job.to_string(), "gl/9000000123");
    let expected = JobFacts {
        status: Some(JobStatus::Running),
        project: some("acme/archive"),
        project_id: some("4711"),
        pipeline_id: some("700100"),
        name: some("unit: [linux, 2/4]"),
        stage: some("test"),
        git_ref: some("feature/lz4"),
        sha: some("7d2c0f1e5f0a4b7e9a3f1f5c7f2b8e4d6a9c0b1d"),
        runner_id: some("4242"),
        runner_description: some("us-east1-manager-3"),
        runner_tags: Some(["gce", "linux", "us-east1"].map(str::to_owned).to_vec()),
        web_url: some("https://gitlab.example.com/acme/archive/-/jobs/9000000123"),
        created_at: Some(TimestampMs(1_763_999_921_000)),
        started_at: Some(TimestampMs(1_764_000_002_000)),
        queued_ms: Some(79_880),
        in_whole_seconds: true,
        ..JobFacts::default()
    };
    assert_eq!(event.facts, expected);
}

#[test]
fn an_older_gitlab_in_another_time_zone_is_understood() {
    let got = facts_at("https://gl.acme.test", FAILED_OLD);
    assert_eq!(got.project, some("acme/legacy"));
    assert_eq!(got.status, Some(JobStatus::Failed));
    assert_eq!(got.failure_reason, some("runner_system_failure"));
    assert_eq!(got.started_at, Some(TimestampMs(1_764_000_002_000)));
    assert_eq!(got.finished_at, Some(TimestampMs(1_764_001_900_000)));
    assert_eq!(got.runner_tags, Some(Vec::new()));
    assert_eq!(
        got.web_url,
        some("https://gl.acme.test/acme/legacy/-/jobs/512")
    );
}

#[test]
fn a_project_below_a_path_is_found_without_it() {
    let homepage = json!({ "homepage": "https://example.com/gitlab/acme/sub/app" });
    let body = changed(json!({ "project": null, "repository": homepage }));
    let got = facts_at("https://example.com/gitlab/", &body);
    assert_eq!(got.project, some("acme/sub/app"));
    let page = "https://example.com/gitlab/acme/sub/app/-/jobs/9000000123";
    assert_eq!(got.web_url, some(page));
    let nothing = changed(json!({ "project": null, "repository": null }));
    assert_eq!(
        (facts(&nothing).project, facts(&nothing).web_url),
        (None, None)
    );
}

#[test]
fn a_body_cannot_make_the_page_link_elsewhere() {
    for path in [
        "../../evil",
        "acme//app",
        "acme/app?x",
        "acme/a b",
        ".",
        "",
        "javascript:x/y",
    ] {
        let body = changed(json!({ "project": { "path_with_namespace": path } }));
        assert_eq!(facts(&body).web_url, None, "{path:?}");
    }
}

#[test]
fn a_job_that_never_ran_says_nothing_of_a_run() {
    let got = facts(&changed(json!({
        "build_status": "canceled", "build_started_at": null, "build_started_at_iso": null,
        "build_duration": null, "runner": null, "build_queued_duration": null,
    })));
    assert_eq!(
        (got.started_at, got.runner_id, got.queued_ms),
        (None, None, None)
    );
    assert_eq!(got.status, Some(JobStatus::Canceled));
}

#[test]
fn what_still_changes_or_means_nothing_is_left_out() {
    let pending = facts(&changed(json!({ "build_status": "pending" })));
    assert_eq!(pending.queued_ms, None);
    for status in ["success", "running", "canceled"] {
        let got = facts(&changed(json!({ "build_status": status })));
        assert_eq!(
            (got.failure_reason, got.queued_ms),
            (None, Some(79_880)),
            "{status}"
        );
    }
}

#[test]
fn times_with_milliseconds_are_not_marked_as_whole_seconds() {
    let got = facts(&changed(json!({
        "build_created_at": "2025-11-24T15:58:41.102Z", "build_created_at_iso": null,
        "build_started_at": "2025-11-24T17:00:02.011+01:00", "build_started_at_iso": "",
    })));
    assert!(!got.in_whole_seconds);
    assert_eq!(got.started_at, Some(TimestampMs(1_764_000_002_011)));
}

#[test]
fn fields_of_a_wrong_type_count_as_absent() {
    let got = facts(&changed(json!({
        "build_name": 7, "ref": ["x"], "runner": "none", "project": [], "sha": {},
        "build_queued_duration": "long", "build_started_at": 12, "build_started_at_iso": false,
        "pipeline_id": -1, "build_id": "9000000123", "build_stage": "a\u{0}\u{1b}[31mb", "repository": 1,
    })));
    let expected = JobFacts {
        status: Some(JobStatus::Running),
        project_id: some("4711"),
        stage: some("a[31mb"),
        created_at: Some(TimestampMs(1_763_999_921_000)),
        in_whole_seconds: true,
        ..JobFacts::default()
    };
    assert_eq!(got, expected);
}

#[test]
fn long_texts_are_cut() {
    let long = "\u{e9}".repeat(limits::TEXT_BYTES_MAX);
    let tags: Vec<&str> = vec!["tag"; 2 * limits::TAGS_MAX];
    let got = facts(&changed(json!({
        "build_name": long, "runner": { "id": long, "tags": tags }, "pipeline_id": long,
    })));
    assert_eq!(
        got.name.map(|name| name.len()),
        Some(limits::TEXT_BYTES_MAX)
    );
    assert_eq!(
        got.runner_tags.map(|tags| tags.len()),
        Some(limits::TAGS_MAX)
    );
    assert_eq!((got.runner_id, got.pipeline_id), (None, None));
}

#[test]
fn what_is_not_wanted_is_no_failure() {
    for (body, why) in [
        (r#"{"object_kind":"push"}"#, "kind \"push\""),
        (
            r#"{"object_kind":"pipeline","build_id":1}"#,
            "kind \"pipeline\"",
        ),
        (r#"{"text":"hello"}"#, "object_kind is missing"),
        (r#"{"object_kind":7}"#, "object_kind is missing"),
        ("", "no JSON object"),
        ("[1]", "custom template"),
        ("\u{1}", "no JSON object"),
        (
            r#"{"object_kind":"build","build_status":"running","project_id":1}"#,
            "build_id",
        ),
        (
            r#"{"object_kind":"build","build_status":"running","build_id":1}"#,
            "project_id",
        ),
        (
            r#"{"object_kind":"build","build_id":1,"project_id":1}"#,
            "build_status",
        ),
        (
            r#"{"object_kind":"build","build_id":1,"project_id":1,"build_status":"exploded"}"#,
            "status \"exploded\"",
        ),
    ] {
        match parse_at(URL, body) {
            Hook::Unwanted(got) => assert!(got.to_string().contains(why), "{body}: {got}"),
            Hook::Job(_) => panic!("{body} was taken"),
        }
    }
}

#[test]
fn every_status_of_gitlab_is_known() {
    for status in JobStatus::ALL {
        let body = changed(json!({ "build_status": status.as_str() }));
        assert_eq!(facts(&body).status, Some(status));
    }
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(at in 0usize..2_500, bytes in prop::collection::vec(any::<u8>(), 0..20), cut in 0usize..2_500) {
        let mut body = RUNNING.as_bytes().to_vec();
        body.truncate(body.len() - cut % 50);
        let at = at.min(body.len());
        let end = (at + bytes.len()).min(body.len());
        drop(body.splice(at..end, bytes.iter().copied()));
        let _unused = body::parse(&instance("gl", URL, &[], &[]), &body);
        let _unused = body::parse(&instance("gl", URL, &[], &[]), &bytes);
    }
}
