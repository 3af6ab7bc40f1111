// What each section of the log used. Sorting by a column answers "which command did it".
import { useState } from "preact/hooks";
import { bytes, coreNumber, count, duration, offset, seconds } from "./format";
import type { View } from "./route";
import { findSection, type Placed } from "./sections";
import type { Cell, Job, Range } from "./types";

const PAGE = 100;
const DEEPEST = 8;

interface Column {
  id: string;
  label: string;
  value: (section: Placed) => Cell;
  format: (value: Cell) => string;
  /** With a bar against the largest. */
  bar?: boolean;
}

const total = (key: string) => (section: Placed): Cell => section.summary.get(key)?.total ?? null;
const length = (section: Placed): number => section.end - section.start;

const COLUMNS: readonly Column[] = [
  { id: "duration", label: "Duration", value: length, format: duration, bar: true },
  { id: "cpu", label: "CPU time", value: total("cpu_used_seconds"), format: seconds, bar: true },
  {
    id: "cores", label: "Mean cores",
    value: (section) => {
      const used = total("cpu_used_seconds")(section);
      return used === null || length(section) <= 0 ? null : used / (length(section) / 1000);
    },
    format: coreNumber,
  },
  { id: "memory", label: "Peak memory", value: (section) => section.summary.get("memory_used_bytes")?.max ?? null, format: bytes, bar: true },
  { id: "receive", label: "Received", value: total("network_receive_bytes"), format: bytes },
  { id: "transmit", label: "Transmitted", value: total("network_transmit_bytes"), format: bytes },
  { id: "read", label: "Disk read", value: total("disk_read_bytes"), format: bytes },
  { id: "written", label: "Disk written", value: total("disk_written_bytes"), format: bytes },
];

export function sortSections(placed: readonly Placed[], value: ((section: Placed) => Cell) | null, up: boolean): Placed[] {
  if (value === null) return up ? [...placed] : [...placed].reverse();
  // Absent values go last in both directions: they are neither small nor large.
  return [...placed].sort((a, b) => {
    const left = value(a);
    const right = value(b);
    if (left === null || right === null) return left === right ? a.index - b.index : left === null ? 1 : -1;
    return (up ? left - right : right - left) || a.index - b.index;
  });
}

interface Props {
  job: Job;
  placed: readonly Placed[];
  window: Range;
  view: View;
  /** Shows a section in the graphs; absent if there are none. */
  open: ((section: Placed) => void) | null;
}

export function SectionTable({ job, placed, window, view, open }: Props) {
  const [order, setOrder] = useState<{ id: string; up: boolean }>({ id: "start", up: true });
  const [all, setAll] = useState(false);
  if (placed.length === 0) {
    return job.state === "archived" || job.state === "live" ? (
      <section>
        <h2>Sections</h2>
        <p class="small">No sections are known for this job. They come from the job's log, or from the field <code>sections</code> of PUT /api/v1/jobs/{"{source}/{job_id}"}.</p>
      </section>
    ) : null;
  }
  const column = COLUMNS.find((one) => one.id === order.id) ?? null;
  const sorted = sortSections(placed, column?.value ?? null, order.up);
  const chosen = findSection(placed, view.section);
  const largest = new Map(COLUMNS.map((one) => [one.id, placed.reduce<Cell>((most, section) => {
    const value = one.value(section);
    return value !== null && value > (most ?? 0) ? value : most;
  }, null)]));
  const sort = (id: string): void => setOrder({ id, up: order.id === id ? !order.up : id === "start" });
  const heading = (id: string, label: string) => (
    <th key={id} scope="col" aria-sort={order.id === id ? (order.up ? "ascending" : "descending") : "none"}>
      <button type="button" class="sort" onClick={() => sort(id)}>
        {label}
        <span aria-hidden="true">{order.id === id ? (order.up ? " ↑" : " ↓") : ""}</span>
      </button>
    </th>
  );
  return (
    <section aria-labelledby="sections-title">
      <h2 id="sections-title">Sections</h2>
      <div class="scroll" role="region" aria-label="Usage per section" tabIndex={0} data-own-keys>
        <table class="sections">
          <thead>
            <tr>
              <th scope="col">Section</th>
              {heading("start", "Start")}
              {COLUMNS.map((one) => heading(one.id, one.label))}
            </tr>
          </thead>
          <tbody>
            {(all ? sorted : sorted.slice(0, PAGE)).map((section) => (
              <tr key={section.index} class={chosen?.index === section.index ? "chosen" : undefined}>
                <th scope="row" class={order.id === "start" ? `deep-${Math.min(section.depth, DEEPEST)}` : undefined}>
                  {open !== null ? (
                    <button
                      type="button" class="link foreign" title="Zoom the graphs to this section"
                      onClick={() => open(section)}
                    >
                      {section.label}
                    </button>
                  ) : (
                    <span class="foreign">{section.label}</span>
                  )}
                </th>
                <td>{offset(section.start - window.from)}</td>
                {COLUMNS.map((one) => {
                  const value = one.value(section);
                  const top = largest.get(one.id) ?? null;
                  const share = value !== null && top !== null && top > 0 ? Math.max(0, value / top) : 0;
                  return (
                    <td key={one.id} class={`share${share === 1 && placed.length > 1 ? " most" : ""}`} style={{ backgroundSize: one.bar ? `${share * 100}% 2px` : "0" }}>
                      {one.format(value)}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {placed.length > PAGE && (
        <button type="button" onClick={() => setAll(!all)}>
          {all ? `Show the first ${PAGE}` : `Show all ${count(placed.length)} sections`}
        </button>
      )}
    </section>
  );
}
