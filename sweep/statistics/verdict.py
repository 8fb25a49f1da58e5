"""The verdict on a sweep: one word, and one sentence that says why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

FEWEST_BLOCKS: Final = 20
"""Fewer have no interval."""

LEVEL: Final = 0.05
"""An adjusted p of this or less is evidence."""

EFFECTS: Final = (0.2, 0.5, 1.0)
"""Basis points for which the days that they need are named."""


class Saving(NamedTuple):
    """A mean saving and its 95 % interval, basis points; above 0 = less is paid than by the baseline."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict rests on.

    Attributes
    ----------
    blocks : int
    combinations : int
        All that were looked at.
    distinct : int
        How many of them have results that differ.
    baseline : str
        Its name, such as best_ask.
    p : float, optional
        Of "the best beats the baseline", adjusted for the number of combinations.
    in_sample : Saving, optional
        Of the best combination, on the blocks that it was picked on.
    held_out : Saving, optional
        On blocks that it was not picked on; None where none were held out, or too few for an interval.
    tested : int
        How many blocks were held out.
    execution : Saving, optional
        The part of the saving in sample that is execution, not timing; None where it is unknown.
    grid_range : float
        What the worst combination pays more than the best, basis points.
    all_in_set : bool
        No combination can be told from the best.
    detectable : float, optional
        The smallest effect that these blocks would show with a power of 80 %, basis points.
    blocks_a_day : float
    days : (3,) tuple of int
        How many days in all would show `EFFECTS`; None = unknown.
    skewed : bool
        Block results are so skewed that intervals are too short.
    pruned : int
        Combinations that did not run on all tapes.
    dependent : bool
        Neighbouring blocks are so alike, and blocks so few, that p is too small.
    """

    blocks: int
    combinations: int
    distinct: int
    baseline: str
    p: float | None = None
    in_sample: Saving | None = None
    held_out: Saving | None = None
    tested: int = 0
    execution: Saving | None = None
    grid_range: float = 0.0
    all_in_set: bool = False
    detectable: float | None = None
    blocks_a_day: float = 0.0
    days: tuple[int | None, int | None, int | None] = (None, None, None)
    skewed: bool = False
    pruned: int = 0
    dependent: bool = False


Kind = Literal["better", "flat", "drift", "not enough data", "worse"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A kind, and a sentence for a person, without the kind. There is a winner where the kind is `better` alone."""

    kind: Kind
    sentence: str


def verdict(evidence: Evidence) -> Verdict:
    """Judge a sweep. The first rule that applies decides.

    1. Fewer than 20 blocks, or combinations that were pruned: `not enough data`.
    2. p of .05 or less and the interval held out above 0: `better` where the interval of the execution part is above 0,
       too; `drift` where it is not; `not enough data` where that part is unknown.
    3. The best combination's interval in sample below 0: `worse`.
    4. No two combinations differ, or none can be told from the best and the range of the grid is below the detectable
       effect: `flat`.
    5. Else `not enough data`.
    """
    kind, parts = _judged(evidence)
    if evidence.skewed and evidence.blocks >= FEWEST_BLOCKS:
        parts = (*parts, "block results are skewed, so the intervals are too short")
    if evidence.dependent and evidence.p is not None:
        parts = (*parts, "neighbouring blocks are alike, so with as few of them p is too small")
    sentence = "; ".join(parts)
    return Verdict(kind, sentence[0].upper() + sentence[1:] + ".")


def _judged(evidence: Evidence) -> tuple[Kind, tuple[str, ...]]:
    """The kind, and the parts of the sentence."""
    if evidence.blocks < FEWEST_BLOCKS:
        return "not enough data", (_more_days(evidence),)
    if evidence.pruned:
        return "not enough data", (
            f"{evidence.pruned:,} of {_counted(evidence)} were left out of later tapes, as they could not be the best",
            "what the best of all of them shows by chance is therefore unknown: search.prune=false says it",
        )
    p, held_out, execution = evidence.p, evidence.held_out, evidence.execution
    if p is not None and p <= LEVEL and held_out is not None and held_out.low > 0:
        saves = (
            f"on blocks held out the best combination saves {_number(held_out.mean)} bps against {evidence.baseline} "
            f"({_interval(held_out)}; adjusted p {_chance(p)} over {_counted(evidence)})"
        )
        if execution is None:
            return "not enough data", (saves, "how much of it is execution is unknown, so it may be drift of the price")
        part = f"{_number(execution.mean)} bps ({_interval(execution)})"
        if execution.low <= 0:
            loses = execution.high < 0
            how = "is a loss, so the saving is" if loses else "cannot be told from 0, so the saving may be no more than"
            return "drift", (
                saves,
                f"its execution part over all blocks, {part}, {how} what the price did while orders waited",
            )
        alike = evidence.all_in_set and evidence.distinct > 1
        also = ("no other combination can be told from it, so which one is used is not shown to matter",)
        return "better", (saves, f"over all blocks its execution part is {part}", *(also if alike else ()))
    if evidence.in_sample is not None and evidence.in_sample.high < 0:
        return "worse", (_costs(evidence, evidence.in_sample),)
    flat, same = _flat(evidence), _same(evidence)
    against = same or _unconfirmed(evidence) or _not_shown(evidence)
    if flat:
        return "flat", (flat, against)
    return "not enough data", ((against,) if same else (against, *_needed(evidence)))


