//! Prometheus answers, and has nothing: the job waits, and in the end says which nothing it is.

use crate::support::{FLEET, World, fleet_job, load_fleet, report, wait_for, with};
use serde_json::{Value, json};
use tachograph::source_port::RawSeries;
use tachograph::testkit::fake_prometheus::FakePrometheus;
use tachograph::testkit::fleet::FleetJob;
use tachograph::time::TimestampMs;

const RETENTION_MS: i64 = 7_200_000;
/// No attempt in the last hour of the retention.
const DEADLINE_MS: i64 = RETENTION_MS - 3_600_000;

/// A world whose region keeps two hours, and a Prometheus of the test's own behind it.
async fn world_with(prometheus: &FakePrometheus) -> World {
    let world = World::start().await;
    let region = json!({"url": prometheus.url(), "retention_seconds": RETENTION_MS / 1_000});
    let put = world.api().put("/api/v1/regions/eu-1", &region);
    put.await.empty();
    world
}

/// The series without those of the machine of `job`.
async fn others_than(job: &FleetJob) -> FakePrometheus {
    let prometheus = FakePrometheus::start().await.unwrap();
    load_fleet(&prometheus);
    prometheus.remove(&format!("{}:9100", job.machine));
    prometheus
}

#[tokio::test]
async fn a_machine_that_prometheus_does_not_know_is_asked_for_again_then_named() {
    let job = fleet_job(0);
    let prometheus = others_than(job).await;
    let world = world_with(&prometheus).await;
    let api = world.api();
    world.clock.set(job.window.to.plus_ms(60_000));
    for (id, machine) in [
        ("1", job.machine.as_str()),
        ("2", "no-such-machine"),
        ("late", &job.machine),
    ] {
        api.report(id, &with(report(job), json!({ "machine": machine })))
            .await;
        let waits = api.job_when(id, "pending", "no_samples_yet").await;
        assert_eq!(waits["verdict"], Value::Null);
    }
    let deadline = job.window.from.plus_ms(DEADLINE_MS);
    world.clock.set(deadline.plus_ms(-1_000));
    for id in ["1", "2"] {
        api.job_when(id, "pending", "no_samples_yet").await;
    }
    world.clock.set(deadline);
    for id in ["1", "2"] {
        let job = api.job_when(id, "unavailable", "unknown_machine").await;
        assert_eq!(job["verdict"], "unknown_machine");
        let text = job["reason_text"].as_str().unwrap();
        assert!(
            text.contains("Check machine_label and machine_value"),
            "{text}"
        );
        assert_eq!(job["machine"]["region"], "eu-1");
        assert_eq!(api.profile(id).await["metrics"], json!({}));
    }
}

#[tokio::test]
async fn samples_that_come_late_are_still_taken() {
    let job = fleet_job(0);
    let prometheus = others_than(job).await;
    let world = world_with(&prometheus).await;
    world.clock.set(job.window.to.plus_ms(60_000));
    world.api().report("1", &report(job)).await;
    world.api().job_when("1", "pending", "no_samples_yet").await;
    load_fleet(&prometheus);
    world.clock.advance_ms(99_000);
    let archived = world.api().job_when("1", "archived", "").await;
    assert_eq!(archived["verdict"], "complete");
}

#[tokio::test]
async fn a_job_older_than_the_retention_says_so_at_once() {
    let job = fleet_job(0);
    let prometheus = others_than(job).await;
    let world = world_with(&prometheus).await;
    world.clock.set(job.window.from.plus_ms(RETENTION_MS));
    world.api().report("1", &report(job)).await;
    let gone = world.api().job_when("1", "unavailable", "past_retention");
    assert_eq!(gone.await["verdict"], "past_retention");
    // What the server still has is taken, however late.
    load_fleet(&prometheus);
    let late = world.archive("2", &report(job)).await;
    assert_eq!(late["verdict"], "complete");
}

#[tokio::test]
async fn a_prometheus_that_recorded_nothing_at_all_is_a_gap() {
    let job = fleet_job(0);
    let prometheus = FakePrometheus::start().await.unwrap();
    let world = world_with(&prometheus).await;
    world.clock.set(job.window.from.plus_ms(DEADLINE_MS));
    world.api().report("1", &report(job)).await;
    let gap = world.api().job_when("1", "unavailable", "prometheus_gap");
    assert_eq!(gap.await["verdict"], "prometheus_gap");
}

#[tokio::test]
async fn a_machine_that_never_answered_a_scrape_is_not_unknown() {
    let job = fleet_job(0);
    let prometheus = others_than(job).await;
    let samples = (-4..60).map(|scrape| (job.window.from.0 + scrape * 15_000, 0.0));
    let up = RawSeries {
        name: "up".to_owned(),
        labels: vec![("job".to_owned(), "node".to_owned())],
        samples: samples.collect(),
    };
    prometheus.put(&format!("{}:9100", job.machine), vec![up]);
    let world = world_with(&prometheus).await;
    world.clock.set(job.window.from.plus_ms(DEADLINE_MS));
    world.api().report("1", &report(job)).await;
    let down = world.api().job_when("1", "unavailable", "unknown_machine");
    assert_eq!(down.await["verdict"], "scrape_down");
}

/// What a Prometheus that scrapes once a minute has of the job's machine at `now`. Its scrapes are
/// those of the fleet's that leave the longest time behind the end of the job.
fn once_a_minute(job: &FleetJob, now: TimestampMs) -> Vec<RawSeries> {
    let machine = FLEET.machines.iter().find(|m| m.name == job.machine);
    let mut series = machine.unwrap().series.clone();
    let turn = |ts: i64| ts.div_euclid(15_000) % 4;
    let last_before = |(ts, _): &&(i64, f64)| *ts < job.window.to.0;
    let last = series[0].samples.iter().rfind(last_before).unwrap().0;
    for series in &mut series {
        let kept = |ts: i64| ts <= now.0 && turn(ts) == turn(last);
        series.samples.retain(|(ts, _)| kept(*ts));
    }
    series
}

#[tokio::test]
async fn an_interval_of_a_minute_that_nobody_registered_costs_no_tail() {
    let job = fleet_job(0);
    let instance = format!("{}:9100", job.machine);
    let prometheus = FakePrometheus::start().await.unwrap();
    let world = world_with(&prometheus).await;
    // The first look at a region whose interval is not known.
    let first = job.window.to.plus_ms(42_500);
    world.clock.set(first);
    prometheus.put(&instance, once_a_minute(job, first));
    world.api().report("1", &report(job)).await;
    let settled = first.plus_ms(137_000 - 42_500);
    wait_for("the first look", async || {
        let metrics = world.api().get("/metrics").await.text();
        let looked = metrics.contains("archive_attempts_total{outcome=\"settling\"} 1");
        looked.then_some(()).ok_or(metrics)
    })
    .await;
    prometheus.put(&instance, once_a_minute(job, settled));
    world.clock.set(settled);
    let whole = world.api().job_when("1", "archived", "").await;
    assert_eq!(whole["verdict"], "complete");
    assert_eq!(whole["scrape_interval_seconds"], json!(60.0));
    assert_eq!(whole["coverage"], json!(1.0));
}
