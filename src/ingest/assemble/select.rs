//! Which series are read, and which devices and filesystems count. The choice is made here and never
//! in the query: what was not fetched cannot be chosen better later.

use super::target::{CPU_SECONDS, Series};
use crate::model::metric::Column;
use crate::model::runner::Preset;

/// The names of the series to fetch for a preset.
#[must_use]
pub fn names(preset: Preset) -> &'static [&'static str] {
    match preset {
        Preset::Node => NODE_NAMES,
    }
}

const NODE_NAMES: &[&str] = &[
    // Whether the target answered: the difference between a dead machine and a blind Prometheus.
    "up",
    CPU_SECONDS,
    "node_disk_io_time_seconds_total",
    "node_disk_read_bytes_total",
    "node_disk_written_bytes_total",
    "node_filesystem_avail_bytes",
    "node_filesystem_readonly",
    "node_filesystem_size_bytes",
    "node_load1",
    "node_memory_Buffers_bytes",
    "node_memory_Cached_bytes",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemFree_bytes",
    "node_memory_MemTotal_bytes",
    "node_memory_SReclaimable_bytes",
    "node_memory_SwapFree_bytes",
    "node_memory_SwapTotal_bytes",
    "node_network_receive_bytes_total",
    "node_network_transmit_bytes_total",
    "node_pressure_cpu_waiting_seconds_total",
    "node_pressure_io_waiting_seconds_total",
    "node_pressure_memory_waiting_seconds_total",
    "node_procs_blocked",
    "node_procs_running",
    "node_vmstat_oom_kill",
    // No column. It is there with most collectors switched off, so it proves scrapes. It does not
    // tell resets: a virtual machine that sets its clock after resuming moves its boot time while
    // its counters go on, and an increment "since boot" would then be invented.
    "node_boot_time_seconds",
];

/// The counter column that sums this series, if any does.
pub(super) fn counter_column(series: Series<'_>) -> Option<Column> {
    let network = |column| is_physical_network(series.label("device")).then_some(column);
    let disk = |column| is_whole_disk(series.label("device")).then_some(column);
    match series.name() {
        CPU_SECONDS => cpu_column(series.label("mode")),
        "node_network_receive_bytes_total" => network(Column::NetworkReceiveBytes),
        "node_network_transmit_bytes_total" => network(Column::NetworkTransmitBytes),
        "node_disk_read_bytes_total" => disk(Column::DiskReadBytes),
        "node_disk_written_bytes_total" => disk(Column::DiskWrittenBytes),
        "node_pressure_cpu_waiting_seconds_total" => Some(Column::PressureCpuSeconds),
        "node_pressure_memory_waiting_seconds_total" => Some(Column::PressureMemorySeconds),
        "node_pressure_io_waiting_seconds_total" => Some(Column::PressureIoSeconds),
        "node_vmstat_oom_kill" => Some(Column::OomKills),
        _ => None,
    }
}

/// The busiest-of column in which this series competes, and the name of its competitor.
pub(super) fn contender<'a>(series: Series<'a>) -> Option<(Column, &'a str)> {
    let device = series.label("device");
    match series.name() {
        CPU_SECONDS => {
            let used = matches!(
                cpu_column(series.label("mode"))?,
                Column::CpuUserSeconds | Column::CpuSystemSeconds
            );
            used.then(|| (Column::CpuBusiestCoreSeconds, series.label("cpu")))
        }
        "node_disk_io_time_seconds_total" => {
            is_whole_disk(device).then_some((Column::DiskIoSeconds, device))
        }
        _ => None,
    }
}

/// The column of a cpu mode. Guest time is inside user and nice already.
fn cpu_column(mode: &str) -> Option<Column> {
    match mode {
        "user" | "nice" => Some(Column::CpuUserSeconds),
        "system" | "irq" | "softirq" => Some(Column::CpuSystemSeconds),
        "iowait" => Some(Column::CpuIowaitSeconds),
        "steal" => Some(Column::CpuStealSeconds),
        "idle" => Some(Column::CpuIdleSeconds),
        _ => None,
    }
}

/// Beginnings of the names of network devices whose bytes pass a physical device as well (bridges,
/// container ends, tunnels), or none (dummy, ifb).
///
/// Of a bond the slaves count and the master does not: it repeats the sum of its slaves.
const VIRTUAL_NETWORK: [&str; 14] = [
    "docker", "veth", "br-", "cni", "flannel", "cali", "virbr", "ifb", "tun", "tap", "dummy",
    "kube-", "lxc", "bond",
];

/// Whether bytes of this network device count.
pub(super) fn is_physical_network(device: &str) -> bool {
    !device.is_empty()
        && device != "lo"
        && !VIRTUAL_NETWORK
            .iter()
            .any(|prefix| device.starts_with(prefix))
}

/// Whether this is a whole disk: partitions, device-mapper and RAID devices repeat the bytes of the
/// disks below them; loop, optical and memory devices are no disks.
pub(super) fn is_whole_disk(device: &str) -> bool {
    let letters = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase());
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some(rest) = device.strip_prefix("nvme") {
        return rest
            .split_once('n')
            .is_some_and(|(controller, namespace)| digits(controller) && digits(namespace));
    }
    if let Some(rest) = device.strip_prefix("mmcblk") {
        return digits(rest);
    }
    ["sd", "hd", "vd", "xvd"]
        .iter()
        .any(|prefix| device.strip_prefix(prefix).is_some_and(letters))
}

/// Filesystem types that hold no disk space of their own.
const VIRTUAL_FILESYSTEMS: [&str; 10] = [
    "tmpfs", "devtmpfs", "ramfs", "overlay", "squashfs", "iso9660", "rootfs", "autofs", "nsfs",
    "fuse",
];

/// Whether a filesystem of this type and place can be the one a job fills.
pub(super) fn is_job_filesystem(fstype: &str, mountpoint: &str) -> bool {
    // Only `fuse` and `fuse.<something>` are virtual: `fuseblk` is a real disk.
    !VIRTUAL_FILESYSTEMS.contains(&fstype)
        && !fstype.starts_with("fuse.")
        && mountpoint != "/boot"
        && !mountpoint.starts_with("/boot/")
}
