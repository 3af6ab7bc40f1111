//! Retention and erasure over HTTP and on the command line, with a clock in the test's hands.

use crate::cli::{fails, run, stderr, stdout};
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

/// What a command says, if it did its work.
async fn told(args: &[&str]) -> String {
    let output = run(args).await;
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    stdout(&output)
}

/// What a command says as JSON.
async fn told_json(args: &[&str]) -> Value {
    serde_json::from_str(&told(args).await).unwrap()
}

#[tokio::test]
async fn retain_says_what_would_go_and_removes_it() {
    let world = World::start().await;
    let held = json!({ "project": "acme/held", "project_id": 4712 });
    world.archive("1", &report(fleet_job(0))).await;
    let own = with(report(fleet_job(1)), held);
    let own = world.archive("2", &own).await;
    assert_eq!(world.api().seal().await["segments"], 1);
    let (data, _dir) = world.into_data().await;
    let data = data.to_str().unwrap();
    // The default policy keeps samples for 400 days.
    let nothing = told_json(&["retain", data, "--dry-run", "--json"]).await;
    assert_eq!(nothing["segments"], 0, "{nothing}");
    let files = tempfile::tempdir().unwrap();
    let config = files.path().join("config.toml");
    let toml = "[retention]\nsamples_days = 1\nsamples_5m_days = 2\njobs_days = 3\n[retention.projects.\"acme/held\"]\nhold = true\n";
    std::fs::write(&config, toml).unwrap();
    let retain = ["retain", data, "--config", config.to_str().unwrap()];
    let would = told_json(&[&retain[..], &["--dry-run", "--json"]].concat()).await;
    assert_eq!(
        (&would["dry_run"], &would["jobs"], &would["segments_due"]),
        (&json!(true), &json!(1), &json!(1)),
        "{would}"
    );
    let words = told(&[&retain[..], &["--dry-run"]].concat()).await;
    assert!(
        words.starts_with("1 jobs, ") && words.contains(" would go; "),
        "{words}"
    );
    let done = told_json(&[&retain[..], &["--json"]].concat()).await;
    assert_eq!(
        (&done["jobs"], &done["rows"]),
        (&would["jobs"], &would["rows"])
    );
    let again = told(&retain).await;
    assert!(again.starts_with("0 jobs, 0 rows of samples, "), "{again}");
    // What is held stays, whole; the other's row is gone from every answer.
    let query = "select job_id, sample_count from jobs";
    let left = told(&["query", query, "--format", "csv", "--data-dir", data]).await;
    assert_eq!(
        left,
        format!("job_id,sample_count\r\n2,{}\r\n", own["sample_count"])
    );
    told(&["verify", "--data-dir", data, "--deep"]).await;
}

#[tokio::test]
async fn erase_works_in_a_directory_and_through_the_service() {
    let world = World::start().await;
    let secret = json!({ "project": "group/secret-project", "project_id": 4712 });
    world
        .archive("1", &with(report(fleet_job(0)), secret))
        .await;
    world.archive("2", &report(fleet_job(1))).await;
    world.archive("3", &report(fleet_job(2))).await;
    assert_eq!(world.api().seal().await["segments"], 1);
    let server = ["erase", "--server", world.api().base()];
    let said = told(&[&server[..], &["--project", "group/secret-project"]].concat()).await;
    assert!(
        said.starts_with("erasure 1: unreadable from now on"),
        "{said}"
    );
    assert_eq!(world.api().ids("").await.len(), 2);
    fails(
        &[&server[..], &["--job", "nothing"]].concat(),
        64,
        &["SOURCE/JOB_ID"],
    )
    .await;
    world.service().archive().run_erasures(&|| Ok(())).unwrap();
    let machine = fleet_job(2).machine.clone();
    let (data, _dir) = world.into_data().await;
    let data_dir = data.to_str().unwrap();
    let dir = ["erase", "--data-dir", data_dir];
    let said = told(&[&dir[..], &["--job", "gitlab/3", "--only", "machine"]].concat()).await;
    assert!(said.starts_with("erasure 2 is done: 1 jobs, "), "{said}");
    let query = "select job_id, machine from jobs where job_id = '3'";
    let row = told(&["query", query, "--format", "csv", "--data-dir", data_dir]).await;
    assert_eq!(row, "job_id,machine\r\n3,\r\n");
    let (code, told) = searched(&data, &format!("group/secret-project\n{machine}\n"));
    assert_eq!(code, Some(0), "{told}");
}
