//! Operations: health, readiness, own metrics, the OpenAPI document.

use super::router::Services;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The process is alive. Says nothing of its surroundings.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, description = "alive")))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether new work is taken. A Prometheus that is down does not make the service unready.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses((status = 200, description = "ready"), (status = 503, description = "not ready; the body says why")))]
pub(super) async fn readyz(State(services): State<Services>) -> Response {
    let Some(error) = services.archive.not_ready() else {
        return "ready\n".into_response();
    };
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        format!("not ready: {}\n", error.message()),
    )
        .into_response()
}

/// The service's own metrics.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, description = "OpenMetrics text")))]
pub(super) async fn metrics(State(services): State<Services>) -> Response {
    if let Ok(pending) = services.query.pending_count().await {
        services
            .metrics
            .pending_jobs
            .set(i64::try_from(pending).unwrap_or(i64::MAX));
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], services.metrics.encode()).into_response()
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", responses((status = 200, description = "OpenAPI document", content_type = "application/json")))]
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(super::openapi())
}
