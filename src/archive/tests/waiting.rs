//! The queue of jobs that wait: what is due, and who is woken by a registration.

use super::*;
use crate::limits;
use crate::model::id::{RegionName, RunnerId};
use crate::model::record::Waiting;
use crate::model::runner::{Runner, RunnerRef};

const NOW: TimestampMs = TimestampMs(START + 1_000_000_000);

fn runner(id: &str) -> RunnerRef {
    RunnerRef {
        source: Source::parse("ci").unwrap(),
        runner_id: RunnerId::parse(id).unwrap(),
    }
}

/// A job of that runner that sleeps for an hour.
fn sleeps(bench: &Bench, number: i64, runner: &str, reason: Reason) -> JobKey {
    let facts = JobFacts {
        runner_id: Some(runner.to_owned()),
        ..finished(number, 3)
    };
    let job = bench.accept(number, facts).unwrap().job;
    let seen = bench.archive().pending(job).unwrap().unwrap().waiting;
    let waiting = Waiting {
        due: NOW.plus_ms(3_600_000 + number),
        attempts: 3,
        reason,
        detail: None,
    };
    assert!(
        bench
            .archive()
            .reschedule(job, seen, waiting)
            .wait()
            .unwrap()
    );
    job
}

fn due_now(bench: &Bench) -> Vec<JobKey> {
    let due = bench.archive().due(NOW, 10_000, |_| false).unwrap();
    due.jobs.iter().map(|record| record.keys.job).collect()
}

#[test]
fn an_unreadable_record_does_not_stop_the_queue() {
    let bench = Bench::new();
    let first = bench.accept(1, finished(1, 3)).unwrap().job;
    let second = bench.accept(2, finished(2, 3)).unwrap().job;
    bench.damage(first);
    let far = TimestampMs(i64::MAX);
    for _ in 0..2 {
        let due = bench.archive().due(far, 10, |_| false).unwrap();
        let found: Vec<JobKey> = due.jobs.iter().map(|record| record.keys.job).collect();
        assert_eq!(found, [second]);
    }
    assert_eq!(
        *bench.archive().unreadable.lock().unwrap(),
        BTreeSet::from([first])
    );
    let due = bench.archive().due(far, 1, |_| false).unwrap();
    assert_eq!(due.jobs.len(), 1, "it takes nobody's place");
    let registration = Registration::Runner(runner("42"));
    bench.archive().wake(&registration, NOW).unwrap();
}

#[test]
fn a_runner_wakes_its_own_jobs_and_no_others() {
    let bench = Bench::new();
    let reasons = [
        Reason::WaitingForRunner,
        Reason::WaitingForRegion,
        Reason::NoSamplesYet,
        Reason::UpstreamUnreachable,
        Reason::UpstreamRefused,
        Reason::UpstreamInvalid,
    ];
    let own: Vec<JobKey> = (1..)
        .zip(reasons)
        .map(|(number, reason)| sleeps(&bench, number, "42", reason))
        .collect();
    for (number, reason) in (11..).zip(reasons) {
        sleeps(&bench, number, "43", reason);
    }
    for (number, reason) in (21..).zip([
        Reason::WaitingForMachine,
        Reason::WaitingForStart,
        Reason::Settling,
        Reason::SamplesLate,
    ]) {
        sleeps(&bench, number, "42", reason);
    }
    let registration = Registration::Runner(runner("42"));
    assert_eq!(bench.archive().wake(&registration, NOW).unwrap(), own.len());
    assert_eq!(due_now(&bench), own);
    let woken = bench.archive().pending(own[0]).unwrap().unwrap();
    let waiting = woken.waiting.unwrap();
    assert_eq!((waiting.due, waiting.attempts), (NOW, 3));
    assert_eq!(
        bench.archive().wake(&registration, NOW).unwrap(),
        0,
        "they are awake"
    );
    assert_eq!(bench.archive().pending_count().unwrap(), 16);
}

#[test]
fn a_region_wakes_the_jobs_of_its_runners() {
    let bench = Bench::new();
    for (id, region) in [("42", "eu"), ("43", "us")] {
        let registration: Runner =
            serde_json::from_value(serde_json::json!({ "region": region })).unwrap();
        bench
            .archive()
            .put_runner(runner(id), registration)
            .wait()
            .unwrap();
    }
    let own = sleeps(&bench, 1, "42", Reason::UpstreamRefused);
    sleeps(&bench, 2, "43", Reason::UpstreamRefused);
    sleeps(&bench, 3, "44", Reason::WaitingForRunner);
    let registration = Registration::Region(RegionName::parse("eu").unwrap());
    assert_eq!(bench.archive().wake(&registration, NOW).unwrap(), 1);
    assert_eq!(due_now(&bench), [own]);
}

#[test]
fn more_jobs_than_the_commit_queue_holds_are_woken() {
    let bench = Bench::new();
    let jobs = i64::try_from(limits::COMMIT_QUEUE).unwrap() + 1_000;
    let archive = bench.archive();
    let sleeping = move |txn: &mut commit::Txn<'_>| -> Result<()> {
        // As many accepted jobs in one batch, asleep.
        for number in 1..=jobs {
            let key = JobKey(number);
            let mut merged = crate::model::job::MergedFacts::default();
            merged.merge(finished(number, 3))?;
            let waiting = Waiting {
                due: NOW.plus_ms(number),
                attempts: 1,
                reason: Reason::WaitingForRunner,
                detail: None,
            };
            let record = crate::model::record::JobRecord {
                job: job(number),
                keys: crate::model::archived::RowKeys {
                    project: crate::model::id::ProjectKey(1),
                    job: key,
                    part: 0,
                    runner: None,
                },
                merged,
                first_seen: NOW,
                waiting: Some(waiting),
                archived: None,
                place: None,
            };
            accept::store(txn, None, &record)?;
        }
        Ok(())
    };
    archive.committer.run(sleeping).unwrap();
    let registration = Registration::Runner(runner("42"));
    let woken = archive.wake(&registration, NOW).unwrap();
    assert_eq!(woken, usize::try_from(jobs).unwrap());
    assert_eq!(due_now(&bench).len(), woken);
}
