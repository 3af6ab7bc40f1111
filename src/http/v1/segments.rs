//! Which files are live, for programs that read them in place.
#![expect(
    unused_qualifications,
    reason = "utoipa's macro qualifies the parameters' type"
)]

use super::jobs::query_time;
use crate::archive::LiveSegment;
use crate::http::extract::Params;
use crate::http::problem::{ApiError, Problem};
use crate::http::router::Services;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which segments.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct SegmentParams {
    /// Only those of this UTC date and later ones: RFC 3339 or Unix milliseconds of any time of it.
    from: Option<String>,
}

/// A pair of files.
#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentBody {
    /// UTC date, YYYY-MM-DD.
    date: String,
    jobs: u64,
    rows: u64,
    /// Below the data directory.
    samples_path: String,
    samples_bytes: u64,
    /// Below the data directory.
    jobs_path: String,
    jobs_bytes: u64,
    /// Of jobs whose samples have expired, if there are such.
    samples_5m_path: Option<String>,
    /// Start of the earliest job, Unix ms.
    from_ms: i64,
    /// End of the latest job, Unix ms.
    to_ms: i64,
    zstd_level: i32,
}

/// The live files.
#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentList {
    /// By date.
    segments: Vec<SegmentBody>,
    /// Whether there are more: ask again from the last date.
    more: bool,
}

/// The files that are live now.
///
/// Every job is in exactly one of them. A file that is replaced stays where it is for
/// `archive.replaced_grace_seconds` (10 minutes), beside the one that replaces it.
#[utoipa::path(
    get, path = "/api/v1/segments", tag = "operations",
    params(SegmentParams),
    responses(
        (status = 200, body = SegmentList),
        (status = 400, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list_segments(
    State(services): State<Services>,
    Params(params): Params<SegmentParams>,
) -> Result<Json<SegmentList>, ApiError> {
    let from = query_time("from", params.from.as_deref())?;
    let (live, more) = services
        .query
        .live_segments(from.map(|from| from.date()))
        .await?;
    let segments = live.into_iter().map(body).collect();
    Ok(Json(SegmentList { segments, more }))
}

fn body(segment: LiveSegment) -> SegmentBody {
    SegmentBody {
        date: segment.date.to_string(),
        jobs: segment.jobs,
        rows: segment.rows,
        samples_path: segment.samples_path,
        samples_bytes: segment.samples_bytes,
        jobs_path: segment.jobs_path,
        jobs_bytes: segment.jobs_bytes,
        samples_5m_path: segment.samples_5m_path,
        from_ms: segment.span.from.0,
        to_ms: segment.span.to.0,
        zstd_level: segment.zstd_level,
    }
}
