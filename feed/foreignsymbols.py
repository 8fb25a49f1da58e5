"""Which symbol a message of somebody else's is of: its rows' field says it, else its header, else its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
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
    ValueError, msgspec.DecodeError, RecursionError
        A symbol that is no text, or a message that is no JSON, as `feed.jsonrows.REFUSALS`.
    """
    fallback = _of_header(record)
    key = "" if fallback else _of_key(record.key)
    if b"symbol" not in record.value and not key.isdigit():
        return [(fallback or key, record)]
    message = _NAMED.decode(record.value)
    rows = (*message.snapshot, *message.trades)
    if key and all(str(row.publisher_id) == key for row in rows):
        key = ""  # keyed by venue, so that its quotes stay in order
    names = [_of_row(row.symbol) or fallback or key for row in rows]
    distinct = list(dict.fromkeys(names)) or [fallback or key]
    if len(distinct) == 1:
        return [(distinct[0], record)]
    apart = _APART.decode(record.value)
    parts: dict[str, dict[str, list[msgspec.Raw]]] = {name: {"snapshot": [], "trades": []} for name in distinct}
    kinds = ["snapshot"] * len(apart.snapshot) + ["trades"] * len(apart.trades)
    for name, kind, row in zip(names, kinds, (*apart.snapshot, *apart.trades), strict=True):
        parts[name][kind].append(row)
    return [(name, record._replace(value=msgspec.json.encode(part))) for name, part in parts.items()]


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
