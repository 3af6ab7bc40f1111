// The shared crosshair: one instant that all charts, the lanes and the readouts follow. It bypasses rendering, because it
// moves with the mouse.
import { gaugeAt, rateAt, type Frame } from "./frame";
import { axisFormatter, CHARTS, formatter, type ChartSpec, type SeriesSpec } from "./metrics";
import { sectionAt, type Placed } from "./sections";
import { instantLabel, type Clock } from "./ticks";
import type { Cell } from "./types";

type Listener = (at: number | null, origin: object | null) => void;

export class Cursor {
  at: number | null = null;
  private readonly listeners = new Set<Listener>();

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  move(at: number | null, origin: object | null = null): void {
    this.at = at;
    for (const listener of this.listeners) listener(at, origin);
  }
}

export function valueAt(frame: Frame, series: SeriesSpec, at: number): Cell {
  const point = series.kind === "rate" ? rateAt(frame, at) : gaugeAt(frame, at);
  const columns = series.kind === "rate" ? frame.rates : frame.gauges;
  return point === null ? null : (columns.get(series.metric)?.[point] ?? null);
}

export function readout(frame: Frame, chart: ChartSpec, series: SeriesSpec, at: number): string {
  return axisFormatter(chart.unit)(valueAt(frame, series, at));
}

/** The whole readout in words, for the live region. */
export function announce(frame: Frame, placed: readonly Placed[], at: number, clock: Clock, start: number): string {
  const during = sectionAt(placed, at);
  const said = [`${instantLabel(at, clock, start)}${during === null ? "" : `, in ${during.label}`}.`];
  for (const chart of CHARTS) {
    const values = chart.series
      .map((series) => ({ label: series.label, value: valueAt(frame, series, at) }))
      .filter((entry) => entry.value !== null)
      .map((entry) => `${entry.label} ${formatter(chart.unit)(entry.value)}`);
    if (values.length > 0) said.push(`${chart.title}: ${values.join(", ")}.`);
  }
  if (said.length === 1) said.push("No samples.");
  return said.join(" ");
}
