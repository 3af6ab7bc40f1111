import { describe, expect, test } from "vitest";
import { announce } from "../src/cursor";
import { answers, gapWords, plain } from "../src/facts";
import { buildFrame } from "../src/frame";
import { findShortcut, SHORTCUTS } from "../src/keys";
import { formatter, PROFILE_METRICS, unitOf } from "../src/metrics";
import { mergeRanges, readJob, readList, readProblem, readProfile, safeUrl } from "../src/parse";
import { parsePath, parseView, viewSearch } from "../src/route";
import { placeSections } from "../src/sections";
import { summaryRows } from "../src/SummaryTable";
import { timeLabel, timeSplits } from "../src/ticks";
import openapi from "../../../../schemas/openapi.json";
import states from "../../../model/state.rs?raw";
import { curl, downloadUrl, FORMATS, jobApi, jobPage } from "../src/api";
import { reasonWords, stateWords, verdictTone, verdictWords } from "../src/words";

const GIB = 1024 ** 3;
const raw = {
  source: "gitlab", job_id: 7, state: "archived", started_at_ms: 0, finished_at_ms: 60_000, scrape_interval_seconds: 15,
  machine: { cpu_count: 4, memory_total_bytes: 8 * GIB },
  summary: { cpu_used_cores: { mean: 1.9, max: 3.94 }, memory_used_bytes: { max: 3.1 * GIB }, oom_kills: { total: 2 } },
  sections: [{ name: "unit_tests", started_at_ms: 20_000, finished_at_ms: 50_000 }],
};
const samples = { ts_ms: [15_000, 30_000, 45_000], interval_ms: [15_000, 15_000, 15_000], metrics: { memory_used_bytes: { values: [GIB, 3.1 * GIB, 2 * GIB] }, cpu_used_cores: { values: [1, 3.94, null] } } };

function say(over: Record<string, unknown> = {}, profile: unknown = samples): string {
  const job = readJob({ ...raw, ...over });
  return plain(answers(job, buildFrame(readProfile(profile), [], 15_000), placeSections(job.sections, 60_000), { from: 0, to: 60_000 }));
}

