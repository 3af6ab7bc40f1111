//! What a job makes its machine do, second by second: windows of the recording, changed.
//!
//! A job is a chain of windows of 20 to 120 s, mostly its project's favourite ones, each with its own
//! strength, and idle phases in between. Every second is changed again, independently: equal windows
//! must not become equal bytes, or the corpus would compress better than any real fleet.

use super::trace::{Second, Trace};
use crate::testkit::random::{around, log_normal};

/// Cores of the recorded machine.
const TRACE_CORES: f64 = 2.0;

/// The machine a job runs on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) cores: i32,
    pub(super) memory_pages: f64,
    pub(super) disk_pages: f64,
    pub(super) name: &'static str,
}

const fn shape(cores: i32, gib: f64, name: &'static str) -> Shape {
    Shape {
        cores,
        memory_pages: gib * 262_144.0,
        disk_pages: 100.0 * 262_144.0,
        name,
    }
}

/// The four shapes of the fleet.
pub(super) const SHAPES: [Shape; 4] = [
    shape(2, 8.0, "n2-standard-2"),
    shape(4, 16.0, "n2-standard-4"),
    shape(8, 32.0, "n2-standard-8"),
    shape(16, 64.0, "n2-standard-16"),
];

/// What does not change while a job runs: gauges of the machine at rest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    pub(super) memory_pages: f64,
    pub(super) cache_pages: f64,
    pub(super) filesystem_pages: f64,
}

/// A stretch of the chain.
#[derive(Debug, Clone, Copy)]
struct Segment {
    start: usize,
    left: u32,
    idle: bool,
    cpu: f64,
    network: f64,
    disk: f64,
    memory: f64,
}

/// A job's chain of windows.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    trace: &'a Trace,
    floor: [f64; 5],
    favourites: &'a [usize],
    shape: Shape,
    rest: Rest,
    segment: Segment,
}

impl<'a> Chain<'a> {
    pub(super) fn new(
        trace: &'a Trace,
        favourites: &'a [usize],
        shape: Shape,
        rest: Rest,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let mut chain = Self {
            trace,
            floor: trace.floor(),
            favourites,
            shape,
            rest,
            segment: Segment {
                start: 0,
                left: 0,
                idle: true,
                cpu: 1.0,
                network: 1.0,
                disk: 1.0,
                memory: 0.0,
            },
        };
        chain.segment = chain.next_segment(rng);
        chain
    }

    /// The next second of the job.
    pub(super) fn busy_second(&mut self, rng: &mut fastrand::Rng) -> Second {
        if self.segment.left == 0 {
            self.segment = self.next_segment(rng);
        }
        self.segment.left -= 1;
        self.segment.start += 1;
        if self.segment.idle {
            return self.idle_second(rng);
        }
        let recorded = self.trace.at(self.segment.start);
        self.perturbed(&recorded, rng)
    }

    /// A second in which the machine only waits. Memory and disk stay as they are.
    pub(super) fn idle_second(&self, rng: &mut fastrand::Rng) -> Second {
        let ticks = f64::from(self.shape.cores) * 100.0;
        let user = ticks * 0.008 * (0.3 + rng.f64());
        let system = ticks * 0.005 * (0.3 + rng.f64());
        let idle = ticks * around(rng, 0.002) - user - system;
        let wakes = if rng.u8(..8) == 0 { rng.f64() } else { 0.0 };
        let counters = [
            user,
            system,
            0.0,
            0.0,
            idle,
            background(rng, 600.0),
            background(rng, 1_500.0),
            0.0,
            wakes * 200.0,
            wakes * 12.0,
            rng.f64() * 4_000.0,
            0.0,
            wakes * 5_000.0,
        ];
        let [_, _, disk_floor, _, _] = self.floor;
        let recorded = self.trace.at(self.segment.start);
        let [memory, cache, disk, _, _] = self.grown(&recorded, disk_floor, rng);
        Second {
            counters,
            gauges: [memory, cache, disk, 30.0 * rng.f64(), 1.0],
        }
    }

    fn perturbed(&self, recorded: &Second, rng: &mut fastrand::Rng) -> Second {
        let Segment {
            cpu, network, disk, ..
        } = self.segment;
        let scale = f64::from(self.shape.cores) / TRACE_CORES;
        let [
            user,
            system,
            iowait,
            steal,
            _,
            receive,
            transmit,
            read,
            written,
            io,
            psi_cpu,
            psi_memory,
            psi_io,
        ] = recorded.counters;
        let ticks = f64::from(self.shape.cores) * 100.0 * around(rng, 0.002);
        let user = user * scale * cpu * around(rng, 0.03);
        let system = system * scale * cpu * around(rng, 0.03);
        let spent = user + system + iowait + steal;
        let net = network * around(rng, 0.05);
        let busy_disk = disk * around(rng, 0.05);
        let counters = [
            user,
            system,
            iowait,
            steal,
            (ticks - spent).max(0.0),
            receive * net + background(rng, 600.0),
            transmit * net + background(rng, 1_500.0),
            read * busy_disk,
            written * busy_disk,
            (io * busy_disk).min(1_000.0),
            (psi_cpu * cpu).min(1_000_000.0),
            psi_memory,
            (psi_io * busy_disk).min(1_000_000.0),
        ];
        let [_, _, disk_floor, _, _] = self.floor;
        let [memory, cache, files, load, running] = self.grown(recorded, disk_floor, rng);
        Second {
            counters,
            gauges: [memory, cache, files, load * scale, running],
        }
    }

    /// Gauges on top of the machine's own.
    fn grown(&self, recorded: &Second, disk_floor: f64, rng: &mut fastrand::Rng) -> [f64; 5] {
        let [memory, cache, files, load, running] = recorded.gauges;
        let [memory_floor, cache_floor, ..] = self.floor;
        let total = self.shape.memory_pages;
        let scale = f64::from(self.shape.cores) / TRACE_CORES;
        let strength = self.segment.memory * scale.sqrt();
        let used = self.rest.memory_pages
            + (memory - memory_floor) * strength * around(rng, 0.005)
            + rng.f64() * 64.0;
        let used = used.min(total * 0.97);
        let cached =
            self.rest.cache_pages + (cache - cache_floor) * strength * 0.15 + rng.f64() * 64.0;
        let files = self.rest.filesystem_pages
            + (files - disk_floor) * self.segment.disk
            + rng.f64() * 16.0;
        [
            used,
            cached.min(total - used),
            files.min(self.shape.disk_pages),
            load,
            running,
        ]
    }

    fn next_segment(&self, rng: &mut fastrand::Rng) -> Segment {
        let favourite = rng.choice(self.favourites).copied();
        let start = match favourite {
            // Favourite windows start where the project's work starts, give or take.
            Some(start) if rng.u8(..5) > 0 => start + rng.usize(..10),
            _ => rng.usize(..self.trace.len()),
        };
        Segment {
            start,
            left: rng.u32(20..=120),
            idle: rng.u8(..20) < 3,
            cpu: if rng.u8(..5) < 2 {
                1.0
            } else {
                0.1 + 0.9 * rng.f64()
            },
            network: log_normal(rng, 0.6),
            disk: log_normal(rng, 0.6),
            memory: 0.5 + rng.f64(),
        }
    }
}

/// Traffic that never stops: scrapes, log upload, keep-alives.
fn background(rng: &mut fastrand::Rng, mean: f64) -> f64 {
    -mean * (1.0 - rng.f64()).ln()
}
