//! The encodings of segment files, a page at a time, into vectors: the counterpart of
//! [`super::super::encode`], and of what the Parquet library writes into jobs files.
//!
//! Pure functions from bytes to values. Every length is checked against the bytes that are there and
//! against the number of values that the page's header names, so hostile bytes are errors.

use super::odd;
use crate::error::Result;
use crate::num;
use crate::wide::wide;

/// A physical integer of a column.
pub(super) trait Native: Copy + Default {
    /// The lower bits of `bits`.
    fn cut(bits: u64) -> Self;
    /// Appends the values of a BYTE_STREAM_SPLIT page of `count` values.
    fn byte_stream_split(bytes: &[u8], count: usize, out: &mut Vec<Self>) -> Option<()>;
    /// Appends the values of a PLAIN page of `count` values.
    fn plain(bytes: &[u8], count: usize, out: &mut Vec<Self>) -> Option<()>;
}

/// The first `N` streams of `count` bytes each.
fn streams<const N: usize>(bytes: &[u8], count: usize) -> Option<[&[u8]; N]> {
    let mut rest = bytes;
    let mut streams: [&[u8]; N] = [&[]; N];
    for stream in &mut streams {
        (*stream, rest) = rest.split_at_checked(count)?;
    }
    rest.is_empty().then_some(streams)
}

/// Words of four streams, the lowest byte first.
#[inline(always)]
fn words(streams: [&[u8]; 4]) -> impl Iterator<Item = u32> {
    let [a, b, c, d] = streams;
    let low = a.iter().zip(b);
    let high = c.iter().zip(d);
    low.zip(high)
        .map(|((a, b), (c, d))| u32::from_le_bytes([*a, *b, *c, *d]))
}

impl Native for i32 {
    fn cut(bits: u64) -> Self {
        let [a, b, c, d, ..] = bits.to_le_bytes();
        Self::from_le_bytes([a, b, c, d])
    }

    fn byte_stream_split(bytes: &[u8], count: usize, out: &mut Vec<Self>) -> Option<()> {
        let streams = streams::<4>(bytes, count)?;
        wide(|| out.extend(words(streams).map(u32::cast_signed)));
        Some(())
    }

    fn plain(bytes: &[u8], count: usize, out: &mut Vec<Self>) -> Option<()> {
        let (values, []) = bytes.as_chunks::<4>() else {
            return None;
        };
        out.extend(values.iter().map(|value| Self::from_le_bytes(*value)));
        (values.len() == count).then_some(())
    }
}

impl Native for i64 {
    fn cut(bits: u64) -> Self {
        bits.cast_signed()
    }

    fn byte_stream_split(bytes: &[u8], count: usize, out: &mut Vec<Self>) -> Option<()> {
        let [a, b, c, d, e, f, g, h] = streams::<8>(bytes, count)?;
        // In halves: the compiler joins four streams with vector instructions, but not eight.
        let low: Vec<u32> = wide(|| words([a, b, c, d]).collect());
        let high: Vec<u32> = wide(|| words([e, f, g, h]).collect());
        let halves = low.iter().zip(&high);
        let joined = halves.map(|(low, high)| u64::from(*high) << 32 | u64::from(*low));
        wide(|| out.extend(joined.map(u64::cast_signed)));
        Some(())
    }

    fn plain(bytes: &[u8], count: usize, out: &mut Vec<Self>) -> Option<()> {
        let (values, []) = bytes.as_chunks::<8>() else {
            return None;
        };
        out.extend(values.iter().map(|value| Self::from_le_bytes(*value)));
        (values.len() == count).then_some(())
    }
}

/// A cursor over a page.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }
}

/// Values per block that a page of ours or of the library may have; more would be an attack.
const BLOCK_MAX: usize = 4_096;

/// Appends the `count` values of a DELTA_BINARY_PACKED page. Arithmetic wraps, as the format says.
///
/// # Errors
/// `Data` if the bytes are no such page.
pub(super) fn delta<T: Native>(bytes: &[u8], count: usize, out: &mut Vec<T>) -> Result<()> {
    let read = delta_from(&mut Cursor(bytes), count, out);
    read.ok_or_else(|| odd("a page of differences is damaged"))
}

fn delta_from<T: Native>(cursor: &mut Cursor<'_>, count: usize, out: &mut Vec<T>) -> Option<()> {
    let block = num::to_usize(cursor.varint()?);
    let miniblocks = num::to_usize(cursor.varint()?);
    let total = num::to_usize(cursor.varint()?);
    let mut last = cursor.zigzag()?;
    let sized = miniblocks > 0 && block <= BLOCK_MAX && block.is_multiple_of(miniblocks);
    let mini = if sized { block / miniblocks } else { 0 };
    if total != count || mini == 0 || !mini.is_multiple_of(32) {
        // A page without values may say anything of its blocks.
        return (count == 0 && total == 0).then_some(());
    }
    if count == 0 {
        return Some(());
    }
    out.reserve(count);
    out.push(T::cut(last.cast_unsigned()));
    let mut left = count - 1;
    while left > 0 {
        let smallest = cursor.zigzag()?;
        let widths = cursor.take(miniblocks)?;
        for width in widths {
            if left == 0 {
                break;
            }
            let used = left.min(mini);
            let packed = cursor.take(mini * usize::from(*width) / 8)?;
            unpack(packed, *width, used, |residual| {
                last = last
                    .wrapping_add(smallest)
                    .wrapping_add(residual.cast_signed());
                out.push(T::cut(last.cast_unsigned()));
            })?;
            left -= used;
        }
    }
    Some(())
}

