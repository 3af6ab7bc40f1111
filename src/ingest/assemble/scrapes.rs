//! The machine's scrapes, and which of them are the job's rows.

use super::target::Series;
use crate::time::{TimeRange, TimestampMs};

/// A scrape that is a row of the profile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Time of the scrape.
    pub(super) ts: i64,
    /// Time of the machine's scrape before it, row or not.
    pub(super) previous: Option<i64>,
}

impl Row {
    /// The time its increments cover.
    pub(super) fn interval(self) -> Option<TimeRange> {
        Some(range(self.previous?, self.ts))
    }

    /// Its cell of `interval_ms`. An interval beyond the cell's 24 days has none, like an increment
    /// that does not fit its cell: the increments over it then stand in the gap list.
    pub(super) fn interval_ms(self) -> Option<i32> {
        i32::try_from(self.interval()?.len_ms()).ok()
    }
}

/// `[from, to)` of plain milliseconds.
pub(super) fn range(from: i64, to: i64) -> TimeRange {
    TimeRange::new(TimestampMs(from), TimestampMs(to))
}

/// The machine's scrapes in the fetched window.
#[derive(Debug)]
pub(super) struct Scrapes {
    /// All of them, strictly increasing.
    times: Vec<i64>,
    /// Index in `times` of the first row.
    first: usize,
    rows: Vec<Row>,
    interval_ms: Option<i64>,
    window: TimeRange,
}

impl Scrapes {
    pub(super) fn new(series: &[Series<'_>], window: TimeRange, configured: Option<i64>) -> Self {
        let times = union(series);
        let interval_ms = configured
            .filter(|interval| *interval > 0)
            .or_else(|| median_distance(&times));
        // Rows are the scrapes with previous < finished and ts >= started: those inside the job and
        // the first behind its end, which closes the last interval. The first scrape of all closes
        // none, so behind the end it is no row.
        let first = times.partition_point(|ts| *ts < window.from.0);
        let behind = times.partition_point(|ts| *ts < window.to.0);
        let end = behind + usize::from(behind > 0);
        let rows = (first..end.min(times.len()))
            .filter_map(|at| {
                Some(Row {
                    ts: *times.get(at)?,
                    previous: at
                        .checked_sub(1)
                        .and_then(|before| times.get(before))
                        .copied(),
                })
            })
            .collect();
        Self {
            times,
            first,
            rows,
            interval_ms,
            window,
        }
    }

    pub(super) fn times(&self) -> &[i64] {
        &self.times
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The job.
    pub(super) fn window(&self) -> TimeRange {
        self.window
    }

    /// Median time between scrapes, or what the region's registration says.
    pub(super) fn interval_ms(&self) -> Option<i64> {
        self.interval_ms
    }

    /// Index of the base, the scrape before the first row.
    pub(super) fn base(&self) -> Option<usize> {
        if self.rows.is_empty() {
            return None;
        }
        self.first.checked_sub(1)
    }

    /// The row that a scrape is, if it is one.
    pub(super) fn row_of(&self, at: usize) -> Option<usize> {
        at.checked_sub(self.first)
            .filter(|row| *row < self.rows.len())
    }

    /// The last row among the scrapes behind `after`, up to and including `until`.
    pub(super) fn last_row(&self, after: usize, until: usize) -> Option<Row> {
        let last = self.first + self.rows.len().checked_sub(1)?;
        let at = until.min(last);
        (at > after)
            .then(|| self.row_of(at))
            .flatten()
            .and_then(|row| self.rows.get(row))
            .copied()
    }

    pub(super) fn cursor(&self) -> Cursor<'_> {
        Cursor {
            times: &self.times,
            at: 0,
        }
    }
}

/// Finds ascending times among the scrapes: in one step if none was missed, by bisection otherwise.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    times: &'a [i64],
    at: usize,
}

impl Cursor<'_> {
    /// The index of the scrape at `ts`.
    pub(super) fn seek(&mut self, ts: i64) -> Option<usize> {
        let ahead = self.times.get(self.at..)?;
        if ahead.first() != Some(&ts) {
            self.at += ahead.partition_point(|time| *time < ts);
        }
        let found = self.at;
        if self.times.get(found) != Some(&ts) {
            return None;
        }
        self.at += 1;
        Some(found)
    }
}

/// All sample times of the series. Those of one scrape share one time, so the longest series mostly
/// has them all, and the rest is looked up instead of merged.
fn union(series: &[Series<'_>]) -> Vec<i64> {
    let longest = series.iter().max_by_key(|series| series.samples().count());
    let mut times: Vec<i64> = longest
        .into_iter()
        .flat_map(|series| series.samples())
        .map(|(ts, _)| ts)
        .collect();
    let mut strays = Vec::new();
    for series in series {
        let mut cursor = Cursor {
            times: &times,
            at: 0,
        };
        strays.extend(
            series
                .samples()
                .map(|(ts, _)| ts)
                .filter(|ts| cursor.seek(*ts).is_none()),
        );
    }
    if !strays.is_empty() {
        times.append(&mut strays);
        times.sort_unstable();
        times.dedup();
    }
    times
}

/// The lower median: of an even number of distances the larger one is the likelier hole.
fn median_distance(times: &[i64]) -> Option<i64> {
    let mut distances: Vec<i64> = times
        .iter()
        .zip(times.iter().skip(1))
        .map(|(from, to)| to.saturating_sub(*from))
        .collect();
    let middle = distances.len().checked_sub(1)? / 2;
    let (_, median, _) = distances.select_nth_unstable(middle);
    Some(*median)
}
