"""Run orders through a book: compiled where the policy has a kernel, on the reference engine where it has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from allocator.baselines import BASELINES, Schedule
from allocator.engine import dearest, execute, in_shares, settle
from allocator.errors import AllocatorError, FractionLeftError
from allocator.money import NANO, SUM_LIMIT
from allocator.order import FIELDS, UNBOUNDED, Execution, ParameterColumns, Parameters, execution_of
from allocator.policies import POLICIES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from allocator.baselines import Conventions
    from allocator.book import Book
    from allocator.order import Order, Routing, Rules

    Rows = NDArray[np.int64]

Engine = Literal["kernel", "reference"]


def _dearest_possible(book: Book, rules: Rules, fees: Sequence[int]) -> int:
    """No share can cost or be valued at more than this, 1e-9 $."""
    top = max((int(px.max()) for px in (book.ask_px, book.bid_px) if px.size), default=0)
    return top + max((abs(fee) for fee in fees), default=0) + rules.unfilled_penalty


def check_sums(book: Book, order: Order, rules: Rules, fees: Sequence[int]) -> None:
    """Refuse an order whose cash could leave int64, before anything runs.

    Raises
    ------
    AllocatorError
        size * the dearest possible price >= 2^62 nano-dollars.
    """
    top = _dearest_possible(book, rules, fees)
    if order.size * top >= SUM_LIMIT:
        raise AllocatorError(
            f"order.size: {order.size:,} shares at up to {top / NANO:.2f} $ are beyond exact 64-bit money; "
            f"at most {(SUM_LIMIT - 1) // top:,} shares"
        )


def _walk(
    book: Book, order: Order, rules: Rules, routing: Routing, fees: NDArray[np.int64], parameters: ParameterColumns
) -> Rows:
    from allocator.kernels import walk

    side = book.take_side(order.side)
    tau, over = parameters.tau, parameters.over
    finite = [int(x.max()) for x in (tau[tau < UNBOUNDED], over[over < UNBOUNDED]) if x.size]
    # what the walk compares for one lot more: step (2c - 2p) + 2 over (step - u) with 2 tau u
    if (
        routing.lots_only
        and 2 * routing.step * (_dearest_possible(book, rules, fees.tolist()) + max(finite, default=0)) >= 2**63
    ):
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
    return np.stack(np.broadcast_arrays(*settle(order, rules, dearest(book, order, fees.tolist()), *out.T)), axis=1)


def _reference(
    book: Book, order: Order, rules: Rules, routing: Routing, fees: NDArray[np.int64], parameters: ParameterColumns
) -> Rows:
    policy = POLICIES[routing.policy](routing)
    executions = [execute(book, order, rules, fees.tolist(), policy, each) for each in parameters]
    return np.array([as_row(each) for each in executions], np.int64).reshape(-1, len(FIELDS))


KERNELS: dict[str, Callable[..., Rows]] = {"walk": _walk, "reference": _reference}
"""Every way to simulate combinations, all with the same rows."""

KERNELS_OF: dict[str, tuple[str, ...]] = {"static": ("walk",), "pseudocode": ("walk",)}
"""The compiled kernels of each policy that has one."""


def kernels_for(book: Book, rules: Rules, routing: Routing, fees: Sequence[int]) -> tuple[str, ...]:  # noqa: ARG001
    """Names of the kernels that can run a job, a good guess first; the reference engine where there is none."""
    return KERNELS_OF.get(routing.policy, ("reference",))


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What came of K combinations, those that decide alike simulated once.

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


def run_combinations(
    book: Book,
    order: Order,
    rules: Rules,
    routing: Routing,
    fees: Sequence[int],
    parameters: ParameterColumns,
    *,
    kernel: str | None = None,
    collapse: bool = True,  # noqa: ARG001 - TEMPORARY
) -> Outcomes:
    """Run one order for several combinations.

    Parameters
    ----------
    book : Book
    order : Order
    rules : Rules
    routing : Routing
    fees : (V,) sequence of int
        Taker fees of the book's venues, 1e-9 $ per share.
    parameters : ParameterColumns
        Of K combinations.
    kernel : str, optional
        One of `kernels_for`, all of which give the same rows; the first of them by default.
    collapse : bool
        Simulate combinations once that provably decide alike.

    Returns
    -------
    Outcomes

    Raises
    ------
    AllocatorError
        An order too large for exact money, or (`NoPriceError`) one whose unfilled shares have no value.
    """
    check_sums(book, order, rules, fees)
    kernel = kernel or kernels_for(book, rules, routing, fees)[0]
    rows = KERNELS[kernel](book, order, rules, routing, np.array(fees, np.int64), parameters)
    return Outcomes(rows, np.arange(len(parameters), dtype=np.int32))


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
    check_sums(book, order, rules, fees)
    top = _dearest_possible(book, rules, fees)
    runs = {}
    for name, make in BASELINES[conventions].items():
        schedule = make(book, order)
        try:
            runs[name] = _follow(book, order, rules, fees, schedule, top, engine)
        except FractionLeftError:  # no leftover rule completed the last slice, and nobody holds half a share
            runs[name] = _follow(book, order, rules, fees, schedule.in_whole_shares(), top, engine)
    return runs


def _follow(
    book: Book, order: Order, rules: Rules, fees: Sequence[int], schedule: Schedule, top: int, engine: Engine
) -> Execution:
    """Run one schedule; on the reference engine also where its units would leave int64."""
    if engine == "reference" or schedule.size * top >= SUM_LIMIT:
        return execute(book, order, rules, fees, schedule, Parameters(0, 0, 0))
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
    return execution_of(settle(order, rules, dearest(book, order, fees), *in_shares(schedule.unit, *out.tolist())))
