"""A topic: what it holds now, and how it is set, asked before a replay: whether it takes it, and for how long."""

from __future__ import annotations

import gzip
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from feed.codecs.messages import by_instant
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from feed.codecs.registry import Codec
    from feed.kafka.address import Address
    from feed.tape import Tape

SHORT_SECONDS = 600.0
"""What is kept for less than this may be gone before somebody reads it."""

_SOON_SECONDS = 0.1
_SAMPLE = 2**20
_FRAME = 2**12
"""Bytes of a message beside its rows, at most."""

_CLEANUP, _LARGEST, _IN_SYNC, _RETENTION, _ROOM = ASKED = (
    "cleanup.policy",
    "max.message.bytes",
    "min.insync.replicas",
    "retention.ms",
    "retention.bytes",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a topic is set.

    Attributes
    ----------
    values : mapping of str to str
        Those of `ASKED`, the broker's defaults among them; none where the broker did not tell.
    replicas : int
        The fewest that one of its partitions has, in sync or not; 0 where the broker did not tell.
    note : str
        Why it did not tell; empty where it did, and where it has no such question.
    partitions : int
        How many it has; 0 where the broker did not tell.
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
        del settings["metrics_enabled"]  # the one that this client does not know
        return KafkaAdminClient(**settings)

    admin = connect(address, build)
    try:
        with explained(address, lambda: admin._manager.cluster), translated(address):  # noqa: SLF001 - no public way
            yield admin
    finally:
        with suppress(Exception):
            admin.close()


def settings_of(address: Address) -> Settings | None:
    """Ask how a topic is set.

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
            return UNTOLD  # a broker without the question, as the embedded one, hangs up
        except errors.KafkaError as error:
            return Settings({}, note=_untold(type(error)))
    if errors.for_code(described["error_code"]) is errors.UnknownTopicOrPartitionError:
        return None
    # The client passes over the error that comes in place of settings, so that nothing is told of why there are none.
    settings = configs.get("topic", {}).get(address.topic, {})
    if not settings:
        return Settings({}, note=_untold(errors.TopicAuthorizationFailedError))
    values = {name: each["value"] for name, each in settings.items() if name in ASKED and each["value"] is not None}
    replicas = [len(part["replica_nodes"]) for part in described["partitions"]]
    return Settings(values, min(replicas, default=0), partitions=len(replicas))


def _untold(kind: type[Exception]) -> str:
    return f"the broker does not say how the topic is set ({kind.__name__}): it may not keep a whole replay"


def made_settings_of(address: Address) -> Settings:
    """Ask how a topic is set; a broker that makes topics on demand makes it first.

    Raises
    ------
    FeedUnavailable
        No broker, or no topic and none is made.
    """
    settings = settings_of(address)
    if settings is None:
        with open_producer(address) as producer, translated(address, "create the topic"):
            producer.partitions_for(address.topic)
        deadline = time.monotonic() + CONNECT_SECONDS
        while (settings := settings_of(address)) is None and time.monotonic() < deadline:
            time.sleep(_SOON_SECONDS)  # brokers learn of it one after the other
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
"""Why a topic is of no use for a replay, and the remedy."""


def check_fit(settings: Settings, address: Address, seconds: float = 0.0) -> tuple[str, ...]:
    """Refuse a topic that would not take a replay, or not keep it.

    Parameters
    ----------
    settings : Settings
    address : Address
    seconds : float
        How long the replay takes at least.

    Returns
    -------
    tuple of str
        What a user has to know before it is sent.

    Raises
    ------
    FeedUnavailable
        It would not.
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
    partition_of: Callable[[int, str, int], int],
) -> tuple[str, ...]:
    """Refuse a topic that would not take the largest message, before the first one is sent.

    Messages are made once more for that, but only where the topic's bounds are near what they may take.

    Parameters
    ----------
    settings : Settings
    address : Address
    tapes : sequence of Tape
        One for each symbol.
    codec : Codec
    partition_of : callable
        As `feed.kafka.producer.PARTITIONERS`.

    Returns
    -------
    tuple of str
        What a user has to know before it is sent.

    Raises
    ------
    FeedUnavailable
        A message is too large for it.
    """
    largest, room = settings.largest_batch, settings.number(_ROOM, -1)
    large_tapes = [tape for tape in tapes if largest and _most_bytes(tape, codec) > largest]
    partition_bytes, sample = [0] * max(settings.partitions, 1), bytearray()
    messages = ((tape.symbol, each) for tape in (tapes if room >= 0 else large_tapes) for each in codec.encode(tape))
    for number, (symbol, message) in enumerate(messages):
        size = len(message.value)
        if largest and size > largest and (size := _packed(message.value, codec)) > largest:
            raise FeedUnavailable(
                f"the message of {format_instant(message.ts)} takes {size:,} bytes, and the topic {largest:,} "
                "(max.message.bytes)",
                address.place,
                "raise it for the topic, use another codec, or check the source for a burst of rows at one instant",
            )
        partition_bytes[partition_of(len(partition_bytes), symbol, number)] += len(message.value)
        sample += message.value[: max(_SAMPLE - len(sample), 0)]
    fullest = max(partition_bytes) * _packed(sample, codec) // max(len(sample), 1)
    if not 0 <= room < fullest:
        return ()
    limit = f"the topic keeps {room:,} bytes of a partition only (retention.bytes)"
    return (f"{limit}, and the replay has about {fullest:,} for one: its start may go first",)


def _most_bytes(tape: Tape, codec: Codec) -> int:
    """Bound what a message of a tape takes, by the rows of so many instants as it may hold."""
    _, *starts = by_instant(tape)
    rows = starts[0] + starts[1]
    ends = rows[codec.instants :] if len(rows) > codec.instants else rows[-1:]
    return codec.row_bytes * int((ends - rows[: len(ends)]).max()) + _FRAME


def _packed(value: bytes | bytearray, codec: Codec) -> int:
    """Bytes of a value as it is sent, at least."""
    return len(gzip.compress(value)) if codec.compression else len(value)


def partitions_of(consumer: Any, address: Address) -> dict[int, tuple[int, int]]:  # noqa: ANN401 - untyped client
    """Freeze what the topic holds now.

    Returns
    -------
    dict of int to (int, int)
        Partition -> offsets [beginning, end).

    Raises
    ------
    NoTopic
        There is no such topic; lists those there are.
    """
    # Asking offsets of a topic that is not listed answers 0 on one broker and hangs on another.
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
