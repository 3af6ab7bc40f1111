//! Column chunks of a samples file: pages of 8,192 rows, their statistics and their place.
//!
//! Called by the samples writer. The Parquet library writes page headers, indexes and the footer; the
//! pages' contents are ours ([`super::encode`]). Its own column writer makes a compressor per page,
//! looks at keys row by row, and lays times out badly for zstd (docs/adr/0014).
//! Same input gives the same bytes (AR-9).

use super::compress::{PageCompressor, planes};
use super::encode;
use super::parquet_error;
use super::properties::{SAMPLES_PAGE_ROWS, ValueEncoding};
use super::value::Value;
use crate::error::{Error, Result};
use crate::num;
use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, PageType, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter as _};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use std::collections::HashMap;
use std::ops::Range;

/// A row group in the making.
pub(super) type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

/// The cells of a column of one row group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cells<'a, T> {
    /// Those that are there.
    pub(super) values: &'a [T],
    /// Which rows have one; none for a column without nulls.
    pub(super) present: Option<&'a [bool]>,
}

impl<T> Cells<'_, T> {
    fn rows(&self) -> usize {
        self.present.map_or(self.values.len(), <[bool]>::len)
    }
}

/// Writes column chunks with one compressor for all of them.
#[derive(Debug)]
pub(super) struct ChunkWriter {
    compressor: PageCompressor,
    level: ZstdLevel,
    /// Values of the page in the making, before compression.
    plain: Vec<u8>,
    /// The page: its levels, and its values behind compression.
    content: Vec<u8>,
    /// Memory for the pages of a chunk.
    chunk: Vec<u8>,
}

impl ChunkWriter {
    /// A writer that compresses with zstd of this level (1 to 22).
    ///
    /// # Errors
    /// `Data` if there is no such level, or no memory for it.
    pub(super) fn new(level: i32) -> Result<Self> {
        Ok(Self {
            compressor: PageCompressor::new(level)?,
            level: ZstdLevel::try_new(level).map_err(parquet_error("starting to compress"))?,
            plain: Vec::new(),
            content: Vec::new(),
            chunk: Vec::new(),
        })
    }

    /// Writes the next column of a row group as a value column.
    ///
    /// # Errors
    /// `Data` if the Parquet library fails.
    pub(super) fn values<T: Value>(
        &mut self,
        group: &mut Group<'_>,
        column: &ColumnDescPtr,
        cells: Cells<'_, T>,
        encoding: ValueEncoding,
    ) -> Result<()> {
        let encode = match encoding {
            ValueEncoding::Native => encode::byte_stream_split::<T>,
            ValueEncoding::Compatible => encode::delta::<T>,
        };
        let mut chunk = Chunk::new(self, column, encoding.parquet());
        chunk.pages(cells, |values, _, out| encode(values, out))?;
        chunk.append_to(group)
    }

    /// Writes the next column of a row group as times. `jobs` names the job of each row.
    ///
    /// # Errors
    /// As [`ChunkWriter::values`].
    pub(super) fn times(
        &mut self,
        group: &mut Group<'_>,
        column: &ColumnDescPtr,
        ts: &[i64],
        jobs: &[i64],
    ) -> Result<()> {
        let cells = Cells {
            values: ts,
            present: None,
        };
        let mut chunk = Chunk::new(self, column, Encoding::DELTA_BINARY_PACKED);
        chunk.pages(cells, |values, rows, out| {
            encode::times(values, jobs.get(rows).unwrap_or_default(), out);
        })?;
        chunk.append_to(group)
    }

    /// Writes the next column of a row group as keys, which repeat for all rows of a job.
    ///
    /// # Errors
    /// As [`ChunkWriter::values`].
    pub(super) fn keys<T: Value>(
        &mut self,
        group: &mut Group<'_>,
        column: &ColumnDescPtr,
        cells: Cells<'_, T>,
    ) -> Result<()> {
        let mut dictionary = Vec::new();
        let mut known = HashMap::new();
        let mut indices = Vec::with_capacity(cells.values.len());
        for run in cells.values.chunk_by(|a, b| a == b) {
            let Some(key) = run.first() else { continue };
            let index = *known.entry(*key).or_insert_with(|| {
                dictionary.push(*key);
                dictionary.len() - 1
            });
            let index = u32::try_from(index).map_err(|_| too_large())?;
            indices.resize(indices.len() + run.len(), index);
        }
        let mut chunk = Chunk::new(self, column, Encoding::RLE_DICTIONARY);
        chunk.dictionary(&dictionary)?;
        let mut done = 0;
        chunk.pages(cells, |values, _, out| {
            let own = indices.get(done..done + values.len()).unwrap_or_default();
            encode::indices(own, dictionary.len(), out);
            done += values.len();
        })?;
        chunk.append_to(group)
    }
}

