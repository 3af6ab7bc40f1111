#!/usr/bin/env python3
"""Questions over a whole fleet: ours beside DuckDB over our own files, SQLite with JSON columns, and
Parquet of gzipped JSON.

Usage: scan.py FOLDER PROGRAM DATA   (DATA is an archive of tools/fleetgen, PROGRAM is tachograph)

Every question is asked once before it is timed, and the answers must be equal: counts, sums, percentiles
and extremes exactly, means to 1e-9. CPU seconds are of the whole process that answers, the median of
RUNS; `cold` is the first time after the start of that process. SQLite and JSON hold what other systems
keep of a job: columns for what is filtered by, a JSON text for the statistics; at most JSON_ROWS jobs.
"""
import gzip
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.parquet

from common import measured, ratio, same, say, sql, table, tachograph

RUNS = 5
JSON_ROWS = 1_000_000
THREADS = 2

# name: (ours, DuckDB's where it differs, what it reads)
JOB_QUESTIONS = {
    "p95 of peak memory per project": (
        "select project, p95(memory_used_bytes_max) from jobs group by project",
        "select project, quantile_disc(memory_used_bytes_max, 0.95) from jobs group by project"),
    "jobs and core-seconds per project": (
        "select project, count(*), sum(cpu_user_seconds_total) + sum(cpu_system_seconds_total) from jobs group by project",
        None),
    "trend: jobs, mean and p95 of peak memory per day": (
        "select cast(date as varchar), count(*), avg(memory_used_bytes_max), p95(memory_used_bytes_max) from jobs group by date",
        "select cast(date as varchar), count(*), avg(memory_used_bytes_max), quantile_disc(memory_used_bytes_max, 0.95) from jobs group by date"),
    "waiting p95 per hour of the day": (
        "select cast(date_part('hour', created_at) as bigint), p95(queued_seconds) from jobs group by 1",
        "select date_part('hour', created_at), quantile_disc(queued_seconds, 0.95) from jobs group by 1"),
}
SAMPLE_QUESTIONS = {
    "cpu_used_cores: mean and p95 by runner and day": (
        "select concat(runner_key, ' ', date), avg(cpu_used_cores), p95(cpu_used_cores) from job_samples group by runner_key, date",
        "select concat(runner_key, ' ', date), avg(cpu), quantile_disc(cpu, 0.95) from (select runner_key, date, "
        "floor(cast((cpu_user_seconds + cpu_system_seconds) * 100 as double) * 100000 / interval_ms + 0.5) / 10000 as cpu from samples) group by runner_key, date",
        2),
    "memory_used_bytes: mean and p95 by runner and day": (
        "select concat(runner_key, ' ', date), avg(memory_used_bytes), p95(memory_used_bytes) from samples group by runner_key, date",
        "select concat(runner_key, ' ', date), avg(memory_used_bytes), quantile_disc(memory_used_bytes, 0.95) from samples group by runner_key, date",
        1),
    "cpu_used_cores: mean by runner and day": (
        "select concat(runner_key, ' ', date), avg(cpu_used_cores) from job_samples group by runner_key, date",
        "select concat(runner_key, ' ', date), avg(floor(cast((cpu_user_seconds + cpu_system_seconds) * 100 as double) * 100000 / interval_ms + 0.5) / 10000) "
        "from samples group by runner_key, date",
        2),
}
STATISTICS = ("memory_used_bytes_max", "memory_used_bytes_p95", "cpu_user_seconds_total", "cpu_system_seconds_total",
              "cpu_used_cores_p95", "cpu_used_cores_max", "network_receive_bytes_total", "disk_written_bytes_total", "queued_seconds")
JSON_QUESTIONS = ("p95 of peak memory per project", "jobs and core-seconds per project")


def connect(data):
    connection = duckdb.connect()
    connection.execute(f"set threads = {THREADS}")
    connection.execute("set timezone = 'UTC'")
    connection.execute("set parquet_metadata_cache = true")
    for name in ("jobs", "samples"):
        connection.execute(f"create view {name} as select * from read_parquet('{data}/tables/{name}/*/*.parquet', hive_partitioning = true, union_by_name = true)")
    return connection


def time_both(server, connection, questions, rows):
    """Asks both, holds the answers against each other, then times them."""
    lines, answers = [], {}
    for name, (ours, theirs, *columns) in questions.items():
        say(f"  {name}")
        theirs = theirs or ours
        before = server.cpu()
        own = sql(server, ours)
        cold = server.cpu() - before
        duck = connection.execute(theirs).fetchall()
        same(name, [tuple(row) for row in own], [tuple(row) for row in duck])
        answers[name] = own
        own_cpu, own_wall, _ = measured(server.cpu, lambda: sql(server, ours), RUNS)
        duck_cpu, duck_wall, _ = measured(time.process_time, lambda: connection.execute(theirs).fetchall(), RUNS)
        speed = [f"{columns[0] * rows / own_cpu / 1e6:.0f}", f"{columns[0] * rows / duck_cpu / 1e6:.0f}"] if columns else []
        lines.append((name, f"{own_cpu * 1e3:.0f}", f"{duck_cpu * 1e3:.0f}", ratio(duck_cpu, own_cpu), f"{cold * 1e3:.0f}",
                      f"{own_wall * 1e3:.0f}", f"{duck_wall * 1e3:.0f}", *speed))
    return lines, answers


