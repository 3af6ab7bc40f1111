// What the fleet's numbers say, in words: how much ran, how much of it was not used, when it is tight, what changed.
// Pure; nothing is said that no number says.
import { percent } from "../format";
import type { Cell } from "../types";
import type { Heat, Top, Trend } from "./answers";
import { tightest, tightWords } from "./heat";
import type { Chart, Line } from "./trend";
import { compact, spoken, unitFormat } from "./units";

export interface Fact {
  question: string;
  head: string;
  share: Cell;
  sentences: string[];
}

export interface Known {
  held: Top | null;
  wasted: Top | null;
  heat: Heat | null;
  /** Words for what the heat shows, and for what is held. */
  heatSentence: string;
  useWords: string;
  trend: Trend | null;
  chart: Chart | null;
  metric: string;
  stat: string;
}

/** A share whose number and sign stay on one line. */
function share(ratio: Cell): string {
  return percent(ratio).replace(" ", "\u00a0");
}

function biggest(top: Top): string | null {
  const row = top.rows[0];
  if (row === undefined || row.value === null) return null;
  const part = row.share ?? (top.total !== null && top.total > 0 ? row.value / top.total : null);
  return `Most: ${row.key}, ${spoken(top.unit)(row.value)}${part === null ? "" : ` (${share(part)})`}.`;
}

function ran(known: Known): Fact | null {
  const jobs = known.heat?.cells.reduce((sum, cell) => sum + cell.jobs, 0) ?? null;
  if (jobs === null) return null;
  const { held } = known;
  const total = held?.total ?? null;
  const sentences = held === null || total === null ? [] : [`They held ${spoken(held.unit)(total)}${held.unit === "money" ? " of machine time" : ""}.`, biggest(held) ?? ""];
  return { question: "How much ran?", head: `${compact(jobs)} ${jobs === 1 ? "job" : "jobs"}`, share: null, sentences: sentences.filter((one) => one !== "") };
}

function unused({ held, wasted, useWords }: Known): Fact | null {
  const [all, lost] = [held?.total ?? null, wasted?.total ?? null];
  if (wasted === null || all === null || lost === null || !(all > 0)) return null;
  const most = biggest(wasted);
  return {
    question: "How much was not used?", head: `${share(Math.min(1, lost / all))} of ${useWords}`, share: Math.min(1, lost / all),
    sentences: [`${spoken(wasted.unit)(lost)} were held by jobs and not used.`, ...(most === null ? [] : [most])],
  };
}

function tight({ heat, heatSentence }: Known): Fact | null {
  const found = heat === null ? null : tightest(heat.cells);
  if (heat === null || found === null) return null;
  return { question: "Which hours are tight?", head: tightWords(found), share: null, sentences: [`${heatSentence}: ${unitFormat(heat.unit)(found.value)}${heat.unit === "jobs" ? " jobs" : ""} in the hour with the most.`] };
}

/** The line that moved most, among those with enough jobs to mean something. */
export function mostChanged(chart: Chart): Line | null {
  const all = chart.lines.reduce((sum, line) => sum + line.total, 0);
  let found: Line | null = null;
  for (const line of chart.lines) {
    if (line.change === null || line.total * 50 < all) continue;
    if (found === null || Math.abs(line.change) > Math.abs(found.change ?? 0)) found = line;
  }
  return found;
}

function changed({ chart, metric, stat }: Known): Fact | null {
  const line = chart === null ? null : mostChanged(chart);
  if (line === null || line.change === null) return null;
  const sized = Math.abs(line.change) < 0.005 ? "the same" : `${share(Math.abs(line.change)).replace(/^[<>]/, "")} ${line.change > 0 ? "more" : "less"}`;
  const name = line.series.key === "all" ? "All jobs" : line.series.key;
  return {
    question: "What changed most?", head: `${name}: ${sized}`, share: null,
    sentences: [`${metric}${stat === "" ? "" : `, ${stat}`}: the last third of this time against the first.`],
  };
}

export function facts(known: Known): Fact[] {
  return [ran(known), unused(known), tight(known), changed(known)].filter((one) => one !== null);
}
