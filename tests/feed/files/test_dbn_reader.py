"""DBN files, made by Databento's own library: the tape of the CSV that it makes of them, and no other."""

from __future__ import annotations

import sys
from datetime import date

import databento_dbn as dbn
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files import csv_reader, dbn_stream
from feed.files.dbn_layouts import LAYOUTS, RECORD_FIELDS, record_dtype
from feed.files.dbn_reader import read_dbn
from feed.files.dbn_symbols import MAPPING_RECORDS
from feed.files.fragments import FileBlock
from feed.tape import DAY, PRICE_LIMIT, UNDEFINED_PRICE, UNNAMED, same
from tests.support.dbnfile import (
    AAPL,
    FIRST,
    PAST,
    SIDES,
    TS,
    csv_of,
    live_metadata,
    mapping,
    mapping_record,
    metadata,
    record,
    trade_record,
)
from tests.support.examples import examples

FEW = examples(60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dbn")


@pytest.fixture
def read(folder):
    """Write metadata and records to a file, and read it."""

    def write_and_read(*parts, symbol=None, name="day.dbn", **options):
        path = folder / name
        raw = b"".join(parts)
        path.write_bytes(pa.compress(raw, "zstd", asbytes=True) if name.endswith(".zst") else raw)
        return read_dbn(path, symbol, **options)

    return write_and_read


def as_csv(folder, raw, symbol=None, **options):
    (folder / "day.csv").write_bytes(csv_of(raw, **options))
    return csv_reader.read_csv(folder / "day.csv", symbol)


def test_the_places_of_the_fields_of_mapping_records_are_the_library_s():
    for message, versions in ((dbn.SymbolMappingMsgV1, (1,)), (dbn.SymbolMappingMsg, (2, 3))):
        its = np.dtype(message._dtypes)
        for version in versions:
            ours = MAPPING_RECORDS[version]
            assert ours.itemsize == its.itemsize
            assert [ours.fields[name] for name in ours.names] == [its.fields[name] for name in its.names]


def test_the_places_of_the_fields_are_the_library_s():
    kinds = {"action": "S1", "side": "S1"}  # letters, which are read as their numbers
    for message, rtype in ((dbn.MBP1Msg, 1), (dbn.MBP10Msg, 10)):
        its = np.dtype(message._dtypes)
        assert its.itemsize == LAYOUTS[rtype].nbytes
        for name, (kind, offset) in RECORD_FIELDS.items():
            assert its.fields[name] == (np.dtype(kinds.get(name, kind)), offset)
    ours = record_dtype(LAYOUTS[10].nbytes)
    behind, first = ours.fields["behind"]
    for level in range(1, 10):
        for name, (kind, offset) in behind.base.fields.items():
            assert its.fields[f"{name}_{level:02}"] == (kind, first + 32 * (level - 1) + offset)


def test_a_row_is_read_exactly(read):
    (fragment,) = read(metadata(AAPL), record()).fragments
    tape = fragment.tape
    assert (tape.symbol, tape.ts.tolist(), tape.venue.tolist()) == ("AAPL", [TS], [2])
    assert (tape.bid_px.tolist(), tape.ask_px.tolist()) == ([222_810_000_000], [222_830_000_000])
    assert (tape.bid_sz.tolist(), tape.ask_sz.tolist(), tape.sequence.tolist()) == ([421], [36], [46_542_624])
    assert (fragment.ignored, fragment.notes, fragment.named) == ({}, ("DBN version 3, schema mbp-1",), True)


_prices = st.one_of(st.integers(-(10**12), 10**12), st.sampled_from([0, UNDEFINED_PRICE, PRICE_LIMIT - 1]))
_sizes = st.one_of(st.integers(0, 1000), st.sampled_from([2**32 - 1, 2**31 - 1]))
_rows = st.fixed_dictionaries(
    {
        "publisher_id": st.integers(0, 2**15 - 1),
        "instrument_id": st.sampled_from([38, 39, 40]),
        "ts_event": st.integers(TS - DAY, TS + DAY),
        "price": _prices,
        "size": _sizes,
        "action": st.sampled_from("TTAC"),
        "side": st.sampled_from("BAN"),
        "ts_recv": st.integers(TS - 10, TS + 10),
        "sequence": st.integers(0, 2**32 - 1),
        "bid_px": _prices,
        "ask_px": _prices,
        "bid_sz": _sizes,
        "ask_sz": _sizes,
    }
)
_MAPPINGS = (AAPL, mapping("MSFT", (FIRST, PAST, 39)), mapping("GME", (FIRST, PAST, 40)))


@FEW
@given(
    rows=st.lists(_rows, min_size=1, max_size=30),
    others=st.lists(st.integers(0, 30), max_size=4),
    levels=st.sampled_from([1, 10]),
    pretty=st.booleans(),
    zstd=st.booleans(),
    block=st.integers(50, 999),
)
def test_the_same_data_as_csv_and_as_dbn_is_the_same_tape(folder, rows, others, levels, pretty, zstd, block):
    schema = dbn.Schema.MBP_1 if levels == 1 else dbn.Schema.MBP_10
    records = [record(levels, **row) for row in rows]
    raw = metadata(*_MAPPINGS, schema=schema) + b"".join(records)
    if pretty:
        expected = as_csv(folder, raw)
    else:  # whole numbers that are mostly below a cent are refused: make most of them large
        more = [record(levels, action="A")] * (len(rows) + 1)
        raw += b"".join(more)
        records += more
        expected = as_csv(folder, raw, pretty_px=False, pretty_ts=False)
    for at in others:
        records.insert(at, trade_record())
    raw = metadata(*_MAPPINGS, schema=schema) + b"".join(records)
    path = folder / ("day.dbn.zst" if zstd else "day.dbn")
    path.write_bytes(pa.compress(raw, "zstd", asbytes=True) if zstd else raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbn_stream, "BLOCK", block)
        decoded = read_dbn(path)
    ignored = {"other_rtype": len(others)} if others else {}
    for one, other in zip(decoded.fragments, expected.fragments, strict=True):
        assert same(one.tape, other.tape)
        assert one.tape.digest() == other.tape.digest()
        assert one.ignored == other.ignored | ignored
        alone = read_dbn(path, one.tape.symbol)
        assert same(alone.tape, one.tape)
        assert alone.fragments[0].ignored.pop("other_symbol", 0) == len(records) - len(others) - one.tape.rows


def test_trades_are_told_by_their_action(read):
    trades = read(
        metadata(AAPL),
        *(record(action="T", side=side, sequence=number) for number, side in enumerate(SIDES)),
        record(action="A"),
        record(action="T", size=0),
        record(action="T", price=UNDEFINED_PRICE),
    ).fragments[0]
    assert trades.tape.trades.side.tolist() == [1, -1, 0]
    assert trades.tape.rows == 6
    assert trades.ignored == {"unusable_trade": 2}


def test_records_of_other_lengths_anywhere_are_passed_over(read, monkeypatch):
    book, other = record(), trade_record()
    for order in ("ob", "bo", "bbo", "obo", "oobbb", "bobobo", "bbbbo", "obbbb", "bbobb"):
        parts = [metadata(AAPL), *(book if each == "b" else other for each in order)]
        for block in (60, 79, 80, 81, 130, 2**22):
            monkeypatch.setattr(dbn_stream, "BLOCK", block)
            (fragment,) = read(*parts).fragments
            assert (fragment.tape.rows, fragment.ignored) == (order.count("b"), {"other_rtype": order.count("o")})


def test_a_stamp_behind_each_record_is_passed_over(read):
    stamped = read(metadata(AAPL, ts_out=True), record(ts_out=99), record(ts_out=98))
    assert same(stamped.tape, read(metadata(AAPL), record(), record()).tape)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_every_version_is_read(read, version):
    assert read(metadata(AAPL, version=version), record()).tape.symbol == "AAPL"


# --- symbols ---


def test_a_symbol_is_that_of_the_date_of_receipt(read):
    second = date(2024, 8, 2), date(2024, 8, 3), 38
    maps = mapping("OLD", (FIRST, PAST, 38)), mapping("NEW", second)
    block = read(metadata(*maps), record(), record(ts_recv=TS + DAY), record(ts_recv=TS + DAY, sequence=1))
    assert [(each.tape.symbol, each.tape.rows) for each in block.fragments] == [("NEW", 2), ("OLD", 1)]
    assert block.symbols == ("NEW", "OLD")


SECOND, THIRD, FOURTH = (date(2024, 8, day) for day in (2, 3, 4))
MIDNIGHT = (TS // DAY + 1) * DAY
AROUND = [-1, 0, -1, 0, 1, -1]
"""Nanoseconds from midnight at which records are received, out of order too."""


def around_midnight(first=0):
    """Two instruments before and after midnight, at one venue; each was sent a second before it is received."""
    return [
        record(
            instrument_id=which,
            sequence=first + 2 * at + which - 38,
            ts_event=MIDNIGHT + ns - 10**9,
            ts_recv=ns + MIDNIGHT,
        )
        for at, ns in enumerate(AROUND)
        for which in (38, 39)
    ]


def exchanged(first=0):
    """What `around_midnight` gives each name where two exchange their instruments at midnight."""
    sides = {"A": lambda ns: 0 if ns < 0 else 1, "B": lambda ns: 1 if ns < 0 else 0}
    return {name: sorted(first + 2 * at + of(ns) for at, ns in enumerate(AROUND)) for name, of in sides.items()}


def sequences(block):
    return {each.tape.symbol: sorted(each.tape.sequence.tolist()) for each in block.fragments}


@pytest.mark.parametrize("block", [90, 2**22])
@pytest.mark.parametrize("other_way", [False, True])
def test_names_that_exchange_their_instruments_at_midnight_do_so_by_metadata(
    read, folder, monkeypatch, block, other_way
):
    monkeypatch.setattr(dbn_stream, "BLOCK", block)
    if other_way:
        stypes = {"stype_in": dbn.SType.INSTRUMENT_ID, "stype_out": dbn.SType.RAW_SYMBOL}
        maps = (
            mapping("38", (FIRST, SECOND, "A"), (SECOND, THIRD, "B")),
            mapping("39", (FIRST, SECOND, "B"), (SECOND, THIRD, "A")),
        )
    else:
        stypes = {}
        maps = (
            mapping("A", (FIRST, SECOND, 38), (SECOND, THIRD, 39)),
            mapping("B", (FIRST, SECOND, 39), (SECOND, THIRD, 38)),
        )
    parts = metadata(*maps, **stypes), *around_midnight()
    decoded = read(*parts)
    assert sequences(decoded) == exchanged()
    for name, numbers in exchanged().items():
        assert sequences(read(*parts, symbol=name)) == {name: numbers}
    for one, other in zip(decoded.fragments, as_csv(folder, b"".join(parts)).fragments, strict=True):
        assert same(one.tape, other.tape)  # the library goes by the date of receipt, too


@pytest.mark.parametrize("block", [180, 2**22])
@pytest.mark.parametrize("dated", [False, True])
@pytest.mark.parametrize("spans", ["told", "open"])
def test_names_that_exchange_their_instruments_at_midnight_do_so_by_records(read, monkeypatch, block, dated, spans):
    monkeypatch.setattr(dbn_stream, "BLOCK", block)
    head = metadata(mapping("OLD", (FIRST, THIRD, 38))) if dated else live_metadata()
    days = ({"start": MIDNIGHT - DAY, "end": MIDNIGHT}, {"start": MIDNIGHT, "end": MIDNIGHT + DAY})
    one, other = days if spans == "told" else ({}, {})
    before = mapping_record(38, "A", **one), mapping_record(39, "B", **one)
    after = mapping_record(38, "B", **other), mapping_record(39, "A", **other)
    if spans == "told":  # a record that comes late, behind the mappings of its next day, is still of its own
        parts = head, *before, *after, *around_midnight()
        expected = exchanged()
    else:  # what comes before the new mappings has the old ones
        rows = around_midnight()
        parts = head, *before, *rows[:2], *after, *rows[2:4]
        expected = {"A": [0, 3], "B": [1, 2]}
    assert sequences(read(*parts)) == expected
    for name, numbers in expected.items():
        assert sequences(read(*parts, symbol=name)) == {name: numbers}


def test_a_name_whose_old_instrument_goes_on_past_midnight_is_in_doubt(read):
    before, after = around_midnight()[0], around_midnight()[3]
    late = record(instrument_id=38, ts_recv=MIDNIGHT + 1)
    parts = live_metadata(), mapping_record(38, "A"), before, mapping_record(39, "A"), after
    assert sequences(read(*parts)) == {"A": [0, 3]}
    with pytest.raises(FeedUnavailable, match="'A' stands for several instruments of one venue on one day"):
        read(*parts, late)
    ended = mapping_record(38, "")
    assert sequences(read(*parts[:3], ended, *parts[3:], late)) == {"A": [0, 3], UNNAMED: [46_542_624]}


def test_mappings_may_go_the_other_way(read):
    both = {"stype_in": dbn.SType.INSTRUMENT_ID, "stype_out": dbn.SType.RAW_SYMBOL}
    block = read(metadata(mapping("38", (FIRST, PAST, "AAPL")), **both), record())
    assert block.tape.symbol == "AAPL"


def test_an_instrument_on_a_date_without_a_mapping_is_unnamed(read):
    block = read(metadata(AAPL), record(), record(ts_recv=TS + DAY))
    assert [(each.tape.symbol, each.tape.rows) for each in block.fragments] == [("AAPL", 1), (UNNAMED, 1)]
    with pytest.raises(FeedUnavailable, match="several instruments"):
        read(metadata(AAPL), record(instrument_id=7), record(instrument_id=8))


def test_without_mappings_the_file_is_called_as_asked_for(read):
    (fragment,) = read(metadata(), record(), record(publisher_id=3, instrument_id=12)).fragments
    assert (fragment.tape.symbol, fragment.named) == (UNNAMED, False)
    assert "names no symbol" in fragment.notes[0]
    assert read(metadata(), record(), symbol="IBM").tape.symbol == "IBM"
    with pytest.raises(FeedUnavailable, match=r"several instruments.*map_symbols"):
        read(metadata(), record(), record(instrument_id=39))


@pytest.mark.parametrize("order", [1, -1])
def test_two_names_of_one_instrument_are_a_tape_each_at_every_read(read, order):
    front = mapping("ES.c.0", (FIRST, SECOND, 38), (SECOND, THIRD, 39))  # rolls from one contract to the next
    raw = metadata(*[mapping("ESU4", (FIRST, FOURTH, 38)), front, mapping("ESZ4", (FIRST, FOURTH, 39))][::order])
    rows = [
        record(instrument_id=instrument, ts_event=TS + day * DAY + at, ts_recv=TS + day * DAY + at, sequence=at)
        for at, (day, instrument) in enumerate([(0, 38), (0, 39), (1, 38), (1, 39), (2, 38), (0, 38)])
    ]
    expected = {"ES.c.0": [0, 3, 5], "ESU4": [0, 2, 4, 5], "ESZ4": [1, 3]}
    for _ in range(8):  # the library gives the names in another order each time
        block = read(raw, *rows)
        assert block.symbols == tuple(expected)
        assert {each.tape.symbol: sorted(each.tape.sequence.tolist()) for each in block.fragments} == expected
        for name, sequences in expected.items():
            (alone,) = read(raw, *rows, symbol=name).fragments
            assert sorted(alone.tape.sequence.tolist()) == sequences
            assert alone.ignored["other_symbol"] == len(rows) - len(sequences)


_SPANS = st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from([38, 39, 40]))


@FEW
@given(
    maps=st.dictionaries(st.sampled_from(["A", "B", "C", "D"]), st.lists(_SPANS, min_size=1, max_size=3), min_size=1),
    rows=st.lists(st.tuples(st.integers(0, 2), st.sampled_from([38, 39, 40])), min_size=1, max_size=20),
    block=st.integers(80, 500),
)
def test_a_name_is_all_that_any_of_its_spans_covers(folder, maps, rows, block):
    first = FIRST.toordinal()
    mappings = [
        mapping(
            name,
            *(
                (date.fromordinal(first + day), date.fromordinal(first + day + days), which)
                for day, days, which in spans
            ),
        )
        for name, spans in maps.items()
    ]
    (folder / "day.dbn").write_bytes(
        metadata(*mappings)
        + b"".join(
            # a venue each, as a name may well stand for one instrument at each of several
            record(instrument_id=which, publisher_id=which, ts_recv=TS + day * DAY, sequence=at)
            for at, (day, which) in enumerate(rows)
        )
    )
    expected = {
        name: [
            at
            for at, (day, which) in enumerate(rows)
            if any(start <= day < start + days and which == its for start, days, its in spans)
        ]
        for name, spans in maps.items()
    }
    expected[UNNAMED] = sorted(set(range(len(rows))) - {at for numbers in expected.values() for at in numbers})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbn_stream, "BLOCK", block)
        fragments = read_dbn(folder / "day.dbn").fragments
        assert {each.tape.symbol: sorted(each.tape.sequence.tolist()) for each in fragments} == {
            name: places for name, places in expected.items() if places
        }
        for each in fragments:
            (alone,) = read_dbn(folder / "day.dbn", each.tape.symbol).fragments
            assert same(alone.tape, each.tape)


