// The list of jobs: search, filters with counts, and columns that answer which of these was heavy or odd.
import { useEffect, useMemo } from "preact/hooks";
import { get, jobPage } from "../api";
import { bytes, coreNumber, dateTime, DASH, duration, percent } from "../format";
import { useShortcuts } from "../Help";
import { Badge } from "../JobHeader";
import type { Shortcut } from "../keys";
import { readList } from "../parse";
import { follow, go, useAddress } from "../router";
import { StatePanel, useReady } from "../StatePanel";
import type { Cell, Job, JobList } from "../types";
import { readable, reasonWords, stateWords, statusTone, verdictTone, verdictWords } from "../words";
import { askSql, useAnswer } from "./ask";
import { FilterBar, without } from "./FilterBar";
import { OFFERED, rangeOf, type Filters } from "./filters";
import { ClockSwitch, useClock } from "./FleetPage";
import { hourWords } from "./heat";
import { countSql, fileSql, listingSearch, listSql, listUrl, PAGE, plainList, readCounts, readListing, readRow, type Counts, type Listing, type Sort } from "./listing";
import { FailedPanel, Files, Name, Select } from "./Panel";
import { SEARCH_ID, SearchBox } from "./SearchBox";
import { compact } from "./units";
import { exports, fleetUrl } from "./view";

type Action = "next" | "previous" | "search" | "filter" | "older" | "newer" | "clock" | "download" | "help";

export const LIST_SHORTCUTS: readonly Shortcut<Action>[] = [
  { action: "search", keys: ["/"], shown: "/", does: "search" },
  { action: "filter", keys: ["f"], shown: "f", does: "add a filter" },
  { action: "next", keys: ["j"], shown: "j", does: "next job; Enter opens it" },
  { action: "previous", keys: ["k"], shown: "k", does: "previous job" },
  { action: "older", keys: ["n"], shown: "n", does: "next page" },
  { action: "newer", keys: ["p"], shown: "p", does: "page before" },
  { action: "download", keys: ["d"], shown: "d", does: "downloads, SQL" },
  { action: "clock", keys: ["c"], shown: "c", does: "local time or UTC" },
  { action: "help", keys: ["?"], shown: "?", does: "this help" },
];

/** From this share of the machine's memory on, a job was near its end. */
const NEARLY_FULL = 0.9;

/** A number with its share of what the machine has, as a bar below it. */
function Part({ label, value, whole, format, alarm }: { label: string; value: Cell; whole: Cell; format: (value: Cell) => string; alarm: number }) {
  const share = value !== null && whole !== null && whole > 0 ? value / whole : null;
  const much = share !== null && share >= alarm;
  return (
    <td data-label={label} class={much ? "much" : undefined}>
      {value === null ? DASH : format(value)}
      {value !== null && whole !== null && <span class="small"> of {format(whole)}{share === null ? "" : ` · ${percent(share)}`}</span>}
      {share !== null && <span class="bar" aria-hidden="true"><i style={{ width: `${Math.min(1, Math.max(0, share)) * 100}%` }} /></span>}
    </td>
  );
}

function Row({ job, utc }: { job: Job; utc: boolean }) {
  const memory = job.summary.get("memory_used_bytes")?.max ?? null;
  const cpu = job.summary.get("cpu_used_cores")?.mean ?? null;
  return (
    <tr>
      <th scope="row">
        <a class="foreign" href={jobPage(job.source, job.jobId)} onClick={follow}>{job.name ?? `Job ${job.jobId}`}</a>
        <span class="small foreign"> {job.source} #{job.jobId}</span>
      </th>
      <td class="left narrow">{job.status === null ? DASH : <Badge tone={statusTone(job.status)}>{readable(job.status)}</Badge>}</td>
      <td class="left narrow">
        {job.state === "archived" && job.verdict !== null
          ? <Badge tone={verdictTone(job.verdict)} title={verdictWords(job.verdict).long}>{verdictWords(job.verdict).short}</Badge>
          : <Badge tone={job.state === "live" || job.state === "pending" ? "busy" : "quiet"} title={reasonWords(job.reason)?.[0]}>{stateWords(job.state)}</Badge>}
      </td>
      <td data-label="Project" class="left foreign"><Name text={job.project ?? DASH} />{job.ref !== null && <span class="small"> {job.ref}</span>}</td>
      <td data-label="Started">{dateTime(job.start, utc)}</td>
      <td data-label="Duration">{job.start === null || job.end === null ? DASH : duration(job.end - job.start)}</td>
      <Part label="Peak memory" value={memory} whole={job.machine.memoryTotal} format={bytes} alarm={NEARLY_FULL} />
      <Part label="Mean cores" value={cpu} whole={job.machine.cpuCount} format={coreNumber} alarm={Infinity} />
    </tr>
  );
}

