//! node_exporter: the machine's own metrics, on the loopback interface only.

use super::http;
use super::port::start_on_free_port;
use super::process::{Component, Program};
use crate::error::{Error, ErrorKind, Result};
use std::path::Path;

const NODE_EXPORTER: Program = Program {
    names: &["prometheus-node-exporter", "node_exporter"],
    package: "prometheus-node-exporter",
};

/// A running node_exporter.
#[derive(Debug)]
pub struct NodeExporter {
    component: Component,
    port: u16,
}

impl NodeExporter {
    /// Starts one on a free port and waits until it answers. Its log goes to `dir`.
    ///
    /// # Errors
    /// `Unavailable` if the program is missing (naming the package) or does not become ready.
    pub async fn start(dir: &Path) -> Result<Self> {
        let (component, port) = start_on_free_port("/metrics", |port| {
            let listen = format!("--web.listen-address=127.0.0.1:{port}");
            Component::start(&NODE_EXPORTER, &[listen], dir)
        })
        .await?;
        Ok(Self { component, port })
    }

    /// `127.0.0.1:port`, for a scrape target.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it shows now.
    ///
    /// # Errors
    /// `Unavailable` if it does not answer.
    pub async fn scrape(&self) -> Result<String> {
        match http::get(self.port, "/metrics").await {
            Ok((200, text)) => Ok(text),
            answer => Err(Error::new(
                ErrorKind::Unavailable,
                "component_failed",
                format!("node_exporter does not show its metrics: {answer:?}"),
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

    #[tokio::test]
    async fn a_real_node_exporter_shows_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        let exporter = NodeExporter::start(dir.path()).await.unwrap();
        let text = exporter.scrape().await.unwrap();
        assert!(text.contains("node_cpu_seconds_total{cpu=\"0\",mode=\"user\"}"));
        exporter.stop().await.unwrap();
    }
}
