//! Compaction: reads are equal before and after, whatever was in the archive.

use super::rewriting::{amendments, holds, segments};
use super::*;
use crate::segment::properties::LEVEL_COLD;
use crate::testkit::clock::ManualClock;
use proptest::prelude::*;

/// What somebody says of a job after its seal.
#[derive(Debug, Clone, Copy)]
enum Said {
    Name(u8),
    Project(u8),
    Runner(u8),
    Ref(u8),
    Start(i64),
    End(i64),
    Sections(i64),
}

fn facts(said: Said) -> JobFacts {
    let over = JobFacts {
        status: Some(JobStatus::Success),
        ..JobFacts::default()
    };
    let at = |ms| TimestampMs(START + ms);
    match said {
        Said::Name(n) => JobFacts {
            name: Some(format!("renamed {n}")),
            ..over
        },
        Said::Project(n) => JobFacts {
            project: Some(format!("acme/moved{n}")),
            project_id: Some(format!("10{n}")),
            ..over
        },
        Said::Runner(n) => JobFacts {
            runner_id: Some(format!("r{n}")),
            ..over
        },
        Said::Ref(n) => JobFacts {
            git_ref: Some(format!("ref{n}")),
            ..over
        },
        Said::Start(ms) => JobFacts {
            started_at: Some(at(ms)),
            ..over
        },
        Said::End(ms) => JobFacts {
            finished_at: Some(at(200_000 + ms)),
            ..over
        },
        Said::Sections(ms) => JobFacts {
            sections: Some(vec![Section {
                name: "late".to_owned(),
                range: TimeRange::new(at(ms), at(ms + 7_000)),
            }]),
            ..over
        },
    }
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        (0u8..3).prop_map(Said::Name),
        (0u8..3).prop_map(Said::Project),
        (0u8..3).prop_map(Said::Runner),
        (0u8..3).prop_map(Said::Ref),
        (0i64..5_000).prop_map(Said::Start),
        (0i64..50_000).prop_map(Said::End),
        (0i64..50_000).prop_map(Said::Sections),
    ]
}

/// An archive by its history: jobs with so many rows, sealed after each group.
fn build(groups: &[Vec<i64>], said: &[(usize, Said)]) -> Bench {
    let bench = Bench::new();
    let mut number = 0;
    for group in groups {
        for rows in group {
            bench.archived(number, *rows);
            number += 1;
        }
        bench.archive().seal_all().unwrap();
    }
    for (job, said) in said {
        let job = i64::try_from(*job).unwrap() % number.max(1);
        // Some contradict what is known: they are refused.
        let _refused = bench.accept(job, facts(*said));
    }
    bench
}

type Seen = (Vec<(JobView, Profile)>, Vec<JobView>);

/// Everything that a reader may see.
fn seen(bench: &Bench, jobs: i64) -> Seen {
    let reads = (0..jobs).map(|number| bench.read(number)).collect();
    let list = bench
        .archive()
        .list(&Scope::local_operator(), &JobFilter::default(), None, 500);
    (reads, list.unwrap().jobs)
}

/// A job's row as it stands in its file.
fn stored(bench: &Bench, view: &JobView) -> crate::model::archived::SummarisedRow {
    let archive = bench.archive();
    let reading = archive.reading();
    let entry = reading.get::<keys::jobs::Jobs>(&view.keys.job).unwrap();
    let Some(keys::jobs::JobEntry::Sealed(sealed)) = entry else {
        panic!("{} is sealed", view.job);
    };
    let segment = archive.open_segment(&reading, sealed.date, sealed.segment);
    segment.unwrap().row(&sealed).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn reads_are_equal_before_and_after(
        groups in prop::collection::vec(prop::collection::vec(0i64..20, 1..6), 1..7),
        said in prop::collection::vec((0usize..40, said()), 0..25),
    ) {
        let mut bench = build(&groups, &said);
        let jobs = i64::try_from(groups.iter().map(Vec::len).sum::<usize>()).unwrap();
        let before = seen(&bench, jobs);
        let made = bench.archive().compact(Haste::All, &|| Ok(())).unwrap();
        prop_assert!(!made.is_empty());
        prop_assert_eq!(amendments(&bench), 0);
        prop_assert!(seen(&bench, jobs) == before);
        for (view, _) in &before.0 {
            prop_assert_eq!(&Some(stored(&bench, view)), &view.row, "what a reader in place sees");
        }
        holds(&bench);
        bench.reopen();
        prop_assert!(seen(&bench, jobs) == before);
        // What nobody amended is not touched again.
        prop_assert!(bench.archive().compact(Haste::All, &|| Ok(())).unwrap().is_empty());
    }
}

