//! Which machines there are, and which jobs run on them.

use super::shape::Shape;
use super::{FleetJob, Truth};
use crate::num;
use crate::testkit::random::{log_normal, whole};
use crate::time::{TimeRange, TimestampMs};

/// How a fleet is made. [`FleetSpec::default`] is 60 machines for half an hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FleetSpec {
    /// Everything random is a function of it.
    pub seed: u64,
    /// Number of machines.
    pub machines: usize,
    /// When the first machine may appear. promtool makes no blocks of the last 3 h.
    pub start: TimestampMs,
    /// How long machines go on appearing.
    pub duration_ms: i64,
    /// Time between scrapes; single scrapes come up to 2 ms late.
    pub scrape_interval_ms: i64,
    /// Median duration of a job.
    pub median_seconds: f64,
    /// Share of machines that serve one job and are destroyed right after it.
    pub ephemeral_share: f64,
    /// Share of machines that reboot once.
    pub reboot_share: f64,
    /// Service discovery hands out a new machine within this time.
    pub discovery_delay_ms: i64,
    /// Meaningless further counters per machine, to mimic a full node_exporter.
    pub filler_series: usize,
    /// Every job has a veth device of a random name, as the docker executor makes them.
    pub veth: bool,
    /// A destroyed machine's series end with a staleness marker one interval later. Not written to
    /// OpenMetrics, which has no word for it.
    pub stale_markers: bool,
}

impl Default for FleetSpec {
    fn default() -> Self {
        Self {
            seed: 1,
            machines: 60,
            start: TimestampMs(1_772_323_200_000),
            duration_ms: 1_800_000,
            scrape_interval_ms: 15_000,
            median_seconds: 220.0,
            ephemeral_share: 0.25,
            reboot_share: 0.02,
            discovery_delay_ms: 20_000,
            filler_series: 0,
            veth: true,
            stale_markers: false,
        }
    }
}

/// A machine before it runs.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) cpus: u32,
    pub(super) memory_total: i64,
    pub(super) created: TimestampMs,
    pub(super) discovered: TimestampMs,
    pub(super) destroyed: TimestampMs,
    pub(super) reboot_at: Option<TimestampMs>,
    /// Offset of its scrapes in the interval.
    pub(super) phase_ms: i64,
    pub(super) jobs: Vec<FleetJob>,
    /// Its own randomness: one machine more does not change the others.
    pub(super) rng: fastrand::Rng,
}

const GIB: i64 = 1 << 30;
/// Sigma of the durations' logarithm: p95 is 3.7 times the median.
const SIGMA: f64 = 0.8;
const LONGEST_SECONDS: f64 = 3_600.0;
const SHORTEST_SECONDS: f64 = 8.0;

pub(super) fn plan(spec: &FleetSpec) -> Vec<Planned> {
    let mut rng = fastrand::Rng::with_seed(spec.seed);
    let mut first_id = 1;
    (0..spec.machines)
        .map(|index| {
            let machine = plan_machine(spec, index, first_id, rng.fork());
            first_id += num::len_u64(machine.jobs.len());
            machine
        })
        .collect()
}

fn plan_machine(spec: &FleetSpec, index: usize, first_id: u64, mut rng: fastrand::Rng) -> Planned {
    let name = format!(
        "runner-{:08x}-srm-{}",
        rng.u32(..),
        1_600_000_000 + index * 37
    );
    let cpus = if rng.bool() { 2 } else { 4 };
    let ephemeral = rng.f64() < spec.ephemeral_share;
    let count = if ephemeral { 1 } else { rng.usize(3..8) };
    let durations: Vec<i64> = (0..count)
        .map(|_| {
            let seconds = spec.median_seconds * log_normal(&mut rng, SIGMA);
            whole(seconds.clamp(SHORTEST_SECONDS, LONGEST_SECONDS) * 1_000.0)
        })
        .collect();
    let needed: i64 = durations.iter().map(|duration| duration + 60_000).sum();
    let room = (spec.duration_ms - needed - 120_000).max(60_000);
    let created = spec.start.plus_ms(rng.i64(0..room));

    let mut jobs = Vec::new();
    let mut free = created.plus_ms(rng.i64(15_000..45_000));
    for (id, duration) in (first_id..).zip(durations) {
        let window = TimeRange::new(free, free.plus_ms(duration));
        free = window.to.plus_ms(rng.i64(1_000..45_000));
        jobs.push(FleetJob {
            id,
            machine: name.clone(),
            window,
            shape: rng.choice(Shape::ALL).unwrap_or(Shape::Test),
            ephemeral,
            rebooted: false,
            truth: Truth::default(),
        });
    }
    let last = jobs.last().map_or(created, |job| job.window.to);
    let destroyed = last.plus_ms(if ephemeral {
        rng.i64(500..4_000)
    } else {
        rng.i64(30_000..300_000)
    });
    let life = num::to_f64(destroyed.since(created));
    let reboot_at = (rng.f64() < spec.reboot_share)
        .then(|| created.plus_ms(whole(life * (0.3 + 0.4 * rng.f64()))));
    Planned {
        name,
        cpus,
        memory_total: i64::from(cpus) * 4 * GIB - rng.i64(60..200) * (1 << 20),
        created,
        discovered: created.plus_ms(rng.i64(0..spec.discovery_delay_ms.max(1))),
        destroyed,
        reboot_at,
        phase_ms: rng.i64(0..spec.scrape_interval_ms),
        jobs,
        rng,
    }
}
