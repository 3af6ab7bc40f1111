//! When people and schedulers start pipelines: hours of the week, growth over months, holidays.
//!
//! All pure functions of the time and the seed.

use super::random::unit_of;
use crate::num;
use crate::time::Date;

/// Weight of each day of the week, Monday first.
const WEEK: [f64; 7] = [0.94, 1.0, 1.0, 0.98, 0.84, 0.27, 0.23];
/// Weight of each hour of a place's working day.
const DAY: [f64; 24] = [
    0.16, 0.12, 0.10, 0.10, 0.11, 0.14, 0.22, 0.40, 0.70, 0.95, 1.0, 0.98, 0.72, 0.82, 1.0, 0.99,
    0.93, 0.75, 0.52, 0.40, 0.34, 0.30, 0.26, 0.20,
];
/// More pipelines each month.
const GROWTH_PER_MONTH: f64 = 1.025;
const DAYS_PER_MONTH: f64 = 30.44;

/// Monday is 0. 1970-01-01 was a Thursday.
fn weekday(date: Date) -> usize {
    usize::try_from((date.0 + 3).rem_euclid(7)).unwrap_or(0)
}

/// Months from `from` to `date`, with fractions.
pub(super) fn months(from: Date, date: Date) -> f64 {
    f64::from(date.0 - from.0) / DAYS_PER_MONTH
}

/// Between Christmas and New Year offices are closed: day of the year, leap days ignored.
fn is_holiday(date: Date) -> bool {
    let day = (f64::from(date.0) % 365.2425).floor();
    !(1.0..357.0).contains(&day)
}

/// How much happens on a date, beside others.
pub(super) fn day_weight(seed: u64, first: Date, date: Date) -> f64 {
    let usual = WEEK.get(weekday(date)).copied().unwrap_or(1.0);
    let growth = GROWTH_PER_MONTH.powf(months(first, date));
    let holiday = if is_holiday(date) { 0.4 } else { 1.0 };
    let luck = 0.94 + 0.12 * unit_of(&[seed, u64::from(date.0.unsigned_abs())]);
    usual * growth * holiday * luck
}

/// How busy a place is at an hour of its day, 0 to 1.
pub(super) fn hour_weight(local_hour: usize) -> f64 {
    DAY.get(local_hour % 24).copied().unwrap_or(0.0)
}

/// How busy the runners of a region are on a date at a time of the day, 0 to 1.
pub(super) fn tightness(date: Date, ms_of_day: i64, shift_hours: i64) -> f64 {
    let usual = WEEK.get(weekday(date)).copied().unwrap_or(1.0);
    let hour = (ms_of_day / 3_600_000 + shift_hours).rem_euclid(24);
    usual * hour_weight(num::to_usize(hour.unsigned_abs()))
}

/// A time of the day at which somebody in a place starts a pipeline, in ms from midnight UTC.
pub(super) fn time_of_day(shift_hours: i64, rng: &mut fastrand::Rng) -> i64 {
    loop {
        let hour = rng.usize(..24);
        if rng.f64() < hour_weight(hour) {
            let local = num::len_i64(hour);
            let utc = (local - shift_hours).rem_euclid(24);
            return utc * 3_600_000 + rng.i64(0..3_600_000);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekends_are_quiet_and_months_grow() {
        let monday = Date(20_000 - 20_000 % 7 + 4);
        assert_eq!(weekday(monday), 0);
        assert_eq!(weekday(Date(0)), 3);
        let weight = |days| day_weight(1, monday, Date(monday.0 + days));
        assert!(weight(5) < 0.4 * weight(1));
        let week = |first: i32| (first..first + 7).map(weight).sum::<f64>();
        assert!(week(26 * 7) > 1.1 * week(0));
    }

    #[test]
    fn people_work_at_day() {
        let mut rng = fastrand::Rng::with_seed(1);
        let times: Vec<i64> = (0..2_000).map(|_| time_of_day(-6, &mut rng)).collect();
        let at_noon = times
            .iter()
            .filter(|ms| (15..23).contains(&(**ms / 3_600_000)));
        assert!(at_noon.count() > 900, "9 to 17 six hours west");
        assert!(times.iter().all(|ms| (0..86_400_000).contains(ms)));
    }
}
