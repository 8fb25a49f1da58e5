"""The frame of the benchmarks: a case and its baseline, timed in turns in one run, reported as medians.

A case says what is measured, in which unit and against what. Preparing it makes a `Duel`: two sides that can be run
again and again, and a guard that warms both (everything compiled included) and fails where they disagree.
"""

from __future__ import annotations

import gc
import math
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Clock = Callable[[], float]

SAMPLE_SECONDS = 0.05
"""What is shorter is repeated within a sample until it takes this long: the clock and the call then weigh nothing."""


class Absent(Exception):  # noqa: N818 - reads as what it says
    """What a case needs is not there, such as a broker; its text says what."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How seconds and work become a figure: scale * seconds / work, or work / seconds for a rate.

    Attributes
    ----------
    scale : float
    rate : bool
        Larger is better.
    timed : bool
        False where nothing is timed: what a side's `run` returns stands in place of the seconds.
    """

    scale: float = 1.0
    rate: bool = False
    timed: bool = True

    def value(self, seconds: float, work: float) -> float:
        """The figure of one run."""
        return work / seconds if self.rate else self.scale * seconds / work

    def ratio(self, value: float, baseline: float) -> float | None:
        """How many times better than the baseline, above 1 = better; None of nothing."""
        better, worse = (value, baseline) if self.rate else (baseline, value)
        return better / worse if better and worse else None

    def meets(self, value: float, target: float | None) -> bool | None:
        """Whether a figure reaches its target; None where there is none."""
        if target is None:
            return None
        return value >= target if self.rate else value <= target


UNITS: dict[str, Unit] = {
    "ns per t v": Unit(1e9),
    "ns per t v k": Unit(1e9),
    "ns per event": Unit(1e9),
    "us": Unit(1e6),
    "ms": Unit(1e3),
    "s": Unit(),
    "rows/s": Unit(rate=True),
    "messages/s": Unit(rate=True),
    "snapshots/s": Unit(rate=True),
    "combinations/s": Unit(rate=True),
    "chunks/s": Unit(rate=True),
    "columns/s": Unit(rate=True),
    "GB/s": Unit(rate=True),
    "MB": Unit(1e-6, timed=False),
    "x": Unit(rate=True),
}
"""Every unit by name; t v = one snapshot of one venue, t v k = that for one combination, an event is what changes
a book, here and elsewhere. Work is counted in the unit's
noun (GB: 1e9 bytes); a side in MB returns bytes; x is of the ratios alone."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a run is, and where its files go.

    Attributes
    ----------
    quick : bool
        Smaller sizes and fewer rounds: to see that everything works, not to quote.
    scratch : Path
        An empty directory that is removed afterwards.
    closing : ExitStack
        Ends what a case starts for itself.
    """

    quick: bool
    scratch: Path
    closing: ExitStack = field(default_factory=ExitStack)

    def pick(self, full: int, quick: int) -> int:
        """The size of this run."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two things that are timed: what to call, and how much work (in the unit's sense) a call does.

    Where the baseline is the fastest of several, `prepare` chooses it by timing each once or twice (`fastest`).

    Attributes
    ----------
    run : callable
    work : float
    elsewhere : bool
        It runs in a process of its own, which takes the time itself: `run` returns the seconds of one call.
    """

    run: Callable[[], Any]
    work: float = 1.0
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Duel:
    """A case that is ready to be timed.

    Attributes
    ----------
    subject, baseline : Side
    guard : callable
        Warms both sides and raises AssertionError where their results differ.
    sizes : str
        What was measured, in words.
    parts : callable, optional
        Result of a side -> seconds by name: figures of their own, beside the whole.
    """

    subject: Side
    baseline: Side
    guard: Callable[[], None]
    sizes: str
    parts: Callable[[Any], Mapping[str, float]] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A figure of the table.

    Attributes
    ----------
    name : str
    unit : str
        A name of `UNITS`.
    against : str
        What the baseline is.
    prepare : callable
        Scale -> Duel.
    target : float, optional
        In the unit; the value has to reach it.
    rounds : int
        Samples of each side; `quick_rounds` in a quick run.
    least_ratio : float, optional
        How many times as good as the baseline it has to be: a figure of its own, NAME.ratio.
    """

    name: str
    unit: str
    against: str
    prepare: Callable[[Scale], Duel]
    target: float | None = None
    rounds: int = 7
    quick_rounds: int = 3
    least_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of results.json; `value` and `baseline` are medians in `unit`, `ratio` above 1 means better."""

    name: str
    value: float
    unit: str
    baseline: float
    ratio: float | None
    target: float | None
    met: bool | None


