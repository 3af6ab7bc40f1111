//! Random numbers as the generators need them.

use crate::num;

/// A log-normal factor with median 1.
pub(crate) fn log_normal(rng: &mut fastrand::Rng, sigma: f64) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    (sigma * radius * (std::f64::consts::TAU * rng.f64()).cos()).exp()
}

/// A factor around 1.
pub(crate) fn around(rng: &mut fastrand::Rng, width: f64) -> f64 {
    1.0 + width * (2.0 * rng.f64() - 1.0)
}

/// The whole number below, as a counter shows it.
pub(crate) fn whole(value: f64) -> i64 {
    num::round_to_i64(value.floor()).unwrap_or(0)
}

/// A number that stands for several: equal ones give equal numbers, all others look random.
pub(crate) fn mixed(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |hash, part| {
        let mut next = (hash ^ part).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        next ^= next >> 29;
        next = next.wrapping_mul(0x94d0_49bb_1331_11eb);
        next ^ (next >> 32)
    })
}

/// A number from 0 to 1 that stands for several.
pub(crate) fn unit_of(parts: &[u64]) -> f64 {
    fastrand::Rng::with_seed(mixed(parts)).f64()
}

/// Which of ascending cumulative weights a share of their sum falls upon.
pub(crate) fn pick(cumulative: &[f64], rng: &mut fastrand::Rng) -> usize {
    let at = rng.f64() * cumulative.last().copied().unwrap_or(0.0);
    let found = cumulative.partition_point(|weight| *weight <= at);
    found.min(cumulative.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_normal_has_its_median_and_mean() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut values: Vec<f64> = (0..20_001).map(|_| log_normal(&mut rng, 0.8)).collect();
        values.sort_by(f64::total_cmp);
        assert!((values[10_000] - 1.0).abs() < 0.03);
        let mean = values.iter().sum::<f64>() / 20_001.0;
        assert!((mean - (0.8f64 * 0.8 / 2.0).exp()).abs() < 0.05, "{mean}");
    }

    #[test]
    fn heavy_ones_are_picked_more_often() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut picks = [0; 3];
        for _ in 0..4_000 {
            picks[pick(&[1.0, 1.0, 4.0], &mut rng)] += 1;
        }
        assert!(picks[1] == 0 && picks[2] > 2 * picks[0], "{picks:?}");
        assert_ne!(mixed(&[1, 2]), mixed(&[2, 1]));
    }
}
