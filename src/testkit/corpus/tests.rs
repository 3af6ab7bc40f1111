//! The corpus is what it says, and not easier to compress than a machine is.

use super::*;
use crate::model::archived::SummarisedRow;
use crate::num;
use std::collections::BTreeSet;

fn corpus(jobs: usize) -> Vec<ArchivedJob> {
    Corpus::new(CorpusSpec {
        jobs,
        ..CorpusSpec::default()
    })
    .collect()
}

#[test]
fn the_same_seed_gives_the_same_jobs() {
    assert_eq!(corpus(30), corpus(30));
}

#[test]
fn durations_projects_and_columns_are_as_described() {
    let jobs = corpus(4_000);
    let mut seconds: Vec<i64> = jobs
        .iter()
        .map(|job| job.row.window().len_ms() / 1_000)
        .collect();
    seconds.sort_unstable();
    let median = seconds[seconds.len() / 2];
    let mean = seconds.iter().sum::<i64>() / num::len_i64(seconds.len());
    assert!((165..=195).contains(&median), "median {median} s");
    assert!((260..=315).contains(&mean), "mean {mean} s");
    assert!(seconds.last().is_some_and(|longest| *longest <= 3_600));
    let projects: BTreeSet<_> = jobs.iter().map(|job| job.row.keys.project).collect();
    let runners: BTreeSet<_> = jobs.iter().map(|job| job.row.keys.runner).collect();
    let machines: BTreeSet<_> = jobs.iter().map(|job| &job.row.facts.machine).collect();
    assert!(projects.len() > 250, "{} projects", projects.len());
    assert_eq!((runners.len(), machines.len()), (40, 200));
    assert_eq!(columns().len(), 18);
    for job in &jobs {
        let names: Vec<Column> = job.profile.columns.keys().copied().collect();
        assert_eq!(names, columns());
    }
}

#[test]
fn rows_are_what_the_assembler_would_make() {
    for jitter in [false, true] {
        let spec = CorpusSpec {
            jobs: 300,
            jitter,
            ..CorpusSpec::default()
        };
        for ArchivedJob { row, profile } in Corpus::new(spec) {
            let window = row.window();
            assert!(profile.rows() > 0);
            let slack = if jitter { 8 } else { 0 };
            for interval in profile.intervals().flatten() {
                assert!(interval.overlap_ms(window) + slack > 0);
                assert!((interval.len_ms() - INTERVAL_MS).abs() <= slack);
            }
            for (column, cells) in &profile.columns {
                assert_eq!(cells.len(), profile.rows());
                for cell in cells.iter().flatten() {
                    assert!(
                        column.spec().cell.fits(*cell) && *cell >= 0,
                        "{column:?} {cell}"
                    );
                }
                assert_eq!(
                    row.findings.base.values.contains_key(column),
                    column.has_base()
                );
            }
            let summary = SummarisedRow::compute(row, &profile).summary;
            assert!(summary.covered_ms > 0);
        }
    }
}

#[test]
fn values_are_quantised_as_the_machine_quantises() {
    let units = trace::COUNTERS.iter().chain(&trace::GAUGES);
    let units: Vec<_> = units.filter(|(_, unit)| *unit > 1).collect();
    for job in corpus(100) {
        for (column, unit) in &units {
            let cells = job.profile.column(*column).unwrap();
            assert!(cells.iter().flatten().all(|cell| cell % unit == 0));
        }
    }
}

/// Writes the corpus as plain little-endian i64 columns for `tools/corpus-entropy`.
#[test]
#[ignore = "writes 100 MB for tools/corpus-entropy"]
#[expect(
    clippy::disallowed_methods,
    reason = "a dump for a measurement by hand"
)]
fn dump() {
    let dir = std::env::temp_dir().join("tachograph-corpus");
    std::fs::create_dir_all(&dir).unwrap();
    let mut jobs: Vec<ArchivedJob> = Corpus::new(CorpusSpec::default()).collect();
    jobs.sort_by_key(|job| (job.row.keys.project, job.row.keys.job));
    let mut files = std::collections::BTreeMap::<String, Vec<u8>>::new();
    let mut put = |name: &str, value: i64| {
        let file = files.entry(name.to_owned()).or_default();
        file.extend_from_slice(&value.to_le_bytes());
    };
    for ArchivedJob { row, profile } in jobs {
        for ts in &profile.ts_ms {
            put("project_key", row.keys.project.0);
            put("job", row.keys.job.0);
            put("runner_key", row.keys.runner.unwrap().0);
            put("ts", *ts);
        }
        for interval in &profile.interval_ms {
            put("interval_ms", i64::from(interval.unwrap()));
        }
        for (column, cells) in &profile.columns {
            for cell in cells {
                put(column.name(), cell.unwrap());
            }
        }
    }
    for (name, bytes) in files {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
}
