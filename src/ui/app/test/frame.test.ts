import { describe, expect, test } from "vitest";
import { axisTop, buildFrame, gaugeAt, peak, rateAt, refine, sparse } from "../src/frame";
import { readProfile } from "../src/parse";
import { lonely, Pen, steps, widthless } from "../src/paths";

const profile = (over: Record<string, unknown> = {}) =>
  readProfile({
    ts_ms: [10_000, 25_000, 40_000, 100_000, 115_000],
    interval_ms: [15_000, 15_000, 15_000, 60_000, 15_000],
    metrics: {
      cpu_used_cores: { unit: "cores", values: [1, 2, 3, 4, 5] },
      memory_used_bytes: { unit: "bytes", values: [10, 20, 30, 40, 50] },
    },
    gaps: [{ from_ms: 40_000, to_ms: 100_000 }],
    ...over,
  });

describe("gaps are not bridged", () => {
  test("what uPlot gets has an empty point inside the gap, and no rate over it", () => {
    const frame = buildFrame(profile(), [], 15_000);
    expect(frame.x).toEqual([10_000, 25_000, 40_000, 70_000, 100_000, 115_000]);
    expect(frame.gauges.get("memory_used_bytes")).toEqual([10, 20, 30, null, 40, 50]);
    // The rate of the sample that ends the gap would spread over the gap: it is not drawn.
    expect(frame.rates.get("cpu_used_cores")).toEqual([1, 2, 3, null, null, 5]);
    const drawn = steps(frame.x, frame.starts, frame.rates.get("cpu_used_cores") ?? []);
    for (const step of drawn) expect(step.to <= 40_000 || step.from >= 100_000).toBe(true);
    expect(drawn.map((step) => step.joined)).toEqual([false, true, true, false]);
  });

  test("a gap that only the record lists counts too", () => {
    const frame = buildFrame(profile({ gaps: [] }), [{ from: 12_000, to: 24_000 }], null);
    expect(frame.gauges.get("memory_used_bytes")?.slice(0, 3)).toEqual([10, null, 20]);
    expect(frame.rates.get("cpu_used_cores")?.[2]).toBeNull();
  });

  test("a hole nobody listed is still a hole when the scrape interval is known", () => {
    const frame = buildFrame(profile({ gaps: [] }), [], 15_000);
    expect(frame.gaps).toEqual([{ from: 40_000, to: 100_000 }]);
    expect(frame.gauges.get("memory_used_bytes")?.[3]).toBeNull();
  });

  test("a null of one metric breaks that metric alone", () => {
    const frame = buildFrame(profile({ metrics: { cpu_used_cores: { values: [1, null, 3, 4, 5] }, memory_used_bytes: { values: [10, 20, 30, 40, 50] } } }), [], 15_000);
    expect(frame.rates.get("cpu_used_cores")?.slice(0, 3)).toEqual([1, null, 3]);
    expect(steps(frame.x, frame.starts, frame.rates.get("cpu_used_cores") ?? [])[1]?.joined).toBe(false);
    expect(frame.gauges.get("memory_used_bytes")?.[1]).toBe(20);
  });
});

