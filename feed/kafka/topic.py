"""A topic: its offsets, and its settings, which tell before a replay whether the topic takes it and for how long."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.codecs import by_instant
from feed.console import listing
from feed.errors import FeedUnavailable
from feed.instants import format_instant
from feed.kafka.client import (
    CONNECT_SECONDS,
    KafkaAdminClient,
    NoTopic,
    TopicPartition,
    client_settings,
    connect,
    errors,
    explained,
    open_producer,
    translated,
    within,
)
from feed.kafka.compression import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from feed.codecs import Codec
    from feed.kafka.address import Address
    from feed.tape import Int64, Tape

SHORT_SECONDS = 600.0
"""Messages kept for less than this may be gone before somebody reads them."""

_SOON_SECONDS = 0.1
_SAMPLE = 2**20
_FRAME = 2**12
"""Maximum bytes of a message beside its rows."""

_CLEANUP, _LARGEST, _IN_SYNC, _RETENTION, _ROOM = ASKED = (
    "cleanup.policy",
    "max.message.bytes",
    "min.insync.replicas",
    "retention.ms",
    "retention.bytes",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a topic.

    Attributes
    ----------
    values : mapping of str to str
        Those of `ASKED`, including the broker's defaults; empty where the broker does not tell.
    replicas : int
        Fewest replicas of a partition, in sync or not; 0 where the broker does not tell.
    note : str
        Why the broker does not tell; empty where it does, or cannot be asked.
    partitions : int
        Number of partitions; 0 where the broker does not tell.
    """

    values: Mapping[str, str]
    replicas: int = 0
    note: str = ""
    partitions: int = 0

    def number(self, name: str, default: int) -> int:
        """A setting that is a whole number."""
        text = self.values.get(name, "")
        return int(text) if text.removeprefix("-").isdecimal() and len(text) < 20 else default

    @property
    def largest_batch(self) -> int | None:
        """Bytes of a batch that the topic takes; None where that is not known."""
        return self.number(_LARGEST, 0) or None


UNTOLD = Settings({})


@contextmanager
def _open_admin(address: Address) -> Iterator[Any]:
    def build(server: str) -> Any:  # noqa: ANN401 - untyped client
        settings = client_settings(address, server)
        del settings["metrics_enabled"]  # this client does not know it
        return KafkaAdminClient(**settings)

    admin = connect(address, build)
    try:
        with explained(address, lambda: admin._manager.cluster), translated(address):  # noqa: SLF001 - no public way
            yield admin
    finally:
        with suppress(Exception):
            admin.close()


def settings_of(address: Address) -> Settings | None:
    """Ask for the settings of a topic.

    Parameters
    ----------
    address : Address

    Returns
    -------
    Settings or None
        None where there is no such topic.

    Raises
    ------
    FeedUnavailable
        No broker.
    """
    from kafka.admin import ConfigResource

    with _open_admin(address) as admin:
        try:
            question = [ConfigResource("TOPIC", address.topic, list(ASKED))]
            configs = within(CONNECT_SECONDS, address, lambda: admin.describe_configs(question, config_filter="all"))
            (described,) = within(CONNECT_SECONDS, address, lambda: admin.describe_topics([address.topic]))
        except errors.KafkaConnectionError:
            return UNTOLD  # a broker that does not know the request, such as the embedded one, hangs up
        except errors.KafkaError as error:
            return Settings({}, note=_untold(type(error)))
    if errors.for_code(described["error_code"]) is errors.UnknownTopicOrPartitionError:
        return None
    # The client drops the error that comes in place of settings, so the reason for having none is unknown.
    settings = configs.get("topic", {}).get(address.topic, {})
    if not settings:
        return Settings({}, note=_untold(errors.TopicAuthorizationFailedError))
    values = {name: each["value"] for name, each in settings.items() if name in ASKED and each["value"] is not None}
    replicas = [len(part["replica_nodes"]) for part in described["partitions"]]
    return Settings(values, min(replicas, default=0), partitions=len(replicas))


def _untold(kind: type[Exception]) -> str:
    return f"the broker does not say how the topic is set ({kind.__name__}): it may not keep a whole replay"


def made_settings_of(address: Address) -> Settings:
    """Ask for the settings of a topic; a broker that creates topics on demand creates it first.

    Raises
    ------
    FeedUnavailable
        No broker, or no topic and it is not created.
    """
    settings = settings_of(address)
    if settings is None:
        with open_producer(address) as producer, translated(address, "create the topic"):
            producer.partitions_for(address.topic)
        deadline = time.monotonic() + CONNECT_SECONDS
        while (settings := settings_of(address)) is None and time.monotonic() < deadline:
            time.sleep(_SOON_SECONDS)  # brokers learn about it one after the other
    return settings or UNTOLD


def _compacted(settings: Settings) -> str:
    policy = settings.values.get(_CLEANUP, "")
    if "compact" not in policy.split(","):
        return ""
    return f"the topic is compacted (cleanup.policy={policy}): of all messages of a symbol it would keep the last one"


def _never_in_sync(settings: Settings) -> str:
    needed = settings.number(_IN_SYNC, 0)
    if not 0 < settings.replicas < needed:
        return ""
    return (
        f"the topic takes no message: {needed} replicas have to be in sync (min.insync.replicas), and a partition has "
        f"{settings.replicas}"
    )


REFUSALS: dict[Callable[[Settings], str], str] = {
    _compacted: "set cleanup.policy=delete for it, or name another topic",
    _never_in_sync: "lower min.insync.replicas for it, or give it more replicas",
}
"""Checks that say why a topic is of no use for a replay, and the remedies."""