function Choices({ label, field, counts, filters, set, words }: {
  label: string; field: "status" | "verdict"; counts: ReadonlyMap<string, number>; filters: Filters; set: (filters: Filters) => void; words: (value: string) => string;
}) {
  const chosen = filters[field];
  const values = [...counts].sort((a, b) => b[1] - a[1]).map(([value]) => value);
  if (chosen !== undefined && !counts.has(chosen)) values.push(chosen);
  if (values.length === 0) return null;
  return (
    <div class="counts" role="group" aria-label={label}>
      <span class="small">{label}</span>
      {values.map((value) => (
        <button key={value} type="button" aria-pressed={value === chosen} onClick={() => set(value === chosen ? without(filters, field) : { ...filters, [field]: value })}>
          <span class="foreign">{words(value)}</span> <span class="small">{compact(counts.get(value) ?? 0)}</span>
        </button>
      ))}
    </div>
  );
}

/** Every order by its name in the address; with a minus the least comes first. */
const ORDERS: readonly { name: string; label: string }[] = [
  { name: "started", label: "newest first" }, { name: "-started", label: "oldest first" }, { name: "duration", label: "longest first" }, { name: "-duration", label: "shortest first" },
  { name: "memory", label: "most memory first" }, { name: "-memory", label: "least memory first" }, { name: "share", label: "fullest machines first" }, { name: "cores", label: "most cores first" }, { name: "-cores", label: "fewest cores first" },
];

function orderOf(name: string): Pick<Listing, "sort" | "up"> {
  const up = name.startsWith("-");
  return { sort: (up ? name.slice(1) : name) as Sort, up };
}

const COLUMNS: readonly { label: string; sort: Sort | null; left?: boolean; title?: string }[] = [
  { label: "Status", sort: null, left: true }, { label: "Data", sort: null, left: true }, { label: "Project", sort: null, left: true },
  { label: "Started", sort: "started" }, { label: "Duration", sort: "duration" }, { label: "Peak memory", sort: "memory" }, { label: "Mean cores", sort: "cores" },
];

