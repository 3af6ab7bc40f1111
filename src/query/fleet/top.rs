//! Top lists: who uses the machines, and who wastes them.

use super::filter::FleetFilter;
use super::grouping::{GroupBy, spell};
use super::measure::{CORE_HOURS, COST, GIB_HOURS};
use super::rows::{Rows, count, number};
use super::{Filters, group_filters};
use crate::error::{Error, Result};
use arrow_array::RecordBatch;

/// What groups are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TopWhat {
    CoreHours,
    GibHours,
    Cost,
    WastedCoreHours,
    WastedGibHours,
    WastedCost,
    DurationHours,
    Jobs,
}

/// Hours of cores that were busy.
const USED_CORE_HOURS: &str = "cpu_used_seconds_total / 3600";
/// Hours of cores in the time that samples cover: only there use is known.
const COVERED_CORE_HOURS: &str = "cpu_count * covered_seconds / 3600";
const USED_GIB_HOURS: &str = "memory_used_bytes_mean / 1073741824.0 * covered_seconds / 3600";
const COVERED_GIB_HOURS: &str = "memory_total_bytes / 1073741824.0 * covered_seconds / 3600";
const COVERED_COST: &str = "price_per_hour * covered_seconds / 3600";
/// Of a machine's price the share that the scarcer of its two resources was used for.
const USED_COST: &str = "price_per_hour * covered_seconds / 3600 * \
    greatest(cpu_used_seconds_total / nullif(cpu_count * covered_seconds, 0), memory_used_bytes_mean * 1.0 / nullif(memory_total_bytes, 0))";

impl TopWhat {
    const ALL: [Self; 8] = [
        Self::CoreHours,
        Self::GibHours,
        Self::Cost,
        Self::WastedCoreHours,
        Self::WastedGibHours,
        Self::WastedCost,
        Self::DurationHours,
        Self::Jobs,
    ];

    /// Its name in questions and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CoreHours => "core_hours",
            Self::GibHours => "gib_hours",
            Self::Cost => "cost",
            Self::WastedCoreHours => "wasted_core_hours",
            Self::WastedGibHours => "wasted_gib_hours",
            Self::WastedCost => "wasted_cost",
            Self::DurationHours => "duration_hours",
            Self::Jobs => "jobs",
        }
    }

    /// The one of that name.
    ///
    /// # Errors
    /// `Invalid` for a name that is none.
    pub fn by_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::invalid(
                "unknown_top",
                format!("what {name:?} is unknown; known are: {known}"),
            )
        })
    }

    /// Unit of its values.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::CoreHours | Self::WastedCoreHours => "core hours",
            Self::GibHours | Self::WastedGibHours => "GiB hours",
            Self::Cost | Self::WastedCost => "money",
            Self::DurationHours => "hours",
            Self::Jobs => "jobs",
        }
    }

    /// What a job held and what it used of that, as expressions over `job_metrics`. Both are null
    /// where one is not known, so that their sums speak of the same jobs.
    fn paid_and_used(self) -> (&'static str, &'static str) {
        match self {
            Self::CoreHours => (CORE_HOURS, USED_CORE_HOURS),
            Self::GibHours => (GIB_HOURS, USED_GIB_HOURS),
            Self::Cost => (COST, USED_COST),
            Self::WastedCoreHours => (COVERED_CORE_HOURS, USED_CORE_HOURS),
            Self::WastedGibHours => (COVERED_GIB_HOURS, USED_GIB_HOURS),
            Self::WastedCost => (COVERED_COST, USED_COST),
            Self::DurationHours => ("duration_seconds / 3600", "null"),
            Self::Jobs => ("1", "null"),
        }
    }

    fn is_waste(self) -> bool {
        matches!(
            self,
            Self::WastedCoreHours | Self::WastedGibHours | Self::WastedCost
        )
    }

    /// What groups are ordered by, over the columns `paid` and `used`.
    fn value(self) -> &'static str {
        if self.is_waste() {
            "greatest(paid - used, 0.0)"
        } else {
            "paid"
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopRequest {
    /// What groups are ordered by.
    pub what: TopWhat,
    /// What a row is.
    pub by: GroupBy,
    /// Which jobs.
    pub filter: FleetFilter,
    /// Rows at most.
    pub limit: usize,
}

/// Groups in falling order.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Top {
    /// Of all groups, also those that have no row; `None` if nothing is known of any job.
    pub total: Option<f64>,
    pub rows: Vec<TopRow>,
    /// The question in SQL.
    pub sql: String,
}

