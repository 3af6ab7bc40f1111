//! Job Hooks: the body as GitLab composes it, and a sender with GitLab's habits.
//!
//! A delivery that fails is never repeated. A repetition comes from a worker that starts again: it
//! has a new id. Four failures in a row disable the hook, and events are lost without a word.

use super::state::State;
use crate::components::http;
use crate::time::{SharedClock, TimestampMs};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use uuid::Uuid;

/// Failures in a row after which GitLab disables a hook.
const FAILURES_MAX: u32 = 4;

/// How an instance spells its hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookSpelling {
    /// A current GitLab in UTC: with `project` and with times in ISO 8601 beside the others.
    Recent,
    /// An older one in a time zone of its own, without either.
    OldLocalTime,
}

impl HookSpelling {
    fn time(self, at: Option<TimestampMs>) -> Value {
        let Some(at) = at else { return Value::Null };
        match self {
            Self::Recent => json!(seconds(at, " UTC")),
            Self::OldLocalTime => json!(seconds(at.plus_ms(-8 * 3_600_000), " -0800")),
        }
    }
}

/// `2026-07-28 22:09:25` and a zone: hooks have whole seconds.
fn seconds(at: TimestampMs, zone: &str) -> String {
    let text = at.to_rfc3339().replacen('T', " ", 1);
    let whole = text.split('.').next().unwrap_or_default();
    format!("{whole}{zone}")
}

fn iso(at: Option<TimestampMs>) -> Value {
    at.map_or(Value::Null, |at| {
        json!(seconds(at, "Z").replacen(' ', "T", 1))
    })
}

/// The body of a Job Hook about the job as it is now.
pub(super) fn body(state: &State, id: u64, spelling: HookSpelling) -> Value {
    let Some(job) = state.jobs.get(&id) else {
        return Value::Null;
    };
    let created = &job.created;
    let path = state.projects.get(&created.project);
    let path = path.map_or("", |project| project.path.as_str());
    let homepage = format!("{}/{path}", state.url);
    let runner = job.runner.and_then(|id| state.runners.get(&id));
    let runner = runner.map_or(Value::Null, |runner| {
        json!({ "id": runner.id, "description": runner.description, "active": true,
            "runner_type": "instance_type", "is_shared": true, "tags": runner.tags })
    });
    let seconds_between = |from: Option<TimestampMs>, to: Option<TimestampMs>| {
        from.zip(to).map(|(from, to)| to.since(from) / 1_000)
    };
    let mut body = json!({
        "object_kind": "build", "ref": created.git_ref, "tag": false,
        "before_sha": "0000000000000000000000000000000000000000", "sha": created.sha,
        "build_id": created.id, "build_name": created.name, "build_stage": created.stage,
        "build_status": job.status,
        "build_created_at": spelling.time(Some(created.created_at)),
        "build_started_at": spelling.time(job.started_at),
        "build_finished_at": spelling.time(job.finished_at),
        "build_duration": seconds_between(job.started_at, job.finished_at),
        "build_queued_duration": seconds_between(Some(created.created_at), job.started_at),
        "build_allow_failure": false, "build_failure_reason": "unknown_failure",
        "pipeline_id": created.pipeline, "runner": runner,
        "project_id": created.project, "project_name": path.replace('/', " / "),
        "user": { "id": 77, "name": "Ada Byte", "username": "ada", "avatar_url": null,
            "email": "[REDACTED]" },
        "commit": { "id": created.pipeline, "name": null, "sha": created.sha,
            "message": "Use LZ4 for hot segments\n", "author_name": "Ada Byte",
            "author_email": "ada@acme.test", "status": "running", "duration": null },
        "repository": { "name": path, "url": "", "description": "", "homepage": homepage,
            "visibility_level": 0 },
        "environment": null,
    });
    if let (HookSpelling::Recent, Some(fields)) = (spelling, body.as_object_mut()) {
        let project = json!({ "id": created.project, "name": path, "web_url": homepage,
            "path_with_namespace": path, "default_branch": "main", "ci_config_path": "" });
        fields.extend([
            ("project".to_owned(), project),
            ("retries_count".to_owned(), json!(0)),
            (
                "build_created_at_iso".to_owned(),
                iso(Some(created.created_at)),
            ),
            ("build_started_at_iso".to_owned(), iso(job.started_at)),
            ("build_finished_at_iso".to_owned(), iso(job.finished_at)),
        ]);
    }
    body
}

