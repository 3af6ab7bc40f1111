//! Jobs of a made-up fleet, archived out of a real Prometheus, and readable when it is gone.
//!
//! What is expected of a job's verdict and coverage is computed here a second time, from the times
//! of the scrapes alone.

use crate::support::{Api, Service, report, with};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tachograph::components::{Prometheus, PrometheusOptions, promtool_load};
use tachograph::num;
use tachograph::testkit::clock::ManualClock;
use tachograph::testkit::fleet::{Fleet, FleetJob, FleetSpec};
use tachograph::time::{SharedClock, TimeRange, TimestampMs};

const JOBS: usize = 20;
const INTERVAL_MS: i64 = 15_000;

/// State and its reason, verdict, covered share and samples of a job, by its machine's scrapes.
struct Expected {
    state: (&'static str, &'static str),
    verdict: &'static str,
    coverage: f64,
    samples: usize,
}

fn expected(fleet: &Fleet, job: &FleetJob) -> Expected {
    let machine = fleet
        .machines
        .iter()
        .find(|found| found.name == job.machine);
    let machine = machine.unwrap();
    assert!(machine.rebooted_at.is_none(), "its scrapes have no holes");
    let up = machine
        .series
        .iter()
        .find(|series| series.name == "up")
        .unwrap();
    let scrapes: Vec<TimestampMs> = up.samples.iter().map(|(ts, _)| TimestampMs(*ts)).collect();
    let (first, last) = (*scrapes.first().unwrap(), *scrapes.last().unwrap());
    let samples = scrapes
        .iter()
        .filter(|ts| job.window.contains(**ts))
        .count();
    let covered = job.window.overlap_ms(TimeRange::new(first, last));
    let verdict = if samples < 2 && job.window.len_ms() < 2 * INTERVAL_MS {
        "too_short"
    } else if last < job.window.to {
        "host_gone"
    } else if samples < 2 {
        "too_short"
    } else if first > job.window.from {
        "partial"
    } else {
        "complete"
    };
    // A job that was over before its machine was first scraped.
    let state = match first < job.window.to {
        true => ("archived", ""),
        false => ("unavailable", "unknown_machine"),
    };
    Expected {
        state,
        verdict,
        coverage: num::to_f64(covered) / num::to_f64(job.window.len_ms()),
        samples,
    }
}

/// Everything that can be read of a job.
async fn all_of(api: &Api, id: &str) -> (Value, Value, String) {
    let csv = format!("/api/v1/jobs/gitlab/{id}/profile?raw=true&format=csv");
    (
        api.job(id).await,
        api.profile(id).await,
        api.get(&csv).await.text(),
    )
}

fn check(fleet: &Fleet, job: &FleetJob, shown: &Value, profile: &Value) {
    let expected = expected(fleet, job);
    assert_eq!(shown["verdict"], expected.verdict, "{job:?}\n{shown}");
    assert_eq!(shown["sample_count"], expected.samples, "{job:?}");
    let coverage = shown["coverage"].as_f64().unwrap();
    assert!(
        (coverage - expected.coverage).abs() < 1e-3,
        "{coverage}, not {}: {job:?}",
        expected.coverage
    );
    let rows = profile["ts_ms"].as_array().unwrap();
    if expected.samples >= 2 {
        assert_eq!(shown["scrape_interval_seconds"], 15.0, "{job:?}");
    }
    let inside = |ts: &&Value| job.window.contains(TimestampMs(ts.as_i64().unwrap()));
    assert_eq!(rows.iter().filter(inside).count(), expected.samples);
    assert!(rows.len() <= expected.samples + 1, "{job:?}");
    for metric in profile["metrics"].as_object().unwrap().values() {
        assert_eq!(metric["values"].as_array().unwrap().len(), rows.len());
    }
    let used = &shown["summary"]["cpu_used_seconds"];
    let of = |stat: &str| used[stat].as_f64();
    // Nothing bounds what happened in a part that was not seen.
    assert_eq!(of("high").is_some(), coverage == 1.0, "{used} of {job:?}");
    if coverage > 0.0 {
        let (low, total) = (of("low").unwrap(), of("total").unwrap());
        let high = of("high").unwrap_or(f64::INFINITY);
        assert!(low <= total && total <= high, "{used} of {job:?}");
    }
}

/// A job that shares the second half of `job` and as much after it.
fn neighbour(job: &FleetJob) -> Value {
    let half = job.window.len_ms() / 2;
    with(
        report(job),
        json!({
            "started_at": job.window.from.plus_ms(half).to_rfc3339(),
            "finished_at": job.window.to.plus_ms(half).to_rfc3339(),
        }),
    )
}