describe("a rate covers (ts - interval, ts]", () => {
  const frame = buildFrame(profile(), [], 15_000);
  test("steps begin at ts - interval", () => {
    const drawn = steps(frame.x, frame.starts, frame.rates.get("cpu_used_cores") ?? []);
    expect(drawn[0]).toEqual({ from: -5_000, to: 10_000, value: 1, joined: false });
    expect(drawn[1]).toMatchObject({ from: 10_000, to: 25_000, value: 2, joined: true });
  });
  test("the readout follows the same rule", () => {
    const value = (at: number) => {
      const point = rateAt(frame, at);
      return point === null ? null : (frame.rates.get("cpu_used_cores")?.[point] ?? null);
    };
    expect([value(10_001), value(25_000), value(25_001), value(70_000), value(100_000), value(110_000), value(200_000)]).toEqual([2, 2, 3, null, null, 5, null]);
  });
  test("gauges are read at the nearest sample, never inside a gap", () => {
    const value = (at: number) => {
      const point = gaugeAt(frame, at);
      return point === null ? null : (frame.gauges.get("memory_used_bytes")?.[point] ?? null);
    };
    expect([value(10_000), value(16_000), value(24_000), value(70_000), value(40_000), value(100_000)]).toEqual([10, 10, 20, null, 30, 40]);
  });
  test("an unknown interval starts at the sample before; without one it is a dot", () => {
    const open = buildFrame(profile({ interval_ms: [null, null, 15_000, 60_000, 15_000] }), [], null);
    expect(open.starts.slice(0, 3)).toEqual([null, 10_000, 25_000]);
    expect(widthless(open.x, open.starts, open.rates.get("cpu_used_cores") ?? [])).toEqual([0]);
  });
});

describe("edges", () => {
  test("no sample, one sample", () => {
    expect(buildFrame(readProfile({}), [], null).x).toEqual([]);
    const one = buildFrame(readProfile({ ts_ms: [5], interval_ms: [null], metrics: { a: { values: [0] } } }), [{ from: 0, to: 9 }], 15_000);
    expect(one.x).toEqual([5]);
    expect(lonely(one.gauges.get("a") ?? [])).toEqual([0]);
    expect(gaugeAt(one, 5)).toBe(0);
    expect(rateAt(one, 4)).toBeNull();
  });
  test("peaks look at what touches the range", () => {
    const frame = buildFrame(profile(), [], 15_000);
    const cpu = frame.rates.get("cpu_used_cores") ?? [];
    expect(peak(frame, cpu, "rate", { from: 11_000, to: 12_000 })).toEqual({ value: 2, at: 25_000 });
    expect(peak(frame, cpu, "rate", { from: 50_000, to: 60_000 })).toBeNull();
    expect(peak(frame, frame.gauges.get("memory_used_bytes") ?? [], "gauge", { from: 0, to: 41_000 })).toEqual({ value: 30, at: 40_000 });
  });
  test("an axis has room for the capacity and is never empty", () => {
    expect(axisTop(null, null)).toBe(1);
    expect(axisTop(0, null)).toBe(1);
    expect(axisTop(2, 8)).toBeGreaterThan(8);
    expect(axisTop(9, 8)).toBeGreaterThan(9);
  });
  test("5,000 points and 500 gaps take no time", () => {
    const ts = Array.from({ length: 5000 }, (_, n) => n * 15_000 + (n % 10 === 0 ? 0 : 1));
    const gaps = ts.filter((_, n) => n % 10 === 5).map((at) => ({ from_ms: at, to_ms: at + 15_000 }));
    const begun = performance.now();
    const frame = buildFrame(readProfile({ ts_ms: ts, interval_ms: ts.map(() => 15_000), metrics: { a: { values: ts } }, gaps }), [], 15_000);
    expect(frame.x.length).toBe(5500);
    expect(performance.now() - begun).toBeLessThan(500);
  });
});

