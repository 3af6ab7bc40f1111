//! Graph-unit metrics: what a person reads (cores, bytes per second, ratios), derived from the
//! stored columns, and which statistics of each stand in the job row.

use super::metric::{CellType, Column};
use super::profile::Profile;
use crate::num;
use std::fmt;

/// How a graph-unit value comes from a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Sum of the columns' increments per second of interval. Null if one of them is null.
    Rate(&'static [Column]),
    /// The gauge as it is.
    Gauge(Column),
    /// The increment as it is (a number of events in the interval).
    Count(Column),
}

/// A statistic of a graph metric in the job row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Stat {
    Mean,
    P50,
    P95,
    Max,
}

impl Stat {
    /// Suffix of its column in the `jobs` table.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::Max => "max",
        }
    }
}

/// A graph-unit metric.
#[derive(Debug, PartialEq, Eq)]
pub struct GraphMetric {
    /// Name in JSON, CSV and (with a statistic's suffix) in the `jobs` table.
    pub name: &'static str,
    /// Unit for people and JSON.
    pub unit: &'static str,
    /// Where its values come from.
    pub origin: Origin,
    /// Fixed-point type of its values and statistics.
    pub cell: CellType,
    /// Statistics that stand in the job row. A mean rate is total / covered seconds and not stored.
    pub stored: &'static [Stat],
}

const RATE: &[Stat] = &[Stat::P95, Stat::Max];
const GAUGE: &[Stat] = &[Stat::Mean, Stat::P95, Stat::Max];
const CORES: CellType = CellType::Decimal9(4);
const RATIO: CellType = CellType::Decimal9(4);

const fn rate(
    name: &'static str,
    unit: &'static str,
    columns: &'static [Column],
    cell: CellType,
) -> GraphMetric {
    GraphMetric {
        name,
        unit,
        origin: Origin::Rate(columns),
        cell,
        stored: RATE,
    }
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    column: Column,
    stored: &'static [Stat],
) -> GraphMetric {
    GraphMetric {
        name,
        unit,
        origin: Origin::Gauge(column),
        cell: column.spec().cell,
        stored,
    }
}

/// Every graph-unit metric, in the order of graphs and of `jobs` columns.
pub static GRAPH_METRICS: &[GraphMetric] = &[
    GraphMetric {
        name: "cpu_used_cores",
        unit: "cores",
        origin: Origin::Rate(&[Column::CpuUserSeconds, Column::CpuSystemSeconds]),
        cell: CORES,
        stored: &[Stat::P50, Stat::P95, Stat::Max],
    },
    rate(
        "cpu_busiest_core_ratio",
        "ratio",
        &[Column::CpuBusiestCoreSeconds],
        RATIO,
    ),
    rate(
        "cpu_iowait_cores",
        "cores",
        &[Column::CpuIowaitSeconds],
        CORES,
    ),
    rate(
        "cpu_steal_cores",
        "cores",
        &[Column::CpuStealSeconds],
        CORES,
    ),
    rate(
        "cpu_throttled_ratio",
        "ratio",
        &[Column::CpuThrottledSeconds],
        RATIO,
    ),
    gauge(
        "memory_used_bytes",
        "bytes",
        Column::MemoryUsedBytes,
        &[Stat::Mean, Stat::P50, Stat::P95, Stat::Max],
    ),
    gauge(
        "memory_cache_bytes",
        "bytes",
        Column::MemoryCacheBytes,
        GAUGE,
    ),
    gauge("swap_used_bytes", "bytes", Column::SwapUsedBytes, GAUGE),
    gauge("load1", "processes", Column::Load1, GAUGE),
    rate(
        "network_receive_bytes_per_second",
        "bytes/s",
        &[Column::NetworkReceiveBytes],
        CellType::Int64,
    ),
    rate(
        "network_transmit_bytes_per_second",
        "bytes/s",
        &[Column::NetworkTransmitBytes],
        CellType::Int64,
    ),
    rate(
        "disk_read_bytes_per_second",
        "bytes/s",
        &[Column::DiskReadBytes],
        CellType::Int64,
    ),
    rate(
        "disk_written_bytes_per_second",
        "bytes/s",
        &[Column::DiskWrittenBytes],
        CellType::Int64,
    ),
    rate("disk_io_ratio", "ratio", &[Column::DiskIoSeconds], RATIO),
    gauge(
        "filesystem_used_bytes",
        "bytes",
        Column::FilesystemUsedBytes,
        GAUGE,
    ),
    rate(
        "pressure_cpu_ratio",
        "ratio",
        &[Column::PressureCpuSeconds],
        RATIO,
    ),
    rate(
        "pressure_memory_ratio",
        "ratio",
        &[Column::PressureMemorySeconds],
        RATIO,
    ),
    rate(
        "pressure_io_ratio",
        "ratio",
        &[Column::PressureIoSeconds],
        RATIO,
    ),
    GraphMetric {
        name: "oom_kills",
        unit: "kills",
        origin: Origin::Count(Column::OomKills),
        cell: CellType::Int32,
        stored: &[],
    },
    gauge(
        "processes_running",
        "processes",
        Column::ProcessesRunning,
        GAUGE,
    ),
    gauge(
        "processes_blocked",
        "processes",
        Column::ProcessesBlocked,
        GAUGE,
    ),
    gauge(
        "gpu_utilization_ratio",
        "ratio",
        Column::GpuUtilizationRatio,
        RATE,
    ),
    gauge(
        "gpu_memory_used_bytes",
        "bytes",
        Column::GpuMemoryUsedBytes,
        RATE,
    ),
    gauge("gpu_power_watts", "watts", Column::GpuPowerWatts, RATE),
];

