//! The stand-in's REST interface: the routes that Tachograph calls, a token check, rate limits, and
//! faults on demand.

use super::state::{State, runner_json};
use super::{TOKEN, lock};
use crate::time::{SharedClock, TimestampMs};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State as Shared};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the stand-in misbehaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Answers every request with this status.
    Status(u16),
    /// Answers properly, but so much later.
    Slow(Duration),
    /// Sends half of every body and closes the connection.
    Truncated,
    /// Answers with a page for people, as a login proxy does.
    Html,
    /// Sends the caller elsewhere.
    Redirect(String),
    /// Answers with bytes that are no JSON.
    Garbage,
}

/// Requests that are left, and when there are new ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    limit: u32,
    left: u32,
    resets_at: Option<TimestampMs>,
}

/// Length of the window in which requests are counted.
const WINDOW_MS: i64 = 60_000;

impl Budget {
    pub(super) fn new(requests: u32) -> Self {
        Self {
            limit: requests,
            left: requests,
            resets_at: None,
        }
    }

    /// Takes one request: what the headers say of it, and whether it is refused.
    fn take(&mut self, now: TimestampMs) -> (Vec<(&'static str, i64)>, bool) {
        let resets_at = self.resets_at.filter(|at| *at > now);
        if self.resets_at.is_some() && resets_at.is_none() {
            self.left = self.limit;
        }
        let resets_at = resets_at.unwrap_or_else(|| now.plus_ms(WINDOW_MS));
        self.resets_at = Some(resets_at);
        let refused = self.left == 0;
        self.left = self.left.saturating_sub(1);
        let wait = resets_at.since(now).div_euclid(1_000) + 1;
        let mut headers = vec![
            ("ratelimit-limit", i64::from(self.limit)),
            ("ratelimit-remaining", i64::from(self.left)),
            ("ratelimit-reset", resets_at.0.div_euclid(1_000) + 1),
        ];
        if refused {
            headers.push(("retry-after", wait));
        }
        (headers, refused)
    }
}

type World = Arc<Mutex<State>>;

pub(super) fn router(world: World, clock: SharedClock) -> Router {
    Router::new()
        .route("/api/v4/projects/{project}", get(project))
        .route("/api/v4/projects/{project}/jobs/{job}", get(job))
        .route("/api/v4/projects/{project}/jobs/{job}/trace", get(trace))
        .route("/api/v4/runners/{runner}", get(runner))
        .route("/api/v4/runners/{runner}/jobs", get(runner_jobs))
        .fallback(async || not_found())
        .layer(from_fn_with_state((Arc::clone(&world), clock), guard))
        .with_state(world)
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, body.to_string()).into_response()
}

fn not_found() -> Response {
    answer(
        StatusCode::NOT_FOUND,
        &json!({ "message": "404 Not Found" }),
    )
}

async fn project(Shared(world): Shared<World>, Path(name): Path<String>) -> Response {
    let state = lock(&world);
    state.project(&name).map_or_else(not_found, |project| {
        let body = json!({ "id": project.id, "path_with_namespace": project.path,
            "web_url": format!("{}/{}", state.url, project.path) });
        answer(StatusCode::OK, &body)
    })
}

async fn job(Shared(world): Shared<World>, Path((project, job)): Path<(String, u64)>) -> Response {
    let state = lock(&world);
    state.job_of(&project, job).map_or_else(not_found, |job| {
        answer(StatusCode::OK, &state.job_json(job))
    })
}

async fn trace(
    Shared(world): Shared<World>,
    Path((project, job)): Path<(String, u64)>,
) -> Response {
    let state = lock(&world);
    state.job_of(&project, job).map_or_else(not_found, |job| {
        ([(header::CONTENT_TYPE, "text/plain")], job.log.clone()).into_response()
    })
}

async fn runner(Shared(world): Shared<World>, Path(id): Path<u64>) -> Response {
    let state = lock(&world);
    state.runners.get(&id).map_or_else(not_found, |runner| {
        answer(StatusCode::OK, &runner_json(runner))
    })
}

async fn runner_jobs(Shared(world): Shared<World>, Path(id): Path<u64>) -> Response {
    let state = lock(&world);
    let newest_first = state.jobs.values().rev();
    let jobs = newest_first.filter(|job| job.runner == Some(id));
    let jobs: Vec<Value> = jobs.map(|job| state.job_json(job)).collect();
    answer(StatusCode::OK, &Value::Array(jobs))
}

/// In front of every route: counts the call, then trouble, rate limit and token.
async fn guard(
    Shared((world, clock)): Shared<(World, SharedClock)>,
    request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get("private-token");
    let known = given.is_some_and(|token| token.as_bytes() == TOKEN.as_bytes());
    let (trouble, budget) = {
        let mut state = lock(&world);
        let call = format!("{} {}", request.method(), request.uri().path());
        state.calls.push(call);
        let now = clock.now();
        let budget = state.budget.as_mut().map(|budget| budget.take(now));
        (state.trouble.clone(), budget)
    };
    if let Some(Trouble::Slow(pause)) = trouble {
        tokio::time::sleep(pause).await;
    }
    let (headers, refused) = budget.unwrap_or_default();
    let mut response = if refused {
        let kind = [(header::CONTENT_TYPE, "text/plain")];
        (StatusCode::TOO_MANY_REQUESTS, kind, "Retry later\n").into_response()
    } else if let Some(response) = trouble.as_ref().and_then(instead) {
        response
    } else if known {
        next.run(request).await
    } else {
        let body = json!({ "message": "401 Unauthorized" });
        answer(StatusCode::UNAUTHORIZED, &body)
    };
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        response
            .headers_mut()
            .insert(name, HeaderValue::from(value));
    }
    match trouble {
        Some(Trouble::Truncated) => cut(response).await,
        _ => response,
    }
}

/// The answer of a trouble that does not look at the request.
fn instead(trouble: &Trouble) -> Option<Response> {
    let status = |status: u16| StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let html = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    let page = "<!DOCTYPE html><html><body>Sign in</body></html>";
    match trouble {
        Trouble::Status(code) => Some((status(*code), html, page).into_response()),
        Trouble::Html => Some((StatusCode::OK, html, page).into_response()),
        Trouble::Redirect(to) => {
            Some((StatusCode::FOUND, [(header::LOCATION, to.clone())]).into_response())
        }
        Trouble::Garbage => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            Some((StatusCode::OK, kind, "{\"id\": 1, \"status\":").into_response())
        }
        Trouble::Slow(_) | Trouble::Truncated => None,
    }
}

/// The first half of the body, then a broken connection.
async fn cut(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await;
    let whole = whole.unwrap_or_default();
    let half = whole.slice(..whole.len() / 2);
    parts.headers.remove(header::CONTENT_LENGTH);
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let pieces: [Result<Bytes, std::io::Error>; 2] = [Ok(half), Err(broken)];
    Response::from_parts(parts, Body::from_stream(futures::stream::iter(pieces)))
}
