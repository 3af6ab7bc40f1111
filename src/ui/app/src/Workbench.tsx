// The graphs and everything that steers them: toolbar, section lanes, charts or sample table, keyboard, live region.
import { useMemo, useState } from "preact/hooks";
import { ChartPanel } from "./ChartPanel";
import { announce, Cursor } from "./cursor";
import { killRanges } from "./facts";
import { bytes, count } from "./format";
import { lowerBound, sparse, type Frame } from "./frame";
import { useShortcuts } from "./Help";
import { SHORTCUTS, type Action } from "./keys";
import { Lanes } from "./Lanes";
import { useDetail } from "./load";
import { recall, remember } from "./memory";
import { CHARTS } from "./metrics";
import { usePalette } from "./palette";
import { WHOLE, type View } from "./route";
import { SampleTable } from "./SampleTable";
import { findSection, fit, neighbour, sectionKey, sectionRange, zoom, type Placed } from "./sections";
import { useReady } from "./StatePanel";
import type { Clock } from "./ticks";
import { Toolbar } from "./Toolbar";
import type { Job, Range } from "./types";
import { useWidth } from "./width";

const CLOCKS: readonly Clock[] = ["job", "local", "utc"];
const CLOCK_KEY = "tachograph.clock";
const MOUSE = [["drag", "zoom all graphs to a time"], ["double-click", "show the whole job"]] as const;

interface Props {
  job: Job;
  frame: Frame;
  placed: readonly Placed[];
  window: Range;
  view: View;
  setView: (view: View) => void;
}

/** Two samples, or a second: below that there is nothing more to see. */
export function smallestRange(job: Job, frame: Frame): number {
  const first = frame.ts[0];
  const last = frame.ts[frame.ts.length - 1];
  const mean = first !== undefined && last !== undefined && frame.ts.length > 1 ? (last - first) / (frame.ts.length - 1) : 1000;
  return Math.max(1000, 2 * (job.scrapeMs ?? mean));
}

export function shownRange(view: View, section: Placed | null, window: Range, smallest: number): Range {
  if (view.range !== null && view.range.to > window.from && view.range.from < window.to) return fit(view.range, window, Math.min(smallest, 1000));
  return section === null ? window : sectionRange(section, window, smallest);
}

