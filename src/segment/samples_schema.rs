//! The schema of the `samples` file: its columns, their places and their types.
//!
//! Called by whoever writes or reads a samples file.

use super::parquet_error;
use crate::error::Result;
use crate::model::metric::{CellType, Column};
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type, TypePtr};
use std::sync::{Arc, OnceLock};

/// Positions of the columns in front of the values.
pub(super) const PROJECT_KEY: usize = 0;
pub(super) const JOB: usize = 1;
pub(super) const PART: usize = 2;
pub(super) const TS: usize = 4;
pub(super) const INTERVAL: usize = 5;
/// Names of these columns.
const KEYS: [&str; FIRST_VALUE] = [
    "project_key",
    "job",
    "part",
    "runner_key",
    "ts",
    "interval_ms",
];
pub(super) const FIRST_VALUE: usize = 6;
/// Columns of the file.
pub(super) const COLUMNS: usize = FIRST_VALUE + Column::ALL.len();

/// Names of all columns, in the order of the file.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.into_iter()
        .chain(Column::ALL.into_iter().map(Column::name))
}

fn primitive(
    name: &str,
    physical: Physical,
    required: bool,
    logical: Option<LogicalType>,
) -> Result<TypePtr> {
    let repetition = if required {
        Repetition::REQUIRED
    } else {
        Repetition::OPTIONAL
    };
    let mut builder = Type::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .with_logical_type(logical.clone());
    if let Some(LogicalType::Decimal(decimal)) = logical {
        builder = builder
            .with_precision(decimal.precision)
            .with_scale(decimal.scale);
    }
    builder
        .build()
        .map(Arc::new)
        .map_err(parquet_error("describing a column"))
}

/// Physical and logical type of a cell.
pub(super) fn cell_type(cell: CellType) -> (Physical, Option<LogicalType>) {
    let decimal = |precision, scale: i8| Some(LogicalType::decimal(i32::from(scale), precision));
    match cell {
        CellType::Int32 => (Physical::INT32, None),
        CellType::Int64 => (Physical::INT64, None),
        CellType::Decimal9(scale) => (Physical::INT32, decimal(9, scale)),
        CellType::Decimal18(scale) => (Physical::INT64, decimal(18, scale)),
    }
}

/// The Parquet schema, the same in every file for ever.
///
/// # Errors
/// `Data` if the Parquet library refuses it (a bug).
pub fn schema() -> Result<TypePtr> {
    let micros = LogicalType::timestamp(true, TimeUnit::MICROS);
    let [project, job, part, runner, ts, interval] = KEYS;
    let mut fields = vec![
        primitive(project, Physical::INT64, true, None)?,
        primitive(job, Physical::INT64, true, None)?,
        primitive(part, Physical::INT32, true, None)?,
        primitive(runner, Physical::INT64, false, None)?,
        primitive(ts, Physical::INT64, true, Some(micros))?,
        primitive(interval, Physical::INT32, false, None)?,
    ];
    for column in Column::ALL {
        let (physical, logical) = cell_type(column.spec().cell);
        fields.push(primitive(column.name(), physical, false, logical)?);
    }
    Type::group_type_builder("samples")
        .with_fields(fields)
        .build()
        .map(Arc::new)
        .map_err(parquet_error("describing the samples table"))
}

/// The columns of [`schema`], as the library reads them.
pub(super) fn described() -> Result<SchemaDescPtr> {
    static KNOWN: OnceLock<SchemaDescPtr> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(Arc::clone(known));
    }
    let described = Arc::new(SchemaDescriptor::new(schema()?));
    Ok(Arc::clone(KNOWN.get_or_init(|| described)))
}
