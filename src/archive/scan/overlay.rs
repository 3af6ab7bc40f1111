//! What a scan sees beside the segments' files: staged jobs, and sealed jobs of which more was said.
//!
//! Read once per view, still encoded; decoded unit by unit by whoever scans. A staged job's row costs
//! its statistics, so rows are kept by job as long as nothing about it changes.

use super::unit::Unit;
use crate::archive::visible::Visibility;
use crate::error::{Error, ErrorKind, Result};
use crate::index::keys::amendments::{Amendment, Amendments};
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::index::keys::segments::SegmentId;
use crate::index::keys::staged::{Staged, StagedKey, StagedProfile};
use crate::index::{Family as _, Snapshot};
use crate::limits;
use crate::model::archived::{RowKeys, SummarisedRow};
use crate::model::id::JobKey;
use crate::model::profile::Profile;
use crate::model::scope::Scope;
use crate::segment::scan::Table;
use crate::time::TimestampMs;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use xxhash_rust::xxh3::xxh3_64;

/// A staged job as the index holds it.
#[derive(Debug)]
pub(super) struct StagedJob {
    key: StagedKey,
    record: Vec<u8>,
    profile: StagedProfile,
}

/// A sealed job and what was said of it since.
#[derive(Debug, Clone)]
pub(super) struct AmendedJob {
    pub(super) key: JobKey,
    pub(super) sealed: SealedJob,
    pub(super) amendment: Amendment,
}

impl AmendedJob {
    /// Its end as it is known now.
    pub(super) fn finished_at(&self) -> Option<TimestampMs> {
        self.amendment.merged.facts().finished_at
    }
}

/// Everything of a view that is not read from files alone.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    staged: Vec<Arc<Vec<StagedJob>>>,
    amended: BTreeMap<SegmentId, Vec<AmendedJob>>,
}

impl Overlay {
    /// What the scope may see.
    pub(super) fn read(
        snapshot: &Snapshot<'_>,
        scope: &Scope,
        visibility: &Visibility,
    ) -> Result<Self> {
        let mut staged: Vec<Vec<StagedJob>> = Vec::new();
        let mut bytes = 0;
        snapshot.scan::<Staged>(&[], None, |key, profile| {
            if !scope.allows(key.project) || !visibility.knows(key.project, key.job) {
                return Ok(true);
            }
            let Some(record) = snapshot.get_bytes::<Jobs>(&key.job)? else {
                return Ok(true);
            };
            bytes += record.len() + profile.blob.len();
            if bytes > limits::SCAN_OVERLAY_BYTES_MAX {
                return Err(too_much());
            }
            let job = StagedJob {
                key,
                record,
                profile,
            };
            match staged.last_mut() {
                Some(unit) if joins(unit, &job) => unit.push(job),
                _ => staged.push(vec![job]),
            }
            Ok(true)
        })?;
        let mut amended: BTreeMap<SegmentId, Vec<AmendedJob>> = BTreeMap::new();
        snapshot.scan::<Amendments>(&[], None, |key, amendment| {
            let Some(JobEntry::Sealed(sealed)) = snapshot.get::<Jobs>(&key)? else {
                return Ok(true);
            };
            let id = SegmentId {
                date: sealed.date,
                seq: sealed.segment,
            };
            amended.entry(id).or_default().push(AmendedJob {
                key,
                sealed,
                amendment,
            });
            Ok(true)
        })?;
        Ok(Self {
            amended,
            staged: staged.into_iter().map(Arc::new).collect(),
        })
    }

    /// Whether the files alone are what is to be seen.
    pub(super) fn is_empty(&self) -> bool {
        self.staged.is_empty() && self.amended.is_empty()
    }

    /// The amended jobs of a segment.
    pub(super) fn amended(&self, id: SegmentId) -> &[AmendedJob] {
        self.amended.get(&id).map_or(&[], Vec::as_slice)
    }

    pub(super) fn units(&self, table: Table) -> Vec<Unit> {
        let staged = self.staged.iter().filter_map(|jobs| {
            let date = jobs.first()?.key.date;
            Some(Unit::staged(table, date, Arc::clone(jobs)))
        });
        staged.collect()
    }
}

/// A unit holds jobs of one date, and not too many.
fn joins(unit: &[StagedJob], job: &StagedJob) -> bool {
    let same_date = unit.first().is_some_and(|one| one.key.date == job.key.date);
    same_date && unit.len() < limits::SCAN_STAGED_JOBS
}

fn too_much() -> Error {
    Error::new(
        ErrorKind::Overloaded,
        "staged_too_much",
        "too many jobs are not sealed yet for a scan; seal them with POST /api/v1/admin/seal, or try again later",
    )
}

/// Rows of staged jobs, kept between scans.
#[derive(Debug, Default)]
pub(in crate::archive) struct RowCache {
    rows: Mutex<HashMap<JobKey, (u64, Arc<SummarisedRow>)>>,
}

impl RowCache {
    fn get(&self, job: JobKey, version: u64) -> Option<Arc<SummarisedRow>> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, row) = rows.get(&job)?;
        (*known == version).then(|| Arc::clone(row))
    }

    fn put(&self, job: JobKey, version: u64, row: &Arc<SummarisedRow>) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.len() >= limits::SCAN_ROWS_KEPT && !rows.contains_key(&job) {
            // Most of what is here was sealed meanwhile.
            rows.clear();
        }
        rows.insert(job, (version, Arc::clone(row)));
    }
}

impl StagedJob {
    /// Changes with everything that the row is made of.
    fn version(&self) -> u64 {
        xxh3_64(&self.record) ^ self.profile.staged_at.0.cast_unsigned().rotate_left(32)
    }

    /// Its row with statistics as the reader may see it, from the cache if nothing changed, and whether
    /// its samples may be seen. `None` if it is no archived record, which no snapshot shows, or expired.
    pub(super) fn row(
        &self,
        cache: &RowCache,
        visibility: &Visibility,
    ) -> Result<Option<(Arc<SummarisedRow>, bool)>> {
        let version = self.version();
        let row = match cache.get(self.key.job, version) {
            Some(row) => row,
            None => {
                let JobEntry::Record(record) = Jobs::decode_value(&self.record)? else {
                    return Ok(None);
                };
                let Some(row) = record.row() else {
                    return Ok(None);
                };
                let row = Arc::new(SummarisedRow::compute(row, &self.profile.profile()?));
                cache.put(self.key.job, version, &row);
                row
            }
        };
        let (project, finished) = (row.row.keys.project, row.row.facts.finished_at);
        let sight = visibility.sight(project, self.key.job, self.key.date, finished);
        let Some(sight) = sight else {
            return Ok(None);
        };
        let mut row = row;
        if !sight.erased.is_empty() {
            let own = Arc::make_mut(&mut row);
            sight.erased.erase_from(&mut own.row.facts);
            sight.erased.erase_from_row(&mut own.row);
        }
        Ok(Some((row, sight.kept.samples)))
    }

    /// Its keys and samples.
    pub(super) fn samples(&self, row: &SummarisedRow) -> Result<(RowKeys, Profile)> {
        Ok((row.row.keys, self.profile.profile()?))
    }
}
