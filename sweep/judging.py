"""How sure an answer is: what the blocks of the stored sums say of the best combination, alone and out of sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sweep.config import Validation
from sweep.reduce import FILLED, OVERFILLED, TOTAL
from sweep.statistics import (
    EFFECTS,
    FEWEST_BLOCKS,
    BestOf,
    Corrected,
    Evidence,
    Interval,
    Overfitting,
    Part,
    Saving,
    Verdict,
    best_of,
    blocks_for,
    blocks_of,
    confidence_set,
    corrected,
    detectable,
    interval,
    make_folds,
    notional_by_group,
    paid_by_group,
    pbo,
    timings,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from allocator.order import Side
    from sweep.reduce import Reduction
    from sweep.search import Label
    from sweep.statistics import Blocks, Orders, Outcome

    Float64 = NDArray[np.float64]
    Int64 = NDArray[np.int64]

BPS: Final = 1e4

ALIKE: Final = 0.2
"""Correlation of a block with the next one beyond which p is too small where there are few."""

FEW_ALIKE: Final = 60
"""Blocks: of 38 with a correlation of 0.4 the best of 1,000 is called better than it is in 12 % of trials, not in 5."""

CELLS: Final = 2**22
"""Block results that are held at once to see how probable overfitting is: 32 MB."""

CHECKED: Final = Validation("folds", 5)
"""How the verdict looks out of sample where nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class FoldResult:
    """One fold: what was best in its training part, and what that saved in the tested one.

    Attributes
    ----------
    trained, tested : int
        Blocks.
    first, last : int
        Of the tested part, UTC nanoseconds.
    combination : int
    against : str
        The strongest honest baseline of the training part.
    in_sample, saved : float
        Of the training and of the tested part, bps of their arrival notional.
    """

    trained: int
    tested: int
    first: int
    last: int
    combination: int
    against: str
    in_sample: float
    saved: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What was chosen without looking, over all folds.

    Attributes
    ----------
    validation : str
        How blocks were split.
    folds : tuple of FoldResult
    against_strongest, against_best_ask : Interval
        Over the tested blocks, bps of their arrival notional.
    cash_savings : dict of str to (int, int)
        By baseline, over the tested blocks: what was saved, and the baseline's total cash, 1e-9 $.
    """

    validation: str
    folds: tuple[FoldResult, ...]
    against_strongest: Interval
    against_best_ask: Interval
    cash_savings: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Close:
    """Combinations that cannot be told from the best.

    Attributes
    ----------
    inside : (K,) bool
        Of the classes of the reduction, those that are in the set.
    combinations : int
    parameters : dict of str to list, optional
        By axis longer than 1 that has numbers, the smallest and the largest value of any of them, in dollars; None of
        a grid with more than `LISTED` combinations.
    """

    inside: NDArray[np.bool_]
    combinations: int
    parameters: dict[str, list[Label]] | None


LISTED: Final = 2_000_000
"""Combinations of which each is looked up to see how far a set reaches."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What may be said of the best combination for some orders.

    Attributes
    ----------
    side, size
        Of `Part`.
    combination : int
    looked_at : int
        Combinations.
    distinct : int, optional
        Columns of block results that differ; None below `FEWEST_BLOCKS`, as what has no type of its own below.
    blocks, days : int
    against : str
        The strongest honest baseline.
    savings : dict of str to Interval
        Of the best, against each honest baseline, bps of the arrival notional.
    execution : Interval, optional
        The part of the saving against the strongest one that is not timing.
    span : float
        From the best to the worst combination, bps.
    best_of : BestOf, optional
    beat_it : int, optional
        How many combinations beat the strongest baseline, all of them together at 5 %.
    close : Close, optional
        The combinations that cannot be told from the best.
    corrected : Corrected, optional
    overfitting : Overfitting, optional
    detectable : float, optional
        The smallest effect that would be detected with 80 % power, bps.
    days_for : dict of float to int
        Days that effects of so many bps take.
    held_out : HeldOut, optional
    verdict : Verdict
    """

    side: Side | None
    size: int | None
    combination: int
    looked_at: int
    distinct: int | None
    blocks: int
    days: int
    against: str
    savings: dict[str, Interval]
    execution: Interval | None
    span: float
    best_of: BestOf | None
    beat_it: int | None
    close: Close | None
    corrected: Corrected | None
    overfitting: Overfitting | None
    detectable: float | None
    days_for: dict[float, int | None]
    held_out: HeldOut | None
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class Ground:
    """What is judged in one world.

    Attributes
    ----------
    orders : Orders
    blocks : Blocks
    reduction : Reduction
        The first class of each set of equal rows in the world.
    simulated : (R,) int64
        All its classes that have rows.
    place : (R,) int64
        Where each of these, or the one that is equal to it, stands in the reduction.
    looked_at : int
        Combinations of the world.
    everyone : dict of str to (G,) int64
        What each baseline pays in each group of orders less what it receives, 1e-9 $.
    filled : (G,) int64
        Shares that best_ask fills, less those that it overfills.
    notional : (G,) float64
        Of the orders at their arrival mids, 1e-9 $; at the cash of best_ask where one has none.
    looking_ahead : frozenset of str
        The baselines that are not honest.
    """

    orders: Orders
    blocks: Blocks
    reduction: Reduction
    simulated: Int64
    place: Int64
    looked_at: int
    everyone: dict[str, Int64]
    filled: Int64
    notional: Float64
    looking_ahead: frozenset[str]

    @cached_property
    def baselines(self) -> dict[str, Int64]:
        """The honest ones of them, which do not look ahead."""
        return {name: paid for name, paid in self.everyone.items() if name not in self.looking_ahead}

    @cached_property
    def signs(self) -> Int64:
        """(G,) 1 for a group of buys, -1 for one of sells."""
        return np.array(self.reduction.signs, np.int64)

    def best_in(self, groups: Int64) -> int:
        """The position of the best class for some groups: by the rules of the best of all."""
        return int(self.reduction.ranked(int(self.filled[groups].sum()), groups)[1][0])

    def paid(self, groups: Int64, at: int) -> Int64:
        """What a class pays in each of some groups less what it receives, 1e-9 $."""
        paid: Int64 = self.reduction.cube[groups, at, TOTAL] * self.signs[groups]
        return paid

    def number(self, at: int) -> int:
        """The first combination of a class."""
        return int(self.reduction.classes.numbers(self.reduction.simulated[[at]])[0])

    def ratio(self, groups: Int64, saved: Int64) -> float:
        """What is saved in some groups, bps of their notional."""
        return BPS * float(sum(saved.tolist())) / math.fsum(self.notional[groups].tolist())

    def count(self, chosen: NDArray[np.bool_]) -> int:
        """How many combinations are like some classes of the reduction, which are True."""
        return int(self.reduction.classes.counts(self.simulated[chosen[self.place]]).sum())

    def close(self, inside: NDArray[np.bool_]) -> Close:
        """A set of classes of the reduction, True of (K,) bool, as combinations."""
        grid, classes = self.reduction.classes.grid, self.reduction.classes
        combinations = self.count(inside)
        if len(grid) > LISTED:
            return Close(inside, combinations, None)
        of_class = np.zeros(len(classes), np.bool_)
        of_class[self.simulated[inside[self.place]]] = True
        numbers = np.flatnonzero(of_class[classes.of_numbers(np.arange(len(grid)))])
        reach = {}
        for axis in grid.axes:
            if len(axis) > 1 and not axis.labels:
                positions = grid.positions(numbers)[axis.name]
                order = np.argsort(axis.values[positions], kind="stable")
                reach[axis.name] = [axis.printed(int(positions[at])) for at in (order[0], order[-1])]
        return Close(inside, combinations, reach)

    def strongest(self, groups: Int64) -> str:
        """The honest baseline that pays least for some groups."""
        sums = {name: sum(of_groups[groups].tolist()) for name, of_groups in self.baselines.items()}
        return min(sums, key=sums.__getitem__)

    def timing(self, positions: Sequence[int], outcome: Outcome, arrivals: Sequence[int]) -> Int64 | None:
        """What of a strategy's loss is timing, half 1e-9 $.

        Parameters
        ----------
        positions : (M,) sequence of int
            Of orders, ascending.
        outcome : Outcome
            How these filled.
        arrivals : (N,) sequence of int
            Of all orders.

        Returns
        -------
        (G,) int64, optional
            Of each group of orders, 0 of those without one of these; None where it is unknown.
        """
        orders = [self.orders.orders[position] for position in positions]
        each = timings(orders, outcome, [arrivals[position] for position in positions])
        if each is None:
            return None
        sums = np.zeros(self.orders.groups, np.int64)
        np.add.at(sums, np.searchsorted(self.orders.edges, positions, "right") - 1, each)
        return sums

    def by_block(self, groups: Int64, values: NDArray[Any]) -> Float64:
        """(n,) sums of values of some groups over each block that has any of these."""
        blocks, position = np.unique(self.blocks.of_group[groups], return_inverse=True)
        sums = np.zeros(len(blocks))
        np.add.at(sums, position, values)
        return sums

    def savings(self, groups: Int64, against: str) -> Savings:
        """What each class saves in each block against a baseline."""
        _, position = np.unique(self.blocks.of_group[groups], return_inverse=True)
        return Savings(self, groups, position, self.baselines[against])


@dataclass(frozen=True, slots=True, eq=False)
class Savings:
    """(n, R) float64, what each class saves in each block, 1e-4 of 1e-9 $, so that by its notional it is in bps.

    Columns are made when they are asked for: of a million classes all of them together would not fit beside the rows.

    Attributes
    ----------
    ground : Ground
    groups : (M,) int64
        Of orders.
    position : (M,) int64
        The row of each.
    paid : (G,) int64
        What the baseline pays in each group less what it receives.
    """

    ground: Ground
    groups: Int64
    position: Int64
    paid: Int64

    @property
    def shape(self) -> tuple[int, int]:
        """Blocks and classes."""
        return int(self.position.max()) + 1, len(self.ground.reduction.simulated)

    def spread(self, cells: int) -> Float64:
        """All columns, or where these have more cells as many as have not, at even distances."""
        blocks, columns = self.shape
        return self[:, :: -(-blocks * columns // cells)]

    def __getitem__(self, place: tuple[slice, slice]) -> Float64:
        """All blocks of some columns."""
        columns = place[1]
        saved = np.zeros((self.shape[0], len(range(*columns.indices(self.shape[1])))))
        cube, signs = self.ground.reduction.cube, self.ground.signs
        for group, block in zip(self.groups.tolist(), self.position.tolist(), strict=True):
            saved[block] += BPS * (self.paid[group] - signs[group] * cube[group, columns, TOTAL])
        return saved


def ground_of(
    orders: Orders, reduction: Reduction, looked_at: int, baselines: Mapping[str, Outcome], arrivals: Sequence[int]
) -> Ground:
    """Sum up the orders of each group.

    Parameters
    ----------
    orders, reduction, looked_at
        Of one world.
    baselines : mapping of str to Outcome
        How all orders fill in it.
    arrivals : (N,) sequence of int
        Twice their arrival mids, 1e-9 $; 0 = there is none.
    """
    filled = baselines["best_ask"].rows[:, FILLED] - baselines["best_ask"].rows[:, OVERFILLED]
    apart, place = reduction.told_apart()
    return Ground(
        orders,
        blocks_of(orders),
        apart,
        reduction.simulated,
        place,
        looked_at,
        paid_by_group(orders, baselines),
        np.add.reduceat(filled, orders.edges[:-1]),
        notional_by_group(orders, baselines["best_ask"], arrivals),
        frozenset(name for name, outcome in baselines.items() if outcome.lookahead),
    )


def judge(
    ground: Ground,
    part: Part,
    best: int,
    timing: Mapping[str, Int64 | None],
    validation: Validation | None,
    pruned: int = 0,
) -> Judged:
    """Say how sure it is that a class is best for some orders.

    Parameters
    ----------
    ground : Ground
    part : Part
    best : int
        The position of the class.
    timing : mapping of str to (G,) int64
        As of `Ground.timing`, by baseline, and of the class as ``optimized``.
    validation : Validation, optional
        How blocks are split; None = only to check the verdict.
    pruned : int
        Combinations that did not run on all tapes: what all of them together show by chance is then unknown.
    """
    groups = part.groups
    notional = ground.by_block(groups, ground.notional[groups])
    paid = ground.paid(groups, best)
    against = ground.strongest(groups)

    def saved(name: str) -> Float64:
        return ground.by_block(groups, BPS * (ground.baselines[name][groups] - paid))

    differences = saved(against)
    savings = {name: interval(saved(name), notional) for name in ground.baselines}
    execution = None
    base, own = timing[against], timing["optimized"]
    if base is not None and own is not None:
        moved = (base[groups] - own[groups]) * (BPS / 2)
        execution = interval(differences - ground.by_block(groups, moved), notional)
    blocks = len(notional)
    days = len(np.unique(ground.blocks.day[np.unique(ground.blocks.of_group[groups])]))
    columns = ground.savings(groups, against)
    cash = ground.reduction.ranked(0, groups)[0]
    span = BPS * float(int(cash.max()) - int(cash[best])) / math.fsum(notional.tolist())
    enough = blocks >= FEWEST_BLOCKS and not pruned
    first = best_of(columns, notional, best) if enough else None
    close = ground.close(confidence_set(columns, notional, best)) if enough else None
    held_out = hold_out(ground, groups, validation or CHECKED) if enough or validation is not None else None
    needed = [blocks_for(effect, differences, notional) for effect in EFFECTS]
    days_for = [None if each is None else -(-each * days // blocks) for each in needed]
    smallest = detectable(differences, notional)
    return Judged(
        part.side,
        part.size,
        ground.number(best),
        ground.looked_at,
        None if first is None else first.distinct,
        blocks,
        days,
        against,
        savings,
        execution,
        span,
        first,
        None if first is None else ground.count(first.rejected),
        close,
        None if first is None else corrected(columns, notional, best, distinct=first.distinct),
        pbo(columns.spread(CELLS)) if enough else None,
        smallest,
        dict(zip(EFFECTS, days_for, strict=True)),
        held_out,
        verdict(
            Evidence(
                blocks=blocks,
                combinations=ground.looked_at,
                pruned=pruned,
                distinct=0 if first is None else first.distinct,
                baseline=against,
                p=None if first is None else first.p,
                in_sample=_saving(savings[against]),
                held_out=None if held_out is None else _saving(held_out.against_strongest),
                tested=0 if held_out is None else held_out.against_strongest.blocks,
                execution=None if execution is None else _saving(execution),
                grid_range=span,
                all_in_set=close is not None and close.combinations == ground.looked_at,
                detectable=smallest,
                blocks_a_day=blocks / days,
                days=(days_for[0], days_for[1], days_for[2]),
                skewed=savings[against].undercovers is not None,
                dependent=savings[against].lag_1 > ALIKE and blocks < FEW_ALIKE,
            )
        ),
    )


def _saving(each: Interval) -> Saving | None:
    """An interval as a verdict takes it; None where there is none."""
    return None if each.low is None or each.high is None else Saving(each.mean, each.low, each.high)


def check_validation(orders: Orders, validation: Validation | None) -> None:
    """Refuse (ConfigError) a split for which there are too few blocks."""
    if validation is not None:
        make_folds(validation, blocks_of(orders), longest(orders))


def longest(orders: Orders) -> int:
    """The longest order, nanoseconds."""
    return max(order.end - order.start for order in orders.orders)


def hold_out(ground: Ground, groups: Int64, validation: Validation) -> HeldOut:
    """Choose on one part of the blocks, and report the other, fold after fold, from the sums that there are.

    Raises
    ------
    ConfigError
        The blocks are too few for it.
    """
    folds = make_folds(validation, ground.blocks, longest(ground.orders))
    block_of = ground.blocks.of_group[groups]
    results = []
    strongest, best_ask = np.zeros(len(ground.blocks)), np.zeros(len(ground.blocks))
    notional, tested = np.zeros(len(ground.blocks)), np.zeros(len(ground.blocks), np.bool_)
    np.add.at(notional, block_of, ground.notional[groups])
    cash_savings = dict.fromkeys(ground.everyone, (0, 0))
    for fold in folds:
        train, test = groups[fold.train[block_of]], groups[fold.test[block_of]]
        if not len(train) or not len(test):
            continue
        at, against = ground.best_in(train), ground.strongest(train)
        paid = ground.paid(test, at)
        for name, sums in ((against, strongest), ("best_ask", best_ask)):
            np.add.at(sums, ground.blocks.of_group[test], BPS * (ground.baselines[name][test] - paid))
        for name, (saved, cash) in cash_savings.items():
            base = ground.everyone[name][test]
            gain = sum((base - paid).tolist())
            cash_savings[name] = saved + gain, cash + sum(np.abs(base).tolist())
        tested |= fold.test
        results.append(
            FoldResult(
                int(fold.train.sum()),
                int(fold.test.sum()),
                int(ground.blocks.first[fold.test].min()),
                int(ground.blocks.last[fold.test].max()),
                ground.number(at),
                against,
                ground.ratio(train, ground.baselines[against][train] - ground.paid(train, at)),
                ground.ratio(test, ground.baselines[against][test] - paid),
            )
        )
    tested &= notional > 0
    return HeldOut(
        str(validation),
        tuple(results),
        interval(strongest[tested], notional[tested]),
        interval(best_ask[tested], notional[tested]),
        cash_savings,
    )
