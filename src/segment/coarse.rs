//! The `samples_5m` file: what samples leave behind when they go, one row per job and slice of five
//! minutes, sorted by (project_key, job, part, ts).
//!
//! Written when samples are dropped, beside the files of the same name; a segment whose samples are
//! all there has none. Its digests stand in the jobs file, as those of the samples do. It has a
//! twentieth of the rows that samples had, so the library's writer is fast enough for it.

use super::digest::Digests;
use super::job_columns::decimals;
use super::properties::{self, ROW_GROUP_ROWS, SAMPLES_PAGE_ROWS, Storage, ValueEncoding};
use super::runs::{self, Run};
use super::samples::BuiltFile;
use super::{VerifiedFile, parquet_error};
use crate::error::{Error, Result};
use crate::model::archived::RowKeys;
use crate::model::coarse::{self, Coarse};
use crate::model::metric::{CellType, Column};
use crate::num;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array as _, ArrayRef, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use xxhash_rust::xxh3::Xxh3;

/// What a value column holds of its metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The sum of its increments.
    Sum,
    /// The mean of a gauge.
    Mean,
    /// The largest sample of a gauge.
    Max,
}

/// The value columns in file order, with their names.
fn value_columns() -> Vec<(String, Column, Part)> {
    let parts = |column: Column| {
        let name = column.name();
        if column.is_increment() {
            vec![(name.to_owned(), column, Part::Sum)]
        } else {
            vec![
                (format!("{name}_mean"), column, Part::Mean),
                (format!("{name}_max"), column, Part::Max),
            ]
        }
    };
    Column::ALL.into_iter().flat_map(parts).collect()
}

fn data_type(cell: CellType) -> DataType {
    match cell {
        CellType::Int32 => DataType::Int32,
        CellType::Int64 => DataType::Int64,
        CellType::Decimal9(scale) => DataType::Decimal128(9, scale),
        CellType::Decimal18(scale) => DataType::Decimal128(18, scale),
    }
}

/// The Arrow schema, the same in every file.
#[must_use]
pub fn schema() -> SchemaRef {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![
        Field::new("project_key", DataType::Int64, false),
        Field::new("job", DataType::Int64, false),
        Field::new("part", DataType::Int32, false),
        Field::new("runner_key", DataType::Int64, true),
        Field::new("ts", micros, false),
        Field::new("interval_ms", DataType::Int32, true),
    ];
    for (name, column, _) in value_columns() {
        fields.push(Field::new(name, data_type(coarse::cell(column)), true));
    }
    Arc::new(Schema::new(fields))
}

fn writer_properties(encoding: ValueEncoding, level: i32) -> WriterProperties {
    let mut builder = properties::base(encoding, level)
        .set_data_page_row_count_limit(SAMPLES_PAGE_ROWS)
        .set_write_batch_size(SAMPLES_PAGE_ROWS)
        .set_sorting_columns(Some(properties::sorted_by(&[0, 1, 2, 4])));
    for key in ["project_key", "job", "part", "runner_key"] {
        builder = properties::store(builder, ColumnPath::from(key), Storage::Dictionary);
    }
    properties::store(builder, ColumnPath::from("ts"), Storage::Delta).build()
}

/// Rows that are not written yet, column by column.
#[derive(Debug, Default)]
struct Rows {
    projects: Vec<i64>,
    jobs: Vec<i64>,
    parts: Vec<i32>,
    runners: Vec<Option<i64>>,
    ts_ms: Vec<i64>,
    intervals: Vec<Option<i32>>,
    values: Vec<Vec<Option<i64>>>,
}

/// Builds a file in memory. Jobs are pushed in sort order.
#[derive(Debug)]
pub struct CoarseWriter {
    writer: ArrowWriter<Vec<u8>>,
    columns: Vec<(String, Column, Part)>,
    rows: Rows,
    written: u64,
    sum: u128,
    last: Option<RowKeys>,
}

