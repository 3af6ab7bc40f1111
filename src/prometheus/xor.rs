//! Chunks of type XOR, the way in which Prometheus stores the floats of a series: Gorilla's scheme.
//!
//! A chunk is a count (16 bits, big-endian) and a stream of bits, highest first:
//!
//! - first sample: time as a zig-zag varint, value as 64 raw bits;
//! - second sample: the time's delta as a varint, then a value field;
//! - all others: the change of the delta (`0`: none; `10`, `110`, `1110`: 14, 17, 20 bits; `1111`: 64
//!   bits), then a value field.
//!
//! A value field is `0` (the same value), or the exclusive or with the value before: `10` and the bits
//! inside the window of the last one, or `11`, 5 bits of leading zeros, 6 bits of length (0 is 64), and
//! so many bits. It comes from outside: bounded by its own length, and every shift is checked.

/// The bits end too early, or say what no writer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadChunk;

/// Sizes of a changed delta by the number of ones before it.
const DELTA_BITS: [usize; 5] = [0, 14, 17, 20, 64];

/// Hands every sample of a chunk to `sink`, in the order in which they were written.
///
/// # Errors
/// [`BadChunk`], or what `sink` says.
pub(super) fn decode<E: From<BadChunk>>(
    chunk: &[u8],
    mut sink: impl FnMut(i64, f64) -> Result<(), E>,
) -> Result<(), E> {
    let (count, bytes) = chunk.split_first_chunk::<2>().ok_or(BadChunk)?;
    let count = u16::from_be_bytes(*count);
    let mut bits = Bits::of(bytes);
    let mut cell = Cell::default();
    for index in 0..count {
        match index {
            0 => cell.first(&mut bits),
            1 => cell.second(&mut bits),
            _ => cell.next(&mut bits),
        }
        .ok_or(BadChunk)?;
        sink(cell.time, f64::from_bits(cell.value))?;
    }
    Ok(())
}

/// The sample before, and what the next one is written in relation to.
#[derive(Debug, Default)]
struct Cell {
    time: i64,
    delta: i64,
    value: u64,
    /// Zeros behind the window of the last exclusive or, and the window's size.
    trailing: usize,
    size: usize,
}

impl Cell {
    fn first(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let zigzag = bits.varint()?;
        self.time = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        self.value = bits.take_wide(64)?;
        // Until a window is written, all 64 bits are it.
        self.size = 64;
        Some(())
    }

    fn second(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.delta = bits.varint()?.cast_signed();
        self.time = self.time.wrapping_add(self.delta);
        self.value_field(bits)
    }

    fn next(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let size = *DELTA_BITS.get(bits.ones(4)?)?;
        if size > 0 {
            let change = bits.take_wide(size)?;
            // The range is lopsided: -(2^(size-1) - 1) to 2^(size-1).
            let half = 1_u64 << (size - 1);
            let change = if size < 64 && change > half {
                change.wrapping_sub(half << 1)
            } else {
                change
            };
            self.delta = self.delta.wrapping_add(change.cast_signed());
        }
        self.time = self.time.wrapping_add(self.delta);
        self.value_field(bits)
    }

    fn value_field(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        match bits.ones(2)? {
            0 => return Some(()),
            1 => {}
            _ => {
                let leading = usize::try_from(bits.take(5)?).ok()?;
                let size = usize::try_from(bits.take(6)?).ok()?;
                self.size = if size == 0 { 64 } else { size };
                self.trailing = 64_usize.checked_sub(leading + self.size)?;
            }
        }
        self.value ^= bits.take_wide(self.size)? << self.trailing;
        Some(())
    }
}

/// A stream of bits, highest first.
#[derive(Debug)]
struct Bits<'a> {
    bytes: &'a [u8],
    /// The next bits, from the top. Below the `have` that are accounted for stand bits of `bytes`
    /// again, or zeros.
    buffer: u64,
    have: usize,
}

impl<'a> Bits<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            buffer: 0,
            have: 0,
        }
    }

    /// At least 56 bits in the buffer, or all that are left.
    fn refill(&mut self) {
        if let Some(chunk) = self.bytes.first_chunk::<8>() {
            self.buffer |= u64::from_be_bytes(*chunk) >> self.have;
            let whole = (63 - self.have) / 8;
            self.bytes = self.bytes.get(whole..).unwrap_or_default();
            self.have += whole * 8;
        } else {
            while self.have <= 56
                && let Some((&byte, rest)) = self.bytes.split_first()
            {
                self.buffer |= u64::from(byte) << (56 - self.have);
                self.bytes = rest;
                self.have += 8;
            }
        }
    }

    /// `count` bits, 1 to 56.
    fn take(&mut self, count: usize) -> Option<u64> {
        if self.have < count {
            self.refill();
        }
        self.have = self.have.checked_sub(count)?;
        let bits = self.buffer >> (64 - count);
        self.buffer <<= count;
        Some(bits)
    }

    /// `count` bits, 1 to 64.
    fn take_wide(&mut self, count: usize) -> Option<u64> {
        match count.checked_sub(32) {
            None | Some(0) => self.take(count),
            Some(low) => Some((self.take(32)? << low) | self.take(low)?),
        }
    }

    /// How many ones come before a zero, which is passed over, too; at most `max`, without a zero.
    fn ones(&mut self, max: usize) -> Option<usize> {
        if self.have < 8 {
            self.refill();
        }
        let ones = usize::try_from(self.buffer.leading_ones()).ok()?.min(max);
        self.take((ones + 1).min(max))?;
        Some(ones)
    }

    /// Seven bits a byte, lowest first, at most 64 bits.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(8)?;
            let group = byte & 0x7f;
            if shift == 63 && group > 1 {
                return None;
            }
            value |= group << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
