// The time axis of trends: marks at hours, days, Mondays, months or years, and their words. Buckets of a day and more are
// days of UTC, which the axis then shows whatever the reader's clock is.
import { clock, day } from "../format";
import type { Range } from "../types";
import { DAY } from "./filters";

const HOUR = DAY / 24;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
export const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
export const WEEKDAYS_LONG = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

export interface Mark {
  at: number;
  label: string;
}

/** Milliseconds that the reader's clock is ahead of UTC at an instant. */
export function ahead(at: number, utc: boolean): number {
  return utc ? 0 : -new Date(at).getTimezoneOffset() * 60_000;
}

function date(at: number): Date {
  return new Date(at);
}

/** "2 Nov", with the year where a year begins or the mark is the first one. */
export function dayLabel(at: number, year = false): string {
  const when = date(at);
  return `${when.getUTCDate()} ${MONTHS[when.getUTCMonth()] ?? ""}${year ? ` ${when.getUTCFullYear()}` : ""}`;
}

/** First instants of every n-th month. */
function months(range: Range, every: number): Mark[] {
  const first = date(range.from);
  const marks: Mark[] = [];
  for (let month = first.getUTCFullYear() * 12 + Math.floor(first.getUTCMonth() / every) * every; marks.length < 200; month += every) {
    const at = Date.UTC(Math.floor(month / 12), month % 12, 1);
    if (at >= range.to) break;
    if (at < range.from) continue;
    const year = month % 12 === 0 || marks.length === 0;
    marks.push({ at, label: every >= 12 ? String(Math.floor(month / 12)) : `${MONTHS[month % 12] ?? ""}${year ? ` ${Math.floor(month / 12)}` : ""}` });
  }
  return marks;
}

function steps(range: Range, step: number, origin: number, label: (at: number, first: boolean) => string): Mark[] {
  const marks: Mark[] = [];
  for (let at = Math.ceil((range.from - origin) / step) * step + origin; at < range.to && marks.length < 200; at += step) {
    marks.push({ at, label: label(at, marks.length === 0) });
  }
  return marks;
}

/** Marks of a range, at most one per `room` pixels of `width`. */
export function marks(range: Range, width: number, room: number, utc: boolean): Mark[] {
  const most = Math.max(1, Math.floor(width / room));
  const length = range.to - range.from;
  for (const step of [HOUR / 12, HOUR / 4, HOUR / 2, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR]) {
    if (length / step > most) continue;
    const shift = ahead(range.from, utc);
    return steps(range, step, -shift, (at, first) => {
      const local = at + shift;
      return local % DAY === 0 || (first && length > DAY) ? dayLabel(local) : clock(local, true).slice(0, 5);
    });
  }
  for (const days of [1, 2, 7, 14]) {
    if (length / (days * DAY) > most) continue;
    // From a Monday on, so that weeks begin where people begin them.
    return steps(range, days * DAY, 4 * DAY, (at, first) => dayLabel(at, first && length > 100 * DAY));
  }
  for (const every of [1, 3, 6]) if (length / (every * 30.4 * DAY) <= most) return months(range, every);
  for (const years of [1, 2, 5, 10, 20, 50, 100]) if (length / (years * 365 * DAY) <= most) return months(range, 12 * years);
  return [];
}

/** A bucket in words: "2 Nov", "2 Nov 14:00 to 15:00", "week of 2 Nov". */
export function bucketLabel(from: number, width: number, utc: boolean): string {
  if (width === DAY) return `${WEEKDAYS[(Math.floor(from / DAY) + 3) % 7] ?? ""} ${dayLabel(from, true)}`;
  if (width >= DAY) return `${dayLabel(from)} to ${dayLabel(from + width - DAY, true)}`;
  const local = from + ahead(from, utc);
  return `${WEEKDAYS[(Math.floor(local / DAY) + 3) % 7] ?? ""} ${dayLabel(local)} ${clock(local, true).slice(0, 5)} to ${clock(local + width, true).slice(0, 5)}`;
}

/** A range in words. */
export function rangeLabel(range: Range, utc: boolean): string {
  if (range.from % DAY === 0 && range.to % DAY === 0) return `${day(range.from, true)} to ${day(range.to - DAY, true)} (UTC)`;
  const at = (ms: number): string => `${day(ms, utc)} ${clock(ms, utc).slice(0, 5)}`;
  return `${at(range.from)} to ${at(range.to)}${utc ? " UTC" : ""}`;
}
