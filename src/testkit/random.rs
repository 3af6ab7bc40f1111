//! Random numbers as the generators need them.

use crate::num;

/// A log-normal factor with median 1.
pub(super) fn log_normal(rng: &mut fastrand::Rng, sigma: f64) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    (sigma * radius * (std::f64::consts::TAU * rng.f64()).cos()).exp()
}

/// A factor around 1.
pub(super) fn around(rng: &mut fastrand::Rng, width: f64) -> f64 {
    1.0 + width * (2.0 * rng.f64() - 1.0)
}

/// The whole number below, as a counter shows it.
pub(super) fn whole(value: f64) -> i64 {
    num::round_to_i64(value.floor()).unwrap_or(0)
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
}
