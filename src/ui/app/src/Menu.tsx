// A button with a menu under it, and texts that go to the clipboard from there.
import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";

interface Props {
  /** Of the menu; its button has the same with `-button`. */
  id: string;
  label: string;
  title: string;
  describe: string;
  children: ComponentChildren;
  opened?: (open: boolean) => void;
}

export function Menu({ id, label, title, describe, children, opened }: Props) {
  // The browser puts a popover into the middle of the window: it belongs under its button.
  const place = (event: Event): void => {
    const menu = event.currentTarget;
    const button = document.getElementById(`${id}-button`)?.getBoundingClientRect();
    if (!(menu instanceof HTMLElement) || button === undefined) return;
    menu.style.top = `${button.bottom + scrollY + 4}px`;
    const { clientWidth } = document.documentElement;
    menu.style.right = `${Math.max(8, Math.min(clientWidth - button.right, clientWidth - 400))}px`;
    opened?.((event as ToggleEvent).newState === "open");
  };
  return (
    <>
      <button type="button" id={`${id}-button`} popovertarget={id} title={title}>{label} <span aria-hidden="true">▾</span></button>
      <div id={id} class="menu" popover="auto" role="group" aria-label={describe} onBeforeToggle={place}>{children}</div>
    </>
  );
}

/** Copies a text, and shows it where the browser refuses the clipboard (as on plain http). */
export function useCopy(what: string): [(text: string | null) => void, VNode | null] {
  const [text, setText] = useState<string | null>(null);
  const [copied, setCopied] = useState(false);
  const copy = (wanted: string | null): void => {
    setText(wanted);
    setCopied(false);
    if (wanted !== null) navigator.clipboard?.writeText(wanted).then(() => setCopied(true), () => undefined);
  };
  return [copy, text === null ? null : (
    <p role="status">
      {copied ? "Copied:" : "Copy this:"}
      <input readOnly aria-label={what} value={text} onFocus={(event) => event.currentTarget.select()} />
    </p>
  )];
}