impl CoarseWriter {
    /// An empty file.
    ///
    /// # Errors
    /// `Data` if the Parquet library refuses the schema (a bug).
    pub fn new(encoding: ValueEncoding, level: i32) -> Result<Self> {
        let options = ArrowWriterOptions::new()
            .with_properties(writer_properties(encoding, level))
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema(), options)
            .map_err(parquet_error("starting a samples_5m file"))?;
        Ok(Self {
            writer,
            columns: value_columns(),
            rows: Rows::default(),
            written: 0,
            sum: 0,
            last: None,
        })
    }

    /// Adds a job's slices.
    ///
    /// # Errors
    /// `Internal` if jobs come out of order; `Data` if the Parquet library fails.
    pub fn push(&mut self, keys: RowKeys, job: &Coarse) -> Result<()> {
        let order = |keys: RowKeys| (keys.project, keys.job, keys.part);
        if self.last.is_some_and(|last| order(last) >= order(keys)) {
            return Err(Error::internal("jobs were not written in sort order"));
        }
        self.last = Some(keys);
        let (rows, more) = (&mut self.rows, job.rows());
        let length = rows.ts_ms.len() + more;
        rows.projects.resize(length, keys.project.0);
        rows.jobs.resize(length, keys.job.0);
        rows.parts.resize(length, keys.part);
        rows.runners.resize(length, keys.runner.map(|key| key.0));
        rows.ts_ms.extend(&job.means.ts_ms);
        rows.intervals.extend(&job.means.interval_ms);
        rows.values.resize_with(self.columns.len(), Vec::new);
        for ((_, column, part), values) in self.columns.iter().zip(&mut rows.values) {
            let cells = match part {
                Part::Sum | Part::Mean => job.means.column(*column),
                Part::Max => job.maxima.get(column).map(Vec::as_slice),
            };
            values.extend(cells.unwrap_or_default());
            values.resize(length, None);
        }
        self.written += num::len_u64(more);
        if length >= ROW_GROUP_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows.ts_ms.is_empty() {
            return Ok(());
        }
        let micros = rows.ts_ms.iter().map(|ms| ms.saturating_mul(1_000));
        let micros: TimestampMicrosecondArray = micros.collect::<Vec<i64>>().into();
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(rows.projects)),
            Arc::new(Int64Array::from(rows.jobs)),
            Arc::new(Int32Array::from(rows.parts)),
            Arc::new(Int64Array::from(rows.runners)),
            Arc::new(micros.with_timezone("UTC")),
            Arc::new(Int32Array::from(rows.intervals)),
        ];
        for ((_, column, _), values) in self.columns.iter().zip(rows.values) {
            arrays.push(array(coarse::cell(*column), values)?);
        }
        let batch = RecordBatch::try_new(schema(), arrays).map_err(|error| {
            Error::internal("slices of samples do not fit their schema").with_source(error)
        })?;
        self.sum = self.sum.wrapping_add(sum_of(&batch)?);
        self.writer
            .write(&batch)
            .map_err(parquet_error("writing slices of samples"))
    }

    /// Whether no row was pushed: then there is nothing to be a file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.written == 0
    }

    /// Ends the file; gives it and the sum over its rows.
    ///
    /// # Errors
    /// `Data` if the Parquet library fails.
    pub fn finish(mut self) -> Result<(BuiltFile, u128)> {
        self.flush()?;
        let metadata = self
            .writer
            .finish()
            .map_err(parquet_error("closing a samples_5m file"))?;
        let bytes = std::mem::take(self.writer.inner_mut());
        let digests = Digests::compute(&bytes, &metadata)?;
        let built = BuiltFile {
            bytes,
            digests,
            rows: self.written,
        };
        Ok((built, self.sum))
    }
}

/// The sum of a hash over each row: equal for equal rows, whatever their batches.
fn sum_of(batch: &RecordBatch) -> Result<u128> {
    let columns = batch.columns().iter().map(integers);
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let mut sum = 0u128;
    for row in 0..batch.num_rows() {
        let mut hash = Xxh3::new();
        for cell in columns
            .iter()
            .map(|cells| cells.get(row).copied().flatten())
        {
            hash.update(&[u8::from(cell.is_some())]);
            hash.update(&cell.unwrap_or_default().to_le_bytes());
        }
        sum = sum.wrapping_add(hash.digest128());
    }
    Ok(sum)
}

