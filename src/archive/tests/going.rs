//! What has expired or was erased goes: its bytes, and nothing else.

use super::*;
use crate::model::coarse::Coarse;
use crate::model::erasure::Fields;
use crate::model::retention::{DAY_MS, Keep, Retention, Rule};
use crate::segment::dir::Table;
use crate::testkit::clock::ManualClock;

/// Before all jobs of these tests have ended by a day.
fn clock() -> Arc<ManualClock> {
    ManualClock::at(TimestampMs(START + 2 * DAY_MS))
}

fn pass(clock: &ManualClock, days: u32) {
    for _ in 0..days {
        clock.advance_ms(86_400_000);
    }
}

fn rule(samples: i64, samples_5m: i64, jobs: i64) -> Rule {
    Rule {
        samples: Keep::days(samples),
        samples_5m: Keep::days(samples_5m),
        jobs: Keep::days(jobs),
        hold: false,
    }
}

fn set(bench: &Bench, retention: Retention) {
    bench.archive().set_retention(Arc::new(retention)).unwrap();
}

fn slices(bench: &Bench, number: i64) -> Coarse {
    let scope = Scope::local_operator();
    let slices = bench.archive().profile_5m(&scope, &job(number)).unwrap();
    slices.unwrap()
}

fn expire(bench: &Bench) -> Expiry {
    let plan = bench.archive().would_expire().unwrap();
    let done = bench.archive().expire(&|| Ok(())).unwrap();
    assert_eq!(done, plan, "a dry run says what is done");
    assert_eq!(
        bench.archive().would_expire().unwrap().due_segments,
        0,
        "nothing is left to be done"
    );
    done
}

fn holds(bench: &Bench) {
    let found = bench.archive().verify(true, |_, _| {}).unwrap();
    assert_eq!(found.problems, Vec::new());
}

fn count(bench: &Bench, table: Table) -> usize {
    bench.archive().dir.list(table).unwrap().len()
}

#[test]
fn samples_leave_slices_behind_and_then_everything_goes() {
    let clock = clock();
    let mut bench = Bench::at(Arc::<ManualClock>::clone(&clock));
    for number in 0..40 {
        // Up to 80 minutes; every tenth never had samples.
        bench.archived(number, number % 10 * 54);
    }
    bench.archive().seal_all().unwrap();
    let before: Vec<_> = (0..40).map(|number| bench.read(number)).collect();
    set(&bench, Retention::new(rule(10, 20, 30), BTreeMap::new()));
    assert_eq!(expire(&bench), Expiry::default(), "it is too early");

    pass(&clock, 10);
    let hidden: Vec<_> = (0..40).map(|number| slices(&bench, number)).collect();
    for (slices, (_, samples)) in hidden.iter().zip(&before) {
        assert_eq!(*slices, Coarse::of(samples));
    }
    let rows: usize = before.iter().map(|(_, samples)| samples.rows()).sum();
    let done = expire(&bench);
    assert_eq!((done.due_segments, done.jobs), (1, 0));
    assert_eq!(done.rows, u64::try_from(rows).unwrap());
    for reopened in [false, true] {
        if reopened {
            pass(&clock, 1);
            bench.archive().remove_obsolete().unwrap();
            bench.reopen();
            set(&bench, Retention::new(rule(10, 20, 30), BTreeMap::new()));
            assert_eq!(count(&bench, Table::Samples5m), 1);
            assert_eq!(count(&bench, Table::Jobs), 1);
        }
        holds(&bench);
        for (number, (seen, _)) in (0..).zip(&before) {
            let (now, samples) = bench.read(number);
            assert_eq!((now.row, samples.rows()), (seen.row.clone(), 0));
            let expired = number % 10 > 0;
            let state = if expired {
                State::Expired
            } else {
                State::Unavailable
            };
            assert_eq!(now.state, state);
            assert_eq!(
                slices(&bench, number),
                hidden[usize::try_from(number).unwrap()]
            );
        }
    }
    // What compaction makes of it is the same.
    bench.archived(100, 30);
    bench.archive().seal_all().unwrap();
    pass(&clock, 1);
    bench.archive().compact(Haste::All, &|| Ok(())).unwrap();
    holds(&bench);
    assert_eq!(slices(&bench, 7), hidden[7]);

    pass(&clock, 8);
    assert_eq!(slices(&bench, 7), Coarse::default());
    assert_eq!(expire(&bench).due_segments, 1);
    assert_eq!(bench.read(7).0.state, State::Expired);
    holds(&bench);
    pass(&clock, 11);
    assert_eq!(expire(&bench).jobs, 41);
    pass(&clock, 1);
    bench.archive().remove_obsolete().unwrap();
    assert!(bench.files().is_empty(), "{:?}", bench.files());
    let snapshot = bench.archive().index.snapshot();
    assert_eq!(find::job_key(&snapshot, &job(7)).unwrap(), None);
    drop(snapshot);
    holds(&bench);
}

