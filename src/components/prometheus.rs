//! Prometheus and promtool.

use super::http;
use super::port::{start_on_free_port, wait_ready};
use super::process::{Component, Program, make_dir, write_file};
use crate::error::{Error, ErrorKind, Result};
use crate::outbound::percent_encoded;
use crate::time::TimestampMs;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PROMETHEUS: Program = Program {
    names: &["prometheus"],
    package: "prometheus",
};
const PROMTOOL: Program = Program {
    names: &["promtool"],
    package: "prometheus",
};

/// Something to scrape.
#[derive(Debug, Clone)]
pub struct Target {
    /// `host:port` of its `/metrics`.
    pub address: String,
    /// The `instance` label its series get.
    pub instance: String,
}

/// How a Prometheus is started.
#[derive(Debug, Clone)]
pub struct PrometheusOptions {
    /// What it scrapes, as job `node`.
    pub targets: Vec<Target>,
    /// How often.
    pub scrape_interval: Duration,
    /// How long it keeps samples, in its own words (`15d`, `100y`).
    pub retention: String,
    /// Labels that it adds to everything it hands out, e.g. `region`.
    pub external_labels: Vec<(String, String)>,
    /// Further command line arguments.
    pub extra_args: Vec<String>,
}

impl Default for PrometheusOptions {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            scrape_interval: Duration::from_secs(15),
            retention: "100y".to_owned(),
            external_labels: Vec::new(),
            extra_args: Vec::new(),
        }
    }
}

impl PrometheusOptions {
    fn config(&self) -> String {
        let interval = self.scrape_interval.as_millis();
        let mut text =
            format!("global:\n  scrape_interval: {interval}ms\n  scrape_timeout: {interval}ms\n");
        if !self.external_labels.is_empty() {
            text.push_str("  external_labels:\n");
        }
        for (name, value) in &self.external_labels {
            put(&mut text, format_args!("    {name}: {value:?}\n"));
        }
        text.push_str("scrape_configs:\n- job_name: node\n  static_configs:\n");
        for target in &self.targets {
            put(
                &mut text,
                format_args!(
                    "  - targets: [{:?}]\n    labels: {{instance: {:?}}}\n",
                    target.address, target.instance
                ),
            );
        }
        if self.targets.is_empty() {
            text.push_str("  - targets: []\n");
        }
        text
    }
}

/// Appends to a string, which cannot fail.
fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).unwrap_or_default();
}

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    component: Component,
    port: u16,
    dir: PathBuf,
    options: PrometheusOptions,
}

impl Prometheus {
    /// Starts one on a free port with its configuration, log and `data` in `dir` and waits until it
    /// is ready. Blocks that [`promtool_load`] wrote into `dir`/data before are served.
    ///
    /// # Errors
    /// `Unavailable` if the program is missing (naming the package) or does not become ready.
    pub async fn start(dir: &Path, options: PrometheusOptions) -> Result<Self> {
        write_config(dir, &options)?;
        let (component, port) =
            start_on_free_port("/-/ready", |port| spawn(dir, &options, port)).await?;
        Ok(Self {
            component,
            port,
            dir: dir.to_owned(),
            options,
        })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where its samples are.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The process, for its pid and log.
    #[must_use]
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Scrapes these targets from now on, without a restart: a target that leaves becomes stale, as
    /// when an autoscaled machine leaves service discovery.
    ///
    /// # Errors
    /// `Unavailable` if it does not take the configuration.
    pub async fn set_targets(&mut self, targets: Vec<Target>) -> Result<()> {
        self.options.targets = targets;
        write_config(&self.dir, &self.options)?;
        match http::post(self.port, "/-/reload", "").await {
            Ok((200, _)) => Ok(()),
            answer => Err(Error::new(
                ErrorKind::Unavailable,
                "component_failed",
                format!("Prometheus did not reload its configuration: {answer:?}"),
            )),
        }
    }

    /// The JSON answer of an instant query at `time`.
    ///
    /// # Errors
    /// `Unavailable` if it does not answer.
    pub async fn query(&self, query: &str, time: TimestampMs) -> Result<String> {
        let (seconds, millis) = (time.0.div_euclid(1_000), time.0.rem_euclid(1_000));
        let query = percent_encoded(query);
        let path = format!("/api/v1/query?query={query}&time={seconds}.{millis:03}");
        match http::get(self.port, &path).await {
            Ok((200, text)) => Ok(text),
            answer => Err(Error::new(
                ErrorKind::Unavailable,
                "component_failed",
                format!("Prometheus did not answer {path}: {answer:?}"),
            )),
        }
    }

    /// Stops it (`crash`: with SIGKILL) and hands out what is needed to start it again.
    ///
    /// # Errors
    /// `Unavailable` if it does not end.
    pub async fn stop(self, crash: bool) -> Result<StoppedPrometheus> {
        let stopped = StoppedPrometheus {
            port: self.port,
            dir: self.dir,
            options: self.options,
        };
        if crash {
            self.component.kill().await?;
        } else {
            self.component.stop().await?;
        }
        Ok(stopped)
    }

    /// Ends it and deletes everything it knew.
    ///
    /// # Errors
    /// `Unavailable` if it does not end or its files cannot be deleted.
    pub async fn stop_and_delete_data(self) -> Result<()> {
        let data = self.data_dir();
        self.stop(false).await?;
        remove(&data).map_err(|error| file_error(&data, error))
    }
}

/// A Prometheus that was stopped and may come back at the same address.
#[derive(Debug)]
pub struct StoppedPrometheus {
    port: u16,
    dir: PathBuf,
    options: PrometheusOptions,
}

impl StoppedPrometheus {
    /// Starts it again, same port and data.
    ///
    /// # Errors
    /// `Unavailable` if it does not become ready.
    pub async fn start(self) -> Result<Prometheus> {
        let mut component = spawn(&self.dir, &self.options, self.port)?;
        wait_ready(&mut component, self.port, "/-/ready").await?;
        Ok(Prometheus {
            component,
            port: self.port,
            dir: self.dir,
            options: self.options,
        })
    }
}

fn spawn(dir: &Path, options: &PrometheusOptions, port: u16) -> Result<Component> {
    let mut args = vec![
        format!("--config.file={}", config_path(dir).display()),
        format!("--storage.tsdb.path={}", dir.join("data").display()),
        format!("--storage.tsdb.retention.time={}", options.retention),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--web.enable-lifecycle".to_owned(),
        "--log.level=warn".to_owned(),
    ];
    args.extend(options.extra_args.iter().cloned());
    Component::start(&PROMETHEUS, &args, dir)
}

/// Makes blocks in `data_dir` out of an OpenMetrics file. To be called while no Prometheus runs on
/// that directory.
///
/// # Errors
/// `Unavailable` if promtool is missing (naming the package) or refuses the file.
pub async fn promtool_load(open_metrics: &Path, data_dir: &Path) -> Result<()> {
    make_dir(data_dir).map_err(|error| file_error(data_dir, error))?;
    let words = ["tsdb", "create-blocks-from", "openmetrics"].map(OsStr::new);
    let paths = [open_metrics.as_os_str(), data_dir.as_os_str()];
    PROMTOOL.run(&[&words[..], &paths[..]].concat()).await
}

fn config_path(dir: &Path) -> PathBuf {
    dir.join("prometheus.yml")
}

fn write_config(dir: &Path, options: &PrometheusOptions) -> Result<()> {
    let path = config_path(dir);
    make_dir(dir)
        .and_then(|()| write_file(&path, &options.config()))
        .map_err(|error| file_error(&path, error))
}

#[expect(
    clippy::disallowed_methods,
    reason = "files of foreign programs are not the archive's files"
)]
fn remove(dir: &Path) -> std::io::Result<()> {
    std::fs::remove_dir_all(dir)
}

