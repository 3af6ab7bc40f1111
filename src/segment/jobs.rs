//! The `jobs` file: one row per job, sorted by (project_key, name, started_at, job).

use super::digest::Digests;
use super::job_cells::{self, Draft, Scalar};
use super::job_columns::{JOB_COLUMNS, JobColumn, Kind, decimals, sort_positions};
use super::job_lists;
use super::own_digest;
use super::properties::{self, JOBS_BATCH_ROWS, Storage, ValueEncoding};
use super::samples::BuiltFile;
use super::{SAMPLES_DIGESTS_KEY, VerifiedFile, parquet_error};
use crate::error::{Error, Result};
use crate::model::archived::SummarisedRow;
use crate::model::metric::CellType;
use crate::num;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array as _, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{Schema, SchemaRef};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use std::cmp::Ordering;
use std::sync::Arc;

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
    let key = |row: &SummarisedRow| (row.row.keys.project, row.row.keys.job);
    let name = |row: &SummarisedRow| {
        row.row
            .facts
            .name
            .as_ref()
            .map(String::as_bytes)
            .map(<[u8]>::to_vec)
    };
    (key(a).0.cmp(&key(b).0))
        .then_with(|| name(a).cmp(&name(b)))
        .then_with(|| a.row.facts.started_at.cmp(&b.row.facts.started_at))
        .then_with(|| key(a).1.cmp(&key(b).1))
}

fn writer_properties(encoding: ValueEncoding, level: i32, samples: &Digests) -> WriterProperties {
    let page_rows = properties::jobs_page_rows(level);
    let mut builder = properties::base(encoding, level)
        .set_data_page_row_count_limit(page_rows)
        .set_write_batch_size(page_rows)
        .set_sorting_columns(Some(properties::sorted_by(&sort_positions())))
        .set_key_value_metadata(Some(vec![
            KeyValue::new(super::FORMAT_KEY.to_owned(), super::FORMAT.to_owned()),
            KeyValue::new(SAMPLES_DIGESTS_KEY.to_owned(), samples.to_hex()),
            // The last one: `own_digest` looks for it from the end.
            own_digest::placeholder(),
        ]));
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
    if !rows.is_sorted_by(|a, b| order(a, b) == Ordering::Less) {
        return Err(Error::internal("job rows were not written in sort order"));
    }
    let mut arrays = Vec::with_capacity(JOB_COLUMNS.len() + 4);
    for column in JOB_COLUMNS.iter() {
        arrays.push(scalar_array(column, rows)?);
    }
    arrays.append(&mut job_lists::list_arrays(rows)?);
    let batch = RecordBatch::try_new(schema(), arrays)
        .map_err(|error| Error::internal("job rows do not fit their schema").with_source(error))?;
    let options = ArrowWriterOptions::new()
        .with_properties(writer_properties(encoding, level, samples))
        .with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), schema(), options)
        .map_err(parquet_error("starting a jobs file"))?;
    writer
        .write(&batch)
        .map_err(parquet_error("writing job rows"))?;
    let metadata = writer
        .finish()
        .map_err(parquet_error("closing a jobs file"))?;
    let mut bytes = std::mem::take(writer.inner_mut());
    own_digest::fill(&mut bytes)?;
    let digests = Digests::compute(&bytes, &metadata)?;
    Ok(BuiltFile {
        bytes,
        digests,
        rows: num::len_u64(rows.len()),
    })
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

/// An open jobs file.
#[derive(Debug)]
pub struct JobsFile {
    file: VerifiedFile,
    arrow: ArrowReaderMetadata,
    /// Leaves that hold at least one value: the others need no decoding.
    filled: ProjectionMask,
}

impl JobsFile {
    /// Prepares an open file for reading rows.
    ///
    /// # Errors
    /// `Data` if its schema cannot be read.
    pub fn new(file: VerifiedFile) -> Result<Self> {
        let arrow =
            ArrowReaderMetadata::try_new(Arc::clone(&file.metadata), ArrowReaderOptions::new())
                .map_err(parquet_error("reading the schema of a jobs file"))?;
        let filled = filled_leaves(&file);
        Ok(Self {
            file,
            arrow,
            filled,
        })
    }

    /// Digests of the samples file of the same name.
    ///
    /// # Errors
    /// `Data` if they are not there or not readable.
    pub fn samples_digests(&self) -> Result<Digests> {
        let text = self.file.footer_value(SAMPLES_DIGESTS_KEY);
        Digests::from_hex(
            text.ok_or_else(|| Error::data("segment_digests", "a jobs file names no digests"))?,
        )
    }

