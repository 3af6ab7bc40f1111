#!/usr/bin/env python3
"""Reads our Parquet files with engines that are not ours and says whether they see what we meant.

Usage: check.py SPEC   (SPEC is JSON, or @FILE with JSON)
  {"samples": DIR, "jobs": DIR,               directories of Parquet files, date=... below them
   "engines": ["duckdb", ...],                default: duckdb, polars, datafusion, pyarrow
   "rows": {"samples": 123, "jobs": 4},       row counts that every engine must see
   "usage": ["cpu_user_seconds", ...],        for every job, sum(metric * share) is jobs.<metric>_total
   "sums": [{"table": "samples", "column": "cpu_user_seconds", "units": "14389427896"}],
                                              the column's sum, in units of its last digit
   "cells": ["samples", "jobs"],              every cell of every column, lists too, is the same in all engines
   "filled": {"jobs": ["gaps", ...]},         columns that must have something in them, lists an element
   "sorted": {"samples": ["ts", ...]}}        the declared order, which must be true in every file
Every key but the directories may be left out; a table that is not looked at needs no directory.
`share` is the part of a row's interval (ts - interval, ts] that lies in [started_at, finished_at).
Exits with 1 and one line that says where the first difference is.
"""
import json
import sys
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

KEYS = ("project_key", "job", "part")
# A usage is a double computed from a sum of doubles: a few units in its last place may be wrong.
SLACK = 1e-9


class Mismatch(Exception):
    """What an engine saw is not what was written."""


def files(directory):
    found = sorted(str(path) for path in Path(directory).rglob("*.parquet"))
    if not found:
        raise Mismatch(f"{directory} holds no Parquet file")
    return found


class DuckDb:
    name = "duckdb"

    def __init__(self, tables):
        import duckdb
        self.connection = duckdb.connect()
        self.connection.execute("set timezone = 'UTC'")
        for table, directory in tables.items():
            paths = ", ".join("'" + path.replace("'", "''") + "'" for path in files(directory))
            self.connection.execute(f"create view {table} as select * from read_parquet([{paths}], hive_partitioning = false, union_by_name = true)")

    def rows(self, table):
        return self.connection.execute(f"select count(*) from {table}").fetchone()[0]

    def sum(self, table, column):
        return self.connection.execute(f"select sum({column}) from {table}").fetchone()[0]

    def table(self, table):
        return self.connection.execute(f"select * from {table}").to_arrow_table()

    def usage(self, metric):
        return self.connection.execute(f"""
            with shared as (
                select s.project_key, s.job, s.part, s.{metric} as increment, s.interval_ms * 1000 as interval_us,
                       greatest(0, least(epoch_us(s.ts), epoch_us(j.finished_at))
                                   - greatest(epoch_us(s.ts) - s.interval_ms * 1000, epoch_us(j.started_at))) as overlap_us
                from samples s join jobs j using (project_key, job, part)),
            used as (
                select project_key, job, part, sum(increment::double * overlap_us / interval_us) as used
                from shared where overlap_us > 0 group by all)
            select project_key, job, part, used, {metric}_total
            from jobs left join used using (project_key, job, part)""").fetchall()


class Polars:
    name = "polars"

    def __init__(self, tables):
        import polars
        self.pl = polars
        self.tables = {table: polars.concat([polars.scan_parquet(path, hive_partitioning=False) for path in files(directory)], how="diagonal")
                       for table, directory in tables.items()}

    def rows(self, table):
        return self.tables[table].select(self.pl.len()).collect().item()

    def sum(self, table, column):
        return self.tables[table].select(self.pl.col(column).sum()).collect().item()

    def table(self, table):
        return self.tables[table].collect().to_arrow()

    def usage(self, metric):
        pl, jobs = self.pl, self.tables["jobs"]
        micros = lambda name: pl.col(name).cast(pl.Datetime("us", "UTC")).dt.epoch("us")
        interval = pl.col("interval_ms").cast(pl.Int64) * 1000
        overlap = pl.min_horizontal(micros("ts"), micros("finished_at")) - pl.max_horizontal(micros("ts") - interval, micros("started_at"))
        used = (self.tables["samples"]
                .join(jobs.select(*KEYS, "started_at", "finished_at"), on=KEYS)
                .with_columns(share=overlap.clip(lower_bound=0) / interval)
                .filter((pl.col("share") > 0) & pl.col(metric).is_not_null())
                .group_by(KEYS).agg(used=(pl.col(metric).cast(pl.Float64) * pl.col("share")).sum()))
        return jobs.join(used, on=KEYS, how="left").select(*KEYS, "used", f"{metric}_total").collect().rows()


