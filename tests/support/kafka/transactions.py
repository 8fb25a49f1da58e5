"""Transactions of others, on a real broker."""

import time
from contextlib import contextmanager


@contextmanager
def transaction(cluster, topic):
    """Send (value, headers) within a transaction, which is left open where the body does not end it."""
    from confluent_kafka import Producer

    name = f"{topic}-{time.monotonic_ns()}"
    producer = Producer({"bootstrap.servers": cluster.servers, "transactional.id": name})
    producer.init_transactions(30)
    producer.begin_transaction()

    def send(items):
        for value, headers in items:
            producer.produce(topic, value, headers=headers, partition=0)
        assert producer.flush(30) == 0

    yield producer, send
