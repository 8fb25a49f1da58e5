"""What integration tests put into topics by hand: a tape, its messages, end records that promise what they like."""

import hashlib
import socket

import numpy as np

from feed.codecs.json_codec import encode_json
from feed.kafka.address import parse_address
from feed.kafka.client import open_producer
from feed.kafka.headers import EndRecord, Listed, data_headers, encode_end, end_headers, replay_digest
from feed.tape import Tape


def tape(seed=0, instants=300, venues=3, symbol="AAPL"):
    rng = np.random.default_rng(seed)
    rows, prints = instants * venues, instants // 3
    ts = 1_722_519_392 * 10**9 + np.cumsum(rng.integers(1, 10**7, instants))
    bid = 222 * 10**9 + rng.integers(0, 100, rows) * 10**7
    return Tape.build(
        symbol,
        ts=np.repeat(ts, venues),
        venue=np.tile(np.arange(venues), instants),
        bid_px=bid,
        ask_px=bid + rng.integers(1, 4, rows) * 10**7,
        bid_sz=rng.integers(0, 900, rows),
        ask_sz=rng.integers(0, 900, rows),
        sequence=np.arange(rows),
        trades={
            "ts": np.sort(rng.choice(ts, prints)) + rng.integers(0, 2, prints),
            "venue": rng.integers(0, venues, prints),
            "px": 222 * 10**9 + rng.integers(0, 100, prints) * 10**7,
            "sz": rng.integers(1, 500, prints),
            "side": rng.integers(-1, 2, prints),
            "sequence": rng.integers(0, 10**6, prints),
        },
    )


def put(source, items):
    """Write (value, headers) as they are and return their offsets."""
    address = parse_address(source)
    with open_producer(address) as producer:
        sent = [producer.send(address.topic, value=value, headers=headers, partition=0) for value, headers in items]
        producer.flush(timeout=20)
        return [future.get(timeout=20).offset for future in sent]


def put_with_keys(source, items):
    """Write (key, (value, headers)) as they are."""
    address = parse_address(source)
    with open_producer(address) as producer:
        for key, (value, headers) in items:
            producer.send(address.topic, value=value, headers=headers, key=key, partition=0)
        producer.flush(timeout=20)


def messages(stream, name="hand"):
    return [
        (message.value, data_headers(name, stream.symbol, "json", i, i))
        for i, message in enumerate(encode_json(stream))
    ]


def ended(stream, items, name="hand", start=0, end=None, **fields):
    """An end record that promises all of the stream, whatever was sent."""
    sent = list(encode_json(stream))
    values = [message.value for message in sent]
    digest = hashlib.sha256(b"".join(hashlib.sha256(value).digest() for value in values)).hexdigest()
    rows, size = sum(message.rows for message in sent), sum(map(len, values))
    listed = Listed(len(values), rows, size, start, len(items) + start if end is None else end, digest)
    tapes = fields.pop("tapes", {stream.symbol: stream.digest()})
    base = EndRecord(name, "json", "1.0", len(values), replay_digest(tapes), tapes, {0: listed})
    return encode_end(type(base)(**{**{f: getattr(base, f) for f in base.__struct_fields__}, **fields}))


def end_item(*arguments, name="hand", **fields):
    return ended(*arguments, name=name, **fields), end_headers(name, "json")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
