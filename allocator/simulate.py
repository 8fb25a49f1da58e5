"""Runs orders through a book: many combinations, or the baselines, by any runner."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from allocator.baselines import LOOKING_AHEAD, Schedule, check_schedule, schedules
from allocator.book import freeze
from allocator.clairvoyant import clairvoyant
from allocator.collapse import classes, each_alone
from allocator.engine import execute, in_shares, settle, unfilled_price, unit_of
from allocator.errors import AllocatorError, FractionLeftError
from allocator.fills import stood_mids
from allocator.money import SUM_LIMIT, divide_half_even
from allocator.order import Execution, ParameterColumns, Parameters, execution_of
from allocator.placement.policy import Placement
from allocator.policies import Static
from allocator.runners import (
    COMPILED,
    RECORDED,
    RUNNERS,
    SHARED,
    Task,
    add_rows,
    check_sums,
    dearest_possible,
    edge_of,
    in_flight,
    may_share,
    place_recorded,
    quoted,
    quoted_in_flight,
    run_shared,
    runners_for,
    settle_rows,
    walk_recorded,
    walk_through,
)
from allocator.shortfall import Trace, trace_fills, trace_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from allocator.baselines import Conventions, Follower, Make
    from allocator.book import Book
    from allocator.engine import Policy
    from allocator.order import Order, Rules
    from allocator.placement.records import Placed

    Rows = NDArray[np.int64]

Engine = Literal["kernel", "reference"]

KERNELS = (SHARED, *RUNNERS)
"""The names of all ways to run combinations."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """The rows of K combinations; combinations that decide alike share one.

    Attributes
    ----------
    rows : (R, 8) int64
        One row per simulation; the columns of `allocator.order.FIELDS`; shares, and money in 1e-9 $.
    of : (K,) int32
        The row of each combination.
    """

    rows: Rows
    of: NDArray[np.int32]

    @property
    def table(self) -> Rows:
        """(K, 8) int64, the row of each combination."""
        return self.rows[self.of]


def kernels_for(book: Book, order: Order, rules: Rules, policy: Policy, fees: Sequence[int]) -> tuple[str, ...]:
    """Names of the runners worth a measurement, the surest first; all give the same rows."""
    return runners_for(Task.of(book, order, rules, policy, fees))


def run_combinations(
    book: Book,
    order: Order,
    rules: Rules,
    policy: Policy,
    fees: Sequence[int],
    parameters: ParameterColumns,
    *,
    kernel: str | None = None,
    collapse: bool = True,
) -> Outcomes:
    """Run one order for several combinations.

    Parameters
    ----------
    book : Book
    order : Order
    rules : Rules
    policy : Policy
        Such as `allocator.policies.Static`.
    fees : (V,) sequence of int
        Taker fees of the book's venues, 1e-9 $ per share.
    parameters : ParameterColumns
        Of K combinations.
    kernel : str, optional
        One of `kernels_for`; the first of them by default.
    collapse : bool
        Simulate combinations that provably decide alike once.

    Returns
    -------
    Outcomes

    Raises
    ------
    AllocatorError
        The order is too large for exact money, or (`NoPriceError`) its unfilled shares have no value.
    """
    task = Task.of(book, order, rules, policy, fees)
    run = RUNNERS[_able(task, kernel)]
    first, of = classes(policy, task.units, parameters) if collapse else each_alone(parameters)
    return Outcomes(run(task, parameters.take(first)), of)


def _able(task: Task, kernel: str | None) -> str:
    """The runner of that name, or the first that can run a task; ValueError if it cannot."""
    able = runners_for(task)
    if kernel not in {None, "reference", "walk", *able}:
        raise ValueError(f"kernel {kernel} cannot run this order on this book; {', '.join(able)} can")
    return kernel or able[0]


def add_orders(
    book: Book,
    orders: Sequence[Order],
    rules: Rules,
    policy: Policy,
    fees: Sequence[int],
    parameters: ParameterColumns,
    out: Rows,
    *,
    kernel: str | None = None,
) -> None:
    """Add up the rows of many orders, which do not see one another, for K combinations, each simulated by itself.

    Parameters
    ----------
    book, orders, rules, policy, fees, parameters
        As `run_orders`.
    out : (K, 8) int64, output
        The rows are added to it; the columns of `allocator.order.FIELDS`.
    kernel : str, optional
        One of `kernels_for`; the first of them by default.
    """
    tasks = [Task.of(book, order, rules, policy, fees) for order in orders]
    add_rows(tasks, parameters, _able(tasks[0], kernel), out)


def kernels_for_orders(
    book: Book, orders: Sequence[Order], rules: Rules, policy: Policy, fees: Sequence[int]
) -> tuple[str, ...]:
    """As `kernels_for`, for many orders; `SHARED` comes first where they can share a walk."""
    tasks = [Task.of(book, order, rules, policy, fees) for order in orders]
    return ((SHARED,) if may_share(tasks) else ()) + runners_for(tasks[0])


def run_orders(
    book: Book,
    orders: Sequence[Order],
    rules: Rules,
    policy: Policy,
    fees: Sequence[int],
    parameters: ParameterColumns,
    *,
    kernel: str | None = None,
    collapse: bool = True,
) -> list[Outcomes]:
    """Run many orders, which do not see one another, for several combinations.

    Parameters
    ----------
    book, rules, policy, fees, parameters, collapse
        As `run_combinations`.
    orders : sequence of Order
        At least one.
    kernel : str, optional
        One of `kernels_for_orders`, all of which give the same rows; by default the first that runs orders one by one.
        `SHARED` pays where most orders are long: each combination then costs one walk for all, and little per order.

    Returns
    -------
    list of Outcomes
        One per order.
    """
    if kernel != SHARED:
        return [
            run_combinations(book, order, rules, policy, fees, parameters, kernel=kernel, collapse=collapse)
            for order in orders
        ]
    tasks = [Task.of(book, order, rules, policy, fees) for order in orders]
    if not may_share(tasks):
        raise ValueError("these orders cannot share a walk; see kernels_for_orders")
    first, of = classes(policy, tasks[0].units, parameters) if collapse else each_alone(parameters)
    return [Outcomes(rows, of) for rows in run_shared(tasks, parameters.take(first))]


def run_baselines(
    book: Book,
    order: Order,
    rules: Rules,
    fees: Sequence[int],
    conventions: Conventions,
    *,
    follower: Follower = "best_ask",
    engine: Engine = "kernel",
) -> dict[str, Execution]:
    """Run the baselines of a convention.

    Parameters
    ----------
    book, order, rules, fees
        As `run_combinations`.
    conventions : str
        ``fair`` or ``classic``.
    follower : str
        As what twap, vwap and pov buy: ``best_ask`` or ``best_available``.
    engine : str
        ``kernel``: the schedules in one pass; ``reference``: the plain engine.
    """
    traced = trace_baselines(book, order, rules, fees, conventions, follower=follower, engine=engine, record=False)
    return {name: run.execution for name, run in traced.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """How an order filled.

    Attributes
    ----------
    execution : Execution
    trace : Trace, optional
        None of a bound, which does not trade.
    fills : (F, 4) or (F, 5) int64, optional
        Snapshot, venue, shares, price before the fee in 1e-9 $, and of a policy that sends limit orders 1 where one
        filled; in the order of time. None where they were not asked for, of a bound, and where they are not of whole
        shares.
    placed : Placed, optional
        What was decided and sent, by a policy that sends limit orders.
    lookahead : bool
        Whether it used what nobody knows at the time.
    """

    execution: Execution
    trace: Trace | None
    fills: Rows | None
    placed: Placed | None = None
    lookahead: bool = False


def trace_baselines(
    book: Book,
    order: Order,
    rules: Rules,
    fees: Sequence[int],
    conventions: Conventions,
    *,
    follower: Follower = "best_ask",
    engine: Engine = "kernel",
    stood: Rows | None = None,
    record: bool = True,
    more: Mapping[str, Make] | None = None,
) -> dict[str, Traced]:
    """As `run_baselines`, each with when it filled and where the mid was.

    Parameters
    ----------
    book, order, rules, fees, conventions, follower, engine
        As there.
    stood : (T,) int64, optional
        `allocator.fills.stood_mids` of the book.
    record : bool
        Keep the fills.
    more : mapping of str to callable, optional
        Further baselines by name: each makes of a book and an order what decides. One with an attribute ``lookahead``
        that is true looks ahead.

    Raises
    ------
    AllocatorError
        As `run_combinations`; one of `more` does what no order can, and is named.
    """
    check_sums(book, order, rules, fees)
    made = schedules(book, order, conventions, follower)
    market = _Market(book, order, rules, fees, stood_mids(book) if stood is None else stood)
    runs = _follow(market, made, engine, record=record)
    fractions = {name: made[name].in_whole_shares() for name, run in runs.items() if run is None}
    # no leftover rule completed the last slice of these, and nobody can hold half a share
    reruns = _follow(market, fractions, engine, record=record) if fractions else {}
    done = {name: run for name in runs if (run := runs[name] or reruns[name]) is not None}
    if conventions == "fair":
        done["touch"] = _run_touch(market, engine, record=record)
        done["clairvoyant"] = Traced(clairvoyant(book, order, rules, fees, plain=engine == "reference"), None, None)
    done |= {name: replace(run, lookahead=True) for name, run in done.items() if name in LOOKING_AHEAD}
    return done | {name: _run_more(market, name, make, engine, record=record) for name, make in (more or {}).items()}


def _run_more(market: _Market, name: str, make: Make, engine: Engine, *, record: bool) -> Traced:
    """Run a baseline of another's: a schedule as those here, anything else on the plain engine."""
    try:
        policy = make(market.book, market.order)
        if isinstance(policy, Schedule):
            check_schedule(policy, market.book, market.order)
            run = _follow(market, {name: policy}, engine, record=record)[name]
            run = run or _follow(market, {name: policy.in_whole_shares()}, engine, record=record)[name]
        else:
            run = _plain(market, policy, Parameters(0, 0, 0), record=record)
    except AllocatorError as error:
        raise type(error)(f"baseline {name}: {error}") from None
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise AllocatorError(f"baseline {name}: {type(error).__name__}: {error}") from error
    if run is None:
        raise AllocatorError(f"baseline {name}: a part of a share is left")
    return replace(run, lookahead=bool(getattr(make, "lookahead", False)))


