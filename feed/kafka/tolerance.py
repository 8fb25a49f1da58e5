"""Malformed messages: how many are tolerated, and what is kept of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from feed.codecs import Record, malformed
from feed.provenance import BadMessage, Partition

if TYPE_CHECKING:
    from collections.abc import Iterable


KEPT_BYTES = 2**16
"""Bytes of a malformed message that are kept."""


def spans(ranges: Iterable[PartitionRange]) -> tuple[Partition, ...]:
    """Offsets of each partition that ranges cover, which come by partition, then by offset."""
    partitions: dict[int, Partition] = {}
    for part in ranges:
        start = partitions[part.partition].start if part.partition in partitions else part.start
        partitions[part.partition] = Partition(part.partition, start, part.end)
    return tuple(partitions.values())


def tolerated(blocks: Iterable[WithBad], most: int, more: Iterable[BadMessage] = ()) -> tuple[BadMessage, ...]:
    """Gather the messages that blocks put aside, and `more`; FeedCorrupt where they are more than `most` in all."""
    bad = (*(message for block in blocks for message in block.bad), *more)
    if len(bad) > most:
        first_over = bad[most]
        raise malformed(Record(first_over.partition, first_over.offset, first_over.value), first_over.reason)
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
    """Keep the part of a malformed message that is shown."""
    value = bytes(record.value)
    return BadMessage(record.partition, record.offset, reason, len(value), value[:KEPT_BYTES])


class Tolerance:
    """Malformed messages put aside, up to a number.

    Parameters
    ----------
    most : int
        Maximum number of messages.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._bad: dict[int, BadMessage] = {}

    @property
    def bad(self) -> tuple[BadMessage, ...]:
        """Messages put aside, by offset."""
        return tuple(sorted(self._bad.values(), key=lambda message: message.offset))

    def refuse(self, record: Record, reason: str) -> None:
        """Put a message aside, once for all of its parts; FeedCorrupt where no more messages are tolerated."""
        if record.offset in self._bad:
            return
        if len(self._bad) >= self._most:
            raise malformed(record, reason)
        self._bad[record.offset] = put_aside(record, reason)
