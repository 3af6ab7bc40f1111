//! The real binary as a child process.

use crate::proof_support::Api;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tachograph::time::{Clock, SystemClock};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What the service says when it is ready.
const READY: &str = "tachograph: listening on http://";
/// A start, or an end, on a machine that compiles something else beside.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running service; it is killed when dropped.
pub(crate) struct Service {
    child: Child,
    ready: oneshot::Receiver<(SocketAddr, Duration)>,
    log: JoinHandle<Vec<String>>,
}

/// What a service that has ended had said.
pub(crate) struct Ended {
    pub(super) was_ready: bool,
    log: Vec<String>,
}

impl Service {
    pub(super) fn spawn(binary: &Path, data: &Path) -> Self {
        Self::spawn_with(binary, data, &[])
    }

    /// With further arguments.
    pub(crate) fn spawn_with(binary: &Path, data: &Path, more: &[&OsStr]) -> Self {
        let (ready, is_ready) = oneshot::channel();
        let clock = SystemClock::new();
        let began = clock.monotonic();
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .args(more)
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let said = child.stderr.take().unwrap();
        let tell = move |address| {
            // Nobody listens any more if the service was killed at that moment.
            let _killed = ready.send((address, clock.monotonic() - began));
        };
        Self {
            child,
            ready: is_ready,
            log: tokio::spawn(listen(said, tell)),
        }
    }

    /// Waits until it listens: where, and how long that took.
    pub(crate) async fn ready(&mut self) -> (SocketAddr, Duration) {
        let ready = tokio::time::timeout(PATIENCE, &mut self.ready).await;
        let ready = ready.expect("the service does not start");
        ready.expect("the service ended while it started")
    }

    /// kill -9.
    pub(crate) async fn kill(mut self) -> Ended {
        self.child.start_kill().unwrap();
        self.end(None).await
    }

    /// SIGTERM: it must end by itself, and well.
    pub(super) async fn stop(self) -> Ended {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.end(Some(0)).await
    }

    /// Waits for its end with that exit code; a killed process has none.
    async fn end(mut self, code: Option<i32>) -> Ended {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = ended.expect("the service does not end").unwrap();
        let log = self.log.await.unwrap();
        assert_eq!(status.code(), code, "{log:#?}");
        Ended {
            was_ready: log.iter().any(|line| line.starts_with(READY)),
            log,
        }
    }
}

/// Collects what a service says and passes on where it listens.
async fn listen(said: ChildStderr, tell: impl FnOnce(SocketAddr)) -> Vec<String> {
    let mut lines = BufReader::new(said).lines();
    let (mut log, mut tell) = (Vec::new(), Some(tell));
    while let Ok(Some(line)) = lines.next_line().await {
        let address = line.strip_prefix(READY).and_then(|text| text.parse().ok());
        if let Some(address) = address {
            tell.take().unwrap()(address);
        }
        log.push(line);
    }
    log
}

impl Ended {
    /// A service must have had nothing to complain about but files of a seal that a kill broke off.
    pub(super) fn check(&self) -> usize {
        let orphan = |line: &&String| line.contains("never finished");
        let other = self.log.iter().filter(|line| !orphan(line));
        let other: Vec<_> = other.filter(|line| !line.starts_with(READY)).collect();
        assert!(other.is_empty(), "{other:#?}");
        self.log.iter().filter(orphan).count()
    }
}

/// Seals again and again beside the other work.
pub(super) struct Seals {
    task: JoinHandle<()>,
    /// Whether a seal waits for its answer.
    asked: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
}

impl Seals {
    pub(super) fn start(api: Api, after: Duration) -> Self {
        let asked = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let (is_asked, is_answered) = (Arc::clone(&asked), Arc::clone(&answered));
        let task = tokio::spawn(async move {
            tokio::time::sleep(after).await;
            loop {
                is_asked.store(true, Ordering::SeqCst);
                let Ok((status, sealed)) = api.post("/admin/seal").await else {
                    return; // killed: the question stays open
                };
                is_asked.store(false, Ordering::SeqCst);
                assert_eq!(status, 200, "{sealed}");
                is_answered.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        Self {
            task,
            asked,
            answered,
        }
    }

    /// Whether a seal waits for its answer now.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// After the kill: how many seals were answered.
    pub(super) async fn end(self) -> u64 {
        // The first question without an answer ends it.
        self.task.await.unwrap();
        self.answered.load(Ordering::SeqCst)
    }
}
