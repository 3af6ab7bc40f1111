//! How true the archive is: a made-up fleet with a known truth goes through a real Prometheus and a
//! real service, and what comes out is held against the truth and against the raw samples.
//!
//! `tools/accuracy` prints the table, or
//! `cargo test --features testkit --test it accuracy -- --nocapture`.
//!
//! 1. The error of `cpu_used_seconds` of jobs of 1 to 5 minutes: at most 2 %, or 5 % more than exact
//!    linear interpolation of the same scrapes makes, where that is more. Every job's total agrees
//!    with that interpolation up to its rounding.
//! 2. Nothing is invented: every stored cell follows from samples of the job's machine at exactly
//!    that time.
//! 3. What is said to be proven is: the truth lies in `[low, high]`.
#![expect(clippy::disallowed_methods, reason = "a test's own files and tasks")]

mod oracle;
mod report;

use crate::proof_support::Api;
use futures::StreamExt as _;
use oracle::Oracle;
use report::Case;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tachograph::archive::Archive;
use tachograph::components::{Prometheus, PrometheusOptions, promtool_load};
use tachograph::config::Config;
use tachograph::model::id::{JobId, JobRef, Source};
use tachograph::model::scope::Scope;
use tachograph::outbound::Timeouts;
use tachograph::prometheus::PrometheusSource;
use tachograph::server::Server;
use tachograph::testkit::clock::ManualClock;
use tachograph::testkit::fleet::{Fleet, FleetJob, FleetSpec};
use tachograph::time::{SharedClock, TimestampMs};
use tokio::sync::oneshot;

/// How long the region keeps samples: a job without any is given up then.
const RETENTION_SECONDS: i64 = 15 * 86_400;
/// Patience for the whole fleet. It takes a few seconds on an idle machine.
const TRIES: u32 = 1_200;
const PAUSE: Duration = Duration::from_millis(250);

/// Two fleets in one region: jobs of minutes, and short ones.
fn fleet() -> Fleet {
    let minutes = FleetSpec {
        seed: 20_261_124,
        machines: 130,
        median_seconds: 150.0,
        ephemeral_share: 0.4,
        reboot_share: 0.05,
        ..FleetSpec::default()
    };
    let short = FleetSpec {
        seed: 7,
        machines: 90,
        median_seconds: 20.0,
        ephemeral_share: 0.6,
        ..minutes
    };
    let mut fleet = Fleet::generate(minutes);
    let mut more = Fleet::generate(short);
    for job in &mut more.jobs {
        job.id += 1_000_000;
    }
    fleet.machines.append(&mut more.machines);
    fleet.jobs.append(&mut more.jobs);
    fleet
}

/// A real Prometheus that knows the fleet sample for sample.
async fn prometheus(fleet: &Fleet, dir: &Path) -> Prometheus {
    std::fs::create_dir_all(dir).unwrap();
    let file = dir.join("fleet.om");
    let mut text = Vec::new();
    fleet.write_open_metrics(&mut text).unwrap();
    std::fs::write(&file, text).unwrap();
    promtool_load(&file, &dir.join("data")).await.unwrap();
    let options = PrometheusOptions::default();
    Prometheus::start(dir, options).await.unwrap()
}

fn job_ref(job: &FleetJob) -> JobRef {
    JobRef {
        source: Source::parse("fleet").unwrap(),
        job_id: JobId::parse(&job.id.to_string()).unwrap(),
    }
}

async fn report_jobs(api: &Api, fleet: &Fleet, region_url: &str) {
    let region = json!({"url": region_url, "retention_seconds": RETENTION_SECONDS});
    assert_eq!(api.put("/regions/eu-1", &region).await.unwrap(), 204);
    let runner = json!({"region": "eu-1"});
    let put = api.put("/runners/fleet/1", &runner).await.unwrap();
    assert_eq!(put, 204);
    let puts = fleet.jobs.iter().map(|job| {
        let body = json!({
            "project": "acme/app", "project_id": 1, "name": format!("{:?}", job.shape), "status": "success",
            "runner_id": 1, "machine": job.machine,
            "started_at": job.window.from.to_rfc3339(), "finished_at": job.window.to.to_rfc3339(),
        });
        async move {
            let path = format!("/jobs/fleet/{}", job.id);
            assert_eq!(api.put(&path, &body).await.unwrap(), 202);
        }
    });
    let puts: Vec<_> = puts.collect();
    futures::stream::iter(puts)
        .buffer_unordered(16)
        .collect::<Vec<()>>()
        .await;
}

/// Waits until every job is archived. Those of which Prometheus knows nothing are asked for again and
/// again until their samples would be forgotten, so the clock is set forward once nothing moves.
async fn settle(archive: &Archive, clock: &ManualClock, end: TimestampMs) {
    let mut before = u64::MAX;
    let mut still = 0;
    for _ in 0..TRIES {
        let pending = archive.pending_count().unwrap();
        if pending == 0 {
            return;
        }
        still = if pending == before { still + 1 } else { 0 };
        if still == 24 {
            clock.set(end.plus_ms(RETENTION_SECONDS * 1_000));
        }
        before = pending;
        tokio::time::sleep(PAUSE).await;
    }
    panic!("{before} jobs are still not archived");
}

/// Runs the fleet through the service; what the service then says of every job.
async fn archived(fleet: &Fleet) -> Vec<Case<'_>> {
    let dir = tempfile::tempdir().unwrap();
    let prometheus = prometheus(fleet, &dir.path().join("prometheus")).await;
    let machines_end = fleet.machines.iter().map(|machine| machine.seen.to);
    let end = machines_end.max().unwrap();
    let clock = ManualClock::at(end.plus_ms(60_000));
    let config = Config {
        listen: "127.0.0.1:0".to_owned(),
        data_dir: dir.path().join("data"),
        ..Config::default()
    };
    let secrets = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let source = PrometheusSource::new(Box::new(secrets), Timeouts::default()).unwrap();
    let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
    let server = Server::bind(&config, Arc::new(source), shared)
        .await
        .unwrap();
    let (api, archive) = (Api::new(server.address()), server.archive());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move { stopped.await.unwrap_or_default() }));

    report_jobs(&api, fleet, &prometheus.url()).await;
    settle(&archive, &clock, end).await;
    let mut cases = Vec::new();
    for job in &fleet.jobs {
        let answer = api.get(&format!("/jobs/fleet/{}", job.id)).await;
        let found = archive.profile(&Scope::local_operator(), &job_ref(job));
        let (view, profile) = found.unwrap().unwrap();
        cases.push(Case::new(fleet, job, answer, view, profile));
    }
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn accuracy_of_a_fleet_through_a_real_prometheus() {
    let fleet = fleet();
    let cases = archived(&fleet).await;
    assert_eq!(cases.len(), fleet.jobs.len());
    println!(
        "{} jobs on {} machines, {} samples, scraped every {} s",
        fleet.jobs.len(),
        fleet.machines.len(),
        fleet.sample_count(),
        fleet.spec.scrape_interval_ms / 1_000
    );
    report::print_errors(&cases);

    let mut cells = oracle::Checked::default();
    for case in &cases {
        Oracle::new(case.machine, case.job.window).check(&case.profile, &mut cells);
        case.check_total();
    }
    println!(
        "{} rows, {} gauge cells, {} increments, all of them from the machine's samples; 0 invented",
        cells.rows, cells.gauges, cells.increments
    );
    report::check_bounds(&cases);
    report::check_error(&cases);
}
