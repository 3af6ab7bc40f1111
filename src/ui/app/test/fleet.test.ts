import { describe, expect, test } from "vitest";
import { readHeat, readTop, readTrend, type Trend } from "../src/many/answers";
import { bucketLabel, marks } from "../src/many/calendar";
import { facts, type Known } from "../src/many/facts";
import { bucketStart, DAY, rangeOf, SPANS, widthOf } from "../src/many/filters";
import { FLEET_SHORTCUTS, stretched } from "../src/many/FleetPage";
import { hourWords, stepOf, STEPS, tightest, tightWords } from "../src/many/heat";
import { LIST_SHORTCUTS } from "../src/many/ListPage";
import { csv } from "../src/many/save";
import { barOf } from "../src/many/TopPanel";
import { buildChart, change, latest, nearest } from "../src/many/trend";
import { changeWords } from "../src/many/TrendPanel";
import { axisFormat, compact, narrow, spoken, unitFormat } from "../src/many/units";
import { exports, fleetUrl, HEATS, jobsUrl, METRICS, questions, readView, STATS, USES, viewSearch, type View } from "../src/many/view";
import { findShortcut } from "../src/keys";

const HOUR = DAY / 24;
const MONDAY = Date.UTC(2026, 10, 2);

function trend(points: Record<string, (number | null)[]>, over: Partial<Trend> = {}): Trend {
  return readTrend({
    by: "project", unit: "bytes", bucket_seconds: 86_400,
    series: Object.entries(points).map(([key, values]) => ({
      key, filters: { project: key },
      points: values.flatMap((value, day) => (value === null ? [] : [{ from_ms: MONDAY + day * DAY, value, values: { p95: value, p50: value / 2 }, jobs: 10, coverage: day === 1 ? 0.5 : 1 }])),
    })),
    ...over,
  });
}
const week = { from: MONDAY, to: MONDAY + 7 * DAY };

describe("times", () => {
  test("weeks begin on Mondays, and buckets of any width at multiples from one", () => {
    expect(bucketStart(MONDAY + 3 * DAY + 5, 7 * DAY)).toBe(MONDAY);
    expect(bucketStart(MONDAY + 3 * DAY + 5, DAY)).toBe(MONDAY + 3 * DAY);
    expect(bucketStart(5, DAY)).toBe(0);
    expect(bucketStart(-5, DAY)).toBe(-DAY);
  });
  test.each(SPANS)("$name begins with a whole bucket and ends now", ({ name, length, bucket }) => {
    const now = MONDAY + 3.4567 * DAY;
    const range = rangeOf(name, now);
    expect(bucketStart(range.from, bucket)).toBe(range.from);
    expect(range.to - now).toBeLessThanOrEqual(60_000);
    expect(range.to).toBeGreaterThanOrEqual(now);
    expect(Math.abs(range.to - range.from - length)).toBeLessThanOrEqual(bucket);
    const { width } = widthOf("auto", name, range);
    expect(width).toBe(bucket);
    expect(length / width).toBeLessThanOrEqual(120);
  });
  test("an own time has at most 120 buckets, whatever its length; a wish holds unless it is absurd", () => {
    for (const days of [0.01, 0.4, 3, 20, 100, 1000, 20_000]) {
      const range = { from: MONDAY, to: MONDAY + days * DAY };
      const { name, width } = widthOf("auto", range, range);
      expect(range.to - range.from, `${days} days`).toBeLessThanOrEqual(120 * width);
      const seconds: Record<string, number> = { "1h": 3600, "1d": 86_400, "7d": 604_800, "30d": 2_592_000 };
      expect((seconds[name] ?? Number(name)) * 1000).toBe(width);
    }
    expect(widthOf("1h", week, week)).toMatchObject({ name: "1h", width: HOUR });
    const years = { from: 0, to: MONDAY };
    expect(widthOf("300", years, years).width).toBeGreaterThan(DAY);
  });
  test("marks are few enough, in order and inside", () => {
    for (const length of [HOUR, 5 * HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY, 364 * DAY, 3000 * DAY, 40_000 * DAY]) {
      const range = { from: MONDAY, to: MONDAY + length };
      const found = marks(range, 800, 84, true);
      expect(found.length, `${length / DAY} days`).toBeGreaterThanOrEqual(1);
      expect(found.length).toBeLessThanOrEqual(10);
      expect(found.map((one) => one.at)).toEqual(found.map((one) => one.at).sort((a, b) => a - b));
      expect(found.every((one) => one.at >= range.from && one.at < range.to)).toBe(true);
    }
    expect(marks(week, 800, 84, true).map((one) => one.label)).toEqual(["2 Nov", "3 Nov", "4 Nov", "5 Nov", "6 Nov", "7 Nov", "8 Nov"]);
    expect(marks({ from: Date.UTC(2025, 10, 1), to: Date.UTC(2026, 10, 1) }, 1200, 84, true).map((one) => one.label).slice(0, 4)).toEqual(["Nov 2025", "Dec", "Jan 2026", "Feb"]);
  });
  test("buckets in words", () => {
    expect(bucketLabel(MONDAY, DAY, false)).toBe("Mon 2 Nov 2026");
    expect(bucketLabel(MONDAY, 7 * DAY, false)).toBe("2 Nov to 8 Nov 2026");
    expect(bucketLabel(MONDAY + 14 * HOUR, HOUR, true)).toBe("Mon 2 Nov 14:00 to 15:00");
    expect(bucketLabel(Date.UTC(1970, 0, 1), DAY, true)).toBe("Thu 1 Jan 1970");
  });
  test("zooming keeps the middle and never looks behind now", () => {
    expect(stretched(week, 0.5, MONDAY + 3.5 * DAY, MONDAY + 9 * DAY)).toEqual({ from: MONDAY + 1.75 * DAY, to: MONDAY + 5.25 * DAY });
    expect(stretched(week, 2, MONDAY + 3.5 * DAY, week.to)).toEqual({ from: MONDAY - 7 * DAY, to: week.to });
    const least = stretched({ from: 0, to: 1000 }, 0.5, 500, 1e12);
    expect(least.to - least.from).toBe(600_000);
  });
});

