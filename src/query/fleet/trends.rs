//! Trends: a number of jobs over time, per group.

use super::filter::FleetFilter;
use super::grouping::{Group, GroupBy, spell};
use super::measure::{Aggregate, Measure};
use super::rows::{Rows, count, number};
use super::{Filters, group_filters};
use crate::error::Result;
use crate::query::sql::spell::unix_ms;
use arrow_array::RecordBatch;
use std::collections::BTreeMap;

/// Widths of buckets that `auto` chooses from, in seconds: 5 min to 30 days.
const WIDTHS: [i64; 9] = [
    300, 900, 3_600, 10_800, 21_600, 86_400, 259_200, 604_800, 2_592_000,
];

/// Buckets that a chart shows at most when the width is left to us.
const BUCKETS: i64 = 120;

/// Buckets begin at multiples of their width from here on: a Monday, so that weeks do.
const ORIGIN_MS: i64 = 4 * 86_400_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrendRequest {
    /// Name of a measure.
    pub metric: String,
    /// How jobs become one number, the first is the main one; never empty.
    pub stats: Vec<Aggregate>,
    /// A line for each group.
    pub by: GroupBy,
    /// Width of a bucket in seconds; chosen by the range if absent.
    pub bucket_seconds: Option<i64>,
    /// Which jobs.
    pub filter: FleetFilter,
    /// Lines at most: the groups with the most jobs.
    pub limit: usize,
}

/// Lines over time.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Trend {
    pub unit: &'static str,
    pub bucket_seconds: i64,
    pub series: Vec<TrendSeries>,
    /// Whether there are more groups than lines.
    pub truncated: bool,
    /// The question in SQL.
    pub sql: String,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct TrendSeries {
    pub key: String,
    /// What selects the group in other questions.
    pub filters: Filters,
    pub points: Vec<TrendPoint>,
}

/// One bucket of a line. Buckets without jobs have no point.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct TrendPoint {
    pub from_ms: i64,
    /// In the order of [`TrendRequest::stats`]; `None` if no job's measure is known.
    pub values: Vec<Option<f64>>,
    pub jobs: u64,
    /// Jobs whose measure is known.
    pub measured: u64,
    /// Mean coverage of the jobs that have one.
    pub coverage: Option<f64>,
}

/// A trend that is ready to be asked.
#[derive(Debug)]
pub(super) struct Plan {
    request: TrendRequest,
    measure: Measure,
    bucket_seconds: i64,
}

impl Plan {
    pub(super) fn new(request: TrendRequest) -> Result<Self> {
        let measure = Measure::by_name(&request.metric)?;
        let length = request.filter.finished.len_ms() / 1_000 + 1;
        let bucket_seconds = request.bucket_seconds.unwrap_or_else(|| width(length));
        Ok(Self {
            request,
            measure,
            bucket_seconds,
        })
    }

    /// Asks for the groups with the most jobs, one more than there are lines.
    pub(super) fn groups_sql(&self) -> Option<String> {
        let by = self.request.by;
        if by.columns().is_empty() {
            return None;
        }
        Some(format!(
            "select {list}count(*) as jobs from job_metrics where {condition} group by {keys} order by jobs desc, {keys} limit {limit}",
            list = by.list(),
            keys = by.list().trim_end_matches(", "),
            condition = self.request.filter.condition(),
            limit = self.request.limit + 1,
        ))
    }

    /// The groups of the answer to [`Plan::groups_sql`], and whether there are more.
    pub(super) fn groups(&self, answer: &[RecordBatch]) -> Result<(Vec<Group>, bool)> {
        let mut groups = Vec::new();
        for batch in answer {
            groups.append(&mut Rows::new(batch).groups(self.request.by.columns().len())?);
        }
        let truncated = groups.len() > self.request.limit;
        groups.truncate(self.request.limit);
        Ok((groups, truncated))
    }

    /// Asks for the points of `groups`.
    pub(super) fn sql(&self, groups: &[Group]) -> String {
        let by = self.request.by;
        let stats = self.request.stats.iter();
        let stats: String = stats
            .map(|stat| format!(", {} as {}", stat.sql(&self.measure.sql), stat.name()))
            .collect();
        format!(
            "select {list}{bucket} as bucket, count(*) as jobs, count({measure}) as measured, avg(coverage) as mean_coverage{stats} \
             from job_metrics where {condition} and {among} group by {list}bucket order by {list}bucket",
            list = by.list(),
            bucket = bucket(self.bucket_seconds),
            measure = self.measure.sql,
            condition = self.request.filter.condition(),
            among = by.among(groups),
        )
    }