/// One group.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct TopRow {
    pub key: String,
    /// What selects the group in other questions.
    pub filters: Filters,
    /// `None` if it is known of no job of the group.
    pub value: Option<f64>,
    pub jobs: u64,
    /// Jobs of which the value is known.
    pub measured: u64,
    /// Jobs that shared their machine with another: what it used stands at each of them.
    pub shared: u64,
    /// What its jobs held.
    pub paid: Option<f64>,
    /// What its jobs used of that.
    pub used: Option<f64>,
}

impl TopRequest {
    pub(super) fn sql(&self) -> String {
        let (paid, used) = self.what.paid_and_used();
        let by = self.by;
        let paid = if self.what.is_waste() {
            // Waste is known only where both are.
            format!("case when ({used}) is not null then {paid} end")
        } else {
            paid.to_owned()
        };
        format!(
            "select {list}jobs, measured, shared, paid, used, value, sum(value) over () as total from (\
             select {list}count(*) as jobs, count({value}) as measured, count(case when co_tenant_count > 0 then 1 end) as shared, \
             sum(paid) as paid, sum(used) as used, sum({value}) as value from (\
             select {list}co_tenant_count, {paid} as paid, cast({used} as double) as used from job_metrics where {condition}) as one{group}) as grouped \
             order by value desc nulls last, jobs desc{keys} limit {limit}",
            list = by.list(),
            value = self.what.value(),
            condition = self.filter.condition(),
            group = grouped(by),
            keys = also(by),
            limit = self.limit,
        )
    }

    pub(super) fn top(&self, sql: String, answer: &[RecordBatch]) -> Result<Top> {
        let columns = self.by.columns().len();
        let mut top = Top {
            total: None,
            rows: Vec::new(),
            sql,
        };
        for batch in answer {
            let rows = Rows::new(batch);
            let (jobs, measured) = (rows.whole(columns)?, rows.whole(columns + 1)?);
            let shared = rows.whole(columns + 2)?;
            let (paid, used) = (rows.numbers(columns + 3)?, rows.numbers(columns + 4)?);
            let (value, total) = (rows.numbers(columns + 5)?, rows.numbers(columns + 6)?);
            for (row, group) in rows.groups(columns)?.iter().enumerate() {
                top.total = number(&total, row);
                top.rows.push(TopRow {
                    key: spell(group),
                    filters: group_filters(self.by, group),
                    value: number(&value, row),
                    jobs: count(&jobs, row),
                    measured: count(&measured, row),
                    shared: count(&shared, row),
                    paid: number(&paid, row),
                    used: number(&used, row),
                });
            }
        }
        // A question without groups has one row also if there is no job.
        top.rows.retain(|row| row.jobs > 0);
        Ok(top)
    }
}

fn grouped(by: GroupBy) -> String {
    match by.list().trim_end_matches(", ") {
        "" => String::new(),
        keys => format!(" group by {keys}"),
    }
}

fn also(by: GroupBy) -> String {
    match by.list().trim_end_matches(", ") {
        "" => String::new(),
        keys => format!(", {keys}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::tests::a_day;
    use super::*;

    #[test]
    fn waste_is_asked_for_where_use_is_known() {
        let request = TopRequest {
            what: TopWhat::WastedCoreHours,
            by: GroupBy::Name,
            filter: a_day(),
            limit: 5,
        };
        let sql = request.sql();
        for part in [
            "case when (cpu_used_seconds_total / 3600) is not null then cpu_count * covered_seconds / 3600 end as paid",
            "group by project, name",
            "order by value desc nulls last, jobs desc, project, name limit 5",
        ] {
            assert!(sql.contains(part), "{sql} has not {part}");
        }
        for what in TopWhat::ALL {
            assert_eq!(TopWhat::by_name(what.name()).unwrap(), what);
        }
    }
}
