//! Retention: the bytes of what has expired go.
//!
//! What may be read is decided elsewhere and at once ([`super::visible`]). Here segments are looked at,
//! oldest first, and one is written anew without what has expired ([`super::hide`]) if that makes one
//! of its files needless, or if more than the policy's share of its bytes is not needed any more. That
//! decision is a pure function of what a segment holds ([`SegmentUse::is_due`]); a dry run makes it and
//! nothing else. Samples leave five-minute slices behind, in the same rewrite.

use super::{Archive, Visibility};
use crate::error::{Error, ErrorKind, Result};
use crate::index::Snapshot;
use crate::index::keys::amendments::Amendments;
use crate::index::keys::jobs::{JobEntry, Jobs};
use crate::index::keys::segments::{SegmentEntry, SegmentId, Segments};
use crate::segment::copy::Pause;
use crate::segment::jobs::JobHead;
use crate::time::Date;

/// How far the wall clock may run ahead of the machine's own since the archive was opened. Beyond it
/// somebody set the clock, and what would go is asked for again after a restart with a right one.
const CLOCK_AHEAD_MS_MAX: i64 = 3_600_000;

/// What a segment holds, and how much of it has expired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct SegmentUse {
    pub jobs: u64,
    pub rows: u64,
    pub samples_bytes: u64,
    pub samples_5m_bytes: u64,
    pub jobs_bytes: u64,
    /// Jobs whose row has expired.
    pub expired_jobs: u64,
    /// Rows of samples that have expired.
    pub expired_rows: u64,
    /// Jobs without samples whose slices have expired.
    pub expired_slices: u64,
    /// Jobs without samples.
    pub without_samples: u64,
}

fn share(bytes: u64, part: u64, all: u64) -> u64 {
    let part = u128::from(bytes) * u128::from(part) / u128::from(all.max(1));
    u64::try_from(part).unwrap_or(bytes)
}

impl SegmentUse {
    /// Bytes that are not needed any more, about.
    #[must_use]
    pub fn expired_bytes(&self) -> u64 {
        let slices = self.expired_slices;
        share(self.samples_bytes, self.expired_rows, self.rows)
            + share(self.jobs_bytes, self.expired_jobs, self.jobs)
            + share(self.samples_5m_bytes, slices, self.without_samples)
    }

    /// Whether the segment is to be written anew: no job of it is needed, or no sample, or no slice, or
    /// more than `percent` of its bytes are not.
    #[must_use]
    pub fn is_due(&self, percent: u8) -> bool {
        let all = |expired: u64, all: u64| expired > 0 && expired == all;
        let has_slices = self.samples_5m_bytes > 0;
        let bytes = self.samples_bytes + self.samples_5m_bytes + self.jobs_bytes;
        all(self.expired_jobs, self.jobs)
            || all(self.expired_rows, self.rows)
            || (has_slices && all(self.expired_slices, self.without_samples))
            || u128::from(self.expired_bytes()) * 100 > u128::from(bytes) * u128::from(percent)
    }
}

/// What retention did, or would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Expiry {
    /// Segments that hold something that has expired.
    pub segments: u64,
    /// Those of them that are (to be) written anew or removed.
    pub due_segments: u64,
    /// In the due ones: jobs, rows of samples, bytes, about, and files that are removed or replaced.
    pub jobs: u64,
    pub rows: u64,
    pub bytes: u64,
    pub files: u64,
}

impl Expiry {
    fn add(&mut self, found: &SegmentUse, percent: u8) -> bool {
        if found.expired_bytes() == 0 && !found.is_due(percent) {
            return false;
        }
        self.segments += 1;
        if !found.is_due(percent) {
            return false;
        }
        self.due_segments += 1;
        self.jobs += found.expired_jobs;
        self.rows += found.expired_rows;
        self.bytes += found.expired_bytes();
        self.files += 2 + u64::from(found.samples_5m_bytes > 0);
        true
    }
}

impl Archive {
    /// What retention would do now.
    ///
    /// # Errors
    /// `Data` for damaged segments, `Unavailable` for I/O errors.
    pub fn would_expire(&self) -> Result<Expiry> {
        let mut plan = Expiry::default();
        self.each_aging(|_, found, percent| {
            plan.add(&found, percent);
            Ok(())
        })?;
        Ok(plan)
    }

    /// Removes what has expired, as far as the policy says. A segment that cannot be read keeps none of
    /// the others from it.
    ///
    /// # Errors
    /// `Unavailable` (`clock_ahead`) if the clock was set since the archive was opened: nothing is done
    /// then; whatever `pause` says; else the first failure, after everything was tried.
    pub fn expire(&self, pause: Pause<'_>) -> Result<Expiry> {
        self.refuse_clock_ahead()?;
        let (mut plan, mut due) = (Expiry::default(), Vec::new());
        self.each_aging(|id, found, percent| {
            if plan.add(&found, percent) {
                due.push(id);
            }
            Ok(())
        })?;
        let mut failure = None;
        for id in due {
            pause()?;
            let grace_ms = self.settings.compact.grace_ms;
            match self.rewrite_hidden(id, grace_ms, pause) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Data => {
                    tracing::error!(segment.seq = id.seq, segment.date = %id.date, error = error.chain(), "a segment cannot be written anew; what has expired of it stays, hidden");
                    failure.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(plan),
        }
    }

    fn refuse_clock_ahead(&self) -> Result<()> {
        let (wall, own) = self.opened;
        let passed = self.clock.monotonic().saturating_sub(own).as_millis();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        if self.clock.now().since(wall).saturating_sub(passed) <= CLOCK_AHEAD_MS_MAX {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "clock_ahead",
            "the machine's clock was set forward by more than an hour: nothing is removed until the service is started again with a right one",
        ))
    }

