//! The profile being written: cells, base, and every hole that is found on the way.

use super::scrapes::{Row, Scrapes, range};
use crate::model::metric::Column;
use crate::model::profile::{Base, Gap, Profile};
use crate::num;
use crate::time::{TimeRange, TimestampMs};
use std::collections::{BTreeMap, BTreeSet};

/// The profile being written.
#[derive(Debug)]
pub(super) struct Draft<'s> {
    pub(super) scrapes: &'s Scrapes,
    profile: Profile,
    base: Base,
    /// Increments that fit no cell.
    lost: Vec<Gap>,
    /// Where columns lack samples, unclipped and in order of discovery.
    holes: BTreeMap<Column, Vec<TimeRange>>,
    resets: BTreeSet<i64>,
    overflow: bool,
}

/// A finished draft.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) profile: Profile,
    pub(super) base: Base,
    /// Holes of columns, in order of column and time.
    pub(super) gaps: Vec<Gap>,
    pub(super) resets: Vec<TimestampMs>,
    /// Whether some value fits no cell.
    pub(super) overflow: bool,
}

impl<'s> Draft<'s> {
    pub(super) fn new(scrapes: &'s Scrapes) -> Self {
        let rows = scrapes.rows();
        let base_ts = scrapes.base().and_then(|at| scrapes.times().get(at));
        Self {
            scrapes,
            profile: Profile {
                ts_ms: rows.iter().map(|row| row.ts).collect(),
                interval_ms: rows.iter().map(|row| row.interval_ms()).collect(),
                columns: BTreeMap::new(),
            },
            base: Base {
                ts_ms: base_ts.copied(),
                values: BTreeMap::new(),
            },
            lost: Vec::new(),
            holes: BTreeMap::new(),
            resets: BTreeSet::new(),
            overflow: false,
        }
    }

    /// Writes an increment column: one sum per row, `None` where nothing was measured.
    pub(super) fn increments(&mut self, column: Column, sums: &[Option<i128>]) {
        let mut cells = Vec::with_capacity(sums.len());
        for (sum, row) in sums.iter().zip(self.scrapes.rows()) {
            cells.push((*sum).and_then(|sum| self.increment_cell(column, sum, *row)));
            // A row without an interval has no increment by its nature: nothing is missing.
            if let (None, Some(interval)) = (sum, row.interval()) {
                self.hole(column, interval);
            }
        }
        self.insert(column, cells);
    }

    fn increment_cell(&mut self, column: Column, sum: i128, row: Row) -> Option<i64> {
        let amount = num::narrow(sum);
        let cell = amount
            .filter(|cell| column.spec().cell.fits(*cell))
            .filter(|_| row.interval_ms().is_some());
        if let (None, Some(range)) = (cell, row.interval()) {
            self.lost.push(Gap {
                range,
                column: Some(column),
                amount,
            });
            self.overflow = true;
        }
        cell
    }

    /// Writes a gauge column: the value at the base, then one per row. A missing value is a hole
    /// from the scrape before to the scrape after.
    pub(super) fn gauge(&mut self, column: Column, values: &[Option<i64>]) {
        let Some((base, values)) = values.split_first() else {
            return;
        };
        self.base_value(column, base.map(i128::from));
        let rows = self.scrapes.rows();
        let following = rows.iter().skip(1).map(|row| row.ts).chain([i64::MAX]);
        let mut cells = Vec::with_capacity(values.len());
        for ((value, row), next) in values.iter().zip(rows).zip(following) {
            let cell = value.filter(|value| column.spec().cell.fits(*value));
            self.overflow |= value.is_some() && cell.is_none();
            if cell.is_none() {
                self.hole(column, range(row.previous.unwrap_or(i64::MIN), next));
            }
            cells.push(cell);
        }
        self.insert(column, cells);
    }

    /// A column without a single cell was not measured in the job: absent, not empty.
    fn insert(&mut self, column: Column, cells: Vec<Option<i64>>) {
        if cells.iter().any(Option::is_some) {
            self.profile.columns.insert(column, cells);
        }
    }

    /// Notes a value before the first row, if the column has such and it fits.
    pub(super) fn base_value(&mut self, column: Column, value: Option<i128>) {
        let fitting = value
            .and_then(num::narrow)
            .filter(|value| column.has_base() && column.base_cell().fits(*value));
        if let Some(value) = fitting {
            self.base.values.insert(column, value);
        }
    }

    /// Notes that a column lacks samples.
    pub(super) fn hole(&mut self, column: Column, range: TimeRange) {
        self.holes.entry(column).or_default().push(range);
    }

    /// Notes a row before which a counter was reset.
    pub(super) fn reset(&mut self, ts: i64) {
        self.resets.insert(ts);
    }

    /// Notes that a value is too large for any cell.
    pub(super) fn overflow(&mut self) {
        self.overflow = true;
    }

    pub(super) fn finish(self) -> Written {
        let window = self.scrapes.window();
        let mut gaps = Vec::new();
        for (column, holes) in self.holes {
            gaps.extend(merged(holes, window).into_iter().map(|range| Gap {
                range,
                column: Some(column),
                amount: None,
            }));
        }
        gaps.extend(self.lost);
        Written {
            profile: self.profile,
            base: self.base,
            gaps,
            resets: self.resets.into_iter().map(TimestampMs).collect(),
            overflow: self.overflow,
        }
    }
}

/// The holes inside the job, overlapping ones united. Holes that only touch stay two: between them
/// lies a sample.
fn merged(mut holes: Vec<TimeRange>, window: TimeRange) -> Vec<TimeRange> {
    holes.sort_unstable_by_key(|hole| (hole.from, hole.to));
    let mut united: Vec<TimeRange> = Vec::new();
    for hole in holes {
        let clipped = TimeRange::new(hole.from.max(window.from), hole.to.min(window.to));
        if clipped.is_empty() {
            continue;
        }
        match united.last_mut() {
            Some(last) if clipped.from < last.to => last.to = last.to.max(clipped.to),
            _ => united.push(clipped),
        }
    }
    united
}
