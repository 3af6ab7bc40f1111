//! What analysts and benches get: made-up fleets, views in other engines' words, and the questions of
//! docs/analytics.md.

use crate::cli::{fails, run, stderr, stdout};
use crate::readers::python;
use serde_json::Value;
use std::path::{Path, PathBuf};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tachograph");

/// Makes a fleet of so many jobs in the folder; returns its place and what was made.
async fn fleet(root: &Path, jobs: &str, days: &str) -> (PathBuf, Value) {
    let data = root.join("tachograph-data");
    let made = run(&make(&data, jobs, days)).await;
    assert!(made.status.success(), "{}", stderr(&made));
    let made = serde_json::from_str(&stdout(&made)).unwrap();
    (data, made)
}

fn make<'a>(data: &'a Path, jobs: &'a str, days: &'a str) -> Vec<&'a str> {
    let data = data.to_str().unwrap();
    let mut args = vec!["demo", "--fleet", "--no-serve", "--data-dir", data];
    args.extend(["--jobs", jobs, "--days", days, "--until", "2026-03-04"]);
    args
}

/// Runs a script of the readers and says what it says.
fn reads(script: &str, args: &[&Path]) {
    let args: Vec<&str> = args.iter().map(|path| path.to_str().unwrap()).collect();
    let read = python(script, &args);
    let said = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{said}");
    println!("{}", String::from_utf8_lossy(&read.stdout).trim());
}

#[tokio::test]
async fn a_fleet_is_made_holds_and_is_not_made_twice() {
    let root = tempfile::tempdir().unwrap();
    let (data, made) = fleet(root.path(), "300", "4").await;
    assert_eq!((&made["jobs"], &made["segments"]), (&300.into(), &4.into()));
    let path = data.to_str().unwrap();
    let verified = run(&["verify", "--data-dir", path, "--deep", "--json"]).await;
    assert!(verified.status.success(), "{}", stderr(&verified));
    let found: Value = serde_json::from_str(&stdout(&verified)).unwrap();
    assert_eq!(found["sealed_jobs"], 300);
    assert_eq!(found["sample_rows"], made["rows"]);
    fails(&make(&data, "300", "4"), 73, &["is known already"]).await;
    fails(&["demo", "--jobs", "5"], 2, &["--fleet"]).await;
    let impossible = make(&data, "0", "4");
    fails(&impossible, 64, &["1 to 100 million jobs"]).await;
}

#[tokio::test]
async fn every_cell_of_every_view_is_the_same_in_other_engines() {
    let root = tempfile::tempdir().unwrap();
    let (data, _) = fleet(root.path(), "400", "3").await;
    reads("views.py", &[Path::new(PROGRAM), &data]);
}

#[tokio::test]
async fn every_block_of_the_analytics_page_runs_and_engines_agree() {
    let root = tempfile::tempdir().unwrap();
    fleet(root.path(), "1500", "40").await;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/analytics.md");
    reads("analytics.py", &[&page, root.path(), Path::new(PROGRAM)]);
}
