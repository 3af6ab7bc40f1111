//! Remote read's streamed answers, as a server writes them: XOR chunks, messages, frames.
//!
//! Written a second time here, from the server's side, for the same reason as `fake_prometheus`.

use crate::source_port::RawSeries;
use prost::Message as _;

#[derive(Clone, PartialEq, prost::Message)]
struct ChunkedReadResponse {
    #[prost(message, repeated, tag = "1")]
    chunked_series: Vec<ChunkedSeries>,
    #[prost(int64, tag = "2")]
    query_index: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ChunkedSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    chunks: Vec<Chunk>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Chunk {
    #[prost(int64, tag = "1")]
    min_time_ms: i64,
    #[prost(int64, tag = "2")]
    max_time_ms: i64,
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(bytes = "vec", tag = "4")]
    data: Vec<u8>,
}

/// The number of chunk type XOR.
pub const XOR: i32 = 1;
/// Samples per chunk, as Prometheus cuts them.
const CHUNK_SAMPLES: usize = 120;

/// A streamed answer with all samples of these series, a frame each.
#[must_use]
pub fn streamed_response(series: &[RawSeries]) -> Vec<u8> {
    let frames = series.iter().map(|series| {
        let chunks = series.samples.chunks(CHUNK_SAMPLES);
        let chunks: Vec<_> = chunks.map(|samples| (XOR, xor_chunk(samples))).collect();
        frame(&message(series, &chunks))
    });
    frames.collect::<Vec<_>>().concat()
}

/// A message with one series: its labels, and chunks by type and content instead of its samples.
#[must_use]
pub fn message(series: &RawSeries, chunks: &[(i32, Vec<u8>)]) -> Vec<u8> {
    let named = std::iter::once(("__name__", series.name.as_str()));
    let labels = series
        .labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let labels = named.chain(labels).map(|(name, value)| Label {
        name: name.to_owned(),
        value: value.to_owned(),
    });
    let chunks = chunks.iter().map(|(kind, data)| Chunk {
        min_time_ms: 0,
        max_time_ms: i64::MAX,
        kind: *kind,
        data: data.clone(),
    });
    ChunkedReadResponse {
        chunked_series: vec![ChunkedSeries {
            labels: labels.collect(),
            chunks: chunks.collect(),
        }],
        query_index: 0,
    }
    .encode_to_vec()
}

/// A message in its frame.
#[must_use]
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 9);
    prost::encoding::encode_varint(crate::num::len_u64(message.len()), &mut bytes);
    bytes.extend_from_slice(&crc32c::crc32c(message).to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}

/// The chunk of at most 65,535 samples; the server's appender, step by step.
#[must_use]
pub fn xor_chunk(samples: &[(i64, f64)]) -> Vec<u8> {
    let mut out = BitWriter::default();
    let (mut time, mut delta, mut value) = (0_i64, 0_i64, 0_u64);
    let mut window = None;
    for (index, (ts, new)) in samples.iter().enumerate() {
        let new = new.to_bits();
        let now = ts.wrapping_sub(time);
        match index {
            0 => {
                out.varint(((ts << 1) ^ (ts >> 63)).cast_unsigned());
                out.bits(new, 64);
            }
            1 => out.varint(now.cast_unsigned()),
            _ => out.change(now.wrapping_sub(delta)),
        }
        if index > 0 {
            delta = now;
            window = out.value(new ^ value, window);
        }
        (time, value) = (*ts, new);
    }
    let count = u16::try_from(samples.len()).unwrap_or(u16::MAX);
    [&count.to_be_bytes()[..], &out.bytes].concat()
}

/// Writes bits, highest first.
#[derive(Debug, Default)]
pub struct BitWriter {
    /// What was written, with zeros behind the last bit.
    pub bytes: Vec<u8>,
    used: usize,
}

impl BitWriter {
    /// The lowest `count` bits of `value`.
    pub fn bits(&mut self, value: u64, count: usize) {
        for at in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = u8::from((value >> at) & 1 == 1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.used % 8);
            }
            self.used += 1;
        }
    }

    /// Seven bits a byte, lowest first.
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bits((value & 0x7f) | 0x80, 8);
            value >>= 7;
        }
        self.bits(value, 8);
    }

    fn change(&mut self, change: i64) {
        let sizes = [(14, 0b10, 2), (17, 0b110, 3), (20, 0b1110, 4)];
        let fits = |size: usize| (-(1_i64 << (size - 1)) < change) && change <= 1 << (size - 1);
        if change == 0 {
            self.bits(0, 1);
        } else if let Some((size, prefix, ones)) = sizes.into_iter().find(|size| fits(size.0)) {
            self.bits(prefix, ones);
            self.bits(change.cast_unsigned(), size);
        } else {
            self.bits(0b1111, 4);
            self.bits(change.cast_unsigned(), 64);
        }
    }

    /// The value field; the window of the next one.
    fn value(&mut self, xor: u64, window: Option<(u32, u32)>) -> Option<(u32, u32)> {
        let size = |(leading, trailing): (u32, u32)| {
            usize::try_from(64 - leading - trailing).unwrap_or_default()
        };
        let tight = (xor.leading_zeros().min(31), xor.trailing_zeros());
        if xor == 0 {
            self.bits(0, 1);
            return window;
        }
        if let Some(wide) = window.filter(|wide| tight.0 >= wide.0 && tight.1 >= wide.1) {
            self.bits(0b10, 2);
            self.bits(xor >> wide.1, size(wide));
            return window;
        }
        self.bits(0b11, 2);
        self.bits(u64::from(tight.0), 5);
        self.bits(crate::num::len_u64(size(tight) % 64), 6);
        self.bits(xor >> tight.1, size(tight));
        Some(tight)
    }
}
