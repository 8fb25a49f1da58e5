"""Rows of one level, and markets sent whole, folded into books: against a dict of levels that is changed row by row."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feed.tables.books import SIDES, fold, packed, ranked, withdrawals
from tests.support.examples import examples

DEPTH = 3

ROWS = st.lists(
    st.tuples(
        st.integers(0, 1),  # symbol
        st.sampled_from([2, 3, 9]),
        st.integers(0, 6),  # time
        st.integers(0, 1),  # side
        st.integers(0, DEPTH - 1),
        st.integers(0, 5),  # price
        st.integers(0, 2),  # size
    ),
    max_size=40,
)
NAMES = ("code", "venue", "ts", "side", "level", "px", "sz")


def columns_of(rows):
    """As `fold` takes them: by symbol, venue and time, rows of one instant in order of arrival."""
    rows = sorted(rows, key=lambda row: row[:3])
    columns = {name: np.array([row[at] for row in rows], np.int64) for at, name in enumerate(NAMES)}
    return rows, columns | {"sequence": np.arange(len(rows), dtype=np.int64)}


def plain_fold(rows, *, snapshots):
    """One dict of levels for each symbol and venue; what stands at the end of each instant."""
    books, instants = {}, {}
    for number, (code, venue, ts, side, level, px, sz) in enumerate(rows):
        key = code, venue
        if snapshots and instants.get((*key, ts)) is None:
            books[key] = {}
        book = books.setdefault(key, {})
        book[side, level] = (px, sz)
        instants[*key, ts] = (number, dict(book))
    for (code, venue, ts), (number, book) in sorted(instants.items()):
        row = {"code": code, "venue": venue, "ts": ts, "sequence": number}
        for at, side in enumerate(SIDES):
            levels = [book.get((at, level), (0, 0)) for level in range(DEPTH)]
            levels = [(px, sz) if px > 0 and sz > 0 else (0, 0) for px, sz in levels]
            row |= {f"{side}_px": [px for px, _ in levels], f"{side}_sz": [sz for _, sz in levels]}
        yield row


@given(ROWS, st.booleans())
@examples(150)
def test_a_fold_is_what_a_dict_of_levels_holds_after_each_instant(rows, snapshots):
    rows, columns = columns_of(rows)
    folded = fold(columns, DEPTH, snapshots=snapshots)
    expected = list(plain_fold(rows, snapshots=snapshots))
    assert [{name: folded[name][at].tolist() for name in folded} for at in range(len(expected))] == expected
    assert len(folded["ts"]) == len(expected)


@given(ROWS)
@examples(100)
def test_levels_of_a_whole_book_are_its_prices_best_first(rows):
    rows, columns = columns_of(rows)
    group = np.array([hash(row[:3]) for row in rows], np.int64)
    level = ranked(group, columns["side"], columns["px"], columns["sz"])
    for at, row in enumerate(rows):
        same = [each for each in rows if each[:4] == row[:4]]
        prices = {px for *_, px, sz in same if px > 0 and sz > 0}
        if row[5] > 0 and row[6] > 0:
            assert level[at] == sorted(prices, reverse=row[3] == 0).index(row[5])
        else:
            assert level[at] >= len(prices)


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([2, 3, 9]), st.integers(0, 5)), max_size=30))
@examples(150)
def test_a_venue_that_a_whole_market_does_not_name_any_more_is_withdrawn_once(rows):
    code, venue, ts = (np.array([row[at] for row in rows], np.int64) for at in range(3))
    expected = []
    for symbol in (0, 1):
        before = set()
        for instant in sorted({at for name, _, at in rows if name == symbol}):
            here = {where for name, where, at in rows if (name, at) == (symbol, instant)}
            expected += [(symbol, gone, instant) for gone in before - here]
            before = here
    assert sorted(zip(*(each.tolist() for each in withdrawals(code, venue, ts)), strict=True)) == sorted(expected)


@given(st.lists(st.tuples(*[st.integers(0, 5)] * DEPTH), min_size=1, max_size=10), st.booleans())
@examples(60)
def test_levels_are_put_in_order_and_those_without_a_quote_last(rows, bids):
    px = np.array(rows, np.int64)
    sz = np.where(px > 0, px * 10, 0)
    packed(px, sz, bids=bids)
    for row, shown, sizes in zip(rows, px.tolist(), sz.tolist(), strict=True):
        quoted = sorted((each for each in row if each), reverse=bids)
        assert shown == quoted + [0] * (DEPTH - len(quoted))
        assert sizes == [each * 10 for each in shown]
