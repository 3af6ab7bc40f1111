// What the fleet page shows, as its address says it. Whatever is as usual is not in the address; a word that is not
// known counts as the usual one. Also the questions that follow from it.
import type { Range } from "../types";
import { FIELDS, putFilters, putSpan, readFilters, readSpan, widthOf, type Field, type Filters, type Span, type SpanName } from "./filters";

export type By = Exclude<Field, "source" | "verdict"> | "none";

/** By what jobs are put together, in words. */
export const GROUPINGS: readonly { name: By; label: string }[] = [
  { name: "none", label: "all jobs" },
  { name: "project", label: "project" },
  { name: "name", label: "job name" },
  { name: "ref", label: "ref" },
  { name: "runner", label: "runner" },
  { name: "machine", label: "machine" },
  { name: "machine_type", label: "machine type" },
  { name: "region", label: "region" },
  { name: "status", label: "status" },
];

export interface Metric {
  name: string;
  label: string;
  /** What one number of it says, for a heading. */
  long: string;
  /** Jobs have it each, and differ in it; or it adds up over jobs, by this statistic. */
  adds: "sum" | "count" | null;
}

const spread = (name: string, label: string, long: string): Metric => ({ name, label, long, adds: null });

/** What a trend can be about. A metric alone is a job's peak (memory, disk space) or its mean (rates). */
export const METRICS: readonly Metric[] = [
  spread("memory_used_bytes", "Peak memory", "a job's peak"),
  spread("cpu_used_cores", "CPU used", "cores, a job's mean"),
  spread("duration_seconds", "Duration", "start to end"),
  spread("queued_seconds", "Queue time", "wait for a runner"),
  { name: "jobs", label: "Jobs", long: "that ended", adds: "count" },
  { name: "core_hours", label: "Core-hours", long: "held by jobs", adds: "sum" },
  { name: "gib_hours", label: "GiB-hours", long: "held by jobs", adds: "sum" },
  { name: "cost", label: "Cost", long: "machine price x duration", adds: "sum" },
  spread("network_receive_bytes_per_second", "Network received", "a job's mean"),
  spread("network_transmit_bytes_per_second", "Network sent", "a job's mean"),
  spread("disk_read_bytes_per_second", "Disk read", "a job's mean"),
  spread("disk_written_bytes_per_second", "Disk written", "a job's mean"),
  spread("filesystem_used_bytes", "Disk space", "a job's peak"),
  spread("swap_used_bytes", "Swap", "a job's peak"),
  spread("pressure_cpu_ratio", "Waiting for CPU", "share of a job's time"),
  spread("pressure_memory_ratio", "Waiting for memory", "share of a job's time"),
  spread("pressure_io_ratio", "Waiting for disk", "share of a job's time"),
];

export const STATS: readonly { name: string; label: string }[] = [
  { name: "p95", label: "p95, band from p50" },
  { name: "p50", label: "p50 (median)" },
  { name: "mean", label: "mean" },
  { name: "p99", label: "p99" },
  { name: "max", label: "maximum" },
];

/** What the hours of the week can be about. */
export const HEATS: readonly { name: string; label: string; metric: string; stat: string; sentence: string }[] = [
  { name: "queue", label: "Queue time, p95", metric: "queued_seconds", stat: "p95", sentence: "Longest queues" },
  { name: "jobs", label: "Jobs started", metric: "jobs", stat: "count", sentence: "Most jobs start" },
  { name: "cores", label: "Core-hours started", metric: "core_hours", stat: "sum", sentence: "Most core-hours start" },
  { name: "duration", label: "Duration, p95", metric: "duration_seconds", stat: "p95", sentence: "Longest jobs" },
  { name: "memory", label: "Peak memory, p95", metric: "memory_used_bytes", stat: "p95", sentence: "Most memory" },
];

/** What consumers and wasters are told by: what they held, and what of that they did not use. */
export const USES: readonly { name: string; label: string; held: string; wasted: string; words: string }[] = [
  { name: "cores", label: "Core-hours", held: "core_hours", wasted: "wasted_core_hours", words: "core-hours" },
  { name: "memory", label: "GiB-hours", held: "gib_hours", wasted: "wasted_gib_hours", words: "GiB-hours" },
  { name: "cost", label: "Cost", held: "cost", wasted: "wasted_cost", words: "cost" },
];

export interface View {
  filters: Filters;
  span: Exclude<Span, null>;
  metric: string;
  stat: string;
  by: By;
  /** Name of a width of buckets, or `auto`. */
  bucket: string;
  hours: string;
  use: string;
  of: By;
}

const USUAL = { metric: "memory_used_bytes", stat: "p95", by: "project", bucket: "auto", hours: "queue", use: "cores", of: "project" } as const;
type Choice = keyof typeof USUAL;
export const USUAL_SPAN: SpanName = "30d";

