//! Made-up archives: years of a company's jobs, straight into segments.
//!
//! For the demo (`tachograph demo --fleet`) and for benches of fleet scans. Called by `cli`, tests and
//! benches. Everything is a function of the seed, the sizes and the last date: the same ones give the
//! same files, byte for byte, however many threads make them (AR-9), because each date is planned by
//! itself and its numbers are reserved in the order of the dates. What is held at once is one date's
//! plan (about 200 bytes a job) and one segment per thread.
//!
//! The values are those of a recorded machine, chained and changed (`load`), and quantised as a machine
//! quantises. A fleet has what a real one has, in its proportions: projects of which few run most jobs,
//! branches and pipelines, machine types with prices, autoscaled machines and hosts with co-tenants,
//! hours of the week, growth over months, jobs that become heavier from one date on, failures, kills
//! for memory, timeouts, holes in the samples and jobs without any.

mod day;
mod facts;
mod load;
mod machines;
mod profile;
pub(crate) mod random;
mod season;
#[cfg(test)]
mod tests;
pub(crate) mod trace;
mod words;
mod world;

use crate::archive::{Archive, ImportedJob, Reservation, Sealed};
use crate::error::{Error, Result};
use crate::limits;
use crate::num;
use crate::supervise::BlockingPool;
use crate::time::Date;
use day::Planned;
use load::Recording;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use world::World;

/// Which fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetSpec {
    /// Number of jobs, 1 to 100 million.
    pub jobs: u64,
    /// Number of dates, 1 to 10,000.
    pub days: u32,
    /// The last date.
    pub until: Date,
    /// Everything random is a function of it.
    pub seed: u64,
    /// Mean number of samples of a job, from 2 on.
    pub rows_per_job: u32,
    /// Only jobs of so many last dates keep their samples; `None` keeps all. The others have the
    /// statistics in their row, as after the samples' expiry.
    pub sample_days: Option<u32>,
    /// Jobs in one segment at most.
    pub jobs_per_segment: usize,
}

impl FleetSpec {
    /// A fleet of half a year that ends on `until`.
    #[must_use]
    pub fn new(until: Date) -> Self {
        Self {
            jobs: 60_000,
            days: 180,
            until,
            seed: 1,
            rows_per_job: 30,
            sample_days: None,
            jobs_per_segment: 16_384,
        }
    }

    fn check(&self) -> Result<()> {
        let holds = (1..=100_000_000).contains(&self.jobs)
            && (1..=10_000).contains(&self.days)
            && (2..=1_000).contains(&self.rows_per_job)
            && (1..=limits::IMPORT_JOBS_MAX).contains(&self.jobs_per_segment);
        if holds {
            return Ok(());
        }
        let message = format!(
            "a fleet has 1 to 100 million jobs on 1 to 10,000 days, 2 to 1,000 rows a job and at most {} jobs in a segment",
            limits::IMPORT_JOBS_MAX
        );
        Err(Error::invalid("fleet_size", message))
    }

    fn first_date(&self) -> Date {
        let back = i32::try_from(self.days.saturating_sub(1)).unwrap_or(i32::MAX);
        Date(self.until.0.saturating_sub(back))
    }

    /// Mean length of a job, about: regions scrape every 10 or 15 seconds.
    fn mean_seconds(&self) -> f64 {
        f64::from(self.rows_per_job) * 12.5
    }

    fn keeps_samples(&self, date: Date) -> bool {
        let kept = self.sample_days.and_then(|days| i32::try_from(days).ok());
        kept.is_none_or(|days| date.0 > self.until.0.saturating_sub(days))
    }

    /// The dates and the numbers of their jobs: whole ones of a growing sum, so that none is lost.
    fn dates(&self) -> Vec<(Date, Range<u64>)> {
        let first = self.first_date();
        let dates: Vec<Date> = (first.0..=self.until.0).map(Date).collect();
        let weights = dates
            .iter()
            .map(|date| season::day_weight(self.seed, first, *date));
        let sums = machines::cumulative(weights);
        let all = sums.last().copied().unwrap_or(1.0);
        let jobs = num::to_f64(i64::try_from(self.jobs).unwrap_or(i64::MAX));
        let mut reached = 0;
        let numbers = sums.into_iter().map(|sum| {
            let end = num::round_to_i64(jobs * sum / all).unwrap_or(0);
            let start = std::mem::replace(&mut reached, end.unsigned_abs());
            start..reached
        });
        dates.iter().copied().zip(numbers).collect()
    }
}

