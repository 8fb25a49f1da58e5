"""The router's policies: what to send at a snapshot, given the parameters of the sweep (model section 2).

A policy is a value: its fields are its switches, which no grid varies. The next one brings its own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Final

from allocator import splits
from allocator.engine import ChildOrder, View
from allocator.errors import AllocatorError
from allocator.money import NANO
from allocator.placement.policy import Placement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from allocator.engine import Policy
    from allocator.order import Infeasible, Pace, Parameters, Reference


def _reference2(view: View, reference: str) -> int | None:
    """Twice the signed price that costs are measured from; None = wait."""
    if reference == "touch":
        return None if view.touch is None else 2 * view.touch
    if reference == "mid":
        return view.mid2
    if reference == "arrival":
        return view.arrival2
    return min((2 * c for c, shares in zip(view.costs, view.available, strict=True) if shares), default=None)


def _check_participation(share: int) -> None:
    if not 1 <= share <= NANO:
        raise AllocatorError(f"participation: expected above 0, up to 1, but it had {share / NANO}")


def _send(view: View, split: tuple[int, ...]) -> Iterable[ChildOrder]:
    return [ChildOrder(v, shares, view.prices[v]) for v, shares in enumerate(split) if shares]


@dataclass(frozen=True, slots=True)
class Static:
    """Take what costs at most tau above the reference (model 2.2).

    Attributes
    ----------
    step : int
        Shares of a lot.
    reference : str
        What prices are measured from: ``touch`` (the lowest cost displayed, whatever is taken of it), ``best`` (the
        lowest that is left), ``mid`` or ``arrival``.
    lots_only : bool
        Send whole lots only.
    participation : int
        1e-9 of the displayed shares of a supply, 1 to 1e9: of a quote that stands it takes no more in all.
    schedule : str
        How much of the order may be sent by a snapshot: ``now`` all of it, ``twap`` and ``pov`` as much as the
        baselines of these names want to have bought (`allocator.pace`).
    """

    unit: ClassVar[int] = 1

    step: int = 100
    reference: Reference = "best"
    lots_only: bool = False
    participation: int = NANO
    schedule: Pace = "now"

    def __post_init__(self) -> None:
        _check_participation(self.participation)

    def decide(self, view: View, remaining: int, parameters: Parameters) -> Iterable[ChildOrder]:
        """Send the split of `splits.static` or `splits.static_lots`; nothing where there is no reference."""
        reference2 = _reference2(view, self.reference)
        if reference2 is None:
            return []
        if self.lots_only:
            split = splits.static_lots(
                view.costs,
                view.available,
                remaining,
                self.step,
                parameters,
                reference2,
                may_exceed=view.can_sell_back,
            )
        else:
            split = splits.static(view.costs, view.available, remaining, parameters.tau, reference2)
        return _send(view, split)


@dataclass(frozen=True, slots=True)
class Pseudocode:
    """The published study's allocator: the whole order in lots, or not at all (model 2.1).

    Attributes
    ----------
    step : int
        Shares of a lot.
    infeasible : str
        What to do at a snapshot without a split: ``sweep`` as `Static` does, or ``wait``.
    reference, lots_only, participation, schedule
        As of `Static`.
    """

    unit: ClassVar[int] = 1

    step: int = 100
    infeasible: Infeasible = "sweep"
    reference: Reference = "best"
    lots_only: bool = False
    participation: int = NANO
    schedule: Pace = "now"

    def __post_init__(self) -> None:
        _check_participation(self.participation)

    @property
    def fallback(self) -> Static | None:
        """What decides at a snapshot without a split; None = wait."""
        return None if self.infeasible == "wait" else Static(self.step, self.reference, self.lots_only)

    def decide(self, view: View, remaining: int, parameters: Parameters) -> Iterable[ChildOrder]:
        """Send the split of `splits.pseudocode`; where there is none, that of the fallback."""
        split = splits.pseudocode(view.costs, view.available, remaining, self.step)
        if split is not None:
            return _send(view, split)
        return [] if self.fallback is None else self.fallback.decide(view, remaining, parameters)


POLICIES: Final[dict[str, type[Any]]] = {"static": Static, "pseudocode": Pseudocode, "placement": Placement}
"""Every policy by name; one that `allocator.runners.COMPILED` does not name runs on the reference engine."""


def make_policy(policy: type[Any], switches: Mapping[str, Any]) -> Policy:
    """Make a policy.

    Parameters
    ----------
    policy : type
        One of `POLICIES`, or another dataclass that decides.
    switches : mapping
        Values by the names of fields; those of other policies are left out.
    """
    return policy(**{field.name: switches[field.name] for field in fields(policy) if field.name in switches})  # type: ignore[no-any-return]
