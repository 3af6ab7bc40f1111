//! The answer in one piece: `ReadResponse`, all samples in one snappy block.

use super::series::{Gather, Pieces, Unfit, push_label};
use super::wire::{self, Fields, Sample};
use crate::limits;
use crate::source_port::{RawSeries, SeriesRequest};
use prost::Message as _;

/// The verified series of a compressed `ReadResponse`.
///
/// # Errors
/// The first thing that is wrong with the answer.
pub(super) fn series(compressed: &[u8], request: &SeriesRequest) -> Result<Vec<RawSeries>, Unfit> {
    let plain = unpack(compressed)?;
    let mut gather = Gather::new(request, Pieces::One);
    for field in Fields::of(only_result(&plain)?) {
        if let (wire::SERIES, bytes) = field? {
            one_series(bytes, &mut gather)?;
        }
    }
    gather.finish()
}

/// The declared size is checked before anything is allocated for it.
fn unpack(compressed: &[u8]) -> Result<Vec<u8>, Unfit> {
    let declared = snap::raw::decompress_len(compressed);
    match declared {
        Ok(length) if length <= limits::FETCH_BYTES_MAX => snap::raw::Decoder::new()
            .decompress_vec(compressed)
            .map_err(|_| Unfit::NotSnappy),
        Ok(_) | Err(snap::Error::TooBig { .. }) => Err(Unfit::TooLarge),
        Err(_) => Err(Unfit::NotSnappy),
    }
}

fn only_result(plain: &[u8]) -> Result<&[u8], Unfit> {
    let mut results = Fields::of(plain).filter_map(|field| match field {
        Ok((wire::RESULT, bytes)) => Some(Ok(bytes)),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    });
    let Some(first) = results.next().transpose()? else {
        return Err(Unfit::Results(0));
    };
    match results.next().transpose()? {
        None => Ok(first),
        Some(_) => Err(Unfit::Results(2 + results.count())),
    }
}

fn one_series(bytes: &[u8], gather: &mut Gather<'_>) -> Result<(), Unfit> {
    let mut labels = Vec::new();
    for field in Fields::of(bytes) {
        match field? {
            (wire::LABEL, bytes) => push_label(bytes, &mut labels)?,
            (wire::SAMPLE, bytes) => {
                let sample = Sample::decode(bytes)?;
                gather.sample(sample.timestamp, sample.value)?;
            }
            _ => {}
        }
    }
    gather.labels(labels)
}

#[cfg(test)]
mod tests;
