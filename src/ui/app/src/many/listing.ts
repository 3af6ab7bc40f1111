// What the list of jobs shows, as its address says it, and the questions that follow. Without filters it is the archive's
// own list, newest first, with jobs that are not archived yet; whatever needs more than that is asked in SQL. Pure.
import type { Job } from "../types";
import { readJob } from "../parse";
import { literal } from "./ask";
import { putFilters, putSpan, rangeOf, readFilters, readSpan, type Field, type Filters, type Span } from "./filters";

export const PAGE = 50;

/** Columns that the list can be sorted by. */
export const SORTS = {
  started: "started_at",
  duration: "duration_seconds",
  memory: "memory_used_bytes_max",
  share: "1.0 * memory_used_bytes_max / memory_total_bytes",
  cores: "cpu_used_cores_mean",
} as const;
export type Sort = keyof typeof SORTS;

export interface Listing {
  filters: Filters;
  span: Span;
  sort: Sort;
  up: boolean;
  /** Hour of the week, Monday's first is 0, in a time so many minutes ahead of UTC. */
  hour: number | null;
  ahead: number;
  /** Where in the archive's own list this page begins. */
  cursor: string | null;
  /** Which page of what SQL found, from 0. */
  page: number;
}

function whole(value: string | null, least: number, most: number): number | null {
  if (value === null || !/^-?\d{1,6}$/.test(value)) return null;
  const found = Number(value);
  return found >= least && found <= most ? found : null;
}

export function readListing(search: string): Listing {
  const query = new URLSearchParams(search);
  const sort = query.get("sort");
  return {
    filters: readFilters(query), span: readSpan(query, null),
    sort: sort !== null && Object.hasOwn(SORTS, sort) ? (sort as Sort) : "started", up: query.get("order") === "up",
    hour: whole(query.get("hour"), 0, 167), ahead: whole(query.get("tz"), -900, 900) ?? 0,
    cursor: query.get("cursor") || null, page: whole(query.get("page"), 0, 10_000) ?? 0,
  };
}