describe("addresses", () => {
  test("a view survives the address bar, other parameters stay, what is usual is left out", () => {
    expect(viewSearch("?theme=dark", readView(""))).toBe("?theme=dark");
    const view: View = {
      filters: { project: "a & b=c#2", machine_type: "n2", ref: "ü/'\"" }, span: { from: 1000, to: 90_000 }, metric: "cost", stat: "p99", by: "machine_type",
      bucket: "7d", hours: "jobs", use: "cost", of: "runner",
    };
    const search = viewSearch("?theme=dark&by=region&range=7d&name=old", view);
    expect(readView(search)).toEqual(view);
    expect(search).toContain("theme=dark");
    expect(search).not.toContain("old");
  });
  test.each(["?metric=constructor&stat=__proto__&by=sha&of=none&range=9y&hours=&use=x&bucket=-1&from=5&to=1", "?from=x&to=y&metric=%00"])("%s is as usual", (search) => expect(readView(search)).toEqual(readView("")));
  test("every choice is asked as the API names it", () => {
    for (const metric of METRICS) for (const stat of STATS) {
      const url = questions({ ...readView(""), metric: metric.name, stat: stat.name }, week, 60).trend;
      const query = new URLSearchParams(url.split("?")[1]);
      expect(query.get("stat")).toBe(metric.adds ?? (stat.name === "p95" ? "p95,p50" : stat.name === "p50" ? "p50,p95" : `${stat.name},p50,p95`));
    }
    const asked = questions(readView("?project=a%26b&region=eu"), week, -90);
    expect(new URLSearchParams(asked.heat.split("?")[1]).get("tz_offset_minutes")).toBe("-90");
    for (const url of [asked.trend, asked.held, asked.wasted, asked.heat]) expect(new URLSearchParams(url.split("?")[1]).get("project")).toBe("a&b");
    expect(new Set([...USES.flatMap((one) => [one.held, one.wasted])]).size).toBe(6);
    expect(HEATS.every((one) => METRICS.some((metric) => metric.name === one.metric && (metric.adds === null || metric.adds === one.stat)))).toBe(true);
  });
  test("an export is offered only where it gives the same jobs", () => {
    expect(exports({}, week).map(([format]) => format)).toEqual(["Parquet", "CSV", "Arrow"]);
    expect(exports({ project: "a" }, week)[0]?.[1]).toBe(`/api/v1/export?table=jobs&format=parquet&from=${week.from}&to=${week.to}&project=a`);
    expect(exports({ region: "eu" }, week)).toEqual([]);
  });
  test("links between the pages keep filters and time", () => {
    expect(jobsUrl({}, null)).toBe("/");
    expect(jobsUrl({ project: "a/b" }, "30d", { hour: "3" })).toBe("/?project=a%2Fb&range=30d&hour=3");
    expect(fleetUrl({ project: "a", verdict: "partial" }, "30d")).toBe("/fleet?project=a");
    expect(fleetUrl({}, week)).toBe(`/fleet?from=${week.from}&to=${week.to}`);
  });
});

