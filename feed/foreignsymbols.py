"""Which symbol a message of somebody else's is of: its rows' field says it, else its header, else its key."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any

import msgspec

from feed.jsonrows import REFUSALS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feed.messages import Record

LONGEST = 64
"""Letters of a symbol; what a key holds beyond them is none."""


class _Row(msgspec.Struct, gc=False):
    symbol: Any = None
    publisher_id: Any = None


class _Named(msgspec.Struct, gc=False):
    snapshot: tuple[_Row, ...] = ()
    trades: tuple[_Row, ...] = ()


class _Apart(msgspec.Struct, gc=False):
    snapshot: tuple[msgspec.Raw, ...] = ()
    trades: tuple[msgspec.Raw, ...] = ()


_NAMED = msgspec.json.Decoder(_Named)
_APART = msgspec.json.Decoder(_Apart)


def by_symbol(record: Record) -> list[tuple[str, Record]]:
    """Tell the symbol of a JSON message; one whose rows name several comes apart into a message of each.

    Parameters
    ----------
    record : Record

    Returns
    -------
    list of (str, Record)
        Symbol and message, in the order of the rows; the symbol is empty where nothing names one.

    Raises
    ------
    ValueError
        A symbol that is no text.
    """
    fallback = _of_header(record)
    key = "" if fallback else _of_key(record.key)
    if b"symbol" not in record.value and not key.isdigit():
        return [(fallback or key, record)]
    try:
        message = _NAMED.decode(record.value)
    except REFUSALS:
        return [(fallback or key, record)]  # malformed: the codec says how
    rows = (*message.snapshot, *message.trades)
    if key and all(str(row.publisher_id) == key for row in rows):
        key = ""  # keyed by venue, so that its quotes stay in order
    names = [_of_row(row.symbol) or fallback or key for row in rows]
    distinct = list(dict.fromkeys(names)) or [fallback or key]
    if len(distinct) == 1:
        return [(distinct[0], record)]
    apart = _APART.decode(record.value)
    quotes, trades = names[: len(message.snapshot)], names[len(message.snapshot) :]
    return [(name, record._replace(value=_part(apart, name, quotes, trades))) for name in distinct]


def _part(message: _Apart, name: str, quotes: Sequence[str], trades: Sequence[str]) -> bytes:
    """The message with the rows of one symbol only."""
    snapshot = compress(message.snapshot, [each == name for each in quotes])
    prints = compress(message.trades, [each == name for each in trades])
    return msgspec.json.encode({"snapshot": list(snapshot), "trades": list(prints)})


def _of_row(symbol: object) -> str:
    if symbol is None:
        return ""
    if isinstance(symbol, bool) or not isinstance(symbol, str | int):  # in Tokyo a symbol is a number
        raise ValueError(f"symbol is {type(symbol).__name__}, expected text")  # noqa: TRY004 - it came from the wire
    return _short(str(symbol))


def _of_header(record: Record) -> str:
    value = next((value for name, value in reversed(record.headers) if name == "symbol"), None)
    try:
        return _short((value or b"").decode())
    except UnicodeDecodeError:
        raise ValueError("header symbol is no text") from None


def _short(symbol: str) -> str:
    if len(symbol) > LONGEST:
        raise ValueError(f"a symbol of {len(symbol)} letters, expected up to {LONGEST}")
    return symbol


def _of_key(key: bytes | None) -> str:
    """A key that may be a symbol; other keys (a number in binary, a structure) are there to spread messages."""
    try:
        text = (key or b"").decode()
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= LONGEST and text.isprintable() and not text.startswith(("{", "[")) else ""
