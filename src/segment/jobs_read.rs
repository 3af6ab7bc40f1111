//! Reading a `jobs` file: single rows, ranges of rows, and what orders all of them.

use super::digest::Digests;
use super::job_cells::{Draft, Scalar};
use super::job_columns::{JOB_COLUMNS, JobColumn, Kind};
use super::job_lists;
use super::properties::JOBS_BATCH_ROWS;
use super::scan::{GroupScan, Scratch};
use super::{PageStore, SAMPLES_5M_DIGESTS_KEY, SAMPLES_DIGESTS_KEY, VerifiedFile, parquet_error};
use crate::error::{Error, Result};
use crate::model::archived::{RowKeys, SummarisedRow};
use crate::model::id::{JobKey, ProjectKey, RunnerKey};
use crate::model::metric::CellType;
use crate::num;
use crate::time::TimestampMs;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::types::SchemaDescriptor;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// An open jobs file.
#[derive(Debug, Clone)]
pub struct JobsFile {
    file: VerifiedFile,
}

impl JobsFile {
    /// An open file as a jobs file.
    #[must_use]
    pub fn new(file: VerifiedFile) -> Self {
        Self { file }
    }

    /// The file itself.
    #[must_use]
    pub fn file(&self) -> &VerifiedFile {
        &self.file
    }

    /// Digests of the samples file of the same name.
    ///
    /// # Errors
    /// `Data` if they are not there or not readable.
    pub fn samples_digests(&self) -> Result<Digests> {
        let text = self.file.footer_value(SAMPLES_DIGESTS_KEY)?;
        let text =
            text.ok_or_else(|| Error::data("segment_digests", "a jobs file names no digests"))?;
        Digests::from_hex(&text)
    }

    /// Digests of the samples_5m file of the same name, if there is one.
    ///
    /// # Errors
    /// `Data` if they are not readable.
    pub fn samples_5m_digests(&self) -> Result<Option<Digests>> {
        let text = self.file.footer_value(SAMPLES_5M_DIGESTS_KEY)?;
        text.as_deref().map(Digests::from_hex).transpose()
    }

    /// Rows in it.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.file.rows()
    }

    /// Reads and checks the whole file.
    ///
    /// # Errors
    /// `Data` if it is damaged.
    pub fn verify_whole(&self) -> Result<()> {
        self.file.verify_whole()
    }

    /// The row at position `row`. Its flat columns are read as a scan reads them: the library makes a
    /// compressor and a decompressor for each of a hundred, which takes longer than all the rest.
    ///
    /// # Errors
    /// `Data` if it is not there or damaged.
    pub fn read(&self, row: usize) -> Result<SummarisedRow> {
        let mut groups = self.file.group_ranges().enumerate();
        let group = groups.find(|(_, rows)| rows.contains(&row));
        let (group, rows) = group.ok_or_else(fewer_rows)?;
        let at = row - rows.start;
        let mut scan = GroupScan::new(&self.file, group)?;
        let mut scratch = Scratch::new()?;
        let mut draft = Draft::default();
        for column in JOB_COLUMNS.iter() {
            if let Some(leaf) = self.file.leaf(&column.name) {
                let cell = scan.column(&mut scratch, leaf, at..at + 1)?;
                if cell.is_valid(0) {
                    draft.set(column.slot, stored_scalar(&cell, column)?)?;
                }
            }
        }
        let selection = vec![RowSelector::skip(row), RowSelector::select(1)];
        let mut lists = self.batches_of(list_leaves, RowSelection::from(selection), 1)?;
        let lists = lists.next().ok_or_else(fewer_rows)??;
        finish(draft, &lists, 0)
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
        let mut rows = Vec::with_capacity(len);
        for batch in self.batches_of(filled_leaves, selection, len)? {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                rows.push(read_row(&batch, row)?);
            }
        }
        Ok(rows)
    }

    fn batches_of(
        &self,
        columns: fn(&ParquetMetaData) -> ProjectionMask,
        selection: RowSelection,
        len: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let reader = self
            .builder(columns)?
            .with_row_selection(selection)
            .with_batch_size(len.clamp(1, JOBS_BATCH_ROWS))
            .build()
            .map_err(parquet_error("reading job rows"))?;
        Ok(reader.map(|batch| batch.map_err(undecodable)))
    }

    /// All rows in order, a page at a time, without the columns that have no value anywhere.
    pub(super) fn batches(&self) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        self.pages(filled_leaves)
    }

    fn pages(
        &self,
        columns: fn(&ParquetMetaData) -> ProjectionMask,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let reader = self
            .builder(columns)?
            .with_batch_size(JOBS_BATCH_ROWS)
            .build()
            .map_err(parquet_error("reading job rows"))?;
        Ok(reader.map(|batch| batch.map_err(undecodable)))
    }

    fn builder(
        &self,
        columns: fn(&ParquetMetaData) -> ProjectionMask,
    ) -> Result<ParquetRecordBatchReaderBuilder<PageStore>> {
        let (metadata, store) = self.file.library()?;
        let columns = columns(metadata.metadata());
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(store, metadata);
        Ok(builder.with_projection(columns))
    }

    /// What orders and identifies every row, in the order of the file: seven columns of 150.
    ///
    /// # Errors
    /// `Data` if the file is damaged.
    pub fn heads(&self) -> Result<Vec<JobHead>> {
        let columns = |metadata: &ParquetMetaData| {
            ProjectionMask::columns(metadata.file_metadata().schema_descr(), HEAD_COLUMNS)
        };
        let (mut heads, mut names) = (Vec::new(), HashMap::new());
        for batch in self.pages(columns)? {
            append_heads(&batch?, &mut names, &mut heads)?;
        }
        Ok(heads)
    }

    /// Length of the file in bytes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file.len()
    }
}

