"""A reader of a house's own files: `symbol|ns|venue|bid|bid size|ask|ask size|sequence`, prices in dollars."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from feed import Tape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from feed.files.registry import Request

NANO = 10**9
COLUMNS = ("ts", "venue", "bid_px", "bid_sz", "ask_px", "ask_sz", "sequence")


def _nano(dollars: str) -> int:
    """Whole 1e-9 $; nothing is rounded, and nothing goes through a float."""
    amount = Decimal(dollars or 0) * NANO
    if amount != int(amount):
        raise ValueError(f"{dollars} is finer than 1e-9 $")
    return int(amount)


def read(path: Path, request: Request) -> Iterator[Tape]:
    """Read a file, symbol by symbol; what is no number is a ValueError, which names the file to the user."""
    by_symbol: dict[str, list[tuple[int, ...]]] = {}
    with request.open(path) as lines:
        for line in lines:
            symbol, ts, venue, bid, bid_size, ask, ask_size, sequence = line.decode().rstrip("\n").split("|")
            row = int(ts), int(venue), _nano(bid), int(bid_size), _nano(ask), int(ask_size), int(sequence)
            by_symbol.setdefault(symbol, []).append(row)
    for symbol, rows in by_symbol.items():
        columns = zip(COLUMNS, np.array(rows, np.int64).T, strict=True)
        yield Tape.build(symbol, **dict(columns))
