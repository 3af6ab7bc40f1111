//! Answers about the fleet as JSON (design section 8, "Bodies").

use crate::query::fleet::{
    Aggregate, GroupBy, HeatCell, Heatmap, Top, TopRow, TopWhat, Trend, TrendPoint, TrendRequest,
    TrendSeries,
};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Parameters that select a group in other questions and in the list of jobs.
type FiltersBody = BTreeMap<&'static str, String>;

/// A number of jobs over time.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrendBody {
    metric: String,
    /// The main statistic.
    stat: &'static str,
    by: &'static str,
    unit: &'static str,
    bucket_seconds: i64,
    /// Unix ms.
    from_ms: i64,
    /// Unix ms, exclusive.
    to_ms: i64,
    series: Vec<SeriesBody>,
    /// Whether there are more groups than lines.
    truncated: bool,
    /// The question in SQL, for `POST /api/v1/sql`.
    sql: String,
}

/// One line.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesBody {
    key: String,
    #[schema(value_type = BTreeMap<String, String>)]
    filters: FiltersBody,
    points: Vec<PointBody>,
}

/// The jobs that finished in one bucket.
#[derive(Debug, Serialize, ToSchema)]
pub struct PointBody {
    /// Unix ms.
    from_ms: i64,
    /// The main statistic; null if it is known of no job.
    value: Option<f64>,
    /// Every statistic that was asked for.
    #[schema(value_type = BTreeMap<String, Option<f64>>)]
    values: BTreeMap<&'static str, Option<f64>>,
    jobs: u64,
    /// Jobs of which the measure is known.
    measured: u64,
    /// Mean share of the jobs' time that samples cover.
    coverage: Option<f64>,
}

impl TrendBody {
    /// The answer to `request`.
    #[must_use]
    pub fn new(request: TrendRequest, trend: Trend) -> Self {
        let stats = request.stats;
        let series = trend.series.into_iter();
        Self {
            metric: request.metric,
            stat: stats.first().map_or("", |stat| stat.name()),
            by: request.by.name(),
            unit: trend.unit,
            bucket_seconds: trend.bucket_seconds,
            from_ms: request.filter.finished.from.0,
            to_ms: request.filter.finished.to.0,
            series: series.map(|line| SeriesBody::new(&stats, line)).collect(),
            truncated: trend.truncated,
            sql: trend.sql,
        }
    }
}

impl SeriesBody {
    fn new(stats: &[Aggregate], line: TrendSeries) -> Self {
        let points = line.points.into_iter();
        Self {
            key: line.key,
            filters: line.filters,
            points: points.map(|point| PointBody::new(stats, point)).collect(),
        }
    }
}

impl PointBody {
    fn new(stats: &[Aggregate], point: TrendPoint) -> Self {
        Self {
            from_ms: point.from_ms,
            value: point.values.first().copied().flatten(),
            values: stats
                .iter()
                .map(|stat| stat.name())
                .zip(point.values)
                .collect(),
            jobs: point.jobs,
            measured: point.measured,
            coverage: point.coverage,
        }
    }
}

/// Groups in falling order.
#[derive(Debug, Serialize, ToSchema)]
pub struct TopBody {
    what: &'static str,
    by: &'static str,
    unit: &'static str,
    /// Of all groups; null if it is known of no job.
    total: Option<f64>,
    rows: Vec<TopRowBody>,
    /// The question in SQL, for `POST /api/v1/sql`.
    sql: String,
}

/// One group.
#[derive(Debug, Serialize, ToSchema)]
pub struct TopRowBody {
    key: String,
    #[schema(value_type = BTreeMap<String, String>)]
    filters: FiltersBody,
    /// Null if it is known of no job of the group.
    value: Option<f64>,
    /// Of the total.
    share: Option<f64>,
    jobs: u64,
    /// Jobs of which the value is known.
    measured: u64,
    /// Jobs that shared their machine: its usage stands at each of them.
    shared: u64,
    /// What its jobs held; null if that is not known of any.
    paid: Option<f64>,
    /// What its jobs used of that.
    used: Option<f64>,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl TopBody {
    /// An answer.
    #[must_use]
    pub fn new(what: TopWhat, by: GroupBy, top: Top) -> Self {
        let total = top.total;
        let rows = top.rows.into_iter();
        Self {
            what: what.name(),
            by: by.name(),
            unit: what.unit(),
            total,
            rows: rows.map(|row| TopRowBody::new(what, total, row)).collect(),
            sql: top.sql,
        }
    }
}

impl TopRowBody {
    fn new(what: TopWhat, total: Option<f64>, row: TopRow) -> Self {
        let total = total.filter(|total| *total > 0.0);
        let is_money = matches!(what, TopWhat::Cost | TopWhat::WastedCost);
        Self {
            key: row.key,
            filters: row.filters,
            value: row.value,
            share: row.value.zip(total).map(|(value, total)| value / total),
            jobs: row.jobs,
            measured: row.measured,
            shared: row.shared,
            paid: row.paid,
            used: row.used,
            reason: match row.value {
                Some(_) => None,
                None if is_money => Some("no_price_or_samples"),
                None => Some("no_samples"),
            },
        }
    }
}

/// The hours of a week.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeatmapBody {
    metric: String,
    stat: &'static str,
    unit: &'static str,
    /// All 168, Monday's first hour first.
    cells: Vec<HeatCellBody>,
    /// The question in SQL, for `POST /api/v1/sql`.
    sql: String,
}

/// One hour of the week, of the jobs that started in it.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeatCellBody {
    /// 0 is Monday.
    weekday: u8,
    hour: u8,
    /// Null without jobs, or if it is known of none.
    value: Option<f64>,
    jobs: u64,
}

impl HeatmapBody {
    /// An answer.
    #[must_use]
    pub fn new(metric: String, stat: Aggregate, heatmap: Heatmap) -> Self {
        let cells = heatmap.cells.into_iter().map(HeatCellBody::from);
        Self {
            metric,
            stat: stat.name(),
            unit: heatmap.unit,
            cells: cells.collect(),
            sql: heatmap.sql,
        }
    }
}

impl From<HeatCell> for HeatCellBody {
    fn from(cell: HeatCell) -> Self {
        Self {
            weekday: cell.weekday,
            hour: cell.hour,
            value: cell.value,
            jobs: cell.jobs,
        }
    }
}
