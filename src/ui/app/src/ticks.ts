// Where the marks of the time axis stand and what they say: relative to the job's start, or on the wall clock.
import { clock, day, offset } from "./format";

export type Clock = "job" | "local" | "utc";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Steps that read well on a clock. */
export const TIME_STEPS: number[] = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14, 30, 90, 365].map((n) => n * DAY),
];

/** Powers of two, so that byte axes read 2 GiB, 4 GiB and not 1.86 GiB. */
export const BYTE_STEPS: number[] = Array.from({ length: 62 }, (_, power) => 2 ** power);

const MOST_TICKS = 200;

export function timeSplits(min: number, max: number, step: number, clockKind: Clock, start: number): number[] {
  if (!(step > 0) || !(max >= min)) return [];
  const origin =
    clockKind === "job" ? start : clockKind === "utc" ? 0 : new Date(min).getTimezoneOffset() * MINUTE;
  const first = origin + Math.ceil((min - origin) / step) * step;
  const splits: number[] = [];
  for (let at = first; at <= max && splits.length < MOST_TICKS; at += step) splits.push(at);
  return splits;
}

export function timeLabel(at: number, step: number, clockKind: Clock, start: number): string {
  const fine = step < SECOND;
  if (clockKind === "job") return offset(at - start, fine);
  const utc = clockKind === "utc";
  if (step >= DAY) return day(at, utc);
  const text = clock(at, utc, fine);
  return step >= MINUTE ? text.slice(0, 5) : text;
}

/** One instant in full, for readouts and tables. */
export function instantLabel(at: number, clockKind: Clock, start: number, fine = false): string {
  return clockKind === "job" ? offset(at - start, fine) : clock(at, clockKind === "utc", fine);
}
