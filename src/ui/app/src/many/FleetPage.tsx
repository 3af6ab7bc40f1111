// The page of the fleet: what all jobs used, how that moved, who uses and who wastes, and which hours are tight. It asks
// four questions at once; everything that steers them is in the address.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get } from "../api";
import { useShortcuts } from "../Help";
import type { Shortcut } from "../keys";
import { recall, remember } from "../memory";
import { usePalette } from "../palette";
import { readList } from "../parse";
import { follow, go, useAddress } from "../router";
import { StatePanel, useReady } from "../StatePanel";
import type { Range } from "../types";
import { askHeat, askTop, askTrend } from "./answers";
import { useAnswer } from "./ask";
import { ahead as aheadOf, dayLabel, rangeLabel } from "./calendar";
import { facts, type Fact } from "./facts";
import { FilterBar } from "./FilterBar";
import { DAY, OFFERED, rangeOf, SPANS } from "./filters";
import { HeatPanel } from "./HeatPanel";
import { Name } from "./Panel";
import { TopPanel } from "./TopPanel";
import { buildChart } from "./trend";
import { TrendPanel, type TrendMoves } from "./TrendPanel";
import { findMetric, HEATS, jobsUrl, questions, readView, USES, USUAL_SPAN, viewSearch, type View } from "./view";

const CLOCK_KEY = "tachograph.clock";

const SHORTEST = 10 * 60_000;

type Action =
  | "right" | "left" | "farRight" | "farLeft" | "first" | "last" | "nextLine" | "lineBefore" | "open" | "zoomIn" | "zoomOut" | "earlier" | "later" | "reset"
  | "filter" | "table" | "clock" | "download" | "clear" | "help";

export const FLEET_SHORTCUTS: readonly Shortcut<Action>[] = [
  { action: "right", keys: ["ArrowRight"], shown: "→", does: "next time in the trend" },
  { action: "left", keys: ["ArrowLeft"], shown: "←", does: "previous time in the trend" },
  { action: "farRight", keys: ["ArrowRight"], shown: "Shift →", does: "ten further", shift: true },
  { action: "farLeft", keys: ["ArrowLeft"], shown: "Shift ←", does: "ten back", shift: true },
  { action: "first", keys: ["Home"], shown: "Shift Home", does: "first time", shift: true },
  { action: "last", keys: ["End"], shown: "Shift End", does: "last time", shift: true },
  { action: "nextLine", keys: ["]"], shown: "]", does: "next line in front" },
  { action: "lineBefore", keys: ["["], shown: "[", does: "previous line in front" },
  { action: "open", keys: ["o"], shown: "o", does: "see the jobs at the crosshair" },
  { action: "zoomIn", keys: ["+", "="], shown: "+", does: "half of the time" },
  { action: "zoomOut", keys: ["-", "_"], shown: "-", does: "twice the time" },
  { action: "earlier", keys: ["p"], shown: "p", does: "the time before" },
  { action: "later", keys: ["n"], shown: "n", does: "the time after" },
  { action: "reset", keys: ["0"], shown: "0", does: "the last 30 days" },
  { action: "filter", keys: ["f", "/"], shown: "f", does: "add a filter" },
  { action: "table", keys: ["t"], shown: "t", does: "graphics or tables" },
  { action: "clock", keys: ["c"], shown: "c", does: "local time or UTC" },
  { action: "download", keys: ["d"], shown: "d", does: "downloads, SQL" },
  { action: "clear", keys: ["Escape"], shown: "Esc", does: "put the crosshair away" },
  { action: "help", keys: ["?"], shown: "?", does: "this help" },
];
const MOUSE = [["click", "the jobs behind a point, a bar or an hour"], ["drag", "zoom the trend to a time"]] as const;

/** The clock that the job page remembers too; job time means nothing here. */
export function useClock(): [boolean, (utc: boolean) => void] {
  const [utc, setUtc] = useState(recall(CLOCK_KEY) === "utc");
  return [utc, (on) => {
    remember(CLOCK_KEY, on ? "utc" : "local");
    setUtc(on);
  }];
}

