//! An answer as bytes: JSON, CSV, an Arrow stream, a Parquet file.
//!
//! Numbers are exact in every one of them. Text is Utf8 for readers, whatever it is inside.

use super::writer::{TableFormat, TableWriter, failed};
use crate::error::Result;
use datafusion::arrow::array::{Array, AsArray as _, ListArray, RecordBatch, StructArray};
use datafusion::arrow::datatypes::{DataType, Float64Type, SchemaRef};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// A form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnswerFormat {
    /// `{"columns": [{"name", "type"}], "rows": [[..]]}`.
    #[default]
    Json,
    /// RFC 4180 with a header.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
    /// One Parquet file.
    Parquet,
}

impl AnswerFormat {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Json, Self::Csv, Self::Arrow, Self::Parquet];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|own| own.name() == name)
    }

    /// An answer in this form.
    ///
    /// # Errors
    /// `Internal` if a writer fails (a bug: it writes to memory).
    pub fn encode(self, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>> {
        match self {
            Self::Json => json(schema, batches),
            Self::Csv => table(TableFormat::Csv, schema, batches),
            Self::Arrow => table(TableFormat::Arrow, schema, batches),
            Self::Parquet => table(TableFormat::Parquet, schema, batches),
        }
    }
}

fn table(format: TableFormat, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let mut writer = TableWriter::new(format, schema)?;
    let mut bytes = Vec::new();
    for batch in batches {
        bytes.append(&mut writer.write(batch)?);
    }
    bytes.append(&mut writer.finish()?);
    Ok(bytes)
}

/// How single cells are printed.
pub(super) fn print_options() -> FormatOptions<'static> {
    FormatOptions::new()
        .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.3f"))
        .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.3fZ"))
}

/// Writes the cells of one column.
pub(super) enum Cells<'a> {
    /// Text between quotes.
    Text(ArrayFormatter<'a>, &'a dyn Array),
    /// A number or a word of JSON, as it is printed.
    Plain(ArrayFormatter<'a>, &'a dyn Array),
    Double(&'a dyn Array),
    List(Box<Self>, &'a ListArray),
    Struct(Vec<(String, Self)>, &'a StructArray),
}

impl<'a> Cells<'a> {
    pub(super) fn new(array: &'a dyn Array, options: &'a FormatOptions<'a>) -> Result<Self> {
        let printed = || ArrayFormatter::try_new(array, options).map_err(failed);
        Ok(match array.data_type() {
            DataType::Float64 => Self::Double(array),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Self::List(Box::new(Self::new(list.values(), options)?), list)
            }
            DataType::Struct(fields) => {
                let own = array.as_struct();
                let columns = fields.iter().zip(own.columns());
                let columns = columns
                    .map(|(field, column)| Ok((field.name().clone(), Self::new(column, options)?)));
                Self::Struct(columns.collect::<Result<_>>()?, own)
            }
            kind if kind.is_numeric() || *kind == DataType::Boolean => {
                Self::Plain(printed()?, array)
            }
            _ => Self::Text(printed()?, array),
        })
    }

    pub(super) fn write(&self, row: usize, out: &mut String) {
        match self {
            Self::Text(cells, array) if array.is_valid(row) => {
                out.push_str(&quoted(&cells.value(row).to_string()));
            }
            Self::Plain(cells, array) if array.is_valid(row) => {
                out.push_str(&cells.value(row).to_string());
            }
            Self::Double(array) if array.is_valid(row) => {
                let value = array.as_primitive::<Float64Type>().value(row);
                // JSON knows neither NaN nor infinity.
                out.push_str(&serde_json::to_string(&value).unwrap_or_else(|_| "null".to_owned()));
            }
            Self::List(items, list) if list.is_valid(row) => {
                let range = list.value_offsets().get(row..=row + 1).unwrap_or_default();
                let bound = |at: Option<&i32>| at.and_then(|at| usize::try_from(*at).ok());
                let range = bound(range.first()).unwrap_or(0)..bound(range.last()).unwrap_or(0);
                out.push('[');
                for (number, item) in range.enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    items.write(item, out);
                }
                out.push(']');
            }
            Self::Struct(fields, own) if own.is_valid(row) => {
                out.push('{');
                for (number, (name, field)) in fields.iter().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    out.push_str(&quoted(name));
                    out.push(':');
                    field.write(row, out);
                }
                out.push('}');
            }
            _ => out.push_str("null"),
        }
    }
}

fn quoted(text: &str) -> String {
    // A text always becomes JSON.
    serde_json::to_string(text).unwrap_or_default()
}

/// The SQL name of a type.
fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "TEXT".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Timestamp(_, _) => "TIMESTAMP".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision},{scale})"),
        DataType::List(item) => format!("{}[]", type_name(item.data_type())),
        DataType::Struct(_) => "STRUCT".to_owned(),
        other => other.to_string().to_uppercase(),
    }
}

fn json(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let mut out = String::from("{\"columns\":[");
    for (number, field) in schema.fields().iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        let (name, kind) = (quoted(field.name()), quoted(&type_name(field.data_type())));
        out.push_str(&format!("{{\"name\":{name},\"type\":{kind}}}"));
    }
    out.push_str("],\"rows\":[");
    let options = print_options();
    let mut is_first = true;
    for batch in batches {
        let columns = batch.columns().iter();
        let columns: Vec<_> = columns
            .map(|column| Cells::new(column, &options))
            .collect::<Result<_>>()?;
        for row in 0..batch.num_rows() {
            out.push_str(if is_first { "[" } else { ",[" });
            is_first = false;
            for (number, column) in columns.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                column.write(row, &mut out);
            }
            out.push(']');
        }
    }
    out.push_str("]}");
    Ok(out.into_bytes())
}
