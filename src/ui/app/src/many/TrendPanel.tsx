// How a number of jobs moved over time: lines with bands, the number of jobs under them, a legend that is also a table of
// what changed, and the same numbers as a table.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { count, DASH, percent } from "../format";
import { DASHES, type Palette } from "../palette";
import { follow, go } from "../router";
import type { Cell, Range } from "../types";
import { useWidth } from "../width";
import type { Trend } from "./answers";
import type { Answer } from "./ask";
import { bucketLabel } from "./calendar";
import { WIDTHS } from "./filters";
import { Name, Panel, Select } from "./Panel";
import { makePlot, type Plot, type PlotState } from "./plot";
import type { Table } from "./save";
import { buildChart, latest, nearest, topOf, type Chart, type Line } from "./trend";
import { axisFormat, axisSteps, compact, unitFormat } from "./units";
import { exports, findMetric, GROUPINGS, jobsUrl, METRICS, STATS, type View } from "./view";

/** Beside the chart there is room for its legend from here on. */
const WIDE = 900;
const LEGEND = 400;
const STRIP = 58;

export interface TrendMoves {
  /** Moves the crosshair by buckets; Infinity and -Infinity go to the ends. */
  walk(step: number): void;
  /** Puts the next or previous line in front. */
  turn(step: number): void;
  /** The jobs at the crosshair. */
  open(): void;
  clear(): void;
}

interface Props {
  view: View;
  set: (change: Partial<View>) => void;
  range: Range;
  width: number;
  answer: Answer<Trend>;
  palette: Palette;
  utc: boolean;
  table: boolean;
  setTable: (table: boolean) => void;
  moves: { current: TrendMoves | null };
  say: (text: string) => void;
}

/** Signed share, with a true minus; what is below half a percent did not move. */
export function changeWords(change: Cell): string {
  if (change === null) return DASH;
  if (Math.abs(change) < 0.005) return "±0 %";
  const size = Math.abs(change);
  return `${change > 0 ? "+" : "−"}${size >= 9.995 ? `${compact(size * 100)} %` : percent(size).replace(/^[<>]/, "")}`;
}

function Swatch({ style }: { style: number }) {
  return (
    <svg class={`swatch line-${style}`} width="22" height="10" aria-hidden="true">
      <line x1="0" y1="5" x2="22" y2="5" stroke-dasharray={(DASHES[style - 1] ?? []).join(" ")} />
    </svg>
  );
}

function bucketJobs(chart: Chart, line: Line | null, slot: number, view: View): string | null {
  const from = chart.starts[slot];
  const filters = line === null ? {} : line.series.filters;
  return from === undefined || filters === null ? null : jobsUrl({ ...view.filters, ...filters }, { from, to: from + chart.bucket });
}

