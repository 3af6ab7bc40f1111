//! The segments that the index names, read once for all views between two changes of them.
//!
//! Every question begins with all of them. With ten million jobs their entries, digests included, are 30 MB,
//! and what a view needs of them is 60 KB.

use super::SegmentRef;
use crate::error::Result;
use crate::index::Snapshot;
use crate::index::keys::segments::Segments;
use std::sync::{Arc, Mutex, PoisonError};

/// The list that was read last, and the generation that it is of.
#[derive(Debug, Default)]
pub(in crate::archive) struct SegmentList(Mutex<Option<(u64, Arc<[SegmentRef]>)>>);

impl SegmentList {
    /// The segments of a snapshot, by date.
    pub(super) fn of(&self, snapshot: &Snapshot<'_>) -> Result<Arc<[SegmentRef]>> {
        // None while the segments change: then it is read for this snapshot alone.
        let Some(generation) = snapshot.generation() else {
            return read(snapshot);
        };
        // Held while it is read: whoever comes meanwhile would read the same.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, list)) = known.as_ref().filter(|(own, _)| *own == generation) {
            return Ok(Arc::clone(list));
        }
        let list = read(snapshot)?;
        if known.as_ref().is_none_or(|(own, _)| *own < generation) {
            *known = Some((generation, Arc::clone(&list)));
        }
        Ok(list)
    }
}

fn read(snapshot: &Snapshot<'_>) -> Result<Arc<[SegmentRef]>> {
    let mut segments = Vec::new();
    snapshot.scan::<Segments>(&[], None, |id, entry| {
        segments.push(SegmentRef {
            id,
            archiver: entry.info.archiver,
            jobs: entry.info.jobs,
            sample_rows: entry.info.rows,
            ends: entry.info.ends,
        });
        Ok(true)
    })?;
    Ok(segments.into())
}
