//! A date's jobs before their samples: pipelines, runners and machines, outcomes, co-tenants.
//!
//! All jobs of a date start and end on it, so dates do not depend on each other.

use super::machines::Pool;
use super::random::{log_normal, mixed, whole};
use super::season;
use super::world::{Def, Project, RUN_SIGMA, World};
use crate::model::archived::CoTenancy;
use crate::num;
use crate::time::{Date, TimeRange, TimestampMs};
use std::ops::Range;

pub(super) const DAY_MS: i64 = 86_400_000;
/// Jobs are ended by force behind this.
const LONGEST_SECONDS: f64 = 7_200.0;
const SHORTEST_SECONDS: f64 = 2.0;
/// No job takes more of its machine's memory than this and lives.
const MEMORY_LIMIT: f64 = 0.93;

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failed,
    /// Killed by the kernel for its memory.
    OutOfMemory,
    /// Did nothing until its time was over.
    TimedOut,
    RunnerFailed,
    Canceled,
}

/// What is wrong with a job's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// Scrapes are missing in the middle.
    Gap,
    /// The machine went before the job's end.
    HostGone,
    /// The machine was never scraped.
    Unknown,
}

/// What pipelines are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GitRef {
    Main,
    Renovate(u16),
    Feature(u16),
    Tag(u16),
}

/// A job as it is planned: small, since a whole date is held at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planned {
    pub(super) project: usize,
    pub(super) def: usize,
    pub(super) runner: usize,
    /// Number of its machine among the runner's: a host's, or the job's own.
    pub(super) machine: u64,
    /// Number of the job in the whole fleet, from 0.
    pub(super) number: u64,
    pub(super) pipeline: u64,
    pub(super) git_ref: GitRef,
    pub(super) created: i64,
    pub(super) queued_ms: i64,
    pub(super) window: TimeRange,
    pub(super) peak_bytes: f64,
    pub(super) outcome: Outcome,
    pub(super) flaw: Flaw,
    pub(super) co_tenancy: CoTenancy,
}

/// Plans the jobs `numbers` of a date, in the order of their ends.
pub(super) fn plan(world: &World, seed: u64, date: Date, numbers: Range<u64>) -> Vec<Planned> {
    let wanted = num::to_usize(numbers.end - numbers.start);
    let day = u64::from(date.0.unsigned_abs());
    let mut rng = fastrand::Rng::with_seed(mixed(&[seed, 2, day]));
    let mut jobs = Vec::with_capacity(wanted + 64);
    let mut pipelines = 0;
    while jobs.len() < wanted {
        let Some((number, project)) = world.project(date, &mut rng) else {
            break;
        };
        pipelines += 1;
        let start = Start {
            project: number,
            pipeline: day * 1_000_000 + pipelines,
            date,
            first: world.first,
        };
        pipeline(world, project, &start, &mut jobs, &mut rng);
    }
    jobs.truncate(wanted);
    jobs.sort_by_key(|job| (job.window.to, job.window.from, job.pipeline, job.def));
    for (job, number) in jobs.iter_mut().zip(numbers) {
        job.number = number;
        if job.machine == OWN_MACHINE {
            job.machine = number;
        }
    }
    share_hosts(world, &mut jobs);
    jobs
}

/// Stands for the job's number until it has one.
const OWN_MACHINE: u64 = u64::MAX;

struct Start {
    project: usize,
    pipeline: u64,
    date: Date,
    first: Date,
}

fn pipeline(
    world: &World,
    project: &Project,
    start: &Start,
    jobs: &mut Vec<Planned>,
    rng: &mut fastrand::Rng,
) {
    let shift = project.region.shift_hours;
    let is_nightly = rng.f64() < project.nightly;
    let created = if is_nightly {
        (2 - shift).rem_euclid(24) * 3_600_000 + rng.i64(0..900_000)
    } else {
        season::time_of_day(shift, rng)
    };
    let git_ref = git_ref(is_nightly, start.date, rng);
    let before = jobs.len();
    let mut clock = created;
    for order in 0..=3 {
        let defs = project.defs.iter().enumerate();
        let mut stage_end = clock;
        let mut failed = false;
        for (number, def) in defs.filter(|(_, def)| def.kind.order == order) {
            if rng.f64() > def.kind.share {
                continue;
            }
            let mut job = job(world, project, start, (number, def), clock, rng);
            job.git_ref = git_ref;
            stage_end = stage_end.max(job.window.to.0);
            failed |= job.outcome != Outcome::Success;
            jobs.push(job);
        }
        if failed && rng.u8(..10) < 7 {
            break;
        }
        clock = stage_end + rng.i64(300..4_000);
    }
    into_the_day(jobs, before, start.date, rng);
}

/// Moves a pipeline so that all of it lies on its date; what cannot is left out.
fn into_the_day(jobs: &mut Vec<Planned>, before: usize, date: Date, rng: &mut fastrand::Rng) {
    let midnight = i64::from(date.0) * DAY_MS;
    let own = jobs.get_mut(before..).unwrap_or_default();
    let end = own.iter().map(|job| job.window.to.0).max().unwrap_or(0);
    let late = (end - DAY_MS + 1).max(0);
    let back = if late > 0 {
        late + rng.i64(0..3_600_000)
    } else {
        0
    };
    for job in own {
        let moved = midnight - back;
        job.created += moved;
        job.window = TimeRange::new(job.window.from.plus_ms(moved), job.window.to.plus_ms(moved));
    }
    let mut position = 0;
    jobs.retain(|job| {
        position += 1;
        position <= before || job.window.from.0 >= midnight
    });
}

