//! The list columns of the `jobs` table: runner_tags, sections, gaps, resets.

use super::job_columns::{Kind, data_type, decimals};
use crate::error::{Error, Result};
use crate::model::archived::{CPU_USED_CELL, SectionUsage, SummarisedRow};
use crate::model::job::Section;
use crate::model::metric::{CellType, Column};
use crate::model::profile::Gap;
use crate::time::{TimeRange, TimestampMs};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, Int64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields};
use std::sync::Arc;

const TIME: Kind = Kind::Time;
const CPU: Kind = Kind::Cell(CPU_USED_CELL);
const BYTES: Kind = Kind::Cell(CellType::Int64);
/// Amounts of all columns in one scale: the finest of the catalogue.
const AMOUNT_CELL: CellType = CellType::Decimal18(AMOUNT_SCALE);
const AMOUNT: Kind = Kind::Cell(AMOUNT_CELL);
const AMOUNT_SCALE: i8 = 6;

fn fields(list: &[(&str, Kind)]) -> Fields {
    list.iter()
        .map(|(name, kind)| Field::new(*name, data_type(*kind), true))
        .collect()
}

fn section_fields() -> Fields {
    fields(&[
        ("name", Kind::Text),
        ("started_at", TIME),
        ("finished_at", TIME),
        ("cpu_used_seconds", CPU),
        ("memory_used_bytes_max", BYTES),
        ("network_receive_bytes", BYTES),
        ("network_transmit_bytes", BYTES),
        ("disk_read_bytes", BYTES),
        ("disk_written_bytes", BYTES),
    ])
}

fn gap_fields() -> Fields {
    fields(&[
        ("from", TIME),
        ("to", TIME),
        ("metric", Kind::Text),
        ("amount", AMOUNT),
    ])
}

fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", data_type, true))
}

/// The list fields, in file order behind the scalars.
pub(super) fn list_fields() -> Vec<Field> {
    [
        ("runner_tags", item(DataType::Utf8)),
        ("sections", item(DataType::Struct(section_fields()))),
        ("gaps", item(DataType::Struct(gap_fields()))),
        ("resets", item(data_type(TIME))),
    ]
    .into_iter()
    .map(|(name, element)| Field::new(name, DataType::List(element), true))
    .collect()
}

/// Lists of `rows`, flattened.
struct Flat<T> {
    items: Vec<T>,
    lengths: Vec<usize>,
    present: Vec<bool>,
}

fn flatten<T>(rows: &[SummarisedRow], list: impl Fn(&SummarisedRow) -> Option<Vec<T>>) -> Flat<T> {
    let mut flat = Flat {
        items: Vec::new(),
        lengths: Vec::new(),
        present: Vec::new(),
    };
    for row in rows {
        let mut items = list(row);
        flat.present.push(items.is_some());
        flat.lengths.push(items.as_ref().map_or(0, Vec::len));
        flat.items.extend(items.iter_mut().flat_map(std::mem::take));
    }
    flat
}

fn list<T>(flat: &Flat<T>, values: ArrayRef) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths(flat.lengths.iter().copied());
    let nulls = NullBuffer::from(flat.present.clone());
    Arc::new(ListArray::new(
        item(values.data_type().clone()),
        offsets,
        values,
        Some(nulls),
    ))
}

fn times(values: impl Iterator<Item = TimestampMs>) -> ArrayRef {
    let micros: TimestampMicrosecondArray =
        values.map(|ts| Some(ts.0.saturating_mul(1_000))).collect();
    Arc::new(micros.with_timezone("UTC"))
}

