//! The pipeline: takes due jobs from the archive's queue, fetches, assembles and stages them.
//!
//! Every delay is an entry in the queue, never a sleeping task. A job that is being worked on is
//! remembered in memory only: after a crash it is still due.

use super::ask;
use super::assemble::{self, Assembled, Input};
use super::lookups::{Lookups, Missing};
use super::plan::{self, Decision, Fetch};
use super::regions::{Knowledge, Regions, Silence};
use crate::archive::{Archive, Staged, Staging};
use crate::error::Result;
use crate::limits;
use crate::model::archived::{Findings, Placement};
use crate::model::id::JobKey;
use crate::model::profile::Profile;
use crate::model::record::{JobRecord, Waiting};
use crate::model::registry::Registered;
use crate::model::settle;
use crate::model::state::{Reason, Verdict};
use crate::num;
use crate::source_port::{MetricSource, RawSeries, SeriesRequest, SourceError};
use crate::supervise::BlockingPool;
use crate::telemetry::Metrics;
use crate::time::{SharedClock, TimeRange, TimestampMs};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

/// Longest sleep between two looks at the queue: the clock may be set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Pause before a job is tried again whose record could not be read or written.
const STORAGE_PAUSE: Duration = Duration::from_secs(5);
/// Jobs that waited for a silent region come back spread over this time.
const RETURN_MS: i64 = 10_000;

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
    pub lookups: Lookups,
    /// Jobs that are worked on at once, [`limits::PIPELINE_JOBS`] in a service.
    pub jobs_at_once: usize,
}

/// What goes into a job's row beside its samples.
#[derive(Debug, Default)]
struct Around {
    placement: Placement,
    /// When the CI is asked for what is still missing.
    look_up_at: Option<TimestampMs>,
}

/// Archives jobs.
#[derive(Debug)]
pub struct Pipeline {
    parts: PipelineParts,
    regions: Regions,
    /// Fetching and assembling at once, over all regions.
    slots: Semaphore,
}

impl Pipeline {
    /// A pipeline of these parts.
    #[must_use]
    pub fn new(parts: PipelineParts) -> Self {
        Self {
            parts,
            regions: Regions::default(),
            slots: Semaphore::new(limits::ARCHIVE_CONCURRENCY),
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
            let room = self.parts.jobs_at_once.saturating_sub(in_flight.len());
            let mut wait = LOOK_AGAIN;
            if room > 0 {
                let (archive, busy) = (Arc::clone(&self.parts.archive), in_flight.clone());
                let look = move || archive.due(now, room, |job| busy.contains(&job));
                let mut look = pin!(self.parts.pool.run(look));
                // The jobs go on meanwhile. One of them may just have been given the thread that the
                // look waits for, and would keep it for ever if nobody polled it.
                let due = loop {
                    tokio::select! {
                        due = &mut look => break due?,
                        Some(job) = working.next(), if !working.is_empty() => {
                            in_flight.remove(&job);
                        }
                    }
                };
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
        let (key, job, seen) = (record.keys.job, record.job.clone(), record.clone());
        match self.attempt(record).await {
            Ok(outcome) => self.parts.metrics.attempt(outcome),
            Err(error) => {
                tracing::error!(%job, error = error.chain(), "a job could not be archived");
                self.parts.metrics.attempt(Reason::ArchiverFailed.as_str());
                self.set_aside(seen).await;
            }
        }
        key
    }

    /// Moves a job that failed here to its next attempt, so that it does not stand before others.
    async fn set_aside(&self, record: JobRecord) {
        let (job, deadline) = (record.job.clone(), self.deadline_unasked(&record, None));
        let reason = Reason::ArchiverFailed;
        let moved = self
            .ask_again(record, Around::default(), reason, None, deadline)
            .await;
        if let Err(error) = moved {
            tracing::error!(%job, error = error.chain(), "nor could its next attempt be written");
            tokio::time::sleep(STORAGE_PAUSE).await;
        }
    }

    async fn attempt(&self, record: JobRecord) -> Result<&'static str> {
        let registered = self.registered(&record).await?;
        let region = registered
            .runner
            .as_ref()
            .map(|runner| self.regions.of(&runner.region));
        let learnt = region
            .as_ref()
            .and_then(|region| region.scrape_interval_ms());
        let plan =
            |record: &JobRecord| plan::fetch(record.merged.facts(), registered.clone(), learnt);
        // The CI is asked only about jobs that can be fetched as soon as it answers.
        let (record, missing) = match plan(&record) {
            Ok(_) | Err(Reason::WaitingForMachine) => {
                self.parts.lookups.before_fetch(record).await?
            }
            Err(_) => (record, Missing::Nothing),
        };
        let fetch = match (plan(&record), &missing) {
            (Ok(fetch), _) => fetch,
            (Err(Reason::WaitingForStart), _) => {
                let reason = Reason::WaitingForStart;
                return self.give_up(record, Around::default(), reason).await;
            }
            (Err(reason), Missing::Nothing) => {
                return self.wait_for_registration(record, reason).await;
            }
            (Err(_), _) => return self.wait_for_log(record, missing).await,
        };
        let around = Around {
            placement: placement(&fetch),
            look_up_at: ask::look_up_at(&missing, fetch.window, self.parts.clock.now()),
        };
        let region = self.regions.of(&fetch.request.region_name);
        let fetched = {
            let _place = region.place().await;
            if let Some(silence) = region.silent(self.parts.clock.now()) {
                return self.after_silence(record, silence).await;
            }
            let _slot = self.slots.acquire().await;
            self.fetch(&fetch, &region).await?
        };
        match fetched {
            Ok(assembled) => self.take(record, fetch, assembled, around).await,
            Err(error) => {
                let registered = fetch.request.region.retention_ms();
                let said = || region.retention(self.parts.clock.now()).flatten();
                let deadline = self.deadline_unasked(&record, registered.or_else(said));
                let reason = plan::read_failure(error.kind);
                self.ask_again(record, around, reason, Some(error.message), deadline)
                    .await
            }
        }
    }

    /// Lets a job wait for the log that names its machine.
    async fn wait_for_log(&self, record: JobRecord, missing: Missing) -> Result<&'static str> {
        let (detail, not_before) = match missing {
            Missing::Unanswered(error) => (Some(error.message), error.retry_at),
            Missing::Nothing | Missing::LogGrows => (None, None),
        };
        let around = Around {
            look_up_at: not_before,
            ..Around::default()
        };
        let deadline = self.deadline_unasked(&record, None);
        self.ask_again(record, around, Reason::WaitingForLog, detail, deadline)
            .await
    }

