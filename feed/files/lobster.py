"""LOBSTER: a file of messages and a file of the order book after each, row by row, of a ticker and day at Nasdaq.

Layout: https://lobsterdata.com/info/DataStructure.php. Neither file has a header. Times are seconds after midnight in
New York with up to nine decimals, prices 1e-4 $; a level that is empty has a price of +-9999999999.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files.fields import Batch, Field, Layout, read_batches
from feed.files.fragments import FileBlock, Labels, check_symbols, make_fragments
from feed.files.kinds import check_kind
from feed.files.layouts import (
    HOUR,
    LARGEST_PRICE,
    LARGEST_SIZE,
    TEN_THOUSANDTH,
    asked,
    day_of,
    instants_of,
    joined,
    span_note,
    tape_names,
    venue_at,
)
from feed.files.names import LOBSTER, other_of_pair
from feed.files.streams import check_there, damage_reported, limit_of_levels, open_bytes
from feed.levels import LEVEL_DTYPES, MOST_LEVELS
from feed.markets import venue_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from feed.files.registry import Request

    Columns = dict[str, NDArray[Any]]

_EMPTY = 9_999_999_999 * 10**TEN_THOUSANDTH
_VISIBLE, _HIDDEN, _CROSS, _HALT = 4, 5, 6, 7
_RESUMED = 10**TEN_THOUSANDTH
_MESSAGE = Layout(
    (
        Field("time", scale=9, low=0, high=24 * HOUR - 1),
        Field("event type", low=1, high=_HALT),
        None,
        Field("size", low=0, high=LARGEST_SIZE),
        Field("price", scale=TEN_THOUSANDTH, low=-LARGEST_PRICE, high=LARGEST_PRICE),
        Field("direction", low=-1, high=1),
    )
)


def read_lobster(path: Path, request: Request) -> FileBlock:
    """Read a pair of files, either of which is named.

    Parameters
    ----------
    path : Path
        ``TICKER_DATE_START_END_message_LEVELS.csv`` or ``..._orderbook_LEVELS.csv``, compressed where it ends in .gz
        or .zst.
    request : Request

    Raises
    ------
    FeedUnavailable
        It is called otherwise, or the other file is not beside it.
    FeedCorrupt
        A broken row, or files of different length.
    """
    match = LOBSTER.fullmatch(path.name)
    if match is None:
        raise FeedUnavailable(
            "its name is not of LOBSTER", str(path), "expected TICKER_YYYY-MM-DD_START_END_message_LEVELS.csv"
        )
    other = path.with_name(other_of_pair(match))
    if not other.exists():
        raise FeedUnavailable(f"the file that goes with it is not beside it: {other.name}", str(path), "copy both")
    messages, book = (path, other) if match["kind"] == "message" else (other, path)
    quotes, where = asked(request.quotes), str(book)
    (symbol,) = tape_names([match["symbol"]], quotes)
    check_symbols([symbol], request.symbol, where)
    if request.symbol not in {None, symbol}:
        return FileBlock((), (symbol,))
    day, venue = day_of(quotes, match["date"], str(path)), venue_at(quotes, venue_of("XNAS", "mic"))
    levels = int(match["levels"])
    if levels < 1:
        raise FeedUnavailable("its name says it has no level", str(path), "export it again")
    events = _read(messages, _MESSAGE, _events, request)
    columns = _read(book, _layout_of(levels, min(levels, request.depth, MOST_LEVELS)), _book, request)
    rows = len(columns["bid_px"])
    if len(events["time"]) != rows:
        raise FeedCorrupt(
            f"it has {rows:,} rows, and {messages.name} has {len(events['time']):,}",
            where,
            "they are no pair; export both",
        )
    halted = _halted(events)
    for column in columns.values():
        column[halted] = 0
    ts = instants_of(events.pop("time"), day, quotes)
    stamps: Columns = {"ts": ts, "venue": np.full(rows, venue, np.int16), "sequence": np.arange(1, rows + 1)}
    is_trade = np.isin(events["event type"], (_VISIBLE, _HIDDEN))
    trades = {name: column[is_trade] for name, column in stamps.items()}
    trades |= {"px": events["price"][is_trade], "sz": events["size"][is_trade], "side": -events["direction"][is_trade]}
    behind = {name: columns.pop(f"{name}_behind") for name in LEVEL_DTYPES} if "bid_px_behind" in columns else None
    crosses = int(np.count_nonzero(events["event type"] == _CROSS))
    notes: tuple[str, ...] = (
        f"LOBSTER, {levels} level{'s' if levels > 1 else ''}; {span_note(day, quotes)}, prices in 1e-4 $",
        "the sequence is the number of the row; who traded is the other side of the order that was hit",
    )
    if halted.any():
        notes += (f"{np.count_nonzero(halted)} rows while trading was halted have no quotes",)
    labels = Labels([symbol], np.zeros(0, np.int64), np.zeros(0, np.int64))
    fragments = make_fragments(
        labels, stamps | columns, trades, {"cross_trade": crosses} if crosses else {}, notes, behind, where=where
    )
    return FileBlock(fragments, (symbol,))


def _layout_of(levels: int, read: int) -> Layout:
    fields = [
        field
        for level in range(read)
        for field in (
            Field(f"ask price {level + 1}", scale=TEN_THOUSANDTH, low=-LARGEST_PRICE, high=LARGEST_PRICE),
            Field(f"ask size {level + 1}", low=0, high=LARGEST_SIZE),
            Field(f"bid price {level + 1}", scale=TEN_THOUSANDTH, low=-LARGEST_PRICE, high=LARGEST_PRICE),
            Field(f"bid size {level + 1}", low=0, high=LARGEST_SIZE),
        )
    ]
    return Layout((*fields, *[None] * (4 * (levels - read))))


def _read(path: Path, layout: Layout, take: Any, request: Request) -> Columns:  # noqa: ANN401 - a callable
    check_there(path)
    check_kind(path, ".csv")
    depth = sum(field is not None for field in layout.fields) // 4 if layout is not _MESSAGE else 1
    with damage_reported(path), open_bytes(path, limit_of_levels(path, request.max_bytes, depth)) as stream:
        return joined(list(read_batches(stream, str(path), layout, take)))


def _events(batch: Batch) -> Columns:
    types = {"time": "<i8", "event type": "i1", "size": "<i4", "price": "<i8", "direction": "i1"}
    return {name: batch.columns[name].astype(dtype) for name, dtype in types.items()}


def _book(batch: Batch) -> Columns:
    """The tape's columns; dummies of empty levels become 0."""
    columns = list(batch.columns.values())
    depth = len(columns) // 4
    made: Columns = {}
    for name, start in (("ask_px", 0), ("ask_sz", 1), ("bid_px", 2), ("bid_sz", 3)):
        dtype = LEVEL_DTYPES[name]
        parts = columns[start::4]
        for each in parts if dtype == "<i8" else ():
            if max(int(each.max(initial=0)), -int(each.min(initial=0))) >= _EMPTY:
                each[np.abs(each) == _EMPTY] = 0
        made[name] = parts[0].astype(dtype)
        if depth > 1:
            made[f"{name}_behind"] = np.stack(parts[1:], axis=1).astype(dtype)
    return made


def _halted(events: Columns) -> NDArray[np.bool_]:
    """(N,) bool, rows from the message that trading is halted up to the one that it goes on."""
    at = np.flatnonzero(events["event type"] == _HALT)
    if not len(at):
        return np.zeros(len(events["time"]), np.bool_)
    last = np.searchsorted(at, np.arange(len(events["time"])), "right") - 1
    halted: NDArray[np.bool_] = (last >= 0) & (events["price"][at][last] != _RESUMED)
    return halted
