//! What is hidden goes: the rule by which expiry and erasure rewrite segments.
//!
//! It is the rule of [`super::visible`], so that no byte goes that a reader could still see, and none
//! stays for longer than its file: rows and samples that have expired, jobs that were erased, texts
//! that were.

use super::rewrite::{Candidate, Fate, Rewrite, Rewritten, Transform};
use super::visible::Sight;
use super::{Archive, Visibility};
use crate::error::Result;
use crate::index::keys::segments::{SegmentId, Segments};
use crate::model::archived::SummarisedRow;
use crate::segment::copy::Pause;
use crate::time::Date;

/// Removes what is hidden at one instant from segments of one date.
struct Hide {
    visible: Visibility,
    date: Date,
}

impl Hide {
    fn sight(&self, job: &Candidate<'_>) -> Option<Sight> {
        let (project, key) = (job.sealed.project, job.head.keys.job);
        let end = job.head.finished_at;
        self.visible.sight(project, key, self.date, end)
    }
}

impl Transform for Hide {
    fn fate(&self, job: &Candidate<'_>) -> Result<Fate> {
        Ok(match self.sight(job) {
            None => Fate::Drop,
            Some(sight) if sight.erased.is_empty() => Fate::Keep,
            Some(_) => Fate::Change,
        })
    }

    fn keeps_samples(&self, job: &Candidate<'_>) -> bool {
        self.sight(job).is_some_and(|sight| sight.kept.samples)
    }

    fn keeps_slices(&self, job: &Candidate<'_>) -> bool {
        self.sight(job).is_some_and(|sight| sight.kept.samples_5m)
    }

    fn change(&self, mut row: SummarisedRow) -> Result<SummarisedRow> {
        let keys = row.row.keys;
        self.visible
            .erased(keys.project, keys.job)
            .erase_from_row(&mut row.row);
        Ok(row)
    }
}

impl Archive {
    /// Writes a segment anew without what is hidden of it. `None` if it is not there any more.
    ///
    /// # Errors
    /// As [`Archive::rewrite`].
    pub(super) fn rewrite_hidden(
        &self,
        id: SegmentId,
        grace_ms: i64,
        pause: Pause<'_>,
    ) -> Result<Option<Rewritten>> {
        let (visible, entry) = {
            let snapshot = self.index.snapshot();
            (self.visibility(&snapshot)?, snapshot.get::<Segments>(&id)?)
        };
        let Some(entry) = entry else { return Ok(None) };
        let transform = Hide {
            visible,
            date: id.date,
        };
        self.rewrite(&Rewrite {
            inputs: &[id],
            level: entry.info.level,
            grace_ms,
            transform: &transform,
            pause,
        })
    }
}
