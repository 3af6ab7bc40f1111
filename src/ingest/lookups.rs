//! Asking the CI systems: before a job is fetched, and from a durable queue for what is missing later.
//!
//! Archiving waits for the CI only where nothing else names the machine. Sections and exact times are
//! taken when they come; after the seal they are amendments.

use super::ask::{self, OpenQuestion};
use super::intake::Intake;
use crate::archive::{Archive, DueLookup};
use crate::ci_port::{CiError, CiSource, LogWish, ProjectName};
use crate::error::{ErrorKind, Result};
use crate::limits;
use crate::model::id::JobRef;
use crate::model::job::{JobEvent, JobFacts};
use crate::model::record::JobRecord;
use crate::model::scope::Scope;
use crate::supervise::BlockingPool;
use crate::time::{SharedClock, TimeRange, TimestampMs};
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest sleep between two looks at the queue.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Pause after the queue could not be read or written.
const STORAGE_PAUSE: Duration = Duration::from_secs(5);

/// What asking is made of.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the types say it")]
pub struct Lookups {
    pub ci: Arc<dyn CiSource>,
    pub intake: Intake,
    pub archive: Arc<Archive>,
    pub pool: BlockingPool,
    pub clock: SharedClock,
}

/// What is still missing after the CI was asked.
#[derive(Debug)]
pub(super) enum Missing {
    /// Nothing, or nothing that the CI could give.
    Nothing,
    /// The log still grows.
    LogGrows,
    /// There was no answer.
    Unanswered(CiError),
}

impl Lookups {
    /// Asks the CI what a job that is due still lacks, and takes what it says: at most two calls. The
    /// record is the one after that.
    pub(super) async fn before_fetch(&self, record: JobRecord) -> Result<(JobRecord, Missing)> {
        let question = ask::question(&record);
        let Some((project, wish)) = question.filter(|_| self.ci.serves(&record.job.source)) else {
            return Ok((record, Missing::Nothing));
        };
        let known = record.merged.facts().machine.is_some();
        let missing = self.ask(&record.job, &project, wish, known).await?;
        let (archive, key) = (Arc::clone(&self.archive), record.keys.job);
        let fresh = self.pool.run(move || archive.record(key)).await?;
        // Sealed meanwhile: staging will say so.
        Ok((fresh.unwrap_or(record), missing))
    }

    /// One call for the exact times, one for the log. A machine that is known stays: whoever reported
    /// it knows it better than the log.
    async fn ask(
        &self,
        job: &JobRef,
        project: &ProjectName,
        wish: LogWish,
        machine_is_known: bool,
    ) -> Result<Missing> {
        let wish = match self.ci.job(job, project).await {
            Err(error) => return Ok(Missing::Unanswered(error)),
            Ok(facts) => {
                let exact = facts.window();
                self.tell(job, facts).await?;
                match (wish, exact) {
                    (LogWish::Whole(_), Some(window)) => LogWish::Whole(window),
                    _ => wish,
                }
            }
        };
        match self.ci.log(job, project, wish).await {
            Err(error) => Ok(Missing::Unanswered(error)),
            Ok(log) => {
                let grows = ask::log_grows(wish, log.has_ended, self.clock.now());
                let facts = JobFacts {
                    machine: log.facts.machine.filter(|_| !machine_is_known),
                    sections: log.facts.sections.filter(|_| !grows),
                    ..log.facts
                };
                self.tell(job, facts).await?;
                Ok(if grows {
                    Missing::LogGrows
                } else {
                    Missing::Nothing
                })
            }
        }
    }

    /// Takes what the CI says as an event. What contradicts the times known is left out.
    async fn tell(&self, job: &JobRef, facts: JobFacts) -> Result<()> {
        let event = JobEvent {
            job: job.clone(),
            facts,
        };
        match self.intake.accept(event).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                tracing::warn!(%job, error = error.chain(), "the CI contradicts what was reported");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Works off the queue until cancelled.
    ///
    /// # Errors
    /// `Data` or `Unavailable` if the queue cannot be read.
    pub async fn run(self, token: CancellationToken) -> Result<()> {
        while !token.is_cancelled() {
            let (archive, now) = (Arc::clone(&self.archive), self.clock.now());
            let look = move || archive.lookups_due(now, limits::CI_CALLS_PER_SOURCE);
            let due = self.pool.run(look).await?;
            let idle = due.is_empty();
            let work = async {
                join_all(due.into_iter().map(|lookup| self.work(lookup))).await;
                if idle {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            };
            // A question that is dropped is still in the queue.
            tokio::select! {
                () = token.cancelled() => {}
                () = work => {}
            }
        }
        Ok(())
    }

    async fn work(&self, due: DueLookup) {
        let job = due.lookup.job.clone();
        if let Err(error) = self.attempt(due).await {
            tracing::error!(%job, error = error.chain(), "a CI could not be asked about a job");
            tokio::time::sleep(STORAGE_PAUSE).await;
        }
    }

    async fn attempt(&self, due: DueLookup) -> Result<()> {
        let (archive, job) = (Arc::clone(&self.archive), due.lookup.job.clone());
        let find = move || archive.find(&Scope::local_operator(), &job);
        let view = self.pool.run(find).await?;
        let job = &due.lookup.job;
        let open = view.filter(|_| self.ci.serves(&job.source));
        let open = open.and_then(|view| ask::open_question(&view.facts, view.row.is_some()));
        let next = match open {
            None => None,
            Some(OpenQuestion::End(project)) => self.ask_end(&due, &project).await?,
            Some(OpenQuestion::Sections(project, window)) => {
                self.ask_sections(&due, &project, window).await?
            }
        };
        self.archive.move_lookup(due, next).await
    }

    /// Whether a job is over whose end nobody reported.
    async fn ask_end(&self, due: &DueLookup, project: &ProjectName) -> Result<Option<TimestampMs>> {
        let job = &due.lookup.job;
        let answer = self.ci.job(job, project).await;
        let (over, started, retry_at) = match answer {
            Ok(facts) => {
                let (over, started) = (facts.is_over(), facts.started_at);
                if over {
                    self.tell(job, facts).await?;
                }
                (over, started, None)
            }
            Err(error) => {
                tracing::info!(%job, error = error.message, "a CI was asked in vain whether a job is over");
                (false, None, error.retry_at)
            }
        };
        let now = self.clock.now();
        Ok(ask::next_end(
            due.lookup.attempts,
            over,
            started,
            retry_at,
            now,
        ))
    }

    async fn ask_sections(
        &self,
        due: &DueLookup,
        project: &ProjectName,
        window: TimeRange,
    ) -> Result<Option<TimestampMs>> {
        let job = &due.lookup.job;
        let missing = self.ask(job, project, LogWish::Whole(window), true).await?;
        let next = ask::next_sections(due.lookup.attempts, &missing, self.clock.now());
        if let (None, Missing::Unanswered(error)) = (next, &missing) {
            tracing::warn!(%job, error = error.message, "the sections of a job are given up");
        }
        Ok(next)
    }
}
