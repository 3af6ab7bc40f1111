// The closed lists of the API in words: verdicts and reasons, each with what to do about it.

export interface Words {
  short: string;
  long: string;
}

const VERDICTS: Readonly<Record<string, Words>> = {
  complete: { short: "complete", long: "Samples cover the whole job." },
  partial: { short: "partial", long: "Some of the job has no samples. What is missing is marked in the graphs and not guessed." },
  host_gone: { short: "machine gone early", long: "The machine disappeared before the job ended: the last part was never measured." },
  scrape_down: { short: "machine not reached", long: "Prometheus was running but could not read this machine for part of the job." },
  prometheus_gap: { short: "gap in Prometheus", long: "Prometheus itself recorded nothing for part of the job." },
  unknown_machine: { short: "machine unknown", long: "Prometheus has no samples of the machine for this time." },
  past_retention: { short: "fetched too late", long: "Prometheus had already forgotten this time when it was asked." },
  too_short: { short: "very short job", long: "The job was too short for two samples. The numbers are bounds, from the samples before and after it." },
  ambiguous_machine: { short: "machine not certain", long: "Several targets in Prometheus carry this machine's name; one of them was taken." },
};

export function verdictWords(verdict: string): Words {
  return VERDICTS[verdict] ?? { short: readable(verdict), long: "" };
}

const REGISTER = "Register what is missing; this page follows by itself.";
const UPSTREAM = "Check the region's Prometheus: is it up, and are its address and token right? It is asked again by itself.";
const LOST = "This job cannot be recovered. ";

/** By reason, else by verdict. The service's own sentence stands above it and is not repeated. */
const TO_DO: Readonly<Record<string, string>> = {
  waiting_for_start: "Send `started_at` with PUT /api/v1/jobs/{source}/{job_id}.",
  waiting_for_finish: "Send `finished_at` with PUT /api/v1/jobs/{source}/{job_id}.",
  waiting_for_runner: REGISTER,
  waiting_for_region: REGISTER,
  waiting_for_machine: REGISTER,
  no_samples_yet: "Wait a minute. If it stays, compare the machine's name in Prometheus with the runner's registration.",
  upstream_unreachable: UPSTREAM,
  upstream_refused: UPSTREAM,
  upstream_invalid: UPSTREAM,
  archiver_failed: "Look at the log of this service: it names the failure.",
  never_ran: "Nothing: a job that never ran used no machine.",
  unknown_machine: "Compare the machine's name in Prometheus with `machine_label` and `machine_value` of PUT /api/v1/runners/{source}/{runner_id}.",
  past_retention: `${LOST}For later jobs, keep this service running and Prometheus' retention above an hour.`,
  prometheus_gap: `${LOST}Look at the Prometheus server of this region: it recorded nothing at that time.`,
  never_registered: `${LOST}For later jobs, register the runner and its region.`,
  upstream_failed: `${LOST}For later jobs, check the region's Prometheus.`,
  host_gone: "Nothing: what was measured is shown.",
  scrape_down: "Look at the machine's target in Prometheus: its exporter did not answer.",
  too_short: "Nothing is wrong. A shorter scrape interval would show more of such jobs.",
};

export function whatToDo(reason: string | null, verdict: string | null, otherwise: string): string {
  return TO_DO[reason ?? ""] ?? TO_DO[verdict ?? ""] ?? otherwise;
}

/** A code of the API, readable: script_failure -> script failure. */
export function readable(code: string): string {
  return code.replace(/_/g, " ");
}

export type Tone = "good" | "bad" | "busy" | "quiet" | "warn";

export function statusTone(status: string): Tone {
  if (status === "success") return "good";
  if (status === "failed") return "bad";
  return status === "running" || status === "pending" || status === "created" ? "busy" : "quiet";
}

export function verdictTone(verdict: string): Tone {
  return verdict === "complete" ? "good" : verdict === "too_short" ? "quiet" : "warn";
}
