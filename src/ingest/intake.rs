//! What comes in: job events and registrations.

use super::ask;
use crate::archive::{Acceptance, Accepted, Archive, Sealed};
use crate::ci_port::CiSource;
use crate::error::{Error, ErrorKind, Result};
use crate::model::id::RegionName;
use crate::model::job::JobEvent;
use crate::model::record::Waiting;
use crate::model::registry::{Declared, Entry, Origin};
use crate::model::runner::{Region, Runner, RunnerRef};
use crate::num;
use crate::supervise::BlockingPool;
use crate::telemetry::Metrics;
use crate::time::SharedClock;
use std::sync::Arc;
use tokio::sync::Notify;

/// Takes events and registrations, and wakes the pipeline.
#[derive(Debug, Clone)]
pub struct Intake {
    archive: Arc<Archive>,
    pool: BlockingPool,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    wake: Arc<Notify>,
    ci: Arc<dyn CiSource>,
}

impl Intake {
    /// An intake that wakes whoever waits on `wake`. Jobs that run are asked about at `ci` later.
    #[must_use]
    pub fn new(
        archive: Arc<Archive>,
        pool: BlockingPool,
        clock: SharedClock,
        metrics: Arc<Metrics>,
        wake: Arc<Notify>,
        ci: Arc<dyn CiSource>,
    ) -> Self {
        Self {
            archive,
            pool,
            clock,
            metrics,
            wake,
            ci,
        }
    }

    /// Accepts a job event. It is durable when this returns.
    ///
    /// # Errors
    /// As [`Archive::accept`].
    pub async fn accept(&self, event: JobEvent) -> Result<Accepted> {
        let mut sealed = None;
        let runs = event.facts.started_at.is_some() && !event.facts.is_over();
        let asked = (runs && self.ci.serves(&event.job.source))
            .then(|| self.clock.now().plus_ms(ask::END_UNHEARD_MS));
        let accepted = loop {
            let said = event.clone();
            let reply = self.archive.accept_and_ask(said, sealed.take(), asked);
            match reply.await? {
                Acceptance::Accepted(accepted) => break accepted,
                Acceptance::NeedsSealedFacts => {
                    let (archive, job) = (Arc::clone(&self.archive), event.job.clone());
                    let read = move || archive.sealed_facts(&job);
                    sealed = Some(self.pool.run(read).await?);
                }
            }
        };
        self.metrics.event(if accepted.changed {
            "changed"
        } else {
            "repeated"
        });
        if accepted.due.is_some() {
            self.wake.notify_one();
        }
        Ok(accepted)
    }

    /// Registers a region; jobs that waited for it go on.
    ///
    /// # Errors
    /// `Invalid` names every wrong field; `Unavailable` if it cannot be made durable.
    pub async fn put_region(&self, name: RegionName, region: Region) -> Result<()> {
        region.validate()?;
        self.archive.put_region(name, region).await?;
        self.wake_waiting().await
    }

    /// Registers a runner; jobs that waited for it go on.
    ///
    /// # Errors
    /// As [`Intake::put_region`].
    pub async fn put_runner(&self, name: RunnerRef, runner: Runner) -> Result<()> {
        runner.validate()?;
        self.archive.put_runner(name, runner).await?;
        self.wake_waiting().await
    }

    /// Replaces what the configuration registers; jobs that waited for it go on.
    ///
    /// # Errors
    /// `Unavailable` or `Data` if the waiting jobs cannot be read or written; the new registrations
    /// hold all the same.
    pub async fn declare(&self, declared: Declared) -> Result<()> {
        self.archive.declare(Arc::new(declared));
        self.wake_waiting().await
    }

    /// Removes a region that was put.
    ///
    /// # Errors
    /// `NotFound` if there is none, `Conflict` if the configuration declares it, `Unavailable` if it
    /// cannot be made durable.
    pub async fn delete_region(&self, name: RegionName) -> Result<()> {
        if self.archive.delete_region(name.clone()).await? {
            return Ok(());
        }
        let (archive, region) = (Arc::clone(&self.archive), name.clone());
        let declared = self.pool.run(move || archive.region(&region)).await?;
        Err(
            not_put(declared, &format!("region {name}")).unwrap_or_else(|| {
                Error::not_found("region_not_found", format!("there is no region {name}"))
            }),
        )
    }

    /// Removes a runner that was put.
    ///
    /// # Errors
    /// As [`Intake::delete_region`].
    pub async fn delete_runner(&self, name: RunnerRef) -> Result<()> {
        if self.archive.delete_runner(name.clone()).await? {
            return Ok(());
        }
        let (archive, runner) = (Arc::clone(&self.archive), name.clone());
        let declared = self.pool.run(move || archive.runner(&runner)).await?;
        let what = format!("runner {} of source {}", name.runner_id, name.source);
        Err(not_put(declared, &what)
            .unwrap_or_else(|| Error::not_found("runner_not_found", format!("there is no {what}"))))
    }

    /// Seals everything that is staged now.
    ///
    /// # Errors
    /// As [`Archive::seal_all`].
    pub async fn seal_all(&self) -> Result<Vec<Sealed>> {
        let archive = Arc::clone(&self.archive);
        let sealed = self.pool.run(move || archive.seal_all()).await?;
        self.metrics
            .segments_sealed
            .inc_by(num::len_u64(sealed.len()));
        Ok(sealed)
    }

    /// Makes jobs that wait for a registration due now.
    async fn wake_waiting(&self) -> Result<()> {
        let archive = Arc::clone(&self.archive);
        let sleeping = self
            .pool
            .run(move || archive.waiting_for_registration())
            .await?;
        let now = self.clock.now();
        let mut replies = Vec::new();
        for record in sleeping {
            let due_now = record.waiting.clone().map(|waiting| Waiting {
                due: now,
                ..waiting
            });
            if let Some(waiting) = due_now {
                let job = record.keys.job;
                replies.push(self.archive.reschedule(job, record.waiting, waiting));
            }
        }
        let jobs = replies.len();
        for reply in replies {
            reply.await?;
        }
        if jobs > 0 {
            tracing::info!(jobs, "a registration arrived for waiting jobs");
            self.wake.notify_one();
        }
        Ok(())
    }
}

/// The error of somebody who would remove over the API what the configuration declares.
fn not_put<T>(entry: Option<Entry<T>>, what: &str) -> Option<Error> {
    match entry?.origin {
        // Put again meanwhile: what was there when it was asked is gone.
        Origin::Api => None,
        Origin::Config(place) => Some(Error::new(
            ErrorKind::Conflict,
            "registered_in_config",
            format!("{what} stands in {place}; remove it there and reload the configuration"),
        )),
    }
}
