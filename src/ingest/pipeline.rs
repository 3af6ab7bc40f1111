//! The pipeline: takes due jobs from the archive's queue, fetches, assembles and stages them.
//!
//! Every delay is an entry in the queue, never a sleeping task. A job that is being worked on is
//! remembered in memory only: after a crash it is still due.

use super::assemble::{self, Assembled, Input};
use super::plan::{self, Decision, Fetch, Registered};
use crate::archive::{Archive, Staged, Staging};
use crate::error::Result;
use crate::limits;
use crate::model::archived::{Findings, Placement};
use crate::model::id::{JobKey, RegionName, RunnerId};
use crate::model::profile::Profile;
use crate::model::record::{JobRecord, Waiting};
use crate::model::runner::{Region, RunnerRef};
use crate::model::settle;
use crate::model::state::{Reason, Verdict};
use crate::num;
use crate::source_port::{MetricSource, RawSeries};
use crate::supervise::BlockingPool;
use crate::telemetry::Metrics;
use crate::time::{SharedClock, TimestampMs};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Longest sleep between two looks at the queue: the clock may be set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Pause before a job is tried again whose record could not be read or written.
const STORAGE_PAUSE: Duration = Duration::from_secs(5);
/// How long what a server says of its retention is believed.
const RETENTION_TTL_MS: i64 = 3_600_000;

/// What a pipeline is made of.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the types say it")]
pub struct PipelineParts {
    pub archive: Arc<Archive>,
    pub source: Arc<dyn MetricSource>,
    pub pool: BlockingPool,
    pub clock: SharedClock,
    pub metrics: Arc<Metrics>,
    pub wake: Arc<Notify>,
}

/// Archives jobs.
#[derive(Debug)]
pub struct Pipeline {
    parts: PipelineParts,
    /// Retention of regions as their servers say, and when they were asked.
    retention: Mutex<HashMap<RegionName, (TimestampMs, Option<i64>)>>,
    /// Scrape intervals of regions that registered none, as their data showed them.
    learnt: Mutex<HashMap<RegionName, i64>>,
}

impl Pipeline {
    /// A pipeline of these parts.
    #[must_use]
    pub fn new(parts: PipelineParts) -> Self {
        Self {
            parts,
            retention: Mutex::new(HashMap::new()),
            learnt: Mutex::new(HashMap::new()),
        }
    }

    /// Works until cancelled. Jobs in flight are finished, unless their server keeps them waiting.
    ///
    /// # Errors
    /// `Data` or `Unavailable` if the queue cannot be read.
    pub async fn run(self, token: CancellationToken) -> Result<()> {
        let mut in_flight: HashSet<JobKey> = HashSet::new();
        let mut working = FuturesUnordered::new();
        while !token.is_cancelled() {
            let now = self.parts.clock.now();
            let room = limits::ARCHIVE_CONCURRENCY.saturating_sub(in_flight.len());
            let mut wait = LOOK_AGAIN;
            if room > 0 {
                let (archive, busy) = (Arc::clone(&self.parts.archive), in_flight.clone());
                let look = move || archive.due(now, room, |job| busy.contains(&job));
                let due = self.parts.pool.run(look).await?;
                if let Some(next) = due.next {
                    let ms = u64::try_from(next.since(now)).unwrap_or(0);
                    wait = wait.min(Duration::from_millis(ms.max(10)));
                }
                for record in due.jobs {
                    in_flight.insert(record.keys.job);
                    working.push(self.work(record));
                }
            }
            tokio::select! {
                () = token.cancelled() => {}
                () = self.parts.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
                Some(job) = working.next(), if !working.is_empty() => {
                    in_flight.remove(&job);
                }
            }
        }
        let finish = async { while working.next().await.is_some() {} };
        if tokio::time::timeout(limits::STOP_FETCH_GRACE, finish)
            .await
            .is_err()
        {
            tracing::info!("jobs in flight were let go; they are still due");
        }
        Ok(())
    }

    /// One attempt at one job; never fails, whatever happens stands in the record or the log.
    async fn work(&self, record: JobRecord) -> JobKey {
        let (key, job) = (record.keys.job, record.job.clone());
        match self.attempt(record).await {
            Ok(outcome) => self.parts.metrics.attempt(outcome),
            Err(error) => {
                tracing::error!(%job, error = error.chain(), "a job could not be archived");
                self.parts.metrics.attempt("storage_error");
                tokio::time::sleep(STORAGE_PAUSE).await;
            }
        }
        key
    }

