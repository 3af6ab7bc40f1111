//! The coarser tier: what a profile leaves behind when its samples go, as a pure function of it.
//!
//! Time is cut into slices of five minutes that end at whole multiples of it in UTC. A row's interval
//! (ts - interval, ts] may touch several: its increments are shared in proportion to the time in each,
//! in integers that add up to the increment exactly. A gauge belongs to the slice of its scrape.

use super::metric::{CellType, Column};
use super::profile::Profile;
use crate::num;
use std::collections::BTreeMap;

/// Length of a slice in ms.
pub const SLICE_MS: i64 = 300_000;

/// A profile in slices of [`SLICE_MS`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coarse {
    /// One row per slice with data: `ts_ms` is the slice's end, `interval_ms` the time in it that
    /// intervals of samples cover (null if none does), increments are summed, gauges are means, rounded
    /// half away from zero.
    pub means: Profile,
    /// Of gauges the largest sample in each slice.
    pub maxima: BTreeMap<Column, Vec<Option<i64>>>,
}

/// The type of a column's cells here: a sum needs more room than a single increment.
#[must_use]
pub fn cell(column: Column) -> CellType {
    let cell = column.spec().cell;
    if column.is_increment() {
        cell.total()
    } else {
        cell
    }
}

/// What is known of one gauge in one slice.
#[derive(Clone, Copy, Default)]
struct Gauge {
    sum: i128,
    count: i128,
    max: Option<i64>,
}

impl Gauge {
    fn add(&mut self, value: i64) {
        self.sum += i128::from(value);
        self.count += 1;
        self.max = self.max.max(Some(value));
    }

    fn mean(self) -> Option<i64> {
        (self.count > 0)
            .then(|| num::div_round(self.sum, self.count))
            .and_then(num::narrow)
    }
}

/// The end of the slice in which an instant lies: slices are open at their start.
fn slice_of(ts_ms: i64) -> i64 {
    let number = ts_ms.saturating_sub(1).div_euclid(SLICE_MS);
    number.saturating_add(1).saturating_mul(SLICE_MS)
}

/// The slices that a row touches: end of each, and its share of the interval as (from, to) in ms since
/// the interval's start. A row without an interval touches the slice of its scrape with no time.
fn touched(ts_ms: i64, interval_ms: Option<i32>) -> Vec<(i64, i64, i64)> {
    let Some(interval) = interval_ms.map(i64::from).filter(|ms| *ms > 0) else {
        return vec![(slice_of(ts_ms), 0, 0)];
    };
    let start = ts_ms.saturating_sub(interval);
    let mut parts = Vec::new();
    let mut from = 0;
    while from < interval {
        let end = slice_of(start + from + 1);
        let to = (end - start).min(interval);
        parts.push((end, from, to));
        from = to;
    }
    parts
}

/// The part of an increment that falls on `[from, to)` of its interval: differences of one rounded
/// running sum, so that all parts add up to it.
fn share(amount: i64, from: i64, to: i64, interval: i64) -> i128 {
    let until = |ms: i64| num::div_round(i128::from(amount) * i128::from(ms), i128::from(interval));
    until(to) - until(from)
}

impl Coarse {
    /// The slices of a profile.
    #[must_use]
    pub fn of(profile: &Profile) -> Self {
        let rows = profile.ts_ms.iter().zip(&profile.interval_ms);
        let touched: Vec<_> = rows.map(|(ts, interval)| touched(*ts, *interval)).collect();
        let mut covered: BTreeMap<i64, i64> = BTreeMap::new();
        for (end, from, to) in touched.iter().flatten() {
            *covered.entry(*end).or_default() += to - from;
        }
        let mut coarse = Self::default();
        for (end, ms) in &covered {
            coarse.means.ts_ms.push(*end);
            let interval = i32::try_from(*ms).ok().filter(|ms| *ms > 0);
            coarse.means.interval_ms.push(interval);
        }
        let ends = &coarse.means.ts_ms.clone();
        for (column, cells) in &profile.columns {
            if column.is_increment() {
                let sums = sums(*column, cells, &touched, ends);
                coarse.means.columns.insert(*column, sums);
            } else {
                let gauges = gauges(cells, &profile.ts_ms, ends);
                let means = gauges.iter().map(|gauge| gauge.mean()).collect();
                coarse.means.columns.insert(*column, means);
                let maxima = gauges.iter().map(|gauge| gauge.max).collect();
                coarse.maxima.insert(*column, maxima);
            }
        }
        coarse
    }

    /// Number of slices.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.means.rows()
    }
}

/// Position of a slice by its end.
fn position(ends: &[i64], end: i64) -> usize {
    ends.partition_point(|known| *known < end)
}

fn sums(
    column: Column,
    cells: &[Option<i64>],
    touched: &[Vec<(i64, i64, i64)>],
    ends: &[i64],
) -> Vec<Option<i64>> {
    let mut sums: Vec<Option<i128>> = vec![None; ends.len()];
    for (cell, parts) in cells.iter().zip(touched) {
        let Some(amount) = *cell else { continue };
        let interval = parts.last().map_or(0, |(_, _, to)| *to);
        for (end, from, to) in parts {
            // Without an interval there is no increment either; if there were, it would not be lost.
            let part = match interval {
                0 => i128::from(amount),
                _ => share(amount, *from, *to, interval),
            };
            if let Some(sum) = sums.get_mut(position(ends, *end)) {
                *sum = Some(sum.unwrap_or(0) + part);
            }
        }
    }
    // What does not fit its column is not known: no file could hold it.
    let fits = |sum: i128| num::narrow(sum).filter(|sum| cell(column).fits(*sum));
    sums.into_iter().map(|sum| sum.and_then(fits)).collect()
}

