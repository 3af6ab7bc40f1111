//! Long operations that an operator asks for: a backup, a verification. One at a time, with their
//! progress; nothing else waits for them.
//!
//! `http` starts them and shows how they go; [`Worker::run`] works them off
//! on a thread of its own. A stop of the service ends them at the next segment.

use crate::archive::{Archive, BackedUp, Copying, Verification};
use crate::error::{Error, ErrorKind, Result};
use crate::supervise::BlockingPool;
use crate::time::{SharedClock, TimestampMs};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A backup.
    Backup,
    /// A verification.
    Verify,
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A backup is there.
    BackedUp(BackedUp),
    /// Everything was looked at.
    Verified(Verification),
    /// It did not work.
    Failed(String),
}

/// How an operation goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Status {
    pub started_at: TimestampMs,
    pub finished_at: Option<TimestampMs>,
    /// Segments done and of all.
    pub done: u64,
    pub all: u64,
    pub outcome: Option<Outcome>,
}

#[derive(Debug)]
enum Wish {
    Backup(PathBuf),
    Verify { deep: bool },
}

impl Wish {
    fn kind(&self) -> Kind {
        match self {
            Self::Backup(_) => Kind::Backup,
            Self::Verify { .. } => Kind::Verify,
        }
    }
}

#[derive(Debug)]
struct Shared {
    archive: Arc<Archive>,
    clock: SharedClock,
    /// Folder below which backups may be put.
    backups: Option<PathBuf>,
    last: Mutex<BTreeMap<Kind, Status>>,
    stopping: AtomicBool,
}

/// Starts operations and tells how they go.
#[derive(Debug, Clone)]
pub struct Operations {
    shared: Arc<Shared>,
    wishes: mpsc::Sender<Wish>,
}

/// Works operations off.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    wishes: mpsc::Receiver<Wish>,
}

impl Operations {
    /// Operations on `archive`; backups go below `backups`, nowhere if that is not configured.
    #[must_use]
    pub fn new(
        archive: Arc<Archive>,
        clock: SharedClock,
        backups: Option<PathBuf>,
    ) -> (Self, Worker) {
        let shared = Arc::new(Shared {
            archive,
            clock,
            backups,
            last: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let (sender, receiver) = mpsc::channel(1);
        let operations = Self {
            shared: Arc::clone(&shared),
            wishes: sender,
        };
        let worker = Worker {
            shared,
            wishes: receiver,
        };
        (operations, worker)
    }

    /// Begins a backup under that name.
    ///
    /// # Errors
    /// `Invalid` if the name is none, `Conflict` if no folder for backups is configured, or something
    /// else is under way.
    pub fn back_up(&self, name: &str) -> Result<Status> {
        let folder = self.shared.backups.as_deref().ok_or_else(|| {
            Error::new(
                ErrorKind::Conflict,
                "backup_not_configured",
                "no folder for backups is configured; set backup.folder, or use tachograph backup",
            )
        })?;
        self.begin(Wish::Backup(Archive::backup_place(folder, name)?))
    }

    /// Begins a verification.
    ///
    /// # Errors
    /// `Conflict` if something else is under way.
    pub fn verify(&self, deep: bool) -> Result<Status> {
        self.begin(Wish::Verify { deep })
    }

    /// How the last operation of a kind goes or went.
    #[must_use]
    pub fn last(&self, kind: Kind) -> Option<Status> {
        self.shared.last().get(&kind).cloned()
    }

    fn begin(&self, wish: Wish) -> Result<Status> {
        let mut last = self.shared.last();
        let busy = last.values().any(|status| status.outcome.is_none());
        let kind = wish.kind();
        if busy || self.wishes.try_send(wish).is_err() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "operation_running",
                "a backup or a verification is under way; wait for it",
            ));
        }
        let status = Status {
            started_at: self.shared.clock.now(),
            finished_at: None,
            done: 0,
            all: 0,
            outcome: None,
        };
        last.insert(kind, status.clone());
        Ok(status)
    }
}

impl Shared {
    fn last(&self) -> MutexGuard<'_, BTreeMap<Kind, Status>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, kind: Kind, change: impl FnOnce(&mut Status)) {
        if let Some(status) = self.last().get_mut(&kind) {
            change(status);
        }
    }

    fn work(&self, wish: Wish) -> Result<Outcome> {
        let kind = wish.kind();
        let progress = |done, all| {
            self.update(kind, |status| (status.done, status.all) = (done, all));
            !self.stopping.load(Ordering::Acquire)
        };
        match wish {
            Wish::Backup(to) => {
                let made = self.archive.backup(&to, Copying::Link, progress)?;
                tracing::info!(backup = %to.display(), backup.bytes = made.bytes, "backup made");
                Ok(Outcome::BackedUp(made))
            }
            Wish::Verify { deep } => self
                .archive
                .verify_while(deep, progress)
                .map(Outcome::Verified),
        }
    }
}

impl Worker {
    /// Works off what is asked for, until cancelled.
    ///
    /// # Errors
    /// None: a failed operation says so in its status.
    pub async fn run(mut self, token: CancellationToken) -> Result<()> {
        let pool = BlockingPool::new(1);
        loop {
            let wish = tokio::select! {
                () = token.cancelled() => return Ok(()),
                Some(wish) = self.wishes.recv() => wish,
            };
            let (kind, shared) = (wish.kind(), Arc::clone(&self.shared));
            let mut work = std::pin::pin!(pool.run(move || shared.work(wish)));
            let done = loop {
                tokio::select! {
                    done = &mut work => break done,
                    () = token.cancelled(), if !self.shared.stopping.load(Ordering::Acquire) => {
                        self.shared.stopping.store(true, Ordering::Release);
                    }
                }
            };
            let outcome = done.unwrap_or_else(|error| {
                tracing::error!(error = error.chain(), "an operation failed");
                Outcome::Failed(error.chain())
            });
            let now = self.shared.clock.now();
            self.shared.update(kind, |status| {
                status.finished_at = Some(now);
                status.outcome = Some(outcome);
            });
        }
    }
}
