//! The `samples` file: one row per (job, sample time), sorted by (project_key, job, part, ts).

use super::chunk::{Cells, ChunkWriter};
use super::digest::Digests;
use super::pages::{Pages, SharedDecompressor};
use super::properties::{self, ROW_GROUP_ROWS, ValueEncoding};
use super::value::Value;
use super::{VerifiedFile, parquet_error};
use crate::error::{Error, Result};
use crate::model::archived::RowKeys;
use crate::model::metric::{CellType, Column};
use crate::model::profile::Profile;
use crate::num;
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::DataType;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use std::ops::Range;
use std::sync::Arc;

/// Names of the columns in front of the values, with their position.
const TS: usize = 4;
const INTERVAL: usize = 5;
const FIRST_VALUE: usize = 6;

/// A file ready to be made durable.
#[derive(Debug)]
pub struct BuiltFile {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their digests.
    pub digests: Digests,
    /// Rows in it.
    pub rows: u64,
}

fn primitive(
    name: &str,
    physical: Physical,
    required: bool,
    logical: Option<LogicalType>,
) -> Result<TypePtr> {
    let repetition = if required {
        Repetition::REQUIRED
    } else {
        Repetition::OPTIONAL
    };
    let mut builder = Type::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .with_logical_type(logical.clone());
    if let Some(LogicalType::Decimal(decimal)) = logical {
        builder = builder
            .with_precision(decimal.precision)
            .with_scale(decimal.scale);
    }
    builder
        .build()
        .map(Arc::new)
        .map_err(parquet_error("describing a column"))
}

/// Physical and logical type of a cell.
fn cell_type(cell: CellType) -> (Physical, Option<LogicalType>) {
    let decimal = |precision, scale: i8| Some(LogicalType::decimal(i32::from(scale), precision));
    match cell {
        CellType::Int32 => (Physical::INT32, None),
        CellType::Int64 => (Physical::INT64, None),
        CellType::Decimal9(scale) => (Physical::INT32, decimal(9, scale)),
        CellType::Decimal18(scale) => (Physical::INT64, decimal(18, scale)),
    }
}

/// The Parquet schema, the same in every file for ever.
///
/// # Errors
/// `Data` if the Parquet library refuses it (a bug).
pub fn schema() -> Result<TypePtr> {
    let micros = LogicalType::timestamp(true, TimeUnit::MICROS);
    let mut fields = vec![
        primitive("project_key", Physical::INT64, true, None)?,
        primitive("job", Physical::INT64, true, None)?,
        primitive("part", Physical::INT32, true, None)?,
        primitive("runner_key", Physical::INT64, false, None)?,
        primitive("ts", Physical::INT64, true, Some(micros))?,
        primitive("interval_ms", Physical::INT32, false, None)?,
    ];
    for column in Column::ALL {
        let (physical, logical) = cell_type(column.spec().cell);
        fields.push(primitive(column.name(), physical, false, logical)?);
    }
    Type::group_type_builder("samples")
        .with_fields(fields)
        .build()
        .map(Arc::new)
        .map_err(parquet_error("describing the samples table"))
}

fn writer_properties(encoding: ValueEncoding, level: i32) -> WriterPropertiesPtr {
    let builder = properties::base(encoding, level)
        .set_sorting_columns(Some(properties::sorted_by(&[0, 1, 2, 4])));
    Arc::new(builder.build())
}

/// The cells of a column without a gap in memory, and which rows have one.
#[derive(Debug, Default)]
struct Optional<T> {
    values: Vec<T>,
    present: Vec<bool>,
}