def test_a_name_of_several_instruments_of_one_venue_on_one_day_is_refused(read):
    both = metadata(mapping("ES.FUT", (FIRST, PAST, 38), (FIRST, PAST, 39)))
    with pytest.raises(FeedUnavailable, match=r"symbol 'ES.FUT' stands for several instruments of one venue"):
        read(both, record(), record(instrument_id=39))
    venues = record(), record(instrument_id=39, publisher_id=3)
    assert read(both, *venues).tape.rows == 2
    assert read(both, record(), record()).tape.rows == 2


def test_names_of_one_instrument_are_bounded_where_none_is_asked_for(read):
    names = [mapping(f"N{number:03}", (FIRST, PAST, 38)) for number in range(17)]
    assert len(read(metadata(*names[:16]), record()).fragments) == 16
    with pytest.raises(FeedUnavailable, match=r"17 symbols to instrument 38 on one day; name one: symbol=\.\.\."):
        read(metadata(*names), record())
    assert read(metadata(*names), record(), symbol="N016").tape.symbol == "N016"


def test_a_symbol_that_is_not_there_leaves_nothing(read):
    block = read(metadata(*_MAPPINGS), record(), symbol="IBM")
    assert (block.fragments, block.symbols) == ((), ("AAPL", "GME", "MSFT"))


