// Which page an address means, and which part of the job it shows (range and section live in the query string).
import type { Range } from "./types";

export type Route = { page: "list" } | { page: "fleet" } | { page: "job"; source: string; jobId: string } | { page: "nowhere" };

/** `section` is `name`, or `name#ordinal` for repeated names, as in the API. */
export interface View {
  range: Range | null;
  section: string | null;
}

export const WHOLE: View = { range: null, section: null };

function decode(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

export function parsePath(path: string): Route {
  if (path === "/" || path === "") return { page: "list" };
  if (/^\/fleet\/?$/.test(path)) return { page: "fleet" };
  const match = /^\/jobs\/([^/]+)\/([^/]+)\/?$/.exec(path);
  if (match === null) return { page: "nowhere" };
  const source = decode(match[1] ?? "");
  const jobId = decode(match[2] ?? "");
  return source === null || jobId === null ? { page: "nowhere" } : { page: "job", source, jobId };
}

/** Unix milliseconds or RFC 3339. */
export function instant(value: string | null): number | null {
  if (value === null || value.trim() === "") return null;
  const ms = /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : Date.parse(value);
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? ms : null;
}

export function parseView(search: string): View {
  const query = new URLSearchParams(search);
  const from = instant(query.get("from"));
  const to = instant(query.get("to"));
  return {
    range: from !== null && to !== null && to > from ? { from, to } : null,
    section: query.get("section") || null,
  };
}

/** The query string of a view; other parameters (such as theme) stay as they are. */
export function viewSearch(search: string, view: View): string {
  const query = new URLSearchParams(search);
  for (const key of ["from", "to", "section"]) query.delete(key);
  if (view.range !== null) {
    query.set("from", String(Math.round(view.range.from)));
    query.set("to", String(Math.round(view.range.to)));
  }
  if (view.section !== null) query.set("section", view.section);
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}