fn gauges(cells: &[Option<i64>], ts_ms: &[i64], ends: &[i64]) -> Vec<Gauge> {
    let mut gauges = vec![Gauge::default(); ends.len()];
    for (cell, ts) in cells.iter().zip(ts_ms) {
        let gauge = gauges.get_mut(position(ends, slice_of(*ts)));
        if let Some((gauge, value)) = gauge.zip(*cell) {
            gauge.add(value);
        }
    }
    gauges
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn profile(start: i64, rows: &[(Option<i32>, Option<i64>, Option<i64>)]) -> Profile {
        let mut profile = Profile::default();
        let (mut cpu, mut memory) = (Vec::new(), Vec::new());
        let mut ts = start;
        for (interval, increment, gauge) in rows {
            ts += i64::from(interval.unwrap_or(1));
            profile.ts_ms.push(ts);
            profile.interval_ms.push(*interval);
            cpu.push(interval.and(*increment));
            memory.push(*gauge);
        }
        profile.columns.insert(Column::CpuUserSeconds, cpu);
        profile.columns.insert(Column::MemoryUsedBytes, memory);
        profile
    }

    #[test]
    fn a_row_is_shared_over_the_slices_that_it_touches() {
        // 100 s before a boundary to 200 s behind it, then a scrape 50 s on.
        let start = 10 * SLICE_MS - 100_000;
        let rows = [
            (Some(300_000), Some(10), Some(4)),
            (Some(50_000), Some(7), Some(9)),
        ];
        let coarse = Coarse::of(&profile(start, &rows));
        let means = &coarse.means;
        assert_eq!(means.ts_ms, [10 * SLICE_MS, 11 * SLICE_MS]);
        assert_eq!(means.interval_ms, [Some(100_000), Some(250_000)]);
        let cpu = means.column(Column::CpuUserSeconds).unwrap();
        assert_eq!(cpu, [Some(3), Some(14)]);
        let memory = means.column(Column::MemoryUsedBytes).unwrap();
        assert_eq!(memory, [None, Some(7)], "6.5 is rounded away from zero");
        assert_eq!(coarse.maxima[&Column::MemoryUsedBytes], [None, Some(9)]);
        assert!(!coarse.maxima.contains_key(&Column::CpuUserSeconds));
    }

    #[test]
    fn a_scrape_on_a_boundary_belongs_to_the_slice_that_ends_there() {
        let rows = [(None, None, Some(1)), (Some(15_000), Some(2), Some(3))];
        let coarse = Coarse::of(&profile(SLICE_MS - 15_001, &rows));
        assert_eq!(coarse.means.ts_ms, [SLICE_MS]);
        assert_eq!(coarse.means.interval_ms, [Some(15_000)]);
        assert_eq!(coarse.maxima[&Column::MemoryUsedBytes], [Some(3)]);
        assert_eq!(Coarse::of(&Profile::default()), Coarse::default());
    }

    proptest! {
        #[test]
        fn increments_and_covered_time_are_kept_exactly(
            start in 0i64..10_000_000,
            rows in prop::collection::vec(
                (prop::option::weighted(0.9, 1i32..2_000_000), prop::option::weighted(0.9, 0i64..1_000_000), prop::option::weighted(0.9, 0i64..1 << 40)),
                0..60,
            ),
        ) {
            let profile = profile(start, &rows);
            let coarse = Coarse::of(&profile);
            let sum = |cells: &[Option<i64>]| cells.iter().flatten().sum::<i64>();
            let cells = |profile: &Profile, column| profile.column(column).unwrap_or_default().to_vec();
            let of = |column| (cells(&profile, column), cells(&coarse.means, column));
            let (fine, sums) = of(Column::CpuUserSeconds);
            prop_assert_eq!(sum(&fine), sum(&sums));
            let covered = |profile: &Profile| profile.interval_ms.iter().flatten().map(|ms| i64::from(*ms)).sum::<i64>();
            prop_assert_eq!(covered(&profile), covered(&coarse.means));
            prop_assert!(coarse.means.interval_ms.iter().flatten().all(|ms| i64::from(*ms) <= SLICE_MS));
            prop_assert!(coarse.means.ts_ms.is_sorted_by(|a, b| a < b));
            prop_assert!(coarse.means.ts_ms.iter().all(|ts| ts % SLICE_MS == 0));
            let (fine, means) = of(Column::MemoryUsedBytes);
            let maxima = coarse.maxima.get(&Column::MemoryUsedBytes).cloned().unwrap_or_default();
            prop_assert_eq!(fine.iter().flatten().max(), maxima.iter().flatten().max());
            for (mean, max) in means.iter().zip(&maxima) {
                prop_assert!(mean <= max);
                prop_assert_eq!(mean.is_some(), max.is_some());
            }
        }
    }
}
