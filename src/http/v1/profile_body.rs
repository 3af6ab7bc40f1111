//! A profile as the JSON document of the API.

use super::job_body::GapBody;
use crate::error::{Error, Result};
use crate::model::graph::cell_to_f64;
use crate::model::state::{Reason, State as JobState};
use crate::query::{ProfileTable, Series};
use serde::Serialize;
use serde_json::Number;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Values of one metric.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MetricBody {
    unit: &'static str,
    /// One per entry of `ts_ms`; null is absent, never 0.
    #[schema(value_type = Vec<Option<f64>>)]
    values: Vec<Option<Number>>,
    /// With `resolution_seconds`, of a gauge: the largest sample of each slice, whose mean is in `values`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Option<f64>>>)]
    max: Option<Vec<Option<Number>>>,
}

impl From<&Series> for MetricBody {
    /// Whole numbers stay whole: a float does not hold all of them.
    fn from(series: &Series) -> Self {
        let scale = series.cell.scale();
        let number = |cell: i64| match scale {
            0 => Some(Number::from(cell)),
            _ => Number::from_f64(cell_to_f64(cell, scale)),
        };
        let numbers = |cells: &[Option<i64>]| {
            let cells = cells.iter();
            cells.map(|cell| cell.and_then(number)).collect()
        };
        let has_maxima = !series.maxima.is_empty();
        Self {
            unit: series.unit,
            values: numbers(&series.cells),
            max: has_maxima.then(|| numbers(&series.maxima)),
        }
    }
}

/// A profile: columns over a time axis.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProfileBody {
    source: String,
    job_id: String,
    #[schema(value_type = String)]
    state: JobState,
    #[schema(value_type = Option<String>)]
    reason: Option<Reason>,
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    /// Null: every row is a sample. Else the samples have expired, and a row stands for a slice of time
    /// that ends at its `ts_ms`: rates and gauges are means, `interval_ms` the time with samples in it.
    resolution_seconds: Option<i64>,
    /// Sample times. A rate belongs to the interval before its time, a gauge to the instant.
    ts_ms: Vec<i64>,
    /// Length of that interval; null if no earlier sample is known.
    interval_ms: Vec<Option<i32>>,
    metrics: BTreeMap<&'static str, MetricBody>,
    gaps: Vec<GapBody>,
}

impl ProfileBody {
    /// The table as JSON text.
    ///
    /// # Errors
    /// `Internal` if it cannot be written (a bug: it writes to memory).
    pub(super) fn to_json(table: ProfileTable) -> Result<Vec<u8>> {
        let body = Self::from(table);
        serde_json::to_vec(&body).map_err(|error| {
            Error::internal("a profile could not be written as JSON").with_source(error)
        })
    }
}

impl From<ProfileTable> for ProfileBody {
    fn from(table: ProfileTable) -> Self {
        let metrics = table.series.iter();
        Self {
            source: table.job.source.to_string(),
            job_id: table.job.job_id.to_string(),
            state: table.state,
            reason: table.reason,
            from_ms: table.range.map(|range| range.from.0),
            to_ms: table.range.map(|range| range.to.0),
            resolution_seconds: table.resolution_ms.map(|ms| ms / 1_000),
            metrics: metrics.map(|one| (one.name, one.into())).collect(),
            ts_ms: table.ts_ms,
            interval_ms: table.interval_ms,
            gaps: table.gaps.iter().map(GapBody::new).collect(),
        }
    }
}
