// Checks of the graphs: drawing, zoom, address, sections, crosshair, keyboard, table, downloads.
import { canvases, ready } from "./browser.mjs";
import { equal, truth } from "./check.mjs";
import { HUGE } from "./data.mjs";
import { helpLines } from "./look.mjs";

const JOB = "/jobs/gitlab/4242";
const START = Date.UTC(2026, 10, 23, 17, 42, 10);
const IDS = ["cpu", "memory", "network", "disk"];

const query = (page) => new URL(page.url()).searchParams;
const settle = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

/** The time range that each chart says it shows. */
export const shown = (page) => page.$$eval(".plot", (all) => all.map((plot) => /, (.+?): /.exec(plot.getAttribute("aria-label"))[1]));
const pictures = (page) => page.$$eval(".chart canvas", (all) => all.map((canvas) => canvas.toDataURL()));

async function drag(page, chart, from, to) {
  const box = await page.locator(`#chart-${chart} .u-over`).boundingBox();
  await page.mouse.move(box.x + box.width * from, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * ((from + to) / 2), box.y + box.height / 2, { steps: 3 });
  await page.mouse.move(box.x + box.width * to, box.y + box.height / 2, { steps: 3 });
  await page.mouse.up();
  await settle(page);
}

function same(values, what) {
  truth(new Set(values).size === 1 && values.length === IDS.length, `${what}: the charts differ: ${values.join(" | ")}`);
  return values[0];
}

/** Pixels of the first line's colour in one column of a chart's canvas. */
function inkAt(page, chart, ms, span = 750_000) {
  return page.evaluate(([id, at, start, span]) => {
    const over = document.querySelector(`#chart-${id} .u-over`).getBoundingClientRect();
    const canvas = document.querySelector(`#chart-${id} canvas`);
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    const x = Math.round((over.left - box.left + (over.width * (at - start)) / span) * scale);
    const top = Math.round((over.top - box.top) * scale);
    const { data } = canvas.getContext("2d").getImageData(x, top, 1, Math.round(over.height * scale));
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--line-1").trim();
    probe.fillRect(0, 0, 1, 1);
    const line = probe.getImageData(0, 0, 1, 1).data;
    let ink = 0;
    for (let at4 = 0; at4 < data.length; at4 += 4) {
      if ([0, 1, 2].every((channel) => Math.abs(data[at4 + channel] - line[channel]) < 12)) ink += 1;
    }
    return ink;
  }, [chart, ms, START, span]);
}

