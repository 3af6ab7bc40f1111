//! One read: one query, one POST, one answer that is verified before anyone sees it.

use super::client::{Call, Client};
use super::decode;
use super::select;
use super::site::Site;
use super::wire::{ReadRequest, ResponseType};
use crate::limits;
use crate::source_port::{RawSeries, SeriesRequest, SourceError, SourceErrorKind};
use prost::Message as _;
use reqwest::Method;

const HEADERS: [(&str, &str); 4] = [
    ("content-type", "application/x-protobuf"),
    ("content-encoding", "snappy"),
    ("accept-encoding", "snappy"),
    ("x-prometheus-remote-read-version", "0.1.0"),
];

/// All samples of the requested series in the window.
///
/// # Errors
/// As [`crate::source_port::SourceErrorKind`] says.
pub(super) async fn read(
    client: &Client,
    request: &SeriesRequest,
) -> Result<Vec<RawSeries>, SourceError> {
    let site = Site::new(&request.region_name, &request.region)?;
    let invalid = |what: &dyn std::fmt::Display| site.error(SourceErrorKind::Invalid, what);
    let query = select::query(request).map_err(|what| invalid(&what))?;
    if request.range.is_empty() {
        // An inclusive range cannot say "nothing"; the server would call it an error.
        return Ok(Vec::new());
    }
    let message = ReadRequest {
        queries: vec![query],
        accepted_response_types: vec![ResponseType::Samples.into()],
    };
    let body = snap::raw::Encoder::new()
        .compress_vec(&message.encode_to_vec())
        .map_err(|error| invalid(&error))?;
    let call = Call {
        method: Method::POST,
        path: "/api/v1/read",
        headers: &HEADERS,
        body,
    };
    let reply = client.send(&site, call).await?;
    let answer = reply
        .body("application/x-protobuf", limits::FETCH_BYTES_MAX)
        .await?;
    decode::series(&answer, request).map_err(|unfit| invalid(&unfit))
}
