//! Administration.

use crate::archive::{Haste, Rewritten};
use crate::http::problem::{ApiError, Problem};
use crate::http::router::Services;
use crate::limits;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

/// What a seal made.
#[derive(Debug, Serialize, ToSchema)]
pub struct SealBody {
    /// Segments made.
    segments: u64,
    /// Jobs in them.
    jobs: u64,
    /// Bytes of their files.
    bytes: u64,
}

/// Seal what is staged now, e.g. before copying the data directory.
#[utoipa::path(
    post, path = "/api/v1/admin/seal", tag = "operations",
    responses((status = 200, body = SealBody), (status = 503, body = Problem, content_type = "application/problem+json"))
)]
pub(in crate::http) async fn seal(
    State(services): State<Services>,
) -> Result<Json<SealBody>, ApiError> {
    let sealed = services.intake.seal_all().await?;
    Ok(Json(SealBody {
        segments: crate::num::len_u64(sealed.len()),
        jobs: sealed.iter().map(|segment| segment.jobs).sum(),
        bytes: sealed
            .iter()
            .map(|segment| segment.samples_bytes + segment.jobs_bytes)
            .sum(),
    }))
}

/// What a compaction made.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct CompactBody {
    /// Whether it is done. If not, it goes on in the background; the metrics tell how far it is.
    done: bool,
    /// Segments that were replaced.
    segments_replaced: u64,
    /// Segments that stand for them.
    segments_made: u64,
    /// Jobs in these.
    jobs: u64,
    /// Amendments that went into their rows.
    amendments_folded: u64,
    /// Bytes of the replaced segments.
    bytes_read: u64,
    /// Bytes of the new ones.
    bytes_written: u64,
}

/// Compact everything now: small segments become large ones, amendments go into their rows, and all is
/// compressed as well as it can be. Not needed in normal running. Goes on if it takes longer than 20 s.
#[utoipa::path(
    post, path = "/api/v1/admin/compact", tag = "operations",
    responses(
        (status = 200, description = "done", body = CompactBody),
        (status = 202, description = "goes on in the background", body = CompactBody),
        (status = 500, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn compact(
    State(services): State<Services>,
) -> Result<(StatusCode, Json<CompactBody>), ApiError> {
    let work = services.housekeeping.compact(Haste::All);
    let Ok(made) = tokio::time::timeout(limits::COMPACT_WAIT, work).await else {
        return Ok((StatusCode::ACCEPTED, Json(CompactBody::default())));
    };
    let made = made?;
    let sum = |part: fn(&Rewritten) -> u64| -> u64 { made.iter().map(part).sum() };
    let body = CompactBody {
        done: true,
        segments_replaced: sum(|one| one.inputs),
        segments_made: sum(|one| u64::from(one.seq.is_some())),
        jobs: sum(|one| one.jobs),
        amendments_folded: sum(|one| one.folded),
        bytes_read: sum(|one| one.bytes_in),
        bytes_written: sum(|one| one.bytes_out),
    };
    Ok((StatusCode::OK, Json(body)))
}
