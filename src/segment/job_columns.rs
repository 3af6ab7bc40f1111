//! The scalar columns of the `jobs` table: names, types, storage, order. One list for the writer, the
//! reader and the golden schema.

use super::properties::Storage;
use crate::error::{Error, Result};
use crate::model::graph::{GRAPH_METRICS, GraphMetric, Stat};
use crate::model::metric::{CellType, Column};
use arrow_array::{ArrayRef, Decimal128Array};
use arrow_schema::{DataType, Field, TimeUnit};
use std::sync::{Arc, LazyLock};

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
    FirstSeenAt,
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

/// An array of decimals. A number that does not fit is null: the library would cut it to the bits that
/// its precision has, without a word.
///
/// # Errors
/// `Internal` if `cell` is no decimal type (a bug).
pub(super) fn decimals(
    numbers: impl Iterator<Item = Option<i64>>,
    cell: CellType,
) -> Result<ArrayRef> {
    let fitting = numbers.map(|number| number.filter(|number| cell.fits(*number)));
    let array: Decimal128Array = fitting.map(|number| number.map(i128::from)).collect();
    let DataType::Decimal128(precision, scale) = data_type(Kind::Cell(cell)) else {
        return Err(Error::internal("a column of the jobs table is no decimal"));
    };
    let array = array
        .with_precision_and_scale(precision, scale)
        .map_err(|error| {
            Error::internal("a decimal type of the jobs table is impossible").with_source(error)
        })?;
    Ok(Arc::new(array))
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

/// Texts. Most repeat; the two that name the job itself never do.
const TEXTS: [(&str, Slot); 18] = [
    ("source", Slot::Source),
    ("job_id", Slot::JobId),
    ("project_id", Slot::ProjectId),
    ("runner_id", Slot::RunnerId),
    ("project", Slot::Project),
    ("pipeline_id", Slot::PipelineId),
    ("name", Slot::Name),
    ("stage", Slot::Stage),
    ("ref", Slot::Ref),
    ("sha", Slot::Sha),
    ("status", Slot::Status),
    ("failure_reason", Slot::FailureReason),
    ("runner_description", Slot::RunnerDescription),
    ("region", Slot::Region),
    ("machine", Slot::Machine),
    ("machine_type", Slot::MachineType),
    ("executor", Slot::Executor),
    ("web_url", Slot::WebUrl),
];

fn facts() -> Vec<JobColumn> {
    let cell = |name, cell, storage, slot| column(name, Kind::Cell(cell), storage, slot);
    let text = |(name, slot)| {
        let storage = match slot {
            Slot::JobId | Slot::WebUrl => Storage::Prefixed,
            _ => Storage::Dictionary,
        };
        column(name, Kind::Text, storage, slot)
    };
    let mut columns = vec![
        cell(
            "project_key",
            CellType::Int64,
            Storage::Dictionary,
            Slot::ProjectKey,
        ),
        cell("job", CellType::Int64, Storage::Delta, Slot::Job),
        cell("part", CellType::Int32, Storage::Dictionary, Slot::Part),
        cell(
            "runner_key",
            CellType::Int64,
            Storage::Dictionary,
            Slot::RunnerKey,
        ),
    ];
    columns.extend(TEXTS.map(text));
    columns.extend(measures());
    columns
}

/// Facts of the machine, times, and what archiving found.
fn measures() -> Vec<JobColumn> {
    use CellType::{Decimal9, Decimal18, Int32, Int64};
    let cell = |name, cell, slot| column(name, Kind::Cell(cell), Storage::Value, slot);
    let time = |name, slot| column(name, Kind::Time, Storage::Delta, slot);
    let text = |name, slot| column(name, Kind::Text, Storage::Dictionary, slot);
    vec![
        cell("cpu_count", Int32, Slot::CpuCount),
        cell("memory_total_bytes", Int64, Slot::MemoryTotalBytes),
        cell("filesystem_size_bytes", Int64, Slot::FilesystemSizeBytes),
        cell("price_per_hour", Decimal18(6), Slot::PricePerHour),
        time("created_at", Slot::CreatedAt),
        time("started_at", Slot::StartedAt),
        time("finished_at", Slot::FinishedAt),
        cell("queued_seconds", Decimal18(3), Slot::QueuedSeconds),
        cell(
            "scrape_interval_seconds",
            Decimal9(3),
            Slot::ScrapeIntervalSeconds,
        ),
        cell("sample_count", Int64, Slot::SampleCount),
        cell("coverage", Decimal9(4), Slot::Coverage),
        cell("covered_seconds", Decimal18(3), Slot::CoveredSeconds),
        text("verdict", Slot::Verdict),
        text("reason", Slot::Reason),
        cell("co_tenant_count", Int32, Slot::CoTenantCount),
        cell(
            "co_tenant_overlap_seconds",
            Decimal18(3),
            Slot::CoTenantOverlapSeconds,
        ),
        time("amended_at", Slot::AmendedAt),
        time("first_seen_at", Slot::FirstSeenAt),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array as _;
    use std::collections::BTreeSet;

    #[test]
    fn a_number_that_does_not_fit_its_decimal_is_null() {
        let numbers = [Some(999_999_999), Some(1_000_000_000), Some(-1 << 40), None];
        let valid = |cell| -> Vec<bool> {
            let array = decimals(numbers.into_iter(), cell).unwrap();
            (0..numbers.len()).map(|row| array.is_valid(row)).collect()
        };
        assert_eq!(valid(CellType::Decimal9(4)), [true, false, false, false]);
        assert_eq!(valid(CellType::Decimal18(2)), [true, true, true, false]);
    }

    #[test]
    fn names_are_unique_and_the_sort_order_is_found() {
        let names: BTreeSet<_> = JOB_COLUMNS.iter().map(|column| &column.name).collect();
        assert_eq!(names.len(), JOB_COLUMNS.len());
        assert_eq!(sort_positions().len(), 4);
    }
}
