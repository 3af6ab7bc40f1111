//! Trends: a number of jobs over time, per group.

use super::filter::FleetFilter;
use super::grouping::{Group, GroupBy, spell};
use super::measure::{Aggregate, Measure};
use super::rows::{Rows, count, number};
use super::{Filters, group_filters};
use crate::error::Result;
use crate::limits;
use crate::query::sql::spell::unix_ms;
use crate::time::{Date, TimeRange, TimestampMs};
use arrow_array::RecordBatch;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Widths of buckets that `auto` chooses from, in seconds: 5 min to 30 days.
const WIDTHS: [i64; 9] = [
    300, 900, 3_600, 10_800, 21_600, 86_400, 259_200, 604_800, 2_592_000,
];

/// Buckets that a chart shows at most when the width is left to us.
const BUCKETS: i64 = 120;

const DAY_MS: i64 = 86_400_000;

/// Buckets begin at multiples of their width from here on: a Monday, so that weeks do.
const ORIGIN_MS: i64 = 4 * DAY_MS;

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

    /// When its jobs finished.
    pub(super) fn finished(&self) -> TimeRange {
        self.request.filter.finished
    }

    /// The dates on which they did.
    pub(super) fn dates(&self) -> RangeInclusive<Date> {
        let (first, last) = self.finished().to_inclusive();
        TimestampMs(first).date()..=TimestampMs(last).date()
    }

    /// The range of the question in pieces of whole buckets, in order, given how many jobs its dates have:
    /// a piece ends with the bucket in which it has [`limits::TREND_PIECE_JOBS`].
    pub(super) fn pieces(&self, jobs_by_date: &BTreeMap<Date, u64>) -> Vec<TimeRange> {
        let whole = self.finished();
        let width = self.bucket_seconds * 1_000;
        let (mut pieces, mut from, mut jobs) = (Vec::new(), whole.from, 0);
        for (date, own) in jobs_by_date {
            let behind = i64::from(date.0 + 1) * DAY_MS;
            if behind <= from.0 {
                continue;
            }
            jobs += own;
            // The first bucket that begins with or behind the date's end.
            let to = ORIGIN_MS - (ORIGIN_MS - behind).div_euclid(width) * width;
            if jobs >= limits::TREND_PIECE_JOBS && to < whole.to.0 {
                pieces.push(TimeRange::new(from, TimestampMs(to)));
                (from, jobs) = (TimestampMs(to), 0);
            }
        }
        pieces.push(TimeRange::new(from, whole.to));
        pieces
    }

    /// Asks for the points of `groups` in `finished`.
    pub(super) fn sql(&self, groups: &[Group], finished: TimeRange) -> String {
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
            condition = self.request.filter.condition_in(finished),
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
    fn a_long_trend_is_asked_in_pieces_of_whole_buckets_that_leave_nothing_out() {
        let start = a_day().finished.from;
        let mut request = request(GroupBy::None);
        // From the middle of a bucket to the middle of another.
        request.filter.finished = TimeRange::new(start.plus_ms(1), start.plus_ms(400 * DAY_MS + 1));
        let jobs = |a_date: u64| (-3..410).map(move |day| (Date(start.date().0 + day), a_date));
        for width in [3_600, 86_400, 7 * 86_400, 30 * 86_400] {
            request.bucket_seconds = Some(width);
            let plan = Plan::new(request.clone()).unwrap();
            assert_eq!(plan.pieces(&BTreeMap::new()), [plan.finished()]);
            assert_eq!(plan.pieces(&jobs(10).collect()), [plan.finished()]);
            let pieces = plan.pieces(&jobs(limits::TREND_PIECE_JOBS / 10).collect());
            // As many buckets as ten dates touch.
            let days = (width / 86_400).max(1);
            let expected = usize::try_from(400 / ((9 + days) / days * days)).unwrap();
            assert!(
                (expected..=expected + 2).contains(&pieces.len()),
                "{} pieces of {width} s buckets",
                pieces.len()
            );
            assert!(pieces.iter().all(|piece| !piece.is_empty()));
            assert_eq!(pieces.first().unwrap().from, plan.finished().from);
            assert_eq!(pieces.last().unwrap().to, plan.finished().to);
            for pair in pieces.windows(2) {
                assert_eq!(pair[0].to, pair[1].from);
                assert_eq!((pair[0].to.0 - ORIGIN_MS).rem_euclid(width * 1_000), 0);
            }
        }
    }

    #[test]
    fn the_question_names_groups_buckets_and_statistics() {
        let plan = Plan::new(request(GroupBy::Project)).unwrap();
        assert!(
            plan.groups_sql()
                .unwrap()
                .ends_with("group by project order by jobs desc, project limit 3")
        );
        let sql = plan.sql(&[vec![Some("a".to_owned())]], a_day().finished);
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
