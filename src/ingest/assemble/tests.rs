//! The rules of the design's section 5, one by one on series made by hand (times in seconds), then
//! as properties over random series, then over a recorded machine.

mod counters;
mod gauges;
mod properties;
mod rows;
mod targets;
mod trace;
mod verdicts;

use super::target::CPU_SECONDS;
use super::{Assembled, Input, assemble};
use crate::model::metric::Column;
use crate::model::profile::{Gap, Profile};
use crate::model::state::Verdict;
use crate::source_port::{RawSeries, STALE};
use crate::time::{TimeRange, TimestampMs};

/// A series of the machine `m`; times in seconds.
fn raw(name: &str, labels: &[(&str, &str)], samples: &[(i64, f64)]) -> RawSeries {
    let mut labels: Vec<(String, String)> = labels
        .iter()
        .chain(&[("instance", "m:9100"), ("job", "node")])
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    labels.sort();
    RawSeries {
        name: name.to_owned(),
        labels,
        samples: samples
            .iter()
            .map(|(seconds, value)| (seconds * 1_000, *value))
            .collect(),
    }
}

/// One cpu's time in one mode.
fn cpu(cpu: &str, mode: &str, samples: &[(i64, f64)]) -> RawSeries {
    raw(CPU_SECONDS, &[("cpu", cpu), ("mode", mode)], samples)
}

/// A cpu that works half its time, seen at `times`.
fn half(times: &[i64]) -> RawSeries {
    let samples: Vec<(i64, f64)> = times
        .iter()
        .map(|ts| (*ts, f64::from(i32::try_from(*ts).unwrap()) / 2.0))
        .collect();
    cpu("0", "user", &samples)
}

fn up(samples: &[(i64, f64)]) -> RawSeries {
    raw("up", &[], samples)
}

fn stale() -> f64 {
    f64::from_bits(STALE)
}

fn seconds(from: i64, to: i64) -> TimeRange {
    TimeRange::new(TimestampMs(from * 1_000), TimestampMs(to * 1_000))
}

/// Assembles a job `[from, to)` seconds, fetched with ample padding.
fn job(series: &[RawSeries], from: i64, to: i64) -> Assembled {
    assemble(&Input {
        series,
        window: seconds(from, to),
        fetched: seconds(-1_000, 1_000_000),
        machine_label: "instance",
        configured_interval_ms: Some(15_000),
    })
}

fn cells(assembled: &Assembled, column: Column) -> Vec<Option<i64>> {
    assembled
        .profile
        .column(column)
        .unwrap_or_default()
        .to_vec()
}

fn verdict(assembled: &Assembled) -> Verdict {
    assembled.findings.verdict.unwrap()
}

/// Row times in seconds.
fn row_seconds(profile: &Profile) -> Vec<i64> {
    profile.ts_ms.iter().map(|ts| ts / 1_000).collect()
}

/// Gaps of the machine, or of one column, in seconds.
fn gap_seconds(assembled: &Assembled, column: Option<Column>) -> Vec<(i64, i64)> {
    let of_column = |gap: &&Gap| gap.column == column;
    assembled
        .findings
        .gaps
        .iter()
        .filter(of_column)
        .map(|gap| (gap.range.from.0 / 1_000, gap.range.to.0 / 1_000))
        .collect()
}
