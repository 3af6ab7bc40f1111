//! Compaction from outside: what a client, an operator and a reader of the files see of it.

use crate::support::{World, fleet_job, report, with};
use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tachograph::segment::properties::LEVEL_COLD;
use tokio::process::Command;

/// Four jobs, a segment each; one of them was amended after its seal.
async fn world() -> World {
    let world = World::start().await;
    for number in 0..4 {
        let id = number.to_string();
        world.archive(&id, &report(fleet_job(number))).await;
        assert_eq!(world.api().seal().await["segments"], 1);
    }
    let job = fleet_job(2);
    let section = json!({
        "name": "step_script",
        "started_at": job.window.from.plus_ms(5_000).to_rfc3339(),
        "finished_at": job.window.to.to_rfc3339(),
    });
    let late = json!({
        "project": "acme/moved", "project_id": 99, "failure_reason": "script_failure",
        "sections": [section],
    });
    let answer = world.api().report("2", &with(report(job), late)).await;
    assert_eq!(answer["changed"], true);
    world
}

/// Everything that the service says of the jobs.
async fn said(world: &World) -> Vec<Value> {
    let mut said = Vec::new();
    for id in ["0", "1", "2", "3"] {
        said.push(world.api().job(id).await);
        said.push(world.api().profile(id).await);
    }
    said.push(world.api().get("/api/v1/jobs").await.json(200));
    said
}

async fn compact(world: &World) -> Value {
    let answer = world
        .api()
        .send(Method::POST, "/api/v1/admin/compact", &[], "");
    answer.await.json(200)
}

/// Parquet files of a table.
fn files(data: &Path, table: &str) -> Vec<PathBuf> {
    let dates = std::fs::read_dir(data.join("tables").join(table)).unwrap();
    let files = dates.flat_map(|date| std::fs::read_dir(date.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

#[tokio::test]
async fn jobs_read_the_same_and_files_say_what_was_amended() {
    let mut world = world().await;
    let before = said(&world).await;
    let made = compact(&world).await;
    let expected = json!({ "done": true, "segments_replaced": 4, "segments_made": 1, "jobs": 4, "amendments_folded": 1 });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&made[key], value, "{key}: {made}");
    }
    assert!(made["bytes_written"].as_u64() < made["bytes_read"].as_u64());
    assert_eq!(said(&world).await, before);
    assert_eq!(compact(&world).await["segments_replaced"], 0);

    let live = world.api().get("/api/v1/segments").await.json(200);
    let [segment] = &live["segments"].as_array().unwrap()[..] else {
        panic!("one is live: {live}");
    };
    assert_eq!(
        (&segment["jobs"], &segment["zstd_level"]),
        (&json!(4), &json!(LEVEL_COLD))
    );
    let path = world
        .data_dir()
        .join(segment["jobs_path"].as_str().unwrap());
    let file = std::fs::File::open(path).unwrap();
    let rows = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    let batch = rows.map(Result::unwrap).next().unwrap();
    let text = |name: &str, row: usize| {
        let column = batch.column_by_name(name).unwrap().as_string::<i32>();
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let row = (0..4)
        .find(|row| text("job_id", *row).as_deref() == Some("2"))
        .unwrap();
    assert_eq!(
        text("failure_reason", row).as_deref(),
        Some("script_failure")
    );
    assert_eq!(text("project", row).as_deref(), Some("acme/moved"));
    assert!(batch.column_by_name("amended_at").unwrap().is_valid(row));
    assert_eq!(
        batch
            .column_by_name("sections")
            .unwrap()
            .as_list::<i32>()
            .value(row)
            .len(),
        1
    );

    // The old files stay for those who are about to open them, and go ten minutes later.
    let count = |world: &World| files(&world.data_dir(), "jobs").len();
    let archive = world.service().archive();
    archive.remove_obsolete().unwrap();
    assert_eq!(count(&world), 5);
    world.clock.advance_ms(600_000);
    archive.remove_obsolete().unwrap();
    assert_eq!(count(&world), 1);
    let metrics = world.api().get("/metrics").await.text();
    for line in ["segments_compacted_total 4", "amendments_folded_total 1"] {
        assert!(
            metrics.contains(&format!("tachograph_{line}\n")),
            "{line}: {metrics}"
        );
    }
    world.restart().await;
    assert_eq!(said(&world).await, before);
}

async fn run(arguments: &[&str], data: &Path) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_tachograph"))
        .args(arguments)
        .arg("--data-dir")
        .arg(data)
        .output();
    let output = output.await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        text(&output.stdout),
        text(&output.stderr),
        output.status.code(),
    )
}

#[tokio::test]
async fn a_data_directory_is_compacted_offline() {
    let (data, _dir) = world().await.into_data().await;
    let (out, err, code) = run(&["compact", "--json"], &data).await;
    assert_eq!(code, Some(0), "{err}");
    let made: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&made["segments_replaced"], &made["segments_made"]),
        (&json!(4), &json!(1))
    );
    assert_eq!(
        (files(&data, "jobs").len(), files(&data, "samples").len()),
        (1, 1)
    );
    let (found, err, code) = run(&["verify", "--deep", "--json"], &data).await;
    assert_eq!(code, Some(0), "{found} {err}");
    let (out, _, _) = run(&["compact"], &data).await;
    assert_eq!(out, "there is nothing to compact\n");
    let (_, _, code) = run(&["compact"], &data.join("nowhere")).await;
    assert_eq!(code, Some(66));
}
