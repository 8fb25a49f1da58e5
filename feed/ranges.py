"""A bounded range of offsets: a small frozen value that can be read anywhere, again and again, to the same block."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from feed.codec import CODECS
from feed.console import listing
from feed.errors import FeedCorrupt
from feed.headers import END, SCHEMA
from feed.kafka import Address, open_consumer
from feed.messages import Decoded, Record, malformed
from feed.options import DEFAULTS, ReadOptions
from feed.records import STALL_SECONDS, records
from feed.tape import BadMessage, Partition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from feed.messages import Header
    from feed.tape import Int64

AGAIN = "replay the source again: python -m feed replay SOURCE"
"""The remedy for a replay that is not whole; the topic's place follows."""

KEPT_BYTES = 2**16
"""Bytes of a malformed message that are put aside with it."""


@dataclass(frozen=True, slots=True, eq=False)
class KafkaBlock:
    """What one range held: M data messages of the replay, each once, in order of arrival.

    Attributes
    ----------
    partition, start, end : int
        Offsets [start, end).
    pseq, seq, offsets : (M,) int64
        Number within the partition, within the replay, and where it lay.
    symbol : (M,) int16
        Index into the symbols of the range.
    hashes : (M, 32) uint8
        SHA-256 of each message.
    rows : Decoded
        Their rows; of a symbol that was not asked for, none.
    nbytes : int
        Bytes of the values.
    resent : int
        Records dropped because they had come before.
    empty : int
        Offsets that hold no record: control records, or what compaction or a deletion took.
    tombstones : int
        Records of others without a value, left out.
    bad : tuple of BadMessage
        Malformed messages, put aside.
    """

    partition: int
    start: int
    end: int
    pseq: Int64
    seq: Int64
    offsets: Int64
    symbol: NDArray[np.int16]
    hashes: NDArray[np.uint8]
    rows: Decoded
    nbytes: int
    resent: int
    empty: int
    tombstones: int
    bad: tuple[BadMessage, ...]