@dataclass(frozen=True, slots=True, eq=False)
class _Market:
    """An order, what it meets, and twice the mid that each of its fills is compared with."""

    book: Book
    order: Order
    rules: Rules
    fees: Sequence[int]
    stood: Rows


TOUCH: Final = Static(reference="touch")
"""With tau 0 the baseline `touch`: all that costs no more than the cheapest quote displayed, fees included."""


def _run_touch(market: _Market, engine: Engine, *, record: bool) -> Traced:
    if engine == "reference":
        return _plain(market, TOUCH, Parameters(0, 0, 0), record=record)
    arguments = market.book, market.order, market.rules, TOUCH, market.fees, ParameterColumns.of([Parameters(0, 0, 0)])
    return trace_combination(*arguments, stood=market.stood, record=record)


def trace_combination(
    book: Book,
    order: Order,
    rules: Rules,
    policy: Policy,
    fees: Sequence[int],
    parameters: ParameterColumns,
    *,
    stood: Rows | None = None,
    record: bool = True,
) -> Traced:
    """Run the first of some combinations, and say when it filled and where the mid was.

    Parameters
    ----------
    book, order, rules, policy, fees, parameters
        As `run_combinations`.
    stood, record
        As `trace_baselines`.
    """
    stood = stood_mids(book) if stood is None else stood
    if isinstance(policy, Placement):
        task = Task.of(book, order, rules, policy, fees)
        raw, rows, placed = place_recorded(task, parameters, stood)
        run = execution_of(settle_rows(task, raw)[0].tolist())
        return Traced(run, trace_row(book, *raw[0, 5:].tolist()), rows if record else None, placed)
    if type(policy) not in COMPILED:
        return _plain(_Market(book, order, rules, fees, stood), policy, parameters[0], record=record)
    task, first = Task.of(book, order, rules, policy, fees), parameters.take(np.arange(1))
    raw, fills = walk_recorded(task, first, stood) if record else (walk_through(task, first, stood), [None])
    run = execution_of(settle_rows(task, raw)[0].tolist())
    return Traced(run, trace_row(book, *raw[0, 5:].tolist()), fills[0])


