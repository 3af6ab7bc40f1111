//! Tachograph archives what each CI job did to its machine.
//!
//! When a job ends, it takes the machine's metrics for the job's time window out of the Prometheus
//! of that machine's region and keeps them in an archive of its own: compressed Parquet segments,
//! indexed in RocksDB. The machine and Prometheus forget; the job page still shows the graphs.
//!
//! It is not a Prometheus: it does not scrape, it evaluates no PromQL, and it keeps nothing that
//! belongs to no job. ARCHITECTURE.md has the map, `docs/format.md` every byte on disk.

pub mod error;
pub mod fault;
pub mod invariant;
pub mod limits;
pub mod num;
pub mod outbound;
pub mod secret;
pub mod supervise;
pub mod telemetry;
pub mod time;
pub mod wide;

pub mod ci_port;
pub mod model;
pub mod source_port;

pub mod gitlab;
pub mod index;
pub mod prometheus;
pub mod segment;

pub mod archive;

pub mod fleetgen;
pub mod ingest;
pub mod operations;
pub mod query;

pub mod http;
pub mod ui;

pub mod cli;
pub mod components;
pub mod config;
pub mod server;

#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
