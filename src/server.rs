//! The service: builds every part from the configuration and runs it until it is told to stop.

mod maintenance;
mod reload;
mod scrubber;

pub use reload::Reload;

use crate::archive::{Archive, Pace};
use crate::ci_port::CiSource;
use crate::config::{self, Config};
use crate::error::{Error, ErrorKind, Result};
use crate::gitlab::rest::GitlabRest;
use crate::gitlab::settings::GitlabSettings;
use crate::http::{self, HookService, Services};
use crate::ingest::{Housekeeping, Intake, Lookups, Pipeline, PipelineParts};
use crate::limits;
use crate::model::registry::Declared;
use crate::operations::Operations;
use crate::outbound::Timeouts;
use crate::query::Query;
use crate::query::fleet::Fleet;
use crate::query::sql::{Engine, Queries};
use crate::source_port::MetricSource;
use crate::supervise::{BlockingPool, Phase, Supervisor};
use crate::telemetry::Metrics;
use crate::time::SharedClock;
use crate::ui;
use reload::Reloader;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;

/// How often staged jobs are looked at.
const SEAL_EVERY: Duration = Duration::from_secs(5);

/// A service that holds its address and its archive, and is ready to run.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    archive: Arc<Archive>,
    source: Arc<dyn MetricSource>,
    ci_timeouts: Timeouts,
    clock: SharedClock,
    declared: Declared,
    backups: Option<PathBuf>,
    sources: watch::Sender<Arc<[GitlabSettings]>>,
    reload: Option<Reload>,
    /// How much of a core background work may take, in hundredths.
    background_share: u32,
}

