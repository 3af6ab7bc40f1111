//! The hours of a week: when jobs queue, when machines are busy.

use super::filter::FleetFilter;
use super::measure::{Aggregate, Measure};
use super::rows::{Rows, count, number};
use crate::error::Result;
use crate::query::sql::spell::unix_ms;
use arrow_array::RecordBatch;

/// Hours in a week.
const HOURS: i64 = 168;
/// 1970-01-01 was a Thursday: three days behind the Monday before it.
const DAYS_SINCE_MONDAY: i64 = 3;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeatmapRequest {
    /// Name of a measure.
    pub metric: String,
    /// How jobs become one number.
    pub stat: Aggregate,
    /// Minutes that local time is ahead of UTC.
    pub tz_offset_minutes: i64,
    /// Which jobs.
    pub filter: FleetFilter,
}

/// A week of hours.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Heatmap {
    pub unit: &'static str,
    /// All 168, Monday's first hour first.
    pub cells: Vec<HeatCell>,
    /// The question in SQL.
    pub sql: String,
}

/// One hour of the week, of the jobs that started in it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct HeatCell {
    /// 0 is Monday.
    pub weekday: u8,
    pub hour: u8,
    /// `None` without jobs, or if the measure of none is known.
    pub value: Option<f64>,
    pub jobs: u64,
}

#[derive(Debug)]
pub(super) struct Plan {
    request: HeatmapRequest,
    measure: Measure,
}

impl Plan {
    pub(super) fn new(request: HeatmapRequest) -> Result<Self> {
        let measure = Measure::by_name(&request.metric)?;
        Ok(Self { request, measure })
    }

    pub(super) fn sql(&self) -> String {
        let moved = self.request.tz_offset_minutes * 60_000 + DAYS_SINCE_MONDAY * 86_400_000;
        format!(
            "select ({started} + {moved}) / 3600000 % {HOURS} as hour_of_week, count(*) as jobs, {value} as value \
             from job_metrics where {condition} and started_at is not null group by hour_of_week order by hour_of_week",
            started = unix_ms("started_at"),
            value = self.request.stat.sql(&self.measure.sql),
            condition = self.request.filter.condition(),
        )
    }

    pub(super) fn heatmap(&self, sql: String, answer: &[RecordBatch]) -> Result<Heatmap> {
        let cell = |hour: u8| HeatCell {
            weekday: hour / 24,
            hour: hour % 24,
            value: None,
            jobs: 0,
        };
        let mut cells: Vec<HeatCell> = (0..HOURS)
            .filter_map(|hour| u8::try_from(hour).ok())
            .map(cell)
            .collect();
        for batch in answer {
            let rows = Rows::new(batch);
            let (hours, jobs, values) = (rows.whole(0)?, rows.whole(1)?, rows.numbers(2)?);
            for (row, hour) in hours.iter().enumerate() {
                let slot = hour.and_then(|hour| usize::try_from(hour).ok());
                if let Some(cell) = slot.and_then(|slot| cells.get_mut(slot)) {
                    cell.jobs = count(&jobs, row);
                    cell.value = number(&values, row);
                }
            }
        }
        Ok(Heatmap {
            unit: self.measure.unit,
            cells,
            sql,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::tests::a_day;
    use super::*;
    use arrow_array::{Float64Array, Int64Array};
    use arrow_schema::{DataType, Field, Schema};
    use std::sync::Arc;

    #[test]
    fn every_hour_of_the_week_has_its_cell() {
        let request = HeatmapRequest {
            metric: "queued_seconds".to_owned(),
            stat: Aggregate::P95,
            tz_offset_minutes: 60,
            filter: a_day(),
        };
        let plan = Plan::new(request).unwrap();
        assert!(
            plan.sql().starts_with(
                "select (cast(started_at as bigint) / 1000 + 262800000) / 3600000 % 168"
            )
        );
        let schema = Schema::new(vec![
            Field::new("h", DataType::Int64, true),
            Field::new("j", DataType::Int64, true),
            Field::new("v", DataType::Float64, true),
        ]);
        let batch = RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(Int64Array::from(vec![25, 167])),
                Arc::new(Int64Array::from(vec![3, 1])),
                Arc::new(Float64Array::from(vec![Some(1.5), None])),
            ],
        )
        .unwrap();
        let heatmap = plan.heatmap(String::new(), &[batch]).unwrap();
        assert_eq!(heatmap.cells.len(), 168);
        let tuesday_one = heatmap.cells[25];
        assert_eq!(
            (tuesday_one.weekday, tuesday_one.hour, tuesday_one.jobs),
            (1, 1, 3)
        );
        assert_eq!(tuesday_one.value, Some(1.5));
        assert_eq!(
            (
                heatmap.cells[167].weekday,
                heatmap.cells[167].hour,
                heatmap.cells[167].value
            ),
            (6, 23, None)
        );
        assert_eq!(heatmap.cells[0].jobs, 0);
    }
}