impl<T: Value> Optional<T> {
    /// Appends cells. What does not fit was taken out before (`CellType::fits`); null is the safe
    /// answer here.
    fn extend(&mut self, cells: impl ExactSizeIterator<Item = Option<i64>> + Clone) {
        let narrow = |cell: Option<i64>| cell.and_then(|cell| T::try_from(cell).ok());
        // Nearly every column of nearly every job is full: without a branch per cell this is a third
        // of the work (13 % of encoding, measured).
        if cells.clone().all(|cell| narrow(cell).is_some()) {
            self.present.resize(self.present.len() + cells.len(), true);
            self.values
                .extend(cells.map(|cell| narrow(cell).unwrap_or_default()));
            return;
        }
        for cell in cells.map(narrow) {
            self.present.push(cell.is_some());
            self.values.extend(cell);
        }
    }

    fn push_nulls(&mut self, rows: usize) {
        self.present.resize(self.present.len() + rows, false);
    }

    fn push_same(&mut self, value: T, rows: usize) {
        self.values.resize(self.values.len() + rows, value);
        self.present.resize(self.present.len() + rows, true);
    }

    fn cells(&self) -> Cells<'_, T> {
        Cells {
            values: &self.values,
            present: Some(&self.present),
        }
    }

    fn clear(&mut self) {
        self.values.clear();
        self.present.clear();
    }
}

/// A value column's buffer in its physical type.
#[derive(Debug)]
enum Buffer {
    Narrow(Optional<i32>),
    Wide(Optional<i64>),
}

impl Buffer {
    fn extend(&mut self, cells: Option<&[Option<i64>]>, rows: usize) {
        match (self, cells) {
            (Self::Narrow(buffer), Some(cells)) => buffer.extend(cells.iter().copied()),
            (Self::Wide(buffer), Some(cells)) => buffer.extend(cells.iter().copied()),
            (Self::Narrow(buffer), None) => buffer.push_nulls(rows),
            (Self::Wide(buffer), None) => buffer.push_nulls(rows),
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Narrow(buffer) => buffer.clear(),
            Self::Wide(buffer) => buffer.clear(),
        }
    }
}

/// Builds a samples file in memory. Jobs are pushed in sort order.
#[derive(Debug)]
pub struct SamplesWriter {
    writer: SerializedFileWriter<Vec<u8>>,
    chunks: ChunkWriter,
    encoding: ValueEncoding,
    projects: Vec<i64>,
    jobs: Vec<i64>,
    parts: Vec<i32>,
    runners: Optional<i64>,
    ts: Vec<i64>,
    intervals: Optional<i32>,
    values: Vec<Buffer>,
    rows: u64,
    last: Option<RowKeys>,
}

impl SamplesWriter {
    /// An empty file.
    ///
    /// # Errors
    /// `Data` if the Parquet library refuses the schema (a bug).
    pub fn new(encoding: ValueEncoding, level: i32) -> Result<Self> {
        let properties = writer_properties(encoding, level);
        let writer = SerializedFileWriter::new(Vec::new(), schema()?, properties)
            .map_err(parquet_error("starting a samples file"))?;
        let values = Column::ALL
            .into_iter()
            .map(|column| match cell_type(column.spec().cell).0 {
                Physical::INT32 => Buffer::Narrow(Optional::default()),
                _ => Buffer::Wide(Optional::default()),
            })
            .collect();
        Ok(Self {
            writer,
            chunks: ChunkWriter::new(level)?,
            encoding,
            projects: Vec::new(),
            jobs: Vec::new(),
            parts: Vec::new(),
            runners: Optional::default(),
            ts: Vec::new(),
            intervals: Optional::default(),
            values,
            rows: 0,
            last: None,
        })
    }

    /// Adds a job's rows; returns the row at which they begin.
    ///
    /// # Errors
    /// `Internal` if jobs come out of order; `Data` if the Parquet library fails.
    pub fn push(&mut self, keys: RowKeys, profile: &Profile) -> Result<u64> {
        let order = |keys: RowKeys| (keys.project, keys.job, keys.part);
        if self.last.is_some_and(|last| order(last) >= order(keys)) {
            return Err(Error::internal("jobs were not written in sort order"));
        }
        self.last = Some(keys);
        let first = self.rows;
        let mut start = 0;
        while start < profile.rows() {
            let room = ROW_GROUP_ROWS - self.ts.len();
            let end = profile.rows().min(start + room);
            self.extend(keys, profile, start..end)?;
            start = end;
            if self.ts.len() == ROW_GROUP_ROWS {
                self.flush()?;
            }
        }
        Ok(first)
    }

