"""librdkafka as the sender of a replay, by confluent-kafka: the same messages, sent one by one.

It has no call for many messages with headers, so that each message is a call and an answer; packing and compressing
cost little beside them. Settings are those of the other client, by its names.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from feed.access import read_password
from feed.kafka.client import BATCH_BYTES, CONNECT_SECONDS, DELIVERY_SECONDS, MAX_MESSAGE, errors, probe, translated
from feed.kafka.compression import FAST
from feed.kafka.senders import ACKNOWLEDGE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from feed.access import Access
    from feed.codecs import Messages
    from feed.kafka.address import Address
    from feed.kafka.senders import Covered
    from feed.tape import Int64

_OVERHEAD = 64 * 1024
_POLL_SECONDS = 0.1
_MOST_MESSAGES = 1_000_000
_LOCAL: dict[str, type[Exception]] = {
    "_AUTHENTICATION": errors.SaslAuthenticationFailedError,
    "_MSG_TIMED_OUT": errors.KafkaTimeoutError,
    "_TIMED_OUT": errors.KafkaTimeoutError,
    "_ALL_BROKERS_DOWN": errors.KafkaConnectionError,
    "_TRANSPORT": errors.KafkaConnectionError,
}
"""Errors of librdkafka's own as those of the other client, which `feed.kafka.client.translated` knows."""


@dataclass(slots=True)
class _Handed:
    """Messages of one partition that librdkafka has, in the order in which it got them."""

    producer: Any
    partition: int
    messages: int
    nbytes: int
    answered: int = 0
    start: int = -1
    end: int = -1
    failure: Exception | None = None

    @property
    def is_done(self) -> bool:
        """Whether all are acknowledged, or one has failed."""
        return self.answered == self.messages or self.failure is not None

    def answer(self, error: Any, message: Any) -> None:  # noqa: ANN401 - untyped client
        """Take the answer about one message."""
        self.answered += 1
        if error is not None:
            self.failure = self.failure or _as_other(error)
            return
        offset = message.offset()
        if self.start < 0:
            self.start = offset
        if offset < self.end:
            self.failure = self.failure or errors.UnknownError(f"offset {offset} came after {self.end - 1}")
        self.end = offset + 1

    def offsets(self, seconds: float) -> tuple[int, int]:
        """As `feed.kafka.senders.Handed`."""
        deadline = time.monotonic() + seconds
        while not self.is_done:
            if time.monotonic() > deadline:
                raise errors.KafkaTimeoutError(f"no answer within {seconds:.0f} s")
            self.producer.poll(_POLL_SECONDS)
        if self.failure is not None:
            raise self.failure
        return self.start, self.end


class ConfluentSender:
    """A sender, as `feed.kafka.senders.Sender`.

    Parameters
    ----------
    producer : confluent_kafka.Producer
    address : Address
    covers : sequence of Covered
        By tape.
    names : sequence of str
        Of the headers that number a message.
    """

    def __init__(
        self,
        producer: Any,  # noqa: ANN401 - untyped client
        address: Address,
        covers: Sequence[Covered],
        names: Sequence[str],
    ) -> None:
        self._producer, self._address, self._names = producer, address, names
        self._covers = [(cover.key, list(cover.shared)) for cover in covers]
        self.sent: deque[_Handed] = deque()

    def partitions(self) -> list[int]:
        """As `Sender`."""
        with translated(self._address, "create the topic"), _as_others():
            topic = self._producer.list_topics(self._address.topic, timeout=CONNECT_SECONDS).topics[self._address.topic]
            if topic.error is not None:
                raise _as_other(topic.error)
            return sorted(topic.partitions)

    def add(self, partition: int, messages: Messages, own: Sequence[Int64]) -> None:
        """As `Sender`."""
        topic, produce, first_name, second_name = self._address.topic, self._producer.produce, *self._names
        values = messages.values.to_pylist()
        handed = _Handed(self._producer, partition, len(values), sum(map(len, values)))
        self.sent.append(handed)
        answer = handed.answer
        for tape, value, first, second in zip(
            messages.tapes.tolist(), values, *(numbers.tolist() for numbers in own), strict=True
        ):
            key, shared = self._covers[tape]
            headers = [*shared, (first_name, b"%d" % first), (second_name, b"%d" % second)]
            try:
                produce(topic, value, key, partition, answer, headers=headers)
            except BufferError:
                self._again(value, key, partition, answer, headers)
        self._producer.poll(0)

    def _again(self, value: bytes, key: bytes, partition: int, answer: Any, headers: Any) -> None:  # noqa: ANN401
        """Send a message for which there is no room yet, once there is."""
        deadline = time.monotonic() + ACKNOWLEDGE_SECONDS
        while time.monotonic() < deadline:
            self._producer.poll(_POLL_SECONDS)
            with suppress(BufferError):
                self._producer.produce(self._address.topic, value, key, partition, answer, headers=headers)
                return
        raise errors.KafkaTimeoutError(f"no room for a message within {ACKNOWLEDGE_SECONDS:.0f} s")

    def flush(self) -> None:
        """As `Sender`."""
        self._producer.flush(ACKNOWLEDGE_SECONDS)

    def finish(self, partitions: Sequence[int], value: bytes, headers: Sequence[tuple[str, bytes]]) -> list[int]:
        """As `Sender`."""
        waiting = [_Handed(self._producer, partition, 1, len(value)) for partition in partitions]
        for each in waiting:
            self._producer.produce(self._address.topic, value, None, each.partition, each.answer, headers=list(headers))
        self._producer.flush(ACKNOWLEDGE_SECONDS)
        return [each.offsets(ACKNOWLEDGE_SECONDS)[0] for each in waiting]


