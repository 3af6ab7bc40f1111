//! Staging: a job becomes archived. One synced batch holds its row, its profile and the end of its
//! pending entry (AR-2, AR-3); from then on it is readable.

use super::accept::store;
use super::commit::Txn;
use super::find::staged_key;
use super::{Archive, Reply, erase, locked, lookups, quarantine};
use crate::error::{Error, Result};
use crate::fault;
use crate::index::keys::jobs::{JobEntry, Jobs};
use crate::index::keys::staged::{Staged as StagedFamily, StagedProfile};
use crate::invariant::{self, InvariantId};
use crate::model::archived::{CoTenancy, Findings, Placement};
use crate::model::job::JobFacts;
use crate::model::profile::Profile;
use crate::model::record::{Archived, JobRecord, Origin};
use crate::model::state::Reason;
use crate::time::{Date, TimestampMs};
use std::sync::Arc;

/// What assembling made of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staging {
    /// The record that was worked on.
    pub record: JobRecord,
    /// Where the job ran.
    pub placement: Placement,
    /// What was found.
    pub findings: Findings,
    /// Its rows; empty if there are none.
    pub profile: Profile,
    /// When its CI is to be asked for what is still missing.
    pub look_up_at: Option<TimestampMs>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staged {
    /// The job is archived.
    Archived,
    /// The job changed meanwhile: it is due again, when what changed said.
    Stale,
    /// The job is sealed already: nothing was changed.
    Sealed,
}

/// Date of a job: the UTC date of its finish, else of what is known.
pub(super) fn date_of(facts: &JobFacts, first_seen: TimestampMs) -> Date {
    facts
        .finished_at
        .or(facts.started_at)
        .unwrap_or(first_seen)
        .date()
}

impl Archive {
    /// Makes a job archived. Durable and readable when the reply is there.
    pub fn stage(&self, staging: Staging) -> Reply<Staged> {
        let look_up_at = staging.look_up_at;
        match self.need_room().and_then(|()| self.prepare(staging)) {
            Ok((record, archived, profile)) => {
                self.commit_staged(record, archived, profile, look_up_at)
            }
            Err(error) => self.refused(error),
        }
    }

    /// The answer to what is not even tried.
    pub(super) fn refused<T: Send + 'static>(&self, error: Error) -> Reply<T> {
        self.committer.submit(move |_| Err(error))
    }

    /// Everything that needs no transaction, in the caller's thread: compression above all.
    fn prepare(&self, staging: Staging) -> Result<(JobRecord, Archived, StagedProfile)> {
        let Staging {
            record,
            placement,
            mut findings,
            mut profile,
            look_up_at: _,
        } = staging;
        let facts = record.merged.facts();
        profile
            .columns
            .retain(|_, cells| cells.iter().any(Option::is_some));
        check_profile(&profile)?;
        if profile.rows() == 0 && findings.reason.is_none() {
            findings.reason = Some(Reason::UnknownMachine);
        }
        let co_tenancy = match (&facts.machine, facts.window()) {
            (Some(machine), Some(window)) => self.co_tenancy(record.keys.job, machine, window)?,
            _ => CoTenancy::default(),
        };
        let archived = Archived {
            placement,
            findings,
            co_tenancy,
            rows: u32::try_from(profile.rows())
                .map_err(|_| Error::internal("a profile has more than 2^32 rows"))?,
            date: date_of(facts, record.first_seen),
            origin: Some(Origin::of(facts)),
        };
        let staged = StagedProfile::new(self.clock.now(), &profile)?;
        fault::step("stage.prepared")?;
        Ok((record, archived, staged))
    }

    fn commit_staged(
        &self,
        seen: JobRecord,
        archived: Archived,
        profile: StagedProfile,
        look_up_at: Option<TimestampMs>,
    ) -> Reply<Staged> {
        let (dates, now) = (Arc::clone(&self.staged), self.clock.now());
        let operation = move |txn: &mut Txn<'_>| -> Result<(Staged, Option<Date>)> {
            let Some(JobEntry::Record(mut record)) = txn.get::<Jobs>(&seen.keys.job)? else {
                return Ok((Staged::Sealed, None));
            };
            let erased = erase::is_erased(txn, seen.keys.job, record.keys.project)?;
            if erased || !same_job(&record, &seen) {
                return Ok((Staged::Stale, None));
            }
            if let Some(place) = record.place.take().filter(|_| archived.rows == 0) {
                quarantine::back_to_its_place(txn, &record, &place, now)?;
                return Ok((Staged::Archived, None));
            }
            let mut waiting = record.waiting.take();
            if fault::omits("omit.pending_removal") {
                waiting = None;
            }
            if let Some(before) = &record.archived {
                if archived.rows == 0 && is_worth_keeping(before, &record) {
                    let date = before.date;
                    store(txn, waiting.as_ref(), &record)?;
                    return Ok((Staged::Archived, Some(date)));
                }
                txn.delete::<StagedFamily>(&staged_key(record.keys, before));
            }
            let date = archived.date;
            txn.put::<StagedFamily>(&staged_key(record.keys, &archived), &profile)?;
            if let Some(due) = look_up_at {
                lookups::enter(txn, record.keys.job, &record.job, due)?;
            }
            record.archived = Some(archived);
            store(txn, waiting.as_ref(), &record)?;
            Ok((Staged::Archived, Some(date)))
        };
        // Counted once it is durable: the sealer's own count sees it then, or this one is kept.
        self.committer
            .submit_then(operation, move |(staged, date)| {
                if let Some(date) = date {
                    locked(&dates).add(date, now);
                }
                staged
            })
    }
}

/// Whether the samples of an earlier fetch stay though a second one found nothing any more. Not if
/// they are of another machine than the job ran on, as is known now.
fn is_worth_keeping(before: &Archived, record: &JobRecord) -> bool {
    let same_origin = before
        .origin
        .as_ref()
        .is_none_or(|origin| *origin == Origin::of(record.merged.facts()));
    before.rows > 0 && same_origin
}

/// Whether the record still describes the job that was fetched.
fn same_job(now: &JobRecord, seen: &JobRecord) -> bool {
    let what = |record: &JobRecord| {
        let facts = record.merged.facts();
        (
            facts.window(),
            facts.machine.clone(),
            facts.runner_id.clone(),
            record.keys,
        )
    };
    what(now) == what(seen)
}

pub(super) fn check_profile(profile: &Profile) -> Result<()> {
    let rows = profile.rows();
    let even = profile.interval_ms.len() == rows
        && profile.columns.values().all(|cells| cells.len() == rows);
    let ascending = profile.ts_ms.is_sorted_by(|a, b| a < b);
    let fits = profile.columns.iter().all(|(column, cells)| {
        cells
            .iter()
            .flatten()
            .all(|cell| column.spec().cell.fits(*cell))
    });
    let holds = even && ascending && fits;
    if invariant::check(InvariantId::Ar8, holds, || {
        format!("profile to be staged: even {even}, ascending {ascending}, fits {fits}")
    }) {
        Ok(())
    } else {
        Err(Error::internal("an assembled profile is not well-formed"))
    }
}