# --- symbols of mapping records, as a live session has them ---


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("ts_out", [{}, {"ts_out": TS}])
def test_a_live_file_is_named_by_its_mapping_records(read, version, ts_out):
    head = live_metadata(version, ts_out=bool(ts_out)), mapping_record(38, "AAPL", "AAPL", version, **ts_out)
    rows = [record(sequence=at, **ts_out) for at in range(3)]
    block = read(*head, *rows)
    (fragment,) = block.fragments
    assert (fragment.tape.symbol, fragment.tape.rows, fragment.named, block.symbols) == ("AAPL", 3, True, ("AAPL",))
    assert fragment.ignored == {}
    assert fragment.notes[0] == "symbols by mapping records in the stream: 1"
    assert same(read(*head, *rows, symbol="AAPL").tape, fragment.tape)
    absent = read(*head, *rows, symbol="MSFT")
    assert (absent.fragments, absent.symbols) == ((), ("AAPL",))


@pytest.mark.parametrize(
    ("asked", "out", "stype_out", "symbol"),
    [
        ("ES.FUT", "ESZ4", "raw_symbol", "ESZ4"),
        ("ES.c.0", "ESZ4", "raw_symbol", "ESZ4"),
        ("38", "ESZ4", "raw_symbol", "ESZ4"),
        ("ESZ4", "38", "raw_symbol", "ESZ4"),
        ("ESZ4", "38", "instrument_id", "ESZ4"),
        ("7203", "7203", "raw_symbol", "7203"),  # a raw symbol may be of digits
        ("ES.c.0", "ESZ4", "instrument_id", "ESZ4"),  # the text decides, as in Databento's Python library
        ("ALL_SYMBOLS", "ESZ4", "instrument_id", "ESZ4"),
        ("ESZ4", "39", "instrument_id", "ESZ4"),
        ("\N{SNOWMAN}", "38", "instrument_id", "\N{SNOWMAN}"),
    ],
)
def test_an_instrument_is_called_by_its_raw_symbol(read, asked, out, stype_out, symbol):
    for version in (1, 3):
        head = live_metadata(version), mapping_record(38, out, asked, version, stype_out=stype_out)
        assert read(*head, record()).tape.symbol == symbol


