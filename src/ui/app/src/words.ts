// The closed lists of the API in words: verdicts, reasons with what to do about them, states. A test holds every value
// of those lists against these tables; a value of a later service is shown as it is.

import type { State } from "./types";

export interface Words {
  short: string;
  long: string;
}

const VERDICTS: Readonly<Record<string, Words>> = {
  complete: { short: "complete", long: "Samples cover the whole job." },
  partial: { short: "partial", long: "Samples are missing in parts of the job. The graphs show where; nothing is guessed." },
  host_gone: { short: "machine gone early", long: "The machine disappeared before the job ended, and its last part was never measured. If the job failed, look there first: did it crash, or was it taken away?" },
  scrape_down: { short: "machine not reached", long: "Prometheus was running but could not read this machine for part of the job: the exporter did not answer. An overloaded machine does that too." },
  prometheus_gap: { short: "gap in Prometheus", long: "Prometheus itself recorded nothing for part of the job. It says nothing about the job." },
  unknown_machine: { short: "machine unknown", long: "Prometheus has no samples of the machine for this time." },
  past_retention: { short: "fetched too late", long: "Prometheus had already forgotten this time when it was asked." },
  too_short: { short: "very short job", long: "The job was too short for two samples, so the numbers are bounds from the samples before and after it." },
  ambiguous_machine: { short: "machine not certain", long: "Several targets in Prometheus carry this machine's name. One of them was taken, and it may be another machine." },
};

export function verdictWords(verdict: string): Words {
  return (Object.hasOwn(VERDICTS, verdict) ? VERDICTS[verdict] : undefined) ?? { short: readable(verdict), long: "" };
}

const PUT_JOB = "PUT /api/v1/jobs/{source}/{job_id}";
const PUT_RUNNER = "PUT /api/v1/runners/{source}/{runner_id}";
const FOLLOWS = "Nothing: this page follows by itself.";
const REGISTER = "Whoever runs this service registers it once; the job is not lost, and this page follows by itself.";
const LOST = "This job's samples cannot come back. ";

/** What a reason means in a few words, and what to do about it. The service's own sentence stands between them. */
const REASONS: Readonly<Record<string, readonly [string, string]>> = {
  not_started: ["Waiting for the job to start", FOLLOWS],
  waiting_for_start: ["The job's start is missing", `Send \`started_at\` with \`${PUT_JOB}\`.`],
  waiting_for_finish: ["The job's end is missing", `Send \`finished_at\` with \`${PUT_JOB}\`.`],
  waiting_for_runner: ["The runner is not registered", REGISTER],
  waiting_for_region: ["The runner's region is not registered", REGISTER],
  waiting_for_machine: ["The machine is not known", `Send it with \`${PUT_JOB}\`; this page follows by itself.`],
  waiting_for_log: ["The job's log is not there yet", "Check the CI system and the token of its source; it is asked again by itself."],
  settling: ["The job is over and is being archived", FOLLOWS],
  samples_late: ["The last samples are late", `${FOLLOWS} If it stays like this, check that the region's Prometheus still scrapes.`],
  no_samples_yet: ["Prometheus has no samples of the machine yet", "Wait a minute. If it stays, compare the machine's name in Prometheus with the runner's registration."],
  upstream_unreachable: ["Prometheus cannot be reached", "Check that the region's Prometheus is up and its address right."],
  upstream_refused: ["Prometheus refuses to answer", "Check the token and headers of the region's registration."],
  upstream_invalid: ["Prometheus' answer cannot be used", "Check that the region's address is a metrics server, not a proxy's page."],
  archiver_failed: ["Archiving the job failed", "Look at the log of this service: it names the failure. The job is not lost."],
  never_ran: ["The job never ran", "Nothing: a job that never ran used no machine."],
  unknown_machine: ["Prometheus does not know the machine", `Compare its name in Prometheus with \`machine_label\` and \`machine_value\` of \`${PUT_RUNNER}\`.`],
  past_retention: ["Prometheus had already forgotten the job", `${LOST}For later jobs, keep this service running and Prometheus' retention above an hour.`],
  prometheus_gap: ["Prometheus recorded nothing during the job", `${LOST}Look at the region's Prometheus: was it down at that time?`],
  quarantined: ["The files that hold this job are damaged or missing", "An operator can restore them: `tachograph restore --segment`, or the whole archive from a backup."],
  never_registered: ["The runner was not registered in time", `${LOST}For later jobs, register the runner and its region.`],
  samples_expired: ["The samples have expired", "Nothing: the archive keeps samples for a limited time. The summary stays."],
  upstream_failed: ["Prometheus gave no usable answer in time", `${LOST}For later jobs, check the region's Prometheus.`],
};

export function reasonWords(reason: string | null): readonly [string, string] | null {
  return reason === null || !Object.hasOwn(REASONS, reason) ? null : (REASONS[reason] ?? null);
}

/** States in the list of jobs, where a verdict says it better once there is one. */
const STATES: Readonly<Record<State, string>> = {
  pending: "not archived yet", live: "live", archived: "archived", expired: "samples expired", unavailable: "no data", unknown: "unknown",
};

export function stateWords(state: State): string {
  return STATES[state];
}

/** A code of the API, readable: script_failure -> script failure. */
export function readable(code: string): string {
  return code.replace(/_/g, " ");
}

export type Tone = "good" | "bad" | "busy" | "quiet" | "warn";

export function statusTone(status: string): Tone {
  if (status === "success") return "good";
  if (status === "failed") return "bad";
  return ["canceled", "skipped", "manual"].includes(status) ? "quiet" : "busy";
}

export function verdictTone(verdict: string): Tone {
  return verdict === "complete" ? "good" : verdict === "too_short" ? "quiet" : "warn";
}
