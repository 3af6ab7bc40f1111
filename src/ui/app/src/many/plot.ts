// One canvas of a trend: bands, lines or bars over buckets of time, on uPlot like the graphs of a job. It is made anew
// whenever anything but the crosshair changes: a few hundred points take less than a frame.
import uPlot from "uplot";
import { CANVAS_FONT, hatch } from "../marks";
import { DASHES, type Palette } from "../palette";
import { linePaths, lonely } from "../paths";
import type { Cell, Range } from "../types";
import { marks } from "./calendar";

/** Room for the value axis and at the right edge. */
const LEFT = 68;
const RIGHT = 16;

export interface Layer {
  kind: "line" | "band" | "bar";
  /** Number of the colour and dash style, from 1. */
  style: number;
  values: readonly Cell[];
  /** Lower edge of a band. */
  lows?: readonly Cell[];
  faint: boolean;
}

export interface PlotState {
  layers: readonly Layer[];
  /** Starts of the buckets, ms; one point each. */
  starts: readonly number[];
  bucket: number;
  range: Range;
  top: number;
  palette: Palette;
  utc: boolean;
  format: (value: Cell) => string;
  steps: number[];
  /** Time whose numbers are not whole: hatched. */
  unsure: readonly Range[];
  /** Whether the time axis has words. */
  labelled: boolean;
}

export interface PlotEvents {
  cursor(at: number | null): void;
  select(range: Range): void;
  /** A click at an instant and a value. */
  click(at: number, value: number): void;
}

export interface Plot {
  point(at: number | null): void;
  destroy(): void;
}

/** The area between two lines, in runs without holes. */
function bandPaths(centres: readonly number[], lows: readonly Cell[]): uPlot.Series.PathBuilder {
  return (u, index) => {
    const fill = new Path2D();
    const highs = u.data[index] as readonly Cell[];
    let run: [number, number, number][] = [];
    const close = (): void => {
      run.forEach(([x, , high], at) => (at === 0 ? fill.moveTo(x, high) : fill.lineTo(x, high)));
      for (const [x, low] of run.reverse()) fill.lineTo(x, low);
      run = [];
    };
    centres.forEach((at, point) => {
      const [low, high] = [lows[point] ?? null, highs[point] ?? null];
      if (low === null || high === null) close();
      else run.push([u.valToPos(at, "x", true), u.valToPos(low, "y", true), u.valToPos(high, "y", true)]);
    });
    close();
    return { stroke: null, fill, clip: null, band: null, flags: 1 };
  };
}

function barPaths(starts: readonly number[], bucket: number): uPlot.Series.PathBuilder {
  return (u, index) => {
    const fill = new Path2D();
    const base = u.valToPos(0, "y", true);
    (u.data[index] as readonly Cell[]).forEach((value, point) => {
      const from = starts[point];
      if (value === null || value <= 0 || from === undefined) return;
      const left = u.valToPos(from, "x", true);
      const wide = u.valToPos(from + bucket, "x", true) - left;
      const top = Math.min(u.valToPos(value, "y", true), base - 1);
      // A gap between bars, as long as there is room for one.
      const gap = wide > 4 ? Math.max(1, wide * 0.12) : 0;
      fill.rect(left + gap / 2, top, wide - gap, base - top);
    });
    return { stroke: null, fill, clip: null, band: null, flags: 1 };
  };
}

function drawUnsure(u: uPlot, state: PlotState): void {
  const { left, top, width, height } = u.bbox;
  u.ctx.save();
  u.ctx.fillStyle = state.unsure.length > 0 ? hatch(u, state.palette) : "";
  for (const range of state.unsure) {
    const from = Math.max(left, u.valToPos(range.from, "x", true));
    const to = Math.min(left + width, u.valToPos(range.to, "x", true));
    if (to > from) u.ctx.fillRect(from, top, to - from, height);
  }
  u.ctx.restore();
}