    /// Visits the segments of which something may have expired, with the policy's share.
    fn each_aging(
        &self,
        mut visit: impl FnMut(SegmentId, SegmentUse, u8) -> Result<()>,
    ) -> Result<()> {
        let reading = self.reading();
        let visible = self.visibility(&reading)?;
        let mut aging: Vec<(SegmentId, SegmentEntry)> = Vec::new();
        reading.scan::<Segments>(&[], None, |id, entry| {
            // By date, and the oldest first: behind one that keeps all every other one does.
            let young = visible.keeps_all_of(id.date);
            if !young && !visible.has_given_all(entry.info.rows) {
                aging.push((id, entry));
            }
            Ok(!young)
        })?;
        for (id, entry) in aging {
            let found = match self.usage_of(&reading, &visible, id, &entry) {
                Ok(found) => found,
                Err(error) if error.kind() == ErrorKind::Data => {
                    tracing::error!(segment.seq = id.seq, segment.date = %id.date, error = error.chain(), "a segment cannot be read; nothing of it goes");
                    continue;
                }
                Err(error) => return Err(error),
            };
            visit(id, found, visible.rewrite_above_percent())?;
        }
        Ok(())
    }

    fn usage_of(
        &self,
        snapshot: &Snapshot<'_>,
        visible: &Visibility,
        id: SegmentId,
        entry: &SegmentEntry,
    ) -> Result<SegmentUse> {
        let segment = self.open_segment(snapshot, id.date, id.seq)?;
        let mut found = SegmentUse {
            rows: entry.info.rows,
            samples_bytes: entry.info.samples_bytes,
            samples_5m_bytes: entry.info.samples_5m_bytes,
            jobs_bytes: entry.info.jobs_bytes,
            ..SegmentUse::default()
        };
        for head in segment.jobs().heads()? {
            found.add(snapshot, visible, id.date, &head)?;
        }
        Ok(found)
    }
}

impl SegmentUse {
    fn add(
        &mut self,
        snapshot: &Snapshot<'_>,
        visible: &Visibility,
        date: Date,
        head: &JobHead,
    ) -> Result<()> {
        let job = head.keys.job;
        self.jobs += 1;
        let Some(JobEntry::Sealed(sealed)) = snapshot.get::<Jobs>(&job)? else {
            self.expired_jobs += 1;
            return Ok(());
        };
        let end = match snapshot.get::<Amendments>(&job)? {
            Some(amendment) => amendment.merged.facts().finished_at,
            None => head.finished_at,
        };
        let sight = visible.sight(sealed.project, job, date, end);
        self.expired_jobs += u64::from(sight.is_none());
        self.without_samples += u64::from(sealed.rows == 0);
        if sight.is_none_or(|sight| !sight.kept.samples) {
            self.expired_rows += sealed.rows;
        }
        let keeps_slices = sight.is_some_and(|sight| sight.kept.samples_5m);
        self.expired_slices += u64::from(sealed.rows == 0 && !keeps_slices);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: SegmentUse = SegmentUse {
        jobs: 10,
        rows: 1_000,
        samples_bytes: 8_000,
        samples_5m_bytes: 0,
        jobs_bytes: 2_000,
        expired_jobs: 0,
        expired_rows: 0,
        expired_slices: 0,
        without_samples: 0,
    };

    #[test]
    fn a_segment_is_due_when_a_file_of_it_is_needless_or_a_share_of_its_bytes() {
        assert!(!HELD.is_due(0) && !SegmentUse::default().is_due(0));
        let expired = |expired_rows| SegmentUse {
            expired_rows,
            ..HELD
        };
        // 375 of 1,000 rows are 3,000 of 10,000 bytes.
        assert_eq!(expired(375).expired_bytes(), 3_000);
        assert!(!expired(375).is_due(30) && expired(376).is_due(29));
        assert!(expired(377).is_due(30) && expired(1_000).is_due(99));
        let job = SegmentUse {
            expired_jobs: 10,
            ..HELD
        };
        assert!(job.is_due(99));
        let slices = SegmentUse {
            rows: 0,
            samples_5m_bytes: 100,
            without_samples: 10,
            expired_slices: 10,
            ..HELD
        };
        assert!(slices.is_due(99));
        let none_left = SegmentUse {
            samples_5m_bytes: 0,
            ..slices
        };
        assert!(!none_left.is_due(30), "there is no file that could go");
    }

    #[test]
    fn what_goes_is_counted_only_where_it_is_due() {
        let mut plan = Expiry::default();
        let some = SegmentUse {
            expired_rows: 10,
            ..HELD
        };
        let all = SegmentUse {
            expired_rows: 1_000,
            ..HELD
        };
        assert!(!plan.add(&HELD, 30) && !plan.add(&some, 30) && plan.add(&all, 30));
        let expected = Expiry {
            segments: 2,
            due_segments: 1,
            jobs: 0,
            rows: 1_000,
            bytes: 8_000,
            files: 2,
        };
        assert_eq!(plan, expected);
    }
}
