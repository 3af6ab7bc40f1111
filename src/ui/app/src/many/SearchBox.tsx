// The search field of the list: what is typed is looked for in projects, job names, refs, machines and job ids, and what
// is chosen becomes a filter.
import { useEffect, useRef, useState } from "preact/hooks";
import { jobPage } from "../api";
import { go } from "../router";
import { askSql, useAnswer } from "./ask";
import { fieldLabel, type Filters, type Span } from "./filters";
import { readFound, searchSql, type Found } from "./listing";
import { compact } from "./units";

/** Typing that goes on is not asked for at each letter. */
const STEADY_MS = 180;
const SHORTEST = 2;

export const SEARCH_ID = "search";

export function SearchBox({ span, take }: { span: Span; take: (filters: Filters) => void }) {
  const [typed, setTyped] = useState("");
  const [steady, setSteady] = useState("");
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const timer = setTimeout(() => setSteady(typed.trim()), STEADY_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  // What was found for another text is no answer to this one.
  const asked = open && steady === typed.trim() && steady.length >= SHORTEST ? steady : null;
  const answer = useAnswer(asked === null ? null : searchSql(asked, span, Date.now() - (Date.now() % 60_000)), async (query, signal) => readFound(await askSql(query, signal)));
  const found = asked === null || answer.busy ? [] : (answer.value ?? []);
  useEffect(() => setActive(0), [answer.value]);

  const choose = (one: Found): void => {
    setTyped("");
    setOpen(false);
    // The keys are the page's again.
    document.getElementById(SEARCH_ID)?.blur();
    if (one.field === "job") {
      go(jobPage(one.source ?? "", one.key));
      scrollTo(0, 0);
    } else take({ [one.field]: one.key });
  };
  const key = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      setOpen(true);
      if (found.length > 0) setActive((active + (event.key === "ArrowDown" ? 1 : -1) + found.length) % found.length);
    } else if (event.key === "Enter") {
      const one = found[active];
      if (one !== undefined) choose(one);
    } else if (event.key === "Escape") {
      setOpen(false);
      if (!open) setTyped("");
    } else return;
    event.preventDefault();
  };
  const status = typed.trim().length < SHORTEST ? (typed.trim() === "" ? "" : "Type two characters or more.")
    : asked === null || answer.busy ? "Searching…"
      : answer.problem !== null ? `The search failed: ${answer.problem.title ?? "no answer"}. Use "Add filter" instead.`
        : found.length === 0 ? `Nothing has "${asked}" in its name. Projects, job names, refs and machines of ${span === null ? "the last 90 days" : "this time"} were searched.` : "";
  return (
    <div class="search" ref={box} onFocusOut={(event) => {
      if (!(event.relatedTarget instanceof Node) || box.current?.contains(event.relatedTarget) !== true) setOpen(false);
    }}>
      <input
        id={SEARCH_ID} type="search" role="combobox" autocomplete="off" spellcheck={false} aria-label="Search jobs" aria-expanded={found.length > 0} aria-controls="search-found" aria-autocomplete="list"
        aria-activedescendant={found.length > 0 ? `found-${active}` : undefined} placeholder="Search project, job name, ref, machine or job id  ( / )"
        value={typed} onInput={(event) => {
          setTyped(event.currentTarget.value);
          setOpen(true);
        }} onFocus={() => setOpen(true)} onKeyDown={key}
      />
      <div class="found" hidden={!open || (found.length === 0 && status === "")}>
        <ul id="search-found" role="listbox" aria-label="Found" aria-busy={answer.busy}>
          {found.map((one, index) => (
            <li key={`${one.field} ${one.key} ${one.source ?? ""}`} id={`found-${index}`} role="option" aria-selected={index === active} onPointerDown={(event) => event.preventDefault()} onClick={() => choose(one)}>
              <span class="small">{one.field === "job" ? "Job" : fieldLabel(one.field)}</span> <span class="foreign">{one.field === "job" ? `${one.source ?? ""} #${one.key}` : one.key}</span>
              <span class="small many">{one.field === "job" ? "open" : `${compact(one.jobs)} jobs`}</span>
            </li>
          ))}
        </ul>
        <p class="small" role="status">{status}</p>
      </div>
    </div>
  );
}
