//! The facts of the jobs whose samples a unit holds: the join of samples with their jobs, which lie in
//! the segment of the same name.

use super::{ScanView, SegmentRef};
use crate::archive::scrub::Suspects;
use crate::archive::segments::OpenSegment;
use crate::error::{Error, Result};
use crate::index::keys::segments::SegmentId;
use crate::model::archived::SummarisedRow;
use crate::num;
use crate::segment::scan::{self, GroupScan, Scratch, StoredColumn, Table, job_columns};
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{Array as _, ArrayRef, Int64Array, UInt32Array};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Position of the job's key in the jobs table.
const JOB: usize = 1;

/// The segment that has the jobs' rows.
#[derive(Debug)]
struct Source {
    id: SegmentId,
    open: Arc<OpenSegment>,
    suspects: Suspects,
}

/// The jobs of a unit's samples, one row each.
#[derive(Debug)]
pub struct JobFacts {
    source: Option<Source>,
    /// Those that are not as in the file, behind those of the file.
    rows: Vec<Arc<SummarisedRow>>,
    /// Row of each job.
    by_job: HashMap<i64, u32>,
    columns: Mutex<HashMap<usize, ArrayRef>>,
}

impl JobFacts {
    /// The jobs of a segment, as they are now.
    pub(super) fn of_segment(view: &ScanView, segment: &SegmentRef) -> Result<Self> {
        let rows = view.changes(segment, Table::Jobs)?.rows.clone();
        let source = Source {
            id: segment.id,
            open: view.open(segment)?,
            suspects: view.archive.suspects.clone(),
        };
        let mut facts = Self {
            source: Some(source),
            rows,
            by_job: HashMap::new(),
            columns: Mutex::default(),
        };
        let keys = facts.column(JOB)?;
        let keys = keys
            .as_primitive_opt::<Int64Type>()
            .ok_or_else(|| Error::internal("a key column has another type"))?;
        // Later rows, those that changed, replace earlier ones.
        facts.by_job = keys.values().iter().copied().zip(0..).collect();
        Ok(facts)
    }

    /// These jobs.
    pub(super) fn of_rows(rows: &[Arc<SummarisedRow>]) -> Self {
        let keys = rows.iter().map(|row| row.row.keys.job.0);
        Self {
            source: None,
            by_job: keys.zip(0..).collect(),
            rows: rows.to_vec(),
            columns: Mutex::default(),
        }
    }

    /// The row of each of these jobs, null for one that has none. Samples of a job lie behind one
    /// another, so most of them need no look-up.
    #[must_use]
    pub fn rows_of(&self, jobs: &Int64Array) -> UInt32Array {
        let mut last = None;
        let rows = jobs.values().iter().map(|job| match last {
            Some((known, row)) if known == job => row,
            _ => {
                let row = self.by_job.get(job).copied();
                last = Some((job, row));
                row
            }
        });
        rows.collect()
    }

    /// A column of the jobs table for all rows, as on disk.
    ///
    /// # Errors
    /// `Data` if the file is damaged, which the scrubber is told, `Unavailable` if it cannot be read.
    pub fn column(&self, column: usize) -> Result<ArrayRef> {
        let mut known = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cells) = known.get(&column) {
            return Ok(Arc::clone(cells));
        }
        let cells = self.read(column)?;
        known.insert(column, Arc::clone(&cells));
        Ok(cells)
    }

    fn read(&self, column: usize) -> Result<ArrayRef> {
        let stored = job_columns()
            .get(column)
            .ok_or_else(|| Error::internal("the jobs table has no such column"))?;
        let mut parts = match &self.source {
            Some(source) => sealed(&source.open, stored)
                .inspect_err(|error| source.suspects.report(source.id, error))?,
            None => Vec::new(),
        };
        if !self.rows.is_empty() || parts.is_empty() {
            parts.push(scan::job_cells(column, &self.rows)?);
        }
        let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
        arrow_select::concat::concat(&parts).map_err(|error| {
            Error::internal("facts of jobs do not fit together").with_source(error)
        })
    }

    /// Bytes of the columns that were read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let known = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        num::len_u64(
            known
                .values()
                .map(|cells| cells.get_array_memory_size())
                .sum(),
        )
    }
}

/// A column of a segment's jobs file, row group by row group.
fn sealed(segment: &OpenSegment, stored: &StoredColumn) -> Result<Vec<ArrayRef>> {
    let file = segment.file(Table::Jobs)?;
    let mut scratch = Scratch::new()?;
    let groups = 0..file.groups();
    let cells = groups.map(|group| {
        let mut scan = GroupScan::new(file, group)?;
        let rows = 0..scan.rows();
        match file.leaf(&stored.name) {
            Some(leaf) => scan.column(&mut scratch, leaf, rows),
            None => Ok(arrow_array::new_null_array(
                &stored.kind.physical(),
                rows.len(),
            )),
        }
    });
    cells.collect()
}
