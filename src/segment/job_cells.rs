//! Scalars of a job row, out of it for writing and back into it when reading.

use super::job_columns::Slot;
use crate::error::{Error, Result};
use crate::model::archived::{CoTenancy, Findings, JobRow, Placement, RowKeys, SummarisedRow};
use crate::model::id::{JobId, JobKey, JobRef, ProjectKey, RegionName, RunnerKey, Source};
use crate::model::job::{JobFacts, JobStatus};
use crate::model::machine::Machine;
use crate::model::state::{Reason, Verdict};
use crate::model::summary::Summary;
use crate::num;
use crate::time::TimestampMs;

/// A scalar: an integer (a number, a cell, or Unix ms) or a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    Int(i64),
    Text(&'a str),
}

fn text(value: Option<&str>) -> Option<Scalar<'_>> {
    value.map(Scalar::Text)
}

fn ms(value: Option<TimestampMs>) -> Option<Scalar<'static>> {
    value.map(|ts| Scalar::Int(ts.0))
}

fn int(value: impl Into<i64>) -> Option<Scalar<'static>> {
    Some(Scalar::Int(value.into()))
}

/// Share of the window that samples cover, in ten-thousandths; `None` for an empty window.
pub(super) fn coverage(row: &SummarisedRow) -> Option<i64> {
    let window = row.row.window().len_ms();
    let share = num::div_round(
        i128::from(row.summary.covered_ms) * 10_000,
        i128::from(window),
    );
    num::narrow(share).filter(|_| window > 0)
}

/// The scalar of a slot.
pub(super) fn get(row: &SummarisedRow, slot: Slot) -> Option<Scalar<'_>> {
    let JobRow {
        keys,
        job,
        facts,
        placement,
        findings,
        co_tenancy,
        amended_at,
        first_seen,
    } = &row.row;
    match slot {
        Slot::ProjectKey => int(keys.project.0),
        Slot::Job => int(keys.job.0),
        Slot::Part => int(keys.part),
        Slot::RunnerKey => keys.runner.and_then(|key| int(key.0)),
        Slot::Source => text(Some(job.source.as_str())),
        Slot::JobId => text(Some(job.job_id.as_str())),
        Slot::ProjectId => text(facts.project_id.as_deref()),
        Slot::RunnerId => text(facts.runner_id.as_deref()),
        Slot::Project => text(facts.project.as_deref()),
        Slot::PipelineId => text(facts.pipeline_id.as_deref()),
        Slot::Name => text(facts.name.as_deref()),
        Slot::Stage => text(facts.stage.as_deref()),
        Slot::Ref => text(facts.git_ref.as_deref()),
        Slot::Sha => text(facts.sha.as_deref()),
        Slot::Status => text(facts.status.map(JobStatus::as_str)),
        Slot::FailureReason => text(facts.failure_reason.as_deref()),
        Slot::RunnerDescription => text(facts.runner_description.as_deref()),
        Slot::Region => text(placement.region.as_ref().map(RegionName::as_str)),
        Slot::Machine => text(facts.machine.as_ref().map(Machine::as_str)),
        Slot::MachineType => text(placement.machine_type.as_deref()),
        Slot::Executor => text(facts.executor.as_deref()),
        Slot::WebUrl => text(facts.web_url.as_deref()),
        Slot::CpuCount => findings.host.cpu_count.and_then(int),
        Slot::MemoryTotalBytes => findings.host.memory_total_bytes.and_then(int),
        Slot::FilesystemSizeBytes => findings.host.filesystem_size_bytes.and_then(int),
        Slot::PricePerHour => placement.price_per_hour_micro.and_then(int),
        Slot::CreatedAt => ms(facts.created_at),
        Slot::StartedAt => ms(facts.started_at),
        Slot::FinishedAt => ms(facts.finished_at),
        Slot::QueuedSeconds => facts.queued_ms.and_then(int),
        Slot::ScrapeIntervalSeconds => findings.scrape_interval_ms.and_then(int),
        Slot::SampleCount => int(findings.sample_count),
        Slot::Coverage => coverage(row).and_then(int),
        Slot::CoveredSeconds => int(row.summary.covered_ms),
        Slot::Verdict => text(findings.verdict.map(Verdict::as_str)),
        Slot::Reason => text(findings.reason.map(Reason::as_str)),
        Slot::CoTenantCount => int(co_tenancy.count),
        Slot::CoTenantOverlapSeconds => int(co_tenancy.overlap_ms),
        Slot::AmendedAt => ms(*amended_at),
        Slot::FirstSeenAt => ms(*first_seen),
        Slot::BaseTs => findings.base.ts_ms.and_then(int),
        Slot::Base(column) => findings.base.values.get(&column).copied().and_then(int),
        Slot::Total(column) => row.summary.totals.get(&column).copied().and_then(int),
        Slot::Stat(metric, stat) => row.summary.stats(metric.name).get(stat).and_then(int),
    }
}

/// A job row being read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    project: i64,
    job: i64,
    part: i32,
    runner: Option<i64>,
    source: String,
    job_id: String,
    pub(super) facts: JobFacts,
    placement: Placement,
    pub(super) findings: Findings,
    co_tenancy: CoTenancy,
    amended_at: Option<TimestampMs>,
    first_seen: Option<TimestampMs>,
    summary: Summary,
}