/// Visits `count` values of `width` bits each, the lowest bit first.
fn unpack(packed: &[u8], width: u8, count: usize, mut visit: impl FnMut(u64)) -> Option<()> {
    match width {
        0 => (0..count).for_each(|_| visit(0)),
        64 => {
            let (words, _) = packed.as_chunks::<8>();
            let words = words.get(..count)?;
            words
                .iter()
                .for_each(|word| visit(u64::from_le_bytes(*word)));
        }
        1..=IN_A_WORD => unpack_words(packed, usize::from(width), count, visit)?,
        58..64 => {
            let mask = (1u128 << width) - 1;
            let (mut held, mut bits) = (0u128, 0u32);
            let mut bytes = packed.iter();
            for _ in 0..count {
                while bits < u32::from(width) {
                    held |= u128::from(*bytes.next()?) << bits;
                    bits += 8;
                }
                visit(u64::try_from(held & mask).ok()?);
                held >>= width;
                bits -= u32::from(width);
            }
        }
        _ => return None,
    }
    Some(())
}

/// Widest values of which each lies in a word of 8 bytes, wherever in its first byte it begins.
const IN_A_WORD: u8 = 57;

/// [`unpack`] of such values: a word is read for each.
fn unpack_words(
    packed: &[u8],
    width: usize,
    count: usize,
    mut visit: impl FnMut(u64),
) -> Option<()> {
    if packed.len() < count.checked_mul(width)?.div_ceil(8) {
        return None;
    }
    let mask = (1u64 << width) - 1;
    let mut value = |bytes: &[u8], bit: usize| {
        let word = bytes.get(bit / 8..).and_then(<[u8]>::first_chunk);
        let word = word.map_or(0, |word| u64::from_le_bytes(*word));
        visit(word >> (bit % 8) & mask);
    };
    // Those that have a whole word behind their first byte.
    let whole = packed.len().checked_sub(8);
    let whole = whole.map_or(0, |last| ((8 * last + 7) / width + 1).min(count));
    (0..whole).for_each(|number| value(packed, number * width));
    let start = whole * width / 8;
    let mut end = [0u8; 16];
    for (to, from) in end.iter_mut().zip(packed.get(start..)?) {
        *to = *from;
    }
    (whole..count).for_each(|number| value(&end, number * width - 8 * start));
    Some(())
}

/// Visits the runs of a page of the hybrid of runs and packed bits: value and length. Says `None` if
/// the bytes do not hold `count` values.
pub(super) fn hybrid(
    bytes: &[u8],
    width: u8,
    count: usize,
    mut run: impl FnMut(u32, usize),
) -> Option<()> {
    if width > 32 {
        return None;
    }
    let mut cursor = Cursor(bytes);
    let mut left = count;
    while left > 0 {
        let header = cursor.varint()?;
        let len = num::to_usize(header >> 1);
        if header & 1 == 1 {
            let values = len.checked_mul(8)?;
            let packed = cursor.take(len.checked_mul(usize::from(width))?)?;
            let used = values.min(left);
            unpack(packed, width, used, |value| {
                run(u32::try_from(value).unwrap_or(u32::MAX), 1);
            })?;
            left -= used;
            if used == 0 {
                return None;
            }
        } else {
            let bytes = cursor.take(usize::from(width.div_ceil(8)))?;
            let mut value = [0u8; 4];
            for (to, from) in value.iter_mut().zip(bytes) {
                *to = *from;
            }
            let used = len.min(left);
            if used == 0 {
                return None;
            }
            run(u32::from_le_bytes(value), used);
            left -= used;
        }
    }
    Some(())
}

/// The `count` texts of a PLAIN page, each with its length in front.
pub(super) fn texts(bytes: &[u8], count: usize) -> Option<Vec<&[u8]>> {
    let mut cursor = Cursor(bytes);
    let mut texts = Vec::with_capacity(count.min(bytes.len()));
    for _ in 0..count {
        let len: [u8; 4] = cursor.take(4)?.try_into().ok()?;
        texts.push(cursor.take(num::to_usize(u64::from(u32::from_le_bytes(len))))?);
    }
    Some(texts)
}