describe("the sentences", () => {
  test("answer the three questions", () => {
    expect(say()).toBe(
      "Out of memory? 2 out-of-memory kills. Memory peaked at 3.1 GiB of 8 GiB (39\u00a0%) at +00:30, during unit_tests. " +
      "Which command? Longest: unit_tests, 30 s. Runner too small? 1.9 of 4 cores on average. CPU used: 3.94 at most.");
  });
  test("say when the kills were counted, and during what", () => {
    const killed = { ...samples, metrics: { ...samples.metrics, oom_kills: { values: [0, 0, 2] } } };
    expect(say({}, killed)).toContain("2 out-of-memory kills. Between +00:30 and +00:45, during unit_tests. ");
    const twice = { ...samples, metrics: { ...samples.metrics, oom_kills: { values: [0, 1, 1] } } };
    expect(say({}, twice)).toContain("Between +00:15 and +00:45. ");
    expect(say({ summary: null, state: "live" }, killed)).toContain("2 out-of-memory kills.");
  });
  test("name the sections by what they used themselves", () => {
    const used = (total: number, max: number) => ({ cpu_used_seconds: { total }, memory_used_bytes: { max: max * GIB } });
    const at = (from: number, to: number) => ({ started_at_ms: from * 1000, finished_at_ms: to * 1000 });
    const sections = [
      { name: "script", ...at(0, 60), summary: used(100, 3) }, { name: "build", ...at(0, 45), summary: used(70, 1) },
      { name: "test", ...at(45, 59), summary: used(25, 3) }, { name: "other", ...at(45, 46), summary: used(1, 0.1) },
    ];
    expect(say({ sections, summary: { ...raw.summary, cpu_used_seconds: { total: 100 } } })).toContain(
      "Which command? Most memory: test, 3 GiB. Most CPU time: build, 1 min 10 s (70\u00a0% of all). Longest: build, 45 s.");
    // A small section inside a busy one does not take its place.
    expect(say({ sections: [sections[0], { name: "tiny", ...at(1, 2), summary: used(2, 0.1) }] })).toContain("Most CPU time: script, 1 min 38 s.");
  });
  test("say what was waited for", () =>
    expect(say({ summary: { ...raw.summary, cpu_used_cores: { mean: 1.9, p50: 2, max: 3.94 }, pressure_cpu_ratio: { mean: 0.31 }, pressure_memory_ratio: { mean: 0 }, cpu_throttled_ratio: { mean: 0.05 } } })).toContain(
      "CPU used: 3.94 at most, 2 or less for half of the time. Something waited for CPU 31\u00a0%, for its CPU quota 5\u00a0% of the time."));
  test("say what was not measured", () => {
    const said = say({ summary: { cpu_used_cores: { mean: 1 } }, machine: null }, { ...samples, metrics: {} });
    expect(said).toContain("1 core on average");
    expect(said).not.toContain("No kill");
    expect(say({ summary: { memory_used_bytes: { max: GIB } } }, {})).toContain("Kills not measured.");
  });
  test("no kill is an answer too", () => expect(say({ summary: { ...raw.summary, oom_kills: { total: 0 } } })).toContain("No kill counted."));
  test("give bounds for short jobs", () => {
    const said = say({ summary: { memory_used_bytes: { low: GIB, high: 2 * GIB }, cpu_used_seconds: { low: 6, high: 60 } } }, {});
    expect(said).toContain("Memory used was between 1 GiB and 2 GiB of 8 GiB.");
    expect(said).toContain("Runner too small? 0.1 to 1 of 4 cores on average.");
  });
  test("give the last sample while the job runs", () => expect(say({ summary: null, state: "live" })).toContain("3.94 of 4 cores in the last sample."));
  test("are silent without numbers", () => expect(say({ summary: null }, {})).toBe(""));
  test("do not claim an instant that the samples do not show", () => expect(say({ summary: { memory_used_bytes: { max: 5 * GIB } } })).toContain("5 GiB of 8 GiB (63\u00a0%)."));
  test("gaps", () => {
    expect(gapWords([{ from: 0, to: 90_000 }])).toBe("1 gap, 1 min 30 s");
    expect(gapWords([{ from: 0, to: 1000 }, { from: 5000, to: 7000 }])).toBe("2 gaps, 3 s in all");
  });
  test("the announcement names section and values", () => {
    const job = readJob(raw);
    const frame = buildFrame(readProfile(samples), [], 15_000);
    const placed = placeSections(job.sections, 60_000);
    expect(announce(frame, placed, 30_000, "job", 0)).toBe("+00:30, in unit_tests. CPU: used 3.94 cores. Memory: used 3.1 GiB.");
    expect(announce(frame, placed, 500_000, "job", 0)).toContain("No samples.");
  });
});

describe("nothing from outside is trusted", () => {
  test.each([["https://a.b/c", "https://a.b/c"], ["http://a/", "http://a/"], ["javascript:alert(1)", null], ["data:text/html,x", null], [" JaVaScRiPt:alert(1)", null], ["//a", null], [7, null], [null, null]])(
    "safeUrl(%s) = %s", (url, safe) => expect(safeUrl(url)).toBe(safe));
  test.each([null, undefined, 5, "x", [], { gaps: [null, { from_ms: 5, to_ms: 1 }], sections: [null], summary: [1], machine: [] }])("readJob(%j) does not throw", (value) => {
    const job = readJob(value);
    expect(job.state).toBe("unknown");
    expect(job.gaps).toEqual([]);
    expect(readList(value).jobs).toEqual([]);
    expect(readProfile(value).ts).toEqual([]);
    expect(readProblem(500, value).status).toBe(500);
  });
  test("times are sorted, doubles dropped, short columns padded with null", () => {
    const profile = readProfile({ ts_ms: [3, "x", 1, 1, 2], interval_ms: [1], metrics: { a: { values: [30, 0, 10] }, __proto__: 1 } });
    expect(profile.ts).toEqual([1, 2, 3]);
    expect(profile.metrics.get("a")).toEqual([10, null, 30]);
    expect(profile.interval).toEqual([null, null, 1]);
  });
  test("a hole of one metric is no gap of the machine", () => {
    const job = readJob({ gaps: [{ from_ms: 1, to_ms: 9, metric: "load1" }, { from_ms: 20, to_ms: 30 }, { from_ms: 40, to_ms: 50, metric: "load1" }] });
    expect([job.gaps, job.holed]).toEqual([[{ from: 20, to: 30 }], ["load1"]]);
  });
  test("ranges merge", () => expect(mergeRanges([{ from: 5, to: 9 }, { from: 1, to: 6 }, { from: 9, to: 9 }, { from: 20, to: 21 }])).toEqual([{ from: 1, to: 9 }, { from: 20, to: 21 }]));
});

