//! What comes in: job events and registrations.

use super::ask;
use crate::archive::{
    Acceptance, Accepted, Archive, EraseTarget, NumberedErasure, Registration, Sealed,
};
use crate::ci_port::CiSource;
use crate::error::{Error, ErrorKind, Result};
use crate::model::erasure::Fields;
use crate::model::id::RegionName;
use crate::model::job::JobEvent;
use crate::model::registry::{Declared, Entry, Origin};
use crate::model::retention::Retention;
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
        self.archive.put_region(name.clone(), region).await?;
        self.wake_waiting(Registration::Region(name)).await;
        Ok(())
    }

    /// Registers a runner; jobs that waited for it go on.
    ///
    /// # Errors
    /// As [`Intake::put_region`].
    pub async fn put_runner(&self, name: RunnerRef, runner: Runner) -> Result<()> {
        runner.validate()?;
        self.archive.put_runner(name.clone(), runner).await?;
        self.wake_waiting(Registration::Runner(name)).await;
        Ok(())
    }

    /// Erases: nobody can read it any more when this returns.
    ///
    /// # Errors
    /// As [`Archive::erase`].
    pub async fn erase(&self, target: EraseTarget, fields: Fields) -> Result<NumberedErasure> {
        let archive = Arc::clone(&self.archive);
        self.pool.run(move || archive.erase(&target, fields)).await
    }

    /// Replaces the retention policy, from the next read on.
    ///
    /// # Errors
    /// As [`Archive::set_retention`].
    pub async fn set_retention(&self, retention: Retention) -> Result<()> {
        let archive = Arc::clone(&self.archive);
        let set = move || archive.set_retention(Arc::new(retention));
        self.pool.run(set).await
    }

    /// Replaces what the configuration registers; jobs that waited for it go on.
    pub async fn declare(&self, declared: Declared) {
        self.archive.declare(Arc::new(declared));
        self.wake_waiting(Registration::Any).await;
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

    /// Makes jobs that wait for a registration due now. It holds already: who put it is not told if
    /// this fails, and the jobs ask again by themselves, within the hour.
    async fn wake_waiting(&self, registration: Registration) {
        let (archive, now) = (Arc::clone(&self.archive), self.clock.now());
        let wake = move || archive.wake(&registration, now);
        match self.pool.run(wake).await {
            Ok(0) => {}
            Ok(jobs) => {
                tracing::info!(jobs, "a registration arrived for waiting jobs");
                self.wake.notify_one();
            }
            Err(error) => tracing::warn!(
                error = error.chain(),
                "jobs that wait for a registration could not be woken"
            ),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Settings;
    use crate::ci_port::{CiError, LogFacts, LogWish, ProjectName};
    use crate::model::id::{JobId, JobRef, RunnerId, Source};
    use crate::model::job::{JobFacts, JobStatus};
    use crate::model::record::Waiting;
    use crate::model::state::Reason;
    use crate::testkit::clock::ManualClock;
    use crate::time::TimestampMs;
    use futures::future::BoxFuture;

    /// No job is looked up.
    #[derive(Debug)]
    struct NoCi;

    impl CiSource for NoCi {
        fn serves(&self, _source: &Source) -> bool {
            false
        }

        fn job<'a>(
            &'a self,
            _job: &'a JobRef,
            _project: &'a ProjectName,
        ) -> BoxFuture<'a, std::result::Result<JobFacts, CiError>> {
            Box::pin(futures::future::pending())
        }

        fn log<'a>(
            &'a self,
            _job: &'a JobRef,
            _project: &'a ProjectName,
            _wish: LogWish,
        ) -> BoxFuture<'a, std::result::Result<LogFacts, CiError>> {
            Box::pin(futures::future::pending())
        }
    }

    #[tokio::test]
    async fn a_registration_wakes_its_jobs_and_is_answered() {
        let root = tempfile::tempdir().unwrap();
        let now = TimestampMs(1_764_000_000_000);
        let clock: SharedClock = ManualClock::at(now);
        let archive = Archive::open(root.path(), Settings::default(), Arc::clone(&clock));
        let archive = Arc::new(archive.unwrap());
        let wake = Arc::new(Notify::new());
        let intake = Intake::new(
            Arc::clone(&archive),
            BlockingPool::new(2),
            clock,
            Metrics::new(),
            Arc::clone(&wake),
            Arc::new(NoCi),
        );
        let source = Source::parse("ci").unwrap();
        let event = JobEvent {
            job: JobRef {
                source: source.clone(),
                job_id: JobId::parse("1").unwrap(),
            },
            facts: JobFacts {
                status: Some(JobStatus::Success),
                runner_id: Some("42".to_owned()),
                started_at: Some(now.plus_ms(-2_000)),
                finished_at: Some(now.plus_ms(-1_000)),
                ..JobFacts::default()
            },
        };
        let job = intake.accept(event).await.unwrap().job;
        wake.notified().await;
        let seen = archive.pending(job).unwrap().unwrap().waiting;
        let asleep = Waiting {
            due: now.plus_ms(3_600_000),
            attempts: 1,
            reason: Reason::WaitingForRunner,
            detail: None,
        };
        archive.reschedule(job, seen, asleep).await.unwrap();
        let runner = |id| RunnerRef {
            source: source.clone(),
            runner_id: RunnerId::parse(id).unwrap(),
        };
        let registered: Runner =
            serde_json::from_value(serde_json::json!({ "region": "eu" })).unwrap();
        intake
            .put_runner(runner("41"), registered.clone())
            .await
            .unwrap();
        assert!(archive.due(now, 9, |_| false).unwrap().jobs.is_empty());
        intake.put_runner(runner("42"), registered).await.unwrap();
        assert_eq!(archive.due(now, 9, |_| false).unwrap().jobs.len(), 1);
        wake.notified().await;
    }
}
