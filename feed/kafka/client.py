"""Kafka clients: probing a broker, a consumer, a producer, and the meaning of their errors."""

from __future__ import annotations

import logging
import threading
import time
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from feed.access import client_options
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.kafka.probe import START, first_that_answers, refusal

with warnings.catch_warnings():
    # It reads its own schemas by a deprecated function, which would fail where warnings are errors.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaAdminClient as KafkaAdminClient  # noqa: PLC0414 - also used where a topic is asked about
    from kafka import KafkaConsumer, KafkaProducer
    from kafka import TopicPartition as TopicPartition  # noqa: PLC0414 - also used by the reader's side
    from kafka import errors as errors  # noqa: PLC0414 - the same
    from kafka.partitioner import murmur2 as murmur2  # noqa: PLC0414 - also used by the producer's side

    from feed.kafka.record_batch import unpack_lean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from feed.kafka.address import Address

MAX_MESSAGE = 8 * 2**20
"""Maximum bytes of a message and of a fetch."""

BATCH_BYTES = 512 * 1024
"""Bytes of a producer's batch."""

CONNECT_SECONDS = 10.0
RETRY_MS = 20
"""Milliseconds before a reader repeats a request; short, as each range of a partition has a reader of its own."""

DELIVERY_SECONDS = 60.0
"""Seconds that the producer tries to get a message acknowledged; a broker may restart meanwhile."""

_AGAIN_SECONDS = 0.5
_OVERHEAD = 64 * 1024

# The client's own retries and tracebacks on stderr would bury our one line.
_LOGGER = logging.getLogger("kafka")
if _LOGGER.level == logging.NOTSET:
    _LOGGER.setLevel(logging.CRITICAL)

_REFUSED = {
    errors.MessageSizeTooLargeError: (
        "the topic does not take a message of that size, or that many in one batch",
        "raise its max.message.bytes, use another codec, or check the source for a burst of rows with one time stamp",
    ),
    errors.RecordListTooLargeError: (
        "the topic does not take that many messages in one batch",
        "raise its segment.bytes, or use another codec",
    ),
    errors.InvalidRecordError: (
        "the topic does not take such a message",
        "set cleanup.policy=delete for it: a compacted topic keeps no replay",
    ),
    errors.InvalidTimestampError: (
        "the topic does not take the time of this machine's clock",
        "check the clocks of both, and the topic's message.timestamp.before.max.ms and message.timestamp.after.max.ms",
    ),
}
"""Why a broker refuses a message, by the client's error: the reason and the remedy."""

Answer = TypeVar("Answer")


class NoTopic(FeedUnavailable):
    """The broker has no such topic."""


class NoAnswer(FeedUnavailable):
    """The client gave up or did not come back in time."""


def probe(address: Address) -> str:
    """Find, within seconds, the first of the servers at which a Kafka broker answers.

    Raises
    ------
    FeedUnavailable
        None does; says why for each, and how to start one.
    """
    return first_that_answers(address.servers, address.place, address.access)


@contextmanager
def open_consumer(address: Address, patience: float = 0.0, *, committed: bool = False) -> Iterator[Any]:
    """Connect a consumer without a group, which never skips and never creates a topic.

    Parameters
    ----------
    address : Address
    patience : float
        Seconds within which a broker that was there a moment ago may come back.
    committed : bool
        Respect transactions: an open one ends what can be read, aborted records are marked (`Record.aborted`).

    Yields
    ------
    kafka.KafkaConsumer

    Raises
    ------
    FeedUnavailable
        No broker, or one that speaks none of the client's versions.
    """

    def build(server: str) -> Any:  # noqa: ANN401 - untyped client
        consumer = KafkaConsumer(
            **client_settings(address, server),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            # A replay is no transaction: its end record completes it, and an open one of others must not block it.
            isolation_level="read_committed" if committed else "read_uncommitted",
            allow_auto_create_topics=False,
            fetch_max_bytes=MAX_MESSAGE,
            max_partition_fetch_bytes=MAX_MESSAGE,
            receive_message_max_bytes=2 * MAX_MESSAGE,
            max_poll_records=2000,
            retry_backoff_ms=RETRY_MS,
        )
        # kafka-python 3.0.12 does not pass that setting on: asking about a deleted topic would create it again.
        consumer._cluster.config["allow_auto_create_topics"] = False  # noqa: SLF001 - there is no public way
        # The same: it would wait 100 ms between its first request to a broker and the one about the topic.
        consumer._cluster.config["retry_backoff_ms"] = RETRY_MS  # noqa: SLF001
        unpack_lean(consumer, aborted=committed)
        return consumer

    consumer = connect(address, build, patience)
    try:
        with explained(address, lambda: consumer._cluster), translated(address):  # noqa: SLF001 - it has no other name
            yield consumer
    finally:
        with suppress(Exception):
            consumer.close(autocommit=False, timeout_ms=1000)


