#!/usr/bin/env python3
"""A service with much to do: the first page of the fleet, the memory each endpoint takes, and one job's profile read while
others scan.

Usage: busy.py FOLDER PROGRAM DATA   (DATA is an archive of tools/fleetgen)

The reader of jobs is this process; on a machine of two cores it, the scan and the service share them.
"""
import http.client
import statistics
import sys
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import say, sql, table, tachograph

DAY = 86_400_000
READS = 2_000
PAGES = 7


def scan_of(newest):
    """A question over the samples of 60 days."""
    since = f"finished_at >= to_timestamp_millis({newest - 60 * DAY})"
    return f"select runner_key, date, avg(memory_used_bytes), p95(memory_used_bytes) from job_samples where {since} group by runner_key, date limit 10"


def page(newest):
    """What the fleet's page asks when it is opened: the last 90 days."""
    time_range = {"from": newest - 90 * DAY, "to": newest}
    top = {**time_range, "by": "project", "limit": 10}
    return {
        "trends": {**time_range, "metric": "memory_used_bytes", "stat": "p95,p50", "by": "project", "bucket": "auto", "limit": 6},
        "top": {**top, "what": "core_hours"},
        "top, wasted": {**top, "what": "wasted_core_hours"},
        "heatmap": {**time_range, "metric": "queued_seconds", "stat": "p95", "tz_offset_minutes": 0},
    }


def ask(server, name, query):
    began = time.perf_counter()
    server.get("/api/v1/" + name.split(",")[0], **query)
    return time.perf_counter() - began


def first_page(folder, program, data, newest):
    questions = page(newest)
    with tachograph(program, data, folder) as server, ThreadPoolExecutor(len(questions)) as pool:
        walls = []
        for _ in range(PAGES):
            began = time.perf_counter()
            list(pool.map(lambda item: ask(server, *item), questions.items()))
            walls.append((time.perf_counter() - began) * 1e3)
        first, warm = walls[0], statistics.median(walls[1:])
    rows = []
    everything = {"to": newest, "from": newest - 900 * DAY}
    for name, query in questions.items():
        for span, wanted in (("90 days", query), ("all", {**query, **everything})):
            with tachograph(program, data, folder) as server:
                before = server.memory("VmRSS")
                times = [ask(server, name, wanted) * 1e3 for _ in range(3)]
                rows.append((f"{name}, {span}", f"{times[0]:.0f}", f"{min(times[1:]):.0f}", f"{server.memory('VmHWM') - before:.0f}"))
    with tachograph(program, data, folder) as server:
        before = server.memory("VmRSS")
        sql(server, scan_of(newest))
        rows.append(("sql over samples of 60 days", "-", "-", f"{server.memory('VmHWM') - before:.0f}"))
    print(f"\nFirst page of the fleet, its four questions at once: {first:.0f} ms the first time, {warm:.0f} ms warm (median of {PAGES - 1})")
    table("Endpoints, each in a process of its own", ("question", "first, ms", "warm, ms", "memory above idle at most, MiB"), rows)


def read(connection, paths):
    times = []
    for path in paths:
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - began) * 1e3)
        if answer.status != 200:
            sys.exit(f"{path}: {answer.status}")
    return sorted(times)


def reads_beside_scans(folder, program, data, newest):
    with tachograph(program, data, folder) as server:
        # One job in 97, so that they lie in many segments.
        found = sql(server, "select source, job_id from jobs where sample_count > 20 and cast(job as bigint) % 97 = 3 limit 20000")
        step = max(1, len(found) // READS)
        paths = [f"/api/v1/jobs/{source}/{urllib.parse.quote(job, safe='')}/profile" for source, job in found[::step]][:READS]
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        read(connection, paths)
        idle = read(connection, paths)
        stop, scans = threading.Event(), []

        def scan():
            while not stop.is_set():
                sql(server, scan_of(newest))
                scans.append(1)

        scanner = threading.Thread(target=scan)
        scanner.start()
        time.sleep(0.5)
        busy = read(connection, paths)
        stop.set()
        scanner.join()
    at = lambda times, share: times[int((len(times) - 1) * share)]
    rows = [(name, len(times), f"{at(times, 0.5):.2f}", f"{at(times, 0.99):.2f}", f"{times[-1]:.2f}") for name, times in (("idle", idle), (f"beside scans ({len(scans)})", busy))]
    table("Reads of a job's profile", ("", "reads", "p50, ms", "p99, ms", "slowest, ms"), rows)
    print(f"\np99 beside scans: {at(busy, 0.99) / at(idle, 0.99):.1f} times idle")


def main():
    folder, program, data = (Path(argument).resolve() for argument in sys.argv[1:])
    with tachograph(program, data, folder) as server:
        ((newest, jobs),) = sql(server, "select cast(max(finished_at) as bigint) / 1000, count(*) from jobs")
    say(f"{data}: {jobs} jobs")
    print(f"\n{jobs} jobs")
    first_page(folder, program, data, newest + 1)
    reads_beside_scans(folder, program, data, newest + 1)


if __name__ == "__main__":
    main()
