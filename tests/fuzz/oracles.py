"""What must hold of whatever a reader accepts: laws of a tape, and plain, slow second readings of the same bytes."""

from __future__ import annotations

import csv
import io
import json
import sys
from contextlib import contextmanager
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation, localcontext

import numpy as np
import pyarrow as pa

from feed.files.csv_text import NULLS
from feed.files.fragments import UNDEFINED_SIZE
from feed.instants import LAST_INSTANT, parse_instant
from feed.tape import PRICE_LIMIT, QUOTE_DTYPES, TRADE_DTYPES, UNDEFINED_PRICE, UNNAMED, Tape, same

NANO = 10**9
LETTERS = {"B": 1, "A": -1, "N": 0}
QUOTE_BOUNDS = {
    "ts": (0, LAST_INSTANT),
    "venue": (0, 2**15 - 1),
    "bid_px": (0, PRICE_LIMIT - 1),
    "ask_px": (0, PRICE_LIMIT - 1),
    "bid_sz": (0, 2**31 - 1),
    "ask_sz": (0, 2**31 - 1),
}
TRADE_BOUNDS = {
    "ts": (0, LAST_INSTANT),
    "venue": (0, 2**15 - 1),
    "px": (1, PRICE_LIMIT - 1),
    "sz": (1, 2**31 - 1),
    "side": (-1, 1),
}


def assert_whole(tape):
    """Types, lengths, bounds, order and normalised sides: the laws of a tape, whatever it was made of."""
    for part, dtypes, bounds in ((tape, QUOTE_DTYPES, QUOTE_BOUNDS), (tape.trades, TRADE_DTYPES, TRADE_BOUNDS)):
        columns = {name: getattr(part, name) for name in dtypes}
        assert {name: column.dtype for name, column in columns.items()} == {
            name: np.dtype(dtype) for name, dtype in dtypes.items()
        }
        assert len({len(column) for column in columns.values()}) == 1, "columns differ in length"
        assert_within(columns, bounds)
        keys = list(zip(*(columns[name].tolist() for name in ("ts", "venue", "sequence")), strict=True))
        assert keys == sorted(keys), "rows out of order"
    for side in ("bid", "ask"):
        px, sz = getattr(tape, f"{side}_px"), getattr(tape, f"{side}_sz")
        assert ((px == 0) == (sz == 0)).all(), f"a {side} that is there by halves"
    assert len(tape.digest()) == 64


def assert_within(columns, bounds):
    """Numbers are within the bounds of their columns, of rows that are no tape yet."""
    for name, (low, high) in bounds.items():
        if len(columns[name]):
            least, most = int(columns[name].min()), int(columns[name].max())
            assert low <= least, f"{name} {least}"
            assert most <= high, f"{name} {most}"


def assert_same(one, other, what):
    assert same(one, other), f"{what}: {one} is not {other}"


def bare(error):
    """An error without the frames it came through: they hold what was open, and refer to each other."""
    error.__context__ = None
    return error.with_traceback(None)


def assert_line(error):
    """An error is one line of plain text: it may be printed on any terminal."""
    text = str(error)
    assert text, "an error without text"
    assert text.isprintable(), f"an error that may not be printed: {text!r}"
    assert len(text) < 3000, f"an error of {len(text)} characters"


@contextmanager
def quiet():
    """Nothing is said past the caller: what Python cannot raise it prints, as a traceback on the user's terminal."""
    unraisable = []
    hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
    try:
        yield
    finally:
        sys.unraisablehook = hook
    assert not unraisable, f"printed, not raised: {unraisable[0].exc_value!r} in {unraisable[0].object!r}"


@contextmanager
def bounded_memory(most):
    """Arrow may not have asked for more than this at any time, whether or not it was given or touched.

    Its tally of the most has no way back: what asked for more before, outside of this, hides what asks for less.
    """
    pool = pa.default_memory_pool()
    before = pool.max_memory()
    yield
    peak = pool.max_memory()
    assert peak <= max(before, most), f"{peak:,} bytes at once, of at most {most:,}"