def export_json(connection, folder):
    """SQLite with JSON columns, and Parquet with a gzipped JSON text per job."""
    names = ", ".join(STATISTICS)
    rows = connection.execute(f"select source, job_id, project, name, ref, status, runner_id, machine_type, epoch_ms(started_at), "
                              f"epoch_ms(finished_at), {names} from jobs limit {JSON_ROWS}")
    (folder / "jobs.sqlite").unlink(missing_ok=True)
    store = sqlite3.connect(folder / "jobs.sqlite")
    store.execute("create table job (source text, job_id text, project text, name text, ref text, status text, runner text, "
                  "machine_type text, started integer, finished integer, footprint text)")
    texts = []
    while chunk := rows.fetchmany(50_000):
        lines = []
        for row in chunk:
            footprint = json.dumps(dict(zip(STATISTICS, (None if value is None else float(value) for value in row[10:]))))
            lines.append((*row[:10], footprint))
            plain = {"project": row[2], "job_id": row[1], "status": row[5], "statistics": json.loads(footprint)}
            texts.append(gzip.compress(json.dumps(plain).encode(), 6))
        store.executemany("insert into job values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", lines)
    store.execute("create index job_project on job (project)")
    store.commit()
    batch = pyarrow.table({"data": pyarrow.array(texts, pyarrow.binary())})
    pyarrow.parquet.write_table(batch, folder / "jobs-json.parquet", compression="zstd")
    return store, len(texts)


def from_sqlite(store, name):
    if name == JSON_QUESTIONS[0]:
        return store.execute(
            "select project, value from (select project, value, row_number() over (partition by project order by value) as place, "
            "count(*) over (partition by project) as n from (select project, json_extract(footprint, '$.memory_used_bytes_max') as value "
            "from job where value is not null)) where place = (n * 95 + 99) / 100").fetchall()
    return store.execute(
        "select project, count(*), sum(json_extract(footprint, '$.cpu_user_seconds_total')) + sum(json_extract(footprint, '$.cpu_system_seconds_total')) "
        "from job group by project").fetchall()


def from_texts(path, name):
    groups = {}
    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(columns=["data"]):
        for text in batch.column(0):
            plain = json.loads(gzip.decompress(text.as_py()))
            groups.setdefault(plain["project"], []).append(plain["statistics"])
    if name == JSON_QUESTIONS[0]:
        out = []
        for project, jobs in groups.items():
            values = sorted(job["memory_used_bytes_max"] for job in jobs if job["memory_used_bytes_max"] is not None)
            if values:
                out.append((project, values[(len(values) * 95 + 99) // 100 - 1]))
        return out
    total = lambda jobs, key: sum(job[key] for job in jobs if job[key] is not None)
    return [(project, len(jobs), total(jobs, "cpu_user_seconds_total") + total(jobs, "cpu_system_seconds_total")) for project, jobs in groups.items()]


def without_empty(rows):
    return [row for row in rows if row[1] is not None]


def json_stores(server, connection, folder):
    store, rows = export_json(connection, folder)
    lines = []
    connection.execute(f"create view first_jobs as select * from jobs limit {JSON_ROWS}")
    for name in JSON_QUESTIONS:
        ours, theirs, *_ = JOB_QUESTIONS[name]
        wanted = [tuple(row) for row in connection.execute((theirs or ours).replace("from jobs", "from first_jobs")).fetchall()]
        own_cpu, _, _ = measured(server.cpu, lambda: sql(server, ours), RUNS)
        lite_cpu, _, lite = measured(time.process_time, lambda: from_sqlite(store, name), 3)
        text_cpu, _, text = measured(time.process_time, lambda: from_texts(folder / "jobs-json.parquet", name), 1)
        same(f"SQLite: {name}", without_empty(lite), without_empty(wanted))
        same(f"gzipped JSON: {name}", without_empty(text), without_empty(wanted))
        lines.append((name, f"{own_cpu * 1e3:.0f}", f"{lite_cpu * 1e3:.0f}", ratio(lite_cpu, own_cpu), f"{text_cpu * 1e3:.0f}", ratio(text_cpu, own_cpu)))
    sizes = [(folder / file).stat().st_size for file in ("jobs.sqlite", "jobs-json.parquet")]
    return lines, rows, sizes


def main():
    folder, program, data = (Path(argument).resolve() for argument in sys.argv[1:4])
    connection = connect(data)
    jobs, = connection.execute("select count(*) from jobs").fetchone()
    rows, = connection.execute("select count(*) from samples").fetchone()
    say(f"{jobs} jobs, {rows} samples rows")
    with tachograph(program, data, folder) as server:
        say("questions over job rows")
        lines, _ = time_both(server, connection, JOB_QUESTIONS, jobs)
        table(f"{jobs} job rows: CPU ms", ("question", "tachograph", f"DuckDB {duckdb.__version__}, our files", "DuckDB beside ours", "ours, first time", "ours, wall", "DuckDB, wall"), lines)
        if rows:
            say("questions over samples")
            lines, _ = time_both(server, connection, SAMPLE_QUESTIONS, rows)
            table(f"{rows} rows of samples: CPU ms", ("question", "tachograph", f"DuckDB {duckdb.__version__}, our files", "DuckDB beside ours", "ours, first time", "ours, wall", "DuckDB, wall",
                                                      "ours, M samples/s/core", "DuckDB, M samples/s/core"), lines)
        say("the same job rows as JSON")
        lines, count, sizes = json_stores(server, connection, folder)
        note = "" if count == jobs else f" (ours answers for all {jobs})"
        table(f"{count} job rows as JSON{note}: CPU ms", ("question", "tachograph", "SQLite, JSON column", "beside ours", "Parquet of gzipped JSON, Python", "beside ours"), lines)
        print(f"\nNine statistics and ten facts per job take {sizes[0] / count:.0f} bytes in SQLite and {sizes[1] / count:.0f} as gzipped JSON.")


if __name__ == "__main__":
    main()
