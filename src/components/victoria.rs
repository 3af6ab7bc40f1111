//! VictoriaMetrics: the other server a region may have (no remote read, but `/api/v1/export`).

use super::http;
use super::port::start_on_free_port;
use super::process::{Component, Program};
use crate::error::{Error, ErrorKind, Result};
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

    #[tokio::test]
    async fn a_real_victoria_metrics_gives_back_what_was_imported() {
        let dir = tempfile::tempdir().unwrap();
        let server = VictoriaMetrics::start(dir.path()).await.unwrap();
        let line = r#"{"metric":{"__name__":"up","instance":"a:9100"},"values":[1,0],"timestamps":[1764000000000,1764000015000]}"#;
        server.import(line).await.unwrap();
        let path = "/api/v1/export?match=up&start=1763999999&end=1764000020";
        let (status, body) = http::get(server.port, path).await.unwrap();
        assert_eq!(status, 200);
        assert!(
            body.contains("\"timestamps\":[1764000000000,1764000015000]"),
            "{body}"
        );
        server.stop().await.unwrap();
    }
}
