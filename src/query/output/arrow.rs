//! A profile as Arrow: schema, batches, and the IPC stream.
//!
//! Whole numbers are Int32 or Int64. Fractions are DOUBLE in graph units (they are rounded quotients),
//! and Decimal128 where stored values are given; never Decimal32 or Decimal64, whose sums wrap in some
//! engines without a word (design section 5, "Types").

use crate::error::{Error, Result};
use crate::model::graph::cell_to_f64;
use crate::model::metric::CellType;
use crate::query::table::{ProfileTable, Series, Units};
use arrow_array::{
    ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    TimestampMicrosecondArray,
};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// Rows that are held as Arrow arrays at once: about 27 MiB with all columns as decimals.
const BATCH_ROWS: usize = 65_536;

/// The table as an Arrow IPC stream.
///
/// # Errors
/// `Internal` if a cell does not fit its type or the writer fails (a bug).
pub fn to_arrow(table: &ProfileTable) -> Result<Vec<u8>> {
    let metadata = metadata(table)?.into_iter();
    let schema = schema(table)
        .as_ref()
        .clone()
        .with_metadata(metadata.collect());
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).map_err(failed)?;
    for batch in batches(table, &Arc::new(schema)) {
        writer.write(&batch?).map_err(failed)?;
    }
    writer.into_inner().map_err(failed)
}

/// What the file says beside the rows, by key: whose profile it is, of which time, in which units, and
/// why there are no rows if there are none.
pub(super) fn metadata(table: &ProfileTable) -> Result<BTreeMap<String, String>> {
    let json = |value: serde_json::Result<String>| {
        value.map_err(|error| Error::internal("metadata of a profile").with_source(error))
    };
    let units: BTreeMap<_, _> = table.series.iter().map(|s| (s.name, s.unit)).collect();
    let gaps: Vec<_> = table.gaps.iter().map(|gap| gap.range).collect();
    let gaps: Vec<_> = gaps.iter().map(|gap| [gap.from.0, gap.to.0]).collect();
    let known = [
        ("profile_version", Some("1".to_owned())),
        ("source", Some(table.job.source.to_string())),
        ("job_id", Some(table.job.job_id.to_string())),
        ("project", table.project.clone()),
        ("name", table.name.clone()),
        ("machine", table.machine.clone()),
        ("state", Some(table.state.as_str().to_owned())),
        ("reason", table.reason.map(|why| why.as_str().to_owned())),
        ("reason_text", table.reason.map(|why| why.text().to_owned())),
        ("from_ms", table.range.map(|range| range.from.0.to_string())),
        ("to_ms", table.range.map(|range| range.to.0.to_string())),
        ("values", Some(table.units.as_str().to_owned())),
        ("units", Some(json(serde_json::to_string(&units))?)),
        ("gaps_ms", Some(json(serde_json::to_string(&gaps))?)),
    ];
    Ok(known
        .into_iter()
        .filter_map(|(key, value)| Some((format!("tachograph.{key}"), value?)))
        .collect())
}

/// Columns as in the `samples` table: `ts`, `interval_ms`, the metrics. Every metric's field says its
/// unit.
pub(super) fn schema(table: &ProfileTable) -> SchemaRef {
    let ts = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")));
    let mut fields = vec![
        Field::new("ts", ts, false),
        Field::new("interval_ms", DataType::Int32, true),
    ];
    fields.extend(table.series.iter().map(|series| {
        let unit = HashMap::from([("unit".to_owned(), series.unit.to_owned())]);
        Field::new(series.name, data_type(series.cell, table.units), true).with_metadata(unit)
    }));
    Arc::new(Schema::new(fields))
}

fn data_type(cell: CellType, units: Units) -> DataType {
    match (cell, units) {
        (CellType::Int32, _) => DataType::Int32,
        (CellType::Int64, _) => DataType::Int64,
        (CellType::Decimal9(_) | CellType::Decimal18(_), Units::Graph) => DataType::Float64,
        (CellType::Decimal9(scale), _) => DataType::Decimal128(9, scale),
        (CellType::Decimal18(scale), _) => DataType::Decimal128(18, scale),
    }
}

/// The rows in batches of bounded size; none for an empty table.
pub(super) fn batches<'a>(
    table: &'a ProfileTable,
    schema: &'a SchemaRef,
) -> impl Iterator<Item = Result<RecordBatch>> + 'a {
    let rows = table.ts_ms.len();
    (0..rows)
        .step_by(BATCH_ROWS)
        .map(move |start| batch(table, schema, start..rows.min(start + BATCH_ROWS)))
}

fn batch(table: &ProfileTable, schema: &SchemaRef, rows: Range<usize>) -> Result<RecordBatch> {
    let ragged = || Error::internal("a profile has columns of different lengths");
    let ts = table.ts_ms.get(rows.clone()).ok_or_else(ragged)?;
    let ts = ts.iter().map(|ms| ms.saturating_mul(1_000));
    let intervals = table.interval_ms.get(rows.clone()).ok_or_else(ragged)?;
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from_iter_values(ts).with_timezone("UTC")),
        Arc::new(Int32Array::from(intervals.to_vec())),
    ];
    for series in &table.series {
        let cells = series.cells.get(rows.clone()).ok_or_else(ragged)?;
        columns.push(column(series, table.units, cells)?);
    }
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(failed)
}

fn column(series: &Series, units: Units, cells: &[Option<i64>]) -> Result<ArrayRef> {
    let kind = data_type(series.cell, units);
    if kind != DataType::Float64 && !cells.iter().flatten().all(|cell| series.cell.fits(*cell)) {
        let message = format!("a value of {} does not fit its column", series.name);
        return Err(Error::internal(message));
    }
    let cells = cells.iter().copied();
    Ok(match kind {
        DataType::Int32 => {
            let cells = cells.map(|cell| cell.and_then(|cell| i32::try_from(cell).ok()));
            Arc::new(cells.collect::<Int32Array>())
        }
        DataType::Int64 => Arc::new(cells.collect::<Int64Array>()),
        DataType::Decimal128(precision, scale) => {
            let cells = cells.map(|cell| cell.map(i128::from));
            let array = cells.collect::<Decimal128Array>();
            let array = array.with_precision_and_scale(precision, scale);
            Arc::new(array.map_err(failed)?)
        }
        _ => {
            let scale = series.cell.scale();
            let cells = cells.map(|cell| cell.map(|cell| cell_to_f64(cell, scale)));
            Arc::new(cells.collect::<Float64Array>())
        }
    })
}

fn failed(error: ArrowError) -> Error {
    Error::internal("a profile could not be written as Arrow").with_source(error)
}
