//! The recorded machine: one line a second, made by `tools/trace-fixture`.

use crate::model::metric::Column;
use crate::num;

/// Columns of the counters, in the order of the file, and what one unit of the file is in cells.
pub(crate) const COUNTERS: [(Column, i64); 13] = [
    (Column::CpuUserSeconds, 1),
    (Column::CpuSystemSeconds, 1),
    (Column::CpuIowaitSeconds, 1),
    (Column::CpuStealSeconds, 1),
    (Column::CpuIdleSeconds, 1),
    (Column::NetworkReceiveBytes, 1),
    (Column::NetworkTransmitBytes, 1),
    (Column::DiskReadBytes, 512),
    (Column::DiskWrittenBytes, 512),
    (Column::DiskIoSeconds, 1),
    (Column::PressureCpuSeconds, 1),
    (Column::PressureMemorySeconds, 1),
    (Column::PressureIoSeconds, 1),
];

/// Columns of the gauges, likewise.
pub(crate) const GAUGES: [(Column, i64); 5] = [
    (Column::MemoryUsedBytes, 4096),
    (Column::MemoryCacheBytes, 4096),
    (Column::FilesystemUsedBytes, 4096),
    (Column::Load1, 1),
    (Column::ProcessesRunning, 1),
];

/// What a machine did in one second, in the file's units.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Second {
    pub(crate) counters: [f64; 13],
    pub(crate) gauges: [f64; 5],
}

/// The recording. Its increments are per second exactly, whatever the scrapes' own jitter was.
#[derive(Debug)]
pub(crate) struct Trace {
    seconds: Vec<Second>,
}

impl Trace {
    /// Reads the fixture.
    pub(crate) fn load() -> Self {
        let seconds = include_str!("trace.tsv")
            .lines()
            .skip(1)
            .filter_map(parse)
            .collect();
        Self { seconds }
    }

    pub(crate) fn len(&self) -> usize {
        self.seconds.len()
    }

    /// A second; the recording repeats after its end.
    pub(crate) fn at(&self, second: usize) -> Second {
        let index = second % self.len().max(1);
        self.seconds.get(index).copied().unwrap_or_default()
    }

    /// The smallest value of every gauge.
    pub(crate) fn floor(&self) -> [f64; 5] {
        self.seconds
            .iter()
            .fold([f64::INFINITY; 5], |mut floor, second| {
                for (floor, value) in floor.iter_mut().zip(second.gauges) {
                    *floor = floor.min(value);
                }
                floor
            })
    }
}

fn parse(line: &str) -> Option<Second> {
    let mut cells = line
        .split('\t')
        .map(|cell| cell.parse::<i64>().map(num::to_f64));
    let seconds = cells.next()?.ok()? / 1_000.0;
    let mut second = Second::default();
    for counter in &mut second.counters {
        *counter = cells.next()?.ok()? / seconds;
    }
    for gauge in &mut second.gauges {
        *gauge = cells.next()?.ok()?;
    }
    Some(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_fixture_is_read() {
        let trace = Trace::load();
        let lines = include_str!("trace.tsv").lines().count();
        assert_eq!(trace.len(), lines - 1);
        assert!(trace.len() >= 584);
        let ticks: f64 = trace.at(7).counters.iter().take(5).sum();
        assert!((190.0..210.0).contains(&ticks), "two cores: {ticks} ticks");
        assert_eq!(trace.at(trace.len()), trace.at(0));
    }
}
