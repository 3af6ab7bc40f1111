//! A made-up fleet in a stand-in Prometheus, and a service that archives it.

use super::{Api, Service};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use tachograph::gitlab::settings::GitlabSettings;
use tachograph::testkit::clock::ManualClock;
use tachograph::testkit::fake_prometheus::FakePrometheus;
use tachograph::testkit::fleet::{Fleet, FleetJob, FleetSpec};
use tachograph::time::{Clock as _, SharedClock, TimestampMs};

/// Three long-lived machines and their jobs. All tests read the same one.
pub(crate) static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    Fleet::generate(FleetSpec {
        machines: 3,
        ephemeral_share: 0.0,
        reboot_share: 0.0,
        ..FleetSpec::default()
    })
});

/// A job of the fleet that is long enough for a handful of samples.
pub(crate) fn fleet_job(number: usize) -> &'static FleetJob {
    let long = |job: &&FleetJob| job.window.len_ms() >= 120_000;
    FLEET.jobs.iter().filter(long).nth(number).unwrap()
}

/// The report of a finished job.
pub(crate) fn report(job: &FleetJob) -> Value {
    json!({
        "project": "acme/app", "project_id": 4711, "name": "unit", "ref": "main",
        "status": "success", "runner_id": 42, "machine": job.machine,
        "started_at": job.window.from.to_rfc3339(), "finished_at": job.window.to.to_rfc3339(),
    })
}

/// `body` with further or other fields.
pub(crate) fn with(mut body: Value, fields: Value) -> Value {
    let all = body.as_object_mut().unwrap();
    all.extend(fields.as_object().unwrap().clone());
    body
}

/// A service, the fleet in a stand-in Prometheus, and a clock in the test's hands.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) prometheus: FakePrometheus,
    pub(crate) clock: Arc<ManualClock>,
    gitlab: Vec<GitlabSettings>,
    service: Option<Service>,
    dir: tempfile::TempDir,
}

impl World {
    /// Region `eu-1` and runner `gitlab/42` are registered; every job of the fleet is long over.
    pub(crate) async fn start() -> Self {
        Self::unregistered().await.registered().await
    }

    async fn registered(self) -> Self {
        let world = self;
        let region = json!({ "url": world.prometheus.url() });
        let put = world.api().put("/api/v1/regions/eu-1", &region);
        put.await.empty();
        let runner = json!({ "region": "eu-1", "machine_type": "n2-standard-4" });
        let put = world.api().put("/api/v1/runners/gitlab/42", &runner);
        put.await.empty();
        world
    }

    pub(crate) async fn unregistered() -> Self {
        Self::new(ManualClock::at(after_all_jobs()), Vec::new()).await
    }

    /// As [`World::start`], for the jobs of these GitLab instances.
    pub(crate) async fn for_gitlab(clock: Arc<ManualClock>, gitlab: Vec<GitlabSettings>) -> Self {
        Self::new(clock, gitlab).await.registered().await
    }

    async fn new(clock: Arc<ManualClock>, gitlab: Vec<GitlabSettings>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let prometheus = FakePrometheus::start().await.unwrap();
        load_fleet(&prometheus);
        let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
        let data = dir.path().join("data");
        let service = Service::start_for(&data, shared, gitlab.clone()).await;
        let service = Some(service);
        Self {
            prometheus,
            clock,
            gitlab,
            service,
            dir,
        }
    }

    pub(crate) fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    pub(crate) fn api(&self) -> &Api {
        &self.service().api
    }

    /// Where the archive is.
    pub(crate) fn data_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    /// Reports a job of the fleet under that id and waits until it is archived.
    pub(crate) async fn archive(&self, job_id: &str, body: &Value) -> Value {
        self.api().report(job_id, body).await;
        self.api().job_when(job_id, "archived", "").await
    }

    /// Stops the service and starts another one on the same data.
    pub(crate) async fn restart(&mut self) {
        self.service.take().unwrap().stop().await;
        let clock: SharedClock = Arc::<ManualClock>::clone(&self.clock);
        let service = Service::start_for(&self.data_dir(), clock, self.gitlab.clone()).await;
        self.service = Some(service);
    }

    /// Stops the service and leaves its archive.
    pub(crate) async fn into_data(mut self) -> (std::path::PathBuf, tempfile::TempDir) {
        self.service.take().unwrap().stop().await;
        (self.data_dir(), self.dir)
    }

    /// The present of the service.
    pub(crate) fn now(&self) -> TimestampMs {
        self.clock.now()
    }

    /// Number of remote reads that Prometheus was asked for.
    pub(crate) fn reads(&self) -> usize {
        let requests = self.prometheus.server().requests();
        let reads = requests.iter().filter(|seen| seen.path == "/api/v1/read");
        reads.count()
    }
}

/// Gives a stand-in everything that the fleet's exporters showed.
pub(crate) fn load_fleet(prometheus: &FakePrometheus) {
    for machine in &FLEET.machines {
        prometheus.put(&format!("{}:9100", machine.name), machine.series.clone());
    }
}

/// Ten minutes after the last machine is gone.
pub(crate) fn after_all_jobs() -> TimestampMs {
    let ends = FLEET.machines.iter().map(|machine| machine.seen.to);
    ends.max().unwrap().plus_ms(600_000)
}
