//! The fleet is what it says: the same for the same seed, whole, and of all sorts.
#![expect(clippy::disallowed_methods, reason = "a test looks into the files")]

use super::*;
use crate::archive::{JobFilter, JobView, Settings};
use crate::model::archived::SummarisedRow;
use crate::model::job::JobStatus;
use crate::model::scope::Scope;
use crate::model::state::Verdict;
use crate::time::SystemClock;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const UNTIL: Date = Date(20_500);

fn spec(jobs: u64, days: u32) -> FleetSpec {
    FleetSpec {
        jobs,
        days,
        ..FleetSpec::new(UNTIL)
    }
}

fn made(root: &Path, spec: FleetSpec, threads: usize) -> (Arc<Archive>, Generated) {
    let archive = Archive::open(root, Settings::default(), SystemClock::shared());
    let archive = Arc::new(archive.unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let made = runtime
        .unwrap()
        .block_on(generate(&archive, spec, threads, |_| {}));
    (archive, made.unwrap())
}

/// Names and contents of all segment files.
fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![root.join("tables")];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_owned();
                found.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn all_jobs(archive: &Archive) -> Vec<JobView> {
    let mut jobs = Vec::new();
    let mut cursor = None;
    loop {
        let page = archive
            .list(
                &Scope::local_operator(),
                &JobFilter::default(),
                cursor.as_deref(),
                500,
            )
            .unwrap();
        jobs.extend(page.jobs);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return jobs;
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_files_whatever_the_threads() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let spec = FleetSpec {
        jobs_per_segment: 60,
        ..spec(400, 5)
    };
    let (_, one) = made(dirs[0].path(), spec, 1);
    let (_, two) = made(dirs[1].path(), spec, 3);
    made(dirs[2].path(), FleetSpec { seed: 2, ..spec }, 1);
    assert_eq!(one, two);
    assert_eq!(one.jobs, 400);
    assert!(one.segments > 5);
    assert!(files(dirs[0].path()) == files(dirs[1].path()));
    assert!(files(dirs[0].path()) != files(dirs[2].path()));
}

#[test]
fn a_fleet_holds_and_is_of_all_sorts() {
    let dir = tempfile::tempdir().unwrap();
    let (archive, made) = made(dir.path(), spec(1_500, 20), 2);
    let found = archive.verify(true, |_, _| {}).unwrap();
    assert_eq!((found.broken, found.sealed_jobs), (0, 1_500), "{found:?}");
    assert_eq!(found.sample_rows, made.rows);
    let per_job = made.rows / made.jobs;
    assert!((22..=38).contains(&per_job), "{per_job} rows a job");
    let jobs = all_jobs(&archive);
    assert_eq!(jobs.len(), 1_500);
    let rows: Vec<_> = jobs.iter().filter_map(|job| job.row.as_ref()).collect();
    let distinct = |of: fn(&JobView) -> Option<String>| {
        jobs.iter().filter_map(of).collect::<BTreeSet<_>>().len()
    };
    assert!(distinct(|job| job.facts.project.clone()) > 40);
    assert!(distinct(|job| job.facts.git_ref.clone()) > 40);
    assert!(distinct(|job| job.row.as_ref()?.row.placement.machine_type.clone()) >= 7);
    assert!(distinct(|job| Some(job.row.as_ref()?.row.placement.region.clone()?.to_string())) == 3);
    let statuses: BTreeSet<_> = jobs
        .iter()
        .filter_map(|job| job.facts.status)
        .map(JobStatus::as_str)
        .collect();
    assert_eq!(
        statuses.into_iter().collect::<Vec<_>>(),
        ["canceled", "failed", "success"]
    );
    for verdict in [
        Verdict::Complete,
        Verdict::UnknownMachine,
        Verdict::ScrapeDown,
    ] {
        let has = |row: &&&SummarisedRow| row.row.findings.verdict == Some(verdict);
        assert!(rows.iter().filter(has).count() > 0, "{verdict:?}");
    }
}

#[test]
fn co_tenants_are_those_that_the_index_knows() {
    let dir = tempfile::tempdir().unwrap();
    let (archive, _) = made(dir.path(), spec(3_000, 3), 1);
    let mut shared = 0;
    for job in all_jobs(&archive) {
        let row = job.row.unwrap().row;
        let (machine, window) = (row.facts.machine.clone().unwrap(), row.window());
        let others = archive
            .co_tenants(&Scope::local_operator(), job.keys.job, &machine, window)
            .unwrap();
        assert_eq!(row.co_tenancy.count, i32::try_from(others.len()).unwrap());
        let together: i64 = others.iter().map(|other| other.overlap_ms).sum();
        let longest = others.iter().map(|other| other.overlap_ms).max();
        let overlap = row.co_tenancy.overlap_ms;
        assert!(longest.unwrap_or(0) <= overlap && overlap <= together.min(window.len_ms()));
        shared += i32::from(!others.is_empty());
    }
    assert!(shared > 30, "only {shared} jobs share their machine");
}

#[test]
fn old_jobs_may_have_statistics_alone() {
    let dir = tempfile::tempdir().unwrap();
    let spec = FleetSpec {
        sample_days: Some(2),
        ..spec(600, 6)
    };
    let (archive, made) = made(dir.path(), spec, 1);
    let (mut with, mut without) = (0, 0);
    for job in all_jobs(&archive) {
        let finished = job.facts.finished_at.unwrap().date();
        let (_, profile) = archive
            .profile(&Scope::local_operator(), &job.job)
            .unwrap()
            .unwrap();
        if finished.0 > UNTIL.0 - 2 {
            with += profile.rows();
        } else {
            assert_eq!(profile.rows(), 0);
            let row = job.row.unwrap();
            without += usize::from(row.summary.covered_ms > 0);
        }
    }
    assert!(num::len_u64(with) == made.rows && with > 0 && without > 200);
    assert_eq!(archive.verify(false, |_, _| {}).unwrap().broken, 0);
}

#[test]
fn impossible_sizes_are_refused() {
    assert!(spec(0, 1).check().is_err());
    assert!(spec(1, 0).check().is_err());
    let long = FleetSpec {
        rows_per_job: 1,
        ..spec(1, 1)
    };
    assert!(long.check().is_err());
    let numbers = spec(1_000, 30).dates();
    assert_eq!(numbers.last().unwrap().1.end, 1_000);
    assert!(
        numbers
            .windows(2)
            .all(|pair| pair[0].1.end == pair[1].1.start)
    );
}
