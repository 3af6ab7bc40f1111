// What the canvas shows besides the lines: hatched gaps, the chosen section, the machine's capacity, out-of-memory kills.
import type uPlot from "uplot";
import type { Palette } from "./palette";
import type { Range } from "./types";

export interface Marks {
  gaps: readonly Range[];
  section: Range | null;
  capacity: { value: number; label: string } | null;
  kills: readonly { from: number; to: number; count: number }[];
}

export const CANVAS_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

/** Canvas pixels per CSS pixel. */
function ratio(u: uPlot): number {
  return u.ctx.canvas.width / u.width || 1;
}

function font(u: uPlot): string {
  // The font is set in canvas pixels, so it grows with the device's pixel ratio.
  return `${Math.round(11 * ratio(u))}px ${CANVAS_FONT}`;
}

function span(u: uPlot, range: Range): { left: number; width: number } | null {
  const { left, width } = u.bbox;
  const from = Math.max(left, u.valToPos(range.from, "x", true));
  const to = Math.min(left + width, u.valToPos(range.to, "x", true));
  return to > from ? { left: from, width: to - from } : null;
}

export function hatch(u: uPlot, palette: Palette): CanvasPattern | string {
  const size = Math.round(8 * ratio(u));
  const tile = document.createElement("canvas");
  tile.width = size;
  tile.height = size;
  const pen = tile.getContext("2d");
  if (pen === null) return palette.hatchBack;
  pen.fillStyle = palette.hatchBack;
  pen.fillRect(0, 0, size, size);
  pen.strokeStyle = palette.hatch;
  pen.lineWidth = ratio(u);
  pen.beginPath();
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift, size);
    pen.lineTo(shift + size, 0);
  }
  pen.stroke();
  return u.ctx.createPattern(tile, "repeat") ?? palette.hatchBack;
}

/** Behind the grid and the lines. */
export function drawBehind(u: uPlot, marks: Marks, palette: Palette): void {
  const pen = u.ctx;
  const { top, height } = u.bbox;
  pen.save();
  const chosen = marks.section === null ? null : span(u, marks.section);
  if (chosen !== null) {
    pen.fillStyle = palette.section;
    pen.fillRect(chosen.left, top, chosen.width, height);
  }
  const pattern = marks.gaps.length > 0 ? hatch(u, palette) : "";
  for (const gap of marks.gaps) {
    const band = span(u, gap);
    if (band === null) continue;
    pen.fillStyle = pattern;
    pen.fillRect(band.left, top, Math.max(band.width, ratio(u)), height);
    const label = "no samples";
    pen.font = font(u);
    const wide = pen.measureText(label).width;
    if (band.width < wide + 16 * ratio(u)) continue;
    const x = band.left + band.width / 2;
    const y = top + height / 2;
    pen.fillStyle = palette.panel;
    pen.fillRect(x - wide / 2 - 4 * ratio(u), y - 8 * ratio(u), wide + 8 * ratio(u), 16 * ratio(u));
    pen.fillStyle = palette.axis;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(label, x, y);
  }
  pen.restore();
}

/** Above the lines. */
export function drawAbove(u: uPlot, marks: Marks, palette: Palette): void {
  const pen = u.ctx;
  const { left, top, width, height } = u.bbox;
  const max = u.scales["y"]?.max ?? 0;
  pen.save();
  pen.font = font(u);
  if (marks.capacity !== null && marks.capacity.value <= max) {
    const y = Math.round(u.valToPos(marks.capacity.value, "y", true)) + 0.5;
    pen.strokeStyle = palette.capacity;
    pen.lineWidth = ratio(u);
    pen.setLineDash([4 * ratio(u), 3 * ratio(u)]);
    pen.beginPath();
    pen.moveTo(left, y);
    pen.lineTo(left + width, y);
    pen.stroke();
    pen.setLineDash([]);
    pen.fillStyle = palette.axis;
    pen.textAlign = "right";
    pen.textBaseline = "top";
    pen.fillText(marks.capacity.label, left + width - 4 * ratio(u), y + 3 * ratio(u));
  }
  let free = -Infinity;
  for (const kill of marks.kills) {
    const band = span(u, kill);
    if (band === null) continue;
    // When exactly inside the interval it happened is not known: a band over the interval, not a line.
    const wide = Math.max(band.width, 2 * ratio(u));
    pen.fillStyle = palette.danger;
    pen.globalAlpha = 0.18;
    pen.fillRect(band.left, top, wide, height);
    pen.globalAlpha = 1;
    pen.fillRect(band.left, top, wide, 3 * ratio(u));
    const label = kill.count === 1 ? "OOM kill" : `${kill.count} OOM kills`;
    const long = pen.measureText(label).width + 8 * ratio(u);
    const x = Math.min(band.left, left + width - long);
    if (x < free) continue;
    free = x + long;
    const y = top + height - 21 * ratio(u);
    pen.fillRect(x, y, long, 17 * ratio(u));
    pen.fillStyle = palette.panel;
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillText(label, x + 4 * ratio(u), y + 9 * ratio(u));
  }
  pen.restore();
  // A frame line at the bottom gives the areas something to stand on.
  pen.save();
  pen.fillStyle = palette.grid;
  pen.fillRect(left, top + height - ratio(u), width, ratio(u));
  pen.restore();
}