describe("addresses", () => {
  test.each([["/", "list"], ["/jobs/gitlab/1", "job"], ["/jobs/gitlab/1/", "job"], ["/jobs/a", "nowhere"], ["/jobs/%/1", "nowhere"], ["/x", "nowhere"]])("%s is %s", (path, page) => expect(parsePath(path).page).toBe(page));
  test("any character comes back as it was", () => {
    for (const id of ["a/b c?d%", "ü#1", "..", "💥"]) expect(parsePath(jobPage("so/urce", id))).toEqual({ page: "job", source: "so/urce", jobId: id });
    expect(jobApi("a/b", "c d")).toBe("/api/v1/jobs/a%2Fb/c%20d");
  });
  test("downloads name format and part, and nothing in them leaves the quotes of a shell", () => {
    expect(downloadUrl("a", "b", {}, "csv")).toBe("/api/v1/jobs/a/b/profile?format=csv");
    expect(downloadUrl("a", "b", { range: { from: 1.5, to: 2.5 } }, "arrow")).toBe("/api/v1/jobs/a/b/profile?format=arrow&from=1&to=3");
    const hostile = downloadUrl("a", "';rm -rf ~;'$(id)`id`", { section: "x&format=csv#2 '\"\\\n" }, "parquet");
    expect(new URL(hostile, "http://h").searchParams.get("section")).toBe("x&format=csv#2 '\"\\\n");
    expect(new URL(hostile, "http://h").searchParams.getAll("format")).toEqual(["parquet"]);
    const command = curl(`http://h${hostile}`);
    expect(command).toMatch(/^curl -fOJ '[^'\\\n]+'$/);
    expect(decodeURIComponent(command)).toContain("';rm -rf ~;'$(id)`id`");
    expect(FORMATS.map((one) => one.name)).toEqual(["parquet", "arrow", "csv", "json", "openmetrics"]);
  });
  test("a view survives the address bar, other parameters stay", () => {
    const view = { range: { from: 1000, to: 2000 }, section: "a & b=c#2" };
    const search = viewSearch("?theme=dark&from=1&to=2&section=old", view);
    expect(parseView(search)).toEqual(view);
    expect(search).toContain("theme=dark");
    expect(viewSearch("?from=1&to=2", { range: null, section: null })).toBe("");
  });
  test.each(["?from=5&to=5", "?from=9&to=1", "?from=x&to=9", "?from=&to=", "?from=1e400&to=2"])("%s is no range", (search) => expect(parseView(search).range).toBeNull());
  test("ISO times are understood", () => expect(parseView("?from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:10Z").range).toEqual({ from: Date.UTC(2026, 0, 1), to: Date.UTC(2026, 0, 1) + 10_000 }));
});

