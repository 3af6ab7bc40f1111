//! The `jobs` file: one row per job, sorted by (project_key, name, started_at, job).
//!
//! Its schema, and writing it. [`JobsFile`] reads it, `jobs_merge` makes one out of several.

use super::digest::Digests;
use super::job_cells::{self, Scalar};
use super::job_columns::{JOB_COLUMNS, JobColumn, Kind, decimals, sort_positions};
use super::job_lists;
use super::own_digest;
use super::packed::PackedWriter;
use super::properties::{self, Storage, ValueEncoding};
use super::samples::BuiltFile;
use super::{SAMPLES_5M_DIGESTS_KEY, SAMPLES_DIGESTS_KEY};
use crate::error::{Error, Result};
use crate::model::archived::SummarisedRow;
use crate::model::metric::CellType;
use crate::num;
use arrow_array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use std::cmp::Ordering;
use std::sync::Arc;

pub use super::jobs_read::{JobHead, JobsFile};

/// The Arrow schema, the same in every file.
#[must_use]
pub fn schema() -> SchemaRef {
    let scalars = JOB_COLUMNS.iter().map(JobColumn::field);
    Arc::new(Schema::new(
        scalars.chain(job_lists::list_fields()).collect::<Vec<_>>(),
    ))
}

/// The sort order of the file.
#[must_use]
pub fn order(a: &SummarisedRow, b: &SummarisedRow) -> Ordering {
    let (first, second) = (&a.row, &b.row);
    // Names by their bytes, those without one first.
    (first.keys.project.cmp(&second.keys.project))
        .then_with(|| first.facts.name.cmp(&second.facts.name))
        .then_with(|| first.facts.started_at.cmp(&second.facts.started_at))
        .then_with(|| first.keys.job.cmp(&second.keys.job))
}

fn writer_properties(encoding: ValueEncoding, level: i32) -> WriterProperties {
    let page_rows = properties::jobs_page_rows(level);
    let mut builder = properties::base(encoding, level)
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(page_rows)
        .set_sorting_columns(Some(properties::sorted_by(&sort_positions())));
    for column in JOB_COLUMNS.iter() {
        builder = properties::store(
            builder,
            ColumnPath::from(column.name.as_str()),
            column.storage,
        );
    }
    for path in [
        vec!["runner_tags", "list", "element"],
        vec!["sections", "list", "element", "name"],
        vec!["gaps", "list", "element", "metric"],
    ] {
        let path = ColumnPath::new(path.into_iter().map(str::to_owned).collect());
        builder = properties::store(builder, path, Storage::Dictionary);
    }
    builder.build()
}

/// Builds a jobs file in memory from rows in [`order`]. `samples` are the digests of its samples file.
///
/// # Errors
/// `Internal` if rows come out of order, `Data` if the Parquet library fails.
pub fn build(
    rows: &[SummarisedRow],
    samples: &Digests,
    encoding: ValueEncoding,
    level: i32,
) -> Result<BuiltFile> {
    let beside = Beside {
        samples,
        samples_5m: None,
    };
    build_beside(rows, beside, encoding, level)
}

/// As [`build`], for a segment that may have slices too.
///
/// # Errors
/// As [`build`].
pub fn build_beside(
    rows: &[SummarisedRow],
    beside: Beside<'_>,
    encoding: ValueEncoding,
    level: i32,
) -> Result<BuiltFile> {
    if !rows.is_sorted_by(|a, b| order(a, b) == Ordering::Less) {
        return Err(Error::internal("job rows were not written in sort order"));
    }
    let mut writer = JobsWriter::new(encoding, level, 0)?;
    writer.write(&batch_of(rows)?)?;
    writer.finish(beside)
}

/// Rows that are taken apart together: as many as stay in a core's cache for all of the file's columns.
/// Column by column over all rows, reading them from memory again and again was most of the work.
const ROWS_AT_ONCE: usize = 256;

