//! The scrubber and the quarantine: found, put aside, fetched again, taken back.

use super::*;
use crate::archive::{Scrubbed, scan};
use crate::segment::dir::Table;
use crate::testkit::clock::ManualClock;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Long after the jobs of the other tests: no Prometheus remembers them.
const NOW: i64 = START + 400 * 86_400_000;

struct Held {
    bench: Bench,
    clock: Arc<ManualClock>,
}

impl Held {
    /// An archive with a clock that stands at `now`, and `segments` of one job each.
    fn new(now: i64, segments: i64) -> Self {
        let clock = ManualClock::at(TimestampMs(now));
        let bench = Bench::at(Arc::<ManualClock>::clone(&clock));
        let held = Self { bench, clock };
        for number in 0..segments {
            held.bench.archived(number, 4);
            held.bench.archive().seal_all().unwrap();
        }
        held
    }

    /// Lets an hour pass and the scrubber look.
    fn scrub(&self) -> Scrubbed {
        self.clock.advance_ms(3_600_000);
        self.bench.archive().scrub_due().unwrap()
    }

    /// Puts both files of the first segment back, sound.
    fn put_back(&self, damaged: &Path, sound: &[u8]) {
        for table in [Table::Samples, Table::Jobs] {
            let date = TimestampMs(START).date();
            let dir = &self.bench.archive().dir;
            let from = dir.quarantined_path(table, date, "00000-0000000001.parquet");
            std::fs::rename(from, self.file(table, 1)).unwrap();
        }
        std::fs::write(damaged, sound).unwrap();
    }

    fn file(&self, table: Table, seq: u64) -> PathBuf {
        let date = TimestampMs(START).date();
        let name = format!("00000-{seq:010}.parquet");
        self.bench.archive().dir.file_path(table, date, &name)
    }
}

fn flip(path: &Path) -> Vec<u8> {
    let sound = std::fs::read(path).unwrap();
    let mut bytes = sound.clone();
    // In the first page, which only a reader of that column meets.
    bytes[6] ^= 1;
    std::fs::write(path, bytes).unwrap();
    sound
}

#[test]
fn a_pass_takes_every_segment_once_rests_and_goes_on_after_a_restart() {
    let mut held = Held::new(NOW, 3);
    assert_eq!(held.scrub().segments, 1);
    let archive = held.bench.archive();
    assert_eq!(
        archive.scrub_due().unwrap(),
        Scrubbed::default(),
        "it rests"
    );
    // The wall clock jumps and changes nothing.
    for jump in [-3_600_000, 3_600_000] {
        held.clock.set(TimestampMs(NOW + jump));
        assert_eq!(archive.scrub_due().unwrap(), Scrubbed::default());
    }
    assert_eq!(archive.last_scrub().unwrap(), None);
    held.bench.reopen();
    let segments = [0; 3].map(|_| held.scrub());
    assert_eq!(segments.map(|done| done.segments), [1, 1, 0]);
    assert!(segments[2].pass_finished);
    assert!(held.bench.archive().last_scrub().unwrap().is_some());
    assert_eq!(held.scrub().segments, 1, "the next pass");
}

#[test]
fn what_is_damaged_or_missing_is_put_aside_and_comes_back() {
    for table in [Table::Samples, Table::Jobs] {
        let held = Held::new(NOW, 2);
        let path = held.file(table, 1);
        let sound = flip(&path);
        assert_eq!(held.scrub().problems, 1);
        let (view, profile) = held.bench.read(0);
        assert_eq!(view.reason, Some(Reason::Quarantined));
        assert_eq!((view.state, profile.rows()), (State::Unavailable, 0));
        assert_eq!(held.bench.read(1).1.rows(), 4, "the rest is served");
        assert_eq!(held.bench.archive().quarantined_segments().unwrap(), 1);
        let aside = held.bench.archive().dir.quarantined().unwrap();
        let text = aside.iter().find(|path| path.extension().unwrap() == "txt");
        let text = std::fs::read_to_string(text.unwrap()).unwrap();
        assert!(
            text.contains("does not match its digest") && text.contains("ci/0"),
            "{text}"
        );
        held.put_back(&path, &sound);
        let back: u64 = (0..4).map(|_| held.scrub().taken_back).sum();
        assert_eq!(back, 1);
        assert_eq!(held.bench.read(0).1.rows(), 4);
        let found = held.bench.archive().verify(true, |_, _| {}).unwrap();
        assert_eq!(found.problems, []);
    }
}

