//! One machine's life: its state is integrated from scrape to scrape.

use super::plan::Planned;
use super::shape::{self, Rates};
use super::shown::Recorder;
use super::{FleetJob, FleetMachine, FleetSpec, Shape};
use crate::num;
use crate::testkit::random::{around, whole};
use crate::time::{TimeRange, TimestampMs};

/// Cpu modes in the order of [`State::cpu`].
pub(super) const MODES: [&str; 8] = [
    "idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user",
];
/// How busy time is split over the modes from `irq` on; steal is the one that is not used CPU.
const SPLIT: [f64; 6] = [0.002, 0.05, 0.008, 0.02, 0.17, 0.75];
const USED_SHARE: f64 = 0.98;
/// A rebooting machine is off, then boots, and its exporter answers this long after the reboot.
const OFF_MS: i64 = 20_000;
const DOWN_MS: i64 = 40_000;
/// The kernel kills a leaking job this far into it.
const OOM_AT: f64 = 0.98;
const STEP_MS: i64 = 1_000;
const GIB: f64 = 1_073_741_824.0;

/// Received and transmitted bytes.
pub(super) type Traffic = [f64; 2];

/// A container's network device.
#[derive(Debug, Clone)]
pub(super) struct Veth {
    pub(super) job: u64,
    pub(super) name: String,
    pub(super) traffic: Traffic,
}

/// Everything the exporter shows, unrounded.
#[derive(Debug)]
pub(super) struct State {
    pub(super) memory_total: i64,
    pub(super) boot: TimestampMs,
    pub(super) cpu: Vec<[f64; 8]>,
    pub(super) eth: Traffic,
    pub(super) lo: Traffic,
    pub(super) docker: Traffic,
    pub(super) veth: Option<Veth>,
    pub(super) read: f64,
    pub(super) written: f64,
    pub(super) io_seconds: f64,
    pub(super) pressure: [f64; 3],
    pub(super) load: [f64; 3],
    pub(super) filesystem_used: f64,
    pub(super) memory_used: i64,
    pub(super) oom_kills: i64,
    pub(super) rates: Rates,
}

impl State {
    fn booted(cpus: u32, memory_total: i64, boot: TimestampMs) -> Self {
        let rates = shape::idle(f64::from(cpus));
        Self {
            memory_total,
            boot,
            cpu: (0..cpus).map(|_| [0.0; 8]).collect(),
            eth: [0.0; 2],
            lo: [0.0; 2],
            docker: [0.0; 2],
            veth: None,
            read: 0.0,
            written: 0.0,
            io_seconds: 0.0,
            pressure: [0.0; 3],
            load: [0.2, 0.1, 0.05],
            filesystem_used: 4.1e9,
            memory_used: 0,
            oom_kills: 0,
            rates,
        }
    }

    fn cpus(&self) -> f64 {
        num::to_f64(num::len_i64(self.cpu.len()))
    }

    /// Lets `seconds` pass at `rates`; returns the CPU that was used.
    fn pass(&mut self, seconds: f64, rates: Rates) -> f64 {
        let cpus = self.cpus();
        let mut left = rates.cores;
        let mut used = 0.0;
        for core in &mut self.cpu {
            let busy = if rates.one_core {
                left.clamp(0.0, 0.999)
            } else {
                (rates.cores / cpus).min(0.999)
            };
            left -= busy;
            used += busy * USED_SHARE * seconds;
            let iowait = (rates.iowait / cpus).min(1.0 - busy);
            let [idle_now, iowait_now, rest @ ..] = core;
            *idle_now += (1.0 - busy - iowait) * seconds;
            *iowait_now += iowait * seconds;
            for (mode, share) in rest.iter_mut().zip(SPLIT) {
                *mode += busy * share * seconds;
            }
        }
        self.move_bytes(seconds, rates);
        let pressures = [rates.pressure_cpu, rates.pressure_memory, rates.pressure_io];
        for (total, share) in self.pressure.iter_mut().zip(pressures) {
            *total += share.min(1.0) * seconds;
        }
        for (load, window) in self.load.iter_mut().zip([60.0, 300.0, 900.0]) {
            let keep = (-seconds / window).exp();
            *load = *load * keep + rates.cores * (1.0 - keep);
        }
        self.rates = rates;
        used
    }

    fn move_bytes(&mut self, seconds: f64, rates: Rates) {
        let (receive, transmit) = (rates.receive * seconds, rates.transmit * seconds);
        add(&mut self.eth, receive, transmit);
        add(&mut self.lo, 900.0 * seconds, 900.0 * seconds);
        add(&mut self.docker, transmit * 0.9, receive * 0.9);
        if let Some(veth) = &mut self.veth {
            add(&mut veth.traffic, transmit, receive);
        }
        self.read += rates.read * seconds;
        self.written += rates.written * seconds;
        self.io_seconds += ((rates.read + rates.written) / 1.6e8).min(1.0) * seconds;
        self.filesystem_used = (self.filesystem_used + rates.written * seconds * 0.02).min(2.2e10);
    }
}

