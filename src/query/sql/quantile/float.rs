//! Floats as integers: exactly, and in order.

use super::values::{BITS, Tag, WHOLE};
use crate::num;

/// Scales that are tried, most likely ones first: whole numbers, ratios and cores, hundredths, micros.
const SCALES: [Tag; 5] = [WHOLE, 4, 2, 3, 6];
/// Integers up to 2^53 are floats without loss, in both directions.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn power(tag: Tag) -> f64 {
    10f64.powi(i32::from(tag))
}

/// The float of an integer.
pub(super) fn value(integer: i64, tag: Tag) -> f64 {
    match tag {
        BITS => from_ordered(integer),
        WHOLE => num::to_f64(integer),
        _ => num::to_f64(integer) / power(tag),
    }
}

/// A float's bits as an integer of the same order; NaN stands behind everything.
pub(super) fn to_ordered(value: f64) -> i64 {
    // All zeros and all NaNs are one value each.
    let value = if value.is_nan() {
        f64::NAN
    } else {
        value + 0.0
    };
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

fn from_ordered(ordered: i64) -> f64 {
    let bits = ordered ^ ((ordered >> 63).cast_unsigned() >> 1).cast_signed();
    f64::from_bits(bits.cast_unsigned())
}

/// Writes floats as integers of one meaning, that of `guess` if possible.
pub(super) fn to_integers(floats: &[f64], guess: Tag, out: &mut Vec<i64>) -> Tag {
    let others = SCALES.into_iter().filter(|tag| *tag != guess);
    for tag in [guess].into_iter().chain(others).filter(|tag| *tag != BITS) {
        if scaled(floats, tag, out) {
            return tag;
        }
    }
    out.clear();
    out.extend(floats.iter().map(|value| to_ordered(*value)));
    BITS
}

/// Whether all floats are integers over that power of ten, and nothing else is the same float.
fn scaled(floats: &[f64], tag: Tag, out: &mut Vec<i64>) -> bool {
    out.clear();
    let power = power(tag);
    let mut exact = true;
    out.extend(floats.iter().map(|float| {
        let scaled = (float * power).round();
        // Minus zero is zero to every comparison; the sign of a zero is no part of a quantile.
        exact &= scaled.abs() < EXACT && scaled / power == *float;
        whole(scaled)
    }));
    exact
}

#[expect(
    clippy::as_conversions,
    reason = "what is not below 2^53 is not used; the cast saturates"
)]
fn whole(float: f64) -> i64 {
    float as i64
}