def check_fit(settings: Settings, address: Address, seconds: float = 0.0) -> tuple[str, ...]:
    """Refuse a topic that would not take or keep a replay.

    Parameters
    ----------
    settings : Settings
    address : Address
    seconds : float
        Minimum seconds that the replay takes.

    Returns
    -------
    tuple of str
        What a user has to know before it is sent.

    Raises
    ------
    FeedUnavailable
        The topic is of no use.
    """
    for reason, remedy in REFUSALS.items():
        if what := reason(settings):
            raise FeedUnavailable(what, address.place, remedy)
    notes = [settings.note] if settings.note else []
    keeps_ms = settings.number(_RETENTION, -1)
    if 0 <= keeps_ms < 1000 * max(SHORT_SECONDS, seconds):
        longer = f", and the replay takes {seconds:.0f} s" if 1000 * seconds > keeps_ms else ""
        notes.append(
            f"the topic keeps a message for {keeps_ms / 1000:g} s only (retention.ms){longer}: its start may go first"
        )
    return tuple(notes)


def check_room(
    settings: Settings,
    address: Address,
    tapes: Sequence[Tape],
    codec: Codec,
    partition_of: Callable[[int, Int64, Int64], Int64],
) -> tuple[str, ...]:
    """Refuse, before the first message is sent, a topic that would not take the largest one.

    For that the messages are encoded once more, but only where they may come near the topic's bounds.

    Parameters
    ----------
    settings : Settings
    address : Address
    tapes : sequence of Tape
        One for each symbol.
    codec : Codec
    partition_of : callable
        Partitions of messages, by count of partitions, the indices of their tapes, and their numbers.

    Returns
    -------
    tuple of str
        What a user has to know before it is sent.

    Raises
    ------
    FeedUnavailable
        A message is too large for the topic.
    """
    largest, room = settings.largest_batch, settings.number(_ROOM, -1)
    large = np.array([bool(largest) and _most_bytes(tape, codec) > (largest or 0) for tape in tapes])
    looked_at = np.flatnonzero(large | (room >= 0))
    partition_bytes, sample, sent = np.zeros(max(settings.partitions, 1), np.int64), bytearray(), 0
    for messages in codec.stream([tapes[number] for number in looked_at.tolist()]) if len(looked_at) else ():
        values = messages.values.to_pylist()
        for ts, value in zip(messages.ts.tolist(), values, strict=True):
            if largest and len(value) > largest and (size := _packed(value, codec)) > largest:
                raise FeedUnavailable(
                    f"the message of {format_instant(ts)} takes {size:,} bytes, and the topic {largest:,} "
                    "(max.message.bytes)",
                    address.place,
                    "raise it for the topic, use another codec, or check the source for a burst of rows at one instant",
                )
            sample += value[: max(_SAMPLE - len(sample), 0)]
        numbers = np.arange(sent, sent + len(values))
        places = partition_of(len(partition_bytes), looked_at[messages.tapes], numbers)
        np.add.at(partition_bytes, places, [len(value) for value in values])
        sent += len(values)
    fullest = int(partition_bytes.max()) * _packed(sample, codec) // max(len(sample), 1)
    if not 0 <= room < fullest:
        return ()
    limit = f"the topic keeps {room:,} bytes of a partition only (retention.bytes)"
    return (f"{limit}, and the replay has about {fullest:,} for one: its start may go first",)


def _most_bytes(tape: Tape, codec: Codec) -> int:
    """Bound the bytes of a tape's messages, by the rows of as many instants as one may hold."""
    _, *starts = by_instant(tape)
    rows = starts[0] + starts[1]
    ends = rows[codec.instants :] if len(rows) > codec.instants else rows[-1:]
    row_bytes = codec.row_bytes + codec.level_bytes * (tape.depth - 1)
    return row_bytes * int((ends - rows[: len(ends)]).max()) + _FRAME


def _packed(value: bytes | bytearray, codec: Codec) -> int:
    """Minimum bytes of a value as it is sent."""
    return len(value) if codec.compressed else min(len(zstd(value)), len(value))


def partitions_of(consumer: Any, address: Address) -> dict[int, tuple[int, int]]:  # noqa: ANN401 - untyped client
    """Freeze the offsets that the topic holds now.

    Returns
    -------
    dict of int to (int, int)
        Partition -> offsets [beginning, end).

    Raises
    ------
    NoTopic
        There is no such topic; lists the existing ones.
    """
    # For an unlisted topic, one broker answers offset 0 and another hangs.
    topics = within(CONNECT_SECONDS, address, consumer.topics)
    if address.topic not in topics:
        raise NoTopic(
            f"there is no topic {address.topic!r}; {listing('topics', topics)}",
            address.place,
            f"fill it with: python -m feed replay SOURCE {address.place}",
        )
    numbers = within(CONNECT_SECONDS, address, lambda: consumer.partitions_for_topic(address.topic))
    first = beginnings(consumer, address, numbers)
    parts = [TopicPartition(address.topic, number) for number in sorted(numbers)]
    last = consumer.end_offsets(parts, timeout_ms=int(CONNECT_SECONDS * 1000))
    return {part.partition: (first[part.partition], last[part]) for part in parts}


def beginnings(consumer: Any, address: Address, partitions: Iterable[int]) -> dict[int, int]:  # noqa: ANN401
    """Ask for the first offset that each of these partitions still holds."""
    parts = [TopicPartition(address.topic, partition) for partition in partitions]
    offsets = consumer.beginning_offsets(parts, timeout_ms=int(CONNECT_SECONDS * 1000))
    return {part.partition: offset for part, offset in offsets.items()}
