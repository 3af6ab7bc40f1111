//! `tachograph serve`: its start, what it refuses to touch, and its end.

use super::{fails, program, text};
use crate::support::{Api, World, fleet_job, report, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tachograph::testkit::scripted::{Answer, ScriptedServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;

/// How long a service may take to end when it is told to.
const STOP: Duration = Duration::from_secs(10);

/// A service in a process of its own.
pub(crate) struct Serving {
    child: Child,
    pub(crate) api: Api,
    log: PathBuf,
}

impl Serving {
    pub(crate) async fn start(data: &Path) -> Self {
        Self::with(data, &[]).await
    }

    /// Starts one with further arguments. What it says is in a file beside the data.
    pub(crate) async fn with(data: &Path, further: &[&str]) -> Self {
        let log = data.with_extension("log");
        let file = std::fs::File::create(&log).unwrap();
        let args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", text(data)];
        let args = [&args, further].concat();
        let child = program(&args).stdout(Stdio::null()).stderr(file).spawn();
        let child = child.unwrap();
        let base = wait_for("the service listens", async || {
            let said = std::fs::read_to_string(&log).unwrap();
            let line = said
                .lines()
                .find_map(|line| line.split_once("listening on "));
            line.map(|(_, base)| base.to_owned()).ok_or(said)
        });
        let api = Api::new(base.await);
        Self { child, api, log }
    }

    fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGTERM, and its exit code; fails if that takes too long.
    pub(crate) async fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        match tokio::time::timeout(STOP, self.child.wait()).await {
            Ok(status) => status.unwrap().code(),
            Err(_) => panic!(
                "it did not stop in {STOP:?}:\n{}",
                std::fs::read_to_string(&self.log).unwrap()
            ),
        }
    }
}

#[tokio::test]
async fn a_taken_data_directory_is_refused_with_the_first_ones_pid() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let first = Serving::start(&data).await;
    let before = hashes(&data.join("tables"));
    let args = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        text(&data),
    ];
    let pid = first.pid().to_string();
    let parts = [pid.as_str(), "in use by process", "use another directory"];
    let said = fails(&args, 73, &parts).await;
    assert!(!said.contains("listening"), "{said}");
    assert_eq!(hashes(&data.join("tables")), before);
    assert_eq!(first.api.get("/readyz").await.status, 200);
    first.api.report("1", &json!({"status": "running"})).await;

    let address = first.api.base().strip_prefix("http://").unwrap().to_owned();
    let other = dir.path().join("other");
    let args = ["serve", "--listen", &address, "--data-dir", text(&other)];
    fails(&args, 75, &["cannot listen on", &address, "--listen"]).await;
    assert!(!other.exists(), "a taken address makes no archive");

    assert_eq!(first.terminate().await, Some(0));
    let second = Serving::start(&data).await;
    assert_eq!(second.api.job("1").await["status"], "running");
    assert_eq!(second.terminate().await, Some(0));
}

#[tokio::test]
async fn sigterm_ends_it_whoever_keeps_it_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let serving = Serving::start(&dir.path().join("data")).await;
    // A Prometheus that never answers,
    let silent = ScriptedServer::always(Answer::Silence).await.unwrap();
    let region = json!({"url": silent.url()});
    let api = &serving.api;
    api.put("/api/v1/regions/eu-1", &region).await.empty();
    let runner = json!({"region": "eu-1"});
    api.put("/api/v1/runners/gitlab/42", &runner).await.empty();
    api.report("1", &report(fleet_job(0))).await;
    wait_for("the fetch", async || match silent.requests().len() {
        0 => Err("no request".to_owned()),
        _ => Ok(()),
    })
    .await;
    // a client that sends half a request, one that reads nothing, and one that only holds the line.
    let address = api.base().strip_prefix("http://").unwrap().to_owned();
    let mut clients = Vec::new();
    for said in [
        "PUT /api/v1/jobs/gitlab/2 HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"name\":",
        "GET /api/v1/jobs HTTP/1.1\r\nhos",
        "",
    ] {
        let mut client = tokio::net::TcpStream::connect(&address).await.unwrap();
        client.write_all(said.as_bytes()).await.unwrap();
        clients.push(client);
    }
    assert_eq!(api.get("/healthz").await.status, 200);
    assert_eq!(serving.terminate().await, Some(0));
    let mut rest = String::new();
    let read = clients[2].read_to_string(&mut rest).await;
    assert!(read.is_err() || rest.is_empty(), "{rest}");

    let again = Serving::start(&dir.path().join("data")).await;
    assert_eq!(again.api.job("1").await["state"], "pending");
    assert_eq!(again.api.ids("").await, ["1"]);
    assert_eq!(again.terminate().await, Some(0));
}

/// Digest of every file below a folder, by path.
fn hashes(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.insert(path.clone(), "folder".to_owned());
                open.push(path);
            } else {
                let digest = blake3::hash(&std::fs::read(&path).unwrap());
                found.insert(path, digest.to_string());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_newer_format_is_refused_without_changing_a_byte() {
    let world = World::start().await;
    world.archive("1", &report(fleet_job(0))).await;
    world.api().seal().await;
    world.api().report("2", &json!({"status": "running"})).await;
    let (data, _dir) = world.into_data().await;
    let format = data.join("FORMAT");
    let ours = std::fs::read_to_string(&format).unwrap();
    assert!(ours.starts_with("tachograph 1.0\n"), "{ours}");
    let args = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        text(&data),
    ];
    for (written, part) in [
        (
            "tachograph 2.0\nwriter 9.0.0\nmin-reader 2.0\n",
            "has format 2.0 and needs a program that reads 2.0, this one reads 1.0",
        ),
        ("tachograph 99999.1\n", "use the program that wrote it"),
        ("", "FORMAT is not readable"),
        ("something else\n", "FORMAT is not readable"),
    ] {
        std::fs::write(&format, written).unwrap();
        let before = hashes(&data);
        assert!(before.len() > 10, "{before:?}");
        fails(&args, 65, &[part, "FORMAT"]).await;
        assert_eq!(hashes(&data), before, "{written:?}");
    }
    std::fs::remove_file(data.join("LOCK")).unwrap();
    let before = hashes(&data);
    fails(&args, 65, &["FORMAT"]).await;
    assert_eq!(hashes(&data), before, "not even a lock");
    std::fs::write(&format, ours).unwrap();
    let serving = Serving::start(&data).await;
    assert_eq!(serving.api.job("1").await["state"], "archived");
    assert_eq!(serving.terminate().await, Some(0));
}
