// A question and its answer: what was there stays until the next answer is complete, so that nothing flickers, and what
// nobody wants any more is given up.
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, problemOf } from "../api";
import type { Problem } from "../parse";

export interface Answer<T> {
  /** The newest answer, perhaps that of the question before. */
  value: T | null;
  problem: Problem | null;
  busy: boolean;
  retry: () => void;
}

/** A service that has too much to do says so at once; who asks again a little later is served. */
const PAUSES_MS = [700, 1500, 3000];

async function patiently<T>(load: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (const pause of PAUSES_MS) {
    try {
      return await load();
    } catch (error) {
      if (problemOf(error).status !== 429 || signal.aborted) throw error;
      await new Promise((done) => setTimeout(done, pause));
      signal.throwIfAborted();
    }
  }
  return load();
}

/** Asks whenever the question changes; null asks nothing. */
export function useAnswer<T>(question: string | null, load: (question: string, signal: AbortSignal) => Promise<T>): Answer<T> {
  const [state, setState] = useState<{ of: string | null; value: T | null; problem: Problem | null }>({ of: null, value: null, problem: null });
  const [round, setRound] = useState(0);
  const key = question === null ? null : `${round} ${question}`;
  const asked = useRef(load);
  asked.current = load;
  useEffect(() => {
    if (question === null) return undefined;
    const abort = new AbortController();
    patiently(() => asked.current(question, abort.signal), abort.signal).then(
      (value) => setState({ of: key, value, problem: null }),
      (error: unknown) => {
        if (!abort.signal.aborted) setState((before) => ({ of: key, value: before.value, problem: problemOf(error) }));
      },
    );
    return () => abort.abort();
  }, [key]);
  const busy = key !== null && state.of !== key;
  return { value: state.value, problem: busy ? null : state.problem, busy, retry: () => setRound((before) => before + 1) };
}

function sqlRequest(query: string, format: string): RequestInit {
  return { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ query, format }) };
}

const SQL = "/api/v1/sql";

/** Rows as objects by column name. */
export async function askSql(query: string, signal: AbortSignal): Promise<Record<string, unknown>[]> {
  const body: unknown = await ask(SQL, signal, (response) => response.json() as Promise<unknown>, sqlRequest(query, "json"));
  const { columns, rows } = body as { columns?: { name?: unknown }[]; rows?: unknown[][] };
  if (!Array.isArray(columns) || !Array.isArray(rows)) throw new Error("The answer is no table.");
  return rows.map((row) => Object.fromEntries(columns.map((column, at) => [String(column.name), row[at]])));
}

export function askFile(query: string, format: string, signal: AbortSignal): Promise<Blob> {
  return ask(SQL, signal, (response) => response.blob(), sqlRequest(query, format));
}

/** A text as SQL spells it: the only escape is the doubled quote. */
export function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
