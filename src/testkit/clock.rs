//! A clock that stands still until a test moves it.

use crate::time::{Clock, TimestampMs};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A clock that a test holds. Its monotonic time starts at zero.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_ms: AtomicI64,
    monotonic_ms: AtomicU64,
}

impl ManualClock {
    /// A shared clock that stands at `now`.
    #[must_use]
    pub fn at(now: TimestampMs) -> Arc<Self> {
        Arc::new(Self {
            now_ms: AtomicI64::new(now.0),
            monotonic_ms: AtomicU64::new(0),
        })
    }

    /// Sets the wall clock alone, forwards or backwards, as an operator or NTP does.
    pub fn set(&self, now: TimestampMs) {
        self.now_ms.store(now.0, Ordering::SeqCst);
    }

    /// Lets `ms` pass on both clocks.
    pub fn advance_ms(&self, ms: u32) {
        self.now_ms.fetch_add(i64::from(ms), Ordering::SeqCst);
        self.monotonic_ms.fetch_add(u64::from(ms), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> TimestampMs {
        TimestampMs(self.now_ms.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic_ms.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_the_wall_clock_back_leaves_durations_alone() {
        let clock = ManualClock::at(TimestampMs(1_000));
        clock.advance_ms(500);
        clock.set(TimestampMs(10));
        assert_eq!(clock.now(), TimestampMs(10));
        assert_eq!(clock.monotonic(), Duration::from_millis(500));
    }
}
