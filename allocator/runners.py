"""The ways to run one order for K combinations; all give the same rows, and differ in speed.

reference : the plain engine, any policy.
walk : the whole engine compiled, one pass per combination.
delayed : the same where child orders take time, a cap on what is displayed, or a schedule.
rows : `static` in whole shares; a pass per combination that looks at changed and free quotes only.
lanes, wide : the same with 64 or 128 combinations per pass.
placed : `placement`, many combinations over one agenda.
stairs : the same in one pass for any number of combinations, also over books of several levels and 64-bit ticks.
columns, ladder : `static` without state (refresh, and no quote outlives its snapshot): a pass over columns per
    combination, or one pass for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocator import flight
from allocator.book import freeze
from allocator.engine import as_row, execute, leftover_edge, settle, unfilled_price
from allocator.errors import AllocatorError
from allocator.money import NANO, SUM_LIMIT
from allocator.order import COST_REFERENCES, FIELDS, UNBOUNDED
from allocator.pace import TARGETS
from allocator.placement.policy import Placement
from allocator.policies import Pseudocode, Static
from allocator.units import CostUnits, cost_units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from numpy.typing import NDArray

    from allocator.book import Bits, Book, Int64
    from allocator.engine import Policy
    from allocator.kernels import delayed, stairs, stateful
    from allocator.kernels.walk import Prices, Span
    from allocator.kernels.walk import Rules as WalkRules
    from allocator.order import Execution, Order, ParameterColumns, Rules
    from allocator.placement.records import Placed
    from allocator.placement.stage import Stage

    Rows = Int64

WORD = 64
"""Venues that fit a set of one word."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """An order on a book, and all that decides how it fills except the parameters.

    Attributes
    ----------
    book, order, rules, policy
        As `allocator.simulate.run_combinations`.
    fees : tuple of int
        Taker fee of each venue of the book, 1e-9 $ per share.
    units : CostUnits
        Of the book under these fees.
    """

    book: Book
    order: Order
    rules: Rules
    policy: Policy
    fees: tuple[int, ...]
    units: CostUnits

    @classmethod
    def of(cls, book: Book, order: Order, rules: Rules, policy: Policy, fees: Sequence[int]) -> Task:
        """Make a task whose sums of money stay exact.

        Raises
        ------
        AllocatorError
            As `check_sums`.
        """
        check_sums(book, order, rules, fees)
        return cls(book, order, rules, policy, tuple(fees), cost_units(book, order.side, fees))

    @property
    def resets(self) -> Bits:
        """(T, W) uint64: where shares taken at a venue are available again."""
        return self.book.take_side(self.order.side).moved if self.persists else self.book.published

    @property
    def delayed(self) -> bool:
        """Whether child orders take time, or the router may not send all that it wants at once."""
        share = getattr(self.policy, "participation", NANO)
        return self.rules.delayed or share < NANO or getattr(self.policy, "schedule", "now") != "now"

    @property
    def persists(self) -> bool:
        """Whether shares taken stay taken when a venue publishes an unchanged price."""
        return self.rules.liquidity == "persist"


def dearest_possible(book: Book, rules: Rules, fees: Sequence[int]) -> int:
    """A bound on the cost or value of any share, 1e-9 $."""
    beyond = book.highest * (rules.leftover_band or 0) // NANO + 1
    paid = *fees, *rules.maker_fees.of(book.venues.tolist())
    return book.highest + beyond + max((abs(fee) for fee in paid), default=0) + rules.unfilled_penalty


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


def check_filled(task: Task, filled: int) -> None:
    """Refuse what limit orders at many venues filled beyond an order, where its cash may have left int64.

    Raises
    ------
    AllocatorError
        filled * the dearest possible price >= 2^62 nano-dollars.
    """
    top = dearest_possible(task.book, task.rules, task.fees)
    if filled * top >= SUM_LIMIT:
        raise AllocatorError(
            f"order.size: {filled:,} shares filled of {task.order.size:,}, before the excess was sold back; at up to "
            f"{top / NANO:.2f} $ they are beyond exact 64-bit money; at most {(SUM_LIMIT - 1) // top:,} shares"
        )


def settle_rows(task: Task, raw: Rows) -> Rows:
    """Turn (K, 5 or more) sums of fills, the first five as `settle` takes them, into (K, 8) result rows."""
    columns = settle(task.order, task.rules, unfilled_price(task.book, task.order, task.rules, task.fees), *raw.T[:5])
    return np.stack(np.broadcast_arrays(*columns), axis=1)


def _run_reference(task: Task, parameters: ParameterColumns) -> Rows:
    run: Callable[..., Execution] = execute
    if isinstance(task.policy, Placement):
        from allocator.placement.plain import execute_placed

        run = execute_placed
    executions = [run(task.book, task.order, task.rules, task.fees, task.policy, point) for point in parameters]
    check_filled(task, max((each.filled for each in executions), default=0))
    return np.array([as_row(execution) for execution in executions], np.int64).reshape(-1, len(FIELDS))


def quoted(
    book: Book, order: Order, rules: Rules, fees: Sequence[int], stood: Int64
) -> tuple[ModuleType, Any, Prices, Span]:
    """The module of kernels that walks a book, and what these are given of it and of an order.

    Parameters
    ----------
    book : Book
    order : Order
    rules : Rules
    fees : (V,) sequence of int
        1e-9 $ per share.
    stood : (T,) int64
        Twice the mid that fills are compared with, 1e-9 $; frozen here.
    """
    from allocator.kernels import walk

    side, taker_fees, persist = book.take_side(order.side), np.array(fees, np.int64), rules.liquidity == "persist"
    freeze(taker_fees, stood)
    prices, span = walk.Prices(order.sign, book.base, book.tick, taker_fees), walk.Span(*book.span(order))
    if (levels := side.levels) is not None:
        from allocator.kernels import deep_walk

        columns = levels.rows, levels.count, levels.ticks, levels.sz, side.other_ticks, book.mid2, stood
        return deep_walk, deep_walk.Quotes(*columns, persist), prices, span
    resets = side.moved if persist else book.published
    quotes = walk.Quotes(side.ticks, side.sz, side.other_ticks, resets, book.mid2, stood)
    return walk, quotes, prices, span


def edge_of(book: Book, order: Order, rules: Rules) -> int:
    """The dearest signed price that the leftover rule takes, 1e-9 $; `UNBOUNDED` = any."""
    edge = leftover_edge(book, order, rules)
    return UNBOUNDED if edge is None else edge


def walk_through(
    task: Task, parameters: ParameterColumns, stood: Int64 | None = None, *, delayed: bool = False
) -> Rows:
    """(K, 8) int64, the output of `allocator.kernels.walk.walk`; its MIDS is only valid if `stood` is given.

    By `allocator.kernels.delayed` where the task needs it, or that is asked for.
    """
    mids = task.book.mid2 if stood is None else stood
    if task.delayed or delayed:
        return in_flight(walk_in_flight(task, parameters, mids), len(parameters), 0)[0]
    kernels, quotes, prices, span = quoted(task.book, task.order, task.rules, task.fees, mids)
    out = np.zeros((len(parameters), 8), np.int64)
    columns = parameters.tau, parameters.over
    kernels.walk(quotes, prices, span, task.order.size, _rules_of(task, parameters), *columns, out)
    return out


def walk_recorded(task: Task, parameters: ParameterColumns, stood: Int64) -> tuple[Rows, list[Int64]]:
    """As `walk_through`, and the fills of each combination, as of `in_flight`."""
    return in_flight(walk_in_flight(task, parameters, stood), len(parameters))


RECORDED: Final = 2**18
"""Fills that there is room for at first: 8 MB, of which only what is written to takes memory."""


def in_flight(run: Callable[[Rows, Int64, Int64], None], count: int, room: int = RECORDED) -> tuple[Rows, list[Int64]]:
    """Run a kernel of `allocator.kernels.delayed` for N combinations or schedules, once more where its fills need it.

    Parameters
    ----------
    run : callable
        The kernel but for its last arguments: out, trail and counts.
    count : int
        N.
    room : int
        Fills that there is room for; 0 = none are kept.

    Returns
    -------
    out : (N, 8) int64
        As of `allocator.kernels.walk.walk`.
    fills : N of (F, 4) int64
        Snapshot, venue, shares in units, price before the fee in 1e-9 $. In the order of time; of those at one snapshot
        the order is not the plain engine's.
    """
    while True:
        out, counts = np.zeros((count, 8), np.int64), np.zeros(count, np.int64)
        trail = np.empty((room, 4), np.int64)
        run(out, trail, counts)
        edges = np.cumsum(counts).tolist() if room else [0] * count
        if room and edges and edges[-1] > room:
            room = edges[-1]
            continue
        return out, [trail[first:past].copy() for first, past in pairwise([0, *edges])]


def walk_in_flight(task: Task, parameters: ParameterColumns, stood: Int64) -> Callable[[Rows, Int64, Int64], None]:
    """A walk by `allocator.kernels.delayed`, for `in_flight`."""
    from allocator.kernels import delayed

    book, order, policy = task.book, task.order, _compiled(task.policy)
    quotes, prices, span, latency = quoted_in_flight(book, order, task.rules, task.fees, stood)
    due = TARGETS[policy.schedule](book, order)
    freeze(due)
    pace = delayed.Pace(policy.participation, due)
    columns = parameters.tau, parameters.over
    return partial(delayed.walk, quotes, prices, span, order.size, _rules_of(task, parameters), latency, pace, *columns)


def _rules_of(task: Task, parameters: ParameterColumns) -> WalkRules:
    """What `allocator.kernels.walk.walk` is given of a task's policy and rules; AllocatorError: lots are too large."""
    from allocator.kernels import walk

    book, order, policy = task.book, task.order, _compiled(task.policy)
    tau, over = parameters.tau, parameters.over
    finite = [int(x.max()) for x in (tau[tau < UNBOUNDED], over[over < UNBOUNDED]) if x.size]
    # for one more lot the walk compares step (2c - 2p) + 2 over (step - u) with 2 tau u
    if (
        policy.lots_only
        and 2 * policy.step * (dearest_possible(book, task.rules, task.fees) + max(finite, default=0)) >= 2**63
    ):
        raise AllocatorError(f"step: lots of {policy.step:,} shares at these penalties are beyond exact 64-bit money")
    arrival_at, arrival2 = book.arrival(order)
    return walk.Rules(
        policy=getattr(walk, COMPILED[type(policy)]),
        step=policy.step,
        wait=isinstance(policy, Pseudocode) and policy.fallback is None,
        lots_only=policy.lots_only,
        reference=getattr(walk, policy.reference.upper()),
        arrival_at=arrival_at,
        arrival2=arrival2,
        leftover={"sweep": walk.SWEEP, "last_ask": walk.LAST_ASK}[task.rules.leftover],
        edge=edge_of(book, order, task.rules),
    )