fn array(cell: CellType, values: Vec<Option<i64>>) -> Result<ArrayRef> {
    Ok(match cell {
        CellType::Int32 => {
            let narrow = values.into_iter().map(|value| i32::try_from(value?).ok());
            Arc::new(narrow.collect::<Int32Array>())
        }
        CellType::Int64 => Arc::new(Int64Array::from(values)),
        CellType::Decimal9(_) | CellType::Decimal18(_) => decimals(values.into_iter(), cell)?,
    })
}

/// An open file, with the places of its jobs.
#[derive(Debug)]
pub struct CoarseFile {
    file: VerifiedFile,
    /// Found at the first read.
    runs: OnceLock<Vec<Run>>,
}

impl CoarseFile {
    /// Prepares an open file for reading jobs.
    ///
    /// # Errors
    /// `Data` if its schema cannot be read.
    pub fn new(file: VerifiedFile) -> Result<Self> {
        file.library()?;
        let runs = OnceLock::new();
        Ok(Self { file, runs })
    }

    /// The jobs in it, in order.
    ///
    /// # Errors
    /// `Data` if its keys cannot be read, or are not in order.
    pub fn runs(&self) -> Result<&[Run]> {
        if let Some(runs) = self.runs.get() {
            return Ok(runs);
        }
        let runs = runs::runs(&self.file)?;
        Ok(self.runs.get_or_init(|| runs))
    }

    /// Rows in it.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.file.rows()
    }

    /// Sum over all rows, for comparing with `CoarseWriter::sum`.
    ///
    /// # Errors
    /// `Data` if the file is damaged.
    pub fn sum(&self) -> Result<u128> {
        let mut sum = 0;
        for batch in self.reader(RowSelection::default(), SAMPLES_PAGE_ROWS)? {
            sum = sum_of(&batch?)?.wrapping_add(sum);
        }
        Ok(sum)
    }

    fn reader(
        &self,
        selection: RowSelection,
        rows: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
        let (metadata, store) = self.file.library()?;
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(store, metadata)
            .with_batch_size(rows.clamp(1, SAMPLES_PAGE_ROWS));
        if selection.selects_any() {
            builder = builder.with_row_selection(selection);
        }
        let reader = builder
            .build()
            .map_err(parquet_error("reading slices of samples"))?;
        Ok(reader.map(|batch| {
            batch.map_err(|error| {
                Error::data("segment_file", "a samples_5m file could not be decoded")
                    .with_source(error)
            })
        }))
    }

    /// The file itself.
    #[must_use]
    pub fn file(&self) -> &VerifiedFile {
        &self.file
    }

    /// The slices of a job; none if it has none here.
    ///
    /// # Errors
    /// `Data` if the file is damaged.
    pub fn read(&self, keys: RowKeys) -> Result<Coarse> {
        let own = (keys.project.0, keys.job.0, keys.part);
        let runs = self.runs()?;
        let at = runs.binary_search_by_key(&own, |run| (run.project, run.job, run.part));
        match at.ok().and_then(|at| runs.get(at)) {
            Some(run) => {
                let first = num::to_usize(run.first_row);
                self.rows(first..first.saturating_add(num::to_usize(run.rows)))
            }
            None => Ok(Coarse::default()),
        }
    }

    fn rows(&self, range: Range<usize>) -> Result<Coarse> {
        let selection = vec![
            RowSelector::skip(range.start),
            RowSelector::select(range.len()),
        ];
        let mut coarse = Coarse::default();
        for batch in self.reader(RowSelection::from(selection), range.len())? {
            append(&mut coarse, &batch?)?;
        }
        if coarse.rows() != range.len() {
            return Err(Error::data(
                "segment_rows",
                "a samples_5m file has fewer rows than its keys say",
            ));
        }
        let filled = |cells: &Vec<Option<i64>>| cells.iter().any(Option::is_some);
        coarse.means.columns.retain(|_, cells| filled(cells));
        coarse.maxima.retain(|_, cells| filled(cells));
        Ok(coarse)
    }
}

