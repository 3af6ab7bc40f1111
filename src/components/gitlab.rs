//! A stand-in GitLab: projects, runners, jobs with their logs, the part of the REST interface that
//! Tachograph reads, and a sender of Job Hooks with GitLab's real habits.
//!
//! Used by the demo and by tests. It is a server of its own on a free port of the loopback interface
//! and stops when it is dropped. It shows what a real GitLab shows: whole seconds in hooks and
//! milliseconds over REST, 404 for what a token may not see, a log that grows while the job runs,
//! rate limits. It counts every REST call, and misbehaves when a test tells it to ([`Trouble`]).

mod api;
mod hook;
mod log;
mod state;

pub use api::Trouble;
pub use hook::{Delivery, HookSender, HookSpelling};
pub use log::{Executor, RunnerLog};
pub use state::{CiJob, CiProject, CiRunner, JobOutcome};

use crate::error::{Error, ErrorKind, Result};
use crate::time::{SharedClock, TimestampMs};
use serde_json::Value;
use state::State;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The token with scope `read_api` that the stand-in accepts.
const TOKEN: &str = "glpat-stand-in-read-api";

/// A running stand-in.
#[derive(Debug)]
pub struct StandInGitlab {
    address: SocketAddr,
    shared: Arc<Mutex<State>>,
    _server: JoinSet<()>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic of a test while it held the lock leaves plain values behind.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StandInGitlab {
    /// Starts one without projects. Its clock dates rate limits.
    ///
    /// # Errors
    /// `Unavailable` if no port can be opened.
    pub async fn start(clock: SharedClock) -> Result<Self> {
        let failed = |error: std::io::Error| {
            let message = "the stand-in GitLab cannot listen on the loopback interface";
            Error::new(ErrorKind::Unavailable, "component_failed", message).with_source(error)
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Mutex::new(State::new(format!("http://{address}"))));
        let router = api::router(Arc::clone(&shared), clock);
        let mut server = JoinSet::new();
        server.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(error = error.to_string(), "the stand-in GitLab ended");
            }
        });
        Ok(Self {
            address,
            shared,
            _server: server,
        })
    }

    /// Its address, as `X-Gitlab-Instance` and the REST base say it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token that reads everything here.
    #[must_use]
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// Adds a project.
    pub fn add_project(&self, project: CiProject) {
        lock(&self.shared).projects.insert(project.id, project);
    }

    /// Adds a runner.
    pub fn add_runner(&self, runner: CiRunner) {
        lock(&self.shared).runners.insert(runner.id, runner);
    }

    /// Creates a job, not yet running.
    pub fn create_job(&self, job: CiJob) {
        lock(&self.shared).create(job);
    }

    /// The job becomes pending.
    pub fn enqueue(&self, job: u64) {
        lock(&self.shared).enqueue(job);
    }

    /// A runner takes the job.
    pub fn take(&self, job: u64, runner: u64, at: TimestampMs) {
        lock(&self.shared).take(job, runner, at);
    }

    /// The job ends.
    pub fn finish(&self, job: u64, outcome: JobOutcome, at: TimestampMs) {
        lock(&self.shared).finish(job, outcome, at);
    }

    /// Adds to the job's log.
    pub fn append_log(&self, job: u64, bytes: &[u8]) {
        lock(&self.shared).append_log(job, bytes);
    }

    /// The body of a Job Hook about the job as it is now; `Null` if there is no such job.
    #[must_use]
    pub fn hook_body(&self, job: u64, spelling: HookSpelling) -> Value {
        let state = lock(&self.shared);
        hook::body(&state, job, spelling)
    }

    /// Misbehaves from now on, until told otherwise.
    pub fn misbehave(&self, trouble: Option<Trouble>) {
        lock(&self.shared).trouble = trouble;
    }

    /// Answers this many further requests, then 429 until the clock has passed one minute.
    pub fn limit_requests(&self, requests: u32) {
        lock(&self.shared).budget = Some(api::Budget::new(requests));
    }

    /// Every REST call so far, as `GET /api/v4/...`.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        lock(&self.shared).calls.clone()
    }
}

#[cfg(test)]
mod tests;
