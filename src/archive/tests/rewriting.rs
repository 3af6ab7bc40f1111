//! Rewriting segments: what changes, what stays, and what happens in between.

use super::*;
use crate::archive::rewrite::{Candidate, Fate, Rewrite, Rewritten, Transform};
use crate::archive::scan::{Scratch, Table};
use crate::index::keys::amendments::Amendments;
use crate::index::keys::jobs::{JobEntry, Jobs};
use crate::index::keys::segments::{SegmentId, Segments};
use crate::model::archived::SummarisedRow;
use arrow_array::Array as _;
use std::cell::Cell;

/// All segments, by date and number.
pub(super) fn segments(bench: &Bench) -> Vec<SegmentId> {
    let mut ids = Vec::new();
    let snapshot = bench.archive().index.snapshot();
    let scan = snapshot.scan::<Segments>(&[], None, |id, _| {
        ids.push(id);
        Ok(true)
    });
    scan.unwrap();
    ids
}

pub(super) fn amendments(bench: &Bench) -> usize {
    let mut count = 0;
    let snapshot = bench.archive().index.snapshot();
    let scan = snapshot.scan::<Amendments>(&[], None, |_, _| {
        count += 1;
        Ok(true)
    });
    scan.unwrap();
    count
}

/// Nothing is broken, summaries included.
pub(super) fn holds(bench: &Bench) {
    let found = bench.archive().verify(true, |_, _| {}).unwrap();
    assert_eq!(found.problems, []);
}

fn rewrite(
    bench: &Bench,
    transform: &dyn Transform,
    pause: &dyn Fn() -> Result<()>,
) -> Result<Option<Rewritten>> {
    let inputs = segments(bench);
    let work = Rewrite {
        inputs: &inputs,
        level: 3,
        grace_ms: 0,
        transform,
        pause,
    };
    bench.archive().rewrite(&work)
}

/// Jobs by their number.
struct ByNumber<F>(F);

impl<F: Fn(i64) -> (Fate, bool)> Transform for ByNumber<F> {
    fn fate(&self, job: &Candidate<'_>) -> Result<Fate> {
        Ok(self.0(number(job)).0)
    }

    fn keeps_samples(&self, job: &Candidate<'_>) -> bool {
        self.0(number(job)).1
    }

    fn change(&self, mut row: SummarisedRow) -> Result<SummarisedRow> {
        row.row.facts.git_ref = Some("changed".to_owned());
        Ok(row)
    }
}

fn number(job: &Candidate<'_>) -> i64 {
    job.sealed.job.job_id.as_str().parse().unwrap()
}

fn keep(_: i64) -> (Fate, bool) {
    (Fate::Keep, true)
}

/// Three segments of one date.
fn three_segments() -> Bench {
    let bench = Bench::new();
    for number in 0..30 {
        bench.archived(number, number % 7);
        if number % 10 == 9 {
            bench.archive().seal_all().unwrap();
        }
    }
    assert_eq!(segments(&bench).len(), 3);
    bench
}

/// A late word about a job: its name, its project, its end.
fn late(name: &str) -> JobFacts {
    JobFacts {
        status: Some(JobStatus::Success),
        name: Some(name.to_owned()),
        ..JobFacts::default()
    }
}

#[test]
fn kept_changed_dropped_and_bare_jobs() {
    let mut bench = three_segments();
    let before: Vec<_> = (0..30).map(|number| bench.read(number)).collect();
    let fates = |number: i64| match number % 5 {
        0 => (Fate::Drop, true),
        1 => (Fate::Change, true),
        2 => (Fate::Keep, false),
        _ => (Fate::Keep, true),
    };
    let made = rewrite(&bench, &ByNumber(fates), &|| Ok(()))
        .unwrap()
        .unwrap();
    assert_eq!((made.inputs, made.jobs, made.seq), (3, 24, Some(4)));
    assert_eq!(bench.archive().remove_obsolete().unwrap(), 3);
    assert_eq!(bench.files().len(), 2);
    bench.reopen();
    for (number, (view, profile)) in (0i64..).zip(before) {
        if number % 5 == 0 {
            let found = bench.archive().find(&Scope::local_operator(), &job(number));
            assert_eq!(found.unwrap(), None);
            continue;
        }
        let (now, samples) = bench.read(number);
        match number % 5 {
            1 => assert_eq!(now.facts.git_ref.as_deref(), Some("changed")),
            2 => {
                assert_eq!(samples, Profile::default());
                assert_eq!(now.row, view.row, "the summary outlives the samples");
                continue;
            }
            _ => assert_eq!(now, view),
        }
        assert_eq!(samples, profile, "job {number}");
    }
    let list = bench
        .archive()
        .list(&Scope::local_operator(), &JobFilter::default(), None, 100);
    assert_eq!(list.unwrap().jobs.len(), 24);
    // A job that went is a new one when it is heard of again.
    bench.archived(5, 3);
    assert_eq!(bench.read(5).1.rows(), 3);
}

