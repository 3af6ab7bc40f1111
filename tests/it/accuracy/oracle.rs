//! What the raw samples of a machine say about a job, computed a second time and apart from the
//! assembler: in plain f64 for the usage, in plain integers for the cells.

use super::report::PADDING_MS;
use tachograph::model::metric::Column;
use tachograph::model::profile::Profile;
use tachograph::num;
use tachograph::source_port::{RawSeries, is_stale};
use tachograph::testkit::fleet::FleetMachine;
use tachograph::time::{TimeRange, TimestampMs};

/// Cpu modes that are used CPU.
const USER: [&str; 2] = ["user", "nice"];
const SYSTEM: [&str; 3] = ["system", "irq", "softirq"];

/// How much was looked at.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) rows: usize,
    pub(super) gauges: usize,
    pub(super) increments: usize,
}

/// A machine's samples around one job.
#[derive(Debug)]
pub(super) struct Oracle<'a> {
    machine: &'a FleetMachine,
    window: TimeRange,
    padded: TimeRange,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(machine: &'a FleetMachine, window: TimeRange) -> Self {
        Self {
            machine,
            window,
            padded: window.padded(PADDING_MS.0, PADDING_MS.1),
        }
    }

    fn series(&self, name: &str) -> impl Iterator<Item = &'a RawSeries> {
        let name = name.to_owned();
        let series = self.machine.series.iter();
        series.filter(move |series| series.name == name)
    }

    fn cpu(&self, modes: &'static [&'static str]) -> Vec<&'a RawSeries> {
        self.series("node_cpu_seconds_total")
            .filter(|series| modes.contains(&series.label("mode")))
            .collect()
    }

    fn device(&self, name: &str, device: &str) -> Vec<&'a RawSeries> {
        self.series(name)
            .filter(|series| series.label("device") == device)
            .collect()
    }

    /// Samples that a fetch of the job's window returns.
    fn fetched(&self, series: &RawSeries) -> Vec<(i64, f64)> {
        let samples = series.samples.iter().copied();
        samples
            .filter(|(ts, value)| self.padded.contains(TimestampMs(*ts)) && !is_stale(*value))
            .collect()
    }

    /// Exact linear interpolation of the same scrapes: `cpu_used_seconds` of the job. `None` if no
    /// pair of scrapes touches it.
    pub(super) fn cpu_used_seconds(&self) -> Option<f64> {
        let mut used = None;
        for series in self.cpu(&["user", "nice", "system", "irq", "softirq"]) {
            for pair in self.fetched(series).windows(2) {
                let (from, to) = (pair[0], pair[1]);
                let between = TimeRange::new(TimestampMs(from.0), TimestampMs(to.0));
                let overlap = between.overlap_ms(self.window);
                if overlap == 0 {
                    continue;
                }
                let increment = if to.1 < from.1 { to.1 } else { to.1 - from.1 };
                let share = num::to_f64(overlap) / num::to_f64(between.len_ms());
                *used.get_or_insert(0.0) += increment * share;
            }
        }
        used
    }

    /// Raw counters of the job's machine behind the cpu columns: each may be one tick behind.
    pub(super) fn cpu_counters(&self) -> usize {
        self.cpu(&USER).len() + self.cpu(&SYSTEM).len()
    }

    /// Checks every cell of a profile.
    pub(super) fn check(&self, profile: &Profile, checked: &mut Checked) {
        let scrapes: Vec<i64> = self
            .series("node_boot_time_seconds")
            .flat_map(|series| self.fetched(series))
            .map(|(ts, _)| ts)
            .collect();
        let mut behind = 0;
        for (row, (ts, interval)) in profile.ts_ms.iter().zip(&profile.interval_ms).enumerate() {
            let at = scrapes.iter().position(|scrape| scrape == ts);
            let at = at.unwrap_or_else(|| panic!("{ts} is no scrape of {}", self.machine.name));
            behind += usize::from(*ts >= self.window.to.0);
            let previous = at.checked_sub(1).map(|before| scrapes[before]);
            let wanted = previous.map(|previous| i32::try_from(ts - previous).unwrap());
            assert_eq!(*interval, wanted, "interval of the row at {ts}");
            checked.rows += 1;
            for (column, cells) in &profile.columns {
                let Some(cell) = cells[row] else {
                    continue;
                };
                if column.is_increment() {
                    let from = previous.expect("an increment without an interval");
                    assert_eq!(Some(cell), self.increment(*column, from, *ts), "{column:?}");
                    checked.increments += 1;
                } else {
                    assert_eq!(Some(cell), self.gauge(*column, *ts), "{column:?} at {ts}");
                    checked.gauges += 1;
                }
            }
        }
        assert!(behind <= 1, "{behind} rows behind the job's end");
        self.check_differences(profile);
    }

    /// The increments of a counter that was never reset sum up to the difference of the raw counters.
    fn check_differences(&self, profile: &Profile) {
        let spans = profile.intervals().flatten();
        let Some((from, to)) = spans.fold(None, |all, span| match all {
            None => Some((span.from.0, span.to.0)),
            Some((from, _)) => Some((from, span.to.0)),
        }) else {
            return;
        };
        for (column, cells) in &profile.columns {
            let Some(series) = self.summed(*column) else {
                continue;
            };
            let raw = |at| -> i64 { series.iter().map(|one| units(*column, one, at)).sum() };
            let reset = |one: &&RawSeries| {
                let samples = self.fetched(one);
                samples.windows(2).any(|pair| pair[1].1 < pair[0].1)
            };
            if !series.iter().any(reset) {
                let sum: i64 = cells.iter().flatten().sum();
                assert_eq!(sum, raw(to) - raw(from), "{column:?} of {from}..{to}");
            }
        }
    }

    /// The raw counters that a column sums; `None` for the busiest-of columns and gauges.
    fn summed(&self, column: Column) -> Option<Vec<&'a RawSeries>> {
        let pressure = |what: &str| {
            let name = format!("node_pressure_{what}_waiting_seconds_total");
            self.series(&name).collect::<Vec<_>>()
        };
        Some(match column {
            Column::CpuUserSeconds => self.cpu(&USER),
            Column::CpuSystemSeconds => self.cpu(&SYSTEM),
            Column::CpuIowaitSeconds => self.cpu(&["iowait"]),
            Column::CpuStealSeconds => self.cpu(&["steal"]),
            Column::CpuIdleSeconds => self.cpu(&["idle"]),
            Column::NetworkReceiveBytes => self.device("node_network_receive_bytes_total", "eth0"),
            Column::NetworkTransmitBytes => {
                self.device("node_network_transmit_bytes_total", "eth0")
            }
            Column::DiskReadBytes => self.device("node_disk_read_bytes_total", "sda"),
            Column::DiskWrittenBytes => self.device("node_disk_written_bytes_total", "sda"),
            Column::PressureCpuSeconds => pressure("cpu"),
            Column::PressureMemorySeconds => pressure("memory"),
            Column::PressureIoSeconds => pressure("io"),
            Column::OomKills => self.series("node_vmstat_oom_kill").collect(),
            _ => return None,
        })
    }

    fn increment(&self, column: Column, from: i64, to: i64) -> Option<i64> {
        let grown = |series: &[&RawSeries]| -> i64 {
            let each = series.iter().map(|one| {
                let (before, after) = (units(column, one, from), units(column, one, to));
                if after < before {
                    after
                } else {
                    after - before
                }
            });
            each.sum()
        };
        if let Some(series) = self.summed(column) {
            return Some(grown(&series));
        }
        match column {
            Column::CpuBusiestCoreSeconds => {
                let used = [self.cpu(&USER), self.cpu(&SYSTEM)].concat();
                let cores = (0..self.machine.cpus).map(|cpu| {
                    let own = used
                        .iter()
                        .filter(|one| one.label("cpu") == cpu.to_string());
                    grown(&own.copied().collect::<Vec<_>>())
                });
                cores.max()
            }
            Column::DiskIoSeconds => Some(grown(
                &self.device("node_disk_io_time_seconds_total", "sda"),
            )),
            _ => None,
        }
    }

    fn gauge(&self, column: Column, ts: i64) -> Option<i64> {
        let value = |name: &str| -> Option<i64> {
            self.series(name).next().map(|one| units(column, one, ts))
        };
        let memory = |what: &str| value(&format!("node_memory_{what}_bytes"));
        let root = |name: &str| {
            let mut series = self.series(name);
            let root = series.find(|series| series.label("mountpoint") == "/")?;
            Some(units(column, root, ts))
        };
        match column {
            Column::MemoryUsedBytes => Some(memory("MemTotal")? - memory("MemAvailable")?),
            Column::MemoryCacheBytes => {
                Some(memory("Cached")? + memory("Buffers")? + memory("SReclaimable")?)
            }
            Column::SwapUsedBytes => Some(memory("SwapTotal")? - memory("SwapFree")?),
            Column::Load1 => value("node_load1"),
            Column::FilesystemUsedBytes => {
                Some(root("node_filesystem_size_bytes")? - root("node_filesystem_avail_bytes")?)
            }
            Column::ProcessesRunning => value("node_procs_running"),
            Column::ProcessesBlocked => value("node_procs_blocked"),
            _ => None,
        }
    }
}

/// A raw sample in the units of a column; it must be there.
fn units(column: Column, series: &RawSeries, ts: i64) -> i64 {
    let at = series.samples.binary_search_by_key(&ts, |(ts, _)| *ts);
    let (_, value) = series.samples[at.unwrap_or_else(|_| panic!("{} at {ts}", series.name))];
    let scale = 10f64.powi(i32::from(column.spec().cell.scale()));
    num::round_to_i64(value * scale).unwrap()
}