describe("nothing from outside is trusted", () => {
  test.each([null, 5, "x", [], {}, { series: [null, 1, { points: [null, {}, { from_ms: "1" }] }], rows: [null, "x"], cells: [null, { weekday: -1, hour: 3 }, { weekday: 0, hour: 24 }, { weekday: 0.5, hour: 1 }] }])("%j does not throw", (value) => {
    expect(readTrend(value).series.every((one) => one.points.length === 0)).toBe(true);
    expect(readTop(value).total).toBeNull();
    const heat = readHeat(value);
    expect(heat.cells.length).toBe(168);
    expect(heat.cells.every((cell) => cell.value === null && cell.jobs === 0)).toBe(true);
    buildChart(readTrend(value), week, DAY, false, week.to);
  });
  test("a group that no filter selects leads nowhere", () => {
    const rows = readTop({ by: "machine_type", rows: [{ key: "(unknown)", filters: { machine_type: null } }, { key: "n2" }, { key: "x", filters: { sha: "1" } }, ] }).rows;
    expect(rows.map((row) => row.filters)).toEqual([null, { machine_type: "n2" }, null]);
    const names = readTop({ by: "name", rows: [{ key: "p / n", filters: { project: "p", name: "n" } }, { key: "p / (unknown)", filters: { project: "p" } }, { key: "p / n" }] }).rows;
    expect(names.map((row) => row.filters)).toEqual([{ project: "p", name: "n" }, null, null]);
  });
  test("spreadsheets take no cell for a formula", () => {
    expect(csv([["a,b", "=1+1", 'say "x"', null, -3, "@x", "two\nlines"]])).toBe(`"a,b",'=1+1,"say ""x""",,-3,'@x,"two\nlines"\r\n`);
  });
});

describe("a trend", () => {
  test("has a place for every bucket; one without a point is a hole, never 0", () => {
    const chart = buildChart(trend({ a: [1, null, 3] }), week, DAY, false, week.to + DAY);
    expect(chart.starts.length).toBe(7);
    expect(chart.lines[0]?.values).toEqual([1, null, 3, null, null, null, null]);
    expect(chart.lines[0]?.lows[2]).toBe(1.5);
    expect(chart.jobs).toEqual([10, 0, 10, 0, 0, 0, 0]);
  });
  test("of what adds up, no job is nothing", () => expect(buildChart(trend({ a: [1, null, 3] }), week, DAY, true, week.to + DAY).lines[0]?.values[1]).toBe(0));
  test("marks buckets that are not covered or not over", () => {
    const values = [1, 1, 1, 1, 1, 1, 1];
    const over = buildChart(trend({ a: values }), week, DAY, false, week.to + DAY);
    expect([over.open, over.thin, over.unsure]).toEqual([false, 1, [{ from: MONDAY + DAY, to: MONDAY + 2 * DAY }]]);
    const open = buildChart(trend({ a: values }), { ...week, to: week.to - HOUR }, DAY, false, week.to - HOUR);
    expect([open.open, open.unsure.length]).toEqual([true, 2]);
    expect(latest(open, open.lines[0]!)).toBe(1);
  });
  test("the answer's own width counts", () => expect(buildChart(trend({ a: [1] }, {}), week, HOUR, false, week.to).starts.length).toBe(7));
  test("change weighs buckets by their jobs, and is silent without a third", () => {
    expect(change([1, 1, 5, 2, 2, 2], [1, 1, 1, 1, 1, 1], false)).toBeCloseTo(1);
    expect(change([1, 9, 5, 5, 2, 2], [9, 1, 1, 1, 1, 1], false)).toBeCloseTo(2 / 1.8 - 1);
    expect(change([1, 9, 5, 5, 2, 2], [9, 1, 1, 1, 1, 1], true)).toBeCloseTo(2 / 5 - 1);
    expect(change([1, 2], [1, 1], false)).toBeNull();
    expect(change([null, 1, 2], [0, 1, 1], false)).toBeNull();
    expect(change([0, 1, 2], [1, 1, 1], false)).toBeNull();
    expect([0.3, -0.11, 0.001, 12, null].map(changeWords)).toEqual(["+30 %", "−11 %", "±0 %", "+1,200 %", "–"]);
  });
  test("a click takes the nearest line that has a value", () => {
    const chart = buildChart(trend({ a: [1, 1], b: [5, null] }), week, DAY, false, week.to);
    expect(nearest(chart, 0, 4, () => true)?.series.key).toBe("b");
    expect(nearest(chart, 1, 4, () => true)?.series.key).toBe("a");
    expect(nearest(chart, 6, 4, () => true)).toBeNull();
  });
});

