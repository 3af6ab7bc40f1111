//! A profile as it is asked for: which metrics, which part, graph units or raw cells.

use crate::archive::JobView;
use crate::error::{Error, Result};
use crate::model::graph::{GRAPH_METRICS, GraphMetric, cell_to_f64};
use crate::model::id::JobRef;
use crate::model::metric::Column;
use crate::model::profile::{Gap, Profile};
use crate::model::state::{Reason, State};
use crate::time::{TimeRange, TimestampMs};

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
    /// Stored columns (increments) instead of graph units.
    pub raw: bool,
}

/// Values of one metric: graph units as floats, raw cells exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct Values(pub Vec<Option<f64>>);

/// One metric of the answer.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Series {
    pub name: &'static str,
    pub unit: &'static str,
    pub values: Values,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ProfileView {
    pub job: JobRef,
    pub state: State,
    pub reason: Option<Reason>,
    pub range: Option<TimeRange>,
    pub ts_ms: Vec<i64>,
    pub interval_ms: Vec<Option<i32>>,
    pub series: Vec<Series>,
    pub gaps: Vec<Gap>,
}

/// Cuts a profile to what is asked for.
pub(super) fn view(
    job: &JobView,
    profile: &Profile,
    request: &ProfileRequest,
) -> Result<ProfileView> {
    let range = range(job, request)?;
    let whole = request.from.is_none() && request.to.is_none() && request.section.is_none();
    let part = match range {
        Some(range) if !whole => profile.slice(range),
        _ => profile.clone(),
    };
    let gaps = job
        .row
        .as_ref()
        .map_or(&[][..], |row| &row.row.findings.gaps);
    let machine_gaps = gaps.iter().filter(|gap| gap.column.is_none());
    Ok(ProfileView {
        job: job.job.clone(),
        state: job.state,
        reason: job.reason,
        range,
        series: series(&part, request)?,
        gaps: machine_gaps
            .filter(|gap| range.is_none_or(|range| gap.range.overlap_ms(range) > 0))
            .cloned()
            .collect(),
        ts_ms: part.ts_ms,
        interval_ms: part.interval_ms,
    })
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

fn series(profile: &Profile, request: &ProfileRequest) -> Result<Vec<Series>> {
    let wanted = |name: &str| {
        request.metrics.is_empty() || request.metrics.iter().any(|metric| metric == name)
    };
    let known: Vec<&str> = if request.raw {
        Column::ALL.iter().map(|column| column.name()).collect()
    } else {
        GRAPH_METRICS.iter().map(|metric| metric.name).collect()
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
    let series = if request.raw {
        Column::ALL
            .into_iter()
            .filter(|column| wanted(column.name()))
            .filter_map(|column| raw_series(column, profile))
            .collect()
    } else {
        GRAPH_METRICS
            .iter()
            .filter(|metric| wanted(metric.name))
            .filter_map(|metric| graph_series(metric, profile))
            .collect()
    };
    Ok(series)
}

fn raw_series(column: Column, profile: &Profile) -> Option<Series> {
    let cells = profile.column(column)?;
    let name = column.name();
    let unit = ["bytes", "seconds", "ratio", "watts"]
        .into_iter()
        .find(|unit| name.ends_with(unit));
    Some(Series {
        name,
        unit: unit.unwrap_or("count"),
        values: to_values(cells, column.spec().cell.scale()),
    })
}

fn graph_series(metric: &'static GraphMetric, profile: &Profile) -> Option<Series> {
    let cells = metric.values(profile)?;
    Some(Series {
        name: metric.name,
        unit: metric.unit,
        values: to_values(&cells, metric.cell.scale()),
    })
}

fn to_values(cells: &[Option<i64>], scale: i8) -> Values {
    Values(
        cells
            .iter()
            .map(|cell| cell.map(|cell| cell_to_f64(cell, scale)))
            .collect(),
    )
}
