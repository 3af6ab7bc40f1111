// A short look at a real running service: node e2e/real.mjs BASE_URL SOURCE JOB_ID. Prints "N passed, N failed".
import { canvases } from "./browser.mjs";
import { equal, suite, truth } from "./check.mjs";

const [base, source, jobId] = process.argv.slice(2);
if (jobId === undefined) {
  console.error("usage: node e2e/real.mjs BASE_URL SOURCE JOB_ID");
  process.exit(64);
}
const path = `/jobs/${encodeURIComponent(source)}/${encodeURIComponent(jobId)}`;
const failed = await suite(base.replace(/\/$/, ""), [
  ["four graphs are drawn", async ({ page, open }) => {
    await open(path);
    const drawn = await canvases(page);
    equal(drawn.length, 4, `canvases (${(await page.textContent("main")).slice(0, 300)})`);
    for (const one of drawn) truth(one.inked > 1000 && one.colours > 5, `a blank canvas: ${JSON.stringify(one)}`);
  }],
  ["the record's sections are shown", async ({ page, open }) => {
    await open(path);
    const record = await page.evaluate((url) => fetch(url).then((answer) => answer.json()), `/api/v1${path}`);
    const dated = record.sections.filter((one) => one.started_at_ms !== null).length;
    equal(await page.locator(".lane").count(), dated, "lanes");
    truth((await page.textContent("#facts")).length > 20, "sentences");
  }],
  ["zooming works and the downloads answer", async ({ page, open }) => {
    await open(path);
    await page.keyboard.press("+");
    truth(new URL(page.url()).searchParams.has("from"), "range in the address");
    for (const format of ["parquet", "arrow", "csv", "json", "openmetrics"]) {
      const status = await page.evaluate((kind) => fetch(document.querySelector(`a[href*="format=${kind}"]`).href).then((answer) => answer.status), format);
      equal(status, 200, format);
    }
  }],
  ["the list has jobs", async ({ page, open }) => {
    await open("/");
    truth((await page.locator("table.jobs tbody tr").count()) > 0, "rows");
  }],
]);
process.exit(failed === 0 ? 0 : 1);
