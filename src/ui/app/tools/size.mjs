// Holds the page to its budgets, gzipped as the server sends it: what the page of a job loads (all that the document
// names), and what the pages over many jobs load beyond that.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGETS = { job: 45_000, many: 30_000 };
const dist = new URL("../../dist/", import.meta.url);
const named = readFileSync(new URL("index.html", dist), "utf8");
const totals = { job: 0, many: 0 };
for (const name of readdirSync(new URL("assets/", dist)).sort()) {
  if (!/\.(js|css)$/.test(name)) continue;
  const bytes = readFileSync(new URL(`assets/${name}`, dist));
  const packed = gzipSync(bytes, { level: 9 }).length;
  const part = named.includes(name) ? "job" : "many";
  totals[part] += packed;
  console.log(`${part}: ${name}: ${bytes.length} bytes, ${packed} gzipped`);
}
for (const [part, total] of Object.entries(totals)) {
  console.log(`${part}: ${total} of ${BUDGETS[part]} bytes gzipped`);
  if (total === 0 || total > BUDGETS[part]) {
    console.error(total === 0 ? "nothing was built" : "over the budget");
    process.exitCode = 1;
  }
}
