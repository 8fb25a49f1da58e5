"""The tape: order, normalising, what it refuses, clipping, joining, digest."""

from __future__ import annotations

import hashlib
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.provenance import Provenance
from feed.tape import PRICE_LIMIT, QUOTE_DTYPES, TRADE_DTYPES, UNDEFINED_PRICE, Tape, join, no_trades, same
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, tapes

FEW = examples(40)


def build(rows, symbol="XYZ", trades=None):
    """A tape of rows (ts, venue, bid_px, ask_px, bid_sz, ask_sz, sequence)."""
    columns = np.array(rows, np.int64).reshape(-1, 7).T
    return Tape.build(symbol, **dict(zip(QUOTE_DTYPES, columns, strict=True)), trades=trades)


def row_set(tape):
    return sorted(zip(*(getattr(tape, name).tolist() for name in QUOTE_DTYPES), strict=True))


@FEW
@given(tapes())
def test_rows_are_in_canonical_order_and_typed(tape):
    keys = list(zip(tape.ts.tolist(), tape.venue.tolist(), tape.sequence.tolist(), strict=True))
    assert keys == sorted(keys)
    for columns, dtypes in ((tape, QUOTE_DTYPES), (tape.trades, TRADE_DTYPES)):
        for name, dtype in dtypes.items():
            assert getattr(columns, name).dtype == np.dtype(dtype)


@FEW
@given(tapes())
def test_a_side_has_a_price_and_a_size_or_neither(tape):
    for side in ("bid", "ask"):
        px, sz = getattr(tape, f"{side}_px"), getattr(tape, f"{side}_sz")
        assert np.array_equal(px > 0, sz > 0)
        assert px.min() >= 0
        assert px.max() < PRICE_LIMIT


@pytest.mark.parametrize(
    ("px", "sz"), [(0, 100), (-CENT, 100), (UNDEFINED_PRICE, 100), (CENT, 0), (CENT, -5), (UNDEFINED_PRICE, 0)]
)
def test_no_price_or_no_size_is_no_quote(px, sz):
    tape = build([(OPEN, 2, px, 2 * CENT, sz, 100, 1)])
    assert (tape.bid_px[0], tape.bid_sz[0], tape.ask_px[0], tape.ask_sz[0]) == (0, 0, 2 * CENT, 100)


def test_equal_keys_keep_their_order_of_arrival_and_all_rows_stay():
    tape = build([(OPEN, 2, CENT, 2 * CENT, size, 1, 7) for size in (5, 3, 9)])
    assert tape.bid_sz.tolist() == [5, 3, 9]
    assert (tape.rows, tape.snapshots) == (3, 1)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((OPEN, 2, PRICE_LIMIT, CENT, 1, 1, 1), "bid_px.*beyond"),
        ((OPEN, 2, CENT, PRICE_LIMIT, 1, 1, 1), "ask_px.*beyond"),
        ((OPEN, 2**15, CENT, CENT, 1, 1, 1), "venue.*beyond"),
        ((OPEN, 2, CENT, CENT, 2**31, 1, 1), "bid_sz.*beyond"),
    ],
)
def test_a_number_beyond_its_column_is_refused(row, message):
    with pytest.raises(ValueError, match=message):
        build([row])


def test_floats_and_columns_of_different_length_are_refused():
    columns = {name: np.ones(2, np.int64) for name in QUOTE_DTYPES}
    with pytest.raises(ValueError, match="expected integers"):
        Tape.build("XYZ", **columns | {"bid_px": np.ones(2)})
    with pytest.raises(ValueError, match="differ in length"):
        Tape.build("XYZ", **columns | {"bid_px": np.ones(3, np.int64)})


@pytest.mark.parametrize(("px", "sz"), [(0, 1), (CENT, 0), (PRICE_LIMIT, 1)])
def test_an_impossible_trade_is_refused(px, sz):
    trades = {name: np.array([1]) for name in TRADE_DTYPES} | {"px": np.array([px]), "sz": np.array([sz])}
    with pytest.raises(ValueError, match=r"px|above 0"):
        build([(OPEN, 2, CENT, CENT, 1, 1, 1)], trades=trades)


def test_an_empty_tape_has_no_rows_and_no_span():
    tape = build([])
    assert (tape.rows, tape.snapshots, tape.venues.tolist()) == (0, 0, [])
    with pytest.raises(ValueError, match="no span"):
        _ = tape.span


