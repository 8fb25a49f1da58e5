#!/usr/bin/env bash
# The mock cluster inside librdkafka takes transactions. What it writes at their end is an offset of its own whose
# checksum is zero, and isolation levels do nothing.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check confluent-kafka==2.16.1 kafka-python==3.0.12
cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import sys
import time
from importlib.metadata import version

import confluent_kafka as ck
import kafka

print("guess:     the mock writes no commit markers, so offsets stay contiguous and every client reads the topic;")
print("           read_committed may show aborted messages, as it is only a mock")
producer = ck.Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0, "transactional.id": "quotes"})
broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
address = f"{broker.host}:{broker.port}"
producer.init_transactions(10)
for value, end in ((b"kept", producer.commit_transaction), (b"aborted", producer.abort_transaction)):
    producer.begin_transaction()
    producer.produce("quotes", value=value, partition=0)
    producer.flush(10)
    end(10)


def by_confluent(**more):
    settings = {"bootstrap.servers": address, "group.id": "g", "isolation.level": "read_committed"}
    consumer = ck.Consumer({**settings, "enable.partition.eof": True, **more})
    consumer.assign([ck.TopicPartition("quotes", 0, 0)])
    seen, until = [], time.monotonic() + 15
    while time.monotonic() < until:
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error():
            if message.error().code() != ck.KafkaError._PARTITION_EOF:
                seen.append(message.error().name())
            break
        seen.append((message.offset(), message.value().decode()))
    consumer.close()
    return seen


def by_kafka_python(**more):
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=address,
        api_version=(2, 3),
        isolation_level="read_committed",
        consumer_timeout_ms=3000,
        **more,
    )
    partition = kafka.TopicPartition("quotes", 0)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    seen = []
    try:
        seen.extend((message.offset, message.value.decode()) for message in consumer)
    except kafka.errors.CorruptRecordError as error:
        seen.append(type(error).__name__)
    finally:
        consumer.close()
    return seen


plain, checked = by_confluent(), by_confluent(**{"check.crcs": True})
python, unchecked = by_kafka_python(), by_kafka_python(check_crcs=False)
print("behaviour: each commit or abort takes an offset, its batch has checksum 0; who checks, fails; who does not, reads")
print("           the aborted message too, under read_committed")
print(f"output:    confluent-kafka {plain}; with check.crcs {checked}")
print(f"output:    kafka-python without the check {unchecked}; as it comes {python}")
both = [(0, "kept"), (2, "aborted")]
same = (
    plain == both
    and unchecked == both
    and checked[-1] == "_BAD_MSG"
    and python[-1] == "CorruptRecordError"
)
print("versions:  " + ", ".join(f"{name} {version(name)}" for name in ("confluent-kafka", "kafka-python")))
print("measured:  2026-11-28")
if not same:
    sys.exit("CHANGED: the mock cluster writes transactions otherwise now")
print("for us:    exactly-once can't be tested on the mock: it accepts what a broker hides, and a sound reader calls it corrupt")
PYTHON
