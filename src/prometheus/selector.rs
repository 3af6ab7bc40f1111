//! Raw samples by the query API, for servers that have nothing better: a bare range selector,
//! evaluated at the end of the window. Nothing is computed by the server.
//!
//! What this way cannot show: Prometheus leaves staleness markers out of the answer, so that the end of
//! a machine is seen only by its silence and by `up`. VictoriaMetrics answers a marker as `NaN`, which
//! nothing tells apart from a NaN that was scraped; it is taken for a NaN: no value, and no marker.

use super::api;
use super::client::Client;
use super::fault::Denial;
use super::json::{Bounded, Labels, number};
use super::select;
use super::series::{Gather, Pieces, Unfit};
use super::site::Site;
use crate::limits;
use crate::num::round_to_i64;
use crate::source_port::{RawSeries, SeriesRequest, SourceErrorKind};
use serde::Deserialize;
use serde::de::Error as _;

/// Asked for before the window: selectors are closed on the left before Prometheus 3 and open since,
/// and others round to their own steps. The surplus is cut off here.
const SURPLUS_MS: i64 = 1_000;

#[derive(Debug, Deserialize)]
pub(super) struct Matrix {
    #[serde(rename = "resultType")]
    kind: String,
    result: Bounded<Series, { limits::SERIES_MAX }>,
}

#[derive(Debug, Deserialize)]
struct Series {
    metric: Labels,
    /// Absent for a series of native histograms.
    #[serde(default)]
    values: Bounded<Point, { limits::FETCH_SAMPLES_MAX }>,
}

/// Milliseconds and a value; on the wire seconds with up to three decimals and a number in text.
#[derive(Debug, Deserialize)]
#[serde(try_from = "(f64, &str)")]
struct Point(i64, f64);

impl TryFrom<(f64, &str)> for Point {
    type Error = serde_json::Error;

    fn try_from((seconds, value): (f64, &str)) -> Result<Self, Self::Error> {
        round_to_i64(seconds * 1_000.0)
            .zip(number(value))
            .map(|(ts, value)| Self(ts, value))
            .ok_or_else(|| serde_json::Error::custom("no sample"))
    }
}

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
    let query = format!("{selector}[{}ms]", request.range.len_ms() + SURPLUS_MS);
    let (_, last) = request.range.to_inclusive();
    let call = api::form(
        "/api/v1/query",
        &[
            ("query", query.as_str()),
            ("time", &select::seconds(last)),
            // Thanos: one of several equal servers, and a failure instead of a part. Others pass over it.
            ("dedup", "true"),
            ("partial_response", "false"),
        ],
    );
    let matrix: Matrix = api::data(client, site, call, limits::FETCH_BYTES_MAX).await?;
    Ok(series(matrix, request).map_err(invalid)?)
}

/// The verified series of an answer.
///
/// # Errors
/// The first thing that is wrong with it.
fn series(matrix: Matrix, request: &SeriesRequest) -> Result<Vec<RawSeries>, Unfit> {
    if matrix.kind != "matrix" {
        // A vector would look like series without samples.
        return Err(Unfit::NotJson);
    }
    let mut gather = Gather::new(request, Pieces::One);
    for series in matrix.result.0 {
        for Point(ts, value) in series.values.0 {
            gather.sample(ts, value)?;
        }
        gather.labels(series.metric.0)?;
    }
    gather.finish()
}

#[cfg(test)]
mod tests;