def _plain(market: _Market, policy: Policy, parameters: Parameters, *, record: bool) -> Traced:
    """Run a policy, or a schedule, on the plain engine; FractionLeftError as there."""
    book, order = market.book, market.order
    acting = policy.acting if isinstance(policy, Schedule) else None
    run = execute(book, order, market.rules, market.fees, policy, parameters, record=True, acting=acting)
    unit = unit_of(policy)
    mids, first, last = trace_fills(market.stood, run, unit)
    trace = trace_row(book, divide_half_even(mids, unit), first, last)
    rows = [(fill.snapshot, fill.venue, fill.shares, fill.price) for fill in run.fills]
    fills = np.array(rows, np.int64).reshape(-1, 4) if record and unit == 1 else None
    return Traced(replace(run, fills=()), trace, fills)


def _follow(market: _Market, made: dict[str, Schedule], engine: Engine, *, record: bool) -> dict[str, Traced | None]:
    """Run schedules; those whose units would leave int64 on the reference engine always; None = a fraction is left."""
    book, order, rules, fees = market.book, market.order, market.rules, market.fees
    top = dearest_possible(book, rules, fees)
    plain = {
        name: schedule for name, schedule in made.items() if engine == "reference" or schedule.size * top >= SUM_LIMIT
    }
    runs: dict[str, Traced | None] = dict.fromkeys(made)
    for name, schedule in plain.items():
        with suppress(FractionLeftError):
            runs[name] = _plain(market, schedule, Parameters(0, 0, 0), record=record)
    compiled = {name: schedule for name, schedule in made.items() if name not in plain}
    if compiled:
        price = unfilled_price(book, order, rules, fees)
        raw, fills = _follow_together(market, list(compiled.values()), record=record)
        for (name, schedule), row, filled in zip(compiled.items(), raw.tolist(), fills, strict=True):
            with suppress(FractionLeftError):
                run = execution_of(settle(order, rules, price, *in_shares(schedule.unit, *row[:5])))
                trace = trace_row(book, divide_half_even(row[5], schedule.unit), *row[6:])
                runs[name] = Traced(run, trace, filled if record and schedule.unit == 1 else None)
    return runs


