//! Data directories of released formats: each opens, holds and reads as it was written.
//!
//! `tests/fixtures/golden-M.m` is a data directory of that format and `expected.json`, what its jobs
//! read as. They are never changed once released. A new format gets a new one:
//! `UPDATE=1 cargo test --features testkit --test it golden` writes that of the present format.
#![expect(clippy::disallowed_methods, reason = "copies directories of files")]

use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tachograph::archive::{Archive, Settings, Staged, Staging, reindex};
use tachograph::model::archived::ArchivedJob;
use tachograph::model::id::{JobRef, RegionName};
use tachograph::model::job::{JobEvent, JobFacts, JobStatus};
use tachograph::model::profile::Profile;
use tachograph::model::scope::Scope;
use tachograph::testkit::clock::ManualClock;
use tachograph::testkit::jobs::{archived_job, job_ref};
use tachograph::time::{SystemClock, TimestampMs};

const PRESENT: &str = "golden-1.0";
/// When the directory was written, by its own clock.
const NOW: TimestampMs = TimestampMs(1_764_100_000_000);
const SEALED: std::ops::Range<u64> = 0..12;
const STAGED: std::ops::Range<u64> = 12..14;
const PENDING: u64 = 14;
const NEVER_RAN: &str = "never-ran";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Digest of every file below a folder, by name.
fn tree(root: &Path) -> Vec<(PathBuf, blake3::Hash)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let digest = blake3::hash(&std::fs::read(&path).unwrap());
                found.push((path, digest));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn all_jobs() -> Vec<JobRef> {
    let made_up = (0..=PENDING).map(|seed| archived_job(seed, 3, 0).row.job);
    made_up.chain([job_ref(NEVER_RAN)]).collect()
}

fn accept(archive: &Archive, job: JobRef, facts: JobFacts) {
    let event = JobEvent { job, facts };
    archive.accept(event.clone(), None).wait().unwrap();
    let sealed = archive.sealed_facts(&event.job);
    if let Ok(sealed) = sealed {
        archive.accept(event, Some(sealed)).wait().unwrap();
    }
}

fn stage(archive: &Archive, job: ArchivedJob) {
    let ArchivedJob { row, profile } = job;
    accept(archive, row.job.clone(), row.facts);
    let due = archive.due(TimestampMs(i64::MAX), 100, |_| false).unwrap();
    let record = due.jobs.into_iter().find(|record| record.job == row.job);
    let staging = Staging {
        record: record.unwrap(),
        placement: row.placement,
        findings: row.findings,
        profile,
        look_up_at: None,
    };
    let staged = archive.stage(staging).wait().unwrap();
    assert_eq!(staged, Staged::Archived);
}

fn make(root: &Path) {
    let archive = Archive::open(root, Settings::default(), ManualClock::at(NOW)).unwrap();
    let region = json!({"url": "http://127.0.0.1:9090", "scrape_interval_seconds": 10});
    let name = RegionName::parse("eu-1").unwrap();
    let region = serde_json::from_value(region).unwrap();
    archive.put_region(name, region).wait().unwrap();
    for seed in SEALED {
        let rows = usize::try_from(seed % 5).unwrap() * 2;
        stage(
            &archive,
            archived_job(seed, i64::try_from(seed % 3).unwrap(), rows),
        );
    }
    let canceled = JobFacts {
        status: Some(JobStatus::Canceled),
        project: Some("acme/app".to_owned()),
        ..JobFacts::default()
    };
    accept(&archive, job_ref(NEVER_RAN), canceled);
    archive.seal_all().unwrap();
    let amended = JobFacts {
        failure_reason: Some("script_failure".to_owned()),
        finished_at: Some(TimestampMs(1_900_000_000_000)),
        ..JobFacts::default()
    };
    accept(
        &archive,
        archived_job(2, 3, 0).row.job,
        JobFacts {
            finished_at: archived_job(2, 3, 4).row.facts.finished_at,
            ..amended
        },
    );
    for seed in STAGED {
        stage(&archive, archived_job(seed, 4, 5));
    }
    let pending = archived_job(PENDING, 4, 5).row;
    accept(&archive, pending.job, pending.facts);
}

fn profile_json(profile: &Profile) -> Value {
    let columns = profile.columns.iter();
    let columns: Map<String, Value> = columns
        .map(|(column, cells)| (column.name().to_owned(), json!(cells)))
        .collect();
    json!({"ts_ms": profile.ts_ms, "interval_ms": profile.interval_ms, "columns": columns})
}

