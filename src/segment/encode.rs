//! The page encodings of a samples file: pure functions from values to bytes.
//!
//! Called by the chunk writer alone. The tests read every result back with the Parquet library, so
//! that what is written here means the same to everyone.

use super::value::Value;
use crate::num;

/// Differences per block of DELTA_BINARY_PACKED, and per miniblock: the smallest that the format
/// allows, so that a jump between two jobs widens few of its neighbours.
const BLOCK: usize = 128;
const MINIBLOCK: usize = 32;
/// The width of residuals that are not packed at all.
const WORD: u8 = 64;

/// Appends BYTE_STREAM_SPLIT: the lowest bytes of all values, then the next ones.
pub(super) fn byte_stream_split<T: Value>(values: &[T], out: &mut Vec<u8>) {
    for number in 0..T::BYTES {
        out.extend(values.iter().map(|value| value.byte(number)));
    }
}

/// Appends DELTA_BINARY_PACKED with the smallest reference and the narrowest residuals: the fewest
/// bytes before compression.
pub(super) fn delta<T: Value>(values: &[T], out: &mut Vec<u8>) {
    let differences = delta_header(values, out);
    for block in differences.chunks(BLOCK) {
        let reference = block.iter().copied().min().unwrap_or_default();
        delta_block(block, reference, None, out);
    }
}

/// Appends times as DELTA_BINARY_PACKED that compresses well: `jobs` names the job of each.
///
/// The reference of a block is its smallest step inside of a job, so that residuals are small
/// multiples of the clock's unit, and residuals are whole words, so that zstd sees bytes that repeat.
/// A step from one job to the next may be anything, also below the reference; it wraps, as the format
/// allows. Against [`delta`] this halves the column when scrapes jitter (docs/adr/0014).
pub(super) fn times(ts: &[i64], jobs: &[i64], out: &mut Vec<u8>) {
    let differences = delta_header(ts, out);
    let same_job: Vec<bool> = jobs
        .windows(2)
        .map(|pair| pair.first() == pair.last())
        .collect();
    for (block, same) in differences.chunks(BLOCK).zip(same_job.chunks(BLOCK)) {
        let steps = block.iter().zip(same).filter(|(_, same)| **same);
        let smallest = steps.map(|(step, _)| *step).min();
        let reference = smallest.or_else(|| block.iter().copied().min());
        delta_block(block, reference.unwrap_or_default(), Some(WORD), out);
    }
}

/// Appends the header of a DELTA_BINARY_PACKED page and returns the differences that follow it.
fn delta_header<T: Value>(values: &[T], out: &mut Vec<u8>) -> Vec<T> {
    varint(num::len_u64(BLOCK), out);
    varint(num::len_u64(BLOCK / MINIBLOCK), out);
    varint(num::len_u64(values.len()), out);
    varint(zigzag(values.first().map_or(0, |first| first.widen())), out);
    let later = values.iter().skip(1);
    values.iter().zip(later).map(|(a, b)| b.minus(*a)).collect()
}

/// Appends one block: reference, widths, residuals. The last miniblock is filled with zeros, and the
/// widths of those that have no values are 0.
fn delta_block<T: Value>(block: &[T], reference: T, width: Option<u8>, out: &mut Vec<u8>) {
    varint(zigzag(reference.widen()), out);
    let mut residuals = [0u64; BLOCK];
    for (residual, difference) in residuals.iter_mut().zip(block) {
        *residual = difference.minus(reference).bits();
    }
    let mut widths = [0u8; BLOCK / MINIBLOCK];
    for (own, values) in widths
        .iter_mut()
        .zip(residuals.chunks(MINIBLOCK))
        .take(block.len().div_ceil(MINIBLOCK))
    {
        let used = values.iter().fold(0, |all, residual| all | residual);
        *own = width.unwrap_or_else(|| bit_width(used));
    }
    out.extend(widths);
    for (width, values) in widths.iter().zip(residuals.chunks(MINIBLOCK)) {
        pack(values, *width, out);
    }
}

/// Bits that `value` needs.
fn bit_width(value: u64) -> u8 {
    u8::try_from(u64::BITS - value.leading_zeros()).unwrap_or(WORD)
}

/// Appends values of `width` bits each, the lowest bit first. 32 of them end on a whole byte.
fn pack(values: &[u64], width: u8, out: &mut Vec<u8>) {
    if width == WORD {
        out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        return;
    }
    let (mut bits, mut held) = (0u128, 0u8);
    for value in values {
        bits |= u128::from(*value) << held;
        held += width;
        while held >= 8 {
            let [low, ..] = bits.to_le_bytes();
            out.push(low);
            bits >>= 8;
            held -= 8;
        }
    }
}

/// Appends definition levels of one bit, in the hybrid of runs and packed bits: whichever of the two
/// alone is shorter. Holes are rare and long, or a column that every other scrape has. `there` says how many
/// are set: nearly every page is one run, which nobody need look for.
pub(super) fn levels(present: &[bool], there: usize, out: &mut Vec<u8>) {
    if there == 0 || there == present.len() {
        level_run(present.len(), there > 0, out);
        return;
    }
    let start = out.len();
    let packed_len = present.len().div_ceil(8);
    for run in present.chunk_by(|a, b| a == b) {
        level_run(run.len(), run.first() == Some(&true), out);
        if out.len() - start > packed_len {
            out.truncate(start);
            varint(num::len_u64(packed_len) << 1 | 1, out);
            out.extend(present.chunks(8).map(packed_bits));
            return;
        }
    }
}

fn level_run(len: usize, is_set: bool, out: &mut Vec<u8>) {
    varint(num::len_u64(len) << 1, out);
    out.push(u8::from(is_set));
}

/// Up to eight flags as a byte, the first in the lowest bit.
fn packed_bits(flags: &[bool]) -> u8 {
    flags
        .iter()
        .rev()
        .fold(0, |byte, flag| byte << 1 | u8::from(*flag))
}

/// Appends indices into a dictionary of `entries`: their width, then runs of equal ones. Keys repeat
/// for all rows of a job, so that runs alone are short.
pub(super) fn indices(indices: &[u32], entries: usize, out: &mut Vec<u8>) {
    let width = bit_width(num::len_u64(entries.saturating_sub(1)));
    out.push(width);
    for run in indices.chunk_by(|a, b| a == b) {
        varint(num::len_u64(run.len()) << 1, out);
        let index = run.first().copied().unwrap_or_default().to_le_bytes();
        out.extend(index.into_iter().take(usize::from(width.div_ceil(8))));
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        let [low, ..] = value.to_le_bytes();
        out.push(low | 0x80);
        value >>= 7;
    }
    let [low, ..] = value.to_le_bytes();
    out.push(low);
}
