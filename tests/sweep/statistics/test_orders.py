"""Parent orders as lists and by the clock: which there are, in which groups, and what is refused."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.instants import at_clock, format_instant, parse_clock, parse_instant
from sweep.config.loading import build_config, load_config
from sweep.config.question import Clock, ParentOrders
from sweep.errors import ConfigError
from sweep.statistics import blocks_of
from sweep.statistics import orders as module
from sweep.statistics.orders import orders_on

MINUTE = 60 * 10**9
START, END = parse_instant("2018-01-02T14:30:00Z"), parse_instant("2018-01-02T21:00:00Z")


def made(begins=START, ends=END, combinations=1, **keys):
    return orders_on(build_config({"order": keys}).question.orders, begins, ends, combinations)


def starts_of(orders):
    return [format_instant(order.start)[11:16] for order in orders.orders]


def test_one_order_is_one_group_and_takes_the_window_where_nothing_else_is_asked():
    orders = made(side="sell", size=700)
    (order,) = orders.orders
    assert (order.side, order.size, order.start, order.end) == ("sell", 700, START, END)
    assert (orders.groups, orders.edges, orders.signs, orders.left_out) == (1, (0, 1), (-1,), 0)
    assert len(blocks_of(orders)) == 1


def test_the_clock_of_a_zone_says_when_orders_start():
    orders = made(**{"every": "10m", "horizon": "10m", "from": "09:40", "to": "15:40", "zone": "America/New_York"})
    assert (len(orders), orders.left_out, len(blocks_of(orders))) == (37, 0, 19)
    assert (starts_of(orders)[0], starts_of(orders)[-1]) == ("14:40", "20:40")
    summer = [parse_instant(f"2018-07-02T{hour}:00:00Z") for hour in (13, 21)]
    keys = {"every": "10m", "horizon": "10m", "from": "09:40", "to": "15:40", "zone": "America/New_York"}
    assert starts_of(made(*summer, **keys))[0] == "13:40"


def test_of_a_zone_whose_date_is_another_the_starts_inside_the_window_count():
    start, end = parse_instant("2024-01-09T22:00:00Z"), parse_instant("2024-01-09T23:59:00Z")
    keys = {"every": "30m", "horizon": "10m", "from": "09:30", "to": "16:00", "zone": "Australia/Sydney"}
    assert starts_of(made(start, end, **keys)) == ["22:30", "23:00", "23:30"]


def test_sides_sizes_and_starts_are_numbered_in_this_order_and_groups_are_their_slices():
    orders = made(side=["sell", "buy"], size=[5, 3], every="30m", horizon="20m")
    assert orders.cells == (("sell", 5), ("sell", 3), ("buy", 5), ("buy", 3))
    assert len(orders) == 4 * 13
    assert [(order.side, order.size) for order in orders.orders] == [cell for cell in orders.cells for _ in range(13)]
    for (first, past), group in zip(pairwise(orders.edges), range(orders.groups), strict=True):
        members = orders.orders[first:past]
        assert {(order.side, order.size) for order in members} == {orders.cells[group // len(blocks_of(orders))]}
        assert members[-1].start - members[0].start < 40 * MINUTE


def test_what_does_not_fit_is_left_out_and_counted():
    orders = made(size=[1, 2], every="1h", horizon="40m")
    assert starts_of(orders) == ["14:30", "15:30", "16:30", "17:30", "18:30", "19:30"] * 2
    assert orders.left_out == 2
    listed = made(start=["2018-01-02T20:00:00Z", "2018-01-02T15:00:00Z", "2018-01-02T20:30:00Z"], horizon="40m")
    assert (starts_of(listed), listed.left_out) == (["15:00", "20:00"], 1)


def test_blocks_are_merged_in_pairs_where_their_rows_would_be_too_many(monkeypatch):
    monkeypatch.setattr(module, "MOST_ROWS", 500)
    keys = {"every": "10m", "horizon": "10m", "size": [1, 2]}
    assert len(blocks_of(made(**keys, combinations=12))) == 20
    assert len(blocks_of(made(**keys, combinations=13))) == 10
    assert len(blocks_of(made(**keys, combinations=10**6))) == 1


@given(st.integers(1, 200), st.integers(1, 90), st.none() | st.integers(0, 86_399), st.none() | st.integers(0, 86_399))
def test_starts_by_the_clock_are_those_found_one_by_one(every, horizon, first, last):
    parents = ParentOrders(
        ("buy",), (1,), horizon=horizon * MINUTE,
        clock=Clock(every * MINUTE, *(None if x is None else x * 10**9 for x in (first, last)), "UTC"),
    )  # fmt: skip
    midnight = START // (1440 * MINUTE) * 1440 * MINUTE
    begin = START if first is None else midnight + first * 10**9
    bound = END if last is None else midnight + last * 10**9
    wanted = [t for t in range(begin, bound + 1, every * MINUTE) if START <= t <= END]
    expected = [t for t in wanted if t + horizon * MINUTE <= END]
    if not expected:
        with pytest.raises(ConfigError, match="none lies inside the window"):
            orders_on(parents, START, END)
        return
    orders = orders_on(parents, START, END)
    assert [order.start for order in orders.orders] == expected
    assert orders.left_out == len(wanted) - len(expected)
    blocks = [(t - expected[0]) // (2 * horizon * MINUTE) for t in expected]
    assert list(orders.edges) == [n for n, b in enumerate(blocks) if not n or b != blocks[n - 1]] + [len(expected)]


REFUSED = {
    "order.every=10m": "order.every: many orders need order.horizon, such as 10m",
    "order.start=[2018-01-02T15:00:00Z,2018-01-02T16:00:00Z]": "order.start: many orders need order.horizon",
    "order.size=[]": "order.size: expected one or more, but the list is empty",
    "order.size=[5,5]": "order.size: 5 stands twice; write it once",
    "order.side=[buy,hold]": "order.side: expected buy, sell, or both: [buy, sell], but it had",
    "order.from=09:40": "order.from: it bounds the starts that order.every makes; set order.every=10m",
    "order.zone=UTC": "order.zone: it bounds the starts that order.every makes",
    "order.every=0 order.horizon=1m": "order.every: expected more than 0, such as 10m",
    "order.every=1m order.horizon=0": "order.horizon: expected more than 0",
    "order.every=1m order.horizon=ten": "order.horizon: 'ten' is no duration",
    "order.every=1m order.horizon=1m order.from=25:00": "order.from: '25:00' is no time of day",
    "order.every=1m order.horizon=1m order.zone=Mars": "order.zone: 'Mars' is no time zone",
    "order.every=1m order.horizon=1m order.zone=../x": "order.zone: '../x' is no time zone",
    "order.every=1m order.horizon=1m order.from=10:00 order.to=09:00": "order.from is after order.to: 10:00 and 09:00",
    "order.every=1m order.horizon=1m order.start=2018-01-02T15:00:00Z": "order.every: order.start says when",
    "order.end=2018-01-02T15:00:00Z order.horizon=1m": "order.end: order.horizon says when an order ends",
    "order.start=[2018-01-02T15:00:00Z,2018-01-02T15:00:00.0Z] order.horizon=1m": "order.start: two of them are the",
    "order.side=[buy,sell] conventions=classic": "order.side: conventions=classic drops rows by the side of the order",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_meant_is_refused(words):
    with pytest.raises(ConfigError) as raised:
        load_config(assignments=words.split())
    assert str(raised.value).startswith(REFUSED[words])


def test_orders_without_end_are_refused_with_the_arithmetic():
    with pytest.raises(
        ConfigError, match=r"order.every: 1e-09 s are 23,400,000,000,000 starts in a window of 23,400 s"
    ):
        made(every="1ns", horizon="1m")
    with pytest.raises(ConfigError, match=r"1 sides x 60 sizes x 23,341 starts are 1,400,460 orders on a tape, more"):
        made(every="1s", horizon="1m", size=list(range(1, 61)))
    with pytest.raises(ConfigError, match=r"of 40 orders of 36000 s none lies inside the window"):
        made(every="10m", horizon="10h")
    with pytest.raises(ConfigError, match="no order starts, and none lies inside"):
        made(**{"every": "10m", "horizon": "1m", "from": "03:00", "to": "04:00"})


def test_starts_of_a_day_before_a_short_window_are_passed_over_at_once():
    keys = {"every": "1us", "horizon": "1us", "from": "00:00", "to": "23:59"}
    orders = made(START, START + 999_500, **keys)
    assert (len(orders), orders.orders[0].start, orders.left_out) == (999, START, 1)
    assert starts_of(made(START, START + 8 * MINUTE, **{"every": "7m", "horizon": "1s", "from": "14:00"})) == ["14:35"]


def test_a_time_of_day_is_that_of_the_clocks_also_where_they_are_changed():
    assert parse_clock("9:40") == parse_clock("09:40:00") == 580 * MINUTE
    changes = parse_instant("2024-03-10T00:00:00Z") // (1440 * MINUTE)  # 02:30 is skipped in New York
    assert format_instant(at_clock(changes, 150 * MINUTE, "America/New_York"))[11:19] == "07:30:00"
    back = parse_instant("2024-11-03T00:00:00Z") // (1440 * MINUTE)  # 01:30 comes twice
    assert format_instant(at_clock(back, 90 * MINUTE, "America/New_York"))[11:19] == "05:30:00"


def test_one_value_in_a_list_is_the_value_itself_and_older_configurations_keep_their_hash():
    hashes = {
        build_config({"order": keys}).question.config_hash
        for keys in ({}, {"size": [5000]}, {"side": ["buy"]}, {"size": 5000, "side": "buy", "horizon": None})
    }
    assert len(hashes) == 1
    assert build_config({"order": {"horizon": "1m"}}).question.config_hash not in hashes
