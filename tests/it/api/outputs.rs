//! Formats of a profile: how one is chosen, what headers say, what `points` leaves, what is cached.

use super::profiles::{PROFILE, archived, as_floats, parse_csv, values};
use crate::support::{Answer, World, fleet_job, report, with};
use reqwest::Method;
use serde_json::{Value, json};

/// Name, content type and file name of every format.
const FORMATS: [(&str, &str, &str); 5] = [
    (
        "json",
        "application/json",
        "inline; filename=\"job-gitlab-1.json\"",
    ),
    (
        "csv",
        "text/csv; charset=utf-8; header=present",
        "attachment; filename=\"job-gitlab-1.csv\"",
    ),
    (
        "parquet",
        "application/vnd.apache.parquet",
        "attachment; filename=\"job-gitlab-1.parquet\"",
    ),
    (
        "arrow",
        "application/vnd.apache.arrow.stream",
        "attachment; filename=\"job-gitlab-1.arrows\"",
    ),
    (
        "openmetrics",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        "attachment; filename=\"job-gitlab-1.om\"",
    ),
];

async fn ask(world: &World, query: &str, headers: &[(&str, &str)]) -> Answer {
    let url = format!("{PROFILE}?{query}");
    world.api().send(Method::GET, &url, headers, "").await
}

#[tokio::test]
async fn every_format_is_chosen_by_name_and_by_type() {
    let (world, _) = archived().await;
    for (name, kind, disposition) in FORMATS {
        // The name wins over what `Accept` says.
        let headers = [("accept", "image/png")];
        let named = ask(&world, &format!("format={name}"), &headers).await;
        assert_eq!(named.status, 200, "{}", named.text());
        assert_eq!(named.header("content-type"), kind);
        assert_eq!(named.header("content-disposition"), disposition);
        assert_eq!(named.header("vary"), "accept");
        assert!(named.body.len() > 500, "{name}: {} bytes", named.body.len());
        let media_type = kind.split(';').next().unwrap();
        let accept = format!("image/png, {media_type};q=0.3, application/json;q=0.2");
        let accepted = ask(&world, "", &[("accept", &accept)]).await;
        assert_eq!(accepted.body, named.body, "{accept}");
        assert_eq!(accepted.headers["etag"], named.headers["etag"]);

        let url = format!("{PROFILE}?format={name}");
        let head = world.api().send(Method::HEAD, &url, &[], "").await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        for header in [
            "content-type",
            "content-disposition",
            "etag",
            "cache-control",
        ] {
            assert_eq!(head.header(header), named.header(header), "{name}");
        }
        let length = named.body.len().to_string();
        assert_eq!(head.header("content-length"), length, "{name}");
    }
    for (accept, best) in [
        ("*/*", "application/json"),
        ("text/html, */*;q=0.8", "application/json"),
        ("text/*", "text/csv; charset=utf-8; header=present"),
    ] {
        let answer = ask(&world, "", &[("accept", accept)]).await;
        assert_eq!(answer.header("content-type"), best, "{accept}");
    }
    let mut known: Vec<&str> = FORMATS.iter().map(|(name, ..)| *name).collect();
    known.extend(FORMATS.map(|(_, kind, _)| kind.split(';').next().unwrap()));
    for accept in [
        "image/png",
        "application/json;q=0",
        "text/html, text/csv;q=0.0",
    ] {
        let answer = ask(&world, "", &[("accept", accept)]).await;
        answer.problem(406, "not_acceptable", &known);
    }
}