def plain_json(value):
    """Rows of a JSON message, read with Python's own parser: quotes and trades as tuples in the tape's columns."""
    message = json.loads(value.decode(errors="replace"), parse_float=Decimal)  # what is not looked at need not be text
    quotes = [
        (
            parse_instant(row["ts_event"]),
            row["publisher_id"],
            nearest(row["bid_px_00"]),
            nearest(row["ask_px_00"]),
            row["bid_sz_00"],
            row["ask_sz_00"],
            row["sequence"],
        )
        for row in message.get("snapshot", ())
    ]
    trades = [
        (
            parse_instant(row["ts_event"]),
            row["publisher_id"],
            nearest(row["price"]),
            row["size"],
            LETTERS[row["side"]],
            row["sequence"],
        )
        for row in message.get("trades", ())
    ]
    return quotes, trades


def nearest(dollars):
    """Dollars to 1e-9 $, half-even."""
    with localcontext(prec=1000):
        return int((Decimal(dollars) * NANO).to_integral_value(ROUND_HALF_EVEN))


def rows_of(columns, dtypes):
    """Columns as a list of tuples."""
    return list(zip(*(columns[name].tolist() for name in dtypes), strict=True))


OTHER_BOOKS = {177, *range(192, 197)}


class UnsureError(Exception):
    """A form that the plain reading does not know: it says nothing then."""


def plain_csv(data):
    """Tapes by symbol of a CSV that was accepted, row by row with Python's own parsers.

    Raises
    ------
    UnsureError
        A value in a form that only the reader under test knows.
    """
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnsureError from error
    header, *rows = [line for line in lines if line]
    rows = [dict(zip(header, row, strict=True)) for row in rows]
    if "bid_pb_00" in header or any(number(row["rtype"]) in OTHER_BOOKS for row in rows if "rtype" in row):
        raise UnsureError  # their stamps, venues and sequences are others
    rows = [row for row in rows if "rtype" not in row or number(row["rtype"]) in {1, 10}]
    priced = [name for name in ("bid_px_00", "ask_px_00", "price") if name in header]
    texts = [row[name] for row in rows for name in priced if row[name] not in NULLS]
    pointed = any(set(text) & set(".eE") for text in texts)
    scale = NANO if pointed else 1
    by_symbol = {}
    for row in rows:
        symbol = row.get("symbol") or UNNAMED
        quotes, trades = by_symbol.setdefault(symbol, ([], []))
        ts = stamp(row["ts_event"])
        venue, sequence = number(row["publisher_id"]), number(row["sequence"])
        sides = [price(row[f"{side}_px_00"], scale) for side in ("bid", "ask")]
        sizes = [size(row[f"{side}_sz_00"]) for side in ("bid", "ask")]
        quotes.append((ts, venue, *sides, *sizes, sequence))
        if {"action", "side", "price", "size"} <= set(header) and row["action"] == "T":
            px, sz = price(row["price"], scale), size(row["size"])
            if px > 0 and sz > 0:
                trades.append((ts, venue, px, sz, LETTERS.get(row["side"], 0), sequence))
    return {symbol: built(symbol, *parts) for symbol, parts in by_symbol.items()}


def built(symbol, quotes, trades):
    """A tape of tuples in the tape's columns."""
    columns, prints = [
        {name: np.array([row[at] for row in listed], object).astype(np.int64) for at, name in enumerate(dtypes)}
        for listed, dtypes in ((quotes, QUOTE_DTYPES), (trades, TRADE_DTYPES))
    ]
    return Tape.build(symbol, **columns, trades=prints)


def number(text):
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise UnsureError(text) from error
    assert value == int(value), f"{text!r} was taken for a whole number"
    return int(value)


def size(text):
    parsed = 0 if text in NULLS else number(text)
    return 0 if parsed == UNDEFINED_SIZE else max(parsed, -1)


def price(text, scale):
    if text in NULLS:
        return 0
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise UnsureError(text) from error
    with localcontext(prec=1200):
        parsed = int((value * scale).to_integral_value(ROUND_HALF_EVEN))
    return 0 if parsed == UNDEFINED_PRICE else parsed


def stamp(text):
    try:
        return parse_instant(text)
    except ValueError as error:
        raise UnsureError(text) from error
