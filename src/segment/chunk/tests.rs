//! What the chunk writer writes, read back with the Parquet library and held against what the
//! library's own writer says of the same cells.

use super::*;
use parquet::basic::{Repetition, Type as Physical};
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{DataType, Int32Type, Int64Type};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::{ColumnIndexMetaData, PrimitiveColumnIndex};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use proptest::prelude::*;
use std::sync::Arc;

fn schema(physical: Physical, repetition: Repetition) -> TypePtr {
    let column = Type::primitive_type_builder("x", physical)
        .with_repetition(repetition)
        .build()
        .unwrap();
    let group = Type::group_type_builder("test").with_fields(vec![Arc::new(column)]);
    Arc::new(group.build().unwrap())
}

fn properties() -> Arc<WriterProperties> {
    let builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::PLAIN)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_data_page_row_count_limit(SAMPLES_PAGE_ROWS)
        .set_write_batch_size(SAMPLES_PAGE_ROWS);
    Arc::new(builder.build())
}

/// A file of one column, written by `write`.
fn file(
    schema: TypePtr,
    write: impl FnOnce(&mut ChunkWriter, &mut Group<'_>, &ColumnDescPtr),
) -> Bytes {
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties()).unwrap();
    let column = writer.schema_descr().column(0);
    let mut group = writer.next_row_group().unwrap();
    write(&mut ChunkWriter::new(3).unwrap(), &mut group, &column);
    group.close().unwrap();
    Bytes::from(writer.into_inner().unwrap())
}

/// The same cells by the library's writer.
fn reference<T: DataType>(schema: TypePtr, cells: &[Option<T::T>]) -> Bytes {
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties()).unwrap();
    let values: Vec<T::T> = cells.iter().flatten().cloned().collect();
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column
        .typed::<T>()
        .write_batch(&values, Some(&levels), None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    Bytes::from(writer.into_inner().unwrap())
}

fn read<T: DataType>(file: &Bytes) -> Vec<Option<T::T>> {
    let reader = SerializedFileReader::new(file.clone()).unwrap();
    let group = reader.get_row_group(0).unwrap();
    let rows = usize::try_from(group.metadata().num_rows()).unwrap();
    let mut column = get_typed_column_reader::<T>(group.get_column_reader(0).unwrap());
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let mut done = 0;
    while done < rows {
        let (read, _, _) = column
            .read_records(rows, Some(&mut levels), None, &mut values)
            .unwrap();
        assert!(read > 0);
        done += read;
    }
    let mut values = values.into_iter();
    if levels.is_empty() {
        return values.map(Some).collect();
    }
    let cell = |level| if level == 1 { values.next() } else { None };
    levels.into_iter().map(cell).collect()
}

fn metadata(file: &Bytes) -> ParquetMetaData {
    ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(file)
        .unwrap()
}

/// Smallest and largest value of each page.
fn ranges<T: Copy + Into<i64>>(index: &PrimitiveColumnIndex<T>) -> Vec<(Option<i64>, Option<i64>)> {
    let wide = |value: Option<&T>| value.map(|value| (*value).into());
    let max = index.max_values_iter().map(wide);
    index.min_values_iter().map(wide).zip(max).collect()
}

/// What readers prune by must be what the library says of the same cells.
fn assert_described_alike(ours: &Bytes, theirs: &Bytes) {
    let (ours, theirs) = (metadata(ours), metadata(theirs));
    let chunk = |file: &ParquetMetaData| {
        let chunk = file.row_group(0).column(0).clone();
        (chunk.statistics().cloned(), chunk.num_values())
    };
    assert_eq!(chunk(&ours), chunk(&theirs));
    let rows = |file: &ParquetMetaData| {
        let pages = file.offset_index().unwrap()[0][0].page_locations().clone();
        let first: Vec<i64> = pages.iter().map(|page| page.first_row_index).collect();
        first
    };
    assert_eq!(rows(&ours), rows(&theirs));
    let index = |file: &ParquetMetaData| {
        let index = file.column_index().unwrap()[0][0].clone();
        let ranges = match &index {
            ColumnIndexMetaData::INT32(index) => ranges(index),
            ColumnIndexMetaData::INT64(index) => ranges(index),
            other => panic!("{other:?}"),
        };
        (
            ranges,
            index.null_counts().cloned(),
            index.get_boundary_order(),
        )
    };
    assert_eq!(index(&ours), index(&theirs));
}

