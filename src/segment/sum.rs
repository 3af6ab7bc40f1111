//! Sums over segment files that do not depend on the order of jobs: what must be equal before and
//! after a rewrite (AR-10).
//!
//! Called by the archive, on what it read and on what it wrote. Computed from the files' own key
//! columns, not from what a rewrite believes of them: a job's cells that end up under another job, in
//! another row or in another column change the sum.

use super::columns::ColumnChunk;
use super::copy::Pause;
use super::jobs::JobsFile;
use super::pages::SharedDecompressor;
use super::runs;
use super::samples_schema::{COLUMNS, INTERVAL, JOB, PART, TS};
use super::{VerifiedFile, parquet_error};
use crate::error::{Error, Result};
use crate::num;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use std::ops::AddAssign;
use xxhash_rust::xxh3::xxh3_64;

/// Rows, the cells of value columns that have one, and a sum over all that is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Sum {
    pub rows: u64,
    pub cells: u64,
    pub sum: u64,
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.cells += other.cells;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// Odd, and without a pattern (the fractions of the golden ratio and of the square root of 3).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const STIR: u64 = 0xbb67_ae85_84ca_a73b;

/// Mixes all bits of a number.
fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 32).wrapping_mul(STIR);
    number ^ number >> 29
}

/// Mixes a number into what came before it.
fn then(before: u64, number: u64) -> u64 {
    mix(before.wrapping_mul(SPREAD).wrapping_add(number))
}

/// The sum over the samples of the jobs (by key) that count.
///
/// # Errors
/// `Data` if the file is damaged, whatever `pause` says.
pub fn samples(file: &VerifiedFile, counts: &dyn Fn(i64) -> bool, pause: Pause<'_>) -> Result<Sum> {
    let decompressor = SharedDecompressor::new().map_err(parquet_error("starting to read"))?;
    let (mut all, mut last) = (Sum::default(), None);
    for group in 0..file.groups() {
        let rows = row_seeds(file, group, counts, &mut last)?;
        all.rows += num::len_u64(rows.iter().filter(|(_, mask)| *mask != 0).count());
        for position in TS..COLUMNS {
            pause()?;
            let chunk = ColumnChunk::new(file, group, position)?;
            if chunk.is_empty() {
                continue;
            }
            let column = then(SPREAD, num::len_u64(position));
            let is_value = u64::from(position > INTERVAL);
            let mut rows = rows.iter();
            let mut next = 0;
            chunk
                .read(&(0..chunk.rows()), &decompressor)?
                .for_each(|row, value| {
                    if let Some((seed, mask)) = rows.nth(row - next) {
                        let cell = then(column ^ value.cast_unsigned(), *seed) & mask;
                        all.sum = all.sum.wrapping_add(cell);
                        all.cells += mask & is_value;
                    }
                    next = row + 1;
                });
        }
    }
    Ok(all)
}

/// For each row of a group: a number for its job and its place in it, and whether it counts (all bits
/// set, or none). `last` is the job of the row in front, and that row's place in it.
fn row_seeds(
    file: &VerifiedFile,
    group: usize,
    counts: &dyn Fn(i64) -> bool,
    last: &mut Option<((i64, i64), u64)>,
) -> Result<Vec<(u64, u64)>> {
    let jobs = runs::column(file, group, JOB)?;
    let parts = runs::column(file, group, PART)?;
    let mut mask = 0;
    let mut seeds = Vec::with_capacity(jobs.len());
    for (at, own) in jobs.into_iter().zip(parts).enumerate() {
        let (job, part) = own;
        let place = match *last {
            Some((known, place)) if known == own => place + 1,
            _ => 0,
        };
        if at == 0 || place == 0 {
            mask = if counts(job) { u64::MAX } else { 0 };
        }
        *last = Some((own, place));
        let job = then(then(SPREAD, job.cast_unsigned()), part.cast_unsigned());
        seeds.push((then(job, place), mask));
    }
    Ok(seeds)
}

