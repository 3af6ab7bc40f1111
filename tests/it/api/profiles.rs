//! Profiles: JSON and CSV are one truth, parts are parts of the whole, unknown names are explained.

use crate::support::{Answer, World, fleet_job, report, with};
use reqwest::Method;
use serde_json::{Value, json};
use tachograph::model::graph::GRAPH_METRICS;
use tachograph::model::metric::Column;
use tachograph::testkit::fleet::FleetJob;
use tachograph::time::TimestampMs;

pub(super) const PROFILE: &str = "/api/v1/jobs/gitlab/1/profile";

/// A job with three sections, two of one name.
pub(super) async fn archived() -> (World, &'static FleetJob) {
    let world = World::start().await;
    let job = fleet_job(0);
    let third = job.window.len_ms() / 3;
    let section = |name: &str, from: i64, to: i64| {
        let at = |ms| job.window.from.plus_ms(ms).to_rfc3339();
        json!({"name": name, "started_at": at(from), "finished_at": at(to)})
    };
    let sections = json!([
        section("step", 0, third),
        section("cache", third, 2 * third),
        section("step", 2 * third, job.window.len_ms()),
    ]);
    let body = with(report(job), json!({ "sections": sections }));
    world.archive("1", &body).await;
    (world, job)
}

/// The CSV as the JSON it must equal: times, intervals and metrics.
pub(super) fn parse_csv(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        answer.header("content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"job-gitlab-1.csv\""
    );
    let mut reader = csv::ReaderBuilder::new().from_reader(answer.body.as_slice());
    let header: Vec<String> = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(header[..3], ["ts", "ts_ms", "interval_ms"]);
    let mut columns: Vec<Vec<Value>> = vec![Vec::new(); header.len()];
    for record in reader.records() {
        let record = record.unwrap();
        let ms: i64 = record[1].parse().unwrap();
        assert_eq!(
            TimestampMs::parse_rfc3339(&record[0]),
            Some(TimestampMs(ms))
        );
        for (column, cell) in columns.iter_mut().zip(&record) {
            column.push(if cell.is_empty() {
                Value::Null
            } else {
                serde_json::from_str(cell).unwrap_or_else(|_| cell.into())
            });
        }
    }
    let metrics: serde_json::Map<String, Value> = header
        .iter()
        .zip(&columns)
        .skip(3)
        .map(|(name, values)| (name.clone(), json!(values)))
        .collect();
    json!({"ts_ms": columns[1], "interval_ms": columns[2], "metrics": metrics})
}

/// The same of the JSON answer. Numbers are compared as numbers: 0 and 0.0 are one value.
pub(super) fn values(profile: &Value) -> Value {
    let metrics: serde_json::Map<String, Value> = profile["metrics"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, metric)| (name.clone(), metric["values"].clone()))
        .collect();
    json!({"ts_ms": profile["ts_ms"], "interval_ms": profile["interval_ms"], "metrics": metrics})
}