@contextmanager
def open_producer(address: Address, *, largest_batch: int | None = None) -> Iterator[Any]:
    """Connect an idempotent producer that waits for all replicas, and sends in batches; it compresses nothing itself.

    Parameters
    ----------
    address : Address
    largest_batch : int, optional
        Bytes of a batch that the topic takes, where known.

    Yields
    ------
    kafka.KafkaProducer

    Raises
    ------
    FeedUnavailable
        As `open_consumer`.
    """

    def build(server: str) -> Any:  # noqa: ANN401 - untyped client
        producer = KafkaProducer(
            **client_settings(address, server),
            acks="all",
            enable_idempotence=True,
            linger_ms=20,
            # kafka-python 3.0.12 splits a batch that is refused as too large, and then gives up on both halves.
            batch_size=min(BATCH_BYTES, largest_batch or BATCH_BYTES),
            max_request_size=MAX_MESSAGE + _OVERHEAD,
            delivery_timeout_ms=int(DELIVERY_SECONDS * 1000),
            max_block_ms=int(CONNECT_SECONDS * 1000),
        )
        # As for a consumer: it would wait 100 ms before its first request about the topic.
        producer._metadata.config["retry_backoff_ms"] = RETRY_MS  # noqa: SLF001 - there is no public way
        return producer

    producer = connect(address, build)
    try:
        with explained(address, lambda: producer._metadata), translated(address):  # noqa: SLF001 - the same
            yield producer
    finally:
        _close(producer)


def _close(producer: Any) -> None:  # noqa: ANN401 - untyped client
    """Close a producer for good: with records pending, its own close gives up and its thread goes on sending."""
    with suppress(Exception):
        producer.close(timeout=1)
        return
    with suppress(Exception):
        producer._sender.force_close()  # noqa: SLF001 - there is no public way
        producer._sender.join(1)  # noqa: SLF001
        producer._closed = True  # noqa: SLF001 - or its finaliser closes again, and prints the failure


def client_settings(address: Address, server: str) -> dict[str, Any]:
    """Settings of every client of a broker."""
    return {
        # This one names the others; given a dead one, the client would try it again and again, and wait each time.
        "bootstrap_servers": [server],
        **client_options(address.access),
        "api_version": address.api_version,
        "bootstrap_timeout_ms": int(CONNECT_SECONDS * 1000),
        # To find a restarted broker soon: by default the client waits ever longer, up to half a minute.
        "reconnect_backoff_max_ms": 1000,
        "client_id": "sor-sweep",
        "metrics_enabled": False,
    }


def connect(address: Address, build: Callable[[str], Answer], patience: float = 0.0) -> Answer:
    """Build a client for the first server that answers; FeedUnavailable where none does within `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return _connect_now(address, build)
        except FeedUnavailable:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_AGAIN_SECONDS)


def _connect_now(address: Address, build: Callable[[str], Answer]) -> Answer:
    server = probe(address)
    with translated(address, "a broker that speaks an older protocol, as the embedded one, needs ?api_version=2.3"):
        return within(CONNECT_SECONDS + 2, address, lambda: build(server))


@contextmanager
def explained(address: Address, cluster: Callable[[], Any]) -> Iterator[None]:
    """Where a client gives up, check whether the brokers can be reached by the names that the cluster advertises."""
    try:
        yield
    except NoAnswer as error:
        with suppress(AttributeError):
            servers = {
                (f"[{each.host}]" if ":" in each.host else each.host) + f":{each.port}" for each in cluster().brokers()
            }
            reasons = [refusal(server, address.access) for server in sorted(servers - set(address.servers))[:3]]
            if problems := list(filter(None, reasons)):
                raise NoAnswer(
                    f"{error.what}; the cluster names brokers that are of no use from here ({'; '.join(problems)})",
                    address.place,
                    "check the brokers' advertised.listeners, and their certificates",
                ) from error
        raise


@contextmanager
def translated(address: Address, remedy: str = "check that the broker is up, then repeat") -> Iterator[None]:
    """Turn the client's errors into one line of ours."""
    try:
        yield
    except errors.OffsetOutOfRangeError as error:
        where = ", ".join(f"partition {tp.partition}, offset {offset}" for tp, offset in error.args[0].items())
        raise FeedCorrupt(
            f"{where} is gone: retention or a deletion took it", address.place, "replay again, or keep the topic longer"
        ) from error
    except errors.LogTruncationError as error:
        raise FeedCorrupt(
            "the broker no longer has what was read: the topic was made anew, or its log was cut back",
            address.place,
            "replay the source again",
        ) from error
    except errors.SaslAuthenticationFailedError as error:
        raise FeedUnavailable(
            f"the broker does not accept {address.access.sasl_username!r} by {address.access.sasl_mechanism}",
            address.place,
            "check kafka.sasl_username, kafka.sasl_mechanism and the password's place",
        ) from error
    except errors.AuthorizationError as error:
        raise FeedUnavailable(
            f"the broker does not allow that to this user ({type(error).__name__})",
            address.place,
            "ask for the rights to describe and read the topic, and to replay those to create and write it",
        ) from error
    except tuple(_REFUSED) as error:
        what, remedy = next(texts for kind, texts in _REFUSED.items() if isinstance(error, kind))
        raise FeedUnavailable(f"{what} ({' '.join(str(error).split())[:200]})", address.place, remedy) from error
    except errors.KafkaError as error:
        what = " ".join(str(error).split())[:300] or type(error).__name__
        raise NoAnswer(f"the Kafka client gave up: {what}", address.place, remedy) from error


def within(seconds: float, address: Address, call: Callable[[], Answer]) -> Answer:
    """Run a client call that has no time limit of its own, with one.

    Raises
    ------
    FeedUnavailable
        It does not return in time; its thread, a daemon, is left behind.
    """
    results: list[Answer] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True, name="sor-sweep-kafka")
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not results:
        raise NoAnswer(f"the broker did not answer within {seconds:.0f} s", address.place, START)
    return results[0]
