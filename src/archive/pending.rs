//! The durable queue of jobs to be archived.

use super::accept::store;
use super::commit::Txn;
use super::{Archive, Reply};
use crate::error::{Error, ErrorKind, Result};
use crate::index::keys::jobs::{JobEntry, Jobs};
use crate::index::keys::pending::{Pending, PendingKey};
use crate::index::{Snapshot, key_of};
use crate::limits;
use crate::model::id::{JobKey, RegionName};
use crate::model::record::{JobRecord, Waiting};
use crate::model::runner::RunnerRef;
use crate::model::state::Reason;
use crate::time::TimestampMs;
use std::sync::PoisonError;

/// How long nothing is due while the disk is full.
const LOOK_FOR_ROOM_MS: i64 = 2_000;

/// What was registered, for whom waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// A runner.
    Runner(RunnerRef),
    /// A region.
    Region(RegionName),
    /// All that a configuration declares, with rules that may concern anybody.
    Any,
}

/// Some of the jobs that wait for a registration.
struct Sleeping {
    jobs: Vec<(JobKey, Waiting)>,
    /// The last entry looked at, if there are more.
    last: Option<PendingKey>,
}

/// What is due, and what comes next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// Jobs that are due, oldest first.
    pub jobs: Vec<JobRecord>,
    /// When the first of the others is due.
    pub next: Option<TimestampMs>,
}

impl Archive {
    /// At most `limit` jobs that are due at `now`, without those that `skip` names; none while the disk
    /// is full.
    ///
    /// # Errors
    /// `Data` for damaged entries, `Unavailable` for I/O errors.
    pub fn due(
        &self,
        now: TimestampMs,
        limit: usize,
        skip: impl Fn(JobKey) -> bool,
    ) -> Result<Due> {
        let mut due = Due::default();
        if !self.room()?.is_enough() {
            // What is fetched could not be staged.
            due.next = Some(now.plus_ms(LOOK_FOR_ROOM_MS));
            return Ok(due);
        }
        let snapshot = self.index.snapshot();
        snapshot.scan_keys::<Pending>(&[], None, |key| {
            if key.due > now {
                due.next = Some(key.due);
                return Ok(false);
            }
            if !skip(key.job)
                && let Some(record) = self.pending_record(&snapshot, key.job)?
            {
                due.jobs.push(record);
            }
            Ok(due.jobs.len() < limit)
        })?;
        Ok(due)
    }

    /// The record of a job, if it waits to be archived.
    ///
    /// # Errors
    /// As [`Archive::due`].
    pub fn pending(&self, job: JobKey) -> Result<Option<JobRecord>> {
        let record = self.pending_record(&self.index.snapshot(), job)?;
        Ok(record.filter(|record| record.waiting.is_some()))
    }

    /// The record of a job in the queue. One that cannot be read is left where it is, and named in the
    /// log the first time: the jobs behind it must not wait for a repair.
    fn pending_record(&self, snapshot: &Snapshot<'_>, job: JobKey) -> Result<Option<JobRecord>> {
        match snapshot.get::<Jobs>(&job) {
            // What was erased is not fetched any more.
            Ok(Some(JobEntry::Record(record))) if self.rules.knows(record.keys.project, job) => {
                Ok(Some(*record))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Data => {
                self.log_unreadable(job, &error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn log_unreadable(&self, job: JobKey, error: &Error) {
        let mut known = self
            .unreadable
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() < limits::UNREADABLE_LOGGED_MAX && known.insert(job) {
            tracing::error!(
                job.key = job.0,
                error = error.chain(),
                "the record of a pending job cannot be read; the job is passed over"
            );
        }
    }

    /// Number of jobs that wait to be archived.
    ///
    /// # Errors
    /// `Data` for damaged entries, `Unavailable` for I/O errors.
    pub fn pending_count(&self) -> Result<u64> {
        let mut count = 0;
        self.index.snapshot().scan_keys::<Pending>(&[], None, |_| {
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

    /// Makes the jobs that sleep for want of this registration due at `now`, and says how many they are.
    /// Reads every pending job, [`limits::WAKE_CHUNK`] of those that match at a time.
    ///
    /// # Errors
    /// `Data` for damaged entries, `Unavailable` for I/O errors. Those woken until then stay awake.
    pub fn wake(&self, registration: &Registration, now: TimestampMs) -> Result<usize> {
        let mut woken = 0;
        // What is due at this moment needs no waking; what is woken is due at this moment.
        let mut after = PendingKey {
            due: now,
            job: JobKey(i64::MAX),
        };
        loop {
            let Sleeping { jobs, last } = self.sleeping(registration, after)?;
            if !jobs.is_empty() {
                woken += self.committer.run(move |txn| make_due(txn, jobs, now))?;
            }
            match last {
                Some(last) => after = last,
                None => return Ok(woken),
            }
        }
    }

    /// The next jobs behind `after` that sleep for want of a registration.
    fn sleeping(&self, registration: &Registration, after: PendingKey) -> Result<Sleeping> {
        let snapshot = self.index.snapshot();
        let mut found = Sleeping {
            jobs: Vec::new(),
            last: None,
        };
        let start = key_of::<Pending>(&after);
        snapshot.scan_keys::<Pending>(&[], Some(&start), |key| {
            if key <= after {
                return Ok(true);
            }
            if let Some(record) = self.pending_record(&snapshot, key.job)?
                && let Some(waiting) = &record.waiting
                && helps(waiting.reason)
                && self.concerns(registration, &record)?
            {
                found.jobs.push((key.job, waiting.clone()));
            }
            let more = found.jobs.len() < limits::WAKE_CHUNK;
            found.last = (!more).then_some(key);
            Ok(more)
        })?;
        Ok(found)
    }

    /// Whether the job ran on that runner, or in that region.
    fn concerns(&self, registration: &Registration, record: &JobRecord) -> Result<bool> {
        let (source, facts) = (&record.job.source, record.merged.facts());
        match registration {
            Registration::Runner(runner) => Ok(runner.source == *source
                && facts.runner_id.as_deref() == Some(runner.runner_id.as_str())),
            Registration::Region(region) => {
                let runner = self.registered(source, facts)?.runner;
                Ok(runner.is_some_and(|runner| runner.region == *region))
            }
            Registration::Any => Ok(true),
        }
    }
}

/// Whether a registration may be what the job waits for: there was none, or it led to a server that
/// does not answer, or not to the machine's samples.
fn helps(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::WaitingForRunner
            | Reason::WaitingForRegion
            | Reason::NoSamplesYet
            | Reason::UpstreamUnreachable
            | Reason::UpstreamRefused
            | Reason::UpstreamInvalid
    )
}

/// Makes those jobs due that still wait as they were seen.
fn make_due(txn: &mut Txn<'_>, jobs: Vec<(JobKey, Waiting)>, now: TimestampMs) -> Result<usize> {
    let mut woken = 0;
    for (job, seen) in jobs {
        let Some(JobEntry::Record(mut record)) = txn.get::<Jobs>(&job)? else {
            continue;
        };
        if record.waiting.as_ref() == Some(&seen) {
            let due_now = Waiting {
                due: now,
                ..seen.clone()
            };
            record.waiting = Some(due_now);
            store(txn, Some(&seen), &record)?;
            woken += 1;
        }
    }
    Ok(woken)
}
