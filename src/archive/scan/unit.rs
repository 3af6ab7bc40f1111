//! A piece of a view that is decoded at once, and its reader.

use super::ScanView;
use super::overlay::{AmendedJobs, StagedJob, amended_rows};
use crate::archive::segments::OpenSegment;
use crate::error::{Error, Result};
use crate::index::keys::segments::SegmentId;
use crate::model::archived::{RowKeys, SummarisedRow};
use crate::model::id::ProjectKey;
use crate::model::profile::Profile;
use crate::model::scope::Scope;
use crate::segment::VerifiedFile;
use crate::segment::dir::Table;
use crate::segment::scan::{
    self, ColumnBounds, GroupScan, Scratch, StoredColumn, StoredKind, job_columns, sample_columns,
};
use crate::time::Date;
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{Array as _, ArrayRef, new_null_array};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Positions of keys in both tables.
const PROJECT_KEY: usize = 0;
const JOB: usize = 1;

/// A piece of a table.
#[derive(Debug, Clone)]
pub struct Unit {
    table: Table,
    date: Date,
    from: From,
}

#[derive(Debug, Clone)]
enum From {
    Sealed {
        segment: Arc<OpenSegment>,
        id: SegmentId,
        group: usize,
    },
    Amended {
        id: SegmentId,
        jobs: AmendedJobs,
    },
    Staged(Arc<Vec<StagedJob>>),
}

fn columns(table: Table) -> &'static [StoredColumn] {
    match table {
        Table::Jobs => job_columns(),
        Table::Samples => sample_columns(),
    }
}

/// Position of a column among a file's, by its name; files lack columns that are younger.
fn position(file: &VerifiedFile, column: &StoredColumn) -> Option<usize> {
    let schema = file.metadata.file_metadata().schema_descr();
    let fields = schema.root_schema().get_fields();
    fields.iter().position(|field| field.name() == column.name)
}

/// The leaf of a flat column.
pub(super) fn leaf(file: &VerifiedFile, column: &StoredColumn) -> Option<usize> {
    let root = position(file, column)?;
    let schema = file.metadata.file_metadata().schema_descr();
    // Nested columns stand behind the flat ones, so that the two positions are nearly always equal.
    if root < schema.num_columns() && schema.get_column_root_idx(root) == root {
        return Some(root);
    }
    (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == root)
}

impl Unit {
    pub(super) fn sealed(
        segment: Arc<OpenSegment>,
        id: SegmentId,
        table: Table,
        group: usize,
    ) -> Self {
        let date = id.date;
        let from = From::Sealed { segment, id, group };
        Self { table, date, from }
    }

    pub(super) fn staged(table: Table, date: Date, jobs: Arc<Vec<StagedJob>>) -> Self {
        let from = From::Staged(jobs);
        Self { table, date, from }
    }

    pub(super) fn amended(id: SegmentId, jobs: AmendedJobs) -> Self {
        Self {
            table: Table::Jobs,
            date: id.date,
            from: From::Amended { id, jobs },
        }
    }

    /// The date of all its jobs.
    #[must_use]
    pub fn date(&self) -> Date {
        self.date
    }

    /// Rows in it, if it is part of a file.
    #[must_use]
    pub fn file_rows(&self) -> Option<u64> {
        let (file, group) = self.file()?;
        let group = file.metadata.row_groups().get(group)?;
        Some(group.num_rows().unsigned_abs())
    }

    fn file(&self) -> Option<(&VerifiedFile, usize)> {
        match &self.from {
            From::Sealed { segment, group, .. } => Some((segment.file(self.table), *group)),
            _ => None,
        }
    }

    /// What the footer says of a column; `None` if nothing is known.
    #[must_use]
    pub fn bounds(&self, column: usize) -> Option<ColumnBounds> {
        let (file, group) = self.file()?;
        scan::group_bounds(file, group, leaf(file, columns(self.table).get(column)?)?)
    }

    /// What the page index says of a column, page by page; `None` if nothing is known.
    #[must_use]
    pub fn page_bounds(&self, column: usize) -> Option<Vec<(Range<usize>, ColumnBounds)>> {
        let (file, group) = self.file()?;
        scan::page_bounds(file, group, leaf(file, columns(self.table).get(column)?)?)
    }

    /// A reader of it.
    ///
    /// # Errors
    /// `Data` if it is damaged, `Unavailable` if it cannot be read.
    pub fn reader(&self, view: &ScanView) -> Result<UnitReader> {
        let (source, hiding) = match &self.from {
            From::Sealed { segment, id, group } => {
                let scan = GroupScan::new(segment.file(self.table), *group)?;
                let hiding = Hiding::new(view, self.table, *id);
                (Source::File { scan, id: *id }, hiding)
            }
            From::Amended { id, jobs } => {
                let rows = amended_rows(&*view.open(*id)?, jobs)?;
                let profiles = Vec::new();
                (Source::Memory { rows, profiles }, None)
            }
            From::Staged(jobs) => (staged(view, jobs, self.table)?, None),
        };
        Ok(UnitReader {
            table: self.table,
            source,
            hiding,
        })
    }
}

fn staged(view: &ScanView, jobs: &[StagedJob], table: Table) -> Result<Source> {
    let (mut rows, mut profiles) = (Vec::new(), Vec::new());
    for job in jobs {
        let Some(row) = job.row(&view.archive.scan_rows)? else {
            continue;
        };
        if table == Table::Samples {
            profiles.push(job.samples(&row)?);
        }
        rows.push(row);
    }
    Ok(Source::Memory { rows, profiles })
}

