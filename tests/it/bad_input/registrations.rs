//! Jobs whose runner, region or machine nobody has registered: kept, explained, archived later.

use crate::support::{World, fleet_job, report, with};
use serde_json::{Value, json};
use std::time::Duration;
use tachograph::time::{Clock as _, TimestampMs};

const DAY_MS: i64 = 86_400_000;

#[tokio::test]
async fn a_job_waits_for_its_runner_then_its_region_then_its_machine() {
    let mut world = World::unregistered().await;
    let job = fleet_job(0);
    let mut body = report(job);
    body.as_object_mut().unwrap().remove("machine");
    world.api().report("1", &body).await;
    let waits = world.api().job_when("1", "pending", "waiting_for_runner");
    let waits = waits.await;
    let text = waits["reason_text"].as_str().unwrap();
    assert!(
        text.contains("PUT /api/v1/runners/{source}/{runner_id}"),
        "{text}"
    );
    // The wait outlives a restart.
    world.restart().await;
    let api = world.api();
    assert_eq!(api.job("1").await, waits);

    // Another runner, and one of that number in another source, are none of this job's.
    for path in ["/api/v1/runners/gitlab/43", "/api/v1/runners/github/42"] {
        api.put(path, &json!({"region": "eu-1"})).await.empty();
    }
    api.job_when("1", "pending", "waiting_for_runner").await;
    let runner = json!({"region": "eu-1"});
    api.put("/api/v1/runners/gitlab/42", &runner).await.empty();
    let waits = api.job_when("1", "pending", "waiting_for_region").await;
    let text = waits["reason_text"].as_str().unwrap();
    assert!(text.contains("PUT /api/v1/regions/{name}"), "{text}");

    let region = json!({"url": world.prometheus.url()});
    api.put("/api/v1/regions/eu-1", &region).await.empty();
    let waits = api.job_when("1", "pending", "waiting_for_machine").await;
    let text = waits["reason_text"].as_str().unwrap();
    assert!(text.contains("field `machine`"), "{text}");
    assert_eq!(world.reads(), 0);
    api.report("1", &json!({"machine": job.machine})).await;
    let archived = api.job_when("1", "archived", "").await;
    assert_eq!(archived["verdict"], "complete");
    assert_eq!(archived["machine"]["region"], "eu-1");
    assert_eq!(world.reads(), 1);
}

#[tokio::test]
async fn many_jobs_are_woken_by_one_registration_without_the_clock() {
    let world = World::start().await;
    let api = world.api();
    for number in 0..20 {
        let body = with(report(fleet_job(number % 3)), json!({"runner_id": 7}));
        api.report(&number.to_string(), &body).await;
    }
    for number in 0..20 {
        api.job_when(&number.to_string(), "pending", "waiting_for_runner")
            .await;
    }
    let runner = json!({"region": "eu-1"});
    api.put("/api/v1/runners/gitlab/7", &runner).await.empty();
    for number in 0..20 {
        api.job_when(&number.to_string(), "archived", "").await;
    }
}

#[tokio::test]
async fn a_registration_in_the_same_moment_is_not_missed() {
    let world = World::start().await;
    let api = world.api();
    let runner = json!({"region": "eu-1"});
    for number in 0..120_u64 {
        let (id, path) = (
            number.to_string(),
            format!("/api/v1/runners/gitlab/{}", 100 + number),
        );
        let body = with(report(fleet_job(0)), json!({"runner_id": 100 + number}));
        api.report(&id, &body).await;
        // The pipeline looks for the runner about now: from before its look to after its wait.
        tokio::time::sleep(Duration::from_micros(number % 30 * 200)).await;
        api.put(&path, &runner).await.empty();
    }
    // The clock stands still: a job that was not woken would wait for ever.
    for number in 0..120 {
        api.job_when(&number.to_string(), "archived", "").await;
    }
}

#[tokio::test]
async fn a_job_whose_runner_never_comes_is_given_up_when_its_samples_are_gone() {
    let world = World::start().await;
    let api = world.api();
    let body = with(report(fleet_job(0)), json!({"runner_id": 7}));
    let heard = world.clock.now();
    api.report("1", &body).await;
    api.job_when("1", "pending", "waiting_for_runner").await;
    // An hour before the default retention of 15 days. While no region is known that counts from when
    // the job was first heard of: its Prometheus may keep more, and the job may be reported late.
    let deadline = |heard: TimestampMs| heard.plus_ms(15 * DAY_MS - 3_600_000);
    let first = deadline(heard);
    world.clock.set(first.plus_ms(-1_000));
    api.report("2", &with(body, json!({"name": "other"}))).await;
    api.job_when("2", "pending", "waiting_for_runner").await;
    assert_eq!(api.job("1").await["state"], "pending");
    world.clock.set(first);
    api.job_when("1", "unavailable", "never_registered").await;
    assert_eq!(api.job("2").await["state"], "pending");
    world.clock.set(deadline(first.plus_ms(-1_000)));
    for job in ["1", "2"] {
        let gone = api.job_when(job, "unavailable", "never_registered").await;
        assert_eq!(gone["verdict"], "past_retention");
        assert_eq!(gone["coverage"], json!(0.0));
        assert_eq!(gone["summary"], json!({}));
        assert_eq!(gone["project"], "acme/app");
        assert_eq!(api.profile(job).await["ts_ms"], json!([]));
    }
    // Jobs without samples are sealed and stay what they were.
    let before: Vec<Value> = [api.job("1").await, api.job("2").await].into();
    assert_eq!(api.seal().await["jobs"], 2);
    let mut world = world;
    for restarted in [false, true] {
        if restarted {
            world.restart().await;
        }
        let api = world.api();
        assert_eq!([api.job("1").await, api.job("2").await].to_vec(), before);
        assert_eq!(api.profile("1").await["ts_ms"], json!([]));
        assert_eq!(api.ids("state=unavailable").await.len(), 2);
    }
    assert_eq!(world.reads(), 0);
}
