// What stands in place of graphs when there are none: what happened, why, and what to do. Never an empty graph.
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { follow } from "./router";
import type { Problem } from "./parse";
import type { Job } from "./types";
import { readable, reasonWords, verdictWords } from "./words";

/** Tells tools (screenshots, tests) that what is on the page is final. */
export function markReady(ready: boolean): void {
  if (ready) document.documentElement.dataset["ready"] = "1";
  else delete document.documentElement.dataset["ready"];
}

/** Says so as soon as what is now rendered is also drawn. */
export function useReady(rendered: boolean): void {
  useEffect(() => {
    if (!rendered) {
      markReady(false);
      return undefined;
    }
    // Two frames: the first one draws, the second one comes after it.
    let next = requestAnimationFrame(() => {
      next = requestAnimationFrame(() => markReady(true));
    });
    return () => cancelAnimationFrame(next);
  }, [rendered]);
}

/** Text with `code` in it. */
export function Prose({ text }: { text: string }) {
  return <>{text.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>;
}

interface Props {
  title: string;
  text: string;
  todo?: string;
  code?: string | null;
  requestId?: string | null;
  busy?: boolean;
  actions?: ComponentChildren;
}

export function StatePanel({ title, text, todo, code, requestId, busy, actions }: Props) {
  useEffect(() => markReady(true), []);
  return (
    <section class={busy === true ? "state busy" : "state"} aria-label={title} role={busy === true ? "status" : undefined}>
      <h2>{title}</h2>
      <p><Prose text={text} /></p>
      {todo !== undefined && (
        <p>
          <b>What to do: </b>
          <Prose text={todo} />
        </p>
      )}
      {actions !== undefined && <p class="actions">{actions}</p>}
      {(code != null || requestId != null) && (
        <p class="small">
          {code != null && <>Code <code>{code}</code></>}
          {code != null && requestId != null && " · "}
          {requestId != null && <>Request id <code>{requestId}</code></>}
        </p>
      )}
    </section>
  );
}

export function ProblemPanel({ problem, retry }: { problem: Problem; retry: () => void }) {
  const again = <button type="button" onClick={retry}>Try again</button>;
  if (problem.status === 404) {
    return (
      <StatePanel
        title="This job is not known here"
        text={problem.detail ?? "No job with this source and id was ever reported to this archive, or it is not yours to see."}
        todo="Check the source and the job id in the address. A job appears as soon as its webhook, or PUT /api/v1/jobs/{source}/{job_id}, arrives."
        code={problem.code}
        requestId={problem.requestId}
        actions={<>{again} <a href="/" onClick={follow}>See the newest jobs</a></>}
      />
    );
  }
  return (
    <StatePanel
      title={problem.title ?? `The server answered ${problem.status}`}
      text={problem.detail ?? "It gave no further reason."}
      todo="Try again. If it stays, give the operator the request id: it names this request in the server's log."
      code={problem.code ?? (problem.status > 0 ? `HTTP ${problem.status}` : null)}
      requestId={problem.requestId}
      actions={again}
    />
  );
}

const CHECK = "Check the runner's registration and the region's Prometheus.";

/** What the page says about a state without a reason that it knows: [title, text, what to do]. */
function words(job: Job): [string, string, string] {
  switch (job.state) {
    case "pending":
      return ["The job is not archived yet", "The archive gives no reason.", "Nothing: this page follows by itself."];
    case "live":
      return ["The job is running; no sample yet", "The first graph appears after the next scrape of the machine.", "Nothing: this page follows by itself."];
    case "unavailable":
      return ["There are no measurements of this job", "The archive gives no reason.", CHECK];
    case "expired":
      return [
        "The samples have expired", "The archive keeps samples for a limited time. The job's summary stays.",
        "Use the numbers on this page. Later jobs keep their samples longer if the configuration says so.",
      ];
    default:
      return job.verdict === "too_short"
        ? ["The job ended between two samples", "", "Nothing is wrong. A shorter scrape interval would show more of such jobs."]
        : ["No samples lie in this job's time", "The profile is empty.", CHECK];
  }
}

/** Panel for a job without anything to draw. */
export function JobState({ job, problem, retry }: { job: Job; problem: Problem | null; retry: () => void }) {
  if (problem !== null) return <ProblemPanel problem={problem} retry={retry} />;
  const [standard, text, standardTodo] = words(job);
  const [title, todo] = reasonWords(job.reason) ?? [standard, standardTodo];
  const verdict = job.verdict === null ? "" : verdictWords(job.verdict).long;
  return (
    <StatePanel
      busy={job.state === "pending" || job.state === "live"}
      title={title}
      text={job.reasonText ?? (job.reason === null ? verdict || text : `The reason given is: ${readable(job.reason)}.`)}
      todo={todo}
      code={job.reason}
    />
  );
}