export function chartChecks(server) {
  return [
    ["archived job: four graphs are drawn, sentences and tables stand", async ({ page, open }) => {
      await open(JOB);
      const drawn = await canvases(page);
      equal(drawn.length, 4, "canvases");
      for (const one of drawn) truth(one.inked > 2000 && one.colours > 10, `a blank canvas: ${JSON.stringify(one)}`);
      const facts = await page.textContent("#facts");
      truth(/Memory peaked at 7\.\d+ GiB of 8 GiB \(9\d\s%\) at \+\d\d:\d\d, during step_script\./.test(facts), facts);
      truth(facts.includes("2.31 of 4 cores on average") && facts.includes("CPU used: 4 at most, 2.12 or less for half of the time."), facts);
      truth(/2 out-of-memory kills.*Between \+10:34 and \+10:49, during retry \(2\)\./.test(facts), facts);
      truth(/Most memory: retry \(2\), 7\.61 GiB\. Most CPU time: cargo_build, 19 min 40 s \(68\s% of all\)\. Longest: cargo_build, 5 min 20 s\./.test(facts), facts);
      equal(await page.locator(".lane").count(), 11, "lanes");
      equal(await page.locator("table.sections tbody tr").count(), 11, "section rows");
      const summary = await page.locator("table.summary tr").evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.textContent).join("|")));
      truth(summary.includes("CPU used|2.31 cores|2.12 cores|3.98 cores|4 cores|1,734 s"), summary.join("\n"));
      truth(summary.includes("Network received|6.7 MiB/s|–|61 MiB/s|68 MiB/s|4.9 GiB (4.8 GiB to 5 GiB)"), "bounds of a total");
      truth(summary.includes("Disk read|5.6 MiB/s|–|13 MiB/s|14 MiB/s|4.1 GiB"), "bounds that read the same");
      equal(await page.getAttribute("a.out", "href"), "https://ci.example.org/acme/checkout/-/jobs/4242", "link to the log");
      equal(same(await shown(page), "range"), "+00:00 to +12:30", "range");
    }],
    ["first chart comes fast enough", async ({ page, open }) => {
      await open(JOB);
      await page.reload();
      await ready(page);
      const took = await page.evaluate(() => performance.now());
      truth(took < 5000, `${Math.round(took)} ms`);
    }],
    ["dragging on one graph zooms all and the address; reload, back and forward keep it", async ({ page, open }) => {
      await open(JOB);
      const whole = await pictures(page);
      await drag(page, "memory", 0.4, 0.6);
      const from = Number(query(page).get("from"));
      const to = Number(query(page).get("to"));
      truth(Math.abs(from - (START + 300_000)) < 5000 && Math.abs(to - (START + 450_000)) < 5000, `from ${from - START} to ${to - START}`);
      const range = same(await shown(page), "zoomed");
      truth(/^\+0[45]:\d\d to \+07:\d\d$/.test(range), range);
      const zoomed = await pictures(page);
      zoomed.forEach((one, index) => truth(one !== whole[index], `chart ${IDS[index]} did not change`));
      await page.reload();
      await ready(page);
      equal(same(await shown(page), "reloaded"), range, "range after reload");
      await drag(page, "cpu", 0.2, 0.8);
      const deeper = same(await shown(page), "deeper");
      truth(deeper !== range, "second zoom");
      await page.goBack();
      await settle(page);
      equal(same(await shown(page), "back"), range, "back");
      await page.goForward();
      await settle(page);
      equal(same(await shown(page), "forward"), deeper, "forward");
    }],
    ["double-click shows the whole job again", async ({ page, open }) => {
      await open(`${JOB}?from=${START + 100_000}&to=${START + 200_000}`);
      equal(same(await shown(page), "start"), "+01:40 to +03:20", "range");
      await page.locator("#chart-disk .u-over").dblclick();
      await settle(page);
      equal(same(await shown(page), "reset"), "+00:00 to +12:30", "range");
      equal(query(page).get("from"), null, "from");
    }],
    ["twenty deep links restore exactly", async ({ page, open }) => {
      for (let n = 0; n < 20; n += 1) {
        const [from, to] = [START + n * 20_000, START + n * 20_000 + 60_000 + n * 1000];
        await open(`${JOB}?from=${from}&to=${to}&theme=${n % 2 ? "dark" : "light"}`);
        equal([query(page).get("from"), query(page).get("to")], [String(from), String(to)], "address");
        const csv = await page.getAttribute('a[href*="format=csv"]', "href");
        equal([new URLSearchParams(csv.split("?")[1]).get("from"), new URLSearchParams(csv.split("?")[1]).get("to")], [String(from), String(to)], "download");
        equal(await page.evaluate(() => document.documentElement.dataset.theme), n % 2 ? "dark" : "light", "theme");
      }
    }],
    ["a click on a section zooms to it and marks it; the address names it", async ({ page, open }) => {
      await open(JOB);
      const before = await pictures(page);
      await page.locator(".lane", { hasText: "unit_tests" }).click();
      await settle(page);
      equal(query(page).get("section"), "unit_tests", "section");
      truth((await page.textContent("#range")).startsWith("unit_tests"), "toolbar");
      equal(await page.locator('.lane[aria-selected="true"]').count(), 1, "chosen lanes");
      const range = same(await shown(page), "section");
      truth(/^\+06:4\d to \+11:0\d$/.test(range), range);
      truth((await pictures(page)).every((one, index) => one !== before[index]), "pictures");
      await page.goBack();
      await settle(page);
      equal(same(await shown(page), "back"), "+00:00 to +12:30", "back");
    }],
    ["a link with only a section zooms to it; repeated names have numbers", async ({ page, open }) => {
      await open(`${JOB}?section=retry%232`);
      truth((await page.textContent("#range")).startsWith("retry (2)"), await page.textContent("#range"));
      await page.locator("table.sections button.link", { hasText: "retry (1)" }).click();
      await settle(page);
      equal(query(page).get("section"), "retry", "address");
      await page.locator(".answers button", { hasText: "cargo_build" }).first().click();
      await settle(page);
      equal(query(page).get("section"), "cargo_build", "the answer leads to its section");
      truth((await page.locator(".bench").boundingBox()).y < 100, "the graphs are in sight");
      await open(`${JOB}?section=doesnotexist`);
      equal(same(await shown(page), "unknown"), "+00:00 to +12:30", "an unknown section is ignored");
    }],
    ["one crosshair for all graphs, with every value", async ({ page, open }) => {
      await open(JOB);
      const box = await page.locator("#chart-cpu .u-over").boundingBox();
      await page.mouse.move(box.x + box.width * 0.4, box.y + 40);
      await settle(page);
      const lines = await page.$$eval(".u-cursor-x", (all) => all.map((line) => Math.round(line.getBoundingClientRect().left)));
      same(lines.map(String), "crosshair");
      const lane = await page.locator(".lane-cursor").boundingBox();
      truth(Math.abs(lane.x - lines[0]) <= 2, `lane crosshair at ${lane.x}, charts at ${lines[0]}`);
      const values = await page.$$eval(".legend .value", (all) => all.map((value) => value.textContent));
      equal(values.length, 11, "values");
      truth(values.every((value) => /^[<\d]/.test(value)), values.join(" | "));
      const time = await page.textContent("#chart-disk .at");
      truth(/^\+0[45]:\d\d · cargo_build$/.test(time), time);
      await page.mouse.move(5, 5);
      await settle(page);
      truth((await page.$$eval(".legend .value", (all) => all.map((value) => value.textContent))).every((value) => value.startsWith("max")), "leaving clears");
    }],
    ["hovering stays below a frame", async ({ page, open }) => {
      await open("/jobs/gitlab/many");
      const slow = await page.evaluate(async () => {
        const over = document.querySelector("#chart-cpu .u-over");
        const box = over.getBoundingClientRect();
        const times = [];
        for (let n = 0; n < 120; n += 1) {
          const begun = performance.now();
          over.dispatchEvent(new MouseEvent("mousemove", { bubbles: true, clientX: box.left + (n * box.width) / 120, clientY: box.top + 50, movementX: 1 }));
          times.push(performance.now() - begun);
          await new Promise((done) => requestAnimationFrame(done));
        }
        return times.sort((a, b) => a - b)[Math.floor(times.length * 0.95)];
      });
      console.log(`      hover, 5,000 points and 1,000 sections: p95 ${slow.toFixed(1)} ms`);
      truth(slow < 16, `p95 ${slow} ms`);
    }],
    ["a gap is a gap: no line in it, hatched, listed, and said", async ({ page, open }) => {
      await open("/jobs/gitlab/gap");
      const inside = START + 0.655 * 750_000;
      for (const chart of IDS) equal(await inkAt(page, chart, inside), 0, `line in the gap of ${chart}`);
      for (const chart of IDS) truth((await inkAt(page, chart, START + (chart === "network" ? 60_000 : 250_000))) > 0, `no line where samples are (${chart})`);
      const notice = await page.textContent("#verdict");
      truth(notice.includes("1 gap, 1 min 45 s") && notice.includes("+07:19 to +09:04"), notice);
      truth((await page.getAttribute("#chart-cpu .plot", "aria-label")).includes("1 gap without samples"), "label");
      const box = await page.locator("#chart-cpu .u-over").boundingBox();
      await page.mouse.move(box.x + box.width * 0.655, box.y + 40);
      await settle(page);
      truth((await page.$$eval(".legend .value", (all) => all.map((value) => value.textContent))).every((value) => value === "–"), "values in the gap");
      await page.keyboard.press("t");
      truth((await page.textContent(".sample-table .gap")).includes("no samples for 1 min 45 s"), "table");
    }],
    ["a hole of one metric is named and hides nothing of the others", async ({ page, open }) => {
      await open("/jobs/gitlab/holed");
      equal(await page.textContent("#holed"), "Single metrics lack samples: cpu_steal_seconds.", "notice");
      truth(!(await page.getAttribute("#chart-cpu .plot", "aria-label")).includes("gap"), "no gap of the machine");
      for (const chart of ["cpu", "memory"]) truth((await inkAt(page, chart, START + 200_000)) > 0, `${chart} is drawn`);
    }],
    ["the mouse zooms with buttons, switches lines, clock and scale", async ({ page, open }) => {
      await open(JOB);
      await page.getByRole("button", { name: "Zoom in" }).click();
      await settle(page);
      equal(same(await shown(page), "in"), "+03:07 to +09:22", "zoomed in");
      await page.getByRole("button", { name: "Zoom out" }).click();
      await settle(page);
      equal(same(await shown(page), "out"), "+00:00 to +12:30", "zoomed out");
      const before = await pictures(page);
      await page.getByRole("button", { name: "cache", exact: true }).click();
      await settle(page);
      const without = await pictures(page);
      truth(without[1] !== before[1] && without[0] === before[0], "only the memory chart loses a line");
      await page.getByRole("button", { name: "UTC" }).click();
      await settle(page);
      equal(same(await shown(page), "clock"), "17:42:10 to 17:54:40", "UTC");
      truth((await pictures(page))[0] !== without[0], "the axis follows the clock");
      await page.getByRole("button", { name: "Capacity" }).click();
      await settle(page);
      await page.reload();
      await ready(page);
      equal(same(await shown(page), "clock"), "17:42:10 to 17:54:40", "the clock is remembered");
    }],
    ["every action has a key", async ({ page, open }) => {
      await open(JOB);
      const range = async () => same(await shown(page), "keys");
      const press = async (key) => {
        await page.keyboard.press(key);
        await settle(page);
      };
      await press("ArrowRight");
      await press("ArrowRight");
      const said = await page.textContent("#announcer");
      truth(/^\+00:19, in get_sources\. CPU: used .+ cores.* Memory: used .+ Network: .+ Disk: /.test(said), said);
      truth((await page.textContent("#chart-cpu .at")) === "+00:19 · get_sources", await page.textContent("#chart-cpu .at"));
      await press("Shift+ArrowRight");
      truth((await page.textContent("#announcer")).startsWith("+02:49"), await page.textContent("#announcer"));
      await press("ArrowLeft");
      truth((await page.textContent("#announcer")).startsWith("+02:34"), await page.textContent("#announcer"));
      await press("Shift+End");
      truth((await page.textContent("#announcer")).startsWith("+12:19"), await page.textContent("#announcer"));
      await press("Shift+Home");
      truth((await page.textContent("#announcer")).startsWith("+00:04"), await page.textContent("#announcer"));
      await press("Escape");
      equal(await page.textContent("#chart-cpu .at"), "", "the cursor is away");
      await press("+");
      equal(await range(), "+03:07 to +09:22", "+");
      await press("-");
      equal(await range(), "+00:00 to +12:30", "-");
      await press("]");
      equal(query(page).get("section"), "prepare_executor", "]");
      await press("]");
      equal(query(page).get("section"), "get_sources", "]");
      await press("[");
      equal(query(page).get("section"), "prepare_executor", "[");
      await press("0");
      equal(await range(), "+00:00 to +12:30", "0");
      equal(query(page).get("section"), null, "0 clears the section");
      const scaled = await pictures(page);
      await press("y");
      truth((await pictures(page))[1] !== scaled[1], "y");
      await press("c");
      truth(/^\d\d:\d\d:\d\d to/.test(await range()), "c");
      await press("t");
      equal(await page.locator(".sample-table tbody tr").count(), 51, "rows of the table");
      equal(await page.locator(".plot").count(), 0, "graphs are away");
      await press("t");
      equal(await page.locator(".plot").count(), 4, "graphs are back");
      truth((await canvases(page)).every((one) => one.inked > 2000), "graphs are drawn again");
      truth(await helpLines(page) > 10, "help");
    }],
    ["lanes by keyboard: one stop, arrows choose, Enter zooms", async ({ page, open }) => {
      await open(JOB);
      await page.locator(".lane-scroll").focus();
      await page.keyboard.press("ArrowRight");
      await page.keyboard.press("ArrowRight");
      const active = await page.getAttribute(".lane-scroll", "aria-activedescendant");
      equal(active, "section-2", "active section");
      equal(await page.textContent("#announcer"), "", "the cursor did not move");
      await page.keyboard.press("Enter");
      await settle(page);
      equal(query(page).get("section"), "restore_cache", "zoomed");
    }],
    ["single-key shortcuts can be switched off", async ({ page, open }) => {
      await open(JOB);
      await page.keyboard.press("?");
      await page.getByRole("checkbox").uncheck();
      await page.getByRole("button", { name: "Close" }).click();
      await page.keyboard.press("t");
      equal(await page.locator(".sample-table").count(), 0, "t does nothing");
      await page.keyboard.press("ArrowRight");
      truth((await page.textContent("#announcer")) !== "", "arrows still work");
      await page.reload();
      await ready(page);
      await page.keyboard.press("t");
      equal(await page.locator(".sample-table").count(), 0, "still off");
    }],
    ["downloads name the shown range and agree with the table", async ({ page, open }) => {
      await open(`${JOB}?from=${START}&to=${START + 749_000}`);
      const csv = await page.evaluate(async () => (await fetch(document.querySelector('a[href*="format=csv"]').href)).text());
      equal(csv.trim().split("\n").length - 1, 51, "rows of the CSV");
      equal(await page.getAttribute('a[href*="format=json"]', "href"), `/api/v1/jobs/gitlab/4242/profile?format=json&from=${START}&to=${START + 749_000}`, "JSON link");
    }],
    ["the download menu: every format, whole job, section or what is shown, under the server's names", async ({ page, open }) => {
      const hrefs = () => page.$$eval("#downloads a", (all) => all.map((link) => link.getAttribute("href").replace("/api/v1/jobs/gitlab/4242/profile?", "")));
      await open(JOB);
      equal(await page.locator("#downloads input[type=radio]").count(), 0, "nothing to choose while all is shown");
      equal(await hrefs(), ["parquet", "arrow", "csv", "json", "openmetrics"].map((format) => `format=${format}`), "whole job");
      await page.locator("#downloads-button").click();
      const menu = await page.locator("#downloads").boundingBox();
      const button = await page.locator("#downloads-button").boundingBox();
      truth(menu.y >= button.y + button.height && Math.abs(menu.x + menu.width - button.x - button.width) < 2, `menu at ${JSON.stringify(menu)}`);
      for (const format of ["parquet", "csv"]) {
        const [file] = await Promise.all([page.waitForEvent("download"), page.locator(`#downloads a[href*="format=${format}"]`).click()]);
        equal(file.suggestedFilename(), `job-4242.${format}`, "file name");
      }
      await page.keyboard.press("Escape");
      truth(!(await page.locator("#downloads").isVisible()), "Escape closes it");
      await page.locator(".lane", { hasText: "retry (2)" }).click();
      await settle(page);
      await page.keyboard.press("d");
      equal(await page.evaluate(() => document.activeElement.textContent), "Parquet", "the keyboard goes on in the menu");
      truth((await hrefs()).every((href) => /^format=\w+&from=\d+&to=\d+$/.test(href)), "what is shown comes first");
      await page.getByRole("radio", { name: "Section retry (2)" }).check();
      equal((await hrefs())[0], "format=parquet&section=retry%232", "section");
      await page.getByRole("radio", { name: "Whole job" }).check();
      equal((await hrefs())[2], "format=csv", "whole job again");
    }],
    ["copy as curl: on the clipboard, or at least selected", async ({ page, open, context }) => {
      await open(`/jobs/gitlab/${encodeURIComponent("o'neill")}`);
      await context.grantPermissions(["clipboard-read", "clipboard-write"]);
      await page.keyboard.press("d");
      await page.getByRole("button", { name: "Copy as curl: Arrow" }).click();
      const expected = `curl -fOJ '${server.url}/api/v1/jobs/gitlab/o%27neill/profile?format=arrow'`;
      await page.waitForFunction(() => document.querySelector("#downloads [role=status]")?.textContent === "Copied:");
      equal(await page.evaluate(() => navigator.clipboard.readText()), expected, "clipboard");
      await page.reload();
      await ready(page);
      await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
      await page.keyboard.press("d");
      await page.getByRole("button", { name: "Copy as curl: Arrow" }).click();
      equal(await page.textContent("#downloads [role=status]"), "Copy this:", "plain http");
      await page.getByLabel("Command").focus();
      equal(await page.evaluate(() => getSelection().toString()), expected, "selected");
    }],
    ["2.6 million rows: extremes first, all samples after zooming, spikes in both", async ({ page, open }) => {
      const asked = () => server.state.requests.filter((url) => url.includes("/huge/profile")).map((url) => new URL(url, server.url).searchParams);
      server.state.requests.length = 0;
      await open("/jobs/gitlab/huge");
      equal(asked().map((query) => [query.get("points"), query.get("from")]), [["2560", null]], "one request, two points per pixel");
      const spike = HUGE.start + HUGE.spike * 1000;
      truth((await page.textContent("#chart-memory .value")).includes("max 7.9 GiB"), "the spike in the legend");
      truth((await inkAt(page, "memory", spike, HUGE.rows * 1000)) > 60, "the spike in the picture");
      equal(await page.locator("#verdict").count(), 0, "rows left out are no gaps");
      truth((await page.textContent("#range")).includes("smallest and largest values"), "it says so");
      await open(`/jobs/gitlab/huge?from=${spike - 100_000}&to=${spike + 100_000}`);
      await page.waitForFunction(() => !document.querySelector("#range").textContent.includes("smallest"));
      const detail = asked().at(-1);
      equal([detail.get("from"), detail.get("to"), detail.get("points")], [String(spike - 100_000), String(spike + 100_000), "2560"], "the detail's request");
      await page.keyboard.press("t");
      truth(/^20[012] samples in the shown range\./.test(await page.textContent(".sample-table caption")), await page.textContent(".sample-table caption"));
      truth((await page.textContent(".sample-table")).includes("7.9 GiB"), "the spike in the table");
      const before = asked().length;
      await page.keyboard.press("+");
      await page.waitForTimeout(500);
      equal(asked().length, before, "nothing more is asked for when all is there");
    }],
    ["30,000 rows from a service that ignores points: drawn, and nothing is asked for again", async ({ page, open }) => {
      await open("/jobs/gitlab/everything");
      truth((await canvases(page)).every((one) => one.inked > 2000), "drawn");
      truth(!(await page.textContent("#range")).includes("smallest"), "nothing was left out");
      server.state.requests.length = 0;
      const took = await page.evaluate(async () => {
        const begun = performance.now();
        document.dispatchEvent(new KeyboardEvent("keydown", { key: "+", bubbles: true }));
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        return performance.now() - begun;
      });
      console.log(`      zoom, 30,000 points: ${Math.round(took)} ms`);
      await page.waitForTimeout(400);
      equal(server.state.requests.filter((url) => url.startsWith("/api/")), [], "requests");
      truth(took < 2000, `${took} ms`);
    }],
    ["zooming on asks once and gives up what is not wanted any more; a failure leaves the picture", async ({ page, open }) => {
      await open("/jobs/gitlab/huge");
      const gone = [];
      page.on("requestfailed", (request) => gone.push(request.url()));
      server.state.requests.length = 0;
      server.state.delay = 6000;
      const asked = () => server.state.requests.filter((url) => url.includes("from=")).length;
      // All at once: between keys that a slow machine presses one by one the page would ask.
      const press = (key, times) => page.evaluate(([name, many]) => {
        for (let n = 0; n < many; n += 1) document.body.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
      }, [key, times]);
      const comesTo = async (look, wanted, what) => {
        for (let n = 0; n < 100 && JSON.stringify(look()) !== JSON.stringify(wanted); n += 1) await page.waitForTimeout(50);
        await page.waitForTimeout(300);
        equal(look(), wanted, what);
      };
      await press("+", 4);
      await comesTo(asked, 1, "four steps, one request");
      await press("+", 4);
      await comesTo(() => [asked(), gone.length], [2, 1], "the first one was given up");
      await press("0", 1);
      await comesTo(() => [asked(), gone.length], [2, 2], "and the second");
      server.state.delay = 0;
      server.state.failing = true;
      try {
        await press("+", 5);
        await comesTo(asked, 3, "asked again");
        truth((await page.textContent("#range")).includes("smallest and largest values"), "it goes on saying so");
        truth((await canvases(page)).every((one) => one.inked > 800), "graphs stay");
      } finally {
        server.state.failing = false;
      }
    }],
    ["sorting sections by memory finds the greedy one", async ({ page, open }) => {
      await open(JOB);
      await page.getByRole("button", { name: "Peak memory" }).click();
      truth((await page.textContent("table.sections tbody tr:first-child")).includes("unit_tests"), "first row");
      equal(await page.locator('th[aria-sort="descending"]').count(), 1, "aria-sort");
    }],
    ["5,000 points and 1,000 sections", async ({ page, open }) => {
      await open("/jobs/gitlab/many");
      truth((await canvases(page)).every((one) => one.inked > 2000), "drawn");
      equal(await page.locator(".lane").count(), 1000, "lanes");
      equal(await page.locator("table.sections tbody tr").count(), 100, "rows at first");
      await page.getByRole("button", { name: "Show all 1,000 sections" }).click();
      equal(await page.locator("table.sections tbody tr").count(), 1000, "all rows");
      const took = await page.evaluate(async () => {
        const begun = performance.now();
        document.dispatchEvent(new KeyboardEvent("keydown", { key: "+", bubbles: true }));
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        return performance.now() - begun;
      });
      console.log(`      zoom, 5,000 points and 1,000 sections: ${Math.round(took)} ms`);
      truth(took < 1000, `${took} ms`);
    }],
  ];
}
