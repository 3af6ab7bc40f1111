//! What the stand-in knows, and how REST shows it.

use super::api::{Budget, Trouble};
use super::log::Executor;
use crate::time::TimestampMs;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Bytes of one job's log: a real instance refuses more than 100 MB, a runner writes 4 MiB.
const LOG_BYTES_MAX: usize = 16 << 20;

/// A project.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "GitLab's own words")]
pub struct CiProject {
    pub id: u64,
    pub path: String,
}

/// A runner.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "GitLab's own words")]
pub struct CiRunner {
    pub id: u64,
    pub description: String,
    pub tags: Vec<String>,
    pub executor: Executor,
}

/// A job as it is created.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "GitLab's own words")]
pub struct CiJob {
    pub id: u64,
    pub project: u64,
    pub pipeline: u64,
    pub name: String,
    pub stage: String,
    pub git_ref: String,
    pub sha: String,
    pub created_at: TimestampMs,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "GitLab's own words")]
pub enum JobOutcome {
    Success,
    Failed,
    Canceled,
}

impl JobOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// A job in its life.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) created: CiJob,
    pub(super) status: &'static str,
    pub(super) runner: Option<u64>,
    pub(super) started_at: Option<TimestampMs>,
    pub(super) finished_at: Option<TimestampMs>,
    pub(super) log: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) url: String,
    pub(super) projects: BTreeMap<u64, CiProject>,
    pub(super) runners: BTreeMap<u64, CiRunner>,
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) calls: Vec<String>,
    pub(super) trouble: Option<Trouble>,
    pub(super) budget: Option<Budget>,
}

impl State {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            projects: BTreeMap::new(),
            runners: BTreeMap::new(),
            jobs: BTreeMap::new(),
            calls: Vec::new(),
            trouble: None,
            budget: None,
        }
    }

    pub(super) fn create(&mut self, created: CiJob) {
        let job = Job {
            status: "created",
            runner: None,
            started_at: None,
            finished_at: None,
            log: Vec::new(),
            created,
        };
        self.jobs.insert(job.created.id, job);
    }

    pub(super) fn enqueue(&mut self, id: u64) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.status = "pending";
        }
    }

    pub(super) fn take(&mut self, id: u64, runner: u64, at: TimestampMs) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.status = "running";
            job.runner = Some(runner);
            job.started_at = Some(at);
        }
    }

    pub(super) fn finish(&mut self, id: u64, outcome: JobOutcome, at: TimestampMs) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.status = outcome.as_str();
            job.finished_at = Some(at);
        }
    }

    pub(super) fn append_log(&mut self, id: u64, bytes: &[u8]) {
        if let Some(job) = self.jobs.get_mut(&id) {
            let room = LOG_BYTES_MAX.saturating_sub(job.log.len());
            job.log.extend(bytes.iter().take(room));
        }
    }

    /// A job of that project: GitLab answers 404 for the right job under the wrong project.
    pub(super) fn job_of(&self, project: &str, id: u64) -> Option<&Job> {
        let project = self.project(project)?.id;
        self.jobs
            .get(&id)
            .filter(|job| job.created.project == project)
    }

    /// A project by its id or its path.
    pub(super) fn project(&self, name: &str) -> Option<&CiProject> {
        let by_path = || self.projects.values().find(|project| project.path == name);
        match name.parse::<u64>() {
            Ok(id) => self.projects.get(&id),
            Err(_) => by_path(),
        }
    }

    /// A job as REST shows it: times in milliseconds.
    pub(super) fn job_json(&self, job: &Job) -> Value {
        let time = |at: Option<TimestampMs>| at.map(TimestampMs::to_rfc3339);
        let seconds = |from: Option<TimestampMs>, to: Option<TimestampMs>| {
            let ms = to?.since(from?);
            Some(json!(format!("{}.{:03}", ms / 1_000, ms % 1_000)))
        };
        let created = &job.created;
        let project = self.projects.get(&created.project);
        let path = project.map_or("", |project| project.path.as_str());
        let mut value = json!({
            "id": created.id, "status": job.status, "stage": created.stage, "name": created.name,
            "ref": created.git_ref, "tag": false, "coverage": null, "allow_failure": false,
            "created_at": created.created_at.to_rfc3339(), "started_at": time(job.started_at),
            "finished_at": time(job.finished_at), "erased_at": null,
            "duration": seconds(job.started_at, job.finished_at),
            "queued_duration": seconds(Some(created.created_at), job.started_at),
            "user": { "id": 77, "username": "ada", "name": "Ada Byte", "state": "active" },
            "commit": { "id": created.sha, "short_id": created.sha.get(..8), "title": "Use LZ4" },
            "pipeline": { "id": created.pipeline, "project_id": created.project,
                "sha": created.sha, "ref": created.git_ref, "status": "running", "source": "push" },
            "web_url": format!("{}/{path}/-/jobs/{}", self.url, created.id),
            "artifacts": [], "artifacts_expire_at": null, "archived": false,
            "tag_list": [], "runner": null, "runner_manager": null,
        });
        let runner = job.runner.and_then(|id| self.runners.get(&id));
        if let (Some(runner), Some(fields)) = (runner, value.as_object_mut()) {
            fields.insert("runner".to_owned(), runner_json(runner));
            fields.insert("tag_list".to_owned(), json!(runner.tags));
            let manager = json!({ "id": 991, "system_id": "s_1f0c9a7be2d4", "version": "19.4.0",
                "platform": "linux", "architecture": "amd64", "status": "online" });
            fields.insert("runner_manager".to_owned(), manager);
        }
        if job.status == "failed"
            && let Some(fields) = value.as_object_mut()
        {
            fields.insert("failure_reason".to_owned(), json!("script_failure"));
        }
        value
    }
}

/// A runner as REST shows it.
pub(super) fn runner_json(runner: &CiRunner) -> Value {
    json!({
        "id": runner.id, "description": runner.description, "ip_address": null, "active": true,
        "paused": false, "is_shared": true, "runner_type": "instance_type",
        "name": "gitlab-runner", "online": true, "status": "online",
    })
}