class DataFusion:
    name = "datafusion"

    def __init__(self, tables):
        import datafusion
        self.context = datafusion.SessionContext()
        for table, directory in tables.items():
            self.context.register_parquet(table, str(directory), table_partition_cols=[], file_extension=".parquet")

    def value(self, query):
        return self.context.sql(query).collect()[0].column(0)[0].as_py()

    def rows(self, table):
        return self.value(f"select count(*) from {table}")

    def sum(self, table, column):
        return self.value(f"select sum({column}) from {table}")

    def table(self, table):
        return self.context.table(table).to_arrow_table()

    def usage(self, metric):
        micros = lambda name: f"arrow_cast(arrow_cast({name}, 'Timestamp(Microsecond, Some(\"UTC\"))'), 'Int64')"
        overlap = (f"least({micros('s.ts')}, {micros('j.finished_at')})"
                   f" - greatest({micros('s.ts')} - cast(s.interval_ms as bigint) * 1000, {micros('j.started_at')})")
        batches = self.context.sql(f"""
            with shared as (
                select s.project_key, s.job, s.part, s.{metric} as increment, cast(s.interval_ms as double) * 1000 as interval_us, {overlap} as overlap_us
                from samples s join jobs j on s.project_key = j.project_key and s.job = j.job and s.part = j.part),
            used as (
                select project_key, job, part, sum(cast(increment as double) * overlap_us / interval_us) as used
                from shared where overlap_us > 0 group by project_key, job, part)
            select j.project_key, j.job, j.part, u.used, j.{metric}_total
            from jobs j left join used u on u.project_key = j.project_key and u.job = j.job and u.part = j.part""").collect()
        return [tuple(column[row].as_py() for column in batch.columns) for batch in batches for row in range(batch.num_rows)]


class PyArrow:
    name = "pyarrow"

    def __init__(self, tables):
        import pyarrow.dataset
        self.tables = {table: pyarrow.dataset.dataset(files(directory), format="parquet") for table, directory in tables.items()}

    def rows(self, table):
        return self.tables[table].count_rows()

    def sum(self, table, column):
        import pyarrow.compute
        return pyarrow.compute.sum(self.tables[table].to_table(columns=[column]).column(0)).as_py()

    def table(self, table):
        return self.tables[table].to_table()

    def usage(self, metric):
        return None  # a library of columns, not a query engine


ENGINES = {engine.name: engine for engine in (DuckDb, Polars, DataFusion, PyArrow)}


def last_digit(spec, table, column):
    """Decimal digits behind the point, as the file says."""
    import pyarrow.parquet
    kind = pyarrow.parquet.read_schema(files(spec[table])[0]).field(column).type
    return getattr(kind, "scale", 0)


def check_rows(engine, spec):
    for table, rows in spec.get("rows", {}).items():
        seen = engine.rows(table)
        if seen != rows:
            raise Mismatch(f"{engine.name} sees {seen} rows in {table}, {rows} were written")


def check_sums(engine, spec):
    for wanted in spec.get("sums", []):
        table, column = wanted["table"], wanted["column"]
        scale = last_digit(spec, table, column)
        units = Decimal(engine.sum(table, column)).scaleb(scale)
        if units != Decimal(wanted["units"]):
            raise Mismatch(f"{engine.name} sums {table}.{column} to {units} units, it is {wanted['units']}")


