//! `tachograph serve`.

use crate::config::{self, Config};
use crate::error::{Error, Result};
use crate::outbound::Timeouts;
use crate::prometheus::PrometheusSource;
use crate::server::{Reload, Server};
use crate::telemetry;
use crate::time::SystemClock;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Run the service. It needs no configuration: without a file it listens on loopback only.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the archive.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Configuration file (see `tachograph config example`); SIGHUP reads it again.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<()> {
    let file = match &args.config {
        Some(path) => config::read_config(path)?,
        None => Config::default(),
    };
    let mut config = file.clone();
    if let Some(data_dir) = args.data_dir {
        config.data_dir = data_dir;
    }
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    telemetry::init_logs(&log_filter(&config));
    for warning in &config.warnings {
        tracing::warn!(warning, "configuration");
    }
    let source = PrometheusSource::new(Box::new(config::read_secret), Timeouts::default())?;
    let stop = stop_signal()?;
    let mut server = Server::bind(&config, Arc::new(source), SystemClock::shared()).await?;
    if let Some(path) = args.config {
        server = server.with_reload(Reload {
            file: path,
            started: file,
            wishes: hangups()?,
        });
    }
    super::out::note(&format!(
        "tachograph: listening on http://{}",
        server.address()
    ));
    server.run(stop).await
}

/// `RUST_LOG` wins over the file.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line is where the environment is read"
)]
fn log_filter(config: &Config) -> String {
    std::env::var("RUST_LOG").unwrap_or_else(|_| config.log.clone())
}

/// One item for each SIGHUP.
fn hangups() -> Result<BoxStream<'static, ()>> {
    let mut hangup = signal(SignalKind::hangup()).map_err(no_signals)?;
    Ok(futures::stream::poll_fn(move |context| hangup.poll_recv(context)).boxed())
}

fn no_signals(error: std::io::Error) -> Error {
    Error::internal("signals cannot be received").with_source(error)
}

/// Ready at SIGTERM or Ctrl-C.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    })
}
