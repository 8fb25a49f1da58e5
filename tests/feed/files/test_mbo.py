"""Orders folded into levels: equal to a dict of orders that is added up anew after each event."""

from __future__ import annotations

import ast
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.files import mbo
from feed.files.mbo import COLUMNS, Fold, UnfitError
from feed.tape import PRICE_LIMIT, SHARES_LIMIT
from tests.support import ROOT
from tests.support.examples import examples
from tests.support.orders import CENT, flow, record
from tests.support.plain_orders import LAST, SNAPSHOT, TOP, UNDEFINED_PRICE, UNDEFINED_SIZE, plain_rows

CHOICES = {
    "publisher_id": [2, 2, 2, 43],
    "instrument_id": [38, 38, 38, 39, 2**32 - 1],
    "order_id": [*range(9), *range(30), 2**64 - 1],
    "price": [*(at * CENT for at in range(-2, 9)), UNDEFINED_PRICE, -(2**63), PRICE_LIMIT - 1],
    "size": [0, 1, 5, 100, 100, 300, 2**20, UNDEFINED_SIZE],
    "flags": [0, LAST, LAST, LAST, LAST | 2, SNAPSHOT, SNAPSHOT | LAST, LAST | TOP, LAST | 4],
    "action": "AAAAAAAAMMMMCCCCCCTFNRX",
    "side": "BBBAAABBBAAAN",
}
"""What records may hold: few orders and prices, so that they meet, and what the format has besides."""


def any_records(seed, most):
    """Records of a seed; shorter than a property would make them they hardly meet."""
    rng = random.Random(seed)
    return [{name: rng.choice(values) for name, values in CHOICES.items()} for _ in range(rng.randint(most // 2, most))]


def columns_of(records):
    letters = {"action", "side"}
    return {
        name: np.array([ord(each[name]) if name in letters else each[name] for each in records], dtype)
        for name, dtype in COLUMNS.items()
    }


def folded(records, depth, cuts=(), slots=2**10):
    """Rows of records that come in parts, as the plain fold gives them, and the counts."""
    fold = Fold(depth, slots=slots)
    rows, columns = [], columns_of(records)
    for start, end in zip([0, *cuts], [*cuts, len(records)], strict=True):
        shown = fold.rows({name: column[start:end] for name, column in columns.items()})
        for at, px, sz in zip(shown.at.tolist(), shown.px.tolist(), shown.sz.tolist(), strict=True):
            sides = [list(zip(*side, strict=True)) for side in zip(px, sz, strict=True)]
            rows.append((start + at, sides))
    counts = fold.counts() | {"unfinished": fold.unfinished}
    return rows, {name: count for name, count in counts.items() if count}


@examples(120)
@given(
    seed=st.integers(0, 2**32),
    most=st.integers(2, 150),
    depth=st.sampled_from([1, 2, 10]),
    cut=st.integers(0, 150),
    rows=st.sampled_from([1, 3, 2**12]),
)
def test_it_is_a_dict_of_orders_added_up_anew(seed, most, depth, cut, rows):
    records = any_records(seed, most)
    expected = plain_rows(records, depth)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mbo, "ROWS", rows)
        assert folded(records, depth, [min(cut, len(records))], slots=4) == expected


def test_books_of_many_levels_grow_and_shrink():
    records = flow(3000, 7)
    assert folded(records, 10, [1, 500, 2999], slots=8) == plain_rows(records, 10)


def test_a_table_of_orders_that_are_over_is_cleared_rather_than_enlarged():
    fold = Fold(1, slots=64)
    parts = [record(0, "R", "N")] + [record(number, price=(100 + number % 7) * CENT) for number in range(30)]
    columns = columns_of(parts)
    for _ in range(50):
        fold.rows(columns)
        columns["order_id"] = columns["order_id"] + np.uint64(31)
    assert len(fold._orders[0]) <= 128
    assert len(fold._levels[0]) == 64


def test_levels_that_come_sorted_take_no_longer_than_any():
    """Each new level stands behind all others: a sorted array would move a million of them a million times."""
    count = 100_000
    columns = columns_of([record()])
    columns = {name: np.repeat(column, count) for name, column in columns.items()}
    columns["order_id"] = np.arange(count, dtype=np.uint64)
    columns["price"] = (200_000 - np.arange(count)) * CENT
    shown = Fold(1).rows(columns)
    assert (len(shown.at), shown.px[0].tolist()) == (1, [[200_000 * CENT], [0]])


@pytest.mark.parametrize(
    ("records", "at", "message"),
    [
        ([record(), record(2, price=PRICE_LIMIT)], 1, r"px: 8388608\d+ \(expected a price below 8388608 \$"),
        (
            [record(), record(2, size=SHARES_LIMIT - 1, flags=0), record(3, "T", "N", flags=LAST)],
            2,
            rf"bid_sz_00: {SHARES_LIMIT + 99} \(expected a size up to {SHARES_LIMIT - 1}",
        ),
        (
            [
                record(1, side="A"),
                record(2, "A", "A", 101 * CENT, 2**31, 0),
                record(3, "A", "A", 102 * CENT, flags=LAST),
            ],
            2,
            r"ask_sz_01: 2147483648",
        ),
    ],
)
def test_a_number_that_no_tape_holds_is_named(records, at, message):
    with pytest.raises(UnfitError, match=message) as caught:
        Fold(10).rows(columns_of(records))
    assert caught.value.at == at


def test_without_the_compiler_it_folds_the_same():
    """The same flow in a process whose numba compiles nothing."""
    words = "from tests.feed.files.test_mbo import flow, folded; print(folded(flow(400, 3), 3, [7], slots=4))"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", words],
        cwd=ROOT,
        env={"NUMBA_DISABLE_JIT": "1", "PATH": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ast.literal_eval(ran.stdout) == plain_rows(flow(400, 3), 3)
