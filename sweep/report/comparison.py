"""The document of a comparison of two stored runs, and its sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sweep.report.judgement import interval_section
from sweep.statistics import FEWEST_BLOCKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweep.comparison import Comparison, Differing
    from sweep.statistics import Interval
    from sweep.stored import Stored

SHOWN: Final = 20
"""Values of a list that are shown: an axis may have a million."""


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """What `python -m sweep compare` prints; above 0 the first of the two pays less."""
    return {
        "first": _side(comparison.first),
        "second": _side(comparison.second),
        "sentence": sentence(comparison),
        "orders": comparison.whole.orders,
        "blocks": comparison.whole.total.blocks,
        "days": comparison.days,
        "difference_bps": _differing(comparison.whole),
        "parts": [
            {
                "side": part.side,
                "size": part.size,
                "orders": part.orders,
                "blocks": part.total.blocks,
                "difference_bps": _differing(part),
            }
            for part in comparison.parts
        ],
        "baselines": {
            name: {
                "identical": apart is None,
                "difference_bps": None if apart is None else interval_section(apart.difference),
                "beyond_bps": None if apart is None else interval_section(apart.beyond),
            }
            for name, apart in comparison.baselines.items()
        },
        "same_arrival_mids": comparison.same_arrivals,
        "same_code": comparison.first.manifest.sources_hash == comparison.second.manifest.sources_hash,
        "differs": {name: [_shown(value) for value in pair] for name, pair in comparison.differs.items()},
    }


def _side(run: Stored) -> dict[str, Any]:
    world = {"market": run.market} if run.market else {}
    return {
        "home": str(run.home),
        "run": run.manifest.id,
        "combination": run.combination,
        "parameters": run.parameters,
        **world,
    }


def _differing(part: Differing) -> dict[str, Any]:
    total = part.total
    undercovers = None if total.undercovers is None else round(100 * total.undercovers, 1)
    return {
        "total": interval_section(total),
        "execution": None if part.execution is None else interval_section(part.execution),
        "undercovers_percent": undercovers,
    }


def _shown(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, list | tuple) and len(value) > SHOWN:
        return [*value[: SHOWN // 2], f"{len(value) - SHOWN:,} more", *value[-SHOWN // 2 :]]
    return value


def sentence(comparison: Comparison) -> str:
    """What a comparison says, in words."""
    return ". ".join(_sentences(comparison)) + "."


def _sentences(comparison: Comparison) -> Iterator[str]:
    total, execution = comparison.whole.total, comparison.whole.execution
    blocks = f"{total.blocks:,} block{'' if total.blocks == 1 else 's'}"
    if not total.mean and total.low == total.high:
        yield f"The two pay the same over {blocks} of time"
    else:
        which, mean = ("first", total) if total.mean >= 0 else ("second", _negative(total))
        if total.blocks < FEWEST_BLOCKS:
            yield (
                f"The {which} pays {mean.mean:.2f} bps less over {blocks} of time, which are too few for an interval: "
                f"it takes {FEWEST_BLOCKS}"
            )
        elif mean.low is not None and mean.low > 0:
            yield f"The {which} pays {mean.mean:.2f} bps less over {blocks} of time ({_interval(mean)})"
        else:
            less = f"{mean.mean:.2f} bps less for the {which} ({_interval(mean)})"
            yield f"Over {blocks} of time the two cannot be told apart: {less}"
        if execution is not None:
            part = execution if which == "first" else _negative(execution)
            yield f"Of that {part.mean:.2f} bps are execution{f' ({_interval(part)})' if part.low is not None else ''}"
    apart = [name for name, each in comparison.baselines.items() if each is not None]
    if apart:
        yield (
            f"{', '.join(apart)} pay{'s' if len(apart) == 1 else ''} otherwise in the two, so a part of the difference "
            "is that of the rules"
        )
    if not comparison.same_arrivals:
        yield "Arrival mids differ, so the difference is not split, and is measured by the mean of both notionals"


def _negative(each: Interval) -> Interval:
    """The same difference, taken the other way round."""
    low, high = (None if end is None else -end for end in (each.high, each.low))
    return replace(each, mean=-each.mean, low=low, high=high)


def _interval(each: Interval) -> str:
    return f"95 % interval {each.low:.2f} to {each.high:.2f}"
