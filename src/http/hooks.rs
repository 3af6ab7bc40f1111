//! Webhooks of CI systems. A CI disables a hook that is answered with anything but 2xx, so what is not
//! wanted is accepted and left alone; only wrong credentials and what cannot be stored are refused.

use super::problem::{ApiError, Problem};
use super::router::Services;
use crate::error::{Error, ErrorKind, Result};
use crate::gitlab::hook::{Hook, Hooks};
use crate::gitlab::settings::GitlabSettings;
use crate::limits;
use crate::time::SharedClock;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// Authenticates and reads hooks.
#[derive(Debug, Clone)]
pub struct HookService {
    sources: watch::Receiver<Arc<[GitlabSettings]>>,
    clock: SharedClock,
    /// One permit for each large body that is in memory.
    large: Arc<Semaphore>,
}

impl HookService {
    /// Takes the hooks of these instances, as they are at each request.
    #[must_use]
    pub fn new(sources: watch::Receiver<Arc<[GitlabSettings]>>, clock: SharedClock) -> Self {
        Self {
            sources,
            clock,
            large: Arc::new(Semaphore::new(limits::LARGE_HOOKS_AT_ONCE)),
        }
    }

    /// What an authenticated hook says. Its signature is over the raw bytes, so that a body must be
    /// in memory as a whole; beyond 1 MiB, which no job event reaches, few are at once. `None` is a
    /// body that is too large: its rest is read and dropped, so that the sender sees the answer.
    async fn receive(&self, request: Request) -> Result<Option<Hook>> {
        let (head, body) = request.into_parts();
        let (mut permit, mut too_large) = (None, false);
        let mut bytes = Vec::new();
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| {
                Error::invalid("unreadable_body", "the body could not be read to its end")
                    .with_source(error)
            })?;
            if too_large || bytes.len() + piece.len() > limits::HOOK_BYTES_MAX {
                (too_large, bytes) = (true, Vec::new());
                continue;
            }
            if bytes.len() + piece.len() > limits::BODY_BYTES_MAX && permit.is_none() {
                // Nothing closes the semaphore; a request that waits too long is timed out.
                permit = self.large.acquire().await.ok();
            }
            bytes.extend_from_slice(&piece);
        }
        if too_large {
            return Ok(None);
        }
        let hooks = Hooks::new(self.sources.borrow().to_vec());
        let now = self.clock.now();
        hooks.receive(&head.headers, &bytes, now).map(Some)
    }
}

/// Take a GitLab webhook (job events).
///
/// 202 is answered after the event is on disk, and also to events that are not kept: GitLab disables
/// a hook after failures, and never delivers an event again.
#[utoipa::path(
    post, path = "/hooks/gitlab", tag = "hooks",
    request_body(content = serde_json::Value, description = "as GitLab sends it", content_type = "application/json"),
    responses(
        (status = 202, description = "durable, or not wanted"),
        (status = 401, description = "no configured instance sent this", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "body over 25 MiB", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "could not be made durable", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn gitlab(
    State(services): State<Services>,
    request: Request,
) -> Result<Response, ApiError> {
    let event = match services.hooks.receive(request).await? {
        None => return Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response()),
        Some(Hook::Unwanted(why)) => {
            tracing::debug!(why = why.to_string(), "a hook is not kept");
            None
        }
        Some(Hook::Job(event)) => Some(*event),
    };
    if let Some(event) = event {
        let job = event.job.clone();
        match services.intake.accept(event).await {
            Ok(_) => {}
            // The event cannot be right, whoever sends it how often: no reason to disable the hook.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Invalid) => {
                tracing::warn!(%job, error = error.chain(), "a job event contradicts what is known");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(StatusCode::ACCEPTED.into_response())
}
