// What the fleet's questions are answered with, read from JSON of unknown shape: what is missing or of another type is
// absent, and absent is null.
import { get } from "../api";
import { identity, list, number, object, text } from "../parse";
import type { Cell } from "../types";
import { isField, type Field, type Filters } from "./filters";

export interface TrendPoint {
  from: number;
  /** By name of the statistic. */
  values: ReadonlyMap<string, Cell>;
  value: Cell;
  jobs: number;
  coverage: Cell;
}

export interface Group {
  key: string;
  /** What selects the group in other questions; null if nothing can (jobs that do not say it). */
  filters: Filters | null;
}

export interface TrendSeries extends Group {
  points: TrendPoint[];
}

export interface Trend {
  unit: string;
  bucket: Cell;
  series: TrendSeries[];
  /** Whether there are more groups than lines. */
  truncated: boolean;
  sql: string | null;
}

export interface TopRow extends Group {
  value: Cell;
  share: Cell;
  jobs: number;
  /** Of how many jobs the value is known. */
  measured: Cell;
  shared: Cell;
  paid: Cell;
  used: Cell;
}

export interface Top {
  unit: string;
  total: Cell;
  rows: TopRow[];
  sql: string | null;
}

export interface HeatCell {
  value: Cell;
  jobs: number;
}

export interface Heat {
  unit: string;
  /** 168, Monday's first hour first. */
  cells: HeatCell[];
  sql: string | null;
}

/** What together names a group; with less, a filter would select other jobs as well. */
const NAMED: Readonly<Record<string, readonly Field[]>> = { name: ["project", "name"], ref: ["project", "ref"], runner: ["source", "runner"] };

function group(value: unknown, by: string): Group {
  const from = object(value);
  const key = text(from["key"]) ?? "(unknown)";
  const given = from["filters"];
  const filters: Record<string, string> = {};
  if (typeof given === "object" && given !== null) {
    for (const [name, wanted] of Object.entries(object(given))) {
      if (!isField(name) || typeof wanted !== "string") return { key, filters: null };
      filters[name] = wanted;
    }
    const whole = by === "none" || (NAMED[by] ?? [by]).every((field) => Object.hasOwn(filters, field));
    return { key, filters: whole ? filters : null };
  }
  if (by === "none") return { key, filters };
  return { key, filters: !Object.hasOwn(NAMED, by) && isField(by) && identity(from["key"]) !== "" ? { [by]: identity(from["key"]) } : null };
}

function count(value: unknown): number {
  return Math.max(0, number(value) ?? 0);
}

function sql(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

export function readTrend(value: unknown): Trend {
  const from = object(value);
  const by = text(from["by"]) ?? "none";
  const seconds = number(from["bucket_seconds"]);
  return {
    unit: text(from["unit"]) ?? "",
    bucket: seconds !== null && seconds > 0 ? seconds * 1000 : null,
    series: list(from["series"]).map((one) => ({
      ...group(one, by),
      points: list(object(one)["points"]).flatMap((entry) => {
        const point = object(entry);
        const at = number(point["from_ms"]);
        if (at === null) return [];
        const values = new Map(Object.entries(object(point["values"])).map(([name, cell]) => [name, number(cell)]));
        return [{ from: at, value: number(point["value"]), values, jobs: count(point["jobs"]), coverage: number(point["coverage"]) }];
      }).sort((a, b) => a.from - b.from),
    })),
    truncated: from["truncated"] === true,
    sql: sql(from["sql"]),
  };
}

export function readTop(value: unknown): Top {
  const from = object(value);
  const by = text(from["by"]) ?? "none";
  return {
    unit: text(from["unit"]) ?? "",
    total: number(from["total"]),
    rows: list(from["rows"]).map((one) => {
      const row = object(one);
      return {
        ...group(row, by), value: number(row["value"]), share: number(row["share"]), jobs: count(row["jobs"]),
        measured: number(row["measured"]), shared: number(row["shared"]), paid: number(row["paid"]), used: number(row["used"]),
      };
    }),
    sql: sql(from["sql"]),
  };
}

export function readHeat(value: unknown): Heat {
  const from = object(value);
  const cells: HeatCell[] = Array.from({ length: 168 }, () => ({ value: null, jobs: 0 }));
  for (const entry of list(from["cells"])) {
    const cell = object(entry);
    const [weekday, hour] = [number(cell["weekday"]), number(cell["hour"])];
    if (weekday === null || hour === null || !(hour >= 0 && hour < 24)) continue;
    const slot = weekday * 24 + hour;
    if (slot in cells) cells[slot] = { value: number(cell["value"]), jobs: count(cell["jobs"]) };
  }
  return { unit: text(from["unit"]) ?? "", cells, sql: sql(from["sql"]) };
}

export const askTrend = async (url: string, signal: AbortSignal): Promise<Trend> => readTrend(await get(url, signal));
export const askTop = async (url: string, signal: AbortSignal): Promise<Top> => readTop(await get(url, signal));
export const askHeat = async (url: string, signal: AbortSignal): Promise<Heat> => readHeat(await get(url, signal));
