//! Profiles as Parquet and Arrow over HTTP, read by DuckDB, Polars and pyarrow: every cell is what the
//! JSON answer says.

use super::python;
use crate::support::{FLEET, World, report, with};
use serde_json::{Value, json};
use std::path::Path;

/// Keeps the three answers under one name, raw or not.
async fn keep(world: &World, dir: &Path, name: &str, query: &str) {
    let id = name.split('-').next().unwrap();
    for (format, extension) in [
        ("json", "json"),
        ("parquet", "parquet"),
        ("arrow", "arrows"),
    ] {
        let path = format!("/api/v1/jobs/gitlab/{id}/profile?format={format}&{query}");
        let answer = world.api().get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        std::fs::write(dir.join(format!("{name}.{extension}")), &answer.body).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_readers_see_in_parquet_and_arrow_what_json_says() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let jobs = FLEET.jobs.iter().take(24);
    assert!(jobs.len() >= 12, "only {} jobs", jobs.len());
    let section = |job: &tachograph::testkit::fleet::FleetJob| {
        let middle = job.window.from.plus_ms(job.window.len_ms() / 2);
        let (from, to) = (job.window.from.to_rfc3339(), middle.to_rfc3339());
        json!({"sections": [{"name": "half", "started_at": from, "finished_at": to}]})
    };
    for (number, job) in jobs.enumerate() {
        let id = number.to_string();
        world.archive(&id, &with(report(job), section(job))).await;
        // Half of them from a segment.
        if number == 12 {
            world.api().seal().await;
        }
        keep(&world, dir.path(), &format!("{id}-graph"), "").await;
        keep(&world, dir.path(), &format!("{id}-raw"), "raw=true").await;
        keep(
            &world,
            dir.path(),
            &format!("{id}-part-raw"),
            "raw=true&section=half&points=4",
        )
        .await;
    }
    let waiting = with(report(&FLEET.jobs[0]), json!({"runner_id": 9}));
    world.api().report("99", &waiting).await;
    world
        .api()
        .job_when("99", "pending", "waiting_for_runner")
        .await;
    keep(&world, dir.path(), "99-none", "").await;

    let folder = dir.path().to_str().unwrap();
    let read = python("outputs.py", &[folder]);
    let said = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{said}");
    println!("{}", String::from_utf8_lossy(&read.stdout).trim());

    // The check itself sees a single other cell.
    let path = dir.path().join("0-raw.json");
    let text = std::fs::read(&path).unwrap();
    let mut profile: Value = serde_json::from_slice(&text).unwrap();
    let cell = &mut profile["metrics"]["cpu_user_seconds"]["values"][1];
    *cell = json!(cell.as_f64().unwrap() + 0.01);
    std::fs::write(&path, profile.to_string()).unwrap();
    let read = python("outputs.py", &[folder]);
    assert!(!read.status.success());
    let said = String::from_utf8_lossy(&read.stderr);
    assert!(said.contains("cpu_user_seconds, row 1"), "{said}");
}
