// The bar above the graphs: what is shown, zoom, clock, scale, table, downloads, help.
import { Downloads } from "./Downloads";
import { duration } from "./format";
import type { Action } from "./keys";
import type { Placed } from "./sections";
import { instantLabel, type Clock } from "./ticks";
import type { Job, Range } from "./types";

interface Props {
  job: Job;
  range: Range;
  window: Range;
  zoomed: boolean;
  /** Whether rows of the shown range were left out. */
  thinned: boolean;
  section: Placed | null;
  clock: Clock;
  setClock: (clock: Clock) => void;
  toCapacity: boolean;
  table: boolean;
  act: (action: Action) => void;
}

const CLOCKS: readonly { kind: Clock; label: string; title: string }[] = [
  { kind: "job", label: "+mm:ss", title: "Time since the job started" },
  { kind: "local", label: "Local", title: "Wall clock of this browser" },
  { kind: "utc", label: "UTC", title: "Wall clock, UTC" },
];

export function Toolbar({ job, range, window, zoomed, thinned, section, clock, setClock, toCapacity, table, act }: Props) {
  const at = (ms: number): string => instantLabel(ms, clock, window.from);
  return (
    <div class="toolbar" role="group" aria-label="What the graphs show">
      <p class="range" id="range">
        {section !== null && <><b class="foreign">{section.label}</b>{" "}</>}
        {zoomed ? `${at(range.from)} to ${at(range.to)}` : "Whole job"}
        <span> · {duration(range.to - range.from)}{thinned && " · smallest and largest values; zoom in for every sample"}</span>
      </p>
      <span class="group" role="group" aria-label="Zoom">
        <button type="button" title="Zoom in (+)" aria-label="Zoom in" onClick={() => act("zoomIn")}>+</button>
        <button type="button" title="Zoom out (-)" aria-label="Zoom out" disabled={!zoomed} onClick={() => act("zoomOut")}>−</button>
        <button type="button" title="Show the whole job (0, or double-click a graph)" disabled={!zoomed && section === null} onClick={() => act("reset")}>Reset</button>
      </span>
      <span class="group" role="group" aria-label="Time axis">
        {CLOCKS.map(({ kind, label, title }) => (
          <button key={kind} type="button" title={title} aria-pressed={clock === kind} onClick={() => setClock(kind)}>{label}</button>
        ))}
      </span>
      <span class="group">
        <button type="button" aria-pressed={toCapacity} title="CPU and memory axes reach up to what the machine has (y)" onClick={() => act("scale")}>Capacity</button>
        <button type="button" aria-pressed={table} title="The same numbers as a table (t)" id="table-toggle" onClick={() => act("table")}>Table</button>
      </span>
      <Downloads job={job} shown={zoomed ? range : null} section={section} label={`${at(range.from)} to ${at(range.to)}`} />
      <button type="button" title="Keyboard shortcuts (?)" aria-label="Keyboard shortcuts" onClick={() => act("help")}>?</button>
    </div>
  );
}
