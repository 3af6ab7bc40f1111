//! Graph units from the integers on disk: the arithmetic of [`GraphMetric::per_second`] over columns.
//!
//! A rate is an integer in the metric's fixed point, `round(amount x 1000 x 10^k / milliseconds)`, half
//! away from zero, then a DOUBLE: what the profile of a job shows. Floats compute it exactly as long as
//! the numerator stays below 2^51; a batch that has larger ones is computed in integers.

use super::unit::Unit;
use crate::model::graph::{GraphMetric, cell_to_f64};
use crate::num;
use crate::wide::wide;
use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, Float64Array, Int64Array};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::common::{Result, internal_err};

/// Numerators below it are exact, and so is the rounding of their quotient by less than 2^31.
const EXACT: i64 = 1 << 51;
/// Adding and taking away this rounds a positive float below 2^51 to a whole one.
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// A column of integers, whatever its width.
fn integers(cells: &ArrayRef) -> Result<Int64Array> {
    match cells.data_type() {
        DataType::Int32 => {
            let narrow = cells.as_primitive::<Int32Type>();
            Ok(narrow.unary(i64::from))
        }
        DataType::Int64 => Ok(cells.as_primitive::<Int64Type>().clone()),
        other => internal_err!("a number of type {other}"),
    }
}

/// A column of integers over 10^scale as DOUBLE.
pub(super) fn doubles(cells: &ArrayRef, scale: i8) -> Result<Float64Array> {
    let cells = integers(cells)?;
    let power = 10f64.powi(i32::from(scale));
    if scale == 0 {
        return Ok(cells.unary(num::to_f64));
    }
    Ok(cells.unary(|cell| num::to_f64(cell) / power))
}

/// The sum of columns of the same scale; null where one of them is.
pub(super) fn sum(columns: &[ArrayRef]) -> Result<Int64Array> {
    let mut columns = columns.iter();
    let Some(first) = columns.next() else {
        return internal_err!("a sum of nothing");
    };
    let mut total = integers(first)?;
    for column in columns {
        let own = integers(column)?;
        let nulls = NullBuffer::union(total.nulls(), own.nulls());
        let pairs = total.values().iter().zip(own.values());
        let sums = pairs
            .map(|(a, b)| a.saturating_add(*b))
            .collect::<Vec<i64>>();
        total = Int64Array::new(sums.into(), nulls);
    }
    Ok(total)
}

/// The sum of columns of the same scale per so many milliseconds, in the metric's unit; null where a
/// column is, or where there is no time.
pub(super) fn per_second(
    metric: &GraphMetric,
    columns: &[ArrayRef],
    scale: i8,
    milliseconds: &ArrayRef,
) -> Result<Float64Array> {
    match narrow(metric, columns, scale, milliseconds) {
        Some(rates) => Ok(rates),
        None => any_size(metric, &sum(columns)?, scale, milliseconds),
    }
}

/// `1,000 x 10^digits / 10^scale`: what an amount is multiplied with before it is divided.
fn factor(metric: &GraphMetric, scale: i8) -> i64 {
    let power = |digits: i8| 10i64.pow(u32::try_from(digits).unwrap_or(0));
    1_000 * power(metric.cell.scale()) / power(scale)
}

/// The rates of the usual columns, one or two of 32 bits: without a branch per row.
fn narrow(
    metric: &GraphMetric,
    columns: &[ArrayRef],
    scale: i8,
    milliseconds: &ArrayRef,
) -> Option<Float64Array> {
    let of = |cells: &ArrayRef| cells.as_primitive_opt::<Int32Type>().cloned();
    let times = of(milliseconds)?;
    let (first, second) = match columns {
        [one] => (of(one)?, None),
        [one, two] => (of(one)?, Some(of(two)?)),
        _ => return None,
    };
    let lowest = |cells: &[i32]| wide(|| cells.iter().fold(i32::MAX, |low, cell| low.min(*cell)));
    let second_low = second.as_ref().map_or(0, |cells| lowest(cells.values()));
    // Two cells of 32 bits times 10^5 at most stay below 2^51. Where a row is null its cell is 0.
    let small = factor(metric, scale) <= 100_000;
    let untimed = times.values().iter().filter(|time| **time <= 0).count();
    let timed = untimed == times.null_count();
    if !small || !timed || lowest(first.values()) < 0 || second_low < 0 {
        return None;
    }
    let factor = num::to_f64(factor(metric, scale));
    let unit = Unit::new(i32::from(metric.cell.scale()));
    let nulls = NullBuffer::union(first.nulls(), times.nulls());
    let (rates, nulls) = match &second {
        None => {
            let amounts = first.values().iter().map(|one| f64::from(*one));
            (quotients(amounts, times.values(), factor, unit), nulls)
        }
        Some(second) => {
            let amounts = first.values().iter().zip(second.values());
            let amounts = amounts.map(|(one, two)| f64::from(*one) + f64::from(*two));
            let nulls = NullBuffer::union(nulls.as_ref(), second.nulls());
            (quotients(amounts, times.values(), factor, unit), nulls)
        }
    };
    Some(Float64Array::new(rates.into(), nulls))
}