/// Rows as the file has them.
///
/// # Errors
/// `Internal` if a row does not fit the schema (a bug).
pub(super) fn batch_of(rows: &[SummarisedRow]) -> Result<RecordBatch> {
    let parts: Vec<RecordBatch> = rows
        .chunks(ROWS_AT_ONCE)
        .map(columns_of)
        .collect::<Result<_>>()?;
    concat_batches(&schema(), &parts)
        .map_err(|error| Error::internal("job rows do not fit together").with_source(error))
}

fn columns_of(rows: &[SummarisedRow]) -> Result<RecordBatch> {
    let mut arrays = Vec::with_capacity(JOB_COLUMNS.len() + 4);
    for column in JOB_COLUMNS.iter() {
        arrays.push(scalar_array(column, rows)?);
    }
    arrays.append(&mut job_lists::list_arrays(rows)?);
    RecordBatch::try_new(schema(), arrays)
        .map_err(|error| Error::internal("job rows do not fit their schema").with_source(error))
}

/// Digests of the files of the same name: they stand in the jobs file.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// The samples file.
    pub samples: &'a Digests,
    /// The samples_5m file, if there is one.
    pub samples_5m: Option<&'a Digests>,
}

/// A jobs file in the making, in memory. Batches come in [`order`]; the same batches give the same
/// bytes.
pub(super) struct JobsWriter {
    writer: PackedWriter,
    rows: u64,
}

impl JobsWriter {
    /// An empty file. About `bytes` will be written.
    pub(super) fn new(encoding: ValueEncoding, level: i32, bytes: usize) -> Result<Self> {
        let properties = writer_properties(encoding, level);
        let writer = PackedWriter::new(schema(), properties, level, bytes)?;
        Ok(Self { writer, rows: 0 })
    }

    /// Appends rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += num::len_u64(batch.num_rows());
        self.writer.write(batch)
    }

    /// Ends the file, which then names the digests of the files beside it.
    pub(super) fn finish(self, beside: Beside<'_>) -> Result<BuiltFile> {
        let named = [
            (SAMPLES_DIGESTS_KEY, Some(beside.samples)),
            (SAMPLES_5M_DIGESTS_KEY, beside.samples_5m),
        ];
        let digests = named.into_iter().filter_map(|(key, digests)| {
            let digests = digests?.to_hex();
            Some(KeyValue::new(key.to_owned(), digests))
        });
        // Its own one last: `own_digest` looks for it from the end.
        let entries = digests.chain([own_digest::placeholder()]);
        let (mut bytes, metadata) = self.writer.finish(entries)?;
        own_digest::fill(&mut bytes)?;
        let digests = Digests::compute(&bytes, &metadata)?;
        Ok(BuiltFile {
            bytes,
            digests,
            rows: self.rows,
        })
    }
}

fn scalar_array(column: &JobColumn, rows: &[SummarisedRow]) -> Result<ArrayRef> {
    let scalars = rows.iter().map(|row| job_cells::get(row, column.slot));
    let ints = scalars.clone().map(|scalar| match scalar {
        Some(Scalar::Int(number)) => Some(number),
        _ => None,
    });
    let array: ArrayRef = match column.kind {
        Kind::Text => Arc::new(
            scalars
                .map(|scalar| match scalar {
                    Some(Scalar::Text(text)) => Some(text),
                    _ => None,
                })
                .collect::<StringArray>(),
        ),
        Kind::Time => {
            let micros: TimestampMicrosecondArray = ints
                .map(|ms| ms.map(|ms| ms.saturating_mul(1_000)))
                .collect();
            Arc::new(micros.with_timezone("UTC"))
        }
        Kind::Cell(CellType::Int32) => {
            let narrow = |number: Option<i64>| number.and_then(|number| i32::try_from(number).ok());
            Arc::new(ints.map(narrow).collect::<Int32Array>())
        }
        Kind::Cell(CellType::Int64) => Arc::new(ints.collect::<Int64Array>()),
        Kind::Cell(cell @ (CellType::Decimal9(_) | CellType::Decimal18(_))) => {
            decimals(ints, cell)?
        }
    };
    Ok(array)
}