@dataclass(frozen=True, slots=True)
class Samples:
    """Seconds per call of both sides (what they return, of a unit that is not timed), round by round; their parts."""

    subject: list[float] = field(default_factory=list)
    baseline: list[float] = field(default_factory=list)
    subject_parts: list[Mapping[str, float]] = field(default_factory=list)
    baseline_parts: list[Mapping[str, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a case: its figures (the whole first, then its ratio and its parts) and what they rest on.

    Attributes
    ----------
    case : Case
    sizes : str
    rounds : int
    figures : list of Figure
    spread : tuple of float
        Lowest and highest value of the rounds, in the unit.
    """

    case: Case
    sizes: str
    rounds: int
    figures: list[Figure]
    spread: tuple[float, float]


def measure(case: Case, duel: Duel, rounds: int, clock: Clock = time.perf_counter) -> Measured:
    """Guard, then time both sides in turns, then take medians.

    Parameters
    ----------
    case : Case
    duel : Duel
        The case, prepared.
    rounds : int
        1 or more.
    clock : callable
        Seconds.

    Raises
    ------
    AssertionError
        The sides disagree: there is nothing to compare.
    """
    duel.guard()
    unit = UNITS[case.unit]
    samples = take_samples(duel, rounds, clock, timed=unit.timed)
    values = [unit.value(seconds, duel.subject.work) for seconds in samples.subject]
    baselines = [unit.value(seconds, duel.baseline.work) for seconds in samples.baseline]
    figures = [figure(case.name, case.unit, values, baselines, case.target)]
    if case.least_ratio is not None:
        figures.append(paired(case, values, baselines))
    if duel.parts is not None:
        for part in samples.subject_parts[0]:
            sides = [[each[part] for each in side] for side in (samples.subject_parts, samples.baseline_parts)]
            figures.append(figure(f"{case.name}.{part}", "s", *sides))
    return Measured(case, duel.sizes, rounds, figures, (min(values), max(values)))


def take_samples(duel: Duel, rounds: int, clock: Clock, *, timed: bool = True) -> Samples:
    """Time subject, baseline, subject, baseline ...: a machine that drifts is then slow for both."""
    sides = duel.subject, duel.baseline
    repeated = timed and duel.parts is None
    loops = [calls_per_sample(side.run, clock) if repeated and not side.elsewhere else 1 for side in sides]
    samples = Samples()
    for _ in range(rounds):
        for side, calls, seconds, parts in zip(
            sides,
            loops,
            (samples.subject, samples.baseline),
            (samples.subject_parts, samples.baseline_parts),
            strict=True,
        ):
            gc.collect()
            began = clock()
            for _ in range(calls):
                result = side.run()
            seconds.append((clock() - began) / calls if timed and not side.elsewhere else float(result))
            if duel.parts is not None:
                parts.append(duel.parts(result))
            del result
    return samples


def calls_per_sample(run: Callable[[], Any], clock: Clock) -> int:
    """How many calls make a sample of `SAMPLE_SECONDS`, by the time that one takes."""
    began = clock()
    run()
    once = clock() - began
    return max(1, math.ceil(SAMPLE_SECONDS / once)) if once > 0 else 1000


def figure(name: str, unit: str, values: list[float], baselines: list[float], target: float | None = None) -> Figure:
    """Medians of both sides, and how they compare."""
    value, baseline = significant(median(values)), significant(median(baselines))
    ratio = UNITS[unit].ratio(value, baseline)
    met = UNITS[unit].meets(value, target)
    return Figure(name, value, unit, baseline, None if ratio is None else significant(ratio), target, met)


def paired(case: Case, values: list[float], baselines: list[float]) -> Figure:
    """The ratio of a case as a figure: the median of the rounds' ratios.

    The two samples of a round are neighbours in time, so what slows the machine for a while drops out of their ratio;
    it would stay in a ratio of medians.
    """
    by_round = [UNITS[case.unit].ratio(value, baseline) for value, baseline in zip(values, baselines, strict=True)]
    ratios = [each for each in by_round if each is not None] or [0.0]
    return figure(f"{case.name}.ratio", "x", ratios, [1.0], case.least_ratio)


def fastest(candidates: Mapping[str, Side], clock: Clock = time.perf_counter) -> tuple[str, str]:
    """Choose the baseline of a case that is held against the fastest of several.

    Each is run twice and its better run counts: the first one also warms it.

    Returns
    -------
    tuple of str
        The name of the fastest, and what each took in words, for the duel's `sizes`.
    """
    took = {}
    for name, side in candidates.items():
        began = clock()
        first = side.run()
        middle = clock()
        second = side.run()
        seconds = (first, second) if side.elsewhere else (middle - began, clock() - middle)
        took[name] = min(seconds) / side.work
    best = min(took, key=lambda name: took[name])
    listed = ", ".join(
        f"{name} {took[name] * candidates[best].work:.3g} s" for name in sorted(took, key=lambda name: took[name])
    )
    return best, f"baseline {best}, the fastest of {listed}"


def significant(number: float) -> float:
    """Four significant digits: more than a machine repeats."""
    return float(f"{number:.4g}")


def shown(number: float | None) -> str:
    """A number as the table prints it."""
    if number is None:
        return "-"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def table(measured: list[Measured]) -> str:
    """The figures as aligned text, then what each of them measured."""
    head = ("name", "value", "unit", "low - high", "baseline", "ratio", "target", "met")
    lines = [head]
    for each in measured:
        for at, one in enumerate(each.figures):
            lines.append(
                (
                    one.name,
                    shown(one.value),
                    one.unit,
                    "" if at else " - ".join(map(shown, each.spread)),
                    shown(one.baseline),
                    f"{shown(one.ratio)}x" if one.ratio is not None else "-",
                    shown(one.target),
                    {None: "-", True: "yes", False: "NO"}[one.met],
                )
            )
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    left = {0, 2}
    text = [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    text.insert(1, "-" * len(text[0]))
    notes = [f"{each.case.name}: {each.sizes}; against {each.case.against}; {each.rounds} rounds" for each in measured]
    return "\n".join([*text, "", *notes])