#[tokio::test]
async fn a_known_answer_is_not_sent_again_and_a_changed_one_is() {
    let (mut world, job) = archived().await;
    let tag = |answer: &Answer| answer.header("etag").to_owned();
    let mut tags = Vec::new();
    for query in [
        "format=json",
        "format=csv",
        "format=parquet",
        "format=arrow",
        "format=openmetrics",
        "format=csv&raw=true",
        "format=csv&metrics=load1",
        "format=csv&section=cache",
        "format=csv&points=2",
    ] {
        let first = ask(&world, query, &[]).await;
        assert_eq!(first.header("cache-control"), "private, no-cache");
        let etag = tag(&first);
        assert!(etag.starts_with('"') && etag.len() == 34, "{etag}");
        let known = format!("\"other\", {etag}");
        let again = ask(&world, query, &[("if-none-match", &known)]).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{query}");
        for header in ["etag", "cache-control", "vary"] {
            assert_eq!(again.header(header), first.header(header), "{query}");
        }
        tags.push(etag);
    }
    let mut distinct = tags.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), tags.len(), "{tags:?}");

    // The seal and a restart change nothing of the answer.
    world.api().seal().await;
    world.restart().await;
    let sealed = ask(&world, "format=json", &[("if-none-match", &tags[0])]).await;
    assert_eq!(sealed.status, 304);
    // An amendment that the answer shows does: the last section ends earlier, so does the job.
    let earlier = job.window.to.plus_ms(-30_000).to_rfc3339();
    let amended = json!({"status": "success", "finished_at": earlier});
    world.api().report("1", &amended).await;
    let after = ask(&world, "format=json", &[("if-none-match", &tags[0])]).await;
    let to_ms = after.json(200)["to_ms"].clone();
    assert_eq!(to_ms, job.window.to.0 - 30_000);
    assert_ne!(tag(&after), tags[0]);
}

#[tokio::test]
async fn without_samples_every_format_is_an_empty_table() {
    let world = World::start().await;
    let waiting = with(report(fleet_job(0)), json!({"runner_id": 9}));
    world.api().report("1", &waiting).await;
    let stranger = with(report(fleet_job(0)), json!({"machine": "nobody"}));
    world.api().report("2", &stranger).await;
    world
        .api()
        .job_when("1", "pending", "waiting_for_runner")
        .await;
    for (name, kind, _) in FORMATS {
        let answer = ask(&world, &format!("format={name}"), &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), kind);
        assert_eq!(answer.header("cache-control"), "no-store");
        match name {
            "json" => assert_eq!(answer.json(200)["reason"], "waiting_for_runner"),
            "csv" => assert_eq!(answer.text(), "ts,ts_ms,interval_ms\r\n"),
            "openmetrics" => assert_eq!(answer.text(), "# EOF\n"),
            // Names and texts stand in the clear in the metadata of both.
            _ => assert!(answer.text().contains("waiting_for_runner"), "{name}"),
        }
    }
}

/// Values of a metric that are there.
fn present<'a>(profile: &'a Value, name: &str) -> impl Iterator<Item = f64> + 'a {
    let values = profile["metrics"][name]["values"].as_array();
    values.unwrap().iter().filter_map(Value::as_f64)
}

#[tokio::test]
async fn points_leave_rows_that_were_there_with_every_extreme() {
    let world = World::start().await;
    let job = (0..3).map(fleet_job).max_by_key(|job| job.window.len_ms());
    world.archive("1", &report(job.unwrap())).await;
    let whole = ask(&world, "", &[]).await.json(200);
    let rows = |profile: &Value| profile["ts_ms"].as_array().unwrap().clone();
    let count = rows(&whole).len();
    assert!(count > 12, "the longest job has {count} rows");
    for query in [format!("points={count}"), "points=10000".to_owned()] {
        assert_eq!(ask(&world, &query, &[]).await.json(200), whole);
    }
    let part = ask(&world, "points=2&metrics=memory_used_bytes", &[]).await;
    let part = part.json(200);
    assert!(rows(&part).len() <= 4, "{part}");
    let all = ask(&world, "points=2", &[]).await.json(200);
    assert!(rows(&all).len() < count);
    for (part, names) in [
        (&part, vec!["memory_used_bytes"]),
        (&all, vec!["memory_used_bytes", "cpu_used_cores", "load1"]),
    ] {
        assert!(rows(part).iter().all(|ts| rows(&whole).contains(ts)));
        for name in names {
            assert_eq!(
                present(part, name).fold(f64::MIN, f64::max),
                present(&whole, name).fold(f64::MIN, f64::max)
            );
            assert_eq!(
                present(part, name).fold(f64::MAX, f64::min),
                present(&whole, name).fold(f64::MAX, f64::min)
            );
        }
    }
    for query in ["points=2", "points=6&raw=true", "points=3&metrics=load1"] {
        let json = ask(&world, query, &[]).await.json(200);
        let csv = ask(&world, &format!("format=csv&{query}"), &[]).await;
        assert_eq!(as_floats(&parse_csv(&csv)), as_floats(&values(&json)));
    }
}