/// `round(amount x factor / time) / unit` of each row.
fn quotients(
    amounts: impl Iterator<Item = f64> + Clone,
    times: &[i32],
    factor: f64,
    unit: Unit,
) -> Vec<f64> {
    let rows = amounts.zip(times);
    // By value: what is read through a reference could change with every value that is written, and two rows
    // would not be divided at once.
    let whole = move |(amount, time): (f64, &i32)| half_up(amount * factor / f64::from(*time));
    let narrow = rows.clone().map(move |row| unit.of(whole(row)));
    let rates: Vec<f64> = wide(move || narrow.collect());
    let limit = unit.limit / unit.power;
    if wide(|| rates.iter().fold(false, |any, rate| any | (*rate >= limit))) {
        return rows.map(move |row| whole(row) / unit.power).collect();
    }
    rates
}

/// The same for amounts of any size.
fn any_size(
    metric: &GraphMetric,
    amounts: &Int64Array,
    scale: i8,
    milliseconds: &ArrayRef,
) -> Result<Float64Array> {
    let times = integers(milliseconds)?;
    let mut nulls = NullBuffer::union(amounts.nulls(), times.nulls());
    let (amounts, times) = (amounts.values(), times.values());
    if times.iter().any(|time| *time <= 0) {
        let timed = NullBuffer::from_iter(times.iter().map(|time| *time > 0));
        nulls = NullBuffer::union(nulls.as_ref(), Some(&timed));
    }
    let digits = metric.cell.scale();
    let largest = amounts
        .iter()
        .fold(0, |all, amount| all | amount.unsigned_abs());
    let longest = times.iter().fold(0, |all, time| all | *time);
    let is_small = i64::try_from(largest)
        .ok()
        .and_then(|largest| largest.checked_mul(factor(metric, scale)))
        .is_some_and(|numerator| numerator < EXACT);
    let is_negative = amounts.iter().any(|amount| *amount < 0);
    let pairs = amounts.iter().zip(times.iter());
    let rates: Vec<f64> = if is_small && !is_negative && (0..1 << 31).contains(&longest) {
        let factor = num::to_f64(factor(metric, scale));
        let unit = 10f64.powi(i32::from(digits));
        let quotient = |(amount, time): (&i64, &i64)| {
            half_up(num::to_f64(*amount) * factor / num::to_f64(*time)) / unit
        };
        pairs.map(quotient).collect()
    } else {
        let exact: Vec<Option<i64>> = pairs
            .map(|(amount, time)| metric.per_second(*amount, scale, *time))
            .collect();
        let fits = NullBuffer::from_iter(exact.iter().map(Option::is_some));
        nulls = NullBuffer::union(nulls.as_ref(), Some(&fits));
        let cells = exact.into_iter().map(|rate| rate.unwrap_or(0));
        cells.map(|rate| cell_to_f64(rate, digits)).collect()
    };
    Ok(Float64Array::new(rates.into(), nulls))
}

/// The nearest whole number, half up, of a float from 0 to 2^51 (anything for others).
#[inline(always)]
fn half_up(float: f64) -> f64 {
    let raised = float + 0.5;
    let nearest = (raised + WHOLE) - WHOLE;
    if nearest > raised {
        nearest - 1.0
    } else {
        nearest
    }
}

/// A part of a whole as DOUBLE; null where there is no whole.
pub(super) fn share(parts: &Int64Array, wholes: &ArrayRef) -> Result<Float64Array> {
    let wholes = integers(wholes)?;
    let timed = NullBuffer::from_iter(wholes.values().iter().map(|whole| *whole > 0));
    let nulls = NullBuffer::union(
        NullBuffer::union(parts.nulls(), wholes.nulls()).as_ref(),
        Some(&timed),
    );
    let pairs = parts.values().iter().zip(wholes.values());
    let shares: Vec<f64> = pairs
        .map(|(part, whole)| num::to_f64(*part) / num::to_f64(*whole))
        .collect();
    Ok(Float64Array::new(shares.into(), nulls))
}