fn check_co_tenants(api_jobs: &[(String, Value)], job: &FleetJob) {
    let of = |id: &str| &api_jobs.iter().find(|(found, _)| found == id).unwrap().1["co_tenants"];
    let half = num::to_f64(job.window.len_ms() - job.window.len_ms() / 2) / 1e3;
    let own = of(&job.id.to_string()).as_array().unwrap();
    assert_eq!(own.len(), 1, "{own:?}");
    assert_eq!(
        own[0],
        json!({"source": "gitlab", "job_id": "neighbour", "overlap_seconds": half})
    );
    let others = of("neighbour").as_array().unwrap();
    let id = job.id.to_string();
    let back = others.iter().find(|other| other["job_id"] == id.as_str());
    assert_eq!(back.unwrap()["overlap_seconds"], half);
}

/// Machines that come late, go with their only job, or stay; jobs of half a minute and more.
fn fleet() -> Fleet {
    Fleet::generate(FleetSpec {
        seed: 3,
        machines: 8,
        median_seconds: 70.0,
        ephemeral_share: 0.4,
        reboot_share: 0.0,
        discovery_delay_ms: 90_000,
        ..FleetSpec::default()
    })
}

/// A real Prometheus in `home` with the fleet's history.
async fn prometheus_of(fleet: &Fleet, home: &Path) -> Prometheus {
    let mut text = Vec::new();
    fleet.write_open_metrics(&mut text).unwrap();
    std::fs::create_dir_all(home).unwrap();
    let file = home.join("fleet.om");
    std::fs::write(&file, text).unwrap();
    promtool_load(&file, &home.join("data")).await.unwrap();
    let prometheus = Prometheus::start(home, PrometheusOptions::default());
    prometheus.await.unwrap()
}

/// Registers `url`, reports the jobs and the neighbour of one of them, and waits until all are what
/// they should be. Their ids.
async fn archive(
    api: &Api,
    url: &str,
    fleet: &Fleet,
    jobs: &[&FleetJob],
    shared: &FleetJob,
) -> Vec<String> {
    let region = json!({"url": url, "kind": "prometheus"});
    api.put("/api/v1/regions/eu-1", &region).await.empty();
    let runner = json!({"region": "eu-1"});
    api.put("/api/v1/runners/gitlab/42", &runner).await.empty();
    for job in jobs {
        api.report(&job.id.to_string(), &report(job)).await;
    }
    api.report("neighbour", &neighbour(shared)).await;
    for job in jobs {
        let (state, reason) = expected(fleet, job).state;
        api.job_when(&job.id.to_string(), state, reason).await;
    }
    api.job_when("neighbour", "archived", "").await;
    let ids = jobs.iter().map(|job| job.id.to_string());
    ids.chain(["neighbour".to_owned()]).collect()
}

#[tokio::test]
async fn a_fleet_is_archived_and_outlives_its_prometheus() {
    let fleet = fleet();
    let jobs: Vec<&FleetJob> = fleet.jobs.iter().take(JOBS).collect();
    assert_eq!(jobs.len(), JOBS);
    let verdicts = jobs.iter().map(|job| expected(&fleet, job).verdict);
    let verdicts: std::collections::BTreeSet<&str> = verdicts.collect();
    assert_eq!(verdicts.len(), 4, "too easy a fleet: {verdicts:?}");
    let shared = jobs.iter().find(|job| job.window.len_ms() > 120_000);
    let shared = shared.unwrap();

    let dir = tempfile::tempdir().unwrap();
    let prometheus = prometheus_of(&fleet, &dir.path().join("prometheus")).await;
    let end = fleet.machines.iter().map(|machine| machine.seen.to).max();
    let clock = ManualClock::at(end.unwrap().plus_ms(3_600_000));
    let data = dir.path().join("data");
    let start = async || {
        let clock: SharedClock = Arc::<ManualClock>::clone(&clock);
        Service::start(&data, clock).await
    };
    let service = start().await;
    let api = &service.api;
    let ids = archive(api, &prometheus.url(), &fleet, &jobs, shared).await;
    let mut staged = Vec::new();
    for id in &ids {
        staged.push(all_of(api, id).await);
    }
    for (job, (shown, profile, _)) in jobs.iter().zip(&staged) {
        check(&fleet, job, shown, profile);
    }
    let shown: Vec<(String, Value)> = ids
        .iter()
        .cloned()
        .zip(staged.iter().map(|all| all.0.clone()))
        .collect();
    check_co_tenants(&shown, shared);

    assert_eq!(api.seal().await["jobs"], ids.len());
    let same = async |api: &Api, when: &str| {
        for (id, before) in ids.iter().zip(&staged) {
            assert_eq!(all_of(api, id).await, *before, "job {id} {when}");
        }
    };
    same(api, "after the seal").await;
    service.stop().await;
    let service = start().await;
    same(&service.api, "after a restart").await;
    let samples = prometheus.data_dir();
    prometheus.stop_and_delete_data().await.unwrap();
    assert!(!samples.is_dir());
    same(&service.api, "without its Prometheus").await;
    service.stop().await;
    let service = start().await;
    same(&service.api, "after a restart without Prometheus").await;
    assert_eq!(service.api.ids("limit=100").await.len(), ids.len());
    service.stop().await;
}
