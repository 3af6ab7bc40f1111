//! A job as JSON (design section 8, "Bodies").

use crate::archive::{CoTenant, JobView};
use crate::model::archived::{Bounds, SectionUsage, SummarisedRow};
use crate::model::graph::{GRAPH_METRICS, Stat, cell_to_f64};
use crate::model::metric::{CellType, Column};
use crate::model::profile::Gap;
use crate::model::state::{Reason, State, Verdict};
use crate::model::usage::Proven;
use crate::num;
use crate::query::JobDetail;
use crate::time::TimestampMs;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Statistics of one metric; what is not known is absent.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(default)]
pub struct SummaryBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p95: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    /// Usage inside the job, by linear interpolation of the counter.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<f64>,
    /// At least this much, as the scrapes alone prove.
    #[serde(skip_serializing_if = "Option::is_none")]
    low: Option<f64>,
    /// At most this much, as the scrapes alone prove.
    #[serde(skip_serializing_if = "Option::is_none")]
    high: Option<f64>,
}

/// A hole in the samples.
#[derive(Debug, Serialize, ToSchema)]
pub struct GapBody {
    /// Unix ms.
    pub from_ms: i64,
    /// Unix ms, exclusive.
    pub to_ms: i64,
    /// The column that lacks samples; absent if all do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
}

impl GapBody {
    /// A gap as JSON.
    #[must_use]
    pub fn new(gap: &Gap) -> Self {
        Self {
            from_ms: gap.range.from.0,
            to_ms: gap.range.to.0,
            metric: gap.column.map(|column| column.name().to_owned()),
        }
    }
}

/// The machine that ran the job.
#[derive(Debug, Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub struct MachineBody {
    pub name: Option<String>,
    pub region: Option<String>,
    pub r#type: Option<String>,
    pub cpu_count: Option<i32>,
    pub memory_total_bytes: Option<i64>,
    pub filesystem_size_bytes: Option<i64>,
    pub price_per_hour: Option<f64>,
}

/// A section with its usage.
#[derive(Debug, Serialize, ToSchema)]
pub struct SectionBody {
    name: String,
    started_at_ms: i64,
    finished_at_ms: i64,
    summary: BTreeMap<&'static str, SummaryBody>,
}

/// Another job on the machine.
#[derive(Debug, Serialize, ToSchema)]
pub struct CoTenantBody {
    source: String,
    job_id: String,
    overlap_seconds: f64,
}

/// A job in a list.
#[derive(Debug, Serialize, ToSchema)]
#[expect(missing_docs, reason = "design section 8 names the fields")]
pub struct JobShort {
    pub source: String,
    pub job_id: String,
    #[schema(value_type = String, example = "archived")]
    pub state: State,
    /// Why it is not archived: a closed list.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Reason>,
    /// The reason as a sentence, with the last failure if there was one.
    pub reason_text: Option<String>,
    #[schema(value_type = Option<String>)]
    pub verdict: Option<Verdict>,
    pub coverage: Option<f64>,
    pub sample_count: i64,
    pub scrape_interval_seconds: Option<f64>,
    pub project: Option<String>,
    pub project_id: Option<String>,
    pub pipeline_id: Option<String>,
    pub name: Option<String>,
    pub stage: Option<String>,
    pub r#ref: Option<String>,
    pub sha: Option<String>,
    pub status: Option<String>,
    pub failure_reason: Option<String>,
    pub runner_id: Option<String>,
    pub runner_description: Option<String>,
    pub runner_tags: Option<Vec<String>>,
    pub executor: Option<String>,
    pub web_url: Option<String>,
    pub queued_seconds: Option<f64>,
    pub created_at: Option<String>,
    pub created_at_ms: Option<i64>,
    pub started_at: Option<String>,
    pub started_at_ms: Option<i64>,
    pub finished_at: Option<String>,
    pub finished_at_ms: Option<i64>,
    pub amended_at_ms: Option<i64>,
    pub machine: MachineBody,
    pub summary: BTreeMap<&'static str, SummaryBody>,
}

/// A job's record.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobBody {
    #[serde(flatten)]
    short: JobShort,
    gaps: Vec<GapBody>,
    resets_ms: Vec<i64>,
    sections: Vec<SectionBody>,
    co_tenants: Vec<CoTenantBody>,
    /// Empty until the diagnosis exists.
    diagnosis: Vec<serde_json::Value>,
}

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobList {
    /// Newest first.
    pub jobs: Vec<JobShort>,
    /// Pass it as `cursor` for the next page; absent at the end.
    pub next_cursor: Option<String>,
}

