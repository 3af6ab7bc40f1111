import { expect, describe, test } from "vitest";
import base from "../src/styles/base.css?raw";
import many from "../src/styles/many.css?raw";

/** The variables of a theme, as #rrggbb; the others (transparent bands) are marks behind marks. */
function theme(selector: string): Map<string, string> {
  const blocks = [base, many].map((css) => css.slice(css.indexOf(selector)).split("}")[0] ?? "").join("");
  return new Map([...blocks.matchAll(/(--[\w-]+): (#[0-9a-f]{6});/g)].map((match) => [match[1] ?? "", match[2] ?? ""]));
}

function luminance(colour: string): number {
  const [red, green, blue] = linear(colour);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return ((high ?? 0) + 0.05) / ((low ?? 0) + 0.05);
}

function linear(colour: string): [number, number, number] {
  const channel = (at: number): number => {
    const value = parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [channel(1), channel(3), channel(5)];
}

type Matrix = readonly (readonly [number, number, number])[];
const times = (matrix: Matrix, [a, b, c]: readonly [number, number, number]): [number, number, number] =>
  matrix.map(([x, y, z]) => x * a + y * b + z * c) as [number, number, number];

/** What eyes see, full severity (Machado, Oliveira and Fernandes 2009), in linear light. */
const EYES: Readonly<Record<string, Matrix>> = {
  "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  "no red cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  "no green cones": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  "no blue cones": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};

/** Distance in OKLab x 100: 2 is just seen side by side. */
function distance(a: string, b: string, eyes: Matrix): number {
  const lab = (colour: string): [number, number, number] => {
    const seen = times(eyes, linear(colour)).map((value) => Math.max(0, value)) as [number, number, number];
    const cones = times([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]], seen).map(Math.cbrt) as [number, number, number];
    return times([[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099], [0.0259040371, 0.7827717662, -0.808675766]], cones);
  };
  const [one, other] = [lab(a), lab(b)];
  return 100 * Math.hypot(one[0] - other[0], one[1] - other[1], one[2] - other[2]);
}

describe.each([["light", ":root {"], ["dark", ':root[data-theme="dark"]']])("%s", (_, selector) => {
  const colours = theme(selector);
  const get = (name: string): string => {
    const found = colours.get(name);
    if (found === undefined) throw new Error(`no ${name}`);
    return found;
  };
  test.each(["--line-1", "--line-2", "--line-3", "--line-4", "--line-5", "--line-6", "--held-edge", "--capacity", "--bad", "--focus", "--lane-border"])("mark %s has 3:1", (name) =>
    expect(contrast(get(name), get("--panel"))).toBeGreaterThanOrEqual(3));
  test.each<readonly [string, string]>([
    ["--text", "--panel"], ["--text", "--back"], ["--text", "--raised"], ["--muted", "--panel"], ["--muted", "--back"], ["--muted", "--raised"], ["--muted", "--hatch-back"], ["--link", "--panel"], ["--link", "--back"],
    ["--good", "--good-back"], ["--bad", "--bad-back"], ["--warn", "--warn-back"], ["--busy", "--busy-back"], ["--lane-text", "--lane"], ["--lane-chosen-text", "--lane-chosen"], ["--bad", "--panel"], ["--bad", "--raised"], ["--link", "--raised"], ["--text", "--busy-back"], ["--muted", "--busy-back"],
    ...[1, 2, 3, 4].map((step) => ["--heat-low", `--heat-${step}`] as const), ...[5, 6, 7].map((step) => ["--heat-high", `--heat-${step}`] as const),
  ])("text %s on %s has 4.5:1", (front, back) => expect(contrast(get(front), get(back))).toBeGreaterThanOrEqual(4.5));
  describe.each(Object.entries(EYES))("with %s", (_eyes, eyes) => {
    test("any two lines of a trend differ", () => {
      const lines = [1, 2, 3, 4, 5, 6].map((style) => get(`--line-${style}`));
      lines.forEach((one, at) => lines.slice(at + 1).forEach((other, after) =>
        expect(distance(one, other, eyes), `lines ${at + 1} and ${at + after + 2}`).toBeGreaterThanOrEqual(9)));
    });
    test("used and not used differ", () => expect(distance(get("--line-1"), get("--held"), eyes)).toBeGreaterThanOrEqual(15));
    test("the hours' scale goes one way, in steps that are seen", () => {
      const steps = [1, 2, 3, 4, 5, 6, 7].map((step) => get(`--heat-${step}`));
      steps.slice(1).forEach((step, at) => expect(distance(steps[at] ?? "", step, eyes), `step ${at + 1}`).toBeGreaterThanOrEqual(4));
      const lights = steps.map((step) => luminance(step));
      expect(lights).toEqual([...lights].sort((a, b) => (lights[0]! < lights[6]! ? a - b : b - a)));
    });
  });
});