def _more_days(evidence: Evidence) -> str:
    """How far few blocks are from enough."""
    lack = FEWEST_BLOCKS - evidence.blocks
    needs = (
        f"{_count(evidence.blocks, 'block')} of time {'is' if evidence.blocks == 1 else 'are'} too few for an interval"
    )
    if evidence.blocks_a_day <= 0:
        return f"{needs}, which needs {FEWEST_BLOCKS}: {lack} more"
    days = math.ceil(lack / evidence.blocks_a_day)
    return (
        f"{needs}, which needs {FEWEST_BLOCKS}: about {_count(days, 'more day')} at {evidence.blocks_a_day:.3g} a day"
    )


def _costs(evidence: Evidence, saving: Saving) -> str:
    """That even the best is worse."""
    cost = Saving(-saving.mean, -saving.high, -saving.low)
    which = f"even the best of {_counted(evidence)}" if evidence.combinations > 1 else "the only combination"
    return f"{which} costs {_number(cost.mean)} bps more than {evidence.baseline} ({_interval(cost)} more)"


def _flat(evidence: Evidence) -> str | None:
    """Why the parameters do not matter; None where that is not shown."""
    if evidence.distinct == 1 and evidence.combinations == 1:
        return "only one combination was tried, so there was nothing to choose"
    if evidence.distinct == 1:
        return f"all {_counted(evidence)} give the same result, so on this data the parameters do not matter"
    if evidence.all_in_set and evidence.detectable is not None and evidence.grid_range < evidence.detectable:
        return (
            f"no combination can be told from the best, and from best to worst the grid spans "
            f"{_number(evidence.grid_range)} bps, below the {_number(evidence.detectable)} bps that "
            f"{evidence.blocks:,} blocks can show: the parameters hardly matter"
        )
    return None


def _same(evidence: Evidence) -> str | None:
    """That the best combination is the baseline by another name; None where it is not."""
    if evidence.in_sample != Saving(0.0, 0.0, 0.0):  # an interval without a width is of blocks that are all alike
        return None
    best = f"the best of {_counted(evidence)}" if evidence.combinations > 1 else "the only combination"
    return f"in each of {evidence.blocks:,} blocks {best} costs just what {evidence.baseline} costs"


def _unconfirmed(evidence: Evidence) -> str | None:
    """That a significant p is not confirmed by blocks held out; None where p is not significant."""
    p, held_out = evidence.p, evidence.held_out
    if p is None or p > LEVEL:
        return None
    beats = f"in sample the best of {_counted(evidence)} beats {evidence.baseline} (adjusted p {_chance(p)})"
    if held_out is None and evidence.tested:
        few = f"{_count(evidence.tested, 'block')} held out {'is' if evidence.tested == 1 else 'are'} too few"
        return f"{beats}, but {few} to confirm it, which takes {FEWEST_BLOCKS}"
    if held_out is None:
        return f"{beats}, but no blocks were held out to confirm it"
    fails = "is below 0" if held_out.high < 0 else "includes 0"
    return f"{beats}, but held out its saving of {_number(held_out.mean)} bps ({_interval(held_out)}) {fails}"


def _not_shown(evidence: Evidence) -> str:
    """That nothing is significant."""
    known = []
    if evidence.in_sample is not None:
        known.append(f"in sample {_number(evidence.in_sample.mean)} bps, {_interval(evidence.in_sample)}")
    if evidence.p is not None:
        known.append(f"adjusted p {_chance(evidence.p)}")
    figures = f" ({'; '.join(known)})" if known else ""
    best = f"the best of {_counted(evidence)}" if evidence.combinations > 1 else "the only combination"
    return f"{evidence.blocks:,} blocks do not show that {best} saves anything against {evidence.baseline}{figures}"


def _needed(evidence: Evidence) -> Iterator[str]:
    """What would show, and what it would take to see less."""
    if evidence.detectable is not None:
        smallest = _number(evidence.detectable)
        yield f"with {evidence.blocks:,} blocks a saving of {smallest} bps or more would show (80 % power)"
    needs = [f"{days:,} for {effect:g} bps" for effect, days in zip(EFFECTS, evidence.days, strict=True) if days]
    if needs:
        yield f"days needed in all: {', '.join(needs)}"


def _number(value: float) -> str:
    """Two decimals, or two digits where that would round to 0; a zero has no sign."""
    text = f"{value + 0.0:,.2f}"
    return text if value == 0 or float(text.replace(",", "")) != 0 else f"{value:.2g}"


def _interval(saving: Saving) -> str:
    return f"95 % interval {_number(saving.low)} to {_number(saving.high)}"


def _chance(p: float) -> str:
    return "below 0.001" if p < 0.001 else f"{p:.3f}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _counted(evidence: Evidence) -> str:
    return _count(evidence.combinations, "combination")
