//! Statistics of a profile inside its job's window: what the job row stores (AR-6).
//!
//! All in integers. A percentile is the smallest value whose accumulated weight reaches the share
//! (weighted nearest rank). Rates weigh by the milliseconds that their row shares with the window, so
//! an increment over a gap is one value with the gap's weight; gauges weigh one per scrape with
//! `started <= ts < finished`.

use super::graph::{GRAPH_METRICS, GraphMetric, Stat};
use super::metric::Column;
use super::profile::{Gap, Profile};
use super::usage;
use crate::num;
use crate::time::{TimeRange, TimestampMs};
use std::collections::BTreeMap;

/// Mean, median, p95 and maximum in the metric's fixed point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Stats {
    pub mean: Option<i64>,
    pub p50: Option<i64>,
    pub p95: Option<i64>,
    pub max: Option<i64>,
}

impl Stats {
    /// One of them.
    #[must_use]
    pub fn get(&self, stat: Stat) -> Option<i64> {
        match stat {
            Stat::Mean => self.mean,
            Stat::P50 => self.p50,
            Stat::P95 => self.p95,
            Stat::Max => self.max,
        }
    }

    /// Sets one of them.
    pub fn set(&mut self, stat: Stat, value: Option<i64>) {
        match stat {
            Stat::Mean => self.mean = value,
            Stat::P50 => self.p50 = value,
            Stat::P95 => self.p95 = value,
            Stat::Max => self.max = value,
        }
    }
}

/// A job's statistics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Milliseconds of the window that samples cover.
    pub covered_ms: i64,
    /// Usage in the window per counter column, in cell units.
    pub totals: BTreeMap<Column, i64>,
    /// Statistics by graph metric name; only those that the job row stores are set.
    pub stats: BTreeMap<&'static str, Stats>,
}

impl Summary {
    /// The statistics of a graph metric.
    #[must_use]
    pub fn stats(&self, name: &str) -> Stats {
        self.stats.get(name).copied().unwrap_or_default()
    }

    /// Mean rate: the sum of the totals per covered second, in the metric's fixed point.
    #[must_use]
    pub fn mean_rate(&self, metric: &GraphMetric) -> Option<i64> {
        let mut sum = 0i64;
        let mut scale = 0;
        for column in metric.columns() {
            sum = sum.checked_add(*self.totals.get(column)?)?;
            scale = column.spec().cell.scale();
        }
        metric.per_second(sum, scale, self.covered_ms)
    }
}

/// A value and its weight.
type Weighted = (i64, i64);

/// Computes the statistics of `profile` inside `window`. What does not fit its column is not known:
/// no file could hold it.
#[must_use]
pub fn summarise(
    profile: &Profile,
    window: TimeRange,
    gaps: &[Gap],
    scrape_interval_ms: Option<i64>,
) -> Summary {
    let mut summary = Summary {
        covered_ms: usage::covered_ms(profile, window, scrape_interval_ms),
        ..Summary::default()
    };
    for column in Column::ALL
        .into_iter()
        .filter(|column| column.is_increment())
    {
        let cell = column.spec().cell.total();
        let total = usage::total(profile, column, window, gaps);
        if let Some(total) = total.filter(|total| cell.fits(*total)) {
            summary.totals.insert(column, total);
        }
    }
    for metric in GRAPH_METRICS
        .iter()
        .filter(|metric| !metric.stored.is_empty())
    {
        let Some(values) = metric.values(profile) else {
            continue;
        };
        let mut weighted = weigh(metric, &values, profile, window);
        if weighted.is_empty() {
            continue;
        }
        weighted.sort_unstable();
        let mut stats = Stats::default();
        for stat in metric.stored {
            let cell = metric.stat_cell(*stat);
            let value = statistic(*stat, metric, &weighted);
            stats.set(*stat, value.filter(|value| cell.fits(*value)));
        }
        summary.stats.insert(metric.name, stats);
    }
    summary
}

fn weigh(
    metric: &GraphMetric,
    values: &[Option<i64>],
    profile: &Profile,
    window: TimeRange,
) -> Vec<Weighted> {
    values
        .iter()
        .zip(profile.ts_ms.iter().zip(profile.intervals()))
        .filter_map(|(value, (ts, interval))| {
            let weight = if metric.covers_interval() {
                interval.map_or(0, |interval| interval.overlap_ms(window))
            } else {
                i64::from(window.contains(TimestampMs(*ts)))
            };
            (weight > 0)
                .then_some((*value)?)
                .map(|value| (value, weight))
        })
        .collect()
}

