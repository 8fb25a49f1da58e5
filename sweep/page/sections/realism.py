"""Realism: whether the answer is the same where the market is assumed to be another one."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sweep.caveats import named
from sweep.page.element import element
from sweep.page.intervals import Reach, reach_of, sketch_scale, sketched
from sweep.page.layout import section, table
from sweep.page.numbers import NONE, bps, counted, label, whole
from sweep.page.sections.verdict import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sweep.page.element import Element
    from sweep.page.reading import Run
    from sweep.page.scales import Linear

CELLS: Final = 60
"""Worlds in the matrix."""

AXES: Final = "'grid.liquidity=[persist, refresh]' 'grid.latency=[0, 1ms]'"
"""What a command needs for a matrix."""


def realism(run: Run) -> Element:
    """The best of each world, and what the best of the first one is worth in it."""
    worlds = run.document.get("worlds") or []
    title = "If the market is another one"
    if len(worlds) < 2:
        return section("realism", title, *_how(), lead=_other_rule(run))
    return section("realism", title, _matrix(worlds), *_notes(worlds), lead=_lead(worlds))


def _other_rule(run: Run) -> str:
    """What the other liquidity rule gives, where it was tried."""
    document = run.document
    tried = document.get("sensitivity") or {}
    own = document.get("savings_in_sample_bps", document["savings_vs_baselines_bps"]).get(run.against)
    for rule, answer in tried.items():
        other = answer["savings_vs_baselines_bps"].get(run.against)
        if own is None or other is None:
            continue
        sign = "the sign changes" if np.sign(own) != np.sign(other) else "the sign stays"
        return (
            f"With liquidity={rule} instead of {label(document['rules']['liquidity'])} the same combination saves "
            f"{bps(other)} bps of the cash of {run.against} instead of {bps(own)}: {sign}. Nothing else of the market "
            "was varied."
        )
    return (
        "The market was assumed in one way only: whether the answer hangs on liquidity, latency or fees is not known."
    )


def _how() -> Iterator[Element]:
    """How to get a matrix."""
    yield element("p", {"class": "muted"}, "For a matrix add axes of the market to the command of this run:")
    yield element("pre", {}, AXES)


def flips(first: Mapping[str, Any], world: Mapping[str, Any]) -> tuple[bool, bool, bool]:
    """Whether a world has another best combination, another sign of what the first one's saves, another verdict."""
    same = world["first_best"]
    own, here = _worth(first), _worth(world)
    sign = own is not None and here is not None and bool(np.sign(own) != np.sign(here))
    as_good = same is not None and same["total_cash"] == world["optimized"]["total_cash"]
    other = not as_good and router(first) != router(world)
    return other, sign, world["verdict"]["kind"] != first["verdict"]["kind"]


def shown(first: Mapping[str, Any], world: Mapping[str, Any]) -> bool:
    """Whether the intervals show another sign: of what each world's own best saves against best_ask."""
    own, here = (reach_of(each["statistics"]["saving_bps"].get("best_ask")) for each in (first, world))
    if own is None or here is None or own.low is None or own.high is None or here.low is None or here.high is None:
        return False
    return own.high < 0 < here.low or here.high < 0 < own.low


def router(world: Mapping[str, Any]) -> dict[str, Any]:
    """The best parameters of a world, without what a router cannot choose."""
    return {name: value for name, value in world["best_parameters"].items() if name not in world["market"]}


def _worth(world: Mapping[str, Any]) -> float | None:
    """What the best of the first world saves here against best_ask, bps of its cash."""
    same = world["first_best"]
    worth: float | None = None if same is None else same["savings_vs_baselines_bps"]["best_ask"]
    return worth


