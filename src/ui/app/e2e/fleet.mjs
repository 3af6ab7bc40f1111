// Checks of the fleet's page: what it asks, draws and says, its address, its keys, and where its graphics lead.
import { canvases, ready } from "./browser.mjs";
import { equal, truth } from "./check.mjs";
import { NOW } from "./data.mjs";
import { allNarrow, axeChecks, followed, helpLines, noSideways } from "./look.mjs";

const query = (page) => new URL(page.url()).searchParams;
const settle = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
const asked = (server, path) => server.state.requests.filter((url) => url.startsWith(`/api/v1/${path}`)).map((url) => new URL(url, server.url).searchParams);
const pictures = (page) => page.$$eval(".plot canvas", (all) => all.map((canvas) => canvas.toDataURL()));
const cells = (page, table) => page.$$eval(`${table} tbody tr`, (rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));

/** Canvases of any graphic; those of a job's page are counted by `canvases`. */
async function inked(page) {
  await page.evaluate(() => document.querySelectorAll(".plot").forEach((plot) => plot.classList.add("chart")));
  return canvases(page);
}

const PAGES = [
  ["/fleet", null], ["/fleet", (page) => page.keyboard.press("t")], ["/fleet", (page) => page.keyboard.press("?")], ["/fleet", (page) => page.keyboard.press("d")],
  ["/fleet", async (page) => { await page.keyboard.press("f"); await page.waitForSelector("#filters .choices button"); }],
  ["/fleet", (page) => page.locator("#time-button").click()], ["/fleet?metric=jobs&by=none&range=7d", null], ["/fleet?project=nobody%2Fnothing", null], ["/fleet?project=broken%2Ftrends", null],
  ["/fleet?project=acme%2Fapp&region=eu-1&status=failed&use=cost", (page) => page.keyboard.press("ArrowRight")],
];

