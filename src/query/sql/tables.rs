//! The tables of SQL: what is stored, and the views in graph units.
//!
//! One list of columns per table; each says how its cells are made ([`Make`]) and which stored column
//! bounds it. The views are made from the integers on disk, not by casts in SQL.

use crate::archive::scan::{StoredColumn, StoredKind, Table, job_columns, sample_columns};
use crate::model::graph::{GRAPH_METRICS, GraphMetric, Origin};
use crate::model::metric::{CellType, Column};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::sync::{Arc, LazyLock};

/// How the cells of a column are made.
#[derive(Debug, Clone)]
pub(super) enum Make {
    /// The date of the segment.
    Date,
    /// What is stored.
    Stored(usize),
    /// A stored number as DOUBLE.
    Double(usize),
    /// A column of the jobs table, beside the job's samples.
    Fact(usize),
    /// A rate in graph units, of a sample.
    Rate(&'static GraphMetric),
    /// Milliseconds that a sample's interval shares with its job's window.
    Overlap,
    /// The same as a part of the interval.
    Share,
    /// A rate in graph units, over the whole job.
    MeanRate(&'static GraphMetric),
    /// Sum of two stored numbers as DOUBLE.
    Sum(usize, usize),
    /// Seconds from one stored time to another.
    Between(usize, usize),
    /// A field of the job's sections; the other columns of the table repeat for each section.
    Section(&'static str),
    /// The number of the section in its job, from 1.
    SectionNumber,
    /// Seconds that the section took.
    SectionSeconds,
}

/// A column.
#[derive(Debug, Clone)]
pub(super) struct SqlColumn {
    pub(super) name: String,
    pub(super) kind: DataType,
    pub(super) make: Make,
    nullable: bool,
}

/// A table.
#[derive(Debug)]
pub(super) struct SqlTable {
    pub(super) name: &'static str,
    /// What it is made from, row by row.
    pub(super) base: Table,
    /// Whether it has one row per section of a row of `base`.
    pub(super) is_unrolled: bool,
    pub(super) columns: Vec<SqlColumn>,
    pub(super) schema: SchemaRef,
}

impl SqlTable {
    fn new(name: &'static str, base: Table, columns: Vec<SqlColumn>) -> Self {
        let fields = columns
            .iter()
            .map(|own| Field::new(&own.name, own.kind.clone(), own.nullable));
        Self {
            name,
            base,
            is_unrolled: name == "sections",
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            columns,
        }
    }

    /// Whether a column's cells come in runs of equal ones, in the order of the files.
    pub(super) fn comes_in_runs(&self, column: usize) -> bool {
        let Some(own) = self.columns.get(column) else {
            return false;
        };
        let sorted: &[&str] = match self.base {
            Table::Samples => &["project_key", "job", "part", "runner_key"],
            Table::Jobs if self.is_unrolled => &["project_key", "project", "project_id", "job"],
            Table::Jobs => &["project_key", "project", "project_id"],
        };
        match own.make {
            Make::Date | Make::Fact(_) => true,
            Make::Stored(_) => sorted.contains(&own.name.as_str()),
            _ => false,
        }
    }

    /// The stored columns that a column's cells are made of; none for rates and facts, which are left to their
    /// first read.
    pub(super) fn reads(&self, column: usize) -> Vec<usize> {
        match self.columns.get(column).map(|own| &own.make) {
            Some(Make::Stored(one) | Make::Double(one)) => vec![*one],
            Some(Make::Sum(one, two) | Make::Between(one, two)) => vec![*one, *two],
            _ => Vec::new(),
        }
    }

    /// The stored column that bounds a column's cells, if they are what is stored.
    pub(super) fn stored(&self, column: usize) -> Option<usize> {
        match self.columns.get(column)?.make {
            Make::Stored(stored) => Some(stored),
            _ => None,
        }
    }
}

/// All tables.
pub(super) static TABLES: LazyLock<[SqlTable; 5]> = LazyLock::new(|| {
    [
        SqlTable::new("jobs", Table::Jobs, plain(job_columns())),
        SqlTable::new("samples", Table::Samples, plain(sample_columns())),
        SqlTable::new("job_samples", Table::Samples, job_samples()),
        SqlTable::new("job_metrics", Table::Jobs, job_metrics()),
        SqlTable::new("sections", Table::Jobs, sections()),
    ]
});

fn made(name: &str, kind: DataType, make: Make) -> SqlColumn {
    SqlColumn {
        name: name.to_owned(),
        kind,
        make,
        nullable: true,
    }
}

fn date() -> SqlColumn {
    SqlColumn {
        nullable: false,
        ..made("date", DataType::Date32, Make::Date)
    }
}

fn stored(columns: &[StoredColumn], position: usize) -> Option<SqlColumn> {
    let own = columns.get(position)?;
    Some(SqlColumn {
        nullable: own.nullable,
        ..made(&own.name, own.kind.data_type(), Make::Stored(position))
    })
}

/// What is stored, and the date.
fn plain(columns: &'static [StoredColumn]) -> Vec<SqlColumn> {
    let all = (0..columns.len()).filter_map(|position| stored(columns, position));
    [date()].into_iter().chain(all).collect()
}

/// Position of a column of the jobs table, or of the samples table.
fn position(columns: &[StoredColumn], name: &str) -> Option<usize> {
    columns.iter().position(|own| own.name == name)
}

pub(super) fn job_position(name: &str) -> Option<usize> {
    position(job_columns(), name)
}

pub(super) fn sample_position(name: &str) -> Option<usize> {
    position(sample_columns(), name)
}

/// Facts of the job that stand beside its samples.
const FACTS: [&str; 19] = [
    "source",
    "job_id",
    "project",
    "name",
    "stage",
    "ref",
    "sha",
    "status",
    "failure_reason",
    "runner_description",
    "region",
    "machine",
    "machine_type",
    "executor",
    "cpu_count",
    "memory_total_bytes",
    "filesystem_size_bytes",
    "started_at",
    "finished_at",
];

fn job_samples() -> Vec<SqlColumn> {
    let columns = sample_columns();
    let first_value = columns.len() - Column::ALL.len();
    let mut all = vec![date()];
    all.extend((0..first_value).filter_map(|position| stored(columns, position)));
    let facts = FACTS.into_iter().filter_map(|name| {
        let position = job_position(name)?;
        let kind = job_columns().get(position)?.kind.data_type();
        Some(made(name, kind, Make::Fact(position)))
    });
    all.extend(facts);
    all.push(made("overlap_ms", DataType::Int64, Make::Overlap));
    all.push(made("share", DataType::Float64, Make::Share));
    let increments = Column::ALL
        .into_iter()
        .filter(|column| column.is_increment());
    all.extend(increments.filter_map(|own| stored(columns, sample_position(own.name())?)));
    all.extend(GRAPH_METRICS.iter().filter_map(graph_column));
    all
}

/// A graph metric of a sample. Whole numbers stay what they are; counts stand among the increments.
fn graph_column(metric: &'static GraphMetric) -> Option<SqlColumn> {
    match metric.origin {
        Origin::Rate(_) => Some(made(metric.name, DataType::Float64, Make::Rate(metric))),
        Origin::Count(_) => None,
        Origin::Gauge(column) => {
            let position = sample_position(column.name())?;
            match column.spec().cell {
                CellType::Int32 | CellType::Int64 => stored(sample_columns(), position),
                _ => Some(made(metric.name, DataType::Float64, Make::Double(position))),
            }
        }
    }
}

fn job_metrics() -> Vec<SqlColumn> {
    let mut all = vec![date()];
    for (position, own) in job_columns().iter().enumerate() {
        let is_base = own.name.ends_with("_base") || own.name == "base_ts";
        match &own.kind {
            StoredKind::List(_) => {}
            _ if is_base => {}
            StoredKind::Cell(CellType::Decimal9(_) | CellType::Decimal18(_)) => {
                all.push(made(&own.name, DataType::Float64, Make::Double(position)));
            }
            _ => all.extend(stored(job_columns(), position)),
        }
    }
    let pair = |from, to| job_position(from).zip(job_position(to));
    if let Some((from, to)) = pair("started_at", "finished_at") {
        let make = Make::Between(from, to);
        all.push(made("duration_seconds", DataType::Float64, make));
    }
    if let Some((user, system)) = pair("cpu_user_seconds_total", "cpu_system_seconds_total") {
        let make = Make::Sum(user, system);
        all.push(made("cpu_used_seconds_total", DataType::Float64, make));
    }
    let rates = GRAPH_METRICS
        .iter()
        .filter(|metric| matches!(metric.origin, Origin::Rate(_)));
    all.extend(rates.map(|metric| {
        let name = format!("{}_mean", metric.name);
        made(&name, DataType::Float64, Make::MeanRate(metric))
    }));
    all
}

/// Facts of the job that repeat for each of its sections.
const OF_SECTIONS: [&str; 15] = [
    "project_key",
    "job",
    "part",
    "runner_key",
    "source",
    "job_id",
    "project",
    "name",
    "stage",
    "ref",
    "status",
    "machine_type",
    "cpu_count",
    "started_at",
    "finished_at",
];

fn sections() -> Vec<SqlColumn> {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut all = vec![date()];
    let facts = OF_SECTIONS.into_iter();
    all.extend(facts.filter_map(|name| stored(job_columns(), job_position(name)?)));
    all.push(made("section", DataType::Utf8, Make::Section("name")));
    all.push(made("section_number", DataType::Int64, Make::SectionNumber));
    let started = Make::Section("started_at");
    all.push(made("section_started_at", time.clone(), started));
    all.push(made(
        "section_finished_at",
        time,
        Make::Section("finished_at"),
    ));
    all.push(made(
        "duration_seconds",
        DataType::Float64,
        Make::SectionSeconds,
    ));
    let cpu = Make::Section("cpu_used_seconds");
    all.push(made("cpu_used_seconds", DataType::Float64, cpu));
    for bytes in [
        "memory_used_bytes_max",
        "network_receive_bytes",
        "network_transmit_bytes",
        "disk_read_bytes",
        "disk_written_bytes",
    ] {
        all.push(made(bytes, DataType::Int64, Make::Section(bytes)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_no_narrow_decimal_is_shown() {
        for table in TABLES.iter() {
            let names: BTreeSet<_> = table.columns.iter().map(|own| &own.name).collect();
            assert_eq!(names.len(), table.columns.len(), "{}", table.name);
            for field in table.schema.fields() {
                let text = field.data_type().to_string();
                assert!(
                    !text.contains("Decimal32") && !text.contains("Decimal64"),
                    "{text}"
                );
            }
        }
        let counts = TABLES.each_ref().map(|table| table.columns.len());
        let stored = [job_columns().len() + 1, sample_columns().len() + 1];
        assert_eq!(counts[..2], stored);
    }

    #[test]
    fn every_fact_and_every_graph_metric_is_there() {
        let [_, _, job_samples, job_metrics, sections] = &*TABLES;
        let has = |table: &SqlTable, name: &str| table.columns.iter().any(|own| own.name == name);
        assert!(FACTS.into_iter().all(|name| has(job_samples, name)));
        assert!(OF_SECTIONS.into_iter().all(|name| has(sections, name)));
        assert!(
            GRAPH_METRICS
                .iter()
                .all(|metric| has(job_samples, metric.name))
        );
        for name in [
            "cpu_used_cores_mean",
            "cpu_used_seconds_total",
            "duration_seconds",
        ] {
            assert!(has(job_metrics, name), "{name}");
        }
    }
}
