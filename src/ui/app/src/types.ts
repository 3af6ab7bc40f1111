// The words of the page's model: what parse.ts makes of the API's JSON. Everything may be absent; absent is null.

export type Cell = number | null;

/** Half-open range in Unix milliseconds. */
export interface Range {
  from: number;
  to: number;
}

export interface Stats {
  mean: Cell;
  p50: Cell;
  p95: Cell;
  max: Cell;
  total: Cell;
  low: Cell;
  high: Cell;
}

export type Summary = ReadonlyMap<string, Stats>;

export interface Section {
  name: string;
  start: Cell;
  end: Cell;
  summary: Summary;
}

export interface Machine {
  name: string | null;
  region: string | null;
  type: string | null;
  cpuCount: Cell;
  memoryTotal: Cell;
  filesystemSize: Cell;
}

export interface CoTenant {
  source: string;
  jobId: string;
  overlapSeconds: Cell;
}

export type State = "pending" | "live" | "archived" | "expired" | "unavailable" | "unknown";

export interface Job {
  source: string;
  jobId: string;
  state: State;
  reason: string | null;
  reasonText: string | null;
  verdict: string | null;
  coverage: Cell;
  sampleCount: Cell;
  scrapeMs: Cell;
  gaps: Range[];
  /** Metrics that lack samples which the machine's others have. */
  holed: string[];
  project: string | null;
  projectId: string | null;
  pipelineId: string | null;
  name: string | null;
  stage: string | null;
  ref: string | null;
  sha: string | null;
  status: string | null;
  failureReason: string | null;
  runnerId: string | null;
  runnerDescription: string | null;
  webUrl: string | null;
  queuedSeconds: Cell;
  start: Cell;
  end: Cell;
  machine: Machine;
  summary: Summary;
  sections: Section[];
  coTenants: CoTenant[];
}

export interface Profile {
  from: Cell;
  to: Cell;
  ts: number[];
  interval: Cell[];
  metrics: ReadonlyMap<string, Cell[]>;
  gaps: Range[];
}

export interface JobList {
  jobs: Job[];
  next: string | null;
}
