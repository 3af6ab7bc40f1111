//! What stays over the years: projects and the jobs that they define.

use super::FleetSpec;
use super::machines::{Region, Runners, Slot, cumulative};
use super::random::{log_normal, mixed, pick};
use super::season;
use super::words::{FIRST, GROUPS, KINDS, Kind, SECOND};
use crate::num;
use crate::time::Date;
use std::collections::BTreeSet;

const MIB: f64 = 1_048_576.0;
const MEMORY_MEDIAN_BYTES: f64 = 750.0 * MIB;
/// How much the runs of one job differ from each other in length.
pub(super) const RUN_SIGMA: f64 = 0.3;

/// From a date on a job is heavier or lighter.
#[derive(Debug, Clone, Copy)]
struct Step {
    date: Date,
    memory: f64,
    length: f64,
}

/// A job as its project defines it.
#[derive(Debug)]
pub(super) struct Def {
    pub(super) kind: &'static Kind,
    pub(super) slot: Slot,
    seconds: f64,
    memory_bytes: f64,
    growth_per_month: f64,
    step: Option<Step>,
    /// Cores that it can use at once.
    pub(super) parallelism: f64,
    /// How its memory grows: see `profile`.
    pub(super) memory_shape: u8,
    pub(super) fails: f64,
    pub(super) hangs: f64,
    /// Where its favourite windows start in the recording.
    pub(super) favourites: [u16; 4],
}

impl Def {
    fn stepped(&self, date: Date) -> Option<Step> {
        self.step.filter(|step| date >= step.date)
    }

    /// Its usual length on a date, in seconds.
    pub(super) fn seconds(&self, date: Date) -> f64 {
        self.seconds * self.stepped(date).map_or(1.0, |step| step.length)
    }

    /// Its usual peak of memory on a date.
    pub(super) fn memory_bytes(&self, first: Date, date: Date) -> f64 {
        let grown = self.growth_per_month.powf(season::months(first, date));
        self.memory_bytes * grown * self.stepped(date).map_or(1.0, |step| step.memory)
    }
}

/// A project.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) id: u64,
    pub(super) path: String,
    pub(super) region: &'static Region,
    pub(super) defs: Vec<Def>,
    /// When it exists.
    alive: (Date, Date),
    /// Share of its pipelines that a schedule starts at night.
    pub(super) nightly: f64,
}

impl Project {
    pub(super) fn is_alive(&self, date: Date) -> bool {
        self.alive.0 <= date && date <= self.alive.1
    }
}

/// All that stays.
#[derive(Debug)]
pub(super) struct World {
    pub(super) first: Date,
    pub(super) projects: Vec<Project>,
    pub(super) runners: Runners,
    cumulative: Vec<f64>,
}

impl World {
    pub(super) fn new(spec: &FleetSpec) -> Self {
        let mut rng = fastrand::Rng::with_seed(mixed(&[spec.seed, 1]));
        let runners = Runners::new(spec);
        let count = num::to_usize((40 + spec.jobs.isqrt() * 8 / 5).min(20_000));
        let mut paths = BTreeSet::new();
        let first = spec.first_date();
        let mut projects: Vec<Project> = (1..)
            .take(count)
            .map(|id| project(id, spec, &runners, &mut paths, &mut rng))
            .collect();
        // A few projects run most of the jobs; which ones has nothing to do with their names.
        let ranks = (0..count).map(|rank| 1.0 / (num::to_f64(num::len_i64(rank)) + 2.5));
        let cumulative = cumulative(ranks);
        scale_lengths(&mut projects, &cumulative, spec);
        Self {
            first,
            projects,
            runners,
            cumulative,
        }
    }

    /// A project that exists on `date`, and its number.
    pub(super) fn project(&self, date: Date, rng: &mut fastrand::Rng) -> Option<(usize, &Project)> {
        for _ in 0..100 {
            let number = pick(&self.cumulative, rng);
            if let Some(project) = self.projects.get(number).filter(|p| p.is_alive(date)) {
                return Some((number, project));
            }
        }
        None
    }
}

