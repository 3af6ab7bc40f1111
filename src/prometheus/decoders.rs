//! The decoders alone, from the bytes of an answer to its series, for the benches.

use super::chunks::Frames;
use super::export::Lines;
use super::samples;
use super::series::Unfit;
use crate::error::Error;
use crate::source_port::{RawSeries, SeriesRequest};

fn unfit(unfit: Unfit) -> Error {
    Error::data("unfit_answer", "the answer cannot be used").with_source(unfit)
}

/// The answer of remote read in one block.
///
/// # Errors
/// `Data` for an answer that is refused.
pub fn samples(body: &[u8], request: &SeriesRequest) -> Result<Vec<RawSeries>, Error> {
    samples::series(body, request).map_err(unfit)
}

/// The streamed answer of remote read.
///
/// # Errors
/// `Data` for an answer that is refused.
pub fn chunks(body: &[u8], request: &SeriesRequest) -> Result<Vec<RawSeries>, Error> {
    let mut frames = Frames::new(request);
    frames.push(body).map_err(unfit)?;
    frames.finish().map_err(unfit)
}

/// The answer of VictoriaMetrics' export.
///
/// # Errors
/// `Data` for an answer that is refused.
pub fn export(body: &[u8], request: &SeriesRequest) -> Result<Vec<RawSeries>, Error> {
    let mut lines = Lines::new(request);
    lines.push(body).map_err(unfit)?;
    lines.finish().map_err(unfit)
}
