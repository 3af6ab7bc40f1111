//! A profile: one job's resource usage, a time axis and integer columns.

use super::metric::Column;
use crate::time::{TimeRange, TimestampMs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One job's rows. Every column has one cell per row; an absent column was never measured.
///
/// Row `k` covers the interval `(ts - interval, ts]`. The first row may have no interval (no earlier
/// scrape is known); then its increments are null too, never "since boot". So may a row after a break
/// of more than 24 days, which fits no cell: its increments stand in the gap list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Sample times, strictly increasing, Unix ms.
    pub ts_ms: Vec<i64>,
    /// Time since the previous scrape of the machine, in ms.
    pub interval_ms: Vec<Option<i32>>,
    /// Cells in units of `10^-scale`; null is absent, never 0.
    pub columns: BTreeMap<Column, Vec<Option<i64>>>,
}

impl Profile {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.ts_ms.len()
    }

    /// The interval `(ts - interval, ts]` of every row as a half-open range in ms (shifted by the
    /// closed end, which has no length), `None` where the interval is unknown.
    pub fn intervals(&self) -> impl Iterator<Item = Option<TimeRange>> + '_ {
        self.ts_ms
            .iter()
            .zip(&self.interval_ms)
            .map(|(ts, interval)| {
                interval
                    .map(|ms| TimeRange::new(TimestampMs(*ts - i64::from(ms)), TimestampMs(*ts)))
            })
    }

    /// The cells of a column, or `None` if it was never measured.
    #[must_use]
    pub fn column(&self, column: Column) -> Option<&[Option<i64>]> {
        self.columns.get(&column).map(Vec::as_slice)
    }

    /// The rows whose interval overlaps `range`, or whose sample lies in it.
    #[must_use]
    pub fn slice(&self, range: TimeRange) -> Self {
        let keep: Vec<bool> = self
            .ts_ms
            .iter()
            .zip(self.intervals())
            .map(|(ts, interval)| {
                range.contains(TimestampMs(*ts))
                    || interval.is_some_and(|interval| interval.overlap_ms(range) > 0)
            })
            .collect();
        Self {
            ts_ms: filtered(&self.ts_ms, &keep),
            interval_ms: filtered(&self.interval_ms, &keep),
            columns: self
                .columns
                .iter()
                .map(|(column, cells)| (*column, filtered(cells, &keep)))
                .collect(),
        }
    }
}

fn filtered<T: Copy>(values: &[T], keep: &[bool]) -> Vec<T> {
    values
        .iter()
        .zip(keep)
        .filter(|(_, keep)| **keep)
        .map(|(value, _)| *value)
        .collect()
}

/// A hole: the machine's, or (with `column`) one column's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Time without samples.
    pub range: TimeRange,
    /// The column that lacks them; `None` is the whole machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<Column>,
    /// An increment over `range` too large for its cell, in cell units: it is null in the rows and
    /// counts in totals from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
}

/// The scrape before the first row: raw counter values and gauges, in cell units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Its time; `None` if there is no earlier scrape.
    pub ts_ms: Option<i64>,
    /// Raw counters (summed over series) and gauges.
    pub values: BTreeMap<Column, i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slice_keeps_rows_that_reach_into_the_range() {
        let profile = Profile {
            ts_ms: vec![10, 20, 30],
            interval_ms: vec![None, Some(10), Some(10)],
            columns: [(Column::Load1, vec![Some(1), None, Some(3)])].into(),
        };
        let slice = profile.slice(TimeRange::new(TimestampMs(12), TimestampMs(15)));
        assert_eq!(slice.ts_ms, vec![20]);
        assert_eq!(slice.column(Column::Load1), Some(&[None][..]));
        assert_eq!(
            profile
                .slice(TimeRange::new(TimestampMs(10), TimestampMs(11)))
                .ts_ms,
            vec![10, 20]
        );
    }
}
