// Loads a job and its profile and keeps them fresh while the job runs. What is on screen stays there until something
// newer is complete, so that nothing flickers; a failed refresh keeps the old page and says so. A long job comes with its
// extremes only; what is zoomed to is then loaded in full, or with the extremes of smaller parts.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { fetchJob, fetchProfile, problemOf } from "./api";
import { buildFrame, refine, sparse, type Frame } from "./frame";
import type { Problem } from "./parse";
import type { Job, Profile, Range } from "./types";

const REFRESH_MS = 4_000;
const SLOWEST_MS = 60_000;
/** A zoom that goes on is not asked for at each step. */
const STEADY_MS = 150;

export interface Loaded {
  job: Job;
  profile: Profile | null;
  /** Why there is no profile although there should be one. */
  profileProblem: Problem | null;
  /** Why the last refresh failed; the page shows what it had before. */
  stale: Problem | null;
}

export type Load = { phase: "loading" } | { phase: "failed"; problem: Problem } | ({ phase: "ready" } & Loaded);

async function load(source: string, jobId: string, before: Load, signal: AbortSignal): Promise<Load> {
  // Both at once: the first chart should not wait for two round trips.
  const [job, profile] = await Promise.allSettled([
    fetchJob(source, jobId, signal),
    fetchProfile(source, jobId, {}, signal),
  ]);
  if (job.status === "rejected") {
    const problem = problemOf(job.reason);
    // A job that is gone is gone; anything else may pass, and what we have is still true.
    return before.phase === "ready" && problem.status !== 404 ? { ...before, stale: problem } : { phase: "failed", problem };
  }
  const ready: Loaded = { job: job.value, profile: null, profileProblem: null, stale: null };
  const held = before.phase === "ready" ? before.profile : null;
  const expected = job.value.state === "archived" || job.value.state === "live";
  if (profile.status === "fulfilled") {
    // Between the end of a job and its archiving the service may have nothing to show; the live graph stays.
    ready.profile = profile.value.ts.length === 0 && job.value.state === "pending" ? held : profile.value;
  } else {
    ready.profile = expected || job.value.state === "pending" ? held : null;
    if (expected) ready.profileProblem = problemOf(profile.reason);
  }
  return { phase: "ready", ...ready };
}

function changing(state: Load): boolean {
  return state.phase === "ready" && (state.job.state === "pending" || state.job.state === "live");
}

export function useJob(source: string, jobId: string): [Load, () => void] {
  const [state, setState] = useState<Load>({ phase: "loading" });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let latest: Load = { phase: "loading" };
    let wait = REFRESH_MS;
    const run = async (): Promise<void> => {
      // Nobody looks at a hidden tab, and the server has other readers.
      if (!document.hidden || latest.phase === "loading") {
        const next = await load(source, jobId, latest, abort.signal);
        if (abort.signal.aborted) return;
        latest = next;
        setState(next);
        const failing = next.phase === "failed" || (next.phase === "ready" && next.stale !== null);
        wait = failing ? Math.min(wait * 2, SLOWEST_MS) : REFRESH_MS;
      }
      if (changing(latest)) timer = setTimeout(() => void run(), wait);
    };
    setState({ phase: "loading" });
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [source, jobId, round]);
  return [state, () => setRound((before) => before + 1)];
}

/** The frame with all that is known of the range; asks for more rows if that would show more. */
export function useDetail(job: Job, frame: Frame, range: Range, window: Range): Frame {
  const [detail, setDetail] = useState<Profile | null>(null);
  const held = useRef(window);
  const refined = useMemo(
    () => (detail === null ? frame : buildFrame(refine(frame.profile, detail), job.gaps, job.scrapeMs)),
    [frame, detail],
  );
  useEffect(() => {
    const { from, to } = held.current;
    const finer = to - from > 1.5 * (range.to - range.from) || range.from < from || range.to > to;
    if (!finer || !sparse(refined, range) || (range.from <= window.from && range.to >= window.to)) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      fetchProfile(job.source, job.jobId, { range }, abort.signal).then(
        (profile) => {
          held.current = range;
          setDetail(profile);
        },
        // The graphs stay as they are, and go on saying that rows are left out.
        () => undefined,
      );
    }, STEADY_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [frame, range.from, range.to]);
  return refined;
}
