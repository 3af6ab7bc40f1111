// How wide a part of the page is, followed while it changes, and on paper.
import { useLayoutEffect, useRef, useState } from "preact/hooks";

/** What fits on an upright A4 or letter page. */
const PAPER_WIDTH = 690;

export function useWidth(): [{ current: HTMLDivElement | null }, number] {
  const host = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = host.current;
    if (element === null) return undefined;
    const measure = (): void => setWidth(Math.floor(element.clientWidth));
    const print = (): void => setWidth(PAPER_WIDTH);
    const watch = new ResizeObserver(measure);
    watch.observe(element);
    addEventListener("beforeprint", print);
    addEventListener("afterprint", measure);
    measure();
    return () => {
      watch.disconnect();
      removeEventListener("beforeprint", print);
      removeEventListener("afterprint", measure);
    };
  }, []);
  return [host, width];
}