#[test]
fn the_same_history_gives_the_same_bytes() {
    let groups = [vec![3, 20, 7], vec![15, 0], vec![9, 9, 9]];
    let said = [
        (0, Said::Name(1)),
        (4, Said::Project(2)),
        (6, Said::Start(300)),
    ];
    let bytes = || {
        let bench = build(&groups, &said);
        let old = bench.files();
        bench.archive().compact(Haste::All, &|| Ok(())).unwrap();
        let new: Vec<_> = bench
            .files()
            .into_iter()
            .filter(|file| !old.contains(file))
            .collect();
        let read = |file: &std::path::PathBuf| std::fs::read(file).unwrap();
        new.iter().map(read).collect::<Vec<_>>()
    };
    // The jobs file holds when its jobs were amended.
    let (one, two) = (bytes(), bytes());
    assert_eq!((one.len(), two.len()), (2, 2));
    assert_eq!(one[0], two[0]);
}

#[test]
fn readers_see_the_same_jobs_while_segments_are_replaced() {
    let groups: Vec<Vec<i64>> = (0..12).map(|group| vec![group, 5, 30 - group]).collect();
    let bench = build(&groups, &[(3, Said::Name(1)), (7, Said::End(900))]);
    let expected = seen(&bench, 36);
    let policy = CompactionPolicy {
        grace_ms: 0,
        ..CompactionPolicy::default()
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut rounds = 0;
                while !done.load(Ordering::SeqCst) || rounds < 2 {
                    assert!(seen(&bench, 36) == expected);
                    rounds += 1;
                }
            });
        }
        for round in 0..6 {
            let inputs = segments(&bench);
            for pair in inputs.chunks(2) {
                let work = rewrite::Rewrite {
                    inputs: pair,
                    level: 3 + round,
                    grace_ms: policy.grace_ms,
                    transform: &compact::FoldOnly,
                    pause: &|| Ok(()),
                };
                bench.archive().rewrite(&work).unwrap().unwrap();
                bench.archive().remove_obsolete().unwrap();
            }
        }
        done.store(true, Ordering::SeqCst);
    });
    bench.archive().remove_obsolete().unwrap();
    assert_eq!(bench.files().len(), 2);
    holds(&bench);
}

#[test]
fn a_date_is_looked_at_again_when_something_comes_to_it() {
    const HOUR_MS: u32 = 3_600_000;
    let clock = ManualClock::at(TimestampMs(START + 90_000_000));
    let bench = Bench::at(Arc::<ManualClock>::clone(&clock));
    let sealed = |number| {
        bench.archived(number, 9);
        bench.archive().seal_all().unwrap();
    };
    let compact = || bench.archive().compact(Haste::Due, &|| Ok(())).unwrap();
    let levels = || {
        let snapshot = bench.archive().index.snapshot();
        segments(&bench)
            .iter()
            .map(|id| {
                snapshot
                    .get::<keys::segments::Segments>(id)
                    .unwrap()
                    .unwrap()
                    .info
                    .level
            })
            .collect::<Vec<_>>()
    };
    (0..3).for_each(sealed);
    assert_eq!(compact()[0].inputs, 3, "small ones become one at once");
    assert_eq!((compact().len(), levels()), (0, vec![3]));
    clock.advance_ms(6 * HOUR_MS);
    assert_eq!((compact().len(), levels()), (1, vec![LEVEL_COLD]), "quiet");
    for _ in 0..2 {
        assert!(compact().is_empty(), "settled");
    }
    sealed(3);
    assert!(compact().is_empty(), "not quiet any more");
    clock.advance_ms(6 * HOUR_MS);
    assert_eq!(
        (compact().len(), levels()),
        (1, vec![LEVEL_COLD]),
        "seen all the same"
    );
    assert!(compact().is_empty());
    bench.accept(1, facts(Said::Ref(1))).unwrap();
    assert!(compact().is_empty(), "just said");
    clock.advance_ms(HOUR_MS);
    assert_eq!(compact()[0].folded, 1);
    assert!(compact().is_empty() && amendments(&bench) == 0);
    holds(&bench);
}
