//! The world of a simulation: machines whose series are formulas, jobs on them, and a region that is
//! now and then not itself. What must be archived is known without asking the archive.

use crate::ci_port::{CiError, CiErrorKind, CiSource, LogFacts, LogWish, ProjectName};
use crate::model::id::{JobRef, RegionName, Source};
use crate::model::job::{JobEvent, JobFacts, JobStatus};
use crate::model::machine::Machine;
use crate::model::metric::Column;
use crate::model::profile::Profile;
use crate::model::runner::Region;
use crate::num;
use crate::source_port::{MetricSource, RawSeries, SeriesRequest, SourceError, SourceErrorKind};
use crate::testkit::jobs::job_ref;
use crate::time::{SharedClock, TimeRange, TimestampMs};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::sync::{Mutex, PoisonError};

/// When the simulated time begins: 2026-03-01 23:50 UTC, so that jobs end on two dates.
pub(super) const EPOCH_MS: i64 = 1_772_409_000_000;
const SCRAPE_MS: i64 = 15_000;
/// The machines were there before the first job.
const SCRAPED_BEFORE: i64 = 40;
const MACHINES: u64 = 3;

/// How the region answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    Unreachable,
    Refuses,
    Garbles,
    /// It answers, and has no samples yet.
    Empty,
}

impl Mood {
    pub(super) const ALL: [Self; 5] = [
        Self::Well,
        Self::Unreachable,
        Self::Refuses,
        Self::Garbles,
        Self::Empty,
    ];
}

/// A job of the simulation.
#[derive(Debug, Clone)]
pub(super) struct SimJob {
    pub(super) job: JobRef,
    machine: u64,
    pub(super) window: TimeRange,
}

impl SimJob {
    pub(super) fn new(number: u64, rng: &mut fastrand::Rng) -> Self {
        // Never on a scrape: whether an interval that only touches the job belongs to it is not the
        // question here.
        let start = EPOCH_MS + rng.i64(0..600) * 1_000 + 7;
        let length = rng.i64(5..420) * 1_000 + rng.i64(1..400);
        Self {
            job: job_ref(&number.to_string()),
            machine: rng.u64(..MACHINES),
            window: TimeRange::new(TimestampMs(start), TimestampMs(start + length)),
        }
    }

    /// What is said when it starts, or ends.
    pub(super) fn event(&self, ends: bool) -> Option<JobEvent> {
        let name = format!("m-{}", self.machine);
        Some(JobEvent {
            job: self.job.clone(),
            facts: JobFacts {
                status: Some(if ends {
                    JobStatus::Success
                } else {
                    JobStatus::Running
                }),
                project: Some("acme/app".to_owned()),
                name: Some("unit".to_owned()),
                runner_id: Some("7".to_owned()),
                machine: Some(Machine::parse(&name).ok()?),
                started_at: Some(self.window.from),
                finished_at: ends.then_some(self.window.to),
                ..JobFacts::default()
            },
        })
    }

    /// Times of the rows that the job must have: the scrapes whose interval overlaps it.
    fn times(&self) -> Vec<i64> {
        let phase = phase(self.machine);
        let behind = self.window.to.0 + SCRAPE_MS;
        let first = (self.window.from.0 - EPOCH_MS - phase).div_euclid(SCRAPE_MS) + 1;
        (first..)
            .map(|number| EPOCH_MS + phase + number * SCRAPE_MS)
            .take_while(|ts| *ts < behind)
            .collect()
    }

    /// What is wrong with a profile of the job.
    pub(super) fn problem(&self, profile: &Profile) -> Option<String> {
        let times = self.times();
        if profile.ts_ms != times {
            return Some(format!("rows at {:?} instead of {times:?}", profile.ts_ms));
        }
        let user = num::len_i64(num::to_usize(self.machine + 1)) * 100;
        let used = profile.columns.get(&Column::CpuUserSeconds);
        let right = used.is_some_and(|cells| cells.iter().all(|cell| *cell == Some(user)));
        (!right).then(|| format!("cpu seconds {used:?} instead of {user} in each row"))
    }
}

/// Machines are scraped at different milliseconds.
fn phase(machine: u64) -> i64 {
    num::len_i64(num::to_usize(machine)) * 4_000 + 11
}

/// The region, and a CI that is never asked.
#[derive(Debug)]
pub(super) struct World {
    clock: SharedClock,
    mood: Mutex<Mood>,
}

