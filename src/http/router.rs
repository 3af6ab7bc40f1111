//! The router: every route once, the middleware around them, the OpenAPI document.

use super::hooks::{self, HookService};
use super::{ops, problem, v1};
use crate::archive::Archive;
use crate::ingest::{Housekeeping, Intake};
use crate::limits;
use crate::operations::Operations;
use crate::query::Query;
use crate::query::fleet::Fleet;
use crate::query::sql::Queries;
use crate::telemetry::Metrics;
use crate::time::SharedClock;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, StatusCode};
use axum::{Router, middleware};
use std::sync::Arc;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the handlers call.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the types say it")]
pub struct Services {
    pub intake: Intake,
    pub hooks: HookService,
    pub query: Query,
    pub fleet: Fleet,
    pub clock: SharedClock,
    pub queries: Queries,
    pub archive: Arc<Archive>,
    pub housekeeping: Housekeeping,
    pub metrics: Arc<Metrics>,
    pub operations: Operations,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tachograph",
        description = "Archives what each CI job did to its machine. Times go in as RFC 3339 and come out as RFC 3339 and Unix milliseconds; ids go in as strings or numbers and come out as strings."
    ),
    tags(
        (name = "jobs", description = "Job events, records, profiles"),
        (name = "fleet", description = "Questions over every job"),
        (name = "hooks", description = "Webhooks of CI systems"),
        (name = "registry", description = "Regions and runners"),
        (name = "operations", description = "Health, metrics, administration")
    )
)]
struct Document;

fn routes() -> OpenApiRouter<Services> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(v1::jobs::list_jobs))
        .routes(routes!(v1::jobs::get_job, v1::jobs::put_job))
        .routes(routes!(v1::profile::get_profile))
        .routes(routes!(v1::registry::list_regions))
        .routes(routes!(
            v1::registry::get_region,
            v1::registry::put_region,
            v1::registry::delete_region
        ))
        .routes(routes!(v1::registry::list_runners))
        .routes(routes!(
            v1::registry::get_runner,
            v1::registry::put_runner,
            v1::registry::delete_runner
        ))
        .routes(routes!(v1::fleet::trends))
        .routes(routes!(v1::fleet::top))
        .routes(routes!(v1::fleet::heatmap))
        .routes(routes!(v1::export::export))
        .routes(routes!(hooks::gitlab))
        .routes(routes!(v1::sql::run_sql))
        .routes(routes!(v1::sql::get_query, v1::sql::cancel_query))
        .routes(routes!(v1::admin::seal))
        .routes(routes!(v1::admin::compact))
        .routes(routes!(v1::retention::retain))
        .routes(routes!(
            v1::retention::list_erasures,
            v1::retention::post_erasure
        ))
        .routes(routes!(v1::segments::list_segments))
        .routes(routes!(
            v1::operations::last_backup,
            v1::operations::back_up
        ))
        .routes(routes!(
            v1::operations::last_verification,
            v1::operations::verify
        ))
        .routes(routes!(ops::healthz))
        .routes(routes!(ops::readyz))
        .routes(routes!(ops::metrics))
        .routes(routes!(ops::document))
}

/// The OpenAPI document of the router.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().split_for_parts().1
}

/// The router with its middleware.
pub fn router(services: Services) -> Router {
    let (router, _) = routes().split_for_parts();
    let id = HeaderName::from_static("x-request-id");
    let middleware = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(id.clone(), MakeRequestUuid))
        .layer(TraceLayer::new_for_http())
        .layer(PropagateRequestIdLayer::new(id))
        .layer(middleware::from_fn(problem::explain))
        .layer(CatchPanicLayer::new())
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            limits::REQUEST_TIMEOUT,
        ))
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX));
    router
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(middleware)
        .with_state(services)
}