def _follow_together(market: _Market, given: Sequence[Schedule], *, record: bool) -> tuple[Rows, Sequence[Rows]]:
    """(N, 8) int64, the sums of each schedule, and N of (F, 4) int64, its fills, in its units; as of `in_flight`."""
    from allocator.kernels import walk

    book, order, rules = market.book, market.order, market.rules
    together = walk.Schedules(
        sizes=np.array([schedule.size for schedule in given], np.int64),
        units=np.array([schedule.unit for schedule in given], np.int64),
        due=np.stack([schedule.due for schedule in given]),
        ways=np.array([getattr(walk, schedule.how.upper()) for schedule in given], np.int64),
    )
    freeze(*together)
    rule = {"sweep": walk.SWEEP, "last_ask": walk.LAST_ASK}[rules.leftover], edge_of(book, order, rules)
    if rules.delayed or record:
        from allocator.kernels import delayed

        quotes, prices, span, latency = quoted_in_flight(book, order, rules, market.fees, market.stood)
        run = partial(delayed.follow, quotes, prices, span, together, latency, *rule)
        return in_flight(run, len(given), RECORDED if record else 0)
    out = np.zeros((len(given), 8), np.int64)
    kernels, quotes, prices, span = quoted(book, order, rules, market.fees, market.stood)
    kernels.follow(quotes, prices, span, together, *rule, out)
    return out, [out[:0, :4]] * len(given)