/// What the jobs of an archive read as.
fn read(root: &Path) -> Value {
    let archive = Archive::open(root, Settings::default(), SystemClock::shared()).unwrap();
    let found = archive.verify(true, |_, _| {}).unwrap();
    assert_eq!(found.problems, []);
    assert_eq!(archive.regions().unwrap().len(), 1);
    let jobs = all_jobs().into_iter().map(|job| {
        let read = archive.profile(&Scope::local_operator(), &job).unwrap();
        let (view, profile) = read.unwrap_or_else(|| panic!("{job} is not there"));
        let body = json!({
            "state": view.state,
            "reason": view.reason,
            "listed_at": view.listed_at,
            "facts": view.facts,
            "verdict": view.row.as_ref().map(|row| row.row.findings.verdict),
            "sample_count": view.row.as_ref().map(|row| row.row.findings.sample_count),
            "covered_ms": view.row.as_ref().map(|row| row.summary.covered_ms),
            "profile": profile_json(&profile),
        });
        (job.to_string(), body)
    });
    Value::Object(jobs.collect())
}

/// Facts may have more fields since: what was written must read the same.
fn assert_reads_as(expected: &Value, found: &Value) {
    for (job, expected) in expected.as_object().unwrap() {
        let mut found = found[job].clone();
        let facts = |value: &Value| serde_json::from_value::<JobFacts>(value["facts"].clone());
        assert_eq!(facts(expected).unwrap(), facts(&found).unwrap(), "{job}");
        found["facts"] = expected["facts"].clone();
        assert_eq!(*expected, found, "{job}");
    }
}

fn update() {
    let root = fixtures().join(PRESENT);
    if root.is_dir() {
        std::fs::remove_dir_all(&root).unwrap();
    }
    make(&root);
    // What only says how it was made.
    std::fs::remove_file(root.join("LOCK")).unwrap();
    for entry in std::fs::read_dir(root.join("index")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if ["LOCK", "LOG", "OPTIONS"]
            .iter()
            .any(|start| name.starts_with(start))
        {
            std::fs::remove_file(&path).unwrap();
        }
    }
    let copied = tempfile::tempdir().unwrap();
    copy(&root, copied.path());
    let text = serde_json::to_string(&read(copied.path())).unwrap();
    std::fs::write(root.join("expected.json"), text).unwrap();
}

#[test]
fn directories_of_every_format_open_hold_and_read_as_written() {
    if std::env::var("UPDATE").is_ok_and(|update| update == "1") {
        update();
    }
    let folders = std::fs::read_dir(fixtures()).unwrap();
    let golden = folders.map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("golden-"))
    });
    let golden: Vec<_> = golden.collect();
    assert!(golden.contains(&fixtures().join(PRESENT)));
    for golden in golden {
        let text = std::fs::read_to_string(golden.join("expected.json")).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();
        let work = tempfile::tempdir().unwrap();
        copy(&golden, work.path());
        assert_reads_as(&expected, &read(work.path()));
        // Its sealed jobs come back from the segments alone.
        std::fs::remove_dir_all(work.path().join("index")).unwrap();
        let found = reindex(work.path(), SystemClock::shared(), |_, _| {}).unwrap();
        assert_eq!(found.sealed_jobs, SEALED.end);
        let archive =
            Archive::open(work.path(), Settings::default(), SystemClock::shared()).unwrap();
        let archive = Arc::new(archive);
        for seed in SEALED {
            let job = archived_job(seed, 3, 0).row.job;
            let read = archive.profile(&Scope::local_operator(), &job).unwrap();
            let profile = profile_json(&read.unwrap().1);
            assert_eq!(profile, expected[&job.to_string()]["profile"], "{job}");
        }
    }
}

#[test]
fn newer_data_is_refused_without_a_changed_byte() {
    let work = tempfile::tempdir().unwrap();
    copy(&fixtures().join(PRESENT), work.path());
    let format = work.path().join("FORMAT");
    for text in [
        "tachograph 2.0\nwriter 9.0.0\nmin-reader 2.0\n",
        "tachograph 1.9\nwriter 1.9.0\nmin-reader 1.9\n",
        "",
    ] {
        std::fs::write(&format, text).unwrap();
        let before = tree(work.path());
        let opened = Archive::open(work.path(), Settings::default(), SystemClock::shared());
        assert_eq!(opened.unwrap_err().code(), "format_version");
        let reindexed = reindex(work.path(), SystemClock::shared(), |_, _| {});
        assert_eq!(reindexed.unwrap_err().code(), "format_version");
        assert_eq!(tree(work.path()), before, "{text}");
    }
    // A newer one that allows this program is opened, and keeps its number.
    let allowed = "tachograph 1.9\nwriter 1.9.0\nmin-reader 1.0\n";
    std::fs::write(&format, allowed).unwrap();
    read(work.path());
    assert_eq!(std::fs::read_to_string(&format).unwrap(), allowed);
}
