#!/usr/bin/env python3
"""The same samples in four stores, side by side in one run: bytes, one job, a scan.

Usage: stores.py FOLDER PROGRAM   (FOLDER as `cargo bench -- compare` left it, PROGRAM is tachograph)

Prometheus and VictoriaMetrics hold every job's series twice over, in stores of their own: as series of
long-lived machines, and as series of one machine per job, as autoscaled runners make them. JSON is one
gzipped file per job. A sample is one value of one row; what the stores hold besides (bases, labels,
indexes) is counted to the bytes, not to the samples, for all alike. Stops if answers differ.
"""
import gzip
import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from common import close, folder_bytes, measured, post_form, prometheus, ratio, same, say, sql, table, tachograph, victoria

READS = 300
RUNS = 5


def units(cell, scale):
    """The number as an exporter shows it."""
    return cell / 10 ** scale if scale else cell


def load(folder):
    with open(folder / "jobs.jsonl") as lines:
        return [json.loads(line) for line in lines]


def series(jobs, by_job):
    """(metric, labels, [(ts, value)]) of all jobs. A machine's scrapes are told once."""
    found = {}
    for job in jobs:
        machine = f"{job['machine']}-{job['job_id']}" if by_job else job["machine"]
        for name, column in job["columns"].items():
            key = (name, machine, job["runner"])
            own = found.setdefault(key, [])
            # The base of a gauge is no sample of ours; that of a counter is needed by everybody.
            first = 0 if column["kind"] == "counter" else 1
            last = own[-1][0] if own else -1
            for ts, cell in list(zip(job["ts_ms"], column["cells"], strict=True))[first:]:
                if ts > last and cell is not None:
                    own.append((ts, units(cell, column["scale"])))
    return found


def write_open_metrics(found, kinds, path):
    with open(path, "w") as out:
        for name in sorted({key[0] for key in found}):
            out.write(f"# TYPE {name} {kinds[name]}\n")
            suffix = "_total" if kinds[name] == "counter" else ""
            for (own, machine, runner), samples in found.items():
                if own == name:
                    labels = f'{{instance="{machine}:9100",runner="{runner}"}}'
                    out.writelines(f"{name}{suffix}{labels} {value!r} {ts / 1000:.3f}\n" for ts, value in samples)
        out.write("# EOF\n")


def fill_prometheus(found, kinds, folder):
    folder.mkdir()
    write_open_metrics(found, kinds, folder / "corpus.om")
    subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", folder / "corpus.om", folder / "blocks"],
                   check=True, stdout=subprocess.DEVNULL)
    (folder / "corpus.om").unlink()
    server = prometheus(folder)
    # Blocks that overlap or lie beside each other are made one before anything is measured.
    time.sleep(3)
    blocks = [path for path in (folder / "blocks").iterdir() if (path / "meta.json").exists()]
    return server, sum(folder_bytes(block) for block in blocks)


def fill_victoria(found, kinds, folder):
    folder.mkdir()
    server = victoria(folder)
    lines, held = [], 0
    for (name, machine, runner), samples in found.items():
        suffix = "_total" if kinds[name] == "counter" else ""
        metric = {"__name__": name + suffix, "instance": f"{machine}:9100", "runner": runner}
        lines.append(json.dumps({"metric": metric, "values": [value for _, value in samples], "timestamps": [ts for ts, _ in samples]}))
        held += len(samples)
        if held > 200_000:
            server.post("/api/v1/import", "\n".join(lines).encode())
            lines, held = [], 0
    server.post("/api/v1/import", "\n".join(lines).encode())
    server.get("/internal/force_flush")
    server.get("/internal/force_merge")
    time.sleep(8)
    data = folder / "victoria"
    return server, folder_bytes(data / "data") + folder_bytes(data / "indexdb")


def write_json(jobs, folder):
    folder.mkdir()
    for job in jobs:
        plain = {name: job[name] for name in ("job_id", "runner", "machine", "from_ms", "to_ms", "ts_ms")}
        plain["metrics"] = {name: [units(cell, column["scale"]) for cell in column["cells"]] for name, column in job["columns"].items()}
        (folder / f"{job['job_id']}.json.gz").write_bytes(gzip.compress(json.dumps(plain, separators=(",", ":")).encode(), 6))
    return folder_bytes(folder)


def expected(job, kinds):
    """A job's samples by metric, as exporters show them."""
    out = {}
    for name, column in job["columns"].items():
        first = 0 if kinds[name] == "counter" else 1
        out[name] = [(ts, units(cell, column["scale"])) for ts, cell in zip(job["ts_ms"], column["cells"])][first:]
    return out


