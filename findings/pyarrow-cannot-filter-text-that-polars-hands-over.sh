#!/usr/bin/env bash
# Quotes of one symbol out of a frame of polars: pyarrow takes the frame over without a copy, and cannot take rows of it.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 pyarrow==26.0.1
cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

print("guess:     a table that pyarrow takes over it can filter, sort and write, whoever made it")
frame = pl.DataFrame({"symbol": ["AAPL", "MSFT", "AAPL"], "bid": [222.81, 410.2, 222.82]})


def outcome(step):
    try:
        return step()
    except pa.ArrowNotImplementedError as error:
        return f"{type(error).__name__}: {str(error)[:60]}"


table = pa.table(frame)
of_symbol = pa.array([True, False, True])
plain = pa.schema([("symbol", pa.string()), ("bid", pa.float64())])
results = {
    "type of the text": str(table.schema.field("symbol").type),
    "comparing it": outcome(lambda: pc.equal(table["symbol"], "AAPL").to_pylist()),
    "filter, both columns": outcome(lambda: table.filter(of_symbol).num_rows),
    "filter, the numbers alone": outcome(lambda: table.select(["bid"]).filter(of_symbol).num_rows),
    "take": outcome(lambda: table.take([0]).num_rows),
    "sort_by the number": outcome(lambda: table.sort_by("bid").num_rows),
    "filter of frame.to_arrow()": outcome(lambda: frame.to_arrow().filter(of_symbol).num_rows),
    "filter once cast to string": outcome(lambda: table.cast(plain).filter(of_symbol).num_rows),
}
print("behaviour: text comes over as string_view, which is neither compared nor filtered, and with it no table that holds it")
for name, result in results.items():
    print(f"output:    {name:27} {result}")
print("versions:  " + ", ".join(f"{name} {version(name)}" for name in ("polars", "pyarrow")))
print("measured:  2026-11-29")
same = (
    results["type of the text"] == "string_view"
    and "NotImplemented" in str(results["comparing it"])
    and "NotImplemented" in str(results["filter, both columns"])
    and results["filter, the numbers alone"] == 2
    and results["filter once cast to string"] == 2
)
if not same:
    sys.exit("CHANGED: pyarrow and polars do otherwise now")
print("for us:    text is cast to string where a table comes in, before anything is chosen of it")
PYTHON