function Jobs({ jobs, listing, set, utc }: { jobs: readonly Job[]; listing: Listing; set: (change: Partial<Listing>) => void; utc: boolean }) {
  return (
    <div class="scroll" role="region" aria-label="Jobs" tabIndex={0} data-own-keys>
      <table class="jobs">
        <thead>
          <tr>
            <th scope="col">Job</th>
            {COLUMNS.map(({ label, sort, left }) => sort === null ? <th key={label} scope="col" class={left ? "left" : undefined}>{label}</th> : (
              <th key={label} scope="col" aria-sort={listing.sort === sort ? (listing.up ? "ascending" : "descending") : "none"}>
                <button type="button" class="sort" onClick={() => set({ sort, up: listing.sort === sort && !listing.up, page: 0, cursor: null })}>
                  {label}<span aria-hidden="true">{listing.sort === sort ? (listing.up ? " ↑" : " ↓") : ""}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{jobs.map((job) => <Row key={`${job.source}/${job.jobId}`} job={job} utc={utc} />)}</tbody>
      </table>
    </div>
  );
}

function Empty({ listing, set }: { listing: Listing; set: (change: Partial<Listing>) => void }) {
  const filtered = Object.keys(listing.filters).length > 0 || listing.span !== null || listing.hour !== null;
  return filtered ? (
    <StatePanel
      title="No job fits" text="No archived job has all of these filters and this time."
      todo="Remove a filter, or choose a longer time. A job that is not archived yet is in the list without filters."
      actions={<button type="button" onClick={() => set({ filters: {}, span: null, hour: null })}>Remove all filters</button>}
    />
  ) : (
    <StatePanel
      title="No job has been reported yet" text="A job appears here as soon as the archive hears of it."
      todo="Point a webhook at /hooks/gitlab or /hooks/github, or send PUT /api/v1/jobs/{source}/{job_id}."
    />
  );
}

/** By the rows' own links: they have the focus, and Enter opens them as any link. */
function walk(step: number): void {
  const links = [...document.querySelectorAll<HTMLElement>("table.jobs tbody th a")];
  const at = links.indexOf(document.activeElement as HTMLElement);
  links[Math.min(Math.max(at + step, 0), links.length - 1)]?.focus();
}

async function loadList(question: string, signal: AbortSignal): Promise<JobList> {
  if (question.startsWith("/")) return readList(await get(question, signal));
  const jobs = (await askSql(question, signal)).map(readRow);
  return { jobs: jobs.slice(0, PAGE), next: jobs.length > PAGE ? "more" : null };
}

export function ListPage() {
  const listing = useAddress(() => readListing(location.search));
  const set = (change: Partial<Listing>): void => {
    const paged = "page" in change || "cursor" in change;
    const search = listingSearch(location.search, { ...listing, ...(paged ? {} : { page: 0, cursor: null }), ...change });
    if (search !== location.search) go(`${location.pathname}${search}`);
  };
  const [utc, setUtc] = useClock();
  const filterKey = listingSearch("", { ...listing, page: 0, cursor: null });
  // "Now" is when the filters were chosen, so that pages fit together.
  const now = useMemo(() => Math.ceil(Date.now() / 60_000) * 60_000, [filterKey]);
  const plain = plainList(listing);
  const list = useAnswer(plain ? listUrl(listing) : listSql(listing, now), loadList);
  // What is on the page comes first; then it is counted.
  const counted = useAnswer(list.busy || list.problem !== null ? null : countSql(listing, now), askSql);
  const counts: Counts | null = counted.value === null ? null : readCounts(counted.value, listing.filters);
  const { value, problem, busy } = list;
  const paged = plain ? listing.cursor !== null : listing.page > 0;

  useEffect(() => {
    document.title = "Jobs · Tachograph";
  }, []);
  useReady(!busy && !counted.busy);

  const older = (): void => {
    if (value === null || value.next === null) return;
    set(plain ? { cursor: value.next } : { page: listing.page + 1 });
    scrollTo(0, 0);
  };
  const newer = (): void => {
    if (!paged) return;
    if (plain) history.back();
    else set({ page: listing.page - 1 });
  };
  const [act, help] = useShortcuts<Exclude<Action, "help">>(LIST_SHORTCUTS, [["click", "a column's name sorts by it"]], {
    next: () => walk(1), previous: () => walk(-1), search: () => document.getElementById(SEARCH_ID)?.focus(), filter: () => document.getElementById("filters")?.showPopover(),
    older, newer, clock: () => setUtc(!utc), download: () => document.getElementById("list-files")?.showPopover(),
  });
  const range = rangeOf(listing.span ?? "90d", now);
  const filters = listing.filters;
  const order = `${listing.up ? "-" : ""}${listing.sort}`;
  const setFilters = (next: Filters): void => set({ filters: next });

  return (
    <div class="list">
      <div class="page-head">
        <h1>Jobs</h1>
        <p class="small">
          {plain ? "Newest first, also those that are not archived yet" : `${counts === null ? "" : `${counts.all.toLocaleString("en-US")} `}archived jobs`} · <a href={fleetUrl(filters, listing.span)} onClick={follow}>see their fleet</a>
        </p>
        <span class="room" />
        <ClockSwitch utc={utc} set={setUtc} />
        <Files id="list" name="jobs" table={null} sql={fileSql(listing, now)} rows={listing.span === null || listing.hour !== null ? [] : exports(filters, range)} />
        <button type="button" title="Keyboard shortcuts (?)" aria-label="Keyboard shortcuts" onClick={() => act("help")}>?</button>
      </div>
      <SearchBox span={listing.span} take={(more) => setFilters({ ...filters, ...more })} />
      <FilterBar
        filters={filters} setFilters={setFilters} span={listing.span} setSpan={(span) => set({ span })} range={range} utc={utc} any
        fields={OFFERED.filter((field) => field !== "status")}
        more={listing.hour === null ? [] : [{ label: "Hour", text: hourWords(listing.hour), remove: () => set({ hour: null }) }]}
      >
        <Select label="Sort" value={order} options={ORDERS} set={(name) => set(orderOf(name))} />
      </FilterBar>
      {counts !== null && counted.problem === null && (
        <div class="count-rows">
          <Choices label="Status" field="status" counts={counts.status} filters={filters} set={setFilters} words={readable} />
          <Choices label="Data" field="verdict" counts={counts.verdict} filters={filters} set={setFilters} words={(word) => verdictWords(word).short} />
        </div>
      )}
      {problem !== null ? <FailedPanel problem={problem} retry={list.retry} />
        : value === null ? <p class="waiting" aria-busy="true">Loading…</p>
          : value.jobs.length === 0 && !paged && value.next === null ? <Empty listing={listing} set={set} />
            : (
              <div class={busy ? "old" : undefined} aria-busy={busy}>
                {value.jobs.length === 0 ? <p class="unmeasured">Nothing more on this page.</p> : <Jobs jobs={value.jobs} listing={listing} set={set} utc={utc} />}
                <p class="pages">
                  {paged && <button type="button" onClick={newer}>← {listing.sort === "started" && !listing.up ? "Newer jobs" : "Page before"}</button>}
                  {value.next !== null && <button type="button" onClick={older}>{listing.sort === "started" && !listing.up ? "Older jobs" : "Next page"} →</button>}
                </p>
              </div>
            )}
      {help}
    </div>
  );
}
