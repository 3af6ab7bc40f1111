//! Floats as integers: exactly, and in order.

use super::super::unit::{EXACT, Unit};
use super::values::{BITS, Tag, WHOLE};
use crate::num;
use crate::wide::wide;

/// Scales that are tried, most likely ones first: whole numbers, ratios and cores, hundredths, micros.
const SCALES: [Tag; 5] = [WHOLE, 4, 2, 3, 6];
/// Adding it moves a float below [`EXACT`] so that its lowest bits are the nearest whole number.
const WHOLES: f64 = 6_755_399_441_055_744.0;

fn unit(tag: Tag) -> Unit {
    Unit::new(i32::from(tag))
}

/// The float of an integer.
pub(super) fn value(integer: i64, tag: Tag) -> f64 {
    match tag {
        BITS => from_ordered(integer),
        WHOLE => num::to_f64(integer),
        _ => num::to_f64(integer) / unit(tag).power,
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
    let unit = unit(tag);
    match wholes(
        floats,
        unit.power,
        unit.limit,
        move |whole| unit.of(whole),
        out,
    ) {
        Fit::TooLarge if unit.limit < EXACT => {
            let quotient = |whole| whole / unit.power;
            wholes(floats, unit.power, EXACT, quotient, out) == Fit::All
        }
        fit => fit == Fit::All,
    }
}

/// How floats are integers over a power of ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    All,
    /// One is not.
    NotAll,
    /// One is larger than can be said.
    TooLarge,
}

/// Writes `float x power` of each; says whether each is less than `limit`, whole, and by `quotient` that float
/// again. Without a branch and without a call per value, so that several are looked at at once.
fn wholes(
    floats: &[f64],
    power: f64,
    limit: f64,
    quotient: impl Fn(f64) -> f64,
    out: &mut Vec<i64>,
) -> Fit {
    out.clear();
    out.resize(floats.len(), 0);
    wide(move || {
        let (mut other, mut large) = (0, 0);
        for (out, float) in out.iter_mut().zip(floats) {
            let scaled = float * power;
            let moved = scaled + WHOLES;
            // Minus zero is zero to every comparison; the sign of a zero is no part of a quantile.
            large |= u64::from(scaled.abs() >= limit);
            other |= u64::from(quotient(moved - WHOLES) != *float);
            let bits = moved.to_bits().wrapping_sub(WHOLES.to_bits());
            *out = bits.cast_signed();
        }
        match (large, other) {
            (0, 0) => Fit::All,
            (0, _) => Fit::NotAll,
            _ => Fit::TooLarge,
        }
    })
}