/// The sum over the rows of the jobs (by key) that count.
///
/// # Errors
/// `Data` if the file is damaged, whatever `pause` says.
pub fn jobs(file: &JobsFile, counts: &dyn Fn(i64) -> bool, pause: Pause<'_>) -> Result<Sum> {
    let mut all = Sum::default();
    for batch in file.batches()? {
        pause()?;
        let batch = batch?;
        let keys = batch.column_by_name("job");
        let keys = keys.and_then(|keys| keys.as_primitive_opt::<Int64Type>());
        let keys = keys.ok_or_else(unexpected)?;
        for (row, job) in row_sums(&batch)?.into_iter().zip(keys.values()) {
            if counts(*job) {
                all.rows += 1;
                all.sum = all.sum.wrapping_add(mix(row));
            }
        }
    }
    Ok(all)
}

/// A number for each row. Columns count by name, and only where there is a value: a column that a file
/// lacks is one without values.
fn row_sums(batch: &RecordBatch) -> Result<Vec<u64>> {
    let mut rows = vec![0u64; batch.num_rows()];
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let column = xxh3_64(field.name().as_bytes());
        for (row, value) in rows.iter_mut().zip(values(array)?) {
            if let Some(value) = value {
                *row = row.wrapping_add(then(column, value));
            }
        }
    }
    Ok(rows)
}

fn unexpected() -> Error {
    Error::data(
        "segment_schema",
        "a jobs file has a column of an unexpected type",
    )
}

/// A number for each value of an array, none for a null.
fn values(array: &dyn Array) -> Result<Vec<Option<u64>>> {
    let found: Vec<u64> = match array.data_type() {
        DataType::Int32 => {
            let numbers = array.as_primitive::<Int32Type>().values();
            numbers
                .iter()
                .map(|number| i64::from(*number).cast_unsigned())
                .collect()
        }
        DataType::Int64 => {
            let numbers = array.as_primitive::<Int64Type>().values();
            numbers
                .iter()
                .map(|number| number.cast_unsigned())
                .collect()
        }
        DataType::Timestamp(..) => {
            let times = array.as_primitive_opt::<TimestampMicrosecondType>();
            let times = times.ok_or_else(unexpected)?.values();
            times.iter().map(|time| time.cast_unsigned()).collect()
        }
        DataType::Decimal128(..) => {
            let numbers = array.as_primitive::<Decimal128Type>().values();
            numbers
                .iter()
                .map(|number| halves(number.cast_unsigned()))
                .collect()
        }
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            (0..texts.len())
                .map(|row| xxh3_64(texts.value(row).as_bytes()))
                .collect()
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let elements = values(lists.values())?;
            let spans = lists.value_offsets().windows(2);
            spans.map(|span| span_sum(span, &elements)).collect()
        }
        DataType::Struct(_) => {
            let mut sums = vec![SPREAD; array.len()];
            for field in array.as_struct().columns() {
                for (sum, value) in sums.iter_mut().zip(values(field)?) {
                    *sum = element(*sum, value);
                }
            }
            sums
        }
        _ => return Err(unexpected()),
    };
    let numbered = found.into_iter().enumerate();
    Ok(numbered
        .map(|(row, value)| array.is_valid(row).then_some(value))
        .collect())
}

fn halves(number: u128) -> u64 {
    let [high, low] = [number >> 64, number & u128::from(u64::MAX)];
    let half = |half: u128| u64::try_from(half).unwrap_or(u64::MAX);
    then(half(high), half(low))
}

/// A list by its elements, in order; `span` are two offsets.
fn span_sum(span: &[i32], elements: &[Option<u64>]) -> u64 {
    let mut bounds = span
        .iter()
        .map(|offset| usize::try_from(*offset).unwrap_or(usize::MAX));
    let range = bounds.next().zip(bounds.next());
    let own = range
        .and_then(|(start, end)| elements.get(start..end))
        .unwrap_or_default();
    own.iter().fold(STIR, |sum, value| element(sum, *value))
}

fn element(before: u64, value: Option<u64>) -> u64 {
    then(before, value.map_or(SPREAD, |value| mix(value) | 1))
}