fn git_ref(is_nightly: bool, date: Date, rng: &mut fastrand::Rng) -> GitRef {
    // Branches live some days: two or three are begun each day.
    let begun = u16::try_from(date.0.rem_euclid(10_000)).unwrap_or(0);
    match rng.u8(..20) {
        _ if is_nightly => GitRef::Main,
        0..5 => GitRef::Main,
        5..7 => GitRef::Renovate(rng.u16(..40)),
        7 => GitRef::Tag(begun / 7),
        _ => GitRef::Feature((begun.saturating_sub(rng.u16(..6)) * 3 + rng.u16(..3)) % 20_000),
    }
}

fn job(
    world: &World,
    project: &Project,
    start: &Start,
    (number, def): (usize, &Def),
    created: i64,
    rng: &mut fastrand::Rng,
) -> Planned {
    let runner = def.slot.any(rng);
    let pool = world.runners.all.get(runner).map(|runner| runner.pool);
    let hosts = match pool {
        Some(Pool::Hosts(hosts)) => Some(hosts),
        _ => None,
    };
    let machine = hosts.map_or(OWN_MACHINE, |hosts| rng.u64(..hosts));
    let tight = season::tightness(start.date, created, project.region.shift_hours);
    let wait = 1.8 * log_normal(rng, 0.7) * (1.0 + 14.0 * tight.powi(4));
    let queued_ms = whole(wait * 1_000.0).clamp(80, 3_600_000);
    let usual = def.memory_bytes(start.first, start.date) * log_normal(rng, 0.12);
    let room = num::to_f64(def.slot.machine.memory_bytes) * MEMORY_LIMIT - 6e8;
    let usual_seconds = def.seconds(start.date) * log_normal(rng, RUN_SIGMA);
    let (outcome, seconds) = outcome(def, usual > room, usual_seconds, rng);
    let seconds = seconds.clamp(SHORTEST_SECONDS, LONGEST_SECONDS);
    let from = created + queued_ms;
    let flaw = match rng.u16(..1_000) {
        0..3 => Flaw::Unknown,
        3..9 => Flaw::Gap,
        9..12 if hosts.is_none() => Flaw::HostGone,
        _ => Flaw::None,
    };
    Planned {
        project: start.project,
        def: number,
        runner,
        machine,
        number: 0,
        pipeline: start.pipeline,
        git_ref: GitRef::Main,
        created,
        queued_ms,
        window: TimeRange::new(
            TimestampMs(from),
            TimestampMs(from + whole(seconds * 1_000.0)),
        ),
        peak_bytes: usual.min(room),
        outcome,
        flaw,
        co_tenancy: CoTenancy::default(),
    }
}

/// How a job ends, and after how many seconds.
fn outcome(def: &Def, is_too_large: bool, usual: f64, rng: &mut fastrand::Rng) -> (Outcome, f64) {
    let luck = rng.f64();
    if is_too_large && rng.u8(..3) == 0 {
        (Outcome::OutOfMemory, usual * (0.4 + 0.5 * rng.f64()))
    } else if luck < def.hangs {
        (Outcome::TimedOut, 3_600.0)
    } else if luck < def.hangs + 0.001 {
        (Outcome::RunnerFailed, usual * rng.f64())
    } else if luck < def.hangs + 0.015 {
        (Outcome::Canceled, usual * rng.f64())
    } else if luck < def.hangs + 0.015 + def.fails {
        (Outcome::Failed, usual * (0.15 + 0.85 * rng.f64()))
    } else {
        (Outcome::Success, usual)
    }
}

/// Finds the co-tenants on the hosts that stay.
fn share_hosts(world: &World, jobs: &mut [Planned]) {
    let is_host = |job: &Planned| {
        let runner = world.runners.all.get(job.runner);
        runner.is_some_and(|runner| runner.pool != Pool::Autoscaled)
    };
    let mut shared: Vec<&mut Planned> = jobs.iter_mut().filter(|job| is_host(job)).collect();
    shared.sort_by_key(|job| (job.runner, job.machine, job.window.from, job.number));
    for host in shared.chunk_by_mut(|a, b| (a.runner, a.machine) == (b.runner, b.machine)) {
        let windows: Vec<TimeRange> = host.iter().map(|job| job.window).collect();
        for (own, job) in host.iter_mut().enumerate() {
            job.co_tenancy = co_tenancy(own, &windows);
        }
    }
}

/// How many of the windows, which are sorted by their starts, touch one of them, and for how long.
fn co_tenancy(own: usize, windows: &[TimeRange]) -> CoTenancy {
    let Some(window) = windows.get(own).copied() else {
        return CoTenancy::default();
    };
    let mut found = CoTenancy::default();
    let mut reached = window.from;
    let others = windows.iter().enumerate().filter(|(at, _)| *at != own);
    for (_, other) in others.take_while(|(_, other)| other.from < window.to) {
        if other.overlap_ms(window) > 0 {
            found.count += 1;
            let alone = TimeRange::new(other.from.max(reached), other.to.min(window.to));
            found.overlap_ms += alone.len_ms();
            reached = reached.max(other.to.min(window.to));
        }
    }
    found
}
