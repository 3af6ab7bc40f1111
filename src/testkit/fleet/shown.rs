//! What node_exporter shows of a state, and how Prometheus records it.

use super::machine::{MODES, State, swap_used};
use super::{FleetSpec, stale};
use crate::num;
use crate::source_port::{RawSeries, is_stale};
use crate::testkit::random::whole;
use crate::time::TimestampMs;

const SECTOR: f64 = 512.0;
/// Writable root, writable boot partition, and a full read-only image that must not count.
const MOUNTS: [(&str, &str, &str, f64); 3] = [
    ("/dev/sda1", "ext4", "/", 26.2e9),
    ("/dev/sda15", "vfat", "/boot/efi", 1.09e8),
    ("/dev/loop0", "squashfs", "/snap/core/1", 1.2e8),
];
const BUFFERS: f64 = 61_440_000.0;

/// Takes samples in the order in which a scrape shows them: the k-th is always the same series.
pub(super) struct Recorder {
    machine: String,
    filler: usize,
    mark_stale: bool,
    interval_ms: i64,
    stable: Vec<RawSeries>,
    veth: Vec<RawSeries>,
    next: usize,
    last: Option<TimestampMs>,
}

impl Recorder {
    pub(super) fn new(machine: &str, spec: &FleetSpec) -> Self {
        Self {
            machine: machine.to_owned(),
            filler: spec.filler_series,
            mark_stale: spec.stale_markers,
            interval_ms: spec.scrape_interval_ms,
            stable: Vec::new(),
            veth: Vec::new(),
            next: 0,
            last: None,
        }
    }

    /// A scrape that worked.
    pub(super) fn scrape(&mut self, ts: TimestampMs, state: &State) {
        self.next = 0;
        self.last = Some(ts);
        self.put(ts, "up", &[], 1.0);
        self.put(ts, "scrape_duration_seconds", &[], 0.021);
        self.cpu(ts, state);
        self.memory(ts, state);
        self.network(ts, state);
        self.disk(ts, state);
        self.kernel(ts, state);
        for number in 0..self.filler {
            let factor = num::len_i64(number) + 1;
            let value = (ts.0 / 1_000 * factor).rem_euclid(100_003);
            let name = format!("node_filler_{number}_total");
            self.put(ts, &name, &[], num::to_f64(value));
        }
        self.veth(ts, state);
    }

    /// A scrape that did not: only `up` has a sample.
    pub(super) fn scrape_failed(&mut self, ts: TimestampMs) {
        self.last = Some(ts);
        self.next = 0;
        self.put(ts, "up", &[], 0.0);
        if self.mark_stale {
            end(self.stable.iter_mut().skip(1).chain(&mut self.veth), ts);
        }
    }

    /// Everything recorded. The target has left service discovery.
    pub(super) fn finish(mut self) -> Vec<RawSeries> {
        if let (true, Some(last)) = (self.mark_stale, self.last) {
            let ts = last.plus_ms(self.interval_ms);
            end(self.stable.iter_mut().chain(&mut self.veth), ts);
        }
        self.stable.append(&mut self.veth);
        self.stable
    }

    fn put(&mut self, ts: TimestampMs, name: &str, labels: &[(&str, &str)], value: f64) {
        if self.stable.len() == self.next {
            let series = new_series(&self.machine, name, labels);
            self.stable.push(series);
        }
        if let Some(series) = self.stable.get_mut(self.next) {
            series.samples.push((ts.0, value));
        }
        self.next += 1;
    }

    fn cpu(&mut self, ts: TimestampMs, state: &State) {
        for (cpu, modes) in state.cpu.iter().enumerate() {
            let cpu = cpu.to_string();
            for (mode, seconds) in MODES.iter().zip(modes) {
                let labels = [("cpu", cpu.as_str()), ("mode", mode)];
                self.put(
                    ts,
                    "node_cpu_seconds_total",
                    &labels,
                    rounded(*seconds, 100.0),
                );
            }
        }
    }

    fn memory(&mut self, ts: TimestampMs, state: &State) {
        let total = num::to_f64(state.memory_total);
        let available = total - num::to_f64(state.memory_used);
        let cached = pages(available * 0.35);
        let reclaimable = pages(available * 0.05);
        let buffers = BUFFERS.min(available - cached - reclaimable);
        // Half of the fleet has swap.
        let swap = if state.cpu.len() > 2 {
            2_147_483_648.0
        } else {
            0.0
        };
        let values = [
            ("MemTotal", total),
            ("MemAvailable", available),
            ("MemFree", available - cached - reclaimable - buffers),
            ("Cached", cached),
            ("Buffers", buffers),
            ("SReclaimable", reclaimable),
            ("SwapTotal", swap),
            ("SwapFree", swap - pages(swap_used(&state.rates, swap))),
        ];
        for (name, value) in values {
            self.put(ts, &format!("node_memory_{name}_bytes"), &[], value);
        }
    }

