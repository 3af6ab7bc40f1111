//! What a job makes its machine do between two scrapes: windows of the recording, changed.
//!
//! The recording is summed up beforehand, so that an interval costs the same whatever its length. Each
//! cell is changed by itself: equal windows must not become equal bytes, or the archive would compress
//! better than a real one.

use super::day::{Outcome, Planned};
use super::machines::Runner;
use super::random::{around, log_normal};
use super::trace::{Second, Trace};
use super::world::Def;
use crate::num;

/// Counters and gauges of the recording.
pub(super) const COUNTERS: usize = 13;
/// Cores of the recorded machine.
const TRACE_CORES: f64 = 2.0;
pub(super) const PAGE: f64 = 4_096.0;
/// The longest interval between two scrapes, in seconds.
const SECONDS_MAX: usize = 60;

/// The recording with running sums of its counters.
#[derive(Debug)]
pub(super) struct Recording {
    trace: Trace,
    sums: Vec<[f64; COUNTERS]>,
    floor: [f64; 5],
    /// How far memory rises above its floor.
    memory_span: f64,
}

impl Recording {
    pub(super) fn load() -> Self {
        let trace = Trace::load();
        let mut sum = [0.0; COUNTERS];
        let mut sums = vec![sum];
        for second in 0..trace.len() + SECONDS_MAX {
            for (sum, amount) in sum.iter_mut().zip(trace.at(second).counters) {
                *sum += amount;
            }
            sums.push(sum);
        }
        let floor = trace.floor();
        let memory = |second: usize| trace.at(second).gauges.first().copied().unwrap_or(0.0);
        let top = (0..trace.len()).map(memory).fold(0.0, f64::max);
        let memory_span = top - floor.first().copied().unwrap_or(0.0);
        Self {
            trace,
            sums,
            floor,
            memory_span,
        }
    }

    /// Increments from second `start` on, and the last second's gauges.
    fn window(&self, start: usize, seconds: usize) -> Second {
        let start = start % self.trace.len().max(1);
        let end = start + seconds.min(SECONDS_MAX);
        let mut window = self.trace.at(end.saturating_sub(1));
        if let (Some(from), Some(to)) = (self.sums.get(start), self.sums.get(end)) {
            for ((amount, from), to) in window.counters.iter_mut().zip(from).zip(to) {
                *amount = to - from;
            }
        }
        window
    }
}

/// A stretch of the job.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    start: usize,
    left: u32,
    idle: bool,
    cpu: f64,
    network: f64,
    disk: f64,
}

/// What a scrape sees, in the recording's units, and what the recording does not have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) counters: [f64; COUNTERS],
    pub(super) gauges: [f64; 5],
    /// Ticks of the busiest core.
    pub(super) busiest: f64,
    pub(super) swap_bytes: f64,
    pub(super) oom_kills: f64,
    pub(super) blocked: f64,
}

/// A job's load, interval by interval.
#[derive(Debug)]
pub(super) struct Load<'a> {
    recording: &'a Recording,
    def: &'a Def,
    outcome: Outcome,
    cores: f64,
    /// Cores that the job can use of them, by the recording's two.
    scale: f64,
    total_pages: f64,
    disk_pages: f64,
    peak_pages: f64,
    /// The machine at rest: memory, cache, files.
    rest: [f64; 3],
    stretch: Stretch,
    is_killed: bool,
}

