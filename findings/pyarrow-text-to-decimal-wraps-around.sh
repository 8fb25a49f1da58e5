#!/usr/bin/env bash
# Does casting text to decimal128 refuse a number of more digits than fit? Some; others come back as another number.
# The guess was not written down first: a reader of prices was built on it.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1
cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import sys
from decimal import Decimal
from importlib.metadata import version

import pyarrow as pa

print("guess:     a number of more than 38 digits raises ArrowInvalid when text is cast to decimal128(38, 0)")
print("behaviour: digits are added up modulo 2**128, and only what is left is held against the precision: some numbers")
print("           raise, others become another number, of another sign too, without a word")
TEXTS = {
    "38 nines": "9" * 38,
    "39 nines": "9" * 39,
    "1 and 40 zeros": "1" + "0" * 40,
    "2**128 + 1": str(2**128 + 1),
    "2**128 + 22210": str(2**128 + 22210),
}
found = {}
for name, text in TEXTS.items():
    try:
        found[name] = pa.array([text]).cast(pa.decimal128(38, 0))[0].as_py()
    except pa.ArrowInvalid as error:
        found[name] = f"ArrowInvalid: {error}"
    print(f"output:    {name:15} -> {found[name]}")
print(f"versions:  pyarrow {version('pyarrow')}")
print("measured:  2026-11-28")
same = (
    found["38 nines"] == Decimal("9" * 38)
    and str(found["1 and 40 zeros"]).startswith("ArrowInvalid")
    and found["39 nines"] == (10**39 - 1 + 2**127) % 2**128 - 2**127
    and found["2**128 + 1"] == 1
    and found["2**128 + 22210"] == 22210
)
if not same:
    sys.exit("CHANGED: numbers that do not fit are refused, or come back otherwise")
print("for us:    count the digits of a price before it is cast; a damaged field may else be a price that looks right")
PYTHON
