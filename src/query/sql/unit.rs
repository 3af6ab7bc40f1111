//! Whole numbers over a power of ten, as floats: what a division gives, without one.
//!
//! Rates are integers in fixed point that are shown as floats, and quantiles look for the integer behind a
//! float; a division for each row was a tenth of both. Called by `rates` and `quantile`.

/// Whole numbers below it have 26 bits.
const NARROW: f64 = 67_108_864.0;
/// 2^51: below it floats and integers are the same without loss, in both directions, with room for rounding.
pub(super) const EXACT: f64 = 2_251_799_813_685_248.0;
/// Powers for which [`Unit::of`] is proved.
const DIGITS_MAX: i32 = 6;

/// A power of ten to divide by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    /// `1 / 10^digits` in two parts: the upper 26 bits, and the rest.
    high: f64,
    low: f64,
    /// [`Unit::of`] is exact below it.
    pub(super) limit: f64,
    pub(super) power: f64,
}

impl Unit {
    /// 10^`digits`.
    pub(super) fn new(digits: i32) -> Self {
        let power = 10f64.powi(digits);
        let inverse = 1.0 / power;
        let high = f64::from_bits(inverse.to_bits() & !((1 << 27) - 1));
        let limit = match digits {
            0 => EXACT,
            1..=DIGITS_MAX => NARROW,
            _ => 0.0,
        };
        Self {
            high,
            // What is taken from 1 has fewer than 53 bits, so that this is the rest to its last bit but one.
            low: (1.0 - high * power) / power,
            limit,
            power,
        }
    }

    /// The float nearest to `whole / 10^digits`, for whole numbers of less than [`Unit::limit`], up to sign.
    ///
    /// `whole x high` has at most 52 bits and is exact. `whole x low` is a 2^-26th of it and off by a 2^-53th of
    /// itself, as `low` is, so the sum is rounded once, from a number that is off by less than its 2^-77th. It
    /// would be rounded to another float only if a middle between two floats lay that near: such a middle is
    /// `m / 2^s` with `m < 2^54`, and differs from `whole / 10^digits` by at least `1 / (10^digits x 2^s)`, its
    /// 2^-74th, if it differs at all. Equal it is to none: it would need 54 bits.
    #[inline(always)]
    pub(super) fn of(self, whole: f64) -> f64 {
        whole * self.high + whole * self.low
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_numbers_are_as_a_division_gives_them() {
        for digits in 0..=DIGITS_MAX {
            let unit = Unit::new(digits);
            for whole in (0u32..1 << 18).map(f64::from) {
                assert_eq!(unit.of(whole), whole / unit.power, "{whole} {digits}");
                assert_eq!(unit.of(-whole), -whole / unit.power, "{whole} {digits}");
            }
        }
        assert_eq!(Unit::new(DIGITS_MAX + 1).limit, 0.0);
        assert_eq!(Unit::new(-1).limit, 0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn numbers_below_the_limit_are_as_a_division_gives_them(whole in 0u32..1 << 26, digits in 0..=DIGITS_MAX, large in 0i64..1 << 51) {
            let unit = Unit::new(digits);
            let whole = f64::from(whole);
            prop_assert_eq!(unit.of(whole).to_bits(), (whole / unit.power).to_bits());
            let large = crate::num::to_f64(large);
            prop_assert_eq!(Unit::new(0).of(large), large);
        }
    }
}
