#!/usr/bin/env bash
# Two calendar libraries agree on every session and half day of London and Toronto since 1999. On the coming Christmas
# week in Hong Kong and at Eurex they do not.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check exchange_calendars==4.13.2 pandas_market_calendars==5.5.0
cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

import exchange_calendars as ec
import pandas_market_calendars as mc

warnings.simplefilter("ignore")
print("guess:     sessions and half days agree at the large venues; Hong Kong differs in typhoon days only, Toronto on 24")
print("           December (Eurex was compared without a guess of its own)")
first, last = "2026-12-23", "2026-12-31"


def day_by_day(one, two, start, end):
    a = ec.get_calendar(one, start="1999-01-04", end="2027-10-31")
    left = a.schedule.loc[start:end, "close"]
    right = mc.get_calendar(two).schedule(start, end)["market_close"]
    rows = {}
    for day in left.index.union(right.index):
        shown = []
        for closes in (left, right):
            shown.append(f"{closes[day].tz_convert(a.tz):%H:%M}" if day in closes.index else "shut")
        rows[f"{day:%Y-%m-%d}"] = tuple(shown)
    return {day: pair for day, pair in rows.items() if pair[0] != pair[1]}


hong_kong = day_by_day("XHKG", "HKEX", first, last)
eurex = day_by_day("XEUR", "EUREX", first, last)
london = day_by_day("XLON", "LSE", "1999-01-04", last)
toronto = day_by_day("XTSE", "TSX", "1999-01-04", last)
print("behaviour: London and Toronto agree for 27 years; pandas_market_calendars has no half days in Hong Kong, and at")
print("           Eurex opens 24 and 31 December and shuts Monday the 28th, where exchange_calendars does the reverse")
for name, days in (("Hong Kong", hong_kong), ("Eurex", eurex)):
    for day, (one, two) in days.items():
        print(f"output:    {name} {day}: exchange_calendars {one}, pandas_market_calendars {two}")
print(f"output:    differences since 1999: London {len(london)}, Toronto {len(toronto)}")
same = (
    hong_kong == {"2026-12-24": ("12:00", "16:00"), "2026-12-31": ("12:00", "16:00")}
    and {day: pair[0] == "shut" for day, pair in eurex.items()}
    == {"2026-12-24": True, "2026-12-28": False, "2026-12-31": True}
    and not london
    and not toronto
)
print("versions:  " + ", ".join(f"{name} {version(name)}" for name in ("exchange_calendars", "pandas_market_calendars")))
print("measured:  2026-11-28")
if not same:
    sys.exit("CHANGED: the two calendars differ otherwise now")
print("for us:    a close of 16:00 on a half day makes four empty hours of VWAP: take the last session's end from the data")
PYTHON
