// Light or dark: the system's wish, unless the reader chose, unless ?theme= says otherwise for this visit.
import { recall, remember } from "./memory";

export type Theme = "light" | "dark";

const KEY = "tachograph.theme";

function known(value: string | null): Theme | null {
  return value === "light" || value === "dark" ? value : null;
}

function system(): Theme {
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** What the reader or the address asked for; null follows the system. */
let wish: Theme | null = null;

export function currentTheme(): Theme {
  return wish ?? system();
}

function show(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
  dispatchEvent(new Event("themechange"));
}

/** Whoever chooses what the system has follows the system again. */
export function setTheme(theme: Theme): void {
  wish = theme === system() ? null : theme;
  remember(KEY, wish ?? "");
  show(theme);
}

export function startTheme(): void {
  wish = known(new URLSearchParams(location.search).get("theme")) ?? known(recall(KEY));
  show(currentTheme());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show(currentTheme()));
  // Paper is white: the canvases are drawn in light colours while printing.
  addEventListener("beforeprint", () => show("light"));
  addEventListener("afterprint", () => show(currentTheme()));
}