fn seconds(ms: i64) -> f64 {
    num::to_f64(ms) / 1e3
}

impl JobShort {
    /// A job in a list.
    #[must_use]
    pub fn new(view: &JobView) -> Self {
        let facts = view.facts.clone();
        let row = view.row.as_ref();
        let findings = row.map(|row| &row.row.findings);
        let rfc = |ts: Option<TimestampMs>| ts.map(TimestampMs::to_rfc3339);
        let ms = |ts: Option<TimestampMs>| ts.map(|ts| ts.0);
        Self {
            source: view.job.source.to_string(),
            job_id: view.job.job_id.to_string(),
            state: view.state,
            reason: view.reason,
            reason_text: reason_text(view),
            verdict: findings.and_then(|findings| findings.verdict),
            coverage: row.and_then(coverage),
            sample_count: findings.map_or(0, |findings| findings.sample_count),
            scrape_interval_seconds: findings
                .and_then(|found| found.scrape_interval_ms)
                .map(seconds),
            summary: row.map(summary).unwrap_or_default(),
            machine: machine(view),
            created_at: rfc(facts.created_at),
            created_at_ms: ms(facts.created_at),
            started_at: rfc(facts.started_at),
            started_at_ms: ms(facts.started_at),
            finished_at: rfc(facts.finished_at),
            finished_at_ms: ms(facts.finished_at),
            amended_at_ms: ms(row.and_then(|row| row.row.amended_at)),
            queued_seconds: facts.queued_ms.map(seconds),
            status: facts.status.map(|status| status.as_str().to_owned()),
            project: facts.project,
            project_id: facts.project_id,
            pipeline_id: facts.pipeline_id,
            name: facts.name,
            stage: facts.stage,
            r#ref: facts.git_ref,
            sha: facts.sha,
            failure_reason: facts.failure_reason,
            runner_id: facts.runner_id,
            runner_description: facts.runner_description,
            runner_tags: facts.runner_tags,
            executor: facts.executor,
            web_url: facts.web_url,
        }
    }
}

impl JobBody {
    /// A job's record.
    #[must_use]
    pub fn new(detail: &JobDetail) -> Self {
        let view = &detail.view;
        let row = view.row.as_ref();
        let mut short = JobShort::new(view);
        add_bounds(&mut short.summary, &detail.bounds);
        let gaps = row.map_or(&[][..], |row| &row.row.findings.gaps);
        let usage = row.map_or(&[][..], |row| &row.sections);
        let known = usage
            .iter()
            .copied()
            .map(Some)
            .chain(std::iter::repeat(None));
        Self {
            gaps: gaps.iter().map(GapBody::new).collect(),
            resets_ms: row.map_or_else(Vec::new, |row| {
                row.row.findings.resets.iter().map(|ts| ts.0).collect()
            }),
            sections: view
                .facts
                .sections()
                .iter()
                .zip(known)
                .map(|(section, usage)| SectionBody {
                    name: section.name.clone(),
                    started_at_ms: section.range.from.0,
                    finished_at_ms: section.range.to.0,
                    summary: usage.map(section_summary).unwrap_or_default(),
                })
                .collect(),
            co_tenants: detail.co_tenants.iter().map(co_tenant).collect(),
            diagnosis: Vec::new(),
            short,
        }
    }
}

fn reason_text(view: &JobView) -> Option<String> {
    let reason = view.reason?;
    match &view.detail {
        Some(detail) => Some(format!("{} Last failure: {detail}", reason.text())),
        None => Some(reason.text().to_owned()),
    }
}

fn coverage(row: &SummarisedRow) -> Option<f64> {
    let window = row.row.window().len_ms();
    (window > 0).then(|| num::to_f64(row.summary.covered_ms) / num::to_f64(window))
}

