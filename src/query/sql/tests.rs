//! Queries over an archive with sealed, staged and amended jobs, against what was put in.

use super::*;
use crate::archive::{Acceptance, Settings, Staged, Staging};
use crate::model::archived::ArchivedJob;
use crate::model::graph::{GraphMetric, cell_to_f64};
use crate::model::id::ProjectKey;
use crate::model::job::{JobEvent, JobFacts};
use crate::model::metric::Column;
use crate::testkit::jobs::archived_job;
use crate::time::{SystemClock, TimestampMs};
use datafusion::arrow::array::{Array as _, AsArray as _};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use std::collections::BTreeMap;

struct World {
    _root: tempfile::TempDir,
    archive: Arc<Archive>,
    engine: Engine,
    jobs: Vec<ArchivedJob>,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let archive = Archive::open(root.path(), Settings::default(), SystemClock::shared());
        let archive = Arc::new(archive.unwrap());
        let engine = Engine::new(Arc::clone(&archive)).unwrap();
        Self {
            _root: root,
            archive,
            engine,
            jobs: Vec::new(),
        }
    }

    /// Archives jobs of these seeds; they are staged then.
    fn put(&mut self, seeds: std::ops::Range<u64>) {
        for seed in seeds {
            let project = i64::try_from(seed % 5).unwrap();
            let job = archived_job(seed, project, usize::try_from(seed % 47).unwrap());
            let accepted = self.accept(&job.row.job, job.row.facts.clone());
            assert!(accepted);
            let far = TimestampMs(i64::MAX / 4);
            let due = self.archive.due(far, 100_000, |_| false).unwrap().jobs;
            let record = due.into_iter().find(|record| record.job == job.row.job);
            let staging = Staging {
                record: record.unwrap(),
                placement: job.row.placement.clone(),
                findings: job.row.findings.clone(),
                profile: job.profile.clone(),
                look_up_at: None,
            };
            assert_eq!(
                self.archive.stage(staging).wait().unwrap(),
                Staged::Archived
            );
            self.jobs.push(job);
        }
    }

    fn accept(&self, job: &crate::model::id::JobRef, facts: JobFacts) -> bool {
        let event = JobEvent {
            job: job.clone(),
            facts,
        };
        match self.archive.accept(event.clone(), None).wait().unwrap() {
            Acceptance::Accepted(accepted) => accepted.changed,
            Acceptance::NeedsSealedFacts => {
                let sealed = self.archive.sealed_facts(&event.job).unwrap();
                match self.archive.accept(event, Some(sealed)).wait().unwrap() {
                    Acceptance::Accepted(accepted) => accepted.changed,
                    Acceptance::NeedsSealedFacts => panic!("asked twice"),
                }
            }
        }
    }

    fn run_as(&self, scope: Scope, sql: &str) -> Result<RecordBatch> {
        let answer = self
            .engine
            .run(scope, sql.to_owned(), QueryLimits::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let answer = answer.await?;
            let schema = answer.schema();
            let batches = answer.collect().await?;
            Ok(concat_batches(&schema, &batches).unwrap())
        })
    }

    fn run(&self, sql: &str) -> RecordBatch {
        let batch = self.run_as(Scope::local_operator(), sql);
        batch.unwrap_or_else(|error| panic!("{sql}: {}", error.chain()))
    }

    fn error(&self, sql: &str) -> Error {
        self.run_as(Scope::local_operator(), sql).unwrap_err()
    }

    /// The one row of an answer as integers.
    fn integers(&self, sql: &str) -> Vec<Option<i64>> {
        let batch = self.run(sql);
        assert_eq!(batch.num_rows(), 1, "{sql}");
        let columns = batch.columns().iter();
        columns
            .map(|column| {
                let column = cast(column, &DataType::Int64).unwrap();
                let column = column.as_primitive::<Int64Type>();
                column.is_valid(0).then(|| column.value(0))
            })
            .collect()
    }
}

fn text(column: &dyn datafusion::arrow::array::Array) -> Vec<Option<String>> {
    let texts = cast(column, &DataType::Utf8).unwrap();
    let texts = texts.as_string::<i32>();
    texts.iter().map(|text| text.map(str::to_owned)).collect()
}

fn doubles(column: &dyn datafusion::arrow::array::Array) -> Vec<Option<f64>> {
    let cells = cast(column, &DataType::Float64).unwrap();
    cells.as_primitive::<Float64Type>().iter().collect()
}