#[test]
fn a_read_that_meets_damage_reports_the_segment_at_once() {
    let held = Held::new(NOW, 2);
    // The scrubber has begun a rest.
    held.scrub();
    flip(&held.file(Table::Jobs, 2));
    let archive = held.bench.archive();
    archive.segments.forget_all();
    assert_eq!(archive.scrub_due().unwrap().problems, 0);
    let read = archive.profile(&Scope::local_operator(), &job(1));
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Data);
    assert_eq!(archive.scrub_due().unwrap().problems, 1);
    assert_eq!(held.bench.read(1).0.reason, Some(Reason::Quarantined));
}

#[test]
fn a_scan_that_meets_damage_reports_the_segment_too() {
    // Samples, and the facts of their jobs beside them.
    for table in [Table::Samples, Table::Jobs] {
        let mut held = Held::new(NOW, 2);
        // The scrubber has begun a rest.
        held.scrub();
        flip(&held.file(table, 1));
        let archive = Arc::new(held.bench.archive.take().unwrap());
        archive.segments.forget_all();
        assert_eq!(archive.scrub_due().unwrap().problems, 0);
        let view = archive.scan(&Scope::local_operator()).unwrap();
        let mut scratch = scan::Scratch::new().unwrap();
        let mut failed = 0;
        for segment in view.segments() {
            for unit in view.units(segment, scan::Table::Samples).unwrap() {
                let mut reader = unit.reader(&view).unwrap();
                let rows = 0..reader.rows();
                let cells = reader.cells(&mut scratch, 0, rows);
                let facts = view.facts(&reader).unwrap().column(0);
                failed += usize::from(cells.is_err()) + usize::from(facts.is_err());
            }
        }
        assert_eq!(failed, 1, "{table:?}");
        assert_eq!(archive.scrub_due().unwrap().problems, 1, "{table:?}");
    }
}

#[test]
fn a_start_is_not_blocked_by_a_missing_file() {
    let mut held = Held::new(NOW, 2);
    std::fs::remove_file(held.file(Table::Samples, 1)).unwrap();
    held.bench.reopen();
    assert_eq!(held.bench.read(1).1.rows(), 4);
    let archive = held.bench.archive();
    assert_eq!(archive.scrub_due().unwrap().problems, 1);
    assert_eq!(held.bench.read(0).0.reason, Some(Reason::Quarantined));
}

#[test]
fn jobs_that_their_prometheus_remembers_are_fetched_again() {
    let held = Held::new(START + 86_400_000, 2);
    flip(&held.file(Table::Samples, 1));
    let damaged = held.scrub();
    assert_eq!(damaged.problems, 1);
    // The quarantine is looked after behind it, at the latest with the next look.
    held.scrub();
    let (view, _) = held.bench.read(0);
    assert_eq!(
        (view.state, view.reason),
        (State::Pending, Some(Reason::Settling))
    );
    // Nothing is found any more: the job is where it was.
    let record = held.bench.record(0);
    let staging = Staging {
        record,
        placement: Placement::default(),
        findings: findings(0, 0),
        profile: profile(0, 0),
        look_up_at: None,
    };
    held.bench.archive().stage(staging).wait().unwrap();
    assert_eq!(held.bench.read(0).0.reason, Some(Reason::Quarantined));
    assert_eq!(held.bench.archive().pending_count().unwrap(), 0);
}

#[test]
fn a_job_that_was_fetched_again_is_archived_anew() {
    let held = Held::new(START + 86_400_000, 2);
    let path = held.file(Table::Samples, 1);
    let sound = flip(&path);
    held.scrub();
    held.scrub();
    assert_eq!(held.bench.staged(0, 5), Staged::Archived);
    assert_eq!(held.bench.read(0).1.rows(), 5);
    held.bench.archive().seal_all().unwrap();
    let (view, profile) = held.bench.read(0);
    assert_eq!((view.state, profile.rows()), (State::Archived, 5));
    // The old files come back, and the job keeps what was archived anew.
    held.put_back(&path, &sound);
    assert_eq!(held.bench.archive().scrub_due().unwrap().taken_back, 1);
    assert_eq!(held.bench.read(0).1.rows(), 5);
    let found = held.bench.archive().verify(true, |_, _| {}).unwrap();
    assert_eq!(found.problems, []);
}

#[test]
fn the_rest_is_never_longer_than_an_hour() {
    let held = Held::new(NOW, 1);
    held.scrub();
    held.clock.advance_ms(3_599_000);
    assert_eq!(held.bench.archive().scrub_due().unwrap().segments, 0);
    held.clock.advance_ms(1_001);
    assert!(held.bench.archive().scrub_due().unwrap().pass_finished);
}
