//! A service in this process, a client that checks every answer, and a world to archive.
//!
//! [`Api::send`] holds for every single answer of these tests what the interface promises of all:
//! a request id, and a problem document for every failure. [`World`] is a service with a made-up
//! fleet behind a stand-in Prometheus and a clock that the test holds.

mod world;

pub(crate) use world::{FLEET, World, after_all_jobs, fleet_job, load_fleet, report, with};

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tachograph::archive::Archive;
use tachograph::config::{self, Config};
use tachograph::gitlab::settings::GitlabSettings;
use tachograph::outbound::{Timeouts, install_tls};
use tachograph::prometheus::PrometheusSource;
use tachograph::server::Server;
use tachograph::time::SharedClock;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long something that must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// A server that behaves answers in milliseconds; one that does not costs a test at most this.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_millis(1_000),
    idle: Duration::from_millis(1_000),
    total: Duration::from_millis(4_000),
};

/// Asks again and again until there is an answer, and fails with the last excuse.
pub(crate) async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let start = tokio::time::Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(excuse) => assert!(
                start.elapsed() < PATIENCE,
                "{what} did not happen in {PATIENCE:?}; last seen: {excuse}"
            ),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// An answer that was held against the promises made of all answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    what: String,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The JSON body of an answer with that status.
    pub(crate) fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.what, self.text());
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.what, self.text()))
    }

    /// Asserts an answer without a body.
    pub(crate) fn empty(&self) {
        assert_eq!(self.status, 204, "{}: {}", self.what, self.text());
        assert!(self.body.is_empty());
    }

    /// The detail of a problem with that status and code; it must contain all of `parts`.
    pub(crate) fn problem(&self, status: u16, code: &str, parts: &[&str]) -> String {
        let problem = self.json(status);
        assert_eq!(problem["code"], code, "{}: {problem}", self.what);
        let detail = problem["detail"].as_str().unwrap().to_owned();
        for part in parts {
            assert!(
                detail.contains(part),
                "{}: {part:?} is missing in {detail:?}",
                self.what
            );
        }
        detail
    }

    /// What holds of every answer.
    fn check(&self) {
        let id = self.header("x-request-id");
        assert!(!id.is_empty(), "{}: no x-request-id", self.what);
        if self.status < 400 {
            return;
        }
        let problem = self.json(self.status);
        let text = |key: &str| {
            let text = problem[key].as_str();
            let text = text.unwrap_or_else(|| panic!("{}: no {key}: {problem}", self.what));
            assert!(!text.is_empty(), "{}: empty {key}", self.what);
            text.to_owned()
        };
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(
            text("type"),
            format!("urn:tachograph:problem:{}", text("code"))
        );
        assert_eq!(problem["status"], self.status);
        assert_eq!(text("request_id"), id);
        let reason = StatusCode::from_u16(self.status).unwrap();
        assert_eq!(Some(text("title").as_str()), reason.canonical_reason());
        assert!(text("detail").len() > 10, "{problem}");
        assert_eq!(problem.as_object().unwrap().len(), 6, "{problem}");
    }
}

/// A client of one service.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    base: String,
    http: reqwest::Client,
}

impl Api {
    pub(crate) fn new(base: String) -> Self {
        install_tls();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        let http = http.build().unwrap();
        Self { base, http }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.base))
            .body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let what = format!("{method} {path}");
        let response = request.send().await;
        let response = response.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let answer = Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await.unwrap().to_vec(),
            what,
        };
        answer.check();
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], "").await
    }

    /// PUT of any bytes, said to be JSON.
    pub(crate) async fn put_bytes(&self, path: &str, body: impl Into<Vec<u8>>) -> Answer {
        let json = [(CONTENT_TYPE.as_str(), "application/json")];
        self.send(Method::PUT, path, &json, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.put_bytes(path, body.to_string()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let json = [(CONTENT_TYPE.as_str(), "application/json")];
        self.send(Method::POST, path, &json, body.to_string()).await
    }

    /// Reports a job of source `gitlab`; it must be accepted.
    pub(crate) async fn report(&self, job_id: &str, body: &Value) -> Value {
        let path = format!("/api/v1/jobs/gitlab/{job_id}");
        self.put(&path, body).await.json(202)
    }

    /// A job of source `gitlab`.
    pub(crate) async fn job(&self, job_id: &str) -> Value {
        let path = format!("/api/v1/jobs/gitlab/{job_id}");
        self.get(&path).await.json(200)
    }

    pub(crate) async fn profile(&self, job_id: &str) -> Value {
        let path = format!("/api/v1/jobs/gitlab/{job_id}/profile");
        self.get(&path).await.json(200)
    }

    /// The job once it is in that state with that reason (empty: none).
    pub(crate) async fn job_when(&self, job_id: &str, state: &str, reason: &str) -> Value {
        let what = format!("job {job_id} {state} {reason}");
        wait_for(&what, async || {
            let job = self.job(job_id).await;
            let found = job["reason"].as_str().unwrap_or_default();
            if job["state"] == state && found == reason {
                return Ok(job);
            }
            let text = &job["reason_text"];
            Err(format!("{} {found}, {text}", job["state"]))
        })
        .await
    }

    pub(crate) async fn seal(&self) -> Value {
        let answer = self.send(Method::POST, "/api/v1/admin/seal", &[], "");
        answer.await.json(200)
    }

    /// Ids of a list.
    pub(crate) async fn ids(&self, query: &str) -> Vec<String> {
        let page = self.get(&format!("/api/v1/jobs?{query}")).await.json(200);
        let jobs = page["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["job_id"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// A running service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) api: Api,
    archive: Arc<Archive>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<tachograph::error::Result<()>>,
}

impl Service {
    /// Starts one on a free port with its archive in `data_dir`.
    pub(crate) async fn start(data_dir: &Path, clock: SharedClock) -> Self {
        Self::start_for(data_dir, clock, Vec::new()).await
    }

    /// The same for the jobs of these GitLab instances.
    pub(crate) async fn start_for(
        data_dir: &Path,
        clock: SharedClock,
        gitlab: Vec<GitlabSettings>,
    ) -> Self {
        let config = Config {
            listen: "127.0.0.1:0".to_owned(),
            data_dir: data_dir.to_owned(),
            sources: gitlab,
            ..Config::default()
        };
        let source =
            PrometheusSource::new(Box::new(config::read_secret), TIMEOUTS, Arc::clone(&clock));
        let source = source.unwrap();
        let server = Server::bind(&config, Arc::new(source), clock);
        let server = server.await.unwrap().with_ci_timeouts(TIMEOUTS);
        let api = Api::new(format!("http://{}", server.address()));
        let archive = server.archive();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async {
            // A dropped sender is a test that failed: stop as well.
            let _asked = stopped.await;
        }));
        Self {
            api,
            archive,
            stop,
            task,
        }
    }

    /// The archive inside, for what no route shows.
    pub(crate) fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Stops it in order and closes the archive: another one may open it at once.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("the service stops").unwrap().unwrap();
        assert_eq!(Arc::strong_count(&self.archive), 1, "somebody holds on");
    }
}
