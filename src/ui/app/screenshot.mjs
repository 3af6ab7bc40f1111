// A picture of a real page: node screenshot.mjs URL OUT.png [--width N] [--height N] [--theme dark|light] [--full] [--scale N]
import { launch, ready } from "./e2e/browser.mjs";

const [url, out, ...rest] = process.argv.slice(2);
const option = (name, standard) => {
  const at = rest.indexOf(`--${name}`);
  return at === -1 ? standard : rest[at + 1];
};
if (url === undefined || out === undefined) {
  console.error("usage: node screenshot.mjs URL OUT.png [--width N] [--height N] [--theme dark|light] [--full] [--scale N]");
  process.exit(64);
}
const browser = await launch();
try {
  const theme = option("theme", "light");
  const page = await browser.newPage({
    viewport: { width: Number(option("width", 1280)), height: Number(option("height", 900)) },
    deviceScaleFactor: Number(option("scale", 1)), colorScheme: theme === "dark" ? "dark" : "light", reducedMotion: "reduce",
  });
  await page.goto(url);
  await ready(page);
  await page.screenshot({ path: out, fullPage: rest.includes("--full") });
} finally {
  await browser.close();
}