/// What was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Generated {
    pub jobs: u64,
    pub rows: u64,
    pub segments: u64,
    pub samples_bytes: u64,
    pub jobs_bytes: u64,
}

impl Generated {
    fn add(&mut self, sealed: Sealed) {
        self.jobs += sealed.jobs;
        self.rows += sealed.rows;
        self.segments += 1;
        self.samples_bytes += sealed.samples_bytes;
        self.jobs_bytes += sealed.jobs_bytes;
    }
}

/// Value columns that a generated row fills.
pub const COLUMNS_FILLED: u64 = 22;

/// A date's turn.
struct Turn {
    date: Date,
    numbers: Range<u64>,
    reservation: Reservation,
}

/// Everything that the threads share.
struct Work<P> {
    archive: Arc<Archive>,
    spec: FleetSpec,
    world: World,
    recording: Recording,
    /// Dates that are left, the next one last.
    left: Mutex<Vec<(Date, Range<u64>)>>,
    made: Mutex<Generated>,
    progress: P,
}

/// Makes the fleet in an empty archive on `threads` threads. `progress` is called behind each segment
/// with what was made so far.
///
/// # Errors
/// `Invalid` for impossible sizes, `Conflict` if its jobs are in the archive already, `Unavailable` for
/// I/O errors. The dates that are done stay.
pub async fn generate(
    archive: &Arc<Archive>,
    spec: FleetSpec,
    threads: usize,
    progress: impl Fn(&Generated) + Send + Sync + 'static,
) -> Result<Generated> {
    spec.check()?;
    let mut left = spec.dates();
    left.reverse();
    let work = Arc::new(Work {
        archive: Arc::clone(archive),
        world: World::new(&spec),
        spec,
        recording: Recording::load(),
        left: Mutex::new(left),
        made: Mutex::default(),
        progress,
    });
    let pool = BlockingPool::new(threads.max(1));
    let naming = Arc::clone(&work);
    pool.run(move || {
        let [projects, runners] = facts::names(&naming.world)?;
        naming.archive.name_for_import(projects, runners)
    })
    .await?;
    let workers = (0..threads.max(1)).map(|_| {
        let work = Arc::clone(&work);
        pool.run(move || work.run())
    });
    for finished in futures::future::join_all(workers).await {
        finished?;
    }
    let made = *work.made.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(made)
}

impl<P: Fn(&Generated)> Work<P> {
    fn run(&self) -> Result<()> {
        while let Some(turn) = self.next()? {
            self.date(turn)?;
        }
        Ok(())
    }

    /// The next date. Its numbers are reserved before the one behind it can be taken.
    fn next(&self) -> Result<Option<Turn>> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((date, numbers)) = left.pop() {
            if numbers.is_empty() {
                continue;
            }
            let jobs = numbers.end - numbers.start;
            let segments = jobs.div_ceil(num::len_u64(self.spec.jobs_per_segment));
            return Ok(Some(Turn {
                date,
                numbers,
                reservation: self.archive.reserve_import(jobs, segments)?,
            }));
        }
        Ok(None)
    }

    fn date(&self, turn: Turn) -> Result<()> {
        let Turn {
            date,
            numbers,
            mut reservation,
        } = turn;
        let planned = day::plan(&self.world, self.spec.seed, date, numbers);
        for part in planned.chunks(self.spec.jobs_per_segment) {
            let jobs: Result<Vec<ImportedJob>> = part
                .iter()
                .map(|job| facts::imported(&self.world, &self.spec, job))
                .collect();
            let samples = |position: usize, _: &ImportedJob| {
                let planned: Option<&Planned> = part.get(position);
                let planned =
                    planned.ok_or_else(|| Error::internal("an import asks for another job"))?;
                profile::samples(&self.world, &self.recording, &self.spec, planned)
            };
            let sealed = self
                .archive
                .import(&mut reservation, date, jobs?, samples)?;
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.add(sealed);
            (self.progress)(&made);
        }
        Ok(())
    }
}