export function Workbench({ job, frame: overview, placed, window, view, setView }: Props) {
  const cursor = useMemo(() => new Cursor(), []);
  const [clock, setClock] = useState<Clock>(() => CLOCKS.find((kind) => kind === recall(CLOCK_KEY)) ?? "job");
  const [toCapacity, setToCapacity] = useState(true);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set<string>());
  const [table, setTable] = useState(false);
  const [said, say] = useState("");
  const palette = usePalette();
  const [host, width] = useWidth();

  const smallest = smallestRange(job, overview);
  const section = findSection(placed, view.section);
  const range = shownRange(view, section, window, smallest);
  const frame = useDetail(job, overview, range, window);
  const zoomed = range.from > window.from || range.to < window.to;
  const ooms = useMemo(() => killRanges(frame), [frame]);

  useReady(width > 0);

  const setRange = (next: Range | null, keep: boolean): void =>
    setView(keep && view.section !== null ? { ...view, range: next } : { ...WHOLE, range: next });
  const goSection = (next: Placed): void =>
    setView({ section: sectionKey(next), range: sectionRange(next, window, smallest) });
  const reset = (): void => setView(WHOLE);
  const zoomBy = (factor: number): void => {
    const middle = cursor.at !== null && cursor.at >= range.from && cursor.at <= range.to ? cursor.at : (range.from + range.to) / 2;
    const next = zoom(range, factor, middle, window, smallest);
    if (next === null) setRange(null, false);
    else setRange(next, true);
  };
  const setClockTo = (next: Clock): void => {
    remember(CLOCK_KEY, next);
    setClock(next);
  };
  const walk = (step: number): void => {
    const { ts } = frame;
    if (ts.length === 0) return;
    const at = cursor.at;
    let row: number;
    if (at === null) row = step > 0 ? lowerBound(ts, range.from) : lowerBound(ts, range.to + 1) - 1;
    else row = step > 0 ? lowerBound(ts, at + 1) + step - 1 : lowerBound(ts, at) + step;
    jump(Math.min(Math.max(row, 0), ts.length - 1));
  };
  const jump = (row: number): void => {
    const first = lowerBound(frame.ts, range.from);
    const last = lowerBound(frame.ts, range.to + 1) - 1;
    const at = frame.ts[Math.min(Math.max(row, first), Math.max(first, last))];
    if (at === undefined || at > range.to) return;
    cursor.move(at);
    say(announce(frame, placed, at, clock, window.from));
  };
  const sectionStep = (step: 1 | -1): void => {
    const next = neighbour(placed, section, cursor.at ?? range.from, step);
    if (next === null) return;
    goSection(next);
    say(`Section ${next.label}`);
  };
  const actions: Record<Exclude<Action, "help">, () => void> = {
    download: () => document.getElementById("downloads")?.togglePopover(),
    table: () => setTable((shown) => !shown),
    zoomIn: () => zoomBy(0.5),
    zoomOut: () => zoomBy(2),
    reset,
    nextSection: () => sectionStep(1),
    previousSection: () => sectionStep(-1),
    right: () => walk(1),
    left: () => walk(-1),
    farRight: () => walk(10),
    farLeft: () => walk(-10),
    first: () => jump(0),
    last: () => jump(frame.ts.length - 1),
    clock: () => setClockTo(CLOCKS[(CLOCKS.indexOf(clock) + 1) % CLOCKS.length] ?? "job"),
    scale: () => setToCapacity((on) => !on),
    clear: () => cursor.move(null),
  };
  const [act, help] = useShortcuts(SHORTCUTS, MOUSE, actions);

  const { cpuCount, memoryTotal } = job.machine;
  const capacities = {
    cpu: cpuCount === null ? null : { value: cpuCount, label: `${count(cpuCount)} ${cpuCount === 1 ? "core" : "cores"}` },
    memory: memoryTotal === null ? null : { value: memoryTotal, label: bytes(memoryTotal) },
  };
  const toggle = (key: string): void => {
    const next = new Set(hidden);
    if (!next.delete(key)) next.add(key);
    setHidden(next);
  };

  return (
    <section class="bench" aria-label="Resource usage over time">
      <Toolbar
        job={job} range={range} window={window} zoomed={zoomed} thinned={sparse(frame, range)} section={section} clock={clock} setClock={setClockTo}
        toCapacity={toCapacity} table={table} act={act}
      />
      <div ref={host} class="stage">
        {placed.length > 0 && width > 0 && (
          <Lanes placed={placed} range={range} window={window} width={width} chosen={section} choose={goSection} cursor={cursor} />
        )}
        {table ? (
          <SampleTable frame={frame} range={range} clock={clock} start={window.from} />
        ) : (
          width > 0 && CHARTS.map((spec) => {
            const capacity = spec.capacity === undefined ? null : capacities[spec.capacity];
            return (
              <ChartPanel
                key={spec.id} spec={spec} width={width} cursor={cursor} placed={placed} toggle={toggle}
                state={{
                  frame, range, start: window.from, clock, toCapacity, palette, hidden,
                  capacity: capacity?.value ?? null,
                  marks: { gaps: frame.gaps, section: section === null ? null : { from: section.start, to: section.end }, capacity, kills: spec.id === "memory" ? ooms : [] },
                }}
                events={{
                  select: (picked) => setRange(fit(picked, window, smallest), true),
                  reset,
                }}
              />
            );
          })
        )}
      </div>
      <p class="unseen" aria-live="polite" id="announcer">{said}</p>
      {help}
    </section>
  );
}

