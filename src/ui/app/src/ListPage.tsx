// The newest jobs, a page at a time.
import { useEffect, useState } from "preact/hooks";
import { ApiError, fetchList, jobPage } from "./api";
import { bytes, coreNumber, dateTime, DASH, duration } from "./format";
import { Badge } from "./JobHeader";
import type { Problem } from "./parse";
import { follow } from "./router";
import { markReady, ProblemPanel, StatePanel } from "./StatePanel";
import type { Job } from "./types";
import { readable, reasonWords, stateWords, statusTone, verdictTone, verdictWords } from "./words";

function Row({ job }: { job: Job }) {
  const memory = job.summary.get("memory_used_bytes")?.max ?? null;
  const cpu = job.summary.get("cpu_used_cores")?.mean ?? null;
  return (
    <tr>
      <th scope="row">
        <a class="foreign" href={jobPage(job.source, job.jobId)} onClick={follow}>{job.name ?? `Job ${job.jobId}`}</a>
        <span class="small foreign"> {job.source} #{job.jobId}</span>
      </th>
      <td class="left narrow">{job.status === null ? DASH : <Badge tone={statusTone(job.status)}>{readable(job.status)}</Badge>}</td>
      <td class="left narrow">
        {job.state === "archived" && job.verdict !== null
          ? <Badge tone={verdictTone(job.verdict)} title={verdictWords(job.verdict).long}>{verdictWords(job.verdict).short}</Badge>
          : <Badge tone={job.state === "live" || job.state === "pending" ? "busy" : "quiet"} title={reasonWords(job.reason)?.[0]}>{stateWords(job.state)}</Badge>}
      </td>
      <td class="left foreign">{job.project ?? DASH}{job.ref !== null && <span class="small"> {job.ref}</span>}</td>
      <td>{dateTime(job.start, false)}</td>
      <td>{job.start === null || job.end === null ? DASH : duration(job.end - job.start)}</td>
      <td>{memory === null ? DASH : bytes(memory)}{memory !== null && job.machine.memoryTotal !== null && <span class="small"> of {bytes(job.machine.memoryTotal)}</span>}</td>
      <td>{cpu === null ? DASH : coreNumber(cpu)}{cpu !== null && job.machine.cpuCount !== null && <span class="small"> of {job.machine.cpuCount}</span>}</td>
    </tr>
  );
}

export function ListPage() {
  const [jobs, setJobs] = useState<Job[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [wanted, setWanted] = useState<{ cursor: string | null; round: number }>({ cursor: null, round: 0 });
  const [problem, setProblem] = useState<Problem | null>(null);
  useEffect(() => {
    document.title = "Jobs · Tachograph";
    const abort = new AbortController();
    fetchList(wanted.cursor, abort.signal).then(
      (list) => {
        setJobs((before) => (wanted.cursor === null ? list.jobs : [...(before ?? []), ...list.jobs]));
        setNext(list.next);
        setProblem(null);
      },
      (error: unknown) => {
        if (!abort.signal.aborted) setProblem(error instanceof ApiError ? error.problem : { status: 0, code: null, title: "The page failed", detail: String(error), requestId: null });
      },
    );
    return () => abort.abort();
  }, [wanted]);
  useEffect(() => markReady(jobs !== null || problem !== null), [jobs, problem]);
  return (
    <>
      <h1>Newest jobs</h1>
      {problem !== null && <ProblemPanel problem={problem} retry={() => setWanted({ ...wanted, round: wanted.round + 1 })} />}
      {jobs === null && problem === null && <p aria-busy="true">Loading…</p>}
      {jobs !== null && jobs.length === 0 && (
        <StatePanel
          title="No job has been reported yet"
          text="A job appears here as soon as the archive hears of it."
          todo="Point a webhook at /hooks/gitlab or /hooks/github, or send PUT /api/v1/jobs/{source}/{job_id}."
        />
      )}
      {jobs !== null && jobs.length > 0 && (
        <div class="scroll" role="region" aria-label="Jobs" tabIndex={0} data-own-keys>
          <table class="jobs">
            <thead>
              <tr>
                <th scope="col">Job</th>
                {["Status", "Data", "Project"].map((label) => <th key={label} scope="col" class="left">{label}</th>)}
                {["Started", "Duration", "Peak memory", "Mean cores"].map((label) => <th key={label} scope="col">{label}</th>)}
              </tr>
            </thead>
            <tbody>{jobs.map((job) => <Row key={`${job.source}/${job.jobId}`} job={job} />)}</tbody>
          </table>
        </div>
      )}
      {next !== null && <p><button type="button" onClick={() => setWanted({ cursor: next, round: 0 })}>Older jobs</button></p>}
    </>
  );
}