fn project(
    id: u64,
    spec: &FleetSpec,
    runners: &Runners,
    paths: &mut BTreeSet<String>,
    rng: &mut fastrand::Rng,
) -> Project {
    let (number, region) = runners.region(rng);
    let (first, last) = (spec.first_date(), spec.until);
    let some_day = |rng: &mut fastrand::Rng| Date(rng.i32(first.0..=last.0));
    let alive = match rng.u8(..20) {
        0..3 => (some_day(rng), last),
        3 => (first, some_day(rng)),
        _ => (first, last),
    };
    let heavy = log_normal(rng, 0.55);
    let long = log_normal(rng, 0.45);
    let mut kinds: Vec<usize> = (0..KINDS.len()).collect();
    rng.shuffle(&mut kinds);
    kinds.truncate(rng.usize(3..=10));
    kinds.sort_unstable();
    let defs = kinds
        .into_iter()
        .filter_map(|kind| def(KINDS.get(kind)?, (heavy, long), number, spec, runners, rng))
        .collect();
    Project {
        id,
        path: path(paths, rng),
        region,
        defs,
        alive,
        nightly: if rng.u8(..3) == 0 { 0.15 } else { 0.0 },
    }
}

fn path(taken: &mut BTreeSet<String>, rng: &mut fastrand::Rng) -> String {
    let word = |words: &[&'static str], at: usize| words.get(at).copied().unwrap_or("x");
    let group = rng.usize(..GROUPS.len()).min(rng.usize(..GROUPS.len()));
    let mut path = format!(
        "{}/{}-{}",
        word(&GROUPS, group),
        word(&FIRST, rng.usize(..FIRST.len())),
        word(&SECOND, rng.usize(..SECOND.len()))
    );
    if taken.contains(&path) {
        path = format!("{path}-{}", taken.len());
    }
    taken.insert(path.clone());
    path
}

fn def(
    kind: &'static Kind,
    (heavy, long): (f64, f64),
    region: usize,
    spec: &FleetSpec,
    runners: &Runners,
    rng: &mut fastrand::Rng,
) -> Option<Def> {
    let memory = MEMORY_MEDIAN_BYTES * kind.memory * heavy * log_normal(rng, 0.35);
    let memory_bytes = memory.clamp(100.0 * MIB, 40_000.0 * MIB);
    let step = (rng.u8(..8) == 0).then(|| Step {
        date: Date(rng.i32(spec.first_date().0..=spec.until.0)),
        memory: if rng.u8(..4) == 0 {
            0.7
        } else {
            1.15 + 0.7 * rng.f64()
        },
        length: 0.8 + 0.8 * rng.f64(),
    });
    let growth = if rng.u8(..6) == 0 { 0.04 } else { 0.004 };
    Some(Def {
        kind,
        slot: runners.slot(region, memory_bytes, rng)?,
        seconds: kind.length * long * log_normal(rng, 0.3),
        memory_bytes,
        growth_per_month: 1.0 + growth * rng.f64(),
        step,
        parallelism: (2.0 * kind.cpu * log_normal(rng, 0.6)).clamp(0.2, 24.0),
        memory_shape: rng.u8(..4),
        fails: 0.01 + 0.14 * rng.f64() * rng.f64(),
        hangs: if rng.u8(..10) == 0 { 0.01 } else { 0.0005 },
        favourites: std::array::from_fn(|_| rng.u16(..584)),
    })
}

/// Makes all lengths longer or shorter until a job has as many rows as was asked for.
fn scale_lengths(projects: &mut [Project], cumulative: &[f64], spec: &FleetSpec) {
    let (mut scrapes, mut shares) = (0.0, 0.0);
    let mut before = 0.0;
    for (project, sum) in projects.iter().zip(cumulative) {
        let weight = sum - before;
        before = *sum;
        let interval = num::to_f64(project.region.scrape_ms) / 1_000.0;
        for def in &project.defs {
            let often = weight * def.kind.share;
            scrapes += often * def.seconds / interval;
            shares += often;
        }
    }
    // A run's length is log-normal around the usual one, and some end early.
    let mean = scrapes / shares * (RUN_SIGMA * RUN_SIGMA / 2.0).exp() * 0.97;
    let wanted = (f64::from(spec.rows_per_job) - 1.0).max(0.5);
    for def in projects.iter_mut().flat_map(|project| &mut project.defs) {
        def.seconds *= wanted / mean;
    }
}
