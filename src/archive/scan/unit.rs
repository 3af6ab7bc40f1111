//! A piece of a view that is decoded at once, and its reader.

use super::changes::Changes;
use super::overlay::StagedJob;
use super::{ScanView, SegmentRef};
use crate::archive::scrub::Suspects;
use crate::error::{Error, Result};
use crate::model::archived::{RowKeys, SummarisedRow};
use crate::model::profile::Profile;
use crate::model::scope::Scope;
use crate::num;
use crate::segment::VerifiedFile;
use crate::segment::scan::{
    self, ColumnBounds, GroupScan, Scratch, StoredColumn, StoredKind, Table, job_columns,
    sample_columns,
};
use crate::time::Date;
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{Array as _, ArrayRef, new_null_array};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
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
        file: VerifiedFile,
        segment: SegmentRef,
        group: usize,
    },
    Changed(Arc<Changes>),
    Staged(Arc<Vec<StagedJob>>),
}

fn columns(table: Table) -> &'static [StoredColumn] {
    match table {
        Table::Jobs => job_columns(),
        Table::Samples => sample_columns(),
    }
}

impl Unit {
    pub(super) fn sealed(
        file: &VerifiedFile,
        segment: &SegmentRef,
        table: Table,
        group: usize,
    ) -> Self {
        Self {
            table,
            date: segment.id.date,
            from: From::Sealed {
                file: file.clone(),
                segment: *segment,
                group,
            },
        }
    }

    pub(super) fn staged(table: Table, date: Date, jobs: Arc<Vec<StagedJob>>) -> Self {
        let from = From::Staged(jobs);
        Self { table, date, from }
    }

    pub(super) fn changed(segment: &SegmentRef, changes: Arc<Changes>) -> Self {
        Self {
            table: Table::Jobs,
            date: segment.id.date,
            from: From::Changed(changes),
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
        Some(num::len_u64(file.group_rows(group)?))
    }

    fn file(&self) -> Option<(&VerifiedFile, usize)> {
        match &self.from {
            From::Sealed { file, group, .. } => Some((file, *group)),
            _ => None,
        }
    }

    fn leaf(&self, file: &VerifiedFile, column: usize) -> Option<usize> {
        file.leaf(&columns(self.table).get(column)?.name)
    }

    /// What the footer says of a column; `None` if nothing is known.
    #[must_use]
    pub fn bounds(&self, column: usize) -> Option<ColumnBounds> {
        let (file, group) = self.file()?;
        scan::group_bounds(file, group, self.leaf(file, column)?)
    }

    /// What the page index says of a column, page by page; `None` if nothing is known.
    #[must_use]
    pub fn page_bounds(&self, column: usize) -> Option<Vec<(Range<usize>, ColumnBounds)>> {
        let (file, group) = self.file()?;
        scan::page_bounds(file, group, self.leaf(file, column)?)
    }

    /// Says that these columns will be read soon: the disk reads them meanwhile.
    pub fn expect(&self, columns: impl Iterator<Item = usize>) {
        let Some((file, group)) = self.file() else {
            return;
        };
        for leaf in columns.filter_map(|column| self.leaf(file, column)) {
            file.expect(group, leaf);
        }
    }

    /// A reader of it.
    ///
    /// # Errors
    /// `Data` if it is damaged, `Unavailable` if it cannot be read.
    pub fn reader(&self, view: &ScanView) -> Result<UnitReader> {
        let (source, hiding) = match &self.from {
            From::Sealed {
                file,
                segment,
                group,
            } => {
                let scan = GroupScan::new(file, *group)?;
                let hiding = Hiding::new(view, self.table, view.changes(segment, self.table)?);
                let segment = *segment;
                (Source::File { scan, segment }, hiding)
            }
            From::Changed(changes) => {
                let rows = changes.rows.clone();
                let profiles = Vec::new();
                (Source::Memory { rows, profiles }, None)
            }
            From::Staged(jobs) => (staged(view, jobs, self.table)?, None),
        };
        Ok(UnitReader {
            table: self.table,
            source,
            hiding,
            suspects: view.archive.suspects.clone(),
        })
    }
}

fn staged(view: &ScanView, jobs: &[StagedJob], table: Table) -> Result<Source> {
    let (mut rows, mut profiles) = (Vec::new(), Vec::new());
    for job in jobs {
        let Some((row, with_samples)) = job.row(&view.archive.scan_rows, &view.visibility)? else {
            continue;
        };
        if table == Table::Samples && with_samples {
            profiles.push(job.samples(&row)?);
        }
        rows.push(row);
    }
    Ok(Source::Memory { rows, profiles })
}

/// Which rows of a file are not to be seen.
#[derive(Debug)]
struct Hiding {
    changes: Arc<Changes>,
    scope: Scope,
}

impl Hiding {
    /// `None` if all rows of the file are to be seen.
    fn new(view: &ScanView, table: Table, changes: Arc<Changes>) -> Option<Self> {
        let all = changes.shows_all(table, &view.scope);
        let scope = view.scope.clone();
        (!all).then_some(Self { changes, scope })
    }
}

#[derive(Debug)]
enum Source {
    File {
        scan: GroupScan,
        segment: SegmentRef,
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
    suspects: Suspects,
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
    /// `Data` if the file is damaged, which the scrubber is told, `Unavailable` if it cannot be read.
    pub fn cells(
        &mut self,
        scratch: &mut Scratch,
        column: usize,
        rows: Range<usize>,
    ) -> Result<ArrayRef> {
        let read = self.read(scratch, column, rows);
        if let (Err(error), Some(segment)) = (&read, self.segment()) {
            self.suspects.report(segment.id, error);
        }
        read
    }

    fn read(
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
                    let (len, number) = (rows.len(), scan.number());
                    let cells = scan::read_list(scan.file(), number, &stored.name, rows)?;
                    return Ok(cells.unwrap_or_else(|| new_null_array(kind, len)));
                }
                match scan.file().leaf(&stored.name) {
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
                _ => hiding
                    .changes
                    .shows(self.table, &hiding.scope, *key.0, *key.1),
            };
            last = Some((key, is_shown));
            shown.append(is_shown);
        }
        let shown = shown.finish();
        Ok((shown.count_set_bits() < shown.len()).then_some(shown))
    }

    /// The segment it is read from, if it is.
    pub(super) fn segment(&self) -> Option<&SegmentRef> {
        match &self.source {
            Source::File { segment, .. } => Some(segment),
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
