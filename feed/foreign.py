"""Messages without our headers, read only where that is asked for: nothing numbers them, nothing says where they end.

What the topic holds when the plan is made is read, each message once however often it was sent; whether anything is
missing cannot be known, and the provenance says so. What a producer took back by aborting its transaction is left out,
and what it has not yet committed is not read: there is no end record that would tell either from the rest.
"""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from feed.codec import CODECS
from feed.columns import quoted
from feed.console import listing
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.foreignsymbols import by_symbol
from feed.fragments import UNNAMED
from feed.jsonrows import REFUSALS
from feed.kafka import Address, open_consumer, parse_address, partitions_of
from feed.messages import Decoded, Record, concatenate
from feed.ranges import Tolerance, spans, tolerated
from feed.records import STALL_SECONDS, records
from feed.tape import BadMessage, Provenance, Tape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from feed.options import ReadOptions
    from feed.tape import Int64

RANGE_OFFSETS = 2**17
"""Offsets of one range: nothing says how many bytes they are."""

SYMBOLS = 1024
"""Symbols of a topic: a topic whose keys are all different names none by them."""

NOTE = "messages without headers, taken as they came: nothing proves that none is missing"


@dataclass(frozen=True, slots=True, eq=False)
class ForeignBlock:
    """What one range held: M messages of the symbol that was asked for, and of none.

    Attributes
    ----------
    rows : Decoded
    hashes : bytes
        32 bytes of SHA-256 for each message and its symbol.
    symbols : tuple of str
        Those that messages name; empty text stands for none.
    codes : (M,) int64
        Index into `symbols` of each message.
    bad : tuple of BadMessage
        Put aside.
    nbytes : int
        Bytes of the values.
    empty : int
        Offsets that hold no record.
    headed, aborted, other_symbol : int
        Messages left out: of replays, of aborted transactions, of other symbols.
    """

    rows: Decoded
    hashes: bytes
    symbols: tuple[str, ...]
    codes: Int64
    bad: tuple[BadMessage, ...]
    nbytes: int
    empty: int
    headed: int
    aborted: int
    other_symbol: int


@dataclass(slots=True)
class _Tally:
    """What reading a range has noted so far."""

    records: int = 0
    headed: int = 0
    aborted: int = 0
    other_symbol: int = 0
    nbytes: int = 0
    hashes: bytearray = field(default_factory=bytearray)
    codes: array[int] = field(default_factory=lambda: array("q"))
    symbols: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ForeignRange:
    """Offsets [start, end) of a partition; reading them is a pure function of these fields."""

    address: Address
    partition: int
    start: int
    end: int
    options: ReadOptions

    def read(self) -> ForeignBlock:
        """Read and decode what carries no headers of a replay.

        Raises
        ------
        FeedUnavailable
            More symbols than a topic may have.
        FeedError
            As `feed.ranges.KafkaRange.read`.
        """
        tolerance, tally = Tolerance(self.options.max_bad), _Tally()
        with open_consumer(self.address, STALL_SECONDS, committed=True) as consumer:
            raw = records(
                consumer,
                self.address,
                self.partition,
                self.start,
                self.end,
                deadline=self.options.deadline,
                max_bytes=self.options.max_bytes,
            )
            own = self._own(raw, tally, tolerance.refuse)
            rows = CODECS["json"].decode(own, tolerance.refuse, self.options.max_bytes)
        return ForeignBlock(
            rows,
            bytes(tally.hashes),
            tuple(tally.symbols),
            np.frombuffer(tally.codes, np.int64),
            tolerance.bad,
            tally.nbytes,
            self.end - self.start - tally.records,
            tally.headed,
            tally.aborted,
            tally.other_symbol,
        )

    def _own(self, raw: Iterator[Record], tally: _Tally, refuse: Callable[[Record, str], None]) -> Iterator[Record]:
        """Hand on the messages to decode, one of several symbols in parts, and note the symbol of each."""
        for record in raw:
            tally.records += 1
            if record.aborted:
                tally.aborted += 1
                continue
            if any(name == "replay" for name, _ in record.headers):
                tally.headed += 1
                continue
            try:
                parts = by_symbol(record)
            except REFUSALS as error:
                refuse(record, str(error))
                continue
            tally.nbytes += len(record.value)
            for symbol, part in parts:
                code = tally.symbols.setdefault(symbol, len(tally.symbols))
                if len(tally.symbols) > SYMBOLS:
                    raise _too_many(self.address)
                if symbol and self.options.symbol not in {None, symbol}:
                    tally.other_symbol += 1
                    continue
                tally.codes.append(code)
                tally.hashes += hashlib.sha256(b"%s\0%s" % (symbol.encode(), part.value)).digest()
                yield part


def _too_many(address: Address) -> FeedUnavailable:
    return FeedUnavailable(
        f"its messages name more than {SYMBOLS} symbols, by their rows' field symbol, header or key",
        address.place,
        "send it as a header or in the rows, which win over the key",
    )


