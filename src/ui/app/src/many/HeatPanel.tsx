// The hours of a week: a grid of 168 cells, darker where there is more. It is a table already; with numbers in its cells
// it is also the alternative to its colours.
import { useRef, useState } from "preact/hooks";
import { count, DASH } from "../format";
import { go } from "../router";
import type { Range } from "../types";
import { useWidth } from "../width";
import type { Heat } from "./answers";
import type { Answer } from "./ask";
import { WEEKDAYS } from "./calendar";
import { hourWords, mostOf, STEPS, stepOf } from "./heat";
import { Panel, Select } from "./Panel";
import { narrow, unitFormat } from "./units";
import { exports, HEATS, jobsUrl, type View } from "./view";

/** Below this width hours go down and days across. */
const NARROW = 560;
/** From this width on numbers fit into the cells. */
const ROOMY = 1080;

interface Props {
  view: View;
  set: (change: Partial<View>) => void;
  range: Range;
  answer: Answer<Heat>;
  utc: boolean;
  /** Minutes that the hours are ahead of UTC. */
  ahead: number;
  table: boolean;
  setTable: (table: boolean) => void;
}

function Grid({ heat, view, range, ahead, numbers }: { heat: Heat; view: View; range: Range; ahead: number; numbers: boolean }) {
  const [host, width] = useWidth();
  const [active, setActive] = useState(0);
  const grid = useRef<HTMLTableElement>(null);
  const turned = width > 0 && width < NARROW;
  const shown = numbers || width >= ROOMY;
  const format = unitFormat(heat.unit);
  const inCell = narrow(heat.unit);
  const most = mostOf(heat.cells);
  const [across, down] = turned ? [7, 24] : [24, 7];
  const slotOf = (row: number, column: number): number => (turned ? column * 24 + row : row * 24 + column);
  const name = (at: number, hours: boolean): string => (hours ? String(at).padStart(2, "0") : (WEEKDAYS[at] ?? ""));
  const open = (slot: number): void => {
    if ((heat.cells[slot]?.jobs ?? 0) === 0) return;
    go(jobsUrl(view.filters, range, { hour: String(slot), tz: String(ahead) }));
    scrollTo(0, 0);
  };
  const key = (event: KeyboardEvent): void => {
    const [row, column] = turned ? [active % 24, Math.floor(active / 24)] : [Math.floor(active / 24), active % 24];
    const moves: Readonly<Record<string, [number, number]>> = {
      ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1], ArrowDown: [row + 1, column], ArrowUp: [row - 1, column], Home: [row, 0], End: [row, across - 1],
    };
    const to = moves[event.key];
    if (event.key === "Enter" || event.key === " ") open(active);
    else if (to === undefined) return;
    else if (to[0] >= 0 && to[0] < down && to[1] >= 0 && to[1] < across) {
      const next = slotOf(...to);
      setActive(next);
      grid.current?.querySelector<HTMLElement>(`[data-slot="${next}"]`)?.focus();
    }
    event.preventDefault();
  };
  const words = (slot: number): string => {
    const cell = heat.cells[slot];
    const jobs = cell?.jobs ?? 0;
    return `${hourWords(slot)}: ${jobs === 0 ? "no jobs" : `${cell?.value == null ? "not known" : (shown ? inCell : format)(cell.value)}, ${count(jobs)} ${jobs === 1 ? "job" : "jobs"}`}`;
  };
  return (
    <div ref={host} class="stage heat">
      {width > 0 && (
        <table role="grid" aria-labelledby="heat-title" ref={grid} class={`${turned ? "turned" : ""}${shown ? " numbers" : ""}`} onKeyDown={key} data-own-keys>
          <thead>
            <tr>
              <td />
              {Array.from({ length: across }, (_, at) => <th key={at} scope="col">{name(at, !turned)}</th>)}
            </tr>
          </thead>
          <tbody>
            {Array.from({ length: down }, (_row, row) => (
              <tr key={row}>
                <th scope="row">{name(row, turned)}</th>
                {Array.from({ length: across }, (_column, column) => {
                  const slot = slotOf(row, column);
                  const cell = heat.cells[slot];
                  return (
                    <td
                      key={slot} role="gridcell" data-slot={slot} tabIndex={slot === active ? 0 : -1} class={`heat-${stepOf(cell?.value ?? null, most)}`}
                      aria-label={words(slot)} title={words(slot)} onFocus={() => setActive(slot)} onClick={() => open(slot)}
                    >
                      {shown ? (cell?.value == null ? DASH : inCell(cell.value)) : ""}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <p class="scale small">
        <span>0</span>
        {Array.from({ length: STEPS }, (_, step) => <i key={step} class={`heat-${step + 1}`} />)}
        <span>{format(most > 0 ? most : null)}</span>
        <i class="heat-0" /> <span>no jobs, or not known</span>
      </p>
    </div>
  );
}

export function HeatPanel({ view, set, range, answer, utc, ahead, table, setTable }: Props) {
  return (
    <Panel
      id="heat" title="Hours of the week" answer={answer} tall={300}
      choices={<>
        <Select label="Show" value={view.hours} options={HEATS} set={(hours) => set({ hours })} />
        <span class="small">by the jobs' start, {utc || ahead === 0 ? "UTC" : "your time"}</span>
      </>}
      buttons={<button type="button" aria-pressed={table} title="Numbers in the cells (t)" onClick={() => setTable(!table)}>Numbers</button>}
      files={{
        name: `hours-${view.hours}`, sql: (heat) => heat.sql, rows: exports(view.filters, range),
        table: () => [["weekday", "hour", view.hours, "jobs"], ...(answer.value?.cells ?? []).map((cell, slot) => [WEEKDAYS[Math.floor(slot / 24)] ?? "", slot % 24, cell.value, cell.jobs])],
      }}
    >
      {(heat) => heat.cells.every((cell) => cell.value === null) && heat.cells.some((cell) => cell.jobs > 0) ? (
        <p class="unmeasured">
          {view.hours === "queue" ? <>None of these jobs says how long it waited. CI systems send it with the job, or put <code>queued_seconds</code> with it. Or show something else: jobs, core-hours, memory.</> : "This was not measured of any of these jobs."}
        </p>
      ) : <Grid heat={heat} view={view} range={range} ahead={ahead} numbers={table} />}
    </Panel>
  );
}
