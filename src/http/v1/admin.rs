//! Administration.

use crate::http::problem::{ApiError, Problem};
use crate::http::router::Services;
use axum::Json;
use axum::extract::State;
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
