"""Run orders through a book: compiled where the policy has a kernel, on the reference engine where it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from allocator.baselines import BASELINES, Schedule
from allocator.engine import dearest, execute, settle
from allocator.errors import AllocatorError
from allocator.money import INFINITE, NANO, SUM_LIMIT, Amount, divide_half_even
from allocator.order import FIELDS, Execution, Parameters, execution_of
from allocator.policies import POLICIES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from allocator.baselines import Conventions
    from allocator.book import Book
    from allocator.order import Order, Routing, Rules

    Rows = NDArray[np.int64]

Engine = Literal["kernel", "reference"]


def check_sums(book: Book, order: Order, rules: Rules, fees: Sequence[int], unit: int = 1) -> None:
    """Refuse an order whose cash could leave int64, before anything runs.

    Raises
    ------
    AllocatorError
        size * the dearest possible price >= 2^62 nano-dollars.
    """
    top = max((int(px.max()) for px in (book.ask_px, book.bid_px) if px.size), default=0)
    top += max((abs(fee) for fee in fees), default=0) + rules.unfilled_penalty
    if order.size * unit * top >= SUM_LIMIT:
        limit = (SUM_LIMIT - 1) // (top * unit)
        raise AllocatorError(
            f"order.size: {order.size:,} shares at up to {top / NANO:.2f} $ are beyond exact 64-bit money; "
            f"at most {limit:,} shares"
        )


def _capped(amount: Amount, infinite: int) -> int:
    return infinite if amount == INFINITE else int(amount)


def _walk(
    book: Book, order: Order, rules: Rules, routing: Routing, fees: NDArray[np.int64], parameters: Sequence[Parameters]
) -> Rows:
    from allocator.kernels import walk

    side = book.take_side(order.side)
    tau = np.array([_capped(p.tau, walk.INFINITE) for p in parameters], np.int64)
    over = np.array([_capped(p.lambda_over + p.theta_queue, walk.INFINITE) for p in parameters], np.int64)
    finite = [int(x.max()) for x in (tau[tau < walk.INFINITE], over[over < walk.INFINITE]) if x.size]
    if routing.lots_only and 4 * routing.step * (max(finite, default=0) + 2**53) >= 2**63:
        raise AllocatorError(f"step: lots of {routing.step:,} shares at these penalties are beyond exact 64-bit money")
    out = np.zeros((len(parameters), 5), np.int64)
    walk.walk(
        side.px,
        side.sz,
        side.moved if rules.liquidity == "persist" else book.fresh,
        side.other_px,
        book.mid2,
        fees,
        order.sign,
        *book.span(order),
        order.size,
        {"static": walk.STATIC, "pseudocode": walk.PSEUDOCODE}[routing.policy],
        routing.step,
        routing.infeasible == "wait",
        routing.lots_only,
        {"best": walk.BEST, "mid": walk.MID, "arrival": walk.ARRIVAL}[routing.reference],
        *book.arrival(order),
        {"sweep": walk.SWEEP, "last_ask": walk.LAST_ASK}[rules.leftover],
        tau,
        over,
        out,
    )
    return out


KERNELS: dict[str, Callable[..., Rows]] = {"static": _walk, "pseudocode": _walk}
"""The compiled specialisation of each policy that has one."""


def engine_of(policy: str) -> Engine:
    """Where combinations of a policy run."""
    return "kernel" if policy in KERNELS else "reference"


def run_combinations(
    book: Book,
    order: Order,
    rules: Rules,
    routing: Routing,
    fees: Sequence[int],
    parameters: Sequence[Parameters],
    *,
    engine: Engine | None = None,
) -> Rows:
    """Run one order for several combinations.

    Parameters
    ----------
    book : Book
    order : Order
    rules : Rules
    routing : Routing
    fees : (V,) sequence of int
        Taker fees of the book's venues, 1e-9 $ per share.
    parameters : (K,) sequence of Parameters
    engine : str, optional
        ``kernel`` or ``reference``; the kernel where there is one by default.

    Returns
    -------
    (K, 8) int64
        The columns of `allocator.order.FIELDS`; shares, and money in 1e-9 $.

    Raises
    ------
    AllocatorError
        An order too large for exact money, or (`NoPriceError`) one whose unfilled shares have no value.
    """
    check_sums(book, order, rules, fees)
    if (engine or engine_of(routing.policy)) == "kernel":
        raw = KERNELS[routing.policy](book, order, rules, routing, np.array(fees, np.int64), parameters)
        return np.stack(np.broadcast_arrays(*settle(order, rules, dearest(book, order, fees), *raw.T)), axis=1)
    policy = POLICIES[routing.policy](routing)
    executions = [execute(book, order, rules, fees, policy, each) for each in parameters]
    return np.array([as_row(each) for each in executions], np.int64).reshape(-1, len(FIELDS))


def as_row(execution: Execution) -> tuple[int, ...]:
    """The integer fields of an execution, in the order of a result row's columns."""
    return tuple(getattr(execution, name) for name in FIELDS)


def run_baselines(
    book: Book,
    order: Order,
    rules: Rules,
    fees: Sequence[int],
    conventions: Conventions,
    *,
    engine: Engine = "kernel",
) -> dict[str, Execution]:
    """Run best_ask, twap and vwap under a convention.

    Parameters
    ----------
    book, order, rules, fees, engine
        As `run_combinations`.
    conventions : str
        ``fair`` or ``classic``.
    """
    runs = {}
    for name, make in BASELINES[conventions].items():
        schedule = make(book, order)
        check_sums(book, order, rules, fees, schedule.unit)
        if engine == "kernel":
            runs[name] = _follow(book, order, rules, fees, schedule)
        else:
            runs[name] = execute(book, order, rules, fees, schedule, Parameters(0, 0, 0))
    return runs


def _follow(book: Book, order: Order, rules: Rules, fees: Sequence[int], schedule: Schedule) -> Execution:
    from allocator.kernels import walk

    side = book.take_side(order.side)
    out = np.zeros(5, np.int64)
    walk.follow(
        side.px,
        side.sz,
        side.moved if rules.liquidity == "persist" else book.fresh,
        np.array(fees, np.int64),
        order.sign,
        *book.span(order),
        schedule.size,
        schedule.unit,
        schedule.due,
        schedule.burst,
        {"sweep": walk.SWEEP, "last_ask": walk.LAST_ASK}[rules.leftover],
        out,
    )
    filled, over, cash, paid, over_cash = out.tolist()
    unit = schedule.unit
    row: tuple[Any, ...] = settle(
        order,
        rules,
        dearest(book, order, fees),
        filled // unit,
        over // unit,
        divide_half_even(cash, unit),
        divide_half_even(paid, unit),
        divide_half_even(over_cash, unit),
    )
    return execution_of(row)
