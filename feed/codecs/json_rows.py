"""JSON messages turned into columns: a usual batch at once, any other message by message.

`JsonRows.append` is the reference: it checks a message field by field and says what is wrong with it. `JsonRows.extend`
does the same to whole columns of a batch, which it takes only if every check passes; it never says why one fails.
"""

from __future__ import annotations

from array import array
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import accumulate, chain, repeat
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

import msgspec
import numpy as np

from feed.codecs.messages import TRADE_BYTES, Decoded, quote_bytes
from feed.growing import GrowingColumns
from feed.instants import bounded, parse_instant
from feed.levels import FLAT_DTYPES, LEVEL_DTYPES, MOST_LEVELS, in_order, level_names
from feed.tape import AGGRESSORS, PRICE_LIMIT, QUOTE_DTYPES, SHARES_LIMIT, TRADE_DTYPES, VENUE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feed.tape import Int64

FLOAT_EXACT = 2.0**51 / 1e9
"""Below this many dollars `round(x * 1e9)` is exact nanodollars; above it the decimal text is read."""

REFUSALS = (msgspec.DecodeError, ValueError, ArithmeticError, RecursionError)
"""Errors of `JsonRows.append` for a malformed message; their text is the reason."""

_NANO = 10**9
_SHOWN = 40
_TINY = b"e-", b"E-", b"0" * 300
"""Every number above 0 whose nearest float is 0 holds one of these."""

_SHAPE = "0000-00-00T00:00:00.000000000Z"
_STAMP = len(_SHAPE)
_DIGITS = slice(20, 29)
_MARKED = [at for at, letter in enumerate(_SHAPE) if letter != "0"]
_MARKS = np.frombuffer(_SHAPE.encode(), np.uint8)[_MARKED]
_NUMBERED = [at for at, letter in enumerate(_SHAPE) if letter == "0"]

Price = TypeVar("Price", float, Decimal)
_Publisher = Annotated[int, msgspec.Meta(ge=0, lt=VENUE_LIMIT)]
_Shares = Annotated[int, msgspec.Meta(ge=0, lt=SHARES_LIMIT)]


class _Quote(msgspec.Struct, Generic[Price], gc=False):
    ts_event: str
    publisher_id: _Publisher
    ask_px_00: Price
    ask_sz_00: _Shares
    bid_px_00: Price
    bid_sz_00: _Shares
    sequence: int


class _Trade(msgspec.Struct, Generic[Price], gc=False):
    ts_event: str
    publisher_id: _Publisher
    price: Price
    size: _Shares
    side: Literal["A", "B", "N"]
    sequence: int


class _Message(msgspec.Struct, Generic[Price], gc=False):
    snapshot: tuple[_Quote[Price], ...] = ()
    trades: tuple[_Trade[Price], ...] = ()


_BINARY = msgspec.json.Decoder(_Message[float])
_DECIMAL = msgspec.json.Decoder(_Message[Decimal])

_DEEP = b'_px_01"'
"""Of the messages with levels behind the first each holds this; the others are decoded without looking for levels."""


def _deep_decoder(price: type[Any]) -> Any:  # noqa: ANN401 - a decoder of a type that is made here
    """A decoder of messages with levels; a level that is missing, or null, is None."""
    kinds: dict[str, Any] = {"px": price, "sz": _Shares}
    fields = {"ts_event": str, "publisher_id": _Publisher, "sequence": int}
    fields |= {f"{name}_00": kinds[name[4:6]] for name in LEVEL_DTYPES}
    levels = [(name, kinds[name[4:6]] | None, None) for name in FLAT_DTYPES]
    quote: Any = msgspec.defstruct("_DeepQuote", [*fields.items(), *levels], gc=False)
    rows: list[tuple[str, Any]] = [("snapshot", quote), ("trades", _Trade[price])]  # type: ignore[valid-type]
    parts = [(name, tuple[row, ...], ()) for name, row in rows]  # type: ignore[valid-type]
    message = msgspec.defstruct("_DeepMessage", parts, gc=False)
    return msgspec.json.Decoder(message)


_DEEP_BINARY, _DEEP_DECIMAL = _deep_decoder(float), _deep_decoder(Decimal)


def _places(*widths: int) -> Int64:
    """(digits, numbers): the place value of each digit of adjacent numbers of these widths."""
    places = np.zeros((sum(widths), len(widths)), np.int64)
    for number, (width, end) in enumerate(zip(widths, accumulate(widths), strict=True)):
        places[end - width : end, number] = 10 ** np.arange(width - 1, -1, -1)
    return places


