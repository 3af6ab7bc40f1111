// Starts the system's Chromium for tests and screenshots. CHROMIUM names another program.
import { chromium } from "playwright-core";

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

/** Waits until the page says that all it will draw is drawn. */
export async function ready(page, timeout = 30_000) {
  await page.waitForFunction(() => document.documentElement.dataset.ready === "1", null, { timeout });
  await page.evaluate(() => document.fonts.ready);
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

/** For every chart canvas: how many pixels are not transparent, and in how many colours. */
export function canvases(page) {
  return page.$$eval(".chart canvas", (all) => all.map((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const colours = new Set();
    let inked = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] === 0) continue;
      inked += 1;
      if (colours.size < 64) colours.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
    }
    return { width: canvas.width, height: canvas.height, inked, colours: colours.size };
  }));
}