def window(job):
    return job["ts_ms"][0] / 1000, job["ts_ms"][-1] / 1000


class PromRead:
    def __init__(self, server, by_job):
        self.server, self.by_job = server, by_job

    def job(self, job):
        machine = f"{job['machine']}-{job['job_id']}" if self.by_job else job["machine"]
        start, end = window(job)
        answer = post_form(self.server, "/api/v1/query", query=f'{{instance="{machine}:9100"}}[{int(end * 1000 - start * 1000) + 1}ms]', time=end)
        found = {}
        for line in json.loads(answer)["data"]["result"]:
            name = line["metric"]["__name__"].removesuffix("_total")
            found[name] = [(round(ts * 1000), float(value)) for ts, value in line["values"]]
        return found

    def scan(self, query, end, span):
        answer = json.loads(post_form(self.server, "/api/v1/query", query=query.replace("RANGE", f"{span}s"), time=end))
        return [(line["metric"]["runner"], float(line["value"][1])) for line in answer["data"]["result"]]


class VictoriaRead(PromRead):
    def job(self, job):
        machine = f"{job['machine']}-{job['job_id']}" if self.by_job else job["machine"]
        start, end = window(job)
        answer = post_form(self.server, "/api/v1/export", **{"match[]": f'{{instance="{machine}:9100"}}', "start": start, "end": end})
        found = {}
        for line in answer.splitlines():
            line = json.loads(line)
            name = line["metric"]["__name__"].removesuffix("_total")
            found[name] = list(zip(line["timestamps"], line["values"], strict=True))
        return found

    def scan(self, query, end, span):
        answer = json.loads(post_form(self.server, "/api/v1/query", query=query.replace("RANGE", f"{span}s"), time=end, nocache=1))
        return [(line["metric"]["runner"], float(line["value"][1])) for line in answer["data"]["result"]]


def check_read(name, found, wanted):
    for metric, samples in wanted.items():
        own = found.get(metric, [])
        if [ts for ts, _ in own] != [ts for ts, _ in samples] or not all(close(a, b, 1e-12) for (_, a), (_, b) in zip(own, samples)):
            sys.exit(f"{name}: {metric} of a job differs: {own[:2]} instead of {samples[:2]}, {len(own)} and {len(samples)} samples")


def our_read(server, job, raw=True):
    return json.loads(server.get(f"/api/v1/jobs/gitlab/{job['job_id']}/profile", **({"raw": "true"} if raw else {})))


def check_ours(server, job, kinds):
    """Increments behind the base are the counters that everybody else holds."""
    answer = our_read(server, job)
    for name, samples in expected(job, kinds).items():
        values = answer["metrics"][name]["values"]
        if kinds[name] == "gauge":
            wanted = [value for _, value in samples]
        else:
            wanted = [b - a for (_, a), (_, b) in zip(samples, samples[1:])]
        if len(values) != len(wanted) or not all(abs(a - b) <= 1e-6 * max(1.0, abs(b)) for a, b in zip(values, wanted)):
            sys.exit(f"tachograph: {name} of job {job['job_id']} differs")


