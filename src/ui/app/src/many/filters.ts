// Which jobs a page is about: filters and a time. They live in the address, go into questions, and are shown in words.
import { instant } from "../route";
import type { Range } from "../types";

/** What jobs are told apart by; the names are the API's and the address bar's. */
export const FIELDS = ["source", "project", "name", "ref", "runner", "machine", "machine_type", "region", "status", "verdict"] as const;
export type Field = (typeof FIELDS)[number];
export type Filters = Readonly<Partial<Record<Field, string>>>;

/** What a menu of filters offers, in this order; verdicts have a place of their own. */
export const OFFERED: readonly Field[] = ["project", "name", "ref", "runner", "machine_type", "region", "status", "machine", "source"];

const LABELS: Readonly<Record<Field, string>> = {
  source: "Source", project: "Project", name: "Job name", ref: "Ref", runner: "Runner", machine: "Machine",
  machine_type: "Machine type", region: "Region", status: "Status", verdict: "Data",
};

export function fieldLabel(field: Field): string {
  return LABELS[field];
}

export function isField(name: string): name is Field {
  return (FIELDS as readonly string[]).includes(name);
}

/** A filter as one parameter, also where a group has several (a job name inside of its project). */
export function readFilters(query: URLSearchParams): Filters {
  const found: Partial<Record<Field, string>> = {};
  for (const field of FIELDS) {
    const value = query.get(field);
    if (value !== null && value.trim() !== "") found[field] = value;
  }
  return found;
}

export function putFilters(query: URLSearchParams, filters: Filters): void {
  for (const field of FIELDS) {
    const value = filters[field];
    if (value === undefined) query.delete(field);
    else query.set(field, value);
  }
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** The times that have a button: name in the address, words, length, and width of their buckets. */
export const SPANS = [
  { name: "24h", label: "24 h", long: "the last 24 hours", length: DAY, bucket: HOUR },
  { name: "7d", label: "7 d", long: "the last 7 days", length: 7 * DAY, bucket: 6 * HOUR },
  { name: "30d", label: "30 d", long: "the last 30 days", length: 30 * DAY, bucket: DAY },
  { name: "90d", label: "90 d", long: "the last 90 days", length: 91 * DAY, bucket: 7 * DAY },
  { name: "1y", label: "1 y", long: "the last year", length: 364 * DAY, bucket: 7 * DAY },
] as const;
export type SpanName = (typeof SPANS)[number]["name"];

/** A span that ends now, a fixed range, or all of time (null). */
export type Span = SpanName | Range | null;

export function readSpan(query: URLSearchParams, standard: SpanName | null): Span {
  const from = instant(query.get("from"));
  const to = instant(query.get("to"));
  if (from !== null && to !== null && to > from) return { from, to };
  return SPANS.find((one) => one.name === query.get("range"))?.name ?? standard;
}

export function putSpan(query: URLSearchParams, span: Span, standard: SpanName | null): void {
  for (const key of ["from", "to", "range"]) query.delete(key);
  if (typeof span === "string") {
    if (span !== standard) query.set("range", span);
  } else if (span !== null) {
    query.set("from", String(Math.round(span.from)));
    query.set("to", String(Math.round(span.to)));
  }
}

/** Buckets begin at multiples of their width from a Monday on, so that weeks do; the service reckons alike. */
const ORIGIN = 4 * DAY;

export function bucketStart(at: number, width: number): number {
  return Math.floor((at - ORIGIN) / width) * width + ORIGIN;
}

/**
 * The range that a span means at a time. It begins with a whole bucket, and ends at a full minute: whoever asks twice asks
 * the same.
 */
export function rangeOf(span: Exclude<Span, null>, now: number): Range {
  if (typeof span !== "string") return span;
  const named = SPANS.find((one) => one.name === span) ?? SPANS[2];
  return { from: bucketStart(now - named.length + named.bucket, named.bucket), to: Math.ceil(now / MINUTE) * MINUTE };
}

/** Widths in milliseconds, with the name that the address and the API have for each. */
export const WIDTHS: readonly { name: string; label: string; width: number }[] = [
  { name: "300", label: "5 minutes", width: 5 * MINUTE },
  { name: "900", label: "15 minutes", width: 15 * MINUTE },
  { name: "1h", label: "hour", width: HOUR },
  { name: "21600", label: "6 hours", width: 6 * HOUR },
  { name: "1d", label: "day", width: DAY },
  { name: "7d", label: "week", width: 7 * DAY },
  { name: "30d", label: "30 days", width: 30 * DAY },
];

/** As many points as a chart can show well. */
const MOST_BUCKETS = 120;
/** More than this the service refuses, and no screen shows. */
const REFUSED_BUCKETS = 2_000;

/** The wished width if the range allows it, else the narrowest that shows the range well. */
export function widthOf(wish: string, span: Span, range: Range): { name: string; width: number } {
  const length = range.to - range.from;
  const named = typeof span === "string" ? SPANS.find((one) => one.name === span) : undefined;
  const chosen = WIDTHS.find((one) => one.name === wish && length / one.width <= REFUSED_BUCKETS);
  const usual = WIDTHS.find((one) => (named === undefined ? length / one.width <= MOST_BUCKETS : one.width === named.bucket));
  const found = chosen ?? usual;
  if (found !== undefined) return found;
  const months = Math.ceil(length / MOST_BUCKETS / (30 * DAY)) * 30;
  return { name: String(months * 86_400), width: months * DAY };
}
