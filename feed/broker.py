"""The embedded broker: librdkafka's in-process mock cluster, for one machine, on loopback, without storage.

It keeps 5 MiB of each partition and drops the oldest beyond that; `feed.replay` refuses a stream that does not fit.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from feed.errors import FeedUnavailable

if TYPE_CHECKING:
    from types import TracebackType

API_VERSION = "2.3"
"""What the mock cluster speaks with kafka-python; negotiation fails on it."""

TOPIC = "quotes"


class EmbeddedBroker:
    """A broker that lives as long as this context, on a loopback port that it chooses.

    Attributes
    ----------
    server : str
        ``127.0.0.1:PORT``.

    Raises
    ------
    FeedUnavailable
        A fixed port was asked for (librdkafka's mock cluster binds its own), or it did not start.
    """

    def __init__(self, port: int = 0) -> None:
        if port:
            raise FeedUnavailable(
                f"the embedded broker cannot listen on port {port}: it chooses a free one itself",
                remedy="leave --port out and use the address it prints, or run a real Kafka broker",
            )
        from confluent_kafka import KafkaException, Producer

        self._cluster: Any = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        try:
            broker = next(iter(self._cluster.list_topics(timeout=10).brokers.values()))
        except (KafkaException, StopIteration) as error:
            self.close()
            raise FeedUnavailable(f"the embedded broker did not start: {error}") from error
        self.server = f"{broker.host}:{broker.port}"

    def source(self, topic: str = TOPIC) -> str:
        """Write the SOURCE of a topic on this broker."""
        return f"kafka://{self.server}/{topic}?api_version={API_VERSION}"

    def close(self) -> None:
        """Stop it and free its port and threads; a second call does nothing."""
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
