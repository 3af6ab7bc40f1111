//! What is not as it stands in a segment's files: jobs of which more was said since, and what has
//! expired or was erased.
//!
//! Made once per segment and view. Rows that differ are hidden in the file and given apart, as they are
//! now.

use super::overlay::AmendedJob;
use super::{ScanView, SegmentRef};
use crate::archive::amend;
use crate::archive::segments::OpenSegment;
use crate::error::Result;
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::model::archived::SummarisedRow;
use crate::model::id::ProjectKey;
use crate::model::scope::Scope;
use crate::segment::dir::Table;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What differs from a segment's files.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Rows as they are now, of jobs that the reader may see.
    pub(super) rows: Vec<Arc<SummarisedRow>>,
    /// By job: whether its row is read from the file.
    in_jobs: HashMap<i64, bool>,
    /// By job: whether its samples are seen, where not its project alone decides.
    in_samples: HashMap<i64, bool>,
}

impl Changes {
    pub(super) fn read(
        view: &ScanView,
        segment: &SegmentRef,
        open: &OpenSegment,
        amended: &[AmendedJob],
    ) -> Result<Self> {
        let mut changes = Self::default();
        let snapshot = view.archive.index.snapshot();
        let hidden = view.archive.hidden_in(
            &snapshot,
            &view.visibility,
            segment.id,
            &segment.entry,
            open,
        )?;
        let hidden = hidden.unwrap_or_default();
        // Jobs whose rows are given apart, in order of their place in the file.
        let mut apart: BTreeMap<u64, (&SealedJob, Option<&AmendedJob>)> = BTreeMap::new();
        for job in amended {
            let seen = view.scope.allows(job.sealed.project) && !hidden.jobs.contains(&job.key);
            changes.in_jobs.insert(job.key.0, false);
            changes.in_samples.insert(job.key.0, seen);
            if seen {
                apart.insert(job.sealed.jobs_row, (&job.sealed, Some(job)));
            }
        }
        let mut erased = Vec::new();
        for key in hidden.fields.keys() {
            if let Some(JobEntry::Sealed(sealed)) = snapshot.get::<Jobs>(key)? {
                erased.push((*key, sealed));
            }
        }
        for (key, sealed) in &erased {
            changes.in_jobs.insert(key.0, false);
            if view.scope.allows(sealed.project) {
                apart.entry(sealed.jobs_row).or_insert((sealed, None));
            }
        }
        for key in &hidden.jobs {
            changes.in_jobs.insert(key.0, false);
        }
        for key in &hidden.samples {
            changes.in_samples.insert(key.0, false);
        }
        let sealed: Vec<&SealedJob> = apart.values().map(|(sealed, _)| *sealed).collect();
        let rows = open.rows(&sealed)?;
        for (row, (sealed, job)) in rows.into_iter().zip(apart.into_values()) {
            let mut row = match job {
                None => row,
                Some(job) => amend::apply(row, job.amendment.clone(), || open.profile(sealed))?,
            };
            if let Some(fields) = hidden.fields.get(&row.row.keys.job) {
                fields.erase_from(&mut row.row.facts);
                fields.erase_from_row(&mut row.row);
            }
            changes.rows.push(Arc::new(row));
        }
        Ok(changes)
    }

    /// Whether every row of a file is seen as it is.
    pub(super) fn shows_all(&self, table: Table, scope: &Scope) -> bool {
        scope.is_unlimited() && self.of(table).values().all(|shown| *shown)
    }

    fn of(&self, table: Table) -> &HashMap<i64, bool> {
        match table {
            Table::Jobs => &self.in_jobs,
            Table::Samples => &self.in_samples,
        }
    }

    /// Whether a row of the file is seen.
    pub(super) fn shows(&self, table: Table, scope: &Scope, project: i64, job: i64) -> bool {
        match self.of(table).get(&job) {
            Some(shown) => *shown,
            None => scope.allows(ProjectKey(project)),
        }
    }
}