/// Which rows of a file are not to be seen.
#[derive(Debug)]
struct Hiding {
    /// By job: whether it is seen, for those whose own project does not decide.
    by_job: HashMap<i64, bool>,
    scope: Scope,
}

impl Hiding {
    /// `None` if all rows of the file are to be seen.
    fn new(view: &ScanView, table: Table, id: SegmentId) -> Option<Self> {
        let amended = view.overlay.amended(id).map_or(&[][..], |jobs| jobs);
        let by_job: HashMap<i64, bool> = match table {
            // They stand in a unit of their own, as they are now.
            Table::Jobs => amended.iter().map(|job| (job.key.0, false)).collect(),
            Table::Samples if view.scope.is_unlimited() => HashMap::new(),
            Table::Samples => amended
                .iter()
                .map(|job| (job.key.0, job.is_allowed))
                .collect(),
        };
        let all = by_job.is_empty() && view.scope.is_unlimited();
        (!all).then(|| Self {
            by_job,
            scope: view.scope.clone(),
        })
    }

    fn shows(&self, project: i64, job: i64) -> bool {
        match self.by_job.get(&job) {
            Some(shown) => *shown,
            None => self.scope.allows(ProjectKey(project)),
        }
    }
}

#[derive(Debug)]
enum Source {
    File {
        scan: GroupScan,
        id: SegmentId,
    },
    Memory {
        rows: Vec<Arc<SummarisedRow>>,
        profiles: Vec<(RowKeys, Profile)>,
    },
}

/// Reads a unit column by column.
#[derive(Debug)]
pub struct UnitReader {
    table: Table,
    source: Source,
    hiding: Option<Hiding>,
}

impl UnitReader {
    /// Rows in it, hidden ones included.
    #[must_use]
    pub fn rows(&self) -> usize {
        match (&self.source, self.table) {
            (Source::File { scan, .. }, _) => scan.rows(),
            (Source::Memory { rows, .. }, Table::Jobs) => rows.len(),
            (Source::Memory { profiles, .. }, Table::Samples) => {
                profiles.iter().map(|(_, profile)| profile.rows()).sum()
            }
        }
    }

    /// The cells of a column in `rows` as they are on disk; null where the file lacks the column.
    ///
    /// # Errors
    /// `Data` if the file is damaged, `Unavailable` if it cannot be read.
    pub fn cells(
        &mut self,
        scratch: &mut Scratch,
        column: usize,
        rows: Range<usize>,
    ) -> Result<ArrayRef> {
        let stored = columns(self.table)
            .get(column)
            .ok_or_else(|| Error::internal("a table has no such column"))?;
        match &mut self.source {
            Source::File { scan, .. } => {
                if let StoredKind::List(kind) = &stored.kind {
                    return match position(scan.file(), stored) {
                        Some(root) => scan::read_list(scan.file(), scan.number(), root, rows),
                        None => Ok(new_null_array(kind, rows.len())),
                    };
                }
                match leaf(scan.file(), stored) {
                    Some(leaf) => scan.column(scratch, leaf, rows),
                    None => Ok(new_null_array(&stored.kind.physical(), rows.len())),
                }
            }
            Source::Memory {
                rows: jobs,
                profiles,
            } => {
                let cells = match self.table {
                    Table::Jobs => scan::job_cells(column, jobs)?,
                    Table::Samples => scan::sample_cells(column, profiles)?,
                };
                Ok(cells.slice(rows.start, rows.len()))
            }
        }
    }

    /// Which of `rows` are to be seen; `None` if all are.
    ///
    /// # Errors
    /// As [`UnitReader::cells`].
    pub fn shown(
        &mut self,
        scratch: &mut Scratch,
        rows: Range<usize>,
    ) -> Result<Option<BooleanBuffer>> {
        if self.hiding.is_none() {
            return Ok(None);
        }
        let projects = self.cells(scratch, PROJECT_KEY, rows.clone())?;
        let jobs = self.cells(scratch, JOB, rows)?;
        let odd = || Error::internal("a key column has another type");
        let projects = projects.as_primitive_opt::<Int64Type>().ok_or_else(odd)?;
        let jobs = jobs.as_primitive_opt::<Int64Type>().ok_or_else(odd)?;
        let Some(hiding) = &self.hiding else {
            return Ok(None);
        };
        let mut shown = BooleanBufferBuilder::new(jobs.len());
        let mut last = None;
        for key in projects.values().iter().zip(jobs.values()) {
            let is_shown = match last {
                Some((known, is_shown)) if known == key => is_shown,
                _ => hiding.shows(*key.0, *key.1),
            };
            last = Some((key, is_shown));
            shown.append(is_shown);
        }
        let shown = shown.finish();
        Ok((shown.count_set_bits() < shown.len()).then_some(shown))
    }

    /// The segment it is read from, if it is.
    pub(super) fn segment(&self) -> Option<SegmentId> {
        match &self.source {
            Source::File { id, .. } => Some(*id),
            Source::Memory { .. } => None,
        }
    }

    /// The rows of its jobs, if it is not read from a segment.
    pub(super) fn job_rows(&self) -> &[Arc<SummarisedRow>] {
        match &self.source {
            Source::File { .. } => &[],
            Source::Memory { rows, .. } => rows,
        }
    }
}
