//! Lists of jobs: filters, order, pages.

use crate::support::{Api, World, fleet_job, report, with};
use serde_json::{Value, json};
use tachograph::time::TimestampMs;

const MINUTE_MS: i64 = 60_000;

/// Ten jobs, one minute apart, oldest first: 0..5 of project a, 5..10 of project b. They run on no
/// registered runner, so that they stay as they are.
async fn ten_jobs(api: &Api, start: TimestampMs) {
    for number in 0..10_i64 {
        let project = if number < 5 { "a" } else { "b" };
        let from = start.plus_ms(number * MINUTE_MS);
        let body = json!({
            "project": format!("acme/{project}"), "project_id": 100 + number / 5,
            "name": if number % 2 == 0 { "unit" } else { "lint" },
            "ref": if number % 3 == 0 { "main" } else { "topic" },
            "runner_id": 1_000 + number % 2, "machine": format!("m-{}", number % 4),
            "status": if number == 9 { "failed" } else { "success" },
            "started_at": from.to_rfc3339(), "finished_at": from.plus_ms(30_000).to_rfc3339(),
        });
        api.report(&number.to_string(), &body).await;
    }
}

#[tokio::test]
async fn filters_select_and_pages_add_up() {
    let world = World::start().await;
    let api = world.api();
    let start = world.now().plus_ms(-3_600_000);
    ten_jobs(api, start).await;
    api.put(
        "/api/v1/jobs/github/0",
        &json!({"name": "unit", "machine": "m-0"}),
    )
    .await
    .json(202);
    for (query, expected) in [
        ("source=gitlab", "9876543210"),
        ("source=gitlab&project=acme/a", "43210"),
        ("project=acme/a", "43210"),
        ("source=gitlab&project=101", "98765"),
        ("source=gitlab&project=acme/a&name=unit&ref=main", "0"),
        ("source=gitlab&project=acme/a&name=unit", "420"),
        ("source=gitlab&name=lint", "97531"),
        ("source=gitlab&runner=1001", "97531"),
        ("runner=1001", "97531"),
        ("machine=m-3", "73"),
        ("source=gitlab&machine=m-0", "840"),
        ("status=failed", "9"),
        ("source=gitlab&status=success&ref=main", "630"),
        ("source=nobody", ""),
        ("source=gitlab&project=acme/c", ""),
        ("source=gitlab&runner=7", ""),
        ("verdict=complete", ""),
        ("state=archived", ""),
        ("source=github", "0"),
    ] {
        assert_eq!(api.ids(query).await.concat(), expected, "{query}");
    }
    let time = |minutes: i64| start.plus_ms(minutes * MINUTE_MS);
    let (three, five) = (time(3), time(5));
    for (query, expected) in [
        (format!("source=gitlab&from={}", three.0), "9876543"),
        (format!("source=gitlab&to={}", three.to_rfc3339()), "210"),
        (
            format!("source=gitlab&from={}&to={}", three.0, five.0),
            "43",
        ),
        (format!("source=gitlab&from={}&to={}", five.0, three.0), ""),
        (
            format!("source=gitlab&project=acme/b&to={}", time(7).0),
            "65",
        ),
    ] {
        assert_eq!(api.ids(&query).await.concat(), expected, "{query}");
    }
    for query in [
        "source=gitlab",
        "source=gitlab&name=lint",
        "source=gitlab&runner=1000",
    ] {
        for limit in [1, 2, 3, 10] {
            assert_eq!(
                paged(api, query, limit).await,
                api.ids(query).await,
                "{query} by {limit}"
            );
        }
    }
    assert_eq!(api.ids("source=gitlab&limit=0").await.concat(), "9");
    assert_eq!(api.ids("source=gitlab&limit=100000").await.len(), 10);
}

/// A list taken page by page.
async fn paged(api: &Api, query: &str, limit: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/jobs?{query}&limit={limit}{cursor}");
        let page = api.get(&path).await.json(200);
        let jobs = page["jobs"].as_array().unwrap();
        assert!(jobs.len() <= limit);
        all.extend(
            jobs.iter()
                .map(|job| job["job_id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
        assert!(all.len() <= 20, "the pages do not end");
    }
}

#[tokio::test]
async fn states_and_verdicts_are_listed_as_the_jobs_show_them() {
    let world = World::start().await;
    let api = world.api();
    let archived = world.archive("1", &report(fleet_job(0))).await;
    api.report("2", &json!({"status": "created"})).await;
    let started = world.now().to_rfc3339();
    api.report("3", &json!({"status": "running", "started_at": started}))
        .await;
    let unknown = with(report(fleet_job(1)), json!({"runner_id": 9}));
    api.report("4", &unknown).await;
    api.job_when("4", "pending", "waiting_for_runner").await;
    assert_eq!(api.ids("state=archived").await, ["1"]);
    assert_eq!(api.ids("verdict=complete").await, ["1"]);
    assert_eq!(api.ids("state=live").await, ["3"]);
    let mut pending = api.ids("state=pending").await;
    pending.sort();
    assert_eq!(pending, ["2", "4"]);

    api.seal().await;
    for query in [
        "state=archived",
        "source=gitlab&runner=42",
        "source=gitlab&project=4711&state=archived",
    ] {
        assert_eq!(api.ids(query).await, ["1"], "{query}");
    }
    // The short form is the long one without what a list need not know.
    let page = api.get("/api/v1/jobs?state=archived").await.json(200);
    let short = page["jobs"][0].as_object().unwrap().clone();
    assert_eq!(page["next_cursor"], Value::Null);
    assert!(!short.contains_key("sections") && !short.contains_key("co_tenants"));
    for (field, value) in short.iter().filter(|(field, _)| *field != "summary") {
        assert_eq!(*value, archived[field], "{field}");
    }
}

#[tokio::test]
async fn questions_that_make_no_sense_say_so() {
    let world = World::unregistered().await;
    for (query, code, part) in [
        ("cursor=x", "invalid_cursor", "without it"),
        ("state=done", "invalid_query", "state \"done\""),
        ("status=done", "invalid_query", "status \"done\""),
        ("verdict=fine", "invalid_query", "verdict \"fine\""),
        ("from=yesterday", "invalid_query", "from must be"),
        ("to=1700000000", "invalid_query", "to must be"),
        ("limit=-1", "invalid_query", "limit"),
        ("limit=many", "invalid_query", "limit"),
        ("colour=red", "invalid_query", "colour"),
        ("name=a&name=b", "invalid_query", "name"),
        ("machine=a%22b", "invalid_machine", "letters"),
        ("machine=", "invalid_machine", "empty"),
        ("source=", "invalid_id", "source"),
    ] {
        let answer = world.api().get(&format!("/api/v1/jobs?{query}")).await;
        answer.problem(400, code, &[part]);
    }
}
