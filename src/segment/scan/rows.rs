//! Columns of jobs that are not in a segment, or not as they are there: staged and amended ones.
//!
//! What is built here is what the same rows would be read as from a file.

use super::catalogue::{StoredKind, job_columns, sample_columns};
use crate::error::{Error, Result};
use crate::model::archived::{RowKeys, SummarisedRow};
use crate::model::metric::{CellType, Column};
use crate::model::profile::Profile;
use crate::segment::job_cells::{self as cells, Scalar};
use crate::segment::job_columns::JOB_COLUMNS;
use crate::segment::job_lists;
use arrow_array::{ArrayRef, Int32Array, Int64Array, StringViewArray};
use std::sync::Arc;

/// The cells of column `column` of the jobs table in these rows.
///
/// # Errors
/// `Internal` if there is no such column (a bug).
pub fn job_cells(column: usize, rows: &[Arc<SummarisedRow>]) -> Result<ArrayRef> {
    let none = || Error::internal("the jobs table has no such column");
    let Some(own) = JOB_COLUMNS.get(column) else {
        let owned: Vec<SummarisedRow> = rows.iter().map(|row| (**row).clone()).collect();
        let mut lists = job_lists::list_arrays(&owned)?.into_iter();
        return lists.nth(column - JOB_COLUMNS.len()).ok_or_else(none);
    };
    let stored = job_columns().get(column).ok_or_else(none)?;
    let scalars = rows.iter().map(|row| cells::get(row, own.slot));
    if stored.kind == StoredKind::Text {
        let texts = scalars.map(|scalar| match scalar {
            Some(Scalar::Text(text)) => Some(text),
            _ => None,
        });
        return Ok(Arc::new(texts.collect::<StringViewArray>()));
    }
    let factor = if stored.kind == StoredKind::Time {
        1_000
    } else {
        1
    };
    let ints = scalars.map(|scalar| match scalar {
        Some(Scalar::Int(number)) => Some(number.saturating_mul(factor)),
        _ => None,
    });
    Ok(integers(&stored.kind, ints))
}

/// Integers in the column's width; what does not fit is null, as in a file.
fn integers(kind: &StoredKind, ints: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let fitting = ints.map(|number| {
        number.filter(|number| match kind {
            StoredKind::Cell(cell) => cell.fits(*number),
            _ => true,
        })
    });
    match kind {
        StoredKind::Cell(CellType::Int32 | CellType::Decimal9(_)) => {
            let narrow = fitting.map(|number| number.and_then(|number| i32::try_from(number).ok()));
            Arc::new(narrow.collect::<Int32Array>())
        }
        _ => Arc::new(fitting.collect::<Int64Array>()),
    }
}

/// The cells of column `column` of the samples table in the rows of these jobs.
///
/// # Errors
/// `Internal` if there is no such column (a bug).
pub fn sample_cells(column: usize, jobs: &[(RowKeys, Profile)]) -> Result<ArrayRef> {
    let stored = sample_columns()
        .get(column)
        .ok_or_else(|| Error::internal("the samples table has no such column"))?;
    let keys = |key: fn(&RowKeys) -> Option<i64>| {
        jobs.iter()
            .flat_map(move |(keys, profile)| std::iter::repeat_n(key(keys), profile.rows()))
    };
    let kind = &stored.kind;
    Ok(match stored.name.as_str() {
        "project_key" => integers(kind, keys(|keys| Some(keys.project.0))),
        "job" => integers(kind, keys(|keys| Some(keys.job.0))),
        "part" => integers(kind, keys(|keys| Some(i64::from(keys.part)))),
        "runner_key" => integers(kind, keys(|keys| keys.runner.map(|runner| runner.0))),
        "ts" => {
            let ts = jobs.iter().flat_map(|(_, profile)| &profile.ts_ms);
            integers(kind, ts.map(|ms| Some(ms.saturating_mul(1_000))))
        }
        "interval_ms" => {
            let intervals = jobs.iter().flat_map(|(_, profile)| &profile.interval_ms);
            integers(kind, intervals.map(|ms| ms.map(i64::from)))
        }
        name => {
            let metric = Column::by_name(name);
            let cells = jobs.iter().flat_map(|(_, profile)| {
                let own = metric.and_then(|metric| profile.column(metric));
                (0..profile.rows()).map(move |row| own.and_then(|own| *own.get(row)?))
            });
            integers(kind, cells)
        }
    })
}
