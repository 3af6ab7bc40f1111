//! The two physical types of a samples file, as the page encoders see them.

use parquet::basic::Type as Physical;
use parquet::file::statistics::{Statistics, ValueStatistics};
use std::fmt;
use std::hash::Hash;

/// A physical integer. Arithmetic wraps, as Parquet's encodings want it.
pub(super) trait Value: Copy + Ord + Hash + Default + TryFrom<i64> + fmt::Debug {
    /// Parquet's name of it.
    const PHYSICAL: Physical;
    /// Its width.
    const BYTES: u32;

    /// Its bits, the upper ones zero.
    fn bits(self) -> u64;
    /// As a signed integer of 64 bits.
    fn widen(self) -> i64;
    /// The difference, wrapped.
    fn minus(self, other: Self) -> Self;
    /// Statistics of a chunk: smallest and largest value, if there is any, and the number of nulls.
    fn statistics(range: Option<(Self, Self)>, nulls: u64) -> Statistics;

    /// One byte of it, the lowest first.
    fn byte(self, number: u32) -> u8 {
        let [low, ..] = (self.bits() >> (8 * number)).to_le_bytes();
        low
    }

    /// Appends it as PLAIN, which is little-endian.
    fn append_plain(self, out: &mut Vec<u8>) {
        out.extend((0..Self::BYTES).map(|number| self.byte(number)));
    }
}

impl Value for i32 {
    const PHYSICAL: Physical = Physical::INT32;
    const BYTES: u32 = 4;

    fn bits(self) -> u64 {
        u64::from(self.cast_unsigned())
    }

    fn widen(self) -> i64 {
        i64::from(self)
    }

    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn statistics(range: Option<(Self, Self)>, nulls: u64) -> Statistics {
        let (min, max) = range.unzip();
        let statistics = ValueStatistics::new(min, max, None, Some(nulls), false);
        Statistics::from(statistics.with_backwards_compatible_min_max(true))
    }
}

impl Value for i64 {
    const PHYSICAL: Physical = Physical::INT64;
    const BYTES: u32 = 8;

    fn bits(self) -> u64 {
        self.cast_unsigned()
    }

    fn widen(self) -> i64 {
        self
    }

    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    fn statistics(range: Option<(Self, Self)>, nulls: u64) -> Statistics {
        let (min, max) = range.unzip();
        let statistics = ValueStatistics::new(min, max, None, Some(nulls), false);
        Statistics::from(statistics.with_backwards_compatible_min_max(true))
    }
}
