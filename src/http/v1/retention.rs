//! Retention and erasure.
#![expect(
    unused_qualifications,
    reason = "utoipa's macro qualifies the parameters' type"
)]

use crate::archive::{EraseTarget, Expiry, NumberedErasure};
use crate::error::{Error, Result};
use crate::http::extract::{Json as Body, Params};
use crate::http::problem::{ApiError, Problem};
use crate::http::router::Services;
use crate::http::v1::jobs::job_ref;
use crate::limits;
use crate::model::erasure::Fields;
use crate::model::id::Source;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How to retain.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct RetainParams {
    /// Only say what would go.
    dry_run: Option<bool>,
}

/// What has expired and goes.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct RetainBody {
    /// Whether nothing was done.
    dry_run: bool,
    /// Whether it is done. If not, it goes on in the background.
    done: bool,
    /// Segments that hold something that has expired. It is hidden from every reader already.
    segments: u64,
    /// Those of them that are removed or written anew: the others hold less than the policy's share.
    segments_due: u64,
    /// In these: jobs whose rows go.
    jobs: u64,
    /// Rows of samples that go.
    rows: u64,
    /// Bytes that go, about.
    bytes: u64,
    /// Files that are removed or replaced.
    files: u64,
}

impl RetainBody {
    fn new(expiry: &Expiry, dry_run: bool) -> Self {
        Self {
            dry_run,
            done: !dry_run,
            segments: expiry.segments,
            segments_due: expiry.due_segments,
            jobs: expiry.jobs,
            rows: expiry.rows,
            bytes: expiry.bytes,
            files: expiry.files,
        }
    }
}

/// Remove the bytes of what has expired now, or say what would go.
///
/// Not needed in normal running: the service does it by itself. Goes on if it takes longer than 20 s.
#[utoipa::path(
    post, path = "/api/v1/admin/retain", tag = "operations", params(RetainParams),
    responses(
        (status = 200, description = "done, or a dry run", body = RetainBody),
        (status = 202, description = "goes on in the background", body = RetainBody),
        (status = 500, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn retain(
    State(services): State<Services>,
    Params(params): Params<RetainParams>,
) -> Result<(StatusCode, Json<RetainBody>), ApiError> {
    if params.dry_run.unwrap_or(false) {
        let expiry = services.query.would_expire().await?;
        return Ok((StatusCode::OK, Json(RetainBody::new(&expiry, true))));
    }
    let work = services.housekeeping.expire();
    let Ok(expiry) = tokio::time::timeout(limits::COMPACT_WAIT, work).await else {
        return Ok((StatusCode::ACCEPTED, Json(RetainBody::default())));
    };
    Ok((StatusCode::OK, Json(RetainBody::new(&expiry?, false))))
}

/// What is to be erased: a project, or a job.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PostErasure {
    /// A project by path or id, with all its jobs.
    project: Option<String>,
    /// CI instance of the job; of the project, if several have one of that name.
    source: Option<String>,
    /// A job.
    job_id: Option<String>,
    /// Only these texts: `ref`, `machine`, `sections` (their names); everything if absent.
    only: Option<Vec<String>>,
}

impl PostErasure {
    fn target(&self) -> Result<EraseTarget> {
        let invalid = || {
            Error::invalid(
                "invalid_erasure",
                "give either `project`, or `source` and `job_id`",
            )
        };
        match (&self.project, &self.source, &self.job_id) {
            (Some(project), source, None) => Ok(EraseTarget::Project {
                source: source.as_deref().map(Source::parse).transpose()?,
                project: project.clone(),
            }),
            (None, Some(source), Some(job_id)) => Ok(EraseTarget::Job(job_ref(source, job_id)?)),
            _ => Err(invalid()),
        }
    }

    fn fields(&self) -> Result<Fields> {
        let Some(words) = &self.only else {
            return Ok(Fields::default());
        };
        let mut fields = Fields::default();
        for word in words {
            let field = Fields::of_word(word).ok_or_else(|| {
                let message = format!("only {word:?} is not one of ref, machine, sections");
                Error::invalid("invalid_erasure", message)
            })?;
            fields = fields.and(field);
        }
        // An empty list is no wish to erase everything.
        if fields.is_empty() {
            let message = "`only` names nothing; leave it out to erase everything";
            return Err(Error::invalid("invalid_erasure", message));
        }
        Ok(fields)
    }
}

/// An erasure. It holds nothing of what was erased.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErasureBody {
    /// Its number.
    id: u64,
    /// BLAKE3-256 of `project`, source (empty if none was given) and project, or of `job`, source and
    /// job id, with zero bytes in between: who has the name can find its erasure.
    digest: String,
    /// Only these texts; everything if empty.
    only: Vec<&'static str>,
    requested_at: String,
    requested_at_ms: i64,
    /// What is done next: `records`, `files`, `index`, or `done`. It is unreadable in all of them.
    state: &'static str,
    /// Jobs removed or changed so far.
    jobs: u64,
    /// Segments written anew so far.
    segments: u64,
    /// Code of the last failure; it is tried again.
    problem: Option<String>,
    finished_at: Option<String>,
    finished_at_ms: Option<i64>,
}

impl From<NumberedErasure> for ErasureBody {
    fn from(one: NumberedErasure) -> Self {
        let erasure = one.erasure;
        Self {
            id: one.number,
            digest: erasure.digest,
            only: erasure.fields.words(),
            requested_at: erasure.requested_at.to_rfc3339(),
            requested_at_ms: erasure.requested_at.0,
            state: erasure.step.as_str(),
            jobs: erasure.jobs,
            segments: erasure.segments,
            problem: erasure.problem,
            finished_at: erasure.finished_at.map(|at| at.to_rfc3339()),
            finished_at_ms: erasure.finished_at.map(|at| at.0),
        }
    }
}

/// All erasures.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErasureList {
    /// Newest first.
    erasures: Vec<ErasureBody>,
}

/// Erase a project, a job, or some texts of either.
///
/// When this answers nobody can read it any more; its bytes are gone some minutes later, see the list.
/// It cannot be undone. Later reports of an erased job are refused.
#[utoipa::path(
    post, path = "/api/v1/admin/erasures", tag = "operations", request_body = PostErasure,
    responses(
        (status = 202, description = "unreadable; the bytes go in the background", body = ErasureBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "a legal hold", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "could not be made durable", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn post_erasure(
    State(services): State<Services>,
    Body(body): Body<PostErasure>,
) -> Result<(StatusCode, Json<ErasureBody>), ApiError> {
    let (target, fields) = (body.target()?, body.fields()?);
    let done = services.intake.erase(target, fields).await?;
    Ok((StatusCode::ACCEPTED, Json(done.into())))
}

/// All erasures and how far they are.
#[utoipa::path(
    get, path = "/api/v1/admin/erasures", tag = "operations",
    responses((status = 200, body = ErasureList))
)]
pub(in crate::http) async fn list_erasures(
    State(services): State<Services>,
) -> Result<Json<ErasureList>, ApiError> {
    let erasures = services.query.erasures().await?;
    let erasures = erasures.into_iter().map(ErasureBody::from).collect();
    Ok(Json(ErasureList { erasures }))
}
