// Makes a profile ready to draw without inventing anything: one shared time axis with an empty point inside every gap,
// so that no line can cross it, and for rates the start of the interval that each value covers.
import { mergeRanges } from "./parse";
import type { Cell, Profile, Range } from "./types";

export interface Frame {
  /** Sample times plus one empty point inside every gap. */
  x: number[];
  /** Start of what a rate at this point covers; null if it is not known. */
  starts: Cell[];
  /** Per metric, as drawn: null where nothing may be drawn. */
  gauges: ReadonlyMap<string, Cell[]>;
  rates: ReadonlyMap<string, Cell[]>;
  gaps: Range[];
  /** Sample times alone, and the row of each in `x`. */
  ts: number[];
  rows: number[];
  /** Whether the service left out rows before this one (down-sampled by smallest and largest value). */
  thinned: boolean[];
  profile: Profile;
}

function overlaps(gaps: readonly Range[], from: number, to: number): Range | null {
  // Gaps are sorted and apart from each other: the first that ends after `from` decides.
  let low = 0;
  let high = gaps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((gaps[middle]?.to ?? Infinity) <= from) low = middle + 1;
    else high = middle;
  }
  const gap = gaps[low];
  return gap !== undefined && gap.from < to ? gap : null;
}

export function buildFrame(profile: Profile, recordGaps: readonly Range[], scrapeMs: Cell): Frame {
  const { ts } = profile;
  // What a row covers begins where the row before it ended. If it begins later, rows between were left out; if it is
  // too long, or nothing says how long it is, nobody looked in between.
  const covers = ts.map((at, row) => at - (profile.interval[row] ?? at - (ts[row - 1] ?? at)));
  const implied: Range[] = [];
  if (scrapeMs !== null) {
    ts.forEach((at, row) => {
      const before = ts[row - 1];
      const from = covers[row] ?? at;
      if (before !== undefined && at - from > 1.5 * scrapeMs) implied.push({ from: Math.max(from, before), to: at });
    });
  }
  const gaps = mergeRanges([...recordGaps, ...profile.gaps, ...implied]);
  const thinned = ts.map((at, row) => {
    const before = ts[row - 1];
    const from = covers[row] ?? at;
    return before !== undefined && from - before > (at - from) / 100 && overlaps(gaps, before, at) === null;
  });

  const x: number[] = [];
  const source: number[] = [];
  const rows: number[] = [];
  ts.forEach((at, row) => {
    const before = ts[row - 1];
    const gap = before === undefined ? null : overlaps(gaps, before, at);
    if (before !== undefined && gap !== null) {
      x.push((Math.max(before, gap.from) + Math.min(at, gap.to)) / 2);
      source.push(-1);
    }
    rows.push(x.length);
    x.push(at);
    source.push(row);
  });

  const starts = source.map((row) => {
    const at = ts[row];
    if (at === undefined) return null;
    const length = profile.interval[row] ?? null;
    // Of what was left out, nothing was larger than the rows on both sides: the step reaches back to the one before.
    return length === null || thinned[row] ? (ts[row - 1] ?? null) : at - length;
  });
  // A rate over a hole is a true average, but nobody saw when it happened: it is listed in the table, not drawn.
  const hidden = x.map((at, point) => {
    const start = starts[point] ?? null;
    return source[point] === -1 || (start !== null && overlaps(gaps, start, at) !== null);
  });
  const gauges = new Map<string, Cell[]>();
  const rates = new Map<string, Cell[]>();
  for (const [metric, values] of profile.metrics) {
    gauges.set(metric, source.map((row) => values[row] ?? null));
    rates.set(metric, source.map((row, point) => (hidden[point] ? null : (values[row] ?? null))));
  }
  return { x, starts, gauges, rates, gaps, ts, rows, thinned, profile };
}

/** Whether rows were left out of a range. */
export function sparse(frame: Frame, range: Range): boolean {
  for (let row = lowerBound(frame.ts, range.from); row < frame.ts.length; row += 1) {
    const at = frame.ts[row] ?? 0;
    // They lie between the row before and the begin of what this row covers.
    if (frame.thinned[row] && at - (frame.profile.interval[row] ?? 0) > range.from) return true;
    if (at >= range.to) break;
  }
  return false;
}

/** A profile with more rows where `detail` has them. */
export function refine(profile: Profile, detail: Profile): Profile {
  const first = detail.ts[0];
  const last = detail.ts[detail.ts.length - 1];
  if (first === undefined || last === undefined) return profile;
  const before = lowerBound(profile.ts, first);
  const after = lowerBound(profile.ts, last + 1);
  const splice = <T>(all: readonly T[], part: readonly T[]): T[] => [...all.slice(0, before), ...part, ...all.slice(after)];
  const none = detail.ts.map(() => null);
  return {
    ...profile,
    ts: splice(profile.ts, detail.ts),
    interval: splice(profile.interval, detail.interval),
    metrics: new Map([...profile.metrics].map(([metric, values]) => [metric, splice(values, detail.metrics.get(metric) ?? none)])),
  };
}

export function measured(values: readonly Cell[] | undefined): boolean {
  return values !== undefined && values.some((value) => value !== null);
}

/** First index whose value is >= `at`. */
export function lowerBound(sorted: readonly number[], at: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? Infinity) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The point whose rate covers an instant, or null in a hole. */
export function rateAt(frame: Frame, at: number): number | null {
  const point = lowerBound(frame.x, at);
  const start = frame.starts[point] ?? frame.x[point];
  return start !== undefined && (start < at || frame.x[point] === at) ? point : null;
}

/** The gauge sample nearest to an instant, or null in a gap. */
export function gaugeAt(frame: Frame, at: number): number | null {
  const right = lowerBound(frame.x, at);
  if (frame.x[right] === at) return right;
  if (frame.gaps.some((gap) => gap.from < at && at < gap.to)) return null;
  const after = frame.x[right];
  const before = frame.x[right - 1];
  if (before === undefined || after === undefined) {
    // Outside the samples only the very edge still belongs to the nearest one.
    const edge = before === undefined ? right : right - 1;
    const step = Math.abs((frame.x[1] ?? 0) - (frame.x[0] ?? 0));
    return edge < frame.x.length && Math.abs((frame.x[edge] ?? Infinity) - at) <= step ? edge : null;
  }
  return at - before <= after - at ? right - 1 : right;
}

export interface Peak {
  value: number;
  at: number;
}

/** The largest drawn value that touches a range. */
export function peak(frame: Frame, values: readonly Cell[], kind: "rate" | "gauge", range: Range): Peak | null {
  let found: Peak | null = null;
  for (let point = lowerBound(frame.x, range.from); point < frame.x.length; point += 1) {
    const at = frame.x[point] ?? Infinity;
    const reaches = kind === "rate" ? (frame.starts[point] ?? at) : at;
    if (reaches >= range.to && at > range.to) break;
    const value = values[point] ?? null;
    if (value !== null && (found === null || value > found.value)) found = { value, at };
  }
  return found;
}

/** Upper end of a value axis: room for the data and, if asked, for the machine's capacity. */
export function axisTop(highest: Cell, capacity: Cell): number {
  const top = Math.max(highest ?? 0, capacity ?? 0);
  return top > 0 ? top * 1.06 : 1;
}