    fn extend(&mut self, keys: RowKeys, profile: &Profile, range: Range<usize>) -> Result<()> {
        let ragged = || Error::internal("a profile has columns of different lengths");
        let rows = range.len();
        let grow = |values: &mut Vec<i64>, value| values.resize(values.len() + rows, value);
        grow(&mut self.projects, keys.project.0);
        grow(&mut self.jobs, keys.job.0);
        self.parts.resize(self.parts.len() + rows, keys.part);
        match keys.runner {
            Some(runner) => self.runners.push_same(runner.0, rows),
            None => self.runners.push_nulls(rows),
        }
        let ts = profile.ts_ms.get(range.clone()).ok_or_else(ragged)?;
        self.ts.extend(ts.iter().map(|ts| ts.saturating_mul(1_000)));
        let intervals = profile.interval_ms.get(range.clone()).ok_or_else(ragged)?;
        self.intervals
            .extend(intervals.iter().map(|interval| interval.map(i64::from)));
        for (column, buffer) in Column::ALL.into_iter().zip(&mut self.values) {
            let cells = match profile.column(column) {
                Some(cells) => Some(cells.get(range.clone()).ok_or_else(ragged)?),
                None => None,
            };
            buffer.extend(cells, rows);
        }
        self.rows += num::len_u64(rows);
        Ok(())
    }

