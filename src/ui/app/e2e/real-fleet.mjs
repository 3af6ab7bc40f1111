// A look at the fleet of a real running service: node e2e/real-fleet.mjs BASE_URL [FROM TO]. What the page shows is held
// against what the service says by another way. FROM and TO (Unix ms) are needed if the archive is older than 90 days.
import { ready } from "./browser.mjs";
import { equal, suite, truth } from "./check.mjs";
import { followed } from "./look.mjs";

const [base, from, to] = process.argv.slice(2);
if (base === undefined) {
  console.error("usage: node e2e/real-fleet.mjs BASE_URL [FROM TO]");
  process.exit(64);
}
const time = to === undefined ? "range=90d" : `from=${from}&to=${to}`;
const page_ = `/fleet?${time}`;
const number = (text) => Number(text.replaceAll(",", ""));
const sql = (page, query) => page.evaluate(async (text) => {
  const answer = await fetch("/api/v1/sql", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ query: text, format: "json" }) });
  return answer.ok ? (await answer.json()).rows : Promise.reject(new Error(`${answer.status} ${await answer.text()} of ${text}`));
}, query);
const asked = (page, path) => page.evaluate((part) => performance.getEntriesByType("resource").map((one) => one.name).filter((name) => name.includes(`/api/v1/${part}?`)), path);
const answer = (page, url) => page.evaluate((address) => fetch(address).then(async (one) => (one.ok ? one.json() : Promise.reject(new Error(`${one.status} ${await one.text()} of ${address}`)))), url);
const listed = async (page) => number(/([\d,]+) archived jobs/.exec(await page.textContent(".page-head"))?.[1] ?? "-1");