fn machine(view: &JobView) -> MachineBody {
    let row = view.row.as_ref().map(|row| &row.row);
    let placement = row.map(|row| &row.placement);
    let host = row.map(|row| &row.findings.host);
    MachineBody {
        name: view.facts.machine.as_ref().map(ToString::to_string),
        region: placement
            .and_then(|place| place.region.as_ref())
            .map(ToString::to_string),
        r#type: placement.and_then(|place| place.machine_type.clone()),
        cpu_count: host.and_then(|host| host.cpu_count),
        memory_total_bytes: host.and_then(|host| host.memory_total_bytes),
        filesystem_size_bytes: host.and_then(|host| host.filesystem_size_bytes),
        price_per_hour: placement
            .and_then(|place| place.price_per_hour_micro)
            .map(|micro| cell_to_f64(micro, 6)),
    }
}

/// Statistics of graph metrics and totals of counters.
fn summary(row: &SummarisedRow) -> BTreeMap<&'static str, SummaryBody> {
    let mut all: BTreeMap<&'static str, SummaryBody> = BTreeMap::new();
    for metric in GRAPH_METRICS {
        let stats = row.summary.stats(metric.name);
        let value = |stat| {
            stats
                .get(stat)
                .map(|cell| cell_to_f64(cell, metric.stat_cell(stat).scale()))
        };
        let mut body = SummaryBody {
            mean: value(Stat::Mean),
            p50: value(Stat::P50),
            p95: value(Stat::P95),
            max: value(Stat::Max),
            ..SummaryBody::default()
        };
        if body.max.is_some() && metric.covers_interval() {
            let mean = row.summary.mean_rate(metric);
            body.mean = mean.map(|cell| cell_to_f64(cell, metric.cell.scale()));
        }
        if body != SummaryBody::default() {
            all.insert(metric.name, body);
        }
    }
    for (column, total) in &row.summary.totals {
        let body = all.entry(column.name()).or_default();
        body.total = Some(cell_to_f64(*total, column.spec().cell.scale()));
    }
    let used = CPU_USED.map(|column| row.summary.totals.get(&column).copied());
    if let [Some(user), Some(system)] = used {
        all.entry(CPU_USED_NAME).or_default().total = Some(cell_to_f64(user + system, CPU_SCALE));
    }
    all
}

/// CPU time used is user and system.
const CPU_USED: [Column; 2] = [Column::CpuUserSeconds, Column::CpuSystemSeconds];
const CPU_USED_NAME: &str = "cpu_used_seconds";
const CPU_SCALE: i8 = 2;

fn add_bounds(all: &mut BTreeMap<&'static str, SummaryBody>, bounds: &Bounds) {
    let mut add = |name, proven: Proven, scale| {
        let body = all.entry(name).or_default();
        body.low = Some(cell_to_f64(proven.low, scale));
        body.high = proven.high.map(|high| cell_to_f64(high, scale));
    };
    for (column, proven) in &bounds.0 {
        add(column.name(), *proven, column.spec().cell.scale());
    }
    if let [Some(user), Some(system)] = CPU_USED.map(|column| bounds.0.get(&column)) {
        let used = Proven {
            low: user.low + system.low,
            high: user
                .high
                .zip(system.high)
                .map(|(user, system)| user + system),
        };
        add(CPU_USED_NAME, used, CPU_SCALE);
    }
}

fn section_summary(usage: SectionUsage) -> BTreeMap<&'static str, SummaryBody> {
    let total = |cell: Option<i64>, kind: CellType| SummaryBody {
        total: cell.map(|cell| cell_to_f64(cell, kind.scale())),
        ..SummaryBody::default()
    };
    let bytes = |cell| total(cell, CellType::Int64);
    let memory = SummaryBody {
        max: usage.memory_used_bytes_max.map(num::to_f64),
        ..SummaryBody::default()
    };
    BTreeMap::from([
        (
            CPU_USED_NAME,
            total(usage.cpu_used_seconds, CellType::Decimal18(CPU_SCALE)),
        ),
        ("memory_used_bytes", memory),
        ("network_receive_bytes", bytes(usage.network_receive_bytes)),
        (
            "network_transmit_bytes",
            bytes(usage.network_transmit_bytes),
        ),
        ("disk_read_bytes", bytes(usage.disk_read_bytes)),
        ("disk_written_bytes", bytes(usage.disk_written_bytes)),
    ])
}

fn co_tenant(tenant: &CoTenant) -> CoTenantBody {
    CoTenantBody {
        source: tenant.job.source.to_string(),
        job_id: tenant.job.job_id.to_string(),
        overlap_seconds: seconds(tenant.overlap_ms),
    }
}
