//! The assembler: turns the raw series of one fetch into a job's rows and what is known of them.
//!
//! Pure: no clock, no I/O, no async. The same series give the same profile, whoever fetched them and
//! in whatever order they came (AR-9). All arithmetic after the first rounding is integer, so the
//! rules of the design's section 5 ("Rows", "Types") hold as equalities and are tested as such.
//!
//! ```text
//! raw series -> target    which of them are the job's machine
//!            -> scrapes   its scrape times; which of them are rows
//!            -> counters  increments per row      \
//!            -> gauges    values per row          / draft: cells, holes, base
//!            -> findings  machine gaps, verdict
//! ```

mod counters;
mod draft;
mod filesystem;
mod findings;
mod gauges;
mod scrapes;
mod select;
mod target;
#[cfg(test)]
mod tests;

pub use select::names;

use crate::model::archived::Findings;
use crate::model::profile::Profile;
use crate::source_port::RawSeries;
use crate::time::{TimeRange, TimestampMs};
use draft::Draft;
use scrapes::Scrapes;
use target::Target;

/// What the assembler works on.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Everything the source returned for the machine, in any order.
    pub series: &'a [RawSeries],
    /// The job, `[started, finished)`.
    pub window: TimeRange,
    /// The padded window that was asked for. Some servers answer with whole chunks; what lies
    /// outside is not looked at (AR-8).
    pub fetched: TimeRange,
    /// The label that names the machine: part of the target's identity whatever it is called.
    pub machine_label: &'a str,
    /// The region's scrape interval, if it is registered; otherwise it is learnt from the data.
    pub configured_interval_ms: Option<i64>,
}

/// A job's rows, and everything found out beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// The rows; none if no scrape touches the job.
    pub profile: Profile,
    /// Host, gaps, resets, base and verdict.
    pub findings: Findings,
    /// What the settle logic needs to decide whether to ask again.
    pub end: EndState,
}

/// How the series end: whether a later fetch could still add something to the job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndState {
    /// Every cpu series of the machine already has a sample at or after the job's end, or ends with
    /// a staleness marker: nothing more can come.
    pub settled: bool,
    /// Scrapes of the machine in the fetched window.
    pub scrapes: usize,
    /// The machine's last scrape in the fetched window.
    pub last_sample: Option<TimestampMs>,
    /// After the last scrape, Prometheus failed to reach the target (`up` = 0) or dropped it
    /// (staleness marker): the silence is explained, waiting will not end it.
    pub target_lost: bool,
}

impl EndState {
    /// Whether there is any sample of the machine at all.
    #[must_use]
    pub fn any_samples(&self) -> bool {
        self.scrapes > 0
    }
}

/// Assembles one job.
#[must_use]
pub fn assemble(input: &Input<'_>) -> Assembled {
    let Some(target) = Target::choose(input) else {
        return findings::without_machine(input);
    };
    let scrapes = Scrapes::new(&target.series, input.window, input.configured_interval_ms);
    let mut draft = Draft::new(&scrapes);
    counters::fill(&target.series, &mut draft);
    let host = gauges::fill(&target.series, &mut draft);
    findings::conclude(&target, draft, host)
}