/// Counts, sums, extremes and quantiles of what was put in.
fn check_totals(world: &World) {
    let rows: usize = world.jobs.iter().map(|job| job.profile.rows()).sum();
    let memory: Vec<i64> = world
        .jobs
        .iter()
        .flat_map(|job| {
            job.profile
                .column(Column::MemoryUsedBytes)
                .unwrap_or_default()
        })
        .flatten()
        .copied()
        .collect();
    let user: i64 = world
        .jobs
        .iter()
        .flat_map(|job| {
            job.profile
                .column(Column::CpuUserSeconds)
                .unwrap_or_default()
        })
        .flatten()
        .sum();
    let mut sorted = memory.clone();
    sorted.sort_unstable();
    let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
    let found = world.integers(
        "select count(*), count(memory_used_bytes), sum(memory_used_bytes), min(memory_used_bytes),
                max(memory_used_bytes), p50(memory_used_bytes), p95(memory_used_bytes),
                quantile(memory_used_bytes, 0.37), cast(sum(cpu_user_seconds) * 100 as bigint) from samples",
    );
    let expected = [
        num::len_i64(rows),
        num::len_i64(memory.len()),
        memory.iter().sum(),
        sorted[0],
        sorted[sorted.len() - 1],
        rank(50),
        rank(95),
        rank(37),
        user,
    ];
    assert_eq!(found, expected.map(Some));
    let jobs = world.integers("select count(*), count(distinct job), sum(sample_count) from jobs");
    let sampled: i64 = world
        .jobs
        .iter()
        .map(|job| job.row.findings.sample_count)
        .sum();
    let count = num::len_i64(world.jobs.len());
    assert_eq!(jobs, [count, count, sampled].map(Some));
    let of_sections = world.integers("select count(*), max(section_number) from sections");
    let sections = num::len_i64(2 * world.jobs.len());
    assert_eq!(of_sections, [Some(sections), Some(2)]);
}

/// What is computed from samples is what stands in the job's row (AR-6).
fn check_summaries(world: &World) {
    let batch = world.run(
        "select m.job_id, m.cpu_used_cores_p95, m.cpu_used_cores_max, m.memory_used_bytes_p95, m.disk_io_ratio_p95,
                s.cpu_p95, s.cpu_max, s.memory_p95, s.io_p95, m.cpu_user_seconds_total, s.used
         from job_metrics m join (
            select job, quantile_weighted(cpu_used_cores, overlap_ms, 0.95) as cpu_p95,
                   max(case when overlap_ms > 0 then cpu_used_cores end) as cpu_max,
                   p95(case when ts >= started_at and ts < finished_at then memory_used_bytes end) as memory_p95,
                   quantile_weighted(disk_io_ratio, overlap_ms, 0.95) as io_p95,
                   sum(cast(cpu_user_seconds as double) * share) as used
            from job_samples group by job) s on s.job = m.job",
    );
    let sampled = world
        .jobs
        .iter()
        .filter(|job| job.profile.rows() > 0)
        .count();
    assert_eq!(batch.num_rows(), sampled);
    for (stored, computed) in [(1, 5), (2, 6), (3, 7), (4, 8)] {
        let (stored, computed) = (
            doubles(batch.column(stored)),
            doubles(batch.column(computed)),
        );
        assert_eq!(stored, computed);
        assert!(stored.iter().flatten().count() > sampled / 2);
    }
    let totals = doubles(batch.column(9))
        .into_iter()
        .zip(doubles(batch.column(10)));
    for (stored, computed) in totals {
        let (Some(stored), Some(computed)) = (stored, computed) else {
            continue;
        };
        assert!((stored - computed).abs() < 0.006, "{stored} {computed}");
    }
}

#[test]
fn staged_sealed_and_mixed_archives_answer_the_same() {
    let mut world = World::new();
    world.put(0..150);
    check_totals(&world);
    check_summaries(&world);
    assert!(!world.archive.seal_all().unwrap().is_empty());
    check_totals(&world);
    check_summaries(&world);
    world.put(150..300);
    check_totals(&world);
    check_summaries(&world);
    // A second time the rows come from the cache.
    check_totals(&world);
}

#[test]
fn graph_units_are_those_of_a_profile() {
    let mut world = World::new();
    world.put(40..47);
    world.archive.seal_all().unwrap();
    let batch = world.run(
        "select job_id, cpu_used_cores, pressure_io_ratio, load1, network_receive_bytes_per_second from job_samples order by job_id, ts",
    );
    let mut jobs: BTreeMap<&str, &ArchivedJob> = BTreeMap::new();
    for job in &world.jobs {
        jobs.insert(job.row.job.job_id.as_str(), job);
    }
    for (number, name) in [
        "cpu_used_cores",
        "pressure_io_ratio",
        "load1",
        "network_receive_bytes_per_second",
    ]
    .into_iter()
    .enumerate()
    {
        let metric = GraphMetric::by_name(name).unwrap();
        let expected: Vec<Option<f64>> = jobs
            .values()
            .flat_map(|job| metric.values(&job.profile).unwrap())
            .map(|cell| cell.map(|cell| cell_to_f64(cell, metric.cell.scale())))
            .collect();
        assert_eq!(doubles(batch.column(number + 1)), expected, "{name}");
    }
}