def _lead(worlds: Sequence[Mapping[str, Any]]) -> str:
    first, *others = worlds
    changed = [flips(first, world) for world in others]
    bests, signs, kinds = (sum(each[at] for each in changed) for at in range(3))
    known = [worth for world in worlds if (worth := _worth(world)) is not None]
    axes = " x ".join(first["market"])
    if not any((bests, signs, kinds)):
        sentence = (
            f"The answer is the same in all {whole(len(worlds))} worlds ({axes}): best combination, sign and verdict."
        )
    else:
        sure = sum(shown(first, world) for world, (_, sign, _) in zip(others, changed, strict=True) if sign)
        certain = "" if not signs else f" (the intervals show that in {whole(sure)})"
        sentence = (
            f"Of {whole(len(others))} other worlds ({axes}) {counted(bests, 'have')} another best combination, in "
            f"{whole(signs)} the sign of what the first one's best saves against best_ask is another{certain}, and "
            f"{counted(kinds, 'have')} another verdict."
        )
    if known:
        sentence += f" That best saves from {bps(min(known))} to {bps(max(known))} bps of the cash of best_ask."
    return sentence


def _matrix(worlds: Sequence[Mapping[str, Any]]) -> Element:
    """Rows by all axes but one, whose values are the columns."""
    shown = worlds[:CELLS]
    axes = list(shown[0]["market"])
    across = "latency" if "latency" in axes and len(axes) > 1 else axes[-1]
    down = [name for name in axes if name != across]
    values = {name: list(dict.fromkeys(world["market"][name] for world in shown)) for name in axes}
    at = {tuple(world["market"][name] for name in (*down, across)): world for world in shown}
    reaches = {place: _own(world) for place, world in at.items()}
    scale = sketch_scale(reaches.values())
    rows = []
    for place in product(*(values[name] for name in down)):
        cells = [
            _cell(shown[0], at[(*place, value)], reaches[(*place, value)], scale) if (*place, value) in at else NONE
            for value in values[across]
        ]
        if any(cell != NONE for cell in cells):
            name = ", ".join(f"{axis}={label(value)}" for axis, value in zip(down, place, strict=True)) or "all"
            rows.append((name, *cells))
    heading = " x ".join(down) or "market"
    return table(
        (heading, *(f"{across}={label(value)}" for value in values[across])), rows, f"Worlds: {heading} by {across}"
    )


def _own(world: Mapping[str, Any]) -> Reach | None:
    statistics = world["statistics"]
    return reach_of(statistics["saving_bps"][statistics["against"]])


def _cell(first: Mapping[str, Any], world: Mapping[str, Any], reach: Reach | None, scale: Linear) -> Element:
    """What is best in one world, and what the first one's best is worth in it."""
    other, sign, kind = flips(first, world)
    judged = world["verdict"]["kind"]
    worth = _worth(world)
    lines = [
        element("strong", {}, str(reach) if reach is not None else NONE),
        sketched(reach, scale),
        f"against {world['statistics']['against']}",
        element("span", {"class": "flip" if kind else None}, judged),
        element(
            "span",
            {"class": "flip" if sign else None},
            f"first best: {bps(worth)}{', other sign' if sign else ''}",
        ),
        element("span", {"class": "flip"}, "another best: " + _listed(router(world))) if other else "",
    ]
    return element(
        "div",
        {"class": f"world {KINDS.get(judged, ('unclear', ''))[0]}"},
        *(element("div", {}, each) for each in lines if each != ""),
    )


def _listed(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {label(value)}" for name, value in parameters.items())


def _notes(worlds: Sequence[Mapping[str, Any]]) -> Iterator[Element]:
    first = worlds[0]
    yield element(
        "p",
        {"class": "note"},
        "In each world: what its own best combination saves against its strongest honest baseline, bps of the arrival "
        "notional with the 95 % interval, and the verdict; then what the best of the first world, "
        f"{named(first['market'])}, saves there against best_ask, bps of its cash (in sample, without an interval). "
        "Marked is what differs from the first world.",
    )
    if len(worlds) > CELLS:
        yield element("p", {"class": "note"}, f"{whole(len(worlds) - CELLS)} more worlds are in result.json, worlds.")
