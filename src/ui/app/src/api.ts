// Talks to the service: builds addresses, reads JSON, and turns every failure into one kind of error with a reason.
import { PROFILE_METRICS } from "./metrics";
import { readJob, readProblem, readProfile, type Problem } from "./parse";
import type { Job, Profile, Range } from "./types";

const TIMEOUT_MS = 30_000;

export class ApiError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.title ?? `HTTP ${problem.status}`);
    this.problem = problem;
  }
}

/** Status 0 stands for "no answer at all". */
function noAnswer(title: string, detail: string): ApiError {
  return new ApiError({ status: 0, code: null, title, detail, requestId: null });
}

export function problemOf(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem;
  const detail = error instanceof Error ? error.message : String(error);
  return { status: 0, code: null, title: "The page failed", detail, requestId: null };
}

export function jobApi(source: string, jobId: string): string {
  return `/api/v1/jobs/${encodeURIComponent(source)}/${encodeURIComponent(jobId)}`;
}

export function jobPage(source: string, jobId: string): string {
  return `/jobs/${encodeURIComponent(source)}/${encodeURIComponent(jobId)}`;
}

/** The formats of a download, and who reads them. */
export const FORMATS: readonly { name: string; label: string; use: string }[] = [
  { name: "parquet", label: "Parquet", use: "DuckDB, Polars, pandas, Spark" },
  { name: "arrow", label: "Arrow", use: "a stream for pyarrow, Polars" },
  { name: "csv", label: "CSV", use: "spreadsheets" },
  { name: "json", label: "JSON", use: "scripts" },
  { name: "openmetrics", label: "OpenMetrics", use: "promtool, Prometheus" },
];

/** What part of a job: all of it, a time, or a section by the API's name for it. */
export interface Part {
  range?: Range;
  section?: string;
}

function profileUrl(source: string, jobId: string, part: Part, query: Record<string, string>): string {
  const search = new URLSearchParams(query);
  if (part.range !== undefined) {
    search.set("from", String(Math.floor(part.range.from)));
    search.set("to", String(Math.ceil(part.range.to)));
  }
  if (part.section !== undefined) search.set("section", part.section);
  return `${jobApi(source, jobId)}/profile?${search}`;
}

export function downloadUrl(source: string, jobId: string, part: Part, format: string): string {
  return profileUrl(source, jobId, part, { format });
}

/** A command for a POSIX shell that saves an address under the name that the server gives it. */
export function curl(url: string): string {
  return `curl -fOJ '${url.replaceAll("'", "%27")}'`;
}

/** One request and what `read` makes of a good answer to it. */
export async function ask<T>(url: string, signal: AbortSignal, read: (response: Response) => Promise<T>, init: RequestInit = {}): Promise<T> {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  signal.addEventListener("abort", stop);
  const timer = setTimeout(stop, TIMEOUT_MS);
  try {
    const response = await fetch(url, { ...init, headers: { accept: "application/json", ...init.headers }, signal: abort.signal });
    if (!response.ok) {
      const problem = readProblem(response.status, await response.json().catch(() => null));
      problem.requestId ??= response.headers.get("x-request-id");
      throw new ApiError(problem);
    }
    return await read(response);
  } catch (error) {
    if (error instanceof ApiError || signal.aborted) throw error;
    if (abort.signal.aborted) throw noAnswer("No answer in time", `The server did not answer within ${TIMEOUT_MS / 1000} s.`);
    throw noAnswer("The server cannot be reached", "The connection failed. Is the service running?");
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

async function json(response: Response): Promise<unknown> {
  const body: unknown = await response.json().catch(() => null);
  if (body === null) throw noAnswer("The answer is not JSON", "The server, or a proxy before it, sent something else.");
  return body;
}

export function get(url: string, signal: AbortSignal): Promise<unknown> {
  return ask(url, signal, json);
}

export async function fetchJob(source: string, jobId: string, signal: AbortSignal): Promise<Job> {
  return readJob(await get(jobApi(source, jobId), signal));
}

/** Two values, the smallest and the largest, for each pixel of the widest graph that this window can show. */
export function wantedPoints(): number {
  return 2 * Math.min(Math.max(Math.round(innerWidth), 100), 1480);
}

export async function fetchProfile(source: string, jobId: string, part: Part, signal: AbortSignal): Promise<Profile> {
  const query = { metrics: PROFILE_METRICS.join(","), points: String(wantedPoints()) };
  return readProfile(await get(profileUrl(source, jobId, part, query), signal));
}
