//! Blocks of values: the bytes in which a group's values are held and handed on.
//!
//! Layout, all little-endian: kind (1 byte: 1 plain, 2 counted), tag (1). Plain, values that weigh 1 each: shift
//! and width (1 byte each), number of values (u32), the smallest one (i64), then of the largest and of each
//! value `(value - smallest) >> shift` in `width` bytes. Groups of few values have thousands of such blocks, so
//! they say no more. Counted: number of entries (u32), their weight (u64), smallest and largest value
//! (i64 each), length of what follows (u32), then per distinct value, ascending, the difference to the one
//! before (the first to the smallest) and its weight, as varints.

use super::values::Tag;
use crate::wide::wide;

const PLAIN: u8 = 1;
const COUNTED: u8 = 2;
const PLAIN_HEADER: usize = 16;
const COUNTED_HEADER: usize = 34;
/// Bytes of a number at most.
const WORD: usize = 8;

/// A value and its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: i64,
    pub(super) weight: u64,
}

/// What stands behind the header of a block.
#[derive(Debug, Clone, Copy)]
enum Body<'a> {
    Plain {
        /// 2^shift.
        scale: u64,
        width: u8,
        packed: &'a [u8],
    },
    Counted(&'a [u8]),
}

/// A block that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) tag: Tag,
    pub(super) count: u32,
    pub(super) weight: u64,
    pub(super) min: i64,
    pub(super) max: i64,
    body: Body<'a>,
}

/// Appends values that weigh 1 each.
pub(super) fn write_plain(tag: Tag, values: &[i64], out: &mut Vec<u8>) {
    let Some(first) = values.first() else {
        return;
    };
    // One pass: bits below the lowest one in which any two values differ are those of the smallest.
    let (min, max, differing) = wide(|| {
        let none = (*first, *first, 0);
        values.iter().fold(none, |(min, max, differing), value| {
            (
                min.min(*value),
                max.max(*value),
                differing | (value ^ first),
            )
        })
    });
    let offset = |value: i64| value.wrapping_sub(min).cast_unsigned();
    let shift = match differing {
        0 => 0,
        differing => differing.trailing_zeros(),
    };
    let bits = u64::BITS - (offset(max) >> shift).leading_zeros();
    let width = usize::try_from(bits.div_ceil(8)).unwrap_or(8);
    let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
    grow(out, PLAIN_HEADER + (values.len() + 1) * width + WORD);
    let narrow = |number: u32| u8::try_from(number).unwrap_or(0);
    out.extend([PLAIN, tag, narrow(shift), narrow(bits.div_ceil(8))]);
    out.extend(count.to_le_bytes());
    out.extend(min.to_le_bytes());
    let largest = (offset(max) >> shift).to_le_bytes();
    out.extend_from_slice(largest.get(..width).unwrap_or_default());
    let offsets = values.iter().map(|value| offset(*value) >> shift);
    match width {
        0 => {}
        1 => pack::<1>(offsets, out),
        2 => pack::<2>(offsets, out),
        3 => pack::<3>(offsets, out),
        4 => pack::<4>(offsets, out),
        5 => pack::<5>(offsets, out),
        6 => pack::<6>(offsets, out),
        7 => pack::<7>(offsets, out),
        _ => pack::<8>(offsets, out),
    }
}

/// Appends the lowest bytes of numbers. Each is written as a whole word, whose upper bytes the next one
/// overwrites.
fn pack<const WIDTH: usize>(numbers: impl ExactSizeIterator<Item = u64>, out: &mut Vec<u8>) {
    let start = out.len();
    let end = start + numbers.len() * WIDTH;
    out.resize(end + WORD, 0);
    let mut rest = out.get_mut(start..).unwrap_or_default();
    for number in numbers {
        if let Some(word) = rest.first_chunk_mut() {
            *word = number.to_le_bytes();
        }
        rest = rest.get_mut(WIDTH..).unwrap_or_default();
    }
    out.truncate(end);
}

/// Appends `value` of each number that [`pack`] wrote.
fn unpack<const WIDTH: usize>(packed: &[u8], value: impl Fn(u64) -> i64, out: &mut Vec<i64>) {
    let (numbers, _) = packed.as_chunks::<WIDTH>();
    let mask = u64::MAX >> (u64::BITS - 8 * u32::try_from(WIDTH).unwrap_or(8));
    // Whole words again, as long as there are any.
    let words = packed.len().saturating_sub(WORD - 1).div_ceil(WIDTH);
    let (front, back) = numbers.split_at(words.min(numbers.len()));
    out.extend((0..front.len()).map(|number| {
        let word = packed.get(number * WIDTH..).and_then(<[u8]>::first_chunk);
        value(word.map_or(0, |word| u64::from_le_bytes(*word)) & mask)
    }));
    out.extend(back.iter().map(|bytes| {
        let mut word = [0u8; WORD];
        if let Some(own) = word.first_chunk_mut::<WIDTH>() {
            *own = *bytes;
        }
        value(u64::from_le_bytes(word))
    }));
}

