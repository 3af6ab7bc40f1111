//! `tachograph show JOB`: a job in the terminal.

use super::chart::{self, Axis, Point};
use super::client::Client;
use super::{download, out};
use crate::error::{Error, Result};
use crate::model::graph::GRAPH_METRICS;
use crate::model::id::{JobId, JobRef, Source};
use crate::model::metric::Column;
use crate::num;
use comfy_table::{CellAlignment, Table, presets};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where a service listens unless told otherwise.
pub(super) const SERVER: &str = "http://127.0.0.1:8750";

/// Show a job: its charts with the sections above them, and a table of its statistics.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The job as SOURCE/JOB_ID, e.g. gitlab/9000000123.
    job: String,
    /// The service.
    #[arg(long, value_name = "URL", default_value = SERVER)]
    server: String,
    /// Print the record and the profile as one JSON document.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[command(flatten)]
    download: download::Download,
}

#[derive(Debug, Deserialize)]
struct Record {
    state: String,
    reason_text: Option<String>,
    verdict: Option<String>,
    coverage: Option<f64>,
    sample_count: i64,
    project: Option<String>,
    name: Option<String>,
    job_id: String,
    status: Option<String>,
    started_at: Option<String>,
    started_at_ms: Option<i64>,
    finished_at_ms: Option<i64>,
    machine: Machine,
    sections: Vec<Section>,
    summary: BTreeMap<String, Summary>,
    gaps: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Machine {
    name: Option<String>,
    cpu_count: Option<i64>,
    memory_total_bytes: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Section {
    name: String,
    started_at_ms: i64,
    finished_at_ms: i64,
    summary: BTreeMap<String, Summary>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct Summary {
    mean: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
    max: Option<f64>,
    total: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Profile {
    from_ms: Option<i64>,
    to_ms: Option<i64>,
    ts_ms: Vec<i64>,
    interval_ms: Vec<Option<i64>>,
    metrics: BTreeMap<String, Metric>,
}

#[derive(Debug, Deserialize)]
struct Metric {
    values: Vec<Option<f64>>,
}

pub(super) async fn run(args: Args) -> Result<()> {
    let job = job_ref(&args.job)?;
    let client = Client::new(&args.server)?;
    if let Some(format) = args.download.format {
        return download::run(&client, &job, format, &args.download).await;
    }
    let (source, job_id) = (job.source.as_str(), job.job_id.as_str());
    let record: Value = client
        .get(&Client::job_path("/api/v1", source, job_id, ""))
        .await?;
    let profile: Value = client
        .get(&Client::job_path("/api/v1", source, job_id, "/profile"))
        .await?;
    if args.json {
        out::line(&serde_json::json!({ "job": record, "profile": profile }).to_string());
        return Ok(());
    }
    out::text(&render(record, profile, out::width())?);
    Ok(())
}

/// A job as it is typed; ids may contain slashes, sources may not.
fn job_ref(job: &str) -> Result<JobRef> {
    let (source, job_id) = job.split_once('/').ok_or_else(|| {
        Error::invalid(
            "invalid_job",
            format!("{job:?} is no job; write SOURCE/JOB_ID, e.g. gitlab/9000000123"),
        )
    })?;
    Ok(JobRef {
        source: Source::parse(source)?,
        job_id: JobId::parse(job_id)?,
    })
}

/// The whole page for a terminal of `width` columns.
///
/// # Errors
/// `Internal` if the service's answer is not what this version knows.
pub(super) fn render(record: Value, profile: Value, width: usize) -> Result<String> {
    let unknown = |error: serde_json::Error| {
        Error::internal("the service answered in a way this version does not know")
            .with_source(error)
    };
    let record: Record = serde_json::from_value(record).map_err(unknown)?;
    let profile: Profile = serde_json::from_value(profile).map_err(unknown)?;
    let mut text = header(&record);
    if profile.ts_ms.is_empty() {
        let why = record
            .reason_text
            .as_deref()
            .unwrap_or("There are no samples.");
        text.push_str(&format!("\n{}: {why}\n", record.state));
        return Ok(text);
    }
    text.push('\n');
    text.push_str(&charts(&record, &profile, width));
    text.push('\n');
    if !record.sections.is_empty() {
        text.push_str(&sections_table(&record));
        text.push('\n');
    }
    text.push_str(&summary_table(&record));
    Ok(text)
}

fn header(record: &Record) -> String {
    let part =
        |text: &Option<String>, other: &str| text.clone().unwrap_or_else(|| other.to_owned());
    let (project, name) = (
        part(&record.project, "unknown project"),
        part(&record.name, "unnamed job"),
    );
    let mut text = format!("{project} / {name}  #{}", record.job_id);
    if let Some(status) = &record.status {
        text.push_str(&format!("  {status}"));
    }
    text.push('\n');
    let mut facts = vec![format!("machine {}", part(&record.machine.name, "unknown"))];
    facts.extend(
        record
            .machine
            .cpu_count
            .map(|count| format!("{count} CPUs")),
    );
    facts.extend(
        record
            .machine
            .memory_total_bytes
            .map(|total| format!("{} memory", chart::bytes(total))),
    );
    facts.extend(record.started_at.clone().map(|at| format!("started {at}")));
    facts.extend(
        record
            .started_at_ms
            .zip(record.finished_at_ms)
            .map(|(from, to)| chart::duration(to - from)),
    );
    text.push_str(&facts.join(", "));
    text.push('\n');
    if let Some(verdict) = &record.verdict {
        let share = record.coverage.map_or(String::new(), |share| {
            format!(", {:.0} % covered", share * 100.0)
        });
        let gaps = match record.gaps.len() {
            0 => String::new(),
            count => format!(", {count} gaps"),
        };
        text.push_str(&format!(
            "data {verdict}{share}, {} samples{gaps}\n",
            record.sample_count
        ));
    }
    text
}

/// Lines of one chart.
const HEIGHT: usize = 4;
/// Columns of the label in front of a chart.
const LABEL: usize = 22;

/// One line of a chart's legend and the metrics that are drawn summed.
struct Chart {
    title: &'static str,
    metrics: &'static [&'static str],
    unit: fn(f64) -> String,
}

const CHARTS: [Chart; 4] = [
    Chart {
        title: "CPU",
        metrics: &["cpu_used_cores"],
        unit: cores,
    },
    Chart {
        title: "memory",
        metrics: &["memory_used_bytes"],
        unit: chart::bytes,
    },
    Chart {
        title: "network",
        metrics: &[
            "network_receive_bytes_per_second",
            "network_transmit_bytes_per_second",
        ],
        unit: rate,
    },
    Chart {
        title: "disk",
        metrics: &[
            "disk_read_bytes_per_second",
            "disk_written_bytes_per_second",
        ],
        unit: rate,
    },
];

fn cores(value: f64) -> String {
    format!("{value:.2} cores")
}

fn rate(value: f64) -> String {
    format!("{}/s", chart::bytes(value))
}

fn charts(record: &Record, profile: &Profile, width: usize) -> String {
    let edge = |edge: Option<i64>, other: Option<&i64>| edge.or(other.copied()).unwrap_or(0);
    let axis = Axis {
        from_ms: edge(profile.from_ms, profile.ts_ms.first()),
        to_ms: edge(profile.to_ms, profile.ts_ms.last()),
        columns: width.saturating_sub(LABEL).max(20),
    };
    let mut text = String::new();
    if !record.sections.is_empty() {
        let sections: Vec<_> = record
            .sections
            .iter()
            .map(|section| {
                (
                    section.name.clone(),
                    section.started_at_ms,
                    section.finished_at_ms,
                )
            })
            .collect();
        text.push_str(&format!("{:LABEL$}{}\n", "sections", axis.marks(&sections)));
    }
    for chart in &CHARTS {
        let bins = axis.bin(&points(chart.metrics, profile));
        let top = bins.iter().flatten().copied().fold(0.0, f64::max);
        let label = if bins.iter().all(Option::is_none) {
            "not measured".to_owned()
        } else {
            format!("max {}", (chart.unit)(top))
        };
        for (number, line) in chart::draw(&bins, top, HEIGHT).into_iter().enumerate() {
            let label = match number {
                0 => chart.title,
                1 => label.as_str(),
                _ => "",
            };
            text.push_str(format!("{label:LABEL$}{line}").trim_end());
            text.push('\n');
        }
    }
    let end = chart::duration(axis.to_ms - axis.from_ms);
    let room = axis.columns.saturating_sub(1);
    text.push_str(&format!("{:LABEL$}0{end:>room$}\n", ""));
    text
}

/// The sum of metrics over each row's interval; a gauge counts as of its sample's interval.
fn points(metrics: &[&str], profile: &Profile) -> Vec<Point> {
    let columns: Vec<&Metric> = metrics
        .iter()
        .filter_map(|name| profile.metrics.get(*name))
        .collect();
    let rows = profile.ts_ms.iter().zip(&profile.interval_ms).enumerate();
    rows.filter_map(|(row, (ts, interval))| {
        let cells = columns
            .iter()
            .filter_map(|metric| metric.values.get(row).copied().flatten());
        let value = cells.reduce(|a, b| a + b)?;
        Some(Point {
            from_ms: ts - interval.unwrap_or(0),
            to_ms: *ts,
            value,
        })
    })
    .collect()
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn cell(value: Option<f64>, unit: fn(f64) -> String) -> String {
    value.map(unit).unwrap_or_default()
}

fn sections_table(record: &Record) -> String {
    let mut table = table(&[
        "section",
        "time",
        "CPU",
        "peak memory",
        "received",
        "sent",
        "read",
        "written",
    ]);
    for section in &record.sections {
        let of = |name: &str| section.summary.get(name).copied().unwrap_or_default();
        table.add_row([
            section.name.clone(),
            chart::duration(section.finished_at_ms - section.started_at_ms),
            cell(of("cpu_used_seconds").total, |seconds| {
                format!("{seconds:.2} s")
            }),
            cell(of("memory_used_bytes").max, chart::bytes),
            cell(of("network_receive_bytes").total, chart::bytes),
            cell(of("network_transmit_bytes").total, chart::bytes),
            cell(of("disk_read_bytes").total, chart::bytes),
            cell(of("disk_written_bytes").total, chart::bytes),
        ]);
    }
    format!("{table}\n")
}

/// Statistics over time in the order of the catalogue, then totals of counters.
fn summary_table(record: &Record) -> String {
    let mut over_time = table(&["over the job", "mean", "p50", "p95", "max"]);
    for metric in GRAPH_METRICS {
        let Some(summary) = record.summary.get(metric.name) else {
            continue;
        };
        if summary.max.is_none() && summary.mean.is_none() {
            continue;
        }
        let unit = unit_of(metric.name);
        let cells = [summary.mean, summary.p50, summary.p95, summary.max];
        let cells = cells.map(|value| cell(value, unit));
        over_time.add_row(std::iter::once(metric.name.to_owned()).chain(cells));
    }
    let mut in_total = table(&["in total", "used", "at least", "at most"]);
    let columns = Column::ALL
        .into_iter()
        .filter(|column| column.has_base())
        .map(Column::name);
    for name in std::iter::once("cpu_used_seconds").chain(columns) {
        let Some(summary) = record.summary.get(name) else {
            continue;
        };
        if summary.total.is_none() && summary.high.is_none() {
            continue;
        }
        let cells =
            [summary.total, summary.low, summary.high].map(|value| cell(value, unit_of(name)));
        in_total.add_row(std::iter::once(name.to_owned()).chain(cells));
    }
    format!("{over_time}\n\n{in_total}\n")
}

/// How a metric is printed, by the unit in its name.
fn unit_of(name: &str) -> fn(f64) -> String {
    if name.ends_with("_bytes_per_second") {
        rate
    } else if name.ends_with("_bytes") {
        chart::bytes
    } else if name.ends_with("_seconds") {
        |seconds| format!("{seconds:.2} s")
    } else if name.ends_with("_cores") {
        |cores| format!("{cores:.2}")
    } else if name.ends_with("_ratio") {
        |ratio| format!("{:.1} %", ratio * 100.0)
    } else {
        |value| {
            format!(
                "{}",
                num::to_f64(num::round_to_i64(value * 100.0).unwrap_or(0)) / 100.0
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(state: &str) -> Value {
        json!({
            "state": state, "reason_text": "Because.", "verdict": "complete", "coverage": 1.0,
            "sample_count": 3, "project": "acme/app", "name": "unit", "job_id": "7", "status": "failed",
            "started_at": "2026-01-01T00:00:00.000Z", "started_at_ms": 0, "finished_at_ms": 30_000,
            "machine": {"name": "m", "cpu_count": 2, "memory_total_bytes": 1024},
            "sections": [{"name": "build", "started_at_ms": 0, "finished_at_ms": 15_000, "summary": {}}],
            "summary": {"cpu_used_cores": {"max": 1.5}}, "gaps": []
        })
    }

    #[test]
    fn an_archived_job_has_charts_marks_and_tables() {
        let profile = json!({
            "from_ms": 0, "to_ms": 30_000, "ts_ms": [10_000, 20_000, 30_000],
            "interval_ms": [null, 10_000, 10_000],
            "metrics": {"cpu_used_cores": {"values": [null, 1.5, 0.2]}}
        });
        let text = render(record("archived"), profile, 80).unwrap();
        for part in [
            "acme/app / unit  #7  failed",
            "\u{251c}build",
            "max 1.50 cores",
            "not measured",
            "cpu_used_cores",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(
            text.lines().take(20).all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }

    #[test]
    fn without_samples_the_reason_is_shown() {
        let profile =
            json!({"from_ms": null, "to_ms": null, "ts_ms": [], "interval_ms": [], "metrics": {}});
        let text = render(record("unavailable"), profile, 80).unwrap();
        assert!(text.contains("unavailable: Because."), "{text}");
    }
}
