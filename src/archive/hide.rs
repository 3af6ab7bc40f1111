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
use std::cell::OnceCell;

/// Removes what is hidden at one instant from segments of one date. The instant is that of the first
/// question, which is asked when the rewrite has begun: a policy that is set then waits for its end
/// ([`Archive::set_retention`]).
struct Hide<'a> {
    archive: &'a Archive,
    visible: OnceCell<Visibility>,
    date: Date,
}

impl Hide<'_> {
    fn visible(&self) -> Result<&Visibility> {
        if let Some(visible) = self.visible.get() {
            return Ok(visible);
        }
        let visible = self.archive.visibility(&self.archive.index.snapshot())?;
        Ok(self.visible.get_or_init(|| visible))
    }

    /// What may be seen of a job whose fate was asked for before.
    fn sight(&self, job: &Candidate<'_>) -> Option<Sight> {
        let (project, key) = (job.sealed.project, job.head.keys.job);
        let end = job.head.finished_at;
        self.visible.get()?.sight(project, key, self.date, end)
    }
}

impl Transform for Hide<'_> {
    fn fate(&self, job: &Candidate<'_>) -> Result<Fate> {
        self.visible()?;
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
        self.visible()?
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
        let Some(entry) = self.index.get::<Segments>(&id)? else {
            return Ok(None);
        };
        let transform = Hide {
            archive: self,
            visible: OnceCell::new(),
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