def test_instruments_that_were_asked_for_together_are_each_called_by_their_own_symbol(read):
    for asked, stype_out, symbols in (
        ("ALL_SYMBOLS", "instrument_id", ("ESZ4", "NQZ4")),
        ("ES.FUT", "instrument_id", ("ESZ4", "ESH5")),
        ("ALL_SYMBOLS", "raw_symbol", ("7203", "6758")),
    ):
        head = [mapping_record(at, out, asked, stype_out=stype_out) for at, out in zip((38, 39), symbols, strict=True)]
        rows = record(), record(instrument_id=39)
        for symbol in symbols:
            assert read(live_metadata(), *head, *rows, symbol=symbol).tape.rows == 1


def test_the_mapping_in_force_is_that_of_the_place_in_the_stream(read, monkeypatch):
    parts = [
        live_metadata(),
        record(sequence=1),
        mapping_record(38, "OLD"),
        trade_record(),
        record(sequence=2),
        record(instrument_id=39, publisher_id=3, sequence=3),
        mapping_record(39, "OTHER"),
        mapping_record(38, "NEW"),
        record(sequence=4),
        record(instrument_id=39, publisher_id=3, sequence=5),
        mapping_record(38, ""),
        record(sequence=6),
    ]
    expected = {"NEW": [4], "OLD": [2], "OTHER": [5], UNNAMED: [1, 3, 6]}
    for block in (60, 176, 256, 500, 2**22):
        monkeypatch.setattr(dbn_stream, "BLOCK", block)
        decoded = read(*parts)
        assert {each.tape.symbol: sorted(each.tape.sequence.tolist()) for each in decoded.fragments} == expected
        assert decoded.symbols == tuple(expected)
        for name, sequences in expected.items():
            (alone,) = read(*parts, symbol=name).fragments
            assert sorted(alone.tape.sequence.tolist()) == sequences
            assert alone.ignored == {"other_rtype": 1, "other_symbol": 6 - len(sequences)}


