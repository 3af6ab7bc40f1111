// Head of the job page: name, badges, and the facts of the run in one dense list.
import type { ComponentChildren } from "preact";
import { bytes, count, dateTime, duration, percent, seconds } from "./format";
import type { Job, Range } from "./types";
import { readable, stateWords, statusTone, verdictTone, verdictWords, type Tone } from "./words";

const SIGNS: Readonly<Record<Tone, string>> = { good: "✓", bad: "✕", busy: "●", quiet: "–", warn: "!" };

export function Badge({ tone, title, children }: { tone: Tone; title?: string | undefined; children: ComponentChildren }) {
  return (
    <span class={`badge ${tone}`} title={title}>
      <span aria-hidden="true">{SIGNS[tone]} </span>
      {children}
    </span>
  );
}

function Item({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function host(url: string): string {
  return new URL(url).host;
}

export function JobHeader({ job, window }: { job: Job; window: Range }) {
  const { machine } = job;
  const size = [
    machine.cpuCount === null ? null : `${count(machine.cpuCount)} ${machine.cpuCount === 1 ? "core" : "cores"}`,
    machine.memoryTotal === null ? null : bytes(machine.memoryTotal),
    machine.type,
    machine.region,
  ].filter((part) => part !== null);
  const runner = job.runnerDescription ?? (job.runnerId === null ? null : `#${job.runnerId}`);
  const verdict = job.verdict === null ? null : verdictWords(job.verdict);
  return (
    <header class="job">
      <p class="path">
        {job.project !== null && <span class="foreign">{job.project}</span>}
        {job.stage !== null && <span class="foreign">{job.stage}</span>}
        {job.ref !== null && <span class="foreign">{job.ref}</span>}
        {job.sha !== null && <code class="foreign">{job.sha.slice(0, 10)}</code>}
      </p>
      <div class="title">
        <h1 class="foreign">{job.name ?? `Job ${job.jobId}`}</h1>
        <span class="id foreign">{job.source} #{job.jobId}</span>
        {job.status !== null && (
          <Badge tone={statusTone(job.status)}>
            {readable(job.status)}
            {job.failureReason !== null && ` (${readable(job.failureReason)})`}
          </Badge>
        )}
        {(job.state === "live" || job.state === "pending") && <Badge tone="busy">{stateWords(job.state)}</Badge>}
        {verdict !== null && job.verdict !== null && (
          <Badge tone={verdictTone(job.verdict)} title={verdict.long}>
            data: {verdict.short}
            {job.coverage !== null && job.coverage < 1 && `, ${percent(job.coverage)} covered`}
          </Badge>
        )}
        {job.webUrl !== null && (
          <a class="out" href={job.webUrl} rel="noopener noreferrer">
            Job log on {host(job.webUrl)} <span aria-hidden="true">↗</span>
          </a>
        )}
      </div>
      <dl class="meta">
        {machine.name !== null && <Item label="Machine"><span class="foreign">{machine.name}</span></Item>}
        {size.length > 0 && <Item label="Size"><span class="foreign">{size.join(" · ")}</span></Item>}
        {runner !== null && <Item label="Runner"><span class="foreign">{runner}</span></Item>}
        {job.start !== null && <Item label="Started"><time>{dateTime(job.start, false)}</time></Item>}
        {job.start !== null && <Item label={job.end === null ? "Running for" : "Duration"}>{duration(window.to - window.from)}</Item>}
        {job.queuedSeconds !== null && <Item label="Queued">{seconds(job.queuedSeconds)}</Item>}
        {job.pipelineId !== null && <Item label="Pipeline"><span class="foreign">{job.pipelineId}</span></Item>}
        {job.sampleCount !== null && job.sampleCount > 0 && (
          <Item label="Samples">
            {count(job.sampleCount)}
            {job.scrapeMs !== null && `, every ${duration(job.scrapeMs)}`}
          </Item>
        )}
      </dl>
    </header>
  );
}
