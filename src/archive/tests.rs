//! The engine end to end: accept, stage, seal, read, amend, reopen.
#![expect(clippy::disallowed_methods, reason = "tests damage files from outside")]

mod backups;
mod clock;
mod compaction;
mod corrections;
mod going;
mod hidden;
mod importing;
mod lists;
mod reindexing;
mod rewriting;
mod scrubbing;
mod sealing;
mod waiting;

use super::*;
use crate::error::ErrorKind;
use crate::model::archived::{Findings, Placement};
use crate::model::id::{JobId, JobKey, JobRef, Source};
use crate::model::job::{JobEvent, JobFacts, JobStatus, Section};
use crate::model::machine::Machine;
use crate::model::metric::Column;
use crate::model::profile::{Base, Gap, Profile};
use crate::model::scope::Scope;
use crate::model::state::{Reason, State, Verdict};
use crate::time::{SystemClock, TimeRange, TimestampMs};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

const START: i64 = 1_764_000_000_000;

pub(super) struct Bench {
    root: tempfile::TempDir,
    archive: Option<Archive>,
    clock: SharedClock,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::at(SystemClock::shared())
    }

    pub(super) fn at(clock: SharedClock) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut bench = Self {
            root,
            archive: None,
            clock,
        };
        bench.reopen();
        bench
    }

    fn reopen(&mut self) -> &Archive {
        self.archive = None;
        let clock = Arc::clone(&self.clock);
        let archive = Archive::open(self.root.path(), Settings::default(), clock);
        self.archive.insert(archive.unwrap())
    }

    pub(super) fn archive(&self) -> &Archive {
        self.archive.as_ref().unwrap()
    }

    fn accept(&self, number: i64, facts: JobFacts) -> Result<Accepted> {
        let event = JobEvent {
            job: job(number),
            facts,
        };
        let mut sealed = None;
        loop {
            match self.archive().accept(event.clone(), sealed).wait()? {
                Acceptance::Accepted(accepted) => return Ok(accepted),
                Acceptance::NeedsSealedFacts => {
                    sealed = Some(self.archive().sealed_facts(&event.job)?);
                }
            }
        }
    }

    /// Accepts and stages a finished job.
    pub(super) fn archived(&self, number: i64, rows: i64) {
        self.accept(number, finished(number, rows)).unwrap();
        assert_eq!(self.staged(number, rows), Staged::Archived);
    }

    /// Stages a job that is pending.
    pub(super) fn staged(&self, number: i64, rows: i64) -> Staged {
        let staging = Staging {
            record: self.record(number),
            placement: Placement::default(),
            findings: findings(number, rows),
            profile: profile(number, rows),
            look_up_at: None,
        };
        self.archive().stage(staging).wait().unwrap()
    }

    /// Reports another end, so that the job is fetched again.
    pub(super) fn corrected(&self, number: i64) {
        let end = JobFacts {
            finished_at: Some(TimestampMs(START + 600_000)),
            ..JobFacts::default()
        };
        assert!(self.accept(number, end).unwrap().due.is_some());
    }

    /// Files of both tables below the data directory.
    pub(super) fn files(&self) -> Vec<std::path::PathBuf> {
        use crate::segment::dir::Table;
        let list = |table| self.archive().dir.list(table).unwrap();
        [list(Table::Samples), list(Table::Jobs)].concat()
    }

    /// Makes a job's entry unreadable.
    pub(super) fn damage(&self, key: JobKey) {
        let mut changes = crate::index::Changes::default();
        changes.damage::<keys::jobs::Jobs>(&key, b"\x01{\"job\": 7}");
        self.archive().index.write(&changes).unwrap();
    }

    fn record(&self, number: i64) -> crate::model::record::JobRecord {
        let far = TimestampMs(START + 1_000_000_000_000);
        let due = self.archive().due(far, 10_000, |_| false).unwrap();
        due.jobs
            .into_iter()
            .find(|record| record.job == job(number))
            .unwrap()
    }

    pub(super) fn read(&self, number: i64) -> (JobView, Profile) {
        self.archive()
            .profile(&Scope::local_operator(), &job(number))
            .unwrap()
            .unwrap()
    }
}

fn job(number: i64) -> JobRef {
    JobRef {
        source: Source::parse("ci").unwrap(),
        job_id: JobId::parse(&number.to_string()).unwrap(),
    }
}