@FEW
@given(tapes())
def test_counts_and_span(tape):
    stamps = tape.ts.tolist() + tape.trades.ts.tolist()
    assert tape.snapshots == len(set(tape.ts.tolist()))
    assert tape.span == (min(stamps), max(stamps))
    assert tape.venues.tolist() == sorted(set(tape.venue.tolist()))
    assert len(tape.to_frame()) == tape.rows


@FEW
@given(tapes(), st.integers(-1, 60), st.integers(-1, 60))
def test_clip_keeps_both_ends_and_nothing_else(tape, first, second):
    start, end = OPEN + first * 10**9, OPEN + second * 10**9
    part = tape.clip(start, end)
    assert row_set(part) == [row for row in row_set(tape) if start <= row[0] <= end]
    assert part.trades.ts.tolist() == [ts for ts in tape.trades.ts.tolist() if start <= ts <= end]
    assert same(tape.clip(*tape.span), tape)


@pytest.mark.parametrize("end", [2**63 - 2, 2**63 - 1, 2**64, 10**30])
def test_an_end_beyond_int64_cuts_nothing_off_and_leaves_the_start_exact(end):
    ts = [1_722_519_392_000_000_000 + at for at in range(3)]
    zeros = [0] * 3
    tape = Tape.build(
        "X", ts=ts, venue=[2] * 3, bid_px=zeros, ask_px=zeros, bid_sz=zeros, ask_sz=zeros, sequence=[1, 2, 3],
        trades={"ts": ts, "venue": [2] * 3, "px": [1] * 3, "sz": [1] * 3, "side": zeros, "sequence": [1, 2, 3]},
    )  # fmt: skip
    assert tape.clip(ts[1], end).ts.tolist() == tape.clip(ts[1], end).trades.ts.tolist() == ts[1:]
    assert same(tape.clip(-(10**30), end), tape)


@FEW
@given(tapes(), st.data())
def test_fragments_cut_anywhere_join_to_the_same_tape(tape, data):
    first, last = tape.span
    cut = data.draw(st.integers(first, last))
    parts = [tape.clip(cut, last), tape.clip(first, cut - 1)]
    assert same(join(parts), tape)
    assert join(parts).digest() == tape.digest()


def test_join_refuses_none_and_several_symbols():
    one, other = (build([(OPEN, 2, CENT, CENT, 1, 1, 1)], symbol) for symbol in ("A", "B"))
    assert join([one]) is one
    with pytest.raises(ValueError, match="one symbol"):
        join([one, other])
    with pytest.raises(ValueError, match="one symbol"):
        join([])


@FEW
@given(tapes(), st.randoms(use_true_random=False))
def test_digest_does_not_depend_on_the_order_of_distinct_keys(tape, random):
    last = {
        key: i for i, key in enumerate(zip(tape.ts.tolist(), tape.venue.tolist(), tape.sequence.tolist(), strict=True))
    }
    rows = list(zip(*(getattr(tape, name).tolist() for name in QUOTE_DTYPES), strict=True))
    rows = [rows[i] for i in last.values()]
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert build(rows).digest() == build(shuffled).digest()


@FEW
@given(tapes(max_rows=10), st.data())
def test_digest_sees_every_value(tape, data):
    name = data.draw(st.sampled_from(list(QUOTE_DTYPES)))
    at = data.draw(st.integers(0, tape.rows - 1))
    columns = {f.name: getattr(tape, f.name) for f in fields(tape)}
    changed = columns[name].copy()
    changed[at] += 1
    other = Tape(**columns | {name: changed})
    assert other.digest() != tape.digest()
    assert not same(other, tape)
    assert Tape(**columns | {"symbol": "ABC"}).digest() != tape.digest()


def test_digest_is_the_one_written_down():
    tape = build([(1, 2, 3, 4, 5, 6, 7)])
    words = [(1, 8), (2, 2), (3, 8), (4, 8), (5, 4), (6, 4), (7, 8)]
    raw = b"".join(number.to_bytes(width, "little") for number, width in words)
    assert tape.digest() == hashlib.sha256(raw + b"XYZ").hexdigest()


def test_defaults_are_not_shared():
    assert no_trades() is not no_trades()
    bare = {"source": "file", "place": "x", "digest": "", "snapshots": 0, "rows": 0, "trades": 0}
    assert Provenance(**bare).ignored is not Provenance(**bare).ignored