fn file_error(path: &Path, error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "component_files",
        format!("{} cannot be written or deleted", path.display()),
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::super::NodeExporter;
    use super::*;
    use crate::time::{Clock, SystemClock};

    async fn query(prometheus: &Prometheus, query: &str) -> String {
        let now = SystemClock::new().now();
        prometheus.query(query, now).await.unwrap()
    }

    #[test]
    fn labels_are_quoted() {
        let options = PrometheusOptions {
            targets: vec![Target {
                address: "127.0.0.1:1".to_owned(),
                instance: "a: \"b\"".to_owned(),
            }],
            external_labels: vec![("region".to_owned(), "eu-1".to_owned())],
            ..PrometheusOptions::default()
        };
        let text = options.config();
        assert!(
            text.contains("labels: {instance: \"a: \\\"b\\\"\"}"),
            "{text}"
        );
        assert!(text.contains("    region: \"eu-1\"\n"), "{text}");
    }

    #[tokio::test]
    async fn a_real_prometheus_scrapes_restarts_and_forgets() {
        let dir = tempfile::tempdir().unwrap();
        let exporter = NodeExporter::start(dir.path()).await.unwrap();
        let options = PrometheusOptions {
            targets: vec![Target {
                address: exporter.address(),
                instance: "runner-1:9100".to_owned(),
            }],
            scrape_interval: Duration::from_millis(200),
            ..PrometheusOptions::default()
        };
        let prometheus = Prometheus::start(dir.path(), options).await.unwrap();
        let url = prometheus.url();
        let mut answer = String::new();
        for _ in 0..300 {
            answer = query(&prometheus, "up").await;
            if answer.contains("\"1\"]") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(
            answer.contains("\"instance\":\"runner-1:9100\""),
            "{answer}"
        );

        let stopped = prometheus.stop(true).await.unwrap();
        let mut prometheus = stopped.start().await.unwrap();
        assert_eq!(prometheus.url(), url);
        let answer = query(&prometheus, "count_over_time(up[5m])").await;
        assert!(answer.contains("runner-1:9100"), "{answer}");
        prometheus.set_targets(Vec::new()).await.unwrap();
        let data = prometheus.data_dir();
        prometheus.stop_and_delete_data().await.unwrap();
        assert!(!data.is_dir());
    }

    #[tokio::test]
    async fn promtool_says_what_is_wrong_with_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("in.om");
        write_file(&file, "up{instance=\"a\"} 1 1764000000.000\n").unwrap();
        let error = promtool_load(&file, &dir.path().join("data"))
            .await
            .unwrap_err();
        assert!(error.message().contains("promtool failed"), "{error}");
    }
}
