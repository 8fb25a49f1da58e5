"""The consumer: find a complete replay in a topic, freeze its offset ranges, prove that nothing is missing of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from feed.codec import CODECS, END, SCHEMA, EndRecord, Listed, Record, decode_end, malformed
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.kafka import Address, listing, open_consumer, parse_address, partitions_of, records
from feed.ranges import AGAIN, KafkaBlock, KafkaRange, headers_of, record_of
from feed.tape import Partition, Provenance, Tape, join

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW = 1000
"""Offsets that one step backwards looks at for an end record."""


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """One complete replay, frozen: its ranges and what its end record promises of them.

    Attributes
    ----------
    address : Address
    replay, symbol : str
    digest : str
        `Tape.digest` of what was sent.
    ranges : tuple of KafkaRange
    listed : tuple of (int, Listed)
        Partition and what the end record says of it.
    notes : tuple of str
    """

    address: Address
    replay: str
    symbol: str
    digest: str
    ranges: tuple[KafkaRange, ...]
    listed: tuple[tuple[int, Listed], ...]
    notes: tuple[str, ...] = ()

    def merge(self, blocks: Sequence[KafkaBlock]) -> tuple[Tape, Provenance]:
        """Join the blocks and prove them against the end record.

        Parameters
        ----------
        blocks : sequence of KafkaBlock
            In the order of `ranges`.

        Raises
        ------
        FeedCorrupt
            A count or a digest differs.
        """
        for partition, listed in self.listed:
            hashes = b"".join(block.hashes for block in blocks if block.partition == partition)
            if len(hashes) // 32 != listed.messages:
                raise self._differs(f"partition {partition}: {len(hashes) // 32} of {listed.messages} messages")
            if hashlib.sha256(hashes).hexdigest() != listed.digest:
                raise self._differs(f"partition {partition}: the messages' digest differs from the end record's")
        tape = join([block.tape for block in blocks])
        if tape.digest() != self.digest:
            raise self._differs("the tape's digest differs from the end record's")
        return tape, Provenance(
            source="kafka",
            place=self.address.place,
            digest=self.digest,
            snapshots=tape.snapshots,
            rows=tape.rows,
            trades=len(tape.trades.ts),
            topic=self.address.topic,
            replay=self.replay,
            partitions=tuple(Partition(part.partition, part.start, part.end) for part in self.ranges),
            messages=sum(listed.messages for _, listed in self.listed),
            resent=sum(block.resent for block in blocks),
            notes=self.notes,
        )

    def _differs(self, what: str) -> FeedCorrupt:
        return FeedCorrupt(f"replay {self.replay}, {what}", self.address.place, f"{AGAIN} {self.address.place}")


def plan_replay(source: str, *, symbol: str | None = None, replay: str | None = None) -> ReplayPlan:
    """Freeze a topic's offsets and choose the replay to read.

    Parameters
    ----------
    source : str
        ``kafka://HOST:PORT[,HOST:PORT]/TOPIC[?api_version=X.Y]``.
    symbol : str, optional
        Must be the replay's, where given.
    replay : str, optional
        The newest complete one by default: greatest time of its end record, ties by id.

    Raises
    ------
    FeedUnavailable
        No broker, unknown topic, replay or symbol.
    FeedCorrupt
        No message, no complete replay, messages without headers, a start that retention took.
    """
    address = parse_address(source)
    with open_consumer(address) as consumer:
        held = partitions_of(consumer, address)
        seen = _Seen()
        for partition, (first, last) in held.items():
            _look_back(consumer, address, partition, first, last, seen, replay)
    if not seen.ends:
        raise _no_replay(address, held, seen, replay)
    _, _, end, record = max(seen.ends, key=lambda found: (found[0], found[1]))
    _check_listed(address, end, record, held)
    if symbol is not None and symbol not in end.symbols:
        raise FeedUnavailable(
            f"replay {end.replay} does not hold {symbol!r}; {listing('symbols', end.symbols)}", address.place
        )
    chosen = end.symbols[0] if symbol is None else symbol
    ranges = tuple(
        KafkaRange(
            address,
            partition,
            listed.start,
            record.offset + 1 if partition == record.partition else listed.end,
            end.replay,
            chosen,
            end.codec,
            0,
            listed.messages,
        )
        for partition, listed in sorted(end.partitions.items())
    )
    listed = tuple(sorted(end.partitions.items(), key=lambda item: item[0]))
    newer = sorted(set(seen.counts) - {end.replay}) if replay is None else []
    notes = (f"newer and incomplete, passed over: {listing('replays', newer)}",) if newer else ()
    return ReplayPlan(address, end.replay, chosen, end.digest, ranges, listed, notes)


@dataclass(slots=True)
class _Seen:
    """What looking back found: end records by broker time and replay, data messages after them by replay."""

    ends: list[tuple[int, str, EndRecord, Record]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    complete: set[str] = field(default_factory=set)


def _look_back(
    consumer: Any,  # noqa: ANN401 - untyped client
    address: Address,
    partition: int,
    first: int,
    last: int,
    seen: _Seen,
    replay: str | None,
) -> None:
    """Go through a partition from its tail until a window holds the end record that is looked for."""
    high = last
    bare: Record | None = None
    while high > first:
        low = max(first, high - WINDOW)
        found: list[tuple[int, str, EndRecord, Record]] = []
        after: Counter[str] = Counter()
        for item in records(consumer, address, partition, low, high):
            record = record_of(item)
            try:
                headers = headers_of(item, record)
            except FeedCorrupt:
                bare = bare or record
                continue
            name = headers["replay"]
            if headers.get("kind") == END:
                seen.complete.add(name)
                if replay is None:
                    after.clear()
                if replay in {None, name}:
                    found.append((item.timestamp, name, decode_end(record, name), record))
            else:
                after[name] += 1
        seen.counts += after
        if found:
            seen.ends.append(max(found, key=lambda candidate: candidate[:2]))
            return
        high = low
    if bare is not None and not seen.complete and not seen.counts:
        raise malformed(bare, "it carries no headers of a replay")


def _no_replay(
    address: Address, held: dict[int, tuple[int, int]], seen: _Seen, replay: str | None
) -> FeedUnavailable | FeedCorrupt:
    remedy = f"{AGAIN} {address.place}"
    if not any(last > first for first, last in held.values()):
        gone = max((last for _, last in held.values()), default=0)
        what = f"the topic is empty: retention took all before offset {gone}" if gone else "the topic holds no message"
        return FeedCorrupt(what, address.place, remedy)
    if replay is not None and replay not in seen.counts:
        there = listing("replays", {*seen.complete, *seen.counts})
        return FeedUnavailable(f"there is no replay {replay!r}; {there}", address.place, remedy)
    counts = {f"{name} ({count} messages)" for name, count in seen.counts.items() if replay in {None, name}}
    ranges = ", ".join(f"partition {part} [{first}, {last})" for part, (first, last) in held.items() if last > first)
    return FeedCorrupt(
        f"incomplete: no end record in {ranges[:300]}; {listing('replays', counts)}", address.place, remedy
    )


def _check_listed(address: Address, end: EndRecord, record: Record, held: dict[int, tuple[int, int]]) -> None:
    """Compare the end record's table with what the topic holds."""
    if end.schema.partition(".")[0] != SCHEMA.partition(".")[0]:
        raise malformed(record, f"schema {end.schema!r}, this reader knows {SCHEMA}")
    if end.codec not in CODECS:
        raise malformed(record, f"codec {end.codec!r}, this reader knows {', '.join(sorted(CODECS))}")
    if record.partition not in end.partitions:
        raise malformed(record, "end record: it does not list its own partition")
    for partition, listed in end.partitions.items():
        first, last = held.get(partition, (0, 0))
        bound = record.offset if partition == record.partition else last
        if listed.end > bound:
            raise malformed(record, f"end record: it lists offsets to {listed.end} of partition {partition}, not there")
        if listed.start < first:
            raise FeedCorrupt(
                f"replay {end.replay} lost its start: offsets [{listed.start}, {min(first, listed.end)}) of partition "
                f"{partition} are gone, retention or a deletion took them",
                address.place,
                f"{AGAIN} {address.place}, or keep the topic longer",
            )