impl World {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            mood: Mutex::new(Mood::Well),
        }
    }

    pub(super) fn is_in(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &SeriesRequest) -> Result<Vec<RawSeries>, SourceError> {
        let failed = |kind, message: &str| {
            Err(SourceError {
                kind,
                message: message.to_owned(),
            })
        };
        match self.mood() {
            Mood::Well => Ok(self.series(request)),
            Mood::Empty => Ok(Vec::new()),
            Mood::Unreachable => failed(SourceErrorKind::Unreachable, "nobody answers"),
            Mood::Refuses => failed(SourceErrorKind::Refused, "it does not want to"),
            Mood::Garbles => failed(SourceErrorKind::Invalid, "it says something else"),
        }
    }

    /// Everything the machine showed until now, in the asked range.
    fn series(&self, request: &SeriesRequest) -> Vec<RawSeries> {
        let (label, value) = &request.machine;
        let machine = (0..MACHINES).find(|machine| *value == format!("m-{machine}:9100"));
        let Some(machine) = machine else {
            return Vec::new();
        };
        let now = self.clock.now();
        let scrapes = (-SCRAPED_BEFORE..)
            .map(|number| (number, EPOCH_MS + phase(machine) + number * SCRAPE_MS))
            .take_while(|(_, ts)| *ts <= now.0);
        let inside = scrapes.filter(|(_, ts)| request.range.contains(TimestampMs(*ts)));
        let scrapes: Vec<(i64, i64)> = inside.collect();
        let user = num::len_i64(num::to_usize(machine)) + 1;
        let one = |name: &str, labels: &[(&str, &str)], factor: i64, base: i64| {
            let mut labels: Vec<(String, String)> = labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .chain([(label.clone(), value.clone())])
                .collect();
            labels.sort();
            let sample = |(number, ts): &(i64, i64)| {
                let value = base + (number + SCRAPED_BEFORE) * factor;
                (*ts, num::to_f64(value))
            };
            RawSeries {
                name: name.to_owned(),
                labels,
                samples: scrapes.iter().map(sample).collect(),
            }
        };
        let cpu = |mode, factor| {
            let labels = [("cpu", "0"), ("mode", mode)];
            one("node_cpu_seconds_total", &labels, factor, 1_000)
        };
        let all = vec![
            one("up", &[], 0, 1),
            cpu("user", user),
            cpu("system", 1),
            cpu("idle", 5),
            one("node_memory_MemTotal_bytes", &[], 0, 8 << 30),
            one("node_memory_MemAvailable_bytes", &[], 4_096, 1 << 30),
        ];
        let asked = |series: &RawSeries| {
            !series.samples.is_empty() && request.names.contains(&series.name.as_str())
        };
        all.into_iter().filter(asked).collect()
    }
}

impl MetricSource for World {
    fn read<'a>(
        &'a self,
        request: &'a SeriesRequest,
    ) -> BoxFuture<'a, Result<Vec<RawSeries>, SourceError>> {
        async { self.answer(request) }.boxed()
    }

    fn retention_ms<'a>(
        &'a self,
        _name: &'a RegionName,
        _region: &'a Region,
    ) -> BoxFuture<'a, Result<Option<i64>, SourceError>> {
        async { Ok(None) }.boxed()
    }

    fn scraped_anything<'a>(
        &'a self,
        _name: &'a RegionName,
        _region: &'a Region,
        _range: TimeRange,
    ) -> BoxFuture<'a, Result<bool, SourceError>> {
        async { Ok(true) }.boxed()
    }
}

impl CiSource for World {
    fn serves(&self, _source: &Source) -> bool {
        false
    }

    fn job<'a>(
        &'a self,
        _job: &'a JobRef,
        _project: &'a ProjectName,
    ) -> BoxFuture<'a, Result<JobFacts, CiError>> {
        async { Err(nobody()) }.boxed()
    }

    fn log<'a>(
        &'a self,
        _job: &'a JobRef,
        _project: &'a ProjectName,
        _wish: LogWish,
    ) -> BoxFuture<'a, Result<LogFacts, CiError>> {
        async { Err(nobody()) }.boxed()
    }
}

fn nobody() -> CiError {
    CiError {
        kind: CiErrorKind::Refused,
        message: "there is no CI in a simulation".to_owned(),
        retry_at: None,
    }
}
