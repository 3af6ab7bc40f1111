// Statistics of every metric over the whole job, as the archive keeps them.
import { DASH } from "./format";
import { formatter, SUMMARY_ROWS, unitOf, type SummaryRow } from "./metrics";
import type { Job, Stats, Summary } from "./types";

/** Counters whose sum or rate stands in another row: repeating their parts would only be longer. */
const PARTS = ["cpu_user_seconds", "cpu_system_seconds", "cpu_idle_seconds", "cpu_busiest_core_seconds"];

/** Listed metrics first, then whatever else the summary holds (metrics a site defined itself). */
export function summaryRows(summary: Summary): SummaryRow[] {
  const has = (key: string | null): boolean => {
    const stats = key === null ? undefined : summary.get(key);
    return stats !== undefined && Object.values(stats).some((value) => value !== null);
  };
  const known = new Set([...PARTS, ...SUMMARY_ROWS.flatMap((row) => [row.stats, row.total])]);
  const others = [...summary.keys()]
    .filter((key) => !known.has(key) && has(key))
    .map((key): SummaryRow => ({ label: key, stats: key, unit: unitOf(key), total: key, totalUnit: unitOf(key) }));
  return [...SUMMARY_ROWS.filter((row) => has(row.stats) || has(row.total)), ...others];
}

function cells(row: SummaryRow, summary: Summary): string[] {
  const stats: Stats | undefined = row.stats === null ? undefined : summary.get(row.stats);
  const sum: Stats | undefined = row.total === null ? undefined : summary.get(row.total);
  const format = formatter(row.unit);
  const formatTotal = formatter(row.totalUnit);
  const between = (from: Stats | undefined, show: typeof format): string =>
    // Bounds that read the same say nothing.
    from !== undefined && from.low !== null && from.high !== null && show(from.low) !== show(from.high)
      ? `${show(from.low)} to ${show(from.high)}` : DASH;
  const total = sum?.total ?? null;
  const range = between(sum, formatTotal);
  return [
    format(stats?.mean ?? null),
    format(stats?.p50 ?? null),
    format(stats?.p95 ?? null),
    stats?.max == null ? between(stats, format) : format(stats.max),
    total === null ? range : range === DASH ? formatTotal(total) : `${formatTotal(total)} (${range})`,
  ];
}

export function SummaryTable({ job }: { job: Job }) {
  const rows = summaryRows(job.summary);
  if (rows.length === 0) return null;
  return (
    <section aria-labelledby="summary-title">
      <h2 id="summary-title">Summary</h2>
      <div class="scroll" role="region" aria-label="Statistics over the whole job" tabIndex={0} data-own-keys>
        <table class="summary">
          <thead>
            <tr>
              {["Metric", "Mean", "p50", "p95", "Max", "Total"].map((label) => <th key={label} scope="col">{label}</th>)}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.label}>
                <th scope="row" class="foreign">{row.label}</th>
                {cells(row, job.summary).map((text, index) => <td key={index} class={text === DASH ? "none" : undefined}>{text}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