fn too_large() -> Error {
    Error::internal("a page of a samples file outgrew the format")
}

/// What the pages of a chunk have in common so far.
struct Chunk<'w, T> {
    writer: &'w mut ChunkWriter,
    column: ColumnDescPtr,
    encoding: Encoding,
    sink: TrackedWrite<Vec<u8>>,
    pages: Vec<PageEncodingStats>,
    uncompressed: usize,
    first_data_page: Option<u64>,
    rows: usize,
    nulls: usize,
    range: Option<(T, T)>,
    order: Order<T>,
    column_index: ColumnIndexBuilder,
    offset_index: OffsetIndexBuilder,
}

/// Whether the pages' smallest and largest values rise or fall from page to page.
#[derive(Debug, Clone, Copy)]
struct Order<T> {
    last: Option<(T, T)>,
    ascending: bool,
    descending: bool,
}

impl<T: Value> Order<T> {
    fn add(&mut self, (min, max): (T, T)) {
        if let Some((last_min, last_max)) = self.last.replace((min, max)) {
            self.ascending &= last_min <= min && last_max <= max;
            self.descending &= last_min >= min && last_max >= max;
        }
    }

    fn parquet(self) -> BoundaryOrder {
        match (self.ascending, self.descending) {
            (true, _) => BoundaryOrder::ASCENDING,
            (false, true) => BoundaryOrder::DESCENDING,
            (false, false) => BoundaryOrder::UNORDERED,
        }
    }
}

impl<'w, T: Value> Chunk<'w, T> {
    fn new(writer: &'w mut ChunkWriter, column: &ColumnDescPtr, encoding: Encoding) -> Self {
        let mut sink = std::mem::take(&mut writer.chunk);
        sink.clear();
        Self {
            writer,
            column: ColumnDescPtr::clone(column),
            encoding,
            sink: TrackedWrite::new(sink),
            pages: Vec::new(),
            uncompressed: 0,
            first_data_page: None,
            rows: 0,
            nulls: 0,
            range: None,
            order: Order {
                last: None,
                ascending: true,
                descending: true,
            },
            column_index: ColumnIndexBuilder::new(T::PHYSICAL),
            offset_index: OffsetIndexBuilder::new(),
        }
    }

