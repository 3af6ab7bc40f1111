// The keyboard: one table of shortcuts per page, that both the handler and the help dialog use.
import { useEffect, useRef } from "preact/hooks";

export type Action =
  | "help" | "table" | "zoomIn" | "zoomOut" | "reset" | "nextSection" | "previousSection"
  | "right" | "left" | "farRight" | "farLeft" | "first" | "last" | "clock" | "scale" | "download" | "clear";

export interface Shortcut<A> {
  action: A;
  keys: readonly string[];
  shown: string;
  does: string;
  shift?: boolean;
}

/** Those of the job page. */
export const SHORTCUTS: readonly Shortcut<Action>[] = [
  { action: "right", keys: ["ArrowRight"], shown: "→", does: "cursor to the next sample" },
  { action: "left", keys: ["ArrowLeft"], shown: "←", does: "cursor to the previous sample" },
  { action: "farRight", keys: ["ArrowRight"], shown: "Shift →", does: "ten samples on", shift: true },
  { action: "farLeft", keys: ["ArrowLeft"], shown: "Shift ←", does: "ten samples back", shift: true },
  { action: "first", keys: ["Home"], shown: "Shift Home", does: "first sample shown", shift: true },
  { action: "last", keys: ["End"], shown: "Shift End", does: "last sample shown", shift: true },
  { action: "zoomIn", keys: ["+", "="], shown: "+", does: "zoom in at the cursor" },
  { action: "zoomOut", keys: ["-", "_"], shown: "-", does: "zoom out" },
  { action: "reset", keys: ["0"], shown: "0", does: "show the whole job" },
  { action: "previousSection", keys: ["["], shown: "[", does: "zoom to the previous section" },
  { action: "nextSection", keys: ["]"], shown: "]", does: "zoom to the next section" },
  { action: "table", keys: ["t"], shown: "t", does: "graphs or table of samples" },
  { action: "clock", keys: ["c"], shown: "c", does: "job time, local time, UTC" },
  { action: "scale", keys: ["y"], shown: "y", does: "scale to the machine or to the data" },
  { action: "download", keys: ["d"], shown: "d", does: "downloads" },
  { action: "clear", keys: ["Escape"], shown: "Esc", does: "put the cursor away" },
  { action: "help", keys: ["?"], shown: "?", does: "this help" },
];

/** Elements that need a key for themselves keep it: fields take all, scrolling tables take the moving ones. */
function taken(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof Element)) return false;
  if (target.closest("input, select, textarea, [contenteditable]") !== null) return true;
  return /^(Arrow|Home|End)/.test(event.key) && target.closest("[data-own-keys]") !== null;
}

export function findShortcut<A>(table: readonly Shortcut<A>[], key: string, shift: boolean): Shortcut<A> | null {
  const matching = table.filter((shortcut) => shortcut.keys.includes(key));
  return matching.find((shortcut) => (shortcut.shift ?? false) === shift) ?? matching.find((shortcut) => shortcut.shift !== true) ?? null;
}

/** Single letters can be switched off (WCAG 2.1.4): speech input would set them off by accident. */
export function useKeys<A>(table: readonly Shortcut<A>[], run: (action: A) => void, letters: boolean): void {
  const latest = useRef(run);
  latest.current = run;
  useEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || taken(event)) return;
      if (!letters && event.key.length === 1) return;
      // An open dialog has all keys; an open menu needs Escape for itself.
      if (document.querySelector(event.key === "Escape" ? "dialog[open], :popover-open" : "dialog[open]") !== null) return;
      const shortcut = findShortcut(table, event.key, event.shiftKey);
      if (shortcut === null) return;
      event.preventDefault();
      latest.current(shortcut.action);
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [letters]);
}
