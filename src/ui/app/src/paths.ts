// Path of a rate: a step over exactly the time each value covers, (start, ts]. Nothing is drawn between two steps that
// do not touch. uPlot's own stepped path would stretch a value back to the previous sample even across a hole.
import type uPlot from "uplot";
import type { Cell } from "./types";

export interface Step {
  from: number;
  to: number;
  value: number;
  /** Whether it begins where the previous one ended. */
  joined: boolean;
}

/** The steps of one series, in time order. Pure, so that tests can hold it against the gaps. */
export function steps(x: readonly number[], starts: readonly Cell[], values: readonly Cell[]): Step[] {
  const found: Step[] = [];
  let last: Step | undefined;
  for (let point = 0; point < x.length; point += 1) {
    const to = x[point];
    const from = starts[point] ?? null;
    const value = values[point] ?? null;
    if (to === undefined || from === null || value === null || !(from < to)) continue;
    // Scrapes are a few milliseconds off; a real hole is never below a hundredth of the step.
    const slack = (to - from) * 0.01;
    const joined: boolean = last !== undefined && Math.abs(from - last.to) <= slack;
    last = { from: joined && last !== undefined ? last.to : Math.max(from, last?.to ?? -Infinity), to, value, joined };
    found.push(last);
  }
  return found;
}

export function stepPaths(starts: () => readonly Cell[], filled: boolean): uPlot.Series.PathBuilder {
  return (u, seriesIdx) => {
    const xs = u.data[0] as readonly number[];
    const ys = u.data[seriesIdx] as readonly Cell[];
    const min = u.scales["x"]?.min ?? 0;
    const max = u.scales["x"]?.max ?? 1;
    const stroke = new Path2D();
    const fill = new Path2D();
    const base = u.valToPos(0, "y", true);
    let open = false;
    let end = 0;
    const close = (): void => {
      if (open) fill.lineTo(end, base);
      open = false;
    };
    for (const step of steps(xs, starts(), ys)) {
      if (step.to < min || step.from > max) continue;
      const left = u.valToPos(step.from, "x", true);
      const right = u.valToPos(step.to, "x", true);
      const y = u.valToPos(step.value, "y", true);
      if (step.joined && open) {
        stroke.lineTo(left, y);
      } else {
        close();
        stroke.moveTo(left, y);
        fill.moveTo(left, base);
      }
      fill.lineTo(left, y);
      stroke.lineTo(right, y);
      fill.lineTo(right, y);
      open = true;
      end = right;
    }
    close();
    return { stroke, fill: filled ? fill : null, clip: null, band: null, flags: 1 };
  };
}

/** Samples a line cannot show: both neighbours are missing, so they become dots. */
export function lonely(values: readonly Cell[]): number[] {
  const found: number[] = [];
  values.forEach((value, point) => {
    if (value !== null && (values[point - 1] ?? null) === null && (values[point + 1] ?? null) === null) found.push(point);
  });
  return found;
}

/** Rates whose covered time is unknown have no width: dots as well. */
export function widthless(x: readonly number[], starts: readonly Cell[], values: readonly Cell[]): number[] {
  const found: number[] = [];
  values.forEach((value, point) => {
    const start = starts[point] ?? null;
    if (value !== null && (start === null || start >= (x[point] ?? 0))) found.push(point);
  });
  return found;
}