#[test]
fn amendments_show_in_every_table_and_filters_follow_them() {
    let mut world = World::new();
    world.put(0..60);
    world.archive.seal_all().unwrap();
    let job = world.jobs[46].row.job.clone();
    let late = JobFacts {
        name: Some("renamed".to_owned()),
        failure_reason: Some("runner_system_failure".to_owned()),
        finished_at: world.jobs[46]
            .row
            .facts
            .finished_at
            .map(|at| at.plus_ms(-60_000)),
        ..JobFacts::default()
    };
    assert!(world.accept(&job, late));
    let rows = world.integers("select count(*), count(distinct job) from jobs");
    assert_eq!(rows, [Some(60), Some(60)]);
    let batch = world.run(
        "select job_id, failure_reason, amended_at is not null from jobs where name = 'renamed'",
    );
    assert_eq!(
        text(batch.column(0)),
        [Some(job.job_id.as_str().to_owned())]
    );
    assert_eq!(
        text(batch.column(1)),
        [Some("runner_system_failure".to_owned())]
    );
    assert!(batch.column(2).as_boolean().value(0));
    let samples = world
        .integers("select count(*), count(distinct job) from job_samples where name = 'renamed'");
    assert_eq!(
        samples,
        [Some(num::len_i64(world.jobs[46].profile.rows())), Some(1)]
    );
    check_summaries(&world);
}

#[test]
fn filters_leave_out_segments_and_nothing_that_passes() {
    let mut world = World::new();
    // Four dates, a segment each.
    world.put(0..10);
    world.put(1_440..1_450);
    world.put(2_880..2_890);
    world.archive.seal_all().unwrap();
    world.put(4_320..4_330);
    for (filter, jobs) in [
        ("date = '2026-03-02'", 10),
        ("date >= '2026-03-02' and date < '2026-03-04'", 20),
        ("started_at >= '2026-03-03T00:00:00Z'", 20),
        ("finished_at >= '2026-03-03T00:00:00Z'", 20),
        ("finished_at < '2026-03-03T00:00:00Z'", 20),
        ("started_at < '2026-03-01T00:05:00Z'", 5),
        ("source = 'nobody'", 0),
        ("project = 'acme/project-3'", 8),
        (
            "name in ('build', 'unit') or name not in ('build', 'unit')",
            40,
        ),
        ("date = '2026-03-02' and project_key = 0", 0),
        ("date is null", 0),
    ] {
        let sql = format!("select count(*) from jobs where {filter}");
        assert_eq!(world.integers(&sql), [Some(jobs)], "{filter}");
    }
    let plan_of = |sql: &str| {
        let plan = text(world.run(&format!("explain {sql}")).column(1));
        plan.into_iter().flatten().collect::<String>()
    };
    let ends = "finished_at >= '2026-03-02T00:00:00Z' and finished_at < '2026-03-03T00:00:00Z'";
    for table in ["jobs", "job_samples"] {
        let plan = plan_of(&format!("select count(job) from {table} where {ends}"));
        assert!(plan.contains("segments=1 of 3"), "{plan}");
    }
    let plan = plan_of("select count(job) from samples where date = '2026-03-02'");
    assert!(plan.contains("segments=1 of 3"), "{plan}");
    assert!(
        !plan.contains(&*world._root.path().to_string_lossy()),
        "{plan}"
    );
}

#[test]
fn keys_that_are_computed_once_per_run_are_those_of_every_row() {
    let mut world = World::new();
    world.put(0..40);
    world.archive.seal_all().unwrap();
    world.put(40..60);
    let texts = |sql: &str| -> Vec<String> {
        let answer = world.run(sql);
        let columns = answer.columns().iter();
        let columns: Vec<_> = columns
            .map(|column| text(&cast(column, &DataType::Utf8).unwrap()))
            .collect();
        let row = |row: usize| {
            columns
                .iter()
                .map(move |column| format!("{:?}", column[row]))
        };
        (0..answer.num_rows())
            .map(|number| row(number).collect::<Vec<_>>().join(" "))
            .collect()
    };
    // The same groups, by keys of runs and by keys that are computed row by row first.
    let by = |keys: &str, from: &str| {
        // Quantiles of the same values share what is collected, those of others or of some do not.
        format!(
            "select {keys}, count(*), min(ts), sum(job), p50(memory), p99(memory), p95(ts), p95(memory) filter (where job % 2 = 0), \
             quantile_weighted(memory, interval_ms, 0.5) from {from} group by {keys} order by {keys}"
        )
    };
    let keys = "date_trunc('month', date), concat(project, '/', coalesce(name, '-'))";
    let samples = "(select *, memory_used_bytes as memory from job_samples)";
    let plan = texts(&format!("explain {}", by(keys, samples))).join("");
    assert!(plan.contains("RunsExec"), "{plan}");
    let rows = format!("(select {keys} as k, job, ts, interval_ms, memory_used_bytes as memory from job_samples limit 1000000000)")
        .replace(", concat", " as m, concat");
    let row_by_row = by("m, k", &rows);
    assert!(
        !texts(&format!("explain {row_by_row}"))
            .join("")
            .contains("RunsExec")
    );
    let found = texts(&by(keys, samples));
    assert!(found.len() > 5);
    assert_eq!(found, texts(&row_by_row));
}

