//! The web page: embedded files, built from `src/ui/app` by `tools/page`.
//!
//! Without the feature `page` there is no page: its addresses say so.

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Policy of the page: everything from here, nothing inline, no frames.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

#[cfg(feature = "page")]
#[derive(rust_embed::RustEmbed)]
#[folder = "src/ui/dist"]
struct Dist;

/// The routes of the page.
pub fn router() -> Router {
    Router::new()
        .route("/", get(page))
        .route("/fleet", get(page))
        .route("/jobs/{source}/{job_id}", get(page))
        .route("/favicon.ico", get(async || StatusCode::NO_CONTENT))
        .route(
            "/assets/{*path}",
            get(async |Path(path): Path<String>| asset(&format!("assets/{path}"))),
        )
}

/// Every page is the same document; what it shows follows from its address.
async fn page() -> Response {
    file("index.html", "no-cache")
}

/// Names carry a digest of their content, so they may be kept for ever.
fn asset(path: &str) -> Response {
    file(path, "public, max-age=31536000, immutable")
}

#[cfg(feature = "page")]
fn file(path: &str, cache: &'static str) -> Response {
    let Some(file) = Dist::get(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, content_type(path)),
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, file.data).into_response()
}

#[cfg(not(feature = "page"))]
fn file(_path: &str, _cache: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type("x.txt")),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    ];
    let text = "this build has no web page; build with the feature `page`, or use /api/v1 and `tachograph show`\n";
    (StatusCode::NOT_FOUND, headers, text).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "map") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