describe("rows that the service left out", () => {
  // A scrape every 15 s: those between were left out, and only from 90 s to 150 s there was none.
  const thin = readProfile({
    ts_ms: [15_000, 60_000, 90_000, 150_000, 195_000], interval_ms: [15_000, 15_000, 15_000, 60_000, 15_000],
    metrics: { cpu_used_cores: { values: [1, 4, 2, 3, 5] }, memory_used_bytes: { values: [1, 9, 2, 3, 4] } },
  });
  const frame = buildFrame(thin, [], 15_000);
  test("are no gap; what is a gap stays one", () => {
    expect(frame.gaps).toEqual([{ from: 90_000, to: 150_000 }]);
    expect(frame.thinned).toEqual([false, true, true, false, true]);
    expect(frame.gauges.get("memory_used_bytes")).toEqual([1, 9, 2, null, 3, 4]);
  });
  test("lines and steps join over them, never over the gap", () => {
    const drawn = steps(frame.x, frame.starts, frame.rates.get("cpu_used_cores") ?? []);
    expect(drawn.map((step) => [step.from, step.to, step.value])).toEqual([[0, 15_000, 1], [15_000, 60_000, 4], [60_000, 90_000, 2], [150_000, 195_000, 5]]);
    expect(drawn.map((step) => step.joined)).toEqual([false, true, true, false]);
  });
  test("make a range sparse only where they lie", () => {
    expect(sparse(frame, { from: 0, to: 200_000 })).toBe(true);
    expect(sparse(frame, { from: 20_000, to: 40_000 })).toBe(true);
    expect(sparse(frame, { from: 46_000, to: 60_000 })).toBe(false);
    expect(sparse(frame, { from: 90_000, to: 150_000 })).toBe(false);
    expect(sparse(buildFrame(profile(), [], 15_000), { from: 0, to: 200_000 })).toBe(false);
  });
  test("come back with the detail, and what is around stays", () => {
    const detail = readProfile({ ts_ms: [30_000, 45_000, 60_000], interval_ms: [15_000, 15_000, 15_000], metrics: { cpu_used_cores: { values: [1.5, 2.5, 4] } } });
    const refined = refine(thin, detail);
    expect(refined.ts).toEqual([15_000, 30_000, 45_000, 60_000, 90_000, 150_000, 195_000]);
    expect(refined.interval).toEqual([15_000, 15_000, 15_000, 15_000, 15_000, 60_000, 15_000]);
    expect(refined.metrics.get("cpu_used_cores")).toEqual([1, 1.5, 2.5, 4, 2, 3, 5]);
    expect(refined.metrics.get("memory_used_bytes")).toEqual([1, null, null, null, 2, 3, 4]);
    expect(sparse(buildFrame(refined, [], 15_000), { from: 0, to: 60_000 })).toBe(false);
    expect(refine(thin, readProfile(null))).toBe(thin);
  });
});

describe("a pen draws at most four points into a column of pixels, and every extreme", () => {
  const run = (points: readonly [number, number][]) => {
    const drawn: [number, number][] = [];
    const pen = new Pen(100, { moveTo: (x, y) => drawn.push([x, y]), lineTo: (x, y) => drawn.push([x, y]) }, { moveTo: () => undefined, lineTo: () => undefined });
    points.forEach(([x, y], index) => (index === 0 ? pen.start(x, y) : pen.line(x, y)));
    pen.close();
    return drawn;
  };
  test("few points are drawn as they are", () => {
    const points: [number, number][] = [[0, 5], [10, 7], [20, 2]];
    expect(run(points)).toEqual(points);
  });
  test("a step's edge keeps both its ends", () => expect(run([[0, 5], [10, 5], [10, 9], [20, 9]])).toEqual([[0, 5], [10, 5], [10, 5], [10, 9], [10, 9], [20, 9]]));
  test("a line leaves a column where its last point was", () => expect(run([[0, 0], [10, 5], [10, 9], [10, 5], [20, 5]]).slice(-2)).toEqual([[10, 5], [20, 5]]));
  test("30,000 points on 100 pixels: every column's extremes are there", () => {
    const points = Array.from({ length: 30_000 }, (_, n): [number, number] => [n / 300, Math.sin(n) * 10 + (n === 12_345 ? -90 : 0)]);
    const drawn = run(points);
    expect(drawn.length).toBeLessThanOrEqual(101 * 4);
    expect(Math.min(...drawn.map(([, y]) => y))).toBe(Math.min(...points.map(([, y]) => y)));
    for (const column of [0, 1, 50, 99]) {
      const of = (all: readonly [number, number][]) => all.filter(([x]) => Math.round(x) === column).map(([, y]) => y);
      expect([Math.min(...of(drawn)), Math.max(...of(drawn))]).toEqual([Math.min(...of(points)), Math.max(...of(points))]);
    }
  });
});
