"""What a topic of somebody else's is made of, once its records are there: tapes by symbol, and clear refusals."""

import json
from contextlib import nullcontext

import pytest

from feed.codecs.messages import Record, gather
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.kafka import foreign
from feed.kafka.address import Address
from feed.kafka.foreign import ForeignPlan, ForeignRange
from feed.options import ReadOptions
from feed.tape import UNNAMED

ADDRESS = Address(("there:9092",), "q")


def quote(at, venue=2, ask=100.1, **fields):
    row = {"ts_event": f"2024-08-01T13:36:32.{at:09d}Z", "publisher_id": venue, "ask_px_00": ask, "ask_sz_00": 9}
    return json.dumps({"snapshot": [row | {"bid_px_00": 99.0, "bid_sz_00": 7, "sequence": at} | fields]}).encode()


@pytest.fixture
def read(monkeypatch):
    """Tapes of records given as (value, key), or as they are."""

    def read_all(*items, split=None, **options):
        held = [
            item if isinstance(item, Record) else Record(0, at, item[0], key=item[1]) for at, item in enumerate(items)
        ]
        monkeypatch.setattr(foreign, "open_consumer", lambda *_, **__: nullcontext())
        monkeypatch.setattr(
            foreign, "records", lambda _consumer, _address, _partition, start, end, **_: iter(held[start:end])
        )
        asked, step = ReadOptions(foreign=True, **options), split or len(held)
        ranges = tuple(
            ForeignRange(ADDRESS, 0, at, min(at + step, len(held)), asked) for at in range(0, len(held), step)
        )
        return ForeignPlan(ADDRESS, ranges, asked).merge([part.read() for part in ranges])

    return read_all


@pytest.mark.parametrize("split", [1, None])
def test_keys_that_are_all_their_venues_name_nothing(read, split):
    items = [(quote(1, venue=2), b"2"), (quote(2, venue=9), b"9")]
    ((tape, provenance),) = read(*items, split=split, symbol="AAPL")
    assert (tape.symbol, tape.venue.tolist(), provenance.ignored) == ("AAPL", [2, 9], {})
    assert read(*items, split=split)[0][0].symbol == UNNAMED


def test_levels_behind_the_first_are_read_where_they_are_asked_for(read):
    """Nothing proves them, and others may mean something else by those names."""
    behind = {"ask_px_01": 100.2, "ask_sz_01": 5, "bid_px_01": 0, "bid_sz_01": 0}
    items = [(quote(1, **behind), None), (quote(2), None)]
    assert read(*items)[0][0].depth == 1
    ((tape, provenance),) = read(*items, depth=10)
    assert tape.levels.ask_px.tolist() == [[100_200_000_000], [0]]
    assert provenance.digest == tape.digest()


@pytest.mark.parametrize("split", [1, None])
def test_a_number_is_a_symbol_where_the_other_keys_are(read, split):
    items = [(quote(1, venue=1, ask=99.5), b"1"), (quote(2, venue=2), b"1"), (quote(3, venue=1, ask=400.0), b"700")]
    for symbol, venues in (("1", [1, 2]), ("700", [1])):
        ((tape, _),) = read(*items, split=split, symbol=symbol)
        assert (tape.symbol, tape.venue.tolist()) == (symbol, venues)
    assert [tape.symbol for tape, _ in read(*items, split=split)] == ["1", "700"]
    with pytest.raises(
        FeedUnavailable, match=r"no message of symbol 'AAPL'; symbols there: 1, 700: its keys; where they"
    ):
        read(*items, split=split, symbol="AAPL")


def test_one_of_very_many_symbols_can_be_taken(read, monkeypatch):
    monkeypatch.setattr(foreign, "SYMBOLS", 5)
    items = [(quote(at, symbol=f"S{at}"), None) for at in range(9)]
    ((tape, provenance),) = read(*items, symbol="S7")
    assert (tape.symbol, tape.rows, provenance.ignored) == ("S7", 1, {"other_symbol": 8})
    with pytest.raises(FeedUnavailable, match=r"more than 5 symbols.*; name one: symbol=\.\.\."):
        read(*items)
    with pytest.raises(FeedUnavailable, match=r"more than 5 symbols"):
        read(*items, split=3)
    with pytest.raises(FeedUnavailable, match=r"no message of symbol 'X'; symbols there: S0, S1, S2, S3, S4$"):
        read(*items, symbol="X")


def test_a_malformed_message_names_nothing(read):
    ((tape, provenance),) = read((quote(1), None), (b"oops", b"IBM"), max_bad=1)
    assert (tape.symbol, tape.rows, len(provenance.bad)) == (UNNAMED, 1, 1)
    ((tape, _),) = read((quote(1, symbol="AAPL"), None), (b"oops", None), max_bad=1)
    assert tape.symbol == "AAPL"


