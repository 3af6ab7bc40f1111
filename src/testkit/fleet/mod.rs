//! A made-up fleet of CI machines with the truth of every job, as raw series.
//!
//! Machines are autoscaled: some serve one job and are destroyed right after it, others serve several
//! in a row. Every job has one of a few shapes, so a test can check that a profile read back has the
//! shape that was put in, and its usage can be compared with what a perfect observer would have
//! counted ([`Truth`]). The machine's counters are integrated in steps of at most a second and shown
//! as node_exporter shows them: 10 ms ticks, KiB of memory, 512 B sectors, microseconds of pressure.
//!
//! The series go to promtool ([`Fleet::write_open_metrics`]), to VictoriaMetrics
//! ([`Fleet::json_lines`]) or straight into a unit test ([`Fleet::series`]).

mod export;
mod machine;
mod plan;
mod shape;
mod shown;

use crate::source_port::{RawSeries, STALE};
use crate::time::{TimeRange, TimestampMs};

pub use plan::FleetSpec;
pub use shape::Shape;

/// What a perfect observer counted while a job ran.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Truth {
    /// user + nice + system + irq + softirq of all cpus; steal is not used CPU.
    pub cpu_used_seconds: f64,
    /// Received on eth0.
    pub network_receive_bytes: f64,
    /// Largest MemTotal - MemAvailable.
    pub memory_used_bytes_max: i64,
    /// Kills by the kernel.
    pub oom_kills: i64,
}

/// A job of the fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetJob {
    /// Number, from 1.
    pub id: u64,
    /// Its machine's name, without port.
    pub machine: String,
    /// When it ran.
    pub window: TimeRange,
    /// What it did.
    pub shape: Shape,
    /// Its machine was destroyed right after it.
    pub ephemeral: bool,
    /// Its machine rebooted while it ran: the truth cannot be seen through scrapes.
    pub rebooted: bool,
    /// What really happened.
    pub truth: Truth,
}

/// A machine of the fleet and everything its exporter showed.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetMachine {
    /// Name, without port. Its series carry `instance="name:9100"`.
    pub name: String,
    /// Number of cpus.
    pub cpus: u32,
    /// From service discovery to its end.
    pub seen: TimeRange,
    /// When it rebooted, if it did.
    pub rebooted_at: Option<TimestampMs>,
    /// Every series, in no particular order, samples in order of time.
    pub series: Vec<RawSeries>,
}

/// A fleet and its jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// How it was made.
    pub spec: FleetSpec,
    /// The machines.
    pub machines: Vec<FleetMachine>,
    /// The jobs, in order of their end.
    pub jobs: Vec<FleetJob>,
}

impl Fleet {
    /// Makes the fleet of `spec`.
    #[must_use]
    pub fn generate(spec: FleetSpec) -> Self {
        let mut machines = Vec::new();
        let mut jobs = Vec::new();
        for planned in plan::plan(&spec) {
            let (machine, done) = machine::run(planned, &spec);
            machines.push(machine);
            jobs.extend(done);
        }
        jobs.sort_by_key(|job| (job.window.to, job.id));
        Self {
            spec,
            machines,
            jobs,
        }
    }

    /// The series of one machine in `range` (half-open), as a metric source returns them: samples
    /// outside are cut off, series without samples left out. Empty for an unknown machine.
    #[must_use]
    pub fn series(&self, machine: &str, range: TimeRange) -> Vec<RawSeries> {
        self.machines
            .iter()
            .filter(|candidate| candidate.name == machine)
            .flat_map(|machine| &machine.series)
            .map(|series| clipped(series, range))
            .filter(|series| !series.samples.is_empty())
            .collect()
    }

    /// Number of samples, staleness markers included.
    #[must_use]
    pub fn sample_count(&self) -> usize {
        self.machines
            .iter()
            .flat_map(|machine| &machine.series)
            .map(|series| series.samples.len())
            .sum()
    }
}

fn clipped(series: &RawSeries, range: TimeRange) -> RawSeries {
    RawSeries {
        name: series.name.clone(),
        labels: series.labels.clone(),
        samples: series
            .samples
            .iter()
            .copied()
            .filter(|(ts, _)| range.contains(TimestampMs(*ts)))
            .collect(),
    }
}

/// The staleness marker as a sample value.
fn stale() -> f64 {
    f64::from_bits(STALE)
}

#[cfg(test)]
mod tests;