#[test]
fn a_rewrite_that_keeps_no_job_leaves_no_segment() {
    let bench = three_segments();
    let made = rewrite(&bench, &ByNumber(|_| (Fate::Drop, true)), &|| Ok(()));
    assert_eq!(made.unwrap().unwrap().seq, None);
    bench.archive().remove_obsolete().unwrap();
    assert!(bench.files().is_empty() && segments(&bench).is_empty());
    holds(&bench);
}

#[test]
fn a_correction_during_a_rewrite_is_not_lost() {
    let bench = three_segments();
    bench.accept(3, late("first")).unwrap();
    let said = Cell::new(false);
    let pause = || {
        if !said.replace(true) {
            bench.accept(3, late("second")).unwrap();
            bench.accept(4, late("third")).unwrap();
        }
        Ok(())
    };
    assert!(rewrite(&bench, &ByNumber(keep), &pause).unwrap().is_some());
    assert_eq!(amendments(&bench), 2, "neither is in a row");
    let names = |bench: &Bench| [3, 4].map(|number| bench.read(number).0.facts.name.unwrap());
    assert_eq!(names(&bench), ["second", "third"]);
    holds(&bench);
    let folded = rewrite(&bench, &ByNumber(keep), &|| Ok(()))
        .unwrap()
        .unwrap()
        .folded;
    assert_eq!((folded, amendments(&bench)), (2, 0));
    assert_eq!(names(&bench), ["second", "third"]);
    holds(&bench);
}

#[test]
fn facts_that_were_read_before_a_rewrite_are_read_again() {
    let bench = three_segments();
    let event = |name: &str| JobEvent {
        job: job(3),
        facts: late(name),
    };
    let archive = bench.archive();
    let stale = archive.sealed_facts(&job(3)).unwrap();
    let failure = JobFacts {
        failure_reason: Some("said first".to_owned()),
        ..late("unit 1")
    };
    bench.accept(3, failure).unwrap();
    rewrite(&bench, &ByNumber(keep), &|| Ok(()))
        .unwrap()
        .unwrap();
    assert_eq!(amendments(&bench), 0);
    let answer = archive.accept(event("second"), Some(stale)).wait().unwrap();
    assert_eq!(answer, Acceptance::NeedsSealedFacts);
    let fresh = archive.sealed_facts(&job(3)).unwrap();
    archive.accept(event("second"), Some(fresh)).wait().unwrap();
    let facts = bench.read(3).0.facts;
    assert_eq!(facts.name.as_deref(), Some("second"));
    assert_eq!(facts.failure_reason.as_deref(), Some("said first"));
}

#[test]
fn a_rewrite_that_is_stopped_leaves_everything_as_it_was() {
    let bench = three_segments();
    let (before, files) = (segments(&bench), bench.files());
    let steps = Cell::new(0);
    let counted = || {
        steps.set(steps.get() + 1);
        Ok(())
    };
    rewrite(&bench, &ByNumber(keep), &counted).unwrap();
    let all = steps.get();
    assert!(all > 20, "{all} pauses");
    let bench = three_segments();
    for stop in (0..all).step_by(7) {
        let left = Cell::new(stop);
        let pause = || match left.replace(left.get() - 1) {
            0 => Err(closing()),
            _ => Ok(()),
        };
        let error = rewrite(&bench, &ByNumber(keep), &pause).unwrap_err();
        assert_eq!(error.code(), "closing");
        assert_eq!(segments(&bench), before);
        let names = |files: &[std::path::PathBuf]| -> Vec<_> {
            files
                .iter()
                .map(|file| file.file_name().unwrap().to_owned())
                .collect()
        };
        assert_eq!(names(&bench.files()), names(&files));
    }
    holds(&bench);
}