def check_usage(engine, spec):
    checked = 0
    for metric in spec.get("usage", []):
        scale = last_digit(spec, "jobs", f"{metric}_total")
        rows = engine.usage(metric)
        for project, job, part, used, total in rows or []:
            where = f"{engine.name}: project {project} job {job} part {part}: {metric}"
            if (used is None) != (total is None):
                raise Mismatch(f"{where}: the rows give {used}, the job's total is {total}")
            if total is None:
                continue
            tolerance = 0.5 * 10.0 ** -scale + SLACK * max(1.0, abs(used))
            if abs(used - float(total)) > tolerance:
                raise Mismatch(f"{where}: the rows give {used}, the job's total is {total}")
            checked += 1
        if rows is not None and checked == 0:
            raise Mismatch(f"{engine.name}: no job has a {metric}_total, nothing was checked")
    return checked


def plain(cell):
    """A cell as Python has it, whatever the engine made of it."""
    if isinstance(cell, datetime):
        return cell.astimezone(timezone.utc)
    if isinstance(cell, list):
        return [plain(one) for one in cell]
    if isinstance(cell, dict):
        return {name: plain(one) for name, one in cell.items()}
    return cell


def contents(engine, table):
    """Column -> cells, in one order of rows for all engines."""
    columns = {name: [plain(cell) for cell in cells] for name, cells in engine.table(table).to_pydict().items()}
    by = [columns[name] for name in (*KEYS, *(["ts"] if table == "samples" else []))]
    order = sorted(range(len(by[0])), key=lambda row: tuple(cells[row] for cells in by))
    return {name: [cells[row] for row in order] for name, cells in columns.items()}


def check_cells(engine, spec, seen):
    """`seen` has the cells of the engine before; they are all compared with the first one's."""
    for table in spec.get("cells", []):
        cells = contents(engine, table)
        first, wanted = seen.setdefault(table, (engine.name, cells))
        if list(cells) != list(wanted):
            raise Mismatch(f"{engine.name} sees the columns {list(cells)} in {table}, {first} sees {list(wanted)}")
        for name, column in cells.items():
            for row, (cell, other) in enumerate(zip(column, wanted[name], strict=True)):
                if cell != other or (cell is None) != (other is None):
                    raise Mismatch(f"{table}.{name}, row {row}: {engine.name} reads {cell!r}, {first} reads {other!r}")
        for name in spec.get("filled", {}).get(table, []):
            if not any(cell is not None and cell != [] for cell in cells[name]):
                raise Mismatch(f"{engine.name} sees nothing in {table}.{name}")


def check_sorted(spec):
    """Every file declares the order, and its rows are in it: nulls first, text by its bytes."""
    import pyarrow.parquet
    for table, wanted in spec.get("sorted", {}).items():
        for path in files(spec[table]):
            file = pyarrow.parquet.ParquetFile(path)
            for number in range(file.metadata.num_row_groups):
                group = file.metadata.row_group(number)
                declared = [(file.schema.column(by.column_index).path, by.descending, by.nulls_first) for by in group.sorting_columns]
                if declared != [(name, False, True) for name in wanted]:
                    raise Mismatch(f"{path}, row group {number} declares the order {declared}, it should be {wanted}")
            columns = [file.read(columns=[name]).column(0).to_pylist() for name in wanted]
            rank = lambda cell: (cell is not None, cell.encode() if isinstance(cell, str) else cell)
            keys = [tuple(rank(cell) for cell in row) for row in zip(*columns)]
            # `None` is never compared with a value: the first part of the rank decides before.
            for row, (before, after) in enumerate(zip(keys, keys[1:])):
                if not before < after:
                    raise Mismatch(f"{path}: rows {row} and {row + 1} are not in the order of {wanted}")


def main():
    text = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)
    spec = json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    tables = {table: spec[table] for table in ("samples", "jobs") if table in spec}
    seen = {}
    try:
        check_sorted(spec)
    except Mismatch as difference:
        sys.exit(f"mismatch: {difference}")
    for name in spec.get("engines", list(ENGINES)):
        try:
            engine = ENGINES[name](tables)
            check_rows(engine, spec)
            check_sums(engine, spec)
            check_cells(engine, spec, seen)
            checked = check_usage(engine, spec)
        except Mismatch as difference:
            sys.exit(f"mismatch: {difference}")
        except Exception as error:  # an engine that cannot read a file is the finding, whatever it raises
            sys.exit(f"mismatch: {name} cannot read it: {type(error).__name__}: {error}")
        print(f"{name}: ok, {checked} usages")


if __name__ == "__main__":
    main()
