"""A bounded range of offsets: a small frozen value; reading it gives the same block anywhere and any time."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from feed.codecs import CODEC, Decoded, Record, codec_named
from feed.errors import FeedCorrupt
from feed.kafka.bounded_read import STALL_SECONDS, records
from feed.kafka.client import open_consumer
from feed.kafka.headers import END, NO_HEADERS, SCHEMA, check_promised, code_of, number_of, own_numbers
from feed.kafka.tolerance import Tolerance
from feed.options import DEFAULTS, ReadOptions
from feed.plugins import check_same, refusing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from feed.kafka.address import Address
    from feed.plugins import Plugin
    from feed.provenance import BadMessage
    from feed.tape import Int64


AGAIN = "replay the source again: python -m feed replay SOURCE"
"""Remedy for an incomplete replay; the topic's place follows."""


@dataclass(frozen=True, slots=True, eq=False)
class KafkaBlock:
    """Content of one range: M data messages of the replay, each once, in order of arrival.

    Attributes
    ----------
    partition, start, end : int
        Offsets [start, end).
    pseq, seq, offsets : (M,) int64
        Number in the partition, number in the replay, and offset.
    symbol : (M,) int16
        Index into the symbols of the range.
    hashes : (M, 32) uint8
        SHA-256 of each message.
    rows : Decoded
        Their rows; none for a symbol that is not asked for.
    nbytes : int
        Bytes of the values.
    resent : int
        Records dropped as repeats.
    empty : int
        Offsets without a data record: control records, or messages that compaction or a deletion removed.
    tombstones : int
        Other users' records without a value, left out.
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
        The replay's part of this partition begins here, so nothing may be missing before the first message.
    options : ReadOptions
    stall : float
        Seconds without progress after which reading is an error.
    plugin : Plugin, optional
        Whose codec it is; None = built in.
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
    plugin: Plugin | None = None

    def read(self) -> KafkaBlock:
        """Read, drop repeats, decode.

        Raises
        ------
        FeedUnavailable
            No broker, or not the same plug-in here.
        FeedCorrupt
            A hole, too many malformed messages, lost offsets, no progress, or too late.
        """
        tally, tolerance = _Tally(), Tolerance(self.options.max_bad)
        with refusing(self.address.place):
            if self.plugin is not None:
                check_same(CODEC, self.plugin)
            codec = codec_named(self.codec)
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
            to_decode = self._to_decode(raw, tally, tolerance.refuse)
            decoded = codec.decode(to_decode, tolerance.refuse, self.options.max_bytes)
        messages = len(tally.pseq)
        chosen = np.frombuffer(tally.chosen, np.int64)
        counts = np.zeros((2, messages), np.int64)
        counts[0, chosen], counts[1, chosen] = decoded.quote_counts, decoded.trade_counts
        depths = np.ones(messages, np.int8)
        depths[chosen] = decoded.depths
        return KafkaBlock(
            self.partition,
            self.start,
            self.end,
            np.frombuffer(tally.pseq, np.int64),
            np.frombuffer(tally.seq, np.int64),
            np.frombuffer(tally.offsets, np.int64),
            np.frombuffer(tally.symbol, np.int16),
            np.frombuffer(tally.hashes, np.uint8).reshape(messages, 32),
            Decoded(decoded.quotes, decoded.trades, counts[0], counts[1], depths),
            tally.nbytes,
            tally.resent,
            self.end - self.start - tally.records,
            tally.tombstones,
            tolerance.bad,
        )

    def _to_decode(
        self, raw: Iterator[Record], tally: _Tally, refuse: Callable[[Record, str], None]
    ) -> Iterator[Record]:
        """Note this replay's data messages, each once, in order, and yield those to decode."""
        expected = 0
        chosen_code = None if self.options.symbol is None else self.symbols.index(self.options.symbol)
        codes = {symbol.encode(): code for code, symbol in enumerate(self.symbols)}
        replay, end = self.replay.encode(), END.encode()
        promised = [(name, value.encode()) for name, value in (("codec", self.codec), ("schema", SCHEMA))]
        empty_before = code = 0
        checked_headers: object = None  # the common headers of the last message whose headers were all checked
        for record in raw:
            tally.records += 1
            numbers = own_numbers(record.own)
            if numbers is None or record.common is not checked_headers:
                headers = dict(record.headers)
                if headers.get("replay") != replay:
                    # A delete by key comes without headers; it deletes nothing of a replay of ours.
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
                        check_promised(headers, promised)
                        code = code_of(headers, codes)
                        checked_headers = record.common if own_numbers(record.own) else None
                except ValueError as error:
                    refuse(record, str(error))
                    continue
            seq, pseq = numbers
            if pseq < expected:
                tally.resent += 1
                continue
            empty_offsets = record.offset - self.start - tally.records + 1
            # A later range cannot know where the one before it ends: the merge finds what is missing in between.
            if pseq > expected and self.first:
                raise self.hole(expected, pseq, record.offset, compacted=empty_offsets > empty_before)
            expected, empty_before = pseq + 1, empty_offsets
            tally.note(record, pseq, seq, code)
            if chosen_code is None or code == chosen_code:
                tally.chosen.append(len(tally.pseq) - 1)
                yield record

    def hole(self, first: int, following: int, offset: int, *, compacted: bool) -> FeedCorrupt:
        """Say which messages are missing, and whether they were removed or never came."""
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


@dataclass(slots=True)
class _Tally:
    """Notes on a range while it is read."""

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
