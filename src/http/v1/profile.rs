//! A job's profile as JSON or CSV.
#![expect(
    unused_qualifications,
    reason = "utoipa's macro qualifies the parameters' type"
)]

use super::job_body::GapBody;
use super::jobs::{job_ref, query_time};
use crate::error::Error;
use crate::http::extract::Params;
use crate::http::problem::{ApiError, Problem};
use crate::http::router::Services;
use crate::model::scope::Scope;
use crate::model::state::{Reason, State as JobState};
use crate::query::{ProfileRequest, ProfileView, to_csv};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

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
    /// json or csv; wins over `Accept`.
    format: Option<String>,
    /// What is stored (increments) instead of graph units.
    raw: Option<bool>,
}

/// Values of one metric.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricBody {
    unit: &'static str,
    /// One per entry of `ts_ms`; null is absent, never 0.
    values: Vec<Option<f64>>,
}

/// A profile: columns over a time axis.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProfileBody {
    source: String,
    job_id: String,
    #[schema(value_type = String)]
    state: JobState,
    #[schema(value_type = Option<String>)]
    reason: Option<Reason>,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    /// Sample times. A rate belongs to the interval before its time, a gauge to the instant.
    ts_ms: Vec<i64>,
    /// Length of that interval; null if no earlier sample is known.
    interval_ms: Vec<Option<i32>>,
    metrics: BTreeMap<&'static str, MetricBody>,
    gaps: Vec<GapBody>,
}

impl From<ProfileView> for ProfileBody {
    fn from(view: ProfileView) -> Self {
        Self {
            source: view.job.source.to_string(),
            job_id: view.job.job_id.to_string(),
            state: view.state,
            reason: view.reason,
            from_ms: view.range.map(|range| range.from.0),
            to_ms: view.range.map(|range| range.to.0),
            ts_ms: view.ts_ms,
            interval_ms: view.interval_ms,
            metrics: view
                .series
                .into_iter()
                .map(|series| {
                    (
                        series.name,
                        MetricBody {
                            unit: series.unit,
                            values: series.values.0,
                        },
                    )
                })
                .collect(),
            gaps: view.gaps.iter().map(GapBody::new).collect(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
}

/// `?format=` first, else the first type of `Accept` that we have, else JSON.
fn format(params: &ProfileParams, headers: &HeaderMap) -> Result<Format, Error> {
    match params.format.as_deref() {
        Some("json") => return Ok(Format::Json),
        Some("csv") => return Ok(Format::Csv),
        Some(other) => {
            let message = format!("format {other:?} is unknown; known are: json, csv");
            return Err(Error::invalid("unknown_format", message));
        }
        None => {}
    }
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or("");
    let known = accept
        .split(',')
        .find_map(|part| match part.split(';').next()?.trim() {
            "application/json" => Some(Format::Json),
            "text/csv" => Some(Format::Csv),
            _ => None,
        });
    Ok(known.unwrap_or(Format::Json))
}

/// A job's profile.
#[utoipa::path(
    get, path = "/api/v1/jobs/{source}/{job_id}/profile", tag = "jobs",
    params(("source" = String, Path), ("job_id" = String, Path), ProfileParams),
    responses(
        (status = 200, content((ProfileBody = "application/json"), (String = "text/csv"))),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn get_profile(
    State(services): State<Services>,
    Path((source, job_id)): Path<(String, String)>,
    Params(params): Params<ProfileParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let job = job_ref(&source, &job_id)?;
    let format = format(&params, &headers)?;
    let list = params.metrics.as_deref().unwrap_or_default();
    let metrics = list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let request = ProfileRequest {
        metrics: metrics.map(str::to_owned).collect(),
        from: query_time("from", params.from.as_deref())?,
        to: query_time("to", params.to.as_deref())?,
        section: params.section,
        raw: params.raw.unwrap_or(false),
    };
    let view = services
        .query
        .profile(Scope::local_operator(), job, request)
        .await?;
    Ok(match format {
        Format::Json => ([(header::VARY, "accept")], Json(ProfileBody::from(view))).into_response(),
        Format::Csv => {
            let safe = |c: char| {
                if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                    c
                } else {
                    '_'
                }
            };
            let name: String = format!("{source}-{job_id}").chars().map(safe).collect();
            let headers = [
                (
                    header::CONTENT_TYPE,
                    "text/csv; charset=utf-8; header=present".to_owned(),
                ),
                (
                    header::CONTENT_DISPOSITION,
                    format!("attachment; filename=\"{name}.csv\""),
                ),
                (header::VARY, "accept".to_owned()),
            ];
            (headers, to_csv(&view)?).into_response()
        }
    })
}
