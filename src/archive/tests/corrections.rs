//! What is said of a job while it is fetched, and after it was archived.

use super::*;

#[test]
fn another_machine_does_not_inherit_the_samples_of_the_first() {
    let bench = Bench::new();
    bench.archived(1, 30);
    let other = JobFacts {
        machine: Some(Machine::parse("m-9").unwrap()),
        ..finished(1, 30)
    };
    assert!(bench.accept(1, other).unwrap().due.is_some());
    // Prometheus knows nothing of the machine that the job really ran on.
    assert_eq!(bench.staged(1, 0), Staged::Archived);
    let (view, profile) = bench.read(1);
    assert_eq!(view.state, State::Unavailable);
    assert_eq!(view.reason, Some(Reason::UnknownMachine));
    assert_eq!(profile, Profile::default());
    assert_eq!(bench.archive().seal_all().unwrap()[0].rows, 0);
}

#[test]
fn another_runner_does_not_inherit_the_samples_of_the_first() {
    let bench = Bench::new();
    bench.archived(1, 30);
    let other = JobFacts {
        runner_id: Some("43".to_owned()),
        ..finished(1, 30)
    };
    bench.accept(1, other).unwrap();
    bench.staged(1, 0);
    assert_eq!(bench.read(1).0.state, State::Unavailable);
}

#[test]
fn a_new_end_during_a_fetch_is_waited_for() {
    let bench = Bench::new();
    bench.accept(1, finished(1, 3)).unwrap();
    let in_flight = Staging {
        record: bench.record(1),
        placement: Placement::default(),
        findings: findings(1, 3),
        profile: profile(1, 3),
        look_up_at: None,
    };
    let end = SystemClock::shared().now();
    let later = JobFacts {
        finished_at: Some(end),
        started_at: Some(end.plus_ms(-60_000)),
        ..finished(1, 3)
    };
    let due = bench.accept(1, later).unwrap().due.unwrap();
    assert_eq!(due, end.plus_ms(42_500));
    let staged = bench.archive().stage(in_flight).wait().unwrap();
    assert_eq!(staged, Staged::Stale);
    let waiting = bench.record(1).waiting.unwrap();
    assert_eq!(waiting.due, due, "its last scrape is not there at once");
}

#[test]
fn a_late_running_event_changes_nothing_after_the_seal() {
    let bench = Bench::new();
    bench.archived(1, 30);
    bench.archive().seal_all().unwrap();
    let before = bench.read(1);
    let running = JobFacts {
        status: Some(JobStatus::Running),
        name: Some("provisional".to_owned()),
        machine: Some(Machine::parse("m-9").unwrap()),
        started_at: Some(TimestampMs(START - 5_000)),
        finished_at: None,
        ..finished(1, 30)
    };
    assert!(!bench.accept(1, running).unwrap().changed);
    assert_eq!(bench.read(1), before);
    let final_word = JobFacts {
        name: Some("renamed".to_owned()),
        ..finished(1, 30)
    };
    assert!(bench.accept(1, final_word).unwrap().changed);
    assert_eq!(bench.read(1).0.facts.name.as_deref(), Some("renamed"));
}

#[test]
fn a_fact_repeated_at_the_end_counts_from_the_end() {
    let bench = Bench::new();
    let running = |name: &str| JobFacts {
        status: Some(JobStatus::Running),
        name: Some(name.to_owned()),
        ..JobFacts::default()
    };
    bench.accept(1, running("unit")).unwrap();
    let over = JobFacts {
        status: Some(JobStatus::Success),
        ..JobFacts::default()
    };
    bench.accept(1, over.clone()).unwrap();
    // Says nothing new, but says the name at the end.
    let repeated = JobFacts {
        name: Some("unit".to_owned()),
        ..over
    };
    assert!(!bench.accept(1, repeated).unwrap().changed);
    assert!(!bench.accept(1, running("late")).unwrap().changed);
    let found = bench.archive().find(&Scope::local_operator(), &job(1));
    assert_eq!(found.unwrap().unwrap().facts.name.as_deref(), Some("unit"));
}
