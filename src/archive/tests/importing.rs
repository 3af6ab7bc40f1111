//! Imports leave what a seal leaves, or nothing.

use super::*;
use crate::archive::{ImportedJob, ImportedSamples};
use crate::index::Family;
use crate::index::keys::by_time::{ByMachineTime, ByNameRef, ByProjectTime, ByRunnerTime, ByTime};
use crate::index::keys::ids::Ids;
use crate::index::keys::jobs::Jobs;
use crate::index::keys::meta::Meta;
use crate::num;
use crate::time::Date;
use std::path::{Path, PathBuf};

const JOBS: i64 = 40;

fn rows(number: i64) -> i64 {
    number * 7 % 23
}

fn date() -> Date {
    TimestampMs(START).date()
}

/// Imports these jobs as the other archive has them.
fn import(bench: &Bench, other: &Bench, numbers: std::ops::RangeInclusive<i64>) -> Result<u64> {
    let numbers: Vec<i64> = numbers.collect();
    let jobs = numbers.iter().map(|number| {
        let row = other.read(*number).0.row.unwrap().row;
        ImportedJob {
            job: row.job,
            facts: row.facts,
            placement: row.placement,
            co_tenancy: row.co_tenancy,
        }
    });
    let jobs: Vec<_> = jobs.collect();
    let archive = bench.archive();
    let mut reservation = archive.reserve_import(num::len_u64(jobs.len()), 1)?;
    let sealed = archive.import(&mut reservation, date(), jobs, |position, job| {
        let number = numbers[position];
        assert_eq!(job.job, super::job(number));
        Ok(ImportedSamples {
            findings: findings(number, rows(number)),
            profile: profile(number, rows(number)),
            keep: true,
        })
    })?;
    Ok(sealed.jobs)
}

fn entries<F: Family>(bench: &Bench) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let snapshot = bench.archive().index.snapshot();
    let all = snapshot.scan::<F>(&[], None, |key, value| {
        let mut bytes = Vec::new();
        F::encode_key(&key, &mut bytes);
        found.push((bytes, F::encode_value(&value)?));
        Ok(true)
    });
    all.unwrap();
    found
}

fn contents(bench: &Bench) -> Vec<(PathBuf, Vec<u8>)> {
    let files = bench.files().into_iter();
    let relative = |path: &Path| path.strip_prefix(bench.root.path()).unwrap().into();
    files
        .map(|path| (relative(&path), std::fs::read(&path).unwrap()))
        .collect()
}

fn sealed() -> Bench {
    let bench = Bench::new();
    for number in 1..=JOBS {
        bench.archived(number, rows(number));
    }
    assert_eq!(bench.archive().seal_all().unwrap().len(), 1);
    bench
}

#[test]
fn an_import_leaves_what_a_seal_leaves() {
    let sealed = sealed();
    let mut imported = Bench::new();
    assert_eq!(import(&imported, &sealed, 1..=JOBS).unwrap(), 40);
    assert_eq!(contents(&imported), contents(&sealed));
    assert_eq!(entries::<Ids>(&imported), entries::<Ids>(&sealed));
    assert_eq!(entries::<Jobs>(&imported), entries::<Jobs>(&sealed));
    assert_eq!(entries::<Meta>(&imported), entries::<Meta>(&sealed));
    assert_eq!(entries::<ByTime>(&imported), entries::<ByTime>(&sealed));
    assert_eq!(
        entries::<ByProjectTime>(&imported),
        entries::<ByProjectTime>(&sealed)
    );
    assert_eq!(
        entries::<ByRunnerTime>(&imported),
        entries::<ByRunnerTime>(&sealed)
    );
    assert_eq!(
        entries::<ByMachineTime>(&imported),
        entries::<ByMachineTime>(&sealed)
    );
    assert_eq!(
        entries::<ByNameRef>(&imported),
        entries::<ByNameRef>(&sealed)
    );
    let found = imported.reopen().verify(true, |_, _| {}).unwrap();
    assert_eq!((found.broken, found.sealed_jobs), (0, 40));
}

#[test]
fn a_refused_import_leaves_nothing() {
    let sealed = sealed();
    let bench = Bench::new();
    import(&bench, &sealed, 1..=20).unwrap();
    let before = (entries::<Jobs>(&bench), bench.files());
    let refused = import(&bench, &sealed, 15..=30).unwrap_err();
    assert_eq!(refused.code(), "import_known_job");
    assert_eq!((entries::<Jobs>(&bench), bench.files()), before);
    assert!(bench.archive().is_writable());
    assert_eq!(import(&bench, &sealed, 21..=JOBS).unwrap(), 20);
    assert_eq!(bench.archive().verify(true, |_, _| {}).unwrap().broken, 0);
}

#[test]
fn an_import_is_of_one_date_and_of_what_was_reserved() {
    let sealed = sealed();
    let bench = Bench::new();
    let row = sealed.read(1).0.row.unwrap().row;
    let job = ImportedJob {
        job: row.job,
        facts: row.facts,
        placement: row.placement,
        co_tenancy: row.co_tenancy,
    };
    let none = |_: usize, _: &ImportedJob| -> Result<ImportedSamples> { panic!("asked for") };
    let archive = bench.archive();
    let mut reservation = archive.reserve_import(0, 1).unwrap();
    let tomorrow = Date(date().0 + 1);
    let stray = archive.import(&mut reservation, tomorrow, vec![job.clone()], none);
    assert_eq!(stray.unwrap_err().code(), "import_date");
    let empty = archive.import(&mut reservation, date(), Vec::new(), none);
    assert_eq!(empty.unwrap_err().code(), "import_size");
    let unreserved = archive.import(&mut reservation, date(), vec![job], none);
    assert_eq!(unreserved.unwrap_err().kind(), ErrorKind::Internal);
    assert!(bench.files().is_empty());
}

#[test]
fn samples_that_are_not_kept_leave_their_statistics() {
    let sealed = sealed();
    let bench = Bench::new();
    let (view, _) = sealed.read(9);
    let row = view.row.unwrap();
    let job = ImportedJob {
        job: row.row.job.clone(),
        facts: row.row.facts.clone(),
        placement: row.row.placement.clone(),
        co_tenancy: row.row.co_tenancy,
    };
    let archive = bench.archive();
    let mut reservation = archive.reserve_import(1, 1).unwrap();
    let imported = archive.import(&mut reservation, date(), vec![job], |_, _| {
        Ok(ImportedSamples {
            findings: findings(9, rows(9)),
            profile: profile(9, rows(9)),
            keep: false,
        })
    });
    assert_eq!(imported.unwrap().rows, 0);
    let (view, samples) = bench.read(9);
    assert_eq!(samples.rows(), 0);
    assert_eq!(view.row.unwrap().summary, row.summary);
    assert_eq!(archive.verify(false, |_, _| {}).unwrap().broken, 0);
}
