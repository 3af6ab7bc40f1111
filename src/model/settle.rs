//! When a job is fetched, fetched again, and given up (design section 10).
//!
//! A sample is visible up to one scrape interval and one scrape timeout after its time, and the
//! staleness marker of a removed target 1.1 intervals after its last scrape. So a job has settled at
//! end + 2.1 intervals + timeout + 1 s.

use crate::time::TimestampMs;

/// Prometheus' own default of the scrape interval: what is reckoned with until the data shows it.
pub const UNKNOWN_SCRAPE_INTERVAL_MS: i64 = 60_000;
/// The most common scrape interval: when to look first if it is not known. Whether that was too early
/// is decided by the interval that the data shows.
const HOPED_SCRAPE_INTERVAL_MS: i64 = 15_000;
/// The longest scrape interval that data alone can show: Prometheus itself takes a series for gone
/// after five minutes. Longer distances are holes.
const PLAUSIBLE_SCRAPE_INTERVAL_MS: i64 = 300_000;
/// Prometheus' default retention, where the server does not say.
pub const DEFAULT_RETENTION_MS: i64 = 15 * 86_400_000;
/// Prometheus' default scrape timeout; never longer than the interval.
const SCRAPE_TIMEOUT_MS: i64 = 10_000;
/// Delays between attempts; the last one repeats.
const RETRY_MS: [i64; 5] = [90_000, 180_000, 600_000, 1_800_000, 3_600_000];
/// Delays after a server that does not answer: often it only restarts.
const UPSTREAM_MS: [i64; 7] = [
    10_000, 30_000, 90_000, 180_000, 600_000, 1_800_000, 3_600_000,
];
/// Attempts after which a profile whose last part is missing is taken as it is.
const ATTEMPTS_FOR_THE_END: u32 = 4;
/// No new attempt in the last hour before the server forgets the job.
const RETENTION_MARGIN_MS: i64 = 3_600_000;

/// Delay between a job's end and the first fetch.
#[must_use]
pub fn first_delay_ms(scrape_interval_ms: Option<i64>) -> i64 {
    settled_after_ms(scrape_interval_ms.unwrap_or(HOPED_SCRAPE_INTERVAL_MS))
}

/// Time from a job's end until everything that Prometheus will know of it is visible there.
#[must_use]
pub fn settled_after_ms(scrape_interval_ms: i64) -> i64 {
    let interval = scrape_interval_ms;
    interval.saturating_mul(21) / 10 + SCRAPE_TIMEOUT_MS.min(interval) + 1_000
}

/// A scrape interval that data showed, at most what can be one.
#[must_use]
pub fn plausible_interval_ms(found_ms: i64) -> i64 {
    found_ms.min(PLAUSIBLE_SCRAPE_INTERVAL_MS)
}

/// Delay after the `attempts`-th attempt (from 1).
#[must_use]
pub fn retry_delay_ms(attempts: u32) -> i64 {
    step(&RETRY_MS, attempts)
}

/// Delay after the `attempts`-th attempt if the server did not answer, or not usefully.
#[must_use]
pub fn upstream_delay_ms(attempts: u32) -> i64 {
    step(&UPSTREAM_MS, attempts)
}

fn step(delays: &[i64], attempts: u32) -> i64 {
    let position = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    delays
        .get(position)
        .or(delays.last())
        .copied()
        .unwrap_or(3_600_000)
}

/// Whether a profile without its end, or a machine that Prometheus could not reach, is taken as it is.
#[must_use]
pub fn end_is_given_up(attempts: u32) -> bool {
    attempts >= ATTEMPTS_FOR_THE_END
}

/// The last attempt: an hour before what began at `from` leaves the server's retention.
#[must_use]
pub fn deadline(from: TimestampMs, retention_ms: Option<i64>) -> TimestampMs {
    let retention = retention_ms.unwrap_or(DEFAULT_RETENTION_MS);
    from.plus_ms(retention).plus_ms(-RETENTION_MARGIN_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_those_of_the_design() {
        assert_eq!(first_delay_ms(None), 42_500);
        assert_eq!(first_delay_ms(Some(1_000)), 4_100);
        assert_eq!(
            [1, 2, 3, 4, 5, 99].map(retry_delay_ms),
            [90_000, 180_000, 600_000, 1_800_000, 3_600_000, 3_600_000]
        );
        assert_eq!(
            deadline(TimestampMs(0), Some(7_200_000)),
            TimestampMs(3_600_000)
        );
    }
}
