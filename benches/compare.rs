//! The corpus for `tools/compare`: as an archive of ours, and as plain numbers for other stores.
//!
//! `cargo bench --features testkit -- compare` with `COMPARE_DIR` set to an empty folder and
//! `COMPARE_JOBS` to a number of jobs. Writes `archive/` and `jobs.jsonl`: one job a line, its
//! counters as they stand (the first value is that of the scrape before the first row), its gauges as
//! they are, all in cells, with the scale of each column.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program that writes what other programs load"
)]

use crate::seconds;
use rustix::time::ClockId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use tachograph::archive::{Archive, ImportedJob, ImportedSamples, Settings};
use tachograph::model::archived::ArchivedJob;
use tachograph::model::totals;
use tachograph::num;
use tachograph::testkit::corpus::{Corpus, CorpusSpec};
use tachograph::time::{Date, SystemClock};

/// Makes both and prints what the archive takes.
pub(crate) fn run() {
    let (Ok(dir), Ok(jobs)) = (std::env::var("COMPARE_DIR"), std::env::var("COMPARE_JOBS")) else {
        println!("compare: COMPARE_DIR and COMPARE_JOBS are not set");
        return;
    };
    let spec = CorpusSpec {
        jobs: jobs.parse().unwrap(),
        ..CorpusSpec::default()
    };
    let jobs: Vec<ArchivedJob> = Corpus::new(spec).collect();
    plain(&jobs, Path::new(&dir));
    let figures = archive(jobs, Path::new(&dir));
    println!("{figures}");
}

fn plain(jobs: &[ArchivedJob], dir: &Path) {
    let mut out = std::io::BufWriter::new(std::fs::File::create(dir.join("jobs.jsonl")).unwrap());
    for ArchivedJob { row, profile } in jobs {
        let shown = totals::running(profile, &row.findings.base, &row.findings.gaps);
        let columns = shown.columns.iter().map(|(column, cells)| {
            let kind = if column.is_increment() {
                "counter"
            } else {
                "gauge"
            };
            let column_facts =
                json!({"kind": kind, "scale": column.spec().cell.scale(), "cells": cells});
            (column.name(), column_facts)
        });
        let columns: BTreeMap<&str, Value> = columns.collect();
        let line = json!({
            "job_id": row.job.job_id.as_str(),
            "runner": row.facts.runner_id,
            "machine": row.facts.machine.as_ref().map(|machine| machine.as_str()),
            "project": row.keys.project.0.to_string(),
            "from_ms": row.window().from.0,
            "to_ms": row.window().to.0,
            "ts_ms": shown.ts_ms,
            "columns": columns,
        });
        writeln!(out, "{line}").unwrap();
    }
    out.flush().unwrap();
}

/// Imports all jobs, a date at once.
fn archive(jobs: Vec<ArchivedJob>, dir: &Path) -> Value {
    let mut dates: BTreeMap<Date, Vec<ArchivedJob>> = BTreeMap::new();
    for job in jobs {
        dates
            .entry(job.row.window().to.date())
            .or_default()
            .push(job);
    }
    let start = seconds(ClockId::ProcessCPUTime);
    let archive = Archive::open(
        &dir.join("archive"),
        Settings::default(),
        SystemClock::shared(),
    );
    let archive = archive.unwrap();
    let (mut rows, mut cells, mut bytes) = (0, 0, [0, 0]);
    for (date, jobs) in dates {
        let heads = jobs.iter().map(|job| ImportedJob {
            job: job.row.job.clone(),
            facts: job.row.facts.clone(),
            placement: job.row.placement.clone(),
            co_tenancy: job.row.co_tenancy,
        });
        let heads: Vec<_> = heads.collect();
        let mut reservation = archive
            .reserve_import(num::len_u64(heads.len()), 1)
            .unwrap();
        let sealed = archive.import(&mut reservation, date, heads, |position, _| {
            let job = &jobs[position];
            cells += job.profile.rows() * job.profile.columns.len();
            Ok(ImportedSamples {
                findings: job.row.findings.clone(),
                profile: job.profile.clone(),
                keep: true,
            })
        });
        let sealed = sealed.unwrap();
        rows += sealed.rows;
        bytes[0] += sealed.samples_bytes;
        bytes[1] += sealed.jobs_bytes;
    }
    let cpu = seconds(ClockId::ProcessCPUTime) - start;
    let index = archive.index_bytes().unwrap();
    json!({
        "rows": rows, "samples": cells, "samples_bytes": bytes[0], "jobs_bytes": bytes[1],
        "index_bytes": index, "import_cpu_seconds": cpu,
    })
}