    /// Lets a job of a region that does not answer wait without a call of its own. This is no attempt
    /// at the job: nothing was learnt of it.
    async fn after_silence(&self, record: JobRecord, silence: Silence) -> Result<&'static str> {
        let waiting = Waiting {
            due: silence
                .until
                .plus_ms(plan::spread_ms(RETURN_MS, record.keys.job.0)),
            attempts: record
                .waiting
                .as_ref()
                .map_or(0, |waiting| waiting.attempts),
            reason: Reason::UpstreamUnreachable,
            detail: Some(silence.message),
        };
        let (job, archive) = (record.keys.job, &self.parts.archive);
        archive.reschedule(job, record.waiting, waiting).await?;
        Ok("region_silent")
    }

    /// Reads the job's series and assembles them; reads once more if the first window was too narrow
    /// for the scrape interval that the data shows.
    async fn fetch(
        &self,
        fetch: &Fetch,
        region: &Knowledge,
    ) -> Result<std::result::Result<Assembled, SourceError>> {
        let mut request = fetch.request.clone();
        loop {
            let series = match self.read(&request, region).await {
                Ok(series) => series,
                Err(error) => return Ok(Err(error)),
            };
            let assembled = self.assemble(&request, fetch.window, series).await?;
            let (end, found) = (assembled.end, assembled.findings.scrape_interval_ms);
            region.learn(found, end.scrapes);
            match plan::wider(&request, fetch.window, &end, found) {
                Some(range) => request.range = range,
                None => return Ok(Ok(assembled)),
            }
        }
    }

    async fn read(
        &self,
        request: &SeriesRequest,
        region: &Knowledge,
    ) -> std::result::Result<Vec<RawSeries>, SourceError> {
        let started = self.parts.clock.monotonic();
        let answer = self.parts.source.read(request).await;
        let seconds = (self.parts.clock.monotonic().saturating_sub(started)).as_secs_f64();
        self.parts.metrics.fetch_seconds.observe(seconds);
        let failure = answer.as_ref().err();
        let failure = failure.map(|error| (error.kind, error.message.as_str()));
        region.called(self.parts.clock.now(), failure);
        answer
    }

    async fn assemble(
        &self,
        request: &SeriesRequest,
        window: TimeRange,
        series: Vec<RawSeries>,
    ) -> Result<Assembled> {
        let request = request.clone();
        let work = move || {
            Ok(assemble::assemble(&Input {
                series: &series,
                window,
                fetched: request.range,
                machine_label: &request.machine.0,
                configured_interval_ms: request.region.scrape_interval_ms(),
            }))
        };
        self.parts.pool.run(work).await
    }

    /// Lets a job wait for its runner, region or machine. A registration that came between our look
    /// and the wait has woken nobody: such a job is due at once.
    async fn wait_for_registration(
        &self,
        record: JobRecord,
        reason: Reason,
    ) -> Result<&'static str> {
        let (job, deadline) = (record.keys.job, self.deadline_unasked(&record, None));
        let seen = record.clone();
        let outcome = self
            .ask_again(record, Around::default(), reason, None, deadline)
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

    /// Archives what was assembled, or asks again.
    async fn take(
        &self,
        record: JobRecord,
        fetch: Fetch,
        assembled: Assembled,
        around: Around,
    ) -> Result<&'static str> {
        let Assembled {
            profile,
            findings,
            end,
        } = assembled;
        let configured = fetch.request.region.scrape_interval_ms();
        let found = findings
            .scrape_interval_ms
            .map(settle::plausible_interval_ms);
        let attempts = plan::attempts(record.waiting.as_ref(), Reason::SamplesLate);
        let now = self.parts.clock.now();
        match plan::decide(&end, fetch.window, configured.or(found), attempts, now) {
            Decision::Archive => {}
            Decision::Settle(due) => return self.settle(record, due).await,
            Decision::AskAgain(reason) => {
                let deadline = settle::deadline(fetch.window.from, self.retention(&fetch).await);
                if now < deadline {
                    let detail = (!end.any_samples()).then(|| asked(&fetch));
                    return self
                        .ask_again(record, around, reason, detail, deadline)
                        .await;
                }
            }
        }
        if end.any_samples() {
            return self.stage(record, around, findings, profile).await;
        }
        let findings = self.without_samples(&fetch, findings).await;
        self.stage(record, around, findings, Profile::default())
            .await
    }

    /// Looks again when the job's last samples can be there. This is no attempt: it was too early.
    async fn settle(&self, record: JobRecord, due: TimestampMs) -> Result<&'static str> {
        let waiting = Waiting {
            due,
            attempts: 0,
            reason: Reason::Settling,
            detail: None,
        };
        let (job, archive) = (record.keys.job, &self.parts.archive);
        archive.reschedule(job, record.waiting, waiting).await?;
        Ok("settling")
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
        around: Around,
        findings: Findings,
        profile: Profile,
    ) -> Result<&'static str> {
        let (job, rows) = (record.job.clone(), profile.rows());
        let verdict = findings.verdict.map(Verdict::as_str);
        let archive = Arc::clone(&self.parts.archive);
        let staging = Staging {
            record,
            placement: around.placement,
            findings,
            profile,
            look_up_at: around.look_up_at,
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
        around: Around,
        reason: Reason,
        detail: Option<String>,
        deadline: TimestampMs,
    ) -> Result<&'static str> {
        let now = self.parts.clock.now();
        let spread = record.keys.job.0;
        let before = record.waiting.as_ref();
        match plan::next_attempt(before, reason, detail, now, deadline, spread) {
            None => self.give_up(record, around, reason).await,
            Some(waiting) => {
                let not_before = around
                    .look_up_at
                    .filter(|_| reason == Reason::WaitingForLog);
                let waiting = Waiting {
                    due: not_before.map_or(waiting.due, |at| at.max(waiting.due)),
                    ..waiting
                };
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
        around: Around,
        reason: Reason,
    ) -> Result<&'static str> {
        let (verdict, reason) = plan::given_up(reason);
        let findings = Findings {
            verdict,
            reason: Some(reason),
            ..Findings::default()
        };
        self.stage(record, around, findings, Profile::default())
            .await
    }

    async fn registered(&self, record: &JobRecord) -> Result<Registered> {
        let (source, facts) = (record.job.source.clone(), record.merged.facts().clone());
        let archive = Arc::clone(&self.parts.archive);
        let look_up = move || archive.registered(&source, &facts);
        self.parts.pool.run(look_up).await
    }

    /// The last attempt at a job whose region was not asked what it keeps. While that is not known,
    /// time counts from when the job was first heard of: the region may keep more than the default.
    fn deadline_unasked(&self, record: &JobRecord, retention_ms: Option<i64>) -> TimestampMs {
        let started = record.listed_at();
        match retention_ms {
            Some(retention) => settle::deadline(started, Some(retention)),
            None => settle::deadline(started.max(record.first_seen), None),
        }
    }

    /// How long the region keeps samples: as registered, else as its server says (cached).
    async fn retention(&self, fetch: &Fetch) -> Option<i64> {
        let (name, region) = (&fetch.request.region_name, &fetch.request.region);
        if region.retention_ms().is_some() {
            return region.retention_ms();
        }
        let (knowledge, now) = (self.regions.of(name), self.parts.clock.now());
        if let Some(said) = knowledge.retention(now) {
            return said;
        }
        // A server that does not answer now is asked again at the next attempt.
        let said = self.parts.source.retention_ms(name, region).await.ok()?;
        knowledge.keeps(now, said);
        said
    }
}

/// What a server without samples was asked for.
fn asked(fetch: &Fetch) -> String {
    let (label, value) = &fetch.request.machine;
    let region = &fetch.request.region_name;
    format!("{region} was asked for {label}={value:?}")
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
