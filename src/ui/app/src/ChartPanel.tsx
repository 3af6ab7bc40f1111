// One chart with its title, its legend (each entry switches its line) and the readout at the crosshair.
import { useLayoutEffect, useRef } from "preact/hooks";
import { ChartView, type ChartEvents, type ChartState } from "./chart";
import { readout, type Cursor } from "./cursor";
import { formatter, type ChartSpec, type SeriesSpec } from "./metrics";
import { measured, peak } from "./frame";
import { DASHES } from "./palette";
import { sectionAt, type Placed } from "./sections";
import { instantLabel } from "./ticks";

interface Props {
  spec: ChartSpec;
  state: ChartState;
  width: number;
  cursor: Cursor;
  placed: readonly Placed[];
  toggle: (key: string) => void;
  events: Omit<ChartEvents, "cursor">;
}

function column(state: ChartState, series: SeriesSpec): readonly (number | null)[] | undefined {
  return (series.kind === "rate" ? state.frame.rates : state.frame.gauges).get(series.metric);
}

function highest(state: ChartState, spec: ChartSpec, series: SeriesSpec): string | null {
  const values = column(state, series);
  const found = values === undefined ? null : peak(state.frame, values, series.kind, state.range);
  return found === null ? null : formatter(spec.unit)(found.value);
}

/** The chart in a sentence, for those who cannot see it. */
function sentence(state: ChartState, spec: ChartSpec): string {
  const parts = spec.series
    .map((series) => ({ label: series.label, top: highest(state, spec, series) }))
    .filter((entry) => entry.top !== null)
    .map((entry) => `${entry.label} at most ${entry.top}`);
  const range = `${instantLabel(state.range.from, state.clock, state.start)} to ${instantLabel(state.range.to, state.clock, state.start)}`;
  const gaps = state.frame.gaps.filter((gap) => gap.to > state.range.from && gap.from < state.range.to).length;
  return `${spec.title}, ${range}: ${parts.length > 0 ? parts.join(", ") : "no samples in this range"}.${gaps > 0 ? ` ${gaps} ${gaps === 1 ? "gap" : "gaps"} without samples.` : ""} Press t for the table.`;
}

function Swatch({ style }: { style: number }) {
  return (
    <svg class={`swatch line-${style}`} width="22" height="10" aria-hidden="true">
      <line x1="0" y1="5" x2="22" y2="5" stroke-dasharray={(DASHES[style - 1] ?? []).join(" ")} />
    </svg>
  );
}

function chartHeight(spec: ChartSpec, width: number): number {
  const tall = spec.capacity !== undefined;
  return width < 560 ? (tall ? 160 : 130) : tall ? 196 : 152;
}

export function ChartPanel({ spec, state, width, cursor, placed, toggle, events }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<ChartView | null>(null);
  const time = useRef<HTMLSpanElement>(null);
  const values = useRef(new Map<string, HTMLElement>());
  const latest = useRef({ state, placed, events });
  latest.current = { state, placed, events };
  const height = chartHeight(spec, width);
  const any = spec.series.some((series) => measured(column(state, series)));

  const read = (at: number | null): void => {
    const now = latest.current;
    const inside = at !== null && at >= now.state.range.from && at <= now.state.range.to;
    if (time.current !== null) {
      const during = inside ? sectionAt(now.placed, at) : null;
      time.current.textContent = inside
        ? `${instantLabel(at, now.state.clock, now.state.start)}${during === null ? "" : ` · ${during.label}`}`
        : "";
    }
    for (const series of spec.series) {
      const place = values.current.get(series.metric);
      if (place === undefined) continue;
      const top = inside ? null : highest(now.state, spec, series);
      place.textContent = inside ? readout(now.state.frame, spec, series, at) : top === null ? "" : `max ${top}`;
    }
  };

  useLayoutEffect(() => {
    const element = host.current;
    if (element === null) return undefined;
    const view = new ChartView(element, spec, { width, height }, latest.current.state, {
      cursor: (at) => cursor.move(at, view),
      select: (range) => latest.current.events.select(range),
      reset: () => latest.current.events.reset(),
    });
    chart.current = view;
    const stop = cursor.listen((at, origin) => {
      if (origin !== view) view.point(at);
      read(at);
    });
    return () => {
      stop();
      chart.current = null;
      view.destroy();
    };
  }, [spec, any]);
  useLayoutEffect(() => chart.current?.resize(width, height), [width, height]);
  // At once, not after the next frame: paper is printed before there is one.
  useLayoutEffect(() => {
    chart.current?.update(state);
    chart.current?.point(cursor.at);
    read(cursor.at);
  }, [state.frame, state.range.from, state.range.to, state.clock, state.start, state.capacity, state.toCapacity, state.palette, state.hidden, state.marks.section?.from, state.marks.section?.to, any]);

  return (
    <section class="chart" id={`chart-${spec.id}`} aria-labelledby={`title-${spec.id}`}>
      <div class="chart-head">
        <h2 id={`title-${spec.id}`}>
          {spec.title}
          {spec.unit === "cores" && <span class="unit"> cores</span>}
        </h2>
        {any && (
          <ul class="legend">
            {spec.series.map((series) => {
              const key = `${spec.id}.${series.metric}`;
              const has = measured(column(state, series));
              return (
                <li key={series.metric} class={has ? undefined : "none"}>
                  <button type="button" aria-pressed={has && !state.hidden.has(key)} disabled={!has} title={has ? "Show or hide this line" : "Not measured on this machine"} onClick={() => toggle(key)}>
                    <Swatch style={series.style} />
                    {series.label}
                  </button>
                  {has ? (
                    <span
                      class="value" data-metric={series.metric}
                      ref={(element) => {
                        if (element === null) values.current.delete(series.metric);
                        else values.current.set(series.metric, element);
                      }}
                    />
                  ) : (
                    <span class="value">not measured</span>
                  )}
                </li>
              );
            })}
          </ul>
        )}
        <span class="at foreign" ref={time} />
      </div>
      {any ? (
        <div class="plot" role="img" aria-label={sentence(state, spec)} ref={host} />
      ) : (
        <p class="unmeasured">{spec.title} was not measured on this machine.</p>
      )}
    </section>
  );
}
