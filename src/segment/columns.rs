//! One column of one row group of a samples file, decoded into its physical type.
//!
//! Called by whoever reads a job, copies jobs, or sums up a file.

use super::cells::{Buffer, Optional, unexpected_type};
use super::footer::Chunk;
use super::pages::{Pages, SharedDecompressor};
use super::value::Value;
use super::{VerifiedFile, parquet_error, samples_schema};
use crate::error::{Error, Result};
use crate::num;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::DataType;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::schema::types::ColumnDescPtr;
use std::ops::Range;
use std::sync::Arc;

/// A column of a row group.
pub(super) struct ColumnChunk<'a> {
    file: &'a VerifiedFile,
    chunk: &'a Chunk,
    described: ColumnDescPtr,
    /// Where its data pages lie, in order.
    locations: Arc<[PageLocation]>,
    rows: usize,
}

impl<'a> ColumnChunk<'a> {
    /// The column at `position` of row group `group`.
    ///
    /// # Errors
    /// `Data` if the file has no such column or no index of its pages.
    pub(super) fn new(file: &'a VerifiedFile, group: usize, position: usize) -> Result<Self> {
        let missing = || Error::data("segment_schema", "a samples file lacks a row group");
        let chunk = file.chunk(group, position)?;
        let schema = samples_schema::described()?;
        let described = schema.columns().get(position);
        let described = described.filter(|own| own.physical_type() == chunk.kind);
        Ok(Self {
            file,
            chunk,
            described: described.cloned().ok_or_else(unexpected_type)?,
            locations: file.page_locations(group, position)?,
            rows: file.group_rows(group).ok_or_else(missing)?,
        })
    }

    /// Whether no row of it has a value.
    pub(super) fn is_empty(&self) -> bool {
        self.chunk.is_all_null()
    }

    /// Rows in the group.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The rows of the page that holds `row`.
    pub(super) fn page_of(&self, row: usize) -> Range<usize> {
        let first = |page: &PageLocation| num::to_usize(page.first_row_index.unsigned_abs());
        let behind = self.locations.partition_point(|page| first(page) <= row);
        let start = self
            .locations
            .get(behind.saturating_sub(1))
            .map_or(0, first);
        let end = self.locations.get(behind).map_or(self.rows, first);
        start..end
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
        let (pages, skip) = Pages::new(&self.file.store, &self.locations, rows, decompressor);
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
