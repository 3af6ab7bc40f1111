// What the reader must know before believing the graphs: missing data, shared machine, a page that could not refresh.
import { jobPage } from "./api";
import { gapWords } from "./facts";
import { count, duration, offset } from "./format";
import type { Frame } from "./frame";
import type { Problem } from "./parse";
import { follow } from "./router";
import type { Job, Range } from "./types";
import { verdictWords } from "./words";

const SHOWN = 12;

function GapList({ gaps, start }: { gaps: readonly Range[]; start: number }) {
  return (
    <ul class="plain">
      {gaps.slice(0, SHOWN).map((gap) => (
        <li key={gap.from}>
          {offset(gap.from - start)} to {offset(gap.to - start)} ({duration(gap.to - gap.from)})
        </li>
      ))}
      {gaps.length > SHOWN && <li>and {gaps.length - SHOWN} more</li>}
    </ul>
  );
}

function CoTenants({ job }: { job: Job }) {
  return (
    <ul class="plain">
      {job.coTenants.slice(0, SHOWN).map((other) => (
        <li key={`${other.source}/${other.jobId}`}>
          <a class="foreign" href={jobPage(other.source, other.jobId)} onClick={follow}>
            {other.source} #{other.jobId}
          </a>
          {other.overlapSeconds !== null && ` for ${duration(other.overlapSeconds * 1000)}`}
        </li>
      ))}
      {job.coTenants.length > SHOWN && <li>and {job.coTenants.length - SHOWN} more</li>}
    </ul>
  );
}

interface Props {
  job: Job;
  frame: Frame | null;
  window: Range;
  stale: Problem | null;
  /** A panel in place of the graphs says why there are none. */
  explained: boolean;
}

export function Notices({ job, frame, window, stale, explained }: Props) {
  const gaps = frame?.gaps ?? job.gaps;
  const verdict = explained || job.verdict === null || job.verdict === "complete" ? "" : verdictWords(job.verdict).long;
  return (
    <div class="notices">
      {stale !== null && (
        <p class="notice warn" role="status">
          The page could not refresh: {stale.title ?? `HTTP ${stale.status}`}. It shows what it had before and keeps trying.
        </p>
      )}
      {(verdict !== "" || gaps.length > 0) && (
        <div class="notice warn" id="verdict">
          {verdict !== "" && <span>{verdict} </span>}
          {gaps.length > 0 && (
            <details>
              <summary>{gapWords(gaps)}</summary>
              <GapList gaps={gaps} start={window.from} />
            </details>
          )}
        </div>
      )}
      {job.holed.length > 0 && <p class="notice warn" id="holed">Single metrics lack samples: <span class="foreign">{job.holed.slice(0, SHOWN).join(", ")}</span>.</p>}
      {job.coTenants.length > 0 && (
        <div class="notice warn" id="neighbours">
          <span>This job shared its machine: all numbers are the machine's, not this job's alone. </span>
          <details>
            <summary>{job.coTenants.length === 1 ? "1 other job" : `${count(job.coTenants.length)} other jobs`}</summary>
            <CoTenants job={job} />
          </details>
        </div>
      )}
    </div>
  );
}
