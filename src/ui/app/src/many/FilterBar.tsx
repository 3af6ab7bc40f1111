// Which jobs the page is about: time buttons, a chip for each filter, and a menu that offers the most frequent values
// with the number of their jobs.
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { Menu } from "../Menu";
import type { Range } from "../types";
import { readable, verdictWords } from "../words";
import { askTop } from "./answers";
import { useAnswer } from "./ask";
import { rangeLabel } from "./calendar";
import { fieldLabel, FIELDS, SPANS, type Field, type Filters, type Span } from "./filters";
import { compact } from "./units";
import { valuesQuestion } from "./view";

const MOST_VALUES = 12;

interface Props {
  filters: Filters;
  setFilters: (filters: Filters) => void;
  span: Span;
  setSpan: (span: Span) => void;
  /** The time that values are counted in. */
  range: Range;
  utc: boolean;
  /** Whether all of time is a choice. */
  any: boolean;
  fields: readonly Field[];
  /** Further conditions, which only this page has. */
  more?: readonly { label: string; text: string; remove: () => void }[];
  children?: ComponentChildren;
}

function valueWords(field: Field, value: string): string {
  return field === "verdict" ? verdictWords(value).short : field === "status" ? readable(value) : value;
}

export function without(filters: Filters, field: Field): Filters {
  const { [field]: _, ...rest } = filters;
  return rest;
}

function Values({ field, filters, range, take }: { field: Field; filters: Filters; range: Range; take: (filters: Filters) => void }) {
  const [typed, setTyped] = useState("");
  const list = useRef<HTMLUListElement>(null);
  const answer = useAnswer(valuesQuestion(field, filters, range), askTop);
  const wanted = typed.trim().toLowerCase();
  const rows = (answer.value?.rows ?? []).filter((row) => row.filters !== null && row.key.toLowerCase().includes(wanted));
  const key = (event: KeyboardEvent): void => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const buttons = [...(list.current?.querySelectorAll("button") ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const next = event.key === "ArrowDown" ? at + 1 : at - 1;
    if (next < 0) document.getElementById("filter-text")?.focus();
    else buttons[Math.min(next, buttons.length - 1)]?.focus();
    event.preventDefault();
  };
  const exact = (): void => {
    if (typed.trim() !== "") take({ [field]: typed.trim() });
  };
  return (
    <form onKeyDown={key} onSubmit={(event) => {
      event.preventDefault();
      exact();
    }}>
      <input id="filter-text" type="text" autocomplete="off" aria-label={`${fieldLabel(field)}: type to narrow, Enter takes the text as it is`} placeholder={`Find a ${fieldLabel(field).toLowerCase()}`} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
      <ul class="choices" ref={list} aria-label="Values" aria-busy={answer.busy}>
        {rows.slice(0, MOST_VALUES).map((row) => (
          <li key={row.key}>
            <button type="button" onClick={() => row.filters !== null && take(row.filters)}>
              <span class="foreign">{row.key}</span> <span class="small">{compact(row.jobs)}</span>
            </button>
          </li>
        ))}
        {typed.trim() !== "" && !rows.some((row) => row.key.toLowerCase() === wanted) && (
          <li><button type="button" onClick={exact}><span>Exactly <b class="foreign">{typed.trim()}</b></span></button></li>
        )}
      </ul>
      <p class="small" role="status">
        {answer.problem !== null ? "The values cannot be counted now. Type one, and press Enter."
          : answer.busy && answer.value === null ? "Counting…"
            : rows.length === 0 && typed.trim() === "" ? "No jobs in this time have one."
              : rows.length > MOST_VALUES ? `${rows.length - MOST_VALUES} more; type to find them.` : ""}
      </p>
    </form>
  );
}

function AddFilter({ filters, setFilters, range, fields }: Pick<Props, "filters" | "setFilters" | "range" | "fields">) {
  const [field, setField] = useState<Field>(fields[0] ?? "project");
  // Values are counted when somebody looks, not before.
  const [open, setOpen] = useState(false);
  const take = (more: Filters): void => {
    document.getElementById("filters")?.hidePopover();
    setFilters({ ...filters, ...more });
  };
  return (
    <Menu id="filters" label="Add filter" title="Show some jobs only (f)" describe="Add a filter" opened={setOpen}>
      <div class="fields" role="group" aria-label="Filter by">
        {fields.map((one, index) => (
          <button key={one} type="button" autofocus={index === 0} aria-pressed={one === field} onClick={() => setField(one)}>{fieldLabel(one)}</button>
        ))}
      </div>
      {open && <Values key={field} field={field} filters={filters} range={range} take={take} />}
    </Menu>
  );
}

/** A date as an input has it, and back. */
function asInput(ms: number): string {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function OwnTime({ range, setSpan, shown, utc }: { range: Range; setSpan: Props["setSpan"]; shown: boolean; utc: boolean }) {
  const form = useRef<HTMLFormElement>(null);
  const [problem, setProblem] = useState("");
  const submit = (event: Event): void => {
    event.preventDefault();
    const [from, to] = [...(form.current?.querySelectorAll("input") ?? [])].map((input) => new Date(input.value).getTime());
    if (from === undefined || to === undefined || !(to > from)) {
      setProblem("The end must lie behind the beginning.");
      return;
    }
    document.getElementById("time")?.hidePopover();
    setSpan({ from, to });
  };
  return (
    <Menu id="time" label={shown ? rangeLabel(range, utc) : "Other time"} title="From and to" describe="Time from and to" opened={() => setProblem("")}>
      <form ref={form} class="own-time" onSubmit={submit}>
        <label>From <input type="datetime-local" required defaultValue={asInput(range.from)} /></label>
        <label>to <input type="datetime-local" required defaultValue={asInput(range.to)} /></label>
        <button type="submit">Show</button>
        {problem !== "" && <p role="alert">{problem}</p>}
      </form>
    </Menu>
  );
}

export function FilterBar({ filters, setFilters, span, setSpan, range, utc, any, fields, more = [], children }: Props) {
  const set = FIELDS.filter((field) => filters[field] !== undefined);
  const own = span !== null && typeof span !== "string";
  return (
    <div class="filters" role="group" aria-label="Which jobs">
      <span class="group times" role="group" aria-label="Time">
        {any && <button type="button" aria-pressed={span === null} title="All of time" onClick={() => setSpan(null)}>Any time</button>}
        {SPANS.map((one) => (
          <button key={one.name} type="button" aria-pressed={span === one.name} title={`Jobs that ended in ${one.long}`} onClick={() => setSpan(one.name)}>{one.label}</button>
        ))}
      </span>
      <span class={own ? "own" : undefined}><OwnTime key={`${range.from} ${range.to}`} range={range} setSpan={setSpan} shown={own} utc={utc} /></span>
      <AddFilter filters={filters} setFilters={setFilters} range={range} fields={fields} />
      {[...set.map((field) => ({ label: fieldLabel(field), text: valueWords(field, filters[field] ?? ""), remove: () => setFilters(without(filters, field)) })), ...more].map(({ label, text, remove }) => (
        <button key={label} type="button" class="chip" title={`Remove the filter ${label}`} onClick={remove}>
          <span class="small">{label}</span> <span class="foreign">{text}</span> <span aria-hidden="true">✕</span>
        </button>
      ))}
      {set.length > 1 && <button type="button" class="link" onClick={() => setFilters({})}>Clear all</button>}
      {children !== undefined && <><span class="room" />{children}</>}
    </div>
  );
}
