//! SQL as clients use it: every format, hostile statements, clients that go away, and the same answers
//! as DuckDB over the same files.

mod duckdb;
mod hostile;
mod leaving;

use crate::cli;
use crate::support::World;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tachograph::archive::{Archive, Settings, Staged, Staging};
use tachograph::error::Result;
use tachograph::model::job::JobEvent;
use tachograph::model::scope::Scope;
use tachograph::query::sql::{Answer, AnswerFormat, Engine, QueryLimits};
use tachograph::testkit::jobs::archived_job;
use tachograph::time::{SystemClock, TimestampMs};

/// Archives made-up jobs; `sealed` says after how many of them all is sealed that is staged.
fn archive(root: &Path, jobs: u64, sealed: &[u64]) -> Arc<Archive> {
    let archive = Archive::open(root, Settings::default(), SystemClock::shared()).unwrap();
    for number in 0..jobs {
        // Two dates, and jobs of no, few and many rows.
        let seed = number * 17;
        let rows = usize::try_from(number * number % 83).unwrap();
        let job = archived_job(seed, i64::try_from(number % 6).unwrap(), rows);
        let event = JobEvent {
            job: job.row.job.clone(),
            facts: job.row.facts.clone(),
        };
        futures::executor::block_on(archive.accept(event, None)).unwrap();
        let due = archive
            .due(TimestampMs(i64::MAX / 4), 10, |_| false)
            .unwrap();
        let record = due.jobs.into_iter().find(|own| own.job == job.row.job);
        let staging = Staging {
            record: record.unwrap(),
            placement: job.row.placement,
            findings: job.row.findings,
            profile: job.profile,
            look_up_at: None,
        };
        assert_eq!(archive.stage(staging).wait().unwrap(), Staged::Archived);
        if sealed.contains(&(number + 1)) {
            archive.seal_all().unwrap();
        }
    }
    Arc::new(archive)
}

/// Runs a query to its end.
async fn ask(engine: &Engine, sql: &str, limits: QueryLimits) -> Result<Vec<u8>> {
    let answer: Answer = engine
        .run(Scope::local_operator(), sql.to_owned(), limits)
        .await?;
    let schema = answer.schema();
    let batches = answer.collect().await?;
    AnswerFormat::Json.encode(&schema, &batches)
}

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[tokio::test]
async fn an_archived_job_answers_in_every_format() {
    let world = World::start().await;
    let job = crate::support::fleet_job(0);
    world.archive("1", &crate::support::report(job)).await;
    let api = world.api();
    let sql = "select job_id, project, sample_count, covered_seconds, started_at, date, runner_tags, sections from jobs";
    let post = async |format: &str| {
        let body = json!({ "query": sql, "format": format });
        api.send(Method::POST, "/api/v1/sql", &JSON, body.to_string())
            .await
    };
    let answer = post("json").await;
    assert!(!answer.header("x-query-id").is_empty());
    let answer = answer.json(200);
    let types: Vec<&str> = answer["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|own| own["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types[..6],
        [
            "TEXT",
            "TEXT",
            "BIGINT",
            "DECIMAL(18,3)",
            "TIMESTAMP",
            "DATE"
        ]
    );
    let row = &answer["rows"][0];
    assert_eq!((&row[0], &row[1]), (&json!("1"), &json!("acme/app")));
    assert_eq!(row[4], json!(job.window.from.to_rfc3339()));
    let record = api.job("1").await;
    assert_eq!(row[2], record["sample_count"]);
    let csv = post("csv").await.text();
    assert!(
        csv.starts_with("job_id,project,sample_count,covered_seconds,"),
        "{csv}"
    );
    assert!(csv.contains(&job.window.from.to_rfc3339()), "{csv}");
    for (format, magic) in [("parquet", &b"PAR1"[..]), ("arrow", b"\xff\xff\xff\xff")] {
        let answer = post(format).await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.starts_with(magic), "{format}");
    }
    // Sealed, it is still the same.
    api.seal().await;
    assert_eq!(post("json").await.json(200), answer);
    post("xml")
        .await
        .problem(400, "unknown_format", &["json, csv, arrow, parquet"]);
}

#[tokio::test]
async fn a_query_has_an_id_a_progress_and_an_end() {
    let world = World::unregistered().await;
    let api = world.api();
    let body = json!({ "query": "select 1 as one" }).to_string();
    let headers = [JSON[0], ("x-query-id", "mine-1")];
    let answer = api
        .send(Method::POST, "/api/v1/sql", &headers, body.clone())
        .await;
    assert_eq!(answer.header("x-query-id"), "mine-1");
    assert_eq!(answer.json(200)["rows"], json!([[1]]));
    let status = api.get("/api/v1/queries/mine-1").await.json(200);
    assert_eq!(
        (&status["state"], &status["rows"]),
        (&json!("ended"), &json!(1))
    );
    api.delete("/api/v1/queries/mine-1").await.empty();
    api.get("/api/v1/queries/other")
        .await
        .problem(404, "query_not_found", &["other"]);
    let headers = [JSON[0], ("x-query-id", "no good")];
    let answer = api.send(Method::POST, "/api/v1/sql", &headers, body).await;
    answer.problem(400, "invalid_query_id", &[]);
    let wrong = json!({ "query": "select nam\nfrom jobs" }).to_string();
    let answer = api.send(Method::POST, "/api/v1/sql", &JSON, wrong).await;
    answer.problem(
        400,
        "sql_unknown_column",
        &["line 1, column 8", "did you mean name?"],
    );
}

#[tokio::test]
async fn the_program_reads_a_directory_and_asks_a_service_that_holds_it() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    drop(archive(&data, 40, &[30]));
    let dir = data.to_str().unwrap();
    let sql = "select count(*) as jobs, count(distinct project) as projects from jobs";
    let output = cli::run(&["query", sql, "--data-dir", dir, "--format", "csv"]).await;
    assert!(output.status.success(), "{}", cli::stderr(&output));
    assert_eq!(cli::stdout(&output), "jobs,projects\r\n40,6\r\n");
    let output = cli::run(&["query", sql, "--data-dir", dir]).await;
    assert!(
        cli::stdout(&output).ends_with("1 row\n"),
        "{}",
        cli::stdout(&output)
    );
    let output = cli::run(&["query", "--explain", sql, "--data-dir", dir]).await;
    let plan = cli::stdout(&output);
    assert!(plan.contains("ScanExec") && !plan.contains(dir), "{plan}");
    let file = root.path().join("a.parquet");
    let output = cli::run(&[
        "query",
        sql,
        "--data-dir",
        dir,
        "--format",
        "parquet",
        "--output",
        file.to_str().unwrap(),
    ])
    .await;
    assert!(output.status.success(), "{}", cli::stderr(&output));
    assert!(std::fs::read(&file).unwrap().starts_with(b"PAR1"));
    cli::fails(
        &["query", "selec", "--data-dir", dir],
        64,
        &["Line: 1, Column: 1"],
    )
    .await;
    cli::fails(
        &["query", sql, "--data-dir", "/nowhere/at/all"],
        66,
        &["holds no archive"],
    )
    .await;
    let service = cli::Serving::start(&data).await;
    let server = service.api.base().to_owned();
    let output = cli::run(&["query", sql, "--server", &server, "--format", "json"]).await;
    let answer: Value = serde_json::from_str(&cli::stdout(&output)).unwrap();
    assert_eq!(answer["rows"], json!([[40, 6]]));
    assert_eq!(service.terminate().await, Some(0));
}
