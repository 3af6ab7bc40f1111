//! The port to the outside: where raw series come from. Implemented by `prometheus`, faked in
//! `testkit`.

use crate::model::id::RegionName;
use crate::model::runner::Region;
use crate::time::TimeRange;
use futures::future::BoxFuture;
use std::fmt;

/// Which raw series to read.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesRequest {
    /// The region, for messages and limits.
    pub region_name: RegionName,
    /// Its registration.
    pub region: Region,
    /// Label that names the machine, and its exact value. The value is never empty.
    pub machine: (String, String),
    /// Metric names to read.
    pub names: &'static [&'static str],
    /// Window to read; half-open.
    pub range: TimeRange,
}

/// One raw series: its labels and samples in order of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RawSeries {
    /// Metric name (`__name__`).
    pub name: String,
    /// All other labels, sorted by name.
    pub labels: Vec<(String, String)>,
    /// Samples: Unix ms, strictly increasing, inside the requested range; a staleness marker is
    /// [`STALE`] bit for bit.
    pub samples: Vec<(i64, f64)>,
}

impl RawSeries {
    /// The value of a label, empty if absent (as Prometheus sees it).
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels
            .iter()
            .find(|(label, _)| label == name)
            .map_or("", |(_, value)| value)
    }
}

/// The staleness marker: these bits exactly. Other NaNs are values.
pub const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Whether a raw value is the staleness marker.
#[must_use]
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE
}

/// Why a region could not be read, as coarse as the pipeline acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceErrorKind {
    /// Refused connection, timeout, 5xx, 429: the server is down or busy.
    Unreachable,
    /// 4xx: the server does not want this request.
    Refused,
    /// An answer that is not what was asked for (HTML, truncated, too large, wrong labels).
    Invalid,
}

/// A failed read. The message names the region and never echoes more than a line of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError {
    /// What to do about it.
    pub kind: SourceErrorKind,
    /// What happened.
    pub message: String,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SourceError {}

/// Reads raw series of machines.
pub trait MetricSource: Send + Sync + fmt::Debug {
    /// All samples of the requested series in the window. Empty if the server has none.
    fn read<'a>(
        &'a self,
        request: &'a SeriesRequest,
    ) -> BoxFuture<'a, Result<Vec<RawSeries>, SourceError>>;

    /// How long the region's server keeps samples, in ms; `None` if it does not say.
    fn retention_ms<'a>(
        &'a self,
        name: &'a RegionName,
        region: &'a Region,
    ) -> BoxFuture<'a, Result<Option<i64>, SourceError>>;

    /// Whether the region's server scraped anything at all in `range`.
    fn scraped_anything<'a>(
        &'a self,
        name: &'a RegionName,
        region: &'a Region,
        range: TimeRange,
    ) -> BoxFuture<'a, Result<bool, SourceError>>;
}
