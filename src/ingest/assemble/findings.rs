//! What is known beside the rows: machine gaps, how the series end, and the verdict.
//!
//! The verdict is the first line that applies:
//!
//! | # | verdict | when |
//! |---|---|---|
//! | 1 | `scrape_down` | no sample of the machine, but `up` was recorded in the job and always 0 |
//! | 2 | `unknown_machine` | no sample of the machine (the caller may know better: `past_retention`, `prometheus_gap`) |
//! | 3 | `ambiguous_machine` | another target may be the machine: nothing else matters then |
//! | 4 | `too_short` | fewer than two samples, and the job is shorter than two scrape intervals: no more could be expected |
//! | 5 | cause of the longest explained hole | see below; of equal holes the last |
//! | 6 | `too_short` | fewer than two samples for no known reason |
//! | 7 | `partial` | any machine gap, or a value that fits no cell |
//! | 8 | `complete` | |
//!
//! A hole of the machine is explained by the first line that applies:
//!
//! | cause | when |
//! |---|---|
//! | `scrape_down` | `up` = 0 inside the hole. At the job's tail only before its end: what fails later is not the job's |
//! | `host_gone` | no scrape follows (tail hole), and the series carry a staleness marker or `up` never is 1 again. This is also the fate of a machine deleted right after its job: the last interval is lost |
//! | `prometheus_gap` | between two scrapes, and `up` has samples before and after the hole but none inside |
//!
//! Holes of single columns are listed as gaps and leave the verdict alone.

use super::draft::Draft;
use super::scrapes::Scrapes;
use super::target::{self, CPU_SECONDS, Target};
use super::{Assembled, EndState, Input};
use crate::model::archived::{Findings, Host};
use crate::model::profile::{Gap, Profile};
use crate::model::settle;
use crate::model::state::{Reason, Verdict};
use crate::model::usage;
use crate::num;
use crate::source_port::is_stale;
use crate::time::{TimeRange, TimestampMs};

/// A job of whose machine there is no sample.
pub(super) fn without_machine(input: &Input<'_>) -> Assembled {
    let up = target::up_entries(input, |_| true);
    let mut in_job = up
        .iter()
        .filter(|(ts, _)| input.window.contains(TimestampMs(*ts)))
        .peekable();
    let down = in_job.peek().is_some() && in_job.all(|(_, value)| *value == 0.0);
    let (verdict, reason) = if down {
        (Verdict::ScrapeDown, None)
    } else {
        (Verdict::UnknownMachine, Some(Reason::UnknownMachine))
    };
    let whole = (!input.window.is_empty()).then_some(machine_gap(input.window));
    Assembled {
        profile: Profile::default(),
        findings: Findings {
            scrape_interval_ms: input
                .configured_interval_ms
                .filter(|interval| *interval > 0),
            verdict: Some(verdict),
            reason,
            gaps: whole.into_iter().collect(),
            ..Findings::default()
        },
        end: EndState {
            target_lost: up.iter().any(|(_, value)| is_lost(*value)),
            ..EndState::default()
        },
    }
}

/// Ends the draft with everything that follows from the scrape times alone.
pub(super) fn conclude(target: &Target<'_>, draft: Draft<'_>, host: Host) -> Assembled {
    let scrapes = draft.scrapes;
    let written = draft.finish();
    let holes = machine_holes(scrapes);
    let mut gaps: Vec<Gap> = holes.iter().map(|hole| machine_gap(hole.range)).collect();
    gaps.extend(written.gaps);
    gaps.sort_by_key(|gap| (gap.range.from, gap.column, gap.range.to));
    let end = end_state(target, scrapes);
    let sample_count = scrapes
        .rows()
        .iter()
        .filter(|row| scrapes.window().contains(TimestampMs(row.ts)))
        .count();
    let verdict = verdict(target, scrapes, &holes, sample_count, written.overflow);
    Assembled {
        profile: written.profile,
        findings: Findings {
            host,
            scrape_interval_ms: scrapes.interval_ms(),
            verdict: Some(verdict),
            reason: None,
            sample_count: num::len_i64(sample_count),
            gaps,
            resets: written.resets,
            base: written.base,
        },
        end,
    }
}

/// A part of the job that no regular interval between scrapes covers.
#[derive(Debug, Clone, Copy)]
struct Hole {
    /// The part, never empty.
    range: TimeRange,
    /// The scrape before it, inside the job or not.
    after: Option<i64>,
    /// The scrape that ends it.
    before: Option<i64>,
}

