"""Schemas beside mbp: sampled, consolidated, and orders folded into levels; each against a plain second reading."""

from __future__ import annotations

import io
from collections import Counter

import databento_dbn as dbn
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files import dbn_stream
from feed.files.csv_reader import read_csv
from feed.files.dbn_layouts import CONSOLIDATED_QUOTE, LAYOUTS, MBO_FIELDS, OTHERS, RECORD_FIELDS
from feed.files.dbn_reader import read_dbn
from feed.files.registry import read_file
from feed.markets import venues
from feed.tape import QUOTE_DTYPES, Tape, same
from tests.support.dbnfile import (
    AAPL,
    FIRST,
    PAST,
    TS,
    consolidated_record,
    csv_of,
    live_metadata,
    mapping,
    mapping_record,
    metadata,
    order_record,
    record,
    sampled_record,
    trade_record,
)
from tests.support.examples import examples
from tests.support.plain_orders import LAST, SNAPSHOT, UNDEFINED_PRICE, plain_rows

FEW = examples(60)
UNDEFINED_STAMP = 2**64 - 1
SCHEMAS = {
    "bbo-1s": (dbn.Schema.BBO_1S, lambda **row: sampled_record(195, **row)),
    "bbo-1m": (dbn.Schema.BBO_1M, lambda **row: sampled_record(196, **row)),
    "cbbo-1s": (dbn.Schema.CBBO_1S, lambda **row: consolidated_record(192, **row)),
    "cbbo-1m": (dbn.Schema.CBBO_1M, lambda **row: consolidated_record(193, **row)),
    "cmbp-1": (dbn.Schema.CMBP_1, consolidated_record),
    "tcbbo": (dbn.Schema.TCBBO, lambda **row: consolidated_record(194, **row)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("schemas")


@pytest.fixture
def read(folder):
    def write_and_read(*parts, symbol=None, name="day.dbn", **options):
        path = folder / name
        raw = b"".join(parts)
        path.write_bytes(pa.compress(raw, "zstd", asbytes=True) if name.endswith(".zst") else raw)
        return read_dbn(path, symbol, **options)

    return write_and_read


def test_the_places_of_the_fields_are_the_library_s():
    kinds = {"action": "S1", "side": "S1"}
    for message, rtypes in (
        (dbn.BBOMsg, (195, 196)),
        (dbn.CBBOMsg, (192, 193)),
        (dbn.CMBP1Msg, (177, 194)),
        (dbn.MBOMsg, (160,)),
    ):
        its = np.dtype(message._dtypes)
        for rtype in rtypes:
            layout = LAYOUTS[rtype]
            assert its.itemsize == layout.nbytes
            unread = {"sequence"} if layout.consolidated else set()
            unread |= {"action"} if layout.sampled else set()
            for name, (kind, offset) in (MBO_FIELDS if rtype == 160 else RECORD_FIELDS).items():
                if name not in unread:
                    assert its.fields[name] == (np.dtype(kinds.get(name, kind)), offset)


def test_every_record_type_of_the_library_is_read_or_called_by_its_name():
    unread = {int(each) for each in dbn.RType.variants()} - set(LAYOUTS) - {197}  # which no record of it has yet
    assert unread == set(OTHERS)
    schemas = {str(each) for each in dbn.Schema.variants()}
    assert {name for layout in LAYOUTS.values() for name in layout.schema.split(" or ")} < schemas


# --- one level of a side ---


_prices = st.one_of(st.integers(-(10**12), 10**12), st.sampled_from([0, UNDEFINED_PRICE]))
_sizes = st.one_of(st.integers(0, 1000), st.sampled_from([2**32 - 1, 2**31 - 1]))
_rows = st.fixed_dictionaries(
    {
        "publisher_id": st.integers(0, 2**15 - 1),
        "ts_event": st.integers(TS - 10**12, TS + 10**12),
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


def by_pandas(raw, symbol="AAPL"):
    """The tape of the CSV that the library makes of DBN, by pandas, row by row as its documentation says."""
    text = csv_of(raw, pretty_px=False, pretty_ts=False)
    frame = pd.read_csv(io.BytesIO(text), dtype=str, keep_default_na=False)
    whole = {name: [int(each) for each in frame[name]] for name in frame if name not in {"action", "side", "symbol"}}
    rtype = whole["rtype"][0]
    consolidated, sampled = rtype in {177, 192, 193, 194}, rtype in {192, 193, 195, 196}
    ts = whole["ts_recv"] if sampled else whole["ts_event"]
    zeros = [0] * len(frame)

    def sides(name, undefined):
        return [0 if each == undefined else each for each in whole[name]]

    quotes = {
        "ts": ts,
        "venue": [20_000] * len(frame) if consolidated else whole["publisher_id"],
        "bid_px": sides("bid_px_00", 2**63 - 1),
        "ask_px": sides("ask_px_00", 2**63 - 1),
        "bid_sz": sides("bid_sz_00", 2**32 - 1),
        "ask_sz": sides("ask_sz_00", 2**32 - 1),
        "sequence": zeros if consolidated else whole["sequence"],
    }
    prints = [
        at
        for at in range(len(frame))
        if not sampled
        and frame["action"][at] == "T"
        and 0 < whole["price"][at] < 2**63 - 1
        and 0 < whole["size"][at] < 2**32 - 1
    ]
    trades = {
        "ts": [ts[at] for at in prints],
        "venue": [whole["publisher_id"][at] for at in prints],
        "px": [whole["price"][at] for at in prints],
        "sz": [whole["size"][at] for at in prints],
        "side": [{"B": 1, "A": -1, "N": 0}[frame["side"][at]] for at in prints],
        "sequence": [quotes["sequence"][at] for at in prints],
    }
    columns, its = ({name: np.array(each, np.int64) for name, each in part.items()} for part in (quotes, trades))
    return Tape.build(symbol, **columns, trades=its)


@pytest.mark.parametrize("schema", SCHEMAS)
@FEW
@given(rows=st.lists(_rows, min_size=1, max_size=20), zstd=st.booleans(), block=st.integers(50, 999))
def test_a_file_is_what_pandas_reads_of_the_library_s_csv(folder, schema, rows, zstd, block):
    its, make = SCHEMAS[schema]
    raw = metadata(AAPL, schema=its) + b"".join(make(**row) for row in rows)
    path = folder / ("day.dbn.zst" if zstd else "day.dbn")
    path.write_bytes(pa.compress(raw, "zstd", asbytes=True) if zstd else raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbn_stream, "BLOCK", block)
        tape = read_dbn(path, depth=10).tape
    expected = by_pandas(raw)
    assert same(tape, expected)
    assert tape.digest() == expected.digest()


@pytest.mark.parametrize("pretty", [True, False])
@pytest.mark.parametrize("schema", SCHEMAS)
@FEW
@given(rows=st.lists(_rows, min_size=1, max_size=20))
def test_the_same_data_as_csv_is_the_same_tape(folder, schema, pretty, rows):
    its, make = SCHEMAS[schema]
    if not pretty:  # whole numbers that are mostly below a cent are refused: make most of them large
        rows += [{"action": "A"}] * (len(rows) + 1)
    raw = metadata(AAPL, schema=its) + b"".join(make(**row) for row in rows)
    path = folder / "day.csv"
    path.write_bytes(csv_of(raw, pretty_px=pretty, pretty_ts=pretty))
    (folder / "day.dbn").write_bytes(raw)
    (text,), (binary,) = read_csv(path, depth=10).fragments, read_dbn(folder / "day.dbn", depth=10).fragments
    assert text.tape.digest() == binary.tape.digest()
    assert same(text.tape, binary.tape)
    assert text.ignored == binary.ignored
    assert text.notes[2:] == binary.notes[1:] == LAYOUTS[its_rtype(raw)].notes


def its_rtype(raw):
    return raw[8 + int.from_bytes(raw[4:8], "little") + 1]


def test_rows_of_csv_that_show_one_book_twice_or_none_are_refused_by_name(folder):
    path = folder / "day.csv"
    bbo = csv_of(metadata(AAPL, schema=dbn.Schema.BBO_1S) + sampled_record())
    path.write_bytes(bbo + bbo.splitlines()[1].replace(b",195,", b",196,") + b"\n")
    with pytest.raises(FeedUnavailable, match=r"row 2 is of bbo-1m, row 1 of bbo-1s: they would show one book twice"):
        read_csv(path)
    path.write_bytes(bbo.replace(b",195,", b",0,"))
    with pytest.raises(FeedUnavailable, match=r"none of its 1 rows is a book row: they are of trades \(rtype 0\)"):
        read_csv(path)
    path.write_bytes(bbo.replace(b"ts_recv", b"received"))
    with pytest.raises(FeedUnavailable, match=r"missing columns: ts_recv; rows of bbo-1s show the book at that stamp"):
        read_csv(path)
    path.write_bytes(bbo.replace(b"sequence", b"number"))
    with pytest.raises(FeedUnavailable, match=r"missing columns: sequence"):
        read_csv(path)


def test_orders_as_csv_are_refused_by_name(folder):
    path = folder / "day.csv"
    path.write_bytes(csv_of(metadata(AAPL, schema=dbn.Schema.MBO) + order_record()))
    with pytest.raises(FeedUnavailable, match="it is of the schema mbo, which is read of DBN alone; export DBN"):
        read_csv(path)


def test_the_id_of_a_consolidated_quote_is_that_of_the_table_of_venues():
    assert CONSOLIDATED_QUOTE == venues.CONSOLIDATED_QUOTE


CANONICAL = "ts_event,publisher_id,action,side,price,size,sequence,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00,symbol\n"
SAMPLES = {
    "bbo-1s": (
        [{"ts_recv": TS + 10**9, "ts_event": UNDEFINED_STAMP, "price": UNDEFINED_PRICE}, {"ts_recv": TS + 2 * 10**9}],
        (
            "1722519393491911683,2,A,N,,,46542624,222.81,222.83,421,36,AAPL\n"
            "1722519394491911683,2,A,N,,,46542624,222.81,222.83,421,36,AAPL\n"
        ),
    ),
    "cmbp-1": (
        [
            {},
            {"ts_event": TS + 1, "action": "T", "publisher_id": CONSOLIDATED_QUOTE, "side": "A", "bid_sz": 231},
            {"ts_event": TS + 2, "bid_px": UNDEFINED_PRICE, "bid_sz": 0, "bid_pb": 0},
        ],
        (
            "1722519392491911683,20000,A,N,,,0,222.81,222.83,421,36,AAPL\n"
            "1722519392491911684,20000,T,A,222.81,190,0,222.81,222.83,231,36,AAPL\n"
            "1722519392491911685,20000,A,N,,,0,,222.83,0,36,AAPL\n"
        ),
    ),
}
SAMPLES["bbo-1m"], SAMPLES["cbbo-1s"] = SAMPLES["bbo-1s"], ([{"ts_recv": TS}], SAMPLES["cmbp-1"][1].splitlines(True)[0])
SAMPLES["cbbo-1m"] = SAMPLES["cbbo-1s"]
SAMPLES["tcbbo"] = SAMPLES["cmbp-1"][0][1:2], SAMPLES["cmbp-1"][1].splitlines(keepends=True)[1]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_digest_is_that_of_a_canonical_file_written_by_hand(folder, read, schema):
    its, make = SCHEMAS[schema]
    rows, text = SAMPLES[schema]
    tape = read(metadata(AAPL, schema=its), *(make(**row) for row in rows)).tape
    (folder / "canonical.csv").write_text(CANONICAL + text)
    assert tape.digest() == read_file(folder / "canonical.csv").tape.digest()


def test_what_the_rows_are_is_noted(read):
    for schema, (its, make) in SCHEMAS.items():
        (fragment,) = read(metadata(AAPL, schema=its), make()).fragments
        notes = list(fragment.notes)
        assert notes.pop(0) == f"DBN version 3, schema {schema}"
        if schema.startswith(("c", "t")):
            note = f"{schema} shows the best of all venues: its quotes are those of one venue, {CONSOLIDATED_QUOTE}"
            assert notes.pop(0) == note
        if "bbo-1" in schema:
            assert notes.pop(0) == f"{schema} is sampled: a row is the book at ts_recv; its last trades are not taken"
        assert notes == []


def test_a_best_quote_is_of_one_venue_whichever_venues_show_it(read):
    its, make = SCHEMAS["cmbp-1"]
    takeovers = [{"bid_pb": one, "ask_pb": other, "publisher_id": one} for one, other in ((43, 2), (2, 2), (9, 43))]
    trade = {"action": "T", "publisher_id": 5}
    tape = read(metadata(AAPL, schema=its), *(make(**row) for row in [*takeovers, trade])).tape
    assert tape.venue.tolist() == [CONSOLIDATED_QUOTE] * 4
    assert tape.trades.venue.tolist() == [5]


# --- orders ---


_orders = st.fixed_dictionaries(
    {
        "publisher_id": st.sampled_from([2, 2, 43]),
        "instrument_id": st.sampled_from([38, 38, 39]),
        "order_id": st.integers(0, 9),
        "price": st.one_of(st.integers(1, 8).map(lambda at: at * 10**10), st.just(UNDEFINED_PRICE)),
        "size": st.sampled_from([0, 5, 100, 300]),
        "flags": st.sampled_from([0, LAST, LAST, SNAPSHOT, SNAPSHOT | LAST]),
        "action": st.sampled_from("AAAMCCTTFNR"),
        "side": st.sampled_from("BBAAN"),
        "ts_recv": st.integers(TS, TS + 30),
        "ts_event": st.integers(TS - 10**9, TS + 30),
        "sequence": st.integers(0, 2**32 - 1),
    }
)
MSFT = mapping("MSFT", (FIRST, PAST, 39))


def plain_tapes(records, depth):
    """Tapes of records of mbo, by symbol, and what is odd about the records."""
    rows, counts = plain_rows(records, depth)
    symbols = {38: "AAPL", 39: "MSFT"}
    tapes = {}
    for instrument, symbol in symbols.items():
        own = [(records[at], levels) for at, levels in rows if records[at]["instrument_id"] == instrument]
        prints = [
            each
            for each in records
            if each["instrument_id"] == instrument
            and each["action"] == "T"
            and each["size"]
            and each["price"] != UNDEFINED_PRICE
        ]
        all_prints = [each for each in records if each["instrument_id"] == instrument and each["action"] == "T"]
        if not own and not all_prints:
            continue

        def table(rows_, **columns):
            return {name: np.array([value(each) for each in rows_], np.int64) for name, value in columns.items()}

        def instant(each):
            return each["ts_recv"] if each["flags"] & SNAPSHOT else each["ts_event"]

        quotes = table([each for each, _ in own], ts=instant, venue=lambda each: each["publisher_id"])
        quotes |= table([each for each, _ in own], sequence=lambda each: each["sequence"])
        levels = {}
        for side, name in enumerate(("bid", "ask")):
            for part, kind in enumerate(("px", "sz")):
                numbers = np.array([shown[side][level][part] for _, shown in own for level in range(depth)], np.int64)
                numbers = numbers.reshape(-1, depth)
                quotes[f"{name}_{kind}"], levels[f"{name}_{kind}"] = numbers[:, 0], numbers[:, 1:]
        trades = table(prints, ts=instant, venue=lambda each: each["publisher_id"], px=lambda each: each["price"])
        trades |= table(prints, sz=lambda each: each["size"], sequence=lambda each: each["sequence"])
        trades |= table(prints, side=lambda each: {"B": 1, "A": -1, "N": 0}[each["side"]])
        deep = levels if depth > 1 and rows else None
        tapes[symbol] = Tape.build(symbol, **quotes, trades=trades, levels=deep)
    return tapes, counts


@FEW
@given(
    records=st.lists(_orders, min_size=1, max_size=40),
    depth=st.sampled_from([1, 3, 10]),
    block=st.integers(56, 999),
    others=st.lists(st.integers(0, 40), max_size=3),
)
def test_orders_are_folded_as_a_dict_of_orders_is(folder, records, depth, block, others):
    expected, counts = plain_tapes(records, depth)
    parts = [order_record(**each) for each in records]
    for at in others:
        parts.insert(at, trade_record())
    path = folder / "orders.dbn"
    path.write_bytes(metadata(AAPL, MSFT, schema=dbn.Schema.MBO) + b"".join(parts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dbn_stream, "BLOCK", block)
        if not expected:
            with pytest.raises(FeedUnavailable, match=r"records of mbo ends an event \(F_LAST\) that leaves a quote"):
                read_dbn(path, depth=depth)
            return
        fragments = read_dbn(path, depth=depth).fragments
        assert {each.tape.symbol: each.tape.digest() for each in fragments} == {
            symbol: tape.digest() for symbol, tape in expected.items()
        }
        ignored = Counter(fragments[0].ignored)
        assert ignored["unknown_order"] == counts["unknown_order"]
        assert ignored["unusable_order"] == counts["unusable_order"]
        assert ignored["other_rtype"] == len(others)
        for each in fragments:
            (alone,) = read_dbn(path, each.tape.symbol, depth=depth).fragments
            assert same(alone.tape, each.tape)


def test_the_digest_of_orders_is_that_of_a_canonical_file_written_by_hand(folder, read):
    other = {"side": "A", "price": 222_830_000_000}
    records = [
        {"action": "R", "side": "N", "price": UNDEFINED_PRICE, "size": 0, "ts_event": TS - 9, "sequence": 0},
        {"order_id": 1, "sequence": 1},
        {"order_id": 2, "sequence": 2, "ts_event": TS + 1, "flags": 0, **other},
        {"order_id": 3, "sequence": 3, "ts_event": TS + 1, **other, "price": 222_840_000_000, "size": 70},
        {"order_id": 4, "sequence": 4, "ts_event": TS + 2, "size": 50},
        {"order_id": 9, "sequence": 5, "ts_event": TS + 3, "action": "T", "flags": 0, "side": "A", "size": 120},
        {"order_id": 1, "sequence": 5, "ts_event": TS + 3, "action": "F", "flags": 0, "size": 100},
        {"order_id": 1, "sequence": 5, "ts_event": TS + 3, "action": "C", "flags": 0, "size": 100},
        {"order_id": 4, "sequence": 5, "ts_event": TS + 3, "action": "F", "flags": 0, "size": 20},
        {"order_id": 4, "sequence": 5, "ts_event": TS + 3, "action": "C", "size": 20},
        {"order_id": 2, "sequence": 6, "ts_event": TS + 4, "action": "M", **other, "price": 222_850_000_000},
        {"order_id": 2, "sequence": 7, "ts_event": TS + 5, "action": "M", **other, "price": 222_850_000_000},
    ]
    header = CANONICAL.replace("ask_sz_00", "ask_sz_00,bid_px_01,ask_px_01,bid_sz_01,ask_sz_01")
    lines = [
        "1722519392491911683,2,A,N,,,1,222.81,,100,,,,,,AAPL",
        "1722519392491911684,2,A,N,,,3,222.81,222.83,100,100,,222.84,,70,AAPL",
        "1722519392491911685,2,A,N,,,4,222.81,222.83,150,100,,222.84,,70,AAPL",
        "1722519392491911686,2,T,A,222.81,120,5,222.81,222.83,30,100,,222.84,,70,AAPL",
        "1722519392491911687,2,A,N,,,6,222.81,222.84,30,70,,222.85,,100,AAPL",
    ]
    (folder / "canonical.csv").write_text(header + "\n".join(lines) + "\n")
    (fragment,) = read(
        metadata(AAPL, schema=dbn.Schema.MBO), *(order_record(**each) for each in records), depth=2
    ).fragments
    assert fragment.tape.digest() == read_file(folder / "canonical.csv").tape.digest()
    assert fragment.ignored == {}
    assert fragment.notes == (
        "DBN version 3, schema mbo",
        "orders are folded into 2 levels of a side: a row is the book after an event that changed them",
    )


def test_a_book_is_that_of_its_snapshot_from_the_instant_it_was_taken(read):
    snapshot = {"flags": SNAPSHOT, "ts_recv": TS + 10**9}
    records = [
        {"order_id": 1, "ts_event": TS - 10**12},
        {"action": "R", "side": "N", **snapshot, "ts_event": TS - 10**12},
        {"order_id": 2, **snapshot, "ts_event": TS - 10**11, "price": 10**11},
        {"order_id": 3, **snapshot, "ts_event": TS - 10**12, "flags": SNAPSHOT | LAST, "price": 2 * 10**11},
        {"order_id": 1, "action": "C", "ts_event": TS + 2 * 10**9},
        {"order_id": 3, "action": "C", "ts_event": TS + 2 * 10**9},
    ]
    (fragment,) = read(metadata(AAPL, schema=dbn.Schema.MBO), *(order_record(**each) for each in records)).fragments
    assert fragment.tape.ts.tolist() == [TS - 10**12, TS + 10**9, TS + 2 * 10**9]
    assert fragment.tape.bid_px.tolist() == [222_810_000_000, 2 * 10**11, 10**11]
    assert fragment.ignored == {"unknown_order": 1}
    assert "1 of 1 books begin with neither a clear nor a snapshot: what stood before is not known" in fragment.notes


def test_what_is_odd_about_orders_is_noted(read):
    records = [
        {"action": "R", "side": "N"},
        {"order_id": 1},
        {"order_id": 1, "price": 10**11},
        {"order_id": 2, "action": "M"},
        {"order_id": 2, "action": "C", "size": 999},
        {"order_id": 3, "flags": LAST | dbn.F_MAYBE_BAD_BOOK, "side": "N"},
        {"order_id": 4, "flags": 0},
    ]
    (fragment,) = read(metadata(AAPL, schema=dbn.Schema.MBO), *(order_record(**each) for each in records)).fragments
    assert fragment.notes[2:] == (
        "1 modifies of unknown orders are taken as adds",
        "1 adds of known orders replace them",
        "1 cancels are of more shares than were left",
        "1 records are flagged F_MAYBE_BAD_BOOK, behind a gap in the feed",
        "1 books changed after the last event that ends (F_LAST)",
    )
    assert fragment.ignored == {"unusable_order": 1}


def test_resting_orders_count_against_what_a_file_is_trusted_with(read, monkeypatch):
    monkeypatch.setattr("feed.files.streams.HELD", 500_000)
    monkeypatch.setattr("feed.files.streams.HELD_TIMES", 1)
    orders = b"".join(order_record(order_id=number, price=number * 10**7) for number in range(1, 3000))
    with pytest.raises(FeedCorrupt, match=r"trusted with \(.* bytes of orders and more\)"):
        read(metadata(AAPL, schema=dbn.Schema.MBO), orders, depth=1)


# --- symbols by records, as a live session has them ---


MAKES = {"mbo": order_record} | {name: make for name, (_, make) in SCHEMAS.items()}


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("schema", MAKES)
def test_a_live_file_is_named_by_its_mapping_records(read, schema, version):
    make = MAKES[schema]
    parts = live_metadata(version), mapping_record(38, "AAPL", "AAPL", version), make(price=10**11), make(price=10**10)
    more = mapping_record(39, "MSFT", "MSFT", version), make(instrument_id=39)
    block = read(*parts, *more)
    assert block.symbols == ("AAPL", "MSFT")
    assert sorted(each.tape.symbol for each in block.fragments) == ["AAPL", "MSFT"]
    for each in block.fragments:
        assert same(read(*parts, *more, symbol=each.tape.symbol).tape, each.tape)
    with pytest.raises(FeedUnavailable, match="several instruments"):
        read(live_metadata(version), make(), make(instrument_id=39))


# --- files that cannot be used ---


@pytest.mark.parametrize("schema", MAKES)
def test_a_file_cut_anywhere_is_damaged_and_says_where(read, schema):
    head, one = metadata(AAPL), MAKES[schema]()
    for end in range(len(head) + len(one) + 1, len(head) + 2 * len(one), 7):
        with pytest.raises(FeedCorrupt, match=rf"cut short inside record 2 \(byte {len(head) + len(one)}\)"):
            read((head + one + one)[:end])


@pytest.mark.parametrize("schema", MAKES)
def test_a_record_shorter_than_its_kind_is_damage(read, schema):
    one = MAKES[schema]()
    short = bytes([len(one) // 4 - 2]) + one[1:-8]
    with pytest.raises(FeedCorrupt, match=rf"record 2 .*: {len(one) - 8} bytes, expected {len(one)} of rtype {one[1]}"):
        read(metadata(AAPL), one, short)


@pytest.mark.parametrize("block", [60, 2**22])
def test_schemas_that_show_one_book_twice_are_refused_by_name(read, monkeypatch, block):
    monkeypatch.setattr(dbn_stream, "BLOCK", block)
    head = metadata(AAPL)
    makes = MAKES | {"mbp-1 or tbbo": record}
    for schema, make in makes.items():
        for other, its in makes.items():
            if schema == other:
                assert read(head, make(), its()).fragments
                continue
            place = rf"record 2 \(byte \d+\) is of {other}, record 1 \(byte {len(head)}\) of {schema}: they would show"
            with pytest.raises(FeedUnavailable, match=place):
                read(head, make(), its())


@pytest.mark.parametrize(
    ("record_", "message"),
    [
        (trade_record(), r"they are of trades \(rtype 0\); export one of the schemas mbp-1"),
        (bytes([14, 33]).ljust(56, b"\0"), r"they are of ohlcv-1m \(rtype 33\)"),
        (bytes([100, 19]).ljust(400, b"\0"), r"they are of definition \(rtype 19\)"),
        (bytes([16, 24]).ljust(64, b"\0"), r"they are of statistics \(rtype 24\)"),
        (bytes([10, 99]).ljust(40, b"\0"), r"they are of an unknown schema \(rtype 99\)"),
    ],
)
def test_a_file_of_another_schema_is_refused_by_its_name(read, record_, message):
    with pytest.raises(FeedUnavailable, match=f"none of its 2 rows is a book row: {message}"):
        read(metadata(AAPL), record_, record_)


def test_a_number_that_no_tape_holds_is_named_with_its_record(read):
    head = metadata(AAPL)
    for make, change, shown in (
        (SCHEMAS["bbo-1s"][1], {"ts_recv": UNDEFINED_STAMP}, rf"ts: {UNDEFINED_STAMP} \(expected 0 to"),
        (SCHEMAS["cmbp-1"][1], {"bid_sz": 2**31}, r"bid_sz: 2147483648 \(expected a size up to"),
        (order_record, {"price": 2**23 * 10**9}, r"px: 8388608000000000 \(expected a price below"),
        (order_record, {"size": 2**31}, r"bid_sz_00: 2147483748 \(expected a size up to"),
        (order_record, {"ts_event": UNDEFINED_STAMP, "price": 3 * 10**11}, rf"ts: {UNDEFINED_STAMP} \(expected 0 to"),
    ):
        place = rf"record 3 \(byte {len(head) + 48 + len(make())}\), {shown}"
        with pytest.raises(FeedCorrupt, match=place):
            read(head, trade_record(), make(), make(**{"order_id": 2} if make is order_record else {}, **change))


def test_columns_are_the_tape_s(read):
    for make in MAKES.values():
        tape = read(metadata(AAPL), make()).tape
        assert {name: getattr(tape, name).dtype.str for name in QUOTE_DTYPES} == QUOTE_DTYPES