    /// Writes the buffered rows as one row group.
    fn flush(&mut self) -> Result<()> {
        if self.ts.is_empty() {
            return Ok(());
        }
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
        chunks.keys(group_mut, next()?, required(&self.projects))?;
        chunks.keys(group_mut, next()?, required(&self.jobs))?;
        chunks.keys(group_mut, next()?, required(&self.parts))?;
        chunks.keys(group_mut, next()?, self.runners.cells())?;
        chunks.times(group_mut, next()?, &self.ts, &self.jobs)?;
        chunks.values(group_mut, next()?, self.intervals.cells(), self.encoding)?;
        for buffer in &self.values {
            match buffer {
                Buffer::Narrow(b) => chunks.values(group_mut, next()?, b.cells(), self.encoding)?,
                Buffer::Wide(b) => chunks.values(group_mut, next()?, b.cells(), self.encoding)?,
            }
        }
        group
            .close()
            .map_err(parquet_error("closing a row group"))?;
        self.projects.clear();
        self.jobs.clear();
        self.parts.clear();
        self.runners.clear();
        self.ts.clear();
        self.intervals.clear();
        self.values.iter_mut().for_each(Buffer::clear);
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// `Data` if the Parquet library fails.
    pub fn finish(mut self) -> Result<BuiltFile> {
        self.flush()?;
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

/// Reads the rows `range` of a samples file as a profile. Columns without a value in the touched row
/// groups are not decoded; columns that end up without any value are left out.
///
/// # Errors
/// `Data` if the file is damaged or shorter than the range.
pub fn read(file: &VerifiedFile, range: Range<usize>) -> Result<Profile> {
    let mut profile = Profile::default();
    let mut group_start = 0;
    let decompressor = SharedDecompressor::new().map_err(parquet_error("starting to read"))?;
    for (number, group) in file.metadata.row_groups().iter().enumerate() {
        let rows = num::to_usize(group.num_rows().unsigned_abs());
        let wanted = range.start.max(group_start)..range.end.min(group_start + rows);
        if !wanted.is_empty() {
            let reader = GroupReader {
                file,
                number,
                group,
                rows: wanted.start - group_start..wanted.end - group_start,
                decompressor: &decompressor,
            };
            reader.append_to(&mut profile)?;
        }
        group_start += rows;
    }
    if profile.rows() != range.len() {
        return Err(Error::data(
            "segment_rows",
            "a samples file has fewer rows than the index says",
        ));
    }
    profile
        .columns
        .retain(|_, cells| cells.iter().any(Option::is_some));
    Ok(profile)
}

/// Reads some rows of one row group.
struct GroupReader<'a> {
    file: &'a VerifiedFile,
    number: usize,
    group: &'a RowGroupMetaData,
    rows: Range<usize>,
    decompressor: &'a SharedDecompressor,
}

impl GroupReader<'_> {
    fn append_to(&self, profile: &mut Profile) -> Result<()> {
        let before = profile.rows();
        let total = before + self.rows.len();
        for ts in self.column(TS)? {
            let micros = ts.ok_or_else(|| Error::data("segment_rows", "a sample has no time"))?;
            profile.ts_ms.push(micros.div_euclid(1_000));
        }
        for interval in self.column(INTERVAL)? {
            profile
                .interval_ms
                .push(interval.and_then(|ms| i32::try_from(ms).ok()));
        }
        for (column, position) in Column::ALL.into_iter().zip(FIRST_VALUE..) {
            if self.is_empty(position) {
                if let Some(cells) = profile.columns.get_mut(&column) {
                    cells.resize(total, None);
                }
                continue;
            }
            let mut values = self.column(position)?;
            let cells = profile
                .columns
                .entry(column)
                .or_insert_with(|| vec![None; before]);
            cells.append(&mut values);
        }
        Ok(())
    }

    /// Whether the group holds no value of the column.
    fn is_empty(&self, position: usize) -> bool {
        self.group.columns().get(position).is_some_and(|chunk| {
            let nulls = chunk
                .statistics()
                .and_then(|statistics| statistics.null_count_opt());
            nulls == Some(chunk.num_values().unsigned_abs())
        })
    }

    fn column(&self, position: usize) -> Result<Vec<Option<i64>>> {
        let missing = || {
            Error::data(
                "segment_schema",
                "a samples file lacks a column or its index",
            )
        };
        let chunk = self.group.columns().get(position).ok_or_else(missing)?;
        let index = self
            .file
            .metadata
            .offset_index()
            .and_then(|groups| groups.get(self.number));
        let pages = index
            .and_then(|columns| columns.get(position))
            .ok_or_else(missing)?;
        let store = &self.file.store;
        let (pages, skip) =
            Pages::new(store, pages.page_locations(), &self.rows, self.decompressor);
        let wanted = skip..skip + self.rows.len();
        match get_column_reader(chunk.column_descr_ptr(), Box::new(pages)) {
            ColumnReader::Int32ColumnReader(column) => cells(column, &wanted),
            ColumnReader::Int64ColumnReader(column) => cells(column, &wanted),
            _ => Err(Error::data(
                "segment_schema",
                "a samples column has an unexpected type",
            )),
        }
    }
}

/// The cells of `rows`, counted from the reader's first page.
fn cells<T: DataType>(
    mut column: ColumnReaderImpl<T>,
    rows: &Range<usize>,
) -> Result<Vec<Option<i64>>>
where
    i64: From<T::T>,
{
    let skipped = column
        .skip_records(rows.start)
        .map_err(parquet_error("skipping rows"))?;
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let mut read = 0;
    while skipped == rows.start && read < rows.len() {
        let (records, _, _) = column
            .read_records(rows.len() - read, Some(&mut levels), None, &mut values)
            .map_err(parquet_error("decoding a column"))?;
        if records == 0 {
            break;
        }
        read += records;
    }
    if read != rows.len() {
        return Err(Error::data(
            "segment_rows",
            "a column has fewer rows than the index says",
        ));
    }
    let mut values = values.into_iter().map(i64::from);
    // A required column has no levels: every cell is there.
    if levels.is_empty() {
        return Ok(values.map(Some).collect());
    }
    Ok(levels
        .into_iter()
        .map(|level| if level == 1 { values.next() } else { None })
        .collect())
}
