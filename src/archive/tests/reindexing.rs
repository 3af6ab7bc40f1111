//! A new index from the segments: what it gives back, what it keeps, and one profile per job.

use super::*;
use crate::archive::{Reindexed, reindex};
use crate::segment::dir::Table;
use std::path::{Path, PathBuf};

/// Everything that readers get: each job's view and profile, and the list of all.
type Export = (Vec<(JobView, Profile)>, Vec<JobView>);

fn export(bench: &Bench, numbers: &[i64]) -> Export {
    let jobs = numbers.iter().map(|number| bench.read(*number)).collect();
    let mut list = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = bench
            .archive()
            .list(
                &Scope::local_operator(),
                &JobFilter::default(),
                cursor.as_deref(),
                7,
            )
            .unwrap();
        list.extend(page.jobs);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return (jobs, list);
        }
    }
}

impl Bench {
    /// Closes the archive, does that to its folder, and opens it again.
    pub(super) fn closed<T>(&mut self, act: impl FnOnce(&Path) -> T) -> T {
        self.archive = None;
        let done = act(self.root.path());
        self.reopen();
        done
    }

    fn reindexed(&mut self) -> Reindexed {
        self.closed(|root| reindex(root, SystemClock::shared(), |_, _| {}).unwrap())
    }

    fn holds(&self) {
        let found = self.archive().verify(true, |_, _| {}).unwrap();
        assert_eq!(found.problems, []);
    }

    /// Reports a job that was canceled before it ran.
    fn never_ran(&self, number: i64) {
        let facts = JobFacts {
            status: Some(JobStatus::Canceled),
            project: Some("acme/p0".to_owned()),
            ..JobFacts::default()
        };
        self.accept(number, facts).unwrap();
        assert_eq!(self.staged(number, 0), Staged::Archived);
    }
}

fn lose_index(root: &Path) {
    std::fs::remove_dir_all(root.join("index")).unwrap();
}

/// The files of the one segment of both tables.
fn pair(bench: &Bench) -> [PathBuf; 2] {
    <[PathBuf; 2]>::try_from(bench.files()).unwrap()
}

#[test]
fn the_same_jobs_are_read_from_an_index_made_of_segments_alone() {
    let mut bench = Bench::new();
    let numbers: Vec<i64> = (0..60).collect();
    for number in &numbers {
        bench.archived(*number, number % 20);
    }
    bench.never_ran(60);
    bench.archive().seal_all().unwrap();
    let all: Vec<i64> = (0..=60).collect();
    let before = export(&bench, &all);
    let found = bench.closed(|root| {
        lose_index(root);
        reindex(root, SystemClock::shared(), |_, _| {}).unwrap()
    });
    assert_eq!((found.sealed_jobs, found.quarantined), (61, 0));
    assert_eq!(found.lost.len(), 1, "{:?}", found.lost);
    assert!(export(&bench, &all) == before, "another export");
    bench.holds();
    // The archive goes on: new names, new numbers.
    bench.archived(61, 5);
    bench.archive().seal_all().unwrap();
    assert_eq!(bench.read(61).1.rows(), 5);
    bench.holds();
}

#[test]
fn an_old_index_that_can_be_read_loses_nothing() {
    let mut bench = Bench::new();
    for number in 0..20 {
        bench.archived(number, 4);
    }
    bench.archive().seal_all().unwrap();
    let amended = JobFacts {
        finished_at: Some(TimestampMs(START + 700_000)),
        project: Some("acme/moved".to_owned()),
        project_id: Some("77".to_owned()),
        ..JobFacts::default()
    };
    bench.accept(3, amended).unwrap();
    bench.archived(20, 6);
    bench.accept(21, finished(21, 3)).unwrap();
    let all: Vec<i64> = (0..=21).collect();
    let before = export(&bench, &all);
    let due = |bench: &Bench| {
        let far = TimestampMs(START + 1_000_000_000_000);
        bench.archive().due(far, 100, |_| false).unwrap()
    };
    let pending = due(&bench);
    let found = bench.reindexed();
    assert_eq!((found.kept_records, found.lost.as_slice()), (2, &[][..]));
    assert!(found.old_index.is_none() && bench.archive().dir.quarantined().unwrap().is_empty());
    assert!(export(&bench, &all) == before, "another export");
    assert_eq!(due(&bench), pending);
    bench.holds();
}

#[test]
fn a_segment_that_was_made_again_is_taken_once() {
    let mut bench = Bench::new();
    for number in 0..8 {
        bench.archived(number, 4);
    }
    bench.archive().seal_all().unwrap();
    let [samples, jobs] = pair(&bench);
    let all: Vec<i64> = (0..8).collect();
    let before = export(&bench, &all);
    let found = bench.closed(|root| {
        for path in [&samples, &jobs] {
            std::fs::copy(path, path.with_file_name("00000-0000000007.parquet")).unwrap();
        }
        lose_index(root);
        reindex(root, SystemClock::shared(), |_, _| {}).unwrap()
    });
    assert_eq!((found.segments, found.superseded_rows), (1, 8));
    assert!(export(&bench, &all) == before);
    assert_eq!(bench.files().len(), 2, "what is superseded is removed");
    assert!(!samples.is_file());
    bench.holds();
}

