//! The writers against one table; that other programs read the results is tested in `tests/it`.

use super::*;
use crate::model::metric::CellType;
use crate::model::state::{Reason, State};
use crate::query::table::{ProfileTable, Units};
use crate::query::test_table::table;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::basic::Type as Physical;
use ::parquet::file::reader::FileReader as _;
use ::parquet::file::serialized_reader::SerializedFileReader;
use arrow_array::{Array as _, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, SchemaRef};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

fn stored() -> ProfileTable {
    let mut table = table();
    table.units = Units::Stored;
    table.series[0].cell = CellType::Decimal9(2);
    table.series.push(table.series[0].clone());
    table.series[2].name = "pressure_io_seconds";
    table.series[2].cell = CellType::Decimal18(6);
    table.series[2].cells = vec![Some(999_999_999_999_999_999), None, Some(-1)];
    table.series.push(table.series[0].clone());
    table.series[3].name = "oom_kills";
    table.series[3].cell = CellType::Int32;
    table
}

fn empty() -> ProfileTable {
    let mut table = table();
    table.state = State::Unavailable;
    table.reason = Some(Reason::PastRetention);
    table.ts_ms.clear();
    table.interval_ms.clear();
    table.series.clear();
    table.gaps.clear();
    table
}

fn read_arrow(bytes: &[u8]) -> (SchemaRef, Vec<RecordBatch>) {
    let reader = StreamReader::try_new(bytes, None).unwrap();
    (reader.schema(), reader.map(Result::unwrap).collect())
}

fn read_parquet(bytes: &[u8]) -> (SchemaRef, Vec<RecordBatch>) {
    let bytes = Bytes::copy_from_slice(bytes);
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let schema = Arc::clone(builder.schema());
    let batches = builder.build().unwrap().map(Result::unwrap).collect();
    (schema, batches)
}

fn types(schema: &SchemaRef) -> Vec<DataType> {
    let fields = schema.fields().iter().skip(2);
    fields.map(|field| field.data_type().clone()).collect()
}

#[test]
fn csv_has_exact_decimals_and_empty_cells() {
    let text = String::from_utf8(to_csv(&table()).unwrap()).unwrap();
    assert_eq!(
        text,
        "ts,ts_ms,interval_ms,cpu_used_cores,memory_used_bytes\r\n\
         2026-03-01T00:00:15.000Z,1772323215000,15000,1.2345,\r\n\
         2026-03-01T00:00:30.003Z,1772323230003,15003,,9007199254740993\r\n\
         2026-03-01T00:01:30.003Z,1772323290003,60000,2.0000,-1\r\n"
    );
    let text = String::from_utf8(to_csv(&empty()).unwrap()).unwrap();
    assert_eq!(text, "ts,ts_ms,interval_ms\r\n");
}

#[test]
fn open_metrics_is_one_family_after_the_other_in_order_of_time() {
    let mut table = table();
    table.series[1].running_total = true;
    table.name = Some("a \"b\" \\ \n \u{7} \u{fc}".to_owned());
    table.machine = None;
    let text = String::from_utf8(to_open_metrics(&table)).unwrap();
    let labels = "{source=\"gitlab\",job_id=\"4711\",project=\"acme/app\",\
                  name=\"a \\\"b\\\" \\\\ \\n \u{fffd} \u{fc}\"}";
    assert_eq!(
        text,
        format!(
            "# TYPE tachograph_cpu_used_cores gauge\n\
             # UNIT tachograph_cpu_used_cores cores\n\
             tachograph_cpu_used_cores{labels} 1.2345 1772323215.000\n\
             tachograph_cpu_used_cores{labels} 2.0000 1772323290.003\n\
             # TYPE tachograph_memory_used_bytes counter\n\
             # UNIT tachograph_memory_used_bytes bytes\n\
             tachograph_memory_used_bytes_total{labels} 9007199254740993 1772323230.003\n\
             tachograph_memory_used_bytes_total{labels} -1 1772323290.003\n\
             # EOF\n"
        )
    );
    assert_eq!(to_open_metrics(&empty()), b"# EOF\n");
}

