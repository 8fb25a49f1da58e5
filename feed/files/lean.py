"""QuantConnect Lean's equity quotes: a ZIP archive for each day and ticker, with one CSV in it.

Layout: https://github.com/QuantConnect/Lean/blob/master/Data/equity/readme.md. Times are milliseconds since midnight in
New York, prices 1e-4 $. A bar is stamped by its beginning; its last quote is of its end. A tick names one side.
"""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.console import quoted
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files.fields import NAME, Batch, Field, Layout, read_batches
from feed.files.fragments import FileBlock, Labels, check_symbols, make_fragments
from feed.files.layouts import (
    HOUR,
    LARGEST_PRICE,
    LARGEST_SIZE,
    TEN_THOUSANDTH,
    asked,
    coded,
    day_of,
    instants_of,
    joined,
    span_note,
    tape_names,
    venue_at,
    venues_named,
)
from feed.files.names import LEAN
from feed.files.streams import check_there, damage_reported, open_member
from feed.markets import venue_of
from feed.tape import QUOTE_DTYPES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from feed.files.registry import Request
    from feed.tables import QuoteMapping

    Columns = dict[str, NDArray[Any]]

_MEMBER = re.compile(
    r"(?P<date>\d{8})_(?P<symbol>[^/_][^/]*?)_(?:(?P<bar>minute|second)_(?P<of>quote|trade)"
    r"|(?:(?P<tick>quote|trade)_tick|tick_(?P<ticks>quote|trade)))\.csv",
    re.IGNORECASE,
)
_PERIODS = {"minute": 60 * 10**9, "second": 10**9}
_DAY = 24 * HOUR
_FIRM = 0x1 | 0x2 | 0x800
"""Flags of a quote that can be hit: regular, slow, opening (Lean's QuoteConditionFlags); no flag is no condition."""

_PRICE: dict[str, Any] = {"scale": TEN_THOUSANDTH, "optional": True, "low": 0, "high": LARGEST_PRICE}
_SIZE: dict[str, Any] = {"optional": True, "low": 0, "high": LARGEST_SIZE}
_TIME = Field("time", scale=6, low=0, high=_DAY - 1)
_BARS = Layout(
    (
        _TIME,
        *(None, None, None, Field("bid close", **_PRICE), Field("last bid size", **_SIZE)),
        *(None, None, None, Field("ask close", **_PRICE), Field("last ask size", **_SIZE)),
    )
)
_MARKS = (Field("exchange", NAME), Field("condition", NAME), Field("suspicious", low=0, high=1, optional=True))
_TICKS = Layout(
    (
        *(_TIME, Field("bid price", **_PRICE), Field("bid size", **_SIZE)),
        *(Field("ask price", **_PRICE), Field("ask size", **_SIZE), *_MARKS),
    )
)
_TRADES = Layout((_TIME, Field("price", **_PRICE), Field("size", **_SIZE), *_MARKS))


def read_lean(path: Path, request: Request) -> FileBlock:
    """Read a day of one equity: quote bars of a minute or a second, quote ticks, or trade ticks.

    Parameters
    ----------
    path : Path
        ``YYYYMMDD_quote.zip``, or ``YYYYMMDD_trade.zip`` of ticks.
    request : Request

    Raises
    ------
    FeedUnavailable
        The archive holds something else, or trade bars, which name no trade.
    FeedCorrupt
        It is damaged, or unpacks to more than an archive of its size is trusted with.
    """
    check_there(path)
    quotes, where = asked(request.quotes), str(path)
    member, match = _member_of(path)
    (symbol,) = tape_names([match["symbol"].upper()], quotes)
    check_symbols([symbol], request.symbol, where)
    if request.symbol not in {None, symbol}:
        return FileBlock((), (symbol,))
    day = day_of(quotes, match["date"], where)
    layout = _BARS if match["bar"] else _TICKS if _is_quotes(match) else _TRADES
    with damage_reported(path), open_member(path, member, request.max_bytes) as stream:
        batches = list(read_batches(stream, f"{where}: {member.filename}", layout, _copied))
    names = [each for _, each in batches]
    parts = [part for part, _ in batches]
    if match["bar"]:
        columns, notes = _bars(parts, match["bar"].lower(), day, quotes)
        trades, ignored = None, dict[str, int]()
    else:
        columns, trades, ignored, notes = _ticks(parts, names, day, quotes, where)
    kind = f"{match['bar'].lower()} bars" if match["bar"] else "ticks"
    how = f"Lean, {kind}; {span_note(day, quotes)}, prices in 1e-4 $"
    labels = Labels([symbol], np.zeros(0, np.int64), np.zeros(0, np.int64))
    fragments = make_fragments(labels, columns, trades, ignored, (how, *notes), where=where)
    return FileBlock(fragments, (symbol,))


def _is_quotes(match: re.Match[str]) -> bool:
    return (match["of"] or match["tick"] or match["ticks"]).lower() == "quote"