export function ClockSwitch({ utc, set }: { utc: boolean; set: (utc: boolean) => void }) {
  return (
    <span class="group" role="group" aria-label="Clock">
      <button type="button" aria-pressed={!utc} title="Wall clock of this browser (c)" onClick={() => set(false)}>Local</button>
      <button type="button" aria-pressed={utc} title="Wall clock, UTC (c)" onClick={() => set(true)}>UTC</button>
    </span>
  );
}

function Facts({ all }: { all: readonly Fact[] }) {
  return (
    <section class="answers" id="facts" aria-label="In short">
      {all.map((fact) => (
        <div key={fact.question}>
          <h2>{fact.question}</h2>
          <p class="head foreign"><Name text={fact.head} /></p>
          {fact.share !== null && <span class="bar" aria-hidden="true"><i style={{ width: `${Math.round(fact.share * 100)}%` }} /></span>}
          {fact.sentences.map((sentence) => <p key={sentence} class="foreign"><Name text={sentence} /></p>)}
        </div>
      ))}
    </section>
  );
}

async function newest(question: string, signal: AbortSignal): Promise<number | null> {
  const list = readList(await get(question, signal));
  return list.jobs[0]?.end ?? list.jobs[0]?.start ?? null;
}

/** Nothing to draw: says why, and leads to where there is something. */
function Nothing({ view, range, utc, set }: { view: View; range: Range; utc: boolean; set: (change: Partial<View>) => void }) {
  const last = useAnswer("/api/v1/jobs?state=archived&limit=1", newest);
  const filtered = Object.keys(view.filters).length > 0;
  const at = last.value;
  const elsewhere = at !== null && (at < range.from || at >= range.to);
  return (
    <StatePanel
      title={filtered ? "No job fits" : "No job ended in this time"}
      text={`${filtered ? "No archived job with all of these filters ended" : "No archived job ended"} from ${rangeLabel(range, utc)}.${elsewhere ? ` The newest one of the archive ended on ${dayLabel(at, true)}.` : ""}`}
      todo={filtered ? "Remove a filter, or choose a longer time." : at === null ? "Jobs appear here when they are archived, about a minute after their end. The job list shows those that are on their way." : "Choose another time."}
      actions={
        <>
          {filtered && <button type="button" onClick={() => set({ filters: {} })}>Remove all filters</button>}
          {elsewhere && <button type="button" onClick={() => set({ span: { from: at + 1 - 30 * DAY, to: at + 1 } })}>Show the 30 days up to then</button>}
          <a href="/" onClick={follow}>See the newest jobs</a>
        </>
      }
    />
  );
}

/** A time of another length around the same middle, not behind now. */
export function stretched(range: Range, factor: number, middle: number, now: number): Range {
  const length = Math.max(SHORTEST, (range.to - range.from) * factor);
  const to = Math.min(now, Math.round(middle + length / 2));
  return { from: Math.round(to - length), to };
}

