//! A profile as a Parquet file of its own, for every reader: plain and dictionary encodings, zstd.
//!
//! The archive's own files are the business of `segment`; they are written for scans and are sparing
//! with bytes. This one is small, self-describing, and carries the table's metadata in its footer.

use super::arrow::{batches, metadata, schema};
use crate::error::{Error, Result};
use crate::query::table::ProfileTable;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::sync::Arc;

/// The table as a Parquet file.
///
/// # Errors
/// `Internal` if a cell does not fit its type or the writer fails (a bug).
pub fn to_parquet(table: &ProfileTable) -> Result<Vec<u8>> {
    let metadata = metadata(table)?.into_iter();
    let pairs = metadata.map(|(key, value)| KeyValue::new(key, value));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(pairs.collect()))
        .build();
    // The Arrow schema would only repeat the Parquet one; without it decimals are what every reader
    // makes of DECIMAL on INT32 and INT64.
    let options = ArrowWriterOptions::new()
        .with_properties(properties)
        .with_skip_arrow_metadata(true);
    let schema = schema(table);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&schema), options)
        .map_err(failed)?;
    for batch in batches(table, &schema) {
        writer.write(&batch?).map_err(failed)?;
    }
    writer.into_inner().map_err(failed)
}

fn failed(error: ParquetError) -> Error {
    Error::internal("a profile could not be written as Parquet").with_source(error)
}
