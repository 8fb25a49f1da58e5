"""Messages without our headers, read only where that is asked for: nothing numbers them, nothing says where they end.

What the topic holds when the plan is made is read, each message once however often it was sent; whether anything is
missing cannot be known, and the provenance says so.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from feed.codec import CODECS
from feed.errors import FeedCorrupt
from feed.fragments import UNNAMED
from feed.kafka import Address, open_consumer, parse_address, partitions_of
from feed.messages import Decoded, Record, concatenate
from feed.ranges import Tolerance, spans, tolerated
from feed.records import STALL_SECONDS, records
from feed.tape import BadMessage, Provenance, Tape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from feed.options import ReadOptions

RANGE_OFFSETS = 2**17
"""Offsets of one range: nothing says how many bytes they are."""

NOTE = "messages without headers, taken as they came: nothing proves that none is missing"


@dataclass(frozen=True, slots=True, eq=False)
class ForeignBlock:
    """What one range held: its rows, 32 bytes of SHA-256 for each message, what was put aside or left out."""

    rows: Decoded
    hashes: bytes
    bad: tuple[BadMessage, ...]
    nbytes: int
    empty: int
    headed: int


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
        FeedError
            As `feed.ranges.KafkaRange.read`.
        """
        tolerance = Tolerance(self.options.max_bad)
        hashes = bytearray()
        count = {"records": 0, "headed": 0, "bytes": 0}

        def own(raw: Iterator[Record]) -> Iterator[Record]:
            for record in raw:
                count["records"] += 1
                if any(name == "replay" for name, _ in record.headers):
                    count["headed"] += 1
                    continue
                count["bytes"] += len(record.value)
                hashes.extend(hashlib.sha256(record.value).digest())
                yield record

        with open_consumer(self.address, STALL_SECONDS) as consumer:
            raw = records(
                consumer,
                self.address,
                self.partition,
                self.start,
                self.end,
                deadline=self.options.deadline,
                max_bytes=self.options.max_bytes,
            )
            rows = CODECS["json"].decode(own(raw), tolerance.refuse, self.options.max_bytes)
        empty = self.end - self.start - count["records"]
        return ForeignBlock(rows, bytes(hashes), tolerance.bad, count["bytes"], empty, count["headed"])


@dataclass(frozen=True, slots=True)
class ForeignPlan:
    """All that a topic holds of messages without headers, frozen."""

    address: Address
    ranges: tuple[ForeignRange, ...]
    options: ReadOptions

    def merge(self, blocks: Sequence[ForeignBlock]) -> tuple[tuple[Tape, Provenance], ...]:
        """Join the blocks, each message once.

        Raises
        ------
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
        hashes = np.frombuffer(b"".join(block.hashes for block in blocks), "S32")
        if not len(hashes):
            raise FeedCorrupt(
                "the topic holds no message without headers", self.address.place, "leave feed.foreign out"
            )
        _, first = np.unique(hashes, return_index=True)
        tape = concatenate([block.rows for block in blocks]).take(np.sort(first)).tape(self.options.symbol or UNNAMED)
        notes = [NOTE]
        headed = sum(block.headed for block in blocks)
        if headed:
            notes.append(f"{headed} messages of replays were left out")
        provenance = Provenance(
            source="kafka",
            place=self.address.place,
            digest=tape.digest(),
            snapshots=tape.snapshots,
            rows=tape.rows,
            trades=len(tape.trades.ts),
            topic=self.address.topic,
            partitions=spans(self.ranges),
            messages=len(first),
            resent=len(hashes) - len(first),
            empty=sum(block.empty for block in blocks),
            bad=bad,
            notes=tuple(notes),
        )
        return ((tape, provenance),)


def plan_foreign(source: str, options: ReadOptions) -> ForeignPlan:
    """Freeze a topic's offsets.

    Parameters
    ----------
    source : str
        As `feed.reader.plan_replay`.
    options : ReadOptions
        `symbol` says what the tape is called.

    Raises
    ------
    FeedUnavailable
        No broker, unknown topic.
    FeedCorrupt
        No message.
    """
    address = parse_address(source, options.access)
    with open_consumer(address) as consumer:
        held = partitions_of(consumer, address)
    ranges = tuple(
        ForeignRange(address, partition, low, min(low + RANGE_OFFSETS, last), options)
        for partition, (first, last) in held.items()
        for low in range(first, last, RANGE_OFFSETS)
    )
    if not ranges:
        raise FeedCorrupt("the topic holds no message", address.place, "fill it first")
    return ForeignPlan(address, ranges, options)
