"""Messages and their rows: what every codec writes, takes and returns."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from feed.console import printable
from feed.errors import FeedCorrupt
from feed.levels import FLAT_DTYPES, LEVEL_DTYPES, depth_of, flat_columns, stacked_columns
from feed.tape import QUOTE_DTYPES, TRADE_DTYPES, Tape, by_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from feed.tape import Int64

BATCH = 1024
"""Messages that are decoded together."""

BATCH_BYTES = 2**22
"""Bytes of values after which a batch is full, as messages may be large."""

TRADE_BYTES = sum(np.dtype(dtype).itemsize for dtype in TRADE_DTYPES.values())
"""Bytes of a trade in columns."""

_SHOWN = 60
_REASON = 1000


def quote_dtypes(depth: int) -> dict[str, str]:
    """Names and types of the columns of quotes, level by level."""
    return QUOTE_DTYPES | {name: FLAT_DTYPES[name] for name in list(FLAT_DTYPES)[: len(LEVEL_DTYPES) * (depth - 1)]}


def quote_bytes(depth: int) -> int:
    """Bytes of a row of quotes in columns."""
    return sum(np.dtype(dtype).itemsize for dtype in quote_dtypes(depth).values())


def quote_columns(tape: Tape, rows: slice) -> dict[str, NDArray[Any]]:
    """The columns of quotes of some rows of a tape, level by level."""
    behind = {} if tape.levels is None else flat_columns(tape.levels.take(rows))
    return {name: getattr(tape, name)[rows] for name in QUOTE_DTYPES} | behind


class Message(NamedTuple):
    """One message to send.

    Attributes
    ----------
    ts : int
        When it is due, UTC nanoseconds: the instant of its last row.
    value : bytes
    rows : int
        Quotes and trades in it.
    """

    ts: int
    value: bytes
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class Messages:
    """K messages to send, of one tape or of several, by time.

    Attributes
    ----------
    ts : (K,) int64
        When each is due, UTC nanoseconds, ascending.
    tapes : (K,) int64
        Index of the tape that each is of.
    values : (K,) pyarrow.LargeBinaryArray
    rows : (K,) int64
        Quotes and trades in each.
    """

    ts: Int64
    tapes: Int64
    values: pa.LargeBinaryArray
    rows: Int64

    def __len__(self) -> int:
        return len(self.ts)

    def cut(self, first: int, last: int) -> Messages:
        """Those of [first, last), as views."""
        span = slice(first, last)
        return Messages(self.ts[span], self.tapes[span], self.values[span], self.rows[span])

    def take(self, which: Int64) -> Messages:
        """Copies of some, by their indices."""
        return Messages(self.ts[which], self.tapes[which], self.values.take(which), self.rows[which])


def one_by_one(encode: Callable[[Tape], Iterator[Message]], tapes: Sequence[Tape]) -> Iterator[Messages]:
    """Messages of all tapes as a codec writes them, by time; at one instant by tape."""
    import pyarrow as pa

    def encoded(number: int, tape: Tape) -> Iterator[tuple[int, int, Message]]:
        for message in encode(tape):
            yield message.ts, number, message

    for ts, number, message in heapq.merge(*(encoded(*each) for each in enumerate(tapes)), key=itemgetter(0, 1)):
        yield Messages(
            np.array([ts], np.int64),
            np.array([number], np.int64),
            pa.array([message.value], pa.large_binary()),
            np.array([message.rows], np.int64),
        )


Header = tuple[str, bytes | None]


class Record(NamedTuple):
    """One message received.

    Attributes
    ----------
    partition, offset : int
        Its place.
    value : bytes
        Empty where it is null.
    timestamp : int
        Of the broker or the producer, as the topic is set; milliseconds.
    common, own : tuple of (str, bytes or None)
        Its headers; `common` is one object for neighbours whose headers begin the same.
    key : bytes, optional
    aborted : bool
        It belongs to an aborted transaction; only a consumer of committed records knows.
    tombstone : bool
        Its value is null, by which Kafka deletes messages with that key.
    """

    partition: int
    offset: int
    value: bytes
    timestamp: int = 0
    common: tuple[Header, ...] = ()
    own: tuple[Header, ...] = ()
    key: bytes | None = None
    aborted: bool = False
    tombstone: bool = False

    @property
    def headers(self) -> tuple[Header, ...]:
        """All of its headers, in order."""
        return self.common + self.own


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """The rows of M messages, in order of arrival; a refused message has none.

    Attributes
    ----------
    quotes : dict of str to (N,) array
        The columns of `feed.tape.QUOTE_DTYPES`, and of further levels those of `feed.levels.FLAT_DTYPES`.
    trades : dict of str to (K,) array
        The columns of `feed.tape.TRADE_DTYPES`.
    quote_counts, trade_counts : (M,) int64
        Rows of each message; their sums are N and K.
    depths : (M,) int8
        Levels of a side that each message says of its quotes; the columns hold as many as the deepest.
    """

    quotes: dict[str, NDArray[Any]]
    trades: dict[str, NDArray[Any]]
    quote_counts: Int64
    trade_counts: Int64
    depths: NDArray[np.int8]

    def tape(self, symbol: str, *, owned: bool = False) -> Tape:
        """Make a tape of the rows; `owned` as `feed.tape.Tape.build`."""
        depth = int(self.depths.max(initial=1))
        levels = stacked_columns(self.quotes, depth) if depth > 1 else None
        first = {name: self.quotes[name] for name in QUOTE_DTYPES}
        return Tape.build(symbol, **first, trades=self.trades, levels=levels, owned=owned)

    def cut(self, counts: Sequence[int]) -> Iterator[Decoded]:
        """Yield the first `counts[0]` messages, then the next `counts[1]`, and so on; columns are views."""
        messages = np.cumsum([0, *counts])
        quotes, trades = (
            np.cumsum(np.concatenate([[0], each]))[messages] for each in (self.quote_counts, self.trade_counts)
        )
        for pair in map(slice, range(len(counts)), range(2, len(counts) + 2)):
            of_messages, of_quotes, of_trades = (slice(*ends[pair]) for ends in (messages, quotes, trades))
            yield Decoded(
                {name: column[of_quotes] for name, column in self.quotes.items()},
                {name: column[of_trades] for name, column in self.trades.items()},
                self.quote_counts[of_messages],
                self.trade_counts[of_messages],
                self.depths[of_messages],
            )


def gather(parts: Sequence[Decoded], messages: Int64) -> Decoded:
    """Copy messages of several parts into columns that no part shares.

    Rows go from each part straight to their places: beside parts and columns there are only the places of one part.

    Parameters
    ----------
    parts : sequence of Decoded
        They may be read-only, and are left as they are.
    messages : (L,) int64
        Which, in the order to keep, each at most once: indices into the messages of all parts, one after the other.
    """
    firsts = np.cumsum([0, *(len(part.quote_counts) for part in parts)])
    order, starts = by_label(np.searchsorted(firsts, messages, "right") - 1, len(parts))
    places = [order[slice(*starts[number : number + 2])] for number in range(len(parts))]
    which = [messages[own] - first for own, first in zip(places, firsts[:-1], strict=True)]
    dtypes = quote_dtypes(max((depth_of(part.quotes) for part in parts), default=1))
    quotes, quote_counts = _gathered([(part.quotes, part.quote_counts) for part in parts], places, which, dtypes)
    trades, trade_counts = _gathered([(part.trades, part.trade_counts) for part in parts], places, which, TRADE_DTYPES)
    depths = np.concatenate([np.zeros(0, np.int8), *(part.depths for part in parts)])[messages]
    return Decoded(quotes, trades, quote_counts, trade_counts, depths)


def _gathered(
    parts: Sequence[tuple[dict[str, NDArray[Any]], Int64]],
    places: Sequence[Int64],
    which: Sequence[Int64],
    dtypes: dict[str, str],
) -> tuple[dict[str, NDArray[Any]], Int64]:
    """Columns of either kind, and rows of each message; `places` and `which` are where a part's messages go and lie."""
    counts = np.zeros(sum(map(len, places)), np.int64)
    for (_, sent), own, at in zip(parts, places, which, strict=True):
        counts[own] = sent[at]
    first = np.cumsum(counts) - counts
    columns = {name: np.empty(int(counts.sum()), dtype) for name, dtype in dtypes.items()}
    for (source, sent), own, at in zip(parts, places, which, strict=True):
        from_rows, to_rows = _runs((np.cumsum(sent) - sent)[at], sent[at]), _runs(first[own], counts[own])
        for name, column in columns.items():
            column[to_rows] = source[name][from_rows] if name in source else 0
    return columns, counts