impl<'a> Load<'a> {
    pub(super) fn new(
        recording: &'a Recording,
        def: &'a Def,
        runner: &Runner,
        planned: &Planned,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let machine = runner.machine;
        let total_pages = num::to_f64(machine.memory_bytes) / PAGE;
        let disk_pages = num::to_f64(machine.disk_bytes) / PAGE;
        let cores = f64::from(machine.cores);
        let mut load = Self {
            recording,
            def,
            outcome: planned.outcome,
            cores,
            scale: def.parallelism.min(cores) / TRACE_CORES,
            total_pages,
            disk_pages,
            peak_pages: planned.peak_bytes / PAGE,
            rest: [
                60_000.0 + 40_000.0 * rng.f64(),
                total_pages * (0.08 + 0.2 * rng.f64()),
                disk_pages * (0.1 + 0.4 * rng.f64()),
            ],
            stretch: Stretch {
                start: 0,
                left: 0,
                idle: false,
                cpu: 1.0,
                network: 1.0,
                disk: 1.0,
            },
            is_killed: false,
        };
        load.stretch = load.next_stretch(rng);
        load
    }

    fn next_stretch(&self, rng: &mut fastrand::Rng) -> Stretch {
        let favourite = rng.choice(self.def.favourites).map_or(0, usize::from);
        // Favourite windows start where the project's work starts, give or take.
        let start = if rng.u8(..5) > 0 {
            favourite + rng.usize(..10)
        } else {
            rng.usize(..self.recording.trace.len().max(1))
        };
        Stretch {
            start,
            left: rng.u32(2..10),
            idle: rng.u8(..20) < 3,
            cpu: if rng.u8(..5) < 2 {
                1.0
            } else {
                0.1 + 0.9 * rng.f64()
            },
            network: self.def.kind.network * log_normal(rng, 0.6),
            disk: self.def.kind.disk * log_normal(rng, 0.6),
        }
    }

    /// The machine in `seconds` of which the job runs in the share `busy`; `progress` is the part of
    /// the job that is over at their end.
    pub(super) fn interval(
        &mut self,
        seconds: f64,
        busy: f64,
        progress: f64,
        rng: &mut fastrand::Rng,
    ) -> Seen {
        if self.stretch.left == 0 {
            self.stretch = self.next_stretch(rng);
        }
        self.stretch.left -= 1;
        let whole_seconds = super::random::whole(seconds).clamp(1, 60);
        let recorded = self.recording.window(
            self.stretch.start,
            num::to_usize(whole_seconds.unsigned_abs()),
        );
        self.stretch.start += num::to_usize(whole_seconds.unsigned_abs());
        let hangs = self.outcome == Outcome::TimedOut && progress > 0.1;
        let share = if self.stretch.idle || hangs {
            0.0
        } else {
            busy
        };
        let mut seen = self.at_rest(seconds, rng);
        if share > 0.0 {
            self.work(&mut seen, &recorded, share, rng);
        }
        self.spend(&mut seen, seconds, rng);
        self.gauges(&mut seen, &recorded, busy, progress, rng);
        seen
    }

    /// What never stops: the kernel, scrapes, log upload, keep-alives.
    fn at_rest(&self, seconds: f64, rng: &mut fastrand::Rng) -> Seen {
        let ticks = self.cores * 100.0 * seconds;
        let background =
            |rng: &mut fastrand::Rng, mean: f64| -mean * seconds * (1.0 - rng.f64()).ln();
        let counters = [
            ticks * 0.008 * (0.3 + rng.f64()),
            ticks * 0.005 * (0.3 + rng.f64()),
            0.0,
            0.0,
            0.0,
            background(rng, 600.0),
            background(rng, 1_500.0),
            0.0,
            20.0 * seconds * rng.f64(),
            1.2 * seconds * rng.f64(),
            400.0 * seconds * rng.f64(),
            0.0,
            500.0 * seconds * rng.f64(),
        ];
        Seen {
            counters,
            ..Seen::default()
        }
    }

    /// Adds what the job does.
    fn work(&self, seen: &mut Seen, recorded: &Second, share: f64, rng: &mut fastrand::Rng) {
        let Stretch {
            cpu, network, disk, ..
        } = self.stretch;
        let cpu = self.scale * cpu * share;
        let (network, disk) = (network * share, disk * share);
        let factors = [
            cpu, cpu, disk, share, 0.0, network, network, disk, disk, disk, cpu, share, disk,
        ];
        let amounts = recorded.counters.iter().zip(factors);
        for (counter, (amount, factor)) in seen.counters.iter_mut().zip(amounts) {
            *counter += amount * factor * around(rng, 0.02);
        }
    }

