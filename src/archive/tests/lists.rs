//! Lists and co-tenants: where a job stands, and what a page costs.

use super::*;

fn ids(bench: &Bench, filter: &JobFilter) -> Vec<i64> {
    let page = bench
        .archive()
        .list(&Scope::local_operator(), filter, None, 500)
        .unwrap();
    assert_eq!(page.next_cursor, None);
    page.jobs
        .iter()
        .map(|view| view.job.job_id.as_str().parse().unwrap())
        .collect()
}

fn of_runner(runner: &str, from: i64) -> JobFilter {
    JobFilter {
        source: Some(Source::parse("ci").unwrap()),
        runner: Some(runner.to_owned()),
        listed: Some(TimeRange::new(TimestampMs(from), TimestampMs(i64::MAX / 2))),
        ..JobFilter::default()
    }
}

#[test]
fn another_source_is_not_looked_for_in_segments() {
    let mut bench = Bench::new();
    for number in 0..20 {
        bench.archived(number, 2);
    }
    bench.archive().seal_all().unwrap();
    bench.reopen();
    let typo = JobFilter {
        source: Some(Source::parse("cy").unwrap()),
        ..JobFilter::default()
    };
    assert!(ids(&bench, &typo).is_empty());
    assert_eq!(bench.archive().segments.len(), 0, "no row was needed");
    assert_eq!(ids(&bench, &JobFilter::default()).len(), 20);
    assert_eq!(bench.archive().segments.len(), 1);
}