@pytest.mark.parametrize("block", [200, 2**22])
@pytest.mark.parametrize("order", [1, -1])
def test_two_symbols_that_are_mapped_to_one_instrument_together_are_a_tape_each(read, monkeypatch, order, block):
    monkeypatch.setattr(dbn_stream, "BLOCK", block)
    asked = [("ES.c.0", "38"), ("ESU4", "38"), ("ESZ4", "39")][::order]
    head = [mapping_record(int(number), number, name, stype_out="instrument_id") for name, number in asked]
    heartbeat = bytes(dbn.SystemMsg(TS, "Heartbeat"))
    head.insert(1, heartbeat)  # is no market data
    rows = [record(sequence=1), record(instrument_id=39, sequence=2), record(sequence=3)]
    after = mapping_record(39, "39", "ES.c.0", stype_out="instrument_id")  # it has rolled
    block = read(live_metadata(), *head, *rows)
    assert sequences(block) == {"ES.c.0": [1, 3], "ESU4": [1, 3], "ESZ4": [2]}
    both = [mapping_record(39, "39", "ESZ4", stype_out="instrument_id"), after][::order]
    day = {"ts_recv": MIDNIGHT + 1}
    late = [record(sequence=4, **day), record(instrument_id=39, sequence=5, **day)]
    rolled = [mapping_record(38, "38", "ESU4", stype_out="instrument_id"), *both, *late]
    parts = live_metadata(), *head, *rows, *rolled
    expected = {"ES.c.0": [1, 3, 5], "ESU4": [1, 3, 4], "ESZ4": [2, 5]}
    assert sequences(read(*parts)) == expected
    for name, numbers in expected.items():
        assert sequences(read(*parts, symbol=name)) == {name: numbers}


