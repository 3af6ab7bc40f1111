//! A profile as it is asked for: which metrics, which part, which units, how many rows.

use super::down_sample::down_sample;
use super::table::{ProfileTable, Series, Units};
use crate::archive::JobView;
use crate::error::{Error, Result};
use crate::model::coarse::{Coarse, SLICE_MS};
use crate::model::graph::{GRAPH_METRICS, Origin};
use crate::model::metric::Column;
use crate::model::profile::Profile;
use crate::model::totals;
use crate::time::{TimeRange, TimestampMs};
use std::collections::BTreeMap;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileRequest {
    /// Metric names; all if empty.
    pub metrics: Vec<String>,
    /// First instant; the job's start if absent.
    pub from: Option<TimestampMs>,
    /// First instant behind; the job's end if absent.
    pub to: Option<TimestampMs>,
    /// A section by name; `name#2` is the second of that name.
    pub section: Option<String>,
    /// Graph units, or what is stored.
    pub units: Units,
    /// About how many rows per metric; all if absent.
    pub points: Option<usize>,
}

/// What there is of a job's samples.
#[derive(Debug)]
pub(super) enum Samples {
    /// All of them.
    All(Profile),
    /// What they left behind when they expired.
    Slices(Coarse),
}

/// Cuts a profile to what is asked for.
pub(super) fn table(
    job: &JobView,
    samples: Samples,
    request: &ProfileRequest,
) -> Result<ProfileTable> {
    let (profile, maxima, resolution_ms) = match samples {
        Samples::All(profile) => (profile, BTreeMap::new(), None),
        Samples::Slices(slices) if slices.rows() == 0 => (slices.means, slices.maxima, None),
        Samples::Slices(slices) => (slices.means, slices.maxima, Some(SLICE_MS)),
    };
    let range = range(job, request)?;
    let findings = job.row.as_ref().map(|row| &row.row.findings);
    let profile = match findings.filter(|_| request.units == Units::Totals) {
        Some(findings) => totals::running(&profile, &findings.base, &findings.gaps),
        None => profile,
    };
    let whole = request.from.is_none() && request.to.is_none() && request.section.is_none();
    // The largest samples go the same way as the means beside them.
    let largest = Profile {
        ts_ms: profile.ts_ms.clone(),
        interval_ms: profile.interval_ms.clone(),
        columns: maxima,
    };
    let (part, largest) = match range {
        Some(range) if !whole => (profile.slice(range), largest.slice(range)),
        _ => (profile, largest),
    };
    let gaps = findings.map_or(&[][..], |findings| &findings.gaps);
    let machine_gaps = gaps.iter().filter(|gap| gap.column.is_none());
    let mut table = ProfileTable {
        job: job.job.clone(),
        project: job.facts.project.clone(),
        name: job.facts.name.clone(),
        machine: job.facts.machine.as_ref().map(ToString::to_string),
        state: job.state,
        reason: job.reason,
        range,
        units: request.units,
        resolution_ms,
        series: series(&part, &largest, request)?,
        gaps: machine_gaps
            .filter(|gap| range.is_none_or(|range| gap.range.overlap_ms(range) > 0))
            .cloned()
            .collect(),
        ts_ms: part.ts_ms,
        interval_ms: part.interval_ms,
    };
    if let Some(points) = request.points {
        let scrape_interval_ms = findings.and_then(|findings| findings.scrape_interval_ms);
        down_sample(&mut table, points, resolution_ms.or(scrape_interval_ms));
    }
    Ok(table)
}

fn range(job: &JobView, request: &ProfileRequest) -> Result<Option<TimeRange>> {
    let window = match &request.section {
        None => job.facts.window(),
        Some(wanted) => Some(section(job, wanted)?),
    };
    let Some(window) = window else {
        return Ok(None);
    };
    let range = TimeRange::new(
        request.from.unwrap_or(window.from),
        request.to.unwrap_or(window.to),
    );
    if range.to < range.from {
        return Err(Error::invalid("invalid_range", "`to` is before `from`"));
    }
    Ok(Some(range))
}

/// `name` or `name#ordinal` (from 1).
fn section(job: &JobView, wanted: &str) -> Result<TimeRange> {
    let sections = job.facts.sections();
    let exact = sections.iter().find(|section| section.name == wanted);
    let by_ordinal = || {
        let (name, ordinal) = wanted.rsplit_once('#')?;
        let position = ordinal.parse::<usize>().ok()?.checked_sub(1)?;
        sections
            .iter()
            .filter(|section| section.name == name)
            .nth(position)
    };
    exact
        .or_else(by_ordinal)
        .map(|section| section.range)
        .ok_or_else(|| {
            let names: Vec<&str> = sections
                .iter()
                .map(|section| section.name.as_str())
                .take(20)
                .collect();
            let known = match names.as_slice() {
                [] => "no sections are known of it".to_owned(),
                names => format!("it has: {}", names.join(", ")),
            };
            Error::invalid(
                "unknown_section",
                format!("the job has no section {wanted:?}; {known}"),
            )
        })
}

fn series(profile: &Profile, largest: &Profile, request: &ProfileRequest) -> Result<Vec<Series>> {
    let wanted = |name: &str| {
        request.metrics.is_empty() || request.metrics.iter().any(|metric| metric == name)
    };
    let known: Vec<&str> = match request.units {
        Units::Graph => GRAPH_METRICS.iter().map(|metric| metric.name).collect(),
        Units::Stored | Units::Totals => Column::ALL.map(Column::name).to_vec(),
    };
    if let Some(unknown) = request
        .metrics
        .iter()
        .find(|metric| !known.contains(&metric.as_str()))
    {
        return Err(Error::invalid(
            "unknown_metric",
            format!(
                "there is no metric {unknown:?}; known are: {}",
                known.join(", ")
            ),
        ));
    }
    let maxima = |column: Option<Column>| {
        let cells = column.and_then(|column| largest.column(column));
        cells.unwrap_or_default().to_vec()
    };
    let series = match request.units {
        Units::Graph => GRAPH_METRICS
            .iter()
            .filter(|metric| wanted(metric.name))
            .filter_map(|metric| {
                let gauge = match metric.origin {
                    Origin::Gauge(column) => Some(column),
                    Origin::Rate(_) | Origin::Count(_) => None,
                };
                Some(Series::graph(metric, profile)?.with_maxima(maxima(gauge)))
            })
            .collect(),
        Units::Stored | Units::Totals => Column::ALL
            .into_iter()
            .filter(|column| wanted(column.name()))
            .filter_map(|column| {
                let series = Series::stored(column, profile, request.units)?;
                Some(series.with_maxima(maxima(Some(column))))
            })
            .collect(),
    };
    Ok(series)
}
