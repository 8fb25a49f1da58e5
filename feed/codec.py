"""The wire: how a tape becomes messages and messages a tape again, their headers and the record that ends a replay.

The json codec writes one message per instant, quotes and trades together. `snapshot` is always there, empty where an
instant has trades only; `trades` is left out where there are none.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from feed.errors import FeedCorrupt
from feed.instants import format_instant
from feed.jsonrows import REFUSALS, SIDES, JsonRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from feed.tape import Tape

SCHEMA = "1.0"
END = "end"

BATCH = 1024
"""Messages that are decoded together."""

BATCH_BYTES = 2**22
"""Bytes of values after which a batch is full: a message may be large."""

_NANO = 10**9
_SHOWN = 60
_OFFSETS = 2**62


class Message(NamedTuple):
    """One message to send: its instant in UTC nanoseconds and its value."""

    ts: int
    value: bytes


class Record(NamedTuple):
    """One message received: where it lay and its value."""

    partition: int
    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Codec:
    """How values are written and read.

    Attributes
    ----------
    encode : callable
        Tape -> iterator of `Message`, ascending instants.
    decode : callable
        Symbol and `Record` in order of arrival -> Tape; FeedCorrupt at the first malformed one.
    """

    encode: Callable[[Tape], Iterator[Message]]
    decode: Callable[[str, Iterable[Record]], Tape]


def malformed(record: Record, reason: str) -> FeedCorrupt:
    """Say which message is malformed, why, and how it begins, escaped.

    Parameters
    ----------
    record : Record
    reason : str
    """
    head = repr(bytes(record.value[:_SHOWN]))[1:]
    more = "..." if len(record.value) > _SHOWN else ""
    return FeedCorrupt(
        f"malformed message: {reason}; it begins {head}{more}",
        f"partition {record.partition}, offset {record.offset}",
        "replay the source again into a new topic",
    )


def encode_json(tape: Tape) -> Iterator[Message]:
    """Write a tape as JSON, one message per instant that has quotes or trades.

    Parameters
    ----------
    tape : Tape

    Yields
    ------
    Message
        Ascending instants; rows in the tape's order; prices in dollars, whose decimal text is exact.
    """
    quotes = groupby(
        zip(*(_listed(tape, "ts venue ask_px ask_sz bid_px bid_sz sequence")), strict=True), key=itemgetter(0)
    )
    trades = groupby(zip(*(_listed(tape.trades, "ts venue px sz side sequence")), strict=True), key=itemgetter(0))
    dollars = _Dollars()
    quote_ts, quote_rows = next(quotes, (None, None))
    trade_ts, trade_rows = next(trades, (None, None))
    while quote_ts is not None or trade_ts is not None:
        ts: int = min(instant for instant in (quote_ts, trade_ts) if instant is not None)
        stamp = f'{{"ts_event":"{format_instant(ts)}","publisher_id":'
        text = '{"snapshot":['
        if quote_ts == ts and quote_rows is not None:
            text += ",".join(
                f'{stamp}{venue},"ask_px_00":{dollars[ask]},"ask_sz_00":{ask_sz},"bid_px_00":{dollars[bid]},'
                f'"bid_sz_00":{bid_sz},"sequence":{sequence}}}'
                for _, venue, ask, ask_sz, bid, bid_sz, sequence in quote_rows
            )
            quote_ts, quote_rows = next(quotes, (None, None))
        text += "]"
        if trade_ts == ts and trade_rows is not None:
            rows = ",".join(
                f'{stamp}{venue},"price":{dollars[px]},"size":{size},"side":"{SIDES[side]}","sequence":{sequence}}}'
                for _, venue, px, size, side, sequence in trade_rows
            )
            text += f',"trades":[{rows}]'
            trade_ts, trade_rows = next(trades, (None, None))
        yield Message(ts, f"{text}}}".encode())


def _listed(columns: Any, names: str) -> list[list[int]]:  # noqa: ANN401 - a Tape or its Trades
    return [getattr(columns, name).tolist() for name in names.split()]


class _Dollars(dict[int, str]):
    """Nanodollars to dollars as text, remembered: a stream has few distinct prices."""

    def __missing__(self, px: int) -> str:
        whole, nano = divmod(px, _NANO)
        fraction = f"{nano:09d}".rstrip("0") or "0"
        self[px] = text = f"{whole}.{fraction}"
        return text


def decode_json(symbol: str, records: Iterable[Record]) -> Tape:
    """Read JSON messages back into the tape they were written from.

    Parameters
    ----------
    symbol : str
    records : iterable of Record
        In order of arrival; a batch is dropped once its rows are in the columns.

    Returns
    -------
    Tape
        Prices in 1e-9 $, rounded half-even where a foreign writer gave more than nine decimals.

    Raises
    ------
    FeedCorrupt
        The first malformed message: partition, offset, reason and its first bytes.
    """
    rows = JsonRows()
    for batch in _batches(records):
        if rows.extend([record.value for record in batch]):
            continue
        for record in batch:
            try:
                rows.append(record.value)
            except REFUSALS as error:
                raise malformed(record, str(error)) from error
    return rows.tape(symbol)


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Gather records; where their source fails, those before that are still given, then it is said."""
    batch: list[Record] = []
    size = 0
    try:
        for record in records:
            batch.append(record)
            size += len(record.value)
            if len(batch) == BATCH or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
    except Exception:  # a malformed message before the fault is the first thing wrong
        yield batch
        raise
    yield batch