describe("axes, keys, metrics", () => {
  test("job time starts its marks at the job", () => {
    expect(timeSplits(10_500, 40_500, 10_000, "job", 500)).toEqual([10_500, 20_500, 30_500, 40_500]);
    expect(timeLabel(30_500, 10_000, "job", 500)).toBe("+00:30");
    expect(timeLabel(Date.UTC(2026, 0, 1, 5, 6), 60_000, "utc", 0)).toBe("05:06");
    expect(timeSplits(0, 1e9, 0, "utc", 0)).toEqual([]);
    expect(timeSplits(0, 1e12, 1, "utc", 0).length).toBeLessThanOrEqual(200);
  });
  test("every key has one meaning", () => {
    const seen = SHORTCUTS.flatMap((one) => one.keys.map((key) => `${one.shift === true}${key}`));
    expect(new Set(seen).size).toBe(seen.length);
    for (const one of SHORTCUTS) for (const key of one.keys) expect(findShortcut(SHORTCUTS, key, one.shift ?? false)).toBe(one);
    expect(findShortcut(SHORTCUTS, "?", true)?.action).toBe("help");
    expect(findShortcut(SHORTCUTS, "Home", false)).toBeNull();
    expect(findShortcut(SHORTCUTS, "x", false)).toBeNull();
  });
  test("units", () => {
    expect(unitOf("x_bytes_per_second")).toBe("byteRate");
    expect(unitOf("site_watts")).toBe("watts");
    expect(formatter("watts")(5)).toBe("5 W");
    expect(new Set(PROFILE_METRICS).size).toBe(PROFILE_METRICS.length);
  });
  test("the summary lists what is there, known or not", () => {
    const rows = summaryRows(readJob({ summary: { site_fans_ratio: { mean: 0.5 }, cpu_used_seconds: { total: 3 }, load1: {}, junk: null } }).summary);
    expect(rows.map((one) => one.label)).toEqual(["CPU used", "site_fans_ratio"]);
  });
});

/** A closed list as the document publishes it, else as the service defines it. */
function closedList(name: "Reason" | "Verdict", field: "reason" | "verdict"): string[] {
  const published = openapi.components.schemas.JobShort.properties[field] as { enum?: string[] };
  const block = states.slice(states.indexOf(`    ${name} {\n`)).split("\n    }")[0] ?? "";
  return published.enum ?? [...block.matchAll(/^ {8}\w+ = "(\w+)": "/gm)].map((match) => match[1] ?? "");
}

describe("every word of the API has words for people", () => {
  const verdicts = closedList("Verdict", "verdict");
  const reasons = closedList("Reason", "reason");
  test("the lists are found", () => {
    expect(verdicts).toContain("host_gone");
    expect(verdicts.length).toBeGreaterThanOrEqual(9);
    expect(reasons).toContain("waiting_for_runner");
    expect(reasons.length).toBeGreaterThanOrEqual(18);
  });
  test.each(verdicts)("the list's verdict %s", (verdict) => {
    expect(verdictWords(verdict).long).toMatch(/^[A-Z].+[.?]$/);
    expect(verdictTone(verdict) === "good").toBe(verdict === "complete");
  });
  test.each(reasons)("the list's reason %s has a title and what to do", (reason) => {
    const [title, todo] = reasonWords(reason) ?? ["", ""];
    expect(title).toMatch(/^[A-Z].+[^.]$/);
    expect(todo).toMatch(/^[A-Z].+[.?]$/);
    expect((todo.match(/`/g) ?? []).length % 2).toBe(0);
  });
  test("states", () => {
    const parameter = openapi.paths["/api/v1/jobs"].get.parameters.find((one) => one.name === "state");
    const words = (parameter?.description ?? "").match(/[a-z]+/g) ?? [];
    expect(words.length).toBeGreaterThanOrEqual(5);
    for (const state of words) {
      expect(readJob({ state }).state).toBe(state);
      expect(stateWords(readJob({ state }).state)).not.toBe("unknown");
    }
  });

  test.each(["complete", "partial", "host_gone", "scrape_down", "prometheus_gap", "unknown_machine", "past_retention", "too_short", "ambiguous_machine"])("verdict %s", (verdict) =>
    expect(verdictWords(verdict).long).not.toBe(""));
  test.each([
    "waiting_for_start", "waiting_for_finish", "waiting_for_runner", "waiting_for_region", "waiting_for_machine", "no_samples_yet", "upstream_unreachable", "upstream_refused",
    "upstream_invalid", "never_ran", "unknown_machine", "past_retention", "prometheus_gap", "quarantined", "never_registered", "upstream_failed",
  ])("reason %s says what to do", (reason) => expect(reasonWords(reason)?.[1]).toBeTruthy());
  test("an unknown word is shown as it is", () => {
    expect(verdictWords("brand_new")).toEqual({ short: "brand new", long: "" });
    for (const reason of ["brand_new", "constructor", "__proto__", null]) expect(reasonWords(reason)).toBeNull();
    for (const verdict of ["constructor", "__proto__"]) expect(verdictWords(verdict).long).toBe("");
  });
});
