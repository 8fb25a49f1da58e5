"""Who sends a replay: a client that is given many messages at a time, and says which offsets they have got."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from feed.access import CONFLUENT, KAFKA_PYTHON
from feed.kafka.batch_packing import Packer, envelope
from feed.kafka.client import DELIVERY_SECONDS, open_producer, translated
from feed.kafka.compression import best_for

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from feed.codecs import Messages
    from feed.kafka.address import Address
    from feed.kafka.topic import Settings
    from feed.tape import Int64

ACKNOWLEDGE_SECONDS = DELIVERY_SECONDS + 15
"""Longer than the client's own limit, so that the client says why it gives up."""

DENSE_FROM = 2 * 2**20
"""Compressed bytes of a partition from which on batches are packed densely, for a broker that does not say how much it
keeps, as the embedded one, which keeps 5 MiB. So it holds the streams that it held of gzip's best."""


_SWITCH_SECONDS = 1e-3


class Covered(NamedTuple):
    """What the messages of a tape share: the key, and the headers that are the same in all."""

    key: bytes
    shared: Sequence[tuple[str, bytes]]


class Handed(Protocol):
    """Messages of a partition that a client has."""

    @property
    def partition(self) -> int: ...  # noqa: D102
    @property
    def nbytes(self) -> int: ...  # noqa: D102
    @property
    def is_done(self) -> bool: ...  # noqa: D102
    def offsets(self, seconds: float) -> tuple[int, int]:
        """The offsets [start, end) that they have, once they are acknowledged; raises why they are not."""


class Sender(Protocol):
    """A client: idempotent, with a time limit, waiting for all replicas.

    Attributes
    ----------
    sent : deque of Handed
        What it has, oldest first; whoever waits for one takes it out.
    """

    @property
    def sent(self) -> deque[Any]: ...  # noqa: D102

    def partitions(self) -> list[int]:
        """Partitions of the topic, ascending; a broker that creates topics on demand does so now."""

    def add(self, partition: int, messages: Messages, own: Sequence[Int64]) -> None:
        """Send messages of one partition, or keep them until there are more; `own` are their numbers."""

    def flush(self) -> None:
        """Send all that is kept, and wait until each message is acknowledged or has failed."""

    def finish(self, partitions: Sequence[int], value: bytes, headers: Sequence[tuple[str, bytes]]) -> list[int]:
        """Send one message without a key into each of the partitions; the offsets that it gets."""


class PythonSender:
    """kafka-python, given whole batches.

    Parameters
    ----------
    producer : kafka.KafkaProducer
    address : Address
    covers : sequence of Covered
        By tape.
    names : sequence of str
        Of the headers that number a message.
    compression : int
        As `feed.kafka.batch_packing.Packer`.
    dense_from : int, optional
        The same.
    """

    def __init__(
        self,
        producer: Any,  # noqa: ANN401 - untyped client
        address: Address,
        covers: Sequence[Covered],
        names: Sequence[str],
        *,
        compression: int = 0,
        dense_from: int | None = None,
    ) -> None:
        self._producer, self._address = producer, address
        envelopes = [envelope(*cover, names) for cover in covers]
        self._packer = Packer(producer, address.topic, envelopes, compression=compression, dense_from=dense_from)
        self.add, self.sent = self._packer.add, self._packer.sent

    def partitions(self) -> list[int]:
        """As `Sender`."""
        with translated(self._address, "create the topic"):
            return sorted(self._producer.partitions_for(self._address.topic))

    def flush(self) -> None:
        """As `Sender`."""
        self._packer.flush()
        self._producer.flush(timeout=ACKNOWLEDGE_SECONDS)

    def finish(self, partitions: Sequence[int], value: bytes, headers: Sequence[tuple[str, bytes]]) -> list[int]:
        """As `Sender`."""
        topic = self._address.topic
        futures = [
            self._producer.send(topic, value=value, headers=list(headers), partition=partition)
            for partition in partitions
        ]
        self._producer.flush(timeout=ACKNOWLEDGE_SECONDS)
        return [future.get(timeout=ACKNOWLEDGE_SECONDS).offset for future in futures]


@contextmanager
def _open_python(
    address: Address, covers: Sequence[Covered], names: Sequence[str], settings: Settings, *, compressed: bool
) -> Iterator[Sender]:
    with open_producer(address, largest_batch=settings.largest_batch) as producer:
        compression = 0 if compressed else best_for(producer.config["api_version"])
        dense_from = None if settings.values else DENSE_FROM
        with _switching():
            yield PythonSender(producer, address, covers, names, compression=compression, dense_from=dense_from)


@contextmanager
def _switching() -> Iterator[None]:
    """Let threads take turns more often: both ours and the client's give way at every step, to wait 5 ms each time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _SWITCH_SECONDS))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _open_confluent(
    address: Address, covers: Sequence[Covered], names: Sequence[str], settings: Settings, *, compressed: bool
) -> AbstractContextManager[Sender]:
    from feed.kafka.confluent_sender import open_confluent

    return open_confluent(address, covers, names, largest_batch=settings.largest_batch, compressed=compressed)


SENDERS: dict[str, Callable[..., AbstractContextManager[Sender]]] = {
    KAFKA_PYTHON: _open_python,
    CONFLUENT: _open_confluent,
}
"""Clients by `feed.access.Access.client`: address, covers by tape, names of the own headers, the topic's settings, and
whether values are compressed already -> what sends."""