#[test]
fn a_job_that_left_its_segment_meanwhile_stops_the_rewrite() {
    let bench = three_segments();
    let key = bench.read(7).0.keys.job;
    let moved = Cell::new(false);
    let pause = || {
        if !moved.replace(true) {
            let run = bench.archive().committer.run(move |txn| {
                let Some(JobEntry::Sealed(sealed)) = txn.get::<Jobs>(&key)? else {
                    panic!("it is sealed");
                };
                let elsewhere = keys::jobs::SealedJob {
                    jobs_row: sealed.jobs_row + 1,
                    ..sealed
                };
                txn.put::<Jobs>(&key, &JobEntry::Sealed(elsewhere))
            });
            run.unwrap();
        }
        Ok(())
    };
    let (before, files) = (segments(&bench), bench.files());
    assert_eq!(rewrite(&bench, &ByNumber(keep), &pause).unwrap(), None);
    assert_eq!((segments(&bench), bench.files()), (before, files));
}

#[test]
fn files_stay_as_long_as_a_reader_may_need_them() {
    let bench = three_segments();
    let archive = bench.archive();
    let old = bench.files();
    let reading = archive.reading();
    rewrite(&bench, &ByNumber(keep), &|| Ok(()))
        .unwrap()
        .unwrap();
    let later = archive.pin_files();
    assert_eq!(archive.remove_obsolete().unwrap(), 0);
    assert!(old.iter().all(|file| bench.files().contains(file)));
    // Its view leads to the old files, which are not open any more.
    let key = find::job_key(&reading, &job(6)).unwrap().unwrap();
    let seen = archive
        .view(&reading, &Scope::local_operator(), key)
        .unwrap();
    assert_eq!(
        seen,
        archive.find(&Scope::local_operator(), &job(6)).unwrap()
    );
    drop(reading);
    assert_eq!(
        archive.remove_obsolete().unwrap(),
        3,
        "the later one does not need them"
    );
    drop(later);
    assert_eq!(bench.files().len(), 2);
    holds(&bench);
}

#[test]
fn a_scan_opens_what_was_replaced_since_it_began() {
    let mut bench = three_segments();
    let inputs = segments(&bench);
    let archive = Arc::new(bench.archive.take().unwrap());
    let rewritten = || {
        let work = Rewrite {
            inputs: &inputs,
            level: 3,
            grace_ms: 0,
            transform: &ByNumber(keep),
            pause: &|| Ok(()),
        };
        archive.rewrite(&work).unwrap().unwrap();
    };
    let view = archive.scan(&Scope::local_operator()).unwrap();
    rewritten();
    archive.segments.forget_all();
    assert_eq!(archive.remove_obsolete().unwrap(), 0);
    assert_eq!(view.segments().len(), 3);
    let mut rows = 0;
    for segment in view.segments() {
        for unit in view.units(segment, Table::Jobs).unwrap() {
            let mut reader = unit.reader(&view).unwrap();
            let mut scratch = Scratch::new().unwrap();
            let all = 0..reader.rows();
            rows += reader.cells(&mut scratch, 0, all).unwrap().len();
        }
    }
    assert_eq!(rows, 30);
    drop(view);
    assert_eq!(archive.remove_obsolete().unwrap(), 3);
    let gone = inputs.first().unwrap();
    let error = archive.open_pinned(*gone).unwrap_err();
    assert_eq!(error.code(), "segment_missing");
}

#[test]
fn the_grace_of_replaced_files_outlives_a_restart() {
    let mut bench = three_segments();
    let inputs = segments(&bench);
    let work = Rewrite {
        inputs: &inputs,
        level: 3,
        grace_ms: 3_600_000,
        transform: &ByNumber(keep),
        pause: &|| Ok(()),
    };
    bench.archive().rewrite(&work).unwrap().unwrap();
    assert_eq!(bench.archive().remove_obsolete().unwrap(), 0);
    bench.reopen();
    assert_eq!(bench.archive().remove_obsolete().unwrap(), 0);
    assert_eq!(bench.files().len(), 8);
    holds(&bench);
}

#[test]
fn a_damaged_input_stays_and_does_not_hold_up_the_others() {
    let mut bench = three_segments();
    let file = bench.files()[1].clone();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[300] ^= 4;
    std::fs::write(&file, bytes).unwrap();
    bench.reopen();
    let before = segments(&bench);
    let compact = || bench.archive().compact(Haste::All, &|| Ok(()));
    assert_eq!(compact().unwrap_err().kind(), ErrorKind::Data);
    assert_eq!(segments(&bench), before);
    assert_eq!(compact().unwrap()[0].inputs, 2, "the whole ones go on");
    assert!(compact().unwrap().is_empty());
}
