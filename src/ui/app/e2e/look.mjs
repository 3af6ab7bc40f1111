// What every page must hold: nothing that axe finds, and nothing wider than the window.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { ready } from "./browser.mjs";
import { truth } from "./check.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function axe(page, what) {
  // Through the debugger, because the page's policy rightly refuses inline script.
  await page.evaluate(AXE);
  const result = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  // A run that looked at next to nothing proves nothing.
  truth(result.passes.length >= 15, `${what}: axe checked only ${result.passes.length} rules`);
  const text = result.violations.map((one) => `${one.id}: ${one.help}\n  ${one.nodes.slice(0, 4).map((node) => `${node.target.join(" ")} ${node.failureSummary.split("\n")[1] ?? ""}`).join("\n  ")}`);
  truth(result.violations.length === 0, `${what}: ${text.join("\n")}`);
}

export async function noSideways(page, what) {
  const [wide, width] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  truth(wide <= width, `${what} is ${wide} wide on a page of ${width}`);
}

/** Checks with axe of `pages`, each [path, what to do there or null], in both colour schemes. */
export function axeChecks(prefix, pages) {
  return ["light", "dark"].map((theme) => [`${prefix}axe finds nothing (${theme})`, async ({ page, open }) => {
    for (const [path, act] of pages) {
      await open(path);
      await act?.(page);
      await page.waitForTimeout(50);
      await axe(page, `${path} ${theme}${act === null ? "" : " after an action"}`);
    }
  }, { colorScheme: theme }]);
}

/** That no page of `pages` scrolls sideways, neither before nor after its action. */
export async function allNarrow(page, open, pages) {
  for (const [path, act] of pages) {
    await open(path);
    await noSideways(page, path);
    await act?.(page);
    await noSideways(page, `${path} after an action`);
  }
}

/** Does something that leads to another address, and waits until what is there is drawn. */
export async function followed(page, act) {
  const before = page.url();
  await act();
  await page.waitForFunction((old) => location.href !== old, before);
  // What the page said about itself before is over after it rendered once.
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 30)))));
  await ready(page);
}

/** Opens the help with its key, gives the number of its lines, and closes it. The browser closes a dialog when it gets to it, and
 * until then the dialog has all keys. */
export async function helpLines(page) {
  await page.keyboard.press("?");
  await page.waitForSelector("dialog[open]");
  const lines = await page.locator("dialog[open] dt").count();
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog", { state: "detached" });
  return lines;
}