function series(layer: Layer, state: PlotState, centres: readonly number[]): uPlot.Series {
  const { palette } = state;
  const colour = palette.lines[layer.style - 1] ?? palette.capacity;
  const alpha = layer.faint ? 0.3 : 1;
  if (layer.kind === "band") {
    return { scale: "y", width: 0, fill: colour, alpha: 0.15, paths: bandPaths(centres, layer.lows ?? []), points: { show: false } };
  }
  if (layer.kind === "bar") {
    return { scale: "y", width: 0, fill: colour, alpha, paths: barPaths(state.starts, state.bucket), points: { show: false } };
  }
  return {
    scale: "y", stroke: colour, width: 2, alpha, dash: [...(DASHES[layer.style - 1] ?? [])], paths: linePaths(() => centres, false),
    points: { show: true, size: 6, stroke: colour, fill: colour, filter: () => lonely(layer.values) },
  };
}

export function makePlot(host: HTMLElement, width: number, height: number, state: PlotState, events: PlotEvents): Plot {
  const { range, palette } = state;
  const centres = state.starts.map((start) => start + state.bucket / 2);
  const times = marks(range, width - LEFT - RIGHT, 84, state.utc);
  const font = `11px ${CANVAS_FONT}`;
  const grid = { stroke: palette.grid, width: 1 };
  const axis = { stroke: palette.axis, font, ticks: { show: false }, grid, gap: 6 };
  let pressed: { x: number; y: number } | null = null;
  let quiet = true;
  const plot = new uPlot(
    {
      width, height,
      padding: [8, RIGHT, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: false, auto: false, min: range.from, max: range.to, range: (_, min, max) => [min, max] },
        y: { auto: false, min: 0, max: state.top, range: (_, min, max) => [min, max] },
      },
      axes: [
        {
          ...axis, size: state.labelled ? 26 : 6, splits: () => times.map((mark) => mark.at),
          values: () => times.map((mark) => {
            const room = ((range.to - mark.at) / (range.to - range.from)) * (width - LEFT - RIGHT) + RIGHT;
            return !state.labelled || mark.label.length * 3.4 > room ? "" : mark.label;
          }),
        },
        {
          ...axis, ...(state.steps.length > 0 ? { incrs: state.steps } : {}), size: LEFT, space: Math.min(34, height / 3),
          values: (_, splits) => splits.map((value) => state.format(value)),
        },
      ],
      series: [{}, ...state.layers.map((layer) => series(layer, state, centres))],
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: 4 },
      },
      hooks: {
        drawClear: [(u) => drawUnsure(u, state)],
        setCursor: [
          (u) => {
            if (quiet) return;
            const left = u.cursor.left ?? -10;
            events.cursor(left < 0 ? null : u.posToVal(left, "x"));
          },
        ],
        setSelect: [
          (u) => {
            if (u.select.width < 4) return;
            const picked = { from: u.posToVal(u.select.left, "x"), to: u.posToVal(u.select.left + u.select.width, "x") };
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            events.select(picked);
          },
        ],
      },
    },
    [centres, ...state.layers.map((layer) => layer.values)] as uPlot.AlignedData,
    host,
  );
  const quietly = (change: () => void): void => {
    quiet = true;
    plot.batch(change);
    quiet = false;
  };
  quietly(() => {
    plot.setScale("x", { min: range.from, max: range.to });
    plot.setScale("y", { min: 0, max: state.top });
  });
  plot.over.addEventListener("pointerdown", (event) => {
    pressed = { x: event.clientX, y: event.clientY };
  });
  plot.over.addEventListener("click", (event) => {
    // The end of a drag is no click.
    if (pressed === null || Math.abs(event.clientX - pressed.x) > 3) return;
    const box = plot.over.getBoundingClientRect();
    events.click(plot.posToVal(event.clientX - box.left, "x"), plot.posToVal(event.clientY - box.top, "y"));
  });
  return {
    point: (at) => quietly(() => {
      const inside = at !== null && at >= range.from && at <= range.to;
      plot.setCursor(inside ? { left: plot.valToPos(at, "x"), top: 1 } : { left: -10, top: -10 }, false);
    }),
    destroy: () => plot.destroy(),
  };
}