@dataclass(frozen=True, slots=True)
class ForeignPlan:
    """All that a topic holds of messages without headers, frozen.

    Attributes
    ----------
    address : Address
    ranges : tuple of ForeignRange
    options : ReadOptions
    open : int
        Offsets from the first open transaction of each partition on, which are not read.
    """

    address: Address
    ranges: tuple[ForeignRange, ...]
    options: ReadOptions
    open: int = 0

    def merge(self, blocks: Sequence[ForeignBlock]) -> tuple[tuple[Tape, Provenance], ...]:
        """Join the blocks, each message once: a tape of each symbol.

        Raises
        ------
        FeedUnavailable
            No message is of the symbol asked for; too many symbols.
        FeedCorrupt
            Too many malformed messages in all, or too many bytes, or no message.
        """
        bad = tolerated(blocks, self.options.max_bad)
        nbytes = sum(block.nbytes for block in blocks)
        if nbytes > self.options.max_bytes:
            raise FeedCorrupt(
                f"it holds {nbytes:,} bytes, more than the bound of {self.options.max_bytes:,}",
                self.address.place,
                "set feed.max_bytes",
            )
        named = {symbol for block in blocks for symbol in block.symbols}
        if len(named) > SYMBOLS:
            raise _too_many(self.address)
        if not named:
            raise self._nothing(blocks)
        there = sorted({symbol or UNNAMED for symbol in named})
        codes = np.concatenate([_places(block.symbols, there)[block.codes] for block in blocks])
        hashes = np.frombuffer(b"".join(block.hashes for block in blocks), "S32")
        rows = concatenate([block.rows for block in blocks])
        tapes = []
        for symbol in self._wanted(there) if named != {""} else there:
            mine = np.flatnonzero(codes == there.index(symbol))
            _, first = np.unique(hashes[mine], return_index=True)
            kept = mine[np.sort(first)]
            tape = rows.take(kept).tape(self.options.symbol or symbol)
            others = sum(block.other_symbol for block in blocks)
            if self.options.symbol is not None:  # those of none were kept in case that no message names one
                others += len(codes) - len(mine)
            ignored = {"other_symbol": others, "aborted": sum(block.aborted for block in blocks)}
            tapes.append((tape, self._provenance(tape, blocks, len(mine), len(kept), ignored, bad)))
        return tuple(tapes)

    def _wanted(self, there: Sequence[str]) -> list[str]:
        """Which of the symbols there are to make tapes of; FeedUnavailable where the one asked for is not there."""
        asked = self.options.symbol
        if asked is None:
            return list(there)
        if asked not in there:
            raise FeedUnavailable(
                f"no message of symbol {quoted(asked)}", self.address.place, listing("symbols", there)
            )
        return [asked]

    def _nothing(self, blocks: Sequence[ForeignBlock]) -> FeedCorrupt:
        """Say why there is no message to make a tape of."""
        if aborted := sum(block.aborted for block in blocks):
            what, remedy = f"all of its {aborted} messages were aborted with their transactions", "send them again"
        else:
            what, remedy = "the topic holds no message without headers", "leave feed.foreign out"
        return FeedCorrupt(what, self.address.place, remedy)

    def _provenance(
        self,
        tape: Tape,
        blocks: Sequence[ForeignBlock],
        sent: int,
        kept: int,
        ignored: dict[str, int],
        bad: tuple[BadMessage, ...],
    ) -> Provenance:
        notes = [NOTE]
        headed = sum(block.headed for block in blocks)
        if headed:
            notes.append(f"{headed} messages of replays were left out")
        if ignored["aborted"]:
            notes.append(f"{ignored['aborted']} messages of aborted transactions were left out")
        if self.open:
            notes.append(f"{self.open} offsets from an open transaction on were not read")
        return Provenance(
            source="kafka",
            place=self.address.place,
            digest=tape.digest(),
            snapshots=tape.snapshots,
            rows=tape.rows,
            trades=len(tape.trades.ts),
            topic=self.address.topic,
            partitions=spans(self.ranges),
            messages=kept,
            resent=sent - kept,
            empty=sum(block.empty for block in blocks),
            bad=bad,
            ignored={reason: count for reason, count in ignored.items() if count},
            notes=tuple(notes),
        )


def _places(symbols: Iterable[str], there: Sequence[str]) -> Int64:
    """Where each of a block's symbols stands among all."""
    return np.array([there.index(symbol or UNNAMED) for symbol in symbols], np.int64)


def plan_foreign(source: str, options: ReadOptions) -> ForeignPlan:
    """Freeze a topic's offsets, up to the first transaction of each partition that is still open.

    Parameters
    ----------
    source : str
        As `feed.reader.plan_replay`.
    options : ReadOptions
        `symbol` says which messages to take, and what the tape is called where none names its symbol.

    Raises
    ------
    FeedUnavailable
        No broker, unknown topic.
    FeedCorrupt
        No message, or none before an open transaction.
    """
    address = parse_address(source, options.access)
    with open_consumer(address) as consumer:
        written = partitions_of(consumer, address)
    with open_consumer(address, committed=True) as consumer:
        stable = partitions_of(consumer, address)
    ranges = tuple(
        ForeignRange(address, partition, low, min(low + RANGE_OFFSETS, last), options)
        for partition, (first, last) in stable.items()
        for low in range(first, last, RANGE_OFFSETS)
    )
    held_up = sum(max(end - stable[partition][1], 0) for partition, (_, end) in written.items() if partition in stable)
    if not ranges and held_up:
        raise FeedCorrupt(
            f"none of its {held_up} offsets can be read: a transaction is open",
            address.place,
            "repeat when it has ended",
        )
    if not ranges:
        raise FeedCorrupt("the topic holds no message", address.place, "fill it first")
    return ForeignPlan(address, ranges, options, held_up)
