//! The scalar columns of the `jobs` table: names, types, storage, order. One list for the writer, the
//! reader and the golden schema.

use super::properties::Storage;
use crate::model::graph::{GRAPH_METRICS, GraphMetric, Stat};
use crate::model::metric::{CellType, Column};
use arrow_schema::{DataType, Field, TimeUnit};
use std::sync::LazyLock;

/// Type of a scalar column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Time,
    Cell(CellType),
}

/// What a scalar column holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Slot {
    ProjectKey,
    Job,
    Part,
    RunnerKey,
    Source,
    JobId,
    ProjectId,
    RunnerId,
    Project,
    PipelineId,
    Name,
    Stage,
    Ref,
    Sha,
    Status,
    FailureReason,
    RunnerDescription,
    Region,
    Machine,
    MachineType,
    Executor,
    WebUrl,
    CpuCount,
    MemoryTotalBytes,
    FilesystemSizeBytes,
    PricePerHour,
    CreatedAt,
    StartedAt,
    FinishedAt,
    QueuedSeconds,
    ScrapeIntervalSeconds,
    SampleCount,
    Coverage,
    CoveredSeconds,
    Verdict,
    Reason,
    CoTenantCount,
    CoTenantOverlapSeconds,
    AmendedAt,
    BaseTs,
    Base(Column),
    Total(Column),
    Stat(&'static GraphMetric, Stat),
}

/// A scalar column.
#[derive(Debug, Clone)]
pub(super) struct JobColumn {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) storage: Storage,
    pub(super) required: bool,
    pub(super) slot: Slot,
}

/// All scalar columns in file order; the lists of `job_lists` stand behind them.
pub(super) static JOB_COLUMNS: LazyLock<Vec<JobColumn>> = LazyLock::new(build);

/// Positions of the sort order (project_key, name, started_at, job).
pub(super) fn sort_positions() -> Vec<i32> {
    [Slot::ProjectKey, Slot::Name, Slot::StartedAt, Slot::Job]
        .into_iter()
        .filter_map(|slot| JOB_COLUMNS.iter().position(|column| column.slot == slot))
        .filter_map(|position| i32::try_from(position).ok())
        .collect()
}

impl JobColumn {
    /// Its Arrow field.
    pub(super) fn field(&self) -> Field {
        Field::new(&self.name, data_type(self.kind), !self.required)
    }
}

/// Arrow type of a column. `DECIMAL` is Decimal128 for everybody outside: sums over Decimal32 and
/// Decimal64 wrap without an error.
pub(super) fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Kind::Cell(CellType::Int32) => DataType::Int32,
        Kind::Cell(CellType::Int64) => DataType::Int64,
        Kind::Cell(CellType::Decimal9(scale)) => DataType::Decimal128(9, scale),
        Kind::Cell(CellType::Decimal18(scale)) => DataType::Decimal128(18, scale),
    }
}

fn build() -> Vec<JobColumn> {
    let mut columns = facts();
    columns.push(column("base_ts", Kind::Time, Storage::Delta, Slot::BaseTs));
    for metric in Column::ALL.into_iter().filter(|metric| metric.has_base()) {
        let kind = Kind::Cell(metric.base_cell());
        columns.push(column(
            &format!("{}_base", metric.name()),
            kind,
            Storage::Value,
            Slot::Base(metric),
        ));
    }
    for metric in Column::ALL
        .into_iter()
        .filter(|metric| metric.is_increment())
    {
        let kind = Kind::Cell(metric.spec().cell.total());
        columns.push(column(
            &format!("{}_total", metric.name()),
            kind,
            Storage::Value,
            Slot::Total(metric),
        ));
    }
    for metric in GRAPH_METRICS {
        for stat in metric.stored {
            let kind = Kind::Cell(metric.stat_cell(*stat));
            let name = format!("{}_{}", metric.name, stat.suffix());
            columns.push(column(
                &name,
                kind,
                Storage::Value,
                Slot::Stat(metric, *stat),
            ));
        }
    }
    columns
}