/// What the interval that ends at `ts` shares with the window, in ms; times in microseconds.
pub(super) fn overlap(
    ts: &Int64Array,
    interval_ms: &ArrayRef,
    started: &Int64Array,
    finished: &Int64Array,
) -> Result<Int64Array> {
    let intervals = integers(interval_ms)?;
    let nulls = NullBuffer::union(intervals.nulls(), started.nulls());
    let nulls = NullBuffer::union(nulls.as_ref(), finished.nulls());
    let rows = ts.values().iter().zip(intervals.values());
    let windows = started.values().iter().zip(finished.values());
    let overlaps: Vec<i64> = rows
        .zip(windows)
        .map(|((ts, interval), (started, finished))| {
            let from = ts
                .saturating_sub(interval.saturating_mul(1_000))
                .max(*started);
            let to = *ts.min(finished);
            to.saturating_sub(from).max(0) / 1_000
        })
        .collect();
    Ok(Int64Array::new(overlaps.into(), nulls))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::graph::{GRAPH_METRICS, Origin};
    use proptest::prelude::*;
    use std::sync::Arc;

    proptest! {
        #[test]
        fn rates_are_those_of_a_profile(
            cells in prop::collection::vec((prop::option::weighted(0.9, prop_oneof![8 => 0i64..100_000_000, 1 => any::<i64>()]), prop::option::weighted(0.9, prop_oneof![8 => 1i32..100_000, 1 => any::<i32>()])), 1..60),
            metric in 0usize..GRAPH_METRICS.len(), large: bool,
        ) {
            let metric = &GRAPH_METRICS[metric];
            let Origin::Rate(columns) = metric.origin else { return Ok(()) };
            let scale = columns[0].spec().cell.scale();
            let amounts: Int64Array = cells.iter().map(|(amount, _)| amount.map(|own| if large { own } else { own.rem_euclid(1 << 40) })).collect();
            let times: ArrayRef = Arc::new(cells.iter().map(|(_, time)| *time).collect::<datafusion::arrow::array::Int32Array>());
            let amounts: ArrayRef = Arc::new(amounts);
            let rates = per_second(metric, &[Arc::clone(&amounts)], scale, &times).unwrap();
            let amounts = amounts.as_primitive::<Int64Type>();
            for (row, (_, time)) in cells.iter().enumerate() {
                let amount = amounts.is_valid(row).then(|| amounts.value(row));
                let expected = amount.zip(*time).and_then(|(amount, time)| metric.per_second(amount, scale, i64::from(time)));
                let expected = expected.map(|cell| cell_to_f64(cell, metric.cell.scale()));
                prop_assert_eq!(rates.is_valid(row).then(|| rates.value(row)), expected);
            }
        }
    }

    proptest! {
        #[test]
        fn narrow_columns_give_the_same(cells in prop::collection::vec((prop::option::weighted(0.9, 0i32..1_000_000_000), prop::option::weighted(0.9, 0i32..1_000_000_000), prop::option::weighted(0.9, 1i32..1_000_000)), 1..60)) {
            type Row = (Option<i32>, Option<i32>, Option<i32>);
            let cores = GraphMetric::by_name("cpu_used_cores").unwrap();
            let column = |pick: fn(&Row) -> Option<i32>| -> ArrayRef {
                Arc::new(cells.iter().map(pick).collect::<datafusion::arrow::array::Int32Array>())
            };
            let (user, system, times) = (column(|row| row.0), column(|row| row.1), column(|row| row.2));
            let fast = narrow(cores, &[Arc::clone(&user), Arc::clone(&system)], 2, &times).unwrap();
            let slow = any_size(cores, &sum(&[user, system]).unwrap(), 2, &times).unwrap();
            prop_assert_eq!(fast.iter().collect::<Vec<_>>(), slow.iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn halves_are_rounded_up() {
        for (float, whole) in [
            (0.0, 0.0),
            (0.49, 0.0),
            (0.5, 1.0),
            (1.5, 2.0),
            (2.5, 3.0),
            (2.4, 2.0),
            (1e15, 1e15),
        ] {
            assert_eq!(half_up(float), whole, "{float}");
        }
    }
}
