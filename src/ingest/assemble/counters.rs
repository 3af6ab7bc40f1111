//! Increments: each raw series is quantised, differenced between its own neighbouring samples, and
//! only then summed, so that no rounding accumulates and one series' hole or reset stays its own.

use super::draft::Draft;
use super::scrapes::{Scrapes, range};
use super::select;
use super::target::Series;
use crate::model::metric::Column;
use crate::time::TimeRange;
use std::collections::BTreeMap;

/// Writes every increment column that the series feed.
pub(super) fn fill(series: &[Series<'_>], draft: &mut Draft<'_>) {
    let mut sums: BTreeMap<Column, Track> = BTreeMap::new();
    let mut contenders: BTreeMap<(Column, &str), Track> = BTreeMap::new();
    let scrapes = draft.scrapes;
    for series in series {
        if let Some(column) = select::counter_column(*series) {
            sums.entry(column)
                .or_insert_with(|| Track::new(scrapes))
                .add(column, *series, scrapes);
        }
        if let Some((column, name)) = select::contender(*series) {
            contenders
                .entry((column, name))
                .or_insert_with(|| Track::new(scrapes))
                .add(column, *series, scrapes);
        }
    }
    let mut busiest: BTreeMap<Column, Track> = BTreeMap::new();
    for ((column, _), track) in contenders {
        busiest
            .entry(column)
            .or_insert_with(|| Track::new(scrapes))
            .keep_larger(track);
    }
    for (column, track) in sums.into_iter().chain(busiest) {
        track.write(column, draft);
    }
}

/// One sample of a series.
#[derive(Debug, Clone, Copy)]
struct Point {
    /// Index of the scrape.
    at: usize,
    ts: i64,
    /// In cell units, never negative.
    value: i64,
}

/// Increments per row, of one series or of many.
#[derive(Debug)]
struct Track {
    /// One per row; `None` where no series has a pair of samples around it. i128, because a few
    /// absurd series of 2^63 must not wrap: the draft says what fits.
    sums: Vec<Option<i128>>,
    /// Counters at the base.
    base: Option<i128>,
    holes: Vec<TimeRange>,
    resets: Vec<i64>,
    /// Whether there was any sample.
    measured: bool,
    /// Whether a sample was too large to be a number of cell units.
    overflow: bool,
}

impl Track {
    fn new(scrapes: &Scrapes) -> Self {
        Self {
            sums: vec![None; scrapes.rows().len()],
            base: None,
            holes: Vec::new(),
            resets: Vec::new(),
            measured: false,
            overflow: false,
        }
    }

    /// Adds the increments of a series.
    ///
    /// A staleness marker needs no care: if values follow it, the counter went on (or was reset,
    /// which its drop shows); if none follow, there is no pair.
    fn add(&mut self, column: Column, series: Series<'_>, scrapes: &Scrapes) {
        let mut cursor = scrapes.cursor();
        let mut previous: Option<Point> = None;
        for (ts, raw) in series.samples() {
            // A counter is neither infinite nor negative: such a sample is no value, and its time is
            // a hole like any missing sample.
            let value = column.quantise(raw).filter(|value| *value >= 0);
            self.overflow |= value.is_none() && raw.is_finite() && raw > 0.0;
            let (Some(value), Some(at)) = (value, cursor.seek(ts)) else {
                continue;
            };
            let point = Point { at, ts, value };
            if scrapes.base() == Some(at) {
                self.add_base(i128::from(value));
            }
            if let Some(previous) = previous {
                self.add_pair(previous, point, scrapes);
            }
            previous = Some(point);
        }
        self.measured |= previous.is_some();
    }

    /// Adds the increment between two neighbouring samples of a series.
    fn add_pair(&mut self, from: Point, to: Point, scrapes: &Scrapes) {
        let reset = to.value < from.value;
        // The counter began again at 0: what it shows is what it counted since.
        let increment = i128::from(if reset {
            to.value
        } else {
            to.value - from.value
        });
        if reset {
            self.resets
                .extend(scrapes.last_row(from.at, to.at).map(|row| row.ts));
        }
        if to.at == from.at + 1 {
            self.add_increment(increment, scrapes.row_of(to.at));
        } else {
            self.share(increment, from, to, scrapes);
            self.holes.push(range(from.ts, to.ts));
        }
    }

    /// Shares an increment over the scrapes that the series missed, in proportion to their
    /// intervals. Each row gets the growth of the floor of the accumulated share, so the sum stays
    /// exact and never runs ahead of linear interpolation.
    fn share(&mut self, increment: i128, from: Point, to: Point, scrapes: &Scrapes) {
        let since = |ts: i64| i128::from(ts) - i128::from(from.ts);
        let mut given = 0;
        let spanned = scrapes.times().iter().enumerate();
        for (at, ts) in spanned.take(to.at + 1).skip(from.at + 1) {
            let due = increment * since(*ts) / since(to.ts);
            self.add_increment(due - given, scrapes.row_of(at));
            given = due;
            if scrapes.base() == Some(at) && at != to.at {
                self.add_base(i128::from(from.value) + due);
            }
        }
    }

    fn add_increment(&mut self, amount: i128, row: Option<usize>) {
        if let Some(sum) = row.and_then(|row| self.sums.get_mut(row)) {
            *sum = Some(sum.unwrap_or(0) + amount);
        }
    }

    fn add_base(&mut self, value: i128) {
        self.base = Some(self.base.unwrap_or(0) + value);
    }

    /// Keeps the larger increment per row. What a contender lacks, the column lacks: the missing one
    /// may have been the busiest.
    fn keep_larger(&mut self, other: Self) {
        for (sum, contender) in self.sums.iter_mut().zip(other.sums) {
            *sum = (*sum).max(contender);
        }
        self.holes.extend(other.holes);
        self.resets.extend(other.resets);
        self.measured |= other.measured;
        self.overflow |= other.overflow;
    }

    fn write(self, column: Column, draft: &mut Draft<'_>) {
        if self.overflow {
            draft.overflow();
        }
        if !self.measured {
            return;
        }
        draft.base_value(column, self.base);
        for ts in self.resets {
            draft.reset(ts);
        }
        for hole in self.holes {
            draft.hole(column, hole);
        }
        draft.increments(column, &self.sums);
    }
}