@dataclass(frozen=True, slots=True)
class KafkaRange:
    """A bounded part of one replay in one partition; reading it is a pure function of these fields.

    Attributes
    ----------
    address : Address
    partition, start, end : int
        Offsets [start, end).
    replay, codec : str
    symbols : tuple of str
        Those of the replay.
    first : bool
        The replay's part of this partition begins here, so that nothing may be missing before the first message.
    options : ReadOptions
    stall : float
        Seconds without progress after which reading is an error.
    """

    address: Address
    partition: int
    start: int
    end: int
    replay: str
    codec: str
    symbols: tuple[str, ...]
    first: bool = True
    options: ReadOptions = DEFAULTS
    stall: float = STALL_SECONDS

    def read(self) -> KafkaBlock:
        """Read, drop what was sent twice, decode.

        Raises
        ------
        FeedUnavailable
            No broker.
        FeedCorrupt
            A hole, more malformed messages than are tolerated, offsets that are gone, no progress, too late.
        """
        tally, tolerance = _Tally(), Tolerance(self.options.max_bad)
        with open_consumer(self.address, self.stall) as consumer:
            raw = records(
                consumer,
                self.address,
                self.partition,
                self.start,
                self.end,
                stall=self.stall,
                deadline=self.options.deadline,
                max_bytes=self.options.max_bytes,
            )
            own = self._own(raw, tally, tolerance.refuse)
            decoded = CODECS[self.codec].decode(own, tolerance.refuse, self.options.max_bytes)
        messages = len(tally.pseq)
        chosen = np.frombuffer(tally.chosen, np.int64)
        counts = np.zeros((2, messages), np.int64)
        counts[0, chosen], counts[1, chosen] = decoded.quote_counts, decoded.trade_counts
        return KafkaBlock(
            self.partition,
            self.start,
            self.end,
            np.frombuffer(tally.pseq, np.int64),
            np.frombuffer(tally.seq, np.int64),
            np.frombuffer(tally.offsets, np.int64),
            np.frombuffer(tally.symbol, np.int16),
            np.frombuffer(tally.hashes, np.uint8).reshape(messages, 32),
            Decoded(decoded.quotes, decoded.trades, *counts),
            tally.nbytes,
            tally.resent,
            self.end - self.start - tally.records,
            tally.tombstones,
            tolerance.bad,
        )

    def _own(self, raw: Iterator[Record], tally: _Tally, refuse: Callable[[Record, str], None]) -> Iterator[Record]:
        """Note this replay's data messages, each once, in order, and hand on those that are to be decoded."""
        expected = 0
        taken = None if self.options.symbol is None else self.symbols.index(self.options.symbol)
        codes = {symbol.encode(): code for code, symbol in enumerate(self.symbols)}
        replay, end = self.replay.encode(), END.encode()
        promised = [(name, value.encode()) for name, value in (("codec", self.codec), ("schema", SCHEMA))]
        empty = code = 0
        known: object = None  # the headers, but for the numbers, of a message that had all that it must
        for record in raw:
            tally.records += 1
            numbers = _numbers(record.own)
            if numbers is None or record.common is not known:
                headers = dict(record.headers)
                if headers.get("replay") != replay:
                    # Who deletes by key says so without headers; of a replay of ours there is nothing to delete.
                    if not headers.get("replay") and record.tombstone:
                        tally.tombstones += 1
                    elif not headers.get("replay"):
                        refuse(record, NO_HEADERS)
                    continue
                if headers.get("kind") == end:
                    continue
                try:
                    numbers = number_of(headers, "seq"), number_of(headers, "pseq")
                    if numbers[1] >= expected:
                        _check_promised(headers, promised)
                        code = _code_of(headers, codes)
                        known = record.common if _numbers(record.own) else None
                except ValueError as error:
                    refuse(record, str(error))
                    continue
            seq, pseq = numbers
            if pseq < expected:
                tally.resent += 1
                continue
            nothing = record.offset - self.start - tally.records + 1
            # A later range cannot know where the one before it ended: what is missing there is the plan's to find.
            if pseq > expected and self.first:
                raise self.hole(expected, pseq, record.offset, compacted=nothing > empty)
            expected, empty = pseq + 1, nothing
            tally.note(record, pseq, seq, code)
            if taken is None or code == taken:
                tally.chosen.append(len(tally.pseq) - 1)
                yield record

    def hole(self, first: int, following: int, offset: int, *, compacted: bool) -> FeedCorrupt:
        """Say which messages are missing, and whether they were taken away again or never came."""
        how = (
            "offsets there hold no record: compaction or a deletion took them"
            if compacted
            else "no offset is free there: they never came, or came out of order"
        )
        return FeedCorrupt(
            f"a hole in replay {self.replay}: messages {first} to {following - 1} of partition {self.partition} are "
            f"missing before offset {offset} of [{self.start}, {self.end}); {how}",
            self.address.place,
            f"{AGAIN} {self.address.place}",
        )


def spans(ranges: Iterable[PartitionRange]) -> tuple[Partition, ...]:
    """What ranges, given by partition and then by offset, cover of each partition."""
    found: dict[int, Partition] = {}
    for part in ranges:
        start = found[part.partition].start if part.partition in found else part.start
        found[part.partition] = Partition(part.partition, start, part.end)
    return tuple(found.values())


def tolerated(blocks: Iterable[WithBad], most: int, more: Iterable[BadMessage] = ()) -> tuple[BadMessage, ...]:
    """Gather what the blocks of a read put aside, and `more`; FeedCorrupt where it is over so many messages in all."""
    bad = (*(message for block in blocks for message in block.bad), *more)
    if len(bad) > most:
        extra = bad[most]
        raise malformed(Record(extra.partition, extra.offset, extra.value), extra.reason)
    return bad


class PartitionRange(Protocol):
    """Offsets [start, end) of a partition."""

    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def start(self) -> int: ...  # noqa: D102
    @property
    def end(self) -> int: ...  # noqa: D102


class WithBad(Protocol):
    """A block that may have put messages aside."""

    @property
    def bad(self) -> tuple[BadMessage, ...]: ...  # noqa: D102


