// What the four charts and the tables show: metric names, words for people, units, and how each is drawn.
import { byteRate, bytes, coreNumber, cores, count, percent, seconds } from "./format";
import type { Cell } from "./types";

export type Unit = "cores" | "ratio" | "bytes" | "byteRate" | "count" | "seconds" | "watts";
/** A rate holds for the whole interval before its sample; a gauge holds at its sample. */
export type Kind = "rate" | "gauge";

export interface SeriesSpec {
  metric: string;
  label: string;
  kind: Kind;
  /** Number of the colour and dash style, from 1. */
  style: number;
  filled?: boolean;
}

export interface ChartSpec {
  id: "cpu" | "memory" | "network" | "disk";
  title: string;
  unit: Unit;
  series: readonly SeriesSpec[];
  capacity?: "cpu" | "memory";
}

export const CHARTS: readonly ChartSpec[] = [
  {
    id: "cpu", title: "CPU", unit: "cores", capacity: "cpu",
    series: [
      { metric: "cpu_used_cores", label: "used", kind: "rate", style: 1, filled: true },
      // A ratio of one core is a number of cores: at 1 with "used" near 1, the work is on a single thread.
      { metric: "cpu_busiest_core_ratio", label: "busiest core", kind: "rate", style: 2 },
      { metric: "cpu_iowait_cores", label: "iowait", kind: "rate", style: 3 },
      { metric: "cpu_steal_cores", label: "steal", kind: "rate", style: 4 },
    ],
  },
  {
    id: "memory", title: "Memory", unit: "bytes", capacity: "memory",
    series: [
      { metric: "memory_used_bytes", label: "used", kind: "gauge", style: 1, filled: true },
      { metric: "memory_cache_bytes", label: "cache", kind: "gauge", style: 3 },
      { metric: "swap_used_bytes", label: "swap", kind: "gauge", style: 4 },
    ],
  },
  {
    id: "network", title: "Network", unit: "byteRate",
    series: [
      { metric: "network_receive_bytes_per_second", label: "receive", kind: "rate", style: 1, filled: true },
      { metric: "network_transmit_bytes_per_second", label: "transmit", kind: "rate", style: 2 },
    ],
  },
  {
    id: "disk", title: "Disk", unit: "byteRate",
    series: [
      { metric: "disk_read_bytes_per_second", label: "read", kind: "rate", style: 1, filled: true },
      { metric: "disk_written_bytes_per_second", label: "written", kind: "rate", style: 2 },
    ],
  },
];

export const OOM = "oom_kills";

/** All the page asks the profile for. */
export const PROFILE_METRICS: readonly string[] = [
  ...CHARTS.flatMap((chart) => chart.series.map((series) => series.metric)),
  OOM,
];

export function formatter(unit: Unit): (value: Cell) => string {
  switch (unit) {
    case "cores": return cores;
    case "ratio": return percent;
    case "bytes": return bytes;
    case "byteRate": return byteRate;
    case "seconds": return seconds;
    case "watts": return (value) => (value === null ? count(null) : `${count(value)} W`);
    case "count": return count;
  }
}

/** For axes and readouts, where the unit stands in the chart's title. */
export function axisFormatter(unit: Unit): (value: Cell) => string {
  return unit === "cores" ? coreNumber : formatter(unit);
}

export interface SummaryRow {
  label: string;
  stats: string | null;
  unit: Unit;
  total: string | null;
  totalUnit: Unit;
}

const row = (label: string, stats: string | null, unit: Unit, total: string | null = null, totalUnit: Unit = unit): SummaryRow =>
  ({ label, stats, unit, total, totalUnit });

/** The summary table: statistics of the graph unit and, for counters, the total beside them. */
export const SUMMARY_ROWS: readonly SummaryRow[] = [
  row("CPU used", "cpu_used_cores", "cores", "cpu_used_seconds", "seconds"),
  row("CPU, busiest core", "cpu_busiest_core_ratio", "ratio"),
  row("CPU waiting for disk (iowait)", "cpu_iowait_cores", "cores", "cpu_iowait_seconds", "seconds"),
  row("CPU taken by other guests (steal)", "cpu_steal_cores", "cores", "cpu_steal_seconds", "seconds"),
  row("CPU throttled", "cpu_throttled_ratio", "ratio", "cpu_throttled_seconds", "seconds"),
  row("Memory used", "memory_used_bytes", "bytes"),
  row("Memory, page cache", "memory_cache_bytes", "bytes"),
  row("Swap used", "swap_used_bytes", "bytes"),
  row("Out-of-memory kills", null, "count", "oom_kills", "count"),
  row("Network received", "network_receive_bytes_per_second", "byteRate", "network_receive_bytes", "bytes"),
  row("Network transmitted", "network_transmit_bytes_per_second", "byteRate", "network_transmit_bytes", "bytes"),
  row("Disk read", "disk_read_bytes_per_second", "byteRate", "disk_read_bytes", "bytes"),
  row("Disk written", "disk_written_bytes_per_second", "byteRate", "disk_written_bytes", "bytes"),
  row("Disk busy", "disk_io_ratio", "ratio", "disk_io_seconds", "seconds"),
  row("File system used", "filesystem_used_bytes", "bytes"),
  row("Waiting for CPU (pressure)", "pressure_cpu_ratio", "ratio", "pressure_cpu_seconds", "seconds"),
  row("Waiting for memory (pressure)", "pressure_memory_ratio", "ratio", "pressure_memory_seconds", "seconds"),
  row("Waiting for I/O (pressure)", "pressure_io_ratio", "ratio", "pressure_io_seconds", "seconds"),
  row("Load, 1 min", "load1", "count"),
  row("Processes running", "processes_running", "count"),
  row("Processes blocked", "processes_blocked", "count"),
  row("GPU busy", "gpu_utilization_ratio", "ratio"),
  row("GPU memory used", "gpu_memory_used_bytes", "bytes"),
  row("GPU power", "gpu_power_watts", "watts"),
];

/** Units of metrics nobody listed above (site-defined ones), by their suffix. */
export function unitOf(metric: string): Unit {
  if (/_per_second$/.test(metric)) return /bytes/.test(metric) ? "byteRate" : "count";
  if (/_bytes$/.test(metric)) return "bytes";
  if (/_ratio$/.test(metric)) return "ratio";
  if (/_seconds$/.test(metric)) return "seconds";
  if (/_cores$/.test(metric)) return "cores";
  if (/_watts$/.test(metric)) return "watts";
  return "count";
}
