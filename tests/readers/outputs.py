#!/usr/bin/env python3
"""Reads profiles in Parquet and Arrow with engines that are not ours and holds them against the JSON answer.

Usage: outputs.py DIR
DIR holds for every profile NAME the answers NAME.json, NAME.parquet and NAME.arrows.
Every cell of every column must be what the JSON says, a null must be a null, and decimals are DECIMAL(9 or 18)
as Decimal128, in files whose name ends with `-raw`. Exits with 1 and one line at the first difference.
"""
import json
import sys
from datetime import timezone
from decimal import Decimal
from pathlib import Path

import duckdb
import polars
import pyarrow
import pyarrow.ipc
import pyarrow.parquet


def stream(path):
    with pyarrow.ipc.open_stream(path) as reader:
        return reader.read_all()


def with_duckdb(relation):
    duckdb.execute("set timezone = 'UTC'")
    return relation().to_arrow_table()


READERS = {
    "duckdb, parquet": lambda base: with_duckdb(lambda: duckdb.read_parquet(f"{base}.parquet")),
    "polars, parquet": lambda base: polars.read_parquet(f"{base}.parquet").to_arrow(),
    "pyarrow, parquet": lambda base: pyarrow.parquet.read_table(f"{base}.parquet"),
    "duckdb, arrow": lambda base: with_duckdb(lambda: duckdb.from_arrow(stream(f"{base}.arrows"))),
    "polars, arrow": lambda base: polars.read_ipc_stream(f"{base}.arrows").to_arrow(),
    "pyarrow, arrow": lambda base: stream(f"{base}.arrows"),
}


def plain(cell):
    """A cell as JSON has it: numbers stay numbers, a DECIMAL is the float nearest to it."""
    return float(cell) if isinstance(cell, Decimal) else cell


def same(cell, wanted):
    if cell is None or wanted is None:
        return cell is wanted
    return cell == wanted


def check_types(where, raw, table):
    for field in table.schema:
        kind = field.type
        if pyarrow.types.is_decimal(kind):
            if not raw or not pyarrow.types.is_decimal128(kind) or kind.precision not in (9, 18):
                sys.exit(f"{where}: {field.name} is {kind}")
        elif raw and pyarrow.types.is_floating(kind):
            sys.exit(f"{where}: {field.name} is {kind}, it is stored as a decimal")


def check_profile(base):
    profile = json.loads(Path(f"{base}.json").read_text())
    metrics, cells = profile["metrics"], 0
    for name, read in READERS.items():
        where = f"{base.name}: {name}"
        table = read(base)
        # Polars has one decimal precision of its own; what the file says is seen by the others.
        if not name.startswith("polars"):
            check_types(where, base.name.endswith("-raw"), table)
        if set(table.column_names) != {"ts", "interval_ms", *metrics}:
            sys.exit(f"{where}: columns {table.column_names}, metrics {sorted(metrics)}")
        columns = table.to_pydict()
        times = [round(ts.astimezone(timezone.utc).timestamp() * 1000) for ts in columns.pop("ts")]
        if times != profile["ts_ms"]:
            sys.exit(f"{where}: other times")
        wanted = {"interval_ms": profile["interval_ms"], **{metric: body["values"] for metric, body in metrics.items()}}
        for column, values in columns.items():
            for row, (cell, value) in enumerate(zip(values, wanted[column], strict=True)):
                if not same(plain(cell), value):
                    sys.exit(f"{where}: {column}, row {row}: {cell!r}, JSON has {value!r}")
                cells += value is not None
    said = {
        "parquet": pyarrow.parquet.read_metadata(f"{base}.parquet").metadata,
        "arrow": stream(f"{base}.arrows").schema.metadata,
    }
    for name, metadata in said.items():
        text = {key.decode(): value.decode() for key, value in metadata.items()}
        units = {metric: body["unit"] for metric, body in metrics.items()}
        if json.loads(text["tachograph.units"]) != units:
            sys.exit(f"{base.name}: {name}: units {text['tachograph.units']}")
        for key in ("source", "job_id", "state", "reason", "from_ms", "to_ms"):
            wanted = None if profile[key] is None else str(profile[key])
            if text.get(f"tachograph.{key}") != wanted:
                sys.exit(f"{base.name}: {name}: {key} is {text.get(f'tachograph.{key}')!r}, JSON has {wanted!r}")
    return cells


def main():
    directory = Path(sys.argv[1]) if len(sys.argv) == 2 else sys.exit(__doc__)
    bases = sorted(path.with_suffix("") for path in directory.glob("*.json"))
    cells = sum(check_profile(base) for base in bases)
    print(f"{len(bases)} profiles, {len(READERS)} readers, {cells} cells equal")


if __name__ == "__main__":
    main()
