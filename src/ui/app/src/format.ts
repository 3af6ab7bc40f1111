// Numbers as people read them: IEC bytes, cores, percent, durations, offsets. Absent values become a dash, never 0.
import type { Cell } from "./types";

export const DASH = "–";
const IEC = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

function trim(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** Three significant digits, at most two decimals, no trailing zeros. */
function three(value: number): string {
  const size = Math.abs(value);
  return trim(value.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0));
}

export function bytes(value: Cell): string {
  if (value === null || !Number.isFinite(value)) return DASH;
  let scaled = value;
  let unit = 0;
  // 1023.7 would round to "1024 KiB": such a value already belongs to the next unit.
  while (Math.abs(scaled) >= 1023.5 && unit < IEC.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  const text = unit === 0 && Math.abs(scaled) >= 1 ? String(Math.round(scaled)) : three(scaled);
  return text === "0" && value > 0 ? "<0.01 B" : `${text} ${IEC[unit] ?? ""}`;
}

export function byteRate(value: Cell): string {
  const text = bytes(value);
  return text === DASH ? DASH : `${text}/s`;
}

/** A plain number of cores, without the word. */
export function coreNumber(value: Cell): string {
  if (value === null || !Number.isFinite(value)) return DASH;
  if (value > 0 && value < 0.005) return "<0.01";
  return three(value);
}

export function cores(value: Cell): string {
  const text = coreNumber(value);
  return text === DASH ? DASH : `${text} ${text === "1" ? "core" : "cores"}`;
}

export function percent(ratio: Cell): string {
  if (ratio === null || !Number.isFinite(ratio)) return DASH;
  const value = ratio * 100;
  if (value > 0 && value < 0.05) return "<0.1 %";
  // 99.96 must not read as all of it.
  if (value < 100 && value >= 99.95) return ">99.9 %";
  return `${trim(value.toFixed(Math.abs(value) < 9.95 || (value > 99 && value < 100) ? 1 : 0))} %`;
}

export function count(value: Cell): string {
  if (value === null || !Number.isFinite(value)) return DASH;
  return Math.abs(value) >= 1000
    ? Math.round(value).toLocaleString("en-US")
    : trim(value.toFixed(Math.abs(value) < 10 ? 2 : 1));
}

/** CPU time and the like: a number of seconds that may exceed the clock's. */
export function seconds(value: Cell): string {
  if (value === null || !Number.isFinite(value)) return DASH;
  if (value > 0 && value < 0.005) return "<0.01 s";
  return `${Math.abs(value) >= 1000 ? count(value) : three(value)} s`;
}

const two = (value: number): string => String(value).padStart(2, "0");

export function duration(ms: Cell): string {
  if (ms === null || !Number.isFinite(ms)) return DASH;
  if (ms < 0) return `-${duration(-ms)}`;
  if (ms < 9_950) return `${trim((ms / 1000).toFixed(1))} s`;
  const whole = Math.round(ms / 1000);
  const second = whole % 60;
  const minute = Math.floor(whole / 60) % 60;
  const hour = Math.floor(whole / 3600);
  if (whole < 60) return `${whole} s`;
  if (hour === 0) return second === 0 ? `${minute} min` : `${minute} min ${two(second)} s`;
  if (hour < 48) return `${hour} h ${two(minute)} min`;
  return `${Math.floor(hour / 24)} d ${hour % 24} h`;
}

/** Time since the job's start: +02:10, +1:02:10, +3d 01:02:10, +00:01.250. Floored, as a clock would show it. */
export function offset(ms: number, fine = false): string {
  const sign = ms < 0 ? "-" : "+";
  const size = fine ? Math.round(Math.abs(ms)) : Math.floor(Math.abs(ms) / 1000) * 1000;
  const whole = Math.floor(size / 1000);
  const hour = Math.floor(whole / 3600);
  const clock = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  const rest = fine && size % 1000 !== 0 ? `.${String(size % 1000).padStart(3, "0")}` : "";
  const days = hour < 48 ? 0 : Math.floor(hour / 24);
  const hours = days > 0 ? `${days}d ${two(hour % 24)}:` : hour > 0 ? `${hour}:` : "";
  return `${sign}${hours}${clock}${rest}`;
}

/** Date parts of an instant, in UTC or in the reader's own zone. */
function parts(ms: number, utc: boolean): { date: string; time: string; ms: number } {
  // A shifted Date read with the UTC getters gives local parts without a second set of calls.
  const at = new Date(utc ? ms : ms - new Date(ms).getTimezoneOffset() * 60_000);
  if (Number.isNaN(at.getTime())) return { date: DASH, time: DASH, ms: 0 };
  return {
    date: `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`,
    time: `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`,
    ms: at.getUTCMilliseconds(),
  };
}

export function clock(ms: number, utc: boolean, fine = false): string {
  const part = parts(ms, utc);
  return fine && part.ms > 0 ? `${part.time}.${String(part.ms).padStart(3, "0")}` : part.time;
}

export function day(ms: number, utc: boolean): string {
  return parts(ms, utc).date;
}

export function dateTime(ms: Cell, utc: boolean): string {
  return ms === null ? DASH : `${day(ms, utc)} ${clock(ms, utc)}${utc ? " UTC" : ""}`;
}
