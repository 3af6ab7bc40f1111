//! Questions over many jobs, against what the records of the same jobs say.

use crate::support::{World, fleet_job, report, with};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use tachograph::num;

const JOBS: usize = 6;

/// Six archived jobs: the first four of project a (half of them `unit`, half `lint`), two of b.
async fn archived_jobs(world: &World) -> Vec<Value> {
    let mut records = Vec::new();
    for number in 0..JOBS {
        let facts = json!({
            "project": if number < 4 { "acme/a" } else { "it's/b" },
            "project_id": 100 + number / 4,
            "name": if number % 2 == 0 { "unit" } else { "lint" },
            "queued_seconds": number,
        });
        let body = with(report(fleet_job(number)), facts);
        records.push(world.archive(&number.to_string(), &body).await);
    }
    records
}

/// A question about all jobs of the world.
fn all(world: &World, path: &str) -> String {
    let to = world.now().0;
    format!("/api/v1/{path}&from={}&to={to}", to - 30 * 86_400_000)
}

fn peak(record: &Value) -> f64 {
    record["summary"]["memory_used_bytes"]["max"]
        .as_f64()
        .unwrap()
}

fn hours(record: &Value) -> f64 {
    let ms = |field: &str| record[field].as_i64().unwrap();
    num::to_f64(ms("finished_at_ms") - ms("started_at_ms")) / 3.6e6
}

fn cores(record: &Value) -> f64 {
    record["machine"]["cpu_count"].as_f64().unwrap()
}

fn near(value: &Value, expected: f64) {
    let value = value.as_f64().unwrap();
    let error = (value - expected).abs();
    assert!(
        error <= 1e-9 * expected.abs().max(1.0),
        "{value} is not {expected}"
    );
}

#[tokio::test]
async fn trends_say_what_the_records_say() {
    let world = World::start().await;
    let records = archived_jobs(&world).await;
    let api = world.api();
    // Staged, then sealed: the same answer.
    for sealed in [false, true] {
        if sealed {
            api.seal().await;
        }
        let question = "trends?metric=memory_used_bytes&stat=max,count&by=project&bucket=30d";
        let trend = api.get(&all(&world, question)).await.json(200);
        assert_eq!(trend["unit"], "bytes");
        assert_eq!(trend["truncated"], false);
        let series = trend["series"].as_array().unwrap();
        let keys: Vec<&Value> = series.iter().map(|line| &line["key"]).collect();
        assert_eq!(keys, ["acme/a", "it's/b"], "most jobs first");
        assert_eq!(series[1]["filters"], json!({ "project": "it's/b" }));
        for (line, records) in series.iter().zip([&records[..4], &records[4..]]) {
            let points = line["points"].as_array().unwrap();
            let jobs: u64 = points
                .iter()
                .map(|point| point["jobs"].as_u64().unwrap())
                .sum();
            assert_eq!(jobs, num::len_u64(records.len()));
            let highest = points.iter().map(|point| point["value"].as_f64().unwrap());
            let expected = records.iter().map(peak).fold(0.0, f64::max);
            assert_eq!(highest.fold(0.0, f64::max), expected);
            for point in points {
                assert_eq!(
                    point["values"]["count"].as_f64(),
                    point["measured"].as_f64()
                );
                assert!(point["coverage"].as_f64().unwrap() > 0.9, "{point}");
            }
        }
    }
    // The statement in the answer asks the same again.
    let question = "trends?metric=memory_used_bytes&stat=max&bucket=30d";
    let trend = api.get(&all(&world, question)).await.json(200);
    assert_eq!(trend["series"][0]["key"], "all");
    let sql = json!({ "query": trend["sql"], "format": "json" });
    let rows = api.post("/api/v1/sql", &sql).await.json(200);
    let width = rows["columns"].as_array().unwrap().len();
    let points = trend["series"][0]["points"].as_array().unwrap();
    assert_eq!(rows["rows"].as_array().unwrap().len(), points.len());
    near(
        &rows["rows"][0][width - 1],
        points[0]["value"].as_f64().unwrap(),
    );
}

