#!/usr/bin/env python3
"""How long a start takes on a big archive, and what memory a query needs, beside the number of jobs.

Usage: start.py FOLDER PROGRAM DATA [DATA...]

Each archive: five starts (the time from the start of the process to /readyz, resident memory then), and
the highest resident memory of a fresh process behind the same fixed questions.
"""
import statistics
import sys
import time
from pathlib import Path

from common import say, sql, table, tachograph

STARTS = 5
QUESTIONS = {
    "trend": "select date, count(*), avg(memory_used_bytes_max), p95(memory_used_bytes_max) from jobs group by date",
    "p95 per project": "select project, p95(memory_used_bytes_max) from jobs group by project",
}


def look(folder, program, data):
    seconds, idle = [], []
    for _ in range(STARTS):
        began = time.perf_counter()
        with tachograph(program, data, folder) as server:
            seconds.append(time.perf_counter() - began)
            idle.append(server.memory("VmRSS"))
    peaks = {}
    for name, query in QUESTIONS.items():
        with tachograph(program, data, folder) as server:
            before = server.memory("VmHWM")
            for _ in range(3):
                sql(server, query)
            peaks[name] = server.memory("VmHWM") - before
    with tachograph(program, data, folder) as server:
        (jobs,), = sql(server, "select count(*) from jobs")
    return jobs, statistics.median(seconds), statistics.median(idle), peaks


def main():
    folder, program, *archives = (Path(argument).resolve() for argument in sys.argv[1:])
    lines = []
    for data in archives:
        say(f"{data}")
        jobs, seconds, idle, peaks = look(folder, program, data)
        lines.append((jobs, f"{seconds:.2f}", f"{idle:.0f}", *(f"{peak:.0f}" for peak in peaks.values())))
    table("Start and memory", ("jobs", "start, s", "memory when ready, MiB", *(f"{name}: more at most, MiB" for name in QUESTIONS)), lines)


if __name__ == "__main__":
    main()