/// What became of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver answered with this status; 2xx and 3xx count as success.
    Answered(u16),
    /// There was no answer.
    Failed,
    /// The hook is disabled after too many failures: nothing was sent.
    Disabled,
}

impl Delivery {
    fn is_success(self) -> bool {
        matches!(self, Self::Answered(200..400))
    }
}

/// Sends the hooks of one instance to a receiver on the loopback interface.
#[derive(Debug)]
pub struct HookSender {
    instance: String,
    port: u16,
    secret_token: Option<String>,
    signing_token: Option<String>,
    clock: SharedClock,
    failures: AtomicU32,
}

impl HookSender {
    /// A sender of the hooks of `instance` to `POST /hooks/gitlab` on `port`, without credentials.
    #[must_use]
    pub fn new(instance: String, port: u16, clock: SharedClock) -> Self {
        Self {
            instance,
            port,
            secret_token: None,
            signing_token: None,
            clock,
            failures: AtomicU32::new(0),
        }
    }

    /// The same with a secret token.
    #[must_use]
    pub fn with_secret_token(mut self, token: &str) -> Self {
        self.secret_token = Some(token.to_owned());
        self
    }

    /// The same with a signing token (`whsec_` and base64).
    #[must_use]
    pub fn with_signing_token(mut self, token: &str) -> Self {
        self.signing_token = Some(token.to_owned());
        self
    }

    /// Delivers an event once, under an id of its own.
    pub async fn deliver(&self, event: &str, body: &Value) -> Delivery {
        if self.failures.load(Ordering::SeqCst) >= FAILURES_MAX {
            return Delivery::Disabled;
        }
        let body = body.to_string();
        let headers = self.headers(event, &body);
        let answer = http::post_with(self.port, "/hooks/gitlab", &headers, &body).await;
        let delivery = answer.map_or(Delivery::Failed, |(status, _)| Delivery::Answered(status));
        if delivery.is_success() {
            self.failures.store(0, Ordering::SeqCst);
        } else {
            self.failures.fetch_add(1, Ordering::SeqCst);
        }
        delivery
    }

    /// Delivers a Job Hook.
    pub async fn deliver_job(&self, body: &Value) -> Delivery {
        self.deliver("Job Hook", body).await
    }

    fn headers(&self, event: &str, body: &str) -> Vec<(&'static str, String)> {
        let id = Uuid::new_v4().to_string();
        let mut headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("User-Agent", "GitLab/19.4.1-ee".to_owned()),
            ("Idempotency-Key", id.clone()),
            ("X-Gitlab-Event", event.to_owned()),
            ("X-Gitlab-Webhook-UUID", Uuid::new_v4().to_string()),
            ("X-Gitlab-Event-UUID", Uuid::new_v4().to_string()),
            ("X-Gitlab-Instance", self.instance.clone()),
        ];
        if let Some(token) = &self.secret_token {
            headers.push(("X-Gitlab-Token", token.clone()));
        }
        if let Some(token) = &self.signing_token {
            let seconds = self.clock.now().0.div_euclid(1_000);
            headers.push(("webhook-signature", sign(token, &id, seconds, body)));
            headers.push(("webhook-id", id));
            headers.push(("webhook-timestamp", seconds.to_string()));
        }
        headers
    }
}

/// The header of Standard Webhooks. A token that is not base64 signs with an empty key: refused.
fn sign(token: &str, id: &str, seconds: i64, body: &str) -> String {
    let encoded = token.strip_prefix("whsec_").unwrap_or(token);
    let key = STANDARD.decode(encoded).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let tag = hmac::sign(&key, format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_published_vector() {
        let body = r#"{"object_kind":"build","build_id":1,"build_status":"running"}"#;
        let signature = sign(
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "9f7c6b0e-3b0c-4c9e-9d50-6f4a5c1f2a11",
            1_764_000_000,
            body,
        );
        assert_eq!(signature, "v1,mLqUkmqewllDUwBQD5+lhHBovUBC0S9KGB4AYU4mRjQ=");
    }

    #[test]
    fn times_have_whole_seconds_in_the_zone_of_the_instance() {
        let at = TimestampMs::parse_rfc3339("2025-11-24T16:00:02.987Z");
        let text = |spelling: HookSpelling| spelling.time(at);
        assert_eq!(text(HookSpelling::Recent), "2025-11-24 16:00:02 UTC");
        assert_eq!(
            text(HookSpelling::OldLocalTime),
            "2025-11-24 08:00:02 -0800"
        );
        assert_eq!(iso(at), "2025-11-24T16:00:02Z");
    }
}