fn column(name: &str, kind: Kind, storage: Storage, slot: Slot) -> JobColumn {
    let required = matches!(
        slot,
        Slot::ProjectKey | Slot::Job | Slot::Part | Slot::Source | Slot::JobId | Slot::SampleCount
    );
    JobColumn {
        name: name.to_owned(),
        kind,
        storage,
        required,
        slot,
    }
}

fn facts() -> Vec<JobColumn> {
    use CellType::{Decimal9, Decimal18, Int32, Int64};
    use Storage::{Delta, Dictionary, Value};
    let text = Kind::Text;
    let list = [
        (
            "project_key",
            Kind::Cell(Int64),
            Dictionary,
            Slot::ProjectKey,
        ),
        ("job", Kind::Cell(Int64), Delta, Slot::Job),
        ("part", Kind::Cell(Int32), Dictionary, Slot::Part),
        ("runner_key", Kind::Cell(Int64), Dictionary, Slot::RunnerKey),
        ("source", text, Dictionary, Slot::Source),
        ("job_id", text, Dictionary, Slot::JobId),
        ("project_id", text, Dictionary, Slot::ProjectId),
        ("runner_id", text, Dictionary, Slot::RunnerId),
        ("project", text, Dictionary, Slot::Project),
        ("pipeline_id", text, Dictionary, Slot::PipelineId),
        ("name", text, Dictionary, Slot::Name),
        ("stage", text, Dictionary, Slot::Stage),
        ("ref", text, Dictionary, Slot::Ref),
        ("sha", text, Dictionary, Slot::Sha),
        ("status", text, Dictionary, Slot::Status),
        ("failure_reason", text, Dictionary, Slot::FailureReason),
        (
            "runner_description",
            text,
            Dictionary,
            Slot::RunnerDescription,
        ),
        ("region", text, Dictionary, Slot::Region),
        ("machine", text, Dictionary, Slot::Machine),
        ("machine_type", text, Dictionary, Slot::MachineType),
        ("executor", text, Dictionary, Slot::Executor),
        ("web_url", text, Dictionary, Slot::WebUrl),
        ("cpu_count", Kind::Cell(Int32), Value, Slot::CpuCount),
        (
            "memory_total_bytes",
            Kind::Cell(Int64),
            Value,
            Slot::MemoryTotalBytes,
        ),
        (
            "filesystem_size_bytes",
            Kind::Cell(Int64),
            Value,
            Slot::FilesystemSizeBytes,
        ),
        (
            "price_per_hour",
            Kind::Cell(Decimal18(6)),
            Value,
            Slot::PricePerHour,
        ),
        ("created_at", Kind::Time, Delta, Slot::CreatedAt),
        ("started_at", Kind::Time, Delta, Slot::StartedAt),
        ("finished_at", Kind::Time, Delta, Slot::FinishedAt),
        (
            "queued_seconds",
            Kind::Cell(Decimal18(3)),
            Value,
            Slot::QueuedSeconds,
        ),
        (
            "scrape_interval_seconds",
            Kind::Cell(Decimal9(3)),
            Value,
            Slot::ScrapeIntervalSeconds,
        ),
        ("sample_count", Kind::Cell(Int64), Value, Slot::SampleCount),
        ("coverage", Kind::Cell(Decimal9(4)), Value, Slot::Coverage),
        (
            "covered_seconds",
            Kind::Cell(Decimal18(3)),
            Value,
            Slot::CoveredSeconds,
        ),
        ("verdict", text, Dictionary, Slot::Verdict),
        ("reason", text, Dictionary, Slot::Reason),
        (
            "co_tenant_count",
            Kind::Cell(Int32),
            Value,
            Slot::CoTenantCount,
        ),
        (
            "co_tenant_overlap_seconds",
            Kind::Cell(Decimal18(3)),
            Value,
            Slot::CoTenantOverlapSeconds,
        ),
        ("amended_at", Kind::Time, Delta, Slot::AmendedAt),
    ];
    list.into_iter()
        .map(|(name, kind, storage, slot)| column(name, kind, storage, slot))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_the_sort_order_is_found() {
        let names: BTreeSet<_> = JOB_COLUMNS.iter().map(|column| &column.name).collect();
        assert_eq!(names.len(), JOB_COLUMNS.len());
        assert_eq!(sort_positions().len(), 4);
    }
}
