#!/usr/bin/env bash
# polars: displayed sizes without a sign minus sizes with one are integers of 128 bits, and a Parquet file with such a
# column cannot be opened by pyarrow or pandas at all, whichever column is asked for; DuckDB calls the column bytes.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
    polars==2.1.0 pyarrow==26.0.1 pandas==3.1.1 duckdb==2.0.1
cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq

print("guess:     UInt64 - Int64 is Float64, as it was for years; whatever it is, others can read the other columns")
sizes = {"bid_sz": pl.UInt64, "ask_sz": pl.Int64}
quotes = pl.DataFrame({"bid_sz": [100, 300], "ask_sz": [200, 200]}, schema=sizes)
quotes.with_columns(imbalance=pl.col("bid_sz") - pl.col("ask_sz")).write_parquet("quotes.parquet")


def tried(read):
    try:
        return str(read())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


seen = {
    "polars": tried(lambda: pl.read_parquet("quotes.parquet").schema["imbalance"]),
    "pyarrow, the schema": tried(lambda: pq.read_schema("quotes.parquet")),
    "pyarrow, ask_sz alone": tried(lambda: pq.read_table("quotes.parquet", columns=["ask_sz"])),
    "pandas, ask_sz alone": tried(lambda: pd.read_parquet("quotes.parquet", columns=["ask_sz"])),
    "duckdb": tried(lambda: duckdb.sql("select typeof(imbalance) from 'quotes.parquet' limit 1").fetchall()[0][0]),
}
print("behaviour: it is Int128; pyarrow and pandas open no column of the file and name none; DuckDB gives 16 bytes")
for name, result in seen.items():
    print(f"output:    {name:21} {result}")
refused = "ArrowNotImplementedError: Integers with more than 64 bits not implemented"
same = seen == {
    "polars": "Int128",
    **dict.fromkeys(("pyarrow, the schema", "pyarrow, ask_sz alone", "pandas, ask_sz alone"), refused),
    "duckdb": "BLOB",
}
print("versions:  " + ", ".join(f"{name} {version(name)}" for name in ("polars", "pyarrow", "pandas", "duckdb")))
print("measured:  2026-11-28")
if not same:
    sys.exit("CHANGED: polars makes another type of it, or others read it now")
print("for us:    cast sizes to Int64 before they meet; a reader has to name the column itself, as pyarrow does not")
PYTHON
