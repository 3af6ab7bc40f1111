//! A minute of a real machine under load, scraped every second (`tests/fixtures/trace-60s.jsonl`),
//! against arithmetic of its own: plain floats, plain interpolation, nothing of the assembler.

use super::*;
use crate::model::graph::cell_to_f64;
use crate::model::usage;
use crate::num;
use std::collections::BTreeMap;

const TRACE: &str = include_str!("../../../../tests/fixtures/trace-60s.jsonl");

type Line = (f64, BTreeMap<String, f64>);

fn lines() -> Vec<Line> {
    TRACE
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn to_ms(seconds: f64) -> i64 {
    num::round_to_i64(seconds * 1_000.0).unwrap()
}

/// `name{label="value",...}` as a series.
fn parse(key: &str, lines: &[Line]) -> RawSeries {
    let (name, labels) = key.split_once('{').unwrap_or((key, ""));
    let labels: Vec<(&str, &str)> = labels
        .trim_end_matches('}')
        .split(',')
        .filter_map(|label| label.split_once('='))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect();
    let mut series = raw(name, &labels, &[]);
    series.samples = lines
        .iter()
        .map(|(ts, values)| (to_ms(*ts), values[key]))
        .collect();
    series
}

/// The sum of the series whose names contain all of `parts` at `ms`, interpolated.
fn counter_at(lines: &[Line], parts: &[&str], ms: f64) -> f64 {
    let value = |line: &Line| -> f64 {
        line.1
            .iter()
            .filter(|(key, _)| parts.iter().all(|part| key.contains(part)))
            .map(|(_, value)| value)
            .sum()
    };
    let behind = lines.iter().position(|line| line.0 * 1e3 >= ms).unwrap();
    let (from, to) = (&lines[behind - 1], &lines[behind]);
    let share = (ms / 1e3 - from.0) / (to.0 - from.0);
    value(from) + (value(to) - value(from)) * share
}

/// The trace, and the job in its middle, off the scrapes on both sides.
struct Trace {
    lines: Vec<Line>,
    window: TimeRange,
    assembled: Assembled,
}

fn trace() -> Trace {
    let lines = lines();
    let series: Vec<RawSeries> = lines[0].1.keys().map(|key| parse(key, &lines)).collect();
    let start = to_ms(lines[0].0);
    let window = TimeRange::new(TimestampMs(start + 10_300), TimestampMs(start + 49_700));
    let assembled = assemble(&Input {
        series: &series,
        window,
        fetched: window.padded(60_000, 60_000),
        machine_label: "instance",
        configured_interval_ms: None,
    });
    Trace {
        lines,
        window,
        assembled,
    }
}

impl Trace {
    /// Usage in the job as the archive computes it, in base units.
    fn total(&self, column: Column) -> f64 {
        let (profile, gaps) = (&self.assembled.profile, &self.assembled.findings.gaps);
        let cells = usage::total(profile, column, self.window, gaps).unwrap();
        cell_to_f64(cells, column.spec().cell.scale())
    }

    /// The same by plain arithmetic over the series whose names contain all of `parts`.
    fn plain(&self, parts: &[&str]) -> f64 {
        let at = |ts: TimestampMs| counter_at(&self.lines, parts, num::to_f64(ts.0));
        at(self.window.to) - at(self.window.from)
    }
}

#[test]
fn a_real_machine_is_complete() {
    let findings = trace().assembled.findings;
    assert_eq!(findings.verdict, Some(Verdict::Complete));
    assert_eq!(findings.scrape_interval_ms, Some(1_000));
    assert!((39..=40).contains(&findings.sample_count));
    assert_eq!(findings.host.cpu_count, Some(2));
    assert_eq!(findings.host.memory_total_bytes, Some(25_276_502_016));
    assert_eq!(findings.host.filesystem_size_bytes, Some(270_553_174_016));
    assert_eq!((findings.gaps, findings.resets), (vec![], vec![]));
}

#[test]
fn totals_of_a_real_machine_equal_plain_arithmetic() {
    let trace = trace();
    let cpu = |mode| trace.plain(&["cpu_seconds", mode]);
    // Half a unit at each edge and for the result; user and system sum four series.
    let (ticks, bytes) = (0.05, 1.0);
    for (column, expected, tolerance) in [
        (
            Column::CpuUserSeconds,
            cpu("\"user\"") + cpu("\"nice\""),
            ticks,
        ),
        (
            Column::CpuSystemSeconds,
            cpu("\"system\"") + cpu("irq\""),
            ticks,
        ),
        (Column::CpuIowaitSeconds, cpu("\"iowait\""), ticks),
        (Column::CpuIdleSeconds, cpu("\"idle\""), ticks),
        (
            Column::NetworkReceiveBytes,
            trace.plain(&["receive", "eth0"]),
            bytes,
        ),
        (
            Column::NetworkTransmitBytes,
            trace.plain(&["transmit", "eth0"]),
            bytes,
        ),
        (
            Column::DiskReadBytes,
            trace.plain(&["read_bytes", "vda"]),
            bytes,
        ),
        (
            Column::DiskWrittenBytes,
            trace.plain(&["written_bytes", "vda"]),
            bytes,
        ),
        (
            Column::DiskIoSeconds,
            trace.plain(&["io_time", "vda"]),
            0.002,
        ),
        (
            Column::PressureCpuSeconds,
            trace.plain(&["pressure_cpu"]),
            2e-6,
        ),
        (Column::OomKills, 0.0, 0.0),
    ] {
        let (total, name) = (trace.total(column), column.name());
        assert!(
            (total - expected).abs() <= tolerance,
            "{name}: {total} against {expected}"
        );
    }
}

#[test]
fn the_cpus_of_a_real_machine_have_one_second_per_second() {
    let trace = trace();
    let used = trace.total(Column::CpuUserSeconds) + trace.total(Column::CpuSystemSeconds);
    let not_used = trace.total(Column::CpuIowaitSeconds)
        + trace.total(Column::CpuStealSeconds)
        + trace.total(Column::CpuIdleSeconds);
    // Two cpus, 39.4 s. The machine is itself virtual and lost some ticks to its host.
    let cpu_seconds = used + not_used;
    assert!((70.0..=80.0).contains(&cpu_seconds), "{cpu_seconds}");
    let busiest = trace.total(Column::CpuBusiestCoreSeconds);
    assert!(
        (used / 2.0..=used).contains(&busiest),
        "{busiest} of {used}"
    );
}

#[test]
fn memory_of_a_real_machine_is_read_at_the_scrapes() {
    let trace = trace();
    let rows = &trace.assembled.profile.ts_ms;
    let bytes = |line: &Line, what| {
        num::round_to_i64(line.1[&format!("node_memory_{what}_bytes")]).unwrap()
    };
    let used: Vec<Option<i64>> = trace
        .lines
        .iter()
        .filter(|line| rows.contains(&to_ms(line.0)))
        .map(|line| Some(bytes(line, "MemTotal") - bytes(line, "MemAvailable")))
        .collect();
    assert_eq!(cells(&trace.assembled, Column::MemoryUsedBytes), used);
}
