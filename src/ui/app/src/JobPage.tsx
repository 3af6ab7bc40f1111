// The page of one job: who it was, what the numbers say, the graphs, the tables.
import { useEffect, useMemo } from "preact/hooks";
import { Answers } from "./Answers";
import { answers } from "./facts";
import { buildFrame, measured, type Frame } from "./frame";
import { JobHeader } from "./JobHeader";
import { useJob, type Loaded } from "./load";
import { Notices } from "./Notices";
import { JobState, markReady, ProblemPanel, StatePanel } from "./StatePanel";
import { useView } from "./router";
import { placeSections, sectionKey, sectionRange, type Placed } from "./sections";
import { SectionTable } from "./SectionTable";
import { SummaryTable } from "./SummaryTable";
import type { Job, Profile, Range } from "./types";
import { Workbench } from "./Workbench";

/** The time the page is about: the job's, or what the profile knows of it. Never this browser's clock, which may be wrong. */
export function jobWindow(job: Job, profile: Profile | null): Range {
  const first = profile?.ts[0] ?? null;
  const last = profile?.ts[profile.ts.length - 1] ?? 0;
  const from = job.start ?? profile?.from ?? first ?? job.end ?? 0;
  const to = job.end ?? Math.max(profile?.to ?? last, last);
  return { from, to: Math.max(to, from + 1000) };
}

function Ready({ loaded, retry }: { loaded: Loaded; retry: () => void }) {
  const { job, profile } = loaded;
  const [view, setView] = useView();
  const window = useMemo(() => jobWindow(job, profile), [job, profile]);
  const placed = useMemo(() => placeSections(job.sections, window.to), [job, window]);
  const frame: Frame | null = useMemo(
    () => (profile === null || profile.ts.length === 0 ? null : buildFrame(profile, job.gaps, job.scrapeMs)),
    [profile, job],
  );
  const drawable = frame !== null && [...frame.gauges.values()].some(measured);
  const smallest = job.scrapeMs === null ? 1000 : 2 * job.scrapeMs;
  const open = drawable
    ? (section: Placed): void => {
        setView({ section: sectionKey(section), range: sectionRange(section, window, smallest) });
        document.querySelector(".bench")?.scrollIntoView({ block: "start" });
      }
    : null;
  return (
    <>
      <JobHeader job={job} window={window} />
      <Notices job={job} frame={frame} window={window} stale={loaded.stale} explained={!drawable} />
      <Answers answers={answers(job, frame, placed, window)} open={open} />
      {drawable && frame !== null ? (
        <Workbench job={job} frame={frame} placed={placed} window={window} view={view} setView={setView} />
      ) : (
        <JobState job={job} problem={loaded.profileProblem} retry={retry} />
      )}
      <SectionTable job={job} placed={placed} window={window} view={view} open={open} />
      <SummaryTable job={job} />
    </>
  );
}

export function JobPage({ source, jobId }: { source: string; jobId: string }) {
  const [load, retry] = useJob(source, jobId);
  const title = load.phase === "ready" ? (load.job.name ?? jobId) : jobId;
  useEffect(() => {
    document.title = `${title} · Tachograph`;
  }, [title]);
  useEffect(() => {
    if (load.phase === "loading") markReady(false);
  }, [load.phase]);
  if (load.phase === "loading") {
    return (
      <div class="skeleton" aria-busy="true">
        <h1 class="loading">Loading job {jobId}…</h1>
        <div /><div /><div /><div />
      </div>
    );
  }
  if (load.phase === "failed") {
    return (
      <>
        <h1>Job {jobId}</h1>
        <ProblemPanel problem={load.problem} retry={retry} />
      </>
    );
  }
  if (load.job.jobId === "" && load.job.source === "" && load.job.state === "unknown") {
    return (
      <>
        <h1>Job {jobId}</h1>
        <StatePanel title="The answer cannot be read" text="The server's answer is not a job." todo="Check that this page and the service are of the same version, then reload." />
      </>
    );
  }
  return <Ready loaded={load} retry={retry} />;
}