describe("hours of the week", () => {
  const cells = (set: Record<number, number>) => Array.from({ length: 168 }, (_, slot) => ({ value: set[slot] ?? null, jobs: set[slot] === undefined ? 0 : 1 }));
  test("steps reach from nothing to the most; unknown has none", () => {
    expect([null, 0, 0.01, 50, 99, 100].map((value) => stepOf(value, 100))).toEqual([0, 1, 1, 4, 7, 7]);
    expect(stepOf(0, 0)).toBe(1);
    expect(stepOf(1e308, 1e308)).toBe(STEPS);
  });
  test("the tightest hours stay on their day", () => {
    expect(tightWords(tightest(cells({ 23: 9, 24: 10, 25: 8.5, 26: 3 }))!)).toBe("Tuesdays, 00:00 to 02:00");
    expect(tightWords(tightest(cells({ 167: 1 }))!)).toBe("Sundays, 23:00 to 00:00");
    expect(tightest(cells({}))).toBeNull();
    expect(hourWords(38)).toBe("Tuesday 14:00 to 15:00");
  });
});

describe("the sentences", () => {
  const top = (value: number, key = "a/b") => readTop({ by: "project", unit: "core hours", total: value * 2, rows: [{ key, value, paid: value, used: 1, jobs: 3 }] });
  const known: Known = { held: null, wasted: null, heat: null, heatSentence: "Longest queues", useWords: "core-hours", trend: null, chart: null, metric: "Peak memory", stat: "p95" };
  test("say what the numbers say", () => {
    const heat = readHeat({ unit: "seconds", cells: [{ weekday: 1, hour: 14, value: 90, jobs: 41_234 }] });
    const chart = buildChart(trend({ a: [1, 1, 1, 1, 1, 1, 1], b: [2, 2, 2, 2, 3, 3, 3] }), week, DAY, false, week.to + DAY);
    expect(facts({ ...known, held: top(40_000), wasted: top(30_000), heat, chart }).map((one) => [one.head, one.share, ...one.sentences])).toEqual([
      ["41.2\u202fk jobs", null, "They held 80.0\u202fk core-hours.", "Most: a/b, 40.0\u202fk core-hours (50\u00a0%)."],
      ["75\u00a0% of core-hours", 0.75, "60.0\u202fk core-hours were held by jobs and not used.", "Most: a/b, 30.0\u202fk core-hours (50\u00a0%)."],
      ["Tuesdays, 14:00 to 15:00", null, "Longest queues: 1 min 30 s in the hour with the most."],
      ["b: 50\u00a0% more", null, "Peak memory, p95: the last third of this time against the first."],
    ]);
  });
  test("are silent without numbers", () => {
    expect(facts(known)).toEqual([]);
    expect(facts({ ...known, heat: readHeat({}), held: readTop({}), wasted: readTop({}) }).map((one) => one.head)).toEqual(["0 jobs"]);
  });
});

describe("numbers", () => {
  test.each([[0, "0"], [7, "7"], [999.4, "999"], [9812, "9,812"], [9_999.6, "10.0\u202fk"], [412_345, "412\u202fk"], [1_284_332, "1.28\u202fM"], [-50_000, "-50.0\u202fk"], [3.2e9, "3.20\u202fG"], [null, "–"], [NaN, "–"]])("compact(%s) = %s", (value, text) => expect(compact(value)).toBe(text));
  test("units of the API", () => {
    expect(unitFormat("seconds")(109)).toBe("1 min 49 s");
    expect(unitFormat("core hours")(12)).toBe("12 core h");
    expect(spoken("GiB hours")(1)).toBe("1 GiB-hours");
    expect(unitFormat("parsec")(2)).toBe("2 parsec");
    expect(axisFormat("core hours")(12)).toBe("12");
    expect([8, 70, 3590, 7200, null].map(narrow("seconds"))).toEqual(["8 s", "1.2 min", "1.0 h", "2.0 h", "–"]);
  });
  test("bars: used lies inside of held, unknown use has no bar", () => {
    const row = readTop({ rows: [{ key: "a", value: 5, paid: 10, used: 4 }] }).rows[0]!;
    expect(barOf(row, 20)).toEqual({ held: 0.5, used: 0.2 });
    expect(barOf({ ...row, used: null }, 20)).toEqual({ held: 0.5, used: null });
    expect(barOf(row, 0)).toEqual({ held: 0, used: null });
  });
  test.each([["fleet", FLEET_SHORTCUTS], ["list", LIST_SHORTCUTS]] as const)("every key of the %s has one meaning", (_, table) => {
    const seen = table.flatMap((one) => one.keys.map((key) => `${one.shift === true}${key}`));
    expect(new Set(seen).size).toBe(seen.length);
    for (const one of table) for (const key of one.keys) expect(findShortcut<string>(table, key, one.shift ?? false)?.action).toBe(one.action);
  });
});
