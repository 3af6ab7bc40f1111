// One chart: a uPlot canvas with its scales, marks and crosshair. It draws what it is told; state lives above it.
import uPlot from "uplot";
import { axisTop, peak, type Frame } from "./frame";
import { CANVAS_FONT, drawAbove, drawBehind, type Marks } from "./marks";
import { axisFormatter, type ChartSpec } from "./metrics";
import { DASHES, type Palette } from "./palette";
import { linePaths, lonely, stepPaths, widthless } from "./paths";
import { BYTE_STEPS, TIME_STEPS, timeLabel, timeSplits, type Clock } from "./ticks";
import type { Cell, Range } from "./types";

/** Room for the value axis and at the right edge; the section lanes use the same, so that both line up. */
export const GUTTER_LEFT = 68;
export const GUTTER_RIGHT = 24;

export interface ChartState {
  frame: Frame;
  range: Range;
  start: number;
  clock: Clock;
  marks: Marks;
  capacity: Cell;
  toCapacity: boolean;
  palette: Palette;
  hidden: ReadonlySet<string>;
}

export interface ChartEvents {
  cursor(at: number | null): void;
  select(range: Range): void;
  reset(): void;
}

export class ChartView {
  readonly spec: ChartSpec;
  readonly plot: uPlot;
  private state: ChartState;
  private quiet = false;

  constructor(host: HTMLElement, spec: ChartSpec, size: { width: number; height: number }, state: ChartState, events: ChartEvents) {
    this.spec = spec;
    this.state = state;
    this.plot = new uPlot(this.options(size, events), this.data(), host);
    this.quietly(() => this.scale());
  }

  /** One redraw for all changes; uPlot's own cursor events in it are not the reader's. */
  private quietly(change: () => void): void {
    this.quiet = true;
    this.plot.batch(change);
    this.quiet = false;
  }

  /** What uPlot draws, column by column: gauges as sampled, rates without those that span a hole. */
  data(): uPlot.AlignedData {
    const { frame } = this.state;
    return [frame.x, ...this.spec.series.map((series) => this.values(series.metric, series.kind))] as uPlot.AlignedData;
  }

  private values(metric: string, kind: "rate" | "gauge"): Cell[] {
    const from = kind === "rate" ? this.state.frame.rates : this.state.frame.gauges;
    return from.get(metric) ?? this.state.frame.x.map(() => null);
  }

  update(state: ChartState): void {
    const before = this.state;
    this.state = state;
    this.quietly(() => {
      if (state.frame !== before.frame) this.plot.setData(this.data(), false);
      this.spec.series.forEach((series, index) => {
        const show = !state.hidden.has(`${this.spec.id}.${series.metric}`);
        if (this.plot.series[index + 1]?.show !== show) this.plot.setSeries(index + 1, { show }, false);
      });
      this.scale();
      // Labels depend on the clock too, which uPlot cannot know: have it measure its axes again.
      this.plot.redraw(false, true);
    });
  }

  private scale(): void {
    const { range, frame, hidden, capacity, toCapacity } = this.state;
    let highest: Cell = null;
    for (const series of this.spec.series) {
      if (hidden.has(`${this.spec.id}.${series.metric}`)) continue;
      const found = peak(frame, this.values(series.metric, series.kind), series.kind, range);
      if (found !== null) highest = Math.max(highest ?? 0, found.value);
    }
    const top = axisTop(highest, toCapacity ? capacity : null);
    this.plot.setScale("x", { min: range.from, max: range.to });
    this.plot.setScale("y", { min: 0, max: top });
  }

  resize(width: number, height: number): void {
    if (this.plot.width !== width || this.plot.height !== height) this.quietly(() => this.plot.setSize({ width, height }));
  }

  /** Moves the crosshair without telling the others. */
  point(at: number | null): void {
    const inside = at !== null && at >= this.state.range.from && at <= this.state.range.to;
    this.plot.setCursor(inside ? { left: this.plot.valToPos(at, "x"), top: 1 } : { left: -10, top: -10 }, false);
  }

  destroy(): void {
    this.plot.destroy();
  }

  private options(size: { width: number; height: number }, events: ChartEvents): uPlot.Options {
    const { range } = this.state;
    const format = axisFormatter(this.spec.unit);
    const font = `11px ${CANVAS_FONT}`;
    const axis = { stroke: () => this.state.palette.axis, font, ticks: { show: false } };
    const grid = { stroke: () => this.state.palette.grid, width: 1 };
    const yIncrements = this.spec.unit === "bytes" || this.spec.unit === "byteRate" ? { incrs: BYTE_STEPS } : {};
    return {
      ...size,
      padding: [8, GUTTER_RIGHT, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: false, auto: false, min: range.from, max: range.to, range: (_, min, max) => [min, max] },
        y: { auto: false, min: 0, max: 1, range: (_, min, max) => [min, max] },
      },
      axes: [
        {
          ...axis, grid, size: 26, gap: 6, space: 76, incrs: TIME_STEPS,
          splits: (_, __, min, max, step) => timeSplits(min, max, step, this.state.clock, this.state.start),
          values: (u, splits, __, ___, step) => splits.map((at) => this.timeLabel(u, at, step)),
        },
        { ...axis, grid, ...yIncrements, size: GUTTER_LEFT, gap: 6, space: 30, values: (_, splits) => splits.map((at) => format(at)) },
      ],
      series: [{}, ...this.spec.series.map((series) => this.series(series))],
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: 4 },
        bind: {
          dblclick: () => () => {
            events.reset();
            return null;
          },
        },
      },
      hooks: {
        drawClear: [(u) => drawBehind(u, this.state.marks, this.state.palette)],
        draw: [(u) => drawAbove(u, this.state.marks, this.state.palette)],
        setCursor: [
          (u) => {
            if (this.quiet) return;
            const left = u.cursor.left ?? -10;
            events.cursor(left < 0 ? null : u.posToVal(left, "x"));
          },
        ],
        setSelect: [
          (u) => {
            if (u.select.width < 4) return;
            const from = u.posToVal(u.select.left, "x");
            const to = u.posToVal(u.select.left + u.select.width, "x");
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            events.select({ from, to });
          },
        ],
      },
    };
  }

  /** A label that would run over the right edge is left out. */
  private timeLabel(u: uPlot, at: number, step: number): string {
    const { range, clock, start } = this.state;
    const label = timeLabel(at, step, clock, start);
    const room = ((range.to - at) / (range.to - range.from)) * (u.width - GUTTER_LEFT - GUTTER_RIGHT) + GUTTER_RIGHT;
    return label.length * 3.4 > room ? "" : label;
  }

  private series(series: ChartSpec["series"][number]): uPlot.Series {
    const style = series.style - 1;
    const rate = series.kind === "rate";
    const filled = series.filled === true;
    const points = (): readonly number[] => this.state.frame.x;
    const stroke = (): string => this.state.palette.lines[style] ?? "";
    return {
      label: series.label,
      scale: "y",
      stroke,
      width: filled ? 1.75 : 1.5,
      dash: [...(DASHES[style] ?? [])],
      ...(filled ? { fill: () => this.state.palette.areas[style] ?? "" } : {}),
      paths: rate ? stepPaths(points, () => this.state.frame.starts, filled) : linePaths(points, filled),
      points: {
        show: true,
        size: 6,
        stroke,
        fill: stroke,
        filter: () => (rate ? widthless(points(), this.state.frame.starts, this.values(series.metric, "rate")) : lonely(this.values(series.metric, "gauge"))),
      },
    };
  }
}
