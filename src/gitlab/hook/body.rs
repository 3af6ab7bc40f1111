//! The body of a job hook. GitLab's versions differ, so every field but four may be missing, of
//! another type or null; what cannot be read is not said, and unknown fields are skipped.

use super::times::HookTime;
use super::{Hook, Unwanted};
use crate::gitlab::settings::GitlabSettings;
use crate::limits;
use crate::model::id::{JobId, JobRef, RunnerId};
use crate::model::job::{JobEvent, JobFacts, JobStatus};
use crate::num;
use crate::time::TimestampMs;
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Kinds and statuses that are shown in a reason.
const SHOWN_CHARS: usize = 40;

/// The fields that are looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(deserialize_with = "lenient")]
    object_kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    build_id: Option<Id>,
    #[serde(deserialize_with = "lenient")]
    build_status: Option<String>,
    #[serde(deserialize_with = "lenient")]
    project_id: Option<Id>,
    #[serde(deserialize_with = "lenient")]
    pipeline_id: Option<Id>,
    #[serde(deserialize_with = "lenient")]
    build_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    build_stage: Option<String>,
    #[serde(deserialize_with = "lenient")]
    r#ref: Option<String>,
    #[serde(deserialize_with = "lenient")]
    sha: Option<String>,
    #[serde(deserialize_with = "lenient")]
    build_failure_reason: Option<String>,
    #[serde(deserialize_with = "lenient")]
    build_created_at: Option<String>,
    #[serde(deserialize_with = "lenient")]
    build_created_at_iso: Option<String>,
    #[serde(deserialize_with = "lenient")]
    build_started_at: Option<String>,
    #[serde(deserialize_with = "lenient")]
    build_started_at_iso: Option<String>,
    #[serde(deserialize_with = "lenient")]
    build_finished_at: Option<String>,
    #[serde(deserialize_with = "lenient")]
    build_finished_at_iso: Option<String>,
    #[serde(deserialize_with = "lenient")]
    build_queued_duration: Option<f64>,
    #[serde(deserialize_with = "lenient")]
    runner: Option<Runner>,
    #[serde(deserialize_with = "lenient")]
    project: Option<Project>,
    #[serde(deserialize_with = "lenient")]
    repository: Option<Repository>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Runner {
    #[serde(deserialize_with = "lenient")]
    id: Option<Id>,
    #[serde(deserialize_with = "lenient")]
    description: Option<String>,
    #[serde(deserialize_with = "lenient")]
    tags: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Project {
    #[serde(deserialize_with = "lenient")]
    path_with_namespace: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Repository {
    #[serde(deserialize_with = "lenient")]
    homepage: Option<String>,
}

/// An id: GitLab sends numbers, templates may send text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Id {
    Number(u64),
    Text(String),
}

impl Id {
    fn into_text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// A field of another type than expected counts as absent.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(from)?;
    Ok(serde_json::from_value(value).ok())
}

/// What an authenticated body says.
pub(super) fn parse(settings: &GitlabSettings, body: &[u8]) -> Hook {
    let template = |what| Hook::Unwanted(Unwanted::CustomTemplate(what));
    let Ok(body) = serde_json::from_slice::<Body>(body) else {
        return template("the body is no JSON object");
    };
    match body.object_kind.as_deref() {
        None => return template("object_kind is missing"),
        Some("build") => {}
        Some(kind) => return Hook::Unwanted(Unwanted::Kind(shown(kind))),
    }
    let Some(word) = body.build_status.as_deref() else {
        return template("build_status is missing");
    };
    let Some(status) = JobStatus::parse(word) else {
        return Hook::Unwanted(Unwanted::Status(shown(word)));
    };
    let build_id = body.build_id.as_ref().and_then(|id| match id {
        Id::Number(number) => JobId::parse(&number.to_string()).ok(),
        Id::Text(text) => JobId::parse(text).ok(),
    });
    let Some(job_id) = build_id else {
        return template("build_id is missing");
    };
    if body.project_id.is_none() {
        return template("project_id is missing");
    }
    let facts = facts(settings, &job_id, status, body);
    let job = JobRef {
        source: settings.source.clone(),
        job_id,
    };
    Hook::Job(Box::new(JobEvent { job, facts }))
}

fn facts(settings: &GitlabSettings, job: &JobId, status: JobStatus, body: Body) -> JobFacts {
    let project = body
        .project
        .and_then(|project| project.path_with_namespace)
        .or_else(|| homepage_path(settings, body.repository?.homepage?))
        .and_then(text);
    // `iso` is the same time in one spelling; versions that have it have both.
    let created = time(body.build_created_at_iso, body.build_created_at);
    let started = time(body.build_started_at_iso, body.build_started_at);
    let finished = time(body.build_finished_at_iso, body.build_finished_at);
    let in_whole_seconds = [created, started, finished]
        .into_iter()
        .flatten()
        .any(|time| time.in_whole_seconds);
    let has_run = status.rank() >= JobStatus::Running.rank();
    let runner = body.runner.unwrap_or_default();
    JobFacts {
        status: Some(status),
        web_url: project
            .as_deref()
            .and_then(|path| job_page(settings, path, job)),
        project,
        project_id: id(body.project_id),
        pipeline_id: id(body.pipeline_id),
        name: body.build_name.and_then(text),
        stage: body.build_stage.and_then(text),
        git_ref: body.r#ref.and_then(text),
        sha: body.sha.and_then(text),
        // GitLab says `unknown_failure` of jobs that did not fail, too.
        failure_reason: body
            .build_failure_reason
            .filter(|_| status == JobStatus::Failed)
            .and_then(text),
        runner_id: id(runner.id),
        runner_description: runner.description.and_then(text),
        runner_tags: runner.tags.map(|tags| {
            let tags = tags.into_iter().filter_map(text);
            tags.take(limits::TAGS_MAX).collect()
        }),
        created_at: at(created),
        started_at: at(started),
        finished_at: at(finished),
        // It still grows while the job waits.
        queued_ms: body
            .build_queued_duration
            .filter(|seconds| has_run && *seconds >= 0.0)
            .and_then(|seconds| num::round_to_i64(seconds * 1e3)),
        in_whole_seconds,
        ..JobFacts::default()
    }
}

fn time(iso: Option<String>, plain: Option<String>) -> Option<HookTime> {
    let parse = |text: Option<String>| HookTime::parse(&text?);
    parse(iso).or_else(|| parse(plain))
}

fn at(time: Option<HookTime>) -> Option<TimestampMs> {
    time.map(|time| time.at)
}

/// The path of the project's page, for versions of GitLab that do not send `project`.
fn homepage_path(settings: &GitlabSettings, homepage: String) -> Option<String> {
    let url = Url::parse(&homepage).ok()?;
    let root = Url::parse(settings.base()).ok()?;
    let path = url.path();
    let below = path
        .strip_prefix(root.path().trim_end_matches('/'))
        .filter(|below| below.starts_with('/'))
        .unwrap_or(path);
    Some(below.trim_matches('/').to_owned())
}

/// The job's page, below the configured address: a body cannot make us link elsewhere.
fn job_page(settings: &GitlabSettings, path: &str, job: &JobId) -> Option<String> {
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let is_id = job.as_str().bytes().all(|b| b.is_ascii_digit());
    let url = format!("{}/{path}/-/jobs/{job}", settings.base());
    (is_id && path.split('/').all(is_plain) && url.len() <= limits::TEXT_BYTES_MAX).then_some(url)
}

/// An id as every id of ours is checked.
fn id(id: Option<Id>) -> Option<String> {
    let text = id?.into_text();
    RunnerId::parse(&text).is_ok().then_some(text)
}

/// A text without control characters, cut to what a job's field may hold; `None` if nothing is left.
fn text(raw: String) -> Option<String> {
    let mut text: String = raw.chars().filter(|c| !c.is_control()).collect();
    text.truncate(text.floor_char_boundary(limits::TEXT_BYTES_MAX));
    (!text.is_empty()).then_some(text)
}

fn shown(word: &str) -> String {
    word.chars().take(SHOWN_CHARS).collect()
}
