// Checks of the list of jobs: search, filters with counts, sorting, pages, keys, and the way to the fleet and back.
import { ready } from "./browser.mjs";
import { equal, truth } from "./check.mjs";
import { allNarrow, axeChecks, followed, helpLines } from "./look.mjs";

const query = (page) => new URL(page.url()).searchParams;
const column = (page, label) => page.$$eval(`table.jobs td[data-label="${label}"]`, (all) => all.map((cell) => cell.firstChild.textContent));
const asked = (server, path) => server.state.requests.filter((url) => url.startsWith(`/api/v1/${path}`));

const PAGES = [
  ["/", null], ["/?range=30d&project=acme%2Fapp&sort=memory", null], ["/?project=nobody", null], ["/?project=broken", null],
  ["/", async (page) => { await page.keyboard.press("/"); await page.keyboard.type("check"); await page.waitForSelector("#search-found li"); }],
  ["/", async (page) => { await page.keyboard.press("f"); await page.waitForSelector("#filters .choices button"); }], ["/?range=7d", (page) => page.keyboard.press("?")],
];

export function listChecks(server) {
  return [
    ["list: newest jobs first, older ones by the address, on to a job and back to the same page", async ({ page, open }) => {
      server.state.requests.length = 0;
      await open("/");
      equal(asked(server, "jobs").length, 1, "one request for the list");
      const rows = await page.locator("table.jobs tbody tr").count();
      truth(rows > 10, `${rows} rows`);
      await followed(page, () => page.getByRole("button", { name: "Older jobs" }).click());
      equal(query(page).get("cursor"), "second", "the address names the page");
      equal(await page.locator("table.jobs tbody tr").count(), 2, "its rows");
      const there = page.url();
      await page.reload();
      await ready(page);
      equal(await page.locator("table.jobs tbody tr").count(), 2, "after a reload");
      await page.locator("table.jobs a").first().click();
      await page.waitForSelector(".state, .chart canvas");
      truth(new URL(page.url()).pathname.startsWith("/jobs/gitlab/"), page.url());
      await followed(page, () => page.goBack());
      equal(page.url(), there, "back");
      await followed(page, () => page.getByRole("button", { name: "Newer jobs" }).click());
      equal(await page.locator("table.jobs tbody tr").count(), rows, "newer");
    }],
    ["list: statuses and verdicts have counts, filter, and keep the others' counts", async ({ page, open }) => {
      await open("/?range=30d");
      const counts = async () => Object.fromEntries((await page.$$eval(".counts button", (all) => all.map((one) => one.textContent.split(" ")))).map(([word, many]) => [word, Number(many.replaceAll(",", ""))]));
      const before = await counts();
      truth(before.success > before.failed && before.failed > 0 && before.partial > 0, JSON.stringify(before));
      const all = Number(/([\d,]+) archived jobs/.exec(await page.textContent(".page-head"))[1].replaceAll(",", ""));
      equal(before.success + before.failed + before.canceled, all, "they add up");
      await followed(page, () => page.getByRole("group", { name: "Status" }).getByRole("button", { name: /failed/ }).click());
      equal(query(page).get("status"), "failed", "address");
      equal(new Set(await page.$$eval("table.jobs td:nth-child(2)", (cells) => cells.map((cell) => cell.textContent))), new Set(["✕ failed"]), "rows");
      const after = await counts();
      equal(after.success, before.success, "the other statuses can still be chosen");
      truth(after.complete < before.complete, "the verdicts are those of the failed ones");
      await followed(page, () => page.getByRole("group", { name: "Status" }).getByRole("button", { name: /failed/ }).click());
      equal(query(page).get("status"), null, "off again");
    }],
    ["list: a click on a column finds the heaviest, a second the lightest; pages go on", async ({ page, open }) => {
      await open("/?range=30d");
      await followed(page, () => page.getByRole("button", { name: "Peak memory" }).click());
      equal(query(page).get("sort"), "memory", "address");
      const shares = await page.$$eval('table.jobs td[data-label="Peak memory"]', (all) => all.map((cell) => Number(/([\d.]+)\s%/.exec(cell.textContent)[1])));
      equal(shares, [...shares].sort((a, b) => b - a), "order");
      truth(await page.locator("table.jobs .much").count() > 0, "nearly full ones are marked");
      equal(await page.locator('th[aria-sort="descending"]').textContent(), "Peak memory ↓", "aria-sort");
      const first = await column(page, "Started");
      await followed(page, () => page.getByRole("button", { name: "Next page" }).click());
      equal(query(page).get("page"), "1", "page");
      const second = await column(page, "Started");
      truth(second.every((one) => !first.includes(one)), "other jobs");
      await followed(page, () => page.getByRole("button", { name: "Page before" }).click());
      equal(await column(page, "Started"), first, "the same again");
      await followed(page, () => page.getByRole("button", { name: "Peak memory" }).click());
      equal([query(page).get("order"), query(page).get("page")], ["up", null], "the lightest, from the first page");
      await followed(page, () => page.getByLabel("Sort").selectOption("share"));
      equal([query(page).get("sort"), query(page).get("order")], ["share", null], "an order without a column");
    }],
    ["list: search finds projects, names and job ids, and makes them filters", async ({ page, open }) => {
      await open("/?range=30d");
      server.state.requests.length = 0;
      await page.keyboard.press("/");
      equal(await page.evaluate(() => document.activeElement.id), "search", "focus");
      await page.keyboard.type("checkout", { delay: 20 });
      await page.waitForSelector("#search-found li");
      equal(asked(server, "sql").length, 1, "typing on asks once");
      equal(await page.locator("#search-found li").first().textContent().then((text) => text.replace(/\d[\d,]*/, "N")), "Project acme/checkout/backendN jobs", "found");
      equal(await page.getAttribute("#search", "aria-activedescendant"), "found-0", "active");
      await followed(page, () => page.keyboard.press("Enter"));
      equal(query(page).get("project"), "acme/checkout/backend", "a filter");
      await page.keyboard.press("/");
      await page.keyboard.type("8999");
      await page.waitForSelector("#search-found li");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => location.pathname === "/jobs/gitlab/8999");
      await open("/");
      await page.locator("#search").fill("it's");
      await page.waitForFunction(() => document.querySelector(".found [role=status]").textContent.startsWith("Nothing has"));
      await page.keyboard.press("Escape");
      truth(!(await page.locator(".found").isVisible()), "Escape closes it");
    }],
    ["list: keyboard: rows, pages, help", async ({ page, open }) => {
      await open("/?range=30d");
      const links = await page.$$eval("table.jobs tbody th a", (all) => all.map((link) => link.getAttribute("href")));
      const focus = () => page.evaluate(() => document.activeElement.getAttribute("href"));
      for (const [key, row] of [["j", 0], ["j", 1], ["j", 2], ["k", 1]]) {
        await page.keyboard.press(key);
        equal(await focus(), links[row], `${key} to row ${row}`);
      }
      await followed(page, () => page.keyboard.press("n"));
      equal(query(page).get("page"), "1", "n");
      await followed(page, () => page.keyboard.press("p"));
      equal(query(page).get("page"), null, "p");
      equal(await helpLines(page), 10, "help");
      await page.keyboard.press("j");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => location.pathname.startsWith("/jobs/gitlab/"));
    }],
    ["list: its jobs as files, all pages and all filters, and as SQL", async ({ page, open }) => {
      await open("/?range=30d&region=eu-1&sort=memory");
      await page.keyboard.press("d");
      const [file] = await Promise.all([page.waitForEvent("download"), page.locator("#list-files").getByRole("button", { name: "CSV" }).click()]);
      const text = (await (await file.createReadStream()).toArray()).join("");
      truth(file.suggestedFilename() === "jobs.csv" && /^csv of select source, job_id.* and region = 'eu-1' order by memory_used_bytes_max desc .* limit 100000$/.test(text), text);
      equal(await page.locator("#list-files a").count(), 0, "an export that knows no region is not offered");
      await open("/?project=broken&range=7d");
      await page.keyboard.press("d");
      await page.locator("#list-files").getByRole("button", { name: "Parquet" }).click();
      await page.waitForFunction(() => document.querySelector("#list-files [role=status]").textContent.includes("It failed: The query cannot be read"));
    }],
    ["list: to the fleet with the same filters, and back", async ({ page, open }) => {
      await open("/?range=7d&project=acme%2Fapp&verdict=partial&sort=memory");
      await followed(page, () => page.getByRole("link", { name: "see their fleet" }).click());
      equal([new URL(page.url()).pathname, ...[...query(page)].flat()], ["/fleet", "project", "acme/app", "range", "7d"], "fleet");
      equal(await page.locator(".top [aria-current]").textContent(), "Fleet", "current page");
      await followed(page, () => page.getByRole("link", { name: "see these jobs" }).click());
      equal([...query(page)].flat(), ["project", "acme/app", "range", "7d"], "and back");
    }],
    ["list: none fits, none at all, and failures say what to do", async ({ page, open }) => {
      const text = async () => (await page.textContent(".state")).replace(/\s+/g, " ");
      await open("/?project=nobody");
      truth((await text()).includes("No job fits") && (await text()).includes("What to do: Remove a filter"), await text());
      await followed(page, () => page.getByRole("button", { name: "Remove all filters" }).click());
      truth((await page.locator("table.jobs tbody tr").count()) > 10, "rows again");
      await open("/?project=broken");
      truth((await text()).includes("There is no column of this name.") && (await text()).includes("What to do: "), await text());
      await page.route("**/api/v1/jobs?**", (route) => route.fulfill({ json: { jobs: [], next_cursor: null } }));
      await open("/");
      truth((await text()).includes("No job has been reported yet") && (await text()).includes("PUT /api/v1/jobs"), await text());
    }],
    ["list: without SQL the archive's own list stands, without counts", async ({ page, open }) => {
      await page.route("**/api/v1/sql", (route) => route.fulfill({ status: 404, json: {} }));
      await open("/");
      truth((await page.locator("table.jobs tbody tr").count()) > 10, "rows");
      equal(await page.locator(".counts, .state").count(), 0, "no counts, no alarm");
    }],
    ...axeChecks("list: ", PAGES),
    ["list: 320 px: rows become cards, nothing scrolls sideways", async ({ page, open }) => {
      await allNarrow(page, open, PAGES);
      await open("/?range=30d");
      truth((await page.locator("table.jobs tbody tr").first().boundingBox()).width <= 320, "cards");
      await followed(page, () => page.getByLabel("Sort").selectOption("duration"));
      equal(query(page).get("sort"), "duration", "sorted without column heads");
    }, { viewport: { width: 320, height: 640 } }],
  ];
}
