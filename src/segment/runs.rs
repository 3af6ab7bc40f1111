//! The keys of a whole samples file, value by value: which rows are which job's, and whether they are
//! sorted as the file declares.
//!
//! Called by the archive when it verifies.

use super::samples_schema::{JOB, PART, PROJECT_KEY, TS};
use super::{VerifiedFile, parquet_error};
use crate::error::{Error, Result};
use crate::num;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::DataType;
use parquet::file::serialized_reader::SerializedPageReader;
use std::sync::Arc;

/// The rows of one job, which lie behind one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Run {
    pub project: i64,
    pub job: i64,
    pub part: i32,
    pub first_row: u64,
    pub rows: u64,
}

/// The jobs of a samples file, in its order.
///
/// # Errors
/// `Data` if the file is damaged, or if its rows are not strictly ascending by (project_key, job,
/// part, ts).
pub fn runs(file: &VerifiedFile) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    let mut last = None;
    let mut row = 0;
    for group in 0..file.groups() {
        let [projects, jobs, parts, times] =
            [PROJECT_KEY, JOB, PART, TS].map(|position| column(file, group, position));
        let keys = projects?.into_iter().zip(jobs?).zip(parts?).zip(times?);
        for (((project, job), part), ts) in keys {
            let key = (project, job, part, ts);
            if last.is_some_and(|last| last >= key) {
                let message =
                    format!("row {row} of a samples file is not behind the one before it");
                return Err(Error::data("segment_order", message));
            }
            last = Some(key);
            let part = i32::try_from(part).unwrap_or(i32::MAX);
            match runs.last_mut() {
                Some(run) if (run.project, run.job, run.part) == (project, job, part) => {
                    run.rows += 1
                }
                _ => runs.push(Run {
                    project,
                    job,
                    part,
                    first_row: row,
                    rows: 1,
                }),
            }
            row += 1;
        }
    }
    Ok(runs)
}

/// A key column of a row group, which has no nulls.
pub(super) fn column(file: &VerifiedFile, group: usize, position: usize) -> Result<Vec<i64>> {
    let missing = || {
        Error::data(
            "segment_schema",
            "a samples file lacks a key column or its index",
        )
    };
    let (library, store) = file.library()?;
    let chunk = library
        .metadata()
        .row_groups()
        .get(group)
        .and_then(|group| group.columns().get(position));
    let chunk = chunk.ok_or_else(missing)?;
    let rows = num::to_usize(chunk.num_values().unsigned_abs());
    let pages = file.known_leaf(group, position)?.locations.to_vec();
    let pages = SerializedPageReader::new(Arc::new(store), chunk, rows, Some(pages))
        .map_err(parquet_error("reading a key column"))?;
    match get_column_reader(chunk.column_descr_ptr(), Box::new(pages)) {
        ColumnReader::Int32ColumnReader(column) => values(column, rows),
        ColumnReader::Int64ColumnReader(column) => values(column, rows),
        _ => Err(missing()),
    }
}

fn values<T: DataType>(mut column: ColumnReaderImpl<T>, rows: usize) -> Result<Vec<i64>>
where
    i64: From<T::T>,
{
    let mut values = Vec::with_capacity(rows);
    while values.len() < rows {
        let (read, _, _) = column
            .read_records(rows - values.len(), None, None, &mut values)
            .map_err(parquet_error("decoding a key column"))?;
        if read == 0 {
            return Err(Error::data(
                "segment_rows",
                "a key column is shorter than its row group",
            ));
        }
    }
    Ok(values.into_iter().map(i64::from).collect())
}