def quoted_in_flight(
    book: Book, order: Order, rules: Rules, fees: Sequence[int], stood: Int64
) -> tuple[delayed.Quotes, Prices, Span, delayed.Latency]:
    """What `allocator.kernels.delayed` is given of a book and of an order; as `quoted`."""
    from allocator.kernels import delayed, walk

    _, quotes, prices, span = quoted(book, order, rules, fees, stood)
    rows, shown, resets = np.zeros((0, 0), np.int32), np.zeros((0, 0), np.int8), np.zeros((0, 0), np.uint64)
    freeze(rows, shown, resets)
    ticks, sizes = quotes.ticks, quotes.sizes
    if isinstance(quotes, walk.Quotes):
        resets, ticks, sizes = quotes.resets, ticks.reshape(-1, 1), sizes.reshape(-1, 1)
    else:
        rows, shown = quotes.rows, quotes.shown
    columns = rows, shown, resets, ticks, sizes, quotes.other_ticks, book.mid2, stood
    made = delayed.Quotes(*columns, persist=rules.liquidity == "persist", deep=bool(len(rows)))
    given = rules.latency.of(book.venues.tolist())
    counts = np.array([len(each) for each in given], np.int64)
    choices = np.zeros((len(given), max(counts.tolist(), default=1)), np.int64)
    for row, each in zip(choices, given, strict=True):
        row[: len(each)] = each
    seed = np.array([flight.mixed(rules.latency.seed & flight.WORD)], np.uint64)
    ids = book.venues.astype(np.int64).astype(np.uint64)
    freeze(counts, choices, seed, ids)
    return made, prices, span, delayed.Latency(book.ts, seed, ids, counts, choices)