fn finished(number: i64, rows: i64) -> JobFacts {
    let at = |ms| TimestampMs(START + number * 1_000 + ms);
    JobFacts {
        status: Some(JobStatus::Success),
        project: Some(format!("acme/p{}", number % 3)),
        project_id: Some((number % 3).to_string()),
        name: Some(format!("unit {}", number % 2)),
        git_ref: Some("main".to_owned()),
        runner_id: Some("42".to_owned()),
        machine: Some(Machine::parse(&format!("m-{}", number % 4)).unwrap()),
        started_at: Some(at(0)),
        finished_at: Some(at(rows.max(1) * 10_000)),
        sections: Some(vec![Section {
            name: "build \u{e4}".to_owned(),
            range: TimeRange::new(at(1_000), at(5_000)),
        }]),
        runner_tags: Some(vec!["linux".to_owned(), "gce".to_owned()]),
        queued_ms: Some(3_200),
        ..JobFacts::default()
    }
}

fn profile(number: i64, rows: i64) -> Profile {
    let cells = |factor: i64| {
        (0..rows)
            .map(|row| Some(row * factor % 977 + number))
            .collect()
    };
    let mut columns: BTreeMap<Column, Vec<Option<i64>>> = BTreeMap::new();
    columns.insert(Column::CpuUserSeconds, cells(31));
    columns.insert(Column::CpuSystemSeconds, cells(7));
    columns.insert(Column::MemoryUsedBytes, cells(4_096_000));
    columns.insert(
        Column::PressureIoSeconds,
        (0..rows).map(|row| (row % 3 > 0).then_some(row)).collect(),
    );
    columns.insert(
        Column::SwapUsedBytes,
        vec![None; usize::try_from(rows).unwrap()],
    );
    Profile {
        ts_ms: (1..=rows)
            .map(|row| START + number * 1_000 + row * 10_000)
            .collect(),
        interval_ms: (0..rows).map(|_| Some(10_000)).collect(),
        columns,
    }
}

fn findings(number: i64, rows: i64) -> Findings {
    let range = TimeRange::new(TimestampMs(START), TimestampMs(START + 5));
    Findings {
        scrape_interval_ms: Some(10_000),
        verdict: Some(if rows > 0 {
            Verdict::Complete
        } else {
            Verdict::UnknownMachine
        }),
        reason: (rows == 0).then_some(Reason::UnknownMachine),
        sample_count: rows,
        gaps: vec![
            Gap {
                range,
                column: None,
                amount: None,
            },
            Gap {
                range,
                column: Some(Column::CpuUserSeconds),
                amount: Some(123_456_789_012),
            },
        ],
        resets: vec![TimestampMs(START + number)],
        base: Base {
            ts_ms: Some(START - 1),
            values: [(Column::CpuUserSeconds, 99), (Column::Load1, 12)].into(),
        },
        ..Findings::default()
    }
}

#[test]
fn a_job_reads_the_same_staged_sealed_and_after_reopening() {
    let mut bench = Bench::new();
    for number in 0..300 {
        bench.archived(number, number % 60);
    }
    let before: Vec<_> = (0..300).map(|number| bench.read(number)).collect();
    bench.reopen();
    let staged: Vec<_> = (0..300).map(|number| bench.read(number)).collect();
    assert!(before == staged, "reopening changed a staged job");
    let sealed = bench.archive().seal_all().unwrap();
    assert_eq!(sealed.iter().map(|segment| segment.jobs).sum::<u64>(), 300);
    assert!(bench.archive().seal_all().unwrap().is_empty());
    for (number, (view, profile)) in (0..).zip(&before) {
        let (sealed_view, sealed_profile) = bench.read(number);
        assert_eq!(&sealed_profile, profile, "job {number}");
        assert_eq!(&sealed_view, view, "job {number}");
    }
    bench.reopen();
    assert!(
        (0..300)
            .map(|number| bench.read(number))
            .collect::<Vec<_>>()
            == before
    );
    assert_eq!(before[0].0.state, State::Unavailable);
    assert_eq!(before[1].0.state, State::Archived);
}

#[test]
fn the_same_event_five_times_and_in_reverse_order_is_one_job() {
    let bench = Bench::new();
    let running = JobFacts {
        status: Some(JobStatus::Running),
        finished_at: None,
        ..finished(1, 3)
    };
    for _ in 0..5 {
        bench.accept(1, finished(1, 3)).unwrap();
        bench.accept(1, running.clone()).unwrap();
    }
    let page = bench
        .archive()
        .list(&Scope::local_operator(), &JobFilter::default(), None, 10)
        .unwrap();
    assert_eq!(page.jobs.len(), 1);
    assert_eq!(page.jobs[0].facts.status, Some(JobStatus::Success));
    assert_eq!(page.jobs[0].state, State::Pending);
    assert_eq!(bench.archive().pending_count().unwrap(), 1);
}

