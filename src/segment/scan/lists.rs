//! The list columns of the jobs file, by the Parquet library: they are nested, small and rarely asked
//! for.

use super::{arrow_error, odd};
use crate::error::Result;
use crate::segment::{VerifiedFile, parquet_error};
use arrow_array::ArrayRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use std::ops::Range;
use std::sync::Arc;

/// The cells of a list column in rows of a row group; `None` if the file lacks it.
///
/// # Errors
/// `Data` if the file is damaged.
pub fn read_list(
    file: &VerifiedFile,
    group: usize,
    name: &str,
    rows: Range<usize>,
) -> Result<Option<ArrayRef>> {
    let failed = parquet_error("reading a list column");
    let (metadata, store) = file.library()?;
    let schema = metadata.metadata().file_metadata().schema_descr_ptr();
    let fields = schema.root_schema().get_fields();
    let Some(root) = fields.iter().position(|field| field.name() == name) else {
        return Ok(None);
    };
    let selection = vec![
        RowSelector::skip(rows.start),
        RowSelector::select(rows.len()),
    ];
    let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(store, metadata)
        .with_row_groups(vec![group])
        .with_row_selection(RowSelection::from(selection))
        .with_projection(ProjectionMask::roots(&schema, [root]))
        .with_batch_size(rows.len().max(1))
        .build()
        .map_err(failed)?;
    let short = || odd("a list column is shorter than its row group");
    let batch = reader.next().ok_or_else(short)?.map_err(arrow_error)?;
    let column = batch.columns().first().ok_or_else(short)?;
    if column.len() == rows.len() {
        Ok(Some(Arc::clone(column)))
    } else {
        Err(short())
    }
}