@contextmanager
def open_confluent(
    address: Address,
    covers: Sequence[Covered],
    names: Sequence[str],
    *,
    largest_batch: int | None = None,
    compressed: bool = False,
) -> Iterator[ConfluentSender]:
    """Connect an idempotent producer of librdkafka's that waits for all replicas.

    Parameters
    ----------
    address : Address
    covers, names : sequence
        As `ConfluentSender`.
    largest_batch : int, optional
        Bytes of a batch that the topic takes, where known.
    compressed : bool
        Whether values are compressed already.

    Yields
    ------
    ConfluentSender

    Raises
    ------
    FeedUnavailable
        No broker, or it gives up.
    """
    from confluent_kafka import Producer

    probe(address)
    producer = Producer(confluent_settings(address, largest_batch, compressed=compressed))
    try:
        with translated(address), _as_others():
            yield ConfluentSender(producer, address, covers, names)
    finally:
        with suppress(Exception):
            # What is left after a failure must not be sent behind our back, once the broker comes back.
            producer.purge()
            producer.flush(1)


def confluent_settings(
    address: Address, largest_batch: int | None = None, *, compressed: bool = False
) -> dict[str, Any]:
    """librdkafka's settings; a password is read now and stored nowhere else.

    Parameters
    ----------
    address : Address
    largest_batch : int, optional
        As `open_confluent`.
    compressed : bool
        The same.
    """
    return {
        "bootstrap.servers": ",".join(address.servers),
        "client.id": "sor-sweep",
        "acks": "all",
        "enable.idempotence": True,
        "compression.type": "none" if compressed else "zstd",  # it sends none to a broker that does not know zstd
        "compression.level": FAST,
        "linger.ms": 20,
        "batch.size": min(BATCH_BYTES, largest_batch or BATCH_BYTES),
        "batch.num.messages": _MOST_MESSAGES,
        "queue.buffering.max.messages": _MOST_MESSAGES,
        "message.max.bytes": MAX_MESSAGE + _OVERHEAD,
        "delivery.timeout.ms": int(DELIVERY_SECONDS * 1000),
        "reconnect.backoff.max.ms": 1000,
        "log_level": 0,  # its lines on stderr would bury ours
        **_access_settings(address.access),
    }


def _access_settings(access: Access) -> dict[str, Any]:
    settings: dict[str, Any] = {"security.protocol": access.security_protocol}
    if access.encrypted:
        # the versions of TLS are those of its OpenSSL: 1.2 or newer
        settings["ssl.endpoint.identification.algorithm"] = "https"
        files = {"ca": access.ssl_cafile, "certificate": access.ssl_certfile, "key": access.ssl_keyfile}
        settings |= {f"ssl.{name}.location": path for name, path in files.items() if path is not None}
    if access.named:
        settings |= {
            "sasl.mechanism": access.sasl_mechanism,
            "sasl.username": access.sasl_username or "",
            "sasl.password": read_password(access),
        }
    return settings


@contextmanager
def _as_others() -> Iterator[None]:
    from confluent_kafka import KafkaException

    try:
        yield
    except KafkaException as error:
        raise _as_other(error.args[0]) from error


def _as_other(error: Any) -> Exception:  # noqa: ANN401 - untyped client
    """An error of librdkafka's as the one of the other client that says the same."""
    if error.code() > 0:
        kind: type[Exception] = errors.for_code(error.code())
    else:
        kind = _LOCAL.get(error.name(), errors.KafkaError)
    return kind(error.str())
