//! The metric catalogue: every value column of the `samples` table, its type for ever, and how it
//! is computed from raw series (design section 5, "Types").
//!
//! A cell is an integer: the value in Prometheus base units times `10^scale`.

use serde::{Deserialize, Serialize};

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The increment of a counter over the row's interval; the job row holds a base.
    Counter,
    /// The largest increment of one of several counters (one cpu, one device). No base: sums over
    /// time are an upper bound.
    BusiestCounter,
    /// The value at the scrape.
    Gauge,
}

/// The logical type of a column, the same in every file for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellType {
    /// INT32, plain.
    Int32,
    /// INT64, plain.
    Int64,
    /// `DECIMAL(9, scale)` on INT32.
    Decimal9(i8),
    /// `DECIMAL(18, scale)` on INT64.
    Decimal18(i8),
}

impl CellType {
    /// Decimal digits behind the point.
    #[must_use]
    pub fn scale(self) -> i8 {
        match self {
            Self::Int32 | Self::Int64 => 0,
            Self::Decimal9(scale) | Self::Decimal18(scale) => scale,
        }
    }

    /// Whether `cell` fits the type. What does not is stored as null, its amount in the gap list.
    #[must_use]
    pub fn fits(self, cell: i64) -> bool {
        match self {
            Self::Int32 => i32::try_from(cell).is_ok(),
            Self::Int64 => true,
            Self::Decimal9(_) | Self::Decimal18(_) => {
                cell.unsigned_abs() <= self.largest().unsigned_abs()
            }
        }
    }

    /// The largest cell that fits.
    #[must_use]
    pub fn largest(self) -> i64 {
        match self {
            Self::Int32 => i64::from(i32::MAX),
            Self::Int64 => i64::MAX,
            Self::Decimal9(_) => 999_999_999,
            Self::Decimal18(_) => 999_999_999_999_999_999,
        }
    }

    /// The type of a sum of such cells: wide enough for a job.
    #[must_use]
    pub fn total(self) -> Self {
        match self {
            Self::Int32 | Self::Int64 => Self::Int64,
            Self::Decimal9(scale) | Self::Decimal18(scale) => Self::Decimal18(scale),
        }
    }
}

/// Everything about a column.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Name in files, SQL and JSON.
    pub name: &'static str,
    /// What a cell holds.
    pub kind: Kind,
    /// Type in the file.
    pub cell: CellType,
    /// What it is computed from, for `docs/format.md`.
    pub origin: &'static str,
}

/// Writes the enum, the list of all columns and their facts from one table.
macro_rules! catalogue {
    ($($variant:ident = $name:literal: $kind:ident $cell:expr, $origin:literal;)*) => {
        /// A value column of `samples`. The order is the column order of the file.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Column {
            $(#[doc = $origin] $variant,)*
        }

        impl Column {
            /// All columns in file order.
            pub const ALL: [Self; 26] = [$(Self::$variant,)*];

            /// Name, kind, type and origin.
            #[must_use]
            pub const fn spec(self) -> Spec {
                use CellType::{Decimal9, Decimal18, Int32, Int64};
                match self {
                    $(Self::$variant => Spec {
                        name: $name,
                        kind: Kind::$kind,
                        cell: $cell,
                        origin: $origin,
                    },)*
                }
            }
        }
    };
}