def put_aside(record: Record, reason: str) -> BadMessage:
    """Keep of a malformed message what is shown of it."""
    value = bytes(record.value)
    return BadMessage(record.partition, record.offset, reason, len(value), value[:KEPT_BYTES])


class Tolerance:
    """Malformed messages put aside, up to a number.

    Parameters
    ----------
    most : int
        How many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._bad: dict[int, BadMessage] = {}

    @property
    def bad(self) -> tuple[BadMessage, ...]:
        """What was put aside, by offset."""
        return tuple(sorted(self._bad.values(), key=lambda message: message.offset))

    def refuse(self, record: Record, reason: str) -> None:
        """Put a message aside, once for all of its parts; FeedCorrupt where no more of them are tolerated."""
        if record.offset in self._bad:
            return
        if len(self._bad) >= self._most:
            raise malformed(record, reason)
        self._bad[record.offset] = put_aside(record, reason)


@dataclass(slots=True)
class _Tally:
    """What reading a range has noted so far."""

    records: int = 0
    resent: int = 0
    tombstones: int = 0
    nbytes: int = 0
    pseq: array[int] = field(default_factory=lambda: array("q"))
    seq: array[int] = field(default_factory=lambda: array("q"))
    offsets: array[int] = field(default_factory=lambda: array("q"))
    symbol: array[int] = field(default_factory=lambda: array("h"))
    chosen: array[int] = field(default_factory=lambda: array("q"))
    hashes: bytearray = field(default_factory=bytearray)

    def note(self, record: Record, pseq: int, seq: int, code: int) -> None:
        self.pseq.append(pseq)
        self.seq.append(seq)
        self.offsets.append(record.offset)
        self.symbol.append(code)
        self.nbytes += len(record.value)
        self.hashes += hashlib.sha256(record.value).digest()


def _check_promised(headers: Mapping[str, bytes | None], promised: Iterable[tuple[str, bytes]]) -> None:
    """Compare a message's headers with what holds for all of its replay; ValueError where one differs."""
    for name, value in promised:
        if headers.get(name) != value:
            raise ValueError(f"header {name} is {shown(headers.get(name))}, expected {value.decode()!r}")


def _code_of(headers: Mapping[str, bytes | None], codes: Mapping[bytes, int]) -> int:
    """Look up which of the replay's symbols a message is of; ValueError where of none."""
    code = codes.get(headers.get("symbol") or b"")
    if code is None:
        there = listing("symbols", [symbol.decode() for symbol in codes])
        raise ValueError(f"header symbol is {shown(headers.get('symbol'))}; {there}")
    return code


NO_HEADERS = "it carries no headers of a replay"


def headers_of(record: Record) -> dict[str, str]:
    """Read a record's headers.

    Raises
    ------
    FeedCorrupt
        They are no text, or not those of a replay.
    """
    try:
        headers = {name: (value or b"").decode() for name, value in record.headers}
    except UnicodeDecodeError as error:
        raise malformed(record, "a header is no text") from error
    if not headers.get("replay"):
        raise malformed(record, NO_HEADERS)
    return headers


def _numbers(own: Sequence[Header]) -> tuple[int, int] | None:
    """`seq` and `pseq` where these are a message's own headers and numbers, as `number_of` gives them."""
    if len(own) == 2 and own[0][0] == "seq" and own[1][0] == "pseq":
        seq, pseq = own[0][1] or b"", own[1][1] or b""
        if seq.isdigit() and pseq.isdigit() and len(seq) < 19 and len(pseq) < 19:
            return int(seq), int(pseq)
    return None


def number_of(headers: Mapping[str, bytes | None], name: str) -> int:
    """Read a number from a header; ValueError where it is none."""
    text = headers.get(name) or b""
    if not (text.isdigit() and len(text) < 19):
        raise ValueError(f"header {name} is {shown(text)}, expected a number")
    return int(text)


def shown(value: bytes | None) -> str:
    """Show a header's value on one short line of plain ASCII."""
    return "missing" if value is None else repr(value[:40])[1:]
