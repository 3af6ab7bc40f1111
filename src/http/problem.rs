//! Errors on the wire: RFC 9457 problems. The one table from kind to status.

use super::format::Format;
use crate::error::{Error, ErrorKind};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Names a code for ever; docs/problems.md explains each.
const TYPE_PREFIX: &str = "urn:tachograph:problem:";
const REQUEST_ID: &str = "x-request-id";
/// Hint to clients that may try again.
const RETRY_AFTER_SECONDS: u32 = 2;

/// An error body.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Stable name of the code.
    r#type: String,
    /// The status in words.
    title: String,
    /// HTTP status.
    status: u16,
    /// Stable snake_case code.
    code: String,
    /// What happened, where, and what to do.
    detail: String,
    /// Quote it when asking for help; it stands in the service's log.
    request_id: String,
}

/// Status of a kind.
fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Upstream => StatusCode::BAD_GATEWAY,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Data | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error on its way out. [`explain`] writes the body, which needs the request's id.
#[derive(Debug)]
pub(super) struct ApiError(Arc<Error>);

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self(Arc::new(error))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = status(self.0.kind()).into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

/// Writes the body of every error: ours, and those that the framework makes (no such route, body too
/// large, too slow).
pub(super) async fn explain(request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .unwrap_or("none")
        .to_owned();
    let target = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status();
    if let Some(error) = response.extensions().get::<Arc<Error>>() {
        if status.is_server_error() {
            tracing::error!(
                request.id = id,
                target,
                code = error.code(),
                error = error.chain(),
                "request failed"
            );
        }
        let retryable = error.kind().is_retryable();
        return problem(
            status,
            error.code(),
            error.message().to_owned(),
            id,
            retryable,
        );
    }
    let plain = !response.headers().contains_key(header::CONTENT_TYPE)
        || response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    match framework_error(status).filter(|_| plain) {
        Some((code, detail)) => problem(status, code, detail, id, false),
        None => response,
    }
}

/// Code and text of errors that the framework makes, or that are nothing but a status.
fn framework_error(status: StatusCode) -> Option<(&'static str, String)> {
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => (
            "route_not_found",
            "there is nothing at this address; see /openapi.json".to_owned(),
        ),
        StatusCode::METHOD_NOT_ALLOWED => (
            "method_not_allowed",
            "this address does not take this method; see /openapi.json".to_owned(),
        ),
        StatusCode::NOT_ACCEPTABLE => ("not_acceptable", not_acceptable()),
        StatusCode::PAYLOAD_TOO_LARGE => (
            "body_too_large",
            format!(
                "a body may have at most {} bytes, a webhook's {}",
                crate::limits::BODY_BYTES_MAX,
                crate::limits::HOOK_BYTES_MAX
            ),
        ),
        StatusCode::REQUEST_TIMEOUT => ("request_timeout", "the request took too long".to_owned()),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            "unsupported_media_type",
            "send JSON with content-type application/json".to_owned(),
        ),
        StatusCode::INTERNAL_SERVER_ERROR => (
            "internal",
            "a bug; the service's log has more under the request id".to_owned(),
        ),
        StatusCode::BAD_REQUEST => ("bad_request", "the request is not readable".to_owned()),
        _ => return None,
    };
    Some((code, detail))
}

fn not_acceptable() -> String {
    let known = Format::ALL.map(Format::media_type).join(", ");
    let names = Format::ALL.map(Format::name).join(", ");
    format!(
        "`Accept` takes nothing of what there is: {known}; or ask with ?format= for one of {names}"
    )
}

fn problem(
    status: StatusCode,
    code: &str,
    detail: String,
    request_id: String,
    retryable: bool,
) -> Response {
    let body = Problem {
        r#type: format!("{TYPE_PREFIX}{code}"),
        title: status.canonical_reason().unwrap_or("Error").to_owned(),
        status: status.as_u16(),
        code: code.to_owned(),
        detail,
        request_id,
    };
    // A struct of texts and a number always becomes JSON.
    let json = serde_json::to_vec(&body).unwrap_or_default();
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if retryable {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    }
    response
}
