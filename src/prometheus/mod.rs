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
use crate::model::id::RegionName;
use crate::model::runner::Region;
use crate::outbound::{SecretReader, Timeouts};
use crate::source_port::{MetricSource, RawSeries, SeriesRequest, SourceError};
use crate::time::TimeRange;
use client::Client;
use futures::future::BoxFuture;

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
