"""Blocks of time of many orders: on one tape, of several dates, and of symbols that share a date."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.instants import parse_instant
from feed.tape import DAY
from sweep.config.question import ParentOrders
from sweep.statistics.blocks import blocks_of
from sweep.statistics.orders import joined, no_orders, orders_on

MINUTE = 60 * 10**9
OPEN = parse_instant("2018-01-02T14:30:00Z")


def orders_from(start, starts, horizon=5, sides=("buy",), sizes=(100,)):
    """Orders of some minutes on a tape of seven hours."""
    begins = tuple(start + minute * MINUTE for minute in starts)
    parents = ParentOrders(sides, sizes, starts=begins, horizon=horizon * MINUTE)
    return orders_on(parents, start, start + 420 * MINUTE)


def test_a_block_has_the_groups_of_every_cell_at_its_time():
    orders = orders_from(OPEN, range(0, 60, 5), sides=("buy", "sell"), sizes=(100, 200))
    blocks = blocks_of(orders)
    assert (len(blocks), blocks.days, orders.groups) == (6, 1, 24)
    assert blocks.of_group.tolist() == [0, 1, 2, 3, 4, 5] * 4
    assert ((blocks.first - OPEN) // MINUTE).tolist() == [0, 10, 20, 30, 40, 50]
    assert ((blocks.last - OPEN) // MINUTE).tolist() == [10, 20, 30, 40, 50, 60]


def test_dates_are_apart_and_symbols_of_a_date_are_together():
    first, second = orders_from(OPEN, [0, 10, 20]), orders_from(OPEN + DAY, [0, 10, 20])
    other = orders_from(OPEN, [0, 10, 20])  # another symbol
    blocks = blocks_of(joined([first, other, no_orders(ParentOrders(("buy",), (100,))), second]))
    assert blocks.of_group.tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 5]
    assert blocks.days == 2
    assert blocks.day.tolist() == [OPEN // DAY] * 3 + [OPEN // DAY + 1] * 3


def test_a_symbol_whose_orders_start_at_other_times_joins_the_blocks_of_the_one_that_has_most():
    most, other = orders_from(OPEN, [10, 20, 30, 40, 50]), orders_from(OPEN, [0, 13, 29, 55])
    blocks = blocks_of(joined([other, most]))
    assert blocks.of_group.tolist() == [0, 0, 2, 4, 0, 1, 2, 3, 4]
    assert ((blocks.first - OPEN) // MINUTE).tolist() == [0, 20, 29, 40, 50]
    assert ((blocks.last - OPEN) // MINUTE).tolist() == [18, 25, 35, 45, 60]


@pytest.mark.parametrize("nanoseconds", [-(10**6), -1, 0, 1, 10**6])
def test_a_symbol_whose_first_quote_is_a_moment_earlier_or_later_shares_each_block(nanoseconds):
    one, other = orders_from(OPEN, range(0, 60, 5)), orders_from(OPEN + nanoseconds, range(0, 60, 5))
    blocks = blocks_of(joined([one, other]))
    assert blocks.of_group.tolist() == [0, 1, 2, 3, 4, 5] * 2


@given(st.lists(st.lists(st.integers(0, 400), min_size=1, max_size=9, unique=True), min_size=1, max_size=4))
def test_every_group_is_of_one_block_that_spans_it_and_none_is_empty(minutes):
    orders = joined([orders_from(OPEN + n // 2 * DAY, sorted(starts)) for n, starts in enumerate(minutes)])
    blocks = blocks_of(orders)
    assert sorted({*blocks.of_group.tolist()}) == list(range(len(blocks)))
    assert (np.diff(blocks.day) >= 0).all()
    for group, block in enumerate(blocks.of_group.tolist()):
        for order in orders.orders[orders.edges[group] : orders.edges[group + 1]]:
            assert blocks.first[block] <= order.start < order.end <= blocks.last[block]
            assert order.start // DAY == blocks.day[block]
