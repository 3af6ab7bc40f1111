// The closed lists of the API in words: states, verdicts and reasons, each with what to do about it.

export interface Words {
  short: string;
  long: string;
}

const VERDICTS: Readonly<Record<string, Words>> = {
  complete: { short: "complete", long: "Samples cover the whole job." },
  partial: { short: "partial", long: "Some of the job has no samples. What is missing is marked in the graphs and not guessed." },
  host_gone: { short: "machine gone early", long: "The machine stopped answering before the job ended: the last part was never measured." },
  scrape_down: { short: "machine not reached", long: "Prometheus was running but could not read this machine for part of the job." },
  prometheus_gap: { short: "gap in Prometheus", long: "Prometheus itself recorded nothing for part of the job." },
  unknown_machine: { short: "machine unknown", long: "It is not known which machine ran this job, so there is nothing to read." },
  past_retention: { short: "fetched too late", long: "Prometheus had already forgotten this time when it was asked." },
  too_short: { short: "very short job", long: "The job ended before two samples were taken. The numbers below are bounds, from the samples before and after it." },
  ambiguous_machine: { short: "machine not certain", long: "More than one machine matches this job, so no numbers are shown as its own." },
};

export function verdictWords(verdict: string): Words {
  return VERDICTS[verdict] ?? { short: verdict.replace(/_/g, " "), long: "" };
}

const TO_DO: Readonly<Record<string, string>> = {
  unknown_machine: "Tell Tachograph which machine this runner uses: send `machine` with the job, or register the runner with PUT /api/v1/runners/{source}/{runner_id}. `tachograph doctor` shows what is missing.",
  ambiguous_machine: "Make the runner's machine label exact (PUT /api/v1/runners/{source}/{runner_id}, field `machine_value`), then fetch again with `tachograph backfill`.",
  past_retention: "This job cannot be recovered. For later jobs, check that the service runs all the time and that Prometheus keeps at least a few hours.",
  host_gone: "The samples may still arrive if Prometheus caught up. Otherwise there is nothing left to read.",
  scrape_down: "Look at the machine's target in Prometheus: its exporter did not answer at that time.",
  prometheus_gap: "Look at the Prometheus server of this region: it recorded nothing at that time.",
  too_short: "Nothing is wrong: the job ended between two samples. A shorter scrape interval would show more.",
  no_region: "Register the region's Prometheus with PUT /api/v1/regions/{name}.",
  unknown_region: "Register the region's Prometheus with PUT /api/v1/regions/{name}.",
  unknown_runner: "Register the runner with PUT /api/v1/runners/{source}/{runner_id}.",
  not_started: "Nothing to do: a job that never started used no machine.",
};

export function whatToDo(reason: string | null, verdict: string | null): string {
  return TO_DO[reason ?? ""] ?? TO_DO[verdict ?? ""] ?? "Run `tachograph doctor` on the server: it checks the region's Prometheus, the machine's labels and the clock, and names the fix.";
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