    fn network(&mut self, ts: TimestampMs, state: &State) {
        let devices = [
            ("eth0", state.eth),
            ("lo", state.lo),
            ("docker0", state.docker),
        ];
        for (device, [receive, transmit]) in devices {
            let labels = [("device", device)];
            self.put(ts, RECEIVE, &labels, receive.floor());
            self.put(ts, TRANSMIT, &labels, transmit.floor());
        }
    }

    fn disk(&mut self, ts: TimestampMs, state: &State) {
        // The logical volume dm-0 lies on sda: whoever adds both counts twice.
        for device in ["sda", "dm-0"] {
            let labels = [("device", device)];
            let read = rounded(state.read, 1.0 / SECTOR);
            let written = rounded(state.written, 1.0 / SECTOR);
            let busy = rounded(state.io_seconds, 1_000.0);
            self.put(ts, "node_disk_read_bytes_total", &labels, read);
            self.put(ts, "node_disk_written_bytes_total", &labels, written);
            self.put(ts, "node_disk_io_time_seconds_total", &labels, busy);
        }
        for (device, fstype, mountpoint, size) in MOUNTS {
            let labels = [
                ("device", device),
                ("fstype", fstype),
                ("mountpoint", mountpoint),
            ];
            let (used, readonly) = match fstype {
                "ext4" => (pages(state.filesystem_used), 0.0),
                "vfat" => (6_291_456.0, 0.0),
                _ => (size, 1.0),
            };
            self.put(ts, "node_filesystem_size_bytes", &labels, size);
            self.put(ts, "node_filesystem_avail_bytes", &labels, size - used);
            self.put(ts, "node_filesystem_readonly", &labels, readonly);
        }
    }

    fn kernel(&mut self, ts: TimestampMs, state: &State) {
        for (name, load) in ["node_load1", "node_load5", "node_load15"]
            .iter()
            .zip(state.load)
        {
            self.put(ts, name, &[], rounded(load, 100.0));
        }
        for (what, seconds) in ["cpu", "memory", "io"].iter().zip(state.pressure) {
            let name = format!("node_pressure_{what}_waiting_seconds_total");
            self.put(ts, &name, &[], rounded(seconds, 1e6));
        }
        let boot = num::to_f64(state.boot.0.div_euclid(1_000));
        let machine = self.machine.clone();
        self.put(
            ts,
            "node_vmstat_oom_kill",
            &[],
            num::to_f64(state.oom_kills),
        );
        self.put(ts, "node_boot_time_seconds", &[], boot);
        self.put(ts, "node_procs_running", &[], state.rates.processes.floor());
        self.put(
            ts,
            "node_procs_blocked",
            &[],
            (state.rates.iowait * 3.0).floor(),
        );
        self.put(ts, "node_uname_info", &[("nodename", &machine)], 1.0);
    }

    /// The running job's device; the one before it is gone.
    fn veth(&mut self, ts: TimestampMs, state: &State) {
        let device = state.veth.as_ref().map(|veth| veth.name.as_str());
        if self.mark_stale {
            let gone = |series: &&mut RawSeries| Some(series.label("device")) != device;
            end(self.veth.iter_mut().filter(gone), ts);
        }
        let Some(veth) = &state.veth else {
            return;
        };
        let [receive, transmit] = veth.traffic;
        for (name, value) in [(RECEIVE, receive), (TRANSMIT, transmit)] {
            let known = self
                .veth
                .iter_mut()
                .find(|series| series.name == name && series.label("device") == veth.name);
            let sample = (ts.0, value.floor());
            if let Some(series) = known {
                series.samples.push(sample);
            } else {
                let mut series = new_series(&self.machine, name, &[("device", &veth.name)]);
                series.samples.push(sample);
                self.veth.push(series);
            }
        }
    }
}

const RECEIVE: &str = "node_network_receive_bytes_total";
const TRANSMIT: &str = "node_network_transmit_bytes_total";

fn new_series(machine: &str, name: &str, labels: &[(&str, &str)]) -> RawSeries {
    let own = labels
        .iter()
        .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()));
    let mut labels: Vec<(String, String)> = own.collect();
    labels.push(("instance".to_owned(), format!("{machine}:9100")));
    labels.push(("job".to_owned(), "node".to_owned()));
    labels.sort();
    RawSeries {
        name: name.to_owned(),
        labels,
        samples: Vec::new(),
    }
}

/// Ends series with a staleness marker, once.
fn end<'a>(series: impl Iterator<Item = &'a mut RawSeries>, ts: TimestampMs) {
    for series in series {
        if series
            .samples
            .last()
            .is_some_and(|(_, value)| !is_stale(*value))
        {
            series.samples.push((ts.0, stale()));
        }
    }
}

/// A value as a counter of `per_unit` steps per unit shows it.
fn rounded(value: f64, per_unit: f64) -> f64 {
    num::to_f64(whole(value * per_unit)) / per_unit
}

fn pages(bytes: f64) -> f64 {
    num::to_f64(whole(bytes / 4_096.0) * 4_096)
}
