//! What a GitLab answers over REST: its record of a job, and what the job's log says. Needs a token
//! with scope `read_api`, which is sent to the configured address and nowhere else, and never shown.
//!
//! It implements [`CiSource`]. One question is one call. A log is read as it arrives and never kept;
//! reading ends when the asker has what it wants. Nothing is retried: a rate limit is remembered, and
//! until it ends questions fail here without being sent.

use super::log::{LogFindings, LogReader};
use super::settings::GitlabSettings;
use crate::ci_port::{CiError, CiErrorKind, CiSource, LogFacts, LogWish, ProjectName};
use crate::error::Error;
use crate::limits;
use crate::model::id::{JobRef, Source};
use crate::model::job::{JobFacts, JobStatus};
use crate::outbound::{self, Access, Call, Fault, Outbound, Reply, SecretReader, Timeouts};
use crate::time::{SharedClock, TimeRange, TimestampMs};
use futures::future::BoxFuture;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How long a server that did not answer, or asked for a pause without saying how long, is left alone.
const PAUSE_MS: i64 = 10_000;
/// Longest pause that is believed: GitLab's windows are a minute, an hour at most.
const PAUSE_MS_MAX: i64 = 3_600_000;
/// Pause when all calls to an instance are taken.
const BUSY_MS: i64 = 2_000;
/// End of a log in which the runner's last words must stand.
const TAIL_BYTES: usize = 512;
/// What a runner says last, before 18.7 and since.
const LAST_WORDS: [&[u8]; 2] = [b"Job succeeded", b"ERROR: Job failed"];

/// The configured instances that have a token.
#[derive(Debug)]
pub struct GitlabRest {
    outbound: Outbound,
    clock: SharedClock,
    /// As of the last reading of the configuration.
    settings: watch::Receiver<Arc<[GitlabSettings]>>,
    /// What is remembered of each source; a handful, so they are never pruned.
    instances: Mutex<BTreeMap<Source, Arc<Instance>>>,
}

struct Instance {
    settings: GitlabSettings,
    base: String,
    /// The header with the token.
    headers: BTreeMap<String, String>,
    /// Jobs that may wait for a call.
    places: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    /// No call before this.
    paused_until: Mutex<Option<TimestampMs>>,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// A job as `GET /projects/:id/jobs/:job_id` shows it, as far as it is believed.
#[derive(Debug, Deserialize)]
struct Job {
    id: u64,
    status: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    runner: Option<Runner>,
}

#[derive(Debug, Deserialize)]
struct Runner {
    id: u64,
}

impl GitlabRest {
    /// A client of those instances that have a token for REST.
    ///
    /// # Errors
    /// `Unavailable` if the machine has no certificate authorities to verify servers with.
    pub fn new(
        settings: watch::Receiver<Arc<[GitlabSettings]>>,
        secrets: SecretReader,
        timeouts: Timeouts,
        clock: SharedClock,
    ) -> Result<Self, Error> {
        Ok(Self {
            outbound: Outbound::new(secrets, timeouts)?,
            clock,
            settings,
            instances: Mutex::default(),
        })
    }

    /// The instance of a source as it is configured now; what was remembered of another address or
    /// token is forgotten.
    fn instance(&self, source: &Source) -> Option<Arc<Instance>> {
        let settings = self.settings.borrow();
        let settings = settings
            .iter()
            .find(|settings| settings.source == *source)?;
        let token = settings.api_token.as_ref()?;
        let mut instances = self
            .instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = instances
            .get(source)
            .filter(|known| known.settings == *settings);
        if let Some(known) = known {
            return Some(Arc::clone(known));
        }
        let instance = Arc::new(Instance {
            settings: settings.clone(),
            base: format!("{}/api/v4", settings.url.trim_end_matches('/')),
            headers: [("private-token".to_owned(), token.expose().to_owned())].into(),
            places: Arc::new(Semaphore::new(limits::CI_JOBS_WAITING)),
            calls: Arc::new(Semaphore::new(limits::CI_CALLS_PER_SOURCE)),
            paused_until: Mutex::new(None),
        });
        instances.insert(source.clone(), Arc::clone(&instance));
        Some(instance)
    }

    async fn read_job(&self, job: &JobRef, project: &str) -> Result<JobFacts, CiError> {
        let asked = self.ask(job, project, "").await?;
        let body = asked
            .reply
            .body(&["application/json"], limits::SMALL_ANSWER_BYTES_MAX);
        let whole = match body {
            Ok(body) => body.whole().await,
            Err(fault) => Err(fault),
        };
        let whole = whole.map_err(|fault| self.fault(job, fault))?;
        let parsed = serde_json::from_slice::<Job>(&whole);
        let parsed = parsed.map_err(|_| self.refused(job, "answered no job of GitLab's"))?;
        facts(parsed, job).ok_or_else(|| self.refused(job, "answered with another job"))
    }