#[test]
fn fractions_are_doubles_in_graph_units_and_decimals_as_stored() {
    let decimals = [
        DataType::Decimal128(9, 2),
        DataType::Int64,
        DataType::Decimal128(18, 6),
        DataType::Int32,
    ];
    for (table, kinds) in [
        (table(), &[DataType::Float64, DataType::Int64][..]),
        (stored(), &decimals[..]),
    ] {
        let (arrow, from_arrow) = read_arrow(&to_arrow(&table).unwrap());
        let (parquet, from_parquet) = read_parquet(&to_parquet(&table).unwrap());
        assert_eq!(types(&arrow), kinds);
        assert_eq!(types(&parquet), kinds);
        let cells = |batches: &[RecordBatch]| {
            let columns = batches[0].columns().iter();
            columns.map(|column| column.to_data()).collect::<Vec<_>>()
        };
        assert_eq!((from_arrow.len(), from_parquet.len()), (1, 1));
        assert_eq!(cells(&from_arrow), cells(&from_parquet));
        let nulls = from_arrow[0].columns().iter().map(|c| c.null_count());
        assert_eq!(nulls.take(4).collect::<Vec<_>>(), [0, 0, 1, 1]);
        assert_eq!(arrow.field(2).metadata()["unit"], "cores");
    }
    let bytes = Bytes::from(to_parquet(&stored()).unwrap());
    let reader = SerializedFileReader::new(bytes).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let columns = schema.columns().iter().skip(2);
    let physical: Vec<Physical> = columns.map(|column| column.physical_type()).collect();
    let (int, long) = (Physical::INT32, Physical::INT64);
    assert_eq!(physical, [int, long, long, int]);
}

#[test]
fn a_value_that_does_not_fit_is_an_error_and_never_another_value() {
    let mut table = stored();
    table.series[0].cells[0] = Some(1_000_000_000);
    assert!(to_arrow(&table).is_err() && to_parquet(&table).is_err());
}

#[test]
fn metadata_says_whose_profile_it_is_and_why_there_is_none() {
    for (table, state, values) in [
        (stored(), "archived", "stored"),
        (empty(), "unavailable", "graph"),
    ] {
        let bytes = to_parquet(&table).unwrap();
        let (schema, batches) = read_arrow(&to_arrow(&table).unwrap());
        let (_, rows) = read_parquet(&bytes);
        assert_eq!(batches.len(), table.ts_ms.len().min(1));
        assert_eq!(rows.len(), batches.len());
        let reader = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
        let pairs = reader.metadata().file_metadata().key_value_metadata();
        let pairs = pairs.unwrap().iter();
        let footer: HashMap<String, String> = pairs
            .map(|pair| (pair.key.clone(), pair.value.clone().unwrap()))
            .collect();
        assert_eq!(&footer, schema.metadata());
        let said = |key: &str| footer.get(&format!("tachograph.{key}")).cloned();
        assert_eq!(said("job_id").as_deref(), Some("4711"));
        assert_eq!(said("state").as_deref(), Some(state));
        assert_eq!(said("values").as_deref(), Some(values));
        assert_eq!(said("from_ms").as_deref(), Some("1772323200000"));
        assert_eq!(said("reason").is_some(), table.reason.is_some());
        let text = said("reason_text").unwrap_or_default();
        assert_eq!(text.contains("older"), table.reason.is_some(), "{text}");
        let units: HashMap<String, String> = serde_json::from_str(&said("units").unwrap()).unwrap();
        assert_eq!(units.len(), table.series.len());
        let gaps: Vec<[i64; 2]> = serde_json::from_str(&said("gaps_ms").unwrap()).unwrap();
        assert_eq!(gaps.len(), table.gaps.len());
    }
}

#[test]
fn the_same_table_is_the_same_bytes() {
    for table in [table(), stored(), empty()] {
        for _ in 0..20 {
            assert_eq!(to_arrow(&table).unwrap(), to_arrow(&table).unwrap());
            assert_eq!(to_parquet(&table).unwrap(), to_parquet(&table).unwrap());
        }
    }
}

#[test]
fn more_rows_than_a_batch_are_all_there() {
    let mut table = table();
    let rows = 70_000;
    table.ts_ms = (0..rows).map(|row| row * 1_000).collect();
    table.interval_ms = table.ts_ms.iter().map(|_| Some(1_000)).collect();
    for series in &mut table.series {
        series.cells = (0..rows).map(Some).collect();
    }
    let (_, batches) = read_arrow(&to_arrow(&table).unwrap());
    assert_eq!(batches.len(), 2);
    for batches in [batches, read_parquet(&to_parquet(&table).unwrap()).1] {
        let read: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(read, 70_000);
    }
    // A column shorter than the axis is a bug, and is said.
    table.series[0].cells.pop();
    assert!(to_arrow(&table).is_err());
}
