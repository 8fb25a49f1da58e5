"""The producer: sends tapes into a topic, at recorded pace or as fast as it goes, and an end record to prove them."""

from __future__ import annotations

import hashlib
import heapq
import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from feed.codecs import CODECS
from feed.console import listing
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.instants import format_instant
from feed.kafka.address import Address, parse_address
from feed.kafka.batch_packing import Envelope, Packer, envelope
from feed.kafka.client import DELIVERY_SECONDS, MAX_MESSAGE, murmur2, open_consumer, open_producer, translated
from feed.kafka.headers import OWN, SCHEMA, EndRecord, Listed, encode_end, end_headers, replay_digest, shared_headers
from feed.kafka.topic import beginnings, check_fit, check_room, made_settings_of
from feed.provenance import Partition
from feed.tape import Tape, join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

UNACKNOWLEDGED_BYTES = 32 * 2**20
"""Bound on values sent and not yet acknowledged; kafka-python's own buffer has none."""

ACKNOWLEDGE_SECONDS = DELIVERY_SECONDS + 15
"""Longer than the client's own limit, so that the client says why it gives up."""

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


class Outgoing(NamedTuple):
    """A message of a symbol, due at `ts` (UTC nanoseconds), with `rows` quotes and trades."""

    ts: int
    symbol: str
    value: bytes
    rows: int


@cache
def _by_symbol(count: int, symbol: str) -> int:
    place: int = murmur2(symbol.encode())
    return (place & 0x7FFFFFFF) % count


PARTITIONERS: dict[str, Callable[[int, str, int], int]] = {
    "symbol": lambda count, symbol, _seq: _by_symbol(count, symbol),
    "spread": lambda count, _symbol, seq: seq % count,
}
"""Partition of a message, by count of partitions, symbol and number: by Kafka's own rule for a key, or in turn."""


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
    messages: Iterable[Outgoing],
    *,
    speed: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    before_wait: Callable[[], None] = lambda: None,
) -> Iterator[Outgoing]:
    """Yield messages when they are due: at recorded gaps divided by `speed`, counted from the first one.

    Parameters
    ----------
    messages : iterable of Outgoing
        Ascending instants.
    speed : float
        0 = at once.
    clock, sleep : callable
        Seconds, monotonic; a wait of seconds.
    before_wait : callable
        Called before each wait, to send what is still batched.

    Yields
    ------
    Outgoing
    """
    if speed == 0:
        yield from messages
        return
    anchor: tuple[float, int] | None = None
    for message in messages:
        if anchor is None:
            anchor = clock(), message.ts
        due = anchor[0] + (message.ts - anchor[1]) / 1e9 / speed
        if due > clock():
            before_wait()
            # A sleep may end early, and the flush takes time: only the clock says whether it is due.
            while (remaining := due - clock()) > 0:
                sleep(remaining)
        yield message


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
        A key of `feed.codecs.registry.CODECS`.
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
    _check(tapes, address, speed=speed, codec=codec, partition=partition, name=name)
    settings = made_settings_of(address)
    room = check_room(settings, address, tapes, CODECS[codec], PARTITIONERS[partition])
    for note in (*check_fit(settings, address, _duration(tapes, speed)), *room):
        on_note(note)
    began = time.perf_counter()
    with open_producer(
        address, compression=CODECS[codec].compression, largest_batch=settings.largest_batch
    ) as producer:
        numbers = _numbers(producer, address)
        fill = _Fill(producer, address, name, codec, numbers, PARTITIONERS[partition])
        messages = paced(_outgoing(tapes, codec), speed=speed, before_wait=fill.flush)
        fill.send(messages, on_progress)
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
        partitions = _finish(producer, address, end)
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


def _outgoing(tapes: Sequence[Tape], codec: str) -> Iterator[Outgoing]:
    """Messages of all tapes, by time; at one instant by symbol."""

    def encoded(tape: Tape) -> Iterator[Outgoing]:
        for ts, value, rows in CODECS[codec].encode(tape):
            yield Outgoing(ts, tape.symbol, value, rows)

    return encoded(tapes[0]) if len(tapes) == 1 else heapq.merge(*map(encoded, tapes), key=itemgetter(0))


def _check(tapes: Sequence[Tape], address: Address, *, speed: float, codec: str, partition: str, name: str) -> None:
    if codec not in CODECS:
        raise FeedUnavailable(f"unknown codec {codec!r}: there is {', '.join(sorted(CODECS))}")
    if partition not in PARTITIONERS:
        raise FeedUnavailable(f"unknown partitioner {partition!r}; {listing('partitioners', PARTITIONERS)}")
    if not 0 <= speed < float("inf"):
        raise FeedUnavailable(f"speed {speed} is no speed", remedy="use 0 for as fast as it goes, 1 for recorded gaps")
    if not _REPLAY_ID.fullmatch(name):
        raise FeedUnavailable(f"replay id {name[:80]!r}: expected 1 to 64 of A-Z a-z 0-9 . _ -")
    if not tapes or any(not tape.rows and not len(tape.trades.ts) for tape in tapes):
        raise FeedUnavailable("there is nothing to replay: the tape is empty", address.place)


