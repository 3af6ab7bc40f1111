//! The Prometheus adapter: raw samples of one machine by remote read, and two questions about the
//! server itself.
//!
//! It implements [`MetricSource`] and trusts nothing it receives. What it guarantees to the
//! assembler:
//!
//! - Every returned series carries the asked label with exactly the asked value, and one of the
//!   asked names; no two have the same labels. A server or proxy that answers anything else is an
//!   error, never somebody else's data in a job's archive.
//! - Samples are the server's own, bit for bit: staleness markers, NaNs and infinities included,
//!   none evaluated, none interpolated, none outside the asked range (AR-8), strictly increasing in
//!   time. The order of series is that of their labels, so that equal data gives equal bytes (AR-9).
//! - No answer makes it allocate more than a small multiple of
//!   [`FETCH_BYTES_MAX`](crate::limits::FETCH_BYTES_MAX), no server makes it wait longer than its
//!   [`Timeouts`], and none gets more than
//!   [`FETCHES_PER_REGION`](crate::limits::FETCHES_PER_REGION) requests at once.
//! - It goes where the registration points and nowhere else: no redirects, no proxies from the
//!   environment.
//!
//! Nothing is retried here: the durable queue above owns time, and acts on the kind of the error.

mod client;
mod decode;
mod fault;
mod read;
mod select;
mod site;
mod status;
mod wire;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_real;

use crate::error::Error;
use crate::limits;
use crate::model::id::RegionName;
use crate::model::runner::Region;
use crate::source_port::{MetricSource, RawSeries, SeriesRequest, SourceError};
use crate::time::TimeRange;
use client::Client;
use futures::future::BoxFuture;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Reads a small local file with a secret. Given by the composition root, since file I/O is not this
/// module's business; called at each use, so that a rotated token needs no restart.
pub type SecretReader = Box<dyn Fn(&Path) -> io::Result<String> + Send + Sync>;

/// How long a server may take. The default is what production uses; tests are less patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// Silence before or within an answer.
    pub idle: Duration,
    /// The whole exchange, from connecting to the last byte.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: limits::CONNECT_TIMEOUT,
            idle: limits::READ_IDLE_TIMEOUT,
            total: limits::FETCH_TIMEOUT,
        }
    }
}

/// Chooses the cryptography of TLS for this process: *ring*. Harmless if something was chosen
/// before, so that every user of TLS may call it.
///
/// reqwest is built without a default of its own, which would drag in a second one (aws-lc, a large
/// C library); without this call it panics when a client is built.
pub fn install_tls() {
    // An error means that a provider is installed already, which is all that is wanted.
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
}

/// Reads raw series from the Prometheus servers of all regions.
#[derive(Debug)]
pub struct PrometheusSource {
    client: Client,
}

impl PrometheusSource {
    /// A source without any open connection.
    ///
    /// # Errors
    /// `Unavailable` if the machine has no certificate authorities to verify servers with.
    pub fn new(secrets: SecretReader, timeouts: Timeouts) -> Result<Self, Error> {
        install_tls();
        Ok(Self {
            client: Client::new(secrets, timeouts)?,
        })
    }
}

impl MetricSource for PrometheusSource {
    fn read<'a>(
        &'a self,
        request: &'a SeriesRequest,
    ) -> BoxFuture<'a, Result<Vec<RawSeries>, SourceError>> {
        Box::pin(read::read(&self.client, request))
    }

    fn retention_ms<'a>(
        &'a self,
        name: &'a RegionName,
        region: &'a Region,
    ) -> BoxFuture<'a, Result<Option<i64>, SourceError>> {
        Box::pin(status::retention_ms(&self.client, name, region))
    }

    fn scraped_anything<'a>(
        &'a self,
        name: &'a RegionName,
        region: &'a Region,
        range: TimeRange,
    ) -> BoxFuture<'a, Result<bool, SourceError>> {
        Box::pin(status::scraped_anything(&self.client, name, region, range))
    }
}
