//! GitLab from its hooks to archived jobs: a stand-in GitLab, the service, and a stand-in Prometheus.
//!
//! Every REST call that the stand-in saw is counted: the tests print and assert them.

mod hooks;
mod log_route;
mod trouble;

use crate::support::{Api, World, after_all_jobs};
use serde_json::Value;
use std::sync::Arc;
use tachograph::components::gitlab::{
    CiJob, CiProject, CiRunner, Executor, HookSender, HookSpelling, JobOutcome, RunnerLog,
    StandInGitlab,
};
use tachograph::gitlab::settings::GitlabSettings;
use tachograph::model::id::Source;
use tachograph::secret::Secret;
use tachograph::testkit::clock::ManualClock;
use tachograph::testkit::fleet::FleetJob;
use tachograph::time::SharedClock;

pub(super) const TOKEN: &str = "hook-secret";
pub(super) const SIGNING: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const RUNNER: u64 = 42;
const PROJECT: u64 = 4711;

/// A world with a GitLab in it, the source `gitlab`.
#[derive(Debug)]
pub(super) struct Ci {
    pub(super) world: World,
    pub(super) gitlab: StandInGitlab,
    pub(super) clock: Arc<ManualClock>,
}

/// A GitLab with a project and a runner.
pub(super) async fn stand_in(clock: SharedClock) -> StandInGitlab {
    let gitlab = StandInGitlab::start(clock).await.unwrap();
    gitlab.add_project(CiProject {
        id: PROJECT,
        path: "acme/archive".to_owned(),
    });
    gitlab.add_runner(CiRunner {
        id: RUNNER,
        description: "us-east1-manager-3".to_owned(),
        tags: vec!["gce".to_owned(), "linux".to_owned()],
        executor: Executor::DockerMachine,
    });
    gitlab
}

/// Lets a job live in GitLab as a job of the fleet did. The hooks of its life, in order.
pub(super) fn live(
    gitlab: &StandInGitlab,
    id: u64,
    job: &FleetJob,
    spelling: HookSpelling,
) -> Vec<Value> {
    let window = job.window;
    gitlab.create_job(CiJob {
        id,
        project: PROJECT,
        pipeline: 7,
        name: "unit: [linux, 2/4]".to_owned(),
        stage: "test".to_owned(),
        git_ref: "main".to_owned(),
        sha: "7d2c0f1e5f0a4b7e9a3f1f5c7f2b8e4d6a9c0b1d".to_owned(),
        created_at: window.from.plus_ms(-79_880),
    });
    let hook = || gitlab.hook_body(id, spelling);
    let created = hook();
    gitlab.enqueue(id);
    let pending = hook();
    gitlab.take(id, RUNNER, window.from);
    let running = hook();
    gitlab.finish(id, JobOutcome::Success, window.to);
    vec![created, pending, running, hook()]
}

impl Ci {
    pub(super) async fn start() -> Self {
        let clock = ManualClock::at(after_all_jobs());
        let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
        let gitlab = stand_in(shared).await;
        let settings = GitlabSettings {
            source: Source::parse("gitlab").unwrap(),
            url: gitlab.url(),
            hook_tokens: vec![Secret::parse(TOKEN).unwrap()],
            signing_tokens: vec![Secret::parse(SIGNING).unwrap()],
            api_token: Some(Secret::parse(gitlab.token()).unwrap()),
        };
        let world = World::for_gitlab(Arc::clone(&clock), vec![settings]).await;
        Self {
            world,
            gitlab,
            clock,
        }
    }

    pub(super) fn api(&self) -> &Api {
        self.world.api()
    }

    /// The instance's hooks, without credentials.
    pub(super) fn anonymous(&self) -> HookSender {
        let port = self.api().base().rsplit(':').next().unwrap();
        let clock: SharedClock = Arc::<ManualClock>::clone(&self.clock);
        HookSender::new(self.gitlab.url(), port.parse().unwrap(), clock)
    }

    pub(super) fn sender(&self) -> HookSender {
        self.anonymous().with_secret_token(TOKEN)
    }

    /// Lets a job live in GitLab as a job of the fleet did. The hooks of its life, in order.
    pub(super) fn live(&self, id: u64, job: &FleetJob, spelling: HookSpelling) -> Vec<Value> {
        live(&self.gitlab, id, job, spelling)
    }

    /// The log of that job without its last line, and the last line.
    pub(super) fn log_of(job: &FleetJob) -> (Vec<u8>, Vec<u8>) {
        let (from, to) = (job.window.from, job.window.to);
        let at = |share: i64| from.plus_ms(job.window.len_ms() * share / 100);
        let executor = Executor::DockerMachine;
        let mut log = RunnerLog::begin(from.plus_ms(100), "us-east1-manager-3", executor);
        log.machine(at(5), executor, &job.machine);
        log.script(at(10));
        log.output(at(11), "$ make test");
        log.section_start(at(20), "unit_tests");
        log.output(at(30), "Running on not-this-machine...");
        log.section_end(at(80), "unit_tests");
        let growing = log.take();
        log.end(to.plus_ms(-200), true);
        (growing, log.take())
    }

    pub(super) fn write_log(&self, id: u64, job: &FleetJob) {
        let (growing, end) = Self::log_of(job);
        self.gitlab.append_log(id, &growing);
        self.gitlab.append_log(id, &end);
    }
}

/// Names of a job's sections, in order.
pub(super) fn sections(job: &Value) -> Vec<&str> {
    let sections = job["sections"].as_array().unwrap().iter();
    sections
        .map(|section| section["name"].as_str().unwrap())
        .collect()
}
