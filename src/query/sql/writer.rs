//! Tables as bytes, batch by batch: CSV, an Arrow stream, a Parquet file.
//!
//! Called for answers that fit into memory (`output`) and for exports that need not (`export`). What a
//! batch adds is taken at once, so that no more than a row group is held.

use super::failure;
use super::output::{Cells, print_options};
use crate::error::{Error, Result};
use datafusion::arrow::array::{Array as _, ArrayRef, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::ArrayFormatter;
use datafusion::common::DataFusionError;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use std::sync::Arc;

/// Rows of a row group: 150 columns of 16,384 rows are some 20 MiB before they are compressed.
const ROW_GROUP_ROWS: usize = 16_384;

/// Writes one table.
pub(super) enum TableWriter {
    Csv(Option<SchemaRef>),
    Arrow(SchemaRef, Box<arrow_ipc::writer::StreamWriter<Vec<u8>>>),
    Parquet(SchemaRef, Box<ArrowWriter<Vec<u8>>>),
}

/// A form that can be written batch by batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// RFC 4180 with a header.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
    /// One Parquet file, in encodings that every engine reads.
    Parquet,
}

pub(super) fn failed(error: ArrowError) -> Error {
    failure::of(DataFusionError::ArrowError(Box::new(error), None))
}

fn broken(error: ParquetError) -> Error {
    Error::internal("a table could not be written as Parquet").with_source(error)
}

fn broken_csv(error: csv::Error) -> Error {
    Error::internal("a table could not be written as CSV").with_source(error)
}

impl TableWriter {
    /// # Errors
    /// `Internal` if a writer fails (a bug: it writes to memory).
    pub(super) fn new(format: TableFormat, schema: &SchemaRef) -> Result<Self> {
        match format {
            TableFormat::Csv => Ok(Self::Csv(Some(Arc::clone(schema)))),
            TableFormat::Arrow => {
                let schema = outward(schema);
                let writer = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &schema);
                Ok(Self::Arrow(schema, Box::new(writer.map_err(failed)?)))
            }
            TableFormat::Parquet => {
                let schema = outward(schema);
                let options = ArrowWriterOptions::new()
                    .with_properties(compatible(&schema))
                    .with_skip_arrow_metadata(true);
                let own = Arc::clone(&schema);
                let writer = ArrowWriter::try_new_with_options(Vec::new(), own, options);
                Ok(Self::Parquet(schema, Box::new(writer.map_err(broken)?)))
            }
        }
    }

    /// Adds a batch; gives the bytes that are ready.
    ///
    /// # Errors
    /// As [`TableWriter::new`].
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        match self {
            Self::Csv(header) => csv_rows(header.take(), batch),
            Self::Arrow(schema, writer) => {
                let batch = outward_batch(schema, batch)?;
                writer.write(&batch).map_err(failed)?;
                Ok(std::mem::take(writer.get_mut()))
            }
            Self::Parquet(schema, writer) => {
                let batch = outward_batch(schema, batch)?;
                writer.write(&batch).map_err(broken)?;
                Ok(std::mem::take(writer.inner_mut()))
            }
        }
    }

    /// Ends the table; gives its last bytes.
    ///
    /// # Errors
    /// As [`TableWriter::new`].
    pub(super) fn finish(self) -> Result<Vec<u8>> {
        match self {
            Self::Csv(None) => Ok(Vec::new()),
            Self::Csv(Some(schema)) => {
                csv_rows(Some(Arc::clone(&schema)), &RecordBatch::new_empty(schema))
            }
            Self::Arrow(_, writer) => writer.into_inner().map_err(failed),
            Self::Parquet(_, writer) => writer.into_inner().map_err(broken),
        }
    }
}

fn csv_rows(header: Option<SchemaRef>, batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    if let Some(schema) = header {
        let names = schema.fields().iter().map(|field| field.name());
        writer.write_record(names).map_err(broken_csv)?;
    }
    let options = print_options();
    let mut columns = Vec::new();
    for column in batch.columns() {
        let nested = column.data_type().is_nested();
        let printed = ArrayFormatter::try_new(column, &options).map_err(failed)?;
        columns.push((Cells::new(column, &options)?, printed, column, nested));
    }
    for row in 0..batch.num_rows() {
        let record = columns.iter().map(|(cells, printed, column, nested)| {
            if column.is_null(row) {
                return String::new();
            }
            if !nested {
                return printed.value(row).to_string();
            }
            let mut text = String::new();
            cells.write(row, &mut text);
            text
        });
        writer.write_record(record).map_err(broken_csv)?;
    }
    let bytes = writer.into_inner();
    bytes.map_err(|error| Error::internal(format!("CSV: {error}")))
}

/// The schema that readers get: text is Utf8, whatever it is inside.
fn outward(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let kind = match field.data_type() {
            DataType::Utf8View | DataType::Dictionary(_, _) => DataType::Utf8,
            other => other.clone(),
        };
        Field::new(field.name(), kind, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn outward_batch(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let pairs = batch.columns().iter().zip(schema.fields());
    let columns = pairs.map(
        |(column, field)| match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => cast(column, field.data_type()),
        },
    );
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>().map_err(failed)?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(failed)
}

/// zstd, and differences for whole numbers: smaller than plain, and read by every engine, unlike
/// BYTE_STREAM_SPLIT of integers.
fn compatible(schema: &SchemaRef) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
    for field in schema.fields() {
        let is_whole = match field.data_type() {
            DataType::Int32 | DataType::Int64 | DataType::Date32 | DataType::Timestamp(_, _) => {
                true
            }
            DataType::Decimal128(precision, _) => *precision <= 18,
            _ => false,
        };
        if is_whole {
            let path = ColumnPath::from(field.name().as_str());
            builder = builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    builder.build()
}
