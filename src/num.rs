//! The lossless and the deliberately lossy number conversions, each in one place.
//!
//! `as` is banned (it wraps without a word); these functions say what happens at the edge.

/// `value` as a float. Exact up to 2^53, which every stored quantity of ours stays below in practice;
/// above it the nearest float is good enough for a graph.
#[must_use]
#[expect(
    clippy::as_conversions,
    reason = "i64 to f64 has no checked conversion in std"
)]
pub fn to_f64(value: i64) -> f64 {
    value as f64
}

/// The nearest integer (half away from zero), or `None` for NaN, infinities and what i64 cannot hold.
#[must_use]
#[expect(
    clippy::as_conversions,
    reason = "the range was checked on the line before"
)]
pub fn round_to_i64(value: f64) -> Option<i64> {
    let rounded = value.round();
    // 2^63 is exactly representable; i64::MAX is not, so the range is half-open.
    (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0)
        .contains(&rounded)
        .then_some(rounded as i64)
}

/// A length as u64. `usize` has at most 64 bits on every supported platform.
#[must_use]
pub fn len_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A length as i64, saturating.
#[must_use]
pub fn len_i64(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

/// A stored count as an index, saturating (an impossible index then fails at `get`).
#[must_use]
pub fn to_usize(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// `numerator / denominator` rounded half away from zero, in integers. 0 for a zero denominator.
#[must_use]
pub fn div_round(numerator: i128, denominator: i128) -> i128 {
    if denominator == 0 {
        return 0;
    }
    let (num, den) = if denominator < 0 {
        (-numerator, -denominator)
    } else {
        (numerator, denominator)
    };
    if num >= 0 {
        (num + den / 2) / den
    } else {
        -((-num + den / 2) / den)
    }
}

/// An i128 result back as i64, `None` if it does not fit.
#[must_use]
pub fn narrow(value: i128) -> Option<i64> {
    i64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_half_away_from_zero_and_checked() {
        assert_eq!(round_to_i64(2.5), Some(3));
        assert_eq!(round_to_i64(-2.5), Some(-3));
        assert_eq!(round_to_i64(f64::NAN), None);
        assert_eq!(round_to_i64(9.3e18), None);
        assert_eq!(div_round(7, 2), 4);
        assert_eq!(div_round(-7, 2), -4);
        assert_eq!(div_round(1, 3), 0);
        assert_eq!(div_round(5, 0), 0);
    }
}
