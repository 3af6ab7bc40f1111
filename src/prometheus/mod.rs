//! The Prometheus adapter: raw samples of one machine, and two questions about the server itself.
//!
//! Servers speak different protocols, from the best to the most common: remote read in one block or in
//! chunks (Prometheus, Mimir), VictoriaMetrics' export, and a bare range selector by the query API
//! (Thanos and everyone else). `ladder` finds out which, each has its own module, and whatever comes
//! goes through `series`.
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
//! Nothing is retried here: the durable queue above owns time, and acts on the kind of the error. What is
//! asked again is another question: another protocol, or a part of the window.

mod api;
mod chunks;
mod client;
mod export;
mod fault;
mod json;
mod ladder;
mod read;
mod remote_read;
mod samples;
mod select;
mod selector;
mod series;
mod site;
mod status;
mod wire;
mod xor;

#[cfg(feature = "testkit")]
pub mod decoders;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_real;
#[cfg(test)]
mod tests_steps;

use crate::error::Error;
use crate::model::id::RegionName;
use crate::model::runner::Region;
use crate::outbound::{SecretReader, Timeouts};
use crate::source_port::{MetricSource, RawSeries, SeriesRequest, SourceError};
use crate::time::{SharedClock, TimeRange};
use client::Client;
use futures::future::BoxFuture;
use ladder::Ladder;

/// Reads raw series from the Prometheus servers of all regions.
#[derive(Debug)]
pub struct PrometheusSource {
    client: Client,
    ladder: Ladder,
}

impl PrometheusSource {
    /// A source without any open connection.
    ///
    /// # Errors
    /// `Unavailable` if the machine has no certificate authorities to verify servers with.
    pub fn new(
        secrets: SecretReader,
        timeouts: Timeouts,
        clock: SharedClock,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: Client::new(secrets, timeouts)?,
            ladder: Ladder::new(clock),
        })
    }
}

impl MetricSource for PrometheusSource {
    fn read<'a>(
        &'a self,
        request: &'a SeriesRequest,
    ) -> BoxFuture<'a, Result<Vec<RawSeries>, SourceError>> {
        Box::pin(read::read(&self.client, &self.ladder, request))
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
