//! Backup and verification while the service runs.

use crate::archive::{BackedUp, Problem as Broken, Verification};
use crate::error::Error;
use crate::http::extract::Json as Body;
use crate::http::problem::{ApiError, Problem};
use crate::http::router::Services;
use crate::operations::{Kind, Outcome, Status};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A backup to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// Name of its folder, below the configured one. It must not be there.
    name: String,
}

/// A verification to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VerifyRequest {
    /// Also compute every stored summary anew.
    deep: bool,
}

/// How an operation goes.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperationBody {
    /// `running`, `done` or `failed`.
    state: String,
    started_at: String,
    finished_at: Option<String>,
    /// Segments done so far.
    segments_done: u64,
    /// Segments of all; 0 until that is known.
    segments: u64,
    /// Why it failed.
    error: Option<String>,
    backup: Option<BackupBody>,
    verification: Option<VerificationBody>,
}

/// A backup that is there.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackupBody {
    segments: u64,
    files: u64,
    bytes: u64,
    /// Segments that are damaged and not in it.
    left_out: Vec<String>,
}

/// What a verification found.
#[derive(Debug, Serialize, ToSchema)]
pub struct VerificationBody {
    segments: u64,
    sealed_jobs: u64,
    staged_jobs: u64,
    pending_jobs: u64,
    sample_rows: u64,
    bytes: u64,
    /// Things that do not hold; the first of them are described.
    broken: u64,
    problems: Vec<BrokenBody>,
}

/// Something that does not hold.
#[derive(Debug, Serialize, ToSchema)]
pub struct BrokenBody {
    invariant: String,
    message: String,
}

impl From<BackedUp> for BackupBody {
    fn from(made: BackedUp) -> Self {
        Self {
            segments: made.segments,
            files: made.files,
            bytes: made.bytes,
            left_out: made.left_out,
        }
    }
}

impl From<Verification> for VerificationBody {
    fn from(found: Verification) -> Self {
        let broken = |problem: Broken| BrokenBody {
            invariant: problem.invariant.name().to_owned(),
            message: problem.message,
        };
        Self {
            segments: found.segments,
            sealed_jobs: found.sealed_jobs,
            staged_jobs: found.staged_jobs,
            pending_jobs: found.pending_jobs,
            sample_rows: found.sample_rows,
            bytes: found.bytes,
            broken: found.broken,
            problems: found.problems.into_iter().map(broken).collect(),
        }
    }
}

impl From<Status> for OperationBody {
    fn from(status: Status) -> Self {
        let (state, error, backup, verification) = match status.outcome {
            None => ("running", None, None, None),
            Some(Outcome::BackedUp(made)) => ("done", None, Some(made.into()), None),
            Some(Outcome::Verified(found)) => ("done", None, None, Some(found.into())),
            Some(Outcome::Failed(error)) => ("failed", Some(error), None, None),
        };
        Self {
            state: state.to_owned(),
            started_at: status.started_at.to_rfc3339(),
            finished_at: status.finished_at.map(|at| at.to_rfc3339()),
            segments_done: status.done,
            segments: status.all,
            error,
            backup,
            verification,
        }
    }
}

type Begun = Result<(StatusCode, Json<OperationBody>), ApiError>;

fn last(services: &Services, kind: Kind) -> Result<Json<OperationBody>, ApiError> {
    let none = || Error::not_found("no_operation", "none was begun since the service started");
    let status = services.operations.last(kind).ok_or_else(none)?;
    Ok(Json(status.into()))
}

/// Begin a backup below the configured folder. `GET` says how it goes.
#[utoipa::path(
    post, path = "/api/v1/admin/backup", tag = "operations", request_body = BackupRequest,
    responses((status = 202, body = OperationBody), (status = 400, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"))
)]
pub(in crate::http) async fn back_up(
    State(services): State<Services>,
    Body(request): Body<BackupRequest>,
) -> Begun {
    let status = services.operations.back_up(&request.name)?;
    Ok((StatusCode::ACCEPTED, Json(status.into())))
}

/// How the last backup goes or went.
#[utoipa::path(
    get, path = "/api/v1/admin/backup", tag = "operations",
    responses((status = 200, body = OperationBody), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
pub(in crate::http) async fn last_backup(
    State(services): State<Services>,
) -> Result<Json<OperationBody>, ApiError> {
    last(&services, Kind::Backup)
}

/// Begin a verification of the whole archive. `GET` says how it goes.
#[utoipa::path(
    post, path = "/api/v1/admin/verify", tag = "operations", request_body = VerifyRequest,
    responses((status = 202, body = OperationBody), (status = 400, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"))
)]
pub(in crate::http) async fn verify(
    State(services): State<Services>,
    Body(request): Body<VerifyRequest>,
) -> Begun {
    let status = services.operations.verify(request.deep)?;
    Ok((StatusCode::ACCEPTED, Json(status.into())))
}

/// How the last verification goes or went.
#[utoipa::path(
    get, path = "/api/v1/admin/verify", tag = "operations",
    responses((status = 200, body = OperationBody), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
pub(in crate::http) async fn last_verification(
    State(services): State<Services>,
) -> Result<Json<OperationBody>, ApiError> {
    last(&services, Kind::Verify)
}