def _runs(first: Int64, counts: Int64) -> Int64 | slice:
    """Indices of `counts[0]` rows from `first[0]` on, then of the next; a slice where they follow one another."""
    shifts = (first - (np.cumsum(counts) - counts))[counts > 0]
    rows = int(counts.sum())
    if not rows:
        return slice(0, 0)
    if (shifts == shifts[0]).all():
        return slice(int(shifts[0]), int(shifts[0]) + rows)
    return np.repeat(shifts, counts[counts > 0]) + np.arange(rows)


def by_instant(tape: Tape) -> tuple[Int64, Int64, Int64]:
    """Find the instants of a tape and the rows of each.

    Parameters
    ----------
    tape : Tape

    Returns
    -------
    instants : (T,) int64
        Ascending, each with a quote or a trade.
    quotes, trades : (T + 1,) int64
        Where the rows of each instant begin; the last entry is the end.
    """
    instants = np.union1d(_distinct(tape.ts), _distinct(tape.trades.ts))
    quotes, trades = (np.append(np.searchsorted(ts, instants), len(ts)) for ts in (tape.ts, tape.trades.ts))
    return instants, quotes, trades


def _distinct(ts: Int64) -> Int64:
    """Distinct values of ascending instants."""
    distinct: Int64 = ts[np.append(True, ts[1:] != ts[:-1])[: len(ts)]]
    return distinct