def test_a_record_outside_of_the_interval_of_a_mapping_is_named_by_the_one_before(read):
    parts = [
        live_metadata(),
        mapping_record(38, "DAY1", start=TS, end=TS + DAY),
        mapping_record(38, "DAY2", start=TS + DAY, end=TS + 2 * DAY),
        *(record(ts_recv=TS + at, sequence=number) for number, at in enumerate([-1, 0, DAY - 1, DAY, 2 * DAY])),
    ]
    expected = {"DAY1": [1, 2], "DAY2": [3], UNNAMED: [0, 4]}
    assert {each.tape.symbol: each.tape.sequence.tolist() for each in read(*parts).fragments} == expected
    for nothing in ((0, 0), (TS, TS), (2**64 - 1, 0)):  # says no interval
        assert (
            read(live_metadata(), mapping_record(38, "X", start=nothing[0], end=nothing[1]), record()).tape.symbol
            == "X"
        )


_EVENTS = st.one_of(
    st.tuples(st.just("row"), st.sampled_from([38, 39, 2**32 - 1]), st.integers(0, 3)),
    st.tuples(
        st.just("map"),
        st.sampled_from([38, 39, 2**32 - 1]),
        st.sampled_from(["A", "B", "C", ""]),
        st.sampled_from([None, (0, 2), (1, 3), (2, 3)]),
    ),
)