    async fn read_log(
        &self,
        job: &JobRef,
        project: &str,
        wish: LogWish,
    ) -> Result<LogFacts, CiError> {
        let asked = self.ask(job, project, "/trace").await?;
        let body = asked.reply.body(&["text/plain"], limits::JOB_LOG_BYTES_MAX);
        let mut body = body.map_err(|fault| self.fault(job, fault))?;
        let mut reader = LogReader::new();
        let mut tail = Vec::new();
        loop {
            let piece = match body.next().await {
                Ok(piece) => piece,
                // What lies beyond our bound is missing as behind GitLab's own.
                Err(Fault::TooLarge(_)) => None,
                Err(fault) => return Err(self.fault(job, fault)),
            };
            let Some(piece) = piece else { break };
            reader.push(&piece);
            if wish == LogWish::Machine && reader.is_machine_settled() {
                break;
            }
            tail.extend_from_slice(
                piece
                    .get(piece.len().saturating_sub(TAIL_BYTES)..)
                    .unwrap_or(&piece),
            );
            tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
        }
        let window = match wish {
            LogWish::Machine => TimeRange::new(TimestampMs(0), TimestampMs(0)),
            LogWish::Whole(window) => window,
        };
        Ok(log_facts(reader.finish(window), &tail, wish))
    }

    /// Sends one call about a job; only a success comes back.
    async fn ask(&self, job: &JobRef, project: &str, what: &str) -> Result<Asked, CiError> {
        let Some(instance) = self.instance(&job.source) else {
            return Err(self.refused(job, "is not configured with a token"));
        };
        self.paused(job, &instance)?;
        let now = self.clock.now();
        let permits = instance.permits().await;
        let permits = permits.ok_or_else(|| {
            let later = Some(now.plus_ms(BUSY_MS));
            self.error(
                job,
                CiErrorKind::Unreachable,
                "has enough of our calls",
                later,
            )
        })?;
        // Those before in the line may have learnt that it does not answer.
        self.paused(job, &instance)?;
        let url = instance.url(project, job, what);
        let url = url.ok_or_else(|| self.refused(job, "has an address that is no URL"))?;
        let access = Access {
            headers: &instance.headers,
            authorization: None,
            ca_file: None,
        };
        let call = Call {
            method: Method::GET,
            url,
            headers: &[("accept", "application/json, text/plain")],
            body: Vec::new(),
        };
        let reply = self.outbound.send(&access, call).await;
        let reply = reply.map_err(|fault| self.fault(job, fault))?;
        instance.heed(&reply, now);
        match reply.status() {
            StatusCode::OK => Ok(Asked {
                reply,
                _permits: permits,
            }),
            _ => Err(self.status(job, &instance, reply, now).await),
        }
    }

    fn paused(&self, job: &JobRef, instance: &Instance) -> Result<(), CiError> {
        let Some(until) = instance.paused_until(self.clock.now()) else {
            return Ok(());
        };
        let what = "is left alone after a failure or a rate limit";
        Err(self.error(job, CiErrorKind::Limited, what, Some(until)))
    }

    /// The error of an answer that is no success.
    async fn status(
        &self,
        job: &JobRef,
        instance: &Instance,
        reply: Reply,
        now: TimestampMs,
    ) -> CiError {
        let status = reply.status();
        if status.is_redirection() {
            return self.refused(job, &outbound::redirect(reply.header("location")));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            let until = instance.pause(now.plus_ms(PAUSE_MS), now);
            let what = "has a rate limit, and it is used up (429)";
            return self.error(job, CiErrorKind::Limited, what, Some(until));
        }
        if status.is_server_error() {
            let until = instance.pause(now.plus_ms(PAUSE_MS), now);
            let what = format!("answered {status}: {}", reply.words().await);
            return self.error(job, CiErrorKind::Unreachable, &what, Some(until));
        }
        let what = match status {
            StatusCode::UNAUTHORIZED => "refused the token (401): is it expired or revoked?",
            StatusCode::FORBIDDEN => "forbids this (403): the token needs scope read_api",
            StatusCode::NOT_FOUND => {
                "does not show the job (404): it is deleted, or the token's user is no Reporter of \
                 the project"
            }
            _ => return self.refused(job, &format!("answered {status}: {}", reply.words().await)),
        };
        self.refused(job, what)
    }

