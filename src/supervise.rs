//! Tasks and their end: every long-lived task belongs to the [`Supervisor`], every blocking call to a
//! [`BlockingPool`].
//!
//! A task that fails or panics stops the process in order: a half-alive archiver is worse than a
//! restart. Stopping goes phase by phase: first nothing new comes in, then work in flight ends, then
//! maintenance; kill -9 must be equally safe, stopping is only faster.

use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use futures::FutureExt as _;

/// Order of stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// What brings work in: the listener.
    Intake,
    /// What works: the archiving pipeline.
    Pipeline,
    /// What tidies up: the sealer.
    Maintenance,
}

const PHASES: [Phase; 3] = [Phase::Intake, Phase::Pipeline, Phase::Maintenance];

#[derive(Debug, Default)]
struct PhaseTasks {
    token: CancellationToken,
    tracker: TaskTracker,
}

/// Owns every long-lived task.
#[derive(Debug)]
pub struct Supervisor {
    phases: [PhaseTasks; 3],
    failed: mpsc::Sender<String>,
    failures: mpsc::Receiver<String>,
}

impl Default for Supervisor {
    fn default() -> Self {
        let (failed, failures) = mpsc::channel(16);
        Self {
            phases: Default::default(),
            failed,
            failures,
        }
    }
}

impl Supervisor {
    /// Starts a task. It must end soon after its token is cancelled.
    #[expect(clippy::disallowed_methods, reason = "the one owner of tasks")]
    pub fn spawn<F, R>(&self, phase: Phase, name: &'static str, task: F)
    where
        F: FnOnce(CancellationToken) -> R,
        R: Future<Output = Result<()>> + Send + 'static,
    {
        let Some(tasks) = self
            .phases
            .iter()
            .zip(PHASES)
            .find(|(_, known)| *known == phase)
        else {
            return;
        };
        let token = tasks.0.token.clone();
        let future = task(token.clone());
        let failed = self.failed.clone();
        let supervised = async move {
            let outcome = AssertUnwindSafe(future).catch_unwind().await;
            let problem = match outcome {
                Ok(Ok(())) if token.is_cancelled() => None,
                Ok(Ok(())) => Some(format!("task {name} ended by itself")),
                Ok(Err(error)) => Some(format!("task {name} failed: {}", error.chain())),
                Err(_) => Some(format!("task {name} panicked")),
            };
            if let Some(problem) = problem {
                tracing::error!(task = name, problem, "a task ended; stopping");
                // A full queue means that somebody else reported first.
                let _reported = failed.try_send(problem);
            }
        };
        tokio::spawn(tasks.0.tracker.track_future(supervised));
    }

    /// Runs until `stop` is ready or a task fails, then stops all tasks phase by phase.
    ///
    /// # Errors
    /// `Internal` with the failed task's problem.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<()> {
        let problem = tokio::select! {
            () = stop => None,
            problem = self.failures.recv() => problem,
        };
        for (tasks, phase) in self.phases.iter().zip(PHASES) {
            tasks.token.cancel();
            tasks.tracker.close();
            if tokio::time::timeout(limits::STOP_GRACE, tasks.tracker.wait())
                .await
                .is_err()
            {
                tracing::warn!(
                    ?phase,
                    pending = tasks.tracker.len(),
                    "tasks did not end in time"
                );
            }
        }
        match problem {
            None => Ok(()),
            Some(problem) => Err(Error::internal(problem)),
        }
    }
}

/// A bounded way from async code to blocking code. Work whose caller has gone is not started.
#[derive(Debug, Clone)]
pub struct BlockingPool {
    permits: Arc<Semaphore>,
}

impl BlockingPool {
    /// A pool in which at most `threads` calls run at once.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(threads)),
        }
    }

    /// Runs `work` on a blocking thread.
    ///
    /// # Errors
    /// Whatever `work` returns; `Internal` if it panics.
    #[expect(clippy::disallowed_methods, reason = "the one owner of blocking calls")]
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| {
                Error::new(ErrorKind::Unavailable, "closing", "the service is stopping")
            })?;
        let outcome = tokio::task::spawn_blocking(move || {
            let _held_until_done = permit;
            work()
        });
        outcome
            .await
            .map_err(|error| Error::internal("blocking work panicked").with_source(error))?
    }
}

/// Threads for work that takes all of a core for long, apart from those that answer requests.
#[derive(Debug)]
pub struct ComputePool {
    handle: Handle,
    /// Taken when it is closed or dropped.
    runtime: Mutex<Option<Runtime>>,
    threads: usize,
}

impl ComputePool {
    /// One thread per core.
    ///
    /// # Errors
    /// `Unavailable` if there are no threads to be had.
    pub fn new(name: &'static str) -> Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name(name)
            .thread_stack_size(limits::COMPUTE_STACK_BYTES)
            .enable_time()
            .build();
        let runtime = runtime.map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                "no_threads",
                "there are no threads to be had; try again later",
            )
            .with_source(error)
        })?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
            threads,
        })
    }

    /// How many threads it has.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` on one of its threads.
    ///
    /// # Errors
    /// Whatever `work` returns; `Internal` if it panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let outcome = self.handle.spawn(async move { work() }).await;
        outcome.map_err(|error| Error::internal("work panicked").with_source(error))?
    }

    /// Runs a task on its threads. It ends by itself, or when the pool is dropped.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(task));
    }

    /// Stops its tasks and waits until they let go of what they hold, at most
    /// [`limits::STOP_GRACE`]. Nothing runs on it afterwards.
    pub async fn close(&self) {
        if let Some(runtime) = self.take() {
            let wait = move || {
                runtime.shutdown_timeout(limits::STOP_GRACE);
                Ok(())
            };
            let _only_a_panic_fails = BlockingPool::new(1).run(wait).await;
        }
    }

    fn take(&self) -> Option<Runtime> {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        runtime.take()
    }
}

impl Drop for ComputePool {
    fn drop(&mut self) {
        // Dropping a runtime waits for its threads, which async code must not.
        if let Some(runtime) = self.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_stop_in_order() {
        let supervisor = Supervisor::default();
        let order = Arc::new(Mutex::new(Vec::new()));
        for phase in [Phase::Maintenance, Phase::Intake, Phase::Pipeline] {
            let order = Arc::clone(&order);
            supervisor.spawn(phase, "test", move |token| async move {
                token.cancelled().await;
                order.lock().unwrap().push(phase);
                Ok(())
            });
        }
        supervisor.run(std::future::ready(())).await.unwrap();
        assert_eq!(*order.lock().unwrap(), PHASES);
    }

    #[tokio::test]
    async fn a_panicking_task_stops_all() {
        let supervisor = Supervisor::default();
        supervisor.spawn(Phase::Pipeline, "bad", |_| async { panic!("planned") });
        supervisor.spawn(Phase::Intake, "good", |token| async move {
            token.cancelled().await;
            Ok(())
        });
        let error = supervisor.run(std::future::pending()).await.unwrap_err();
        assert!(error.message().contains("bad"), "{error}");
    }
}
