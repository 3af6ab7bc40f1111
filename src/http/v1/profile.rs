//! A job's profile in every format.
#![expect(
    unused_qualifications,
    reason = "utoipa's macro qualifies the parameters' type"
)]

use super::jobs::{job_ref, query_time};
use super::profile_body::ProfileBody;
use crate::error::{Error, Result};
use crate::http::extract::Params;
use crate::http::format::Format;
use crate::http::negotiate;
use crate::http::problem::{ApiError, Problem};
use crate::http::router::Services;
use crate::limits;
use crate::model::scope::Scope;
use crate::model::state::State as JobState;
use crate::query::{ProfileRequest, ProfileTable, Units, output};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;

/// Raised when a writer changes what it makes of the same table: answers that readers keep are then
/// asked for anew.
const WRITERS: &str = "2";

/// What part of a profile, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ProfileParams {
    /// Metric names, separated by commas; all if absent.
    metrics: Option<String>,
    /// Unix ms or RFC 3339; the job's start if absent.
    from: Option<String>,
    /// Unix ms or RFC 3339, exclusive; the job's end if absent.
    to: Option<String>,
    /// A section by name; `name#2` is the second of that name.
    section: Option<String>,
    /// json, csv, parquet, arrow or openmetrics; wins over `Accept`.
    format: Option<String>,
    /// What is stored instead of graph units: increments and gauges; in OpenMetrics running totals.
    raw: Option<bool>,
    /// About how many rows per metric, 2 to 10,000; all if absent. Whole rows stay: those with the
    /// smallest or largest value of a metric in each of `points / 2` slices of time, and both edges of
    /// every hole. At most points x metrics rows, and two per hole.
    points: Option<usize>,
}

impl ProfileParams {
    /// The format: `?format=` first, else what `Accept` likes best, `None` if it takes nothing of ours.
    fn format(&self, headers: &HeaderMap) -> Result<Option<Format>> {
        let Some(name) = &self.format else {
            let offered = Format::ALL.map(|format| (format.media_type(), format));
            return Ok(negotiate::choose(headers, &offered));
        };
        Format::by_name(name).map(Some).ok_or_else(|| {
            let known = Format::ALL.map(Format::name).join(", ");
            let message = format!("format {name:?} is unknown; known are: {known}");
            Error::invalid("unknown_format", message)
        })
    }

    fn request(self, format: Format) -> Result<ProfileRequest> {
        let known = 2..=limits::POINTS_MAX;
        if self.points.is_some_and(|points| !known.contains(&points)) {
            let message = format!("points must be 2 to {}", limits::POINTS_MAX);
            return Err(Error::invalid("invalid_query", message));
        }
        let list = self.metrics.as_deref().unwrap_or_default();
        let metrics = list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        Ok(ProfileRequest {
            metrics: metrics.map(str::to_owned).collect(),
            from: query_time("from", self.from.as_deref())?,
            to: query_time("to", self.to.as_deref())?,
            section: self.section,
            units: match (self.raw.unwrap_or(false), format) {
                (false, _) => Units::Graph,
                (true, Format::OpenMetrics) => Units::Totals,
                (true, _) => Units::Stored,
            },
            points: self.points,
        })
    }
}

/// An answer, or the news that the reader has it already.
struct Answer {
    etag: String,
    cache_control: &'static str,
    disposition: String,
    body: Option<Vec<u8>>,
}

impl Answer {
    fn of(table: ProfileTable, format: Format, headers: &HeaderMap) -> Result<Self> {
        let etag = etag(&table, format);
        let cache_control = cache_control(table.state);
        let disposition = format.disposition(&table.job);
        let body = if negotiate::has(headers, &etag) {
            None
        } else {
            Some(match format {
                Format::Json => ProfileBody::to_json(table)?,
                Format::Csv => output::to_csv(&table)?,
                Format::Parquet => output::to_parquet(&table)?,
                Format::Arrow => output::to_arrow(&table)?,
                Format::OpenMetrics => output::to_open_metrics(&table),
            })
        };
        Ok(Self {
            etag,
            cache_control,
            disposition,
            body,
        })
    }

    fn into_response(self, format: Format) -> Response {
        let always = [
            (header::ETAG, self.etag),
            (header::CACHE_CONTROL, self.cache_control.to_owned()),
            (header::VARY, "accept".to_owned()),
        ];
        let Some(body) = self.body else {
            return (StatusCode::NOT_MODIFIED, always).into_response();
        };
        let kind = [
            (header::CONTENT_TYPE, format.content_type().to_owned()),
            (header::CONTENT_DISPOSITION, self.disposition),
        ];
        (always, kind, body).into_response()
    }
}

/// A strong tag: the same table in the same format by the same writers is the same bytes.
fn etag(table: &ProfileTable, format: Format) -> String {
    let mut digest = blake3::Hasher::new();
    for part in [env!("CARGO_PKG_VERSION"), WRITERS, format.name()] {
        digest.update(part.as_bytes()).update(b"\n");
    }
    digest.update(&table.fingerprint());
    let hex = digest.finalize().to_hex();
    format!("\"{}\"", hex.get(..32).unwrap_or(&hex))
}

/// An archived answer may be kept, but an amendment may change it at any time: it is asked for again
/// with its tag, which costs no body. One that still changes by itself is not kept.
fn cache_control(state: JobState) -> &'static str {
    match state {
        JobState::Archived | JobState::Unavailable | JobState::Expired => "private, no-cache",
        JobState::Pending | JobState::Live => "no-store",
    }
}

/// A job's profile.
///
/// Without samples it has no rows; state and reason say why. `ETag` and `If-None-Match` save what is
/// known already.
#[utoipa::path(
    get, path = "/api/v1/jobs/{source}/{job_id}/profile", tag = "jobs",
    params(("source" = String, Path), ("job_id" = String, Path), ProfileParams),
    responses(
        (status = 200, content(
            (ProfileBody = "application/json"), (String = "text/csv"),
            (Vec<u8> = "application/vnd.apache.parquet"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
            (String = "application/openmetrics-text"),
        )),
        (status = 304, description = "the reader has it, as `If-None-Match` says"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 406, description = "`Accept` takes none of the formats", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn get_profile(
    State(services): State<Services>,
    Path((source, job_id)): Path<(String, String)>,
    Params(params): Params<ProfileParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let job = job_ref(&source, &job_id)?;
    let Some(format) = params.format(&headers)? else {
        return Ok(StatusCode::NOT_ACCEPTABLE.into_response());
    };
    let request = params.request(format)?;
    let answer = move |table| Answer::of(table, format, &headers);
    let answer = services
        .query
        .profile(Scope::local_operator(), job, request, answer)
        .await?;
    Ok(answer.into_response(format))
}