impl GraphMetric {
    /// The metric of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        GRAPH_METRICS.iter().find(|metric| metric.name == name)
    }

    /// The stored columns it needs.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        match &self.origin {
            Origin::Rate(columns) => columns,
            Origin::Gauge(column) | Origin::Count(column) => std::slice::from_ref(column),
        }
    }

    /// Whether its value belongs to the interval (a rate or a count), not to the instant.
    #[must_use]
    pub fn covers_interval(&self) -> bool {
        !matches!(self.origin, Origin::Gauge(_))
    }

    /// Its type when stored as a mean: whole processes need digits behind the point there.
    #[must_use]
    pub fn stat_cell(&self, stat: Stat) -> CellType {
        match (stat, self.cell) {
            (Stat::Mean, CellType::Int32) => CellType::Decimal9(2),
            (_, cell) => cell,
        }
    }

    /// Its fixed-point values, one per row; `None` as a whole if a column was never measured.
    #[must_use]
    pub fn values(&self, profile: &Profile) -> Option<Vec<Option<i64>>> {
        match self.origin {
            Origin::Gauge(column) | Origin::Count(column) => {
                profile.column(column).map(<[Option<i64>]>::to_vec)
            }
            Origin::Rate(columns) => {
                let mut sums: Vec<Option<i64>> = vec![Some(0); profile.rows()];
                for column in columns {
                    for (sum, cell) in sums.iter_mut().zip(profile.column(*column)?) {
                        *sum = sum.zip(*cell).and_then(|(sum, cell)| sum.checked_add(cell));
                    }
                }
                let scale = columns
                    .first()
                    .map_or(0, |column| column.spec().cell.scale());
                let rates = sums
                    .into_iter()
                    .zip(&profile.interval_ms)
                    .map(|(sum, interval)| self.per_second(sum?, scale, i64::from((*interval)?)))
                    .collect();
                Some(rates)
            }
        }
    }

    /// `amount x 10^-scale` per `interval_ms`, in units per second of this metric's cell.
    #[must_use]
    pub fn per_second(&self, amount: i64, scale: i8, interval_ms: i64) -> Option<i64> {
        if interval_ms <= 0 {
            return None;
        }
        let numerator = i128::from(amount) * 1_000 * pow10(self.cell.scale());
        num::narrow(num::div_round(
            numerator,
            i128::from(interval_ms) * pow10(scale),
        ))
    }
}

/// `10^scale` for the catalogue's scales (0..=6).
fn pow10(scale: i8) -> i128 {
    10i128.pow(u32::try_from(scale).unwrap_or(0))
}

/// A cell, printed exactly: all digits behind the point that its type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// The value times `10^scale`.
    pub units: i64,
    /// Digits behind the point.
    pub scale: i8,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::try_from(self.scale).unwrap_or(0);
        if digits == 0 {
            return write!(f, "{}", self.units);
        }
        let (size, one) = (i128::from(self.units).abs(), pow10(self.scale));
        let sign = if self.units < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:0digits$}", size / one, size % one)
    }
}

/// A cell of `scale` as a float for JSON, CSV and terminals.
#[must_use]
pub fn cell_to_f64(cell: i64, scale: i8) -> f64 {
    num::to_f64(cell) / 10f64.powi(i32::from(scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_printed_with_all_their_digits() {
        let text = |units, scale| Decimal { units, scale }.to_string();
        assert_eq!(text(12_050, 2), "120.50");
        assert_eq!(text(-5, 2), "-0.05");
        assert_eq!(text(i64::MIN, 6), "-9223372036854.775808");
        assert_eq!(text(0, 4), "0.0000");
        assert_eq!(text(i64::MAX, 0), i64::MAX.to_string());
    }

    #[test]
    fn cores_are_increments_per_interval() {
        let profile = Profile {
            ts_ms: vec![0, 15_000],
            interval_ms: vec![None, Some(15_000)],
            columns: [
                (Column::CpuUserSeconds, vec![None, Some(2_000)]),
                (Column::CpuSystemSeconds, vec![None, Some(1_000)]),
            ]
            .into(),
        };
        let cores = GraphMetric::by_name("cpu_used_cores").unwrap();
        assert_eq!(cores.values(&profile), Some(vec![None, Some(20_000)]));
        assert_eq!(
            GraphMetric::by_name("disk_io_ratio")
                .unwrap()
                .values(&profile),
            None
        );
    }
}
