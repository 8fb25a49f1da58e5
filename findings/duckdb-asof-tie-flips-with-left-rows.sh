#!/usr/bin/env bash
# Which of several quotes of one instant does DuckDB's ASOF JOIN take? That depends on how many rows the planner
# expects on the other side: two plans, two answers, for the same trade and the same quotes.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1
cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import duckdb

print("guess:     among quotes of one instant ASOF JOIN takes the last, as pandas and polars do")
con = duckdb.connect()
# Three quotes of instant 20, in the order they came.
con.execute("create table quotes as select * from (values (10, 1), (20, 3), (20, 4), (20, 5), (30, 6)) q(t, quote)")


def chosen(trades, where=""):
    """The quote that the trade of instant 20 is given; the other trades are later and have nothing to do with it."""
    con.execute(f"create or replace table trades as select (20 + i)::int as t from range({trades}) r(i)")
    found = con.execute(f"select trades.t, quote from trades asof join quotes on trades.t >= quotes.t {where}")
    return dict(found.fetchall())[20]


few, many, filtered = chosen(63), chosen(64), chosen(64, "where trades.t = 20")
print("behaviour: fewer than 64 rows on the left: the first of the tie; from 64 on: the last; a WHERE that leaves that")
print("           one trade gives the first again")
print(f"output:    quotes of the instant 3, 4, 5; 63 trades -> {few}, 64 trades -> {many}, 64 and WHERE -> {filtered}")
same = (few, many, filtered) == (3, 5, 3)
print("versions:  " + ", ".join(f"{name} {version(name)}" for name in ("duckdb",)))
print("measured:  2026-11-28")
if not same:
    sys.exit("CHANGED: the tie is broken otherwise now")
print("for us:    a small test or a look at one trade proves nothing about the full join: make the right side unique first")
PYTHON