/// What orders and identifies a row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct JobHead {
    pub keys: RowKeys,
    pub name: Option<Arc<str>>,
    pub started_at: Option<TimestampMs>,
    pub finished_at: Option<TimestampMs>,
}

impl JobHead {
    /// The sort order of the file, as `jobs::order`.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        fn key(head: &JobHead) -> (ProjectKey, Option<&str>, Option<TimestampMs>, JobKey) {
            let (project, job) = (head.keys.project, head.keys.job);
            (project, head.name.as_deref(), head.started_at, job)
        }
        key(self).cmp(&key(other))
    }
}

const HEAD_COLUMNS: [&str; 7] = [
    "project_key",
    "job",
    "part",
    "runner_key",
    "name",
    "started_at",
    "finished_at",
];

/// `names` holds each name once.
fn append_heads(
    batch: &RecordBatch,
    names: &mut HashMap<String, Arc<str>>,
    heads: &mut Vec<JobHead>,
) -> Result<()> {
    let unexpected = || {
        Error::data(
            "segment_schema",
            "a key column of a jobs file is missing or has an unexpected type",
        )
    };
    let column = |name| batch.column_by_name(name).ok_or_else(unexpected);
    let longs = |name| {
        column(name)?
            .as_primitive_opt::<Int64Type>()
            .ok_or_else(unexpected)
    };
    let times = |name| {
        column(name)?
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(unexpected)
    };
    let parts = column("part")?
        .as_primitive_opt::<Int32Type>()
        .ok_or_else(unexpected)?;
    let texts = column("name")?
        .as_string_opt::<i32>()
        .ok_or_else(unexpected)?;
    let keys = longs("project_key")?
        .iter()
        .zip(longs("job")?)
        .zip(parts)
        .zip(longs("runner_key")?);
    let spans = times("started_at")?.iter().zip(times("finished_at")?);
    for (((((project, job), part), runner), (started, finished)), name) in
        keys.zip(spans).zip(texts)
    {
        let name = name.map(|name| match names.get(name) {
            Some(known) => Arc::clone(known),
            None => {
                let shared: Arc<str> = name.into();
                names.insert(name.to_owned(), Arc::clone(&shared));
                shared
            }
        });
        let ms = |micros: Option<i64>| micros.map(|micros| TimestampMs(micros.div_euclid(1_000)));
        heads.push(JobHead {
            keys: RowKeys {
                project: ProjectKey(project.ok_or_else(unexpected)?),
                job: JobKey(job.ok_or_else(unexpected)?),
                part: part.ok_or_else(unexpected)?,
                runner: runner.map(RunnerKey),
            },
            name,
            started_at: ms(started),
            finished_at: ms(finished),
        });
    }
    Ok(())
}

fn undecodable(error: ArrowError) -> Error {
    Error::data("segment_file", "a jobs file could not be decoded").with_source(error)
}

