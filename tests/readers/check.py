#!/usr/bin/env python3
"""Reads our Parquet files with engines that are not ours and says whether they see what we meant.

Usage: check.py SPEC   (SPEC is JSON, or @FILE with JSON)
  {"samples": DIR, "jobs": DIR,               directories of Parquet files, date=... below them
   "engines": ["duckdb", ...],                default: duckdb, polars, datafusion, pyarrow
   "rows": {"samples": 123, "jobs": 4},       row counts that every engine must see
   "usage": ["cpu_user_seconds", ...],        for every job, sum(metric * share) is jobs.<metric>_total
   "sums": [{"table": "samples", "column": "cpu_user_seconds", "units": "14389427896"}]}
                                              the column's sum, in units of its last digit
Every key but the directories may be left out; a table that is not looked at needs no directory.
`share` is the part of a row's interval (ts - interval, ts] that lies in [started_at, finished_at).
Exits with 1 and one line that says where the first difference is.
"""
import json
import sys
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


def main():
    text = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)
    spec = json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    tables = {table: spec[table] for table in ("samples", "jobs") if table in spec}
    for name in spec.get("engines", list(ENGINES)):
        try:
            engine = ENGINES[name](tables)
            check_rows(engine, spec)
            check_sums(engine, spec)
            checked = check_usage(engine, spec)
        except Mismatch as difference:
            sys.exit(f"mismatch: {difference}")
        except Exception as error:  # an engine that cannot read a file is the finding, whatever it raises
            sys.exit(f"mismatch: {name} cannot read it: {type(error).__name__}: {error}")
        print(f"{name}: ok, {checked} usages")


if __name__ == "__main__":
    main()
