//! The answer in pieces: frames with chunks, as the server stores them, decoded while they arrive.
//!
//! A frame is the length of its message (varint), the message's CRC-32C (4 bytes, big-endian) and the
//! message, a `ChunkedReadResponse`. There is no frame that says "the end": the connection's end
//! between two frames is it.

use super::series::{Gather, Pieces, Unfit, push_label};
use super::wire::{self, Chunk, Fields};
use super::xor::{self, BadChunk};
use crate::limits;
use crate::source_port::{RawSeries, SeriesRequest};
use prost::Message as _;

impl From<BadChunk> for Unfit {
    fn from(_: BadChunk) -> Self {
        Self::BadChunk
    }
}

/// Decodes a streamed answer.
#[derive(Debug)]
pub(super) struct Frames<'a> {
    gather: Gather<'a>,
    /// The part of a frame that has arrived.
    rest: Vec<u8>,
}

impl<'a> Frames<'a> {
    pub(super) fn new(request: &'a SeriesRequest) -> Self {
        Self {
            gather: Gather::new(request, Pieces::Many),
            rest: Vec::new(),
        }
    }

    /// Takes the next bytes of the answer.
    ///
    /// # Errors
    /// The first thing that is wrong with a frame.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Unfit> {
        self.rest.extend_from_slice(bytes);
        let mut open = self.rest.as_slice();
        while let Some((message, behind)) = frame(open)? {
            one_message(message, &mut self.gather)?;
            open = behind;
        }
        let done = self.rest.len() - open.len();
        self.rest.drain(..done);
        Ok(())
    }

    /// The verified series.
    ///
    /// # Errors
    /// If the answer ends inside a frame.
    pub(super) fn finish(self) -> Result<Vec<RawSeries>, Unfit> {
        if !self.rest.is_empty() {
            return Err(Unfit::BadFrame);
        }
        self.gather.finish()
    }
}

/// A frame's message and the bytes behind the frame.
type Parted<'a> = (&'a [u8], &'a [u8]);

/// The first frame's message and what stands behind it; `None` if it is not all there.
fn frame(bytes: &[u8]) -> Result<Option<Parted<'_>>, Unfit> {
    // Two spare bits of the fifth byte are tolerated: the length is bounded next.
    let Some(end) = bytes.iter().take(5).position(|byte| *byte < 0x80) else {
        return if bytes.len() < 5 {
            Ok(None)
        } else {
            Err(Unfit::BadFrame)
        };
    };
    let (length, behind) = bytes.split_at_checked(end + 1).unwrap_or_default();
    let length = length
        .iter()
        .rev()
        .fold(0_u64, |length, byte| (length << 7) | u64::from(byte & 0x7f));
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > limits::FETCH_BYTES_MAX {
        return Err(Unfit::TooLarge);
    }
    let Some((sum, behind)) = behind.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let Some((message, behind)) = behind.split_at_checked(length) else {
        return Ok(None);
    };
    if crc32c::crc32c(message) != u32::from_be_bytes(*sum) {
        return Err(Unfit::BadFrame);
    }
    Ok(Some((message, behind)))
}

fn one_message(message: &[u8], gather: &mut Gather<'_>) -> Result<(), Unfit> {
    for field in Fields::of(message) {
        if let (wire::CHUNKED_SERIES, bytes) = field? {
            one_series(bytes, gather)?;
        }
    }
    Ok(())
}

fn one_series(bytes: &[u8], gather: &mut Gather<'_>) -> Result<(), Unfit> {
    let mut labels = Vec::new();
    for field in Fields::of(bytes) {
        match field? {
            (wire::LABEL, bytes) => push_label(bytes, &mut labels)?,
            (wire::CHUNK, bytes) => {
                let chunk = Chunk::decode(bytes)?;
                if chunk.r#type != wire::XOR {
                    return Err(Unfit::ChunkType(chunk.r#type));
                }
                xor::decode(&chunk.data, |ts, value| gather.sample(ts, value))?;
            }
            _ => {}
        }
    }
    gather.labels(labels)
}

#[cfg(test)]
mod tests;
