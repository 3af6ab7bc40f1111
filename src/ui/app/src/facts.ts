// The sentences on top of the page: only what the record and the profile say, no advice and no diagnosis.
import { bytes, coreNumber, cores, count, duration, offset, percent } from "./format";
import { peak, type Frame } from "./frame";
import { sectionAt, type Placed } from "./sections";
import type { Cell, Job, Range, Stats } from "./types";

/** Plain text, a number to stand out, or a name from outside that is set as code. */
export type Part = { kind: "text" | "value" | "name"; text: string };
export type Sentence = Part[];

const text = (value: string): Part => ({ kind: "text", text: value });
const value = (shown: string): Part => ({ kind: "value", text: shown });
const name = (shown: string): Part => ({ kind: "name", text: shown });

function bounds(stats: Stats | undefined): { low: number; high: number } | null {
  return stats !== undefined && stats.low !== null && stats.high !== null ? { low: stats.low, high: stats.high } : null;
}

/** Peak memory and when: the summary's number, the profile's instant if it shows the same peak. */
export function memoryPeak(job: Job, frame: Frame | null, window: Range): { value: number; at: Cell } | null {
  const stored = job.summary.get("memory_used_bytes")?.max ?? null;
  const values = frame?.gauges.get("memory_used_bytes");
  const seen = frame !== null && values !== undefined ? peak(frame, values, "gauge", { from: window.from, to: window.to - 1 }) : null;
  if (stored === null) return seen;
  return { value: stored, at: seen !== null && Math.abs(seen.value - stored) <= stored * 0.001 ? seen.at : null };
}

function memorySentence(job: Job, frame: Frame | null, placed: readonly Placed[], window: Range): Sentence | null {
  const total = job.machine.memoryTotal;
  const of: Part[] = total === null ? [] : [text(" of "), value(bytes(total))];
  const found = memoryPeak(job, frame, window);
  if (found === null) {
    const range = bounds(job.summary.get("memory_used_bytes"));
    if (range === null) return null;
    return [text("Memory used was between "), value(bytes(range.low)), text(" and "), value(bytes(range.high)), ...of, text(".")];
  }
  const sentence: Sentence = [text("Memory peaked at "), value(bytes(found.value)), ...of];
  if (total !== null) sentence.push(text(` (${percent(found.value / total).replace(" ", "\u00a0")})`));
  if (found.at !== null) {
    sentence.push(text(" at "), value(offset(found.at - window.from)));
    const during = sectionAt(placed, found.at);
    if (during !== null) sentence.push(text(", during "), name(during.label));
  }
  sentence.push(text("."));
  return sentence;
}

function cpuSentence(job: Job, window: Range): Sentence | null {
  const stats = job.summary.get("cpu_used_cores");
  const cpus = job.machine.cpuCount;
  const shown = (used: number): string => (cpus === null ? cores(used) : `${coreNumber(used)} of ${count(cpus)} cores`);
  const mean = stats?.mean ?? null;
  if (mean !== null) {
    const sentence: Sentence = [text("CPU used "), value(shown(mean)), text(" on average")];
    const max = stats?.max ?? null;
    if (max !== null) sentence.push(text(", "), value(coreNumber(max)), text(" at most"));
    sentence.push(text("."));
    return sentence;
  }
  const range = bounds(job.summary.get("cpu_used_seconds"));
  const length = (window.to - window.from) / 1000;
  if (range === null || !(length > 0)) return null;
  return [
    text("CPU used between "), value(coreNumber(range.low / length)), text(" and "),
    value(shown(range.high / length)), text(" on average."),
  ];
}

function oomSentence(job: Job): Sentence {
  const total = job.summary.get("oom_kills")?.total ?? null;
  if (total === null) return [text("Out-of-memory kills were not measured.")];
  if (total === 0) return [text("No out-of-memory kill was counted.")];
  return [value(`${count(total)} out-of-memory ${total === 1 ? "kill" : "kills"}`), text(" on this machine during the job.")];
}

function neighbourSentence(job: Job): Sentence | null {
  const many = job.coTenants.length;
  if (many === 0) return null;
  return [
    value(many === 1 ? "1 other job" : `${count(many)} other jobs`),
    text(" ran on this machine at the same time; all numbers are the machine's, not this job's alone."),
  ];
}

/** Nothing is said about a job without any number. */
export function facts(job: Job, frame: Frame | null, placed: readonly Placed[], window: Range): Sentence[] {
  const measured = [memorySentence(job, frame, placed, window), cpuSentence(job, window)].filter((one) => one !== null);
  if (measured.length === 0 && job.summary.get("oom_kills")?.total == null) return [];
  return [...measured, oomSentence(job), neighbourSentence(job)].filter((one) => one !== null);
}

export function plain(sentences: readonly Sentence[]): string {
  return sentences.map((parts) => parts.map((part) => part.text).join("")).join(" ");
}

/** "2 gaps, 1 min 30 s in all" */
export function gapWords(gaps: readonly Range[]): string {
  const lost = gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0);
  return gaps.length === 1 ? `1 gap, ${duration(lost)}` : `${count(gaps.length)} gaps, ${duration(lost)} in all`;
}
