"""Which symbol a message without our headers is of: by its rows, else the message, its header, its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from feed.codecs import REFUSALS
from feed.console import quoted
from feed.tape import SYMBOL_BYTES

if TYPE_CHECKING:
    from feed.codecs import Record


class Name(NamedTuple):
    """A message's symbol and where it stands.

    Attributes
    ----------
    symbol : str
        Empty where nothing names one.
    of : str
        ``value``, ``header``, ``key``; ``venue`` for a key that is the publisher id of all rows of the message. The
        other keys of the topic tell whether it is a symbol after all, as in Hong Kong.
    """

    symbol: str = ""
    of: Literal["value", "header", "key", "venue", ""] = ""


class _Row(msgspec.Struct, gc=False):
    symbol: Any = None
    publisher_id: Any = None


class _Named(msgspec.Struct, gc=False):
    symbol: Any = None
    snapshot: tuple[_Row, ...] = ()
    trades: tuple[_Row, ...] = ()


class _RawRows(msgspec.Struct, gc=False):
    snapshot: tuple[msgspec.Raw, ...] = ()
    trades: tuple[msgspec.Raw, ...] = ()


_NAMED = msgspec.json.Decoder(_Named)
_RAW_ROWS = msgspec.json.Decoder(_RawRows)
_KEY = msgspec.json.Decoder(str | _Row)


def by_symbol(record: Record) -> list[tuple[Name, Record]]:
    """Find the symbol of a JSON message; split one whose rows name several into a message for each.

    Parameters
    ----------
    record : Record

    Returns
    -------
    list of (Name, Record)
        In the order of the rows.

    Raises
    ------
    ValueError, msgspec.DecodeError, RecursionError
        The symbol is no text, or the message no JSON; all are among `feed.codecs.json_rows.REFUSALS`.
    """
    fallback = _of_header(record) or of_key(record.key)
    keyed = fallback.of == "key" and fallback.symbol.isdigit()
    if b"symbol" not in record.value and not keyed:
        return [(fallback, record)]
    message = _NAMED.decode(record.value)
    rows = (*message.snapshot, *message.trades)
    if keyed and all(str(row.publisher_id) == fallback.symbol for row in rows):
        fallback = Name(fallback.symbol, "venue")
    fallback = _of_value(message.symbol) or fallback
    names = [_of_value(row.symbol) or fallback for row in rows]
    distinct = list(dict.fromkeys(names)) or [fallback]
    if len(distinct) == 1:
        return [(distinct[0], record)]
    raw_rows = _RAW_ROWS.decode(record.value)
    parts: dict[Name, dict[str, list[msgspec.Raw]]] = {name: {"snapshot": [], "trades": []} for name in distinct}
    kinds = ["snapshot"] * len(raw_rows.snapshot) + ["trades"] * len(raw_rows.trades)
    for name, kind, row in zip(names, kinds, (*raw_rows.snapshot, *raw_rows.trades), strict=True):
        parts[name][kind].append(row)
    return [(name, record._replace(value=msgspec.json.encode(part))) for name, part in parts.items()]


def outside(record: Record) -> Name:
    """Find the symbol of a message with an unreadable value: by its header, else its key, which may have none."""
    try:
        return _of_header(record) or of_key(record.key)
    except ValueError:
        return Name()


def _of_value(symbol: object) -> Name | None:
    if symbol is None or symbol == "":
        return None
    if isinstance(symbol, bool) or not isinstance(symbol, str | int):  # in Tokyo a symbol is a number
        raise ValueError(f"symbol is {type(symbol).__name__}, expected text")  # noqa: TRY004 - it came from the wire
    return Name(_checked(str(symbol)), "value")


def _of_header(record: Record) -> Name | None:
    value = next((value for name, value in reversed(record.headers) if name == "symbol"), None)
    if not value:
        return None
    try:
        return Name(_checked(value.decode()), "header")
    except UnicodeDecodeError:
        raise ValueError("header symbol is no text") from None


def _checked(symbol: str) -> str:
    if len(symbol.encode()) > SYMBOL_BYTES or not symbol.isprintable():
        raise ValueError(f"symbol {quoted(symbol)} is not printable text of up to {SYMBOL_BYTES} bytes")
    return symbol


def of_key(key: bytes | None) -> Name:
    """Read a key that may be a symbol, also as JSON; other keys, such as binary numbers, only spread messages."""
    try:
        text: object = (key or b"").decode()
        if key and key[:1] in {b'"', b"{"}:
            decoded = _KEY.decode(key)
            text = decoded.symbol if isinstance(decoded, _Row) else decoded
    except (UnicodeDecodeError, *REFUSALS):
        return Name()
    if (
        not isinstance(text, str)
        or not text.isprintable()
        or text[:1] in {"", "["}
        or len(text.encode()) > SYMBOL_BYTES
    ):
        return Name()
    return Name(text, "key")