/// Appends entries in ascending order; equal values become one.
pub(super) fn write_counted(tag: Tag, entries: impl Iterator<Item = Entry>, out: &mut Vec<u8>) {
    let (mut count, mut weight) = (0u32, 0u64);
    let mut body = Vec::new();
    let mut first = None;
    let mut held: Option<Entry> = None;
    let mut last = 0;
    let mut put = |entry: Entry, last: &mut i64| {
        varint(entry.value.wrapping_sub(*last).cast_unsigned(), &mut body);
        varint(entry.weight, &mut body);
        *last = entry.value;
        count += 1;
        weight = weight.saturating_add(entry.weight);
    };
    for entry in entries {
        if first.is_none() {
            first = Some(entry.value);
            last = entry.value;
        }
        match &mut held {
            Some(own) if own.value == entry.value => {
                own.weight = own.weight.saturating_add(entry.weight);
            }
            _ => {
                if let Some(own) = held.replace(entry) {
                    put(own, &mut last);
                }
            }
        }
    }
    let (Some(min), Some(own)) = (first, held) else {
        return;
    };
    put(own, &mut last);
    grow(out, COUNTED_HEADER + body.len());
    out.extend([COUNTED, tag]);
    out.extend(count.to_le_bytes());
    out.extend(weight.to_le_bytes());
    out.extend(min.to_le_bytes());
    out.extend(own.value.to_le_bytes());
    out.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.append(&mut body);
}

/// Up to here room is made twofold: growing in small steps would copy small groups again and again.
const DOUBLED: usize = 64 << 10;

/// Makes room, in steps that waste at most a quarter of what is large.
fn grow(bytes: &mut Vec<u8>, more: usize) {
    if bytes.capacity() - bytes.len() < more {
        let step = if bytes.len() < DOUBLED { 1 } else { 4 };
        bytes.reserve_exact(more.max(bytes.len() / step));
    }
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

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let [byte] = take(rest)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The blocks that stand in `bytes`; a `None` among them ends them, since what follows is not readable.
pub(super) fn blocks(mut bytes: &[u8]) -> impl Iterator<Item = Option<Block<'_>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let block = read(&mut bytes);
        if block.is_none() {
            bytes = &[];
        }
        Some(block)
    })
}

fn read<'a>(rest: &mut &'a [u8]) -> Option<Block<'a>> {
    let [kind, tag] = take(rest)?;
    match kind {
        PLAIN => read_plain(tag, rest),
        COUNTED => read_counted(tag, rest),
        _ => None,
    }
}

fn read_plain<'a>(tag: Tag, rest: &mut &'a [u8]) -> Option<Block<'a>> {
    let [shift, width] = take(rest)?;
    let count = u32::from_le_bytes(take(rest)?);
    let min = i64::from_le_bytes(take(rest)?);
    let mut largest = [0; WORD];
    let (own, after) = rest.split_at_checked(usize::from(width))?;
    largest.get_mut(..own.len())?.copy_from_slice(own);
    let len = usize::try_from(count).ok()?.checked_mul(own.len())?;
    let (packed, after) = after.split_at_checked(len)?;
    *rest = after;
    // What is shifted out altogether is nothing.
    let scale = 1u64.checked_shl(u32::from(shift)).unwrap_or(0);
    let largest = u64::from_le_bytes(largest).wrapping_mul(scale);
    Some(Block {
        tag,
        count,
        weight: u64::from(count),
        min,
        max: min.wrapping_add(largest.cast_signed()),
        body: Body::Plain {
            scale,
            width,
            packed,
        },
    })
}

fn read_counted<'a>(tag: Tag, rest: &mut &'a [u8]) -> Option<Block<'a>> {
    let count = u32::from_le_bytes(take(rest)?);
    let weight = u64::from_le_bytes(take(rest)?);
    let min = i64::from_le_bytes(take(rest)?);
    let max = i64::from_le_bytes(take(rest)?);
    let len = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
    let (entries, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(Block {
        tag,
        count,
        weight,
        min,
        max,
        body: Body::Counted(entries),
    })
}

impl<'a> Block<'a> {
    /// Whether it holds distinct values with their weights.
    pub(super) fn is_counted(&self) -> bool {
        matches!(self.body, Body::Counted(_))
    }

    /// Bits in which its values differ from its smallest one, coarsely: none below the shift.
    pub(super) fn grain(&self) -> u64 {
        match self.body {
            Body::Plain { width: 0, .. } => 0,
            Body::Plain { scale, .. } => scale,
            Body::Counted(_) => 1,
        }
    }

    /// Reads its values, and their weights if it is counted (none weigh 1 then, or all do).
    pub(super) fn read(&self, values: &mut Vec<i64>, weights: &mut Vec<u64>) {
        values.clear();
        weights.clear();
        self.append(values, weights);
    }

    /// As [`Block::read`], behind what is there.
    pub(super) fn append(&self, values: &mut Vec<i64>, weights: &mut Vec<u64>) {
        let min = self.min;
        match self.body {
            Body::Plain {
                scale,
                width,
                packed,
            } => {
                let value =
                    |number: u64| min.wrapping_add(number.wrapping_mul(scale).cast_signed());
                match width {
                    0 => values.extend((0..self.count).map(|_| min)),
                    1 => unpack::<1>(packed, value, values),
                    2 => unpack::<2>(packed, value, values),
                    3 => unpack::<3>(packed, value, values),
                    4 => unpack::<4>(packed, value, values),
                    5 => unpack::<5>(packed, value, values),
                    6 => unpack::<6>(packed, value, values),
                    7 => unpack::<7>(packed, value, values),
                    _ => unpack::<8>(packed, value, values),
                }
            }
            Body::Counted(mut rest) => {
                let mut last = min;
                while let (Some(step), Some(weight)) =
                    (read_varint(&mut rest), read_varint(&mut rest))
                {
                    last = last.wrapping_add(step.cast_signed());
                    values.push(last);
                    weights.push(weight);
                }
            }
        }
    }
}