export function FleetPage() {
  const view = useAddress(() => readView(location.search));
  const set = (change: Partial<View>): void => {
    const search = viewSearch(location.search, { ...view, ...change });
    if (search !== location.search) go(`${location.pathname}${search}`);
  };
  const palette = usePalette();
  const [utc, setUtc] = useClock();
  const [table, setTable] = useState(false);
  const [numbers, setNumbers] = useState(false);
  const [said, say] = useState("");
  const moves = useRef<TrendMoves | null>(null);
  const span = typeof view.span === "string" ? view.span : `${view.span.from} ${view.span.to}`;
  // "Now" is when the time was chosen: whatever else changes, the four answers go on speaking of the same time.
  const range = useMemo(() => rangeOf(view.span, Date.now()), [span]);
  const ahead = aheadOf(range.to, utc) / 60_000;
  const asked = questions(view, range, ahead);
  const trend = useAnswer(asked.trend, askTrend);
  const held = useAnswer(asked.held, askTop);
  const wasted = useAnswer(asked.wasted, askTop);
  const heat = useAnswer(asked.heat, askHeat);
  const answers = [trend, held, wasted, heat];
  const metric = findMetric(view.metric);
  const adds = metric.adds !== null;
  const known = useMemo(() => facts({
    held: held.value, wasted: wasted.value, heat: heat.value, trend: trend.value,
    chart: trend.value === null ? null : buildChart(trend.value, range, asked.width, adds, Date.now()),
    heatSentence: HEATS.find((one) => one.name === view.hours)?.sentence ?? "", useWords: USES.find((one) => one.name === view.use)?.words ?? "",
    metric: metric.label, stat: adds ? "" : view.stat,
  }), answers.map((one) => one.value));
  const settled = answers.every((one) => !one.busy);
  const empty = settled && answers.every((one) => one.problem === null) && trend.value?.series.every((one) => one.points.length === 0) === true
    && heat.value?.cells.every((cell) => cell.jobs === 0) === true;

  useEffect(() => {
    document.title = "Fleet · Tachograph";
  }, []);
  useReady(settled);

  const shift = (by: number): void => {
    const length = range.to - range.from;
    const to = Math.min(Date.now(), range.to + by * length);
    if (to - length !== range.from) set({ span: { from: to - length, to } });
  };
  const stretch = (factor: number): void => set({ span: stretched(range, factor, (range.from + range.to) / 2, Date.now()) });
  const tables = (): void => {
    setTable(!table);
    setNumbers(!table);
  };
  const [act, help] = useShortcuts<Exclude<Action, "help">>(FLEET_SHORTCUTS, MOUSE, {
    right: () => moves.current?.walk(1), left: () => moves.current?.walk(-1), farRight: () => moves.current?.walk(10), farLeft: () => moves.current?.walk(-10),
    first: () => moves.current?.walk(-Infinity), last: () => moves.current?.walk(Infinity), nextLine: () => moves.current?.turn(1), lineBefore: () => moves.current?.turn(-1),
    open: () => moves.current?.open(), zoomIn: () => stretch(0.5), zoomOut: () => stretch(2), earlier: () => shift(-1), later: () => shift(1), reset: () => set({ span: USUAL_SPAN }),
    filter: () => document.getElementById("filters")?.showPopover(), table: tables, clock: () => setUtc(!utc),
    download: () => document.getElementById("trend-files")?.showPopover(), clear: () => moves.current?.clear(),
  });

  return (
    <div class="fleet">
      <div class="page-head">
        <h1>Fleet</h1>
        <p class="small">Archived jobs that ended {typeof view.span === "string" ? `in ${SPANS.find((one) => one.name === view.span)?.long ?? ""}` : `from ${rangeLabel(range, utc)}`} · <a href={jobsUrl(view.filters, view.span)} onClick={follow}>see these jobs</a></p>
        <span class="room" />
        <ClockSwitch utc={utc} set={setUtc} />
        <button type="button" title="Keyboard shortcuts (?)" aria-label="Keyboard shortcuts" onClick={() => act("help")}>?</button>
      </div>
      <FilterBar
        filters={view.filters} setFilters={(filters) => set({ filters })} span={view.span} setSpan={(next) => set({ span: next ?? USUAL_SPAN })}
        range={range} utc={utc} any={false} fields={OFFERED}
      />
      {empty ? <Nothing view={view} range={range} utc={utc} set={set} /> : (
        <>
          {known.length > 0 ? <Facts all={known} /> : !settled && <div class="answers waiting" aria-busy="true" />}
          <TrendPanel
            view={view} set={set} range={range} width={asked.width} answer={trend} palette={palette} utc={utc} table={table} setTable={setTable} moves={moves} say={say}
          />
          <div class="pair">
            <TopPanel id="consumers" title="Consumers" wasted={false} view={view} set={set} range={range} answer={held} />
            <TopPanel id="wasters" title="Wasters" wasted view={view} set={set} range={range} answer={wasted} />
          </div>
          <HeatPanel view={view} set={set} range={range} answer={heat} utc={utc} ahead={ahead} table={numbers} setTable={setNumbers} />
        </>
      )}
      <p class="unseen" aria-live="polite" id="announcer">{said}</p>
      {help}
    </div>
  );
}
