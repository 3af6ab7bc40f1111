//! Writing a samples file, in memory: row groups of 65,536 rows, column by column.
//!
//! Whoever has the rows ([`SamplesWriter`] in profiles, `copy` in other files) gives them as
//! [`GroupColumns`]; how they are laid out is decided here alone.

use super::cells::{Buffer, Optional};
use super::chunk::{Cells, ChunkWriter};
use super::digest::Digests;
use super::parquet_error;
use super::properties::{self, ROW_GROUP_ROWS, ValueEncoding};
use super::samples::BuiltFile;
use super::samples_schema::{COLUMNS, INTERVAL, TS, cell_type, schema};
use crate::error::{Error, Result};
use crate::model::archived::RowKeys;
use crate::model::metric::Column;
use crate::model::profile::Profile;
use crate::num;
use parquet::basic::Type as Physical;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::SerializedFileWriter;
use std::ops::Range;
use std::sync::Arc;

fn writer_properties(encoding: ValueEncoding, level: i32) -> WriterPropertiesPtr {
    let builder = properties::base(encoding, level)
        .set_sorting_columns(Some(properties::sorted_by(&[0, 1, 2, 4])));
    Arc::new(builder.build())
}

/// The keys of the rows of a group.
#[derive(Debug, Default)]
pub(super) struct GroupKeys {
    projects: Vec<i64>,
    jobs: Vec<i64>,
    parts: Vec<i32>,
    runners: Optional<i64>,
}

impl GroupKeys {
    /// Appends `rows` rows of a job.
    pub(super) fn push(&mut self, keys: RowKeys, rows: usize) {
        let grow = |values: &mut Vec<i64>, value| values.resize(values.len() + rows, value);
        grow(&mut self.projects, keys.project.0);
        grow(&mut self.jobs, keys.job.0);
        self.parts.resize(self.parts.len() + rows, keys.part);
        match keys.runner {
            Some(runner) => self.runners.push_same(runner.0, rows),
            None => self.runners.push_nulls(rows),
        }
    }

    /// Rows in the group.
    pub(super) fn rows(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn clear(&mut self) {
        self.projects.clear();
        self.jobs.clear();
        self.parts.clear();
        self.runners.clear();
    }
}

/// Where the cells of a group come from: asked for one column after the other.
pub(super) trait GroupColumns {
    /// The column at a position of the file, from `TS` on, with a cell for every row of the group.
    fn column(&mut self, position: usize) -> Result<&Buffer>;
}

/// A samples file in the making.
#[derive(Debug)]
pub(super) struct FileBuilder {
    writer: SerializedFileWriter<Vec<u8>>,
    chunks: ChunkWriter,
    encoding: ValueEncoding,
    rows: u64,
    last: Option<RowKeys>,
}

impl FileBuilder {
    /// An empty file. About `bytes` will be written.
    pub(super) fn new(encoding: ValueEncoding, level: i32, bytes: usize) -> Result<Self> {
        let properties = writer_properties(encoding, level);
        let sink = Vec::with_capacity(bytes);
        Ok(Self {
            writer: SerializedFileWriter::new(sink, schema()?, properties)
                .map_err(parquet_error("starting a samples file"))?,
            chunks: ChunkWriter::new(level)?,
            encoding,
            rows: 0,
            last: None,
        })
    }

    /// The next job comes; jobs are written in sort order.
    pub(super) fn begin_job(&mut self, keys: RowKeys) -> Result<()> {
        let order = |keys: RowKeys| (keys.project, keys.job, keys.part);
        if self.last.is_some_and(|last| order(last) >= order(keys)) {
            return Err(Error::internal("jobs were not written in sort order"));
        }
        self.last = Some(keys);
        Ok(())
    }

