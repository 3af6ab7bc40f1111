//! The columns of both tables as a scan gives them: names, types, and the way from the integers on
//! disk to what a reader sees.

use super::arrow_error;
use crate::error::{Error, Result};
use crate::model::metric::{CellType, Column};
use crate::segment::job_columns::{JOB_COLUMNS, Kind};
use crate::segment::job_lists;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{ArrayRef, Decimal128Array, TimestampMicrosecondArray};
use arrow_schema::{DataType, TimeUnit};
use std::sync::{Arc, LazyLock};

/// Type of a stored column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredKind {
    /// Text.
    Text,
    /// Microseconds since the epoch, UTC.
    Time,
    /// A number.
    Cell(CellType),
    /// A nested column.
    List(DataType),
}

impl StoredKind {
    /// Its type for readers. DECIMAL is Decimal128: sums over Decimal32 and Decimal64 wrap without an
    /// error.
    #[must_use]
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Text => DataType::Utf8View,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Cell(CellType::Int32) => DataType::Int32,
            Self::Cell(CellType::Int64) => DataType::Int64,
            Self::Cell(CellType::Decimal9(scale)) => DataType::Decimal128(9, *scale),
            Self::Cell(CellType::Decimal18(scale)) => DataType::Decimal128(18, *scale),
            Self::List(data_type) => data_type.clone(),
        }
    }

    /// Its type on disk.
    #[must_use]
    pub fn physical(&self) -> DataType {
        match self {
            Self::Text => DataType::Utf8View,
            Self::Cell(CellType::Int32 | CellType::Decimal9(_)) => DataType::Int32,
            Self::Time | Self::Cell(CellType::Int64 | CellType::Decimal18(_)) => DataType::Int64,
            Self::List(data_type) => data_type.clone(),
        }
    }
}

/// A stored column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredColumn {
    /// Name in the file.
    pub name: String,
    /// Type.
    pub kind: StoredKind,
    /// Whether it has nulls.
    pub nullable: bool,
}

fn stored(name: &str, kind: StoredKind, nullable: bool) -> StoredColumn {
    StoredColumn {
        name: name.to_owned(),
        kind,
        nullable,
    }
}

/// The columns of the samples table, in file order.
pub fn sample_columns() -> &'static [StoredColumn] {
    static COLUMNS: LazyLock<Vec<StoredColumn>> = LazyLock::new(|| {
        let cell = |name, cell, nullable| stored(name, StoredKind::Cell(cell), nullable);
        let mut columns = vec![
            cell("project_key", CellType::Int64, false),
            cell("job", CellType::Int64, false),
            cell("part", CellType::Int32, false),
            cell("runner_key", CellType::Int64, true),
            stored("ts", StoredKind::Time, false),
            cell("interval_ms", CellType::Int32, true),
        ];
        columns.extend(
            Column::ALL
                .into_iter()
                .map(|column| cell(column.name(), column.spec().cell, true)),
        );
        columns
    });
    &COLUMNS
}

/// The columns of the jobs table, in file order.
pub fn job_columns() -> &'static [StoredColumn] {
    static COLUMNS: LazyLock<Vec<StoredColumn>> = LazyLock::new(|| {
        let scalars = JOB_COLUMNS.iter().map(|column| {
            let kind = match column.kind {
                Kind::Text => StoredKind::Text,
                Kind::Time => StoredKind::Time,
                Kind::Cell(cell) => StoredKind::Cell(cell),
            };
            stored(&column.name, kind, !column.required)
        });
        let lists = job_lists::list_fields().into_iter().map(|field| {
            let kind = StoredKind::List(field.data_type().clone());
            stored(field.name(), kind, true)
        });
        scalars.chain(lists).collect()
    });
    &COLUMNS
}

/// What a reader sees of the cells of a column as they are on disk.
///
/// # Errors
/// `Internal` if they are of another type (a bug).
pub fn logical(kind: &StoredKind, cells: ArrayRef) -> Result<ArrayRef> {
    let odd = || Error::internal("stored cells have another type than their column");
    match (kind, kind.data_type()) {
        (StoredKind::Time, _) => {
            let micros = cells.as_primitive_opt::<Int64Type>().ok_or_else(odd)?;
            let times =
                TimestampMicrosecondArray::new(micros.values().clone(), micros_nulls(&cells));
            Ok(Arc::new(times.with_timezone("UTC")))
        }
        (StoredKind::Cell(_), DataType::Decimal128(precision, scale)) => {
            let decimals: Decimal128Array = if precision == 9 {
                let cells = cells.as_primitive_opt::<Int32Type>().ok_or_else(odd)?;
                cells.unary(i128::from)
            } else {
                let cells = cells.as_primitive_opt::<Int64Type>().ok_or_else(odd)?;
                cells.unary(i128::from)
            };
            let decimals = decimals.with_precision_and_scale(precision, scale);
            Ok(Arc::new(decimals.map_err(arrow_error)?))
        }
        _ => Ok(cells),
    }
}

fn micros_nulls(cells: &ArrayRef) -> Option<arrow_buffer::NullBuffer> {
    cells.nulls().cloned()
}
