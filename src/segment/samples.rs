//! The `samples` file: one row per (job, sample time), sorted by (project_key, job, part, ts).
//!
//! Its schema, and reading one job. [`SamplesWriter`] writes it, `copy` makes one out of several.

use super::columns::ColumnChunk;
use super::digest::Digests;
use super::pages::SharedDecompressor;
use super::{VerifiedFile, parquet_error};
use crate::error::{Error, Result};
use crate::model::metric::{CellType, Column};
use crate::model::profile::Profile;
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type, TypePtr};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

pub use super::samples_write::SamplesWriter;

/// Positions of the columns in front of the values.
pub(super) const PROJECT_KEY: usize = 0;
pub(super) const JOB: usize = 1;
pub(super) const PART: usize = 2;
pub(super) const TS: usize = 4;
pub(super) const INTERVAL: usize = 5;
const FIRST_VALUE: usize = 6;
/// Columns of the file.
pub(super) const COLUMNS: usize = FIRST_VALUE + Column::ALL.len();

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
pub(super) fn cell_type(cell: CellType) -> (Physical, Option<LogicalType>) {
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

/// The columns of [`schema`], as the library reads them.
pub(super) fn described() -> Result<SchemaDescPtr> {
    static KNOWN: OnceLock<SchemaDescPtr> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(Arc::clone(known));
    }
    let described = Arc::new(SchemaDescriptor::new(schema()?));
    Ok(Arc::clone(KNOWN.get_or_init(|| described)))
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
    for (number, group) in file.footer.groups.iter().enumerate() {
        let rows = group.rows;
        let wanted = range.start.max(group_start)..range.end.min(group_start + rows);
        if !wanted.is_empty() {
            let reader = GroupReader {
                file,
                number,
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
    rows: Range<usize>,
    decompressor: &'a SharedDecompressor,
}

impl GroupReader<'_> {
    fn append_to(&self, profile: &mut Profile) -> Result<()> {
        let before = profile.rows();
        let total = before + self.rows.len();
        for ts in self.cells(&self.column(TS)?)? {
            let micros = ts.ok_or_else(|| Error::data("segment_rows", "a sample has no time"))?;
            profile.ts_ms.push(micros.div_euclid(1_000));
        }
        for interval in self.cells(&self.column(INTERVAL)?)? {
            profile
                .interval_ms
                .push(interval.and_then(|ms| i32::try_from(ms).ok()));
        }
        for (column, position) in Column::ALL.into_iter().zip(FIRST_VALUE..) {
            let chunk = self.column(position)?;
            if chunk.is_empty() {
                if let Some(cells) = profile.columns.get_mut(&column) {
                    cells.resize(total, None);
                }
                continue;
            }
            let mut values = self.cells(&chunk)?;
            let cells = profile
                .columns
                .entry(column)
                .or_insert_with(|| vec![None; before]);
            cells.append(&mut values);
        }
        Ok(())
    }

    fn column(&self, position: usize) -> Result<ColumnChunk<'_>> {
        ColumnChunk::new(self.file, self.number, position)
    }

    fn cells(&self, chunk: &ColumnChunk<'_>) -> Result<Vec<Option<i64>>> {
        Ok(chunk.read(&self.rows, self.decompressor)?.widened())
    }
}