pub(super) fn as_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().unwrap()),
        Value::Array(items) => items.iter().map(as_floats).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), as_floats(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn csv_and_json_agree_staged_and_sealed() {
    let (world, job) = archived().await;
    let middle = job.window.from.plus_ms(60_000);
    let mut before: Vec<Value> = Vec::new();
    for sealed in [false, true] {
        if sealed {
            assert_eq!(world.api().seal().await["jobs"], 1);
        }
        let mut answers = Vec::new();
        for query in [
            String::new(),
            "metrics=cpu_used_cores,load1".to_owned(),
            format!("from={}", middle.0),
            format!("to={}&metrics=memory_used_bytes", middle.to_rfc3339()),
            "section=step%232".to_owned(),
            "section=cache&raw=true".to_owned(),
            "raw=true&metrics=cpu_user_seconds,oom_kills".to_owned(),
        ] {
            let url = format!("{PROFILE}?{query}&format=json");
            let json = world.api().get(&url).await.json(200);
            assert_eq!(json["state"], "archived");
            assert!(!json["ts_ms"].as_array().unwrap().is_empty(), "{query}");
            let csv = world
                .api()
                .get(&format!("{PROFILE}?format=csv&{query}"))
                .await;
            assert_eq!(
                as_floats(&parse_csv(&csv)),
                as_floats(&values(&json)),
                "{query}"
            );
            let headers = [("accept", "text/csv, */*;q=0.9")];
            let url = format!("{PROFILE}?{query}");
            let accepted = world.api().send(Method::GET, &url, &headers, "").await;
            assert_eq!(accepted.body, csv.body, "{query}");
            assert_eq!(accepted.header("vary"), "accept");
            answers.push(json);
        }
        if sealed {
            assert_eq!(answers, before, "sealing changed what is read");
        }
        before = answers;
    }
}

#[tokio::test]
async fn parts_are_parts_of_the_whole() {
    let (world, job) = archived().await;
    let get = async |query: &str| {
        world
            .api()
            .get(&format!("{PROFILE}?{query}"))
            .await
            .json(200)
    };
    let whole = get("").await;
    let names = |profile: &Value| -> Vec<String> {
        profile["metrics"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    let known: Vec<&str> = GRAPH_METRICS.iter().map(|metric| metric.name).collect();
    assert!(
        names(&whole)
            .iter()
            .all(|name| known.contains(&name.as_str()))
    );
    assert!(names(&whole).len() >= 18, "{:?}", names(&whole));
    assert_eq!(whole["from_ms"], job.window.from.0);
    assert_eq!(whole["to_ms"], job.window.to.0);
    assert_eq!(whole["metrics"]["cpu_used_cores"]["unit"], "cores");

    let two = get("metrics=load1,%20cpu_used_cores").await;
    assert_eq!(names(&two), ["cpu_used_cores", "load1"]);
    assert_eq!(two["metrics"]["load1"], whole["metrics"]["load1"]);
    assert_eq!(two["ts_ms"], whole["ts_ms"]);

    // The parts of a cut in the middle hold every row, and only the row at the cut twice.
    let cut = job.window.from.plus_ms(job.window.len_ms() / 2).0;
    let rows = |profile: &Value| profile["ts_ms"].as_array().unwrap().clone();
    let (left, right) = (
        rows(&get(&format!("to={cut}")).await),
        rows(&get(&format!("from={cut}")).await),
    );
    let mut joined = left.clone();
    joined.extend(right.iter().filter(|ts| !left.contains(ts)).cloned());
    assert_eq!(joined, rows(&whole));
    assert!(left.len() < joined.len() && right.len() < joined.len());
    assert!(left.len() + right.len() <= joined.len() + 1);

    let third = job.window.len_ms() / 3;
    let first = get("section=step").await;
    assert_eq!(
        (&first["from_ms"], &first["to_ms"]),
        (&json!(job.window.from.0), &json!(job.window.from.0 + third))
    );
    assert_eq!(get("section=step%231").await, first);
    let second = get("section=step%232").await;
    assert_eq!(second["to_ms"], job.window.to.0);
    assert_ne!(second["ts_ms"], first["ts_ms"]);

    let raw = get("raw=true").await;
    let columns: Vec<&str> = Column::ALL.iter().map(|column| column.name()).collect();
    assert!(
        names(&raw)
            .iter()
            .all(|name| columns.contains(&name.as_str()))
    );
    assert_eq!(raw["metrics"]["cpu_user_seconds"]["unit"], "seconds");
    check_rate(&whole, &raw);
}

/// A graph-unit value is what is stored, over the interval.
fn check_rate(whole: &Value, raw: &Value) {
    let cell =
        |profile: &Value, name: &str, row: usize| profile["metrics"][name]["values"][row].as_f64();
    let mut checked = 0;
    for row in 0..whole["ts_ms"].as_array().unwrap().len() {
        let Some(interval) = whole["interval_ms"][row].as_f64() else {
            continue;
        };
        let used = cell(raw, "cpu_user_seconds", row).zip(cell(raw, "cpu_system_seconds", row));
        let (user, system) = used.unwrap();
        let cores = cell(whole, "cpu_used_cores", row).unwrap();
        assert!(
            (cores - (user + system) * 1e3 / interval).abs() < 1e-4,
            "row {row}"
        );
        checked += 1;
    }
    assert!(checked >= 8);
}

#[tokio::test]
async fn unknown_names_are_answered_with_the_known_ones() {
    let (world, job) = archived().await;
    let from = job.window.to.0;
    let to = job.window.from.0;
    let swapped = format!("from={from}&to={to}");
    let graph: Vec<&str> = GRAPH_METRICS.iter().map(|metric| metric.name).collect();
    let columns: Vec<&str> = Column::ALL.iter().map(|column| column.name()).collect();
    let mut of_graph = vec!["\"cpu\""];
    of_graph.extend(graph);
    let mut of_columns = vec!["\"cpu_used_cores\""];
    of_columns.extend(columns);
    let cases: [(&str, &str, &[&str]); 10] = [
        ("metrics=cpu", "unknown_metric", &of_graph),
        ("metrics=load1,cpu", "unknown_metric", &of_graph),
        (
            "raw=true&metrics=cpu_used_cores",
            "unknown_metric",
            &of_columns,
        ),
        (
            "section=build",
            "unknown_section",
            &["\"build\"", "step", "cache"],
        ),
        ("section=step%233", "unknown_section", &["step#3", "cache"]),
        ("section=step%230", "unknown_section", &["step#0"]),
        (
            "format=xlsx",
            "unknown_format",
            &["\"xlsx\"", "json", "csv", "parquet", "arrow", "openmetrics"],
        ),
        ("from=noon", "invalid_query", &["from", "RFC 3339"]),
        (&swapped, "invalid_range", &["`to` is before `from`"]),
        ("raw=maybe", "invalid_query", &["raw"]),
    ];
    for (query, code, parts) in cases {
        let answer = world.api().get(&format!("{PROFILE}?{query}")).await;
        answer.problem(400, code, parts);
    }
    for query in [
        "pionts=5",
        "points=1",
        "points=10001",
        "points=-2",
        "points=many",
    ] {
        let answer = world.api().get(&format!("{PROFILE}?{query}")).await;
        let name = query.split('=').next().unwrap();
        answer.problem(400, "invalid_query", &[name]);
    }
    // A job without sections says that, and does not list nothing.
    world.archive("2", &report(job)).await;
    let answer = world
        .api()
        .get("/api/v1/jobs/gitlab/2/profile?section=step")
        .await;
    answer.problem(400, "unknown_section", &["no sections"]);
}
