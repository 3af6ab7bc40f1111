// The download menu: five formats, all of the job or a part of it, as a file or as a command to paste.
import { useState } from "preact/hooks";
import { curl, downloadUrl, FORMATS, type Part } from "./api";
import { sectionKey, type Placed } from "./sections";
import type { Job, Range } from "./types";

interface Props {
  job: Job;
  /** What is zoomed to. */
  shown: Range | null;
  section: Placed | null;
  label: string;
}

export function Downloads({ job, shown, section, label }: Props) {
  const [wish, setWish] = useState("shown");
  const [command, setCommand] = useState<string | null>(null);
  const [copied, setCopied] = useState(false);
  const parts: { id: string; label: string; part: Part }[] = [{ id: "all", label: "Whole job", part: {} }];
  if (section !== null) parts.push({ id: "section", label: `Section ${section.label}`, part: { section: sectionKey(section) } });
  if (shown !== null) parts.push({ id: "shown", label: `Shown: ${label}`, part: { range: shown } });
  const chosen = parts.find((one) => one.id === wish) ?? parts[0];
  const address = (format: string): string => downloadUrl(job.source, job.jobId, chosen?.part ?? {}, format);

  const copy = (format: string): void => {
    const text = curl(new URL(address(format), location.href).href);
    setCommand(text);
    setCopied(false);
    // Refused by browsers on plain http: the command then stands there to be copied by hand.
    navigator.clipboard?.writeText(text).then(() => setCopied(true), () => undefined);
  };
  // The browser puts a popover into the middle of the window: it belongs under its button.
  const place = (event: Event): void => {
    const menu = event.currentTarget;
    const button = document.getElementById("download")?.getBoundingClientRect();
    if (!(menu instanceof HTMLElement) || button === undefined) return;
    menu.style.top = `${button.bottom + scrollY + 4}px`;
    const { clientWidth } = document.documentElement;
    menu.style.right = `${Math.max(8, Math.min(clientWidth - button.right, clientWidth - 400))}px`;
    setCommand(null);
  };

  return (
    <>
      <button type="button" id="download" popovertarget="downloads" title="Samples as a file (d)">Download <span aria-hidden="true">▾</span></button>
      <div id="downloads" class="menu" popover="auto" role="group" aria-label="Downloads" onBeforeToggle={place}>
        {parts.length > 1 && (
          <fieldset>
            <legend class="unseen">What part</legend>
            {parts.map((one) => (
              <label key={one.id}>
                <input type="radio" name="part" checked={one === chosen} onChange={() => setWish(one.id)} /> <span class="foreign">{one.label}</span>
              </label>
            ))}
          </fieldset>
        )}
        <ul>
          {FORMATS.map(({ name, label: shownName, use }) => (
            <li key={name}>
              <a download autofocus={name === "parquet"} href={address(name)}>{shownName}</a>
              <span class="small">{use}</span>
              <button type="button" aria-label={`Copy as curl: ${shownName}`} onClick={() => copy(name)}>curl</button>
            </li>
          ))}
        </ul>
        {command !== null && (
          <p role="status">
            {copied ? "Copied:" : "Copy this:"}
            <input readOnly aria-label="Command" value={command} onFocus={(event) => event.currentTarget.select()} />
          </p>
        )}
      </div>
    </>
  );
}