export function listingSearch(search: string, listing: Listing): string {
  const query = new URLSearchParams(search);
  putFilters(query, listing.filters);
  putSpan(query, listing.span, null);
  const put = (name: string, value: string | number | null, usual: string | number | null): void => {
    if (value === usual || value === null) query.delete(name);
    else query.set(name, String(value));
  };
  put("sort", listing.sort, "started");
  put("order", listing.up ? "up" : "down", "down");
  put("hour", listing.hour, null);
  put("tz", listing.hour === null ? 0 : listing.ahead, 0);
  put("cursor", listing.cursor, null);
  put("page", listing.page, 0);
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

const FINAL: readonly string[] = ["success", "failed", "canceled", "skipped"];

/** Whether the archive's own list is enough: it knows jobs on their way, but looks at each job for any filter. */
export function plainList(listing: Listing): boolean {
  const others = (Object.keys(listing.filters) as Field[]).filter((field) => field !== "source" && field !== "status");
  const { status } = listing.filters;
  return listing.span === null && listing.hour === null && listing.sort === "started" && !listing.up && others.length === 0 && (status === undefined || !FINAL.includes(status));
}

export function listUrl(listing: Listing): string {
  const query = new URLSearchParams({ limit: String(PAGE) });
  putFilters(query, listing.filters);
  if (listing.cursor !== null) query.set("cursor", listing.cursor);
  return `/api/v1/jobs?${query}`;
}

const COLUMNS: Readonly<Record<Field, string>> = {
  source: "source", project: "project", name: "name", ref: "\"ref\"", runner: "runner_id", machine: "machine", machine_type: "machine_type", region: "region", status: "status", verdict: "verdict",
};
const WEEK_HOURS = 168;
/** 1970-01-01 was a Thursday, three days behind a Monday. */
const TO_MONDAY = 3 * 86_400_000;

function condition(listing: Listing, now: number): string {
  const parts: string[] = [];
  if (listing.span !== null) {
    const { from, to } = rangeOf(listing.span, now);
    parts.push(`finished_at >= to_timestamp_millis(${Math.round(from)})`, `finished_at < to_timestamp_millis(${Math.round(to)})`);
  }
  for (const [field, value] of Object.entries(listing.filters)) parts.push(`${COLUMNS[field as Field]} = ${literal(value)}`);
  if (listing.hour !== null) parts.push(`(cast(started_at as bigint) / 1000 + ${listing.ahead * 60_000 + TO_MONDAY}) / 3600000 % ${WEEK_HOURS} = ${listing.hour}`);
  return parts.length === 0 ? "" : ` where ${parts.join(" and ")}`;
}

const SHOWN = "source, job_id, status, verdict, project, name, \"ref\", started_at, finished_at, machine, machine_type, cpu_count, memory_total_bytes, memory_used_bytes_max, cpu_used_cores_mean";

/** One page of jobs, and one row more to know whether there is another. Equal ones keep their order over pages. */
export function listSql(listing: Listing, now: number): string {
  const way = listing.up ? "asc" : "desc";
  return `select ${SHOWN} from job_metrics${condition(listing, now)} order by ${SORTS[listing.sort]} ${way} nulls last, source, job_id limit ${PAGE + 1} offset ${listing.page * PAGE}`;
}

/** The same rows without pages, for a file. */
export function fileSql(listing: Listing, now: number): string {
  return `select ${SHOWN} from job_metrics${condition(listing, now)} order by ${SORTS[listing.sort]} ${listing.up ? "asc" : "desc"} nulls last, source, job_id limit 100000`;
}

/** How many jobs have which status and verdict, whatever of both is chosen. */
export function countSql(listing: Listing, now: number): string {
  const { status: _, verdict: __, ...filters } = listing.filters;
  return `select status, verdict, count(*) as jobs from job_metrics${condition({ ...listing, filters }, now)} group by status, verdict`;
}

export interface Counts {
  all: number;
  status: ReadonlyMap<string, number>;
  verdict: ReadonlyMap<string, number>;
}

/** Each status is counted among the chosen verdict, and the other way round; `all` fits both. */
export function readCounts(rows: readonly Record<string, unknown>[], filters: Filters): Counts {
  const status = new Map<string, number>();
  const verdict = new Map<string, number>();
  let all = 0;
  for (const row of rows) {
    const many = typeof row["jobs"] === "number" ? row["jobs"] : Number(row["jobs"]);
    const [one, other] = [row["status"], row["verdict"]];
    if (!Number.isFinite(many)) continue;
    const fits = (filter: string | undefined, value: unknown): boolean => filter === undefined || filter === value;
    if (typeof one === "string" && fits(filters.verdict, other)) status.set(one, (status.get(one) ?? 0) + many);
    if (typeof other === "string" && fits(filters.status, one)) verdict.set(other, (verdict.get(other) ?? 0) + many);
    if (fits(filters.status, one) && fits(filters.verdict, other)) all += many;
  }
  return { all, status, verdict };
}

function numeric(value: unknown): unknown {
  return typeof value === "string" && value !== "" ? Number(value) : value;
}

/** A row of SQL as the list's own JSON has it. */
export function readRow(row: Readonly<Record<string, unknown>>): Job {
  return readJob({
    ...row, state: "archived",
    machine: { name: row["machine"], type: row["machine_type"], cpu_count: numeric(row["cpu_count"]), memory_total_bytes: numeric(row["memory_total_bytes"]) },
    summary: { memory_used_bytes: { max: numeric(row["memory_used_bytes_max"]) }, cpu_used_cores: { mean: numeric(row["cpu_used_cores_mean"]) } },
  });
}

export interface Found {
  field: Field | "job";
  key: string;
  source: string | null;
  jobs: number;
}

const SEARCHED: readonly Field[] = ["project", "name", "ref", "machine"];

/** What has a text in its name, the most frequent first; a number may be a job's id as well. */
export function searchSql(typed: string, span: Span, now: number): string {
  const wanted = literal(typed.trim().toLowerCase());
  const range = rangeOf(span ?? "90d", now);
  const time = `finished_at >= to_timestamp_millis(${range.from}) and finished_at < to_timestamp_millis(${range.to})`;
  const parts = SEARCHED.map((field) => {
    const column = COLUMNS[field];
    return `select '${field}' as field, ${column} as key, null as source, count(*) as jobs from job_metrics where ${time} and strpos(lower(${column}), ${wanted}) > 0 group by ${column}`;
  });
  if (/^\d+$/.test(typed.trim())) parts.unshift(`select 'job' as field, job_id as key, source, 1000000000 as jobs from job_metrics where job_id = ${wanted}`);
  return `select field, key, source, jobs from (${parts.join(" union all ")}) as found order by jobs desc, field, key limit 12`;
}

export function readFound(rows: readonly Record<string, unknown>[]): Found[] {
  return rows.flatMap((row) => {
    const { field, key, source } = row;
    const known = field === "job" || SEARCHED.includes(field as Field);
    if (!known || typeof key !== "string" || (field === "job" && typeof source !== "string")) return [];
    return [{ field: field as Found["field"], key, source: typeof source === "string" ? source : null, jobs: Number(row["jobs"]) || 0 }];
  });
}
