// A small server for the browser tests: the built page with the real service's policy, and an API that answers from
// scenarios. It listens on a port that the system picks.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { scenarios } from "./data.mjs";
import { heatmap, sql, top, trends } from "./fleet-data.mjs";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

function send(response, status, body, type, more = {}) {
  response.writeHead(status, { "content-type": type, "content-security-policy": "default-src 'self'", "x-content-type-options": "nosniff", "cache-control": "no-store", ...more });
  response.end(body);
}

function problem(response, status, code, title, detail) {
  send(response, status, JSON.stringify({ type: "about:blank", title, status, code, detail, request_id: "req-01HZX4" }), "application/problem+json");
}

async function bodyOf(request) {
  let text = "";
  for await (const piece of request) text += piece;
  return JSON.parse(text);
}

let crowd = 0;

/** The questions over many jobs; `broken` in a filter breaks one. */
async function fleet(request, response, url) {
  const name = url.pathname.slice("/api/v1/".length);
  const query = url.searchParams;
  if (query.get("project") === `broken/${name}`) return problem(response, 500, "internal", "The archive could not answer", "A segment could not be read.");
  const json = (answer) => send(response, 200, JSON.stringify(answer), "application/json");
  // A service that has too much to do at first.
  if (query.get("region") === "crowded" && (crowd += 1) <= 6) return problem(response, 429, "overloaded", "Too many questions", "Ask again in a moment.");
  if (name === "trends") return json(trends(query));
  if (name === "top") return json(top(query));
  if (name === "heatmap") return json(heatmap(query));
  if (name === "export") return send(response, 200, `jobs as ${query.get("format")}`, "application/octet-stream", { "content-disposition": `attachment; filename="jobs.${query.get("format")}"` });
  const asked = await bodyOf(request);
  if (asked.query.includes("'broken'")) return problem(response, 400, "invalid_sql", "The query cannot be read", "There is no column of this name.");
  if (asked.format !== "json") return send(response, 200, `${asked.format} of ${asked.query}`, "application/octet-stream");
  const answer = sql(asked.query);
  return answer === null ? problem(response, 400, "invalid_sql", "The query cannot be read", asked.query) : json(answer);
}

function csv(profile) {
  const names = Object.keys(profile.metrics);
  return [["ts_ms", ...names].join(","), ...profile.ts_ms.map((at, row) => [at, ...names.map((name) => profile.metrics[name].values[row] ?? "")].join(","))].join("\n");
}

export async function serve(port = 0) {
  const known = scenarios();
  const rounds = new Map();
  const state = { failing: false, delay: 0, requests: [] };
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://local");
    state.requests.push(request.url);
    if (state.delay > 0) await new Promise((done) => setTimeout(done, state.delay));
    const match = /^\/api\/v1\/jobs\/([^/]+)\/([^/]+)(\/profile)?$/.exec(url.pathname);
    if (/^\/api\/v1\/(trends|top|heatmap|export|sql)$/.test(url.pathname)) {
      if (state.failing) return problem(response, 503, "unavailable", "The archive is starting", "The index is being opened. Try again in a moment.");
      return fleet(request, response, url);
    }
    if (url.pathname === "/api/v1/jobs") {
      if (state.failing) return problem(response, 503, "unavailable", "The archive is starting", "The index is being opened. Try again in a moment.");
      const jobs = Object.entries(known).filter(([id]) => !/^(nulls|garbage|why-|verdict-)/.test(id)).map(([, make]) => make(9).job);
      const second = url.searchParams.get("cursor") === "second";
      return send(response, 200, JSON.stringify({ jobs: second ? jobs.slice(0, 2).map((job) => ({ ...job, job_id: `${job.job_id}-older` })) : jobs, next_cursor: second ? null : "second" }), "application/json");
    }
    if (match !== null) {
      const id = decodeURIComponent(match[2]);
      if (id === "broken" || state.failing) return problem(response, 500, "internal", "The archive could not answer", "A segment could not be read.");
      const make = decodeURIComponent(match[1]) === "gitlab" && Object.hasOwn(known, id) ? known[id] : null;
      if (make === null) return problem(response, 404, "not_found", "Not found", null);
      const round = rounds.get(id) ?? 0;
      if (match[3] === undefined) rounds.set(id, round + 1);
      const answer = match[3] === undefined ? make(round) : make(Math.max(0, (rounds.get(id) ?? 1) - 1), url.searchParams);
      if (match[3] === undefined) return send(response, 200, JSON.stringify(answer.job), "application/json");
      const format = url.searchParams.get("format");
      if (format === "csv") return send(response, 200, csv(answer.profile), "text/csv", { "content-disposition": `attachment; filename="job-${id}.csv"` });
      if (format !== null && format !== "json") return send(response, 200, `${format} of ${url.search}`, "application/octet-stream", { "content-disposition": `attachment; filename="job-${id}.${format}"` });
      return send(response, 200, JSON.stringify(answer.profile), "application/json");
    }
    const path = normalize(url.pathname);
    if (path.startsWith("/assets/")) {
      try {
        return send(response, 200, readFileSync(join(DIST, path)), TYPES[extname(path)] ?? "application/octet-stream");
      } catch {
        return send(response, 404, "not found", "text/plain");
      }
    }
    return send(response, 200, readFileSync(join(DIST, "index.html")), TYPES[".html"]);
  });
  await new Promise((done) => server.listen(port, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${server.address().port}`, state, close: () => new Promise((done) => server.close(done)) };
}

// `node e2e/server.mjs` keeps it running, to look at the page.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const running = await serve(Number(process.env.PORT ?? 0));
  console.log(`${running.url}/jobs/gitlab/4242`);
}
