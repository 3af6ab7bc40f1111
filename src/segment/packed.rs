//! Parquet files out of Arrow batches, with pages compressed as ours.
//!
//! Called by the jobs writer. The Parquet library takes the columns apart and lays out the pages of a
//! row group, without compression; here each page is compressed by [`PageCompressor`] and put into the
//! file. The library's own way is a compressor per column chunk and a single block per page, which is
//! 5 % larger for a jobs file (docs/adr/0031).
//!
//! Holds one row group plain: 65,536 job rows are about 85 MiB.

use super::compress::{PageCompressor, planes};
use super::parquet_error;
use super::properties::ROW_GROUP_ROWS;
use crate::error::{Error, Result};
use crate::num;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, Type as Physical, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter as _};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{
    ColumnChunkMetaData, KeyValue, OffsetIndexBuilder, PageIndexPolicy, ParquetMetaData,
    ParquetMetaDataReader,
};
use parquet::file::properties::WriterProperties;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use std::fmt;
use std::sync::Arc;

/// A file in the making, in memory. The same batches give the same bytes.
pub(super) struct PackedWriter {
    schema: SchemaRef,
    plain: WriterProperties,
    file: SerializedFileWriter<Vec<u8>>,
    /// The row group in the making.
    group: Option<ArrowWriter<Vec<u8>>>,
    group_rows: usize,
    packer: Packer,
}

impl fmt::Debug for PackedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackedWriter")
            .field("group_rows", &self.group_rows)
            .finish_non_exhaustive()
    }
}

impl PackedWriter {
    /// An empty file with these properties, whose compression does not count: it is zstd of `level`.
    /// About `bytes` will be written.
    ///
    /// # Errors
    /// `Data` if there is no such level, or if the Parquet library does not take the schema.
    pub(super) fn new(
        schema: SchemaRef,
        properties: WriterProperties,
        level: i32,
        bytes: usize,
    ) -> Result<Self> {
        let starting = || parquet_error("starting a file");
        let parquet = ArrowSchemaConverter::new().convert(&schema);
        let root = parquet.map_err(starting())?.root_schema_ptr();
        let sink = Vec::with_capacity(bytes);
        let plain = properties.clone().into_builder();
        Ok(Self {
            schema,
            plain: plain.set_compression(Compression::UNCOMPRESSED).build(),
            file: SerializedFileWriter::new(sink, root, Arc::new(properties)).map_err(starting())?,
            group: None,
            group_rows: 0,
            packer: Packer {
                compressor: PageCompressor::new(level)?,
                compression: Compression::ZSTD(ZstdLevel::try_new(level).map_err(starting())?),
            },
        })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// `Data` if the Parquet library fails.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            let len = (batch.num_rows() - start).min(ROW_GROUP_ROWS - self.group_rows);
            let group = match &mut self.group {
                Some(group) => group,
                None => {
                    let options = ArrowWriterOptions::new()
                        .with_properties(self.plain.clone())
                        .with_skip_arrow_metadata(true);
                    let schema = SchemaRef::clone(&self.schema);
                    let group = ArrowWriter::try_new_with_options(Vec::new(), schema, options);
                    self.group
                        .insert(group.map_err(parquet_error("starting a row group"))?)
                }
            };
            group
                .write(&batch.slice(start, len))
                .map_err(parquet_error("writing rows"))?;
            start += len;
            self.group_rows += len;
            if self.group_rows == ROW_GROUP_ROWS {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<()> {
        let Some(group) = self.group.take() else {
            return Ok(());
        };
        self.group_rows = 0;
        let plain = group
            .into_inner()
            .map_err(parquet_error("closing a row group"))?;
        let plain = Bytes::from(plain);
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Required)
            .parse_and_finish(&plain)
            .map_err(parquet_error("reading a row group"))?;
        self.packer.append(&plain, &metadata, &mut self.file)
    }

    /// Ends the file, with these entries in its footer: its bytes and what its footer says.
    ///
    /// # Errors
    /// `Data` if the Parquet library fails.
    pub(super) fn finish(
        mut self,
        entries: impl IntoIterator<Item = KeyValue>,
    ) -> Result<(Vec<u8>, ParquetMetaData)> {
        self.end_group()?;
        for entry in entries {
            self.file.append_key_value_metadata(entry);
        }
        let metadata = self
            .file
            .finish()
            .map_err(parquet_error("closing a file"))?;
        Ok((std::mem::take(self.file.inner_mut()), metadata))
    }
}

/// Compresses column chunks.
#[derive(Debug)]
struct Packer {
    compressor: PageCompressor,
    compression: Compression,
}

impl Packer {
    /// Appends the row groups of a file that is not compressed.
    fn append(
        &mut self,
        plain: &Bytes,
        metadata: &ParquetMetaData,
        file: &mut SerializedFileWriter<Vec<u8>>,
    ) -> Result<()> {
        let odd = || Error::internal("a row group in the making lacks its page index");
        let columns = metadata.column_index().ok_or_else(odd)?;
        let offsets = metadata.offset_index().ok_or_else(odd)?;
        let groups = metadata.row_groups().iter().zip(columns).zip(offsets);
        for ((group, columns), offsets) in groups {
            let mut packed = file
                .next_row_group()
                .map_err(parquet_error("starting a row group"))?;
            let chunks = group.columns().iter().zip(columns).zip(offsets);
            for ((chunk, column_index), offset_index) in chunks {
                let texts = offset_index.unencoded_byte_array_data_bytes().cloned();
                let (bytes, mut close) =
                    self.chunk(plain, chunk, group.num_rows(), texts.unwrap_or_default())?;
                close.column_index = Some(column_index.clone());
                packed
                    .append_column(&bytes, close)
                    .map_err(parquet_error("appending a column"))?;
            }
            packed
                .close()
                .map_err(parquet_error("closing a row group"))?;
        }
        Ok(())
    }