def malformed(record: Record, reason: str) -> FeedCorrupt:
    """Say which message is malformed, why, and how it begins, escaped.

    Parameters
    ----------
    record : Record
    reason : str
        Cut and escaped, as part of it may come from the message.
    """
    head = repr(bytes(record.value[:_SHOWN]))[1:]
    more = "..." if len(record.value) > _SHOWN else ""
    return FeedCorrupt(
        f"malformed message: {printable(reason[:_REASON])}; it begins {head}{more}",
        f"partition {record.partition}, offset {record.offset}",
        "replay the source again into a new topic",
    )


def refuse(record: Record, reason: str) -> None:
    """Tolerate no malformed message.

    Raises
    ------
    FeedCorrupt
        Always; names partition, offset, reason and the first bytes, escaped.
    """
    raise malformed(record, reason)


def too_large(record: Record, max_bytes: int) -> FeedCorrupt:
    """Say at which message the rows of a read exceed the bound.

    Parameters
    ----------
    record : Record
    max_bytes : int
    """
    return FeedCorrupt(
        f"rows of more than {max_bytes:,} bytes are beyond the bound",
        f"partition {record.partition}, offset {record.offset}",
        "set feed.max_bytes",
    )


def batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Gather records into batches; where their source fails, yield those before the fault, then raise."""
    batch: list[Record] = []
    size = 0
    try:
        for record in records:
            batch.append(record)
            size += len(record.value)
            if len(batch) == BATCH or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
    except Exception:  # a malformed message before the fault is reported first
        yield batch
        raise
    yield batch