def main():
    folder, program = Path(sys.argv[1]), Path(sys.argv[2])
    figures = json.loads((folder / "figures.json").read_text())
    jobs = load(folder)
    kinds = {name: column["kind"] for name, column in jobs[0]["columns"].items()}
    count, samples = len(jobs), figures["samples"]
    say(f"{count} jobs, {samples} samples")
    picked = random.Random(1).sample(jobs, min(READS, count))
    end = max(job["ts_ms"][-1] for job in jobs) / 1000 + 1
    span = int(end - min(job["ts_ms"][0] for job in jobs) / 1000) + 60

    sizes, reads, scans = [], [], {}
    json_bytes = write_json(jobs, folder / "json")
    sizes.append(("one JSON.gz per job", json_bytes))

    def read_json(job):
        plain = json.loads(gzip.decompress((folder / "json" / f"{job['job_id']}.json.gz").read_bytes()))
        return {name: list(zip(plain["ts_ms"], values))[0 if kinds[name] == "counter" else 1:] for name, values in plain["metrics"].items()}

    for job in picked[:50]:
        check_read("JSON", read_json(job), expected(job, kinds))
    cpu, _, _ = measured(time.process_time, lambda: [json.loads(gzip.decompress((folder / "json" / f"{job['job_id']}.json.gz").read_bytes())) for job in picked], RUNS)
    reads.append(("one JSON.gz per job, file to objects (Python's C decoders)", cpu / len(picked)))

    maximum = "avg by (runner) (max_over_time(memory_used_bytes[RANGE]))"
    quantile = "avg by (runner) (quantile_over_time(0.95, memory_used_bytes[RANGE]))"
    for by_job, what in ((False, "long-lived machines"), (True, "a machine per job")):
        found = series(jobs, by_job)
        for name, fill, reader in (("Prometheus", fill_prometheus, PromRead), ("VictoriaMetrics", fill_victoria, VictoriaRead)):
            own = folder / f"{name}-{'jobs' if by_job else 'machines'}"
            shutil.rmtree(own, ignore_errors=True)
            say(f"filling {name}, {what}")
            server, size = fill(found, kinds, own)
            with server:
                sizes.append((f"{name}, {what}", size))
                read = reader(server, by_job)
                if by_job:
                    for job in picked[:50]:
                        check_read(name, read.job(job), expected(job, kinds))
                paths = [(read, job) for job in picked]
                cpu, _, _ = measured(server.cpu, lambda: [read.job(job) for read, job in paths], RUNS)
                reads.append((f"{name}, {what}", cpu / len(picked)))
                for title, query in (("max", maximum), ("p95", quantile)):
                    cpu, wall, answer = measured(server.cpu, lambda: read.scan(query, end, span), RUNS)
                    scans.setdefault((title, by_job), []).append((name, cpu, wall, answer))
        del found

    with tachograph(program, folder / "archive", folder) as server:
        for job in picked[:50]:
            check_ours(server, job, kinds)
        cpu, _, _ = measured(server.cpu, lambda: [server.get(f"/api/v1/jobs/gitlab/{job['job_id']}/profile", raw="true") for job in picked], RUNS)
        reads.append(("tachograph, over HTTP", cpu / len(picked)))
        ours = ours_scans(server)
    report(figures, sizes, reads, scans, ours, count)


def ours_scans(server):
    """The same questions as SQL: by job as the series of one machine per job have them."""
    def question(stat):
        return lambda: sql(server, f"select runner_id, avg(value) from (select job, runner_key, {stat} as value from samples "
                                   "group by job, runner_key) s join (select distinct runner_key, runner_id from jobs) r using (runner_key) group by runner_id")
    return {
        "max": measured(server.cpu, question("max(memory_used_bytes)"), RUNS),
        "p95": measured(server.cpu, question("p95(memory_used_bytes)"), RUNS),
    }


def report(figures, sizes, reads, scans, ours, count):
    samples = figures["samples"]
    whole = figures["samples_bytes"] + figures["jobs_bytes"] + figures["index_bytes"]
    sizes += [("tachograph, samples alone", figures["samples_bytes"]),
              ("tachograph, whole: samples, job rows with all facts and statistics, index", whole)]
    if "compacted_samples_bytes" in figures:
        compacted = figures["compacted_samples_bytes"] + figures["compacted_jobs_bytes"] + figures["index_bytes"]
        sizes.append(("tachograph, samples alone, compacted", figures["compacted_samples_bytes"]))
        sizes.append(("tachograph, whole, compacted", compacted))
    table(f"Bytes: {count} jobs, {samples} samples of 18 metrics", ("store", "bytes per sample", "bytes per job", "beside ours, whole"),
          [(name, f"{size / samples:.3f}", f"{size / count:.0f}", ratio(size, whole)) for name, size in sizes])
    own = reads[-1][1]
    table("One job, all 18 metrics: CPU of the store", ("store", "ms", "beside ours"),
          [(name, f"{cpu * 1e3:.3f}", ratio(cpu, own)) for name, cpu in reads])
    rows = []
    memory = samples / 18
    for (title, by_job), answers in scans.items():
        own_cpu, own_wall, own_answer = ours[title]
        for name, cpu, wall, answer in answers:
            if by_job and title == "max":
                same(f"{name}: max", answer, own_answer)
            rows.append((title, name, "a machine per job" if by_job else "long-lived machines", f"{cpu * 1e3:.0f}", f"{memory / cpu / 1e6:.1f}", ratio(cpu, own_cpu)))
        if by_job:
            rows.append((title, "tachograph (SQL)", "by job", f"{own_cpu * 1e3:.0f}", f"{memory / own_cpu / 1e6:.1f}", "1"))
    table("Memory of each machine or job, maximum or p95, then the mean by runner: CPU of the store",
          ("statistic", "store", "series", "ms", "M samples/s/core", "beside ours"), rows)
    print("\nThe maxima of a machine per job are equal in all stores. Prometheus and VictoriaMetrics interpolate quantiles; ours are nearest ranks.")


if __name__ == "__main__":
    main()
