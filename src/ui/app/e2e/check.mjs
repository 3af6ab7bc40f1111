// The smallest test runner that does the job: named checks, a browser page per check, and one closing line.
import { launch, ready } from "./browser.mjs";

export async function suite(base, checks, options = {}) {
  const browser = await launch();
  let passed = 0;
  let failed = 0;
  for (const [name, check, over = {}] of checks) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce", timezoneId: "UTC", ...over });
    // The clock stands still; timers run.
    if (options.now !== undefined) await context.clock.setFixedTime(options.now);
    const page = await context.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(`page error: ${error.message}`));
    page.on("console", (message) => {
      // A refused request is logged as an error by the browser itself; whether it was expected is for the check to say.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) errors.push(`console: ${message.text()}`);
    });
    await page.addInitScript(() => {
      window.violations = [];
      document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    });
    const begun = Date.now();
    try {
      const open = async (path) => {
        await page.goto(base + path);
        await ready(page);
        return page;
      };
      await check({ page, open, context });
      errors.push(...(await page.evaluate(() => window.violations).catch(() => [])).map((text) => `policy: ${text}`));
      if (errors.length > 0) throw new Error(errors.join("\n"));
      passed += 1;
      console.log(`ok    ${name} (${Date.now() - begun} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${name}\n      ${String(error.message ?? error).replaceAll("\n", "\n      ")}`);
      if (options.pictures) await page.screenshot({ path: `${options.pictures}/fail-${failed}.png` }).catch(() => {});
    } finally {
      await context.close();
    }
  }
  await browser.close();
  console.log(`${passed} passed, ${failed} failed`);
  return failed;
}

export function equal(actual, expected, what) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: got ${a}, expected ${b}`);
}

export function truth(value, what) {
  if (!value) throw new Error(what);
}
