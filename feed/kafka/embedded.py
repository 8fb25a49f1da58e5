"""The embedded broker: librdkafka's in-process mock cluster, for one machine, on loopback, without storage.

It keeps 5 MiB of each partition and drops the oldest messages beyond that; `feed.kafka.producer` refuses a stream that
does not fit.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from feed.errors import FeedUnavailable

if TYPE_CHECKING:
    from types import TracebackType

    from feed.kafka.forward import Forwarder

API_VERSION = "2.3"
"""Protocol between the mock cluster and kafka-python, which cannot negotiate it."""

TOPIC = "quotes"


class EmbeddedBroker:
    """A broker on loopback that lives as long as this context.

    Parameters
    ----------
    port : int
        Where clients bootstrap; 0 = a free port. The mock cluster chooses its own port, so a given one only forwards to
        it; a client changes to the other as soon as it has read the broker's metadata.

    Attributes
    ----------
    server : str
        ``127.0.0.1:PORT``.

    Raises
    ------
    FeedUnavailable
        The port is not available, or the broker does not start.
    """

    def __init__(self, port: int = 0) -> None:
        self._cluster: Any = None
        self._forwarder: Forwarder | None = None
        if port:
            from feed.kafka.forward import Forwarder

            # First, so that the mock cluster cannot choose this port.
            self._forwarder = Forwarder(port)
        try:
            host, chosen = self._start()
            if self._forwarder is not None:
                self._forwarder.start(chosen)
        except BaseException:
            self.close()
            raise
        self.server = f"{host}:{chosen}" if self._forwarder is None else self._forwarder.server

    def _start(self) -> tuple[str, int]:
        """Start the mock cluster; return the host and port that it chose."""
        from confluent_kafka import KafkaException, Producer

        self._cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        try:
            broker = next(iter(self._cluster.list_topics(timeout=10).brokers.values()))
        except (KafkaException, StopIteration) as error:
            raise FeedUnavailable(f"the embedded broker did not start: {error}") from error
        return broker.host, broker.port

    def source(self, topic: str = TOPIC) -> str:
        """SOURCE of a topic on this broker."""
        return f"kafka://{self.server}/{topic}?api_version={API_VERSION}"

    def close(self) -> None:
        """Stop the broker and free its ports and threads; a second call does nothing."""
        if self._forwarder is not None:
            self._forwarder.close()
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            with suppress(Exception):
                cluster.close()
            # The mock cluster ends with its client's last reference.
            del cluster
            gc.collect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