export function fleetChecks(server) {
  return [
    ["fleet: four questions, all at once, and nothing else is loaded", async ({ page, open }) => {
      server.state.requests.length = 0;
      server.state.delay = 150;
      try {
        await open("/fleet");
      } finally {
        server.state.delay = 0;
      }
      const urls = server.state.requests;
      equal(urls.filter((url) => url.startsWith("/api/")).map((url) => url.slice(8, url.indexOf("?"))).sort(), ["heatmap", "top", "top", "trends"], "questions");
      equal(urls.filter((url) => url.startsWith("/assets/") && /\.(js|css)$/.test(url)).length, 4, `scripts and styles: ${urls}`);
      // Asked one after the other they would need four times the delay.
      const begun = await page.evaluate(() => performance.getEntriesByType("resource").filter((one) => one.name.includes("/api/")).map((one) => one.startTime));
      truth(Math.max(...begun) - Math.min(...begun) < 100, `begun at ${begun}`);
      const trend = asked(server, "trends")[0];
      equal([trend.get("metric"), trend.get("stat"), trend.get("by"), trend.get("bucket"), trend.get("limit")], ["memory_used_bytes", "p95,p50", "project", "1d", "6"], "the trend's question");
      truth(Number(trend.get("from")) % 86_400_000 === 0 && Number(trend.get("to")) % 60_000 === 0, "whole buckets, whole minutes");
      const times = new Set(["trends", "top", "heatmap"].flatMap((path) => asked(server, path)).map((one) => `${one.get("from")} ${one.get("to")}`));
      equal(times.size, 1, "all speak of one time");
    }],
    ["fleet: lines, bands, bars, lists and hours are drawn, and said in words", async ({ page, open }) => {
      await open("/fleet");
      const drawn = await inked(page);
      equal(drawn.length, 2, "canvases");
      for (const one of drawn) truth(one.inked > 2000 && one.colours > 5, `a blank canvas: ${JSON.stringify(one)}`);
      const said = (await page.textContent("#facts")).replace(/\s+/g, " ");
      truth(/How much ran\?\d[\d.]* k jobsThey held \d[\d.]* k core-hours\.Most: acme\/checkout\/backend, .*How much was not used\?\d+ % of core-hours/.test(said), said);
      truth(/Which hours are tight\?Wednesdays, 12:00 to 15:00Longest queues: 1 min 49 s/.test(said) && /What changed most\?acme\/checkout\/backend: 3\d % more/.test(said), said);
      equal(await page.locator(".lines tbody tr").count(), 6, "lines");
      equal((await cells(page, ".lines"))[2].slice(2, 3), ["−9.4 %"], "a true minus");
      truth((await page.textContent("#trend .notes")).includes("there are more"), "truncated");
      equal(await page.locator("#consumers tbody tr").count(), 10, "consumers");
      equal(await page.locator("#heat [role=gridcell]").count(), 168, "hours");
      equal(await page.locator("#heat .heat-0[role=gridcell]").count(), 4, "hours without jobs");
      truth((await page.getAttribute(".plots", "aria-label")).startsWith("Peak memory, p95. acme/checkout/backend "), await page.getAttribute(".plots", "aria-label"));
    }],
    ["fleet: a choice is in the address; reload, back and forward keep it", async ({ page, open }) => {
      await open("/fleet?theme=light");
      const before = await pictures(page);
      await followed(page, () => page.locator("#trend").getByLabel("Metric").selectOption("duration_seconds"));
      await followed(page, () => page.locator("#trend").getByLabel("by", { exact: true }).selectOption("region"));
      await followed(page, () => page.locator("#consumers").getByLabel("of").selectOption("memory"));
      await followed(page, () => page.locator("#heat").getByLabel("Show").selectOption("jobs"));
      await followed(page, () => page.getByRole("button", { name: "7 d", exact: true }).click());
      equal([...query(page)].sort(), [["by", "region"], ["hours", "jobs"], ["metric", "duration_seconds"], ["range", "7d"], ["theme", "light"], ["use", "memory"]], "address");
      const chosen = await pictures(page);
      truth(chosen[0] !== before[0], "another picture");
      await page.reload();
      await ready(page);
      equal(await page.locator("#trend").getByLabel("Metric").inputValue(), "duration_seconds", "metric");
      equal(await page.locator("#heat").getByLabel("Show").inputValue(), "jobs", "hours");
      equal((await cells(page, ".lines")).length, 3, "regions");
      await followed(page, () => page.goBack());
      equal(query(page).get("range"), null, "back");
      await followed(page, () => page.goForward());
      equal(query(page).get("range"), "7d", "forward");
    }],
    ["fleet: twenty addresses ask what they say", async ({ open }) => {
      for (let n = 0; n < 20; n += 1) {
        const from = Date.UTC(2026, n % 11, 1 + n);
        const to = from + (n + 1) * 5 * 86_400_000;
        const metric = ["jobs", "memory_used_bytes", "cost", "queued_seconds"][n % 4];
        server.state.requests.length = 0;
        await open(`/fleet?from=${from}&to=${to}&metric=${metric}&project=acme%2Fapp&region=eu-${n % 2}&hours=cores&use=cost&of=machine_type&bucket=${n % 2 ? "1d" : "auto"}`);
        const [trend] = asked(server, "trends");
        equal([trend.get("from"), trend.get("to"), trend.get("metric"), trend.get("project"), trend.get("region")], [String(from), String(to), metric, "acme/app", `eu-${n % 2}`], "trend");
        equal(asked(server, "top").map((one) => [one.get("what"), one.get("by"), one.get("region")]).sort(), [["cost", "machine_type", `eu-${n % 2}`], ["wasted_cost", "machine_type", `eu-${n % 2}`]], "top");
        equal(asked(server, "heatmap").map((one) => [one.get("metric"), one.get("stat"), one.get("from")]), [["core_hours", "sum", String(from)]], "heatmap");
      }
    }],
    ["fleet: dragging zooms the time, for all", async ({ page, open }) => {
      await open("/fleet");
      server.state.requests.length = 0;
      const box = await page.locator(".plot .u-over").first().boundingBox();
      await followed(page, async () => {
        await page.mouse.move(box.x + box.width * 0.3, box.y + 60);
        await page.mouse.down();
        await page.mouse.move(box.x + box.width * 0.5, box.y + 60, { steps: 4 });
        await page.mouse.up();
      });
      equal(new URL(page.url()).pathname, "/fleet", "a drag is no click");
      const length = Number(query(page).get("to")) - Number(query(page).get("from"));
      truth(Math.abs(length / 86_400_000 - 6) < 0.3, `${length / 86_400_000} days`);
      equal(new Set(["trends", "top", "heatmap"].flatMap((path) => asked(server, path)).map((one) => one.get("from"))).size, 1, "all ask for it");
    }],
    ["fleet: a point leads to its jobs, and on to a job; back leads back", async ({ page, open }) => {
      await open("/fleet?region=eu-1");
      const box = await page.locator(".plot .u-over").first().boundingBox();
      // The topmost line is that of the hungriest project.
      await followed(page, () => page.mouse.click(box.x + box.width * 0.5, box.y + box.height * 0.1));
      equal(new URL(page.url()).pathname, "/", "list");
      equal([query(page).get("project"), query(page).get("region")], ["data/etl-nightly", "eu-1"], "filtered alike");
      equal(Number(query(page).get("to")) - Number(query(page).get("from")), 86_400_000, "the bucket's time");
      await followed(page, () => page.goBack());
      equal([new URL(page.url()).pathname, await page.locator("#consumers").count()], ["/fleet", 1], "back");
      await followed(page, () => page.locator("#consumers tbody a").nth(1).click());
      equal([query(page).get("project"), query(page).get("region"), query(page).get("range")], ["acme/app", "eu-1", "30d"], "from a bar");
      await followed(page, () => page.locator("table.jobs a").first().click());
      truth(new URL(page.url()).pathname.startsWith("/jobs/gitlab/"), "on to a job");
    }],
    ["fleet: an hour leads to the jobs that started in it", async ({ page, open }) => {
      await open("/fleet?range=90d");
      await followed(page, () => page.locator('#heat [data-slot="38"]').click());
      equal([query(page).get("hour"), query(page).get("tz")], ["38", "60"], "address");
      equal(await page.locator(".chip").textContent(), "Hour Tuesday 14:00 to 15:00 ✕", "chip");
      const started = await page.$$eval("table.jobs td[data-label=Started]", (all) => all.map((cell) => cell.textContent));
      truth(started.length > 0 && started.every((text) => new Date(text.replace(" ", "T")).getDay() === 2 && text.slice(11, 13) === "14"), started.join(" "));
      await followed(page, () => page.locator(".chip").click());
      equal(query(page).get("hour"), null, "removed");
    }, { timezoneId: "Europe/Berlin" }],
    ["fleet: the grid of hours by keyboard", async ({ page, open }) => {
      await open("/fleet");
      await page.locator("#heat [tabindex='0'][role=gridcell]").focus();
      for (const key of ["ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft"]) await page.keyboard.press(key);
      equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label").split(":")[0]), "Tuesday 01", "place");
      equal(await page.textContent("#announcer"), "", "the trend's crosshair stays");
      await page.keyboard.press("End");
      await followed(page, () => page.keyboard.press("Enter"));
      equal(query(page).get("hour"), "47", "hour");
    }],
    ["fleet: a click on a line's name puts it in front with its band", async ({ page, open }) => {
      await open("/fleet");
      const before = await pictures(page);
      await page.getByRole("button", { name: "data/etl-nightly" }).first().click();
      await settle(page);
      truth((await pictures(page)).every((one, index) => one !== before[index]), "both pictures change");
      equal(await page.locator(".lines .chosen th").textContent(), "data/etl-nightly", "chosen");
      truth((await page.textContent(".strip-title")).includes("of data/etl-nightly"), "its jobs");
      truth((await page.textContent(".notes")).includes("Band: p50 to p95 of data/etl-nightly"), "its band");
    }],
    ["fleet: every action has a key", async ({ page, open }) => {
      await open("/fleet");
      const press = async (key) => {
        await page.keyboard.press(key);
        await settle(page);
      };
      const said = () => page.textContent("#announcer");
      await press("ArrowRight");
      truth(/^\w{3} \d+ \w{3} 2026\. acme\/checkout\/backend .+\. [\d,]+ jobs\.$/.test(await said()), await said());
      const first = await said();
      await press("Shift+ArrowRight");
      truth((await said()) !== first, "ten further");
      await press("Shift+ArrowLeft");
      equal(await said(), first, "and back");
      await press("Shift+End");
      truth((await page.locator(".lines caption").textContent()).includes(new Date(NOW).toUTCString().slice(5, 7).replace(/^0/, "")), "the last day");
      await press("Shift+Home");
      equal(await said(), first, "the first day");
      await press("]");
      equal(await said(), "acme/checkout/backend in front", "]");
      await press("[");
      equal(await said(), "All lines in front", "[");
      await press("Escape");
      truth((await page.locator(".lines caption").textContent()).startsWith("Last whole bucket"), "Esc");
      await press("t");
      equal([await page.locator("#trend .sample-table tbody tr").count(), await page.locator(".plot").count(), await page.locator("#heat .numbers").count()], [30, 0, 1], "tables");
      truth((await page.textContent("#trend .sample-table tbody tr:first-child")).includes("so far"), "newest first");
      await press("t");
      equal(await page.locator(".plot").count(), 2, "graphics again");
      await press("c");
      equal(await page.getByRole("button", { name: "UTC" }).getAttribute("aria-pressed"), "true", "c");
      await press("f");
      truth(await page.locator("#filters").isVisible(), "f");
      await press("Escape");
      await press("d");
      truth(await page.locator("#trend-files").isVisible(), "d");
      await press("Escape");
      equal(await helpLines(page), 22, "help lists all");
      for (const [key, days] of [["+", 15], ["-", 30]]) {
        await followed(page, () => page.keyboard.press(key));
        truth(Math.abs((Number(query(page).get("to")) - Number(query(page).get("from"))) / 86_400_000 - days) < 1.1, `${key}: ${page.url()}`);
      }
      const to = Number(query(page).get("to"));
      await followed(page, () => page.keyboard.press("p"));
      truth(Number(query(page).get("to")) < to - 28 * 86_400_000, "p");
      await followed(page, () => page.keyboard.press("n"));
      await followed(page, () => page.keyboard.press("0"));
      equal(query(page).get("from"), null, "0");
      await press("ArrowRight");
      await followed(page, () => page.keyboard.press("o"));
      equal(new URL(page.url()).pathname, "/", "o");
    }],
    ["fleet: a filter is found by typing, counted, and put into the address", async ({ page, open }) => {
      await open("/fleet");
      server.state.requests.length = 0;
      await page.locator("#filters-button").click();
      await page.getByRole("group", { name: "Filter by" }).getByRole("button", { name: "Project", exact: true }).click();
      await page.waitForSelector("#filters .choices button");
      equal(asked(server, "top").every((one) => one.get("what") === "jobs"), true, "counted only now");
      await page.locator("#filter-text").fill("etl");
      equal(await page.locator("#filters .choices li").count(), 2, "one value, and the text as it is");
      await followed(page, () => page.locator("#filters .choices button").first().click());
      equal(query(page).get("project"), "data/etl-nightly", "address");
      truth(!(await page.locator("#filters").isVisible()), "the menu is closed");
      await page.keyboard.press("f");
      await page.getByRole("group", { name: "Filter by" }).getByRole("button", { name: "Source", exact: true }).click();
      await page.locator("#filter-text").fill("x' or 1=1 --");
      await followed(page, () => page.keyboard.press("Enter"));
      equal(query(page).get("source"), "x' or 1=1 --", "any text stays a text");
      equal(await page.locator(".chip").count(), 2, "chips");
      await followed(page, () => page.getByRole("button", { name: "Clear all" }).click());
      equal(await page.locator(".chip").count(), 0, "cleared");
      await followed(page, () => page.getByRole("button", { name: "Filter by acme/app" }).first().click());
      equal([query(page).get("project"), await page.locator("#wasters tbody tr").count()], ["acme/app", 1], "from a list");
    }],
    ["fleet: an own time, and a wrong one is said", async ({ page, open }) => {
      await open("/fleet");
      await page.locator("#time-button").click();
      await page.getByLabel("From", { exact: true }).fill("2026-10-05T00:00");
      await page.getByLabel("to", { exact: true }).fill("2026-10-01T00:00");
      await page.getByRole("button", { name: "Show", exact: true }).click();
      equal(await page.locator("#time [role=alert]").textContent(), "The end must lie behind the beginning.", "alert");
      await page.getByLabel("to", { exact: true }).fill("2026-10-12T00:00");
      await followed(page, () => page.getByRole("button", { name: "Show", exact: true }).click());
      equal([query(page).get("from"), query(page).get("to")], [String(Date.UTC(2026, 9, 5)), String(Date.UTC(2026, 9, 12))], "address");
      truth((await page.textContent("#time-button")).startsWith("2026-10-05 to 2026-10-11"), await page.textContent("#time-button"));
    }],
    ["fleet: downloads: what is shown as CSV and Parquet, its jobs, and SQL to copy", async ({ page, open, context }) => {
      await context.grantPermissions(["clipboard-read", "clipboard-write"]);
      await open("/fleet");
      await page.locator("#consumers-files-button").click();
      const [file] = await Promise.all([page.waitForEvent("download"), page.locator("#consumers-files").getByRole("button", { name: "CSV" }).click()]);
      equal(file.suggestedFilename(), "top-core_hours.csv", "name");
      const text = await (await file.createReadStream()).toArray().then((all) => Buffer.concat(all).toString());
      const lines = text.trim().split("\r\n").map((line) => line.split(","));
      equal([lines.length, lines[0].join()], [11, "project,core_hours,share,jobs,held,used"], "CSV");
      const shown = await cells(page, "#consumers");
      truth(lines.slice(1).every((line, row) => shown[row][0].startsWith(line[0])), "the rows that are shown");
      const [parquet] = await Promise.all([page.waitForEvent("download"), page.locator("#consumers-files").getByRole("button", { name: "Parquet" }).click()]);
      equal(parquet.suggestedFilename(), "top-core_hours.parquet", "parquet");
      equal((await (await parquet.createReadStream()).toArray()).join(""), "parquet of select project, sum(paid) from job_metrics", "from the same question");
      truth(/^\/api\/v1\/export\?table=jobs&format=csv&from=\d+&to=\d+$/.test(await page.locator("#consumers-files a", { hasText: "CSV" }).getAttribute("href")), "export");
      await page.locator("#consumers-files").getByRole("button", { name: "Copy as SQL" }).click();
      await page.waitForFunction(() => document.querySelector("#consumers-files [role=status]")?.textContent === "Copied:");
      equal(await page.evaluate(() => navigator.clipboard.readText()), "select project, sum(paid) from job_metrics", "clipboard");
      await open("/fleet?region=eu-1");
      equal(await page.locator("#consumers-files a").count(), 0, "an export that knows no such filter is not offered");
    }],
    ["fleet: what is not whole is hatched and said", async ({ page, open }) => {
      await open("/fleet");
      truth(/Hatched: in [12] of 30 buckets samples cover less than 90 %/.test(await page.textContent("#trend .notes")), await page.textContent("#trend .notes"));
      truth((await page.textContent("#trend .notes")).includes("The last bucket is still filling."), "open bucket");
      await page.keyboard.press("t");
      truth((await page.textContent("#trend .sample-table")).includes("71 %"), "coverage in the table");
    }],
    ["fleet: nothing there says why and leads on", async ({ page, open }) => {
      await open("/fleet?project=nobody%2Fnothing");
      const text = (await page.textContent(".state")).replace(/\s+/g, " ");
      truth(text.includes("No job fits") && text.includes("What to do: Remove a filter"), text);
      equal(await page.locator("canvas").count(), 0, "no empty graph");
      await followed(page, () => page.getByRole("button", { name: "Remove all filters" }).click());
      await page.waitForSelector(".plot canvas");
    }],
    ["fleet: one failure leaves the rest, says what to do, and can be tried again", async ({ page, open }) => {
      await open("/fleet?project=broken%2Ftrends");
      const text = (await page.textContent("#trend .state")).replace(/\s+/g, " ");
      truth(text.includes("could not answer") && text.includes("What to do: ") && text.includes("req-01HZX4"), text);
      equal(await page.locator(".state").count(), 1, "one panel");
      truth((await page.locator("#heat [role=gridcell]").count()) === 168, "the hours stand");
      await page.route("**/api/v1/trends**", (route) => route.continue({ url: route.request().url().replace("broken%2Ftrends", "acme%2Fapp") }));
      await page.locator("#trend").getByRole("button", { name: "Try again" }).click();
      await page.waitForSelector("#trend canvas");
    }],
    ["fleet: a service with too much to do is asked again a little later", async ({ page, open }) => {
      server.state.requests.length = 0;
      await open("/fleet?region=crowded");
      equal(await page.locator(".state").count(), 0, "no failure");
      truth(server.state.requests.filter((url) => url.startsWith("/api/") && url.includes("crowded")).length === 10, "four questions, six of them refused at first");
    }],
    ["fleet: no prices, no queue times: what to do stands there", async ({ page, open }) => {
      await open("/fleet?source=unpriced&use=cost");
      truth((await page.textContent("#consumers")).includes("No prices are known") && (await page.textContent("#wasters")).includes("price_per_hour"), "prices");
      truth((await page.textContent("#heat")).includes("None of these jobs says how long it waited"), "queue");
    }],
    ["fleet: strings from outside stay text", async ({ page, open }) => {
      const evil = "<img src=x onerror=window.hacked=1>";
      await page.route("**/api/v1/trends**", (route) => route.fulfill({ json: { by: "project", unit: "bytes", bucket_seconds: 86_400, series: [{ key: evil, filters: { project: evil }, points: [{ from_ms: NOW - 5e8, value: 5, values: { p95: 5, p50: "x" }, jobs: -3 }, null, { from_ms: "x" }] }], sql: 7 } }));
      await page.route("**/api/v1/top**", (route) => route.fulfill({ json: { rows: [{ key: evil, value: 3, jobs: 1, paid: "9", filters: { verdict: evil, __proto__: 1 } }, null], total: "x" } }));
      await page.route("**/api/v1/heatmap**", (route) => route.fulfill({ json: { cells: [{ weekday: 99, hour: 3, value: 1 }, { weekday: 0, hour: 3, value: 1e300, jobs: 4 }, "x"] } }));
      await open("/fleet");
      equal([await page.evaluate(() => window.hacked), await page.locator("main img").count()], [undefined, 0], "hacked");
      await noSideways(page, "the hostile fleet");
    }],
    ...axeChecks("fleet: ", PAGES),
    ["fleet: 320 px: nothing scrolls sideways", async ({ page, open }) => {
      await allNarrow(page, open, PAGES);
      await open("/fleet");
      equal(await page.locator("#heat .turned tbody tr").count(), 24, "hours go down");
      truth((await inked(page)).every((one) => one.inked > 500), "drawn");
    }, { viewport: { width: 320, height: 640 } }],
    ["fleet: print fits on paper, in light colours", async ({ page, open }) => {
      await open("/fleet?theme=dark");
      await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
      await page.waitForTimeout(100);
      equal(await page.evaluate(() => document.documentElement.dataset.theme), "light", "printing");
      truth((await inked(page)).every((one) => one.width <= 700), "graphics fit");
      await page.emulateMedia({ media: "print" });
      truth((await page.pdf()).length > 20_000, "pdf");
    }],
  ];
}
