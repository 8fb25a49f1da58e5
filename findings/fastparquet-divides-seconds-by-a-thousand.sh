#!/usr/bin/env bash
# Session dates as numpy days are seconds in pandas. Parquet has no seconds, so whoever writes
# them has to multiply; fastparquet divides.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check fastparquet==2026.9.0 pandas==3.1.1 pyarrow==26.0.1 polars==2.1.0 duckdb==2.0.1
cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

import duckdb
import fastparquet
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq

warnings.simplefilter("ignore")
print("guess:     every unit of time survives fastparquet (right for ms, us, ns; seconds were not named in the guess)")
days = np.array(["2026-11-25", "2026-11-27"], dtype="datetime64[D]")
frame = pd.DataFrame({"session": days, "bar": np.array(["2026-11-27T14:30:00", "2026-11-27T14:30:01"], "datetime64[s]")})
frame["as_us"] = frame["session"].dt.as_unit("us")
fastparquet.write("sessions.parquet", frame)
try:
    own = str(fastparquet.ParquetFile("sessions.parquet").to_pandas()["session"][1])
except ValueError as error:
    own = f"ValueError: {error}"
table = pq.read_table("sessions.parquet")
arrow = table["session"].to_pylist()
stored = table["session"].cast("int64").to_pylist()
distinct = len(set(table["bar"].to_pylist()))
polar = pl.read_parquet("sessions.parquet")["session"].to_list()
duck = [row[0] for row in duckdb.sql("select session from 'sessions.parquet'").fetchall()]
right = table["as_us"].to_pylist()
print("behaviour: seconds / 1000 are stored and called milliseconds, without a warning: January 1970 for everybody else;")
print("           seconds of one thousand become one; and fastparquet itself can't read the column back")
print(f"output:    pandas {frame['session'].dtype}; fastparquet reads {own}")
print(f"output:    {days.astype('datetime64[s]').astype('int64')[1]} s stored as {stored[1]} {table.schema.field('session').type}")
print(f"output:    pyarrow {arrow[1]}, polars {polar[1]}, DuckDB {duck[1]}; the same days as us: {right[1]}")
print(f"output:    two bars a second apart: {distinct} distinct stamp when read")
same = (
    str(frame["session"].dtype) == "datetime64[s]"
    and own.startswith("ValueError: Cannot losslessly cast")
    and stored == [int(day) // 1000 for day in days.astype("datetime64[s]").astype("int64")]
    and distinct == 1
    and {arrow[1].year, polar[1].year, duck[1].year} == {1970}
    and right[1].year == 2026
)
print("versions:  " + ", ".join(f"{name} {version(name)}" for name in ("fastparquet", "pandas", "pyarrow", "polars", "duckdb")))
print("measured:  2026-11-28")
if not same:
    sys.exit("CHANGED: fastparquet writes seconds, or others read them, otherwise now")
print("for us:    convert to ns before fastparquet; a reader should refuse stamps of 1970, the true ones can't be had back")
PYTHON
