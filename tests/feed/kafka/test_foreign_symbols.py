"""Which symbol a message of somebody else's is of."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.codecs.json_codec import decode_json
from feed.codecs.json_rows import REFUSALS
from feed.codecs.messages import Record
from feed.kafka.foreign_symbols import Name, by_symbol

STAMP = "2024-08-01T13:36:32.000000000Z"
QUOTE = {
    "ts_event": STAMP,
    "publisher_id": 2,
    "ask_px_00": 100.1,
    "ask_sz_00": 9,
    "bid_px_00": 100.0,
    "bid_sz_00": 7,
    "sequence": 1,
}
TRADE = {"ts_event": STAMP, "publisher_id": 2, "price": 100.1, "size": 5, "side": "B", "sequence": 1}


def message(*symbols, trades=(), header=None, key=None):
    """A quote for each of the symbols, None for a row that has no such field, and a trade likewise."""
    rows, prints = (
        [made | {"sequence": at} | ({} if name is None else {"symbol": name}) for at, name in enumerate(names)]
        for made, names in ((QUOTE, symbols), (TRADE, trades))
    )
    value = json.dumps({"snapshot": rows, "trades": prints}).encode()
    return Record(0, 7, value, own=() if header is None else (("symbol", header),), key=key)


def within(record, **fields):
    return record._replace(value=json.dumps(json.loads(record.value) | fields).encode())


@pytest.mark.parametrize(
    ("record", "symbol", "of"),
    [
        (message(None), "", ""),
        (message("AAPL"), "AAPL", "value"),
        (message("NA", "NA", header=b"MSFT", key=b"IBM"), "NA", "value"),
        (within(message(None, header=b"MSFT"), symbol="AAPL"), "AAPL", "value"),
        (within(message("NA"), symbol="AAPL"), "NA", "value"),
        (message(None, header=b"MSFT", key=b"IBM"), "MSFT", "header"),
        (message("", header=b"MSFT"), "MSFT", "header"),
        (message(None, key=b"IBM"), "IBM", "key"),
        (message(None, header=b"", key=b"IBM"), "IBM", "key"),
        (message(None, key=b"7203"), "7203", "key"),
        (message(7203), "7203", "value"),
        (message(None, key=b"2"), "2", "venue"),
        (message("AAPL", key=b"2"), "AAPL", "value"),
        (message(None, key=b'"IBM"'), "IBM", "key"),
        (message(None, key=b'{"symbol": "AAPL"}'), "AAPL", "key"),
        (message(None, key=b'{"id": 5}'), "", ""),
        (message(None, key=b"{no JSON"), "", ""),
        (message(None, key=b"[1]"), "", ""),
        (message(None, key=b"\x00\x00\x00\x02"), "", ""),
        (message(None, key=b"\xff"), "", ""),
        (message(None, key=b""), "", ""),
        (message(None, key=b"x" * 129), "", ""),
        (Record(0, 0, b"no JSON", key=b"IBM"), "IBM", "key"),
    ],
)
def test_the_rows_say_it_then_the_message_its_header_its_key(record, symbol, of):
    assert by_symbol(record) == [(Name(symbol, of), record)]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (message(["AAPL"]), "symbol is list, expected text"),
        (message(True), "symbol is bool"),
        (message("x" * 129), "is not printable text of up to 128 bytes"),
        (message(None, header=b"\xff"), "header symbol is no text"),
        (message(None, header=b"\x00\x00\x00\x05"), r"symbol '.x00.x00.x00.x05' is not printable"),
        (Record(0, 0, b'{"symbol": 5', key=b"IBM"), "truncated"),
        (Record(0, 0, b'{"snapshot": [{"symbol": "\\ud800"}]}'), "truncated"),
        (Record(0, 0, b'{"snapshot": [{"symbol": "\xff"}]}'), "utf-8"),
    ],
)
def test_what_is_no_symbol_is_malformed(record, reason):
    with pytest.raises(REFUSALS, match=reason):
        by_symbol(record)


def test_a_message_of_very_many_symbols_takes_no_longer_than_its_rows():
    parts = by_symbol(message(*(f"S{at}" for at in range(20_000))))
    assert len(parts) == 20_000
    assert parts[7][0] == Name("S7", "value")
    assert [row["sequence"] for row in json.loads(parts[7][1].value)["snapshot"]] == [7]


NAMES = st.lists(st.sampled_from(["AAPL", "MSFT", "NA", None]), max_size=6)


@given(symbols=NAMES, trades=NAMES)
def test_a_message_of_several_symbols_comes_apart_and_no_row_is_lost(symbols, trades):
    record = message(*symbols, trades=trades, header=b"IBM")
    parts = by_symbol(record)
    named = [name or "IBM" for name in (*symbols, *trades)]
    assert [name.symbol for name, _ in parts] == (list(dict.fromkeys(named)) or ["IBM"])
    if named:
        rows = decode_json([part for _, part in parts], lambda _record, reason: pytest.fail(reason))
        for columns, labels in ((rows.quotes, symbols), (rows.trades, trades)):
            expected = [at for name, _ in parts for at, its in enumerate(labels) if (its or "IBM") == name.symbol]
            assert columns["sequence"].tolist() == expected