#[test]
fn an_event_after_the_seal_is_an_amendment_and_usage_follows_it() {
    let mut bench = Bench::new();
    bench.archived(1, 30);
    bench.archive().seal_all().unwrap();
    let (before, profile) = bench.read(1);
    let section = Section {
        name: "late".to_owned(),
        range: TimeRange::new(TimestampMs(START + 11_000), TimestampMs(START + 31_000)),
    };
    let late = JobFacts {
        status: Some(JobStatus::Failed),
        sections: Some(vec![section]),
        failure_reason: Some("script_failure".to_owned()),
        ..JobFacts::default()
    };
    assert!(bench.accept(1, late.clone()).unwrap().changed);
    assert!(!bench.accept(1, late).unwrap().changed);
    bench.reopen();
    let (after, same_profile) = bench.read(1);
    assert_eq!(same_profile, profile, "samples never change");
    assert_eq!(
        after.facts.status,
        Some(JobStatus::Success),
        "the first final status wins"
    );
    assert_eq!(
        after.facts.failure_reason.as_deref(),
        Some("script_failure")
    );
    let (row, old) = (after.row.unwrap(), before.row.unwrap());
    assert_eq!(row.sections.len(), 1);
    assert_eq!(
        row.sections[0].cpu_used_seconds,
        row.row
            .usage_in(&profile, row.row.facts.sections()[0].range)
            .cpu_used_seconds
    );
    assert_ne!(row.sections, old.sections);
    assert_eq!(
        row.summary, old.summary,
        "AR-6: recomputed statistics equal the stored ones"
    );
}

#[test]
fn a_question_outlives_the_seal_and_goes_with_its_answer() {
    let mut bench = Bench::new();
    let asked = TimestampMs(START + 1_000);
    let event = JobEvent {
        job: job(1),
        facts: finished(1, 5),
    };
    for _ in 0..2 {
        let reply = bench
            .archive()
            .accept_and_ask(event.clone(), None, Some(asked));
        reply.wait().unwrap();
    }
    let staging = Staging {
        record: bench.record(1),
        placement: Placement::default(),
        findings: findings(1, 5),
        profile: profile(1, 5),
        look_up_at: Some(asked.plus_ms(1)),
    };
    bench.archive().stage(staging).wait().unwrap();
    bench.archive().seal_all().unwrap();
    bench.reopen();
    let due = |at| bench.archive().lookups_due(at, 10).unwrap();
    assert!(due(asked.plus_ms(-1)).is_empty());
    let [first, second] = &due(asked.plus_ms(1))[..] else {
        panic!("one of the event, which was new once, and one of the stage");
    };
    assert_eq!((&first.lookup.job, second.lookup.attempts), (&job(1), 0));
    let (first, second) = (first.clone(), second.clone());
    bench.archive().move_lookup(first, None).wait().unwrap();
    let later = Some(asked.plus_ms(50));
    bench.archive().move_lookup(second, later).wait().unwrap();
    assert!(due(asked.plus_ms(49)).is_empty());
    assert_eq!(due(asked.plus_ms(50))[0].lookup.attempts, 1);
}

#[test]
fn a_second_fetch_that_finds_nothing_keeps_what_is_archived() {
    let bench = Bench::new();
    bench.archived(1, 30);
    let (_, before) = bench.read(1);
    bench.corrected(1);
    assert_eq!(bench.staged(1, 0), Staged::Archived);
    let (view, after) = bench.read(1);
    assert_eq!((view.state, after), (State::Archived, before));
    assert_eq!(bench.archive().pending_count().unwrap(), 0);
}

