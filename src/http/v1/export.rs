//! Exports of a slice of a table, streamed.
#![expect(
    unused_qualifications,
    reason = "utoipa's macro qualifies the parameters' type"
)]

use super::jobs::query_time;
use crate::error::{Error, Result};
use crate::http::extract::Params;
use crate::http::format::Format;
use crate::http::problem::{ApiError, Problem};
use crate::http::router::Services;
use crate::model::scope::Scope;
use crate::query::sql::{ExportRequest, ExportTable, TableFormat};
use crate::time::{Date, TimestampMs};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which slice, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ExportParams {
    /// jobs, samples, or a view: job_samples, job_metrics, sections.
    table: String,
    /// csv, arrow (an IPC stream) or parquet; csv if absent.
    format: Option<String>,
    /// First date (UTC) on which jobs finished: `2026-01-31`, RFC 3339 or Unix ms.
    from: String,
    /// Date behind the last one; a time inside of a day includes the day.
    to: String,
    /// Path of a project.
    project: Option<String>,
}

/// A date, or a time.
fn instant(field: &str, text: &str) -> Result<TimestampMs> {
    if let Some(midnight) = TimestampMs::parse_rfc3339(&format!("{text}T00:00:00Z")) {
        return Ok(midnight);
    }
    let time = query_time(field, Some(text))?;
    time.ok_or_else(|| Error::invalid("invalid_query", format!("{field} must be a date or a time")))
}

fn format(name: Option<&str>) -> Result<(TableFormat, Format)> {
    match name.unwrap_or("csv") {
        "csv" => Ok((TableFormat::Csv, Format::Csv)),
        "arrow" => Ok((TableFormat::Arrow, Format::Arrow)),
        "parquet" => Ok((TableFormat::Parquet, Format::Parquet)),
        other => Err(Error::invalid(
            "unknown_format",
            format!("format {other:?} is unknown; known are: csv, arrow, parquet"),
        )),
    }
}

impl ExportParams {
    fn request(self) -> Result<ExportRequest> {
        let (from, to) = (instant("from", &self.from)?, instant("to", &self.to)?);
        if to <= from {
            let message = "`to` must be behind `from`";
            return Err(Error::invalid("invalid_range", message));
        }
        let last = to.plus_ms(-1).date();
        Ok(ExportRequest {
            table: ExportTable::by_name(&self.table)?,
            dates: from.date()..Date(last.0.saturating_add(1)),
            project: self.project.filter(|path| !path.is_empty()),
        })
    }
}

/// Take a slice of a table away.
///
/// Date by date in ascending order, each date as it is when its turn comes; no bound on rows. If the
/// connection breaks, go on `from` the last date that you have. An error on the way breaks the
/// connection: a stream that ended is whole. Parquet files have encodings that every engine reads.
#[utoipa::path(
    get, path = "/api/v1/export", tag = "fleet", params(ExportParams),
    responses(
        (status = 200, content(
            (String = "text/csv"), (Vec<u8> = "application/vnd.apache.arrow.stream"),
            (Vec<u8> = "application/vnd.apache.parquet"),
        )),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "too many queries are running", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn export(
    State(services): State<Services>,
    Params(params): Params<ExportParams>,
) -> Result<Response, ApiError> {
    let (table_format, format) = format(params.format.as_deref())?;
    let request = params.request()?;
    let name = format.named(&format!(
        "tachograph-{}-{}-{}",
        request.table.name(),
        request.dates.start,
        Date(request.dates.end.0.saturating_sub(1)),
    ));
    let pieces = services
        .queries
        .engine()
        .export(Scope::local_operator(), request, table_format)
        .await?;
    let pieces = stream::unfold(pieces, |mut pieces| async {
        let piece = pieces.recv().await?;
        let piece = piece.map(Bytes::from).inspect_err(|error| {
            tracing::warn!(error = error.chain(), "an export broke off");
        });
        Some((piece, pieces))
    });
    let headers = [
        (header::CONTENT_TYPE, format.content_type().to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(from: &str, to: &str) -> Result<ExportRequest> {
        let params = ExportParams {
            table: "samples".to_owned(),
            format: None,
            from: from.to_owned(),
            to: to.to_owned(),
            project: Some(String::new()),
        };
        params.request()
    }

    #[test]
    fn a_range_is_of_whole_dates() {
        let dates = |from, to| request(from, to).unwrap().dates;
        let january = dates("2026-01-01", "2026-02-01");
        assert_eq!(january.end.0 - january.start.0, 31);
        assert_eq!(dates("2026-01-01", "2026-01-31T00:00:01Z"), january);
        assert_eq!(dates("2026-01-01T23:59:59Z", "2026-02-01"), january);
        assert!(request("2026-01-02", "2026-01-02").is_err());
        assert!(request("yesterday", "2026-01-02").is_err() && request("", "2026-01-02").is_err());
    }
}
