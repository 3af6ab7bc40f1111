import { expect, describe, test } from "vitest";
import css from "../src/styles/base.css?raw";

/** The variables of a theme, as #rrggbb; the others (transparent bands) are marks behind marks. */
function theme(selector: string): Map<string, string> {
  const block = css.slice(css.indexOf(selector)).split("}")[0] ?? "";
  return new Map([...block.matchAll(/(--[\w-]+): (#[0-9a-f]{6});/g)].map((match) => [match[1] ?? "", match[2] ?? ""]));
}

function luminance(colour: string): number {
  const channel = (at: number): number => {
    const value = parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}

function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return ((high ?? 0) + 0.05) / ((low ?? 0) + 0.05);
}

describe.each([["light", ":root {"], ["dark", ':root[data-theme="dark"]']])("%s", (_, selector) => {
  const colours = theme(selector);
  const get = (name: string): string => {
    const found = colours.get(name);
    if (found === undefined) throw new Error(`no ${name}`);
    return found;
  };
  test.each(["--line-1", "--line-2", "--line-3", "--line-4", "--capacity", "--bad", "--focus", "--lane-border"])("mark %s has 3:1", (name) =>
    expect(contrast(get(name), get("--panel"))).toBeGreaterThanOrEqual(3));
  test.each([
    ["--text", "--panel"], ["--text", "--back"], ["--text", "--raised"], ["--muted", "--panel"], ["--muted", "--back"], ["--muted", "--raised"], ["--muted", "--hatch-back"], ["--link", "--panel"], ["--link", "--back"],
    ["--good", "--good-back"], ["--bad", "--bad-back"], ["--warn", "--warn-back"], ["--busy", "--busy-back"], ["--lane-text", "--lane"], ["--lane-chosen-text", "--lane-chosen"], ["--bad", "--panel"],
  ])("text %s on %s has 4.5:1", (front, back) => expect(contrast(get(front), get(back))).toBeGreaterThanOrEqual(4.5));
});