#[test]
fn lists_are_newest_first_filtered_and_paged() {
    let bench = Bench::new();
    for number in 0..40 {
        bench.archived(number, 2);
    }
    bench.archive().seal_all().unwrap();
    for number in 40..60 {
        bench.archived(number, 2);
    }
    let scope = Scope::local_operator();
    let source = Source::parse("ci").unwrap();
    let mut cursor = None;
    let mut seen = Vec::new();
    loop {
        let filter = JobFilter {
            source: Some(source.clone()),
            project: Some("acme/p1".to_owned()),
            ..JobFilter::default()
        };
        let page = bench
            .archive()
            .list(&scope, &filter, cursor.as_deref(), 7)
            .unwrap();
        seen.extend(
            page.jobs
                .iter()
                .map(|view| view.job.job_id.as_str().parse::<i64>().unwrap()),
        );
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(
        seen,
        (0..60)
            .rev()
            .filter(|number| number % 3 == 1)
            .collect::<Vec<_>>()
    );
    let nobody = Scope::projects([]);
    assert!(
        bench
            .archive()
            .list(&nobody, &JobFilter::default(), None, 100)
            .unwrap()
            .jobs
            .is_empty()
    );
    assert!(bench.archive().find(&nobody, &job(1)).unwrap().is_none());
}

#[test]
fn the_narrowest_list_answers_a_filter() {
    let bench = Bench::new();
    for number in 0..60 {
        bench.archived(number, 2);
    }
    let scope = Scope::local_operator();
    let source = Source::parse("ci").unwrap();
    let by_machine = JobFilter {
        machine: Some(Machine::parse("m-2").unwrap()),
        ..JobFilter::default()
    };
    assert_eq!(
        bench
            .archive()
            .list(&scope, &by_machine, None, 100)
            .unwrap()
            .jobs
            .len(),
        15
    );
    let by_name = JobFilter {
        source: Some(source),
        project: Some("2".to_owned()),
        name: Some("unit 0".to_owned()),
        git_ref: Some("main".to_owned()),
        ..JobFilter::default()
    };
    assert_eq!(
        bench
            .archive()
            .list(&scope, &by_name, None, 100)
            .unwrap()
            .jobs
            .len(),
        10
    );
}

#[test]
fn co_tenants_are_the_overlapping_jobs_of_the_machine() {
    let bench = Bench::new();
    for number in [0, 4, 8, 400_000] {
        bench.archived(number, 2);
    }
    let (view, _) = bench.read(4);
    let machine = view.facts.machine.clone().unwrap();
    let window = view.facts.window().unwrap();
    let tenants = bench
        .archive()
        .co_tenants(&Scope::local_operator(), view.keys.job, &machine, window)
        .unwrap();
    let found: Vec<_> = tenants
        .iter()
        .map(|tenant| (tenant.job.job_id.as_str(), tenant.overlap_ms))
        .collect();
    assert_eq!(found, [("8", 16_000), ("0", 16_000)]);
    let row = bench.read(8).0.row.unwrap();
    assert_eq!(
        (row.row.co_tenancy.count, row.row.co_tenancy.overlap_ms),
        (2, 16_000)
    );
}

#[test]
fn files_without_an_index_entry_are_removed_at_opening() {
    let mut bench = Bench::new();
    bench.archived(1, 3);
    bench.archive().seal_all().unwrap();
    // A crash between the files of a segment and its batch: the number was taken before.
    let taken = bench.archive().committer.submit(|txn| txn.next("segment"));
    assert_eq!(taken.wait().unwrap(), 2);
    let orphan = bench
        .root
        .path()
        .join("tables/samples/date=2025-11-24/00000-0000000002.parquet");
    std::fs::write(&orphan, b"half").unwrap();
    bench.reopen();
    assert!(!orphan.exists());
    assert_eq!(bench.read(1).1.rows(), 3);
}

#[test]
fn an_index_older_than_its_segments_opens_nothing_and_removes_nothing() {
    let mut bench = Bench::new();
    bench.archived(1, 3);
    bench.archive().seal_all().unwrap();
    bench.archive = None;
    std::fs::remove_dir_all(bench.root.path().join("index")).unwrap();
    let error = Archive::open(
        bench.root.path(),
        Settings::default(),
        SystemClock::shared(),
    )
    .unwrap_err();
    assert_eq!(error.code(), "index_older_than_segments");
    for table in ["samples", "jobs"] {
        let file = format!("tables/{table}/date=2025-11-24/00000-0000000001.parquet");
        assert!(bench.root.path().join(file).exists());
    }
}

#[test]
fn jobs_without_any_sample_are_sealed_too() {
    let mut bench = Bench::new();
    bench.archived(1, 0);
    let before = bench.read(1);
    assert_eq!(bench.archive().seal_all().unwrap().len(), 1);
    assert_eq!(bench.read(1), before);
    bench.reopen();
    assert_eq!(bench.read(1), before);
}

#[test]
fn a_flipped_bit_is_an_error_of_that_job_and_nothing_else() {
    let mut bench = Bench::new();
    for number in 0..20 {
        bench.archived(number, 50);
    }
    bench.archive().seal_all().unwrap();
    let expected: Vec<_> = (0..20).map(|number| bench.read(number)).collect();
    let folder = bench.root.path().join("tables");
    for table in ["samples", "jobs"] {
        let date = std::fs::read_dir(folder.join(table))
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let file = std::fs::read_dir(date)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let good = std::fs::read(&file).unwrap();
        for step in 0..50 {
            let mut bad = good.clone();
            let position = (step * 79_193 + 13) % bad.len();
            bad[position] ^= 1 << (step % 8);
            std::fs::write(&file, &bad).unwrap();
            bench.reopen();
            for (number, expected) in (0..20).zip(&expected) {
                match bench
                    .archive()
                    .profile(&Scope::local_operator(), &job(number))
                {
                    Ok(read) => assert!(
                        read.as_ref() == Some(expected),
                        "wrong data from {table}, byte {position}"
                    ),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Data, "{error}"),
                }
            }
        }
        std::fs::write(&file, &good).unwrap();
    }
}