fn fewer_rows() -> Error {
    Error::data(
        "segment_rows",
        "a jobs file has fewer rows than the index says",
    )
}

/// The leaves that hold a value in some row group, by the footer's null counts: the others need no decoding.
/// Lists are kept whole: their structs are read by all their fields.
fn filled_leaves(metadata: &ParquetMetaData) -> ProjectionMask {
    let schema = metadata.file_metadata().schema_descr();
    let is_all_null = |chunk: &ColumnChunkMetaData| {
        let nulls = chunk.statistics().and_then(Statistics::null_count_opt);
        nulls == Some(chunk.num_values().unsigned_abs())
    };
    let holds_values = |leaf: &usize| {
        let groups = metadata.row_groups().iter();
        let mut chunks = groups.filter_map(|group| group.columns().get(*leaf));
        chunks.any(|chunk| !is_all_null(chunk))
    };
    let all = 0..schema.num_columns();
    let leaves = all.filter(|leaf| is_in_list(schema, *leaf) || holds_values(leaf));
    ProjectionMask::leaves(schema, leaves)
}

/// The leaves of list columns.
fn list_leaves(metadata: &ParquetMetaData) -> ProjectionMask {
    let schema = metadata.file_metadata().schema_descr();
    let all = 0..schema.num_columns();
    ProjectionMask::leaves(schema, all.filter(|leaf| is_in_list(schema, *leaf)))
}

/// Lists stand behind the flat columns, and their elements have names of two parts and more.
fn is_in_list(schema: &SchemaDescriptor, leaf: usize) -> bool {
    schema.column(leaf).path().parts().len() > 1
}

/// A row of a batch.
pub(super) fn read_row(batch: &RecordBatch, row: usize) -> Result<SummarisedRow> {
    let mut draft = Draft::default();
    // Columns are found by name: a file may lack later ones, and have later ones that we ignore.
    for column in JOB_COLUMNS.iter() {
        let array = batch.column_by_name(&column.name);
        if let Some(array) = array.filter(|array| array.is_valid(row)) {
            draft.set(column.slot, scalar_at(array, row, column)?)?;
        }
    }
    finish(draft, batch, row)
}

/// The row of a draft with all its scalars; its lists are those of a row of `batch`.
fn finish(mut draft: Draft, batch: &RecordBatch, row: usize) -> Result<SummarisedRow> {
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
    scalar.ok_or_else(|| unexpected_type(column))
}

/// The only cell of a column as it is on disk.
fn stored_scalar<'a>(cell: &'a ArrayRef, column: &JobColumn) -> Result<Scalar<'a>> {
    let number = match cell.data_type() {
        DataType::Int32 => cell
            .as_primitive_opt::<Int32Type>()
            .map(|own| i64::from(own.value(0))),
        _ => cell.as_primitive_opt::<Int64Type>().map(|own| own.value(0)),
    };
    let scalar = match column.kind {
        Kind::Text => cell
            .as_string_view_opt()
            .map(|own| Scalar::Text(own.value(0))),
        Kind::Time => number.map(|micros| Scalar::Int(micros.div_euclid(1_000))),
        Kind::Cell(_) => number.map(Scalar::Int),
    };
    scalar.ok_or_else(|| unexpected_type(column))
}

fn unexpected_type(column: &JobColumn) -> Error {
    let message = format!(
        "column {} of a jobs file has an unexpected type",
        column.name
    );
    Error::data("segment_schema", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::page_index::tests::both_files;

    #[test]
    fn a_row_read_alone_is_that_of_a_range_and_of_a_list() {
        let root = tempfile::tempdir().unwrap();
        let [_, file] = both_files(root.path());
        let file = JobsFile::new(file);
        let rows = num::to_usize(file.rows());
        let all = file.read_range(0, rows).unwrap();
        assert_eq!(all.len(), rows);
        assert!(all.iter().any(|row| !row.sections.is_empty()));
        for (position, row) in all.iter().enumerate() {
            assert_eq!(file.read(position).unwrap(), *row, "{position}");
        }
        let some = [0, 1, all.len() / 2, all.len() - 1];
        let expected: Vec<_> = some.iter().map(|position| all[*position].clone()).collect();
        assert_eq!(file.read_rows(&some).unwrap(), expected);
        assert!(file.read(all.len()).is_err());
    }
}
