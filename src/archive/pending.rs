//! The durable queue of jobs to be archived.

use super::accept::store;
use super::{Archive, Reply};
use crate::error::Result;
use crate::index::keys::jobs::{JobEntry, Jobs};
use crate::index::keys::pending::Pending;
use crate::model::id::JobKey;
use crate::model::record::{JobRecord, Waiting};
use crate::model::state::Reason;
use crate::time::TimestampMs;

/// What is due, and what comes next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// Jobs that are due, oldest first.
    pub jobs: Vec<JobRecord>,
    /// When the first of the others is due.
    pub next: Option<TimestampMs>,
}

impl Archive {
    /// At most `limit` jobs that are due at `now`, without those that `skip` names.
    ///
    /// # Errors
    /// `Data` for damaged entries, `Unavailable` for I/O errors.
    pub fn due(
        &self,
        now: TimestampMs,
        limit: usize,
        skip: impl Fn(JobKey) -> bool,
    ) -> Result<Due> {
        let snapshot = self.index.snapshot();
        let mut due = Due::default();
        snapshot.scan_keys::<Pending>(&[], |key| {
            if key.due > now {
                due.next = Some(key.due);
                return Ok(false);
            }
            if !skip(key.job)
                && let Some(JobEntry::Record(record)) = snapshot.get::<Jobs>(&key.job)?
            {
                due.jobs.push(*record);
            }
            Ok(due.jobs.len() < limit)
        })?;
        Ok(due)
    }

    /// Number of jobs that wait to be archived.
    ///
    /// # Errors
    /// `Data` for damaged entries, `Unavailable` for I/O errors.
    pub fn pending_count(&self) -> Result<u64> {
        let mut count = 0;
        self.index.snapshot().scan_keys::<Pending>(&[], |_| {
            count += 1;
            Ok(true)
        })?;
        Ok(count)
    }

    /// Moves a job to its next attempt. Durable when the reply is there. A job that was archived or
    /// reported anew meanwhile is left alone: `seen` is the waiting that the caller acted on.
    pub fn reschedule(&self, job: JobKey, seen: Option<Waiting>, waiting: Waiting) -> Reply<bool> {
        self.committer.submit(move |txn| {
            let Some(JobEntry::Record(mut record)) = txn.get::<Jobs>(&job)? else {
                return Ok(false);
            };
            if record.waiting != seen {
                return Ok(false);
            }
            let old = record.waiting.replace(waiting);
            store(txn, old.as_ref(), &record)?;
            Ok(true)
        })
    }

    /// Jobs that wait for a registration. Reads every pending job.
    ///
    /// # Errors
    /// As [`Archive::due`].
    pub fn waiting_for_registration(&self) -> Result<Vec<JobRecord>> {
        let snapshot = self.index.snapshot();
        let mut waiting = Vec::new();
        snapshot.scan_keys::<Pending>(&[], |key| {
            if let Some(JobEntry::Record(record)) = snapshot.get::<Jobs>(&key.job)?
                && record.waiting.as_ref().is_some_and(|waiting| {
                    matches!(
                        waiting.reason,
                        Reason::WaitingForRunner | Reason::WaitingForRegion
                    )
                })
            {
                waiting.push(*record);
            }
            Ok(true)
        })?;
        Ok(waiting)
    }
}