fn add(traffic: &mut Traffic, receive: f64, transmit: f64) {
    let [received, transmitted] = traffic;
    *received += receive;
    *transmitted += transmit;
}

struct Life {
    state: State,
    jobs: Vec<FleetJob>,
    reboot_at: Option<TimestampMs>,
    cpus: u32,
    veth: bool,
    /// Up to here the state is integrated.
    now: TimestampMs,
    rng: fastrand::Rng,
}

impl Life {
    /// Integrates up to `to`, in steps that never cross a job's edge or the reboot.
    fn advance(&mut self, to: TimestampMs) {
        while self.now < to {
            let next = self.next_edge().min(self.now.plus_ms(STEP_MS)).min(to);
            self.step(next);
            self.now = next;
            if self.reboot_at == Some(next) {
                self.reboot(next);
            }
        }
    }

    fn next_edge(&self) -> TimestampMs {
        self.jobs
            .iter()
            .flat_map(|job| [job.window.from, job.window.to])
            .chain(self.reboot_at)
            .filter(|edge| *edge > self.now)
            .min()
            .unwrap_or(TimestampMs(i64::MAX))
    }

    fn reboot(&mut self, at: TimestampMs) {
        self.now = at.plus_ms(OFF_MS);
        self.state = State::booted(self.cpus, self.state.memory_total, self.now);
        let down = TimeRange::new(at, at.plus_ms(DOWN_MS));
        for job in &mut self.jobs {
            job.rebooted |= job.window.overlap_ms(down) > 0;
        }
    }

    fn step(&mut self, to: TimestampMs) {
        let Self {
            state, jobs, rng, ..
        } = self;
        let seconds = num::to_f64(to.since(self.now)) / 1_000.0;
        let job = jobs.iter_mut().find(|job| job.window.contains(self.now));
        let running = job.as_ref().map(|job| job.id);
        if state.veth.as_ref().map(|veth| veth.job) != running {
            state.veth = running.filter(|_| self.veth).map(|job| Veth {
                job,
                name: format!("veth{:07x}", rng.u32(..1 << 28)),
                traffic: [0.0; 2],
            });
        }
        let Some(job) = job else {
            let rates = shape::idle(state.cpus());
            set_memory(state, rates.memory, rng);
            state.pass(seconds, rates);
            return;
        };
        let length = num::to_f64(job.window.len_ms());
        let progress = |at: TimestampMs| num::to_f64(at.since(job.window.from)) / length;
        let (before, after) = (progress(self.now), progress(to));
        let rates = shape::busy(job.shape, before, state.cpus(), rng);
        set_memory(state, rates.memory, rng);
        job.truth.cpu_used_seconds += state.pass(seconds, rates);
        job.truth.network_receive_bytes += rates.receive * seconds;
        job.truth.memory_used_bytes_max = job.truth.memory_used_bytes_max.max(state.memory_used);
        if job.shape == Shape::Leak && before < OOM_AT && after >= OOM_AT {
            state.oom_kills += 1;
            job.truth.oom_kills += 1;
        }
    }
}

/// Whole pages, with a little noise.
fn set_memory(state: &mut State, share: f64, rng: &mut fastrand::Rng) {
    let used = num::to_f64(state.memory_total) * (share * around(rng, 0.01)).min(0.99);
    state.memory_used = whole(used / 4_096.0) * 4_096;
}

/// Swap in use, of `total`: a leak spills over.
pub(super) fn swap_used(rates: &Rates, total: f64) -> f64 {
    ((rates.memory - 0.8).max(0.0) * 4.0 * GIB).min(total)
}

/// Runs a machine from its creation to its end.
pub(super) fn run(planned: Planned, spec: &FleetSpec) -> (FleetMachine, Vec<FleetJob>) {
    let mut recorder = Recorder::new(&planned.name, spec);
    let interval = spec.scrape_interval_ms;
    let mut life = Life {
        state: State::booted(planned.cpus, planned.memory_total, planned.created),
        jobs: planned.jobs,
        reboot_at: planned.reboot_at,
        cpus: planned.cpus,
        veth: spec.veth,
        now: planned.created,
        rng: planned.rng,
    };
    let since_phase = planned.discovered.0 - planned.phase_ms;
    let mut scrape = planned
        .discovered
        .plus_ms((-since_phase).rem_euclid(interval));
    while scrape < planned.destroyed {
        let late = life.rng.choice([0, 0, 0, 1, 2]).unwrap_or(0);
        let ts = scrape.plus_ms(late);
        life.advance(ts);
        let down = planned
            .reboot_at
            .is_some_and(|at| TimeRange::new(at, at.plus_ms(DOWN_MS)).contains(ts));
        if down {
            recorder.scrape_failed(ts);
        } else {
            recorder.scrape(ts, &life.state);
        }
        scrape = scrape.plus_ms(interval);
    }
    // The unseen tail counts for the truth of the jobs.
    life.advance(planned.destroyed);
    let machine = FleetMachine {
        name: planned.name,
        cpus: planned.cpus,
        seen: TimeRange::new(planned.discovered, planned.destroyed),
        rebooted_at: planned.reboot_at,
        series: recorder.finish(),
    };
    (machine, life.jobs)
}
