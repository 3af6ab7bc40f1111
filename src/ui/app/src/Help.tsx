// The help dialog: every shortcut the page has, and a switch for those who must not have single letters.
import { useEffect, useRef } from "preact/hooks";
import { SHORTCUTS } from "./keys";

export function Help({ letters, setLetters, close }: { letters: boolean; setLetters: (on: boolean) => void; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={close}>
      <h2 id="help-title">Keyboard and mouse</h2>
      <dl>
        {SHORTCUTS.map((shortcut) => (
          <div key={shortcut.action}>
            <dt><kbd>{shortcut.shown}</kbd></dt>
            <dd>{shortcut.does}</dd>
          </div>
        ))}
        <div><dt>drag</dt><dd>zoom all graphs to a time</dd></div>
        <div><dt>double-click</dt><dd>show the whole job</dd></div>
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