def _member_of(path: Path) -> tuple[zipfile.ZipInfo, re.Match[str]]:
    """The one file in an archive that is called as the archive and its folder say."""
    where = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as damage:
        raise FeedCorrupt(f"it is no whole ZIP archive: {quoted(str(damage))}", where, "copy it again") from None
    matches = [(each, match) for each in members if (match := _MEMBER.fullmatch(each.filename))]
    if len(matches) != 1 or len(members) != 1:
        held = ", ".join(quoted(each.filename) for each in members[:3]) or "nothing"
        raise FeedUnavailable(
            f"it holds {held}{' and more' if len(members) > 3 else ''}",
            where,
            "expected one file, such as 20131007_aapl_minute_quote.csv",
        )
    ((member, match),) = matches
    if member.flag_bits & 1 or member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise FeedUnavailable("it is encrypted, or compressed otherwise than Lean does", where, "pack it anew (zip)")
    dated = LEAN.fullmatch(path.name)
    if dated is not None and dated["date"] != match["date"]:
        raise FeedUnavailable(f"it holds another day: {quoted(member.filename)}", where, "name it as what is in it")
    if match["bar"] and not _is_quotes(match):
        raise FeedUnavailable(
            "it holds trade bars, which name no trade and no quote", where, f"read {match['date']}_quote.zip"
        )
    return member, match


def _copied(batch: Batch) -> tuple[Columns, dict[str, list[str]]]:
    """Columns in as few bytes as they need, for the whole file is held."""
    return {name: column.astype(_dtype_of(name)) for name, column in batch.columns.items()}, batch.names


def _dtype_of(name: str) -> str:
    if name.endswith("size"):
        return "<i4"
    if name == "suspicious":
        return "i1"
    return "<i4" if name in {"exchange", "condition"} else "<i8"


def _bars(parts: list[Columns], bar: str, day: int, quotes: QuoteMapping) -> tuple[Columns, tuple[str, ...]]:
    """The close of each bar, at its end."""
    columns = joined(parts)
    rows = len(columns["time"])
    consolidated = venue_of("consolidated", "name")
    venue = venue_at(quotes, consolidated)
    made: Columns = {
        "ts": instants_of(columns.pop("time"), day, quotes) + _PERIODS[bar],
        "venue": np.full(rows, venue, np.int16),
        "bid_px": columns.pop("bid close"),
        "ask_px": columns.pop("ask close"),
        "bid_sz": columns.pop("last bid size"),
        "ask_sz": columns.pop("last ask size"),
        "sequence": np.arange(1, rows + 1),
    }
    notes: tuple[str, ...] = (
        f"a row is the last quote of a {bar}, at its end",
        "the sequence is the number of the row",
    )
    if quotes.at is None:
        notes += (f"bars name no venue; they are taken as venue {consolidated}, a consolidated quote",)
    return made, notes


def _ticks(
    parts: list[Columns], names: list[dict[str, list[str]]], day: int, quotes: QuoteMapping, where: str
) -> tuple[Columns, Columns | None, dict[str, int], tuple[str, ...]]:
    """Each tick; of quotes, the side that it does not name stands."""
    exchanges, known = coded(_labelled(parts, names, "exchange"))
    conditions, written = coded(_labelled(parts, names, "condition"))
    columns = joined(parts)
    rows = len(columns["time"])
    suspicious = columns.pop("suspicious") == 1
    ignored = {"suspicious": int(np.count_nonzero(suspicious))} if suspicious.any() else {}
    kept = ~suspicious
    venues = venues_named(known, quotes, "lean", day, where).astype(np.int16)[np.concatenate(exchanges)][kept]
    del exchanges
    made: Columns = {
        "ts": instants_of(columns.pop("time")[kept], day, quotes),
        "venue": venues,
        "sequence": np.arange(1, rows + 1)[kept],
    }
    notes: tuple[str, ...] = ("the sequence is the number of the row",)
    if "price" in columns:
        trades = made | {
            "px": columns["price"][kept],
            "sz": columns["size"][kept],
            "side": np.zeros(len(venues), np.int8),
        }
        return {name: np.zeros(0, dtype) for name, dtype in QUOTE_DTYPES.items()}, trades, ignored, notes
    firm = np.array([_is_firm(text, where) for text in written], np.bool_)[np.concatenate(conditions)][kept]
    sides = {name: columns.pop(name.replace("_px", " price").replace("_sz", " size"))[kept] for name in _SIDES}
    for name in _SIDES:
        sides[name][~firm] = 0
    _stand(made["venue"], sides)
    if not firm.all():
        ignored["not_firm"] = int(np.count_nonzero(~firm))
        notes += ("a tick whose condition is neither regular, slow nor opening takes its venue's quote away",)
    notes += ("a tick names one side; the other stands",)
    return made | sides, None, ignored, notes


_SIDES = ("bid_px", "ask_px", "bid_sz", "ask_sz")


def _labelled(
    parts: list[Columns], names: list[dict[str, list[str]]], of: str
) -> Iterable[tuple[NDArray[np.int64], list[str]]]:
    return [(part.pop(of), each[of]) for part, each in zip(parts, names, strict=True)]


def _is_firm(text: str, where: str) -> bool:
    """Whether flags, in hexadecimal, are of a quote that can be hit."""
    try:
        return not int(text or "0", 16) & ~_FIRM
    except ValueError:
        raise FeedCorrupt(f"{quoted(text)} is no quote condition of Lean", where, "export it again") from None


def _stand(venue: NDArray[np.int16], sides: Columns) -> None:
    """Let a side that a tick does not name stand, venue by venue, in place; a tick without both takes both away."""
    nothing = (sides["bid_px"] == 0) & (sides["ask_px"] == 0)
    for each in np.unique(venue):
        own = np.flatnonzero(venue == each)
        for side in ("bid", "ask"):
            named = (sides[f"{side}_px"][own] > 0) | nothing[own]
            last = np.maximum.accumulate(np.where(named, np.arange(len(own)), -1))
            for name in (f"{side}_px", f"{side}_sz"):
                sides[name][own] = np.where(last < 0, 0, sides[name][own][np.maximum(last, 0)])