fn numbers(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

/// The list arrays of `rows`, in the order of [`list_fields`].
///
/// # Errors
/// `Internal` if a type is impossible (a bug).
pub(super) fn list_arrays(rows: &[SummarisedRow]) -> Result<Vec<ArrayRef>> {
    let tags = flatten(rows, |row| row.row.facts.runner_tags.clone());
    let tag_values: ArrayRef = Arc::new(StringArray::from_iter_values(&tags.items));
    let resets = flatten(rows, |row| Some(row.row.findings.resets.clone()));
    let reset_values = times(resets.items.iter().copied());
    Ok(vec![
        list(&tags, tag_values),
        sections_array(rows)?,
        gaps_array(rows)?,
        list(&resets, reset_values),
    ])
}

fn sections_array(rows: &[SummarisedRow]) -> Result<ArrayRef> {
    let flat = flatten(rows, |row| {
        let sections = row.row.facts.sections.clone()?;
        Some(
            sections
                .into_iter()
                .zip(row.sections.iter().copied())
                .collect(),
        )
    });
    let usage =
        |pick: fn(&SectionUsage) -> Option<i64>| flat.items.iter().map(move |item| pick(&item.1));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(
            flat.items.iter().map(|item| &item.0.name),
        )),
        times(flat.items.iter().map(|item| item.0.range.from)),
        times(flat.items.iter().map(|item| item.0.range.to)),
        decimals(usage(|usage| usage.cpu_used_seconds), CPU_USED_CELL)?,
        numbers(usage(|usage| usage.memory_used_bytes_max)),
        numbers(usage(|usage| usage.network_receive_bytes)),
        numbers(usage(|usage| usage.network_transmit_bytes)),
        numbers(usage(|usage| usage.disk_read_bytes)),
        numbers(usage(|usage| usage.disk_written_bytes)),
    ];
    Ok(list(
        &flat,
        Arc::new(StructArray::new(section_fields(), columns, None)),
    ))
}

/// Factor between a column's scale and that of `amount`.
fn amount_factor(column: Option<Column>) -> i64 {
    let scale = column.map_or(AMOUNT_SCALE, |column| column.spec().cell.scale());
    10i64.pow(u32::try_from(AMOUNT_SCALE - scale).unwrap_or(0))
}

fn gaps_array(rows: &[SummarisedRow]) -> Result<ArrayRef> {
    let flat = flatten(rows, |row| Some(row.row.findings.gaps.clone()));
    let metrics: StringArray = flat
        .items
        .iter()
        .map(|gap| gap.column.map(Column::name))
        .collect();
    let amounts = flat
        .items
        .iter()
        .map(|gap| gap.amount?.checked_mul(amount_factor(gap.column)));
    let columns: Vec<ArrayRef> = vec![
        times(flat.items.iter().map(|gap| gap.range.from)),
        times(flat.items.iter().map(|gap| gap.range.to)),
        Arc::new(metrics),
        decimals(amounts, AMOUNT_CELL)?,
    ];
    Ok(list(
        &flat,
        Arc::new(StructArray::new(gap_fields(), columns, None)),
    ))
}

fn odd(what: &str) -> Error {
    Error::data(
        "job_row",
        format!("the {what} of a job row are not readable"),
    )
}

/// The list of a row, `None` if null.
fn element(array: &ArrayRef, row: usize, what: &str) -> Result<Option<ArrayRef>> {
    let lists = array.as_list_opt::<i32>().ok_or_else(|| odd(what))?;
    Ok((row < lists.len() && lists.is_valid(row)).then(|| lists.value(row)))
}

fn read_times(array: &ArrayRef, what: &str) -> Result<Vec<TimestampMs>> {
    let micros = array
        .as_primitive_opt::<TimestampMicrosecondType>()
        .ok_or_else(|| odd(what))?;
    Ok(micros
        .values()
        .iter()
        .map(|micros| TimestampMs(micros.div_euclid(1_000)))
        .collect())
}

fn read_decimals(array: &ArrayRef, what: &str) -> Result<Vec<Option<i64>>> {
    let decimals = array
        .as_primitive_opt::<Decimal128Type>()
        .ok_or_else(|| odd(what))?;
    decimals
        .iter()
        .map(|value| value.map(i64::try_from).transpose().map_err(|_| odd(what)))
        .collect()
}

fn read_numbers(array: &ArrayRef, what: &str) -> Result<Vec<Option<i64>>> {
    Ok(array
        .as_primitive_opt::<Int64Type>()
        .ok_or_else(|| odd(what))?
        .iter()
        .collect())
}

