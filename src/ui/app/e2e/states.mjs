// Checks of everything that is not a graph of a good job: states, errors, bad input, themes, accessibility, narrow pages.
import { canvases, ready } from "./browser.mjs";
import { shown } from "./charts.mjs";
import { equal, truth } from "./check.mjs";
import { closedList, HOSTILE } from "./data.mjs";
import { allNarrow, axeChecks, noSideways } from "./look.mjs";

const panel = async (page) => (await page.textContent(".state")).replace(/\s+/g, " ");

/** [path, what is done before looking] */
const PAGES = [
  ["/", null], ["/jobs/gitlab/4242", null], ["/jobs/gitlab/4242?section=unit_tests", null], ["/jobs/gitlab/gap", (page) => page.locator("summary").first().click()],
  ["/jobs/gitlab/4242", (page) => page.keyboard.press("t")], ["/jobs/gitlab/4242", (page) => page.keyboard.press("?")],
  ["/jobs/gitlab/nomachine", null], ["/jobs/gitlab/expired", null], ["/jobs/gitlab/nowhere", null], ["/jobs/gitlab/broken", null], ["/jobs/gitlab/zero", null], ["/jobs/gitlab/hostgone", null], ["/jobs/gitlab/live", null],
  ["/jobs/gitlab/why-waiting_for_runner", null], ["/jobs/gitlab/sections300", null], ["/jobs/gitlab/endless", null],
  ["/jobs/gitlab/4242?section=unit_tests", async (page) => { await page.keyboard.press("d"); await page.getByRole("button", { name: "Copy as curl: CSV" }).click(); }], ["/jobs/gitlab/hostile", null], ["/jobs/gitlab/overlap", null],
];