@dataclass(frozen=True, slots=True)
class WalkArguments:
    """The arguments of the kernels of `allocator.kernels.stateful` and `allocator.kernels.stairs`.

    Attributes
    ----------
    quotes, costs, rules
        As their first arguments; of a book of several levels, quotes are what `allocator.kernels.stairs` takes of it.
    begin, last : int
        The first and the last snapshot of a walk; begin is after last where the order has no snapshot.
    """

    quotes: stateful.Quotes | stairs.Levels
    costs: stateful.Costs
    rules: stateful.Rules
    begin: int
    last: int

    @classmethod
    def of(cls, task: Task) -> WalkArguments:
        """The arguments of a task."""
        from allocator.kernels import stateful

        book, order, units = task.book, task.order, task.units
        reference = getattr(stateful, _compiled(task.policy).reference.upper())
        arrival_at, arrival2 = book.arrival(order) if reference == stateful.ARRIVAL else (0, 0)
        first, past = book.span(order)
        begin, last, at_last = first, past - 1, reference
        if reference == stateful.ARRIVAL and first < past:
            # nothing is taken before there is an arrival mid, so the walk begins there
            begin = min(max(first, arrival_at), last)
            at_last = reference if arrival_at <= last else stateful.WAIT

        return cls(
            _quotes_of(task),
            stateful.Costs(units.slope, units.offset, order.sign, units.origin, units.unit, units.farthest),
            stateful.Rules(
                persist=task.persists,
                reference=reference,
                arrival2=arrival2,
                at_last=at_last,
                leftover={"sweep": stateful.SWEEP, "last_ask": stateful.LAST_ASK}[task.rules.leftover],
                edge=_edge_in_units(task),
            ),
            begin,
            last,
        )


