// Turns JSON of unknown shape into the page's model. Nothing is trusted: a field of the wrong type is absent,
// arrays of unequal length are padded with null, and time runs forwards. No value is ever made up.
import type { Cell, CoTenant, Job, JobList, Machine, Profile, Range, Section, State, Stats, Summary } from "./types";

type Json = Readonly<Record<string, unknown>>;

const NONE: Json = {};
const STATES: readonly string[] = ["pending", "live", "archived", "expired", "unavailable"];
/** Names longer than this help nobody and would make the page unreadable. */
const LONGEST = 300;
/** The largest Unix time a Date can hold. */
const LAST_DATE = 8.64e15;

export function object(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : NONE;
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function number(value: unknown): Cell {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function positive(value: unknown): Cell {
  const found = number(value);
  return found !== null && found > 0 ? found : null;
}

function instant(value: unknown): Cell {
  const found = number(value);
  return found !== null && Math.abs(found) <= LAST_DATE ? found : null;
}

export function shorten(value: string): string {
  return value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value;
}

export function text(value: unknown): string | null {
  if (typeof value === "number") return String(value);
  return typeof value !== "string" || value.trim() === "" ? null : shorten(value);
}

/** An identity is used in addresses, so it is never shortened. */
export function identity(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}

function time(ms: unknown, rfc3339: unknown): Cell {
  const exact = instant(ms);
  if (exact !== null) return exact;
  return typeof rfc3339 === "string" ? instant(Date.parse(rfc3339)) : null;
}

function stats(value: unknown): Stats {
  const from = object(value);
  return {
    mean: number(from["mean"]),
    p50: number(from["p50"]),
    p95: number(from["p95"]),
    max: number(from["max"]),
    total: number(from["total"]),
    low: number(from["low"]),
    high: number(from["high"]),
  };
}

function summary(value: unknown): Summary {
  return new Map(Object.entries(object(value)).map(([key, entry]) => [key, stats(entry)]));
}

/** Sorted, merged, and without empty or backward ranges. */
export function mergeRanges(ranges: readonly Range[]): Range[] {
  const sorted = ranges.filter((range) => range.to > range.from).sort((a, b) => a.from - b.from);
  const merged: Range[] = [];
  for (const range of sorted) {
    const last = merged[merged.length - 1];
    if (last !== undefined && range.from <= last.to) last.to = Math.max(last.to, range.to);
    else merged.push({ ...range });
  }
  return merged;
}

/** The metric of a hole that only one metric has; its cells are null, and the other metrics' stay. */
function metricOf(gap: unknown): string | null {
  return text(object(gap)["metric"]);
}

function ranges(value: unknown): Range[] {
  const found: Range[] = [];
  for (const entry of list(value)) {
    const from = instant(object(entry)["from_ms"]);
    const to = instant(object(entry)["to_ms"]);
    if (metricOf(entry) === null && from !== null && to !== null) found.push({ from, to });
  }
  return mergeRanges(found);
}

function section(value: unknown): Section {
  const from = object(value);
  return {
    // Part of addresses, like an identity; what is shown is shortened later.
    name: identity(from["name"]).trim() === "" ? "(no name)" : identity(from["name"]),
    start: time(from["started_at_ms"], from["started_at"]),
    end: time(from["finished_at_ms"], from["finished_at"]),
    summary: summary(from["summary"]),
  };
}

function machine(value: unknown): Machine {
  const from = object(value);
  return {
    name: text(from["name"] ?? (typeof value === "string" ? value : null)),
    region: text(from["region"]),
    type: text(from["type"]),
    cpuCount: positive(from["cpu_count"]),
    memoryTotal: positive(from["memory_total_bytes"]),
    filesystemSize: positive(from["filesystem_size_bytes"]),
  };
}

function coTenants(value: unknown): CoTenant[] {
  return list(value).map((entry) => {
    const from = object(entry);
    return {
      source: identity(from["source"]),
      jobId: identity(from["job_id"]),
      overlapSeconds: number(from["overlap_seconds"]),
    };
  });
}

/** Only a web address may become a link: `javascript:` and the like are dropped. */
export function safeUrl(value: unknown): string | null {
  if (typeof value !== "string") return null;
  try {
    const url = new URL(value);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

export function readJob(value: unknown): Job {
  const from = object(value);
  const state = from["state"];
  const scrape = positive(from["scrape_interval_seconds"]);
  return {
    source: identity(from["source"]),
    jobId: identity(from["job_id"]),
    state: typeof state === "string" && STATES.includes(state) ? (state as State) : "unknown",
    reason: text(from["reason"]),
    reasonText: text(from["reason_text"]),
    verdict: text(from["verdict"]),
    coverage: number(from["coverage"]),
    sampleCount: number(from["sample_count"]),
    scrapeMs: scrape === null ? null : scrape * 1000,
    gaps: ranges(from["gaps"]),
    holed: [...new Set(list(from["gaps"]).map(metricOf).filter((metric) => metric !== null))],
    project: text(from["project"]),
    projectId: text(from["project_id"]),
    pipelineId: text(from["pipeline_id"]),
    name: text(from["name"]),
    stage: text(from["stage"]),
    ref: text(from["ref"]),
    sha: text(from["sha"]),
    status: text(from["status"]),
    failureReason: text(from["failure_reason"]),
    runnerId: text(from["runner_id"]),
    runnerDescription: text(from["runner_description"]),
    webUrl: safeUrl(from["web_url"]),
    queuedSeconds: number(from["queued_seconds"]),
    start: time(from["started_at_ms"], from["started_at"]),
    end: time(from["finished_at_ms"], from["finished_at"]),
    machine: machine(from["machine"]),
    summary: summary(from["summary"]),
    sections: list(from["sections"]).map(section),
    coTenants: coTenants(from["co_tenants"]),
  };
}

export function readProfile(value: unknown): Profile {
  const from = object(value);
  const times = list(from["ts_ms"]).map(instant);
  const rows = times
    .map((at, row) => ({ at, row }))
    .filter((entry): entry is { at: number; row: number } => entry.at !== null)
    .sort((a, b) => a.at - b.at)
    .filter((entry, index, all) => index === 0 || all[index - 1]?.at !== entry.at);
  const pick = (column: unknown, read: (cell: unknown) => Cell): Cell[] => {
    const cells = list(column);
    return rows.map((entry) => read(cells[entry.row]));
  };
  const metrics = new Map<string, Cell[]>();
  for (const [key, entry] of Object.entries(object(from["metrics"]))) {
    metrics.set(key, pick(object(entry)["values"], number));
  }
  return {
    from: instant(from["from_ms"]),
    to: instant(from["to_ms"]),
    ts: rows.map((entry) => entry.at),
    interval: pick(from["interval_ms"], positive),
    metrics,
    gaps: ranges(from["gaps"]),
  };
}

export function readList(value: unknown): JobList {
  const from = object(value);
  return { jobs: list(from["jobs"]).map(readJob), next: identity(from["next_cursor"]) || null };
}

export interface Problem {
  status: number;
  code: string | null;
  title: string | null;
  detail: string | null;
  requestId: string | null;
}

/** RFC 9457; `type` is not shown, `code` is the stable name. */
export function readProblem(status: number, value: unknown): Problem {
  const from = object(value);
  return {
    status,
    code: text(from["code"]),
    title: text(from["title"]),
    detail: text(from["detail"]),
    requestId: text(from["request_id"]),
  };
}
