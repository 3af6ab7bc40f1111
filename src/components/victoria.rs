//! VictoriaMetrics: the other server a region may have (no remote read, but `/api/v1/export`).

use super::http;
use super::port::start_on_free_port;
use super::process::{Component, Program};
use crate::error::{Error, ErrorKind, Result};
use crate::outbound::percent_encoded;
use crate::time::TimeRange;
use std::path::Path;

const VICTORIA_METRICS: Program = Program {
    names: &["victoria-metrics", "victoria-metrics-prod"],
    package: "victoria-metrics",
};

/// A running single-node VictoriaMetrics.
#[derive(Debug)]
pub struct VictoriaMetrics {
    component: Component,
    port: u16,
}

impl VictoriaMetrics {
    /// Starts one on a free port with its data in `dir`/data and waits until it answers.
    ///
    /// # Errors
    /// `Unavailable` if the program is missing (naming the package) or does not become ready.
    pub async fn start(dir: &Path) -> Result<Self> {
        let (component, port) = start_on_free_port("/health", |port| {
            let args = [
                format!("-httpListenAddr=127.0.0.1:{port}"),
                format!("-storageDataPath={}", dir.join("data").display()),
                "-retentionPeriod=100y".to_owned(),
                "-loggerLevel=WARN".to_owned(),
            ];
            Component::start(&VICTORIA_METRICS, &args, dir)
        })
        .await?;
        Ok(Self { component, port })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Writes lines of the JSON import format (`{"metric":{..},"values":[..],"timestamps":[..]}`)
    /// and makes them visible to reads at once.
    ///
    /// # Errors
    /// `Unavailable` if it does not take them.
    pub async fn import(&self, lines: &str) -> Result<()> {
        for (path, body) in [("/api/v1/import", lines), ("/internal/force_flush", "")] {
            match http::post(self.port, path, body).await {
                Ok((200 | 204, _)) => {}
                answer => {
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        "component_failed",
                        format!("VictoriaMetrics did not take {path}: {answer:?}"),
                    ));
                }
            }
        }
        Ok(())
    }

    /// The series `name` of one instance as JSON lines, both ends of `range` inclusive.
    ///
    /// # Errors
    /// `Unavailable` if it does not answer.
    pub async fn export(&self, name: &str, instance: &str, range: TimeRange) -> Result<String> {
        let selector = percent_encoded(&format!("{name}{{instance=\"{instance}\"}}"));
        let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000));
        let (from, to) = range.to_inclusive();
        let (from, to) = (seconds(from), seconds(to));
        let path = format!("/api/v1/export?match={selector}&start={from}&end={to}");
        match http::get(self.port, &path).await {
            Ok((200, text)) => Ok(text),
            answer => Err(Error::new(
                ErrorKind::Unavailable,
                "component_failed",
                format!("VictoriaMetrics did not export {name}: {answer:?}"),
            )),
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// `Unavailable` if it does not end.
    pub async fn stop(self) -> Result<()> {
        self.component.stop().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimestampMs;

    #[tokio::test]
    async fn a_real_victoria_metrics_gives_back_what_was_imported() {
        let dir = tempfile::tempdir().unwrap();
        let server = VictoriaMetrics::start(dir.path()).await.unwrap();
        let line = r#"{"metric":{"__name__":"up","instance":"a:9100"},"values":[1,0],"timestamps":[1764000000000,1764000015000]}"#;
        server.import(line).await.unwrap();
        let range = TimeRange::new(
            TimestampMs(1_763_999_999_000),
            TimestampMs(1_764_000_020_000),
        );
        let body = server.export("up", "a:9100", range).await.unwrap();
        assert!(
            body.contains("\"timestamps\":[1764000000000,1764000015000]"),
            "{body}"
        );
        server.stop().await.unwrap();
    }
}