#[tokio::test]
async fn a_filter_is_a_text_and_a_limit_is_said() {
    let world = World::start().await;
    archived_jobs(&world).await;
    let api = world.api();
    let jobs = async |filter: &str| {
        let question = format!("trends?metric=jobs&stat=sum&bucket=30d&{filter}");
        let trend = api.get(&all(&world, &question)).await.json(200);
        let points = trend["series"].as_array().unwrap().iter();
        let points = points.flat_map(|line| line["points"].as_array().unwrap());
        points
            .map(|point| point["value"].as_f64().unwrap())
            .sum::<f64>()
    };
    assert_eq!(jobs("project=acme/a").await, 4.0);
    assert_eq!(jobs("project=it%27s/b").await, 2.0);
    assert_eq!(
        jobs("name=unit&status=success&ref=main&runner=42").await,
        3.0
    );
    assert_eq!(jobs("machine_type=n2-standard-4&region=eu-1").await, 6.0);
    assert_eq!(jobs("project=%27%20or%201%3D1%20--").await, 0.0);
    let limited = "trends?metric=jobs&stat=sum&by=name&limit=1";
    let trend = api.get(&all(&world, limited)).await.json(200);
    assert_eq!(trend["truncated"], true);
    assert_eq!(trend["series"].as_array().unwrap().len(), 1);
    for (query, code, word) in [
        ("trends?metric=ram", "unknown_metric", "memory_used_bytes"),
        ("trends?metric=jobs&stat=p42", "unknown_stat", "p95"),
        (
            "trends?metric=jobs&by=color",
            "unknown_grouping",
            "machine_type",
        ),
        ("trends?metric=jobs&bucket=1w", "invalid_query", "bucket"),
        ("trends?metric=jobs&porject=a", "invalid_query", "porject"),
        ("trends?metric=jobs&limit=0", "invalid_query", "limit"),
        (
            "trends?metric=jobs&from=1772323200000&to=1772323100000",
            "invalid_range",
            "behind",
        ),
        ("trends?stat=p95", "invalid_query", "metric"),
        ("top?what=everything", "unknown_top", "wasted_cost"),
        (
            "heatmap?metric=jobs&stat=p50,p95",
            "invalid_query",
            "one stat",
        ),
        (
            "heatmap?metric=jobs&tz_offset_minutes=900",
            "invalid_query",
            "tz_offset",
        ),
    ] {
        api.get(&format!("/api/v1/{query}"))
            .await
            .problem(400, code, &[word]);
    }
}

#[tokio::test]
async fn top_lists_add_up() {
    let world = World::start().await;
    let records = archived_jobs(&world).await;
    let api = world.api();
    let top = api
        .get(&all(&world, "top?what=core_hours&by=project"))
        .await
        .json(200);
    let paid = |records: &[Value]| {
        records
            .iter()
            .map(|job| hours(job) * cores(job))
            .sum::<f64>()
    };
    let used = |records: &[Value]| {
        let used = records.iter();
        let seconds = used.map(|job| {
            job["summary"]["cpu_used_seconds"]["total"]
                .as_f64()
                .unwrap()
        });
        seconds.sum::<f64>() / 3_600.0
    };
    near(&top["total"], paid(&records));
    for row in top["rows"].as_array().unwrap() {
        let own = if row["key"] == "acme/a" {
            &records[..4]
        } else {
            &records[4..]
        };
        assert_eq!(row["jobs"].as_u64(), Some(num::len_u64(own.len())));
        near(&row["value"], paid(own));
        near(&row["paid"], paid(own));
        near(&row["used"], used(own));
        near(&row["share"], paid(own) / paid(&records));
    }
    let waste = api
        .get(&all(&world, "top?what=wasted_core_hours&by=name"))
        .await
        .json(200);
    for row in waste["rows"].as_array().unwrap() {
        let left = row["paid"].as_f64().unwrap() - row["used"].as_f64().unwrap();
        assert!(
            row["value"].as_f64().unwrap() >= left - 1e-9 && left > 0.0,
            "{row}"
        );
    }
    // Nobody registered a price: money is not known, and not zero.
    let money = api
        .get(&all(&world, "top?what=cost&by=none"))
        .await
        .json(200);
    assert_eq!(money["total"], Value::Null);
    assert_eq!(money["rows"][0]["value"], Value::Null);
    assert_eq!(money["rows"][0]["reason"], "no_price_or_samples");
    let nobody = api
        .get(&all(&world, "top?what=jobs&by=none&project=nobody"))
        .await
        .json(200);
    assert_eq!(nobody["rows"], json!([]));
}

