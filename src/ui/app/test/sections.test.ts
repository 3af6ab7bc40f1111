import { describe, expect, test } from "vitest";
import { findSection, fit, neighbour, placeSections, sectionAt, sectionKey, sectionRange, zoom } from "../src/sections";
import { sortSections } from "../src/SectionTable";
import type { Section } from "../src/types";

const make = (name: string, start: number | null, end: number | null): Section => ({ name, start, end, summary: new Map() });

describe("lanes", () => {
  test("nested sections go one row down, neighbours share a row", () => {
    const placed = placeSections([make("b", 10, 40), make("a", 0, 100), make("c", 40, 90), make("d", 12, 20), make("z", 100, 110)], 110);
    expect(placed.map((one) => [one.name, one.row, one.depth])).toEqual([["a", 0, 0], ["b", 1, 1], ["d", 2, 2], ["c", 1, 1], ["z", 0, 0]]);
  });
  test("overlapping ones never share a row", () => {
    const placed = placeSections(Array.from({ length: 60 }, (_, n) => make("s", n, 100 + n)), 200);
    for (const a of placed) for (const b of placed) if (a !== b && a.row === b.row) expect(a.end <= b.start || b.end <= a.start).toBe(true);
  });
  test("repeated names are counted in time order", () => {
    const placed = placeSections([make("test", 50, 60), make("test", 0, 10), make("other", 20, 30)], 100);
    expect(placed.map((one) => one.label)).toEqual(["test (1)", "other", "test (2)"]);
    expect(findSection(placed, "test#2")?.start).toBe(50);
    expect(findSection(placed, "test")?.start).toBe(0);
    expect(placed.map(sectionKey)).toEqual(["test", "other", "test#2"]);
    expect(findSection(placed, "test#3")).toBeNull();
    expect(findSection(placed, null)).toBeNull();
  });
  test("open, backward and timeless sections", () => {
    const placed = placeSections([make("open", 5, null), make("back", 9, 3), make("none", null, 4)], 50);
    expect(placed.map((one) => [one.name, one.start, one.end])).toEqual([["open", 5, 50], ["back", 9, 9]]);
  });
  test("1,000 sections are placed at once", () => {
    const begun = performance.now();
    expect(placeSections(Array.from({ length: 1000 }, (_, n) => make(`s${n}`, n, n + 500)), 2000)).toHaveLength(1000);
    expect(performance.now() - begun).toBeLessThan(250);
  });
  test("the innermost section at an instant, and its neighbours", () => {
    const placed = placeSections([make("a", 0, 100), make("b", 10, 40), make("c", 60, 90)], 100);
    expect(sectionAt(placed, 15)?.name).toBe("b");
    expect(sectionAt(placed, 50)?.name).toBe("a");
    expect(sectionAt(placed, 100)).toBeNull();
    expect(neighbour(placed, null, 12, 1)?.name).toBe("c");
    expect(neighbour(placed, placed[0] ?? null, 0, 1)?.name).toBe("b");
    expect(neighbour(placed, placed[2] ?? null, 0, 1)).toBeNull();
    expect(neighbour([], null, 0, 1)).toBeNull();
  });
});

describe("ranges", () => {
  const full = { from: 0, to: 1000 };
  test("fit stays inside and is never too small", () => {
    expect(fit({ from: -50, to: 20 }, full, 10)).toEqual({ from: 0, to: 70 });
    expect(fit({ from: 990, to: 991 }, full, 30)).toEqual({ from: 970, to: 1000 });
    expect(fit({ from: -9e9, to: 9e9 }, full, 30)).toEqual(full);
    expect(fit({ from: 5000, to: 6000 }, full, 30)).toEqual(full);
  });
  test("zoom keeps the anchor where it is; all the way out is the whole", () => {
    expect(zoom(full, 0.5, 250, full, 1)).toEqual({ from: 125, to: 625 });
    expect(zoom({ from: 100, to: 600 }, 2, 300, full, 1)).toBeNull();
    expect(zoom({ from: 0, to: 100 }, 0.01, 50, full, 40)?.to).toBeCloseTo(70);
  });
  test("a short section is shown with a few samples around", () => {
    const range = sectionRange({ from: 500, to: 501 }, full, 60);
    expect(range.to - range.from).toBe(60);
  });
  test("sorting puts absent values last in both directions", () => {
    const placed = placeSections([make("a", 0, 1), make("b", 1, 2), make("c", 2, 3)], 9);
    const value = (section: { name: string }) => ({ a: 1, b: null, c: 3 })[section.name] ?? null;
    expect(sortSections(placed, value, true).map((one) => one.name)).toEqual(["a", "c", "b"]);
    expect(sortSections(placed, value, false).map((one) => one.name)).toEqual(["c", "a", "b"]);
  });
});
