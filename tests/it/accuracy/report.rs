//! The error table, and the assertions over all jobs.

use super::oracle::Oracle;
use crate::proof_support::percentile;
use serde_json::Value;
use tachograph::archive::JobView;
use tachograph::model::profile::Profile;
use tachograph::testkit::fleet::{Fleet, FleetJob, FleetMachine};

/// What is fetched beyond the job: two scrape intervals and a second before, two intervals after.
pub(super) const PADDING_MS: (i64, i64) = (31_000, 30_000);
/// The bound on the median error, and how much worse than the oracle we may be where it is worse.
const ERROR_MAX: f64 = 0.02;
const ORACLE_FACTOR: f64 = 1.05;
/// `cpu_used_seconds` is the sum of two totals, each rounded to 10 ms; the rest is f64.
const ROUNDING_SECONDS: f64 = 0.010_001;
/// The kernel counts cpu time in ticks of 10 ms, so each raw counter (cpu x mode) may be up to one
/// tick behind. That much the truth may lie outside of what the scrapes prove.
const TICK_SECONDS: f64 = 0.01;

/// A job, its truth, and what the service says.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) job: &'a FleetJob,
    pub(super) machine: &'a FleetMachine,
    pub(super) profile: Profile,
    view: JobView,
    answer: Value,
    oracle: Option<f64>,
    counters: usize,
}

impl<'a> Case<'a> {
    pub(super) fn new(
        fleet: &'a Fleet,
        job: &'a FleetJob,
        answer: Value,
        view: JobView,
        profile: Profile,
    ) -> Self {
        let machines = &fleet.machines;
        let machine = machines.iter().find(|machine| machine.name == job.machine);
        let machine = machine.unwrap();
        let oracle = Oracle::new(machine, job.window);
        Self {
            job,
            machine,
            profile,
            view,
            answer,
            oracle: oracle.cpu_used_seconds(),
            counters: oracle.cpu_counters(),
        }
    }

    fn used(&self, what: &str) -> Option<f64> {
        self.answer["summary"]["cpu_used_seconds"][what].as_f64()
    }

    /// Relative error; a job of which nothing is known is all wrong.
    fn error_of(&self, used: Option<f64>) -> f64 {
        let truth = self.job.truth.cpu_used_seconds;
        used.map_or(1.0, |used| (used / truth - 1.0).abs())
    }

    /// The service agrees with exact interpolation, up to the rounding of its totals.
    pub(super) fn check_total(&self) {
        let (ours, exact) = (self.used("total"), self.oracle);
        let agree = match (ours, exact) {
            (Some(ours), Some(exact)) => (ours - exact).abs() <= ROUNDING_SECONDS,
            (ours, exact) => ours.is_none() && exact.is_none(),
        };
        assert!(agree, "job {:?}: {ours:?}, not {exact:?}", self.job);
        let rows = self.view.row.as_ref().unwrap().row.findings.sample_count;
        let inside = |ts: &&i64| self.job.window.from.0 <= **ts && **ts < self.job.window.to.0;
        let counted = self.profile.ts_ms.iter().filter(inside).count();
        assert_eq!(rows, tachograph::num::len_i64(counted), "{:?}", self.job);
    }
}

const CLASSES: [(&str, i64, i64); 5] = [
    ("< 15 s", 0, 15_000),
    ("15 to 30 s", 15_000, 30_000),
    ("30 to 60 s", 30_000, 60_000),
    ("1 to 5 min", 60_000, 300_001),
    ("> 5 min", 300_001, i64::MAX),
];
/// The class that the bound is about.
const BOUNDED: usize = 3;

/// Jobs of a class that no reboot hit.
fn class<'c, 'a>(cases: &'c [Case<'a>], class: usize) -> Vec<&'c Case<'a>> {
    let (_, from, to) = CLASSES[class];
    let fits = |case: &&Case<'_>| (from..to).contains(&case.job.window.len_ms());
    let seen = cases.iter().filter(|case| !case.job.rebooted);
    seen.filter(fits).collect()
}

fn errors(cases: &[&Case<'_>]) -> (Vec<f64>, Vec<f64>) {
    let ours = cases.iter().map(|case| case.error_of(case.used("total")));
    let exact = cases.iter().map(|case| case.error_of(case.oracle));
    (ours.collect(), exact.collect())
}

pub(super) fn print_errors(cases: &[Case<'_>]) {
    println!(
        "relative error of cpu_used_seconds; interpolation: the exact one of the same scrapes"
    );
    println!(
        "{:<11} {:<9} {:>5} {:>8} {:>8} {:>8} {:>14}",
        "duration", "machine", "jobs", "no data", "median", "p95", "interpolation"
    );
    for (index, (name, _, _)) in CLASSES.iter().enumerate() {
        for (kind, ephemeral) in [
            ("reused", Some(false)),
            ("ephemeral", Some(true)),
            ("all", None),
        ] {
            let mut of_kind = class(cases, index);
            of_kind.retain(|case| ephemeral.is_none_or(|wanted| case.job.ephemeral == wanted));
            let (ours, exact) = errors(&of_kind);
            let unknown = of_kind.iter().filter(|case| case.used("total").is_none());
            println!(
                "{name:<11} {kind:<9} {:>5} {:>8} {:>7.2}% {:>7.2}% {:>13.2}%",
                of_kind.len(),
                unknown.count(),
                percentile(&ours, 0.5) * 100.0,
                percentile(&ours, 0.95) * 100.0,
                percentile(&exact, 0.5) * 100.0,
            );
        }
    }
    let rebooted = cases.iter().filter(|case| case.job.rebooted).count();
    println!("left out: {rebooted} jobs hit by a reboot");
}

/// The median error of jobs of 1 to 5 minutes.
pub(super) fn check_error(cases: &[Case<'_>]) {
    let bounded = class(cases, BOUNDED);
    assert!(bounded.len() >= 150, "only {} jobs", bounded.len());
    let (ours, exact) = errors(&bounded);
    let (ours, exact) = (percentile(&ours, 0.5), percentile(&exact, 0.5));
    let bound = ERROR_MAX.max(ORACLE_FACTOR * exact);
    println!(
        "jobs of 1 to 5 min: median error {:.3}%, of exact interpolation {:.3}%, bound {:.3}%",
        ours * 100.0,
        exact * 100.0,
        bound * 100.0
    );
    assert!(ours <= bound, "{ours} is more than {bound}");
}

/// What the scrapes prove holds.
pub(super) fn check_bounds(cases: &[Case<'_>]) {
    let (mut both, mut low_only, mut wrong) = (0, 0, Vec::new());
    for case in cases.iter().filter(|case| !case.job.rebooted) {
        let truth = case.job.truth.cpu_used_seconds;
        let slack = TICK_SECONDS * tachograph::num::to_f64(tachograph::num::len_i64(case.counters));
        let (low, high) = (case.used("low"), case.used("high"));
        both += usize::from(low.is_some() && high.is_some());
        low_only += usize::from(low.is_some() && high.is_none());
        let above = low.is_some_and(|low| low > truth + slack);
        let below = high.is_some_and(|high| high < truth - slack);
        if above || below {
            wrong.push(format!("{low:?} to {high:?}, not {truth}: {:?}", case.job));
        }
    }
    println!(
        "[low, high] holds the truth in {} of {both} jobs; {low_only} more have a low alone",
        both - wrong.len().min(both)
    );
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
