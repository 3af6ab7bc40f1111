#!/usr/bin/env python3
"""Holds every cell of every table and view in other engines against the service's own SQL.

Usage: views.py PROGRAM DATA [ENGINE...]   (PROGRAM is tachograph, DATA an archive that no service holds)

The definitions are those that `tachograph views` prints. Exits with 1 and one line at the first cell that
differs: texts, times and whole numbers must be equal, floats to a few units in their last place.
"""
import math
import os
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet

ORDER = {"jobs": "job", "samples": "job, ts", "job_metrics": "job", "job_samples": "job, ts", "sections": "job, section_number"}
LISTS = ("runner_tags", "sections", "gaps", "resets")


def definitions(program, engine, data):
    return subprocess.run([program, "views", "--engine", engine, "--data-dir", data], check=True, capture_output=True, text=True).stdout


def statements(text):
    return [statement for statement in text.split(";\n") if statement.strip()]


def with_duckdb(text, names):
    import duckdb
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.execute(text)
    return {name: connection.execute(f"select * from {name} order by {ORDER[name]}").to_arrow_table() for name in names}


def with_polars(text, names):
    space = {}
    exec(text, space)
    return {name: space[name].sort(ORDER[name].split(", ")).collect().to_arrow() for name in names}


def with_datafusion(text, names):
    import datafusion
    context = datafusion.SessionContext()
    for statement in statements(text):
        context.sql(statement)
    return {name: context.sql(f"select * from {name} order by {ORDER[name]}").to_arrow_table() for name in names}


def with_spark(text, names):
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.master("local[2]").config("spark.sql.session.timeZone", "UTC").getOrCreate()
    for statement in statements(text):
        spark.sql(statement)
    return {name: spark.sql(f"select * from {name} order by {ORDER[name]}").toArrow() for name in names}


def with_clickhouse(text, names):
    import io
    from chdb import session
    clickhouse = session.Session()
    for statement in statements(text):
        clickhouse.query(statement)
    answer = lambda name: clickhouse.query(f"select * from {name} order by {ORDER[name]}", "Parquet").bytes()
    return {name: pyarrow.parquet.read_table(io.BytesIO(answer(name))) for name in names}


ENGINES = {"duckdb": with_duckdb, "polars": with_polars, "datafusion": with_datafusion, "spark": with_spark, "clickhouse": with_clickhouse}


def ours(program, data, folder):
    tables = {}
    for name, order in ORDER.items():
        path = Path(folder) / f"{name}.parquet"
        query = f"select * from {name} order by {order}"
        subprocess.run([program, "query", query, "--data-dir", data, "--format", "parquet", "--output", path], check=True, capture_output=True)
        tables[name] = pyarrow.parquet.read_table(path)
    return tables


def plain(cell):
    if hasattr(cell, "isoformat"):
        text = cell.isoformat().replace("T", " ").removesuffix("+00:00")
        return text.removesuffix(" 00:00:00")
    if isinstance(cell, bytes):
        return cell.decode()
    if isinstance(cell, Decimal):
        return float(cell)
    return cell


def differs(one, other):
    one, other = plain(one), plain(other)
    if one is None or other is None:
        return one is not other
    if isinstance(one, float) or isinstance(other, float):
        return not math.isclose(one, other, rel_tol=1e-14, abs_tol=1e-300)
    return one != other


def compare(engine, name, found, wanted):
    if found.num_rows != wanted.num_rows:
        sys.exit(f"{engine}: {name} has {found.num_rows} rows, the service's {wanted.num_rows}")
    missing = set(wanted.column_names) ^ set(found.column_names)
    if missing:
        sys.exit(f"{engine}: {name} and the service's differ in the columns {sorted(missing)}")
    cells = 0
    for column in wanted.column_names:
        if column in LISTS:
            continue
        pairs = zip(found.column(column).to_pylist(), wanted.column(column).to_pylist(), strict=True)
        for row, (own, theirs) in enumerate(pairs):
            if differs(own, theirs):
                sys.exit(f"{engine}: {name}.{column}, row {row}: {own!r}, the service says {theirs!r}")
        cells += wanted.num_rows
    return cells


def main():
    program, data = (str(Path(argument).resolve()) for argument in sys.argv[1:3])
    engines = sys.argv[3:] or ["duckdb", "polars", "datafusion"]
    with tempfile.TemporaryDirectory() as folder:
        wanted = ours(program, data, folder)
    for name, table in wanted.items():
        if not table.num_rows:
            sys.exit(f"the service's {name} is empty")
    # ClickHouse reads below its working directory only.
    os.chdir(data)
    for engine in engines:
        path = "." if engine == "clickhouse" else data
        found = ENGINES[engine](definitions(program, engine, path), list(ORDER))
        cells = sum(compare(engine, name, found[name], wanted[name]) for name in ORDER)
        print(f"{engine}: {cells} cells of {len(ORDER)} tables and views are what the service says")


if __name__ == "__main__":
    main()