catalogue! {
    CpuUserSeconds = "cpu_user_seconds": Counter Decimal9(2), "node_cpu_seconds_total, mode user and nice, all cpus summed";
    CpuSystemSeconds = "cpu_system_seconds": Counter Decimal9(2), "node_cpu_seconds_total, mode system, irq and softirq, all cpus summed";
    CpuIowaitSeconds = "cpu_iowait_seconds": Counter Decimal9(2), "node_cpu_seconds_total, mode iowait, all cpus summed";
    CpuStealSeconds = "cpu_steal_seconds": Counter Decimal9(2), "node_cpu_seconds_total, mode steal, all cpus summed";
    CpuIdleSeconds = "cpu_idle_seconds": Counter Decimal9(2), "node_cpu_seconds_total, mode idle, all cpus summed";
    CpuBusiestCoreSeconds = "cpu_busiest_core_seconds": BusiestCounter Decimal9(2), "per interval the largest user + system of one cpu";
    CpuThrottledSeconds = "cpu_throttled_seconds": Counter Decimal9(3), "containers only; null on machines";
    MemoryUsedBytes = "memory_used_bytes": Gauge Int64, "MemTotal - MemAvailable (without MemAvailable: - MemFree - Buffers - Cached - SReclaimable)";
    MemoryCacheBytes = "memory_cache_bytes": Gauge Int64, "Cached + Buffers + SReclaimable";
    SwapUsedBytes = "swap_used_bytes": Gauge Int64, "SwapTotal - SwapFree";
    Load1 = "load1": Gauge Decimal9(2), "node_load1";
    NetworkReceiveBytes = "network_receive_bytes": Counter Int64, "node_network_receive_bytes_total, physical devices summed";
    NetworkTransmitBytes = "network_transmit_bytes": Counter Int64, "node_network_transmit_bytes_total, physical devices summed";
    DiskReadBytes = "disk_read_bytes": Counter Int64, "node_disk_read_bytes_total, whole disks summed";
    DiskWrittenBytes = "disk_written_bytes": Counter Int64, "node_disk_written_bytes_total, whole disks summed";
    DiskIoSeconds = "disk_io_seconds": BusiestCounter Decimal9(3), "node_disk_io_time_seconds_total, the busiest whole disk per interval";
    FilesystemUsedBytes = "filesystem_used_bytes": Gauge Int64, "size - avail of the fullest writable filesystem";
    PressureCpuSeconds = "pressure_cpu_seconds": Counter Decimal18(6), "node_pressure_cpu_waiting_seconds_total";
    PressureMemorySeconds = "pressure_memory_seconds": Counter Decimal18(6), "node_pressure_memory_waiting_seconds_total";
    PressureIoSeconds = "pressure_io_seconds": Counter Decimal18(6), "node_pressure_io_waiting_seconds_total";
    OomKills = "oom_kills": Counter Int32, "node_vmstat_oom_kill";
    ProcessesRunning = "processes_running": Gauge Int32, "node_procs_running";
    ProcessesBlocked = "processes_blocked": Gauge Int32, "node_procs_blocked";
    GpuUtilizationRatio = "gpu_utilization_ratio": Gauge Decimal9(4), "DCGM; null without the preset";
    GpuMemoryUsedBytes = "gpu_memory_used_bytes": Gauge Int64, "DCGM; null without the preset";
    GpuPowerWatts = "gpu_power_watts": Gauge Decimal9(2), "DCGM; null without the preset";
}

impl Column {
    /// Name in files, SQL and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// The column of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    /// Whether cells are increments (of one or of the busiest counter).
    #[must_use]
    pub fn is_increment(self) -> bool {
        !matches!(self.spec().kind, Kind::Gauge)
    }

    /// Whether the job row holds a base for it.
    #[must_use]
    pub fn has_base(self) -> bool {
        !matches!(self.spec().kind, Kind::BusiestCounter)
    }

    /// The type of its base in the job row: a counter since boot, or the gauge before the first row.
    #[must_use]
    pub fn base_cell(self) -> CellType {
        match self.spec().kind {
            Kind::Gauge => self.spec().cell,
            Kind::Counter | Kind::BusiestCounter => self.spec().cell.total(),
        }
    }

    /// A raw value in cell units, `round(value * 10^scale)`; `None` for NaN and infinities.
    #[must_use]
    pub fn quantise(self, value: f64) -> Option<i64> {
        crate::num::round_to_i64(value * 10f64.powi(i32::from(self.spec().cell.scale())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lists_every_column_once_in_order() {
        let mut sorted = Column::ALL.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted, Column::ALL.to_vec());
        for column in Column::ALL {
            assert_eq!(Column::by_name(column.name()), Some(column));
            assert!(!column.spec().origin.is_empty());
        }
    }

    #[test]
    fn cells_that_do_not_fit_are_seen() {
        assert!(CellType::Decimal9(2).fits(999_999_999));
        assert!(!CellType::Decimal9(2).fits(1_000_000_000));
        assert!(!CellType::Int32.fits(i64::from(i32::MAX) + 1));
        assert_eq!(Column::CpuUserSeconds.quantise(1864.27), Some(186_427));
        assert_eq!(Column::CpuUserSeconds.quantise(f64::NAN), None);
    }
}