#[tokio::test]
async fn a_week_has_168_hours() {
    let world = World::start().await;
    let records = archived_jobs(&world).await;
    let api = world.api();
    let question = "heatmap?metric=queued_seconds&stat=max&tz_offset_minutes=-90";
    let heatmap = api.get(&all(&world, question)).await.json(200);
    let cells = heatmap["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 168);
    let mut expected = vec![(0, None::<f64>); 168];
    for (number, record) in records.iter().enumerate() {
        let ms = record["started_at_ms"].as_i64().unwrap() - 90 * 60_000;
        let hour = (ms / 3_600_000 + 3 * 24) % 168;
        let cell = &mut expected[usize::try_from(hour).unwrap()];
        cell.0 += 1;
        cell.1 = Some(cell.1.unwrap_or(0.0).max(num::to_f64(num::len_i64(number))));
    }
    for (cell, (jobs, value)) in cells.iter().zip(expected) {
        assert_eq!(cell["jobs"].as_u64(), Some(jobs), "{cell}");
        assert_eq!(cell["value"].as_f64(), value, "{cell}");
    }
}

#[tokio::test]
async fn exports_hold_every_row_in_every_format() {
    let world = World::start().await;
    archived_jobs(&world).await;
    let api = world.api();
    api.seal().await;
    let sql = async |query: &str| {
        let body = json!({ "query": query, "format": "json" });
        let answer = api.post("/api/v1/sql", &body).await.json(200);
        num::to_usize(answer["rows"][0][0].as_u64().unwrap())
    };
    let to = world.now().0;
    let range = format!("from={}&to={to}", to - 30 * 86_400_000);
    for table in ["jobs", "samples", "job_samples", "job_metrics", "sections"] {
        let rows = sql(&format!("select count(*) from {table}")).await;
        let path = |format: &str| format!("/api/v1/export?table={table}&format={format}&{range}");
        let csv = api.get(&path("csv")).await;
        let mut reader = csv::Reader::from_reader(&csv.body[..]);
        assert_eq!(
            reader.records().map(Result::unwrap).count(),
            rows,
            "{table}"
        );
        let arrow = api.get(&path("arrow")).await;
        let batches = arrow_ipc::reader::StreamReader::try_new(&arrow.body[..], None).unwrap();
        let in_stream: usize = batches.map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(in_stream, rows, "{table}");
        let file = api.get(&path("parquet")).await;
        let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file.body)).unwrap();
        let said = builder.metadata().file_metadata().num_rows();
        assert_eq!(num::to_usize(said.unsigned_abs()), rows, "{table}");
        let in_file: usize = builder
            .build()
            .unwrap()
            .map(|batch| batch.unwrap().num_rows())
            .sum();
        assert_eq!(in_file, rows, "{table}");
    }
    // One project's samples, by the key that samples have.
    let path = format!("/api/v1/export?table=samples&project=it%27s/b&{range}");
    let csv = api.get(&path).await;
    let rows = sql("select count(*) from job_samples where project = 'it''s/b'").await;
    let mut reader = csv::Reader::from_reader(&csv.body[..]);
    assert_eq!(reader.records().map(Result::unwrap).count(), rows);
    assert!(rows > 0);
    // Nothing is a whole stream too.
    let nothing = api
        .get("/api/v1/export?table=jobs&from=2001-02-01&to=2001-02-02")
        .await;
    assert!(
        nothing.body.starts_with(b"date,project_key,"),
        "a header alone"
    );
    for (query, code) in [
        ("table=users&from=2026-01-01&to=2026-01-02", "unknown_table"),
        (
            "table=jobs&format=xml&from=2026-01-01&to=2026-01-02",
            "unknown_format",
        ),
        ("table=jobs&from=2026-01-02&to=2026-01-01", "invalid_range"),
        ("table=jobs&from=soon&to=2026-01-01", "invalid_query"),
    ] {
        api.get(&format!("/api/v1/export?{query}"))
            .await
            .problem(400, code, &[]);
    }
}
