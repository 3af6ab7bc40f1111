//! Two-phase deletion: a replaced segment leaves the index at once and the disk later.
//!
//! Its entry goes, in the batch that replaces it, from `segments` to `obsolete` (a name in either is no
//! orphan). Its files are removed when its grace has passed, for programs that read in place, and no
//! reader of this process can come to need them. The jobs file goes first: samples without one
//! are to be ignored. A crash in between leaves the entry, and the next look removes the rest.

use super::Archive;
use super::commit::Txn;
use super::readers::Epoch;
use super::segments::file_name;
use crate::error::Result;
use crate::fault;
use crate::index::keys::obsolete::{Obsolete, ObsoleteSegments};
use crate::index::keys::segments::{SegmentEntry, SegmentId, Segments};
use crate::invariant::{self, InvariantId};
use crate::segment::dir::Table;
use crate::time::TimestampMs;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The replaced segments that readers of this process may still need, by the epoch that ended with
/// them. Locked while a segment is replaced, so that nobody removes it in between.
#[derive(Debug, Default)]
pub(super) struct Retired(Mutex<HashMap<SegmentId, LastEpoch>>);

/// The epoch that ended with a segment, and its entry as long as someone may come to open it.
#[derive(Debug)]
pub(super) struct LastEpoch {
    pub(super) epoch: Epoch,
    pub(super) entry: Option<SegmentEntry>,
}

impl Retired {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<SegmentId, LastEpoch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of a replaced segment, for a reader who began before that.
    pub(super) fn entry(&self, id: SegmentId) -> Option<SegmentEntry> {
        self.lock().get(&id)?.entry.clone()
    }
}

/// Moves a segment's entry to the replaced ones.
pub(super) fn retire(
    txn: &mut Txn<'_>,
    id: SegmentId,
    entry: &SegmentEntry,
    (now, grace_ms): (TimestampMs, i64),
) -> Result<()> {
    txn.delete::<Segments>(&id);
    let obsolete = Obsolete {
        archiver: entry.info.archiver,
        since: now,
        until: now.plus_ms(grace_ms),
    };
    if fault::omits("omit.obsolete_entry") {
        return Ok(());
    }
    txn.put::<ObsoleteSegments>(&id, &obsolete)
}

impl Archive {
    /// Nothing that was replaced until now stays any longer for programs that read in place.
    pub(super) fn end_graces(&self) -> Result<()> {
        let now = self.clock.now();
        let mut waiting = Vec::new();
        let snapshot = self.index.snapshot();
        snapshot.scan::<ObsoleteSegments>(&[], None, |id, obsolete| {
            if obsolete.until > now {
                waiting.push(id);
            }
            Ok(true)
        })?;
        self.committer.run(move |txn| {
            for id in waiting {
                if let Some(obsolete) = txn.get::<ObsoleteSegments>(&id)? {
                    let until = now;
                    txn.put::<ObsoleteSegments>(&id, &Obsolete { until, ..obsolete })?;
                }
            }
            Ok(())
        })
    }

    /// Whether no file is left whose grace has passed.
    pub(super) fn has_removed_all_due(&self) -> Result<bool> {
        let now = self.clock.now();
        let mut left = false;
        let snapshot = self.index.snapshot();
        snapshot.scan::<ObsoleteSegments>(&[], None, |_, obsolete| {
            left |= obsolete.until <= now;
            Ok(!left)
        })?;
        Ok(!left)
    }

    /// Removes the files of replaced segments whose time has come; says of how many segments.
    ///
    /// # Errors
    /// `Unavailable` for I/O errors: what is left is removed at the next call.
    pub fn remove_obsolete(&self) -> Result<u64> {
        let now = self.clock.now();
        let mut due = Vec::new();
        let snapshot = self.index.snapshot();
        snapshot.scan::<ObsoleteSegments>(&[], None, |id, obsolete| {
            let is_live = snapshot.get::<Segments>(&id)?.is_some();
            let holds = invariant::check(InvariantId::Ar7, !is_live, || {
                format!("segment {} of {} is live and replaced", id.seq, id.date)
            });
            if holds && obsolete.until <= now {
                due.push((id, obsolete.archiver));
            }
            Ok(true)
        })?;
        let mut removed = Vec::new();
        {
            let mut retired = self.retired.lock();
            for (id, archiver) in due {
                if retired
                    .get(&id)
                    .is_some_and(|last| !self.readers.are_done(last.epoch))
                    && !fault::omits("omit.reader_epoch")
                {
                    continue;
                }
                fault::step("obsolete.due")?;
                let name = file_name(archiver, id.seq);
                for table in Table::ALL {
                    self.dir.remove(table, id.date, &name)?;
                    fault::step("obsolete.removed")?;
                }
                retired.remove(&id);
                removed.push(id);
            }
        }
        // Whoever opened one of them late was the last: nobody is led to it any more.
        self.segments.forget(&removed);
        let count = crate::num::len_u64(removed.len());
        if count > 0 {
            self.committer.run(move |txn| {
                removed
                    .iter()
                    .for_each(|id| txn.delete::<ObsoleteSegments>(id));
                Ok(())
            })?;
        }
        Ok(count)
    }
}
