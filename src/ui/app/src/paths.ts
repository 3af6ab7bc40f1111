// How lines are drawn. A rate is a step over exactly the time each value covers, (start, ts]; a gauge is a line from
// sample to sample. Nothing is drawn between steps that do not touch, nor across a point without a value. uPlot's own
// stepped path would stretch a value back to the previous sample even across a hole.
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

/** Where a pen draws: a canvas path, or what a test puts in its place. */
export type Strokes = Pick<Path2D, "moveTo" | "lineTo">;

/**
 * Draws runs of joined points: a line each, and the area below it. Of the points in one column of pixels only the first,
 * the highest, the lowest and the last are drawn: the picture is the same, and a dashed line of 30,000 points takes
 * milliseconds instead of seconds.
 */
export class Pen {
  private end: number | null = null;
  private column = 0;
  private low = 0;
  private high = 0;
  private last = 0;
  /** Whether the column has more than its first point. */
  private more = false;

  constructor(private readonly base: number, private readonly stroke: Strokes, private readonly fill: Strokes) {}

  start(x: number, y: number): void {
    this.close();
    this.stroke.moveTo(x, y);
    this.fill.moveTo(x, this.base);
    this.fill.lineTo(x, y);
    this.enter(x, y);
  }

  line(x: number, y: number): void {
    if (Math.round(x) === this.column) {
      this.low = Math.min(this.low, y);
      this.high = Math.max(this.high, y);
      this.last = y;
      this.end = x;
      this.more = true;
      return;
    }
    this.leave();
    this.to(x, y);
    this.enter(x, y);
  }

  close(): void {
    this.leave();
    if (this.end !== null) this.fill.lineTo(this.end, this.base);
    this.end = null;
  }

  private enter(x: number, y: number): void {
    this.end = x;
    this.column = Math.round(x);
    this.low = this.high = this.last = y;
    this.more = false;
  }

  private leave(): void {
    if (this.end === null || !this.more) return;
    for (const y of [this.low, this.high, this.last]) this.to(this.end, y);
  }

  private to(x: number, y: number): void {
    this.stroke.lineTo(x, y);
    this.fill.lineTo(x, y);
  }
}

type Draw = (pen: Pen, values: readonly Cell[], x: (at: number) => number, y: (value: number) => number, min: number, max: number) => void;

function paths(filled: boolean, draw: Draw): uPlot.Series.PathBuilder {
  return (u, seriesIdx) => {
    const { min = 0, max = 1 } = u.scales["x"] ?? {};
    const [stroke, fill] = [new Path2D(), new Path2D()];
    const pen = new Pen(u.valToPos(0, "y", true), stroke, fill);
    draw(pen, u.data[seriesIdx] as readonly Cell[], (at) => u.valToPos(at, "x", true), (value) => u.valToPos(value, "y", true), min, max);
    pen.close();
    return { stroke, fill: filled ? fill : null, clip: null, band: null, flags: 1 };
  };
}

export function stepPaths(points: () => readonly number[], starts: () => readonly Cell[], filled: boolean): uPlot.Series.PathBuilder {
  return paths(filled, (pen, values, x, y, min, max) => {
    let open = false;
    for (const step of steps(points(), starts(), values)) {
      if (step.to < min || step.from > max) continue;
      const height = y(step.value);
      if (step.joined && open) pen.line(x(step.from), height);
      else pen.start(x(step.from), height);
      pen.line(x(step.to), height);
      open = true;
    }
  });
}

export function linePaths(points: () => readonly number[], filled: boolean): uPlot.Series.PathBuilder {
  return paths(filled, (pen, values, x, y, min, max) => {
    const at = points();
    let open = false;
    values.forEach((value, point) => {
      // One sample beyond each edge, so that the line runs out of the picture.
      const seen = (at[point + 1] ?? Infinity) >= min && (at[point - 1] ?? -Infinity) <= max;
      if (value === null || !seen) open = false;
      else {
        const left = x(at[point] ?? 0);
        if (open) pen.line(left, y(value));
        else pen.start(left, y(value));
        open = true;
      }
    });
  });
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
