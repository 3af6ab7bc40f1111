//! Job events, records and lists.
#![expect(
    unused_qualifications,
    reason = "utoipa's macro qualifies the parameters' type"
)]

use super::job_body::{JobBody, JobList, JobShort};
use super::job_event::PutJob;
use crate::archive::JobFilter;
use crate::error::{Error, Result};
use crate::http::extract::{Json as Body, Params};
use crate::http::problem::{ApiError, Problem};
use crate::http::router::Services;
use crate::model::id::{JobId, JobRef, Source};
use crate::model::job::JobStatus;
use crate::model::machine::Machine;
use crate::model::scope::Scope;
use crate::model::state::{State as JobState, Verdict};
use crate::time::{TimeRange, TimestampMs};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Jobs on a page unless `limit` says otherwise.
const LIMIT: usize = 50;

/// A job's name in a path.
pub(super) fn job_ref(source: &str, job_id: &str) -> Result<JobRef> {
    Ok(JobRef {
        source: Source::parse(source)?,
        job_id: JobId::parse(job_id)?,
    })
}

/// A time in a query: RFC 3339 or Unix ms.
pub(super) fn query_time(field: &str, text: Option<&str>) -> Result<Option<TimestampMs>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let time = TimestampMs::parse_rfc3339(text)
        .or_else(|| text.parse().ok().and_then(TimestampMs::plausible));
    let invalid = || {
        Error::invalid(
            "invalid_query",
            format!("{field} must be Unix milliseconds or RFC 3339"),
        )
    };
    time.map(Some).ok_or_else(invalid)
}

/// What became of an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedBody {
    source: String,
    job_id: String,
    /// Whether the event said anything new.
    changed: bool,
    /// When the job is archived at the earliest, Unix ms, if it is over.
    due_ms: Option<i64>,
}

/// Report what is known of a job.
///
/// Idempotent: send it as often as you like, in any order; facts said later in the job's life win.
/// 202 is answered after the event is on disk.
#[utoipa::path(
    put, path = "/api/v1/jobs/{source}/{job_id}", tag = "jobs",
    params(("source" = String, Path, description = "CI instance, any name"), ("job_id" = String, Path)),
    request_body = PutJob,
    responses(
        (status = 202, description = "durable", body = AcceptedBody),
        (status = 400, description = "names every wrong field", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "contradicts the job's times", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "body over 1 MiB", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "could not be made durable", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn put_job(
    State(services): State<Services>,
    Path((source, job_id)): Path<(String, String)>,
    Body(body): Body<PutJob>,
) -> Result<(StatusCode, Json<AcceptedBody>), ApiError> {
    let event = body.into_event(&source, &job_id)?;
    let accepted = services.intake.accept(event).await?;
    let body = AcceptedBody {
        source,
        job_id,
        changed: accepted.changed,
        due_ms: accepted.due.map(|due| due.0),
    };
    Ok((StatusCode::ACCEPTED, Json(body)))
}

/// A job's record.
#[utoipa::path(
    get, path = "/api/v1/jobs/{source}/{job_id}", tag = "jobs",
    params(("source" = String, Path), ("job_id" = String, Path)),
    responses(
        (status = 200, body = JobBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn get_job(
    State(services): State<Services>,
    Path((source, job_id)): Path<(String, String)>,
) -> Result<Json<JobBody>, ApiError> {
    let job = job_ref(&source, &job_id)?;
    let detail = services.query.job(Scope::local_operator(), job).await?;
    Ok(Json(JobBody::new(&detail)))
}

/// Filters of a list; all that are given must match.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListParams {
    /// CI instance; needed for `project` and `runner` to be fast.
    source: Option<String>,
    /// Project path or id.
    project: Option<String>,
    /// Job name.
    name: Option<String>,
    /// Branch or tag.
    r#ref: Option<String>,
    /// Runner id.
    runner: Option<String>,
    /// Machine name.
    machine: Option<String>,
    /// Job status.
    status: Option<String>,
    /// pending, live, archived, expired, unavailable.
    state: Option<String>,
    /// Verdict.
    verdict: Option<String>,
    /// Jobs that started at or after this time (Unix ms or RFC 3339).
    from: Option<String>,
    /// Jobs that started before this time.
    to: Option<String>,
    /// Jobs on a page, 1 to 500.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListParams {
    fn filter(&self) -> Result<JobFilter> {
        let unknown = |field: &str, word: &str| {
            Error::invalid(
                "invalid_query",
                format!("{field} {word:?} is not a known word"),
            )
        };
        let state = self.state.as_deref().map(|word| {
            serde_json::from_value::<JobState>(word.into()).map_err(|_| unknown("state", word))
        });
        let status = self.status.as_deref();
        let verdict = self.verdict.as_deref();
        let from = query_time("from", self.from.as_deref())?;
        let to = query_time("to", self.to.as_deref())?;
        let listed = (from.is_some() || to.is_some()).then(|| {
            TimeRange::new(
                from.unwrap_or(TimestampMs(i64::MIN)),
                to.unwrap_or(TimestampMs(i64::MAX)),
            )
        });
        Ok(JobFilter {
            source: self.source.as_deref().map(Source::parse).transpose()?,
            project: self.project.clone(),
            name: self.name.clone(),
            git_ref: self.r#ref.clone(),
            runner: self.runner.clone(),
            machine: self.machine.as_deref().map(Machine::parse).transpose()?,
            status: status
                .map(|word| JobStatus::parse(word).ok_or_else(|| unknown("status", word)))
                .transpose()?,
            state: state.transpose()?,
            verdict: verdict
                .map(|word| Verdict::parse(word).ok_or_else(|| unknown("verdict", word)))
                .transpose()?,
            listed,
        })
    }
}

/// Jobs, newest first.
#[utoipa::path(
    get, path = "/api/v1/jobs", tag = "jobs", params(ListParams),
    responses(
        (status = 200, body = JobList),
        (status = 400, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list_jobs(
    State(services): State<Services>,
    Params(params): Params<ListParams>,
) -> Result<Json<JobList>, ApiError> {
    let limit = params.limit.unwrap_or(LIMIT);
    let filter = params.filter()?;
    let page = services
        .query
        .jobs(Scope::local_operator(), filter, params.cursor, limit)
        .await?;
    let jobs = page.jobs.iter().map(JobShort::new).collect();
    Ok(Json(JobList {
        jobs,
        next_cursor: page.next_cursor,
    }))
}