_PLACES = _places(4, 2, 2, 2, 2, 2, 9)


class JsonRows:
    """Rows of JSON messages, in order of arrival, in growing columns.

    Parameters
    ----------
    depth : int
        At 1 levels behind the first are not looked at; otherwise all are read.
    """

    def __init__(self, depth: int = MOST_LEVELS) -> None:
        self._reads_levels = depth > 1
        self._quotes, self._trades = GrowingColumns(QUOTE_DTYPES), GrowingColumns(TRADE_DTYPES)
        self._levels: GrowingColumns | None = None
        self._depths = array("b")
        self._counts = array("q"), array("q")
        self._seconds = _Seconds()

    @property
    def nbytes(self) -> int:
        """Bytes of the rows so far, as `decoded` gives them."""
        width = quote_bytes(1 if self._levels is None else MOST_LEVELS)  # what is held, whatever the depth
        return len(self._quotes) * width + len(self._trades) * TRADE_BYTES

    def decoded(self) -> Decoded:
        """Return the rows so far; none may be added afterwards."""
        self._fill_up()
        behind = {} if self._levels is None else self._levels.arrays()
        depths = np.frombuffer(self._depths, np.int8)
        shown = level_names(int(depths.max(initial=1)))
        return Decoded(
            self._quotes.arrays() | {name: behind[name] for names in shown.values() for name in names},
            self._trades.arrays(),
            np.frombuffer(self._counts[0], np.int64),
            np.frombuffer(self._counts[1], np.int64),
            depths,
        )

    def extend(self, values: Sequence[bytes]) -> bool:
        """Add the rows of all messages, or of none where any check fails or only `append` can make it.

        Parameters
        ----------
        values : sequence of bytes
            One message each.

        Returns
        -------
        bool
            True: the rows that `append` would add are added. False: none are; append the messages one by one.
        """
        try:
            deep = self._reads_levels and any(_DEEP in value for value in values)
            messages = list(map((_DEEP_BINARY if deep else _BINARY).decode, values))
            rows: list[tuple[Any, ...]] = [message.snapshot or message.trades for message in messages]
            if not all(rows):
                return False
            stamps = [each[0].ts_event for each in rows]
            ts = _instants(stamps)
            snapshots = [message.snapshot for message in messages]
            quotes = _quote_columns(snapshots, stamps, ts)
            levels, depths = _level_columns(snapshots) if deep else ({}, [1] * len(messages))
            _require(not deep or in_order(quotes | levels))
            trades = _trade_columns([message.trades for message in messages], stamps, ts)
            if deep or not (quotes["ask_px"].all() and quotes["bid_px"].all()):
                _require(not any(map(_holds_tiny, values)))
        except (_Unusual, *REFUSALS):
            return False
        self._add_levels(levels)
        self._depths.extend(depths)
        self._quotes.extend(quotes)
        self._trades.extend(trades)
        self._counts[0].extend([len(message.snapshot) for message in messages])
        self._counts[1].extend([len(message.trades) for message in messages])
        return True

    def skip(self) -> None:
        """Count a message without rows."""
        self._counts[0].append(0)
        self._counts[1].append(0)
        self._depths.append(1)

    def append(self, value: bytes) -> None:
        """Add the rows of one message; where it is malformed, add none and raise one of `REFUSALS`: its text says why.

        Prices in 1e-9 $; one with more than nine decimals is malformed.
        """
        deep = self._reads_levels and _DEEP in value
        message: _Message[Any] = (_DEEP_BINARY if deep else _BINARY).decode(value)
        dollars = [px for row in message.snapshot for px in (row.ask_px_00, row.bid_px_00)]
        dollars += [row.price for row in message.trades]
        if deep:
            prices = [name for name in FLAT_DTYPES if name[4:6] == "px"]
            dollars += [getattr(row, name) or 0.0 for row in message.snapshot for name in prices]
        if any(px >= FLOAT_EXACT for px in dollars) or (not all(dollars) and _holds_tiny(value)):
            message = (_DEEP_DECIMAL if deep else _DECIMAL).decode(value)
        rows: tuple[Any, ...] = (*message.snapshot, *message.trades)
        if not rows:
            raise ValueError("it holds neither quotes nor trades")
        stamp = rows[0].ts_event
        if any(row.ts_event != stamp for row in rows):
            raise ValueError("it holds rows of several instants")
        if any(not -(2**63) <= row.sequence < 2**63 for row in rows):
            raise ValueError("a sequence is beyond int64")
        ts = self._instant(stamp)
        quote_prices = [(_nano(quote.ask_px_00), _nano(quote.bid_px_00)) for quote in message.snapshot]
        trade_prices = [_nano(trade.price) for trade in message.trades]
        if not all(px and trade.size for px, trade in zip(trade_prices, message.trades, strict=True)):
            raise ValueError("a trade's price and size must be above 0")
        if deep:
            self._add_levels(_read_levels(message.snapshot, quote_prices))
        self._depths.append(_depth_of(message.snapshot) if deep else 1)
        for quote, (ask_px, bid_px) in zip(message.snapshot, quote_prices, strict=True):
            self._quotes.append(
                ts=ts,
                venue=quote.publisher_id,
                ask_px=ask_px,
                ask_sz=quote.ask_sz_00,
                bid_px=bid_px,
                bid_sz=quote.bid_sz_00,
                sequence=quote.sequence,
            )
        for trade, px in zip(message.trades, trade_prices, strict=True):
            self._trades.append(
                ts=ts,
                venue=trade.publisher_id,
                px=px,
                sz=trade.size,
                side=AGGRESSORS[trade.side],
                sequence=trade.sequence,
            )
        self._counts[0].append(len(message.snapshot))
        self._counts[1].append(len(message.trades))

    def _add_levels(self, levels: dict[str, Int64]) -> None:
        """Add levels of the rows that are added next; those before them without any have 0."""
        if levels:
            if self._levels is None:
                self._levels = GrowingColumns(FLAT_DTYPES)
            self._fill_up()
            self._levels.extend(levels)

    def _fill_up(self) -> None:
        """Give rows without levels 0."""
        if self._levels is not None:
            missing = np.zeros(len(self._quotes) - len(self._levels), np.int64)
            self._levels.extend(dict.fromkeys(FLAT_DTYPES, missing))

    def _instant(self, stamp: str) -> int:
        nano = stamp[_DIGITS]
        if not (len(stamp) == _STAMP and stamp[19] == "." and stamp[29] == "Z" and nano.isascii() and nano.isdigit()):
            raise ValueError(f"stamp {stamp[:40]!r} is not ISO 8601 in UTC with nine digits")
        return bounded(self._seconds[stamp[:19]] + int(nano), stamp)


