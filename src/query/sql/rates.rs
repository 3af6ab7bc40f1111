//! Graph units from the integers on disk: the arithmetic of [`GraphMetric::per_second`] over columns.
//!
//! A rate is an integer in the metric's fixed point, `round(amount x 1000 x 10^k / milliseconds)`, half
//! away from zero, then a DOUBLE: what the profile of a job shows. Floats compute it exactly as long as
//! the numerator stays below 2^51; a batch that has larger ones is computed in integers.

use crate::model::graph::{GraphMetric, cell_to_f64};
use crate::num;
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

/// `amounts x 10^-scale` per so many milliseconds, in the metric's unit; null where there is no amount,
/// or no time.
pub(super) fn per_second(
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
    let factor = 1_000 * 10i64.pow(u32::try_from(digits - scale.min(digits)).unwrap_or(0));
    let divisor = 10i64.pow(u32::try_from(scale - digits.min(scale)).unwrap_or(0));
    let factor = factor / divisor.max(1);
    let largest = amounts
        .iter()
        .fold(0, |all, amount| all | amount.unsigned_abs());
    let longest = times.iter().fold(0, |all, time| all | *time);
    let is_small = i64::try_from(largest)
        .ok()
        .and_then(|largest| largest.checked_mul(factor))
        .is_some_and(|numerator| numerator < EXACT);
    let is_negative = amounts.iter().any(|amount| *amount < 0);
    let rates: Vec<f64> = if is_small && !is_negative && longest < 1 << 31 {
        let power = 10f64.powi(i32::from(digits));
        let (factor, unit) = (num::to_f64(factor), power);
        let pairs = amounts.iter().zip(times.iter());
        pairs
            .map(|(amount, time)| {
                let quotient = num::to_f64(*amount) * factor / num::to_f64(*time);
                half_up(quotient) / unit
            })
            .collect()
    } else {
        let pairs = amounts.iter().zip(times.iter()).enumerate();
        let exact = pairs.map(|(row, (amount, time))| {
            let rate = metric.per_second(*amount, scale, *time);
            (row, rate)
        });
        let exact: Vec<_> = exact.collect();
        let fits = NullBuffer::from_iter(exact.iter().map(|(_, rate)| rate.is_some()));
        nulls = NullBuffer::union(nulls.as_ref(), Some(&fits));
        let cells = exact.into_iter().map(|(_, rate)| rate.unwrap_or(0));
        cells.map(|rate| cell_to_f64(rate, digits)).collect()
    };
    Ok(Float64Array::new(rates.into(), nulls))
}

/// The nearest whole number, half up, of a float from 0 to 2^51 (anything for others).
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
            let rates = per_second(metric, &amounts, scale, &times).unwrap();
            for (row, (_, time)) in cells.iter().enumerate() {
                let amount = amounts.is_valid(row).then(|| amounts.value(row));
                let expected = amount.zip(*time).and_then(|(amount, time)| metric.per_second(amount, scale, i64::from(time)));
                let expected = expected.map(|cell| cell_to_f64(cell, metric.cell.scale()));
                prop_assert_eq!(rates.is_valid(row).then(|| rates.value(row)), expected);
            }
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
