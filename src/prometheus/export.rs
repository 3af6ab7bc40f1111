//! VictoriaMetrics' `/api/v1/export`: raw samples as lines of JSON, decoded while they arrive.
//!
//! A line is `{"metric":{..},"values":[..],"timestamps":[..]}`, a series or a part of one. `null` is a
//! staleness marker (or a NaN: it does not tell them apart). It is almost JSON: infinities stand there
//! as bare words, so the two lists are read by hand. VictoriaMetrics rounds what it stores to some 15
//! decimal digits.

use super::api;
use super::client::Client;
use super::fault::Denial;
use super::json::{Labels, number};
use super::select;
use super::series::{Gather, Pieces, Unfit};
use super::site::Site;
use crate::limits;
use crate::source_port::{RawSeries, STALE, SeriesRequest, SourceErrorKind};

const MEDIA: [&str; 1] = ["application/stream+json"];

/// All samples of the requested series in the window.
///
/// # Errors
/// As [`Denial`] says.
pub(super) async fn read(
    client: &Client,
    site: &Site<'_>,
    request: &SeriesRequest,
) -> Result<Vec<RawSeries>, Denial> {
    let invalid = |unfit: Unfit| site.error(SourceErrorKind::Invalid, unfit);
    let selector =
        select::text(request).map_err(|what| site.error(SourceErrorKind::Refused, what))?;
    let (first, last) = request.range.to_inclusive();
    let call = api::form(
        "/api/v1/export",
        &[
            ("match[]", selector.as_str()),
            ("start", &select::seconds(first)),
            ("end", &select::seconds(last)),
        ],
    );
    let reply = client.send(site, call).await?;
    let mut body = reply.body(&MEDIA, limits::FETCH_BYTES_MAX).await?;
    let mut lines = Lines::new(request);
    while let Some(piece) = body.piece().await? {
        lines.push(&piece).map_err(invalid)?;
    }
    Ok(lines.finish().map_err(invalid)?)
}

/// Decodes the lines of an answer.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    gather: Gather<'a>,
    /// The part of a line that has arrived.
    rest: Vec<u8>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(request: &'a SeriesRequest) -> Self {
        Self {
            gather: Gather::new(request, Pieces::Many),
            rest: Vec::new(),
        }
    }

    /// Takes the next bytes of the answer.
    ///
    /// # Errors
    /// The first thing that is wrong with a line.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Unfit> {
        let mut parts = bytes.split(|byte| *byte == b'\n');
        self.rest
            .extend_from_slice(parts.next().unwrap_or_default());
        for begin in parts {
            line(&self.rest, &mut self.gather)?;
            self.rest.clear();
            self.rest.extend_from_slice(begin);
        }
        Ok(())
    }

    /// The verified series.
    ///
    /// # Errors
    /// If the answer ends inside a line.
    pub(super) fn finish(self) -> Result<Vec<RawSeries>, Unfit> {
        if !self.rest.is_empty() {
            return Err(Unfit::NotJson);
        }
        self.gather.finish()
    }
}

fn line(bytes: &[u8], gather: &mut Gather<'_>) -> Result<(), Unfit> {
    let text = std::str::from_utf8(bytes).map_err(|_| Unfit::NotJson)?;
    if text.is_empty() {
        return Ok(());
    }
    let (labels, values, times) = fields(text).ok_or(Unfit::NotJson)?;
    let mut times = times.split(',');
    for value in values.split(',') {
        let sample = times
            .next()
            .and_then(|ts| ts.parse().ok())
            .zip(one_value(value));
        let (ts, value) = sample.ok_or(Unfit::NotJson)?;
        gather.sample(ts, value)?;
    }
    if times.next().is_some() {
        return Err(Unfit::NotJson);
    }
    gather.labels(labels.0)
}

/// The labels, and the insides of the two lists. Their order is the one in which every version has
/// written them.
fn fields(text: &str) -> Option<(Labels, &str, &str)> {
    let rest = text.strip_prefix("{\"metric\":")?;
    let mut labels = serde_json::Deserializer::from_str(rest).into_iter::<Labels>();
    let metric = labels.next()?.ok()?;
    let rest = rest.get(labels.byte_offset()..)?;
    // No text stands behind the labels, so the next bracket is the end of the list.
    let (values, rest) = rest.strip_prefix(",\"values\":[")?.split_once(']')?;
    let times = rest.strip_prefix(",\"timestamps\":[")?.strip_suffix("]}")?;
    Some((metric, values, times))
}

fn one_value(text: &str) -> Option<f64> {
    if text == "null" {
        return Some(f64::from_bits(STALE));
    }
    // Newer versions write infinities as texts.
    let quoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    number(quoted.unwrap_or(text))
}

#[cfg(test)]
mod tests;