#[test]
fn a_scope_bounds_every_table() {
    let mut world = World::new();
    world.put(0..50);
    world.archive.seal_all().unwrap();
    world.put(50..100);
    let key = world.integers("select min(project_key) from jobs where project = 'acme/project-2'");
    let scope = Scope::projects([ProjectKey(key[0].unwrap())]);
    let own: Vec<&ArchivedJob> = world
        .jobs
        .iter()
        .filter(|job| job.row.facts.project.as_deref() == Some("acme/project-2"))
        .collect();
    let rows: usize = own.iter().map(|job| job.profile.rows()).sum();
    for (table, expected) in [
        ("jobs", own.len()),
        ("job_metrics", own.len()),
        ("sections", 2 * own.len()),
        ("samples", rows),
        ("job_samples", rows),
    ] {
        let batch = world
            .run_as(
                scope.clone(),
                &format!("select count(*), count(distinct project_key) from {table}"),
            )
            .unwrap();
        assert_eq!(
            batch.column(0).as_primitive::<Int64Type>().value(0),
            num::len_i64(expected),
            "{table}"
        );
        assert_eq!(
            batch.column(1).as_primitive::<Int64Type>().value(0),
            1,
            "{table}"
        );
    }
    // Moved to another project after its seal: gone from this one.
    let job = own[0].row.job.clone();
    assert!(world.accept(
        &job,
        JobFacts {
            project: Some("acme/elsewhere".to_owned()),
            project_id: Some("99".to_owned()),
            finished_at: own[0].row.facts.finished_at,
            ..JobFacts::default()
        }
    ));
    let sql = format!("select count(*) from jobs where job_id = '{}'", job.job_id);
    let batch = world.run_as(scope.clone(), &sql).unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 0);
    let sql = format!(
        "select count(*) from job_samples where job_id = '{}'",
        job.job_id
    );
    let batch = world.run_as(scope, &sql).unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 0);
}

#[test]
fn errors_say_where_and_what_was_meant() {
    let world = World::new();
    for (sql, code, part) in [
        (
            "select memory_use_bytes from samples",
            "sql_unknown_column",
            "did you mean memory_used_bytes?",
        ),
        (
            "select * from job",
            "sql_unknown_table",
            "did you mean jobs?",
        ),
        (
            "select cpu_used_cores from samples",
            "sql_unknown_column",
            "table job_samples has one",
        ),
        ("selec 1", "sql_syntax", "Line: 1, Column: 1"),
        (
            "select p95(name) from jobs",
            "sql_invalid",
            "numbers and times",
        ),
        (
            "select quantile(sample_count, 2) from jobs",
            "sql_invalid",
            "from 0 to 1",
        ),
        ("select repeat('a', 1000000000)", "sql_invalid", "repeat"),
    ] {
        let error = world.error(sql);
        assert_eq!(error.code(), code, "{sql}: {error}");
        assert!(error.message().contains(part), "{sql}: {error}");
    }
    let error = world.error("select 1,\n  nam from jobs");
    assert!(error.message().starts_with("line 2, column 3: "), "{error}");
}

#[test]
fn queries_within_each_other_are_not_taken_for_one() {
    let world = World::new();
    for name in ["", " as named"] {
        let mut sql = "select 0 as a".to_owned();
        for _ in 0..5 {
            sql = format!("select a + 1 as a from ({sql}){name}");
        }
        assert_eq!(world.integers(&sql), [Some(5)], "{sql}");
    }
}

#[test]
fn answers_are_bounded() {
    let mut world = World::new();
    world.put(0..100);
    let error = world.error("select a.job from samples a, samples b");
    assert_eq!(error.code(), "sql_answer_too_large");
    let mut doubled = "select project as x from jobs".to_owned();
    for _ in 0..10 {
        doubled = format!("select x || x || x || x as x from ({doubled})");
    }
    let error = world.error(&doubled);
    assert_eq!(error.code(), "sql_failed", "{error}");
    let error = world.error("select array_agg(a.ts), array_agg(b.ts), array_agg(c.ts) from samples a, samples b, samples c");
    assert!(
        ["sql_too_large", "sql_timeout"].contains(&error.code()),
        "{error}"
    );
}
