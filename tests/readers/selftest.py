#!/usr/bin/env python3
"""Checks the checker: it accepts files that pyarrow made in our layout and refuses every wrong claim."""
import json
import random
import subprocess
import sys
import tempfile
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

CHECK = Path(__file__).with_name("check.py")
UTC = pa.timestamp("us", "UTC")
BIG_ROWS = 5_000_000


def cents(units):
    return None if units is None else Decimal(units).scaleb(-2)


def write(path, columns, split):
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = [name for name in columns if name in ("project_key", "job", "part")]
    encoding = {name: "BYTE_STREAM_SPLIT" for name in split}
    if "ts" in columns:
        encoding["ts"] = "DELTA_BINARY_PACKED"
    pq.write_table(
        pa.table(columns), path, compression="zstd", compression_level=3, use_dictionary=keys, column_encoding=encoding,
        store_decimal_as_integer=True, store_schema=False, row_group_size=65536, max_rows_per_page=8192)


def rounded(value):
    """Half away from zero, as our totals are rounded; values are never negative here."""
    return int((value * 2 + 1) // 2)


def make(directory, jobs, seed):
    """Two dates of jobs; the totals are exact."""
    rng = random.Random(seed)
    rows = {"samples": 0, "jobs": 0}
    units = 0
    for date in ("2026-03-01", "2026-03-02"):
        samples = {name: [] for name in ("project_key", "job", "part", "ts", "interval_ms", "cpu_user_seconds")}
        table = {name: [] for name in ("project_key", "job", "part", "started_at", "finished_at", "cpu_user_seconds_total")}
        for job in range(jobs):
            started = 1_772_323_200_000_000 + rng.randrange(10**9) * 1000
            finished = started + rng.randrange(1, 600_000) * 1000
            keys = (job % 7 + 1, rows["jobs"] + 1, 0)
            ts, total, seen = started + rng.randrange(1, 15_000) * 1000, Fraction(0), False
            first = True
            while True:
                interval = rng.randrange(14_990, 15_010)
                # The first row may have no interval; a cell may be absent.
                known = not (first and rng.random() < 0.1)
                cell = rng.randrange(6000) if known and rng.random() < 0.95 else None
                overlap = min(ts, finished) - max(ts - interval * 1000, started)
                if cell is not None and overlap > 0:
                    total += Fraction(cell * overlap, interval * 1000)
                    seen = True
                if cell is not None:
                    units += cell
                for name, value in zip(samples, (*keys, ts, interval if known else None, cents(cell))):
                    samples[name].append(value)
                rows["samples"] += 1
                first = False
                if ts >= finished:
                    break
                ts += interval * 1000
            for name, value in zip(table, (*keys, started, finished, cents(rounded(total)) if seen else None)):
                table[name].append(value)
            rows["jobs"] += 1
        kinds = {"project_key": pa.int64(), "job": pa.int64(), "part": pa.int32(), "ts": UTC, "interval_ms": pa.int32(),
                 "started_at": UTC, "finished_at": UTC, "cpu_user_seconds": pa.decimal128(9, 2), "cpu_user_seconds_total": pa.decimal128(18, 2)}
        typed = lambda columns: {name: pa.array(values, kinds[name]) for name, values in columns.items()}
        write(directory / f"samples/date={date}/0-1.parquet", typed(samples), ["cpu_user_seconds", "interval_ms"])
        write(directory / f"jobs/date={date}/0-1.parquet", typed(table), ["cpu_user_seconds_total"])
    return rows, units


def make_big(directory):
    """Sums that a 32-bit or a careless 64-bit decimal sum gets wrong."""
    rng = random.Random(7)
    columns, sums = {}, []
    for name, kind, top in (("small", pa.decimal128(9, 2), 10**9), ("large", pa.decimal128(18, 6), 10**15), ("bytes", pa.int64(), 10**12)):
        period = [top - 1 - rng.randrange(top // 100) for _ in range(1000)]
        scale = getattr(kind, "scale", 0)
        cells = [Decimal(cell).scaleb(-scale) if scale else cell for cell in period]
        columns[name] = pa.concat_arrays([pa.array(cells, kind)] * (BIG_ROWS // 1000))
        sums.append({"table": "samples", "column": name, "units": str(sum(period) * (BIG_ROWS // 1000))})
    write(directory / "big/0-1.parquet", columns, list(columns))
    physical = [column.physical_type for column in (pq.ParquetFile(directory / "big/0-1.parquet").schema.column(i) for i in range(3))]
    assert physical == ["INT32", "INT64", "INT64"], physical
    return {"samples": str(directory / "big"), "rows": {"samples": BIG_ROWS}, "sums": sums}


def check(spec, wanted):
    """Runs the checker; `wanted` is a part of the message it must fail with, or None."""
    run = subprocess.run([sys.executable, CHECK, json.dumps(spec)], capture_output=True, text=True)
    said = (run.stdout + run.stderr).strip()
    if wanted is None and run.returncode != 0:
        sys.exit(f"refused what is right: {said}")
    if wanted is not None and (run.returncode == 0 or wanted not in said):
        sys.exit(f"should have said {wanted!r}, exit code {run.returncode}: {said}")


def check_order_and_cells(directory):
    """Rows in the declared order, rows that are not, no declaration, and a column with nothing in it."""
    def spec(name, values, declared):
        path = directory / name / "0-1.parquet"
        path.parent.mkdir(parents=True)
        numbers = pa.array(values, pa.int64())
        columns = {"project_key": numbers, "job": pa.array([1] * len(values)), "part": pa.array([0] * len(values)),
                   "ts": numbers, "nothing": pa.array([None] * len(values), pa.int32())}
        order = [pq.SortingColumn(column, nulls_first=True) for column in ([0, 1, 2, 3] if declared else [])]
        pq.write_table(pa.table(columns), path, sorting_columns=order)
        return {"samples": str(path.parent), "sorted": {"samples": ["project_key", "job", "part", "ts"]}, "cells": ["samples"]}
    right = spec("right", [None, 1, 2], True)
    check({**right, "cells": []}, None)
    check(spec("declared", [1, 2, 3], True), None)
    check({**spec("filled", [1, 2], True), "filled": {"samples": ["ts", "nothing"]}}, "sees nothing in samples.nothing")
    check(spec("undeclared", [1, 2, 3], False), "declares the order []")
    check(spec("wrong", [1, 3, 2], True), "rows 1 and 2 are not in the order")
    check(spec("twice", [1, 1], True), "rows 0 and 1 are not in the order")


def main():
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        rows, units = make(directory / "good", 150, 1)
        spec = {"samples": str(directory / "good/samples"), "jobs": str(directory / "good/jobs"), "rows": rows, "usage": ["cpu_user_seconds"],
                "sums": [{"table": "samples", "column": "cpu_user_seconds", "units": str(units)}]}
        check(spec, None)
        check({**spec, "cells": ["samples", "jobs"], "filled": {"jobs": ["cpu_user_seconds_total"]}}, None)
        check(make_big(directory), None)
        check_order_and_cells(directory / "order")
        check({**spec, "rows": {"jobs": rows["jobs"] + 1}}, "rows in jobs")
        check({**spec, "sums": [{**spec["sums"][0], "units": str(units + 1)}]}, "sums samples.cpu_user_seconds")
        # Totals that are off by one unit.
        for path in sorted((directory / "good/jobs").rglob("*.parquet")):
            table = pq.read_table(path, partitioning=None)
            index = table.column_names.index("cpu_user_seconds_total")
            wrong = pa.array([value if value is None else value + Decimal("0.01") for value in table.column(index).to_pylist()], pa.decimal128(18, 2))
            write(path, dict(zip(table.column_names, table.set_column(index, "cpu_user_seconds_total", wrong).columns)), [])
        for engine in ("duckdb", "polars", "datafusion"):
            check({**spec, "engines": [engine]}, f"{engine}: project")
        path.write_bytes(b"not Parquet")
        check(spec, "cannot read it")
    print("the checker finds what is wrong")


if __name__ == "__main__":
    main()
