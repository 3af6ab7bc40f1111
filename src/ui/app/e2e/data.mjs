// Made-up jobs for the browser tests and for looking at the page: every state and every kind of bad input.
import { readFileSync } from "node:fs";

/** What the browser's clock and the made-up answers call now, a Wednesday: a check must not depend on the day it is run. */
export const NOW = Date.UTC(2026, 10, 25, 15, 20);
const START = Date.UTC(2026, 10, 23, 17, 42, 10);
const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/** Repeatable noise. */
function noise(seed) {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const UNITS = {
  cpu_used_cores: "cores", cpu_busiest_core_ratio: "ratio", cpu_iowait_cores: "cores", cpu_steal_cores: "cores",
  memory_used_bytes: "bytes", memory_cache_bytes: "bytes", swap_used_bytes: "bytes",
  network_receive_bytes_per_second: "bytes/s", network_transmit_bytes_per_second: "bytes/s",
  disk_read_bytes_per_second: "bytes/s", disk_written_bytes_per_second: "bytes/s", oom_kills: "count",
};

/** A job of 12 min 30 s: fetch, restore, compile on all cores, tests that eat memory, upload. */
export function profile({ start = START, seconds = 750, step = 15, shift = 4, gap = null, kills = true, seed = 7, only = null } = {}) {
  const random = noise(seed);
  const wobble = (base, share) => base * (1 + (random() - 0.5) * share);
  const ts = [];
  const interval = [];
  const columns = Object.fromEntries(Object.keys(UNITS).map((key) => [key, []]));
  let before = null;
  for (let at = shift; at <= seconds + step; at += step) {
    const t = at / seconds;
    if (gap !== null && t > gap[0] && t < gap[1]) continue;
    const phase = t < 0.05 ? "fetch" : t < 0.12 ? "restore" : t < 0.55 ? "compile" : t < 0.9 ? "test" : "upload";
    const now = start + at * 1000;
    ts.push(now);
    interval.push(before === null ? step * 1000 : now - before);
    before = now;
    const used = { fetch: 0.5, restore: 0.9, compile: 3.75, test: 1.6, upload: 0.3 }[phase];
    const push = (key, value) => columns[key].push(value);
    push("cpu_used_cores", Math.min(4, wobble(used, 0.22)));
    push("cpu_busiest_core_ratio", Math.min(1, wobble(phase === "compile" ? 0.99 : used / 1.7, 0.15)));
    push("cpu_iowait_cores", phase === "restore" ? wobble(0.7, 0.5) : wobble(0.04, 1));
    push("cpu_steal_cores", wobble(0.02, 1));
    const grow = phase === "test" ? 2.6 + 5 * ((t - 0.55) / 0.35) ** 1.7 : phase === "compile" ? 1.6 + 2.2 * Math.sin((t - 0.12) * 7) ** 2 : phase === "upload" ? 1.1 : 0.8;
    push("memory_used_bytes", Math.round(wobble(grow, 0.04) * GIB));
    push("memory_cache_bytes", Math.round(wobble(0.6 + 2.2 * Math.min(1, t * 2), 0.02) * GIB));
    push("swap_used_bytes", phase === "test" && t > 0.82 ? Math.round(wobble(400, 0.2) * MIB) : 0);
    push("network_receive_bytes_per_second", phase === "fetch" ? wobble(38 * MIB, 0.4) : phase === "restore" ? wobble(61 * MIB, 0.3) : wobble(0.3 * MIB, 1));
    push("network_transmit_bytes_per_second", phase === "upload" ? wobble(24 * MIB, 0.4) : wobble(0.1 * MIB, 1));
    push("disk_read_bytes_per_second", phase === "compile" ? wobble(9 * MIB, 1) : wobble(2 * MIB, 1));
    push("disk_written_bytes_per_second", phase === "restore" ? wobble(88 * MIB, 0.4) : phase === "compile" ? wobble(22 * MIB, 0.8) : wobble(3 * MIB, 1));
    push("oom_kills", kills && t > 0.86 && t < 0.88 ? 2 : 0);
  }
  const holes = [];
  for (let row = 1; row < ts.length; row += 1) if (ts[row] - ts[row - 1] > 1.5 * step * 1000) holes.push({ from_ms: ts[row - 1], to_ms: ts[row] });
  const metrics = {};
  for (const [key, values] of Object.entries(columns)) {
    metrics[key] = { unit: UNITS[key], values: only !== null && !only.some((part) => key.includes(part)) ? values.map(() => null) : values };
  }
  return { state: "archived", reason: null, from_ms: start, to_ms: start + seconds * 1000, ts_ms: ts, interval_ms: interval, metrics, gaps: holes };
}

export function section(name, from, to, cpu = 1, memory = 1) {
  return {
    name, started_at_ms: START + from * 1000, finished_at_ms: to === null ? null : START + to * 1000,
    summary: {
      cpu_used_seconds: { total: cpu }, memory_used_bytes: { max: memory * GIB },
      network_receive_bytes: { total: cpu * 3 * MIB }, network_transmit_bytes: { total: cpu * MIB },
      disk_read_bytes: { total: cpu * 5 * MIB }, disk_written_bytes: { total: cpu * 7 * MIB },
    },
  };
}

const SECTIONS = [
  section("prepare_executor", 0, 14, 4, 0.8), section("get_sources", 14, 38, 14, 0.9), section("restore_cache", 38, 90, 47, 1),
  section("step_script", 90, 676, 1990, 7.6), section("cargo_build", 92, 412, 1180, 3.9), section("unit_tests", 412, 655, 410, 7.61),
  section("retry", 560, 600, 60, 6.1), section("retry", 610, 652, 64, 7.61), section("archive_cache", 676, 712, 12, 1.2),
  section("upload_artifacts", 712, 742, 7, 1.1), section("cleanup", 742, 750, 0.4, 1),
];

function peakOf(data) {
  return Math.max(...data.metrics.memory_used_bytes.values.filter((value, row) => value !== null && data.ts_ms[row] < data.to_ms));
}

export function job(id, over = {}, data = profile()) {
  const base = {
    source: "gitlab", job_id: id, state: "archived", reason: null, reason_text: null, verdict: "complete", coverage: 1,
    sample_count: data.ts_ms.length, scrape_interval_seconds: 15, gaps: data.gaps,
    project: "acme/checkout/backend", project_id: "4711", pipeline_id: "902144", name: "test: linux-x86_64", stage: "test",
    ref: "feature/parallel-import", sha: "7d2c9e41b0aa54c1e2d1", status: "failed", failure_reason: "script_failure", runner_id: "42",
    runner_description: "saas-linux-medium-amd64-7", web_url: `https://ci.example.org/acme/checkout/-/jobs/${id}`, queued_seconds: 3.2,
    started_at: new Date(START).toISOString(), started_at_ms: START, finished_at: new Date(data.to_ms).toISOString(), finished_at_ms: data.to_ms,
    machine: { name: "runner-zx81-s-2f9c", region: "eu-1", type: "n2-standard-4", cpu_count: 4, memory_total_bytes: 8 * GIB, filesystem_size_bytes: 60 * GIB },
    summary: {
      cpu_used_cores: { mean: 2.31, p50: 2.12, p95: 3.98, max: 4 }, cpu_used_seconds: { total: 1734.2, low: 1734.2, high: 1734.2 },
      cpu_busiest_core_ratio: { mean: 0.71, p95: 1, max: 1 }, cpu_iowait_cores: { mean: 0.08, p95: 0.8, max: 0.92 }, cpu_steal_cores: { mean: 0.02, p95: 0.03, max: 0.03 },
      memory_used_bytes: { mean: 3.4 * GIB, p50: 3.1 * GIB, p95: 7.2 * GIB, max: peakOf(data), low: null, high: null },
      memory_cache_bytes: { mean: 2.3 * GIB, p95: 2.8 * GIB, max: 2.83 * GIB }, load1: { mean: 3.1, p95: 6.2, max: 6.9 },
      network_receive_bytes: { total: 4.9 * GIB, low: 4.8 * GIB, high: 5 * GIB }, network_receive_bytes_per_second: { mean: 6.7 * MIB, p95: 61 * MIB, max: 68 * MIB },
      network_transmit_bytes: { total: 1.9 * GIB }, network_transmit_bytes_per_second: { mean: 2.5 * MIB, p95: 25 * MIB, max: 28 * MIB },
      disk_read_bytes: { total: 4.1 * GIB, low: 4.1001 * GIB, high: 4.1002 * GIB }, disk_read_bytes_per_second: { mean: 5.6 * MIB, p95: 13 * MIB, max: 14 * MIB },
      disk_written_bytes: { total: 12.5 * GIB }, disk_written_bytes_per_second: { mean: 17 * MIB, p95: 88 * MIB, max: 104 * MIB },
      disk_io_ratio: { mean: 0.12, p95: 0.61, max: 0.83 }, oom_kills: { total: 2 }, pressure_memory_ratio: { mean: 0.03, p95: 0.2, max: 0.41 },
    },
    sections: SECTIONS, co_tenants: [], diagnosis: [],
  };
  return { ...base, ...over };
}

export const HOSTILE = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`;
const RTL = "\u202Etxt.exe\u202C";
const LONG = "averylongnamewithoutanyspace".repeat(30);

/** Every word of the API's closed lists, as the service defines them. */
export function closedList(name) {
  const text = readFileSync(new URL("../../../model/state.rs", import.meta.url), "utf8");
  const block = new RegExp(`^ {4}${name} \\{\\n([^}]|\\{[a-z_]+\\})*?^ {4}\\}`, "m").exec(text)?.[0] ?? "";
  return [...block.matchAll(/^ {8}\w+ = "(\w+)": "(.*)",$/gm)].map((match) => ({ word: match[1], text: match[2] }));
}

const OVER = ["never_ran", "unknown_machine", "past_retention", "prometheus_gap", "never_registered", "upstream_failed"];
const UNMEASURED = { verdict: null, coverage: null, sample_count: 0, summary: {}, sections: [] };

/** A job of 30 days, sampled each second: 2.6 M rows, with one sample of 7.9 GiB. Rows are computed when asked for. */
export const HUGE = { rows: 2_592_000, spike: 1_700_001, start: START };
const hugeMemory = (row) => (row === HUGE.spike ? 7.9 : 2 + Math.sin(row / 60_000)) * GIB;
const hugeCpu = (row) => 1.5 + Math.sin(row / 9_000) + (row % 7) / 20;

/** What the service does: whole rows, those with the smallest or largest value of each of points / 2 slices of time. */
export function hugeProfile(query) {
  const first = Math.max(1, Math.floor((Number(query.get("from") ?? START) - START) / 1000));
  const last = Math.min(HUGE.rows, Math.ceil((Number(query.get("to") ?? START + HUGE.rows * 1000) - START) / 1000));
  const points = query.get("points") === null ? Infinity : Number(query.get("points"));
  const keep = new Set([first, last]);
  const slices = Math.floor(points / 2);
  for (let slice = 0; last - first >= points && slice < slices; slice += 1) {
    const from = first + Math.ceil((slice * (last - first + 1)) / slices);
    const to = first + Math.ceil(((slice + 1) * (last - first + 1)) / slices);
    for (const value of [hugeMemory, hugeCpu]) {
      let [low, high] = [from, from];
      for (let row = from; row < to; row += 1) {
        if (value(row) < value(low)) low = row;
        if (value(row) > value(high)) high = row;
      }
      keep.add(low).add(high);
    }
  }
  const rows = last - first < points ? Array.from({ length: last - first + 1 }, (_, n) => first + n) : [...keep].sort((a, b) => a - b);
  return {
    state: "archived", reason: null, from_ms: START, to_ms: START + HUGE.rows * 1000, gaps: [],
    ts_ms: rows.map((row) => START + row * 1000), interval_ms: rows.map(() => 1000),
    metrics: { cpu_used_cores: { unit: "cores", values: rows.map(hugeCpu) }, memory_used_bytes: { unit: "bytes", values: rows.map((row) => Math.round(hugeMemory(row))) } },
  };
}

function hugeJob() {
  const finished = START + HUGE.rows * 1000;
  return job("huge", {
    status: "success", failure_reason: null, scrape_interval_seconds: 1, sample_count: HUGE.rows, finished_at: new Date(finished).toISOString(), finished_at_ms: finished, gaps: [],
    sections: [section("soak", 10, HUGE.rows - 10, 4_000_000, 7.9)], summary: { memory_used_bytes: { max: Math.round(7.9 * GIB) }, cpu_used_cores: { mean: 1.6, p50: 1.6, max: 2.8 }, oom_kills: { total: 0 } },
  });
}

const empty = { ts_ms: [], interval_ms: [], metrics: {}, gaps: [], from_ms: null, to_ms: null, state: "unavailable" };

/** id -> (number of the request, from 0) -> {job, profile} */
export function scenarios() {
  const gapped = profile({ gap: [0.6, 0.71] });
  const long = profile({ seconds: 5000 * 15, shift: 1 });
  const one = { ...profile({ seconds: 20, step: 15, shift: 10 }) };
  for (const key of ["ts_ms", "interval_ms"]) one[key] = one[key].slice(0, 1);
  for (const metric of Object.values(one.metrics)) metric.values = metric.values.slice(0, 1);
  const cut = profile({ gap: [0.8, 2], kills: false });
  cut.gaps = [{ from_ms: cut.ts_ms.at(-1), to_ms: START + 750_000 }];
  const endless = `<b>"'&</b>${"x".repeat(10_000)}`;
  const waiting = Object.fromEntries(closedList("Reason").map(({ word, text }) => [`why-${word}`, () => ({
    job: job(`why-${word}`, { ...UNMEASURED, state: OVER.includes(word) ? "unavailable" : "pending", reason: word, reason_text: text, ...(word === "not_started" ? { status: "pending", failure_reason: null, started_at: null, started_at_ms: null, finished_at: null, finished_at_ms: null } : {}) }),
    profile: { ...empty, state: "pending" },
  })]));
  const graded = Object.fromEntries(closedList("Verdict").map(({ word }) => [`verdict-${word}`, () => ({ job: job(`verdict-${word}`, { verdict: word }), profile: profile() })]));
  const liveStart = NOW - 300_000;
  const live = profile({ start: liveStart, seconds: 295, kills: false });
  const nulls = { source: null, job_id: null, state: "archived" };
  for (const key of Object.keys(job("x"))) nulls[key] ??= null;
  return {
    ...waiting,
    ...graded,
    hostgone: () => ({ job: job("hostgone", { verdict: "host_gone", coverage: 0.8, gaps: cut.gaps, failure_reason: "runner_system_failure" }, cut), profile: cut }),
    endless: () => ({ job: job("endless", { name: endless, sections: [section(endless, 10, 300), section(endless, 300, 600)] }), profile: profile() }),
    holed: () => ({ job: job("holed", { verdict: "partial", coverage: 1, gaps: [{ from_ms: START + 100_000, to_ms: START + 300_000, metric: "cpu_steal_seconds" }, { from_ms: START + 400_000, to_ms: START + 500_000, metric: "cpu_steal_seconds" }] }), profile: profile() }),
    nosections: () => ({ job: job("nosections", { sections: [] }), profile: profile() }),
    success: () => ({ job: job("success", { status: "success", failure_reason: null, summary: { ...job("x").summary, oom_kills: { total: 0 }, pressure_cpu_ratio: { mean: 0.31 }, pressure_io_ratio: { mean: 0.004 } } }, profile({ kills: false })), profile: profile({ kills: false }) }),
    sections300: () => ({ job: job("sections300", { sections: Array.from({ length: 300 }, (_, n) => section(`command ${n}`, n * 2.5, n * 2.5 + 2.4, n % 41, 1 + (n % 13) / 2)) }), profile: profile() }),
    huge: (_, query) => ({ job: hugeJob(), profile: query === undefined ? null : hugeProfile(query) }),
    // A service that knows no `points` sends everything.
    everything: (_, query) => {
      const all = profile({ seconds: 30_000 * 15, shift: 1 });
      return { job: job("everything", { finished_at_ms: all.to_ms, sections: [] }, all), profile: query === undefined ? null : all };
    },
    "o'neill": () => ({ job: job("o'neill"), profile: profile() }),
    4242: () => ({ job: job("4242"), profile: profile() }),
    gap: () => ({ job: job("gap", { verdict: "partial", coverage: 0.89, gaps: gapped.gaps, co_tenants: [{ source: "gitlab", job_id: "4243", overlap_seconds: 210.4 }, { source: "git/hub", job_id: "a b?", overlap_seconds: 12 }] }, gapped), profile: gapped }),
    settling: (round) => round < 1
      ? { job: job("settling", { state: "pending", verdict: null, coverage: null, sample_count: 0, summary: {}, sections: [], reason: "settling", reason_text: "The job ended 12 s ago; its last samples are still on their way." }), profile: { ...empty, state: "pending" } }
      : { job: job("settling"), profile: profile() },
    live: (round) => ({
      job: job("live", { state: "live", status: "running", failure_reason: null, verdict: null, coverage: null, started_at_ms: liveStart, finished_at: null, finished_at_ms: null, summary: {}, sections: [] }, live),
      profile: { ...profile({ start: liveStart, seconds: 280 + round * 15, kills: false }), state: "live" },
    }),
    nomachine: () => ({ job: job("nomachine", { state: "unavailable", verdict: "unknown_machine", reason: "unknown_machine", reason_text: "Runner 42 of gitlab is not registered, and the job did not say which machine it ran on.", coverage: null, sample_count: 0, summary: {}, sections: [], machine: null }), profile: empty }),
    expired: () => ({ job: job("expired", { state: "expired", reason: "raw_retention", reason_text: "Samples are kept for 400 days; this job's were removed on 2026-11-20." }), profile: { ...empty, state: "expired" } }),
    hostile: () => ({
      job: job("hostile", {
        name: HOSTILE, project: HOSTILE, ref: RTL, stage: LONG, runner_description: HOSTILE, web_url: "javascript:window.hacked=1", failure_reason: HOSTILE,
        verdict: HOSTILE, reason_text: HOSTILE, machine: { name: HOSTILE, region: LONG, type: "<b>", cpu_count: 4, memory_total_bytes: 8 * GIB },
        sections: [section(HOSTILE, 10, 200), section(LONG, 200, 300), section("", 300, 310), section("backward", 400, 350), section("__proto__", 320, 500), section("constructor", 330, 480)],
        co_tenants: [{ source: HOSTILE, job_id: "../../etc", overlap_seconds: null }], summary: { [HOSTILE]: { mean: 1 }, __proto__: { mean: 1 }, memory_used_bytes: { max: 5 * GIB } },
      }),
      profile: profile(),
    }),
    nulls: () => ({ job: nulls, profile: { source: null, ts_ms: null, interval_ms: null, metrics: null, gaps: null } }),
    garbage: () => ({ job: { source: 5, job_id: 7, state: 9, gaps: "x", sections: [null, 1, "a", {}], summary: [1], machine: "host-1", co_tenants: {}, coverage: "1" }, profile: { ts_ms: [3, "x", null, 1, 1, 2e300], metrics: { cpu_used_cores: { values: "no" }, memory_used_bytes: { values: [1] } }, gaps: [{ from_ms: 9, to_ms: 1 }] } }),
    zero: () => ({ job: job("zero", { verdict: "too_short", coverage: 0, sample_count: 0, sections: [], summary: { memory_used_bytes: { low: 0.4 * GIB, high: 1.1 * GIB }, cpu_used_seconds: { low: 1.5, high: 9 } }, finished_at_ms: START + 6000 }), profile: { ...empty, state: "archived" } }),
    one: () => ({ job: job("one", { verdict: "too_short", sections: [], finished_at_ms: START + 20_000 }, one), profile: one }),
    many: () => ({
      job: job("many", { sections: Array.from({ length: 1000 }, (_, n) => section(n % 3 === 0 ? "step" : `command ${n}`, (n * 74_000) / 1000, ((n + 1) * 74_000) / 1000 - 3, n % 91, (n % 70) / 10)), finished_at_ms: START + 5000 * 15_000 }, long),
      profile: long,
    }),
    overlap: () => ({ job: job("overlap", { sections: Array.from({ length: 40 }, (_, n) => section(`parallel ${n}`, n, 400 + n * 5)) }), profile: profile() }),
    nodisk: () => ({ job: job("nodisk"), profile: profile({ only: ["cpu_used", "memory_used", "network"] }) }),
    "a/b c?d%": () => ({ job: job("a/b c?d%"), profile: profile() }),
  };
}
