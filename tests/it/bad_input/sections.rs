//! Sections as logs have them: unsorted, overlapping, empty, many.

use crate::support::{World, fleet_job, report, with};
use serde_json::{Value, json};
use tachograph::testkit::fleet::FleetJob;

fn section(job: &FleetJob, name: &str, from_ms: i64, to_ms: i64) -> Value {
    let at = |ms| job.window.from.plus_ms(ms).to_rfc3339();
    json!({"name": name, "started_at": at(from_ms), "finished_at": at(to_ms)})
}

fn cpu(summary: &Value) -> f64 {
    summary["cpu_used_seconds"]["total"].as_f64().unwrap()
}

#[tokio::test]
async fn unsorted_overlapping_and_empty_sections_are_kept_as_they_are() {
    let mut world = World::start().await;
    let job = fleet_job(0);
    let end = job.window.len_ms();
    let parts = [
        ("late", end / 2, end),
        ("whole", 0, end),
        ("early", 0, end / 2),
        ("nothing", end / 2, end / 2),
        ("early", 0, end / 2),
        ("before and after", -3_600_000, end + 3_600_000),
        ("elsewhere", -7_200_000, -3_600_000),
    ];
    let sections: Vec<Value> = parts
        .iter()
        .map(|(name, from, to)| section(job, name, *from, *to))
        .collect();
    let body = with(report(job), json!({ "sections": sections }));
    let archived = world.archive("1", &body).await;
    let shown = archived["sections"].as_array().unwrap();
    assert_eq!(shown.len(), parts.len());
    for (shown, (name, from, to)) in shown.iter().zip(parts) {
        assert_eq!(shown["name"], name);
        assert_eq!(shown["started_at_ms"], job.window.from.0 + from);
        assert_eq!(shown["finished_at_ms"], job.window.from.0 + to);
    }
    let used = |number: usize| cpu(&shown[number]["summary"]);
    assert!(
        (used(0) + used(2) - used(1)).abs() <= 0.02,
        "halves make a whole"
    );
    assert_eq!(used(2), used(4));
    assert_eq!(used(1), cpu(&archived["summary"]));
    assert!(used(5) >= used(1));
    for number in [3, 6] {
        let total = &shown[number]["summary"]["cpu_used_seconds"]["total"];
        assert!(total.is_null() || *total == 0.0, "{total}");
    }
    for (query, empty) in [("nothing", true), ("early%232", false), ("elsewhere", true)] {
        let path = format!("/api/v1/jobs/gitlab/1/profile?section={query}");
        let part = world.api().get(&path).await.json(200);
        assert_eq!(
            part["ts_ms"].as_array().unwrap().is_empty(),
            empty,
            "{query}"
        );
    }
    world.api().seal().await;
    world.restart().await;
    assert_eq!(world.api().job("1").await, archived);
}

#[tokio::test]
async fn a_thousand_sections_add_up_and_more_than_two_thousand_are_refused() {
    let world = World::start().await;
    let job = fleet_job(0);
    let many = |count: i64| -> Vec<Value> {
        let edge = |number: i64| job.window.len_ms() * number / count;
        let one = |number| section(job, &format!("s{number}"), edge(number), edge(number + 1));
        (0..count).map(one).collect()
    };
    for count in [2_001, 5_000] {
        let body = with(report(job), json!({ "sections": many(count) }));
        let put = world.api().put("/api/v1/jobs/gitlab/1", &body).await;
        let count = count.to_string();
        put.problem(400, "invalid_job", &[&count, "at most 2000"]);
    }
    let get = world.api().get("/api/v1/jobs/gitlab/1").await;
    get.problem(404, "job_not_found", &[]);
    for count in [1_000, 2_000] {
        let id = count.to_string();
        let body = with(report(job), json!({ "sections": many(count) }));
        let archived = world.archive(&id, &body).await;
        let shown = archived["sections"].as_array().unwrap();
        assert_eq!(tachograph::num::len_i64(shown.len()), count);
        let bytes = |summary: &Value| summary["network_receive_bytes"]["total"].as_f64().unwrap();
        let sum: f64 = shown.iter().map(|section| bytes(&section["summary"])).sum();
        // Every section is rounded to a whole byte.
        assert!(
            (sum - bytes(&archived["summary"])).abs() <= tachograph::num::to_f64(count) / 2.0,
            "{sum}"
        );
        assert!(sum > 1e6);
        let path = format!("/api/v1/jobs/gitlab/{id}/profile?section=s{}", count - 1);
        world.api().get(&path).await.json(200);
    }
}

#[tokio::test]
async fn a_section_that_ends_before_it_starts_is_named_by_its_number() {
    let world = World::start().await;
    let job = fleet_job(0);
    let body = with(
        report(job),
        json!({"sections": [
            section(job, "fine", 0, 1_000),
            section(job, "backwards", 1_000, 0),
            {"name": "", "started_at": "x", "finished_at": "2026-03-01T00:00:00Z"},
            {"name": "", "started_at": "2026-03-01T00:00:00Z", "finished_at": "2026-03-01T00:00:00Z"},
        ]}),
    );
    let parts = [
        "sections[1].finished_at is before started_at",
        "sections[2].started_at \"x\" is not an RFC 3339 time",
        "sections[3] needs name",
    ];
    let put = world.api().put("/api/v1/jobs/gitlab/1", &body).await;
    put.problem(400, "invalid_job", &parts);
    let get = world.api().get("/api/v1/jobs/gitlab/1").await;
    get.problem(404, "job_not_found", &[]);
}