/// Appends the rows of a batch. Columns are found by name: a file may lack later ones.
fn append(coarse: &mut Coarse, batch: &RecordBatch) -> Result<()> {
    let column = |name: &str| batch.column_by_name(name).map(integers).transpose();
    for ts in column("ts")?.into_iter().flatten() {
        let ts = ts.ok_or_else(|| Error::data("segment_rows", "a slice has no time"))?;
        coarse.means.ts_ms.push(ts.div_euclid(1_000));
    }
    let intervals = column("interval_ms")?.into_iter().flatten();
    let narrow = intervals.map(|ms| ms.and_then(|ms| i32::try_from(ms).ok()));
    coarse.means.interval_ms.extend(narrow);
    for (name, metric, part) in value_columns() {
        let Some(mut cells) = column(&name)? else {
            continue;
        };
        let place = match part {
            Part::Sum | Part::Mean => coarse.means.columns.entry(metric),
            Part::Max => coarse.maxima.entry(metric),
        };
        place.or_default().append(&mut cells);
    }
    Ok(())
}

/// The cells of an array, whatever integers hold them.
fn integers(array: &ArrayRef) -> Result<Vec<Option<i64>>> {
    if let Some(array) = array.as_primitive_opt::<Int64Type>() {
        return Ok(array.iter().collect());
    }
    if let Some(array) = array.as_primitive_opt::<Int32Type>() {
        return Ok(array.iter().map(|cell| cell.map(i64::from)).collect());
    }
    if let Some(array) = array.as_primitive_opt::<TimestampMicrosecondType>() {
        return Ok(array.iter().collect());
    }
    if let Some(array) = array.as_primitive_opt::<Decimal128Type>() {
        return Ok(array
            .iter()
            .map(|cell| cell.and_then(num::narrow))
            .collect());
    }
    Err(Error::data(
        "segment_schema",
        format!(
            "a column of a samples_5m file has the unexpected type {}",
            array.data_type()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{JobKey, ProjectKey, RunnerKey};
    use crate::segment::dir::{DataDir, Table};
    use crate::testkit::jobs::archived_job;
    use crate::time::Date;

    fn open(dir: &DataDir, name: &str, built: &BuiltFile) -> CoarseFile {
        let date = Date(20_000);
        dir.write_durably(Table::Samples5m, date, name, &built.bytes)
            .unwrap();
        let file = dir.open_file(Table::Samples5m, date, name).unwrap();
        CoarseFile::new(VerifiedFile::open(file, built.digests.clone()).unwrap()).unwrap()
    }

    #[test]
    fn jobs_are_read_back_as_they_were_written() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open(root.path()).unwrap();
        for (name, encoding) in [
            ("a", ValueEncoding::Native),
            ("b", ValueEncoding::Compatible),
        ] {
            let mut writer = CoarseWriter::new(encoding, 3).unwrap();
            assert!(writer.is_empty());
            let jobs: Vec<(RowKeys, Coarse)> = (0..300u64)
                .map(|seed| {
                    let job = archived_job(seed, 7, usize::try_from(seed % 50).unwrap());
                    (job.row.keys, Coarse::of(&job.profile))
                })
                .collect();
            for (keys, coarse) in &jobs {
                writer.push(*keys, coarse).unwrap();
            }
            let rows: usize = jobs.iter().map(|(_, coarse)| coarse.rows()).sum();
            assert!(!writer.is_empty());
            let again = writer.push(jobs[0].0, &jobs[0].1).unwrap_err();
            assert!(again.message().contains("sort order"));
            let (built, sum) = writer.finish().unwrap();
            assert_eq!(built.rows, num::len_u64(rows));
            let file = open(&dir, name, &built);
            assert_eq!(file.sum().unwrap(), sum);
            for (keys, coarse) in &jobs {
                let mut expected = coarse.clone();
                let filled = |cells: &Vec<Option<i64>>| cells.iter().any(Option::is_some);
                expected.means.columns.retain(|_, cells| filled(cells));
                expected.maxima.retain(|_, cells| filled(cells));
                assert_eq!(file.read(*keys).unwrap(), expected);
            }
            let stranger = RowKeys {
                project: ProjectKey(1),
                job: JobKey(1),
                part: 0,
                runner: Some(RunnerKey(1)),
            };
            assert_eq!(file.read(stranger).unwrap(), Coarse::default());
        }
    }
}
