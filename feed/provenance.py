"""Where a tape came from, and what proves it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[Any]
    Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Partition:
    """Offsets [start, end) that were read of one partition, end record included."""

    partition: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class BadMessage:
    """A malformed message that was put aside.

    Attributes
    ----------
    partition, offset : int
    reason : str
    size : int
        Bytes of its value.
    value : bytes
        The first of them.
    """

    partition: int
    offset: int
    reason: str
    size: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a tape came from, and what proves it.

    Attributes
    ----------
    source : str
        ``file``, ``s3`` or ``kafka``.
    place : str
        Path, or the address of the topic; never a secret.
    digest : str
        `Tape.digest` of the rows inside window and warm-up.
    snapshots, rows, trades : int
        Of the same rows.
    topic, replay : str, optional
        Where Kafka was read.
    partitions : tuple of Partition
        Empty for a file.
    messages : int, optional
        Data messages of the replay, the end records not counted.
    resent : int
        Records that a producer sent twice and the reader dropped.
    empty : int
        Offsets without a data record: control records, or messages that compaction removed.
    bad : tuple of BadMessage
        Malformed messages that were tolerated and put aside.
    ignored : dict of str to int
        What was left out, by reason: of the whole file, all but book rows and usable trades; of a topic without our
        headers, messages.
    notes : tuple of str
        What the reader decided about the format.
    """

    source: str
    place: str
    digest: str
    snapshots: int
    rows: int
    trades: int
    topic: str | None = None
    replay: str | None = None
    partitions: tuple[Partition, ...] = ()
    messages: int | None = None
    resent: int = 0
    empty: int = 0
    bad: tuple[BadMessage, ...] = ()
    ignored: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: the attributes; messages put aside without their bytes."""
        bad = [
            {"partition": each.partition, "offset": each.offset, "reason": each.reason, "size": each.size}
            for each in self.bad
        ]
        attributes = {each.name: getattr(self, each.name) for each in fields(self)}
        spans = tuple(map(asdict, self.partitions))
        return attributes | {"partitions": spans, "bad": bad, "ignored": dict(self.ignored)}
