"""A bounded range of offsets: a small frozen value that can be read anywhere, again and again, to the same block."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from feed.codec import CODECS, END, SCHEMA, Record, malformed
from feed.errors import FeedCorrupt
from feed.kafka import STALL_SECONDS, Address, open_consumer, records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from feed.tape import Tape

AGAIN = "replay the source again: python -m feed replay SOURCE"
"""The remedy for a replay that is not whole; the topic's place follows."""


@dataclass(frozen=True, slots=True)
class KafkaBlock:
    """What one range held.

    Attributes
    ----------
    tape : Tape
    partition, start, end : int
        Offsets [start, end).
    hashes : bytes
        SHA-256 of each data message, 32 bytes each, in the order of `pseq`.
    resent : int
        Records dropped because they had come before.
    """

    tape: Tape
    partition: int
    start: int
    end: int
    hashes: bytes
    resent: int


@dataclass(frozen=True, slots=True)
class KafkaRange:
    """A bounded part of one replay in one partition; reading it is a pure function of these fields.

    Attributes
    ----------
    address : Address
    partition, start, end : int
        Offsets [start, end).
    replay, symbol, codec : str
    first, messages : int
        The `pseq` it begins with and how many data messages it must hold.
    stall : float
        Seconds without progress after which reading is an error.
    """

    address: Address
    partition: int
    start: int
    end: int
    replay: str
    symbol: str
    codec: str
    first: int
    messages: int
    stall: float = STALL_SECONDS

    def read(self) -> KafkaBlock:
        """Read, drop what was sent twice, decode.

        Raises
        ------
        FeedUnavailable
            No broker.
        FeedCorrupt
            A hole, a malformed message, one without headers, offsets that are gone, no progress.
        """
        tally = _Tally()
        with open_consumer(self.address) as consumer:
            raw = records(consumer, self.address, self.partition, self.start, self.end, stall=self.stall)
            tape = CODECS[self.codec].decode(self.symbol, self._own(raw, tally))
        found = len(tally.hashes) // 32
        if found != self.messages:
            raise self._hole(self.first + found, self.first + self.messages, self.end)
        return KafkaBlock(tape, self.partition, self.start, self.end, bytes(tally.hashes), tally.resent)

    def _own(self, raw: Iterator[Any], tally: _Tally) -> Iterator[Record]:
        """Keep this replay's data messages, each once, in order."""
        expected = self.first
        for item in raw:
            record = record_of(item)
            headers = headers_of(item, record)
            if headers["replay"] != self.replay or headers.get("kind") == END:
                continue
            pseq = _number(headers, "pseq", record)
            if pseq < expected:
                tally.resent += 1
                continue
            if pseq > expected:
                raise self._hole(expected, pseq, record.offset)
            for name, value in (("codec", self.codec), ("symbol", self.symbol), ("schema", SCHEMA)):
                if headers.get(name) != value:
                    raise malformed(record, f"header {name} is {headers.get(name)!r}, expected {value!r}")
            expected += 1
            tally.hashes += hashlib.sha256(record.value).digest()
            yield record

    def _hole(self, first: int, following: int, offset: int) -> FeedCorrupt:
        return FeedCorrupt(
            f"a hole in replay {self.replay}: messages {first} to {following - 1} of partition {self.partition} are "
            f"missing before offset {offset} of [{self.start}, {self.end})",
            self.address.place,
            f"{AGAIN} {self.address.place}",
        )


@dataclass(slots=True)
class _Tally:
    hashes: bytearray = field(default_factory=bytearray)
    resent: int = 0


def record_of(item: Any) -> Record:  # noqa: ANN401 - untyped client
    """What the codecs need of a client's record."""
    return Record(item.partition, item.offset, item.value or b"")


def headers_of(item: Any, record: Record) -> dict[str, str]:  # noqa: ANN401 - untyped client
    """Read a record's headers.

    Raises
    ------
    FeedCorrupt
        They are no text, or not those of a replay.
    """
    try:
        headers = {name: (value or b"").decode() for name, value in item.headers}
    except UnicodeDecodeError as error:
        raise malformed(record, "a header is no text") from error
    if not headers.get("replay"):
        raise malformed(record, "it carries no headers of a replay")
    return headers


def _number(headers: dict[str, str], name: str, record: Record) -> int:
    text = headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise malformed(record, f"header {name} is {text[:40]!r}, expected a number")
    return int(text)
