//! Fewer rows of a table, chosen so that a chart of them looks like a chart of all.
//!
//! What stays are whole rows as they were measured: nothing is averaged, moved in time or made up, and
//! all metrics share one axis. A row stays if some metric has its smallest or largest value of a slice
//! of time there, or if a hole begins or ends there.

use super::table::ProfileTable;
use crate::model::usage::is_gap;
use crate::num;

/// Reduces a table to about `points` rows per metric, a smallest and a largest value in each of
/// `points / 2` equal slices of time. A table of at most `points` rows stays as it is.
///
/// Of every metric stay: its smallest and largest value, and every run of values and of nulls, with
/// its first and last row. Of the machine stay the rows at both edges of each hole. So at most
/// `points x metrics + 2 x (holes of the machine + runs of all metrics) + 2` rows stay.
pub(super) fn down_sample(
    table: &mut ProfileTable,
    points: usize,
    scrape_interval_ms: Option<i64>,
) {
    if table.ts_ms.len() <= points {
        return;
    }
    let mut keep = holes(&table.interval_ms, scrape_interval_ms);
    let slices = slices(&table.ts_ms, (points / 2).max(1));
    for series in &table.series {
        keep_runs(&series.cells, &mut keep);
        keep_extremes(&series.cells, &slices, &mut keep);
        keep_extremes(&series.maxima, &slices, &mut keep);
    }
    retain(&mut table.ts_ms, &keep);
    retain(&mut table.interval_ms, &keep);
    for series in &mut table.series {
        retain(&mut series.cells, &keep);
        retain(&mut series.maxima, &keep);
    }
}

/// Marks the first row, the last, and the two around each hole of the machine.
fn holes(interval_ms: &[Option<i32>], scrape_interval_ms: Option<i64>) -> Vec<bool> {
    let broken: Vec<bool> = interval_ms
        .iter()
        .map(|ms| ms.is_none_or(|ms| is_gap(i64::from(ms), scrape_interval_ms)))
        .collect();
    let next = broken.iter().skip(1).chain([&true]);
    let mut keep: Vec<bool> = broken.iter().zip(next).map(|(a, b)| *a || *b).collect();
    if let Some(first) = keep.first_mut() {
        *first = true;
    }
    keep
}

/// The slice of time in which each row lies.
fn slices(ts_ms: &[i64], count: usize) -> Vec<i128> {
    let first = ts_ms.first().copied().unwrap_or(0);
    let span = ts_ms.last().map_or(0, |last| last - first) + 1;
    let slice = |ts: &i64| i128::from(ts - first) * i128::from(num::len_i64(count));
    ts_ms
        .iter()
        .map(|ts| slice(ts) / i128::from(span))
        .collect()
}

/// Marks the rows on both sides of every change between a value and null.
fn keep_runs(cells: &[Option<i64>], keep: &mut [bool]) {
    let mut before: Option<(&mut bool, bool)> = None;
    for (mark, cell) in keep.iter_mut().zip(cells) {
        if let Some((last, _)) = before.filter(|(_, was)| *was != cell.is_some()) {
            *last = true;
            *mark = true;
        }
        before = Some((mark, cell.is_some()));
    }
}

/// Marks the first smallest and the first largest value of each slice.
fn keep_extremes(cells: &[Option<i64>], slices: &[i128], keep: &mut [bool]) {
    let rows: Vec<(usize, i128, i64)> = cells
        .iter()
        .zip(slices)
        .enumerate()
        .filter_map(|(row, (cell, slice))| Some((row, *slice, (*cell)?)))
        .collect();
    for slice in rows.chunk_by(|a, b| a.1 == b.1) {
        let low = slice.iter().min_by_key(|(row, _, cell)| (*cell, *row));
        let high = slice
            .iter()
            .min_by_key(|(row, _, cell)| (-i128::from(*cell), *row));
        for (row, ..) in low.into_iter().chain(high) {
            if let Some(mark) = keep.get_mut(*row) {
                *mark = true;
            }
        }
    }
}

fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut marks = keep.iter();
    values.retain(|_| marks.next().copied().unwrap_or(false));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::test_table::table;
    use proptest::prelude::*;

    const SCRAPE_MS: i64 = 15_000;

    /// Rows as (time since the row before, cells of three metrics).
    type Rows = Vec<(i32, [Option<i64>; 3])>;

    fn tables(rows: &Rows) -> ProfileTable {
        let mut made = table();
        let extra = made.series[0].clone();
        made.series.push(extra);
        (made.ts_ms, made.interval_ms) = (Vec::new(), Vec::new());
        made.series.iter_mut().for_each(|one| one.cells.clear());
        let mut ts = 1_772_323_200_000;
        for (interval, cells) in rows {
            ts += i64::from(*interval);
            made.ts_ms.push(ts);
            made.interval_ms.push(Some(*interval));
            for (series, cell) in made.series.iter_mut().zip(cells) {
                series.cells.push(*cell);
            }
        }
        made
    }

    /// First and last time of every run of values (true) and of nulls.
    fn runs(ts: &[i64], cells: &[Option<i64>]) -> Vec<(bool, i64, i64)> {
        let rows: Vec<_> = ts.iter().zip(cells).collect();
        rows.chunk_by(|a, b| a.1.is_some() == b.1.is_some())
            .map(|run| {
                let (first, last) = (run.first().unwrap(), run.last().unwrap());
                (first.1.is_some(), *first.0, *last.0)
            })
            .collect()
    }

    /// The edges of every hole of the machine, from the rows alone.
    fn edges(table: &ProfileTable) -> Vec<(i64, i64)> {
        let rows = table.ts_ms.iter().zip(&table.interval_ms);
        rows.skip(1)
            .filter(|(_, ms)| is_gap(i64::from(ms.unwrap()), Some(SCRAPE_MS)))
            .map(|(ts, ms)| (ts - i64::from(ms.unwrap()), *ts))
            .collect()
    }

    fn rows() -> impl Strategy<Value = Rows> {
        let interval = prop_oneof![30 => Just(15_000i32), 1 => 15_001i32..400_000];
        let cell = prop_oneof![12 => (-50i64..50).prop_map(Some), 1 => Just(None)];
        let one = (interval, [cell.clone(), cell.clone(), cell]);
        // A row may stand for a run of equal ones.
        let runs = prop::collection::vec((one, 1usize..30), 1..60);
        runs.prop_map(|runs| {
            let repeat = |(row, count)| std::iter::repeat_n(row, count);
            runs.into_iter().flat_map(repeat).collect()
        })
    }

    proptest! {
        #[test]
        fn extremes_and_holes_survive(rows in rows(), points in 2usize..60) {
            let whole = tables(&rows);
            let mut part = whole.clone();
            down_sample(&mut part, points, Some(SCRAPE_MS));
            if whole.ts_ms.len() <= points {
                prop_assert_eq!(&part, &whole);
            }
            prop_assert_eq!(edges(&part), edges(&whole));
            let lefts = edges(&part);
            prop_assert!(lefts.iter().all(|(left, _)| part.ts_ms.contains(left)));
            prop_assert_eq!(part.ts_ms.first(), whole.ts_ms.first());
            prop_assert_eq!(part.ts_ms.last(), whole.ts_ms.last());
            let mut bound = points * whole.series.len() + 2 * edges(&whole).len() + 2;
            for (before, after) in whole.series.iter().zip(&part.series) {
                prop_assert_eq!(before.cells.iter().flatten().max(), after.cells.iter().flatten().max());
                prop_assert_eq!(before.cells.iter().flatten().min(), after.cells.iter().flatten().min());
                let holes = runs(&whole.ts_ms, &before.cells);
                prop_assert_eq!(runs(&part.ts_ms, &after.cells), holes.clone());
                bound += 2 * holes.len();
            }
            prop_assert!(part.ts_ms.len() <= bound, "{} rows of at most {bound}", part.ts_ms.len());
            // Every row that stayed is a row as it was.
            for (row, ts) in part.ts_ms.iter().enumerate() {
                let was = whole.ts_ms.binary_search(ts).unwrap();
                prop_assert_eq!(part.interval_ms[row], whole.interval_ms[was]);
                for (before, after) in whole.series.iter().zip(&part.series) {
                    prop_assert_eq!(after.cells[row], before.cells[was]);
                }
            }
        }
    }

    #[test]
    fn a_spike_of_one_row_in_a_long_job_stays_beside_few_others() {
        let mut rows: Rows = vec![(1_000, [Some(5), Some(5), None]); 100_000];
        rows[54_321].1[1] = Some(6);
        let mut part = tables(&rows);
        down_sample(&mut part, 10, Some(1_000));
        assert!(part.series[1].cells.contains(&Some(6)));
        assert!(part.ts_ms.len() <= 32, "{} rows", part.ts_ms.len());
    }
}