const KNOWN: Readonly<Record<Choice, readonly string[]>> = {
  metric: METRICS.map((one) => one.name), stat: STATS.map((one) => one.name), by: GROUPINGS.map((one) => one.name),
  bucket: ["auto", "300", "900", "1h", "21600", "1d", "7d", "30d"], hours: HEATS.map((one) => one.name), use: USES.map((one) => one.name),
  of: GROUPINGS.map((one) => one.name).filter((name) => name !== "none" && name !== "status"),
};
const CHOICES = Object.keys(USUAL) as Choice[];

export function readView(search: string): View {
  const query = new URLSearchParams(search);
  const { verdict: _, ...filters } = readFilters(query);
  const chosen: Record<Choice, string> = { ...USUAL };
  for (const choice of CHOICES) {
    const wish = query.get(choice);
    if (wish !== null && KNOWN[choice].includes(wish)) chosen[choice] = wish;
  }
  return { ...chosen, by: chosen.by as By, of: chosen.of as By, filters, span: readSpan(query, USUAL_SPAN) ?? USUAL_SPAN };
}

/** The query string of a view; other parameters (such as theme) stay as they are. */
export function viewSearch(search: string, view: View): string {
  const query = new URLSearchParams(search);
  putFilters(query, view.filters);
  putSpan(query, view.span, USUAL_SPAN);
  for (const choice of CHOICES) {
    if (view[choice] === USUAL[choice]) query.delete(choice);
    else query.set(choice, view[choice]);
  }
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

export function findMetric(name: string): Metric {
  return METRICS.find((one) => one.name === name) ?? (METRICS[0] as Metric);
}

/** Lines in a trend: as many as can be told apart. */
const LINES = 6;
const TOP_ROWS = 10;

function question(path: string, filters: Filters, range: Range, more: Readonly<Record<string, string>>): string {
  const query = new URLSearchParams(more);
  query.set("from", String(range.from));
  query.set("to", String(range.to));
  putFilters(query, filters);
  return `/api/v1/${path}?${query}`;
}

export interface Questions {
  trend: string;
  held: string;
  wasted: string;
  heat: string;
  /** Width of the trend's buckets, ms. */
  width: number;
}

/** The page's four questions, all that it asks when it is opened. `ahead` is how far local time is before UTC. */
export function questions(view: View, range: Range, ahead: number): Questions {
  const metric = findMetric(view.metric);
  const { name, width } = widthOf(view.bucket, view.span, range);
  const stat = metric.adds ?? [...new Set([view.stat, "p50", "p95"])].join(",");
  const use = USES.find((one) => one.name === view.use) ?? USES[0];
  const heat = HEATS.find((one) => one.name === view.hours) ?? HEATS[0];
  const rank = (what: string): string => question("top", view.filters, range, { what, by: view.of, limit: String(TOP_ROWS) });
  return {
    width,
    trend: question("trends", view.filters, range, { metric: metric.name, stat, by: view.by, bucket: name, limit: String(LINES) }),
    held: rank(use?.held ?? ""),
    wasted: rank(use?.wasted ?? ""),
    heat: question("heatmap", view.filters, range, { metric: heat?.metric ?? "", stat: heat?.stat ?? "", tz_offset_minutes: String(ahead) }),
  };
}

/** What the most frequent values of a field are: the choices of a filter. */
export function valuesQuestion(field: Field, filters: Filters, range: Range): string {
  const others: Partial<Record<Field, string>> = { ...filters };
  delete others[field];
  delete others.verdict;
  return question("top", others, range, { what: "jobs", by: field, limit: "100" });
}

/** [format, address] of all rows of the jobs behind what is shown; none if the export knows no such filter. */
export function exports(filters: Filters, range: Range): [string, string][] {
  if (FIELDS.some((field) => field !== "project" && filters[field] !== undefined)) return [];
  return ["Parquet", "CSV", "Arrow"].map((format) => [format, question("export", filters, range, { table: "jobs", format: format.toLowerCase() })]);
}

/** The list of the jobs behind a point, a bar or a cell. */
export function jobsUrl(filters: Filters, span: Span, more: Readonly<Record<string, string>> = {}): string {
  const query = new URLSearchParams();
  putFilters(query, filters);
  putSpan(query, span, null);
  for (const [name, value] of Object.entries(more)) query.set(name, value);
  const text = query.toString();
  return text === "" ? "/" : `/?${text}`;
}

export function fleetUrl(filters: Filters, span: Span): string {
  const { verdict: _, ...rest } = filters;
  const query = new URLSearchParams();
  putFilters(query, rest);
  if (span !== null) putSpan(query, span, USUAL_SPAN);
  const text = query.toString();
  return text === "" ? "/fleet" : `/fleet?${text}`;
}
