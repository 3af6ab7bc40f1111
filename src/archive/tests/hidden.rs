//! What readers see of jobs that have expired or were erased, before any byte of them goes.

use super::*;
use crate::archive::scan::{Scratch, Table, job_columns};
use crate::model::erasure::{ERASED_SECTION, Fields};
use crate::model::retention::{DAY_MS, Keep, Retention, Rule};
use crate::testkit::clock::ManualClock;
use arrow_array::Array as _;
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;

/// When job 1 with 3 rows ends.
const END: i64 = START + 1_000 + 30_000;

fn policy(samples: Keep, jobs: Keep) -> Arc<Retention> {
    let rule = Rule {
        samples,
        jobs,
        ..Rule::default()
    };
    Arc::new(Retention::new(rule, BTreeMap::new()))
}

fn listed(bench: &Bench, filter: &JobFilter) -> Vec<i64> {
    let page = bench
        .archive()
        .list(&Scope::local_operator(), filter, None, 500)
        .unwrap();
    let ids = page.jobs.iter();
    let mut ids: Vec<i64> = ids
        .map(|view| view.job.job_id.as_str().parse().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

fn found(bench: &Bench, number: i64) -> Option<JobView> {
    let scope = Scope::local_operator();
    let found = bench.archive().find(&scope, &job(number)).unwrap();
    let with_profile = bench.archive().profile(&scope, &job(number)).unwrap();
    assert_eq!(found, with_profile.map(|(view, _)| view));
    found
}

fn tenants(bench: &Bench, of: i64) -> Vec<String> {
    let view = found(bench, of).unwrap();
    let window = TimeRange::new(TimestampMs(START), TimestampMs(START + 1_000_000));
    let machine = Machine::parse("m-1").unwrap();
    let scope = Scope::local_operator();
    let others = bench
        .archive()
        .co_tenants(&scope, view.keys.job, &machine, window);
    let others = others.unwrap().into_iter();
    others.map(|other| other.job.job_id.to_string()).collect()
}

#[test]
fn samples_and_then_rows_expire_by_time_alone() {
    for sealed in [false, true] {
        let clock = ManualClock::at(TimestampMs(END));
        let mut bench = Bench::at(Arc::<ManualClock>::clone(&clock));
        bench.archived(1, 3);
        // On the same machine, an hour later.
        bench.archived(3_601, 3);
        if sealed {
            bench.archive().seal_all().unwrap();
            bench.reopen();
        }
        bench
            .archive()
            .set_retention(policy(Keep::days(10), Keep::days(20)))
            .unwrap();
        let (fresh, samples) = bench.read(1);
        assert_eq!((fresh.state, samples.rows()), (State::Archived, 3));

        clock.set(TimestampMs(END + 10 * DAY_MS - 1));
        assert_eq!(bench.read(1), (fresh.clone(), samples));
        clock.set(TimestampMs(END + 10 * DAY_MS));
        let (expired, samples) = bench.read(1);
        assert_eq!(samples.rows(), 0);
        assert_eq!(expired.state, State::Expired);
        assert_eq!(expired.reason, Some(Reason::SamplesExpired));
        assert_eq!(expired.row, fresh.row, "the summary stays");
        assert_eq!(bench.read(3_601).0.state, State::Archived);
        let of_state = |state| JobFilter {
            state: Some(state),
            ..JobFilter::default()
        };
        assert_eq!(listed(&bench, &of_state(State::Expired)), [1]);
        assert_eq!(listed(&bench, &of_state(State::Archived)), [3_601]);

        clock.set(TimestampMs(END + 20 * DAY_MS - 1));
        assert!(found(&bench, 1).is_some());
        assert_eq!(tenants(&bench, 3_601), ["1"]);
        clock.set(TimestampMs(END + 20 * DAY_MS));
        assert_eq!(found(&bench, 1), None);
        assert_eq!(listed(&bench, &JobFilter::default()), [3_601]);
        assert_eq!(tenants(&bench, 3_601), Vec::<String>::new());
        // A longer policy finds it again: nothing has gone yet.
        bench
            .archive()
            .set_retention(policy(Keep::Forever, Keep::Forever))
            .unwrap();
        assert_eq!(bench.read(1).0, fresh);
    }
}

/// What a scan gives of a table: the jobs of its rows, by number, and the machine of each, if the table says it.
fn scanned(archive: &Arc<Archive>, table: Table) -> BTreeMap<i64, Option<String>> {
    let view = archive.scan(&Scope::local_operator()).unwrap();
    let mut scratch = Scratch::new().unwrap();
    let position = |name: &str| {
        job_columns()
            .iter()
            .position(|own| own.name == name)
            .unwrap()
    };
    let mut found = BTreeMap::new();
    for segment in view.segments() {
        for unit in view.units(segment, table).unwrap() {
            let mut reader = unit.reader(&view).unwrap();
            let rows = 0..reader.rows();
            let shown = reader.shown(&mut scratch, rows.clone()).unwrap();
            let jobs = reader.cells(&mut scratch, 1, rows.clone()).unwrap();
            let machines = (table == Table::Jobs).then(|| {
                let cells = reader.cells(&mut scratch, position("machine"), rows.clone());
                cells.unwrap()
            });
            for row in rows.filter(|row| shown.as_ref().is_none_or(|shown| shown.value(*row))) {
                let job = jobs.as_primitive::<Int64Type>().value(row);
                let machine = machines.as_ref().and_then(|cells| {
                    let cells = cells.as_string_view();
                    cells.is_valid(row).then(|| cells.value(row).to_owned())
                });
                found.insert(job, machine);
            }
        }
    }
    found
}

#[test]
fn a_scan_gives_what_is_not_hidden() {
    let clock = ManualClock::at(TimestampMs(END));
    let mut bench = Bench::at(Arc::<ManualClock>::clone(&clock));
    for number in [1, 2, 3_601] {
        bench.archived(number, 3);
    }
    let key = |bench: &Bench, number| bench.read(number).0.keys.job.0;
    let (one, two, late) = (key(&bench, 1), key(&bench, 2), key(&bench, 3_601));
    let archive = Arc::new(bench.archive.take().unwrap());
    archive.seal_all().unwrap();
    let jobs_of = |table| -> Vec<i64> { scanned(&archive, table).into_keys().collect() };
    let shown = || (jobs_of(Table::Jobs), jobs_of(Table::Samples));
    let all = vec![one, two, late];
    archive
        .set_retention(policy(Keep::days(10), Keep::days(20)))
        .unwrap();
    assert_eq!(shown(), (all.clone(), all.clone()));
    clock.set(TimestampMs(END + 10 * DAY_MS + 2_000));
    assert_eq!(shown(), (all.clone(), vec![late]));
    // Rows stay long after samples: no question may look at every job of such a date.
    let known = |table| {
        let view = archive.scan(&Scope::local_operator()).unwrap();
        view.exact_rows(table)
    };
    assert_eq!((known(Table::Jobs), known(Table::Samples)), (Some(3), None));
    clock.set(TimestampMs(END + 20 * DAY_MS));
    assert_eq!(known(Table::Jobs), None);
    assert_eq!(shown(), (vec![two, late], vec![]));
    archive
        .set_retention(policy(Keep::Forever, Keep::Forever))
        .unwrap();
    assert!(scanned(&archive, Table::Jobs)[&two].is_some());
    let machine = Fields::of_word("machine").unwrap();
    archive.erase(&EraseTarget::Job(job(2)), machine).unwrap();
    archive
        .erase(&EraseTarget::Job(job(1)), Fields::default())
        .unwrap();
    assert_eq!(shown(), (vec![two, late], vec![two, late]));
    let machines = scanned(&archive, Table::Jobs);
    assert_eq!(machines[&two], None);
    assert!(machines[&late].is_some());
}

fn project(number: i64) -> EraseTarget {
    EraseTarget::Project {
        source: None,
        project: format!("acme/p{number}"),
    }
}

#[test]
fn an_erased_project_is_unreadable_at_once_and_stays_so() {
    let mut bench = Bench::new();
    // 1, 4 and 5 ran on m-1 or are of the project acme/p1; 1 and 4 are sealed.
    bench.archived(1, 3);
    bench.archived(4, 3);
    bench.archive().seal_all().unwrap();
    for number in [5, 7, 9] {
        bench.archived(number, 3);
    }
    assert_eq!(tenants(&bench, 9), ["5", "1"]);
    let done = bench
        .archive()
        .erase(&project(1), Fields::default())
        .unwrap();
    assert_eq!(done.number, 1);
    for reopened in [false, true] {
        if reopened {
            bench.reopen();
        }
        for gone in [1, 4, 7] {
            assert_eq!(found(&bench, gone), None);
        }
        assert_eq!(listed(&bench, &JobFilter::default()), [5, 9]);
        assert_eq!(tenants(&bench, 9), ["5"]);
        for gone in [1, 4, 7] {
            let refused = bench.accept(gone, finished(gone, 3)).unwrap_err();
            assert_eq!(
                (refused.kind(), refused.code()),
                (ErrorKind::Conflict, "job_erased")
            );
        }
    }
    let again = bench.archive().erase(&project(1), Fields::default());
    assert_eq!(again.unwrap_err().code(), "project_not_found");
    // A job that is reported for the first time is of a new project of that name.
    bench.archived(10, 3);
    assert_eq!(listed(&bench, &JobFilter::default()), [5, 9, 10]);
    let keys = found(&bench, 10).unwrap().keys;
    assert!(bench.archive().rules.knows(keys.project, keys.job));
    let audit = bench.archive().erasures().unwrap();
    assert_eq!(audit.len(), 1);
    let stored = serde_json::to_string(&audit[0].erasure).unwrap();
    assert!(!stored.contains("acme"), "{stored}");
}

#[test]
fn erased_texts_are_hidden_from_every_read_and_are_not_said_again() {
    for sealed in [false, true] {
        let bench = Bench::new();
        bench.archived(1, 3);
        bench.archived(5, 3);
        if sealed {
            bench.archive().seal_all().unwrap();
        }
        let before = bench.read(1).0;
        let all = ["ref", "machine", "sections"].map(|word| Fields::of_word(word).unwrap());
        let all = all.into_iter().fold(Fields::default(), Fields::and);
        bench
            .archive()
            .erase(&EraseTarget::Job(job(1)), all)
            .unwrap();
        let hidden = |view: &JobView| {
            for facts in [&view.facts, &view.row.as_ref().unwrap().row.facts] {
                assert_eq!((&facts.git_ref, &facts.machine), (&None, &None));
                assert_eq!(facts.sections()[0].name, ERASED_SECTION);
            }
        };
        let after = bench.read(1).0;
        hidden(&after);
        let summary = |view: &JobView| view.row.as_ref().unwrap().summary.clone();
        assert_eq!(summary(&after), summary(&before));
        let of_machine = JobFilter {
            machine: Machine::parse("m-1").ok(),
            ..JobFilter::default()
        };
        assert_eq!(listed(&bench, &of_machine), [5]);
        assert_eq!(tenants(&bench, 5), Vec::<String>::new());
        // A redelivery says it all again, with something new.
        let mut said = finished(1, 3);
        said.failure_reason = Some("script_failure".to_owned());
        bench.accept(1, said).unwrap();
        let amended = bench.read(1).0;
        hidden(&amended);
        assert_eq!(
            amended.facts.failure_reason.as_deref(),
            Some("script_failure")
        );
        // Its neighbour is as it was.
        assert_eq!(bench.read(5).0.facts.git_ref.as_deref(), Some("main"));
    }
}

#[test]
fn what_is_held_is_not_erased_and_what_is_unknown_is_not_found() {
    let bench = Bench::new();
    bench.archived(1, 3);
    let hold = Rule {
        hold: true,
        ..Rule::default()
    };
    let projects = [("acme/p1".to_owned(), hold)];
    let retention = Retention::new(Rule::default(), projects.into());
    bench.archive().set_retention(Arc::new(retention)).unwrap();
    let by_id = EraseTarget::Project {
        source: None,
        project: "1".to_owned(),
    };
    for held in [project(1), by_id, EraseTarget::Job(job(1))] {
        let refused = bench.archive().erase(&held, Fields::default()).unwrap_err();
        assert_eq!(
            (refused.kind(), refused.code()),
            (ErrorKind::Conflict, "legal_hold")
        );
    }
    assert!(found(&bench, 1).is_some());
    for unknown in [project(8), EraseTarget::Job(job(8))] {
        let refused = bench
            .archive()
            .erase(&unknown, Fields::default())
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
    }
    assert!(bench.archive().erasures().unwrap().is_empty());
}
