// Who uses most and who wastes most: a table whose bars show what was held and how much of that was used.
import { count, percent } from "../format";
import { follow } from "../router";
import type { Cell } from "../types";
import type { Top, TopRow } from "./answers";
import type { Answer } from "./ask";
import { Name, Panel, Select } from "./Panel";
import { compact, unitFormat } from "./units";
import { exports, GROUPINGS, jobsUrl, USES, type By, type View } from "./view";
import type { Filters } from "./filters";
import type { Range } from "../types";

interface Props {
  id: string;
  title: string;
  /** Whether rows are ordered by what was not used. */
  wasted: boolean;
  view: View;
  set: (change: Partial<View>) => void;
  range: Range;
  answer: Answer<Top>;
}

/** Lengths of a row's bar, in shares of the longest: what was held, and what of it was used. */
export function barOf(row: TopRow, longest: number): { held: number; used: number | null } {
  const held = row.paid ?? row.value ?? 0;
  if (!(longest > 0)) return { held: 0, used: null };
  return { held: Math.min(1, held / longest), used: row.used === null ? null : Math.min(1, row.used / longest) };
}

function usedWords(row: TopRow, format: (value: Cell) => string): string {
  if (row.paid === null || row.used === null) return `${format(row.value)}; how much was used is not known`;
  const partly = row.measured !== null && row.measured < row.jobs ? `, known of ${count(row.measured)} of ${count(row.jobs)} jobs` : "";
  const shared = row.shared !== null && row.shared > 0 ? `; ${count(row.shared)} jobs shared their machine, and its use counts for each of them` : "";
  return `held ${format(row.paid)}, used ${format(row.used)}${row.paid > 0 ? ` (${percent(row.used / row.paid)})` : ""}${partly}${shared}`;
}

function Row({ row, longest, total, view, set, format }: { row: TopRow; longest: number; total: Cell; view: View; set: Props["set"]; format: (value: Cell) => string }) {
  const bar = barOf(row, longest);
  const share = row.share ?? (row.value !== null && total !== null && total > 0 ? row.value / total : null);
  const filters: Filters | null = row.filters === null ? null : { ...view.filters, ...row.filters };
  const words = usedWords(row, format);
  return (
    <tr>
      <th scope="row">
        {filters === null ? <span class="foreign"><Name text={row.key} /></span> : <a class="foreign" href={jobsUrl(filters, view.span)} title="See these jobs" onClick={follow}><Name text={row.key} /></a>}
        <span class="usage" role="img" aria-label={words} title={words}>
          <i class="held" style={{ width: `${bar.held * 100}%` }} />
          {bar.used !== null && <i class="used" style={{ width: `${bar.used * 100}%` }} />}
        </span>
      </th>
      <td>{format(row.value)}</td>
      <td class="less">{percent(share)}</td>
      <td class="less">{compact(row.jobs)}</td>
      <td>
        {filters !== null && (
          <button type="button" class="quiet only" title={`Show this page for ${row.key} only`} aria-label={`Filter by ${row.key}`} onClick={() => set({ filters })}>Filter</button>
        )}
      </td>
    </tr>
  );
}

export function TopPanel({ id, title, wasted, view, set, range, answer }: Props) {
  const use = USES.find((one) => one.name === view.use) ?? USES[0];
  const label = GROUPINGS.find((one) => one.name === view.of)?.label ?? "";
  const groupings = GROUPINGS.filter((one) => one.name !== "none" && one.name !== "status");
  const what = wasted ? use?.wasted : use?.held;
  return (
    <Panel
      id={id} title={title} answer={answer} tall={380}
      choices={
        <>
          <Select label="of" value={view.use} options={USES} set={(name) => set({ use: name })} />
          <Select<By> label="by" value={view.of} options={groupings} set={(of) => set({ of })} />
        </>
      }
      files={{
        name: `top-${what ?? ""}`, sql: (top) => top.sql,
        table: () => [[view.of, what ?? "", "share", "jobs", "held", "used"], ...(answer.value?.rows ?? []).map((row) => [row.key, row.value, row.share, row.jobs, row.paid, row.used])],
        rows: exports(view.filters, range),
      }}
    >
      {(top) => {
        const format = unitFormat(top.unit);
        const longest = top.rows.reduce((most, row) => Math.max(most, row.paid ?? row.value ?? 0), 0);
        if (top.rows.length === 0 || top.rows.every((row) => row.value === null)) {
          return (
            <p class="unmeasured">
              {top.rows.length === 0 ? "No jobs ended in this time." : view.use === "cost" ? "No prices are known for these jobs. " : "How much these jobs used is not known: they have no samples. "}
              {view.use === "cost" && <>Register the runners with <code>price_per_hour</code>: jobs archived after that have a cost.</>}
            </p>
          );
        }
        return (
          <>
            <p class="small bar-key">
              <span><i class="used" /> used</span> <span><i class="held" /> held, not used</span>
              {top.total !== null && <span class="in-all">{format(top.total)} {wasted ? "not used" : "held"} in all</span>}
            </p>
            <table class="top-list">
              <thead>
                <tr>
                  <th scope="col">{label}</th>
                  <th scope="col">{wasted ? "Not used" : "Held"}</th>
                  <th scope="col" class="less">Share</th>
                  <th scope="col" class="less">Jobs</th>
                  <th scope="col"><span class="unseen">Filter</span></th>
                </tr>
              </thead>
              <tbody>{top.rows.map((row) => <Row key={row.key} row={row} longest={longest} total={top.total} view={view} set={set} format={format} />)}</tbody>
            </table>
          </>
        );
      }}
    </Panel>
  );
}

