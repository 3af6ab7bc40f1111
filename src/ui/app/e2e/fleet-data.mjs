// A made-up fleet for the browser tests, and answers to the fleet's questions in the service's words. Whatever time is
// asked for has jobs, unless the filters say otherwise; every number is a function of its place, so it comes again.
import { NOW } from "./data.mjs";

const DAY = 86_400_000;
const HOUR = 3_600_000;
const GIB = 1024 ** 3;
const ORIGIN = 4 * DAY;

const PROJECTS = [
  ["acme/checkout/backend", 30, 6.2, 0.45], ["acme/app", 24, 3.1, 0.02], ["platform/images", 12, 11.5, -0.2], ["data/etl-nightly", 7, 24.2, 0.1], ["acme/website", 9, 1.4, 0],
  ["mobile/android", 6, 13.9, 0.15], ["mobile/ios", 4, 9.2, 0], ["infra/terraform", 5, 0.6, 0], ["research/ml-pipelines/training", 2, 51, 0.8], ["acme/docs", 1, 0.4, 0],
  ["tools/lint", 1, 0.3, 0], ["legacy/monolith", 3, 7.7, 0],
].map(([key, weight, memory, growth]) => ({ key, weight, memory, growth }));
const OTHERS = {
  name: ["build", "test: unit", "test: linux-x86_64", "lint", "deploy: production", "e2e"], ref: ["main", "feature/parallel-import", "release/2.4"], runner: ["11", "42", "77"],
  machine: ["runner-a1", "runner-b2", "runner-c3"], machine_type: ["n2-standard-4", "n2-standard-8", "c3-highcpu-16", "m3.large"], region: ["eu-1", "us-1", "ap-1"], status: ["success", "failed", "canceled"], source: ["gitlab"],
};

function hash(text) {
  let state = 2166136261;
  for (let at = 0; at < text.length; at += 1) state = Math.imul(state ^ text.charCodeAt(at), 16777619);
  return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
}

const busy = (at) => {
  const when = new Date(at);
  const weekend = [0, 6].includes(when.getUTCDay());
  const hour = when.getUTCHours();
  return (weekend ? 0.2 : 1) * (0.25 + Math.max(0, Math.sin(((hour - 6) / 14) * Math.PI)));
};

function groups(by, query) {
  const all = by === "project" ? PROJECTS : by === "none" ? [{ key: "all", weight: 100, memory: 8, growth: 0.12 }]
    : (OTHERS[by] ?? []).map((key, index) => ({ key: by === "name" ? `acme/app / ${key}` : key, weight: 40 / (index + 1), memory: 2 + hash(key) * 20, growth: hash(`${key}!`) - 0.4, value: key }));
  const wish = query.get(by);
  return (wish === null ? all : all.filter((one) => (one.value ?? one.key) === wish)).sort((a, b) => b.weight - a.weight);
}

function filters(by, group) {
  if (by === "none") return {};
  return by === "name" ? { project: "acme/app", name: group.value } : { [by]: group.value ?? group.key };
}

/** What stands for all the filters together: how much is left. */
function left(query) {
  if (query.get("project") === "nobody/nothing") return 0;
  return ["name", "ref", "runner", "machine", "machine_type", "region", "status"].reduce((share, name) => (query.has(name) ? share * 0.4 : share), 1);
}

function width(bucket, length) {
  const named = { "1h": 3600, "1d": 86_400, "7d": 604_800, "30d": 2_592_000 };
  return named[bucket] ?? (Number(bucket) || [300, 900, 3600, 21_600, 86_400, 604_800, 2_592_000].find((one) => length / 1000 / one <= 120));
}

const UNITS = { memory_used_bytes: "bytes", cpu_used_cores: "cores", duration_seconds: "seconds", queued_seconds: "seconds", jobs: "jobs", core_hours: "core hours", gib_hours: "GiB hours", cost: "money" };

function measure(metric, group, at, share, jobs) {
  const wave = 0.85 + 0.3 * hash(`${group.key} ${metric} ${at}`);
  const moved = 1 + group.growth * share;
  if (metric === "memory_used_bytes") return group.memory * GIB * wave * moved;
  if (metric === "jobs") return jobs;
  if (metric === "core_hours") return jobs * 0.4 * wave;
  if (metric === "gib_hours") return jobs * 1.4 * wave;
  if (metric === "cost") return jobs * 0.021 * wave;
  if (metric === "queued_seconds") return 4 + 60 * busy(at) ** 2 * wave;
  if (metric === "duration_seconds") return (120 + group.memory * 40) * wave * moved;
  return /bytes/.test(metric) ? group.memory * 2e6 * wave : /ratio/.test(metric) ? 0.1 * wave : (0.6 + group.memory / 6) * wave;
}

