"""Figures of orders that are placed: one, many combinations of many, and limit orders whose decisions are given."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from allocator.engine import as_row
from allocator.kernels import slices as kernels
from allocator.order import MakerFees, Order, ParameterColumns, Parameters, Rules
from allocator.placement.agenda import agenda_of
from allocator.placement.plain import execute_placed
from allocator.placement.policy import Placement
from allocator.placement.stage import moments_of
from allocator.runners import RUNNERS, Task, quoted_in_flight
from benchmarks.allocator_bench import carried_book
from benchmarks.frame import Case, Duel, Scale, Side
from benchmarks.queues_bench import taq_day
from feed.instants import parse_instant

if TYPE_CHECKING:
    from allocator.book import Book

SECOND, CENT = 10**9, 10**7
FEE = 3_000_000
RULES = Rules("persist", "sweep", 5 * CENT, 5_000_000, maker_fees=MakerFees(-2_000_000))
POLICY = Placement()
LANES, VENUES = 64, 12


def grid(count: int) -> ParameterColumns:
    """Combinations that decide differently: lambda_over, lambda_under and theta vary."""
    points = [Parameters(k % 10 * CENT, k // 10 % 10 * 2 * CENT, k // 100 * CENT // 10) for k in range(count)]
    return ParameterColumns.of(points)


def orders(count: int) -> list[Order]:
    """Orders of ten minutes in regular hours, one after the other."""
    first = parse_instant("2018-01-02T15:05:00Z")
    starts = [first + k * 480 * SECOND for k in range(count)]
    return [Order("buy", 5_000, start, start + 600 * SECOND) for start in starts]


def _run(book: Book, these: list[Order], parameters: ParameterColumns) -> list[list[list[int]]]:
    fees = [FEE] * len(book.venues)
    return [RUNNERS["placed"](Task.of(book, each, RULES, POLICY, fees), parameters).tolist() for each in these]


def _plainly(book: Book, these: list[Order], parameters: ParameterColumns) -> list[list[list[int]]]:
    fees = [FEE] * len(book.venues)
    return [
        [list(as_row(execute_placed(book, each, RULES, fees, POLICY, point))) for point in parameters] for each in these
    ]


def _order(_: Scale) -> Duel:
    book, one = taq_day(), grid(1)
    these = orders(5)

    def guard():
        assert _run(book, these[:2], one) == _plainly(book, these[:2], one)

    return Duel(
        Side(partial(_run, book, these, one), len(these)),
        Side(partial(_plainly, book, these[:1], one)),
        guard,
        f"the TAQ day, V={len(book.venues)}: 10 minutes, slices of 30 s, one combination, mean of {len(these)} orders",
    )


def _grid(scale: Scale) -> Duel:
    book, every = taq_day(), grid(scale.pick(1_000, 64))
    these = orders(scale.pick(40, 2))
    few = every.take(np.arange(0, len(every), len(every) // 2))

    def guard():
        rows = np.array(_run(book, these[:1], every))
        assert len(np.unique(rows[0], axis=0)) > 3, "combinations decide alike"
        assert _run(book, these[:1], few) == _plainly(book, these[:1], few)

    return Duel(
        Side(partial(_run, book, these, every)),
        Side(partial(_plainly, book, these[:1], few), len(few) / len(every) / len(these)),
        guard,
        f"the TAQ day, V={len(book.venues)}: {len(every):,} combinations x {len(these)} orders of 10 minutes, one core "
        f"(baseline {len(few)} x 1)",
    )


def _replay(book: Book, order: Order, limits: np.ndarray) -> np.ndarray:
    """Replay an order's queues, and let limit orders of K combinations fill whose sizes are given, (K, N)."""
    fees, count = [FEE] * len(book.venues), len(limits)
    agenda = agenda_of(book, order, RULES, POLICY)
    moments, _ = moments_of(book, order, fees, agenda, np.empty(0, np.int64), book.mid2)
    *_, latency = quoted_in_flight(book, order, RULES, fees, book.mid2)
    none = np.zeros((0, 1), np.int64)
    columns = np.ascontiguousarray(agenda.price.reshape(-1)), np.array(fees), np.array([-2_000_000] * len(fees))
    for each in (none, *columns):
        each.setflags(write=False)
    sums = np.zeros((count, 8), np.int64)
    accounts = kernels.Accounts(
        sums, *(np.zeros(count, np.int64) for _ in range(2)), np.full(count, kernels.NONE),
        np.zeros((count, len(fees)), np.int64), limits, np.zeros_like(limits), np.zeros_like(limits),
        np.zeros((count, 1, 4), np.int64), np.zeros(count, np.int64), np.zeros((0, 5), np.int64), np.zeros(2, np.int64),
    )  # fmt: skip
    terms = kernels.Terms(1, 2**40, *columns)
    kernels.advance(moments, 0, len(moments.kind), terms, latency, kernels.Supplies(none, none, none), accounts)
    return sums


def _fixed(scale: Scale, book_of: str, lanes: int) -> Duel:
    if book_of == "day":
        book = taq_day()
        order = Order("buy", 5_000, int(book.ts[0]) + 1800 * SECOND, int(book.ts[-1]))
    else:
        book = carried_book(scale.pick(500_000, 50_000), VENUES)
        order = Order("buy", 5_000, int(book.ts[0]), int(book.ts[-1]))
    first, past = book.span(order)
    count = -(-(order.end - order.start) // POLICY.slice)
    limits = np.random.default_rng(1).integers(0, 1_000, (lanes, count * len(book.venues)))
    agenda = agenda_of(book, order, RULES, POLICY)
    limits = np.ascontiguousarray(limits[:, : agenda.price.size])
    work = (past - first) * len(book.venues)

    def one_by_one():
        return np.concatenate([_replay(book, order, limits[[k]]) for k in range(lanes)])

    def guard():
        together = _replay(book, order, limits)
        assert together[:, 0].min() > 0, "nothing fills"
        assert np.array_equal(together, one_by_one())

    return Duel(
        Side(partial(_replay, book, order, limits), work * lanes),
        Side(one_by_one, work * lanes),
        guard,
        f"T={past - first:,} V={len(book.venues)} K={lanes}: limit orders of given sizes, renewed every 30 s, "
        f"{len(agenda.passed):,} moments at which some fill",
    )


PLAIN = "the plain engine"

CASES: tuple[Case, ...] = (
    Case("placed_order", "ms", PLAIN, _order, target=20.0, rounds=5),
    Case("placed_grid", "s", PLAIN, _grid, target=60.0, rounds=3),
    Case("placed_one", "ns per t v", "the same", partial(_fixed, book_of="long", lanes=1), target=4.0),
    Case("placed_lanes", "ns per t v k", "one by one", partial(_fixed, book_of="long", lanes=LANES), target=0.15),
    Case("placed_lanes_day", "ns per t v k", "one by one", partial(_fixed, book_of="day", lanes=LANES)),
)
