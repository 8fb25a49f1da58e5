"""The producer: sends tapes into a topic, at recorded pace or as fast as it goes, and an end record to prove them."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.codecs import codec_named, known_codecs
from feed.console import listing
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.instants import format_instant
from feed.kafka.address import Address, parse_address
from feed.kafka.client import DELIVERY_SECONDS, MAX_MESSAGE, murmur2, open_consumer, translated
from feed.kafka.headers import OWN, SCHEMA, EndRecord, Listed, encode_end, end_headers, replay_digest, shared_headers
from feed.kafka.senders import ACKNOWLEDGE_SECONDS, SENDERS, Covered
from feed.kafka.topic import beginnings, check_fit, check_room, made_settings_of
from feed.plugins import UnknownNameError, refusing
from feed.provenance import Partition
from feed.tape import Tape, join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from feed.codecs import Codec, Messages
    from feed.kafka.senders import Sender
    from feed.tape import Int64

UNACKNOWLEDGED_BYTES = 32 * 2**20
"""Bound on values sent and not yet acknowledged; kafka-python's own buffer has none."""

_REPLAY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_INCOMPLETE = "the replay is incomplete: check that the broker is up and replay again"
_FIT = "use a real Kafka broker with enough retention, or a narrower --start and --end"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay has put into its topic.

    Attributes
    ----------
    replay : str
    place : str
        The address, as text.
    topic : str
    symbols : tuple of str
        Ascending.
    partitions : tuple of Partition
        Offsets [start, end), end record included.
    messages : int
        Data messages, the end records not counted.
    digest : str
        `feed.kafka.headers.replay_digest` of what was sent.
    seconds : float
        From the first message to the last acknowledgement.
    """

    replay: str
    place: str
    topic: str
    symbols: tuple[str, ...]
    partitions: tuple[Partition, ...]
    messages: int
    digest: str
    seconds: float


PARTITIONERS: dict[str, Callable[[int, Int64, Int64], Int64]] = {
    "symbol": lambda count, hashes, _seqs: hashes % count,
    "spread": lambda count, _hashes, seqs: seqs % count,
}
"""Partitions of messages, by count of partitions, `hash_of` their symbols and numbers: by Kafka's own rule for a key,
or in turn."""


def hash_of(symbol: str) -> int:
    """Hash a symbol as Kafka's own client hashes a key."""
    number: int = murmur2(symbol.encode())
    return number & 0x7FFFFFFF


@dataclass(slots=True)
class _Lane:
    """One partition while it is being filled."""

    messages: int = 0
    rows: int = 0
    nbytes: int = 0
    start: int = -1
    end: int = -1
    hashes: Any = field(default_factory=hashlib.sha256)


