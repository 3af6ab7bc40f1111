//! Remote read: one query, one POST, in one of two forms of answer.
//!
//! All samples in one block (`samples`) is the cheaper form for usual jobs: the labels
//! are most of it, and only this form is compressed. Chunks (`chunks`) are for long
//! windows, where the server then has nothing to decode.

use super::chunks::Frames;
use super::client::{Body, Call, Client};
use super::fault::Denial;
use super::ladder::Slot;
use super::series::Unfit;
use super::site::Site;
use super::wire::{ReadRequest, ResponseType};
use super::{samples, select};
use crate::limits;
use crate::model::settle::HOPED_SCRAPE_INTERVAL_MS;
use crate::source_port::{RawSeries, SeriesRequest, SourceErrorKind};
use prost::Message as _;
use reqwest::Method;

const HEADERS: [(&str, &str); 4] = [
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("accept-encoding", "snappy"),
    ("x-prometheus-remote-read-version", "0.1.0"),
];
/// Of the answers, in the order of [`ResponseType`].
const MEDIA: [&str; 2] = ["application/x-protobuf", "application/x-streamed-protobuf"];
/// From here on chunks cost the server less (measured: 25 min at 15 s).
const CHUNKS_FROM_SAMPLES: i64 = 100;

/// All samples of the requested series in the window.
///
/// # Errors
/// As [`Denial`] says.
pub(super) async fn read(
    client: &Client,
    site: &Site<'_>,
    slot: &Slot,
    request: &SeriesRequest,
) -> Result<Vec<RawSeries>, Denial> {
    let answer = if is_long(request) && slot.takes_chunks() {
        let accepted = [ResponseType::StreamedXorChunks, ResponseType::Samples];
        let answer = ask(client, site, request, &accepted).await?;
        if matches!(answer, Err(Unfit::ChunkType(_))) {
            slot.refuse_chunks();
            ask(client, site, request, &[ResponseType::Samples]).await?
        } else {
            answer
        }
    } else {
        ask(client, site, request, &[ResponseType::Samples]).await?
    };
    answer.map_err(|unfit| site.error(SourceErrorKind::Invalid, unfit).into())
}

/// Whether each series has more than some 100 samples in the window.
fn is_long(request: &SeriesRequest) -> bool {
    let interval = request.region.scrape_interval_ms();
    let interval = interval.unwrap_or(HOPED_SCRAPE_INTERVAL_MS).max(1);
    request.range.len_ms() / interval > CHUNKS_FROM_SAMPLES
}

async fn ask(
    client: &Client,
    site: &Site<'_>,
    request: &SeriesRequest,
    accepted: &[ResponseType],
) -> Result<Result<Vec<RawSeries>, Unfit>, Denial> {
    let message = ReadRequest {
        queries: vec![select::query(request)],
        accepted_response_types: accepted.iter().map(|form| (*form).into()).collect(),
    };
    let body = snap::raw::Encoder::new()
        .compress_vec(&message.encode_to_vec())
        .map_err(|error| site.error(SourceErrorKind::Invalid, error))?;
    let call = Call {
        method: Method::POST,
        path: "/api/v1/read",
        headers: &HEADERS,
        body,
    };
    let reply = client.send(site, call).await?;
    // Only what was asked for is taken.
    let media = MEDIA.get(..accepted.len()).unwrap_or(&MEDIA);
    let body = reply.body(media, limits::FETCH_BYTES_MAX).await?;
    if body.media() == 0 {
        return Ok(samples::series(&body.whole().await?, request));
    }
    streamed(body, request).await
}

async fn streamed(
    mut body: Body<'_>,
    request: &SeriesRequest,
) -> Result<Result<Vec<RawSeries>, Unfit>, Denial> {
    let mut frames = Frames::new(request);
    while let Some(piece) = body.piece().await? {
        if let Err(unfit) = frames.push(&piece) {
            // The rest is not waited for: the connection is closed.
            return Ok(Err(unfit));
        }
    }
    Ok(frames.finish())
}
