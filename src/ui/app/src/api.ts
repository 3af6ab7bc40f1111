// Talks to the service: builds addresses, reads JSON, and turns every failure into one kind of error with a reason.
import { readJob, readList, readProblem, readProfile, type Problem } from "./parse";
import type { Job, JobList, Profile, Range } from "./types";

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

export function jobApi(source: string, jobId: string): string {
  return `/api/v1/jobs/${encodeURIComponent(source)}/${encodeURIComponent(jobId)}`;
}

export function jobPage(source: string, jobId: string): string {
  return `/jobs/${encodeURIComponent(source)}/${encodeURIComponent(jobId)}`;
}

export function downloadUrl(source: string, jobId: string, range: Range, format: "csv" | "json"): string {
  const search = new URLSearchParams({
    from: String(Math.floor(range.from)),
    to: String(Math.ceil(range.to)),
    format,
  });
  return `${jobApi(source, jobId)}/profile?${search}`;
}

async function get(url: string, signal: AbortSignal): Promise<unknown> {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  signal.addEventListener("abort", stop);
  const timer = setTimeout(stop, TIMEOUT_MS);
  try {
    const response = await fetch(url, { headers: { accept: "application/json" }, signal: abort.signal });
    const body: unknown = await response.json().catch(() => null);
    if (!response.ok) {
      const problem = readProblem(response.status, body);
      problem.requestId ??= response.headers.get("x-request-id");
      throw new ApiError(problem);
    }
    if (body === null) throw noAnswer("The answer is not JSON", "The server, or a proxy before it, sent something else.");
    return body;
  } catch (error) {
    if (error instanceof ApiError || signal.aborted) throw error;
    if (abort.signal.aborted) throw noAnswer("No answer in time", `The server did not answer within ${TIMEOUT_MS / 1000} s.`);
    throw noAnswer("The server cannot be reached", "The connection failed. Is the service running?");
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

export async function fetchJob(source: string, jobId: string, signal: AbortSignal): Promise<Job> {
  return readJob(await get(jobApi(source, jobId), signal));
}

export async function fetchProfile(
  source: string,
  jobId: string,
  metrics: readonly string[],
  signal: AbortSignal,
): Promise<Profile> {
  const search = new URLSearchParams({ metrics: metrics.join(",") });
  return readProfile(await get(`${jobApi(source, jobId)}/profile?${search}`, signal));
}

export async function fetchList(cursor: string | null, signal: AbortSignal): Promise<JobList> {
  const search = new URLSearchParams({ limit: "50" });
  if (cursor !== null) search.set("cursor", cursor);
  return readList(await get(`/api/v1/jobs?${search}`, signal));
}