const failed = await suite(base.replace(/\/$/, ""), [
  ["the page stands, and how soon", async ({ page, open }) => {
    await open(page_);
    const times = [];
    for (let n = 0; n < 5; n += 1) {
      await page.reload();
      await ready(page);
      times.push(await page.evaluate(() => Math.round(performance.now())));
    }
    const slowest = await page.evaluate(() => performance.getEntriesByType("resource").filter((one) => one.name.includes("/api/")).map((one) => `${new URL(one.name).pathname.slice(8)} ${Math.round(one.duration)} ms`).join(", "));
    console.log(`      drawn after ${times.sort((a, b) => a - b).join(", ")} ms; of the last one: ${slowest}`);
    equal(await page.locator(".state").count(), 0, "failures");
    equal(await page.locator("#facts > div").count(), 4, `sentences: ${await page.textContent("#facts")}`);
    truth((await page.locator(".lines tbody tr").count()) > 1 && (await page.locator("#wasters tbody tr").count()) > 1, "lines and lists");
  }],
  ["hours, top lists and trend speak of the same jobs as SQL", async ({ page, open }) => {
    await open(page_);
    const [heatUrl] = await asked(page, "heatmap");
    const query = new URL(heatUrl).searchParams;
    const range = `finished_at >= to_timestamp_millis(${query.get("from")}) and finished_at < to_timestamp_millis(${query.get("to")})`;
    const heat = await answer(page, heatUrl);
    const [[jobs]] = await sql(page, `select count(*) from jobs where ${range} and started_at is not null`);
    equal(heat.cells.reduce((sum, cell) => sum + cell.jobs, 0), jobs, "jobs of the hours");
    const trend = await answer(page, (await asked(page, "trends"))[0]);
    for (const series of trend.series.slice(0, 3)) {
      const [[many]] = await sql(page, `select count(*) from jobs where ${range} and project = '${series.filters.project.replaceAll("'", "''")}'`);
      equal(series.points.reduce((sum, point) => sum + point.jobs, 0), many, `jobs of ${series.key}`);
    }
    for (const url of await asked(page, "top")) truth((await sql(page, (await answer(page, url)).sql)).length > 0, "the question in SQL answers");
    for (const one of [trend, heat]) truth((await sql(page, one.sql)).length > 0, "the question in SQL answers");
  }],
  ["a bucket, a bar and an hour lead to exactly their jobs", async ({ page, open }) => {
    await open(page_);
    const trend = await answer(page, (await asked(page, "trends"))[0]);
    const point = trend.series[0].points[Math.floor(trend.series[0].points.length / 2)];
    const bar = await page.locator("#consumers tbody tr").first().evaluate((row) => [row.querySelector("a").href, row.cells[3].textContent]);
    const heat = await answer(page, (await asked(page, "heatmap"))[0]);
    const slot = heat.cells.findIndex((cell) => cell.jobs > 0);
    await followed(page, () => page.locator(`#heat [data-slot="${slot}"]`).click());
    equal(await listed(page), heat.cells[slot].jobs, `hour ${slot}`);
    await open(`/?project=${encodeURIComponent(trend.series[0].filters.project)}&from=${point.from_ms}&to=${point.from_ms + trend.bucket_seconds * 1000}`);
    equal(await listed(page), point.jobs, "bucket");
    await open(new URL(bar[0]).pathname + new URL(bar[0]).search);
    truth((await listed(page)) > 0, `bar of ${bar[1]} jobs`);
    await followed(page, () => page.locator("table.jobs a").first().click());
    truth((await page.textContent("h1")).length > 0 && (await page.locator(".answers, .state").count()) > 0, "on to a job");
  }],
  ["every choice is answered", async ({ page, open }) => {
    await open(page_);
    const options = (panel, label) => page.locator(`#${panel}`).getByLabel(label, { exact: true }).locator("option").evaluateAll((all) => all.map((one) => one.value));
    const choices = [
      ...(await options("trend", "Metric")).map((one) => `metric=${one}`), ...(await options("trend", "Statistic")).map((one) => `stat=${one}`), ...(await options("trend", "by")).map((one) => `by=${one}`),
      ...(await options("heat", "Show")).map((one) => `hours=${one}`), ...(await options("consumers", "of")).map((one) => `use=${one}`), ...(await options("consumers", "by")).map((one) => `of=${one}`),
    ];
    truth(choices.length > 40, `${choices.length} choices`);
    for (const choice of choices) {
      await open(`${page_}&${choice}`);
      equal(await page.locator(".state").count(), 0, `${choice}: ${(await page.locator(".state").allTextContents()).join()}`);
    }
  }],
  ["filters are counted, the search finds, columns sort", async ({ page, open }) => {
    await open(page_);
    await page.keyboard.press("f");
    await page.waitForSelector("#filters .choices button");
    await page.getByRole("group", { name: "Filter by" }).getByRole("button", { name: "Region", exact: true }).click();
    await page.waitForFunction(() => document.querySelectorAll("#filters .choices button").length > 1);
    await followed(page, () => page.locator("#filters .choices button").first().click());
    truth(new URL(page.url()).searchParams.has("region"), "region");
    await open(`/?${time}`);
    const project = (await page.textContent("table.jobs td[data-label=Project]")).split(" ")[0];
    await page.keyboard.press("/");
    await page.keyboard.type(project.slice(0, 6));
    await page.waitForSelector("#search-found li", { timeout: 15_000 });
    await followed(page, () => page.locator("#search-found li").first().click());
    truth((await page.locator(".chip").count()) === 1 && (await listed(page)) > 0, "search");
    await open(`/?${time}`);
    await followed(page, () => page.getByRole("button", { name: "Peak memory" }).click());
    const shown = await page.$$eval("table.jobs td[data-label='Peak memory']", (all) => all.map((cell) => cell.firstChild.textContent));
    const size = (text) => Number.parseFloat(text) * 1024 ** ["B", "KiB", "MiB", "GiB", "TiB"].indexOf(text.split(" ")[1]);
    truth(shown.length > 10 && size(shown[0]) >= size(shown[9]) && size(shown[9]) >= size(shown.at(-1)), shown.join());
    const counts = await page.$$eval("[aria-label=Status] button .small", (all) => all.map((one) => one.textContent));
    truth(counts.length > 1, "statuses with counts");
  }],
  ["downloads answer", async ({ page, open }) => {
    await open(page_);
    await page.locator("#wasters-files-button").click();
    for (const [name, ending] of [["CSV", "csv"], ["Parquet", "parquet"]]) {
      const [file] = await Promise.all([page.waitForEvent("download"), page.locator("#wasters-files").getByRole("button", { name }).click()]);
      truth(file.suggestedFilename().endsWith(ending) && (await (await file.createReadStream()).toArray()).join("").length > 100, name);
    }
    for (const link of await page.locator("#wasters-files a").evaluateAll((all) => all.map((one) => one.href))) {
      const status = await page.evaluate(async (url) => {
        const abort = new AbortController();
        const answer_ = await fetch(url, { signal: abort.signal });
        abort.abort();
        return answer_.status;
      }, link);
      equal(status, 200, link);
    }
  }],
]);
process.exit(failed === 0 ? 0 : 1);