impl Server {
    /// Takes the address and opens the archive.
    ///
    /// # Errors
    /// `Unavailable` if the address is taken, `Conflict` if the data directory is, `Data` if it
    /// cannot be read.
    pub async fn bind(
        config: &Config,
        source: Arc<dyn MetricSource>,
        clock: SharedClock,
    ) -> Result<Self> {
        let taken = |error: std::io::Error| {
            let message = format!(
                "cannot listen on {}; choose another with --listen",
                config.listen
            );
            Error::new(ErrorKind::Unavailable, "listen", message).with_source(error)
        };
        let listener = TcpListener::bind(&config.listen).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        let (root, settings, archive_clock) =
            (config.data_dir.clone(), config.archive, Arc::clone(&clock));
        let retention = Arc::new(config.retention.clone());
        let open = move || {
            let archive = Archive::open(&root, settings, archive_clock)?;
            archive.set_retention(retention)?;
            Ok(archive)
        };
        let archive = Arc::new(BlockingPool::new(1).run(open).await?);
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "listening beyond loopback without identities: whoever reaches it may read and write");
        }
        Ok(Self {
            listener,
            address,
            archive,
            source,
            ci_timeouts: Timeouts::default(),
            clock,
            declared: config.declared.clone(),
            backups: config.backups.clone(),
            sources: watch::Sender::new(config.sources.clone().into()),
            reload: None,
            background_share: config.archive.compact.share_percent,
        })
    }

    /// Reads the configuration again at each wish.
    #[must_use]
    pub fn with_reload(self, reload: Reload) -> Self {
        Self {
            reload: Some(reload),
            ..self
        }
    }

    /// How long a CI may take to answer, if not as long as by default.
    #[must_use]
    pub fn with_ci_timeouts(self, ci_timeouts: Timeouts) -> Self {
        Self {
            ci_timeouts,
            ..self
        }
    }

    /// The configured CI instances, as of the last reading of the configuration.
    #[must_use]
    pub fn sources(&self) -> watch::Receiver<Arc<[GitlabSettings]>> {
        self.sources.subscribe()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The archive, for tests and tools beside the service.
    #[must_use]
    pub fn archive(&self) -> Arc<Archive> {
        Arc::clone(&self.archive)
    }

    /// Runs until `stop` is ready, then stops in order and closes the archive.
    ///
    /// # Errors
    /// `Internal` if a task failed, `Unavailable` if there are no certificate authorities.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<()> {
        let pool = BlockingPool::new(limits::BLOCKING_THREADS);
        let metrics = Metrics::new();
        let wake = Arc::new(Notify::new());
        let (operations, worker) = Operations::new(
            Arc::clone(&self.archive),
            Arc::clone(&self.clock),
            self.backups.clone(),
        );
        let (services, lookups) = self.services(&pool, &metrics, &wake, operations)?;
        let intake = services.intake.clone();
        let engine = services.queries.engine().clone();
        let house = services.housekeeping.clone();
        // Jobs that waited when the last process ended may wait for something that the file has now.
        intake.declare(self.declared).await;
        let pipeline = Pipeline::new(PipelineParts {
            archive: Arc::clone(&self.archive),
            source: self.source,
            pool: lookups.pool.clone(),
            clock: self.clock,
            metrics: Arc::clone(&metrics),
            wake,
            lookups: lookups.clone(),
            jobs_at_once: limits::PIPELINE_JOBS,
        });
        let supervisor = Supervisor::default();
        if let Some(reload) = self.reload {
            let reloader = Reloader {
                intake,
                sources: self.sources,
                pool,
                metrics: Arc::clone(&metrics),
            };
            supervisor.spawn(Phase::Intake, "reload", |token| reloader.run(reload, token));
        }
        let (listener, archive) = (self.listener, self.archive);
        supervisor.spawn(Phase::Intake, "http", |token| {
            listen(listener, services, token)
        });
        supervisor.spawn(Phase::Pipeline, "pipeline", |token| pipeline.run(token));
        supervisor.spawn(Phase::Pipeline, "lookups", |token| lookups.run(token));
        let (scrubbed, counted) = (Arc::clone(&archive), Arc::clone(&metrics));
        supervisor.spawn(Phase::Maintenance, "sealer", |token| {
            seal(archive, metrics, token)
        });
        supervisor.spawn(Phase::Maintenance, "maintenance", |token| {
            maintenance::run(house, token)
        });
        supervisor.spawn(Phase::Maintenance, "scrubber", |token| {
            scrubber::run(scrubbed, counted, token)
        });
        supervisor.spawn(Phase::Maintenance, "operations", |token| worker.run(token));
        tracing::info!(address = %self.address, "serving");
        let ended = supervisor.run(stop).await;
        // Whoever opens the archive next must not find a query of ours still in it.
        engine.close().await;
        ended
    }

    /// What the routes call, and what asks the CI systems.
    fn services(
        &self,
        pool: &BlockingPool,
        metrics: &Arc<Metrics>,
        wake: &Arc<Notify>,
        operations: Operations,
    ) -> Result<(Services, Lookups)> {
        let ci: Arc<dyn CiSource> = Arc::new(GitlabRest::new(
            self.sources(),
            Box::new(config::read_secret),
            self.ci_timeouts,
            Arc::clone(&self.clock),
        )?);
        let intake = Intake::new(
            Arc::clone(&self.archive),
            pool.clone(),
            Arc::clone(&self.clock),
            Arc::clone(metrics),
            Arc::clone(wake),
            Arc::clone(&ci),
        );
        let lookups = Lookups {
            ci,
            intake: intake.clone(),
            archive: Arc::clone(&self.archive),
            // The pipeline's own: slow readers of the API must not hold up archiving.
            pool: BlockingPool::new(limits::PIPELINE_THREADS),
            clock: Arc::clone(&self.clock),
        };
        let engine = Engine::new(Arc::clone(&self.archive))?;
        let services = Services {
            intake,
            hooks: HookService::new(self.sources(), Arc::clone(&self.clock)),
            query: Query::new(Arc::clone(&self.archive), pool.clone()),
            fleet: Fleet::new(engine.clone()),
            queries: Queries::new(engine, Arc::clone(&self.clock)),
            clock: Arc::clone(&self.clock),
            archive: Arc::clone(&self.archive),
            housekeeping: Housekeeping::new(
                Arc::clone(&self.archive),
                Arc::clone(metrics),
                Pace::new(Arc::clone(&self.clock), self.background_share),
            ),
            metrics: Arc::clone(metrics),
            operations,
        };
        Ok((services, lookups))
    }
}

async fn listen(listener: TcpListener, services: Services, token: CancellationToken) -> Result<()> {
    // The page's routes are outside of the API's middleware: they have no problems to explain.
    let router = ui::router()
        .layer(CompressionLayer::new())
        .fallback_service(http::router(services));
    axum::serve(listener, router)
        .with_graceful_shutdown(token.cancelled_owned())
        .await
        .map_err(|error| Error::internal("the listener failed").with_source(error))
}

/// Seals what is due. Jobs that cannot be sealed now stay staged and readable.
async fn seal(
    archive: Arc<Archive>,
    metrics: Arc<Metrics>,
    token: CancellationToken,
) -> Result<()> {
    let pool = BlockingPool::new(1);
    loop {
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            () = tokio::time::sleep(SEAL_EVERY) => {}
        }
        let archive = Arc::clone(&archive);
        match pool.run(move || archive.seal_due()).await {
            Ok(sealed) => {
                metrics
                    .segments_sealed
                    .inc_by(crate::num::len_u64(sealed.len()));
            }
            Err(error) => tracing::error!(error = error.chain(), "staged jobs could not be sealed"),
        }
    }
}
