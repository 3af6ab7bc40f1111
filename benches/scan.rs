//! Scans: what one core decodes and aggregates, and questions over a whole archive, in CPU time beside
//! their goals.
//!
//! `cargo bench --features testkit -- scan`; `SCAN_JOBS` (200,000) jobs with `SCAN_ROWS` (30) rows each, or
//! `SCAN_DIR`, an archive that is there (`tools/fleetgen` makes one). A sample is one value column of one
//! row, so that cpu_used_cores has two a row.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    reason = "a program that is told by its environment what to measure"
)]

use crate::seconds;
use rustix::time::ClockId;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tachograph::archive::scan::{Scratch, Table, sample_columns};
use tachograph::archive::{Archive, Settings};
use tachograph::fleetgen::{FleetSpec, generate};
use tachograph::model::scope::Scope;
use tachograph::query::sql::{Engine, QueryLimits};
use tachograph::time::SystemClock;

/// Runs of each query; the median counts. The first one is cold.
const RUNS: usize = 5;

pub(crate) fn run() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let own = tempfile::tempdir().unwrap();
    let given = std::env::var("SCAN_DIR").map(PathBuf::from);
    let dir: &Path = given.as_deref().unwrap_or(own.path());
    let clock = SystemClock::shared();
    let archive = Arc::new(Archive::open(dir, Settings::default(), Arc::clone(&clock)).unwrap());
    if given.is_err() {
        let spec = FleetSpec {
            jobs: number("SCAN_JOBS", 200_000),
            days: 30,
            rows_per_job: u32::try_from(number("SCAN_ROWS", 30)).unwrap(),
            ..FleetSpec::new(clock.now().date())
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime
            .block_on(generate(&archive, spec, 2, |_| ()))
            .unwrap();
    }
    let view = Arc::new(archive.scan(&Scope::local_operator()).unwrap());
    let [jobs, rows] = [Table::Jobs, Table::Samples].map(|table| view.exact_rows(table).unwrap());
    println!(
        "\nscan: {jobs} jobs, {rows} rows, {} segments",
        view.segments().len()
    );
    decode(&archive, rows);
    let engine = Engine::new(Arc::clone(&archive)).unwrap();
    of_samples(&engine, rows as f64);
    of_jobs(&engine, jobs as f64);
}

/// Questions that read samples.
fn of_samples(engine: &Engine, rows: f64) {
    let by = "from job_samples group by runner_key, date";
    let cpu = format!("select runner_key, date, avg(cpu_used_cores) {by}");
    ask(
        engine,
        "cpu mean by runner and day",
        2.0 * rows,
        ">= 150",
        &cpu,
    );
    let both = format!("select runner_key, date, avg(cpu_used_cores), p95(cpu_used_cores) {by}");
    ask(
        engine,
        "cpu mean + p95 by runner and day",
        2.0 * rows,
        ">= 100",
        &both,
    );
    let memory =
        format!("select runner_key, date, avg(memory_used_bytes), p95(memory_used_bytes) {by}");
    ask(
        engine,
        "memory mean + p95 by runner and day",
        rows,
        ">= 45",
        &memory,
    );
    for (name, samples, sql) in [
        (
            "cpu p95, one group",
            2.0 * rows,
            "select p95(cpu_used_cores) from job_samples",
        ),
        (
            "memory p95 by project and month",
            rows,
            "select project, date_trunc('month', date), p95(memory_used_bytes) from job_samples group by 1, 2",
        ),
    ] {
        ask(engine, name, samples, "", sql);
    }
}

/// Questions that job rows answer.
fn of_jobs(engine: &Engine, jobs: f64) {
    for (name, goal, sql) in [
        (
            "p95 peak memory per project",
            "10 M in 1.6 s CPU cold, 0.6 s warm",
            "select project, p95(memory_used_bytes_max) from jobs group by project",
        ),
        (
            "p95 peak memory per week",
            "1 M in 50 ms CPU",
            "select date_bin(interval '7 days', started_at), p95(memory_used_bytes_max), count(*) from jobs group by 1",
        ),
        (
            "core-hours by machine type",
            "",
            "select machine_type, sum(cpu_user_seconds_total + cpu_system_seconds_total) from jobs group by 1",
        ),
        ("count", "", "select count(*) from jobs"),
    ] {
        ask(engine, name, jobs, goal, sql);
    }
}

/// Decoding alone: the columns that a question over cores needs.
fn decode(archive: &Arc<Archive>, rows: u64) {
    let view = archive.scan(&Scope::local_operator()).unwrap();
    let position = |name: &str| {
        sample_columns()
            .iter()
            .position(|own| own.name == name)
            .unwrap()
    };
    let sets: [(&str, &[&str], f64, &str); 3] = [
        (
            "decode user, system (+ interval, runner)",
            &[
                "cpu_user_seconds",
                "cpu_system_seconds",
                "interval_ms",
                "runner_key",
            ],
            2.0,
            ">= 180, stretch 360",
        ),
        ("decode memory (INT64)", &["memory_used_bytes"], 1.0, ""),
        ("decode all 32 columns", &[], 22.0, ""),
    ];
    for (name, columns, samples, goal) in sets {
        let positions: Vec<usize> = match columns {
            [] => (0..sample_columns().len()).collect(),
            some => some.iter().map(|name| position(name)).collect(),
        };
        let mut times = Vec::new();
        for _ in 0..3 {
            let start = seconds(ClockId::ThreadCPUTime);
            let mut scratch = Scratch::new().unwrap();
            for segment in view.segments() {
                for unit in view.units(segment, Table::Samples).unwrap() {
                    let mut reader = unit.reader(&view).unwrap();
                    for from in (0..reader.rows()).step_by(8_192) {
                        let to = reader.rows().min(from + 8_192);
                        for position in &positions {
                            black_box(reader.cells(&mut scratch, *position, from..to).unwrap());
                        }
                    }
                }
            }
            times.push(seconds(ClockId::ThreadCPUTime) - start);
        }
        times.sort_by(f64::total_cmp);
        let rate = rows as f64 * samples / times[1] / 1e6;
        println!("  {name:<42} {rate:>7.1} M samples/s/core   goal {goal}");
    }
}

fn ask(engine: &Engine, name: &str, samples: f64, goal: &str, sql: &str) {
    let limits = QueryLimits {
        time: std::time::Duration::from_secs(600),
        rows: 10_000_000,
        bytes: 1 << 30,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let clock = SystemClock::shared();
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let (start, wall) = (seconds(ClockId::ProcessCPUTime), clock.monotonic());
        let rows: usize = runtime.block_on(async {
            let answer = engine
                .run(Scope::local_operator(), sql.to_owned(), limits)
                .await
                .unwrap();
            let batches = answer.collect().await;
            let batches = batches.unwrap_or_else(|error| panic!("{sql}: {}", error.chain()));
            batches.iter().map(|batch| batch.num_rows()).sum()
        });
        black_box(rows);
        times.push((
            seconds(ClockId::ProcessCPUTime) - start,
            (clock.monotonic() - wall).as_secs_f64(),
        ));
    }
    let cold = times[0].0;
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (cpu, wall) = times[RUNS / 2];
    println!(
        "  {name:<42} {:>7.1} M/s/core   {:>7.1} ms CPU ({:.1} cold), {:.1} ms wall   goal {goal}",
        samples / cpu / 1e6,
        cpu * 1e3,
        cold * 1e3,
        wall * 1e3
    );
}