@FEW
@given(
    events=st.lists(_EVENTS, min_size=1, max_size=25),
    dated=st.booleans(),
    version=st.sampled_from([1, 3]),
    block=st.integers(80, 600),
)
def test_mapping_records_anywhere_are_a_plain_walk_over_the_records(folder, events, dated, version, block):
    """By the newest mapping record of the instrument that holds, else by the metadata, else unnamed."""
    raw = metadata(mapping("A", (FIRST, PAST, 38)), version=version) if dated else live_metadata(version)
    heard, expected, rows = [], {}, 0
    for at, (kind, instrument, *what) in enumerate(events):
        if kind == "map":
            name, days = what
            spans = {} if days is None else {"start": TS + days[0] * DAY, "end": TS + days[1] * DAY}
            raw += mapping_record(instrument, name, version=version, **spans)
            heard.append((instrument, name, days or (0, 9), rows))
            continue
        day, rows = what[0], rows + 1
        own = [each for each in heard if each[0] == instrument]
        holding = next((place for place in reversed(range(len(own))) if own[place][2][0] <= day < own[place][2][1]), -1)
        names = {"A" if dated and instrument == 38 and day == 0 else ""} if holding < 0 else {own[holding][1]}
        while holding > 0 and own[holding - 1][2:] == own[holding][2:] and "" not in {*names, own[holding - 1][1]}:
            holding -= 1  # they come together
            names.add(own[holding][1])
        for name in names:
            expected.setdefault(name or UNNAMED, []).append(at)
        # a venue each, as a name may well stand for one instrument at each of several
        raw += record(instrument_id=instrument, publisher_id=instrument % 97, ts_recv=TS + day * DAY, sequence=at)
    path = folder / "live.dbn"
    path.write_bytes(raw)
    if not expected:
        assert "none of its" in outcome(path)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbn_stream, "BLOCK", block)
        decoded = read_dbn(path)
        assert {each.tape.symbol: sorted(each.tape.sequence.tolist()) for each in decoded.fragments} == expected
        if not decoded.fragments[0].named:
            return
        for each in decoded.fragments:
            (alone,) = read_dbn(path, each.tape.symbol).fragments
            assert same(alone.tape, each.tape)


def test_instruments_of_a_live_file_without_a_mapping_are_refused_as_those_of_any_file(read):
    rows = record(instrument_id=7), record(instrument_id=8)
    with pytest.raises(FeedUnavailable, match="several instruments"):
        read(live_metadata(), mapping_record(38, "AAPL"), *rows)
    assert read(live_metadata(), *rows, mapping_record(38, "AAPL"), record(), symbol="AAPL").tape.rows == 1
    with pytest.raises(FeedUnavailable, match="'AAPL' stands for several instruments of one venue"):
        read(live_metadata(), mapping_record(7, "AAPL"), mapping_record(8, "AAPL"), *rows)


def test_a_mapping_record_that_is_none_is_damage(read):
    head = live_metadata()
    whole = mapping_record(38, "AAPL")
    with pytest.raises(FeedCorrupt, match=rf"record 1 \(byte {len(head)}\): 80 bytes, expected 176 of rtype 22"):
        read(head, mapping_record(38, "AAPL", version=1), record())
    for symbol in (b"\xff\xfe", b"X" * 71):
        at = whole.index(b"AAPL")
        with pytest.raises(FeedCorrupt, match=r"record 2 .*: its symbol is no text"):
            read(head, record(), whole[:at] + symbol + whole[at + len(symbol) :], record())


# --- files that cannot be used: exit 2 ---


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((metadata(AAPL),), "holds no records"),
        ((metadata(AAPL), trade_record(), trade_record()), "none of its 2 rows is a book row"),
        ((b"DBN\x04" + metadata(AAPL)[4:], record()), "DBN version 4, this reader knows 1 to 3"),
        ((b"",), "the file is empty"),
    ],
)
def test_nothing_usable_is_unavailable(read, parts, message):
    with pytest.raises(FeedUnavailable, match=message) as caught:
        read(*parts)
    assert "day.dbn" in caught.value.where


