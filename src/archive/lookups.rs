//! The durable queue of questions to the CI systems. Nothing waits for their answers: what they say
//! of a sealed job is an amendment.

use super::commit::Txn;
use super::{Archive, Reply};
use crate::error::Result;
use crate::index::keys::jobs::{JobEntry, Jobs};
use crate::index::keys::lookups::Lookups;
use crate::index::keys::pending::PendingKey;
use crate::model::id::{JobKey, JobRef};
use crate::model::record::{JobRecord, Lookup};
use crate::time::TimestampMs;

/// A question that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueLookup {
    key: PendingKey,
    /// What is asked about.
    pub lookup: Lookup,
}

impl DueLookup {
    /// The job.
    #[must_use]
    pub fn key(&self) -> JobKey {
        self.key.job
    }
}

/// Enters a question about a job, in the batch of whatever made it necessary.
pub(super) fn enter(txn: &mut Txn<'_>, key: JobKey, job: &JobRef, due: TimestampMs) -> Result<()> {
    let lookup = Lookup {
        job: job.clone(),
        attempts: 0,
    };
    txn.put::<Lookups>(&PendingKey { due, job: key }, &lookup)
}

impl Archive {
    /// At most `limit` questions that are due at `now`, oldest first.
    ///
    /// # Errors
    /// `Data` for damaged entries, `Unavailable` for I/O errors.
    pub fn lookups_due(&self, now: TimestampMs, limit: usize) -> Result<Vec<DueLookup>> {
        let mut due = Vec::new();
        let snapshot = self.index.snapshot();
        snapshot.scan::<Lookups>(&[], None, |key, lookup| {
            if key.due > now {
                return Ok(false);
            }
            due.push(DueLookup { key, lookup });
            Ok(due.len() < limit)
        })?;
        Ok(due)
    }

    /// Moves a question to its next attempt, or ends it. Durable when the reply is there.
    pub fn move_lookup(&self, seen: DueLookup, next: Option<TimestampMs>) -> Reply<()> {
        self.committer.submit(move |txn| {
            txn.delete::<Lookups>(&seen.key);
            let Some(due) = next else { return Ok(()) };
            let key = PendingKey { due, ..seen.key };
            let lookup = Lookup {
                attempts: seen.lookup.attempts.saturating_add(1),
                ..seen.lookup
            };
            txn.put::<Lookups>(&key, &lookup)
        })
    }

    /// The record of a job, `None` once it is sealed.
    ///
    /// # Errors
    /// As [`Archive::lookups_due`].
    pub fn record(&self, job: JobKey) -> Result<Option<JobRecord>> {
        Ok(match self.index.get::<Jobs>(&job)? {
            Some(JobEntry::Record(record)) => Some(*record),
            _ => None,
        })
    }
}
