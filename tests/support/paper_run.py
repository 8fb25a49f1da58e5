"""A run of two orders made by hand, whose figures can be checked on paper; and what a section shows, as text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from allocator.fills import COLUMNS
from allocator.order import FIELDS
from feed.quality import CHECKS
from sweep.config import build_config
from sweep.page.numbers import MINUS, NONE
from sweep.page.reading import Run
from sweep.runs import Manifest
from sweep.runs.manifest import Planned

SECOND = 10**9
START = 1_741_789_800 * SECOND
"""2025-03-12T14:30:00Z."""

NANO = 10**9
CENT = NANO // 100

HOSTILE = "</script><img src=x onerror=alert(1)>"
ESCAPES = "quotes\x1b]0;owned\x07[bold]\u202e"

FILLS = [
    # strategy, position, s after the start, venue, shares, price in cents, passive
    ("optimized", 0, 1, 2, 600, 10001, False),
    ("optimized", 0, 5, 43, 400, 10002, True),
    ("optimized", 1, 2, 43, 500, 9998, False),
    ("best_ask", 0, 1, 2, 1000, 10003, False),
    ("best_ask", 1, 1, 2, 500, 9999, False),
    ("twap", 0, 1, 2, 1000, 10003, False),
    ("twap", 1, 1, 2, 500, 9999, False),
    ("vwap", 0, 9, 3, 1000, 10004, False),
]
"""vwap fills nothing of the second order."""

FEES = {2: 3_000_000, 3: 3_000_000, 43: -1_000_000}
"""1e-9 $ per share."""

ORDERS = [("buy", 1000), ("sell", 500)]
STRATEGIES = ["optimized", "best_ask", "twap", "vwap"]


def fills_frame(fills=FILLS):
    """`Run.fills`."""
    columns = ("strategy", "position", "ts", "venue", "shares", "price", "passive")
    rows = [
        (name, at, START + at * 60 * SECOND + after * SECOND, venue, shares, cents * CENT, passive)
        for name, at, after, venue, shares, cents, passive in fills
    ]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype(dict.fromkeys(columns[1:-1], np.int64) | {"passive": bool})


def orders_frame(fills=FILLS, orders=ORDERS, mid=100 * NANO):
    """`Run.orders`, of what these fills pay; the arrival mid is 100 $."""
    rows = []
    for name in STRATEGIES:
        for at, (side, size) in enumerate(orders):
            own = [each for each in fills if each[:2] == (name, at)]
            filled, fees = sum(each[4] for each in own), sum(each[4] * FEES.get(each[3], 0) for each in own)
            cash = sum(each[4] * each[5] * CENT for each in own) + (fees if side == "buy" else -fees)
            unfilled = size - filled
            value = unfilled * mid
            figures = dict.fromkeys(FIELDS, 0) | {
                "filled": filled,
                "unfilled": unfilled,
                "cash_filled": cash,
                "fees": fees,
                "unfilled_value": value,
                "total_cash": cash + value,
            }
            start = START + at * 60 * SECOND
            place = {"tape": 0, "order": at, "group": at, "block": 0, "side": side, "size": size}
            rows.append(
                {"strategy": name, "combination": None, **place, "start": start, "end": start + 30 * SECOND}
                | figures
                | {"arrival_mid2": 2 * mid}
            )
    return pd.DataFrame(rows)


def venues_frame(fills=FILLS):
    """`Run.venues`; after 10 s the mid has moved by 0.01 $ towards each fill of the best."""
    sums = {}
    for name, at, _, venue, shares, cents, _ in fills:
        row = sums.setdefault((name, at, venue), dict.fromkeys(COLUMNS, 0))
        row["fills"] += 1
        row["shares"] += shares
        row["notional"] += shares * cents * CENT
        row["fees"] += shares * FEES.get(venue, 0)
        row["marked_10s"] += shares
        row["marked_notional_10s"] += shares * cents * CENT
        row["mark_out_10s"] += shares * 2 * CENT if name == "optimized" else 0
    columns = ["strategy", "combination", "tape", "order", "side", "size", *(name for name in COLUMNS if name != "run")]
    rows = [
        {"strategy": name, "combination": None, "tape": 0, "order": at, "side": "buy", "size": 1}
        | row
        | {"venue": venue}
        for (name, at, venue), row in sums.items()
    ]
    return pd.DataFrame(rows, columns=columns)


def paths_frame(orders=ORDERS):
    """`Run.paths`: quotes of 99.99 and 100.01 $, without an ask from 10 to 20 s."""
    rows = [
        (at, START + at * 60 * SECOND + after * SECOND, 9999 * CENT, 0 if 10 <= after < 20 else 10001 * CENT, 300, 200)
        for at in range(len(orders))
        for after in range(0, 30, 5)
    ]
    return pd.DataFrame(rows, columns=["position", "ts", "bid", "ask", "bid_shares", "ask_shares"])


def timeline_frame(stretches=4, **changes):
    """`Run.timeline` of one tape; `changes` are columns."""
    edges = START + np.arange(stretches + 1) * 10 * SECOND
    usual = {
        "snapshots": 100,
        "looked_at": 100,
        "crossed": 10,
        "locked": 0,
        "one_sided": 0,
        "spread": 2 * CENT,
        "venues": 3,
        "longest_gap": SECOND // 10,
        "traded": 0,
    }
    columns = {name: np.full(stretches, value, np.int64) for name, value in usual.items()} | changes
    return pd.DataFrame({"tape": np.zeros(stretches, np.int64), "start": edges[:-1], "end": edges[1:], **columns})


def quality_of(**counts):
    """The document's quality of one tape."""
    return {
        "counts": dict.fromkeys(CHECKS, 0) | counts,
        "details": {},
        "largest_gap_ns": SECOND // 10,
        "dead_venues": [],
        "book": {"crossed_snapshots": 7, "uncrossed_quotes": 9},
    }