/// The `count` texts of a DELTA_BYTE_ARRAY page, one behind the other, and where each ends.
pub(super) fn prefixed(bytes: &[u8], count: usize) -> Option<(Vec<u8>, Vec<usize>)> {
    let mut cursor = Cursor(bytes);
    let (mut prefixes, mut suffixes) = (Vec::<i32>::new(), Vec::<i32>::new());
    delta_from(&mut cursor, count, &mut prefixes)?;
    delta_from(&mut cursor, count, &mut suffixes)?;
    let mut texts: Vec<u8> = Vec::with_capacity(2 * bytes.len());
    let mut ends = Vec::with_capacity(count.min(bytes.len()));
    let mut last = 0..0;
    for (prefix, suffix) in prefixes.into_iter().zip(suffixes) {
        let prefix = usize::try_from(prefix)
            .ok()
            .filter(|len| *len <= last.len())?;
        let start = texts.len();
        // What a page may become is bounded like a page.
        if start + prefix > super::PAGE_BYTES_MAX {
            return None;
        }
        texts.extend_from_within(last.start..last.start + prefix);
        texts.extend_from_slice(cursor.take(usize::try_from(suffix).ok()?)?);
        last = start..texts.len();
        ends.push(texts.len());
    }
    Some((texts, ends))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::encode;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_our_encoders_write_is_read(values in prop::collection::vec(any::<i64>(), 0..700), narrow in prop::collection::vec(any::<i32>(), 0..700)) {
            let (mut bytes, mut read) = (Vec::new(), Vec::new());
            encode::byte_stream_split(&values, &mut bytes);
            i64::byte_stream_split(&bytes, values.len(), &mut read).unwrap();
            prop_assert_eq!(&read, &values);
            bytes.clear();
            read.clear();
            encode::delta(&values, &mut bytes);
            delta(&bytes, values.len(), &mut read).unwrap();
            prop_assert_eq!(&read, &values);
            bytes.clear();
            read.clear();
            encode::times(&values, &values, &mut bytes);
            delta(&bytes, values.len(), &mut read).unwrap();
            prop_assert_eq!(&read, &values);
            let mut read = Vec::new();
            bytes.clear();
            encode::byte_stream_split(&narrow, &mut bytes);
            i32::byte_stream_split(&bytes, narrow.len(), &mut read).unwrap();
            prop_assert_eq!(&read, &narrow);
            bytes.clear();
            read.clear();
            encode::delta(&narrow, &mut bytes);
            delta(&bytes, narrow.len(), &mut read).unwrap();
            prop_assert_eq!(&read, &narrow);
        }

        #[test]
        fn every_width_is_unpacked(width in 0u8..=64, values in prop::collection::vec(any::<u64>(), 0..100), behind in 0usize..12) {
            let values: Vec<u64> = values.iter().map(|own| own & u64::MAX.checked_shr(64 - u32::from(width)).unwrap_or(0)).collect();
            let bits = values.iter().flat_map(|own| (0..width).map(move |bit| own >> bit & 1 == 1));
            let bits: Vec<bool> = bits.collect();
            let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
            let mut packed: Vec<u8> = bits.chunks(8).map(byte).collect();
            let len = packed.len();
            packed.resize(len + behind, 0xff);
            let mut read = Vec::new();
            unpack(&packed, width, values.len(), |own| read.push(own)).unwrap();
            prop_assert_eq!(&read, &values);
            let cut = len.checked_sub(1).map(|cut| unpack(&packed[..cut], width, values.len(), drop));
            prop_assert!(cut.flatten().is_none());
        }

        #[test]
        fn levels_and_indices_are_read(present in prop::collection::vec(any::<bool>(), 1..300), indices in prop::collection::vec(0u32..1_000, 1..300)) {
            let mut bytes = Vec::new();
            let there = present.iter().filter(|own| **own).count();
            encode::levels(&present, there, &mut bytes);
            let mut read = Vec::new();
            hybrid(&bytes, 1, present.len(), |value, len| read.resize(read.len() + len, value == 1)).unwrap();
            prop_assert_eq!(&read, &present);
            bytes.clear();
            encode::indices(&indices, 1_000, &mut bytes);
            let mut read = Vec::new();
            let (width, rest) = bytes.split_first().unwrap();
            hybrid(rest, *width, indices.len(), |value, len| read.resize(read.len() + len, value)).unwrap();
            prop_assert_eq!(&read, &indices);
        }

        #[test]
        fn hostile_pages_are_errors_or_values(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0usize..300, width in any::<u8>()) {
            let mut out: Vec<i64> = Vec::new();
            if delta(&bytes, count, &mut out).is_ok() {
                prop_assert_eq!(out.len(), count);
            }
            let mut seen = 0;
            if hybrid(&bytes, width, count, |_, len| seen += len).is_some() {
                prop_assert_eq!(seen, count);
            }
            if let Some(texts) = texts(&bytes, count) {
                prop_assert_eq!(texts.len(), count);
            }
            if let Some((_, ends)) = prefixed(&bytes, count) {
                prop_assert_eq!(ends.len(), count);
            }
        }
    }
}