export function trends(query) {
  const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
  const seconds = width(query.get("bucket"), to - from);
  const bucket = seconds * 1000;
  const by = query.get("by") ?? "none";
  const stats = query.get("stat").split(",");
  const limit = Number(query.get("limit") ?? 6);
  const all = groups(by, query);
  const metric = query.get("metric");
  const series = left(query) === 0 ? [] : all.slice(0, limit).map((group) => {
    const points = [];
    for (let at = Math.floor((from - ORIGIN) / bucket) * bucket + ORIGIN; at < to; at += bucket) {
      const jobs = Math.round(group.weight * left(query) * (bucket / HOUR) * (bucket < DAY ? busy(at) : [0, 6].includes(new Date(at).getUTCDay()) && bucket === DAY ? 0.22 : 1) * (0.9 + 0.2 * hash(`${group.key}${at}`)) * 0.8);
      // A project that did not build for some days, and a day on which a Prometheus was down.
      if (jobs === 0 || (group.key === "mobile/android" && Math.floor(at / DAY) % 30 < 4)) continue;
      const value = measure(metric, group, at, (at - from) / (to - from), jobs);
      const values = Object.fromEntries(stats.map((stat) => [stat, stat === "p50" ? value * 0.42 : stat === "mean" ? value * 0.5 : stat === "max" ? value * 1.7 : stat === "p99" ? value * 1.3 : value]));
      points.push({ from_ms: at, value: values[stats[0]], values, jobs, measured: jobs, coverage: Math.floor(at / DAY) % 17 === 3 ? 0.71 : 0.985 });
    }
    return { key: group.key, filters: filters(by, group), points };
  });
  return { metric, stat: query.get("stat"), by, unit: UNITS[metric] ?? (/per_second/.test(metric) ? "bytes/s" : /bytes/.test(metric) ? "bytes" : "ratio"), bucket_seconds: seconds, from_ms: from, to_ms: to, series, truncated: all.length > limit, sql: `select project, p95(memory_used_bytes_max) from job_metrics where finished_at >= to_timestamp_millis(${from})` };
}

export function top(query) {
  const what = query.get("what");
  const by = query.get("by");
  const wasted = what.startsWith("wasted_");
  const hours = (Number(query.get("to")) - Number(query.get("from"))) / HOUR;
  const priced = query.get("source") !== "unpriced";
  const rows = left(query) === 0 ? [] : groups(by, query).map((group) => {
    const jobs = Math.round(group.weight * left(query) * hours * 0.8);
    const paid = /cost/.test(what) ? (priced ? jobs * 0.021 * (1 + group.memory / 10) : null) : /gib/.test(what) ? jobs * (1 + group.memory / 4) : /core/.test(what) ? jobs * 0.4 * (1 + group.memory / 12) : jobs;
    const used = what === "jobs" || paid === null ? null : paid * (0.12 + 0.75 * hash(`${group.key} used`));
    return { key: group.key, filters: filters(by, group), value: wasted ? (paid === null ? null : paid - used) : paid, jobs, measured: jobs, shared: group.key === "acme/docs" ? 40 : 0, paid, used };
  });
  const total = rows.every((row) => row.value === null) ? null : rows.reduce((sum, row) => sum + (row.value ?? 0), 0);
  rows.sort((a, b) => (b.value ?? 0) - (a.value ?? 0));
  const unit = /cost/.test(what) ? "money" : /gib/.test(what) ? "GiB hours" : /core/.test(what) ? "core hours" : "jobs";
  return { what, by, unit, total, rows: rows.slice(0, Number(query.get("limit") ?? 10)).map((row) => ({ ...row, share: row.value === null || !(total > 0) ? null : row.value / total })), sql: `select ${by}, sum(paid) from job_metrics` };
}

export function heatmap(query) {
  const ahead = Number(query.get("tz_offset_minutes") ?? 0);
  const metric = query.get("metric");
  const cells = Array.from({ length: 168 }, (_, slot) => {
    const at = ORIGIN + slot * HOUR - ahead * 60_000;
    const jobs = Math.round(900 * busy(at) * left(query) * (0.9 + 0.2 * hash(`heat ${slot}`)));
    // Nobody works on Sunday morning.
    const none = jobs === 0 || (slot >= 6 * 24 + 2 && slot < 6 * 24 + 6);
    return { weekday: Math.floor(slot / 24), hour: slot % 24, value: none || (metric === "queued_seconds" && query.get("source") === "unpriced") ? null : measure(metric, { key: `h${slot}`, memory: 8, growth: 0 }, at, 0, jobs), jobs: none ? 0 : jobs };
  });
  return { metric, stat: query.get("stat"), unit: UNITS[metric] ?? "bytes", cells, sql: "select 1 from job_metrics group by hour_of_week" };
}

