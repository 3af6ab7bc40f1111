// The download menu: five formats, all of the job or a part of it, as a file or as a command to paste.
import { useState } from "preact/hooks";
import { curl, downloadUrl, FORMATS, type Part } from "./api";
import { Menu, useCopy } from "./Menu";
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
  const [copy, copied] = useCopy("Command");
  const parts: { id: string; label: string; part: Part }[] = [{ id: "all", label: "Whole job", part: {} }];
  if (section !== null) parts.push({ id: "section", label: `Section ${section.label}`, part: { section: sectionKey(section) } });
  if (shown !== null) parts.push({ id: "shown", label: `Shown: ${label}`, part: { range: shown } });
  const chosen = parts.find((one) => one.id === wish) ?? parts[0];
  const address = (format: string): string => downloadUrl(job.source, job.jobId, chosen?.part ?? {}, format);

  return (
    <Menu id="downloads" label="Download" title="Samples as a file (d)" describe="Downloads" opened={() => copy(null)}>
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
            <button type="button" aria-label={`Copy as curl: ${shownName}`} onClick={() => copy(curl(new URL(address(name), location.href).href))}>curl</button>
          </li>
        ))}
      </ul>
      {copied}
    </Menu>
  );
}
