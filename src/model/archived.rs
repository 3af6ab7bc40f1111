//! The job row: everything about one archived job that is not a sample.

use super::id::{JobKey, JobRef, ProjectKey, RegionName, RunnerKey};
use super::job::JobFacts;
use super::metric::{CellType, Column};
use super::profile::{Base, Gap, Profile};
use super::state::{Reason, Verdict};
use super::summary::{self, Summary};
use super::usage::{self, Proven};
use crate::time::{TimeRange, TimestampMs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Facts of the machine, read from its series.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Host {
    pub cpu_count: Option<i32>,
    pub memory_total_bytes: Option<i64>,
    pub filesystem_size_bytes: Option<i64>,
}

/// Where a job ran, from its runner's registration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The region whose Prometheus was read.
    pub region: Option<RegionName>,
    /// Machine type as registered.
    pub machine_type: Option<String>,
    /// Price per hour in millionths, as registered.
    pub price_per_hour_micro: Option<i64>,
}

/// Other jobs on the same machine at the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoTenancy {
    /// How many.
    pub count: i32,
    /// Milliseconds of the window during which at least one ran.
    pub overlap_ms: i64,
}

/// Surrogate keys of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowKeys {
    /// Project; first in the sort order of every table.
    pub project: ProjectKey,
    /// Job.
    pub job: JobKey,
    /// Part of the job, 0 in v1.
    pub part: i32,
    /// Runner, if known.
    pub runner: Option<RunnerKey>,
}

/// What assembling found out beside the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Findings {
    /// Facts of the machine.
    pub host: Host,
    /// Median time between scrapes.
    pub scrape_interval_ms: Option<i64>,
    /// Completeness. `None` only for a job that never ran.
    pub verdict: Option<Verdict>,
    /// Why there are no rows, if there are none.
    pub reason: Option<Reason>,
    /// Samples with started <= ts < finished.
    pub sample_count: i64,
    /// Holes of the machine and of single columns.
    pub gaps: Vec<Gap>,
    /// Rows (by time) before which a counter was reset.
    pub resets: Vec<TimestampMs>,
    /// The scrape before the first row.
    pub base: Base,
}

/// A row of the `jobs` table without its statistics (they are recomputed, see [`JobRow::summarise`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct JobRow {
    pub keys: RowKeys,
    pub job: JobRef,
    pub facts: JobFacts,
    pub placement: Placement,
    pub findings: Findings,
    pub co_tenancy: CoTenancy,
    /// When an amendment last changed this row.
    #[serde(default)]
    pub amended_at: Option<TimestampMs>,
    /// The time under which lists sort a job without a start: when it was first heard of.
    #[serde(default)]
    pub first_seen: Option<TimestampMs>,
}

impl JobRow {
    /// `[started, finished)`, empty at the epoch if the job never ran.
    #[must_use]
    pub fn window(&self) -> TimeRange {
        self.facts
            .window()
            .unwrap_or(TimeRange::new(TimestampMs(0), TimestampMs(0)))
    }

    /// The statistics of the whole job.
    #[must_use]
    pub fn summarise(&self, profile: &Profile) -> Summary {
        summary::summarise(
            profile,
            self.window(),
            &self.findings.gaps,
            self.findings.scrape_interval_ms,
        )
    }

    /// Usage of one part of the job.
    #[must_use]
    pub fn usage_in(&self, profile: &Profile, range: TimeRange) -> SectionUsage {
        let total = |column| usage::total(profile, column, range, &self.findings.gaps);
        let used = total(Column::CpuUserSeconds).zip(total(Column::CpuSystemSeconds));
        let memory = profile
            .ts_ms
            .iter()
            .zip(profile.column(Column::MemoryUsedBytes).unwrap_or_default())
            .filter(|(ts, _)| range.contains(TimestampMs(**ts)))
            .filter_map(|(_, cell)| *cell)
            .max();
        SectionUsage {
            cpu_used_seconds: used
                .and_then(|(user, system)| user.checked_add(system))
                .filter(|used| CPU_USED_CELL.fits(*used)),
            memory_used_bytes_max: memory,
            network_receive_bytes: total(Column::NetworkReceiveBytes),
            network_transmit_bytes: total(Column::NetworkTransmitBytes),
            disk_read_bytes: total(Column::DiskReadBytes),
            disk_written_bytes: total(Column::DiskWrittenBytes),
        }
    }

    /// Usage of every section, in order.
    #[must_use]
    pub fn sections_usage(&self, profile: &Profile) -> Vec<SectionUsage> {
        self.facts
            .sections()
            .iter()
            .map(|section| self.usage_in(profile, section.range))
            .collect()
    }
}

/// Type of the CPU time used in a section.
pub const CPU_USED_CELL: CellType = CellType::Decimal18(2);

/// Usage inside a section. CPU in hundredths of a second, the rest in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct SectionUsage {
    pub cpu_used_seconds: Option<i64>,
    pub memory_used_bytes_max: Option<i64>,
    pub network_receive_bytes: Option<i64>,
    pub network_transmit_bytes: Option<i64>,
    pub disk_read_bytes: Option<i64>,
    pub disk_written_bytes: Option<i64>,
}

/// A row with its computed statistics: what a reader sees and what a jobs file stores.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct SummarisedRow {
    pub row: JobRow,
    pub summary: Summary,
    /// One per section of `row.facts`.
    pub sections: Vec<SectionUsage>,
}

impl SummarisedRow {
    /// Computes the statistics of `row` from its profile.
    #[must_use]
    pub fn compute(row: JobRow, profile: &Profile) -> Self {
        let summary = row.summarise(profile);
        let sections = row.sections_usage(profile);
        Self {
            row,
            summary,
            sections,
        }
    }
}

/// What the scrapes alone prove: bounds per column inside the job's window. For a job too short for
/// two samples they are all there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds(pub BTreeMap<Column, Proven>);

impl Bounds {
    /// Bounds of counters from the intervals that touch the window; of gauges without a sample inside
    /// the window, from the two scrapes around it.
    #[must_use]
    pub fn compute(row: &JobRow, profile: &Profile) -> Self {
        let counter = |column| {
            let mut proven = usage::bounds(profile, column, row.window(), &row.findings.gaps)?;
            if !row.findings.resets.is_empty() {
                // What was counted between the last scrape and the reset is lost.
                proven.high = None;
            }
            // At least so much is known of what does not fit its column.
            let cell = column.spec().cell.total();
            proven.low = proven.low.min(cell.largest());
            proven.high = proven.high.filter(|high| cell.fits(*high));
            Some(proven)
        };
        let gauge = |column| {
            let base = row.findings.base.values.get(&column).copied()?;
            let behind = profile.column(column)?.iter().flatten().copied().next()?;
            Some(Proven {
                low: base.min(behind),
                high: Some(base.max(behind)),
            })
        };
        let found = Column::ALL.into_iter().filter_map(|column| {
            let proven = if column.is_increment() {
                counter(column)
            } else if row.findings.sample_count == 0 {
                gauge(column)
            } else {
                None
            };
            Some((column, proven?))
        });
        Self(found.collect())
    }
}

/// A job ready for the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ArchivedJob {
    pub row: JobRow,
    pub profile: Profile,
}