/// Cells in runs, so that holes, full pages, empty pages and several pages occur.
fn cells<T: Copy + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = Vec<Option<T>>> {
    let run = (prop::option::weighted(0.8, value), 1..4_000usize);
    let noise = prop::collection::vec(prop::option::of(any::<u8>()), 0..200);
    (prop::collection::vec(run, 1..8), noise).prop_map(|(runs, noise)| {
        let mut cells: Vec<Option<T>> = Vec::new();
        for (cell, len) in &runs {
            cells.extend(std::iter::repeat_n(*cell, *len));
        }
        let first = runs.iter().find_map(|(cell, _)| *cell);
        cells.extend(noise.iter().map(|cell| cell.and(first)));
        cells
    })
}

fn parts<T: Copy>(cells: &[Option<T>]) -> (Vec<T>, Vec<bool>) {
    let present = cells.iter().map(Option::is_some).collect();
    (cells.iter().flatten().copied().collect(), present)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn narrow_values_come_back(cells in cells(any::<i32>()), compatible in any::<bool>()) {
        let schema = schema(Physical::INT32, Repetition::OPTIONAL);
        let (values, present) = parts(&cells);
        let encoding = if compatible { ValueEncoding::Compatible } else { ValueEncoding::Native };
        let ours = file(Arc::clone(&schema), |writer, group, column| {
            let cells = Cells { values: &values, present: Some(&present) };
            writer.values(group, column, cells, encoding).unwrap();
        });
        prop_assert_eq!(read::<Int32Type>(&ours), cells.clone());
        assert_described_alike(&ours, &reference::<Int32Type>(schema, &cells));
    }

    #[test]
    fn wide_values_come_back(cells in cells(any::<i64>()), compatible in any::<bool>()) {
        let schema = schema(Physical::INT64, Repetition::OPTIONAL);
        let (values, present) = parts(&cells);
        let encoding = if compatible { ValueEncoding::Compatible } else { ValueEncoding::Native };
        let ours = file(Arc::clone(&schema), |writer, group, column| {
            let cells = Cells { values: &values, present: Some(&present) };
            writer.values(group, column, cells, encoding).unwrap();
        });
        prop_assert_eq!(read::<Int64Type>(&ours), cells.clone());
        assert_described_alike(&ours, &reference::<Int64Type>(schema, &cells));
    }

    #[test]
    fn keys_come_back(cells in cells(any::<i64>())) {
        let schema = schema(Physical::INT64, Repetition::OPTIONAL);
        let (values, present) = parts(&cells);
        let ours = file(Arc::clone(&schema), |writer, group, column| {
            let cells = Cells { values: &values, present: Some(&present) };
            writer.keys(group, column, cells).unwrap();
        });
        prop_assert_eq!(read::<Int64Type>(&ours), cells.clone());
        assert_described_alike(&ours, &reference::<Int64Type>(schema, &cells));
    }

    #[test]
    fn times_come_back(
        jobs in prop::collection::vec((any::<i64>(), prop::collection::vec(0..20_000i64, 1..700)), 1..30)
    ) {
        let (mut ts, mut owners) = (Vec::new(), Vec::new());
        for (number, (start, steps)) in jobs.iter().enumerate() {
            let mut now = *start;
            for step in steps {
                now = now.wrapping_add(*step);
                ts.push(now);
                owners.push(i64::try_from(number).unwrap());
            }
        }
        let schema = schema(Physical::INT64, Repetition::REQUIRED);
        let ours = file(schema, |writer, group, column| {
            writer.times(group, column, &ts, &owners).unwrap();
        });
        let read: Vec<i64> = read::<Int64Type>(&ours).into_iter().flatten().collect();
        prop_assert_eq!(read, ts);
    }
}

#[test]
fn many_keys_need_wider_indices() {
    for keys in [1i64, 2, 3, 255, 256, 257, 65_536] {
        let values: Vec<i64> = (0..keys).map(|key| key * 7 - 100).collect();
        let schema = schema(Physical::INT64, Repetition::REQUIRED);
        let ours = file(schema, |writer, group, column| {
            let cells = Cells {
                values: &values,
                present: None,
            };
            writer.keys(group, column, cells).unwrap();
        });
        let read: Vec<i64> = read::<Int64Type>(&ours).into_iter().flatten().collect();
        assert_eq!(read, values);
    }
}

#[test]
fn alternating_holes_cost_a_bit_each() {
    let present: Vec<bool> = (0..SAMPLES_PAGE_ROWS).map(|row| row % 2 == 0).collect();
    let mut levels = Vec::new();
    encode::levels(&present, SAMPLES_PAGE_ROWS / 2, &mut levels);
    assert_eq!(levels.len(), SAMPLES_PAGE_ROWS / 8 + 2);
    let one_run = |all: bool| {
        let mut levels = Vec::new();
        let there = if all { SAMPLES_PAGE_ROWS } else { 0 };
        encode::levels(&[all; SAMPLES_PAGE_ROWS], there, &mut levels);
        levels
    };
    assert_eq!((one_run(true).len(), one_run(false).len()), (4, 4));
}
