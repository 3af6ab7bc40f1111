//! Time: instants, half-open ranges, and the only wall clock.
//!
//! Everything above works on [`TimestampMs`] (Unix milliseconds, UTC) and asks a [`Clock`] for the
//! present, so that a test can hold time still. Ranges are half-open everywhere; the one conversion
//! to Prometheus' inclusive ranges is [`TimeRange::to_inclusive`].

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimestampMs(pub i64);

/// Times accepted from outside: year 2001 to 2200. Outside of it a number is a unit mistake
/// (seconds, microseconds), not a job's time.
const PLAUSIBLE_MS: std::ops::Range<i64> = 978_307_200_000..7_258_118_400_000;

impl TimestampMs {
    /// Parses RFC 3339 (`2026-07-28T22:09:25.123Z`, any offset, `T` or blank).
    ///
    /// Returns `None` for anything else and for times outside 2001..2200.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let parsed = DateTime::parse_from_rfc3339(text.trim()).ok()?;
        Self::plausible(parsed.timestamp_millis())
    }

    /// The instant, if it can be a job's time (2001..2200).
    #[must_use]
    pub fn plausible(ms: i64) -> Option<Self> {
        PLAUSIBLE_MS.contains(&ms).then_some(Self(ms))
    }

    /// RFC 3339 in UTC with milliseconds, e.g. `2026-07-28T22:09:25.123Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
            None => format!("{} ms", self.0),
        }
    }

    /// The UTC date.
    #[must_use]
    pub fn date(self) -> Date {
        Date(i32::try_from(self.0.div_euclid(86_400_000)).unwrap_or(i32::MAX))
    }

    /// This instant moved by `ms` (saturating).
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// `self - earlier` in milliseconds (saturating, negative if `earlier` is later).
    #[must_use]
    pub fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A UTC date as days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Date(pub i32);

impl Date {
    /// Parses `2026-07-28`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        i32::try_from(date.signed_duration_since(epoch).num_days())
            .ok()
            .map(Self)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = NaiveDate::from_ymd_opt(1970, 1, 1)
            .and_then(|epoch| epoch.checked_add_signed(TimeDelta::days(i64::from(self.0))));
        match date {
            Some(date) => write!(f, "{}", date.format("%Y-%m-%d")),
            None => write!(f, "day {}", self.0),
        }
    }
}

/// A half-open range of time, `[from, to)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// First instant inside.
    pub from: TimestampMs,
    /// First instant behind.
    pub to: TimestampMs,
}

impl TimeRange {
    /// `[from, to)`; empty if `to <= from`.
    #[must_use]
    pub fn new(from: TimestampMs, to: TimestampMs) -> Self {
        Self { from, to }
    }

    /// Length in milliseconds, 0 if empty.
    #[must_use]
    pub fn len_ms(self) -> i64 {
        self.to.since(self.from).max(0)
    }

    /// Whether nothing is inside.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.to <= self.from
    }

    /// Whether `ts` is inside.
    #[must_use]
    pub fn contains(self, ts: TimestampMs) -> bool {
        self.from <= ts && ts < self.to
    }

    /// Milliseconds that both ranges share.
    #[must_use]
    pub fn overlap_ms(self, other: Self) -> i64 {
        self.to
            .min(other.to)
            .since(self.from.max(other.from))
            .max(0)
    }

    /// The range widened to both sides.
    #[must_use]
    pub fn padded(self, before_ms: i64, after_ms: i64) -> Self {
        Self::new(self.from.plus_ms(-before_ms), self.to.plus_ms(after_ms))
    }

    /// First and last millisecond, for Prometheus' inclusive ranges.
    #[must_use]
    pub fn to_inclusive(self) -> (i64, i64) {
        (self.from.0, self.to.0.saturating_sub(1))
    }
}

/// Where the present comes from. `monotonic` never steps back and is for durations only.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock.
    fn now(&self) -> TimestampMs;
    /// Time since some fixed point, for measuring durations.
    fn monotonic(&self) -> Duration;
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one owner of the machine's clock"
    )]
    pub fn new() -> Self {
        Self {
            start: std::time::Instant::now(),
        }
    }

    /// The same, shared.
    #[must_use]
    pub fn shared() -> SharedClock {
        Arc::new(Self::new())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one owner of the machine's clock"
    )]
    fn now(&self) -> TimestampMs {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        TimestampMs(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_round_trips_and_rejects_unit_mistakes() {
        let ts = TimestampMs::parse_rfc3339("2026-07-29T00:09:25.123+02:00").unwrap();
        assert_eq!(ts.to_rfc3339(), "2026-07-28T22:09:25.123Z");
        assert_eq!(ts.date().to_string(), "2026-07-28");
        assert!(TimestampMs::parse_rfc3339("1764000000").is_none());
        assert!(TimestampMs::parse_rfc3339("1970-01-01T00:00:00Z").is_none());
        assert!(TimestampMs::plausible(1_764_000_000).is_none());
    }

    #[test]
    fn dates_round_trip() {
        for day in [-1, 0, 20_500] {
            assert_eq!(Date::parse(&Date(day).to_string()), Some(Date(day)));
        }
        assert_eq!(Date::parse("2026-02-30"), None);
    }

    #[test]
    fn ranges_are_half_open() {
        let range = TimeRange::new(TimestampMs(10), TimestampMs(20));
        assert!(range.contains(TimestampMs(10)) && !range.contains(TimestampMs(20)));
        assert_eq!(
            range.overlap_ms(TimeRange::new(TimestampMs(15), TimestampMs(40))),
            5
        );
        assert_eq!(
            range.overlap_ms(TimeRange::new(TimestampMs(20), TimestampMs(40))),
            0
        );
        assert_eq!(range.to_inclusive(), (10, 19));
    }
}
