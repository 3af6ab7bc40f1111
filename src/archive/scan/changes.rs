//! What is not as it stands in a segment's files: jobs of which more was said since, and what has
//! expired or was erased.
//!
//! Made once per segment and view, twice where samples have expired and rows have not. Rows that differ are hidden in the file and given apart, as they are
//! now.

use super::overlay::AmendedJob;
use super::{ScanView, SegmentRef};
use crate::archive::amend;
use crate::archive::find::amended_keys;
use crate::archive::segments::OpenSegment;
use crate::archive::visible::Sight;
use crate::error::{Error, Result};
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::model::archived::SummarisedRow;
use crate::model::erasure::Fields;
use crate::model::id::{JobKey, ProjectKey};
use crate::model::scope::Scope;
use crate::segment::scan::{GroupScan, Scratch, Table};
use crate::time::TimestampMs;
use arrow_array::Int64Array;
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
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

/// A job whose row is given apart.
struct Apart<'a> {
    sealed: SealedJob,
    amended: Option<&'a AmendedJob>,
    erased: Fields,
}

impl Changes {
    /// What differs; `shows_all` says that time and erasures hide nothing of what the reader reads.
    pub(super) fn read(
        view: &ScanView,
        segment: &SegmentRef,
        open: &OpenSegment,
        amended: &[AmendedJob],
        shows_all: bool,
    ) -> Result<Self> {
        let mut changes = Self::default();
        // Jobs whose rows are given apart, in order of their place in the file.
        let mut apart: BTreeMap<u64, Apart<'_>> = BTreeMap::new();
        for job in amended {
            let sight = view.sight(segment, job.sealed.project, job.key, job.finished_at());
            changes.hide(job.key, sight, false);
            if let Some(sight) = sight {
                let place = Apart {
                    sealed: job.sealed.clone(),
                    amended: Some(job),
                    erased: sight.erased,
                };
                apart.insert(job.sealed.jobs_row, place);
            }
        }
        if !shows_all {
            changes.look_at_all(view, segment, open, &mut apart)?;
        }
        let sealed: Vec<&SealedJob> = apart.values().map(|own| &own.sealed).collect();
        let rows = open.rows(&sealed)?;
        let snapshot = view.archive.index.snapshot();
        for (row, own) in rows.into_iter().zip(apart.values()) {
            let mut row = match own.amended {
                None => row,
                Some(job) => {
                    let facts = job.amendment.merged.facts();
                    let keys = amended_keys(&snapshot, &own.sealed, row.row.keys, facts)?;
                    let profile = || open.profile(&own.sealed);
                    amend::apply(row, job.amendment.clone(), keys, profile)?
                }
            };
            own.erased.erase_from(&mut row.row.facts);
            own.erased.erase_from_row(&mut row.row);
            changes.rows.push(Arc::new(row));
        }
        Ok(changes)
    }

    /// Every job of the file, by its keys and its end alone: which have expired or were erased.
    fn look_at_all(
        &mut self,
        view: &ScanView,
        segment: &SegmentRef,
        open: &OpenSegment,
        apart: &mut BTreeMap<u64, Apart<'_>>,
    ) -> Result<()> {
        let snapshot = view.archive.index.snapshot();
        for (project, job, finished_at) in ends(open)? {
            if self.in_jobs.contains_key(&job) {
                // An amended one, which was looked at as it is now.
                continue;
            }
            let key = JobKey(job);
            let sight = view.sight(segment, ProjectKey(project), key, finished_at);
            let erased = sight.map_or(Fields::default(), |sight| sight.erased);
            if sight.is_none_or(|sight| !sight.kept.samples) || !erased.is_empty() {
                self.hide(key, sight, erased.is_empty());
            }
            if erased.is_empty() {
                continue;
            }
            if let Some(JobEntry::Sealed(sealed)) = snapshot.get::<Jobs>(&key)? {
                let place = Apart {
                    sealed,
                    amended: None,
                    erased,
                };
                apart.insert(place.sealed.jobs_row, place);
            }
        }
        Ok(())
    }

    /// Notes what is seen of a job, in its own project's scope; `as_stored` says whether its row is what the file has.
    fn hide(&mut self, job: JobKey, sight: Option<Sight>, as_stored: bool) {
        self.in_jobs.insert(job.0, as_stored && sight.is_some());
        let samples = sight.is_some_and(|sight| sight.kept.samples);
        self.in_samples.insert(job.0, samples);
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

/// Project, job and end of every row of the jobs file.
fn ends(open: &OpenSegment) -> Result<Vec<(i64, i64, Option<TimestampMs>)>> {
    let file = open.file(Table::Jobs)?;
    let mut scratch = Scratch::new()?;
    let mut found = Vec::new();
    for group in 0..file.groups() {
        let mut scan = GroupScan::new(file, group)?;
        let mut column = |name: &str| -> Result<Int64Array> {
            let odd = || Error::data("segment_schema", format!("a jobs file lacks {name}"));
            let leaf = file.leaf(name).ok_or_else(odd)?;
            let rows = 0..scan.rows();
            let cells = scan.column(&mut scratch, leaf, rows)?;
            let cells = cells.as_primitive_opt::<Int64Type>().ok_or_else(odd)?;
            Ok(cells.clone())
        };
        let (projects, jobs) = (column("project_key")?, column("job")?);
        let ends = column("finished_at")?;
        let keys = projects.values().iter().zip(jobs.values());
        found.extend(keys.zip(ends.iter()).map(|((project, job), end)| {
            let end = end.map(|micros| TimestampMs(micros.div_euclid(1_000)));
            (*project, *job, end)
        }));
    }
    Ok(found)
}