#[test]
fn a_file_that_is_still_needed_is_written_anew_only_for_a_share_of_it() {
    let clock = clock();
    let bench = Bench::at(Arc::<ManualClock>::clone(&clock));
    // A third of the samples are of acme/p1.
    for number in 0..30 {
        bench.archived(number, 50);
    }
    bench.archive().seal_all().unwrap();
    let short = |share| {
        let projects = [("acme/p1".to_owned(), rule(10, 10, 20))];
        let mut retention = Retention::new(rule(100, 100, 100), projects.into());
        retention.rewrite_above_percent = share;
        retention
    };
    pass(&clock, 12);
    set(&bench, short(60));
    let plan = expire(&bench);
    assert_eq!((plan.segments, plan.due_segments), (1, 0));
    assert_eq!(bench.read(1).0.state, State::Expired, "hidden all the same");
    set(&bench, short(0));
    assert_eq!(expire(&bench).rows, 10 * 50);
    assert_eq!(bench.read(0).1.rows(), 50);
    assert_eq!(bench.read(1).0.state, State::Expired);
    holds(&bench);
    // A hold comes in time for what is left.
    let held = Rule {
        hold: true,
        ..rule(10, 10, 20)
    };
    let projects = [("acme/p1".to_owned(), held)];
    set(&bench, Retention::new(rule(10, 10, 10), projects.into()));
    pass(&clock, 50);
    assert_eq!(expire(&bench).jobs, 20);
    assert_eq!(bench.read(1).0.state, State::Expired);
    assert!(bench.read(1).0.row.is_some());
    holds(&bench);
}

#[test]
fn a_correction_of_a_job_without_samples_keeps_its_summary() {
    let clock = clock();
    let bench = Bench::at(Arc::<ManualClock>::clone(&clock));
    bench.archived(1, 50);
    bench.archive().seal_all().unwrap();
    pass(&clock, 12);
    set(&bench, Retention::new(rule(10, 100, 100), BTreeMap::new()));
    assert_eq!(expire(&bench).rows, 50);
    let before = bench.read(1).0.row.unwrap();
    let mut said = finished(1, 50);
    said.finished_at = said.finished_at.map(|at| at.plus_ms(-5_000));
    let new = Section {
        name: "new".to_owned(),
        range: said.window().unwrap(),
    };
    said.sections.as_mut().unwrap().push(new);
    bench.accept(1, said.clone()).unwrap();
    let after = bench.read(1).0.row.unwrap();
    assert_eq!(after.summary, before.summary);
    assert_eq!(after.row.facts.finished_at, said.finished_at);
    assert_eq!(after.sections[0], before.sections[0]);
    assert_eq!(after.sections[1].cpu_used_seconds, None);
}

#[test]
fn a_clock_that_was_set_forward_removes_nothing() {
    let clock = clock();
    let bench = Bench::at(Arc::<ManualClock>::clone(&clock));
    bench.archived(1, 5);
    bench.archive().seal_all().unwrap();
    set(&bench, Retention::new(rule(10, 10, 10), BTreeMap::new()));
    clock.set(TimestampMs(START + 1_000 * DAY_MS));
    let refused = bench.archive().expire(&|| Ok(())).unwrap_err();
    assert_eq!(refused.code(), "clock_ahead");
    assert_eq!(bench.files().len(), 2);
}

const SECRETS: [&str; 5] = [
    "group-of-erased/project",
    "branch-of-somebody",
    "machine-of-somebody",
    "section-of-somebody",
    "4711-of-somebody",
];

fn secret_job(number: i64) -> JobRef {
    JobRef {
        source: Source::parse("ci").unwrap(),
        job_id: JobId::parse(&format!("{}-{number}", SECRETS[4])).unwrap(),
    }
}

/// A job of a project that is erased, with everything that can be.
fn secret(bench: &Bench, number: i64, staged: bool) {
    let mut facts = finished(number, 20);
    facts.project = Some(SECRETS[0].to_owned());
    facts.project_id = Some("77".to_owned());
    facts.git_ref = Some(SECRETS[1].to_owned());
    facts.machine = Machine::parse(SECRETS[2]).ok();
    facts.sections.as_mut().unwrap()[0].name = SECRETS[3].to_owned();
    let event = JobEvent {
        job: secret_job(number),
        facts,
    };
    bench.archive().accept(event, None).wait().unwrap();
    if staged {
        let far = TimestampMs(START + 1_000_000_000_000);
        let due = bench.archive().due(far, 10_000, |_| false).unwrap().jobs;
        let mut due = due.into_iter();
        let staging = Staging {
            record: due.find(|record| record.job == secret_job(number)).unwrap(),
            placement: Placement::default(),
            findings: findings(number, 20),
            profile: profile(number, 20),
            look_up_at: Some(far),
        };
        bench.archive().stage(staging).wait().unwrap();
    }
}

/// Which secrets stand where below the data directory.
fn searched(bench: &mut Bench) -> BTreeMap<usize, Vec<String>> {
    bench.archive = None;
    let texts = SECRETS.map(str::to_owned);
    let found = search(bench.root.path(), &texts, |_| {}).unwrap();
    assert!(found.files > 5 && found.entries > 0);
    bench.reopen();
    let mut places: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for one in found.found {
        places.entry(one.number).or_default().push(one.place);
    }
    places
}

