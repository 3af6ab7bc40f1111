//! SQL: a query and its answer, and how far a running one is.

use crate::error::{Error, Result};
use crate::http::extract::Json;
use crate::http::format::Format;
use crate::http::problem::{ApiError, Problem};
use crate::http::router::Services;
use crate::model::scope::Scope;
use crate::query::sql::{AnswerFormat, QueryId};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A query.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct SqlBody {
    /// One SELECT (also WITH, VALUES, or EXPLAIN in front) over the tables `jobs` and `samples` and the
    /// views `job_samples`, `job_metrics` and `sections`. At most 64 KiB.
    query: String,
    /// json (the default), csv, arrow (an IPC stream) or parquet.
    format: Option<String>,
}

/// A column of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct SqlColumn {
    /// Its name.
    name: String,
    /// Its type: TEXT, INT, BIGINT, DOUBLE, DECIMAL(p,s), DATE, TIMESTAMP, BOOLEAN, a list or a struct.
    r#type: String,
}

/// An answer as JSON.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct SqlAnswer {
    /// The columns, in order.
    columns: Vec<SqlColumn>,
    /// The rows, each with a cell per column. Times are RFC 3339, decimals are numbers with all digits.
    rows: Vec<Vec<serde_json::Value>>,
}

/// How far a query is.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct QueryBody {
    /// Its id.
    id: String,
    /// `running`, `cancelled` (it stops) or `ended`.
    state: String,
    /// Rows of tables that were read.
    rows_read: u64,
    /// Rows of tables that are to be read at most, as far as is known.
    rows_to_read: u64,
    /// Rows of the answer so far.
    rows: u64,
    /// Milliseconds since it began, or until it ended.
    elapsed_ms: u64,
}

const QUERY_ID: HeaderName = HeaderName::from_static("x-query-id");

/// The id that the client chose, or a new one.
fn query_id(headers: &HeaderMap) -> Result<QueryId> {
    match headers.get(QUERY_ID) {
        None => Ok(QueryId::random()),
        Some(id) => QueryId::parse(id.to_str().unwrap_or_default()),
    }
}

fn format(name: Option<&str>) -> Result<AnswerFormat> {
    let Some(name) = name else {
        return Ok(AnswerFormat::default());
    };
    AnswerFormat::by_name(name).ok_or_else(|| {
        let known = AnswerFormat::ALL.map(AnswerFormat::name).join(", ");
        let message = format!("format {name:?} is unknown; known are: {known}");
        Error::invalid("unknown_format", message)
    })
}

/// The same format as that of a profile.
fn content_type(format: AnswerFormat) -> &'static str {
    Format::by_name(format.name()).map_or("application/octet-stream", Format::content_type)
}

/// Ask a question over every job.
///
/// Read-only; a query that takes longer than 27 s, or answers more than 100,000 rows or 64 MiB, ends with
/// a problem. `X-Query-Id` names the query (a client may choose it): its progress is at
/// `/api/v1/queries/{id}`. A client that goes away stops its query.
#[utoipa::path(
    post, path = "/api/v1/sql", tag = "fleet",
    request_body = SqlBody,
    responses(
        (status = 200, content(
            (SqlAnswer = "application/json"), (String = "text/csv"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
            (Vec<u8> = "application/vnd.apache.parquet"),
        )),
        (status = 400, description = "no query, a name that is not there, or too much; the message says where", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "a query with that id is running", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "too many queries are running", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn run_sql(
    State(services): State<Services>,
    headers: HeaderMap,
    Json(body): Json<SqlBody>,
) -> Result<Response, ApiError> {
    let id = query_id(&headers)?;
    let format = format(body.format.as_deref())?;
    let scope = Scope::local_operator();
    let answer = services
        .queries
        .answer(scope, &id, body.query, format)
        .await?;
    let headers = [
        (QUERY_ID, id.as_str().to_owned()),
        (header::CONTENT_TYPE, content_type(format).to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, answer.bytes).into_response())
}

/// How far a query is. Those that ended are known for a while.
#[utoipa::path(
    get, path = "/api/v1/queries/{id}", tag = "fleet", params(("id" = String, Path)),
    responses(
        (status = 200, body = QueryBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn get_query(
    State(services): State<Services>,
    Path(id): Path<String>,
) -> Result<axum::Json<QueryBody>, ApiError> {
    let id = QueryId::parse(&id)?;
    let status = services.queries.status(&id)?;
    let state = match (status.is_running, status.is_cancelled) {
        (true, false) => "running",
        (true, true) => "cancelled",
        (false, _) => "ended",
    };
    Ok(axum::Json(QueryBody {
        id: id.as_str().to_owned(),
        state: state.to_owned(),
        rows_read: status.rows_read,
        rows_to_read: status.rows_to_read,
        rows: status.rows,
        elapsed_ms: u64::try_from(status.elapsed.as_millis()).unwrap_or(u64::MAX),
    }))
}

/// Stop a query. Its answer is a problem then.
#[utoipa::path(
    delete, path = "/api/v1/queries/{id}", tag = "fleet", params(("id" = String, Path)),
    responses(
        (status = 204, description = "it stops, or has ended"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn cancel_query(
    State(services): State<Services>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    services.queries.cancel(&QueryId::parse(&id)?)?;
    Ok(StatusCode::NO_CONTENT)
}