    /// A column chunk, compressed; `texts` are the lengths of each page's texts, if it holds texts.
    fn chunk(
        &mut self,
        plain: &Bytes,
        chunk: &ColumnChunkMetaData,
        rows: i64,
        texts: Vec<i64>,
    ) -> Result<(Bytes, ColumnCloseResult)> {
        let reading = || parquet_error("reading a column of a row group");
        let source = Arc::new(Bytes::clone(plain));
        let pages =
            SerializedPageReader::new(source, chunk, num::to_usize(rows.unsigned_abs()), None);
        let mut sink = TrackedWrite::new(Vec::new());
        let mut offset_index = OffsetIndexBuilder::new();
        let (mut uncompressed, mut first_data_page) = (0, None);
        let mut texts = texts.into_iter();
        for page in pages.map_err(reading())? {
            let page = page.map_err(reading())?;
            let plain_len = page.buffer().len();
            let data_rows = match &page {
                Page::DataPageV2 { num_rows, .. } => Some(i64::from(*num_rows)),
                _ => None,
            };
            let page = CompressedPage::new(self.page(page, chunk.column_type())?, plain_len);
            let place = SerializedPageWriter::new(&mut sink)
                .write_page(page)
                .map_err(parquet_error("writing a page"))?;
            uncompressed += place.uncompressed_size;
            let Some(data_rows) = data_rows else { continue };
            let offset = offset_of(place.offset)?;
            first_data_page.get_or_insert(offset);
            let len = i32::try_from(place.bytes_written).map_err(|_| too_large())?;
            offset_index.append_row_count(data_rows);
            offset_index.append_offset_and_size(offset, len);
            offset_index.append_unencoded_byte_array_data_bytes(texts.next());
        }
        let bytes = Bytes::from(
            sink.into_inner()
                .map_err(parquet_error("writing a column"))?,
        );
        let metadata = chunk
            .clone()
            .into_builder()
            .set_compression(self.compression)
            .set_total_compressed_size(num::len_i64(bytes.len()))
            .set_total_uncompressed_size(num::len_i64(uncompressed))
            .set_data_page_offset(first_data_page.unwrap_or_default())
            .set_dictionary_page_offset(chunk.dictionary_page_offset().map(|_| 0))
            .build()
            .map_err(parquet_error("closing a column"))?;
        let close = ColumnCloseResult {
            bytes_written: num::len_u64(bytes.len()),
            rows_written: rows.unsigned_abs(),
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(offset_index.build()),
        };
        Ok((bytes, close))
    }

    /// A page whose content is compressed: that of a dictionary whole, that of a data page behind its
    /// levels and only if that makes it smaller.
    fn page(&mut self, mut page: Page, physical: Physical) -> Result<Page> {
        match &mut page {
            Page::DictionaryPage { buf, .. } => {
                let mut content = Vec::new();
                self.compressor.compress(buf, 1, &mut content)?;
                *buf = Bytes::from(content);
            }
            Page::DataPageV2 {
                buf,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                ..
            } => {
                let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
                let levels = num::to_usize(levels).min(buf.len());
                let (levels, values) = buf.split_at(levels);
                let mut content = levels.to_vec();
                let planes = planes(*encoding, physical);
                self.compressor.compress(values, planes, &mut content)?;
                *is_compressed = content.len() < buf.len();
                if *is_compressed {
                    *buf = Bytes::from(content);
                }
            }
            Page::DataPage { .. } => {
                return Err(Error::internal("a page of an old kind was written"));
            }
        }
        Ok(page)
    }
}

fn offset_of(offset: u64) -> Result<i64> {
    i64::try_from(offset).map_err(|_| too_large())
}

fn too_large() -> Error {
    Error::internal("a column chunk outgrew the format")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::archived::SummarisedRow;
    use crate::segment::jobs;
    use crate::testkit::jobs::archived_job;
    use parquet::arrow::arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
        RowSelector,
    };
    use parquet::basic::Encoding;
    use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

    /// Pages of few rows, so that a chunk has several.
    const PAGE_ROWS: usize = 50;

