"""What blocks can show before anything is swept: parts of orders, what is paid in them, and the power of baselines."""

from dataclasses import replace

import numpy as np
import pytest

from allocator.order import FIELDS
from feed.instants import parse_instant
from sweep.config.question import ParentOrders
from sweep.statistics.inference import t_quantile
from sweep.statistics.orders import orders_on
from sweep.statistics.parts import notional_by_group, paid_by_group, parts_of
from sweep.statistics.power import powers
from sweep.statistics.totals import Outcome

MINUTE = 60 * 10**9
OPEN = parse_instant("2018-01-02T14:30:00Z")
TOTAL = FIELDS.index("total_cash")


def orders_of(starts, sides=("buy", "sell"), sizes=(100, 300)):
    parents = ParentOrders(sides, sizes, tuple(OPEN + 10 * n * MINUTE for n in range(starts)), horizon=5 * MINUTE)
    return orders_on(parents, OPEN, OPEN + 10 * starts * MINUTE)


def outcome(cash):
    """How orders filled of which only the cash matters."""
    rows = np.zeros((len(cash), len(FIELDS)), np.int64)
    rows[:, TOTAL] = cash
    return Outcome(rows, (None,) * len(cash), (), np.zeros((len(cash), 10), np.int64), (None,) * len(cash))


def test_parts_are_all_then_each_size_then_each_cell_and_none_stands_twice():
    def named(**keys):
        return [(part.side, part.size, part.groups.tolist()) for part in parts_of(orders_of(2, **keys))]

    assert named() == [
        (None, None, [0, 1, 2, 3, 4, 5, 6, 7]),
        (None, 100, [0, 1, 4, 5]), (None, 300, [2, 3, 6, 7]),
        ("buy", 100, [0, 1]), ("buy", 300, [2, 3]), ("sell", 100, [4, 5]), ("sell", 300, [6, 7]),
    ]  # fmt: skip
    assert named(sides=("sell",)) == [(None, None, [0, 1, 2, 3]), (None, 100, [0, 1]), (None, 300, [2, 3])]
    assert named(sizes=(7,)) == [(None, None, [0, 1, 2, 3]), ("buy", 7, [0, 1]), ("sell", 7, [2, 3])]
    assert named(sides=("buy",), sizes=(7,)) == [(None, None, [0, 1])]


def test_what_is_paid_is_signed_and_an_order_without_a_mid_counts_as_its_cash():
    orders = orders_of(2, sizes=(100,))
    assert paid_by_group(orders, {"x": outcome([5, 7, 11, 13])})["x"].tolist() == [5, 7, -11, -13]
    assert notional_by_group(orders, outcome([5, 7, 11, 13]), [4, 0, 8, 3]).tolist() == [200.0, 7.0, 400.0, 150.0]


def of_name(name, cash):
    return replace(outcome(cash), lookahead=name == "vwap")


def test_the_smallest_effect_is_that_of_each_baselines_blocks():
    rng = np.random.default_rng(3)
    orders, mids2 = orders_of(40), rng.integers(150, 160, 160) * 2 * 10**9
    cash = {name: rng.integers(10**12, 10**12 + 10**9, len(orders)) for name in ("best_ask", "twap", "pov", "vwap")}
    cash["touch"] = cash["best_ask"]
    whole, *_, last = powers(orders, {name: of_name(name, each) for name, each in cash.items()}, mids2.tolist())
    assert (whole.blocks, whole.days, whole.side, whole.size) == (40, 1, None, None)
    assert (last.side, last.size) == ("sell", 300)
    assert list(whole.detectable) == ["twap", "pov", "touch"]  # none that looks ahead
    assert whole.detectable["touch"] is None
    assert whole.days_for["touch"] == {0.2: None, 0.5: None, 1.0: None}
    for power, cells in ((whole, range(4)), (last, [3])):
        saved, notional = np.zeros(40), np.zeros(40)
        for cell in cells:
            for block in range(40):
                order = 40 * cell + block
                sign = 1 if cell < 2 else -1
                saved[block] += 1e4 * sign * (int(cash["best_ask"][order]) - int(cash["twap"][order]))
                notional[block] += orders.orders[order].size * int(mids2[order]) / 2
        mean = saved.sum() / notional.sum()
        values = (saved - mean * notional) / notional.mean()
        cosines = [
            sum(np.sqrt(2) * np.cos(np.pi * j * (b + 0.5) / 40) * values[b] for b in range(40)) ** 2 / 40
            for j in range(1, 6)
        ]
        error = np.sqrt(np.mean(cosines) / 40)
        effect = (t_quantile(0.975, 5) + t_quantile(0.8, 5)) * error
        assert power.detectable["twap"] == pytest.approx(effect, rel=1e-9)
        # halving an effect takes about four times the days
        assert power.days_for["twap"][0.5] >= 3 * power.days_for["twap"][1.0] - 3


def test_of_few_blocks_nothing_can_be_told_but_how_many_it_takes():
    rng = np.random.default_rng(5)
    orders = orders_of(8, sizes=(100,))
    cash = {name: outcome(rng.integers(10**12, 10**12 + 10**9, len(orders))) for name in ("best_ask", "twap")}
    power = powers(orders, cash, [3 * 10**11] * len(orders))[0]
    assert (power.blocks, power.detectable) == (8, {"twap": None})
    assert power.days_for["twap"][1.0] >= 3  # 20 blocks at least
