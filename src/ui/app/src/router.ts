// The address bar as state: the page follows it, writes to it, and the back button works.
import { useEffect, useState } from "preact/hooks";
import { parseView, viewSearch, type View } from "./route";

const CHANGED = "addresschange";

export function go(url: string): void {
  history.pushState(null, "", url);
  dispatchEvent(new Event(CHANGED));
}

export function useAddress<T>(read: () => T): T {
  const [, again] = useState(0);
  useEffect(() => {
    const changed = (): void => again((count) => count + 1);
    addEventListener("popstate", changed);
    addEventListener(CHANGED, changed);
    return () => {
      removeEventListener("popstate", changed);
      removeEventListener(CHANGED, changed);
    };
  }, []);
  return read();
}

export function usePath(): string {
  return useAddress(() => location.pathname);
}

/** The shown range and section, and how to change them (one history entry each). */
export function useView(): [View, (view: View) => void] {
  const view = useAddress(() => parseView(location.search));
  const set = (next: View): void => {
    const search = viewSearch(location.search, next);
    if (search !== location.search) go(`${location.pathname}${search}`);
  };
  return [view, set];
}

/** Links inside the page keep the page; anything with a modifier key is the browser's. */
export function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.currentTarget;
  if (!(link instanceof HTMLAnchorElement)) return;
  event.preventDefault();
  go(link.getAttribute("href") ?? "/");
  scrollTo(0, 0);
  // The link may be gone with its page; reading and tabbing go on at the new content.
  document.getElementById("main")?.focus();
}