    fn fault(&self, job: &JobRef, fault: Fault) -> CiError {
        match fault {
            Fault::Transport(_) => {
                let now = self.clock.now();
                let instance = self.instance(&job.source);
                let until = instance.map(|instance| instance.pause(now.plus_ms(PAUSE_MS), now));
                self.error(job, CiErrorKind::Unreachable, &fault.to_string(), until)
            }
            Fault::Setup(_) | Fault::Media(_) | Fault::TooLarge(_) => {
                let what = format!("{fault}; its url must lead to GitLab, not to a login page");
                self.refused(job, &what)
            }
        }
    }

    fn refused(&self, job: &JobRef, what: &str) -> CiError {
        self.error(job, CiErrorKind::Refused, what, None)
    }

    fn error(
        &self,
        job: &JobRef,
        kind: CiErrorKind,
        what: &str,
        retry_at: Option<TimestampMs>,
    ) -> CiError {
        CiError {
            kind,
            message: format!("GitLab of source {}: {what}", job.source),
            retry_at,
        }
    }
}

/// A success whose body is still to come; one of the instance's calls until it is dropped.
struct Asked {
    reply: Reply,
    _permits: [OwnedSemaphorePermit; 2],
}

impl Instance {
    /// The address of a job. Ids and paths are one segment each, whatever they contain.
    fn url(&self, project: &str, job: &JobRef, what: &str) -> Option<String> {
        let mut url = Url::parse(&self.base).ok()?;
        let id: u64 = job.job_id.as_str().parse().ok()?;
        url.path_segments_mut()
            .ok()?
            .extend(["projects", project, "jobs", &id.to_string()]);
        Some(format!("{url}{what}"))
    }

    /// A place in the line, then a call; `None` if the line is full.
    async fn permits(&self) -> Option<[OwnedSemaphorePermit; 2]> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let call = Arc::clone(&self.calls).acquire_owned().await.ok()?;
        Some([place, call])
    }

    fn paused_until(&self, now: TimestampMs) -> Option<TimestampMs> {
        let paused = self.paused_until.lock();
        let until = *paused.unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| *until > now)
    }

    /// Leaves the instance alone until `at`, or longer if it said so.
    fn pause(&self, at: TimestampMs, now: TimestampMs) -> TimestampMs {
        let mut paused = self
            .paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let at = at.min(now.plus_ms(PAUSE_MS_MAX));
        let until = paused
            .filter(|until| *until > now)
            .map_or(at, |until| until.max(at));
        *paused = Some(until);
        until
    }

    /// Heeds `Retry-After` (seconds), and `RateLimit-Reset` (Unix seconds) once nothing remains.
    fn heed(&self, reply: &Reply, now: TimestampMs) {
        let number = |name: &str| reply.header(name)?.trim().parse::<i64>().ok();
        let wait = number("retry-after").map(|seconds| now.plus_ms(seconds.saturating_mul(1_000)));
        let reset = number("ratelimit-reset")
            .filter(|_| number("ratelimit-remaining") == Some(0))
            .map(|seconds| TimestampMs(seconds.saturating_mul(1_000)));
        if let Some(until) = wait.max(reset).filter(|until| *until > now) {
            self.pause(until, now);
        }
    }
}

/// Status and exact times; `None` if it is not the job that was asked for.
fn facts(found: Job, job: &JobRef) -> Option<JobFacts> {
    if found.id.to_string() != job.job_id.as_str() {
        return None;
    }
    let time = |text: Option<String>| TimestampMs::parse_rfc3339(&text?);
    Some(JobFacts {
        status: JobStatus::parse(&found.status),
        runner_id: found.runner.map(|runner| runner.id.to_string()),
        started_at: time(found.started_at),
        finished_at: time(found.finished_at),
        ..JobFacts::default()
    })
}

fn log_facts(findings: LogFindings, tail: &[u8], wish: LogWish) -> LogFacts {
    let ends = |words: &[u8]| tail.windows(words.len()).any(|part| part == words);
    let has_ended = findings.is_cut || LAST_WORDS.into_iter().any(ends);
    let sections = findings.sections.clone();
    LogFacts {
        has_ended,
        facts: JobFacts {
            sections: (wish != LogWish::Machine).then_some(sections),
            ..findings.into_facts()
        },
    }
}

impl CiSource for GitlabRest {
    fn serves(&self, source: &Source) -> bool {
        self.instance(source).is_some()
    }

    fn job<'a>(
        &'a self,
        job: &'a JobRef,
        project: &'a ProjectName,
    ) -> BoxFuture<'a, Result<JobFacts, CiError>> {
        Box::pin(self.read_job(job, project))
    }

    fn log<'a>(
        &'a self,
        job: &'a JobRef,
        project: &'a ProjectName,
        wish: LogWish,
    ) -> BoxFuture<'a, Result<LogFacts, CiError>> {
        Box::pin(self.read_log(job, project, wish))
    }
}

#[cfg(test)]
mod tests;
