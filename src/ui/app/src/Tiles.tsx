// The five numbers asked for first, each against the machine's capacity where there is one.
import { bytes, coreNumber, count, DASH, percent, seconds } from "./format";
import type { Cell, Job, Stats } from "./types";

interface Tile {
  label: string;
  value: string;
  note: string;
  share: Cell;
  alarm?: boolean;
}

/** Short jobs have no exact number: the bounds are shown instead. */
function total(stats: Stats | undefined, format: (value: Cell) => string): string {
  if (stats === undefined) return DASH;
  if (stats.total !== null) return format(stats.total);
  return stats.low !== null && stats.high !== null ? `${format(stats.low)} to ${format(stats.high)}` : DASH;
}

function tiles(job: Job): Tile[] {
  const get = (key: string): Stats | undefined => job.summary.get(key);
  const { memoryTotal, cpuCount } = job.machine;
  const memory = get("memory_used_bytes");
  const top = memory?.max ?? null;
  const mean = get("cpu_used_cores")?.mean ?? null;
  const kills = get("oom_kills")?.total ?? null;
  const memoryText = top !== null ? bytes(top)
    : memory?.low != null && memory.high !== null ? `${bytes(memory.low)} to ${bytes(memory.high)}` : DASH;
  return [
    {
      label: "Peak memory", value: memoryText,
      note: memoryTotal === null ? "" : top === null ? `of ${bytes(memoryTotal)}` : `${percent(top / memoryTotal)} of ${bytes(memoryTotal)}`,
      share: top !== null && memoryTotal !== null ? top / memoryTotal : null,
    },
    {
      label: "Mean CPU", value: mean === null ? DASH : `${coreNumber(mean)} cores`,
      note: cpuCount === null || mean === null ? "" : `${percent(mean / cpuCount)} of ${count(cpuCount)}`,
      share: mean !== null && cpuCount !== null ? mean / cpuCount : null,
    },
    { label: "CPU time", value: total(get("cpu_used_seconds"), seconds), note: "", share: null },
    {
      label: "OOM kills", value: count(kills), note: kills === null ? "not measured" : "", share: null,
      alarm: kills !== null && kills > 0,
    },
    {
      label: "Network", value: `↓ ${total(get("network_receive_bytes"), bytes)}`,
      note: `↑ ${total(get("network_transmit_bytes"), bytes)}`, share: null,
    },
    {
      label: "Disk", value: `${total(get("disk_read_bytes"), bytes)} read`,
      note: `${total(get("disk_written_bytes"), bytes)} written`, share: null,
    },
  ];
}

export function Tiles({ job }: { job: Job }) {
  if (job.summary.size === 0) return null;
  return (
    <dl class="tiles">
      {tiles(job).map((tile) => (
        <div key={tile.label} class={tile.alarm === true ? "alarm" : undefined}>
          <dt>{tile.label}</dt>
          <dd>
            <b>{tile.value}</b>
            <span>{tile.note}</span>
            {tile.share !== null && (
              <i class="bar" aria-hidden="true">
                <i style={{ width: `${Math.min(100, Math.max(0, tile.share * 100))}%` }} />
              </i>
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}