#[test]
fn of_a_segment_whose_jobs_are_partly_in_a_later_one_the_others_are_kept() {
    let mut bench = Bench::new();
    for number in 0..4 {
        bench.archived(number, 4);
    }
    bench.archive().seal_all().unwrap();
    let saved: Vec<(PathBuf, Vec<u8>)> = bench
        .files()
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    // Everything is lost, job 1 is archived anew, and the old files are found again.
    bench.closed(|root| {
        std::fs::remove_dir_all(root.join("tables")).unwrap();
        lose_index(root);
        reindex(root, SystemClock::shared(), |_, _| {}).unwrap();
    });
    let taken = bench.archive().committer.run(|txn| txn.next("segment"));
    assert_eq!(taken.unwrap(), 1);
    bench.archived(1, 9);
    bench.archive().seal_all().unwrap();
    let found = bench.closed(|root| {
        for (path, bytes) in &saved {
            std::fs::write(path, bytes).unwrap();
        }
        lose_index(root);
        reindex(root, SystemClock::shared(), |_, _| {}).unwrap()
    });
    assert_eq!((found.sealed_jobs, found.superseded_rows), (4, 1));
    assert_eq!(found.segments, 2);
    let rows = |number| bench.read(number).1.rows();
    assert_eq!([0, 1, 2, 3].map(rows), [4, 9, 4, 4]);
    assert!(!saved[0].0.is_file(), "the file with two versions is gone");
    bench.holds();
}

#[test]
fn a_damaged_segment_is_put_aside_and_the_rest_is_served() {
    let mut bench = Bench::new();
    bench.archived(0, 4);
    bench.archive().seal_all().unwrap();
    let [samples, jobs] = pair(&bench);
    bench.archived(1, 4);
    bench.archive().seal_all().unwrap();
    for damaged in [samples, jobs] {
        let sound = std::fs::read(&damaged).unwrap();
        let mut bytes = sound.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&damaged, &bytes).unwrap();
        let found = bench.reindexed();
        assert_eq!((found.sealed_jobs, found.quarantined), (1, 1));
        let (view, profile) = bench.read(0);
        assert_eq!(
            (view.state, view.reason),
            (State::Unavailable, Some(Reason::Quarantined))
        );
        assert_eq!(profile.rows(), 0);
        assert_eq!(bench.read(1).1.rows(), 4);
        let aside = bench.archive().dir.quarantined().unwrap();
        let names: Vec<_> = aside
            .iter()
            .filter_map(|path| path.file_name()?.to_str())
            .collect();
        assert!(
            names.contains(&"date=2025-11-24.00000-0000000001.parquet.txt"),
            "{names:?}"
        );
        // The sound files are put back by hand.
        bench.closed(|root| {
            let dir = DataDir::open(root).unwrap();
            let date = crate::time::Date::parse("2025-11-24").unwrap();
            dir.release(date, "00000-0000000001.parquet").unwrap();
            std::fs::write(&damaged, &sound).unwrap();
            drop(dir);
            reindex(root, SystemClock::shared(), |_, _| {}).unwrap();
        });
        assert_eq!(bench.read(0).1.rows(), 4);
        bench.holds();
    }
}

#[test]
fn a_segment_without_its_files_leaves_its_jobs_named() {
    let mut bench = Bench::new();
    bench.archived(0, 4);
    bench.archive().seal_all().unwrap();
    for path in pair(&bench) {
        std::fs::remove_file(path).unwrap();
    }
    let found = bench.reindexed();
    assert_eq!((found.sealed_jobs, found.quarantined), (0, 1));
    let (jobs, list) = export(&bench, &[0]);
    assert_eq!(jobs[0].0.reason, Some(Reason::Quarantined));
    assert_eq!(list.len(), 1);
    assert_eq!(
        bench.archive().dir.list(Table::Jobs).unwrap(),
        Vec::<PathBuf>::new()
    );
}

/// Files of the index whose name begins with that.
fn index_files(root: &Path, start: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(root.join("index")).unwrap();
    let paths = all.map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(start) || name.ends_with(start)
    };
    paths.filter(named).collect()
}

#[test]
fn a_damaged_index_is_named_at_the_start_and_made_anew() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 5] = [
        ("no manifest", |root| {
            for path in index_files(root, "MANIFEST") {
                std::fs::remove_file(path).unwrap();
            }
        }),
        ("another manifest", |root| {
            for path in index_files(root, "MANIFEST") {
                let mut bytes = std::fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 4;
                std::fs::write(&path, bytes).unwrap();
            }
        }),
        ("a current file without a line", |root| {
            std::fs::write(root.join("index/CURRENT"), "nothing").unwrap();
        }),
        ("no data files", |root| {
            for path in index_files(root, ".sst") {
                std::fs::remove_file(path).unwrap();
            }
        }),
        ("cut data files", |root| {
            for path in index_files(root, ".sst") {
                let bytes = std::fs::read(&path).unwrap();
                std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            }
        }),
    ];
    for (what, damage) in damages {
        let mut bench = Bench::new();
        for number in 0..10 {
            bench.archived(number, 4);
        }
        bench.archive().seal_all().unwrap();
        // Out of the log, into data files.
        bench.archive().index_bytes().unwrap();
        let all: Vec<i64> = (0..10).collect();
        let before = export(&bench, &all);
        let found = bench.closed(|root| {
            damage(root);
            let opened = Archive::open(root, Settings::default(), SystemClock::shared());
            let error = opened.map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Data, "{what}: {}", error.chain());
            assert!(
                error.message().contains("tachograph reindex"),
                "{what}: {error}"
            );
            reindex(root, SystemClock::shared(), |_, _| {}).unwrap()
        });
        assert_eq!(found.sealed_jobs, 10, "{what}");
        assert!(found.old_index.is_some(), "{what}: something was lost");
        assert!(export(&bench, &all) == before, "{what}");
        bench.holds();
    }
}
