//! The port to the CI systems: what they know of a job beyond what was reported. Implemented by
//! `gitlab`, asked by `ingest` from its durable queues, faked in tests.
//!
//! A question is one call of the CI's interface. Nothing is retried here and nothing waits for a rate
//! limit: whoever asks owns time, and is told when to come again.

use crate::model::id::{JobRef, Source};
use crate::model::job::JobFacts;
use crate::time::{TimeRange, TimestampMs};
use futures::future::BoxFuture;
use std::fmt;

/// How a job's project is named: by its id, else by its path.
pub type ProjectName = String;

/// How much of a job's log is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogWish {
    /// The machine: reading stops as soon as the log cannot say more about it.
    Machine,
    /// Machine and sections of a job with this window.
    Whole(TimeRange),
}

/// What a log says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFacts {
    /// The machine, the executor and, if all of it was wanted, the sections (none is an empty list).
    /// Without status and times: whatever is said elsewhere counts more.
    pub facts: JobFacts,
    /// Whether the runner had written its last line: otherwise the log still grows.
    pub has_ended: bool,
}

/// Why there is no answer, as coarse as the asker acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CiErrorKind {
    /// No answer, 5xx, or too many of our questions in flight: ask again soon.
    Unreachable,
    /// 429: ask again when it says.
    Limited,
    /// The token is wrong or may not see the job, the job is gone, or the answer is not GitLab's: a
    /// person must mend something.
    Refused,
}

/// A question without an answer. The message names the source and never a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiError {
    /// What to do about it.
    pub kind: CiErrorKind,
    /// What happened.
    pub message: String,
    /// Not before this, if the CI said so.
    pub retry_at: Option<TimestampMs>,
}

impl fmt::Display for CiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CiError {}

/// Answers questions about jobs.
pub trait CiSource: Send + Sync + fmt::Debug {
    /// Whether jobs of this source can be asked about at all.
    fn serves(&self, source: &Source) -> bool;

    /// The CI's own record of the job: status and exact times.
    fn job<'a>(
        &'a self,
        job: &'a JobRef,
        project: &'a ProjectName,
    ) -> BoxFuture<'a, Result<JobFacts, CiError>>;

    /// What the job's log says.
    fn log<'a>(
        &'a self,
        job: &'a JobRef,
        project: &'a ProjectName,
        wish: LogWish,
    ) -> BoxFuture<'a, Result<LogFacts, CiError>>;
}