def _instants(stamps: list[str]) -> Int64:
    """Turn stamps into nanoseconds; `_Unusual` or ValueError where `JsonRows._instant` might refuse one."""
    _require(set(map(len, stamps)) <= {_STAMP})
    letters = np.frombuffer("".join(stamps).encode("ascii"), np.uint8).reshape(-1, _STAMP)
    _require((letters[:, _MARKED] == _MARKS).all())
    digits = letters[:, _NUMBERED] - np.uint8(ord("0"))  # letters below "0" wrap around to above 9
    _require((digits <= 9).all())
    year, month, day, hour, minute, second, nano = (digits.astype(np.int64) @ _PLACES).T
    _require(((year >= 1970) & (year <= 2261) & (month >= 1) & (month <= 12) & (day >= 1)).all())
    _require(((hour <= 23) & (minute <= 59) & (second <= 59)).all())
    months = (year * 12 + (month - 1 - 1970 * 12)).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    _require((days.astype("datetime64[M]") == months).all())
    nanos: Int64 = (((days.astype(np.int64) * 24 + hour) * 60 + minute) * 60 + second) * _NANO + nano
    return nanos


class _Seconds(dict[str, int]):
    """Nanoseconds of whole seconds, cached: parsing a date costs more than the rest of a row."""

    def __missing__(self, second: str) -> int:
        self[second] = instant = parse_instant(f"{second}Z")
        return instant


def _holds_tiny(value: bytes) -> bool:
    """Whether a message may hold a number above 0 that becomes 0 as a float, and so no quote."""
    return any(mark in value for mark in _TINY)


class _Unusual(Exception):  # noqa: N818 - it is no error, and is seen nowhere else
    """The batch has to be read message by message."""


def _require(usual: bool | np.bool_) -> None:
    if not usual:
        raise _Unusual


def _quote_columns(parts: list[tuple[_Quote[float], ...]], stamps: list[str], ts: Int64) -> dict[str, Int64]:
    """Quotes of a batch as columns; `ts` and `stamps` are those of the messages."""
    rows = list(chain.from_iterable(parts))
    counts = _counts_of_one_instant(parts, rows, stamps)
    return {
        "ts": np.repeat(ts, counts),
        "venue": np.array([row.publisher_id for row in rows], np.int64),
        "ask_px": _nanos([row.ask_px_00 for row in rows]),
        "ask_sz": np.array([row.ask_sz_00 for row in rows], np.int64),
        "bid_px": _nanos([row.bid_px_00 for row in rows]),
        "bid_sz": np.array([row.bid_sz_00 for row in rows], np.int64),
        "sequence": np.array([row.sequence for row in rows], np.int64),
    }