def _quotes_of(task: Task) -> stateful.Quotes | stairs.Levels:
    """The side of a book that a task takes from, as the kernels of its depth take it."""
    from allocator.kernels import stairs, stateful

    book = task.book
    side = book.take_side(task.order.side)
    if (levels := side.levels) is not None:
        return stairs.Levels(levels.rows, levels.count, levels.ticks, levels.sz, book.mid2)
    words = (side.shown[:, 0], book.published[:, 0], task.resets[:, 0])
    shown, published, resets = (np.ascontiguousarray(word) for word in words)
    freeze(shown, published, resets)
    return stateful.Quotes(side.ticks, side.sz, resets, published, shown, book.mid2)


def _edge_in_units(task: Task) -> int:
    """`edge_of` an order in units of cost, without fees, above a price of no ticks; beyond any where there is none."""
    edge, units = edge_of(task.book, task.order, task.rules), task.units
    return min((edge - task.order.sign * task.book.base) // units.unit, UNBOUNDED)


def _from_units(task: Task, sums: Rows) -> Rows:
    """Turn (K, 3) sums of a walk, in units, into (K, 8) result rows."""
    units = task.units
    shares, cost, fees = sums.T
    raw = np.zeros((len(sums), 5), np.int64)
    raw[:, 0] = shares
    raw[:, 2] = shares * units.origin + cost * units.unit
    raw[:, 3] = shares * min(task.fees) + fees * units.unit
    return settle_rows(task, raw)


def _run_stateful(task: Task, tau: Int64, walk: str) -> Rows:
    from allocator.kernels import stateful

    out = np.zeros((len(tau), 3), np.int64)
    args = WalkArguments.of(task)
    if args.begin <= args.last:
        getattr(stateful, walk)(
            args.quotes, args.costs, args.rules, args.last, task.order.size, np.full(len(tau), args.begin), tau, out
        )  # fmt: skip
    return _from_units(task, out)


def _run_stairs(task: Task, tau: Int64) -> Rows:
    reach, ascending = _in_order(task, tau)
    out = np.zeros((len(tau), 3), np.int64)
    out[ascending] = _walk_stairs(task, reach)
    return _from_units(task, out)


def _in_order(task: Task, tau: Int64) -> tuple[Int64, NDArray[np.intp]]:
    """How far each tau reaches, ascending, and whose each is; the same for all orders of a side."""
    if _compiled(task.policy).reference in COST_REFERENCES:
        reach = task.units.reach(tau)
    else:  # no cost lies farther from a mid than this
        reach = np.minimum(tau, 2 * dearest_possible(task.book, task.rules, task.fees))
    ascending = np.argsort(reach, kind="stable")
    reach = reach[ascending]
    freeze(reach)
    return reach, ascending


def _walk_stairs(task: Task, reach: Int64) -> Rows:
    """(K, 3) sums of a walk, in units, of tau in the order of their reach."""
    from allocator.kernels import stairs

    sums, args = np.zeros((len(reach), 3), np.int64), WalkArguments.of(task)
    if args.begin <= args.last and len(reach):
        walk = stairs.walk if task.book.levels is None else stairs.walk_levels
        walk(args.quotes, args.costs, args.rules, args.begin, args.last, task.order.size, reach, sums)
    return sums


def _run_placed(task: Task, parameters: ParameterColumns) -> Rows:
    from allocator.placement import running

    raw = running.run(_staged(task), parameters)
    check_filled(task, int(raw[:, 0].max(initial=0)))
    return settle_rows(task, raw)


def _staged(task: Task, stood: Int64 | None = None) -> Stage:
    from allocator.placement.stage import stage_of

    if not isinstance(task.policy, Placement):
        raise TypeError(f"{type(task.policy).__name__} places no limit orders")
    return stage_of(task.book, task.order, task.rules, task.policy, task.fees, stood)


def place_recorded(task: Task, parameters: ParameterColumns, stood: Int64) -> tuple[Rows, Rows, Placed]:
    """Run the first combination of `placement`: (1, 8) int64, as `walk_through`; its fills; its records."""
    from allocator.placement import running

    sums, fills, placed = running.run_recorded(_staged(task, stood), parameters)
    check_filled(task, int(sums[0]))
    return sums[None], fills, placed


def add_rows(tasks: Sequence[Task], parameters: ParameterColumns, runner: str, out: Rows) -> None:
    """Add the rows of orders on one book, which differ in their orders only, to (K, 8) sums.

    `stairs` is so quick that to sort the combinations, and to turn each order's sums into rows, would take most of the
    time: what orders of a side share is done once, and money is added up as it is made.
    """
    from allocator.kernels import settling

    if runner != "stairs":
        for task in tasks:
            out += RUNNERS[runner](task, parameters)
        return
    tau, by_side = parameters.tau, {}
    for task in tasks:
        order, units = task.order, task.units
        price = unfilled_price(task.book, order, task.rules, task.fees)
        if price is None:  # says so where shares are left
            out += _run_stairs(task, tau)
            continue
        if order.side not in by_side:
            by_side[order.side] = _in_order(task, tau)
        reach, ascending = by_side[order.side]
        worth = price + task.rules.unfilled_penalty
        terms = settling.Terms(order.sign, order.size, units.unit, units.origin, min(task.fees, default=0), worth)
        settling.add(_walk_stairs(task, reach), ascending, terms, out)


def _run_stateless(task: Task, tau: Int64, *, together: bool) -> Rows:
    from allocator.kernels import stateful, stateless

    out, starts = np.zeros((len(tau), 3), np.int64), np.zeros(len(tau), np.int64)
    args, tiles = WalkArguments.of(task), task.book.take_side(task.order.side).tiles
    if tiles is not None and args.begin <= args.last and len(tau):
        scan = stateless.scan_together if together else stateless.scan_each
        reach = task.units.reach(tau)
        ascending = np.argsort(reach, kind="stable")
        sums, stops = out[ascending], starts[ascending]
        scan(
            tiles.ticks, tiles.sz, task.units.slope, task.units.offset, args.begin, args.last, task.order.size,
            reach[ascending], stops, sums,
        )  # fmt: skip
        out[ascending], starts[ascending] = sums, stops
        stateful.walk_each(
            args.quotes, args.costs, args.rules, args.last, task.order.size, starts, tau, out
        )  # fmt: skip
    return _from_units(task, out)


RUNNERS: dict[str, Callable[[Task, ParameterColumns], Rows]] = {
    "reference": _run_reference,
    "walk": lambda task, parameters: settle_rows(task, walk_through(task, parameters)),
    "delayed": lambda task, parameters: settle_rows(task, walk_through(task, parameters, delayed=True)),
    "rows": lambda task, parameters: _run_stateful(task, parameters.tau, "walk_each"),
    "lanes": lambda task, parameters: _run_stateful(task, parameters.tau, "walk_lanes"),
    "wide": lambda task, parameters: _run_stateful(task, parameters.tau, "walk_wide"),
    "stairs": lambda task, parameters: _run_stairs(task, parameters.tau),
    "placed": _run_placed,
    "columns": lambda task, parameters: _run_stateless(task, parameters.tau, together=False),
    "ladder": lambda task, parameters: _run_stateless(task, parameters.tau, together=True),
}
"""Every runner by name."""

ONE_PASS: Final = ("stairs", "ladder")
"""The runners whose time hardly depends on the number of combinations."""

SHARED = "shared"
"""The runner of many orders that share one walk: `run_shared`."""

_PLACED: Final = (
    ("queues", "clear"),
    ("placement", "best_each"),
    *(("slices", name) for name in ("look", "advance", "offer", "send", "post")),
)

CALLED: dict[str, tuple[tuple[str, str], ...]] = {
    "reference": (),
    "walk": (("walk", "walk"),),
    "delayed": (("delayed", "walk"),),
    "rows": (("stateful", "walk_each"),),
    "lanes": (("stateful", "walk_lanes"),),
    "wide": (("stateful", "walk_wide"),),
    "stairs": (("stairs", "walk"),),
    "placed": _PLACED,
    "columns": (("stateless", "scan_each"), ("stateful", "walk_each")),
    "ladder": (("stateless", "scan_together"), ("stateful", "walk_each")),
    SHARED: (("stateful", "walk_orders"),),
}
"""The kernels that a runner calls, by module and name."""

CALLED_DEEP: dict[str, tuple[tuple[str, str], ...]] = {
    "reference": (),
    "walk": (("deep_walk", "walk"),),
    "delayed": (("delayed", "walk"),),
    "stairs": (("stairs", "walk_levels"),),
    "placed": _PLACED,
}
"""The same on a book of several levels."""


def prepare(runner: str, book: Book) -> None:
    """Compile or load what a runner calls for a book, so that its first walk takes no longer than the next."""
    for module, name in (CALLED if book.levels is None else CALLED_DEEP)[runner]:
        kernel = getattr(import_module(f"allocator.kernels.{module}"), name)
        if hasattr(kernel, "prepare"):  # a plain function without numba's compiler
            kernel.prepare()


MARKS_EVERY = 256
"""Snapshots between two marks of a walk that several orders share."""


def run_shared(tasks: Sequence[Task], parameters: ParameterColumns) -> list[Rows]:
    """(K, 8) rows for each of N orders that share one long walk per combination; only if `may_share`."""
    from allocator.kernels import stateful

    tau = parameters.tau
    spans = np.array([task.book.span(task.order) for task in tasks], np.int64).reshape(-1, 2)
    acting = np.flatnonzero(spans[:, 0] < spans[:, 1])
    sizes = np.array([task.order.size for task in tasks], np.int64)
    sums = np.zeros((len(tasks), len(tau), 3), np.int64)
    if len(acting):
        args = WalkArguments.of(tasks[0])
        edges = np.array([_edge_in_units(task) for task in tasks], np.int64)
        orders = stateful.Orders(*(np.ascontiguousarray(each[acting]) for each in (*spans.T, sizes, edges)))
        freeze(*orders)
        for k, threshold in enumerate(tau.tolist()):
            out = np.zeros((len(acting), 3), np.int64)
            stateful.walk_orders(args.quotes, args.costs, args.rules, orders, MARKS_EVERY, threshold, out)
            sums[acting, k] = out
    return [_from_units(task, sums[n]) for n, task in enumerate(tasks)]


def may_share(tasks: Sequence[Task]) -> bool:
    """Whether orders can share a walk: they have one side, `rows` can run them, and `arrival` is not the reference."""
    one_side = len({task.order.side for task in tasks}) == 1
    return one_side and "rows" in runners_for(tasks[0]) and _compiled(tasks[0].policy).reference != "arrival"


COMPILED: Final[dict[type, str]] = {Static: "STATIC", Pseudocode: "PSEUDOCODE"}
"""The policies that `allocator.kernels.walk` knows, and their names in it."""


def _compiled(policy: Policy) -> Static | Pseudocode:
    """A policy of `COMPILED`, with the switches that it has."""
    if not isinstance(policy, Static | Pseudocode):
        raise TypeError(f"{type(policy).__name__} runs on the reference engine only")
    return policy


STATEFUL: Final = ("rows", "lanes", "wide", "stairs")
"""The runners of quotes that stand, on at most `WORD` venues."""


def runners_for(task: Task) -> tuple[str, ...]:
    """The runners worth a measurement for a task, the surest first."""
    book, policy = task.book, task.policy
    if isinstance(policy, Placement):
        return ("placed",)
    if type(policy) not in COMPILED:
        return ("reference",)
    if task.delayed:
        return ("delayed",)
    if not isinstance(policy, Static) or policy.lots_only or not len(book.venues):
        return ("walk",)
    if book.levels is not None:
        return ("walk", "stairs")
    if len(book.venues) > WORD:
        return ("walk",)
    if book.ask_ticks.dtype != np.int32 or not task.units.small:
        return ("walk", "stairs")
    stateless = book.take_side(task.order.side).tiles is not None and not task.persists
    if stateless and policy.reference in COST_REFERENCES:
        return (*STATEFUL, "columns", "ladder")
    return STATEFUL