    /// Rows in it.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.file.metadata.file_metadata().num_rows().unsigned_abs()
    }

    /// Reads and checks the whole file.
    ///
    /// # Errors
    /// `Data` if it is damaged.
    pub fn verify_whole(&self) -> Result<()> {
        self.file.verify_whole()
    }

    /// The row at position `row`.
    ///
    /// # Errors
    /// `Data` if it is not there or damaged.
    pub fn read(&self, row: usize) -> Result<SummarisedRow> {
        self.read_rows(&[row])?.pop().ok_or_else(fewer_rows)
    }

    /// The rows at these positions, which ascend, in one go: most of what a row costs is its pages.
    ///
    /// # Errors
    /// `Data` if one is not there, or damaged.
    pub fn read_rows(&self, positions: &[usize]) -> Result<Vec<SummarisedRow>> {
        let mut selectors = Vec::with_capacity(2 * positions.len());
        let mut reached = 0;
        for position in positions {
            let skipped = position.checked_sub(reached).ok_or_else(|| {
                Error::data("segment_rows", "two jobs stand in one row of a jobs file")
            })?;
            selectors.extend([RowSelector::skip(skipped), RowSelector::select(1)]);
            reached = position + 1;
        }
        let rows = self.select(RowSelection::from(selectors), positions.len())?;
        if rows.len() == positions.len() {
            Ok(rows)
        } else {
            Err(fewer_rows())
        }
    }

    /// `len` rows from position `start`.
    ///
    /// # Errors
    /// `Data` if the file is damaged.
    pub fn read_range(&self, start: usize, len: usize) -> Result<Vec<SummarisedRow>> {
        let selection = vec![RowSelector::skip(start), RowSelector::select(len)];
        self.select(RowSelection::from(selection), len)
    }

    fn select(&self, selection: RowSelection, len: usize) -> Result<Vec<SummarisedRow>> {
        let store = (*self.file.store).clone();
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(store, self.arrow.clone())
            .with_row_selection(selection)
            .with_projection(self.filled.clone())
            .with_batch_size(len.clamp(1, JOBS_BATCH_ROWS))
            .build()
            .map_err(parquet_error("reading job rows"))?;
        let mut rows = Vec::with_capacity(len);
        for batch in reader {
            let batch = batch.map_err(|error| {
                Error::data("segment_file", "a jobs file could not be decoded").with_source(error)
            })?;
            for row in 0..batch.num_rows() {
                rows.push(read_row(&batch, row)?);
            }
        }
        Ok(rows)
    }
}

fn fewer_rows() -> Error {
    Error::data(
        "segment_rows",
        "a jobs file has fewer rows than the index says",
    )
}

/// The leaves that hold a value in some row group, by the footer's null counts. Lists are kept whole:
/// their structs are read by all their fields.
fn filled_leaves(file: &VerifiedFile) -> ProjectionMask {
    let metadata = &file.metadata;
    let schema = metadata.file_metadata().schema_descr();
    let holds_values = |leaf: &usize| {
        metadata
            .row_groups()
            .iter()
            .filter_map(|group| group.columns().get(*leaf))
            .any(|chunk| {
                let nulls = chunk
                    .statistics()
                    .and_then(|statistics| statistics.null_count_opt());
                nulls != Some(chunk.num_values().unsigned_abs())
            })
    };
    let in_list = |leaf: &usize| schema.get_column_root_idx(*leaf) >= JOB_COLUMNS.len();
    let leaves = (0..schema.num_columns()).filter(|leaf| in_list(leaf) || holds_values(leaf));
    ProjectionMask::leaves(schema, leaves)
}

fn read_row(batch: &RecordBatch, row: usize) -> Result<SummarisedRow> {
    let mut draft = Draft::default();
    // Columns are found by name: a file may lack later ones, and have later ones that we ignore.
    for column in JOB_COLUMNS.iter() {
        let array = batch.column_by_name(&column.name);
        if let Some(array) = array.filter(|array| array.is_valid(row)) {
            draft.set(column.slot, scalar_at(array, row, column)?)?;
        }
    }
    let list = |name: &str| batch.column_by_name(name);
    if let Some(array) = list("runner_tags") {
        draft.facts.runner_tags = job_lists::read_tags(array, row)?;
    }
    if let Some(array) = list("gaps") {
        draft.findings.gaps = job_lists::read_gaps(array, row)?;
    }
    if let Some(array) = list("resets") {
        draft.findings.resets = job_lists::read_resets(array, row)?;
    }
    let mut usage = Vec::new();
    if let Some(found) = list("sections")
        .map(|array| job_lists::read_sections(array, row))
        .transpose()?
        .flatten()
    {
        draft.facts.sections = Some(found.0);
        usage = found.1;
    }
    let (job, summary) = draft.finish()?;
    Ok(SummarisedRow {
        row: job,
        summary,
        sections: usage,
    })
}

fn scalar_at<'a>(array: &'a ArrayRef, row: usize, column: &JobColumn) -> Result<Scalar<'a>> {
    let scalar = match column.kind {
        Kind::Text => array
            .as_string_opt::<i32>()
            .map(|texts| Scalar::Text(texts.value(row))),
        Kind::Time => array
            .as_primitive_opt::<TimestampMicrosecondType>()
            .map(|micros| Scalar::Int(micros.value(row).div_euclid(1_000))),
        Kind::Cell(CellType::Int32) => array
            .as_primitive_opt::<Int32Type>()
            .map(|numbers| Scalar::Int(i64::from(numbers.value(row)))),
        Kind::Cell(CellType::Int64) => array
            .as_primitive_opt::<Int64Type>()
            .map(|numbers| Scalar::Int(numbers.value(row))),
        Kind::Cell(_) => array
            .as_primitive_opt::<Decimal128Type>()
            .and_then(|decimals| num::narrow(decimals.value(row)))
            .map(Scalar::Int),
    };
    scalar.ok_or_else(|| {
        Error::data(
            "segment_schema",
            format!(
                "column {} of a jobs file has an unexpected type",
                column.name
            ),
        )
    })
}
