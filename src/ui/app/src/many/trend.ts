// What a trend's answer means for a chart: one shared row of buckets, holes kept as holes, how each line moved, and what
// of the time is not whole. Pure.
import type { Cell, Range } from "../types";
import type { Trend, TrendSeries } from "./answers";
import { bucketStart } from "./filters";

/** Below this share of covered time a bucket's numbers are marked. */
export const COVERED = 0.9;
const MOST_BUCKETS = 5_000;

export interface Line {
  series: TrendSeries;
  /** Number of the colour and dash style, from 1. */
  style: number;
  values: Cell[];
  /** p50 and p95 of the same buckets; empty where the answer has none. */
  lows: Cell[];
  highs: Cell[];
  jobs: number[];
  total: number;
  /** Change from the first third of the time to the last one, as a ratio; null if there is too little to say. */
  change: Cell;
}

export interface Chart {
  starts: number[];
  bucket: number;
  lines: Line[];
  jobs: number[];
  coverage: Cell[];
  /** Buckets that are not over yet, or whose jobs are not covered by samples. */
  unsure: Range[];
  /** Whether the last bucket is still filling. */
  open: boolean;
  /** Number of buckets with jobs that are covered less than COVERED. */
  thin: number;
}

/** Mean of some buckets, each by its number of jobs. */
function weighed(values: readonly Cell[], jobs: readonly number[], from: number, to: number): Cell {
  let sum = 0;
  let weight = 0;
  for (let at = from; at < to; at += 1) {
    const value = values[at] ?? null;
    const many = jobs[at] ?? 0;
    if (value === null || many === 0) continue;
    sum += value * many;
    weight += many;
  }
  return weight > 0 ? sum / weight : null;
}

/** What adds up over jobs is compared as a mean per bucket. */
function plainMean(values: readonly Cell[], from: number, to: number): Cell {
  const found = values.slice(from, to).filter((value) => value !== null);
  return found.length > 0 ? found.reduce((sum, value) => sum + value, 0) / found.length : null;
}

export function change(values: readonly Cell[], jobs: readonly number[], adds: boolean): Cell {
  const third = Math.floor(values.length / 3);
  if (third < 1) return null;
  const mean = (from: number, to: number): Cell => (adds ? plainMean(values, from, to) : weighed(values, jobs, from, to));
  const before = mean(0, third);
  const after = mean(values.length - third, values.length);
  return before === null || after === null || before <= 0 ? null : after / before - 1;
}

/** `width` is what was asked for; the answer's own width wins. `now` decides what is still filling. */
export function buildChart(trend: Trend, range: Range, width: number, adds: boolean, now: number): Chart {
  const bucket = trend.bucket ?? width;
  const starts: number[] = [];
  for (let at = bucketStart(range.from, bucket); at < range.to && starts.length < MOST_BUCKETS; at += bucket) starts.push(at);
  const slot = new Map(starts.map((at, index) => [at, index]));
  const jobs = starts.map(() => 0);
  const covered = starts.map(() => 0);
  const known = starts.map(() => 0);
  const open = range.to > now - 60_000 || (starts[starts.length - 1] ?? 0) + bucket > range.to;
  const whole = open ? starts.length - 1 : starts.length;

  const lines = trend.series.map((series, index): Line => {
    // A bucket without jobs has no point. Of what adds up, none is nothing; of anything else, none is not known.
    const empty = (): Cell[] => starts.map(() => null);
    const line: Line = {
      series, style: index + 1, values: adds ? starts.map(() => 0) : empty(), lows: empty(), highs: empty(), jobs: starts.map(() => 0), total: 0, change: null,
    };
    for (const point of series.points) {
      const at = slot.get(point.from) ?? slot.get(bucketStart(point.from, bucket));
      if (at === undefined) continue;
      line.values[at] = point.value;
      line.lows[at] = point.values.get("p50") ?? null;
      line.highs[at] = point.values.get("p95") ?? null;
      line.jobs[at] = point.jobs;
      line.total += point.jobs;
      jobs[at] = (jobs[at] ?? 0) + point.jobs;
      if (point.coverage !== null) {
        covered[at] = (covered[at] ?? 0) + point.coverage * point.jobs;
        known[at] = (known[at] ?? 0) + point.jobs;
      }
    }
    line.change = change(line.values.slice(0, whole), line.jobs.slice(0, whole), adds);
    return line;
  });

  const coverage = starts.map((_, at): Cell => ((known[at] ?? 0) > 0 ? (covered[at] ?? 0) / (known[at] ?? 1) : null));
  const thin = coverage.flatMap((share, at) => (share !== null && share < COVERED ? [at] : []));
  const unsure = thin.map((at) => ({ from: starts[at] ?? 0, to: (starts[at] ?? 0) + bucket }));
  const last = starts[starts.length - 1];
  if (open && last !== undefined && !thin.includes(starts.length - 1)) unsure.push({ from: last, to: last + bucket });
  return { starts, bucket, lines, jobs, coverage, unsure, open, thin: thin.length };
}

/** Upper end of the value axis over what is shown. */
export function topOf(chart: Chart, shown: (line: Line) => boolean, band: (line: Line) => boolean): number {
  let top = 0;
  for (const line of chart.lines) {
    if (shown(line)) for (const value of line.values) top = Math.max(top, value ?? 0);
    if (band(line)) for (const value of line.highs) top = Math.max(top, value ?? 0);
  }
  return top > 0 ? top * 1.06 : 1;
}

/** The line whose value in a bucket is nearest to a value. */
export function nearest(chart: Chart, slot: number, value: number, shown: (line: Line) => boolean): Line | null {
  let found: Line | null = null;
  let least = Infinity;
  for (const line of chart.lines) {
    const at = line.values[slot] ?? null;
    if (at === null || !shown(line) || Math.abs(at - value) >= least) continue;
    found = line;
    least = Math.abs(at - value);
  }
  return found;
}

/** The last bucket that is over and has a value. */
export function latest(chart: Chart, line: Line): Cell {
  for (let at = chart.starts.length - (chart.open ? 2 : 1); at >= 0; at -= 1) {
    const value = line.values[at] ?? null;
    if (value !== null) return value;
  }
  return line.values[chart.starts.length - 1] ?? null;
}