/** Archived jobs of the last 30 days, for the list. */
export function archivedJobs() {
  return Array.from({ length: 420 }, (_, n) => {
    const group = PROJECTS[Math.floor(hash(`job ${n}`) ** 2 * PROJECTS.length)];
    const started = NOW - n * 53 * 60_000 - 600_000;
    const seconds = 20 + Math.round(hash(`long ${n}`) ** 3 * 4000);
    const total = 8 * GIB;
    return {
      source: "gitlab", job_id: String(9000 - n), status: hash(`status ${n}`) < 0.8 ? "success" : hash(`status ${n}`) < 0.95 ? "failed" : "canceled", verdict: hash(`verdict ${n}`) < 0.93 ? "complete" : "partial",
      project: group.key, name: OTHERS.name[n % 6], ref: OTHERS.ref[n % 3], machine: OTHERS.machine[n % 3], machine_type: OTHERS.machine_type[n % 4], region: OTHERS.region[n % 3], runner_id: OTHERS.runner[n % 3],
      started_at: new Date(started).toISOString(), finished_at: new Date(started + seconds * 1000).toISOString(), duration_seconds: seconds, cpu_count: 4, memory_total_bytes: total,
      memory_used_bytes_max: Math.round(total * Math.min(0.995, hash(`memory ${n}`))), cpu_used_cores_mean: 4 * hash(`cpu ${n}`),
    };
  });
}

const unquote = (text) => text.replaceAll("''", "'");

/** As much of SQL as the page sends. Null for anything else. */
export function sql(query) {
  const jobs = archivedJobs();
  const table = (rows) => {
    const names = rows.length > 0 ? Object.keys(rows[0]) : ["status"];
    return { columns: names.map((name) => ({ name, type: typeof rows[0]?.[name] === "number" ? "DOUBLE" : "VARCHAR" })), rows: rows.map((row) => names.map((name) => row[name])) };
  };
  const fits = (row) => {
    for (const [, column, value] of query.matchAll(/"?(\w+)"? = '((?:[^']|'')*)'/g)) if (String(row[column]) !== unquote(value)) return false;
    const hour = /\(cast\(started_at as bigint\) \/ 1000 \+ (-?\d+)\) \/ 3600000 % 168 = (\d+)/.exec(query);
    if (hour !== null && Math.floor((Date.parse(row.started_at) + Number(hour[1])) / HOUR) % 168 !== Number(hour[2])) return false;
    const from = /finished_at >= to_timestamp_millis\((\d+)\)/.exec(query);
    const to = /finished_at < to_timestamp_millis\((\d+)\)/.exec(query);
    return (from === null || Date.parse(row.finished_at) >= Number(from[1])) && (to === null || Date.parse(row.finished_at) < Number(to[1]));
  };
  if (query.startsWith("select field, key")) {
    const wanted = unquote(/strpos\(lower\(\w+\), '((?:[^']|'')*)'\)/.exec(query)[1]);
    const found = new Map();
    for (const field of ["project", "name", "ref", "machine"]) for (const job of jobs) if (job[field].toLowerCase().includes(wanted)) found.set(`${field}\n${job[field]}`, (found.get(`${field}\n${job[field]}`) ?? 0) + 1);
    const rows = [...found].map(([at, many]) => ({ field: at.split("\n")[0], key: at.split("\n")[1], source: null, jobs: many })).sort((a, b) => b.jobs - a.jobs);
    if (query.includes("'job' as field")) rows.unshift(...jobs.filter((job) => job.job_id === wanted).map((job) => ({ field: "job", key: job.job_id, source: job.source, jobs: 1e9 })));
    return table(rows.slice(0, 12));
  }
  if (query.endsWith("group by status, verdict")) {
    const counted = new Map();
    for (const job of jobs.filter(fits)) counted.set(`${job.status}\n${job.verdict}`, (counted.get(`${job.status}\n${job.verdict}`) ?? 0) + 1);
    return table([...counted].map(([at, many]) => ({ status: at.split("\n")[0], verdict: at.split("\n")[1], jobs: many })));
  }
  const ordered = /^select source, job_id.* order by (.+) (asc|desc) nulls last, source, job_id limit (\d+)(?: offset (\d+))?$/.exec(query);
  if (ordered === null) return null;
  const [, expression, way, limit, offset] = ordered;
  const [up, down] = expression.replace("1.0 * ", "").split(" / ");
  const rank = (row) => (up === "started_at" ? Date.parse(row[up]) : down === undefined ? row[up] : row[up] / row[down]);
  const rows = jobs.filter(fits).sort((a, b) => (way === "asc" ? rank(a) - rank(b) : rank(b) - rank(a)));
  return table(rows.slice(Number(offset ?? 0), Number(offset ?? 0) + Number(limit)));
}
