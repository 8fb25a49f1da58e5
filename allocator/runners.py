"""Every way to run one order for K combinations; all give the same rows, and differ in what they cost.

reference : the plain engine, any policy.
walk : the whole engine compiled, one pass per combination.
rows : `static` in whole shares; a pass per combination that looks at changed and free quotes only.
lanes, wide : the same, 64 or 128 combinations to a pass.
columns, ladder : the same without state (no quote outlives its snapshot, refresh), a pass per combination over
    columns, or one pass for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from allocator.engine import as_row, dearest, execute, settle
from allocator.errors import AllocatorError
from allocator.money import NANO, SUM_LIMIT
from allocator.order import FIELDS, UNBOUNDED
from allocator.policies import POLICIES
from allocator.units import CostUnits, cost_units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from allocator.book import Bits, Book, Int64
    from allocator.order import Order, ParameterColumns, Routing, Rules

    Rows = Int64

WORD = 64
"""Venues of a set that is one word."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """An order on a book, and all that decides how it fills but for the parameters.

    Attributes
    ----------
    book, order, rules, routing
        As `allocator.simulate.run_combinations`.
    fees : tuple of int
        Taker fee of each venue of the book, 1e-9 $ per share.
    units : CostUnits
        Of the book under these fees.
    """

    book: Book
    order: Order
    rules: Rules
    routing: Routing
    fees: tuple[int, ...]
    units: CostUnits

    @classmethod
    def of(cls, book: Book, order: Order, rules: Rules, routing: Routing, fees: Sequence[int]) -> Task:
        """A task whose sums of money stay exact.

        Raises
        ------
        AllocatorError
            `check_sums`.
        """
        check_sums(book, order, rules, fees)
        return cls(book, order, rules, routing, tuple(fees), cost_units(book, order.side, fees))

    @property
    def resets(self) -> Bits:
        """(T, W) uint64, where what was taken of a venue counts no more."""
        return self.book.take_side(self.order.side).moved if self.persists else self.book.published

    @property
    def persists(self) -> bool:
        """Whether a publication at an unchanged price leaves taken what was taken."""
        return self.rules.liquidity == "persist"


def dearest_possible(book: Book, rules: Rules, fees: Sequence[int]) -> int:
    """No share can cost or be valued at more than this, 1e-9 $."""
    return book.highest + max((abs(fee) for fee in fees), default=0) + rules.unfilled_penalty


def check_sums(book: Book, order: Order, rules: Rules, fees: Sequence[int]) -> None:
    """Refuse an order whose cash could leave int64, before anything runs.

    Raises
    ------
    AllocatorError
        size * the dearest possible price >= 2^62 nano-dollars.
    """
    top = dearest_possible(book, rules, fees)
    if order.size * top >= SUM_LIMIT:
        raise AllocatorError(
            f"order.size: {order.size:,} shares at up to {top / NANO:.2f} $ are beyond exact 64-bit money; "
            f"at most {(SUM_LIMIT - 1) // top:,} shares"
        )


def _settled(task: Task, raw: Rows) -> Rows:
    """(K, 5 or more) of what was filled, the first five as `settle` takes them, to (K, 8) result rows."""
    columns = settle(task.order, task.rules, dearest(task.book, task.order, task.fees), *raw.T[:5])
    return np.stack(np.broadcast_arrays(*columns), axis=1)


def _reference(task: Task, parameters: ParameterColumns) -> Rows:
    policy = POLICIES[task.routing.policy](task.routing)
    executions = [execute(task.book, task.order, task.rules, task.fees, policy, each) for each in parameters]
    return np.array([as_row(each) for each in executions], np.int64).reshape(-1, len(FIELDS))


def walk_through(task: Task, parameters: ParameterColumns, stood: Int64 | None = None) -> Rows:
    """(K, 8) int64, what `allocator.kernels.walk.walk` found; its MIDS is of use where `stood` is given."""
    from allocator.kernels import walk

    book, order, routing = task.book, task.order, task.routing
    side, tau, over = book.take_side(order.side), parameters.tau, parameters.over
    finite = [int(x.max()) for x in (tau[tau < UNBOUNDED], over[over < UNBOUNDED]) if x.size]
    # what the walk compares for one lot more: step (2c - 2p) + 2 over (step - u) with 2 tau u
    if (
        routing.lots_only
        and 2 * routing.step * (dearest_possible(book, task.rules, task.fees) + max(finite, default=0)) >= 2**63
    ):
        raise AllocatorError(f"step: lots of {routing.step:,} shares at these penalties are beyond exact 64-bit money")
    out = np.zeros((len(parameters), 8), np.int64)
    walk.walk(
        side.ticks,
        side.sz,
        task.resets,
        side.other_ticks,
        book.mid2,
        book.mid2 if stood is None else stood,
        np.array(task.fees, np.int64),
        order.sign,
        book.base,
        book.tick,
        *book.span(order),
        order.size,
        {"static": walk.STATIC, "pseudocode": walk.PSEUDOCODE}[routing.policy],
        routing.step,
        routing.infeasible == "wait",
        routing.lots_only,
        {"best": walk.BEST, "mid": walk.MID, "arrival": walk.ARRIVAL}[routing.reference],
        *book.arrival(order),
        {"sweep": walk.SWEEP, "last_ask": walk.LAST_ASK}[task.rules.leftover],
        tau,
        over,
        out,
    )
    return out


@dataclass(frozen=True, slots=True)
class Carried:
    """What the kernels of `allocator.kernels.stateful` are given.

    Attributes
    ----------
    book : tuple
        Their first arguments, in their order.
    begin, last : int
        The snapshots at which a walk begins and ends; begin is after last where the order has no snapshot.
    at_last : int
        The reference at the last snapshot, or `WAIT`.
    leftover : int
        Which rule completes the order.
    """

    book: tuple[Any, ...]
    begin: int
    last: int
    at_last: int
    leftover: int

    @classmethod
    def of(cls, task: Task) -> Carried:
        """The arguments of a task."""
        from allocator.kernels import stateful

        book, order, units = task.book, task.order, task.units
        side = book.take_side(order.side)
        reference = {"best": stateful.BEST, "mid": stateful.MID, "arrival": stateful.ARRIVAL}[task.routing.reference]
        arrival_at, arrival2 = book.arrival(order) if reference == stateful.ARRIVAL else (0, 0)
        first, past = book.span(order)
        begin, last, at_last = first, past - 1, reference
        if reference == stateful.ARRIVAL and first < past:
            # nothing is taken before there is such a mid: a walk may as well begin there
            begin = min(max(first, arrival_at), last)
            at_last = reference if arrival_at <= last else stateful.WAIT
        words = (side.shown[:, 0], book.published[:, 0], task.resets[:, 0])
        shown, published, resets = (np.ascontiguousarray(word) for word in words)
        arguments = (
            side.ticks, side.sz, resets, published, shown, book.mid2,
            units.slope, units.offset, order.sign, units.origin, units.unit,
            task.persists, reference, arrival2,
        )  # fmt: skip
        leftover = {"sweep": stateful.SWEEP, "last_ask": stateful.LAST_ASK}[task.rules.leftover]
        return cls(arguments, begin, last, at_last, leftover)


def _from_units(task: Task, sums: Rows) -> Rows:
    """(K, 3) sums of a walk in units to (K, 8) result rows."""
    units = task.units
    shares, cost, fees = sums.T
    raw = np.zeros((len(sums), 5), np.int64)
    raw[:, 0] = shares
    raw[:, 2] = shares * units.origin + cost * units.unit
    raw[:, 3] = shares * min(task.fees) + fees * units.unit
    return _settled(task, raw)


def _carried(task: Task, tau: Int64, walk: str) -> Rows:
    from allocator.kernels import stateful

    out = np.zeros((len(tau), 3), np.int64)
    given = Carried.of(task)
    if given.begin <= given.last:
        getattr(stateful, walk)(
            *given.book, np.full(len(tau), given.begin), given.last, task.order.size, task.units.farthest,
            given.at_last, given.leftover, tau, out,
        )  # fmt: skip
    return _from_units(task, out)


def _columns(task: Task, tau: Int64, *, together: bool) -> Rows:
    from allocator.kernels import stateful, stateless

    out, starts = np.zeros((len(tau), 3), np.int64), np.zeros(len(tau), np.int64)
    given, tiles = Carried.of(task), task.book.take_side(task.order.side).tiles
    if tiles is not None and given.begin <= given.last and len(tau):
        scan = stateless.scan_together if together else stateless.scan_each
        reach = task.units.reach(tau)
        ascending = np.argsort(reach, kind="stable")
        sums, stops = out[ascending], starts[ascending]
        scan(
            tiles.ticks, tiles.sz, task.units.slope, task.units.offset, given.begin, given.last, task.order.size,
            reach[ascending], stops, sums,
        )  # fmt: skip
        out[ascending], starts[ascending] = sums, stops
        stateful.walk_each(
            *given.book, starts, given.last, task.order.size, task.units.farthest, given.at_last, given.leftover,
            tau, out,
        )  # fmt: skip
    return _from_units(task, out)


RUNNERS: dict[str, Callable[[Task, ParameterColumns], Rows]] = {
    "reference": _reference,
    "walk": lambda task, parameters: _settled(task, walk_through(task, parameters)),
    "rows": lambda task, parameters: _carried(task, parameters.tau, "walk_each"),
    "lanes": lambda task, parameters: _carried(task, parameters.tau, "walk_lanes"),
    "wide": lambda task, parameters: _carried(task, parameters.tau, "walk_wide"),
    "columns": lambda task, parameters: _columns(task, parameters.tau, together=False),
    "ladder": lambda task, parameters: _columns(task, parameters.tau, together=True),
}
"""Every runner by name."""

SHARED = "shared"
"""The runner of many orders that share one walk: `run_shared`."""

CALLED: dict[str, tuple[tuple[str, str], ...]] = {
    "reference": (),
    "walk": (("walk", "walk"),),
    "rows": (("stateful", "walk_each"),),
    "lanes": (("stateful", "walk_lanes"),),
    "wide": (("stateful", "walk_wide"),),
    "columns": (("stateless", "scan_each"), ("stateful", "walk_each")),
    "ladder": (("stateless", "scan_together"), ("stateful", "walk_each")),
    SHARED: (("stateful", "walk_orders"),),
}
"""The kernels that a runner calls, by module and name."""


def prepare(runner: str) -> None:
    """Compile or load what a runner calls, so that its first walk takes no longer than the next."""
    for module, name in CALLED[runner]:
        kernel = getattr(import_module(f"allocator.kernels.{module}"), name)
        if hasattr(kernel, "prepare"):  # not without numba's compiler
            kernel.prepare()


MARKS_EVERY = 256
"""Snapshots between two marks of a walk that orders share."""


def run_shared(tasks: Sequence[Task], parameters: ParameterColumns) -> list[Rows]:
    """(K, 8) rows of each of N orders, which share one long walk per combination; where `may_share` says so."""
    from allocator.kernels import stateful

    tau = parameters.tau
    spans = np.array([task.book.span(task.order) for task in tasks], np.int64).reshape(-1, 2)
    acting = np.flatnonzero(spans[:, 0] < spans[:, 1])
    sizes = np.array([task.order.size for task in tasks], np.int64)
    sums = np.zeros((len(tasks), len(tau), 3), np.int64)
    if len(acting):
        given = Carried.of(tasks[0])
        first, past = (np.ascontiguousarray(ends[acting]) for ends in spans.T)
        for k, each in enumerate(tau.tolist()):
            out = np.zeros((len(acting), 3), np.int64)
            stateful.walk_orders(
                *given.book, first, past, sizes[acting], tasks[0].units.farthest, given.leftover, MARKS_EVERY, each,
                out,
            )  # fmt: skip
            sums[acting, k] = out
    return [_from_units(task, sums[n]) for n, task in enumerate(tasks)]


def may_share(tasks: Sequence[Task]) -> bool:
    """Whether orders can share a walk: `rows` can run them, on one side, and no price is measured from an arrival."""
    one_side = len({task.order.side for task in tasks}) == 1
    return one_side and "rows" in runners_for(tasks[0]) and tasks[0].routing.reference != "arrival"


COMPILED = ("static", "pseudocode")
"""The policies that `walk` knows."""


def runners_for(task: Task) -> tuple[str, ...]:
    """The runners worth a measurement for a task, the surest first."""
    book, routing = task.book, task.routing
    if routing.policy not in COMPILED:
        return ("reference",)
    narrow = 0 < len(book.venues) <= WORD and book.ask_ticks.dtype == np.int32 and task.units.small
    if routing.policy != "static" or routing.lots_only or not narrow:
        return ("walk",)
    stateless = book.take_side(task.order.side).tiles is not None and not task.persists
    if stateless and routing.reference == "best":
        return ("rows", "lanes", "wide", "columns", "ladder")
    return ("rows", "lanes", "wide")