/// The runner's tags of a row.
pub(super) fn read_tags(array: &ArrayRef, row: usize) -> Result<Option<Vec<String>>> {
    let Some(values) = element(array, row, "tags")? else {
        return Ok(None);
    };
    let texts = values.as_string_opt::<i32>().ok_or_else(|| odd("tags"))?;
    Ok(Some(texts.iter().flatten().map(str::to_owned).collect()))
}

/// The counter resets of a row.
pub(super) fn read_resets(array: &ArrayRef, row: usize) -> Result<Vec<TimestampMs>> {
    element(array, row, "resets")?.map_or(Ok(Vec::new()), |values| read_times(&values, "resets"))
}

/// The sections of a row and their usage.
pub(super) fn read_sections(
    array: &ArrayRef,
    row: usize,
) -> Result<Option<(Vec<Section>, Vec<SectionUsage>)>> {
    let what = "sections";
    let Some(values) = element(array, row, what)? else {
        return Ok(None);
    };
    let structs = values.as_struct_opt().ok_or_else(|| odd(what))?;
    let column = |name: &str| structs.column_by_name(name).ok_or_else(|| odd(what));
    let names = column("name")?
        .as_string_opt::<i32>()
        .ok_or_else(|| odd(what))?;
    let from = read_times(column("started_at")?, what)?;
    let to = read_times(column("finished_at")?, what)?;
    let sections = names
        .iter()
        .zip(from.into_iter().zip(to))
        .map(|(name, (from, to))| Section {
            name: name.unwrap_or_default().to_owned(),
            range: TimeRange::new(from, to),
        })
        .collect();
    let mut usage = vec![SectionUsage::default(); structs.len()];
    let mut fill = |values: Vec<Option<i64>>, slot: fn(&mut SectionUsage) -> &mut Option<i64>| {
        for (usage, value) in usage.iter_mut().zip(values) {
            *slot(usage) = value;
        }
    };
    fill(read_decimals(column("cpu_used_seconds")?, what)?, |usage| {
        &mut usage.cpu_used_seconds
    });
    fill(
        read_numbers(column("memory_used_bytes_max")?, what)?,
        |usage| &mut usage.memory_used_bytes_max,
    );
    fill(
        read_numbers(column("network_receive_bytes")?, what)?,
        |usage| &mut usage.network_receive_bytes,
    );
    fill(
        read_numbers(column("network_transmit_bytes")?, what)?,
        |usage| &mut usage.network_transmit_bytes,
    );
    fill(read_numbers(column("disk_read_bytes")?, what)?, |usage| {
        &mut usage.disk_read_bytes
    });
    fill(
        read_numbers(column("disk_written_bytes")?, what)?,
        |usage| &mut usage.disk_written_bytes,
    );
    Ok(Some((sections, usage)))
}

/// The gaps of a row.
pub(super) fn read_gaps(array: &ArrayRef, row: usize) -> Result<Vec<Gap>> {
    let what = "gaps";
    let Some(values) = element(array, row, what)? else {
        return Ok(Vec::new());
    };
    let structs = values.as_struct_opt().ok_or_else(|| odd(what))?;
    let column = |name: &str| structs.column_by_name(name).ok_or_else(|| odd(what));
    let from = read_times(column("from")?, what)?;
    let to = read_times(column("to")?, what)?;
    let metrics = column("metric")?
        .as_string_opt::<i32>()
        .ok_or_else(|| odd(what))?;
    let amounts = read_decimals(column("amount")?, what)?;
    from.into_iter()
        .zip(to)
        .zip(metrics.iter().zip(amounts))
        .map(|((from, to), (metric, amount))| {
            let column = metric
                .map(|name| Column::by_name(name).ok_or_else(|| odd(what)))
                .transpose()?;
            let amount = amount.map(|amount| amount / amount_factor(column));
            Ok(Gap {
                range: TimeRange::new(from, to),
                column,
                amount,
            })
        })
        .collect()
}
