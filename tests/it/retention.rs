//! Retention and erasure over HTTP and on the command line, with a clock in the test's hands.

use crate::support::{World, fleet_job, report, with};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const DAY_MS: u32 = 86_400_000;

async fn post(world: &World, path: &str, body: &Value, status: u16) -> Value {
    let json = [("content-type", "application/json")];
    let bytes = serde_json::to_vec(body).unwrap();
    let answer = world.api().send(Method::POST, path, &json, bytes).await;
    answer.json(status)
}

#[tokio::test]
async fn an_expired_job_keeps_its_summary_and_five_minute_slices() {
    let world = World::start().await;
    let before = world.archive("1", &report(fleet_job(0))).await;
    assert_eq!(
        world.api().profile("1").await["resolution_seconds"],
        Value::Null
    );
    assert_eq!(world.api().seal().await["segments"], 1);
    for _ in 0..401 {
        world.clock.advance_ms(DAY_MS);
    }
    let expired = world.api().job("1").await;
    assert_eq!(
        (&expired["state"], &expired["reason"]),
        (&json!("expired"), &json!("samples_expired"))
    );
    assert_eq!(
        expired["summary"]["memory_used_bytes"]["p95"],
        before["summary"]["memory_used_bytes"]["p95"]
    );
    let hidden = world.api().profile("1").await;
    assert_eq!(hidden["resolution_seconds"], 300);
    let memory = &hidden["metrics"]["memory_used_bytes"];
    let rows = hidden["ts_ms"].as_array().unwrap().len();
    assert!(rows > 0);
    for values in [&memory["values"], &memory["max"]] {
        assert_eq!(values.as_array().unwrap().len(), rows);
    }
    assert!(memory["max"][0].as_i64() >= memory["values"][0].as_i64());
    assert!(hidden["metrics"]["cpu_used_cores"]["max"].is_null());
    let dry = post(&world, "/api/v1/admin/retain?dry_run=true", &json!({}), 200).await;
    assert_eq!(
        (&dry["dry_run"], &dry["segments_due"], &dry["jobs"]),
        (&json!(true), &json!(1), &json!(0))
    );
    assert!(dry["rows"].as_u64().unwrap() > 0);
    let done = post(&world, "/api/v1/admin/retain", &json!({}), 200).await;
    assert_eq!((&done["done"], &done["rows"]), (&json!(true), &dry["rows"]));
    assert_eq!(world.api().profile("1").await, hidden);
    let again = post(&world, "/api/v1/admin/retain?dry_run=true", &json!({}), 200).await;
    assert_eq!(again["segments"], 0);
}

/// Exit code and output of a search for texts, one a line.
fn searched(data: &Path, texts: &str) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tachograph"))
        .args(["verify", "--erased", "-", "--data-dir"])
        .arg(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(texts.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), told)
}

#[tokio::test]
async fn an_erasure_is_answered_when_nobody_can_read_it_and_tells_how_far_it_is() {
    let world = World::start().await;
    let other = json!({ "project": "group/secret-project", "project_id": 4712 });
    let named = with(report(fleet_job(0)), other);
    world.archive("1", &named).await;
    world.archive("2", &report(fleet_job(1))).await;
    assert_eq!(world.api().seal().await["segments"].as_u64().unwrap(), 1);
    let path = "/api/v1/admin/erasures";
    for wrong in [
        json!({}),
        json!({ "project": "a", "job_id": "1" }),
        json!({ "project": "group/secret-project", "only": [] }),
        json!({ "project": "group/secret-project", "only": ["name"] }),
    ] {
        let problem = post(&world, path, &wrong, 400).await;
        assert_eq!(problem["code"], "invalid_erasure", "{wrong}");
    }
    let unknown = post(&world, path, &json!({ "project": "group/other" }), 404).await;
    assert_eq!(unknown["code"], "project_not_found");
    let asked = post(
        &world,
        path,
        &json!({ "project": "group/secret-project" }),
        202,
    )
    .await;
    assert_eq!(
        (&asked["id"], &asked["state"]),
        (&json!(1), &json!("records"))
    );
    world
        .api()
        .get("/api/v1/jobs/gitlab/1")
        .await
        .problem(404, "job_not_found", &[]);
    world
        .api()
        .get("/api/v1/jobs/gitlab/1/profile")
        .await
        .problem(404, "job_not_found", &[]);
    assert_eq!(world.api().ids("").await, ["2"]);
    let refused = world.api().put("/api/v1/jobs/gitlab/1", &named).await;
    refused.problem(409, "job_erased", &[]);
    world.service().archive().run_erasures(&|| Ok(())).unwrap();
    let list = world.api().get(path).await.json(200);
    assert_eq!(list["erasures"][0]["state"], "done", "{list}");
    assert!(!list.to_string().contains("secret-project"));
    world.api().get("/api/v1/jobs/gitlab/2").await.json(200);

    let (data, _dir) = world.into_data().await;
    let verify = |texts: &str| searched(&data, texts);
    let (code, told) = verify("group/secret-project\n");
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = verify("group/secret-project\nmain\n");
    assert_eq!(code, Some(65));
    assert!(
        told.contains("text 2 of 2: ") && !told.contains("text 1"),
        "{told}"
    );
}
