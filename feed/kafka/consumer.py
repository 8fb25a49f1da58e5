"""The consumer: find a complete replay in a topic, freeze its offset ranges, prove that nothing in them is missing."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from feed.codecs import CODEC, Record, known_codecs, malformed
from feed.console import listing
from feed.errors import FeedCorrupt, FeedError, FeedUnavailable
from feed.kafka.address import Address, parse_address
from feed.kafka.bounded_read import records
from feed.kafka.client import NoTopic, open_consumer
from feed.kafka.headers import END, NO_HEADERS, SCHEMA, EndRecord, decode_end, headers_of
from feed.kafka.merge import merge_blocks
from feed.kafka.ranges import AGAIN, KafkaBlock, KafkaRange
from feed.kafka.tolerance import spans, tolerated
from feed.kafka.topic import partitions_of
from feed.levels import MOST_LEVELS
from feed.options import DEFAULTS, ReadOptions
from feed.plugins import UnknownNameError, plugin_of, refusing
from feed.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from feed.plan import TapeSpan
    from feed.plugins import Plugin
    from feed.tape import Tape

WINDOW = 1000
"""Offsets in the first step of the backward search for an end record."""

WIDER = 4
"""Factor by which each further step grows: a step is a new fetch, and mostly one is enough."""

RANGE_BYTES = 64 * 2**20
"""Bytes of values above which a partition is read in several ranges."""

RANGE_ROWS = 2**20
"""The same in quotes and trades, as their decoded size does not follow from the bytes."""

LOOK_SECONDS = 0.5
"""Seconds between two looks for an awaited replay."""


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """One complete replay, frozen: its ranges and what its end record promises about them.

    Attributes
    ----------
    address : Address
    end : EndRecord
    ranges : tuple of KafkaRange
        By partition, then by offset.
    symbols : tuple of str
        The tapes to make, ascending.
    options : ReadOptions
    notes : tuple of str
    """

    address: Address
    end: EndRecord
    ranges: tuple[KafkaRange, ...]
    symbols: tuple[str, ...]
    options: ReadOptions = DEFAULTS
    notes: tuple[str, ...] = ()

    @property
    def held(self) -> int | None:
        """`max_bytes`, if the user set it."""
        return self.options.of_file

    @property
    def separate(self) -> bool:
        """Partitions hold rows of all tapes."""
        return False

    def spans(self, *_: object) -> tuple[TapeSpan, ...]:
        """Not asked for."""
        return ()

    def merge(self, blocks: Sequence[KafkaBlock]) -> tuple[tuple[Tape, Provenance], ...]:
        """Join the blocks and prove them against the end record.

        Parameters
        ----------
        blocks : sequence of KafkaBlock
            In the order of `ranges`.

        Raises
        ------
        FeedCorrupt
            A count or a digest differs, or there are too many malformed messages in all.
        """
        bad = tolerated(blocks, self.options.max_bad)
        tapes, resent = merge_blocks(self.address, self.end, self.ranges, blocks, self.symbols)
        tombstones = sum(block.tombstones for block in blocks)
        notes, most = self.notes, self.options.depth or MOST_LEVELS
        if bad:
            notes += (f"{len(bad)} malformed messages were put aside, so no digest of the source proves the tape",)
        return tuple(
            (
                tape,
                Provenance(
                    source="kafka",
                    place=self.address.place,
                    digest=tape.digest() if bad or cut else self.end.tapes[tape.symbol],
                    snapshots=tape.snapshots,
                    rows=tape.rows,
                    trades=len(tape.trades.ts),
                    topic=self.address.topic,
                    replay=self.end.replay,
                    partitions=spans(self.ranges),
                    messages=self.end.messages,
                    resent=resent + sum(block.resent for block in blocks),
                    empty=sum(block.empty for block in blocks),
                    bad=bad,
                    ignored={"tombstone": tombstones} if tombstones else {},
                    notes=notes,
                ),
            )
            # the end record proves all levels of a tape
            for tape, cut in ((each.up_to(most), each.depth > most) for each in tapes)
        )


def plan_replay(
    source: str,
    options: ReadOptions = DEFAULTS,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ReplayPlan:
    """Freeze a topic's offsets and choose the replay to read.

    Parameters
    ----------
    source : str
        ``kafka://HOST:PORT[,HOST:PORT]/TOPIC[?api_version=X.Y]``.
    options : ReadOptions
        With `wait` above 0, wait for a topic or replay that is missing or not ended, until nothing new comes for that
        long.
    clock, sleep : callable
        Seconds, monotonic; a wait of seconds.

    Raises
    ------
    FeedUnavailable
        No broker; an unknown topic, replay or symbol.
    FeedCorrupt
        No message, no complete replay, only messages without headers, or retention took the start.
    """
    address = parse_address(source, options.access)
    scan = _Scan()
    with open_consumer(address) as consumer:
        since, looked = clock(), scan.looked
        while True:
            offsets, missing = {}, None
            try:
                offsets = partitions_of(consumer, address)
                scan.look(consumer, address, offsets, options)
                missing = scan.missing(address, offsets, options)
            except NoTopic as error:
                missing = error
            if looked != (looked := dict(scan.looked)):
                since = clock()
            if missing is None and not (options.wait and options.replay is None and scan.newer):
                break
            if clock() - since >= options.wait:
                if missing is not None:
                    raise missing
                break
            sleep(min(LOOK_SECONDS, options.wait))
    _, _, end, record = max(scan.ends, key=lambda entry: entry[:2])
    return _plan(address, end, record, offsets, scan, options)


def _plan(
    address: Address,
    end: EndRecord,
    record: Record,
    offsets: dict[int, tuple[int, int]],
    scan: _Scan,
    options: ReadOptions,
) -> ReplayPlan:
    _check_listed(address, end, record, offsets, options)
    plugin = _codec(end, record, address)
    if options.symbol is not None and options.symbol not in end.tapes:
        raise FeedUnavailable(
            f"replay {end.replay} does not hold {options.symbol!r}; {listing('symbols', end.tapes)}", address.place
        )
    ranges = []
    ends = {
        last_record.partition: last_record.offset + 1 for _, name, _, last_record in scan.ends if name == end.replay
    }
    for partition, listed in sorted(end.partitions.items()):
        last = ends.get(partition, listed.end)
        pieces = max(1, -(-listed.bytes // RANGE_BYTES), -(-listed.rows // RANGE_ROWS))
        pieces = min(pieces, last - listed.start)
        bounds = [listed.start + (last - listed.start) * i // pieces for i in range(pieces + 1)]
        ranges += [
            KafkaRange(
                address,
                partition,
                low,
                high,
                end.replay,
                end.codec,
                tuple(end.tapes),
                first=low == listed.start,
                options=options,
                plugin=plugin,
            )
            for low, high in itertools.pairwise(bounds)
        ]
    newer = sorted(scan.newer) if options.replay is None else []
    notes = (f"newer and incomplete, passed over: {listing('replays', newer)}",) if newer else ()
    symbols = tuple(sorted(end.tapes)) if options.symbol is None else (options.symbol,)
    return ReplayPlan(address, end, tuple(ranges), symbols, options, notes)


@dataclass(slots=True)
class _Scan:
    """What the search through a topic has seen so far.

    Attributes
    ----------
    ends : list
        Broker time, replay, end record, and the record that holds it.
    complete : set of str
        Replays with a seen end record.
    counts : Counter of str
        Data messages seen of each replay; not all, where an end record came before its start was reached.
    newest : dict of str to int
        Broker time of the last data message seen of each replay.
    looked : dict of int to int
        Offset up to which each partition was searched.
    bare : Record, optional
        A message without headers.
    """

    ends: list[tuple[int, str, EndRecord, Record]] = field(default_factory=list)
    complete: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    newest: dict[str, int] = field(default_factory=dict)
    looked: dict[int, int] = field(default_factory=dict)
    bare: Record | None = None

    @property
    def ended(self) -> int:
        """Broker time of the newest end record; -1 where there is none."""
        return max((entry[0] for entry in self.ends), default=-1)

    @property
    def newer(self) -> set[str]:
        """Replays without an end record whose last message is newer than the newest end record."""
        return {name for name, when in self.newest.items() if name not in self.complete and when >= self.ended}

    def look(
        self,
        consumer: Any,  # noqa: ANN401 - untyped client
        address: Address,
        offsets: dict[int, tuple[int, int]],
        options: ReadOptions,
    ) -> None:
        """Search what is new in each partition, from its tail back to an end record."""
        for partition, (first, last) in offsets.items():
            low = max(first, self.looked.get(partition, first))
            high, width = last, WINDOW
            while high > low:
                at = max(low, high - width)
                ends, latest = self._window(
                    records(consumer, address, partition, at, high, deadline=options.deadline), options.replay
                )
                if ends:
                    when, name, record = max(ends, key=lambda entry: entry[:2])
                    self.ends.append((when, name, decode_end(record, name), record))
                    break
                if options.replay is None and latest is not None and latest < self.ended:
                    break  # all before it is older than the end record of another partition
                high, width = at, WIDER * width
            self.looked[partition] = last

    def _window(self, items: Iterator[Record], replay: str | None) -> tuple[list[tuple[int, str, Record]], int | None]:
        """Note what some records are; return the end records among them, and the newest broker time."""
        ends: list[tuple[int, str, Record]] = []
        latest = None
        for record in items:
            latest = record.timestamp if latest is None else max(latest, record.timestamp)
            try:
                headers = headers_of(record)
            except FeedCorrupt:
                if not record.tombstone:
                    self.bare = self.bare or record
                continue
            name = headers["replay"]
            if headers.get("kind") != END:
                self.counts[name] += 1
                self.newest[name] = max(record.timestamp, self.newest.get(name, -1))
                continue
            self.complete.add(name)
            if replay in {None, name}:
                ends.append((record.timestamp, name, record))
        return ends, latest

    def missing(self, address: Address, offsets: dict[int, tuple[int, int]], options: ReadOptions) -> FeedError | None:
        """Error that says why there is no replay to read; None where there is one."""
        if self.ends:
            return None
        remedy = f"{AGAIN} {address.place}"
        replay = options.replay
        if not any(last > first for first, last in offsets.values()):
            gone = max((last for _, last in offsets.values()), default=0)
            what = (
                f"the topic is empty: retention took all before offset {gone}" if gone else "the topic holds no message"
            )
            return FeedCorrupt(what, address.place, remedy)
        if self.bare is not None and not self.complete and not self.counts:
            return malformed(self.bare, NO_HEADERS)
        if replay is not None and replay not in self.counts:
            known_replays = listing("replays", {*self.complete, *self.counts})
            return FeedUnavailable(f"there is no replay {replay!r}; {known_replays}", address.place, remedy)
        counts = {f"{name} ({count} messages)" for name, count in self.counts.items() if replay in {None, name}}
        ranges = ", ".join(
            f"partition {part} [{first}, {last})" for part, (first, last) in offsets.items() if last > first
        )
        return FeedCorrupt(
            f"incomplete: no end record in {ranges[:300]}; {listing('replays', counts)}", address.place, remedy
        )


def _codec(end: EndRecord, record: Record, address: Address) -> Plugin | None:
    """The plug-in whose codec wrote a replay; None of what is built in.

    A topic may be anybody's: it chooses among the codecs that are installed, by name.
    """
    with refusing(address.place):
        try:
            return plugin_of(CODEC, end.codec)
        except UnknownNameError:
            raise malformed(record, f"codec {end.codec!r}, this reader knows {known_codecs()}") from None


def _check_listed(
    address: Address, end: EndRecord, record: Record, offsets: dict[int, tuple[int, int]], options: ReadOptions
) -> None:
    """Check the end record's table against what the topic holds."""
    if end.schema.partition(".")[0] != SCHEMA.partition(".")[0]:
        raise malformed(record, f"schema {end.schema!r}, this reader knows {SCHEMA}")
    if record.partition not in end.partitions:
        raise malformed(record, "end record: it does not list its own partition")
    for partition, listed in end.partitions.items():
        first, last = offsets.get(partition, (0, 0))
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
    promised = sum(listed.bytes for listed in end.partitions.values())
    if promised > options.max_bytes:
        raise FeedCorrupt(
            f"replay {end.replay} has {promised:,} bytes, more than the bound of {options.max_bytes:,}",
            address.place,
            "set feed.max_bytes",
        )