function Legend({ chart, view, unit, at, utc, front, setFront, adds }: {
  chart: Chart; view: View; unit: string; at: number | null; utc: boolean; front: Line | null; setFront: (style: number | null) => void; adds: boolean;
}) {
  const format = unitFormat(unit);
  const stat = STATS.find((one) => one.name === view.stat)?.name ?? "";
  const from = at === null ? undefined : chart.starts[at];
  return (
    <table class="lines">
      <caption class={at === null ? undefined : "now"}>{from === undefined ? "Last whole bucket, and change from the first third of this time to the last" : bucketLabel(from, chart.bucket, utc)}</caption>
      <thead>
        <tr>
          <th scope="col">{GROUPINGS.find((one) => one.name === view.by)?.label ?? ""}</th>
          <th scope="col">{adds ? "per bucket" : stat}</th>
          <th scope="col">{at === null ? "Change" : adds ? "" : "p50"}</th>
          <th scope="col">Jobs</th>
        </tr>
      </thead>
      <tbody>
        {chart.lines.map((line) => {
          const { key, filters } = line.series;
          const href = filters === null ? null : at === null ? jobsUrl({ ...view.filters, ...filters }, view.span) : bucketJobs(chart, line, at, view);
          const jobs = at === null ? line.total : (line.jobs[at] ?? 0);
          return (
            <tr key={line.style} class={front === line ? "chosen" : undefined}>
              <th scope="row">
                <button type="button" class="line-name" aria-pressed={front === line} title="Put this line in front, with its band" onClick={() => setFront(front === line ? null : line.style)}>
                  <Swatch style={line.style} /><span class="foreign"><Name text={key === "all" && view.by === "none" ? "All jobs" : key} /></span>
                </button>
              </th>
              <td>{format(at === null ? latest(chart, line) : (line.values[at] ?? null))}</td>
              <td>{at === null ? changeWords(line.change) : adds ? "" : format(line.lows[at] ?? null)}</td>
              <td>{href === null || jobs === 0 ? compact(jobs) : <a href={href} onClick={follow} title="See these jobs">{compact(jobs)}</a>}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function NumberTable({ chart, view, unit, utc }: { chart: Chart; view: View; unit: string; utc: boolean }) {
  const format = unitFormat(unit);
  return (
    <div class="scroll sample-table" role="region" aria-label="Numbers of the trend" tabIndex={0} data-own-keys>
      <table>
        <caption>{chart.starts.length} buckets, newest first. {DASH} means that nothing is known; coverage is the share of the jobs' time that samples cover.</caption>
        <thead>
          <tr>
            <th scope="col">Time</th>
            {chart.lines.map((line) => <th key={line.style} scope="col" class="foreign">{line.series.key}</th>)}
            <th scope="col">Jobs</th>
            <th scope="col">Coverage</th>
          </tr>
        </thead>
        <tbody>
          {chart.starts.map((from, slot) => {
            const href = bucketJobs(chart, null, slot, view);
            const jobs = chart.jobs[slot] ?? 0;
            return (
              <tr key={from}>
                <th scope="row">{bucketLabel(from, chart.bucket, utc)}{chart.open && slot === chart.starts.length - 1 ? ", so far" : ""}</th>
                {chart.lines.map((line) => <td key={line.style}>{format(line.values[slot] ?? null)}</td>)}
                <td>{jobs > 0 && href !== null ? <a href={href} onClick={follow}>{count(jobs)}</a> : count(jobs)}</td>
                <td>{percent(chart.coverage[slot] ?? null)}</td>
              </tr>
            );
          }).reverse()}
        </tbody>
      </table>
    </div>
  );
}

function csvTable(chart: Chart, stat: string): Table {
  return [
    ["from", "group", stat, "p50", "p95", "jobs"],
    ...chart.lines.flatMap((line) => chart.starts.map((from, slot) =>
      [new Date(from).toISOString(), line.series.key, line.values[slot] ?? null, line.lows[slot] ?? null, line.highs[slot] ?? null, line.jobs[slot] ?? 0])),
  ];
}

/** The chart in a sentence, for those who cannot see it. */
function sentence(chart: Chart, title: string, unit: string): string {
  const format = unitFormat(unit);
  const parts = chart.lines.map((line) => `${line.series.key} ${format(latest(chart, line))}${line.change === null ? "" : `, ${changeWords(line.change)}`}`);
  return `${title}. ${parts.join("; ")}. Press t for the table.`;
}

function Notes({ chart, trend, view, band }: { chart: Chart; trend: Trend; view: View; band: Line | null }) {
  const notes = [
    band === null || chart.lines.length === 1 ? null : `Band: p50 to p95 of ${band.series.key}; choose another line for its band.`,
    chart.thin > 0 ? `Hatched: in ${count(chart.thin)} of ${count(chart.starts.length)} buckets samples cover less than 90 % of the jobs' time. Their numbers are of what was measured.` : null,
    chart.open ? "The last bucket is still filling." : null,
    trend.truncated ? `The ${chart.lines.length} groups with the most jobs are shown; there are more. Filter by ${GROUPINGS.find((one) => one.name === view.by)?.label ?? "something"} to see others.` : null,
    chart.bucket >= 86_400_000 ? "Days are days of UTC." : null,
    band === null ? null : "Click a point for its jobs; drag to zoom.",
  ].filter((note) => note !== null);
  return notes.length === 0 ? null : <p class="small notes">{notes.join(" ")}</p>;
}

function Drawn({ trend, ...props }: Props & { trend: Trend }) {
  const { view, set, range, width: bucket, palette, utc, table, moves, say } = props;
  const metric = findMetric(view.metric);
  const adds = metric.adds !== null;
  const chart = useMemo(() => buildChart(trend, range, bucket, adds, Date.now()), [trend]);
  const [host, full] = useWidth();
  const main = useRef<HTMLDivElement>(null);
  const strip = useRef<HTMLDivElement>(null);
  const plots = useRef<Plot[]>([]);
  const [at, setAt] = useState<number | null>(null);
  const [frontStyle, setFront] = useState<number | null>(null);
  const front = chart.lines.find((line) => line.style === frontStyle) ?? null;
  // The band of one line at a time: several would hide each other.
  const band = adds ? null : (front ?? chart.lines[0] ?? null);
  const wide = full >= WIDE;
  const width = wide ? full - LEGEND : full;
  const height = wide ? 300 : full < 560 ? 200 : 240;

  useEffect(() => {
    setAt(null);
    setFront(null);
  }, [chart]);
  const slotOf = (time: number): number | null => {
    const slot = Math.floor((time - (chart.starts[0] ?? 0)) / chart.bucket);
    return slot >= 0 && slot < chart.starts.length ? slot : null;
  };
  const openAt = (slot: number | null, line: Line | null): void => {
    const href = slot === null ? null : bucketJobs(chart, line, slot, view);
    if (href === null) return;
    go(href);
    scrollTo(0, 0);
  };

  useLayoutEffect(() => {
    if (table || width <= 0 || main.current === null || strip.current === null) return undefined;
    const banded = (line: Line): boolean => line === band;
    const last = chart.starts[chart.starts.length - 1] ?? range.to;
    const common: Omit<PlotState, "layers" | "top" | "format" | "steps" | "labelled"> = {
      starts: chart.starts, bucket: chart.bucket, range: { from: chart.starts[0] ?? range.from, to: last + chart.bucket }, palette, utc, unsure: chart.unsure,
    };
    const ordered = [...chart.lines].sort((a, b) => Number(a === front) - Number(b === front));
    const events = (which: number) => ({
      cursor: (time: number | null) => {
        setAt(time === null ? null : slotOf(time));
        plots.current.forEach((plot, index) => index !== which && plot.point(time));
      },
      select: (picked: Range) => set({ span: { from: Math.floor(picked.from / 60_000) * 60_000, to: Math.ceil(picked.to / 60_000) * 60_000 } }),
      click: (time: number, value: number) => {
        const slot = slotOf(time);
        openAt(slot, which === 1 || slot === null ? null : nearest(chart, slot, value, () => true));
      },
    });
    plots.current = [
      makePlot(main.current, width, height, {
        ...common, labelled: true, top: topOf(chart, () => true, banded), format: axisFormat(trend.unit), steps: axisSteps(trend.unit),
        layers: [
          ...ordered.filter(banded).map((line) => ({ kind: "band" as const, style: line.style, values: line.highs, lows: line.lows, faint: false })),
          ...ordered.map((line) => ({ kind: "line" as const, style: line.style, values: line.values, faint: front !== null && front !== line })),
        ],
      }, events(0)),
      makePlot(strip.current, width, STRIP, {
        ...common, labelled: false, unsure: [], top: Math.max(1, ...(front?.jobs ?? chart.jobs)) * 1.06, format: compact, steps: [],
        layers: [{ kind: "bar", style: front?.style ?? 7, values: front?.jobs ?? chart.jobs, faint: false }],
      }, events(1)),
    ];
    return () => {
      for (const plot of plots.current) plot.destroy();
      plots.current = [];
    };
  }, [chart, width, height, palette, utc, table, front, band]);

  const point = (slot: number | null, line: Line | null): void => {
    setAt(slot);
    const from = slot === null ? undefined : chart.starts[slot];
    for (const plot of plots.current) plot.point(from === undefined ? null : from + chart.bucket / 2);
    if (slot === null || from === undefined) return;
    const format = unitFormat(trend.unit);
    const told = line === null ? chart.lines : [line];
    say(`${bucketLabel(from, chart.bucket, utc)}. ${told.map((one) => `${one.series.key} ${format(one.values[slot] ?? null)}`).join(", ")}. ${count((line?.jobs ?? chart.jobs)[slot] ?? 0)} jobs.`);
  };
  moves.current = {
    walk: (step) => {
      const end = chart.starts.length - 1;
      point(Math.min(Math.max(at === null ? (step > 0 && Number.isFinite(step) ? 0 : end) : at + step, 0), end), front);
    },
    turn: (step) => {
      const styles = [null, ...chart.lines.map((line) => line.style)];
      const next = styles[(styles.indexOf(frontStyle) + step + styles.length) % styles.length] ?? null;
      setFront(next);
      say(`${chart.lines.find((line) => line.style === next)?.series.key ?? "All lines"} in front`);
    },
    open: () => openAt(at, front),
    clear: () => {
      point(null, null);
      setFront(null);
    },
  };
  useEffect(() => () => {
    moves.current = null;
  }, []);

  const title = `${metric.label}${adds ? "" : `, ${view.stat}`}`;
  return (
    <div class="stage" ref={host}>
      {table ? <NumberTable chart={chart} view={view} unit={trend.unit} utc={utc} /> : (
        <div class={wide ? "trend wide" : "trend"}>
          <div class="plots" role="img" aria-label={sentence(chart, title, trend.unit)}>
            <div class="plot" ref={main} />
            <p class="strip-title small">Jobs {front === null ? (trend.truncated ? "of these groups" : "") : `of ${front.series.key}`}</p>
            <div class="plot strip" ref={strip} />
          </div>
          <Legend chart={chart} view={view} unit={trend.unit} at={at} utc={utc} front={front} setFront={setFront} adds={adds} />
        </div>
      )}
      <Notes chart={chart} trend={trend} view={view} band={table ? null : band} />
    </div>
  );
}

export function TrendPanel(props: Props) {
  const { view, set, range, answer, table, setTable } = props;
  const metric = findMetric(view.metric);
  const widths = [{ name: "auto", label: "auto" }, ...WIDTHS];
  return (
    <Panel
      id="trend" title="Trend" answer={answer} tall={380}
      choices={
        <>
          <Select label="Metric" value={view.metric} options={METRICS} set={(name) => set({ metric: name })} />
          {metric.adds === null && <Select label="Statistic" value={view.stat} options={STATS} set={(stat) => set({ stat })} />}
          <Select label="by" value={view.by} options={GROUPINGS} set={(by) => set({ by })} />
          <Select label="per" value={view.bucket} options={widths} set={(bucket) => set({ bucket })} />
        </>
      }
      buttons={<button type="button" aria-pressed={table} title="The same numbers as a table (t)" onClick={() => setTable(!table)}>Table</button>}
      files={{
        name: `trend-${view.metric}`, sql: (trend) => trend.sql,
        table: () => (answer.value === null ? [] : csvTable(buildChart(answer.value, range, props.width, metric.adds !== null, Date.now()), metric.adds ?? view.stat)),
        rows: exports(view.filters, range),
      }}
    >
      {(trend) => <Drawn {...props} trend={trend} />}
    </Panel>
  );
}