def test_without_the_library_it_says_what_to_install(read, monkeypatch):
    monkeypatch.setitem(sys.modules, "databento_dbn", None)
    with pytest.raises(FeedUnavailable, match=r"not installed; pip install 'sor-sweep\[dbn\]'$"):
        read(metadata(AAPL), record())


# --- files that are damaged: exit 3 ---


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"ts_event": 2**64 - 1}, rf"ts: {2**64 - 1} \(expected 0 to"),
        ({"publisher_id": 40_000}, r"venue: 40000 \(expected 0 to 32767"),
        ({"bid_px": PRICE_LIMIT}, rf"bid_px: {PRICE_LIMIT} \(expected a price below 8388608 \$"),
        ({"ask_sz": 2**31}, rf"ask_sz: {2**31} \(expected a size up to"),
        ({"size": 2**31, "action": "T"}, rf"sz: {2**31} \(expected a size up to"),
        ({"price": PRICE_LIMIT, "action": "T"}, r"px: \d+ \(expected a price"),
    ],
)
def test_a_number_that_no_tape_holds_is_named_with_its_record(read, change, shown):
    head = metadata(AAPL)
    with pytest.raises(FeedCorrupt, match=rf"record 4 \(byte {len(head) + 48 + 160}\), {shown}"):
        read(head, trade_record(), record(), record(), record(**change), record())
    if change.get("action") == "T":
        assert read(head, record(**change | {"action": "A"})).tape.rows == 1


def test_a_file_cut_anywhere_is_damaged_and_says_where(read):
    head = metadata(AAPL)
    whole = head + record() + record()
    for end in range(1, len(whole)):
        if end in {len(head), len(head) + 80}:
            continue
        with pytest.raises(FeedCorrupt) as caught:
            read(whole[:end])
        if end > len(head):
            number, first = (1, len(head)) if end < len(head) + 80 else (2, len(head) + 80)
            assert f"cut short inside record {number} (byte {first})" in str(caught.value)


def test_damaged_compression_is_corrupt(folder):
    path = folder / "cut.dbn.zst"
    packed = pa.compress(metadata(AAPL) + record() * 99, "zstd", asbytes=True)
    for raw in (packed[:-9], packed[: len(packed) // 2], b"this is no compressed file at all"):
        path.write_bytes(raw)
        with pytest.raises(FeedCorrupt, match="damaged"):
            read_dbn(path)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"ts_recv;ts_event\n", "does not begin as DBN: b'ts_recv;'"),
        (metadata(AAPL) + b"\x03" + record()[1:], "record 1 .byte 288. says it takes 12 bytes"),
        (
            metadata(AAPL) + record() + bytes([12]) + record()[1:],
            "record 2 .byte 368.: 48 bytes, expected 80 of rtype 1",
        ),
        (metadata(AAPL) + b"\x14\x0a" + record()[2:], "record 1 .byte 288.: 80 bytes, expected 368 of rtype 10"),
        (metadata(AAPL)[:8] + b"\xff" * 352 + record(), "metadata is damaged"),
        (metadata(mapping("AAPL", (FIRST, PAST, "x"))) + record(), "metadata is damaged"),
        (b"DBN\x03" + b"\xff" * 999, "4294967295 bytes of metadata, expected 104 to 67108864"),
        (b"DBN\x03\x67\0\0\0" + metadata(AAPL)[8:], "103 bytes of metadata"),  # at 100 to 103 the library panics
    ],
)
def test_damage_is_named(read, raw, message):
    with pytest.raises(FeedCorrupt, match=message):
        read(raw)


def test_more_than_may_be_read_is_refused(read):
    with pytest.raises(FeedCorrupt, match="more than 9999 bytes"):
        read(metadata(AAPL), record() * 1000, name="day.dbn.zst", max_bytes=9999)


@FEW
@given(st.integers(0, 359 + 240), st.integers(0, 255), st.integers(0, 500))
def test_a_changed_byte_never_crashes_the_reader(folder, at, value, block):
    raw = bytearray(metadata(AAPL) + record() + trade_record() + record())
    raw[at % len(raw)] = value
    path = folder / "changed.dbn"
    path.write_bytes(raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbn_stream, "BLOCK", 40 + block)
        result = outcome(path)
    assert isinstance(result, FileBlock) or str(path) in result


def outcome(path):
    try:
        return read_dbn(path)
    except (FeedCorrupt, FeedUnavailable) as error:
        return str(error)