    /// No machine has more time than there is; what is left is idle.
    fn spend(&self, seen: &mut Seen, seconds: f64, rng: &mut fastrand::Rng) {
        let ticks = self.cores * 100.0 * seconds;
        let [
            user,
            system,
            iowait,
            steal,
            idle,
            _,
            _,
            _,
            _,
            io,
            cpu,
            memory,
            waiting,
        ] = &mut seen.counters;
        let spent = *user + *system + *iowait + *steal;
        if spent > 0.98 * ticks {
            let share = 0.98 * ticks / spent;
            for part in [&mut *user, system, iowait, steal] {
                *part *= share;
            }
        }
        let used = *user + *system;
        *idle = (ticks * around(rng, 0.001) - used - *iowait - *steal).max(0.0);
        *io = io.min(1_000.0 * seconds);
        for pressure in [cpu, memory, waiting] {
            *pressure = pressure.min(1e6 * seconds);
        }
        let at_once = self.def.parallelism.clamp(1.0, self.cores);
        let uneven = 1.0 + 0.25 * rng.f64();
        seen.busiest = (used / at_once * uneven).min(100.0 * seconds).min(used);
        seen.blocked = (*iowait / (100.0 * seconds) * 3.0).floor();
    }

    fn gauges(
        &mut self,
        seen: &mut Seen,
        recorded: &Second,
        busy: f64,
        progress: f64,
        rng: &mut fastrand::Rng,
    ) {
        let [memory, cache, files, load, running] = recorded.gauges;
        let [memory_floor, cache_floor, files_floor, _, _] = self.recording.floor;
        let [rest, rest_cache, rest_files] = self.rest;
        let swing = (memory - memory_floor) / self.recording.memory_span.max(1.0);
        let grown = if busy > 0.0 {
            self.memory(progress, swing)
        } else {
            0.0
        };
        let mut used = rest + grown * around(rng, 0.008);
        if self.outcome == Outcome::OutOfMemory && progress > 0.9 && busy > 0.0 {
            used = self.total_pages * (0.965 + 0.02 * rng.f64());
            seen.oom_kills = if self.is_killed { 0.0 } else { 1.0 };
            self.is_killed = true;
        }
        used = used.min(self.total_pages * 0.99);
        let tight = (used / self.total_pages - 0.9).max(0.0);
        if let Some(pressure) = seen.counters.get_mut(11) {
            *pressure += tight * 5e6 * around(rng, 0.5);
        }
        let cached = rest_cache + (cache - cache_floor) * 0.15 * self.stretch.disk * progress;
        let written = (files - files_floor) * self.stretch.disk.min(3.0) * progress;
        let working = if self.stretch.idle { 0.0 } else { busy };
        seen.gauges = [
            used,
            cached.min(self.total_pages - used).max(0.0),
            (rest_files + written + 16.0 * rng.f64()).min(self.disk_pages),
            load * self.scale * working * around(rng, 0.05) + 20.0 * rng.f64(),
            (running * working).max(1.0),
        ];
    }

    /// Pages that the job uses, by the part of it that is over and how the recording swings (0 to 1).
    fn memory(&self, progress: f64, swing: f64) -> f64 {
        let share = match self.def.memory_shape {
            // Up at once, then level.
            0 => (progress * 10.0).min(1.0) * (0.85 + 0.15 * swing),
            // Ever more.
            1 => 0.2 + 0.8 * progress,
            // A peak when all is linked together.
            2 if (0.7..0.85).contains(&progress) => 1.0,
            2 => 0.3 + 0.25 * swing,
            // Up and down.
            _ => (progress * 6.0).min(1.0) * (0.45 + 0.55 * swing),
        };
        self.peak_pages * share
    }
}
