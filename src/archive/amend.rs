//! Amendments: what is said of a job after its seal (design section 6).
//!
//! Samples never change; facts may. An amendment holds all facts, merged, and is applied on every
//! read path; statistics are recomputed from the stored rows when times or sections changed.

use super::accept::{SealedFacts, moved_keys, resolve_runner};
use super::commit::Txn;
use super::listed::Listed;
use crate::error::Result;
use crate::index::keys::amendments::{Amendment, Amendments};
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::model::archived::{RowKeys, SectionUsage, SummarisedRow};
use crate::model::id::{Archiver, JobKey};
use crate::model::job::{JobFacts, MergedFacts};
use crate::model::profile::Profile;
use crate::time::TimestampMs;

/// Merges what was said into the job's amendment. Says whether anything changed; `None` if the sealed
/// facts are needed for that and were not given, or are those of an older segment.
pub(super) fn amend(
    txn: &mut Txn<'_>,
    archiver: Archiver,
    key: JobKey,
    sealed: &SealedJob,
    said: JobFacts,
    sealed_facts: Option<SealedFacts>,
    now: TimestampMs,
) -> Result<Option<bool>> {
    let (old, amended_at) = match (txn.get::<Amendments>(&key)?, sealed_facts) {
        (Some(amendment), _) => (amendment.merged, Some(amendment.amended_at)),
        // Not those of a segment that was rewritten meanwhile: an amendment may have gone into it.
        (None, Some(read)) if read.is_of(sealed) => (MergedFacts::from_facts(read.facts), None),
        (None, _) => return Ok(None),
    };
    let mut new = old.clone();
    let changed = new.merge(said)?;
    // What is said again later in the job's life counts more from then on, beside an amendment.
    let amended_at = if changed { Some(now) } else { amended_at };
    let Some(amended_at) = amended_at.filter(|_| new != old) else {
        return Ok(Some(false));
    };
    let moved = relist(txn, archiver, key, sealed, old.facts(), new.facts())?;
    if moved != *sealed {
        txn.put::<Jobs>(&key, &JobEntry::Sealed(moved))?;
    }
    txn.put::<Amendments>(
        &key,
        &Amendment {
            merged: new,
            amended_at,
        },
    )?;
    Ok(Some(changed))
}

/// Moves the job between lists as its facts changed; gives its pointer as it is then.
fn relist(
    txn: &mut Txn<'_>,
    archiver: Archiver,
    key: JobKey,
    sealed: &SealedJob,
    old: &JobFacts,
    new: &JobFacts,
) -> Result<SealedJob> {
    let source = &sealed.job.source;
    let keys = RowKeys {
        project: sealed.project,
        job: key,
        part: 0,
        runner: resolve_runner(txn, archiver, source, old)?,
    };
    let before = Listed {
        keys,
        listed_at: sealed.listed_at,
        facts: old,
    };
    let after = Listed {
        keys: moved_keys(txn, archiver, source, keys, [old, new])?,
        listed_at: new.started_at.unwrap_or(sealed.listed_at),
        facts: new,
    };
    after.replace(&before, txn)?;
    Ok(SealedJob {
        project: after.keys.project,
        listed_at: after.listed_at,
        ..sealed.clone()
    })
}

/// Puts an amendment over a sealed row, whose keys are then `keys`. `profile` is asked for only if
/// statistics must be recomputed; of a job whose samples went they stay as they were, and a section
/// that is new has none.
pub(super) fn apply(
    mut sealed: SummarisedRow,
    amendment: Amendment,
    keys: RowKeys,
    profile: impl FnOnce() -> Result<Profile>,
) -> Result<SummarisedRow> {
    let before = sealed.row.facts.clone();
    sealed.row.keys = keys;
    sealed.row.facts = amendment.merged.facts().clone();
    sealed.row.amended_at = Some(amendment.amended_at);
    let same_usage = before.window() == sealed.row.facts.window()
        && before.sections() == sealed.row.facts.sections();
    if same_usage {
        return Ok(sealed);
    }
    let profile = profile()?;
    if profile.rows() == 0 && sealed.row.findings.reason.is_none() {
        sealed.sections = kept_usage(&before, &sealed);
        return Ok(sealed);
    }
    Ok(SummarisedRow::compute(sealed.row, &profile))
}

/// The usage of the sections as they are now, as far as it was computed for the same time.
fn kept_usage(before: &JobFacts, now: &SummarisedRow) -> Vec<SectionUsage> {
    let known = || before.sections().iter().zip(&now.sections);
    let sections = now.row.facts.sections().iter();
    let same = |range| known().find(|(section, _)| section.range == range);
    sections
        .map(|section| same(section.range).map_or_else(SectionUsage::default, |(_, usage)| *usage))
        .collect()
}
