//! Amendments: what is said of a job after its seal (design section 6).
//!
//! Samples never change; facts may. An amendment holds all facts, merged, and is applied on every
//! read path; statistics are recomputed from the stored rows when times or sections changed.

use super::commit::Txn;
use super::listed::Listed;
use crate::error::Result;
use crate::index::keys::amendments::{Amendment, Amendments};
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::model::archived::{RowKeys, SummarisedRow};
use crate::model::id::JobKey;
use crate::model::job::{JobFacts, MergedFacts};
use crate::model::profile::Profile;
use crate::time::TimestampMs;

/// Merges what was said into the job's amendment. Says whether anything changed; `None` if the sealed
/// facts are needed for that and were not given.
pub(super) fn amend(
    txn: &mut Txn<'_>,
    key: JobKey,
    sealed: &SealedJob,
    said: JobFacts,
    sealed_facts: Option<JobFacts>,
    now: TimestampMs,
) -> Result<Option<bool>> {
    let old = match (txn.get::<Amendments>(&key)?, sealed_facts) {
        (Some(amendment), _) => amendment.merged,
        (None, Some(facts)) => MergedFacts::from_facts(facts),
        (None, None) => return Ok(None),
    };
    let mut new = old.clone();
    if !new.merge(said)? {
        return Ok(Some(false));
    }
    let keys = RowKeys {
        project: sealed.project,
        job: key,
        part: 0,
        runner: None,
    };
    let listed_at = new.facts().started_at.unwrap_or(sealed.listed_at);
    let before = Listed {
        keys,
        listed_at: sealed.listed_at,
        facts: old.facts(),
    };
    let after = Listed {
        keys,
        listed_at,
        facts: new.facts(),
    };
    after.replace(&before, txn)?;
    if listed_at != sealed.listed_at {
        let moved = SealedJob {
            listed_at,
            ..sealed.clone()
        };
        txn.put::<Jobs>(&key, &JobEntry::Sealed(moved))?;
    }
    txn.put::<Amendments>(
        &key,
        &Amendment {
            merged: new,
            amended_at: now,
        },
    )?;
    Ok(Some(true))
}

/// Puts an amendment over a sealed row. `profile` is asked for only if statistics must be recomputed.
pub(super) fn apply(
    mut sealed: SummarisedRow,
    amendment: Amendment,
    profile: impl FnOnce() -> Result<Profile>,
) -> Result<SummarisedRow> {
    let before = sealed.row.facts.clone();
    sealed.row.facts = amendment.merged.facts().clone();
    sealed.row.amended_at = Some(amendment.amended_at);
    let same_usage = before.window() == sealed.row.facts.window()
        && before.sections() == sealed.row.facts.sections();
    if same_usage {
        Ok(sealed)
    } else {
        Ok(SummarisedRow::compute(sealed.row, &profile()?))
    }
}
