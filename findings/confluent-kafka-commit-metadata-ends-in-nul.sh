#!/usr/bin/env bash
# A committed offset can carry a text, say the digest of what was read so far. Written by one client and compared by
# the other, it is never equal.
set -euo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check confluent-kafka==2.16.1 kafka-python==3.0.12
cd "$scratch"
"$scratch/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import confluent_kafka as ck
import kafka

print("guess:     the text of a commit is the same whichever client reads it")
producer = ck.Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, "log_level": 0})
broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
address = f"{broker.host}:{broker.port}"
producer.produce("quotes", value=b"q", partition=0)
producer.flush(10)
partition = kafka.TopicPartition("quotes", 0)
read = {}
# Two groups, one committed by each client; both clients then read both.
mine = ck.Consumer({"bootstrap.servers": address, "group.id": "by-confluent"})
mine.commit(offsets=[ck.TopicPartition("quotes", 0, 1, "digest")], asynchronous=False)
mine.close()
theirs = kafka.KafkaConsumer(bootstrap_servers=address, api_version=(2, 3), group_id="by-kafka-python")
theirs.assign([partition])
theirs.commit({partition: kafka.OffsetAndMetadata(1, "digest", -1)})
theirs.close(autocommit=False)
for group in ("by-confluent", "by-kafka-python"):
    one = ck.Consumer({"bootstrap.servers": address, "group.id": group})
    two = kafka.KafkaConsumer(bootstrap_servers=address, api_version=(2, 3), group_id=group)
    read[group] = (
        one.committed([ck.TopicPartition("quotes", 0)], timeout=10)[0].metadata,
        two.committed(partition, metadata=True).metadata,
    )
    one.close()
    two.close(autocommit=False)
print("behaviour: confluent-kafka sends the C string's closing NUL along, and drops it when it reads; kafka-python keeps it")
for group, (one, two) in read.items():
    print(f"output:    committed {group}: confluent-kafka reads {one!r}, kafka-python reads {two!r}")
same = read == {"by-confluent": ("digest", "digest\0"), "by-kafka-python": ("digest", "digest")}
print("versions:  " + ", ".join(f"{name} {version(name)}" for name in ("confluent-kafka", "kafka-python")))
print("measured:  2026-11-28")
if not same:
    sys.exit("CHANGED: the text of a commit crosses the two clients otherwise now")
print("for us:    strip NULs before comparing a digest or JSON in commit metadata, and don't expect the two clients' texts equal")
PYTHON