    /// Puts the answer to [`Plan::sql`] together, lines in the order of `groups`.
    pub(super) fn trend(
        &self,
        groups: &[Group],
        truncated: bool,
        sql: String,
        answer: &[RecordBatch],
    ) -> Result<Trend> {
        let columns = self.request.by.columns().len();
        let mut lines: BTreeMap<Group, Vec<TrendPoint>> = BTreeMap::new();
        for batch in answer {
            let rows = Rows::new(batch);
            let buckets = rows.whole(columns)?;
            let (jobs, measured) = (rows.whole(columns + 1)?, rows.whole(columns + 2)?);
            let coverage = rows.numbers(columns + 3)?;
            let stats = (0..self.request.stats.len())
                .map(|stat| rows.numbers(columns + 4 + stat))
                .collect::<Result<Vec<_>>>()?;
            for (row, group) in rows.groups(columns)?.into_iter().enumerate() {
                lines.entry(group).or_default().push(TrendPoint {
                    from_ms: buckets.value(row),
                    values: stats.iter().map(|stat| number(stat, row)).collect(),
                    jobs: count(&jobs, row),
                    measured: count(&measured, row),
                    coverage: number(&coverage, row),
                });
            }
        }
        let series = groups.iter().filter_map(|group| {
            let mut points = lines.remove(group)?;
            points.sort_by_key(|point| point.from_ms);
            Some(TrendSeries {
                key: spell(group),
                filters: group_filters(self.request.by, group),
                points,
            })
        });
        Ok(Trend {
            unit: self.measure.unit,
            bucket_seconds: self.bucket_seconds,
            series: series.collect(),
            truncated,
            sql,
        })
    }
}

/// The beginning of the bucket of a job's end, Unix ms.
fn bucket(seconds: i64) -> String {
    let width = seconds * 1_000;
    format!(
        "({} - {ORIGIN_MS}) / {width} * {width} + {ORIGIN_MS}",
        unix_ms("finished_at")
    )
}

/// The narrowest width that shows `seconds` in at most [`BUCKETS`] buckets.
fn width(seconds: i64) -> i64 {
    let fits = |width: &i64| seconds <= BUCKETS * width;
    WIDTHS.into_iter().find(fits).unwrap_or_else(|| {
        let months = seconds / (BUCKETS * 2_592_000) + 1;
        months * 2_592_000
    })
}

#[cfg(test)]
mod tests {
    use super::super::filter::tests::a_day;
    use super::*;

    fn request(by: GroupBy) -> TrendRequest {
        TrendRequest {
            metric: "memory_used_bytes".to_owned(),
            stats: vec![Aggregate::P95, Aggregate::P50],
            by,
            bucket_seconds: None,
            filter: a_day(),
            limit: 2,
        }
    }

    #[test]
    fn a_width_shows_the_range_in_at_most_120_buckets() {
        assert_eq!(width(1), 300);
        assert_eq!(width(86_400), 900);
        assert_eq!(width(90 * 86_400), 86_400);
        assert_eq!(width(365 * 86_400), 604_800);
        let century = 36_525 * 86_400;
        assert!(century / width(century) <= BUCKETS);
    }

    #[test]
    fn the_question_names_groups_buckets_and_statistics() {
        let plan = Plan::new(request(GroupBy::Project)).unwrap();
        assert!(
            plan.groups_sql()
                .unwrap()
                .ends_with("group by project order by jobs desc, project limit 3")
        );
        let sql = plan.sql(&[vec![Some("a".to_owned())]]);
        for part in [
            "select project, (cast(finished_at as bigint) / 1000 - 345600000) / 900000 * 900000 + 345600000 as bucket",
            "p95(memory_used_bytes_max) as p95, p50(memory_used_bytes_max) as p50",
            "and ((project = 'a')) group by project, bucket",
        ] {
            assert!(sql.contains(part), "{sql} has not {part}");
        }
        assert!(
            Plan::new(request(GroupBy::None))
                .unwrap()
                .groups_sql()
                .is_none()
        );
    }
}
