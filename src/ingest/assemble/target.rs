//! Which of the fetched series are the job's machine.
//!
//! A machine's name may match several scrape targets: node_exporter and other exporters on the same
//! host, or two machines that carry one name. A target is known by its labels without those that a
//! metric adds itself.

use super::Input;
use crate::source_port::{RawSeries, is_stale};
use crate::time::{TimeRange, TimestampMs};
use std::collections::BTreeMap;

/// Labels that metrics add, not targets.
const METRIC_LABELS: [&str; 7] = [
    "__name__",
    "cpu",
    "device",
    "device_error",
    "fstype",
    "mode",
    "mountpoint",
];

/// Metric that only a machine's own exporter has.
pub(super) const CPU_SECONDS: &str = "node_cpu_seconds_total";

/// A raw series as far as it lies inside the fetched window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series<'a> {
    raw: &'a RawSeries,
    fetched: TimeRange,
}

impl<'a> Series<'a> {
    pub(super) fn name(self) -> &'a str {
        &self.raw.name
    }

    pub(super) fn label(self, name: &str) -> &'a str {
        self.raw.label(name)
    }

    /// Samples and staleness markers, strictly in order of time. The port promises the order; a
    /// source that breaks the promise loses the samples that step back, not the job.
    pub(super) fn entries(self) -> impl Iterator<Item = (i64, f64)> + 'a {
        let mut last = None;
        let fetched = self.fetched;
        self.raw.samples.iter().copied().filter(move |(ts, _)| {
            let forward = fetched.contains(TimestampMs(*ts)) && last.is_none_or(|last| *ts > last);
            if forward {
                last = Some(*ts);
            }
            forward
        })
    }

    /// The samples alone.
    pub(super) fn samples(self) -> impl Iterator<Item = (i64, f64)> + 'a {
        self.entries().filter(|(_, value)| !is_stale(*value))
    }
}

/// The labels of a target, in order.
type Identity<'a> = Vec<(&'a str, &'a str)>;

/// The scrape target that is taken for the job's machine.
#[derive(Debug)]
pub(super) struct Target<'a> {
    /// Its `node_*` series.
    pub(super) series: Vec<Series<'a>>,
    /// Entries of its `up` series, markers included, in order of time.
    pub(super) up: Vec<(i64, f64)>,
    /// Whether another target could be the machine as well.
    pub(super) ambiguous: bool,
}

impl<'a> Target<'a> {
    /// The target with the most samples in the job (tie: the first in label order), among those
    /// that have cpu samples at all. `None` if there is none.
    ///
    /// It is ambiguous if another one has samples in the job too. A target that was silent during
    /// the job is a namesake before or after it (names and addresses are reused within minutes),
    /// unless all were silent: then nothing tells them apart.
    pub(super) fn choose(input: &Input<'a>) -> Option<Self> {
        let mut candidates: Vec<(Identity<'a>, Vec<Series<'a>>)> = group(input)
            .into_iter()
            .filter(|(_, series)| has_cpu_samples(series))
            .collect();
        let mut ambiguous = false;
        if candidates.len() > 1 {
            let counts: Vec<usize> = candidates
                .iter()
                .map(|(_, series)| samples_in(series, input.window))
                .collect();
            ambiguous = counts.iter().filter(|count| **count > 0).count() != 1;
            // `max_by_key` takes the last of equals, hence the reversal.
            let best = (0..counts.len())
                .rev()
                .max_by_key(|index| counts.get(*index))?;
            candidates.swap(0, best);
        }
        let (identity, series) = candidates.into_iter().next()?;
        Some(Self {
            series,
            up: up_entries(input, |labels| {
                labels
                    .iter()
                    .all(|(name, value)| identity.contains(&(name, value)))
            }),
            ambiguous,
        })
    }
}

/// The `node_*` series by target, in label order.
fn group<'a>(input: &Input<'a>) -> BTreeMap<Identity<'a>, Vec<Series<'a>>> {
    let mut groups: BTreeMap<Identity<'a>, Vec<Series<'a>>> = BTreeMap::new();
    for raw in input
        .series
        .iter()
        .filter(|raw| raw.name.starts_with("node_"))
    {
        let identity = raw
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| *name == input.machine_label || !METRIC_LABELS.contains(name))
            .collect();
        groups.entry(identity).or_default().push(Series {
            raw,
            fetched: input.fetched,
        });
    }
    groups
}

/// Entries of the `up` series whose labels are wanted, in order of time.
///
/// `up` belongs to a target if all its labels are the target's. It may lack some: what
/// `metric_relabel_configs` adds reaches the exporter's series only.
pub(super) fn up_entries(
    input: &Input<'_>,
    wanted: impl Fn(&[(String, String)]) -> bool,
) -> Vec<(i64, f64)> {
    let mut entries: Vec<(i64, f64)> = input
        .series
        .iter()
        .filter(|raw| raw.name == "up" && wanted(&raw.labels))
        .flat_map(|raw| {
            let fetched = input.fetched;
            Series { raw, fetched }.entries()
        })
        .collect();
    entries.sort_by_key(|(ts, _)| *ts);
    entries
}

fn has_cpu_samples(series: &[Series<'_>]) -> bool {
    series
        .iter()
        .any(|series| series.name() == CPU_SECONDS && series.samples().next().is_some())
}

fn samples_in(series: &[Series<'_>], window: TimeRange) -> usize {
    series
        .iter()
        .flat_map(|series| series.samples())
        .filter(|(ts, _)| window.contains(TimestampMs(*ts)))
        .count()
}