#[test]
fn pages_of_any_size_give_every_job_once_in_order() {
    let bench = Bench::new();
    for number in 0..700 {
        bench.archived(number, 1);
        if number % 150 == 149 {
            bench.archive().seal_all().unwrap();
        }
    }
    let all = JobFilter::default();
    let few = JobFilter {
        machine: None,
        name: Some("unit 1".to_owned()),
        ..JobFilter::default()
    };
    for (filter, step) in [(&all, 1), (&few, 2)] {
        for limit in [1, 7, 256, 500] {
            let mut cursor = None;
            let mut seen = Vec::new();
            loop {
                let scope = Scope::local_operator();
                let page = bench
                    .archive()
                    .list(&scope, filter, cursor.as_deref(), limit);
                let page = page.unwrap();
                assert!(page.jobs.len() <= limit);
                seen.extend(page.jobs.iter().map(|view| view.keys.job));
                for view in &page.jobs[..page.jobs.len().min(2)] {
                    let found = bench.archive().find(&scope, &view.job).unwrap().unwrap();
                    assert_eq!(&found, view);
                }
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(seen.len(), 700 / step, "limit {limit}");
            assert!(
                seen.is_sorted_by(|newer, older| newer > older),
                "limit {limit}"
            );
        }
    }
}

#[test]
fn one_damaged_entry_does_not_hide_the_others() {
    let bench = Bench::new();
    for number in 0..10 {
        bench.archived(number, 2);
    }
    bench.archive().seal_all().unwrap();
    for number in 10..20 {
        bench.archived(number, 2);
    }
    for number in [3, 14] {
        bench.damage(bench.read(number).0.keys.job);
    }
    let expected: Vec<i64> = (0..20).rev().filter(|n| ![3, 14].contains(n)).collect();
    assert_eq!(ids(&bench, &JobFilter::default()), expected);
}

#[test]
fn an_amendment_moves_the_job_between_the_lists_of_runners_and_projects() {
    let bench = Bench::new();
    bench.archived(1, 30);
    bench.archive().seal_all().unwrap();
    let start = START + 1_000;
    assert_eq!(ids(&bench, &of_runner("42", start)), [1]);
    // The job started later than it seemed.
    let later = JobFacts {
        started_at: Some(TimestampMs(start + 50_000)),
        ..finished(1, 30)
    };
    assert!(bench.accept(1, later.clone()).unwrap().changed);
    assert_eq!(ids(&bench, &of_runner("42", start + 50_000)), [1]);
    let other = JobFacts {
        runner_id: Some("43".to_owned()),
        project: Some("acme/other".to_owned()),
        project_id: Some("77".to_owned()),
        ..later
    };
    assert!(bench.accept(1, other).unwrap().changed);
    assert!(ids(&bench, &of_runner("42", 0)).is_empty());
    assert_eq!(ids(&bench, &of_runner("43", start + 50_000)), [1]);
    let project = |project: &str| JobFilter {
        source: Some(Source::parse("ci").unwrap()),
        project: Some(project.to_owned()),
        ..JobFilter::default()
    };
    assert!(ids(&bench, &project("acme/p1")).is_empty());
    assert_eq!(ids(&bench, &project("acme/other")), [1]);
    assert_eq!(
        ids(&bench, &JobFilter::default()),
        [1],
        "once in the whole list"
    );
    let snapshot = bench.archive().index.snapshot();
    let mut entries = 0;
    snapshot
        .scan_keys::<keys::by_time::ByRunnerTime>(&[], None, |_| {
            entries += 1;
            Ok(true)
        })
        .unwrap();
    assert_eq!(entries, 1, "the old entries are gone");
}

#[test]
fn a_project_that_is_corrected_before_the_seal_has_the_job_and_its_samples() {
    let bench = Bench::new();
    bench.archived(1, 3);
    let (before, samples) = bench.read(1);
    let other = JobFacts {
        project: Some("acme/other".to_owned()),
        project_id: Some("77".to_owned()),
        ..finished(1, 3)
    };
    let accepted = bench.accept(1, other).unwrap();
    assert_eq!((accepted.changed, accepted.due), (true, None));
    let project = |project: &str| JobFilter {
        source: Some(Source::parse("ci").unwrap()),
        project: Some(project.to_owned()),
        ..JobFilter::default()
    };
    for sealed in [0, 1] {
        let (view, same_samples) = bench.read(1);
        assert_eq!(same_samples, samples);
        assert_ne!(view.keys.project, before.keys.project);
        assert!(ids(&bench, &project("acme/p1")).is_empty());
        assert_eq!(ids(&bench, &project("acme/other")), [1]);
        assert_eq!(bench.archive().seal_all().unwrap().len(), 1 - sealed);
    }
}

#[test]
fn a_runner_that_is_corrected_before_the_seal_has_the_job_after_it() {
    let bench = Bench::new();
    bench.archived(1, 3);
    let other = JobFacts {
        runner_id: Some("43".to_owned()),
        ..finished(1, 3)
    };
    bench.accept(1, other).unwrap();
    assert!(ids(&bench, &of_runner("42", 0)).is_empty());
    assert_eq!(ids(&bench, &of_runner("43", 0)), [1]);
}

#[test]
fn forgotten_jobs_are_nobodys_co_tenants() {
    let bench = Bench::new();
    let begun = |number: i64, status, started: Option<i64>| {
        let facts = JobFacts {
            status: Some(status),
            machine: Some(Machine::parse("m-1").unwrap()),
            started_at: started.map(TimestampMs),
            ..JobFacts::default()
        };
        bench.accept(number, facts).unwrap();
    };
    let day = 24 * 3_600_000;
    begun(10, JobStatus::Running, Some(START - 60_000)); // runs
    begun(11, JobStatus::Running, Some(START - 2 * day)); // its end was never reported
    begun(12, JobStatus::Failed, Some(START - 60_000)); // over, at an unknown time
    begun(13, JobStatus::Running, Some(START - 60_000)); // its record is damaged
    let damaged = bench
        .archive()
        .find(&Scope::local_operator(), &job(13))
        .unwrap();
    bench.damage(damaged.unwrap().keys.job);
    bench.archived(1, 3);
    let co_tenancy = bench.read(1).0.row.unwrap().row.co_tenancy;
    assert_eq!((co_tenancy.count, co_tenancy.overlap_ms), (1, 30_000));
    let (view, _) = bench.read(1);
    let (machine, window) = (
        view.facts.machine.clone().unwrap(),
        view.facts.window().unwrap(),
    );
    let tenants = bench
        .archive()
        .co_tenants(&Scope::local_operator(), view.keys.job, &machine, window)
        .unwrap();
    let names: Vec<_> = tenants
        .iter()
        .map(|tenant| tenant.job.job_id.as_str())
        .collect();
    assert_eq!(names, ["10"]);
}