/// One statistic of values sorted ascending, never empty.
fn statistic(stat: Stat, metric: &GraphMetric, sorted: &[Weighted]) -> Option<i64> {
    match stat {
        Stat::Max => sorted.last().map(|(value, _)| *value),
        Stat::P50 => nearest_rank(sorted, 50),
        Stat::P95 => nearest_rank(sorted, 95),
        Stat::Mean => {
            let weight: i128 = sorted.iter().map(|(_, weight)| i128::from(*weight)).sum();
            let sum: i128 = sorted
                .iter()
                .map(|(value, weight)| i128::from(*value) * i128::from(*weight))
                .sum();
            let digits = metric.stat_cell(Stat::Mean).scale() - metric.cell.scale();
            let scaled = sum * 10i128.pow(u32::try_from(digits).unwrap_or(0));
            num::narrow(num::div_round(scaled, weight))
        }
    }
}

/// The smallest value whose accumulated weight reaches `percent` of the whole.
fn nearest_rank(sorted: &[Weighted], percent: i128) -> Option<i64> {
    let whole: i128 = sorted.iter().map(|(_, weight)| i128::from(*weight)).sum();
    let mut reached = 0i128;
    sorted.iter().find_map(|(value, weight)| {
        reached += i128::from(*weight);
        (reached * 100 >= whole * percent).then_some(*value)
    })
}

#[cfg(test)]
mod tests {
    use super::super::metric::CellType;
    use super::*;

    #[test]
    fn weighted_nearest_rank_is_exact() {
        assert_eq!(nearest_rank(&[(1, 50), (2, 50)], 50), Some(1));
        assert_eq!(nearest_rank(&[(1, 49), (2, 51)], 50), Some(2));
        assert_eq!(nearest_rank(&[(1, 94), (9, 6)], 95), Some(9));
        assert_eq!(nearest_rank(&[(1, 95), (9, 5)], 95), Some(1));
        assert_eq!(nearest_rank(&[], 95), None);
    }

    #[test]
    fn a_gap_is_one_value_with_its_own_weight() {
        // 10 s at 1 core, then 90 s without a scrape in which 9 core-seconds passed (0.1 cores).
        let profile = Profile {
            ts_ms: vec![10_000, 100_000],
            interval_ms: vec![Some(10_000), Some(90_000)],
            columns: [
                (Column::CpuUserSeconds, vec![Some(1_000), Some(900)]),
                (Column::CpuSystemSeconds, vec![Some(0), Some(0)]),
            ]
            .into(),
        };
        let window = TimeRange::new(TimestampMs(0), TimestampMs(100_000));
        let summary = summarise(&profile, window, &[], Some(10_000));
        let stats = summary.stats("cpu_used_cores");
        assert_eq!(
            (stats.p50, stats.p95, stats.max),
            (Some(1_000), Some(10_000), Some(10_000))
        );
        assert_eq!(summary.covered_ms, 10_000, "a gap is not covered");
        assert_eq!(summary.totals.get(&Column::CpuUserSeconds), Some(&1_900));
    }

    #[test]
    fn gauges_count_only_inside_the_window() {
        let profile = Profile {
            ts_ms: vec![0, 10, 20],
            interval_ms: vec![None, Some(10), Some(10)],
            columns: [(Column::ProcessesRunning, vec![Some(100), Some(1), Some(2)])].into(),
        };
        let window = TimeRange::new(TimestampMs(5), TimestampMs(20));
        let stats = summarise(&profile, window, &[], Some(10)).stats("processes_running");
        assert_eq!(
            (stats.mean, stats.max),
            (Some(100), Some(1)),
            "mean has two digits"
        );
    }

    #[test]
    fn what_no_column_could_hold_is_not_known() {
        // 10 million seconds of CPU in a millisecond; totals of 10^18 and more.
        let most = CellType::Decimal18(6).largest();
        let profile = Profile {
            ts_ms: vec![1, 2],
            interval_ms: vec![Some(1), Some(1)],
            columns: [
                (Column::CpuUserSeconds, vec![Some(999_999_999), Some(0)]),
                (Column::CpuSystemSeconds, vec![Some(0), Some(0)]),
                (Column::PressureIoSeconds, vec![Some(most), Some(1)]),
            ]
            .into(),
        };
        let window = TimeRange::new(TimestampMs(0), TimestampMs(2));
        let summary = summarise(&profile, window, &[], Some(1));
        let stats = summary.stats("cpu_used_cores");
        assert_eq!((stats.p50, stats.p95, stats.max), (Some(0), None, None));
        assert_eq!(summary.totals.get(&Column::PressureIoSeconds), None);
        assert_eq!(
            summary.totals.get(&Column::CpuUserSeconds),
            Some(&999_999_999)
        );
    }
}
