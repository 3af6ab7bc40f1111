// What a reader with a red job asks first, answered in words: only what the record and the samples say, no diagnosis.
import { bytes, coreNumber, cores, count, duration, offset, percent } from "./format";
import { peak, type Frame } from "./frame";
import { OOM } from "./metrics";
import { sectionAt, type Placed } from "./sections";
import type { Cell, Job, Range, Stats } from "./types";

/** Plain text, a number to stand out, or a section's name, which leads to it. */
export type Part = { kind: "text"; text: string } | { kind: "value"; text: string } | { kind: "section"; text: string; section: Placed };
export type Sentence = Part[];

export interface Answer {
  question: string;
  /** The shortest answer; absent if the sentences are all there is. */
  head: string | null;
  alarm: boolean;
  /** How much of the machine's capacity, for a bar. */
  share: Cell;
  sentences: Sentence[];
}

const text = (shown: string): Part => ({ kind: "text", text: shown });
const value = (shown: string): Part => ({ kind: "value", text: shown });
const name = (section: Placed): Part => ({ kind: "section", text: section.label, section });
/** A number and its unit stay on one line. */
const share = (ratio: number): string => percent(ratio).replace(" ", "\u00a0");

/** Bounds instead of a number: all there is of a job between two samples. */
function bounds(stats: Stats | undefined): { low: number; high: number } | null {
  return stats !== undefined && stats.low !== null && stats.high !== null ? { low: stats.low, high: stats.high } : null;
}

function during(placed: readonly Placed[], at: number): Part[] {
  const section = sectionAt(placed, at);
  return section === null ? [] : [text(", during "), name(section)];
}

/** Peak memory and when: the summary's number, the profile's instant if it shows the same peak. */
export function memoryPeak(job: Job, frame: Frame | null, window: Range): { value: number; at: Cell } | null {
  const stored = job.summary.get("memory_used_bytes")?.max ?? null;
  const values = frame?.gauges.get("memory_used_bytes");
  const seen = frame !== null && values !== undefined ? peak(frame, values, "gauge", { from: window.from, to: window.to - 1 }) : null;
  if (stored === null) return seen;
  return { value: stored, at: seen !== null && Math.abs(seen.value - stored) <= stored * 0.001 ? seen.at : null };
}

/** Samples in which kills were counted: when exactly between two samples is not known. */
export function killRanges(frame: Frame): { from: number; to: number; count: number }[] {
  const values = frame.rates.get(OOM) ?? [];
  return frame.x.flatMap((to, point) => {
    const many = values[point] ?? null;
    return many !== null && many > 0 ? [{ from: frame.starts[point] ?? to, to, count: many }] : [];
  });
}

function killCount(job: Job, frame: Frame | null): Cell {
  const stored = job.summary.get("oom_kills")?.total ?? null;
  // While the job runs there is no summary yet.
  if (stored !== null || frame?.gauges.get(OOM)?.some((cell) => cell !== null) !== true) return stored;
  return killRanges(frame).reduce((sum, kill) => sum + kill.count, 0);
}

function memory(job: Job, frame: Frame | null, placed: readonly Placed[], window: Range): Answer | null {
  const total = job.machine.memoryTotal;
  const found = memoryPeak(job, frame, window);
  const range = bounds(job.summary.get("memory_used_bytes"));
  const kills = killCount(job, frame);
  if (found === null && range === null && kills === null) return null;

  const sentences: Sentence[] = [];
  const when = frame === null || kills === 0 ? [] : killRanges(frame);
  const [first, last] = [when[0], when[when.length - 1]];
  if (first !== undefined && last !== undefined) {
    const times = [text("Between "), value(offset(first.from - window.from)), text(" and "), value(offset(last.to - window.from))];
    // A section is named only if all of that time lies in it.
    const sure = sectionAt(placed, first.from) === sectionAt(placed, last.to);
    sentences.push([...times, ...(sure ? during(placed, last.to) : []), text(".")]);
  }
  const of: Part[] = total === null ? [] : [text(" of "), value(bytes(total))];
  if (found !== null) {
    const sentence: Sentence = [text("Memory peaked at "), value(bytes(found.value)), ...of];
    if (total !== null) sentence.push(text(` (${share(found.value / total)})`));
    if (found.at !== null) sentence.push(text(" at "), value(offset(found.at - window.from)), ...during(placed, found.at));
    sentences.push([...sentence, text(".")]);
  } else if (range !== null) {
    sentences.push([text("Memory used was between "), value(bytes(range.low)), text(" and "), value(bytes(range.high)), ...of, text(".")]);
  }
  return {
    question: "Out of memory?",
    head: kills === null ? "Kills not measured" : kills === 0 ? "No kill counted" : `${count(kills)} out-of-memory ${kills === 1 ? "kill" : "kills"}`,
    alarm: kills !== null && kills > 0,
    share: found !== null && total !== null ? found.value / total : null,
    sentences,
  };
}