    fn dictionary(&mut self, entries: &[T]) -> Result<()> {
        let count = u32::try_from(entries.len()).map_err(|_| too_large())?;
        let mut plain = Vec::new();
        for entry in entries {
            entry.append_plain(&mut plain);
        }
        let mut content = std::mem::take(&mut self.writer.content);
        content.clear();
        self.writer.compressor.compress(&plain, 1, &mut content)?;
        let page = |buf| Page::DictionaryPage {
            buf,
            num_values: count,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let (kind, encoding) = (PageType::DICTIONARY_PAGE, Encoding::PLAIN);
        self.write(content, page, plain.len(), kind, encoding)?;
        Ok(())
    }

    /// Writes all data pages; `encode` appends the content of one, given its values and its rows.
    fn pages(
        &mut self,
        cells: Cells<'_, T>,
        mut encode: impl FnMut(&[T], Range<usize>, &mut Vec<u8>),
    ) -> Result<()> {
        let mut values = cells.values;
        for first in (0..cells.rows()).step_by(SAMPLES_PAGE_ROWS) {
            let rows = first..cells.rows().min(first + SAMPLES_PAGE_ROWS);
            let present = cells.present.and_then(|present| present.get(rows.clone()));
            let there = present.map_or(rows.len(), |present| {
                present.iter().filter(|present| **present).count()
            });
            let (own, rest) = values
                .split_at_checked(there)
                .ok_or_else(|| Error::internal("a column has fewer values than rows"))?;
            values = rest;
            let mut content = std::mem::take(&mut self.writer.content);
            content.clear();
            if let Some(present) = present {
                encode::levels(present, there, &mut content);
            }
            let mut plain = std::mem::take(&mut self.writer.plain);
            plain.clear();
            encode(own, rows.clone(), &mut plain);
            self.data_page(own, rows.len(), content, &plain)?;
            self.writer.plain = plain;
        }
        Ok(())
    }

    /// Writes a page of these values; `content` holds its levels.
    fn data_page(
        &mut self,
        values: &[T],
        rows: usize,
        mut content: Vec<u8>,
        plain: &[u8],
    ) -> Result<()> {
        let size = |len: usize| u32::try_from(len).map_err(|_| too_large());
        let levels_len = content.len();
        let planes = planes(self.encoding, T::PHYSICAL);
        self.writer
            .compressor
            .compress(plain, planes, &mut content)?;
        let is_compressed = content.len() - levels_len < plain.len();
        if !is_compressed {
            content.truncate(levels_len);
            content.extend_from_slice(plain);
        }
        let nulls = rows - values.len();
        let encoding = self.encoding;
        let (all, none, levels) = (size(rows)?, size(nulls)?, size(levels_len)?);
        let page = |buf| Page::DataPageV2 {
            buf,
            num_values: all,
            encoding,
            num_nulls: none,
            num_rows: all,
            def_levels_byte_len: levels,
            rep_levels_byte_len: 0,
            is_compressed,
            statistics: None,
        };
        let plain_len = levels_len + plain.len();
        let place = self.write(content, page, plain_len, PageType::DATA_PAGE_V2, encoding)?;
        self.first_data_page.get_or_insert(place.offset);
        self.offset_index.append_row_count(num::len_i64(rows));
        let len = i32::try_from(place.bytes_written).map_err(|_| too_large())?;
        let offset = i64::try_from(place.offset).map_err(|_| too_large())?;
        self.offset_index.append_offset_and_size(offset, len);
        self.describe(values, nulls);
        self.rows += rows;
        self.nulls += nulls;
        Ok(())
    }

    /// Statistics of a page.
    fn describe(&mut self, values: &[T], nulls: usize) {
        let plain = |value: T| {
            let mut bytes = Vec::new();
            value.append_plain(&mut bytes);
            bytes
        };
        let nulls = num::len_i64(nulls);
        let Some(first) = values.first() else {
            self.column_index
                .append(true, Vec::new(), Vec::new(), nulls);
            return;
        };
        let wider = |(min, max): (T, T), value: &T| (min.min(*value), max.max(*value));
        let range = values.iter().fold((*first, *first), wider);
        let (min, max) = range;
        self.column_index
            .append(false, plain(min), plain(max), nulls);
        self.order.add(range);
        let (low, high) = self.range.unwrap_or(range);
        self.range = Some((low.min(min), high.max(max)));
    }

    /// Writes a page of this content, whose memory serves the next one: one of its own for each would have
    /// to be handed out and cleared by the system.
    fn write(
        &mut self,
        content: Vec<u8>,
        page: impl FnOnce(Bytes) -> Page,
        uncompressed: usize,
        page_type: PageType,
        encoding: Encoding,
    ) -> Result<PageWriteSpec> {
        let content = Bytes::from(content);
        let page = CompressedPage::new(page(Bytes::clone(&content)), uncompressed);
        let place = SerializedPageWriter::new(&mut self.sink)
            .write_page(page)
            .map_err(parquet_error("writing a page"))?;
        // The page is gone, so that this is no copy.
        self.writer.content = content.into();
        self.uncompressed += place.uncompressed_size;
        match self.pages.last_mut() {
            Some(last) if last.page_type == page_type => last.count += 1,
            _ => self.pages.push(PageEncodingStats {
                page_type,
                encoding,
                count: 1,
            }),
        }
        Ok(place)
    }

    /// Puts the chunk behind what the group has.
    fn append_to(mut self, group: &mut Group<'_>) -> Result<()> {
        let closing = parquet_error("closing a column");
        let bytes = self
            .sink
            .into_inner()
            .map_err(parquet_error("writing a column"))?;
        let offset = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
        let has_dictionary = self.encoding == Encoding::RLE_DICTIONARY;
        let mut encodings = vec![Encoding::RLE, self.encoding];
        if has_dictionary {
            encodings.push(Encoding::PLAIN);
        }
        let metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(Compression::ZSTD(self.writer.level))
            .set_encodings(encodings)
            .set_page_encoding_stats(self.pages)
            .set_total_compressed_size(num::len_i64(bytes.len()))
            .set_total_uncompressed_size(num::len_i64(self.uncompressed))
            .set_num_values(num::len_i64(self.rows))
            .set_data_page_offset(offset(self.first_data_page.unwrap_or(0)))
            .set_dictionary_page_offset(has_dictionary.then_some(0))
            .set_statistics(T::statistics(self.range, num::len_u64(self.nulls)))
            .build()
            .map_err(parquet_error("closing a column"))?;
        self.column_index.set_boundary_order(self.order.parquet());
        let column_index = self.column_index.build().map_err(closing)?;
        let close = ColumnCloseResult {
            bytes_written: num::len_u64(bytes.len()),
            rows_written: num::len_u64(self.rows),
            metadata,
            bloom_filter: None,
            column_index: Some(column_index),
            offset_index: Some(self.offset_index.build()),
        };
        let bytes = Bytes::from(bytes);
        group
            .append_column(&bytes, close)
            .map_err(parquet_error("appending a column"))?;
        // Nobody else holds it: no copy.
        self.writer.chunk = bytes.into();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