    async fn attempt(&self, record: JobRecord) -> Result<&'static str> {
        let registered = self.registered(&record).await?;
        let learnt = self.learnt_interval(&registered);
        let fetch = match plan::fetch(record.merged.facts(), registered, learnt) {
            Ok(fetch) => fetch,
            Err(Reason::WaitingForStart) => {
                return self
                    .give_up(record, Placement::default(), Reason::WaitingForStart)
                    .await;
            }
            Err(reason) => return self.wait_for_registration(record, reason).await,
        };
        let placement = placement(&fetch);
        let started = self.parts.clock.monotonic();
        let answer = self.parts.source.read(&fetch.request).await;
        let seconds = (self.parts.clock.monotonic().saturating_sub(started)).as_secs_f64();
        self.parts.metrics.fetch_seconds.observe(seconds);
        match answer {
            Ok(series) => self.take(record, fetch, series, placement).await,
            Err(error) => {
                let deadline = self.deadline(&fetch).await;
                let reason = plan::read_failure(error.kind);
                self.ask_again(record, placement, reason, Some(error.message), deadline)
                    .await
            }
        }
    }

    /// Lets a job wait for its runner, region or machine. A registration that came between our look
    /// and the wait has woken nobody: such a job is due at once.
    async fn wait_for_registration(
        &self,
        record: JobRecord,
        reason: Reason,
    ) -> Result<&'static str> {
        let (job, deadline) = (
            record.keys.job,
            settle::deadline(listed_start(&record), None),
        );
        let seen = record.clone();
        let outcome = self
            .ask_again(record, Placement::default(), reason, None, deadline)
            .await?;
        let registered = self.registered(&seen).await?;
        if plan::fetch(seen.merged.facts(), registered, None).err() == Some(reason) {
            return Ok(outcome);
        }
        let archive = Arc::clone(&self.parts.archive);
        let record = self.parts.pool.run(move || archive.pending(job)).await?;
        if let Some(waiting) = record.and_then(|record| record.waiting) {
            let due_now = Waiting {
                due: self.parts.clock.now(),
                ..waiting.clone()
            };
            self.parts
                .archive
                .reschedule(job, Some(waiting), due_now)
                .await?;
        }
        Ok(outcome)
    }

    /// Assembles what was fetched and archives it, or asks again.
    async fn take(
        &self,
        record: JobRecord,
        fetch: Fetch,
        series: Vec<RawSeries>,
        placement: Placement,
    ) -> Result<&'static str> {
        let interval = fetch.request.region.scrape_interval_ms();
        let (request, window) = (fetch.request.clone(), fetch.window);
        let work = move || {
            Ok(assemble::assemble(&Input {
                series: &series,
                window,
                fetched: request.range,
                machine_label: &request.machine.0,
                configured_interval_ms: interval,
            }))
        };
        let Assembled {
            profile,
            findings,
            end,
        } = self.parts.pool.run(work).await?;
        if plan::too_narrow(&fetch, findings.scrape_interval_ms)
            && let Some(interval) = findings.scrape_interval_ms
        {
            return self.wider(record, &fetch, interval).await;
        }
        let attempts = record
            .waiting
            .as_ref()
            .map_or(0, |waiting| waiting.attempts)
            + 1;
        match plan::decide(&end, window, findings.scrape_interval_ms, attempts) {
            Decision::Archive => self.stage(record, placement, findings, profile).await,
            Decision::AskAgain(reason) => {
                let deadline = self.deadline(&fetch).await;
                if self.parts.clock.now() < deadline {
                    return self
                        .ask_again(record, placement, reason, None, deadline)
                        .await;
                }
                if end.any_samples {
                    return self.stage(record, placement, findings, profile).await;
                }
                let findings = self.without_samples(&fetch, findings).await;
                self.stage(record, placement, findings, Profile::default())
                    .await
            }
        }
    }

    /// The data shows a longer scrape interval than was assumed: remember it for the region and fetch
    /// the job again with a window that fits, once its last scrape can be there.
    async fn wider(
        &self,
        record: JobRecord,
        fetch: &Fetch,
        interval_ms: i64,
    ) -> Result<&'static str> {
        let name = fetch.request.region_name.clone();
        let longest = {
            let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
            let known = learnt.entry(name).or_insert(interval_ms);
            *known = (*known).max(interval_ms);
            *known
        };
        let due = fetch
            .window
            .to
            .plus_ms(settle::first_delay_ms(Some(longest)));
        let waiting = Waiting {
            due: due.max(self.parts.clock.now()),
            attempts: record
                .waiting
                .as_ref()
                .map_or(0, |waiting| waiting.attempts),
            reason: Reason::Settling,
            detail: None,
        };
        self.parts
            .archive
            .reschedule(record.keys.job, record.waiting, waiting)
            .await?;
        Ok("window_widened")
    }

    fn learnt_interval(&self, registered: &Registered) -> Option<i64> {
        let learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.get(&registered.runner.as_ref()?.region).copied()
    }

    /// Why there is nothing: the server forgot it, saw nothing at all, or does not know the machine.
    async fn without_samples(&self, fetch: &Fetch, mut findings: Findings) -> Findings {
        // The target was there and did not answer: known, where the rest is a conclusion.
        if findings.verdict == Some(Verdict::ScrapeDown) {
            return findings;
        }
        let retention = self
            .retention(fetch)
            .await
            .unwrap_or(settle::DEFAULT_RETENTION_MS);
        let forgotten = fetch.window.from.plus_ms(retention) <= self.parts.clock.now();
        let (name, region) = (&fetch.request.region_name, &fetch.request.region);
        let (verdict, reason) = if forgotten {
            (Verdict::PastRetention, Reason::PastRetention)
        } else if let Ok(false) = self
            .parts
            .source
            .scraped_anything(name, region, fetch.request.range)
            .await
        {
            (Verdict::PrometheusGap, Reason::PrometheusGap)
        } else {
            (Verdict::UnknownMachine, Reason::UnknownMachine)
        };
        findings.verdict = Some(verdict);
        findings.reason = Some(reason);
        findings
    }

    async fn stage(
        &self,
        record: JobRecord,
        placement: Placement,
        findings: Findings,
        profile: Profile,
    ) -> Result<&'static str> {
        let (job, rows) = (record.job.clone(), profile.rows());
        let verdict = findings.verdict.map(Verdict::as_str);
        let archive = Arc::clone(&self.parts.archive);
        let staging = Staging {
            record,
            placement,
            findings,
            profile,
        };
        let reply = self
            .parts
            .pool
            .run(move || Ok(archive.stage(staging)))
            .await?;
        match reply.await? {
            Staged::Archived => {
                tracing::info!(%job, rows, verdict, "job archived");
                Ok(if rows > 0 { "archived" } else { "unavailable" })
            }
            Staged::Stale => Ok("changed_meanwhile"),
            Staged::Sealed => Ok("sealed_already"),
        }
    }

    /// Moves the job to its next attempt, or gives it up after the deadline.
    async fn ask_again(
        &self,
        record: JobRecord,
        placement: Placement,
        reason: Reason,
        detail: Option<String>,
        deadline: TimestampMs,
    ) -> Result<&'static str> {
        let now = self.parts.clock.now();
        let spread = record.keys.job.0;
        let before = record.waiting.as_ref();
        match plan::next_attempt(before, reason, detail, now, deadline, spread) {
            None => self.give_up(record, placement, reason).await,
            Some(waiting) => {
                tracing::info!(
                    job = %record.job,
                    reason = reason.as_str(),
                    detail = waiting.detail.as_deref(),
                    due = waiting.due.to_rfc3339(),
                    "job waits"
                );
                self.parts
                    .archive
                    .reschedule(record.keys.job, record.waiting, waiting)
                    .await?;
                Ok(reason.as_str())
            }
        }
    }

    async fn give_up(
        &self,
        record: JobRecord,
        placement: Placement,
        reason: Reason,
    ) -> Result<&'static str> {
        let (verdict, reason) = plan::given_up(reason);
        let findings = Findings {
            verdict,
            reason: Some(reason),
            ..Findings::default()
        };
        self.stage(record, placement, findings, Profile::default())
            .await
    }

    async fn registered(&self, record: &JobRecord) -> Result<Registered> {
        let Some(id) = record.merged.facts().runner_id.clone() else {
            return Ok(Registered::default());
        };
        let name = RunnerRef {
            source: record.job.source.clone(),
            runner_id: RunnerId::parse(&id)?,
        };
        let archive = Arc::clone(&self.parts.archive);
        let look_up = move || {
            let runner = archive.runner(&name)?;
            let region = runner.as_ref().map(|runner| archive.region(&runner.region));
            Ok(Registered {
                region: region.transpose()?.flatten(),
                runner,
            })
        };
        self.parts.pool.run(look_up).await
    }

    async fn deadline(&self, fetch: &Fetch) -> TimestampMs {
        settle::deadline(fetch.window.from, self.retention(fetch).await)
    }

    /// How long the region keeps samples: as registered, else as its server says (cached).
    async fn retention(&self, fetch: &Fetch) -> Option<i64> {
        let region: &Region = &fetch.request.region;
        if region.retention_ms().is_some() {
            return region.retention_ms();
        }
        let name = &fetch.request.region_name;
        let now = self.parts.clock.now();
        let known = {
            let cache = self
                .retention
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            cache.get(name).copied()
        };
        if let Some((_, retention)) =
            known.filter(|(asked, _)| now.since(*asked) < RETENTION_TTL_MS)
        {
            return retention;
        }
        // A server that does not answer now is asked again at the next attempt.
        let retention = self.parts.source.retention_ms(name, region).await.ok()?;
        let mut cache = self
            .retention
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        cache.insert(name.clone(), (now, retention));
        retention
    }
}

/// The time from which a job's deadline counts.
fn listed_start(record: &JobRecord) -> TimestampMs {
    record.listed_at()
}

fn placement(fetch: &Fetch) -> Placement {
    Placement {
        region: Some(fetch.runner.region.clone()),
        machine_type: fetch.runner.machine_type.clone(),
        price_per_hour_micro: fetch
            .runner
            .price_per_hour
            .and_then(|price| num::round_to_i64(price * 1e6)),
    }
}
