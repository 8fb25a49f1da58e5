"""What surrounds the values of a replay: headers, and an end record that no malformed one passes for."""

import json

import pytest

from feed.codecs.messages import Record
from feed.errors import FeedCorrupt
from feed.kafka.headers import EndRecord, Listed, data_headers, decode_end, encode_end, end_headers, replay_digest


def end_record(**fields):
    listed = Listed(2, 7, 900, 5, 8, "a" * 64)
    base = {
        "replay": "r",
        "codec": "json",
        "schema": "1.0",
        "messages": 2,
        "digest": "b" * 64,
        "tapes": {"AAPL": "b" * 64},
        "partitions": {0: listed},
    }
    return EndRecord(**{**base, **fields})


def test_end_record_survives_the_round_trip():
    end = end_record()
    value = encode_end(end)
    listed = {"messages": 2, "rows": 7, "bytes": 900, "start": 5, "end": 8, "digest": "a" * 64}
    assert json.loads(value)["partitions"] == {"0": listed}
    assert decode_end(Record(0, 8, value), "r") == end


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{}", "missing required field"),
        (b"x", "malformed"),
        (encode_end(end_record(messages=3)), "do not add up"),
        (
            encode_end(end_record(messages=4, partitions={0: Listed(4, 7, 900, 5, 8, "a" * 64)})),
            "more messages than offsets",
        ),
        (encode_end(end_record(digest="z")), "matching regex"),
        (encode_end(end_record(partitions={})), "length"),
        (encode_end(end_record(tapes={})), "length"),
        (encode_end(end_record(tapes={"AAPL": "c" * 64})), "do not make the replay's"),
        (encode_end(end_record(tapes={"AAPL": "b" * 64, "MSFT": "b" * 64})), "do not make the replay's"),
        (encode_end(end_record(replay="other")), "different replays"),
    ],
)
def test_a_malformed_end_record_is_named(value, reason):
    with pytest.raises(FeedCorrupt, match=f"partition 0, offset 8: malformed message: end record: .*{reason}"):
        decode_end(Record(0, 8, value), "r")


def test_headers():
    assert data_headers("r", "AAPL", "json", 7, 3) == [
        ("replay", b"r"),
        ("symbol", b"AAPL"),
        ("schema", b"1.0"),
        ("codec", b"json"),
        ("seq", b"7"),
        ("pseq", b"3"),
    ]
    assert dict(end_headers("r", "json"))["kind"] == b"end"


def test_the_digest_of_a_replay_depends_on_its_symbols_and_not_on_their_order():
    one, other = {"AAPL": "a" * 64, "MSFT": "b" * 64}, {"MSFT": "b" * 64, "AAPL": "a" * 64}
    assert replay_digest({"AAPL": "a" * 64}) == "a" * 64
    assert replay_digest(one) == replay_digest(other)
    assert replay_digest(one) != replay_digest({"AAPL": "b" * 64, "MSFT": "a" * 64})