def new_replay_id() -> str:
    """Name a replay: the UTC second and eight random digits, so that names sort by time and never collide."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def paced(
    stream: Iterable[Messages],
    *,
    speed: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    before_wait: Callable[[], None] = lambda: None,
) -> Iterator[Messages]:
    """Yield messages when they are due: at recorded gaps divided by `speed`, counted from the first one.

    Parameters
    ----------
    stream : iterable of Messages
        Ascending instants.
    speed : float
        0 = at once.
    clock, sleep : callable
        Seconds, monotonic; a wait of seconds.
    before_wait : callable
        Called before each wait, to send what is still batched.

    Yields
    ------
    Messages
        All that are due by now.
    """
    if speed == 0:
        yield from stream
        return
    anchor: tuple[float, int] | None = None
    for messages in stream:
        if anchor is None:
            anchor = clock(), int(messages.ts[0])
        due = anchor[0] + (messages.ts - anchor[1]) / 1e9 / speed
        at = 0
        while at < len(messages):
            count = int(np.searchsorted(due[at:], clock(), "right"))
            if count:
                yield messages.cut(at, at + count)
                at += count
                continue
            before_wait()
            # A sleep may end early, and the flush takes time: only the clock says whether it is due.
            while (remaining := float(due[at]) - clock()) > 0:
                sleep(remaining)


def replay(
    tapes: Tape | Sequence[Tape],
    address: Address | str,
    *,
    speed: float = 0.0,
    codec: str = "json",
    partition: str = "symbol",
    replay_id: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_note: Callable[[str], None] = lambda _note: None,
) -> Replayed:
    """Send tapes into a topic, by time, then the end record, and check that the broker has kept all of it.

    Parameters
    ----------
    tapes : Tape or sequence of Tape
        Several of one symbol are joined.
    address : Address or str
    speed : float
        0 = as fast as it goes; X = recorded gaps divided by X.
    codec : str
        A name of `feed.codecs.registry.CODECS`, or of a plug-in.
    partition : str
        A key of `PARTITIONERS`.
    replay_id : str, optional
        1 to 64 of A-Z a-z 0-9 . _ -; a new one by default.
    on_progress : callable, optional
        Called with the messages sent so far and the instant of the last, UTC nanoseconds.
    on_note : callable
        Called, before anything is sent, with what a user has to know about the topic.

    Returns
    -------
    Replayed

    Raises
    ------
    FeedUnavailable
        No broker or none any more, a topic that would not keep the replay, an empty tape, an unknown codec or
        partitioner, or a bad speed or id.
    FeedCorrupt
        A message beyond the bound, or a stream that the broker has not kept.
    """
    address = parse_address(address) if isinstance(address, str) else address
    name = new_replay_id() if replay_id is None else replay_id
    tapes = _by_name([tapes] if isinstance(tapes, Tape) else tapes)
    _check(tapes, address, speed=speed, partition=partition, name=name)
    written = _codec(codec)
    settings = made_settings_of(address)
    hashes = np.array([hash_of(tape.symbol) for tape in tapes])

    def partition_of(count: int, numbers: Int64, seqs: Int64) -> Int64:
        return PARTITIONERS[partition](count, hashes[numbers], seqs)

    room = check_room(settings, address, tapes, written, partition_of)
    for note in (*check_fit(settings, address, _duration(tapes, speed)), *room):
        on_note(note)
    began = time.perf_counter()
    covers = [Covered(tape.symbol.encode(), shared_headers(name, tape.symbol, codec)) for tape in tapes]
    opened = SENDERS[address.access.client]
    with opened(address, covers, OWN, settings, compressed=written.compressed) as sender:
        fill = _Fill(sender, address, partition_of)
        fill.send(paced(written.stream(tapes), speed=speed, before_wait=fill.flush), on_progress)
        digests = {tape.symbol: tape.digest() for tape in tapes}
        end = EndRecord(
            replay=name,
            codec=codec,
            schema=SCHEMA,
            messages=sum(lane.messages for lane in fill.lanes.values()),
            digest=replay_digest(digests),
            tapes=digests,
            partitions={
                number: Listed(lane.messages, lane.rows, lane.nbytes, lane.start, lane.end, lane.hashes.hexdigest())
                for number, lane in fill.lanes.items()
            },
        )
        partitions = _finish(sender, address, end)
    seconds = time.perf_counter() - began
    _check_kept(address, partitions)
    return Replayed(name, address.place, address.topic, tuple(digests), partitions, end.messages, end.digest, seconds)


def _by_name(tapes: Sequence[Tape]) -> list[Tape]:
    """One tape per symbol, ascending."""
    by_symbol: dict[str, list[Tape]] = {}
    for tape in tapes:
        by_symbol.setdefault(tape.symbol, []).append(tape)
    return [join(parts) for _, parts in sorted(by_symbol.items())]


def _duration(tapes: Sequence[Tape], speed: float) -> float:
    """Minimum seconds that a replay takes."""
    spans = [tape.span for tape in tapes]
    return (max(last for _, last in spans) - min(first for first, _ in spans)) / 1e9 / speed if speed else 0.0


def _codec(name: str) -> Codec:
    """A codec by name; FeedUnavailable where it cannot be had."""
    with refusing("--codec"):
        try:
            return codec_named(name)
        except UnknownNameError:
            raise FeedUnavailable(f"unknown codec {name!r}: there is {known_codecs()}") from None


def _check(tapes: Sequence[Tape], address: Address, *, speed: float, partition: str, name: str) -> None:
    if partition not in PARTITIONERS:
        raise FeedUnavailable(f"unknown partitioner {partition!r}; {listing('partitioners', PARTITIONERS)}")
    if not 0 <= speed < float("inf"):
        raise FeedUnavailable(f"speed {speed} is no speed", remedy="use 0 for as fast as it goes, 1 for recorded gaps")
    if not _REPLAY_ID.fullmatch(name):
        raise FeedUnavailable(f"replay id {name[:80]!r}: expected 1 to 64 of A-Z a-z 0-9 . _ -")
    if not tapes or any(not tape.rows and not len(tape.trades.ts) for tape in tapes):
        raise FeedUnavailable("there is nothing to replay: the tape is empty", address.place)


class _Fill:
    """Sends the data messages of a replay into their partitions and waits for their acknowledgements."""

    def __init__(self, sender: Sender, address: Address, partition_of: Callable[[int, Int64, Int64], Int64]) -> None:
        self._sender, self._address, self._partition_of = sender, address, partition_of
        self._numbers = np.array(sender.partitions())
        self._seq = 0
        self.lanes: dict[int, _Lane] = {}

    def send(self, stream: Iterable[Messages], on_progress: Callable[[int, int], None] | None) -> None:
        """Send messages and wait until each is acknowledged."""
        with translated(self._address, _INCOMPLETE):
            for messages in stream:
                self._send(messages)
                self._acknowledge(UNACKNOWLEDGED_BYTES)
                if on_progress is not None:
                    on_progress(self._seq, int(messages.ts[-1]))
            self.flush()

    def flush(self) -> None:
        """Send what is batched, and wait until each message is acknowledged."""
        with translated(self._address, _INCOMPLETE):
            self._sender.flush()
            self._acknowledge(0)

    def _send(self, messages: Messages) -> None:
        values = messages.values.to_pylist()
        sizes = np.fromiter(map(len, values), np.int64, len(values))
        _check_size(messages, sizes, self._address)
        seqs = np.arange(self._seq, self._seq + len(values))
        hashes = b"".join([each.digest() for each in map(hashlib.sha256, values)])
        places = self._numbers[self._partition_of(len(self._numbers), messages.tapes, seqs)]
        used = np.flatnonzero(np.bincount(places)).tolist()
        for number in used:
            part = messages
            numbers, nbytes, digests = seqs, int(sizes.sum()), hashes
            if len(used) > 1:
                which = np.flatnonzero(places == number)
                part, numbers, nbytes = messages.take(which), seqs[which], int(sizes[which].sum())
                digests = np.frombuffer(hashes, "V32")[which].tobytes()
            lane = self.lanes.setdefault(number, _Lane())
            self._sender.add(number, part, (numbers, np.arange(lane.messages, lane.messages + len(part))))
            lane.messages += len(part)
            lane.rows += int(part.rows.sum())
            lane.nbytes += nbytes
            lane.hashes.update(digests)
        self._seq += len(values)

    def _acknowledge(self, bound: int) -> None:
        """Note the offsets of the oldest acknowledged batches; wait while more than `bound` bytes are pending."""
        sent = self._sender.sent
        pending = sum(batch.nbytes for batch in sent)
        while sent and (pending > bound or sent[0].is_done):
            batch = sent.popleft()
            pending -= batch.nbytes
            start, end = batch.offsets(ACKNOWLEDGE_SECONDS)
            lane = self.lanes[batch.partition]
            if lane.start < 0:
                lane.start = start
            if start < max(lane.end, 0):
                raise FeedCorrupt(
                    f"the broker put offset {start} after {lane.end - 1}",
                    f"{self._address.place}, partition {batch.partition}",
                    "delete the topic or use a new one, and replay again",
                )
            lane.end = end


def _check_size(messages: Messages, sizes: Int64, address: Address) -> None:
    at = int(sizes.argmax())
    if sizes[at] > MAX_MESSAGE:
        raise FeedCorrupt(
            f"the message of {format_instant(int(messages.ts[at]))} has {sizes[at]} bytes, more than the bound of "
            f"{MAX_MESSAGE}",
            address.place,
            "check the source for a burst of rows with one time stamp",
        )


def _finish(sender: Sender, address: Address, end: EndRecord) -> tuple[Partition, ...]:
    """Write the end record into each used partition."""
    used = sorted(end.partitions)
    with translated(address, _INCOMPLETE):
        offsets = sender.finish(used, encode_end(end), end_headers(end.replay, end.codec))
    return tuple(
        Partition(partition, end.partitions[partition].start, offset + 1)
        for partition, offset in zip(used, offsets, strict=True)
    )


def _check_kept(address: Address, partitions: tuple[Partition, ...]) -> None:
    """Refuse a stream whose first messages are gone already: a broker drops the oldest without an error."""
    with open_consumer(address, DELIVERY_SECONDS) as consumer:
        first = beginnings(consumer, address, [part.partition for part in partitions])
    for part in partitions:
        start, offset = part.start, first[part.partition]
        if offset > start:
            raise FeedCorrupt(
                f"the stream does not fit: the broker dropped offsets [{start}, {offset}) of partition "
                f"{part.partition} (the embedded one keeps 5 MiB of a partition)",
                address.place,
                _FIT,
            )
