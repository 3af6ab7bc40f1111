// Sections of a job's log: cleans them, counts repeated names, nests them into rows, and finds one by name or time.
import { shorten } from "./parse";
import type { Range, Section, Summary } from "./types";

export interface Placed {
  /** Position in time order, also the identity within one page. */
  index: number;
  name: string;
  /** Counts sections of the same name from 1, in time order; `of` is how many there are. */
  nth: number;
  of: number;
  label: string;
  start: number;
  end: number;
  /** Row of the lane, 0 on top. */
  row: number;
  /** How many sections enclose it, and the index of the innermost of them. */
  depth: number;
  parent: number | null;
  summary: Summary;
}

/** A section without an end is still running: it lasts to `open`. */
export function placeSections(sections: readonly Section[], open: number): Placed[] {
  const placed: Placed[] = [];
  for (const section of sections) {
    if (section.start === null) continue;
    const end = Math.max(section.start, section.end ?? open);
    placed.push({
      index: 0, name: section.name, nth: 1, of: 1, label: shorten(section.name),
      start: section.start, end, row: 0, depth: 0, parent: null, summary: section.summary,
    });
  }
  placed.sort((a, b) => a.start - b.start || b.end - a.end);

  const counts = new Map<string, number>();
  const rowEnds: number[] = [];
  const enclosing: Placed[] = [];
  placed.forEach((section, index) => {
    section.index = index;
    section.nth = (counts.get(section.name) ?? 0) + 1;
    counts.set(section.name, section.nth);
    // What ended before this one starts, or ends inside it, does not enclose it.
    for (let top = enclosing.length - 1; top >= 0; top -= 1) {
      const outer = enclosing[top];
      if (outer !== undefined && (outer.end <= section.start || outer.end < section.end)) enclosing.splice(top, 1);
    }
    const parent = enclosing[enclosing.length - 1];
    section.depth = enclosing.length;
    section.parent = parent?.index ?? null;
    let row = parent === undefined ? 0 : parent.row + 1;
    while ((rowEnds[row] ?? -Infinity) > section.start) row += 1;
    section.row = row;
    while (rowEnds.length < row) rowEnds.push(-Infinity);
    rowEnds[row] = Math.max(section.end, section.start);
    enclosing.push(section);
  });
  for (const section of placed) {
    section.of = counts.get(section.name) ?? 1;
    if (section.of > 1) section.label += ` (${section.nth})`;
  }
  return placed;
}

/** The API's way to name a section: `name`, or `name#ordinal` for the second and later ones of a name. */
export function sectionKey(section: Placed): string {
  return section.nth > 1 ? `${section.name}#${section.nth}` : section.name;
}

export function findSection(placed: readonly Placed[], key: string | null): Placed | null {
  if (key === null) return null;
  const ordinal = /^(.*)#(\d+)$/s.exec(key);
  return (
    placed.find((section) => section.name === key) ??
    placed.find((section) => section.name === ordinal?.[1] && section.nth === Number(ordinal[2])) ??
    null
  );
}

/** The innermost section that contains an instant: what the log was doing then. */
export function sectionAt(placed: readonly Placed[], at: number): Placed | null {
  let found: Placed | null = null;
  for (const section of placed) {
    if (section.start > at) break;
    if (at < section.end && (found === null || section.row >= found.row)) found = section;
  }
  return found;
}

/** The next or previous section in time order, from the chosen one or else from an instant. */
export function neighbour(placed: readonly Placed[], from: Placed | null, at: number, step: 1 | -1): Placed | null {
  if (placed.length === 0) return null;
  if (from !== null) return placed[from.index + step] ?? null;
  if (step === 1) return placed.find((section) => section.start >= at) ?? placed[0] ?? null;
  return placed.filter((section) => section.start < at).pop() ?? placed[placed.length - 1] ?? null;
}

/** What to show for a section: itself with a margin, never narrower than a few samples. */
export function sectionRange(section: Range | Placed, full: Range, smallest: number): Range {
  const from = "from" in section ? section.from : section.start;
  const to = "to" in section ? section.to : section.end;
  const margin = (to - from) * 0.04;
  return fit({ from: from - margin, to: to + margin }, full, smallest);
}

/** Moves and widens a range so that it lies inside `full` and is at least `smallest` long. */
export function fit(range: Range, full: Range, smallest: number): Range {
  const whole = full.to - full.from;
  const span = Math.min(whole, Math.max(range.to - range.from, smallest));
  const middle = (range.from + range.to) / 2;
  const from = Math.min(Math.max(middle - span / 2, full.from), full.to - span);
  return { from, to: from + span };
}

/** Zooms around an instant. Zoomed out to everything is null: the whole job. */
export function zoom(range: Range, factor: number, anchor: number, full: Range, smallest: number): Range | null {
  const share = Math.min(1, Math.max(0, (anchor - range.from) / (range.to - range.from)));
  const span = Math.max(smallest, (range.to - range.from) * factor);
  if (span >= full.to - full.from) return null;
  const from = Math.min(Math.max(anchor - span * share, full.from), full.to - span);
  return { from, to: from + span };
}
