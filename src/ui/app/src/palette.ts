// Colours for the canvases, read from the style sheet so that both themes are defined in one place.
import { useLayoutEffect, useState } from "preact/hooks";

export interface Palette {
  axis: string;
  grid: string;
  capacity: string;
  danger: string;
  section: string;
  hatch: string;
  hatchBack: string;
  panel: string;
  /** Line and area colours of styles 1 to 6; the job page has no more than 4. */
  lines: readonly string[];
  areas: readonly string[];
}

/** Dashes tell the lines apart without colour; the legend shows the same. */
export const DASHES: readonly (readonly number[])[] = [[], [7, 4], [2, 3], [9, 3, 2, 3], [14, 4], [5, 2]];

export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string): string => style.getPropertyValue(name).trim() || "#888";
  const styles = [1, 2, 3, 4, 5, 6];
  return {
    axis: read("--muted"),
    grid: read("--grid"),
    capacity: read("--capacity"),
    danger: read("--bad"),
    section: read("--band"),
    hatch: read("--hatch"),
    hatchBack: read("--hatch-back"),
    panel: read("--panel"),
    lines: styles.map((style_) => read(`--line-${style_}`)),
    areas: styles.map((style_) => read(`--area-${style_}`)),
  };
}

/** The palette of the theme that is shown. */
export function usePalette(): Palette {
  const [palette, setPalette] = useState(readPalette);
  useLayoutEffect(() => {
    const changed = (): void => setPalette(readPalette());
    addEventListener("themechange", changed);
    return () => removeEventListener("themechange", changed);
  }, []);
  return palette;
}