CODECS: dict[str, Codec] = {"json": Codec(encode_json, decode_json)}


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a replay put into one partition: data messages, the offsets [start, end) they lie in, their digest."""

    messages: Annotated[int, msgspec.Meta(ge=1, le=_OFFSETS)]
    start: Annotated[int, msgspec.Meta(ge=0, le=_OFFSETS)]
    end: Annotated[int, msgspec.Meta(ge=1, le=_OFFSETS)]
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class EndRecord(msgspec.Struct, frozen=True):
    """The last record of a replay in each partition it used: the whole table, so that any one of them is enough.

    Attributes
    ----------
    replay : str
    symbols : tuple of str
    codec, schema : str
    messages : int
        Data messages of all partitions.
    digest : str
        `Tape.digest` of what was sent.
    partitions : dict of int to Listed
    """

    replay: str
    symbols: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    codec: str
    schema: str
    messages: int
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    partitions: Annotated[dict[int, Listed], msgspec.Meta(min_length=1)]


def data_headers(replay: str, symbol: str, codec: str, seq: int, pseq: int) -> list[tuple[str, bytes]]:
    """Headers of a data message: `seq` counts the whole replay, `pseq` the partition, both from 0."""
    named = {"replay": replay, "symbol": symbol, "schema": SCHEMA, "codec": codec, "seq": str(seq), "pseq": str(pseq)}
    return [(name, text.encode()) for name, text in named.items()]


def end_headers(replay: str, codec: str) -> list[tuple[str, bytes]]:
    """Headers of an end record."""
    named = {"replay": replay, "schema": SCHEMA, "codec": codec, "kind": END}
    return [(name, text.encode()) for name, text in named.items()]


def encode_end(end: EndRecord) -> bytes:
    """Write an end record's value."""
    return msgspec.json.encode(end)


_END = msgspec.json.Decoder(EndRecord)


def decode_end(record: Record, replay: str) -> EndRecord:
    """Read the value of a replay's end record; FeedCorrupt where it is malformed or contradicts itself."""
    try:
        end = _END.decode(record.value)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise malformed(record, f"end record: {error}") from error
    if end.replay != replay:
        raise malformed(record, f"end record: header and value name different replays, {replay!r} and {end.replay!r}")
    if end.messages != sum(listed.messages for listed in end.partitions.values()):
        raise malformed(record, "end record: the partitions' counts do not add up")
    if any(listed.messages > listed.end - listed.start for listed in end.partitions.values()):
        raise malformed(record, "end record: more messages than offsets")
    return end
