//! The corpus of the storage benchmarks: a fleet's day of jobs as archived jobs, 18 columns filled.
//!
//! 285 projects, 40 runners, 200 machines of 4 shapes; durations are log-normal (median 180 s, mean
//! 295 s, at most 1 h), scrapes come every 10 s. The values are a real machine's, chained and changed
//! (see `load`), and quantised as the machine quantises: 10 ms ticks, 4 KiB pages, 512 B sectors,
//! microseconds of pressure, hundredths of load. Counters run on over the jobs of a machine, so the
//! bases are what they would be.

mod load;
mod plan;
mod rows;

use crate::fleetgen::trace;
use crate::model::archived::ArchivedJob;
use crate::model::metric::Column;
use plan::Fleet;

/// Scrape interval of the corpus.
pub const INTERVAL_MS: i64 = 10_000;

/// Which corpus.
#[derive(Debug, Clone, Copy)]
pub struct CorpusSpec {
    /// Number of jobs.
    pub jobs: usize,
    /// Everything random is a function of it.
    pub seed: u64,
    /// Scrapes come up to 4 ms early or late, as Prometheus' do.
    pub jitter: bool,
}

impl Default for CorpusSpec {
    fn default() -> Self {
        Self {
            jobs: 20_000,
            seed: 1,
            jitter: false,
        }
    }
}

/// The columns that every job of the corpus has; all others are absent.
#[must_use]
pub fn columns() -> Vec<Column> {
    let mut columns: Vec<Column> = trace::COUNTERS
        .iter()
        .chain(&trace::GAUGES)
        .map(|(column, _)| *column)
        .collect();
    columns.sort_unstable();
    columns
}

/// The jobs, in order of their start.
#[derive(Debug)]
pub struct Corpus {
    fleet: Fleet,
    left: usize,
}

impl Corpus {
    /// The corpus of `spec`.
    #[must_use]
    pub fn new(spec: CorpusSpec) -> Self {
        Self {
            fleet: Fleet::new(spec.seed, spec.jitter),
            left: spec.jobs,
        }
    }
}

impl Iterator for Corpus {
    type Item = ArchivedJob;

    fn next(&mut self) -> Option<ArchivedJob> {
        self.left = self.left.checked_sub(1)?;
        self.fleet.next_job()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

#[cfg(test)]
mod tests;
