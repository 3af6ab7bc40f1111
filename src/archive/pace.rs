//! How fast work in the background goes: a share of one core, given back in small pieces, so that a
//! reader never waits behind it for long.
//!
//! Whoever works in the background calls [`Pace::pause`] every few milliseconds of work. It counts by
//! the clock and not by the processor: on a busy machine the work goes slower by itself.

use super::closing;
use crate::error::Result;
use crate::time::SharedClock;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// More than this between two pauses was no work, but time without any.
const STRETCH_MAX: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct State {
    stopped: bool,
    /// When the last pause ended, by the monotonic clock.
    since: Duration,
}

/// The pace of work in the background, shared by all of it.
#[derive(Debug)]
pub struct Pace {
    clock: SharedClock,
    share_percent: u32,
    state: Mutex<State>,
    stop: Condvar,
}

impl Pace {
    /// Work may take so many hundredths of one core, 1 to 100.
    #[must_use]
    pub fn new(clock: SharedClock, share_percent: u32) -> Self {
        Self {
            share_percent: share_percent.clamp(1, 100),
            state: Mutex::new(State {
                stopped: false,
                since: clock.monotonic(),
            }),
            stop: Condvar::new(),
            clock,
        }
    }

    /// Rests in proportion to the work since the last pause.
    ///
    /// # Errors
    /// `Unavailable` (`closing`) once everything is to stop.
    pub fn pause(&self) -> Result<()> {
        let mut state = self.state();
        let worked = self.clock.monotonic().saturating_sub(state.since);
        let rest = worked.min(STRETCH_MAX) * (100 - self.share_percent) / self.share_percent;
        if !rest.is_zero() {
            let rested = self
                .stop
                .wait_timeout_while(state, rest, |state| !state.stopped);
            state = rested.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.since = self.clock.monotonic();
        if state.stopped {
            Err(closing())
        } else {
            Ok(())
        }
    }

    /// Ends all work at its next pause, and rests at once.
    pub fn stop(&self) {
        self.state().stopped = true;
        self.stop.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SystemClock;

    #[test]
    fn a_stop_ends_rests_and_work() {
        let pace = Pace::new(SystemClock::shared(), 1);
        std::thread::scope(|scope| {
            let working = scope.spawn(|| {
                while pace.pause().is_ok() {
                    std::hint::spin_loop();
                }
            });
            pace.stop();
            working.join().unwrap();
        });
        assert_eq!(pace.pause().unwrap_err().code(), "closing");
    }
}
