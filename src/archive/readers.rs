//! Who reads: a replaced segment's files stay until nobody can come to need them any more.
//!
//! A reader is registered before it takes its snapshot of the index and stays so while it holds it
//! ([`Reading`]). Replacing a segment ends an epoch, after its batch; whoever began in that epoch or an
//! earlier one may still follow an old entry to an old file. What is open is readable anyway.

use super::Archive;
use crate::index::Snapshot;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Number of an epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Epoch(u64);

#[derive(Debug, Default)]
struct State {
    epoch: Epoch,
    /// Readers by the epoch they began in.
    active: BTreeMap<Epoch, usize>,
}

/// All readers of an archive.
#[derive(Debug, Default)]
pub(super) struct Readers(Arc<Mutex<State>>);

impl Readers {
    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0)
    }

    fn enter(&self) -> FilePin {
        let mut state = self.state();
        let epoch = state.epoch;
        *state.active.entry(epoch).or_default() += 1;
        FilePin {
            state: Arc::clone(&self.0),
            epoch,
        }
    }

    /// Ends the epoch; gives the one that ended.
    pub(super) fn end_epoch(&self) -> Epoch {
        let mut state = self.state();
        let ended = state.epoch;
        state.epoch = Epoch(ended.0 + 1);
        ended
    }

    /// Whether all who began in that epoch or an earlier one are done.
    pub(super) fn are_done(&self, epoch: Epoch) -> bool {
        let state = self.state();
        state
            .active
            .keys()
            .next()
            .is_none_or(|first| *first > epoch)
    }
}

/// A panic while holding it leaves only counters behind: they are still usable.
fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While it lives, no file is removed that was in the archive when it was taken.
#[derive(Debug)]
pub struct FilePin {
    state: Arc<Mutex<State>>,
    epoch: Epoch,
}

impl Drop for FilePin {
    fn drop(&mut self) {
        let mut state = locked(&self.state);
        if let Some(readers) = state.active.get_mut(&self.epoch) {
            *readers -= 1;
            if *readers == 0 {
                state.active.remove(&self.epoch);
            }
        }
    }
}

/// A consistent view of the index whose segments stay readable as long as it lives.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    snapshot: Snapshot<'a>,
    _pin: FilePin,
}

impl<'a> Deref for Reading<'a> {
    type Target = Snapshot<'a>;

    fn deref(&self) -> &Snapshot<'a> {
        &self.snapshot
    }
}

impl Archive {
    /// Keeps every file that is there now from being removed.
    #[must_use]
    pub fn pin_files(&self) -> FilePin {
        self.readers.enter()
    }

    /// The view of a reader that opens segments.
    pub(super) fn reading(&self) -> Reading<'_> {
        // In this order: a file is looked at only if the snapshot is younger than the pin.
        let pin = self.pin_files();
        Reading {
            snapshot: self.index.snapshot(),
            _pin: pin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_done_when_all_who_began_in_it_or_before_are() {
        let readers = Readers::default();
        let first = readers.enter();
        let ended = readers.end_epoch();
        let second = readers.enter();
        let later = readers.end_epoch();
        assert!(!readers.are_done(ended) && !readers.are_done(later));
        drop(first);
        assert!(readers.are_done(ended) && !readers.are_done(later));
        let third = readers.enter();
        drop(second);
        assert!(readers.are_done(later), "the third began behind it");
        drop(third);
        assert!(readers.state().active.is_empty());
    }
}
