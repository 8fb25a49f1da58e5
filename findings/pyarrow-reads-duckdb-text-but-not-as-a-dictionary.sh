#!/usr/bin/env bash
# Text that DuckDB writes by the second version of Parquet: pyarrow reads it, but not as codes of a dictionary; whether
# that happens depends on how many different texts a file holds, and the error is of the class of disk errors.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1
cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import duckdb
import pyarrow.parquet as pq

print("guess:     read_dictionary=['symbol'] saves memory and changes nothing else: what can be read, can be read so")
seen = {}
for symbols in (10, 50_000):
    rows = f"select 'S' || (i % {symbols}) symbol, i from range(100000) t(i)"
    duckdb.sql(f"copy ({rows}) to '{symbols}.parquet' (format parquet, parquet_version v2)")
    (encoding,) = pq.read_metadata(f"{symbols}.parquet").row_group(0).column(0).encodings
    plain = pq.read_table(f"{symbols}.parquet").num_rows
    try:
        coded = str(pq.read_table(f"{symbols}.parquet", read_dictionary=["symbol"]).num_rows)
    except Exception as error:
        coded = f"{type(error).__name__}: {error}"
    seen[symbols] = encoding, plain, coded
print("behaviour: with few different texts it does; with many DuckDB stores them as differences of lengths, which")
print("           pyarrow reads as text, while by read_dictionary it raises an OSError")
for symbols, (encoding, plain, coded) in seen.items():
    print(f"output:    {symbols:6} symbols, {encoding}: {plain} rows; as a dictionary: {coded}")
many = seen[50_000]
same = (
    seen[10] == ("RLE_DICTIONARY", 100_000, "100000")
    and many[:2] == ("DELTA_LENGTH_BYTE_ARRAY", 100_000)
    and many[2].startswith("OSError: Not yet implemented")
)
print("versions:  " + ", ".join(f"{name} {version(name)}" for name in ("duckdb", "pyarrow")))
print("measured:  2026-11-28")
if not same:
    sys.exit("CHANGED: DuckDB stores such texts otherwise, or pyarrow reads them as a dictionary now")
print("for us:    ask the footer for the encodings first, and read as plain text what is stored as differences")
PYTHON