    /// Writes a row group.
    pub(super) fn write_group(
        &mut self,
        keys: &GroupKeys,
        cells: &mut impl GroupColumns,
    ) -> Result<()> {
        let columns = self.writer.schema_descr().columns().to_vec();
        let mut columns = columns.iter();
        let mut next = || {
            columns.next().ok_or_else(|| {
                Error::internal("the samples schema has fewer columns than are written")
            })
        };
        let mut group = self
            .writer
            .next_row_group()
            .map_err(parquet_error("starting a row group"))?;
        let (group_mut, chunks) = (&mut group, &mut self.chunks);
        chunks.keys(group_mut, next()?, required(&keys.projects))?;
        chunks.keys(group_mut, next()?, required(&keys.jobs))?;
        chunks.keys(group_mut, next()?, required(&keys.parts))?;
        chunks.keys(group_mut, next()?, keys.runners.cells())?;
        let Buffer::Wide(ts) = cells.column(TS)? else {
            return Err(Error::internal("times are no 64-bit column"));
        };
        chunks.times(group_mut, next()?, ts.values(), &keys.jobs)?;
        for position in INTERVAL..COLUMNS {
            let column = next()?;
            match cells.column(position)? {
                Buffer::Narrow(b) => chunks.values(group_mut, column, b.cells(), self.encoding)?,
                Buffer::Wide(b) => chunks.values(group_mut, column, b.cells(), self.encoding)?,
            }
        }
        group
            .close()
            .map_err(parquet_error("closing a row group"))?;
        self.rows += num::len_u64(keys.rows());
        Ok(())
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<BuiltFile> {
        let metadata = self
            .writer
            .finish()
            .map_err(parquet_error("closing a samples file"))?;
        // `into_inner` would write a second footer; finishing has flushed everything.
        let bytes = std::mem::take(self.writer.inner_mut());
        let digests = Digests::compute(&bytes, &metadata)?;
        Ok(BuiltFile {
            bytes,
            digests,
            rows: self.rows,
        })
    }
}

fn required<T>(values: &[T]) -> Cells<'_, T> {
    Cells {
        values,
        present: None,
    }
}

/// An empty column as the file has it at `position`, from `TS` on.
pub(super) fn empty_column(position: usize) -> Buffer {
    let value = position.checked_sub(INTERVAL + 1);
    let column = value.and_then(|number| Column::ALL.get(number).copied());
    let is_narrow = match column {
        Some(column) => cell_type(column.spec().cell).0 == Physical::INT32,
        None => position == INTERVAL,
    };
    Buffer::new(is_narrow)
}

/// The cells of a group, from `TS` on.
#[derive(Debug)]
struct Held(Vec<Buffer>);

impl GroupColumns for Held {
    fn column(&mut self, position: usize) -> Result<&Buffer> {
        let found = position.checked_sub(TS).and_then(|at| self.0.get(at));
        found.ok_or_else(|| Error::internal("a samples file has no such column"))
    }
}

/// Room for a file: the system gives memory only where something is written, and a file that grows into it
/// is not moved from one piece of memory to the next.
const USUAL_BYTES: usize = 32 << 20;

/// Builds a samples file in memory. Jobs are pushed in sort order.
#[derive(Debug)]
pub struct SamplesWriter {
    file: FileBuilder,
    keys: GroupKeys,
    cells: Held,
    rows: u64,
}

impl SamplesWriter {
    /// An empty file.
    ///
    /// # Errors
    /// `Data` if the Parquet library refuses the schema (a bug).
    pub fn new(encoding: ValueEncoding, level: i32) -> Result<Self> {
        Ok(Self {
            file: FileBuilder::new(encoding, level, USUAL_BYTES)?,
            keys: GroupKeys::default(),
            cells: Held((TS..COLUMNS).map(empty_column).collect()),
            rows: 0,
        })
    }

    /// Adds a job's rows; returns the row at which they begin.
    ///
    /// # Errors
    /// `Internal` if jobs come out of order; `Data` if the Parquet library fails.
    pub fn push(&mut self, keys: RowKeys, profile: &Profile) -> Result<u64> {
        self.file.begin_job(keys)?;
        let first = self.rows;
        let mut start = 0;
        while start < profile.rows() {
            let room = ROW_GROUP_ROWS - self.keys.rows();
            let end = profile.rows().min(start + room);
            self.extend(keys, profile, start..end)?;
            start = end;
            if self.keys.rows() == ROW_GROUP_ROWS {
                self.flush()?;
            }
        }
        Ok(first)
    }

    fn extend(&mut self, keys: RowKeys, profile: &Profile, range: Range<usize>) -> Result<()> {
        let ragged = || Error::internal("a profile has columns of different lengths");
        let rows = range.len();
        self.keys.push(keys, rows);
        let ts = profile.ts_ms.get(range.clone()).ok_or_else(ragged)?;
        let intervals = profile.interval_ms.get(range.clone()).ok_or_else(ragged)?;
        let [times, spans, values @ ..] = self.cells.0.as_mut_slice() else {
            return Err(Error::internal("a samples file has no columns"));
        };
        if let (Buffer::Wide(times), Buffer::Narrow(spans)) = (times, spans) {
            times.extend(ts.iter().map(|ts| Some(ts.saturating_mul(1_000))));
            spans.extend(intervals.iter().map(|interval| interval.map(i64::from)));
        }
        // Both are in the order of `Column::ALL`: no column need be looked up.
        let mut measured = profile.columns.iter().peekable();
        for (column, buffer) in Column::ALL.into_iter().zip(values) {
            let cells = match measured.next_if(|(own, _)| **own == column) {
                Some((_, cells)) => Some(cells.get(range.clone()).ok_or_else(ragged)?),
                None => None,
            };
            buffer.extend(cells, rows);
        }
        if measured.next().is_some() {
            return Err(Error::internal("a profile has a column that no file has"));
        }
        self.rows += num::len_u64(rows);
        Ok(())
    }

    /// Writes the buffered rows as one row group.
    fn flush(&mut self) -> Result<()> {
        if self.keys.rows() == 0 {
            return Ok(());
        }
        self.file.write_group(&self.keys, &mut self.cells)?;
        self.keys.clear();
        self.cells.0.iter_mut().for_each(Buffer::clear);
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// `Data` if the Parquet library fails.
    pub fn finish(mut self) -> Result<BuiltFile> {
        self.flush()?;
        self.file.finish()
    }
}
