//! Who runs what, where and when.

use super::INTERVAL_MS;
use super::load::{Chain, Rest, SHAPES, Shape};
use super::rows;
use super::trace::{COUNTERS, Second, Trace};
use crate::model::archived::{ArchivedJob, CoTenancy, Findings, Host, JobRow, Placement, RowKeys};
use crate::model::id::{JobKey, ProjectKey, RegionName, RunnerKey};
use crate::model::job::{JobFacts, JobStatus, Section};
use crate::model::machine::Machine;
use crate::model::state::Verdict;
use crate::num;
use crate::testkit::random::{log_normal, whole};
use crate::time::{TimeRange, TimestampMs};

const PROJECTS: usize = 285;
const RUNNERS: usize = 40;
const MACHINES: usize = 200;
/// The first scrape of the corpus: 2026-03-02 00:00:00 UTC. 20,000 jobs take the machines about nine
/// hours, so they all end on one date.
const EPOCH_MS: i64 = 1_772_409_600_000;
const MEDIAN_SECONDS: f64 = 180.0;
/// sqrt(2 ln(295 / 180)): the mean of a log-normal is median x exp(sigma^2 / 2).
const SIGMA: f64 = 0.994;
const LONGEST_SECONDS: f64 = 3_600.0;

#[derive(Debug)]
struct Project {
    /// Where its favourite windows start in the recording.
    favourites: Vec<usize>,
    /// What its jobs keep in memory, as a share of the machine.
    memory_share: f64,
    names: usize,
}

/// A machine: jobs run on it one after the other.
#[derive(Debug)]
pub(super) struct Runner {
    shape: Shape,
    rest: Rest,
    phase_ms: i64,
    free_at: i64,
    /// Counters since boot, in the units of the recording.
    pub(super) since_boot: [f64; 13],
}

/// All of it.
#[derive(Debug)]
pub(super) struct Fleet {
    rng: fastrand::Rng,
    trace: Trace,
    projects: Vec<Project>,
    hosts: Vec<Runner>,
    jitter: bool,
    jobs: u64,
}

impl Fleet {
    pub(super) fn new(seed: u64, jitter: bool) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let trace = Trace::load();
        let projects = (0..PROJECTS)
            .map(|_| Project {
                favourites: (0..rng.usize(3..=6))
                    .map(|_| rng.usize(..trace.len()))
                    .collect(),
                memory_share: 0.03 + 0.25 * rng.f64(),
                names: rng.usize(2..=8),
            })
            .collect();
        let hosts = (0..MACHINES).map(|_| host(&mut rng)).collect();
        Self {
            rng,
            trace,
            projects,
            hosts,
            jitter,
            jobs: 0,
        }
    }

    /// The next job, on the machine that is free first.
    pub(super) fn next_job(&mut self) -> Option<ArchivedJob> {
        let rng = &mut self.rng;
        // A few projects run most of the jobs.
        let popular = rng.f64() * rng.f64();
        let number = num::to_usize(scaled(popular, PROJECTS)).min(PROJECTS - 1);
        let project = self.projects.get(number)?;
        let (machine, host) = self
            .hosts
            .iter_mut()
            .enumerate()
            .min_by_key(|(_, host)| host.free_at)?;
        let seconds = (MEDIAN_SECONDS * log_normal(rng, SIGMA)).clamp(1.0, LONGEST_SECONDS);
        let started = host.free_at + rng.i64(1_000..30_000);
        let finished = started + whole(seconds * 1_000.0);
        let window = TimeRange::new(TimestampMs(started), TimestampMs(finished));

        let base_ts = last_scrape(started, host.phase_ms);
        host.rest_until(base_ts, rng);
        let rest = Rest {
            memory_pages: host.rest.memory_pages + host.shape.memory_pages * project.memory_share,
            ..host.rest
        };
        let chain = Chain::new(&self.trace, &project.favourites, host.shape, rest, rng);
        let made = rows::make(chain, host, (base_ts, window), self.jitter, rng);
        host.free_at = finished;
        // What the job left behind on the disk.
        host.rest.filesystem_pages += rng.f64() * 2_000.0;

        self.jobs += 1;
        let place = Place {
            job: self.jobs,
            project: number,
            runner: machine % RUNNERS,
            machine,
        };
        let facts = facts(&place, project, window, rng);
        Some(ArchivedJob {
            row: job_row(&place, host.shape, facts, made.findings),
            profile: made.profile,
        })
    }
}

impl Runner {
    /// Lets the machine idle up to a scrape: its counters run on.
    fn rest_until(&mut self, ts: i64, rng: &mut fastrand::Rng) {
        let seconds = num::to_f64((ts - self.free_at).max(0)) / 1_000.0;
        let idle = f64::from(self.shape.cores) * 100.0 * seconds;
        let amounts = [
            idle * 0.008,
            idle * 0.005,
            0.0,
            0.0,
            idle * 0.987,
            seconds * 600.0 * rng.f64() * 2.0,
            seconds * 1_500.0 * rng.f64() * 2.0,
        ];
        for (counter, amount) in self.since_boot.iter_mut().zip(amounts) {
            *counter += amount;
        }
    }

    /// Counts a second (or a part of one).
    pub(super) fn count(&mut self, second: &Second, share: f64) {
        for (counter, amount) in self.since_boot.iter_mut().zip(second.counters) {
            *counter += amount * share;
        }
    }

    /// What the counters show, in cells.
    pub(super) fn shown(&self) -> [i64; 13] {
        let mut cells = [0; 13];
        for ((cell, counter), (_, unit)) in cells.iter_mut().zip(self.since_boot).zip(COUNTERS) {
            *cell = whole(counter) * unit;
        }
        cells
    }
}

