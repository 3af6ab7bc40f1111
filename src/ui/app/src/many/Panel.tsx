// The frame of a graphic over many jobs: its title and choices, its menu of downloads, and what stands in its place while
// it loads, when it failed and when there is nothing.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { problemOf } from "../api";
import { Menu, useCopy } from "../Menu";
import type { Problem } from "../parse";
import { StatePanel } from "../StatePanel";
import { askFile, type Answer } from "./ask";
import { csv, save, type Table } from "./save";

/** A name from outside that may break behind its slashes, as paths do. */
export function Name({ text }: { text: string }) {
  return <>{text.split(/(?<=\/)/).map((part, index) => (index === 0 ? part : [<wbr key={index} />, part]))}</>;
}

interface SelectProps<T extends string> {
  label: string;
  value: T;
  options: readonly { name: T; label: string }[];
  set: (value: T) => void;
}

/** A choice that reads as a part of the heading. */
export function Select<T extends string>({ label, value, options, set }: SelectProps<T>) {
  return (
    <label class="pick">
      <span>{label}</span>
      <select aria-label={label} value={value} onChange={(event) => set(event.currentTarget.value as T)}>
        {options.map((one) => <option key={one.name} value={one.name}>{one.label}</option>)}
      </select>
    </label>
  );
}

export function FailedPanel({ problem, retry }: { problem: Problem; retry: () => void }) {
  return (
    <StatePanel
      title={problem.title ?? `The server answered ${problem.status}`}
      text={problem.detail ?? "It gave no further reason."}
      todo={problem.status === 400 || problem.status === 404
        ? "Change the choice or the filters above. If it stays, this page and the service are not of the same version: reload."
        : problem.status === 429 || problem.status === 503
          ? "Wait a moment and try again: the service has too much to do, or is starting."
          : "Try again, or choose a shorter time. If it stays, give the operator the request id: it names this request in the server's log."}
      code={problem.code ?? (problem.status > 0 ? `HTTP ${problem.status}` : null)}
      requestId={problem.requestId}
      actions={<button type="button" onClick={retry}>Try again</button>}
    />
  );
}

interface FilesProps {
  id: string;
  /** What the files are called, without ending. */
  name: string;
  /** The numbers on the screen; null if the service makes the CSV as well. */
  table: (() => Table) | null;
  sql: string | null;
  /** [format, address] of the rows of the jobs behind it. */
  rows: readonly (readonly [string, string])[];
}

/** Numbers that are shown, the jobs behind them, and the question in SQL. */
export function Files({ id, name, table, sql, rows }: FilesProps) {
  const [said, say] = useState<string | null>(null);
  const [copy, copied] = useCopy("SQL");
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);
  const make = (query: string, format: string): void => {
    abort.current?.abort();
    abort.current = new AbortController();
    copy(null);
    say("The service is making the file…");
    askFile(query, format, abort.current.signal).then(
      (file) => {
        save(`${name}.${format}`, file);
        say(null);
      },
      (error: unknown) => {
        const problem = problemOf(error);
        say(`It failed: ${[problem.title, problem.detail].filter((part) => part !== null).join(". ")} Try again, or choose fewer jobs.`);
      },
    );
  };
  const opened = (): void => {
    copy(null);
    say(null);
  };
  return (
    <Menu id={`${id}-files`} label="Download" title="What is shown, as a file or as SQL" describe="Downloads" opened={opened}>
      <ul>
        <li>
          <span>{table === null ? "These jobs" : "These numbers"}</span>
          <span class="small">{table === null ? "all pages, 100,000 at most" : "as shown here"}</span>
          <span class="row">
            {table !== null && <button type="button" onClick={() => save(`${name}.csv`, new Blob([csv(table())], { type: "text/csv" }))}>CSV</button>}
            {table === null && sql !== null && <button type="button" onClick={() => make(sql, "csv")}>CSV</button>}
            {sql !== null && <button type="button" onClick={() => make(sql, "parquet")}>Parquet</button>}
          </span>
        </li>
        {rows.length > 0 && (
          <li>
            <span>Their jobs</span>
            <span class="small">all columns, whole days (UTC)</span>
            <span class="row">{rows.map(([format, address]) => <a key={format} class="button" download href={address}>{format}</a>)}</span>
          </li>
        )}
        {sql !== null && (
          <li>
            <span>The question</span>
            <span class="small">for POST /api/v1/sql</span>
            <span class="row"><button type="button" onClick={() => copy(sql)}>Copy as SQL</button></span>
          </li>
        )}
      </ul>
      {said !== null && <p role="status">{said}</p>}
      {copied}
    </Menu>
  );
}

interface Props<T> {
  id: string;
  title: string;
  answer: Answer<T>;
  /** Beside the title: selects. */
  choices?: ComponentChildren;
  /** To the right of them: buttons. */
  buttons?: ComponentChildren;
  files: Omit<FilesProps, "id" | "sql"> & { sql: (value: T) => string | null };
  tall: number;
  children: (value: T) => ComponentChildren;
}

export function Panel<T>({ id, title, answer, choices, buttons, files, tall, children }: Props<T>) {
  const { value, problem, busy, retry } = answer;
  return (
    <section class="bench panel" id={id} aria-labelledby={`${id}-title`} aria-busy={busy}>
      <div class="toolbar">
        <h2 id={`${id}-title`}>{title}</h2>
        {choices}
        <span class="room" />
        {buttons}
        {value !== null && problem === null && <Files {...files} id={id} sql={files.sql(value)} />}
      </div>
      {problem !== null ? (
        <FailedPanel problem={problem} retry={retry} />
      ) : value === null ? (
        <p class="waiting" style={{ minHeight: `${tall}px` }}>Loading…</p>
      ) : (
        <div class={busy ? "old" : undefined}>{children(value)}</div>
      )}
    </section>
  );
}