def _numbers(producer: Any, address: Address) -> list[int]:  # noqa: ANN401 - untyped client
    """Partitions of the topic, ascending; a broker that creates topics on demand does so now."""
    with translated(address, "create the topic"):
        return sorted(producer.partitions_for(address.topic))


class _Fill:
    """Sends the data messages of a replay into their partitions and waits for their acknowledgements."""

    def __init__(
        self,
        producer: Any,  # noqa: ANN401 - untyped client
        address: Address,
        name: str,
        codec: str,
        numbers: list[int],
        partitioner: Callable[[int, str, int], int],
    ) -> None:
        self._producer, self._address, self._name, self._codec = producer, address, name, codec
        self._numbers, self._partitioner = numbers, partitioner
        self._packer = Packer(producer, address.topic)
        self.lanes: dict[int, _Lane] = {}

    def send(self, messages: Iterable[Outgoing], on_progress: Callable[[int, int], None] | None) -> None:
        """Send messages and wait until each is acknowledged."""
        with translated(self._address, _INCOMPLETE):
            for seq, message in enumerate(messages):
                _check_size(message, self._address)
                number, lane = self._lane(message.symbol, seq)
                own = (b"%d" % seq, b"%d" % lane.messages)
                full = self._packer.add(number, _envelope(self._name, message.symbol, self._codec), message.value, own)
                lane.messages += 1
                lane.rows += message.rows
                lane.nbytes += len(message.value)
                lane.hashes.update(hashlib.sha256(message.value).digest())
                if full:
                    self._acknowledge(UNACKNOWLEDGED_BYTES)
                if on_progress is not None:
                    on_progress(seq + 1, message.ts)
            self.flush()

    def flush(self) -> None:
        """Send what is batched, and wait until each message is acknowledged."""
        with translated(self._address, _INCOMPLETE):
            self._packer.flush()
            self._producer.flush(timeout=ACKNOWLEDGE_SECONDS)
            self._acknowledge(0)

    def _lane(self, symbol: str, seq: int) -> tuple[int, _Lane]:
        number = self._numbers[self._partitioner(len(self._numbers), symbol, seq)]
        lane = self.lanes.get(number)
        if lane is None:
            lane = self.lanes[number] = _Lane()
        return number, lane

    def _acknowledge(self, bound: int) -> None:
        """Note the offsets of the oldest acknowledged batches; wait while more than `bound` bytes are pending."""
        sent = self._packer.sent
        pending = sum(batch.nbytes for batch in sent)
        while sent and (pending > bound or sent[0].is_done):
            batch = sent.popleft()
            pending -= batch.nbytes
            offset = batch.offset(ACKNOWLEDGE_SECONDS)
            lane = self.lanes[batch.partition]
            if lane.start < 0:
                lane.start = offset
            if offset < max(lane.end, 0):
                raise FeedCorrupt(
                    f"the broker put offset {offset} after {lane.end - 1}",
                    f"{self._address.place}, partition {batch.partition}",
                    "delete the topic or use a new one, and replay again",
                )
            lane.end = offset + batch.messages


@lru_cache(maxsize=1024)
def _envelope(replay: str, symbol: str, codec: str) -> Envelope:
    """What the messages of a symbol share."""
    return envelope(symbol.encode(), shared_headers(replay, symbol, codec), OWN)


def _check_size(message: Outgoing, address: Address) -> None:
    if len(message.value) > MAX_MESSAGE:
        raise FeedCorrupt(
            f"the message of {format_instant(message.ts)} has {len(message.value)} bytes, more than the bound of "
            f"{MAX_MESSAGE}",
            address.place,
            "check the source for a burst of rows with one time stamp",
        )


def _finish(producer: Any, address: Address, end: EndRecord) -> tuple[Partition, ...]:  # noqa: ANN401 - untyped client
    """Write the end record into each used partition."""
    value, headers = encode_end(end), end_headers(end.replay, end.codec)
    futures = [
        (producer.send(address.topic, value=value, headers=headers, partition=partition), partition, listed.start)
        for partition, listed in sorted(end.partitions.items())
    ]
    with translated(address, _INCOMPLETE):
        producer.flush(timeout=ACKNOWLEDGE_SECONDS)
        return tuple(
            Partition(partition, start, future.get(timeout=ACKNOWLEDGE_SECONDS).offset + 1)
            for future, partition, start in futures
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
