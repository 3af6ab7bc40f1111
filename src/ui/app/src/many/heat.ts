// The hours of a week as colours: which step of the scale each has, and which are the most. Pure.
import type { Cell } from "../types";
import type { HeatCell } from "./answers";
import { WEEKDAYS_LONG } from "./calendar";

/** Steps of the colour scale; the style sheet has as many. */
export const STEPS = 7;

/** 1 to STEPS by value between nothing and the most; 0 is "not known". */
export function stepOf(value: Cell, most: number): number {
  if (value === null) return 0;
  if (!(most > 0)) return 1;
  return Math.min(STEPS, Math.max(1, Math.ceil((value / most) * STEPS)));
}

export function mostOf(cells: readonly HeatCell[]): number {
  return cells.reduce((most, cell) => Math.max(most, cell.value ?? 0), 0);
}

const two = (hour: number): string => String(hour).padStart(2, "0");

/** "Tuesday 14:00 to 15:00" */
export function hourWords(slot: number): string {
  const hour = slot % 24;
  return `${WEEKDAYS_LONG[Math.floor(slot / 24)] ?? ""} ${two(hour)}:00 to ${two((hour + 1) % 24)}:00`;
}

export interface Tight {
  from: number;
  /** Hours in a row, on the same day. */
  hours: number;
  value: number;
}

/** The hour with the most, and its neighbours of that day that have nearly as much. */
export function tightest(cells: readonly HeatCell[]): Tight | null {
  const most = mostOf(cells);
  if (!(most > 0)) return null;
  const at = cells.findIndex((cell) => cell.value === most);
  const near = (slot: number): boolean => Math.floor(slot / 24) === Math.floor(at / 24) && (cells[slot]?.value ?? 0) >= 0.8 * most;
  let [from, to] = [at, at];
  while (from > 0 && near(from - 1)) from -= 1;
  while (near(to + 1)) to += 1;
  return { from, hours: to - from + 1, value: most };
}

export function tightWords(tight: Tight): string {
  const hour = tight.from % 24;
  return `${WEEKDAYS_LONG[Math.floor(tight.from / 24)] ?? ""}s, ${two(hour)}:00 to ${two((hour + tight.hours) % 24)}:00`;
}
