// Holds the page to its budget: all JavaScript and CSS of a build, gzipped as the server sends it, in one sum.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGET = 45_000;
const dir = new URL("../../dist/assets/", import.meta.url);
let total = 0;
for (const name of readdirSync(dir).sort()) {
  if (!/\.(js|css)$/.test(name)) continue;
  const bytes = readFileSync(new URL(name, dir));
  const packed = gzipSync(bytes, { level: 9 }).length;
  total += packed;
  console.log(`${name}: ${bytes.length} bytes, ${packed} gzipped`);
}
console.log(`total ${total} of ${BUDGET} bytes gzipped`);
if (total === 0 || total > BUDGET) {
  console.error(total === 0 ? "nothing was built" : "over the budget");
  process.exit(1);
}