/** The section with the most of something; of equal ones the innermost. */
function most(placed: readonly Placed[], read: (section: Placed) => Cell): { section: Placed; value: number } | null {
  let found: { section: Placed; value: number } | null = null;
  for (const section of placed) {
    const seen = read(section);
    if (seen !== null && seen > 0 && (found === null || seen > found.value || (seen === found.value && section.depth > found.section.depth))) {
      found = { section, value: seen };
    }
  }
  return found;
}

/** What each section used itself, without the sections inside it: else the outermost one would always be the answer. */
function own(placed: readonly Placed[], read: (section: Placed) => Cell): (section: Placed) => Cell {
  const left = placed.map(read);
  for (const section of placed) {
    const around = section.parent === null ? null : (left[section.parent] ?? null);
    if (section.parent !== null && around !== null) left[section.parent] = around - (read(section) ?? 0);
  }
  return (section) => left[section.index] ?? null;
}

function commands(job: Job, placed: readonly Placed[]): Answer | null {
  const used = (section: Placed): Cell => section.summary.get("cpu_used_seconds")?.total ?? null;
  const all = job.summary.get("cpu_used_seconds")?.total ?? null;
  const hungry = most(placed, (section) => section.summary.get("memory_used_bytes")?.max ?? null);
  const busy = most(placed, own(placed, used));
  const long = most(placed, own(placed, (section) => section.end - section.start));
  if (long === null) return null;
  const sentences: Sentence[] = [];
  if (hungry !== null) sentences.push([text("Most memory: "), name(hungry.section), text(", "), value(bytes(hungry.value)), text(".")]);
  if (busy !== null) {
    const part = all !== null && all >= busy.value ? ` (${share(busy.value / all)} of all)` : "";
    sentences.push([text("Most CPU time: "), name(busy.section), text(", "), value(duration(busy.value * 1000)), text(`${part}.`)]);
  }
  sentences.push([text("Longest: "), name(long.section), text(", "), value(duration(long.value)), text(".")]);
  return { question: "Which command?", head: null, alarm: false, share: null, sentences };
}

/** [what is waited for, share of the time that something waited for it] */
const WAITS: readonly [string, string][] = [
  ["CPU", "pressure_cpu_ratio"], ["memory", "pressure_memory_ratio"], ["disk", "pressure_io_ratio"], ["its CPU quota", "cpu_throttled_ratio"],
];

function runner(job: Job, frame: Frame | null, window: Range): Answer | null {
  const stats = job.summary.get("cpu_used_cores");
  const cpus = job.machine.cpuCount;
  const shown = (used: number): string => (cpus === null ? cores(used) : `${coreNumber(used)} of ${count(cpus)} cores`);
  const answer: Answer = { question: "Runner too small?", head: null, alarm: false, share: null, sentences: [] };
  const mean = stats?.mean ?? null;
  const range = bounds(job.summary.get("cpu_used_seconds"));
  const length = (window.to - window.from) / 1000;
  const now = job.state === "live" ? (frame?.rates.get("cpu_used_cores")?.filter((cell) => cell !== null).pop() ?? null) : null;
  if (mean !== null) {
    answer.head = `${shown(mean)} on average`;
    const half = stats?.p50 ?? null;
    const max = stats?.max ?? null;
    const parts: Part[] = [];
    if (max !== null) parts.push(value(coreNumber(max)), text(" at most"));
    if (half !== null) parts.push(text(parts.length > 0 ? ", " : ""), value(coreNumber(half)), text(" or less for half of the time"));
    if (parts.length > 0) answer.sentences.push([text("CPU used: "), ...parts, text(".")]);
  } else if (range !== null && length > 0) {
    answer.head = `${coreNumber(range.low / length)} to ${shown(range.high / length)} on average`;
  } else if (now !== null) {
    answer.head = `${shown(now)} in the last sample`;
  } else return null;
  const used = mean ?? now;
  if (used !== null && cpus !== null) answer.share = used / cpus;

  const waits = WAITS.flatMap(([what, metric]) => {
    const ratio = job.summary.get(metric)?.mean ?? null;
    return ratio === null || ratio < 0.0005 ? [] : [`for ${what} ${share(ratio)}`];
  });
  if (waits.length > 0) answer.sentences.push([text(`Something waited ${waits.join(", ")} of the time.`)]);
  return answer;
}

/** Nothing is said about a job without any number. */
export function answers(job: Job, frame: Frame | null, placed: readonly Placed[], window: Range): Answer[] {
  const [first, last] = [memory(job, frame, placed, window), runner(job, frame, window)];
  if (first === null && last === null) return [];
  return [first, commands(job, placed), last].filter((one) => one !== null);
}

export function plain(all: readonly Answer[]): string {
  return all
    .map((answer) => [answer.question, ...(answer.head === null ? [] : [`${answer.head}.`]), ...answer.sentences.map((parts) => parts.map((part) => part.text).join(""))].join(" "))
    .join(" ");
}

/** "2 gaps, 1 min 30 s in all" */
export function gapWords(gaps: readonly Range[]): string {
  const lost = gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0);
  return gaps.length === 1 ? `1 gap, ${duration(lost)}` : `${count(gaps.length)} gaps, ${duration(lost)} in all`;
}