def test_where_nothing_is_left_it_is_said_why(read):
    aborted = Record(0, 0, quote(1), aborted=True)
    with pytest.raises(
        FeedCorrupt, match="no quotes: 1 messages were aborted with their transactions, 1 are malformed"
    ):
        read(aborted, (b"oops", None), max_bad=1)
    with pytest.raises(FeedCorrupt, match="holds no message without headers"):
        read(Record(0, 0, b"", own=(("replay", b"r"),)))


BROKEN = b'{"snapshot": [{"symbol": "IB'


@pytest.mark.parametrize("split", [1, None])
def test_a_malformed_message_of_another_symbol_is_not_one_of_ours(read, split):
    mine, other = (quote(1), b"AAPL"), (quote(2), b"IBM")
    for items in (
        [(BROKEN, b"IBM"), (BROKEN, b"IBM"), mine, other],
        [mine, other, (BROKEN, b'"IBM"'), Record(0, 3, BROKEN, own=(("symbol", b"IBM"),), key=b"AAPL")],
        [mine, Record(0, 1, BROKEN, own=(("symbol", b"X"),)), Record(0, 2, BROKEN, own=(("symbol", b"Y"),)), other],
    ):
        ((tape, provenance),) = read(*items, split=split, symbol="AAPL")
        assert (tape.rows, provenance.bad, provenance.ignored) == (1, (), {"other_symbol": 3})
    with pytest.raises(FeedCorrupt, match="offset 1: malformed"):
        read(mine, (BROKEN, b"IBM"), other, split=split)


@pytest.mark.parametrize("split", [1, None])
@pytest.mark.parametrize("key", [b"AAPL", b"shard-3", b"2", None, b"\xff"])
def test_a_malformed_message_is_ours_unless_it_is_surely_of_another(read, split, key):
    items = [(quote(1, symbol="AAPL"), b"shard-1"), (BROKEN, key), (quote(2, symbol="AAPL"), b"2"), (BROKEN, key)]
    with pytest.raises(FeedCorrupt, match=r"offset [13]: malformed"):
        read(*items, split=split, symbol="AAPL", max_bad=1)
    ((tape, provenance),) = read(*items, split=split, symbol="AAPL", max_bad=2)
    assert (tape.rows, [bad.offset for bad in provenance.bad], provenance.ignored) == (2, [1, 3], {})


def test_the_bad_parts_of_one_message_are_one_bad_message(read):
    row = {"ts_event": "2024-08-01T13:36:32.000000001Z", "publisher_id": 2, "ask_px_00": -1, "ask_sz_00": 9}
    rows = [row | {"bid_px_00": 99.0, "bid_sz_00": 7, "sequence": 1, "symbol": symbol} for symbol in ("X", "Y", "Z")]
    rows[1]["ask_px_00"] = 100
    (tape, provenance), *others = read((json.dumps({"snapshot": rows}).encode(), None), max_bad=1)
    assert (tape.symbol, tape.rows, len(provenance.bad), others) == ("Y", 1, 1, [])
    with pytest.raises(FeedCorrupt, match="offset 0: malformed"):
        read((json.dumps({"snapshot": rows}).encode(), None))


def test_rows_are_shared_out_in_one_pass_however_many_symbols_there_are(read, monkeypatch):
    walked = []

    def counted(parts, messages):
        walked.append((sum(len(part.quote_counts) for part in parts), len(messages)))
        return gather(parts, messages)

    monkeypatch.setattr(foreign, "gather", counted)
    items = [(quote(at % 90), b"S%d" % (at % 30)) for at in range(120)]
    pairs = read(*items)
    assert walked == [(120, 90)]
    assert [tape.symbol for tape, _ in pairs] == sorted(f"S{at}" for at in range(30))
    for tape, provenance in pairs:
        assert tape.sequence.tolist() == [int(tape.symbol[1:]) + 30 * at for at in range(3)]
        assert (provenance.messages, provenance.resent) == (3, 1)


# --- tombstones ---


@pytest.mark.parametrize("split", [1, None])
def test_tombstones_are_left_out_and_counted(read, split):
    gone = Record(0, 1, b"", key=b"IBM", tombstone=True)
    aborted = gone._replace(aborted=True)
    for options in ({}, {"symbol": "IBM"}):
        ((tape, provenance),) = read(
            (quote(1), b"IBM"), gone, gone, aborted, (quote(2), b"IBM"), split=split, **options
        )
        assert (tape.symbol, tape.rows, provenance.messages) == ("IBM", 2, 2)
        assert provenance.ignored == {"tombstone": 2, "aborted": 1}
        assert not provenance.bad


def test_an_empty_value_is_malformed_and_no_tombstone(read):
    with pytest.raises(FeedCorrupt, match="offset 1: malformed message"):
        read((quote(1), None), (b"", None))


def test_a_topic_of_tombstones_says_so(read):
    with pytest.raises(FeedCorrupt, match="it holds no quotes: 2 messages are tombstones; send them again"):
        read(*[Record(0, at, b"", tombstone=True) for at in range(2)])
