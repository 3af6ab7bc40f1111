// Browser tests of the built page against made-up jobs and a made-up fleet. `npm run build` first. Prints "N passed, N failed".
import { existsSync } from "node:fs";
import { chartChecks } from "./charts.mjs";
import { fleetChecks } from "./fleet.mjs";
import { listChecks } from "./list.mjs";
import { suite } from "./check.mjs";
import { NOW } from "./data.mjs";
import { serve } from "./server.mjs";
import { stateChecks } from "./states.mjs";

if (!existsSync(new URL("../../dist/index.html", import.meta.url))) {
  console.error("nothing is built: npm run build");
  process.exit(66);
}
const server = await serve();
const wanted = process.argv[2];
const checks = [...chartChecks(server), ...stateChecks(server), ...fleetChecks(server), ...listChecks(server)].filter(([name]) => wanted === undefined || name.includes(wanted));
const failed = await suite(server.url, checks, { pictures: process.env.E2E_PICTURES, now: NOW });
await server.close();
process.exit(failed === 0 && checks.length > 0 ? 0 : 1);