def feed_of(**changes):
    """The document's feed of one tape."""
    section = {
        "source": "file",
        "place": "/data/day.csv",
        "topic": None,
        "replay": None,
        "partitions": [],
        "messages": None,
        "resent": 0,
        "empty": 0,
        "bad": 0,
        "ignored": {},
        "notes": [],
        "digest": "ab" * 32,
        "symbol": "XYZ",
        "depth": {"2": 1, "43": 10},
        "window": {"start": "2025-03-12T14:30:00.000000000Z", "end": "2025-03-12T14:32:00.000000000Z"},
        "snapshots": 400,
        "rows": 500,
        "trades": 0,
        "quality": quality_of(),
    }
    return section | changes


def document_of(**changes):
    """What the sections of the market read of a document."""
    document = {
        "baselines": {name: {} for name in STRATEGIES[1:]},
        "statistics": {"against": "best_ask"},
        "rules": {"warmup_s": 300.0, "taker_fees": {"default": 0.003, "43": -0.001}, "max_age_s": None},
        "feed": feed_of(),
        "run": {
            "executor": "inline",
            "address": None,
            "workers": 1,
            "kernel": "walk",
            "simulated": 8,
            "chunks": 2,
            "seconds": {"sweep": 1.25, "total": 2.5},
        },
    }
    return document | changes


def manifest_of(feed, **changes):
    """A manifest that describes the run."""
    values = {
        "format": 1,
        "id": "0123456789abcdef",
        "status": "complete",
        "created": "2026-01-01T00:00:00.000Z",
        "finished": "2026-01-01T00:00:03.000Z",
        "directory": "/data",
        "config": {},
        "config_hash": "cd" * 32,
        "sources_hash": "ef" * 32,
        "digest": "ab" * 32,
        "feed": feed,
        "plan": Planned(combinations=1, orders=2, kernel="walk", measured=[], workers=1, object_store_bytes=0),
        "versions": {"python": "3.11.7", "sor-sweep": "0.1.0"},
        "revision": "12ab",
        "host": {"cpu": "CPU", "cpus": 2, "machine": "x86_64", "system": "Linux"},
        "files": {"result.json": "01" * 32},
    }
    return Manifest(**values | changes)


def made_run(document=None, config=None, manifest=None, **frames):
    """The run, with parts exchanged."""
    document = document or document_of()
    usual = {
        "combinations": pd.DataFrame(),
        "orders": orders_frame(),
        "venues": venues_frame(),
        "fills": fills_frame(),
        "paths": paths_frame(),
        "timeline": timeline_frame(),
    }
    return Run(
        Path("/data/runs/0123456789abcdef"),
        manifest_of(document["feed"], **(manifest or {})),
        build_config({"source": "/data/day.csv", **(config or {})}),
        document,
        **usual | frames,
    )


def words(tree):
    """All text of a tree: spaces made one, a minus as it is typed, ``none`` where no figure stands."""
    return " ".join("".join(tree.itertext()).replace(NONE, "none").replace(MINUS, "-").split())


def lead(section):
    """The sentence that carries the finding."""
    return words(section.find("p[@class='lead']"))


def tables(section):
    """By caption, the cells of each table, its head among them."""
    return {
        words(table.find("caption")): [[words(cell) for cell in row] for row in table.iter("tr")]
        for table in section.iter("table")
    }