fn odd(slot: Slot) -> Error {
    Error::data(
        "job_row",
        format!("a job row holds an impossible value ({slot:?})"),
    )
}

impl Draft {
    /// Takes one scalar.
    ///
    /// # Errors
    /// `Data` if it cannot stand there.
    pub(super) fn set(&mut self, slot: Slot, scalar: Scalar<'_>) -> Result<()> {
        match scalar {
            Scalar::Text(text) => self.set_text(slot, text),
            Scalar::Int(number) => self.set_int(slot, number),
        }
    }

    fn set_text(&mut self, slot: Slot, text: &str) -> Result<()> {
        let owned = || Some(text.to_owned());
        let facts = &mut self.facts;
        match slot {
            Slot::Source => self.source = text.to_owned(),
            Slot::JobId => self.job_id = text.to_owned(),
            Slot::ProjectId => facts.project_id = owned(),
            Slot::RunnerId => facts.runner_id = owned(),
            Slot::Project => facts.project = owned(),
            Slot::PipelineId => facts.pipeline_id = owned(),
            Slot::Name => facts.name = owned(),
            Slot::Stage => facts.stage = owned(),
            Slot::Ref => facts.git_ref = owned(),
            Slot::Sha => facts.sha = owned(),
            Slot::Status => facts.status = Some(JobStatus::parse(text).ok_or_else(|| odd(slot))?),
            Slot::FailureReason => facts.failure_reason = owned(),
            Slot::RunnerDescription => facts.runner_description = owned(),
            Slot::Region => {
                self.placement.region = Some(RegionName::parse(text).map_err(|_| odd(slot))?)
            }
            Slot::Machine => facts.machine = Some(Machine::parse(text).map_err(|_| odd(slot))?),
            Slot::MachineType => self.placement.machine_type = owned(),
            Slot::Executor => facts.executor = owned(),
            Slot::WebUrl => facts.web_url = owned(),
            Slot::Verdict => {
                self.findings.verdict = Some(Verdict::parse(text).ok_or_else(|| odd(slot))?)
            }
            Slot::Reason => {
                self.findings.reason = Some(Reason::parse(text).ok_or_else(|| odd(slot))?)
            }
            _ => return Err(odd(slot)),
        }
        Ok(())
    }

    fn set_int(&mut self, slot: Slot, number: i64) -> Result<()> {
        let narrow = || i32::try_from(number).map_err(|_| odd(slot));
        let time = Some(TimestampMs(number));
        let (facts, findings) = (&mut self.facts, &mut self.findings);
        match slot {
            Slot::ProjectKey => self.project = number,
            Slot::Job => self.job = number,
            Slot::Part => self.part = narrow()?,
            Slot::RunnerKey => self.runner = Some(number),
            Slot::CpuCount => findings.host.cpu_count = Some(narrow()?),
            Slot::MemoryTotalBytes => findings.host.memory_total_bytes = Some(number),
            Slot::FilesystemSizeBytes => findings.host.filesystem_size_bytes = Some(number),
            Slot::PricePerHour => self.placement.price_per_hour_micro = Some(number),
            Slot::CreatedAt => facts.created_at = time,
            Slot::StartedAt => facts.started_at = time,
            Slot::FinishedAt => facts.finished_at = time,
            Slot::QueuedSeconds => facts.queued_ms = Some(number),
            Slot::ScrapeIntervalSeconds => findings.scrape_interval_ms = Some(number),
            Slot::SampleCount => findings.sample_count = number,
            Slot::Coverage => {} // follows from covered_seconds and the window
            Slot::CoveredSeconds => self.summary.covered_ms = number,
            Slot::CoTenantCount => self.co_tenancy.count = narrow()?,
            Slot::CoTenantOverlapSeconds => self.co_tenancy.overlap_ms = number,
            Slot::AmendedAt => self.amended_at = time,
            Slot::FirstSeenAt => self.first_seen = time,
            Slot::BaseTs => findings.base.ts_ms = Some(number),
            Slot::Base(column) => {
                findings.base.values.insert(column, number);
            }
            Slot::Total(column) => {
                self.summary.totals.insert(column, number);
            }
            Slot::Stat(metric, stat) => {
                self.summary
                    .stats
                    .entry(metric.name)
                    .or_default()
                    .set(stat, Some(number));
            }
            _ => return Err(odd(slot)),
        }
        Ok(())
    }

    /// The row, without its sections' usage.
    ///
    /// # Errors
    /// `Data` if the public name is not one.
    pub(super) fn finish(self) -> Result<(JobRow, Summary)> {
        let row = JobRow {
            keys: RowKeys {
                project: ProjectKey(self.project),
                job: JobKey(self.job),
                part: self.part,
                runner: self.runner.map(RunnerKey),
            },
            job: JobRef {
                source: Source::parse(&self.source).map_err(|_| odd(Slot::Source))?,
                job_id: JobId::parse(&self.job_id).map_err(|_| odd(Slot::JobId))?,
            },
            facts: self.facts,
            placement: self.placement,
            findings: self.findings,
            co_tenancy: self.co_tenancy,
            amended_at: self.amended_at,
            first_seen: self.first_seen,
        };
        Ok((row, self.summary))
    }
}
