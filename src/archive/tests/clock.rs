//! The wall clock jumps by an hour, in both directions, at every step of a job's life: nothing is
//! lost, nothing is done twice, and what is due is done at the latest an hour late.

use super::*;
use crate::testkit::clock::ManualClock;
use crate::time::Clock as _;
use std::sync::Arc;

const HOUR_MS: i64 = 3_600_000;

/// Takes a job through its life with a jump of `jump_ms` before step `at`; says when it was sealed, in
/// looks of the sealer, five minutes apart.
fn life(jump_ms: i64, at: usize) -> usize {
    let now = TimestampMs(START + 86_400_000);
    let clock = ManualClock::at(now);
    let mut bench = Bench::at(Arc::<ManualClock>::clone(&clock));
    let mut step = 0;
    let mut jump = || {
        if step == at {
            clock.set(clock.now().plus_ms(jump_ms));
        }
        step += 1;
    };
    jump();
    bench.accept(0, finished(0, 4)).unwrap();
    jump();
    assert_eq!(bench.archive().pending_count().unwrap(), 1);
    assert_eq!(bench.staged(0, 4), Staged::Archived);
    jump();
    bench.reopen();
    jump();
    let mut looks = 0;
    while bench.archive().seal_due().unwrap().is_empty() {
        looks += 1;
        assert!(looks < 100, "never sealed");
        clock.advance_ms(300_000);
    }
    jump();
    let late = JobFacts {
        failure_reason: Some("said late".to_owned()),
        status: Some(JobStatus::Success),
        ..JobFacts::default()
    };
    bench.accept(0, late).unwrap();
    let (view, profile) = bench.read(0);
    assert_eq!((view.state, profile.rows()), (State::Archived, 4));
    assert_eq!(view.facts.failure_reason.as_deref(), Some("said late"));
    let found = bench.archive().verify(true, |_, _| {}).unwrap();
    assert_eq!(found.problems, []);
    looks
}

#[test]
fn a_jump_of_an_hour_loses_nothing_and_delays_by_at_most_an_hour() {
    let undisturbed = life(0, 0);
    for jump in [-HOUR_MS, HOUR_MS] {
        for at in 0..5 {
            let looks = life(jump, at);
            assert!(
                looks <= undisturbed + 12,
                "{jump} ms before step {at}: {looks}"
            );
        }
    }
}
