// The help dialog: every shortcut the page has, and a switch for those who must not have single letters.
import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useKeys, type Shortcut } from "./keys";
import { recall, remember } from "./memory";

const LETTERS_KEY = "tachograph.letters";

interface Props {
  shortcuts: readonly Shortcut<unknown>[];
  /** What the mouse does: [gesture, effect]. */
  mouse: readonly (readonly [string, string])[];
  letters: boolean;
  setLetters: (on: boolean) => void;
  close: () => void;
}

function Help({ shortcuts, mouse, letters, setLetters, close }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={close}>
      <h2 id="help-title">Keyboard and mouse</h2>
      <dl>
        {[...shortcuts.map((one) => [<kbd>{one.shown}</kbd>, one.does]), ...mouse].map(([how, does], index) => (
          <div key={index}>
            <dt>{how}</dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <label>
        <input type="checkbox" checked={letters} onChange={(event) => setLetters(event.currentTarget.checked)} /> Single-key shortcuts (letters and signs)
      </label>
      <p>
        <button type="button" onClick={() => dialog.current?.close()}>Close</button>
      </p>
    </dialog>
  );
}

/** Runs a page's shortcuts; returns the help dialog while it is open. Of the actions `help` is the dialog's own. */
export function useShortcuts<A extends string>(
  shortcuts: readonly Shortcut<A | "help">[], mouse: Props["mouse"], actions: Readonly<Record<A, () => void>>,
): [(action: A | "help") => void, VNode | null] {
  const [help, setHelp] = useState(false);
  const [letters, setLetters] = useState(recall(LETTERS_KEY) !== "off");
  const act = (action: A | "help"): void => (action === "help" ? setHelp(true) : actions[action]());
  useKeys(shortcuts, act, letters);
  const set = (on: boolean): void => {
    remember(LETTERS_KEY, on ? "on" : "off");
    setLetters(on);
  };
  return [act, help ? <Help shortcuts={shortcuts} mouse={mouse} letters={letters} setLetters={set} close={() => setHelp(false)} /> : null];
}