    fn batch(rows: u64) -> RecordBatch {
        let rows: Vec<SummarisedRow> = (0..rows)
            .map(|seed| {
                let job = archived_job(seed, 7, usize::try_from(seed % 9).unwrap());
                SummarisedRow::compute(job.row, &job.profile)
            })
            .collect();
        jobs::batch_of(&rows).unwrap()
    }

    fn properties(level: i32) -> WriterProperties {
        WriterProperties::builder()
            .set_writer_version(parquet::file::properties::WriterVersion::PARQUET_2_0)
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(level).unwrap()))
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::BYTE_STREAM_SPLIT)
            .set_column_encoding("name".into(), Encoding::PLAIN)
            .set_column_dictionary_enabled("name".into(), true)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_write_batch_size(PAGE_ROWS)
            .build()
    }

    /// The columns of a batch that BYTE_STREAM_SPLIT takes, a list of structs among them, and one text.
    fn columns(batch: &RecordBatch) -> RecordBatch {
        let wanted = [
            "job",
            "name",
            "started_at",
            "memory_used_bytes_max",
            "verdict",
        ];
        let schema = batch.schema();
        let positions: Vec<usize> = wanted
            .iter()
            .map(|name| schema.index_of(name).unwrap())
            .filter(|position| {
                let name = schema.field(*position).name();
                name == "name" || !schema.field(*position).data_type().is_string()
            })
            .chain([schema.index_of("resets").unwrap()])
            .collect();
        batch.project(&positions).unwrap()
    }

    fn packed(batches: &[RecordBatch], level: i32) -> Bytes {
        let schema = batches[0].schema();
        let mut writer = PackedWriter::new(schema, properties(level), level, 0).unwrap();
        for batch in batches {
            writer.write(batch).unwrap();
        }
        let entry = KeyValue::new("key".to_owned(), "value".to_owned());
        Bytes::from(writer.finish([entry]).unwrap().0)
    }

    fn metadata(file: &Bytes) -> ParquetMetaData {
        ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Required)
            .parse_and_finish(file)
            .unwrap()
    }

    fn rows(file: &Bytes, selection: Option<RowSelection>) -> Vec<RecordBatch> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let metadata = ArrowReaderMetadata::load(file, options).unwrap();
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let batches = builder.with_batch_size(100_000).build().unwrap();
        batches.map(|batch| batch.unwrap()).collect()
    }

    #[test]
    fn it_says_and_holds_what_the_library_would_write_in_other_bytes() {
        let batch = columns(&batch(330));
        let own = packed(std::slice::from_ref(&batch), 3);
        let mut library =
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties(3))).unwrap();
        library.write(&batch).unwrap();
        let library = Bytes::from(library.into_inner().unwrap());
        assert_eq!(rows(&own, None), rows(&library, None));
        assert!(own.len() < library.len());
        let (own, library) = (metadata(&own), metadata(&library));
        assert_eq!(own.column_index(), library.column_index());
        assert_eq!(own.num_row_groups(), 1);
        let entries = own.file_metadata().key_value_metadata().unwrap();
        assert!(entries.iter().any(|entry| entry.key == "key"));
        let chunks = |file: &ParquetMetaData| -> Vec<ColumnChunkMetaData> {
            let groups = file.row_groups().iter();
            groups
                .flat_map(RowGroupMetaData::columns)
                .cloned()
                .collect()
        };
        for (own, library) in chunks(&own).iter().zip(chunks(&library)) {
            assert_eq!(own.statistics(), library.statistics());
            assert_eq!(own.compression(), library.compression());
            assert_eq!(own.num_values(), library.num_values());
            let encodings = |chunk: &ColumnChunkMetaData| chunk.encodings().collect::<Vec<_>>();
            assert_eq!(encodings(own), encodings(&library));
        }
        let first_rows = |file: &ParquetMetaData| -> Vec<Vec<i64>> {
            let leaves = file.offset_index().unwrap().iter().flatten();
            let pages = leaves.map(|leaf| leaf.page_locations().iter());
            pages
                .map(|pages| pages.map(|page| page.first_row_index).collect())
                .collect()
        };
        assert_eq!(first_rows(&own), first_rows(&library));
        assert!(first_rows(&own).iter().all(|pages| pages.len() > 5));
    }

    #[test]
    fn pages_are_found_by_their_rows_and_batches_of_whole_pages_do_not_show() {
        let batch = columns(&batch(330));
        let whole = packed(std::slice::from_ref(&batch), 9);
        let parts = [(0, 50), (50, 200), (250, 80)].map(|(start, len)| batch.slice(start, len));
        assert!(whole == packed(&parts, 9));
        let selection = vec![
            RowSelector::skip(149),
            RowSelector::select(3),
            RowSelector::skip(100),
            RowSelector::select(1),
        ];
        let found = rows(&whole, Some(RowSelection::from(selection)));
        let expected = [batch.slice(149, 3), batch.slice(252, 1)];
        let expected =
            arrow_select::concat::concat_batches(&batch.schema(), expected.iter()).unwrap();
        assert_eq!(found, [expected]);
    }
}
