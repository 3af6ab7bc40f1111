//! The configuration file in a running service: what it registers, what wins over it, and reading it
//! again.

mod program;
mod reload;
mod rules;

use crate::support::{Api, after_all_jobs, load_fleet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tachograph::config;
use tachograph::outbound::Timeouts;
use tachograph::prometheus::PrometheusSource;
use tachograph::server::{Reload, Server};
use tachograph::testkit::clock::ManualClock;
use tachograph::testkit::fake_prometheus::FakePrometheus;
use tachograph::time::SharedClock;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// How long the service may take to stop.
const STOP: Duration = Duration::from_secs(10);

/// A folder with a configuration, and a stand-in Prometheus with a fleet that it can name.
struct Site {
    prometheus: FakePrometheus,
    clock: Arc<ManualClock>,
    dir: tempfile::TempDir,
}

impl Site {
    async fn new() -> Self {
        let prometheus = FakePrometheus::start().await.unwrap();
        load_fleet(&prometheus);
        Self {
            prometheus,
            clock: ManualClock::at(after_all_jobs()),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("tachograph.toml")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Writes the configuration; `PROM` stands for the stand-in's address.
    fn configure(&self, text: &str) {
        let address = format!(
            "listen = \"127.0.0.1:0\"\ndata_dir = \"{}\"\n",
            self.path("data").display()
        );
        let text = text.replace("PROM", &self.prometheus.url());
        self.write("tachograph.toml", &(address + &text));
    }

    /// Starts a service with the configuration as it stands now.
    async fn serve(&self) -> Configured {
        let file = self.file();
        let config = config::read_config(&file).unwrap();
        let clock = Arc::<ManualClock>::clone(&self.clock);
        let secrets = Box::new(config::read_secret);
        let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
        let source = PrometheusSource::new(secrets, Timeouts::default(), shared);
        let source = Arc::new(source.unwrap());
        let server = Server::bind(&config, source, clock).await.unwrap();
        let (wish, mut wishes) = mpsc::channel(1);
        let wishes = futures::stream::poll_fn(move |context| wishes.poll_recv(context));
        let server = server.with_reload(Reload {
            file,
            started: config,
            wishes: Box::pin(wishes),
        });
        let api = Api::new(format!("http://{}", server.address()));
        let sources = server.sources();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async {
            // A dropped sender is a test that failed: stop as well.
            let _asked = stopped.await;
        }));
        Configured {
            api,
            wish,
            sources,
            stop,
            task,
        }
    }
}

/// A running service.
struct Configured {
    api: Api,
    wish: mpsc::Sender<()>,
    sources: tokio::sync::watch::Receiver<Arc<[tachograph::gitlab::settings::GitlabSettings]>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<tachograph::error::Result<()>>,
}

impl Configured {
    /// Asks for another reading of the file.
    async fn reload(&self) {
        self.wish.send(()).await.unwrap();
    }

    /// The value of a metric of the service.
    async fn metric(&self, name: &str) -> String {
        let text = self.api.get("/metrics").await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .trim()
            .to_owned()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        let ended = tokio::time::timeout(STOP, self.task).await;
        ended.expect("the service stops").unwrap().unwrap();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
