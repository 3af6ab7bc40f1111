//! What can be asked about a job as one number, and how jobs are put together by it.
//!
//! A measure is a statistic of one job (a column of the view `job_metrics`, or simple arithmetic on
//! some); an [`Aggregate`] makes one number of those of many jobs.

use crate::error::{Error, Result};
use crate::model::graph::{GRAPH_METRICS, GraphMetric, Stat};

/// One number per job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Measure {
    /// Its name in questions and answers.
    pub(super) name: String,
    /// Its unit.
    pub(super) unit: &'static str,
    /// An expression over `job_metrics`; null where it is not known.
    pub(super) sql: String,
}

/// What a job cost in money: null without a registered price.
pub(super) const COST: &str = "price_per_hour * duration_seconds / 3600";
/// Hours of cores that a job held, used or not.
pub(super) const CORE_HOURS: &str = "cpu_count * duration_seconds / 3600";
/// GiB hours of memory that a job held, used or not.
pub(super) const GIB_HOURS: &str = "memory_total_bytes / 1073741824.0 * duration_seconds / 3600";

/// Measures that are no statistic of a metric: name, unit, expression.
const OTHERS: [(&str, &str, &str); 8] = [
    ("jobs", "jobs", "1"),
    ("duration_seconds", "seconds", "duration_seconds"),
    ("queued_seconds", "seconds", "queued_seconds"),
    ("cpu_used_seconds", "seconds", "cpu_used_seconds_total"),
    ("coverage", "ratio", "coverage"),
    ("core_hours", "core hours", CORE_HOURS),
    ("gib_hours", "GiB hours", GIB_HOURS),
    ("cost", "money", COST),
];

impl Measure {
    /// The measure of that name: one of [`OTHERS`], `<metric>_<statistic>`, or a metric alone, which
    /// means its peak for what is held (memory, disk) and its mean for rates.
    ///
    /// # Errors
    /// `Invalid` for any other name; the message lists what there is.
    pub(super) fn by_name(name: &str) -> Result<Self> {
        let other = OTHERS.iter().find(|(known, _, _)| *known == name);
        if let Some((name, unit, sql)) = other {
            return Ok(Self {
                name: (*name).to_owned(),
                unit,
                sql: (*sql).to_owned(),
            });
        }
        let with_stat = || {
            let (metric, stat) = name.rsplit_once('_')?;
            let stats = [Stat::Mean, Stat::P50, Stat::P95, Stat::Max];
            let stat = stats.into_iter().find(|known| known.suffix() == stat)?;
            let metric = GraphMetric::by_name(metric)?;
            has(metric, stat).then_some((metric, stat))
        };
        let alone = || GraphMetric::by_name(name).map(|metric| (metric, usual(metric)));
        let found = with_stat().or_else(alone);
        let (metric, stat) = found
            .filter(|(metric, _)| !metric.stored.is_empty())
            .ok_or_else(|| unknown(name))?;
        Ok(Self {
            name: name.to_owned(),
            unit: metric.unit,
            sql: format!("{}_{}", metric.name, stat.suffix()),
        })
    }
}

/// Whether `job_metrics` has the statistic: the stored ones, and the mean of every rate.
fn has(metric: &GraphMetric, stat: Stat) -> bool {
    metric.stored.contains(&stat) || (stat == Stat::Mean && metric.covers_interval())
}

/// The statistic that is meant by a metric alone.
fn usual(metric: &GraphMetric) -> Stat {
    if metric.covers_interval() {
        Stat::Mean
    } else {
        Stat::Max
    }
}

fn unknown(name: &str) -> Error {
    let others = OTHERS.iter().map(|(name, _, _)| *name);
    let metrics = GRAPH_METRICS
        .iter()
        .filter(|metric| !metric.stored.is_empty())
        .map(|metric| metric.name);
    let known: Vec<&str> = others.chain(metrics).collect();
    Error::invalid(
        "unknown_metric",
        format!(
            "metric {name:?} is unknown; known are: {} (metrics also with _mean, _p50, _p95 or _max where a job has it)",
            known.join(", ")
        ),
    )
}

/// How the measures of many jobs become one number. Jobs whose measure is not known do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Aggregate {
    Mean,
    P50,
    P95,
    P99,
    Min,
    Max,
    Sum,
    Count,
}

impl Aggregate {
    const ALL: [Self; 8] = [
        Self::Mean,
        Self::P50,
        Self::P95,
        Self::P99,
        Self::Min,
        Self::Max,
        Self::Sum,
        Self::Count,
    ];

    /// Its name in questions and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
            Self::Count => "count",
        }
    }

    /// The aggregates of a list of names separated by commas, at least one, none twice.
    ///
    /// # Errors
    /// `Invalid` for a name that is none.
    pub fn list(names: &str) -> Result<Vec<Self>> {
        let mut list = Vec::new();
        for name in names.split(',').map(str::trim) {
            let found = Self::ALL.into_iter().find(|known| known.name() == name);
            let found = found.ok_or_else(|| {
                let known = Self::ALL.map(Self::name).join(", ");
                Error::invalid(
                    "unknown_stat",
                    format!("stat {name:?} is unknown; known are: {known}"),
                )
            })?;
            if !list.contains(&found) {
                list.push(found);
            }
        }
        Ok(list)
    }

    /// The expression for `measure`, a DOUBLE.
    pub(super) fn sql(self, measure: &str) -> String {
        match self {
            Self::Mean => format!("avg({measure})"),
            Self::Sum => format!("sum({measure})"),
            Self::Count => format!("count({measure})"),
            Self::P50 | Self::P95 | Self::P99 | Self::Min | Self::Max => {
                format!("{}({measure})", self.name())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_alone_means_its_peak_or_its_mean_rate() {
        let sql = |name| Measure::by_name(name).unwrap().sql;
        assert_eq!(sql("memory_used_bytes"), "memory_used_bytes_max");
        assert_eq!(sql("memory_used_bytes_mean"), "memory_used_bytes_mean");
        assert_eq!(sql("cpu_used_cores"), "cpu_used_cores_mean");
        assert_eq!(sql("cpu_used_cores_p95"), "cpu_used_cores_p95");
        assert_eq!(sql("core_hours"), CORE_HOURS);
    }

    #[test]
    fn what_no_job_has_is_refused_with_what_there_is() {
        for name in [
            "",
            "memory",
            "load1_p50",
            "oom_kills",
            "1; drop",
            "jobs_max",
        ] {
            let error = Measure::by_name(name).unwrap_err();
            assert_eq!(error.code(), "unknown_metric");
            assert!(error.message().contains("memory_used_bytes"), "{error}");
        }
    }

    #[test]
    fn aggregates_come_as_a_list() {
        assert_eq!(
            Aggregate::list("p95, mean,p95").unwrap(),
            [Aggregate::P95, Aggregate::Mean]
        );
        assert_eq!(Aggregate::list("").unwrap_err().code(), "unknown_stat");
        assert_eq!(Aggregate::list("p42").unwrap_err().code(), "unknown_stat");
    }
}
