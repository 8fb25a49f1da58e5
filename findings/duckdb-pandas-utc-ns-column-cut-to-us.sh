#!/usr/bin/env bash
# A frame's nanosecond column with a zone goes into DuckDB and comes back: cut on the way in, without its zone on the
# way out, while neither happens to the same column as an Arrow table or without a zone.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 pandas==3.1.1 pyarrow==26.0.1
cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import duckdb
import pandas as pd
import pyarrow as pa

print("guess:     DuckDB 2 has TIMESTAMPTZ_NS, so a pandas datetime64[ns, UTC] column is one, and .df() gives it back")
stamp = 1700000000123456789
aware = pd.DataFrame({"t": pd.to_datetime([stamp], utc=True)})
naive = pd.DataFrame({"t": pd.to_datetime([stamp])})
arrow = pa.Table.from_pandas(aware)
ask = "select typeof(t), epoch_ns(t) from {}"
seen = {name: duckdb.sql(ask.format(name)).fetchall()[0] for name in ("aware", "naive", "arrow")}
out = duckdb.sql("select t from arrow").df()["t"]
print("behaviour: the frame with a zone is read as microseconds, the rest thrown away; without a zone, or as an Arrow")
print("           table, all nine digits stay; and TIMESTAMPTZ_NS comes back from .df() without its zone")
for name, (kind, value) in seen.items():
    print(f"output:    {name:5} {kind:24} {value}")
print(f"output:    Arrow table -> DuckDB -> .df(): {out.dtype}, {out.astype('int64')[0]}")
same = (
    seen["aware"] == ("TIMESTAMP WITH TIME ZONE", stamp // 1000 * 1000)
    and seen["naive"] == ("TIMESTAMP_NS", stamp)
    and seen["arrow"] == ("TIMESTAMPTZ_NS", stamp)
    and str(out.dtype) == "datetime64[ns]"
    and out.astype("int64")[0] == stamp
)
print("versions:  " + ", ".join(f"{name} {version(name)}" for name in ("duckdb", "pandas", "pyarrow")))
print("measured:  2026-11-28")
if not same:
    sys.exit("CHANGED: DuckDB reads or returns a nanosecond column with a zone otherwise now")
print("for us:    hand quotes to DuckDB as Arrow and set UTC again behind .df(): else quotes 999 ns after a trade look simultaneous")
PYTHON
