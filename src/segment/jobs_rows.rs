//! Job rows out of their columns: whole rows from batches of the Parquet library, and single ones from the
//! few pages that hold them.
//!
//! Called by whoever reads or merges jobs files. The library makes a reader and a decompressor for each of
//! 150 columns, which for a single row is most of the work; scalars of single rows come the way of scans, with
//! one decompressor for all (docs/adr/0014). Lists are the library's.

use super::VerifiedFile;
use super::job_cells::{Draft, Scalar};
use super::job_columns::{JOB_COLUMNS, JobColumn, Kind};
use super::job_lists;
use super::scan::{GroupScan, Scratch};
use crate::error::{Error, Result};
use crate::model::archived::SummarisedRow;
use crate::model::metric::CellType;
use crate::num;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use std::ops::Range;

/// The scalars of some rows, in the order of [`JOB_COLUMNS`]; none for a column that the file lacks or
/// that has no value.
#[derive(Debug)]
pub(super) struct Scalars(Vec<Option<ArrayRef>>);

impl Scalars {
    /// Those of a batch. Columns are found by name: a file may lack later ones, and have later ones that
    /// we ignore.
    pub(super) fn of(batch: &RecordBatch) -> Self {
        let columns = JOB_COLUMNS.iter();
        Self(
            columns
                .map(|column| batch.column_by_name(&column.name).cloned())
                .collect(),
        )
    }

    /// Those of `rows` of a row group, counted from its first; `leaves` says where the columns are.
    ///
    /// # Errors
    /// `Data` if the file is damaged, `Unavailable` if it cannot be read.
    pub(super) fn read(
        scan: &mut GroupScan,
        scratch: &mut Scratch,
        leaves: &[Option<usize>],
        rows: &Range<usize>,
    ) -> Result<Self> {
        let arrays = leaves.iter().map(|leaf| {
            let leaf = leaf.filter(|leaf| scan.holds_values(*leaf));
            leaf.map(|leaf| scan.column(scratch, leaf, rows.clone()))
                .transpose()
        });
        arrays.collect::<Result<_>>().map(Self)
    }

    /// The row at `at`, whose lists stand in row `list` of `lists`.
    ///
    /// # Errors
    /// `Data` if it holds an impossible value.
    pub(super) fn row(&self, at: usize, lists: &RecordBatch, list: usize) -> Result<SummarisedRow> {
        let mut draft = Draft::default();
        for (column, array) in JOB_COLUMNS.iter().zip(&self.0) {
            if let Some(array) = array.as_ref().filter(|array| array.is_valid(at)) {
                draft.set(column.slot, scalar_at(array, at, column)?)?;
            }
        }
        if let Some(array) = lists.column_by_name("runner_tags") {
            draft.facts.runner_tags = job_lists::read_tags(array, list)?;
        }
        if let Some(array) = lists.column_by_name("gaps") {
            draft.findings.gaps = job_lists::read_gaps(array, list)?;
        }
        if let Some(array) = lists.column_by_name("resets") {
            draft.findings.resets = job_lists::read_resets(array, list)?;
        }
        let sections = lists.column_by_name("sections");
        let sections = sections.map(|array| job_lists::read_sections(array, list));
        let mut usage = Vec::new();
        if let Some((sections, own)) = sections.transpose()?.flatten() {
            draft.facts.sections = Some(sections);
            usage = own;
        }
        let (job, summary) = draft.finish()?;
        Ok(SummarisedRow {
            row: job,
            summary,
            sections: usage,
        })
    }
}

/// Where the columns of [`JOB_COLUMNS`] are in a file.
pub(super) fn scalar_leaves(file: &VerifiedFile) -> Vec<Option<usize>> {
    let schema = file.metadata.file_metadata().schema_descr();
    let leaf = |column: &JobColumn| {
        schema
            .columns()
            .iter()
            .position(|leaf| leaf.path().parts() == [column.name.as_str()])
    };
    JOB_COLUMNS.iter().map(leaf).collect()
}

/// A value as the Parquet library reads it, or as it is on disk.
fn scalar_at<'a>(array: &'a ArrayRef, row: usize, column: &JobColumn) -> Result<Scalar<'a>> {
    let narrow = || {
        array
            .as_primitive_opt::<Int32Type>()
            .map(|numbers| i64::from(numbers.value(row)))
    };
    let wide = || {
        array
            .as_primitive_opt::<Int64Type>()
            .map(|numbers| numbers.value(row))
    };
    let scalar = match column.kind {
        Kind::Text => {
            let texts = array.as_string_opt::<i32>().map(|texts| texts.value(row));
            let views = || array.as_string_view_opt().map(|texts| texts.value(row));
            texts.or_else(views).map(Scalar::Text)
        }
        Kind::Time => array
            .as_primitive_opt::<TimestampMicrosecondType>()
            .map(|micros| micros.value(row))
            .or_else(wide)
            .map(|micros| Scalar::Int(micros.div_euclid(1_000))),
        Kind::Cell(CellType::Int32) => narrow().map(Scalar::Int),
        Kind::Cell(CellType::Int64) => wide().map(Scalar::Int),
        Kind::Cell(_) => array
            .as_primitive_opt::<Decimal128Type>()
            .and_then(|decimals| num::narrow(decimals.value(row)))
            .or_else(narrow)
            .or_else(wide)
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
