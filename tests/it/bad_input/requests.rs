//! Requests that are refused: bodies, fields, machine names.

use crate::support::{Api, World, fleet_job, report, with};
use reqwest::Method;
use serde_json::{Value, json};

const JOB: &str = "/api/v1/jobs/gitlab/1";

/// Nothing is known of the job, it is in no list, and nothing waits.
async fn nothing_is_left(api: &Api) {
    api.get(JOB)
        .await
        .problem(404, "job_not_found", &["gitlab/1"]);
    assert_eq!(api.ids("").await, [""; 0]);
    let metrics = api.get("/metrics").await.text();
    assert!(metrics.contains("tachograph_pending_jobs 0\n"), "{metrics}");
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_refused() {
    let world = World::unregistered().await;
    let api = world.api();
    let deep = format!("{{\"name\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let bodies: [&[u8]; 18] = [
        b"",
        b" ",
        b"hello",
        b"null",
        b"true",
        b"7",
        b"\"running\"",
        b"[]",
        b"[\"acme/app\"]",
        b"{",
        b"{\"name\":\"unit\"",
        b"{\"name\":\"unit\"}}",
        b"{\"name\":\"unit\"} {\"name\":\"unit\"}",
        b"{'name':'unit'}",
        b"{\"name\":\"a\",\"name\":\"b\"}",
        b"{\"name\":\"\xff\"}",
        b"\x1f\x8b\x08\x00",
        deep.as_bytes(),
    ];
    for body in bodies {
        let answer = api.put_bytes(JOB, body).await;
        let detail = answer.problem(400, "invalid_json", &["the body is not valid"]);
        assert!(detail.len() < 300, "{detail}");
    }
    // A client that forgets to say that it sends JSON sends JSON all the same.
    let answer = api.send(Method::PUT, JOB, &[("content-type", "text/plain")], "no");
    answer.await.problem(400, "invalid_json", &[]);
    for path in ["/api/v1/regions/eu-1", "/api/v1/runners/gitlab/1"] {
        for body in [&b"[]"[..], b"[\"http://h\"]", b"null", b""] {
            api.put_bytes(path, body)
                .await
                .problem(400, "invalid_json", &[]);
        }
        assert_eq!(api.get(path).await.status, 404);
    }
    nothing_is_left(api).await;
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_refused_whatever_is_in_it() {
    let world = World::unregistered().await;
    let api = world.api();
    let of_size = |bytes: usize| {
        let around = json!({"project": ""}).to_string().len();
        json!({"project": "p".repeat(bytes - around)}).to_string()
    };
    for size in [(1 << 20) + 1, 5 << 20] {
        let answer = api.put_bytes(JOB, of_size(size)).await;
        answer.problem(413, "body_too_large", &["at most 1048576 bytes"]);
    }
    let answer = api.put_bytes("/api/v1/regions/eu-1", vec![b' '; 2 << 20]);
    answer.await.problem(413, "body_too_large", &[]);
    // The largest body that is read is then refused for what is in it.
    let answer = api.put_bytes(JOB, of_size(1 << 20)).await;
    answer.problem(400, "invalid_job", &["project has", "at most 1024"]);
    nothing_is_left(api).await;
}

#[tokio::test]
async fn unknown_fields_and_wrong_types_are_named() {
    let world = World::unregistered().await;
    let api = world.api();
    let section = |field: &str, value: Value| {
        let whole = json!({"name": "s", "started_at": "2026-03-01T00:00:00Z", "finished_at": "2026-03-01T00:00:01Z"});
        json!({"sections": [with(whole, json!({field: value}))]})
    };
    for (body, parts) in [
        (json!({"colour": "red"}), &["colour", "expected one of"][..]),
        (json!({"Name": "unit"}), &["Name", "name"]),
        (
            json!({"started": "2026-03-01T00:00:00Z"}),
            &["started", "started_at"],
        ),
        (section("colour", json!("red")), &["colour"]),
        (json!({"name": 7}), &["expected a string", "column"]),
        (json!({"name": {}}), &["expected a string", "column"]),
        (json!({"started_at": 1_772_323_200}), &["expected a string"]),
        (json!({"queued_seconds": "3"}), &["expected f64"]),
        (json!({"runner_tags": "docker"}), &["expected a sequence"]),
        (json!({"sections": {}}), &["expected a sequence"]),
        (section("name", json!(null)), &["expected a string"]),
        (json!({"sections": [{"name": "s"}]}), &["missing field"]),
        (json!({"project_id": 4.5}), &["a string or a whole number"]),
        (json!({"runner_id": true}), &["a string or a whole number"]),
        (json!({"pipeline_id": [1]}), &["a string or a whole number"]),
    ] {
        let answer = api.put(JOB, &body).await;
        answer.problem(400, "invalid_json", parts);
    }
    nothing_is_left(api).await;
}

#[tokio::test]
async fn every_wrong_value_is_named_at_once() {
    let world = World::unregistered().await;
    let api = world.api();
    let body = json!({
        "status": "done", "name": "n".repeat(1_025), "ref": "a\nb", "project_id": "",
        "pipeline_id": "1".repeat(201), "created_at": "yesterday", "started_at": "1772323200",
        "finished_at": "1999-01-01T00:00:00Z", "runner_tags": vec!["t"; 101],
        "queued_seconds": 1e12,
    });
    let parts = [
        "status \"done\" is unknown",
        "running, canceling, success",
        "name has 1025 bytes",
        "ref contains a control character",
        "project_id must have 1 to 200 bytes",
        "pipeline_id must have 1 to 200 bytes, it has 201",
        "created_at \"yesterday\"",
        "started_at \"1772323200\" is not an RFC 3339 time",
        "finished_at \"1999",
        "runner_tags: at most 100",
        "queued_seconds is more than a year",
    ];
    let detail = api
        .put(JOB, &body)
        .await
        .problem(400, "invalid_job", &parts);
    assert!(!detail.contains("runner_id"), "{detail}");
    let times = |from: &str, to: &str| json!({"started_at": from, "finished_at": to});
    for (body, part) in [
        (
            times("2026-03-01T00:00:01Z", "2026-03-01T00:00:00Z"),
            "finished_at is before started_at",
        ),
        (
            times("2026-03-01T00:00:00Z", "2026-04-01T00:00:01Z"),
            "longer than 31 days",
        ),
    ] {
        api.put(JOB, &body)
            .await
            .problem(400, "invalid_job", &[part]);
    }
    nothing_is_left(api).await;
    for (path, part) in [
        (
            "/api/v1/jobs/gitlab/a%0Ab".to_owned(),
            "job_id contains a control",
        ),
        (
            format!("/api/v1/jobs/{}/1", "s".repeat(201)),
            "source must have",
        ),
    ] {
        api.put(&path, &json!({}))
            .await
            .problem(400, "invalid_id", &[part]);
    }
    assert_eq!(api.ids("").await, [""; 0]);
}

/// Names that would change a selector's meaning, or match every machine.
fn hostile_machines() -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        " ",
        "a b",
        "a\"b",
        "a'b",
        "a`b",
        "a\nb",
        "a\r\nb",
        "a\0b",
        "a\tb",
        ".*",
        ".+",
        "a|b",
        "a{b}",
        "a\\b",
        "(a)",
        "a+",
        "a$",
        "^a",
        "[a]",
        "a?",
        "a,b",
        "a/b",
        "../a",
        "a=b",
        "a;b",
        "a%b",
        "a#b",
        "a@b",
        "ma\u{e4}",
        "\u{202e}a",
        "a\u{2028}b",
        "\",job=~\".*",
    ]
    .iter()
    .map(|name| (*name).to_owned())
    .collect();
    names.push("m".repeat(254));
    names.push("m".repeat(300));
    names
}

#[tokio::test]
async fn hostile_machine_names_are_refused_and_sent_nowhere() {
    let world = World::start().await;
    let api = world.api();
    for machine in hostile_machines() {
        let body = with(report(fleet_job(0)), json!({ "machine": machine }));
        let answer = api.put(JOB, &body).await;
        let detail = answer.problem(400, "invalid_machine", &["machine", "are allowed"]);
        assert!(detail.len() < 200 && !detail.contains('\n'), "{detail}");
    }
    nothing_is_left(api).await;
    assert_eq!(world.prometheus.server().requests().len(), 0);

    // A known job keeps the machine it had.
    let running = json!({"status": "running", "started_at": fleet_job(0).window.from.to_rfc3339(),
        "runner_id": 42, "machine": fleet_job(0).machine});
    api.report("1", &running).await;
    let before = api.job("1").await;
    for machine in hostile_machines() {
        let done = json!({"machine": machine, "status": "success"});
        let answer = api.put(JOB, &done).await;
        answer.problem(400, "invalid_machine", &[]);
    }
    assert_eq!(api.job("1").await, before);
    world.archive("1", &report(fleet_job(0))).await;
    // The one good name is asked for once; a hostile one would have been asked for before it.
    assert_eq!(world.reads(), 1);
}
