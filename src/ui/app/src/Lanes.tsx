// Section lanes: one bar per section of the log on the charts' own time axis, nested in rows. One stop for the tab key;
// arrows choose, Enter zooms. Bars too narrow to hit have their equal in the section table.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { GUTTER_LEFT, GUTTER_RIGHT } from "./chart";
import type { Cursor } from "./cursor";
import { bytes, duration, offset, seconds } from "./format";
import type { Placed } from "./sections";
import type { Range } from "./types";

const ROW = 24;
const MOST_ROWS = 8;
const NARROWEST = 3;
const LABEL_FROM = 34;

interface Props {
  placed: readonly Placed[];
  range: Range;
  window: Range;
  width: number;
  chosen: Placed | null;
  choose: (section: Placed) => void;
  cursor: Cursor;
}

export function describe(section: Placed, start: number): string {
  const cpu = section.summary.get("cpu_used_seconds")?.total ?? null;
  const memory = section.summary.get("memory_used_bytes")?.max ?? null;
  return [
    section.label,
    `${offset(section.start - start)}, ${duration(section.end - section.start)}`,
    cpu === null ? null : `CPU ${seconds(cpu)}`,
    memory === null ? null : `peak memory ${bytes(memory)}`,
  ].filter((part) => part !== null).join(" · ");
}

export function Lanes({ placed, range, window, width, chosen, choose, cursor }: Props) {
  const plot = Math.max(10, width - GUTTER_LEFT - GUTTER_RIGHT);
  const line = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState<number | null>(null);
  const [focused, setFocused] = useState(false);
  const scale = plot / (range.to - range.from);
  const rows = placed.reduce((most, section) => Math.max(most, section.row + 1), 1);
  const visible = placed.filter((section) => section.end >= range.from && section.start <= range.to);
  const current = active ?? chosen?.index ?? visible[0]?.index ?? 0;

  useLayoutEffect(
    () => cursor.listen((at) => {
      const mark = line.current;
      if (mark === null) return;
      const inside = at !== null && at >= range.from && at <= range.to;
      mark.hidden = !inside;
      if (inside) mark.style.transform = `translateX(${Math.round((at - range.from) * scale)}px)`;
    }),
    [cursor, range.from, range.to, scale],
  );
  useEffect(() => setActive(null), [chosen?.index]);
  useEffect(() => {
    if (focused) list.current?.querySelector(`#section-${current}`)?.scrollIntoView({ block: "nearest" });
  }, [current, focused]);

  const keys = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const targets: Readonly<Record<string, number>> = {
      ArrowRight: current + 1, ArrowDown: current + 1, ArrowLeft: current - 1, ArrowUp: current - 1, Home: 0, End: placed.length - 1,
    };
    const target = targets[event.key];
    const section = placed[current];
    if (target !== undefined) setActive(Math.min(Math.max(target, 0), placed.length - 1));
    else if ((event.key === "Enter" || event.key === " ") && section !== undefined) choose(section);
    else return;
    event.preventDefault();
  };

  return (
    <div class="lanes">
      <div
        class="lane-scroll" ref={list} role="listbox" tabIndex={0} data-own-keys
        aria-label="Sections of the job's log. Arrow keys choose, Enter zooms."
        aria-activedescendant={placed[current] === undefined ? undefined : `section-${current}`}
        onKeyDown={keys} onFocus={() => setFocused(true)} onBlur={() => setFocused(false)}
        style={{ maxHeight: `${MOST_ROWS * ROW + 4}px` }}
      >
        <div class="lane-rows" role="presentation" style={{ width: `${plot}px`, height: `${rows * ROW}px`, marginLeft: `${GUTTER_LEFT}px` }}>
          {placed.map((section) => {
            const inView = section.end >= range.from && section.start <= range.to;
            // Choosing must be possible for what is out of view too, so the active one stays in the list.
            if (!inView && section.index !== current) return null;
            const left = Math.max(0, (section.start - range.from) * scale);
            const right = Math.min(plot, (section.end - range.from) * scale);
            const wide = Math.max(NARROWEST, right - left - 1);
            const isChosen = chosen?.index === section.index;
            return (
              <div
                key={section.index} id={`section-${section.index}`} role="option" aria-selected={isChosen}
                aria-label={describe(section, window.from)} title={describe(section, window.from)}
                class={`lane${isChosen ? " chosen" : ""}${focused && section.index === current ? " active" : ""}${inView ? "" : " away"}`}
                style={{ left: `${Math.min(left, plot - NARROWEST)}px`, width: `${wide}px`, top: `${section.row * ROW}px` }}
                onClick={() => choose(section)}
              >
                {wide >= LABEL_FROM && <span>{section.label}</span>}
              </div>
            );
          })}
          <div class="lane-cursor" ref={line} hidden role="presentation" />
        </div>
      </div>
    </div>
  );
}
