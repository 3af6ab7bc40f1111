//! One column of one row group of a samples file, decoded into its physical type.
//!
//! Called by whoever reads a job, copies jobs, or sums up a file.

use super::cells::{Buffer, Optional, unexpected_type};
use super::leaf::Leaf;
use super::pages::{Pages, SharedDecompressor};
use super::value::Value;
use super::{VerifiedFile, parquet_error, samples_schema};
use crate::error::{Error, Result};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::DataType;
use parquet::schema::types::ColumnDescPtr;
use std::ops::Range;
use std::sync::Arc;

/// A column of a row group.
pub(super) struct ColumnChunk<'a> {
    file: &'a VerifiedFile,
    leaf: Arc<Leaf>,
    described: ColumnDescPtr,
    rows: usize,
}

impl<'a> ColumnChunk<'a> {
    /// The column at `position` of row group `group`.
    ///
    /// # Errors
    /// `Data` if the file has no such column or no index of its pages.
    pub(super) fn new(file: &'a VerifiedFile, group: usize, position: usize) -> Result<Self> {
        let missing = || Error::data("segment_schema", "a samples file lacks a row group");
        let leaf = file.known_leaf(group, position)?;
        let schema = samples_schema::described()?;
        let described = schema.columns().get(position);
        let described = described.filter(|own| own.physical_type() == leaf.chunk.kind);
        Ok(Self {
            file,
            leaf,
            described: described.cloned().ok_or_else(unexpected_type)?,
            rows: file.group_rows(group).ok_or_else(missing)?,
        })
    }

    /// Whether no row of it has a value.
    pub(super) fn is_empty(&self) -> bool {
        self.leaf.chunk.is_all_null()
    }

    /// Rows in the group.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The rows of the page that holds `row`.
    pub(super) fn page_of(&self, row: usize) -> Range<usize> {
        let page = self.leaf.pages_of(&(row..row + 1)).start;
        let start = self.leaf.first_row(page).unwrap_or(0);
        start..self.leaf.first_row(page + 1).unwrap_or(self.rows)
    }

    /// The cells of `rows`, counted from the first of the group.
    ///
    /// # Errors
    /// `Data` if the file is damaged or shorter.
    pub(super) fn read(
        &self,
        rows: &Range<usize>,
        decompressor: &SharedDecompressor,
    ) -> Result<Buffer> {
        let (pages, skip) = Pages::new(self.file, &self.leaf, rows, decompressor);
        match get_column_reader(ColumnDescPtr::clone(&self.described), Box::new(pages)) {
            ColumnReader::Int32ColumnReader(column) => {
                decode(column, skip, rows.len()).map(Buffer::Narrow)
            }
            ColumnReader::Int64ColumnReader(column) => {
                decode(column, skip, rows.len()).map(Buffer::Wide)
            }
            _ => Err(unexpected_type()),
        }
    }
}

/// The next `rows` cells behind the first `skip` ones.
fn decode<T: DataType>(
    mut column: ColumnReaderImpl<T>,
    skip: usize,
    rows: usize,
) -> Result<Optional<T::T>>
where
    T::T: Value,
{
    let skipped = column
        .skip_records(skip)
        .map_err(parquet_error("skipping rows"))?;
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let mut read = 0;
    while skipped == skip && read < rows {
        let (records, _, _) = column
            .read_records(rows - read, Some(&mut levels), None, &mut values)
            .map_err(parquet_error("decoding a column"))?;
        if records == 0 {
            break;
        }
        read += records;
    }
    if read != rows {
        return Err(Error::data(
            "segment_rows",
            "a column has fewer rows than the index says",
        ));
    }
    // A required column has no levels: every cell is there.
    let present = if levels.is_empty() {
        vec![true; rows]
    } else {
        levels.into_iter().map(|level| level == 1).collect()
    };
    Ok(Optional::new(values, present))
}