def _level_columns(parts: list[tuple[Any, ...]]) -> tuple[dict[str, Int64], list[int]]:
    """Levels of a batch as columns by name, 0 where there is none, and how many a side has in each message."""
    rows = list(chain.from_iterable(parts))
    columns = {}
    for name in FLAT_DTYPES:
        values = [getattr(row, name) or 0 for row in rows]
        columns[name] = _nanos(values) if name[4:6] == "px" else np.array(values, np.int64)
    return columns, list(map(_depth_of, parts))


def _read_levels(rows: Sequence[Any], prices: Sequence[tuple[int, int]]) -> dict[str, Int64]:
    """The levels of the rows of one message as columns by name; what is refused is said.

    Parameters
    ----------
    rows : sequence of _DeepQuote
    prices : sequence of (int, int)
        Ask and bid of their first levels, 1e-9 $.
    """
    columns: dict[str, Int64] = {}
    for name in FLAT_DTYPES:
        values = [getattr(row, name) or 0.0 for row in rows]
        columns[name] = np.array([_nano(each) for each in values] if name[4:6] == "px" else values, np.int64)
    first = {
        "ask_px": np.array([ask for ask, _ in prices], np.int64),
        "bid_px": np.array([bid for _, bid in prices], np.int64),
        "ask_sz": np.array([row.ask_sz_00 for row in rows], np.int64),
        "bid_sz": np.array([row.bid_sz_00 for row in rows], np.int64),
    }
    if not in_order(first | columns):
        raise ValueError("levels are not strictly worse one after the other")
    return columns


def _depth_of(rows: Sequence[Any]) -> int:
    """Levels of a side that the rows of a message say something of."""
    for level in range(MOST_LEVELS - 1, 0, -1):
        names = f"ask_px_{level:02}", f"bid_px_{level:02}"
        if any(getattr(row, name) is not None for row in rows for name in names):
            return level + 1
    return 1


def _trade_columns(parts: list[tuple[_Trade[float], ...]], stamps: list[str], ts: Int64) -> dict[str, Int64]:
    """Trades of a batch as columns."""
    rows = list(chain.from_iterable(parts))
    if not rows:
        return {}
    counts = _counts_of_one_instant(parts, rows, stamps)
    columns = {
        "ts": np.repeat(ts, counts),
        "venue": np.array([row.publisher_id for row in rows], np.int64),
        "px": _nanos([row.price for row in rows]),
        "sz": np.array([row.size for row in rows], np.int64),
        "side": np.array([AGGRESSORS[row.side] for row in rows], np.int64),
        "sequence": np.array([row.sequence for row in rows], np.int64),
    }
    _require((columns["px"] > 0).all() and (columns["sz"] > 0).all())
    return columns


def _counts_of_one_instant(parts: list[tuple[Any, ...]], rows: list[Any], stamps: list[str]) -> list[int]:
    """Rows per message; `_Unusual` where a row has not its message's stamp."""
    counts = list(map(len, parts))
    _require([row.ts_event for row in rows] == list(chain.from_iterable(map(repeat, stamps, counts))))
    return counts


def _nanos(prices: list[float]) -> Int64:
    """Turn dollars into 1e-9 $, as `_nano` does: each must be the float nearest to a whole number of those."""
    dollars = np.array(prices, np.float64)
    _require(((dollars >= 0) & (dollars < FLOAT_EXACT)).all())
    nanos: Int64 = np.rint(dollars * _NANO).astype(np.int64)
    _require((nanos / _NANO == dollars).all())
    return nanos


def _rounded(price: Decimal) -> int:
    return int((price * _NANO).to_integral_value(ROUND_HALF_EVEN))


def _nano(price: float | Decimal) -> int:
    px = PRICE_LIMIT
    if 0 <= price < PRICE_LIMIT // _NANO:
        px = round(price * _NANO) if isinstance(price, float) else _rounded(price)
    if px >= PRICE_LIMIT:
        raise ValueError(f"price {str(price)[:_SHOWN]} is outside 0 to {PRICE_LIMIT / _NANO:.0f} $")
    exact = px / _NANO == price if isinstance(price, float) else px == price * _NANO
    if not exact or (price and not px):
        raise ValueError(f"price {str(price)[:_SHOWN]} has more than nine decimals")
    return px