export function stateChecks(server) {
  return [
    ["pending turns into archived by itself, without reloading", async ({ page, open }) => {
      await open("/jobs/gitlab/settling");
      const text = await panel(page);
      truth(text.includes("being archived") && text.includes("its last samples are still on their way") && text.includes("What to do"), text);
      equal(await page.locator("canvas").count(), 0, "no empty graph");
      await page.evaluate(() => { window.kept = true; });
      await page.waitForSelector(".chart canvas", { timeout: 15_000 });
      await page.waitForTimeout(200);
      truth(await page.evaluate(() => window.kept), "the page was not reloaded");
      truth((await canvases(page)).every((one) => one.inked > 2000), "graphs are drawn");
      equal(await page.locator(".state").count(), 0, "the panel is gone");
    }],
    ["a running job grows without flicker", async ({ page, open }) => {
      await open("/jobs/gitlab/live");
      truth((await page.textContent(".title")).includes("● live"), "badge");
      truth(/No kill counted.*of 4 cores in the last sample/.test(await page.textContent("#facts")), await page.textContent("#facts"));
      await page.evaluate(() => { document.querySelector("#chart-cpu canvas").dataset.mine = "1"; });
      const before = (await shown(page))[0];
      const rows = server.state.requests.length;
      await page.waitForFunction((old) => document.querySelector(".plot").getAttribute("aria-label").includes(old) === false, before, { timeout: 15_000 });
      truth(server.state.requests.length > rows, "it asked again");
      equal(await page.getAttribute("#chart-cpu canvas", "data-mine"), "1", "the same canvas was drawn on");
    }],
    ["a failing refresh keeps the page and says so", async ({ page, open }) => {
      await open("/jobs/gitlab/live");
      server.state.failing = true;
      try {
        await page.waitForSelector(".notice[role=status]", { timeout: 15_000 });
        truth((await page.textContent(".notice[role=status]")).includes("could not refresh"), "notice");
        equal(await page.locator(".plot").count(), 4, "graphs stay");
      } finally {
        server.state.failing = false;
      }
    }],
    ["unavailable says why and what to do", async ({ page, open }) => {
      await open("/jobs/gitlab/nomachine");
      const text = await panel(page);
      truth(text.includes("Runner 42 of gitlab is not registered") && text.includes("Prometheus does not know the machine") && text.includes("What to do: Compare its name") && text.includes("unknown_machine"), text);
      equal(await page.locator("canvas, .answers").count(), 0, "no empty graph");
    }],
    ["every reason has a title, the service's sentence and what to do; every verdict a sentence", async ({ page, open }) => {
      const seen = new Set();
      for (const { word, text } of closedList("Reason")) {
        await open(`/jobs/gitlab/why-${word}`);
        const said = await panel(page);
        const title = await page.textContent(".state h2");
        truth(!seen.has(title), `${word}: "${title}" is another reason's title`);
        seen.add(title);
        truth(said.includes(text.replaceAll("`", "")) && said.includes("What to do: ") && said.includes(`Code ${word}`), `${word}: ${said}`);
        equal(await page.locator("canvas, .answers").count(), 0, "no empty graph");
      }
      for (const { word } of closedList("Verdict")) {
        await open(`/jobs/gitlab/verdict-${word}`);
        equal(await page.locator("#verdict").count(), word === "complete" ? 0 : 1, word);
        truth(!/data: \w*_/.test(await page.textContent(".title")), await page.textContent(".title"));
      }
      truth(seen.size >= 18, `${seen.size} reasons`);
    }],
    ["a machine that disappeared comes before the numbers, and so do neighbours", async ({ page, open }) => {
      await open("/jobs/gitlab/hostgone");
      truth((await page.textContent("#verdict")).startsWith("The machine disappeared before the job ended"), await page.textContent("#verdict"));
      truth(await page.evaluate(() => document.querySelector("#verdict").compareDocumentPosition(document.querySelector("#facts")) === Node.DOCUMENT_POSITION_FOLLOWING), "order");
      await open("/jobs/gitlab/gap");
      await page.locator("#neighbours summary").click();
      truth((await page.textContent("#neighbours")).includes("not this job's alone. 2 other jobs"), await page.textContent("#neighbours"));
      equal(await page.locator("#neighbours a").nth(1).getAttribute("href"), "/jobs/git%2Fhub/a%20b%3F", "link to a neighbour");
    }],
    ["expired keeps the summary", async ({ page, open }) => {
      await open("/jobs/gitlab/expired");
      truth((await panel(page)).includes("kept for 400 days"), await panel(page));
      truth((await page.textContent("#facts")).includes("Memory peaked at"), "sentences");
      equal(await page.locator("table.sections tbody tr").count(), 11, "sections stay");
      equal(await page.locator("table.sections button.link").count(), 0, "nothing to zoom to");
    }],
    ["not found", async ({ page, open }) => {
      await open("/jobs/gitlab/nowhere");
      const text = await panel(page);
      truth(text.includes("not known here") && text.includes("What to do") && text.includes("req-01HZX4"), text);
      await open("/jobs/onlyone");
      truth((await panel(page)).includes("no such page"), await panel(page));
    }],
    ["an error shows the request id and can be tried again", async ({ page, open }) => {
      server.state.failing = true;
      try {
        await open("/jobs/gitlab/4242");
        const text = await panel(page);
        truth(text.includes("could not answer") && text.includes("A segment could not be read.") && text.includes("req-01HZX4"), text);
      } finally {
        server.state.failing = false;
      }
      await page.getByRole("button", { name: "Try again" }).click();
      await page.waitForSelector(".chart canvas");
    }],
    ["no server at all is said in words", async ({ page, open }) => {
      await page.route("**/api/**", (route) => route.abort());
      await open("/jobs/gitlab/4242");
      truth((await panel(page)).includes("cannot be reached"), await panel(page));
    }],
    ["something that is no JSON", async ({ page, open }) => {
      await page.route("**/api/**", (route) => route.fulfill({ status: 200, contentType: "text/html", body: "<h1>proxy</h1>" }));
      await open("/jobs/gitlab/4242");
      truth((await panel(page)).includes("not JSON"), await panel(page));
    }],
    ["hostile strings stay text, javascript: is no link", async ({ page, open }) => {
      await open("/jobs/gitlab/hostile");
      equal(await page.evaluate(() => window.hacked), undefined, "script ran");
      equal(await page.locator("img, main script").count(), 0, "elements from text");
      equal(await page.textContent("h1"), HOSTILE, "the name is shown as it is");
      equal(await page.locator('a[href^="javascript"]').count(), 0, "javascript links");
      await page.locator(".lane").first().click();
      equal(new URL(page.url()).searchParams.get("section"), HOSTILE, "section in the address");
      await page.keyboard.press("ArrowRight");
      equal(await page.evaluate(() => window.hacked), undefined, "script ran later");
      await noSideways(page, "the hostile page");
    }],
    ["names of 10,000 characters: shortened where they are read, whole where they are used", async ({ page, open }) => {
      await open("/jobs/gitlab/endless");
      truth((await page.textContent("main")).length < 10_000, "shown text");
      await noSideways(page, "the page with endless names");
      truth((await page.locator(".answers").boundingBox()).height < 300, "the answers keep their size");
      await page.locator(".lane").nth(1).click();
      const name = new URL(page.url()).searchParams.get("section");
      equal([name.length, name.slice(-3)], [10_012, "x#2"], "the address has all of it");
      await page.keyboard.press("d");
      await page.getByRole("radio", { name: "Section" }).check();
      const href = await page.getAttribute('#downloads a[href*="format=csv"]', "href");
      equal(new URL(href, server.url).searchParams.get("section"), name, "the download too");
      await noSideways(page, "the open menu");
      equal(await page.locator("main b > b, #downloads b").count(), 0, "elements from text");
    }],
    ["nulls and garbage everywhere", async ({ page, open }) => {
      await open("/jobs/gitlab/nulls");
      truth((await panel(page)).includes("No samples"), await panel(page));
      await open("/jobs/gitlab/garbage");
      truth((await page.textContent("main")).includes("host-1"), "machine");
    }],
    ["no sample: bounds, never a graph of 0", async ({ page, open }) => {
      await open("/jobs/gitlab/zero");
      truth((await page.textContent("#facts")).includes("Memory used was between 410 MiB and 1.1 GiB of 8 GiB."), await page.textContent("#facts"));
      truth((await panel(page)).includes("ended between two samples") && (await panel(page)).includes("the numbers are bounds"), await panel(page));
      equal(await page.locator("#verdict").count(), 0, "said once");
      truth((await page.textContent("#facts")).includes("0.25 to 1.5 of 4 cores on average"), await page.textContent("#facts"));
      truth((await page.textContent("table.summary")).includes("1.5 s to 9 s"), await page.textContent("table.summary"));
    }],
    ["one sample is drawn", async ({ page, open }) => {
      await open("/jobs/gitlab/one");
      truth((await canvases(page)).every((one) => one.inked > 300), JSON.stringify(await canvases(page)));
    }],
    ["a metric nobody measured is named, not drawn empty", async ({ page, open }) => {
      await open("/jobs/gitlab/nodisk");
      equal(await page.textContent("#chart-disk .unmeasured"), "Disk was not measured on this machine.", "disk");
      equal(await page.locator("#chart-disk canvas").count(), 0, "canvas");
      equal(await page.textContent("#chart-cpu .none .value >> nth=0"), "not measured", "one line of a chart");
    }],
    ["forty overlapping sections scroll in their lane", async ({ page, open }) => {
      await open("/jobs/gitlab/overlap");
      truth((await page.locator(".lane-scroll").boundingBox()).height < 220, "height");
    }],
    ["ids with any character", async ({ page, open }) => {
      await open(`/jobs/gitlab/${encodeURIComponent("a/b c?d%")}`);
      equal(await page.locator(".plot").count(), 4, "graphs");
    }],
    ["theme: system, switch, memory, address", async ({ page, open }) => {
      const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      await open("/jobs/gitlab/4242");
      const light = await back();
      const picture = await page.$eval("#chart-cpu canvas", (canvas) => canvas.toDataURL());
      await page.locator("#theme").click();
      await page.waitForTimeout(100);
      const dark = await back();
      truth(dark !== light, "the switch");
      truth((await page.$eval("#chart-cpu canvas", (canvas) => canvas.toDataURL())) !== picture, "the graphs follow");
      await page.reload();
      await ready(page);
      equal(await back(), dark, "remembered");
      await open("/jobs/gitlab/4242?theme=light");
      equal(await back(), light, "the address wins");
      await open("/jobs/gitlab/4242");
      await page.getByRole("button", { name: "Light theme" }).click();
      await page.emulateMedia({ colorScheme: "dark" });
      await page.waitForTimeout(100);
      equal(await back(), dark, "who switches back to the system's theme follows the system again");
      await page.emulateMedia({ colorScheme: "light" });
      await page.evaluate(() => localStorage.clear());
      await page.emulateMedia({ colorScheme: "dark" });
      await open("/jobs/gitlab/4242");
      equal(await back(), dark, "the system's wish");
      await page.emulateMedia({ colorScheme: "light" });
      await page.waitForTimeout(100);
      equal(await back(), light, "the system changed its mind");
    }],
    ...axeChecks("", PAGES),
    ["320 px: nothing scrolls sideways but tables in their frames", async ({ page, open }) => {
      await allNarrow(page, open, PAGES);
      await open("/jobs/gitlab/4242");
      truth((await canvases(page)).every((one) => one.inked > 800), "graphs are drawn");
    }, { viewport: { width: 320, height: 640 } }],
    ["resizing redraws at the new width", async ({ page, open }) => {
      await open("/jobs/gitlab/4242");
      await page.setViewportSize({ width: 700, height: 800 });
      await page.waitForFunction(() => document.querySelector(".chart canvas").getBoundingClientRect().width < 700);
      await page.waitForTimeout(100);
      truth((await canvases(page)).every((one) => one.inked > 800 && one.width < 700), "redrawn");
      await noSideways(page, "resized page");
    }],
    ["print shows the graphs in light colours", async ({ page, open }) => {
      await open("/jobs/gitlab/4242?theme=dark");
      await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
      await page.waitForTimeout(100);
      equal(await page.evaluate(() => document.documentElement.dataset.theme), "light", "printing");
      await page.evaluate(() => dispatchEvent(new Event("afterprint")));
      equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark", "after");
      await page.emulateMedia({ media: "print" });
      equal(await page.locator(".toolbar, .top").evaluateAll((all) => all.map((one) => getComputedStyle(one).display)), ["none", "none"], "nothing to press on paper");
      truth((await page.pdf()).length > 20_000, "pdf");
      await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
      truth((await canvases(page)).every((one) => one.width <= 700), "graphs fit on the paper");
    }],
  ];
}