fn finish_erasures(bench: &Bench) {
    for _ in 0..3 {
        if bench.archive().run_erasures(&|| Ok(())).unwrap().left == 0 {
            return;
        }
    }
    panic!("{:?}", bench.archive().erasures());
}

#[test]
fn no_byte_is_left_of_an_erased_project() {
    let mut bench = Bench::new();
    for number in 0..300 {
        bench.archived(number, 20);
        if number % 3 == 0 {
            secret(&bench, number, true);
        }
    }
    bench.archive().seal_all().unwrap();
    // Staged, pending, and amended after the seal.
    secret(&bench, 301, true);
    secret(&bench, 302, false);
    let late = JobEvent {
        job: secret_job(3),
        facts: JobFacts {
            failure_reason: Some(format!("on {}", SECRETS[2])),
            status: Some(JobStatus::Success),
            ..JobFacts::default()
        },
    };
    let sealed = bench.archive().sealed_facts(&late.job).unwrap();
    bench.archive().accept(late, Some(sealed)).wait().unwrap();
    let others: Vec<_> = (0..300).map(|number| bench.read(number)).collect();
    // The index has written its table files, and compaction has just replaced a segment.
    bench.archive().index_bytes().unwrap();
    bench.archive().compact(Haste::All, &|| Ok(())).unwrap();
    let planted = searched(&mut bench);
    assert_eq!(planted.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let everywhere: Vec<&String> = planted.values().flatten().collect();
    for place in ["a page of", "tables/jobs", "index, family"] {
        let there = everywhere.iter().any(|found| found.contains(place));
        assert!(there, "no {place} in {everywhere:?}");
    }
    let target = EraseTarget::Project {
        source: None,
        project: SECRETS[0].to_owned(),
    };
    bench.archive().erase(&target, Fields::default()).unwrap();
    finish_erasures(&bench);
    assert_eq!(searched(&mut bench), BTreeMap::new());
    for (number, seen) in (0..).zip(&others) {
        assert_eq!(&bench.read(number), seen);
    }
    holds(&bench);
    let audit = bench.archive().erasures().unwrap();
    assert_eq!(audit[0].erasure.jobs, 102);
    assert!(audit[0].erasure.segments >= 1 && audit[0].erasure.finished_at.is_some());
    // What is said of one of its jobs later is refused, also where nothing knows it any more.
    let again = JobEvent {
        job: secret_job(3),
        facts: finished(3, 20),
    };
    let refused = bench.archive().accept(again, None).wait().unwrap_err();
    assert_eq!(refused.code(), "job_erased");
}

#[test]
fn erased_texts_are_gone_and_the_rest_of_their_jobs_is_there() {
    let mut bench = Bench::new();
    for number in 0..20 {
        secret(&bench, number, true);
    }
    bench.archive().seal_all().unwrap();
    secret(&bench, 21, true);
    secret(&bench, 22, false);
    bench.archive().index_bytes().unwrap();
    let scope = Scope::local_operator();
    let read = |bench: &Bench| {
        let found = bench.archive().profile(&scope, &secret_job(5)).unwrap();
        found.unwrap()
    };
    let before = read(&bench);
    let target = EraseTarget::Project {
        source: Source::parse("ci").ok(),
        project: "77".to_owned(),
    };
    let fields = ["ref", "machine", "sections"].map(|word| Fields::of_word(word).unwrap());
    let fields = fields.into_iter().fold(Fields::default(), Fields::and);
    bench.archive().erase(&target, fields).unwrap();
    let hidden = read(&bench);
    finish_erasures(&bench);
    assert_eq!(read(&bench), hidden, "nothing changes with the bytes");
    assert_eq!(hidden.1, before.1);
    let left = searched(&mut bench);
    assert_eq!(left.keys().copied().collect::<Vec<_>>(), [1, 5]);
    holds(&bench);
    // A job of the project that comes later has texts of its own.
    secret(&bench, 30, false);
    let new = bench
        .archive()
        .find(&scope, &secret_job(30))
        .unwrap()
        .unwrap();
    assert_eq!(new.facts.git_ref.as_deref(), Some(SECRETS[1]));
}

#[test]
fn an_erasure_goes_on_where_the_last_process_stopped() {
    let mut bench = Bench::new();
    for number in 0..6 {
        secret(&bench, number, true);
    }
    bench.archive().seal_all().unwrap();
    secret(&bench, 7, true);
    let one = EraseTarget::Job(secret_job(2));
    bench.archive().erase(&one, Fields::default()).unwrap();
    bench.reopen();
    // A reader of an old view keeps the index from forgetting, and the old files.
    let old = bench.archive().reading();
    let round = bench.archive().run_erasures(&|| Ok(())).unwrap();
    assert_eq!((round.done, round.left), (0, 1));
    drop(old);
    bench.reopen();
    finish_erasures(&bench);
    let scope = Scope::local_operator();
    let find = |number| bench.archive().find(&scope, &secret_job(number)).unwrap();
    assert_eq!(find(2), None);
    assert!(find(1).is_some() && find(7).is_some());
    assert_eq!(bench.files().len(), 2);
    holds(&bench);
}
