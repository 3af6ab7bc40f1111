//! What the demo and the tests run beside us: Prometheus, node_exporter, VictoriaMetrics and promtool
//! as real programs, and a stand-in GitLab.
//!
//! Everything listens on a free port of the loopback interface (two runs on one port silently query
//! each other's data), logs into a file of the caller's directory and is stopped by its own pid when
//! its value is dropped. A program is looked up in PATH; one that is missing is named together with
//! the Debian package that brings it. It is not a supervisor: nothing here is restarted by itself.

mod exporter;
pub mod gitlab;
mod http;
mod port;
mod process;
mod prometheus;
mod victoria;

pub use exporter::NodeExporter;
pub use port::free_port;
pub use process::{Component, Program};
pub use prometheus::{Prometheus, PrometheusOptions, StoppedPrometheus, Target, promtool_load};
pub use victoria::VictoriaMetrics;
