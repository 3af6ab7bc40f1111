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
    // What becomes of another height for the paper is observed too, and must not take the paper's width back.
    let paper = false;
    const measure = (): void => setWidth(paper ? PAPER_WIDTH : Math.floor(element.clientWidth));
    const printing = (on: boolean) => (): void => {
      paper = on;
      measure();
    };
    const [print, printed] = [printing(true), printing(false)];
    const watch = new ResizeObserver(measure);
    watch.observe(element);
    addEventListener("beforeprint", print);
    addEventListener("afterprint", printed);
    measure();
    return () => {
      watch.disconnect();
      removeEventListener("beforeprint", print);
      removeEventListener("afterprint", printed);
    };
  }, []);
  return [host, width];
}
