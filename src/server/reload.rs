//! Reading the configuration again while the service runs.
//!
//! The whole file is read and checked first. If anything is wrong with it, all of it stays as it was;
//! otherwise regions, rules and sources are replaced, each at once. What cannot change while it runs is
//! reported as needing another start.

use crate::config::{self, Config};
use crate::error::Result;
use crate::gitlab::settings::GitlabSettings;
use crate::ingest::Intake;
use crate::supervise::BlockingPool;
use crate::telemetry::Metrics;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// When to read which file again.
pub struct Reload {
    /// The file that the service was started with.
    pub file: PathBuf,
    /// What it said then: flags, which win over it, are not its business.
    pub started: Config,
    /// Each item is a wish to read it (SIGHUP).
    pub wishes: BoxStream<'static, ()>,
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// Puts what was read in force.
#[derive(Debug)]
pub(super) struct Reloader {
    pub(super) intake: Intake,
    pub(super) sources: watch::Sender<Arc<[GitlabSettings]>>,
    pub(super) pool: BlockingPool,
    pub(super) metrics: Arc<Metrics>,
}

impl Reloader {
    /// Reads the file at each wish, until cancelled.
    pub(super) async fn run(self, mut reload: Reload, token: CancellationToken) -> Result<()> {
        loop {
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                Some(()) = reload.wishes.next() => {}
            }
            let file = reload.file.clone();
            match self.pool.run(move || config::read_config(&file)).await {
                Ok(next) => self.apply(&reload.started, next).await,
                Err(error) => {
                    self.metrics.config_last_reload_successful.set(0);
                    tracing::error!(
                        error = error.chain(),
                        "the configuration is wrong; the old one stays in force"
                    );
                }
            }
        }
    }

    async fn apply(&self, started: &Config, next: Config) {
        for warning in &next.warnings {
            tracing::warn!(warning, "configuration");
        }
        let restart = started.restart_needed(&next);
        if !restart.is_empty() {
            let keys = restart.join(", ");
            tracing::warn!(keys, "these changes need a restart and do not hold yet");
        }
        let needed = i64::from(!restart.is_empty());
        self.metrics.config_restart_needed.set(needed);
        let (regions, rules) = (next.declared.regions.len(), next.declared.rules.len());
        let sources = next.sources.len();
        self.sources.send_replace(next.sources.into());
        if let Err(error) = self.intake.set_retention(next.retention).await {
            tracing::error!(error = error.chain(), "the retention policy cannot be set");
        }
        self.intake.declare(next.declared).await;
        self.metrics.config_last_reload_successful.set(1);
        tracing::info!(regions, rules, sources, "the configuration was read again");
    }
}
