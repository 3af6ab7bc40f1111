//! Loops over columns with the widest vector instructions that the machine has.
//!
//! The program is built for every machine of its kind, whose instructions take two floats at once; most
//! machines take four or eight. Called by whoever decodes or computes columns. Pure: the same values on every machine.

use fearless_simd::{Level, Simd as _, dispatch};
use std::sync::LazyLock;

/// Runs `work`, compiled for several sets of instructions, as the best one of them that is there. That reaches
/// what is inlined into it: plain loops over slices, of no more than a page of values.
#[inline]
pub fn wide<T>(work: impl FnOnce() -> T) -> T {
    static LEVEL: LazyLock<Level> = LazyLock::new(Level::new);
    dispatch!(*LEVEL, simd => simd.vectorize(work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_run_is_run_once_and_says_what_it_says() {
        let mut times = 0;
        let sum = wide(|| {
            times += 1;
            (0..1_000u64).map(|value| value * value).sum::<u64>()
        });
        assert_eq!((times, sum), (1, 332_833_500));
    }
}
