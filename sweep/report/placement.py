"""The document's `placement`: what the policy decided and sent, and how good its predictions were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from allocator.money import NANO, rounded
from allocator.order import NEUTRAL

if TYPE_CHECKING:
    from allocator.order import Rules
    from sweep.statistics import Placing, Reliability, Resting

SHARE: Final = 4
"""Decimals of a probability, and of dollars per share."""

SCORE: Final = 6
"""Decimals of a Brier score."""


def placement_section(placing: Placing, rules: Rules, *, printed: bool) -> dict[str, Any]:
    """What a combination of the policy placed.

    Parameters
    ----------
    placing : Placing
    rules : Rules
        As it was simulated.
    printed : bool
        Whether trades are known of all tapes.
    """
    whole, decided, calibration = placing.whole, placing.decided, placing.calibration
    return {
        "queues": {
            "phi": "neutral" if rules.phi == NEUTRAL else rules.phi / NANO,
            "rho": None if printed else rules.rho / NANO,
        },
        "decisions": {
            "slices": placing.slices,
            "fallback": placing.fallback,
            "rows": rounded(placing.rows, decided, 2) if decided else None,
            "effective_rows": rounded(placing.effective, decided * NANO, 2) if decided else None,
        },
        "violations": dict(placing.violated),
        "limit_orders": _resting(whole),
        "venues": {str(venue): _resting(each) for venue, each in placing.venues.items()},
        "cost": {
            name: rounded(getattr(placing, name), 2 * NANO, 2) if decided and placing.bounded else None
            for name in ("predicted", "realised")
        },
        "calibration": {
            **_reliability(calibration.whole),
            "bins": [
                {"from": at / len(calibration.bins), "to": (at + 1) / len(calibration.bins), **_rates(each)}
                for at, each in enumerate(calibration.bins)
            ],
            "venues": {str(venue): _reliability(each) for venue, each in calibration.venues.items()},
            "terciles": [_reliability(each) for each in calibration.terciles],
            "no_better": bool(calibration.whole.orders) and calibration.whole.no_better,
            "sentence": sentence(calibration.whole),
        },
    }


def _resting(each: Resting) -> dict[str, Any]:
    """Limit orders of a venue, or of all; mark-outs and fees per share of the same fills, both in $."""
    filled = each.filled
    return {
        "sent": each.sent,
        "refused": each.refused,
        "shares": each.shares,
        "expected": rounded(each.expected, NANO, 2),
        "filled": filled,
        "through_percent": rounded(100 * each.through, filled, 2) if filled else None,
        "fill_rate_percent": rounded(100 * filled, each.shares, 2) if each.shares else None,
        "passive_percent": rounded(100 * filled, each.all_filled, 2) if each.all_filled else None,
        "fees": rounded(each.fees, NANO, 2),
        "fees_per_share": rounded(each.fees, filled * NANO, SHARE) if filled else None,
        "mark_out_per_share": {
            f"{seconds}s": rounded(moved, 2 * shares * NANO, SHARE) if shares else None
            for seconds, (moved, shares) in each.mark_outs.items()
        },
    }


def _rates(each: Reliability) -> dict[str, Any]:
    """How often complete fills were predicted, and how often they were."""
    count = each.orders
    return {
        "orders": count,
        "predicted": rounded(each.predicted, count * NANO, SHARE) if count else None,
        "realised": rounded(each.complete, count, SHARE) if count else None,
    }


def _reliability(each: Reliability) -> dict[str, Any]:
    count = each.orders
    return {
        **_rates(each),
        "brier": rounded(each.squares, count * NANO**2, SCORE) if count else None,
        "brier_of_base_rate": rounded(each.complete * (count - each.complete), count**2, SCORE) if count else None,
    }


def sentence(whole: Reliability) -> str:
    """What may be said of predictions of complete fills."""
    count = whole.orders
    if not count:
        return "no limit order was sent, so that no prediction of a fill can be judged"
    orders = f"{count:,} limit order{'' if count == 1 else 's'}"
    if whole.of_one_kind:
        return (
            f"{'none' if not whole.complete else 'each'} of {orders} was filled wholly, "
            "so that predictions of fills cannot be told from the base rate"
        )
    own, base = _score(whole.squares, count * NANO**2), _score(whole.complete * (count - whole.complete), count**2)
    return (
        f"predictions of fills are {'no ' if whole.no_better else ''}better than their base rate of "
        f"{rounded(100 * whole.complete, count, 2):.2f} % (Brier score {own} against {base}, {orders})"
    )


def _score(numerator: int, denominator: int) -> str:
    return f"{rounded(numerator, denominator, SHARE):.4f}"
