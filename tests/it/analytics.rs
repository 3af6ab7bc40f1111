//! What analysts and benches get: made-up fleets from the command line.

use crate::cli::{fails, run, stderr, stdout};
use serde_json::Value;

#[tokio::test]
async fn a_fleet_is_made_holds_and_is_not_made_twice() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("fleet");
    let data = data.to_str().unwrap();
    let make = [
        "demo",
        "--fleet",
        "--no-serve",
        "--data-dir",
        data,
        "--jobs",
        "300",
        "--days",
        "4",
        "--until",
        "2026-03-04",
    ];
    let made = run(&make).await;
    assert!(made.status.success(), "{}", stderr(&made));
    let made: Value = serde_json::from_str(&stdout(&made)).unwrap();
    assert_eq!((&made["jobs"], &made["segments"]), (&300.into(), &4.into()));
    let verified = run(&["verify", "--data-dir", data, "--deep", "--json"]).await;
    assert!(verified.status.success(), "{}", stderr(&verified));
    let found: Value = serde_json::from_str(&stdout(&verified)).unwrap();
    assert_eq!(found["sealed_jobs"], 300);
    assert_eq!(found["sample_rows"], made["rows"]);
    fails(&make, 73, &["is known already"]).await;
    fails(&["demo", "--jobs", "5"], 2, &["--fleet"]).await;
    let impossible = [
        "demo",
        "--fleet",
        "--no-serve",
        "--data-dir",
        data,
        "--jobs",
        "0",
    ];
    fails(&impossible, 64, &["1 to 100 million jobs"]).await;
}
