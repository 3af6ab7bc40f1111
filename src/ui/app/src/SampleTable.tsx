// The table alternative to the graphs: every sample of the shown range, as the service gave it, holes included.
import { useState } from "preact/hooks";
import { DASH, duration } from "./format";
import { lowerBound, measured, sparse, type Frame } from "./frame";
import { axisFormatter, CHARTS, OOM, type Unit } from "./metrics";
import { instantLabel, type Clock } from "./ticks";
import type { Range } from "./types";

const PAGE = 200;

interface Column {
  metric: string;
  label: string;
  unit: Unit;
}

const COLUMNS: readonly Column[] = [
  ...CHARTS.flatMap((chart) => chart.series.map((series) => ({ metric: series.metric, label: `${chart.title} ${series.label}`, unit: chart.unit }))),
  { metric: OOM, label: "OOM kills", unit: "count" as const },
];

export function SampleTable({ frame, range, clock, start }: { frame: Frame; range: Range; clock: Clock; start: number }) {
  const [most, setMost] = useState(PAGE);
  const { profile } = frame;
  const columns = COLUMNS.filter((column) => measured(profile.metrics.get(column.metric)));
  const first = lowerBound(profile.ts, range.from);
  let end = lowerBound(profile.ts, range.to + 1);
  // The sample after the range still covers a part of it.
  if (end < profile.ts.length && (profile.ts[end] ?? 0) - (profile.interval[end] ?? 0) < range.to) end += 1;
  const rows = Array.from({ length: Math.max(0, Math.min(end - first, most)) }, (_, index) => first + index);
  return (
    <div class="scroll sample-table" role="region" aria-label="Samples" tabIndex={0} data-own-keys>
      <table>
        <caption>
          {end - first} samples in the shown range{sparse(frame, range) ? ", those with the smallest and largest values only: zoom in, or download, for all" : ""}. A rate is the mean over the time its sample covers; {DASH} means not measured.
        </caption>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Covers</th>
            {columns.map((column) => <th key={column.metric} scope="col">{column.label}</th>)}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const at = profile.ts[row] ?? 0;
            const covers = profile.interval[row] ?? null;
            const before = profile.ts[row - 1];
            const gap = row > first && before !== undefined && frame.gaps.some((one) => one.from < at && one.to > before);
            return [
              gap && (
                <tr key={`gap-${row}`} class="gap">
                  <th scope="row">{instantLabel(before ?? at, clock, start)}</th>
                  <td colSpan={columns.length + 1}>no samples for {duration(at - (before ?? at))}</td>
                </tr>
              ),
              <tr key={row}>
                <th scope="row">{instantLabel(at, clock, start)}</th>
                <td>{duration(covers)}</td>
                {columns.map((column) => <td key={column.metric}>{axisFormatter(column.unit)(profile.metrics.get(column.metric)?.[row] ?? null)}</td>)}
              </tr>,
            ];
          })}
        </tbody>
      </table>
      {end - first > most && (
        <button type="button" onClick={() => setMost(most + 1000)}>Show more ({end - first - most} left)</button>
      )}
    </div>
  );
}
