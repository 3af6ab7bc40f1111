//! Room on the disk: below a reserve nothing new is begun.
//!
//! A disk that is full stops everything at once, in the middle of whatever was going on. So new work
//! (events, staging, seals, compaction) is refused while less than the reserve is free: the answer says
//! so, reads go on, and what frees space (expiry, erasure, removal of files) may use the reserve. The
//! state is looked at again at most every second, so that work goes on by itself when space returns.
//! What RocksDB does when its disk is full all the same: see `commit`.

use super::Archive;
use crate::error::{Error, ErrorKind, Result};
use crate::index::keys::meta::Meta;
use crate::segment::dir::Space;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Code of the error while there is no room for new work.
pub(super) const DISK_FULL: &str = "disk_full";

/// How long the file system's answer is taken for true.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How much of the disk stays free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reserve {
    /// As configured, in bytes.
    pub bytes: Option<u64>,
}

impl Reserve {
    /// The reserve on a disk of that size: 5 %, at least 1 GiB, unless configured.
    #[must_use]
    pub fn of(self, total_bytes: u64) -> u64 {
        self.bytes.unwrap_or((1 << 30).max(total_bytes / 20))
    }
}

/// Room on the disk, and what of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Room {
    pub free_bytes: u64,
    pub reserve_bytes: u64,
}

impl Room {
    /// Whether new work may begin.
    #[must_use]
    pub fn is_enough(self) -> bool {
        self.free_bytes >= self.reserve_bytes
    }
}

/// The last look, on the clock that never steps.
#[derive(Debug, Default)]
pub(super) struct LastLook(Mutex<Option<(Duration, Space)>>);

/// The error of a caller who wants to begin something.
pub(super) fn full(what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        DISK_FULL,
        format!(
            "{what}: nothing new is taken until space is freed on the disk of the data directory; reads go on"
        ),
    )
}

impl Archive {
    /// Room on the disk, not older than a second.
    ///
    /// # Errors
    /// `Unavailable` if the file system does not say.
    pub fn room(&self) -> Result<Room> {
        let now = self.clock.monotonic();
        let mut last = self
            .last_look
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let space = match *last {
            Some((at, space)) if now.saturating_sub(at) < LOOK_EVERY => space,
            _ => {
                let space = self.dir.space()?;
                *last = Some((now, space));
                space
            }
        };
        Ok(Room {
            free_bytes: space.free_bytes,
            reserve_bytes: self.settings.reserve.of(space.total_bytes),
        })
    }

    /// Refuses new work while the disk is full.
    ///
    /// # Errors
    /// `Unavailable` (`disk_full`).
    pub(super) fn need_room(&self) -> Result<()> {
        let room = self.room()?;
        if room.is_enough() {
            return Ok(());
        }
        Err(full(format!(
            "the disk is full: {} MiB are free, {} MiB are kept in reserve",
            room.free_bytes >> 20,
            room.reserve_bytes >> 20
        )))
    }

    /// Finds out whether the index can be written again after it found no space: somebody has to write
    /// for that, and whoever sees that the service is not ready will not.
    pub(super) fn try_again_after_full(&self) {
        if !self.committer.is_full() {
            return;
        }
        let again = self.committer.run(|txn| {
            let name = "seq.segment".to_owned();
            let last = txn.get::<Meta>(&name)?.unwrap_or(0);
            txn.put::<Meta>(&name, &last)
        });
        if let Err(error) = again {
            tracing::info!(error = error.chain(), "the index cannot be written yet");
        }
    }

    /// Why no new work is taken, if none is.
    #[must_use]
    pub fn not_ready(&self) -> Option<Error> {
        if self.committer.is_poisoned() {
            return Some(super::commit::poisoned_error());
        }
        self.need_room().err().or_else(|| {
            let refused = self.committer.is_full();
            refused.then(|| full("the last write found no space on the disk"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_a_share_of_large_disks_and_a_gibibyte_of_small_ones() {
        let gib = 1u64 << 30;
        assert_eq!(Reserve::default().of(10 * gib), gib);
        assert_eq!(Reserve::default().of(1_000 * gib), 50 * gib);
        assert_eq!(Reserve { bytes: Some(7) }.of(1_000 * gib), 7);
        let room = |free_bytes| Room {
            free_bytes,
            reserve_bytes: 7,
        };
        assert!(room(7).is_enough() && !room(6).is_enough());
    }
}
