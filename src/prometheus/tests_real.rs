//! The adapter against a real Prometheus with a history that is known sample for sample.
//!
//! Skipped, and says so, where `prometheus` and `promtool` (Debian: package `prometheus`) are absent.

use super::*;
use crate::outbound::install_tls;
use crate::time::TimestampMs;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// A multiple of two hours, so that the whole history is one block; far outside the head, whose last
/// three hours promtool must not write.
const FROM: i64 = 1_764_000_000_000;
const MINUTE: i64 = 60_000;
const INSTANCE: &str = "runner-abc-0:9100";
/// A year of 365 days, as Prometheus counts.
const YEAR_MS: i64 = 365 * 86_400_000;

/// A running server; it dies with this value.
struct RealPrometheus {
    process: Child,
    url: String,
    /// Shared by the attempts to start; removed after the process is gone.
    _dir: Arc<tempfile::TempDir>,
}

impl Drop for RealPrometheus {
    fn drop(&mut self) {
        // Already gone is fine; what matters is that it is gone, and reaped.
        let _already_gone = self.process.kill();
        let _status = self.process.wait();
    }
}

impl RealPrometheus {
    /// A server on a free port with this history, `None` where Prometheus is not installed.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's own directory and its own processes"
    )]
    async fn start(openmetrics: &str) -> Option<Self> {
        if !Path::new("/usr/bin/prometheus").exists() {
            println!("skipped: /usr/bin/prometheus is not installed");
            return None;
        }
        let dir = Arc::new(tempfile::tempdir().unwrap());
        std::fs::write(dir.path().join("in.om"), openmetrics).unwrap();
        let config = "global: {external_labels: {region: eu-1}}\n";
        std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let import = Command::new("/usr/bin/promtool")
            .current_dir(dir.path())
            .args(["tsdb", "create-blocks-from", "openmetrics", "in.om", "data"])
            .output()
            .unwrap();
        assert!(
            import.status.success(),
            "{}",
            String::from_utf8_lossy(&import.stderr)
        );

        // Another process may take the port between our asking and its use.
        for _ in 0..3 {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = free.local_addr().unwrap().to_string();
            drop(free);
            let process = Command::new("/usr/bin/prometheus")
                .current_dir(dir.path())
                .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
                .arg("--storage.tsdb.retention.time=100y")
                .arg(format!("--web.listen-address={address}"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let url = format!("http://{address}");
            let mut server = Self {
                process,
                url,
                _dir: Arc::clone(&dir),
            };
            if server.ready().await {
                return Some(server);
            }
        }
        panic!("prometheus did not start in three attempts");
    }

    /// Waits until it answers; false if it ended before.
    async fn ready(&mut self) -> bool {
        install_tls();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for _ in 0..600 {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            let answer = client.get(format!("{}/-/ready", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }
}

/// Five minutes of a machine: every 15 s a sample, a few ms late now and then, with values that
/// decimal text and f64 carry exactly.
fn history() -> Vec<RawSeries> {
    let times = (0..20_i64).map(|i| FROM + 15_000 * i + (i % 3));
    let series = |name: &str, labels: &[(&str, &str)], values: &dyn Fn(i64) -> f64| RawSeries {
        name: name.to_owned(),
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        samples: times.clone().zip((0..20).map(values)).collect(),
    };
    let load = |i: i64| crate::num::to_f64(i) / 8.0;
    let counter = |i: i64| crate::num::to_f64(1_234_567 + i * i);
    let odd = |i: i64| match i {
        3 => f64::NAN,
        4 => f64::INFINITY,
        5 => f64::NEG_INFINITY,
        _ => crate::num::to_f64(i),
    };
    // In the order in which they must come back.
    vec![
        series(
            "node_cpu_seconds_total",
            &[("cpu", "0"), ("mode", "idle")],
            &counter,
        ),
        series(
            "node_cpu_seconds_total",
            &[("cpu", "0"), ("mode", "user")],
            &load,
        ),
        series("node_load1", &[], &odd),
        series(
            "node_network_receive_bytes_total",
            &[("device", "eth0")],
            &counter,
        ),
        series(
            "node_network_receive_bytes_total",
            &[("device", "veth\"}\\")],
            &counter,
        ),
        series(
            "node_network_receive_bytes_total",
            &[("device", "veth0a1b2c3")],
            &counter,
        ),
        series("up", &[], &|_| 1.0),
    ]
}

/// The history of two machines as text for promtool, families contiguous, times in seconds.
fn openmetrics(history: &[RawSeries]) -> String {
    let mut text = String::new();
    let mut family = "";
    for series in history {
        let base = series.name.trim_end_matches("_total");
        if family != base {
            family = base;
            let kind = if base == series.name {
                "gauge"
            } else {
                "counter"
            };
            writeln!(text, "# TYPE {base} {kind}").unwrap();
        }
        // The second machine differs only by a character that a regular expression would not see.
        for instance in [INSTANCE, "runner-abc-00:9100"] {
            let mut labels = format!("instance=\"{instance}\"");
            for (name, value) in &series.labels {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                write!(labels, ",{name}=\"{value}\"").unwrap();
            }
            for (ts, value) in &series.samples {
                let value = format!("{value}").replace("inf", "Inf");
                writeln!(
                    text,
                    "{}{{{labels}}} {value} {}.{:03}",
                    series.name,
                    ts / 1_000,
                    ts % 1_000
                )
                .unwrap();
            }
        }
    }
    text + "# EOF\n"
}

#[tokio::test]
async fn a_real_prometheus_is_read_sample_for_sample() {
    let history = history();
    let Some(server) = RealPrometheus::start(&openmetrics(&history)).await else {
        return;
    };
    let no_secrets: SecretReader = Box::new(|_| Err(io::ErrorKind::NotFound.into()));
    let source = PrometheusSource::new(no_secrets, Timeouts::default()).unwrap();
    let fields = serde_json::json!({ "url": server.url });
    let region: Region = serde_json::from_value(fields).unwrap();
    let name = RegionName::parse("eu-1").unwrap();
    let range = |from, to| TimeRange::new(TimestampMs(FROM + from), TimestampMs(FROM + to));
    let mut request = SeriesRequest {
        region_name: name.clone(),
        region: region.clone(),
        machine: ("instance".to_owned(), INSTANCE.to_owned()),
        names: &[
            "node_cpu_seconds_total",
            "node_load1",
            "node_network_receive_bytes_total",
            "up",
        ],
        range: range(-MINUTE, 10 * MINUTE),
    };

    let all = source.read(&request).await.unwrap();
    compare(&all, &history, request.range);
    // The 2nd to the 4th sample: the last millisecond is outside.
    request.range = range(15_001, 60_001);
    compare(
        &source.read(&request).await.unwrap(),
        &history,
        request.range,
    );
    request.machine.1 = "runner-abc-.*".to_owned();
    assert_eq!(source.read(&request).await, Ok(Vec::new()));
    // External labels can be asked for, too.
    request.machine = ("region".to_owned(), "eu-1".to_owned());
    request.names = &["up"];
    assert_eq!(source.read(&request).await.unwrap().len(), 2);

    assert_eq!(
        source.retention_ms(&name, &region).await,
        Ok(Some(100 * YEAR_MS))
    );
    for (from, to, scraped) in [
        (0, 5 * MINUTE, true),
        (-MINUTE, 1, true),
        (-MINUTE, 0, false),
        (5 * MINUTE, 6 * MINUTE, false),
    ] {
        let got = source
            .scraped_anything(&name, &region, range(from, to))
            .await;
        assert_eq!(got, Ok(scraped), "{from}..{to}");
    }
}

fn compare(got: &[RawSeries], history: &[RawSeries], range: TimeRange) {
    assert_eq!(got.len(), history.len());
    for (got, expected) in got.iter().zip(history) {
        let mut labels = expected.labels.clone();
        labels.push(("instance".to_owned(), INSTANCE.to_owned()));
        labels.push(("region".to_owned(), "eu-1".to_owned()));
        labels.sort();
        assert_eq!((&got.name, &got.labels), (&expected.name, &labels));
        let inside = expected
            .samples
            .iter()
            .filter(|(ts, _)| range.contains(TimestampMs(*ts)));
        // NaN spellings: promtool writes the canonical one of Go.
        let bits = |(ts, value): &(i64, f64)| match value.is_nan() {
            true => (*ts, 0x7ff8_0000_0000_0001),
            false => (*ts, value.to_bits()),
        };
        assert_eq!(
            got.samples.iter().map(bits).collect::<Vec<_>>(),
            inside.map(bits).collect::<Vec<_>>(),
            "{} {labels:?}",
            got.name
        );
    }
}
