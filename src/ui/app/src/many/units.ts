// Numbers of the fleet as people read them: the API's units, with durations as on a clock and large counts shortened.
import { byteRate, bytes, coreNumber, DASH, duration, percent } from "../format";
import type { Cell } from "../types";

const LARGE: readonly [number, string][] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]];

/** 9,812 stays; 412,345 becomes 412 k, with a thin space: three digits are enough to compare. */
export function compact(value: Cell): string {
  if (value === null || !Number.isFinite(value)) return DASH;
  const size = Math.abs(value);
  if (size < 9_999.5) return size >= 1000 ? Math.round(value).toLocaleString("en-US") : coreNumber(value);
  const [scale, unit] = LARGE.find(([from]) => size >= from * 0.99995) ?? [1e3, "k"];
  const shown = value / (unit === "k" ? 1e3 : scale);
  return `${shown.toFixed(Math.abs(shown) < 9.995 ? 2 : Math.abs(shown) < 99.95 ? 1 : 0)}\u202f${unit}`;
}

function withUnit(unit: string): (value: Cell) => string {
  return (value) => (value === null ? DASH : `${compact(value)} ${unit}`);
}

/** How values of a unit of the API are written; an unknown unit is shown as it is named. */
export function unitFormat(unit: string): (value: Cell) => string {
  switch (unit) {
    case "bytes": return bytes;
    case "bytes/s": return byteRate;
    case "ratio": return percent;
    case "seconds": return (value) => (value === null ? DASH : duration(value * 1000));
    case "jobs": case "money": case "processes": case "count": return compact;
    case "core hours": return withUnit("core h");
    case "GiB hours": return withUnit("GiB h");
    default: return withUnit(unit);
  }
}

/** On an axis the unit stands in the title, unless it changes with the number. */
export function axisFormat(unit: string): (value: Cell) => string {
  return ["bytes", "bytes/s", "ratio", "seconds"].includes(unit) ? unitFormat(unit) : compact;
}

/** In a sentence: "412 k core-hours". */
export function spoken(unit: string): (value: Cell) => string {
  return unit === "core hours" || unit === "GiB hours" ? withUnit(unit.replace(" ", "-")) : unitFormat(unit);
}

/** In a cell of 40 pixels: "1.8 min", "412k". */
export function narrow(unit: string): (value: Cell) => string {
  if (unit !== "seconds") return (value) => axisFormat(unit)(value).replaceAll("\u202f", "");
  return (value) => {
    const size = value ?? 0;
    if (size < 59.5) return unitFormat(unit)(value);
    const [part, word] = size < 3570 ? [size / 60, "min"] : [size / 3600, "h"];
    return `${part.toFixed(part < 9.95 ? 1 : 0)} ${word}`;
  };
}

const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800];
const POWERS = Array.from({ length: 62 }, (_, power) => 2 ** power);

/** Steps of a value axis that read well in the unit; empty leaves the choice to the chart. */
export function axisSteps(unit: string): number[] {
  if (unit === "bytes" || unit === "bytes/s") return POWERS;
  return unit === "seconds" ? [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, ...SECONDS, ...[2, 4, 8, 16, 32].map((weeks) => weeks * 604_800)] : [];
}