impl Hole {
    fn new(after: Option<i64>, before: Option<i64>, window: TimeRange) -> Option<Self> {
        let range = TimeRange::new(
            after.map_or(window.from, |ts| window.from.max(TimestampMs(ts))),
            before.map_or(window.to, |ts| window.to.min(TimestampMs(ts))),
        );
        (!range.is_empty()).then_some(Self {
            range,
            after,
            before,
        })
    }

    /// Why there is no sample, if the series tell.
    fn cause(self, target: &Target<'_>, window: TimeRange) -> Option<Verdict> {
        let from = self.after.unwrap_or(i64::MIN);
        // What fails behind a tail hole is not the job's: a machine may go when its job is over.
        let to = self.before.unwrap_or(window.to.0);
        let up = || target.up.iter().filter(|(_, value)| !is_stale(*value));
        let mut inside = up().filter(|(ts, _)| from < *ts && *ts < to).peekable();
        let silent = inside.peek().is_none();
        if inside.any(|(_, value)| *value == 0.0) {
            return Some(Verdict::ScrapeDown);
        }
        if self.before.is_none() {
            let answers = up().any(|(ts, value)| *ts > from && *value != 0.0);
            return (!answers || stale_after(target, from)).then_some(Verdict::HostGone);
        }
        let known = up().any(|(ts, _)| *ts <= from) && up().any(|(ts, _)| *ts >= to);
        (silent && known).then_some(Verdict::PrometheusGap)
    }
}

/// Everything of the job that lies in no regular interval, in order of time. With
/// [`usage::covered_ms`] these add up to the job's length.
fn machine_holes(scrapes: &Scrapes) -> Vec<Hole> {
    let window = scrapes.window();
    let mut holes = Vec::new();
    let first = scrapes.times().first().copied();
    if first.is_none_or(|first| first > window.from.0) {
        holes.extend(Hole::new(None, first, window));
    }
    for row in scrapes.rows() {
        let Some(interval) = row.interval() else {
            continue;
        };
        let irregular =
            row.interval_ms().is_none() || usage::is_gap(interval.len_ms(), scrapes.interval_ms());
        if irregular {
            holes.extend(Hole::new(row.previous, Some(row.ts), window));
        }
    }
    // However short, the time after the last scrape is lost: no later scrape closes it.
    if let Some(last) = scrapes.times().last() {
        holes.extend(Hole::new(Some(*last), None, window).filter(|_| *last < window.to.0));
    }
    holes
}

fn machine_gap(range: TimeRange) -> Gap {
    Gap {
        range,
        column: None,
        amount: None,
    }
}

fn verdict(
    target: &Target<'_>,
    scrapes: &Scrapes,
    holes: &[Hole],
    sample_count: usize,
    overflow: bool,
) -> Verdict {
    if target.ambiguous {
        return Verdict::AmbiguousMachine;
    }
    let window = scrapes.window();
    let interval = scrapes
        .interval_ms()
        .unwrap_or(settle::UNKNOWN_SCRAPE_INTERVAL_MS);
    let few = sample_count < 2;
    if few && window.len_ms() < interval.saturating_mul(2) {
        return Verdict::TooShort;
    }
    let explained = holes
        .iter()
        .filter_map(|hole| Some((hole.range.len_ms(), hole.cause(target, window)?)))
        .max_by_key(|(length, _)| *length);
    match explained {
        Some((_, cause)) => cause,
        None if few => Verdict::TooShort,
        None if overflow || !holes.is_empty() => Verdict::Partial,
        None => Verdict::Complete,
    }
}

fn end_state(target: &Target<'_>, scrapes: &Scrapes) -> EndState {
    let finished = scrapes.window().to.0;
    let last = scrapes.times().last().copied();
    let settled = target
        .series
        .iter()
        .filter(|series| series.name() == CPU_SECONDS)
        .filter_map(|series| series.entries().last())
        .all(|(ts, value)| ts >= finished || is_stale(value));
    let after = last.unwrap_or(i64::MIN);
    EndState {
        settled,
        scrapes: scrapes.times().len(),
        last_sample: last.map(TimestampMs),
        target_lost: stale_after(target, after)
            || target
                .up
                .iter()
                .any(|(ts, value)| *ts > after && is_lost(*value)),
    }
}

/// Whether a series of the machine ends with a staleness marker after `ts`.
fn stale_after(target: &Target<'_>, ts: i64) -> bool {
    target
        .series
        .iter()
        .filter_map(|series| series.entries().last())
        .any(|(at, value)| at > ts && is_stale(value))
}

/// Whether an entry of `up` says that the target is not reached any more.
fn is_lost(up: f64) -> bool {
    up == 0.0 || is_stale(up)
}