fn host(rng: &mut fastrand::Rng) -> Runner {
    // Small machines are the many: 12 : 6 : 1 : 1.
    let [small, medium, large, huge] = SHAPES;
    let shape = match rng.u8(..20) {
        0..12 => small,
        12..18 => medium,
        18 => large,
        _ => huge,
    };
    let rest = Rest {
        memory_pages: 60_000.0 + 60_000.0 * rng.f64(),
        cache_pages: shape.memory_pages * (0.1 + 0.2 * rng.f64()),
        filesystem_pages: shape.disk_pages * (0.1 + 0.5 * rng.f64()),
    };
    let mut since_boot = [0.0; 13];
    for counter in &mut since_boot {
        *counter = 1e7 * rng.f64();
    }
    Runner {
        shape,
        rest,
        phase_ms: rng.i64(0..INTERVAL_MS),
        free_at: EPOCH_MS + rng.i64(0..60_000),
        since_boot,
    }
}

/// The last scrape at or before `ts` on a grid of that phase.
fn last_scrape(ts: i64, phase_ms: i64) -> i64 {
    ts - (ts - phase_ms).rem_euclid(INTERVAL_MS)
}

fn scaled(share: f64, of: usize) -> u64 {
    let value = whole(share * num::to_f64(num::len_i64(of)));
    u64::try_from(value).unwrap_or(0)
}

/// Numbers of everything a job belongs to.
struct Place {
    job: u64,
    project: usize,
    runner: usize,
    machine: usize,
}

fn job_row(place: &Place, shape: Shape, facts: JobFacts, mut findings: Findings) -> JobRow {
    findings.host = Host {
        cpu_count: Some(shape.cores),
        memory_total_bytes: Some(whole(shape.memory_pages) * 4_096),
        filesystem_size_bytes: Some(whole(shape.disk_pages) * 4_096),
    };
    findings.verdict = Some(if findings.sample_count < 2 {
        Verdict::TooShort
    } else {
        Verdict::Complete
    });
    JobRow {
        keys: RowKeys {
            project: ProjectKey(num::len_i64(place.project) + 1),
            job: JobKey(i64::try_from(place.job).unwrap_or(i64::MAX)),
            part: 0,
            runner: Some(RunnerKey(num::len_i64(place.runner) + 1)),
        },
        job: crate::testkit::jobs::job_ref(&(9_000_000_000 + place.job).to_string()),
        facts,
        placement: Placement {
            region: RegionName::parse("eu-1").ok(),
            machine_type: Some(shape.name.to_owned()),
            price_per_hour_micro: Some(i64::from(shape.cores) * 48_500),
        },
        findings,
        co_tenancy: CoTenancy::default(),
        amended_at: None,
        first_seen: None,
    }
}

fn facts(place: &Place, project: &Project, window: TimeRange, rng: &mut fastrand::Rng) -> JobFacts {
    const NAMES: [&str; 8] = [
        "build",
        "unit",
        "lint",
        "rspec 1/4",
        "e2e",
        "package",
        "deploy",
        "docs",
    ];
    let failed = rng.u8(..10) == 0;
    let main = rng.u8(..4) == 0;
    let queued_ms = whole(4_000.0 * log_normal(rng, 1.0));
    JobFacts {
        status: Some(if failed {
            JobStatus::Failed
        } else {
            JobStatus::Success
        }),
        project: Some(format!(
            "group-{}/project-{}",
            place.project % 37,
            place.project
        )),
        project_id: Some((4_000 + place.project).to_string()),
        pipeline_id: Some((70_000 + place.job / 6).to_string()),
        name: rng
            .choice(NAMES.iter().take(project.names))
            .map(|name| (*name).to_owned()),
        stage: Some("test".to_owned()),
        git_ref: Some(if main {
            "main".to_owned()
        } else {
            format!("feature-{}", rng.u16(..500))
        }),
        sha: Some(format!(
            "{:016x}{:016x}{:08x}",
            rng.u64(..),
            rng.u64(..),
            rng.u32(..)
        )),
        failure_reason: failed.then(|| "script_failure".to_owned()),
        runner_id: Some((40_000 + place.runner).to_string()),
        runner_description: Some(format!("saas-linux-{}", place.runner)),
        runner_tags: Some(vec!["docker".to_owned(), "linux".to_owned()]),
        machine: Machine::parse(&format!("runner-{}-m{:03}", place.runner, place.machine)).ok(),
        executor: Some("docker+machine".to_owned()),
        web_url: None,
        created_at: Some(window.from.plus_ms(-queued_ms - 1_500)),
        started_at: Some(window.from),
        finished_at: Some(window.to),
        queued_ms: Some(queued_ms),
        sections: Some(sections(window, rng)),
        in_whole_seconds: false,
    }
}

/// The log sections of a GitLab job: short ones around the script.
fn sections(window: TimeRange, rng: &mut fastrand::Rng) -> Vec<Section> {
    let mut from = window.from;
    let length = window.len_ms();
    let mut section = |name: &str, to: TimestampMs| {
        let range = TimeRange::new(from, to.min(window.to));
        from = range.to;
        Section {
            name: name.to_owned(),
            range,
        }
    };
    let mut short = |at: TimestampMs| at.plus_ms(rng.i64(0..=length / 20));
    let prepared = short(window.from);
    let cloned = short(prepared);
    let restored = short(cloned);
    vec![
        section("prepare_executor", prepared),
        section("get_sources", cloned),
        section("restore_cache", restored),
        section("step_script", window.to.plus_ms(-length / 20).max(restored)),
        section("cleanup_file_variables", window.to),
    ]
}
