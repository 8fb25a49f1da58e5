"""A market that only drifts: what is saved by timing turns with the side, what is saved by execution does not move.

All venues publish at every instant, and every price changes there by more than the drift, so that a drift of whole
ticks only shifts each book: every strategy takes the same shares at the same instants, at prices shifted with the mid.
"""

import numpy as np
import pytest

from feed import synthetic
from feed.tape import Tape
from sweep.config.loading import build_config
from sweep.driver import run

SECONDS = 1_200
VENUES = (2, 43, 38)
TICK = 10**6
"""0.001 $, in 1e-9 $."""

MID = 100_000
UP_AND_DOWN = 50
"""Ticks that the mid goes up at every other instant, and down again at the next: more than spreads and drifts take."""

PARTS = ("timing", "spread", "fees", "leftover")
ORDERS = {"size": [1_000, 4_000], "every": "1m", "horizon": "5m"}


def tape_of(drift):
    """A tape whose prices rise by so many ticks a second; sizes and spreads are drawn, the same on both sides."""
    draw = np.random.Generator(np.random.PCG64(4))
    seconds, shape = np.arange(SECONDS), (SECONDS, len(VENUES))
    mid = MID + UP_AND_DOWN * (seconds % 2) + drift * seconds
    half = draw.integers(5, 40, shape)
    sizes = draw.integers(1, 9, shape).astype(np.int32).ravel() * 100
    ts = synthetic.STARTS + seconds * 10**9
    return Tape.build(
        "DRIFT",
        ts=np.repeat(ts, len(VENUES)),
        venue=np.tile(np.array(VENUES, np.int16), SECONDS),
        bid_px=((mid[:, None] - half) * TICK).ravel(),
        ask_px=((mid[:, None] + half) * TICK).ravel(),
        bid_sz=sizes,
        ask_sz=sizes,
        sequence=np.arange(SECONDS * len(VENUES)),
    )


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The result of a drift and a side, or of both sides."""
    folder, results = tmp_path_factory.mktemp("drift"), {}

    def sweeping(drift, side):
        if (drift, str(side)) not in results:
            path = folder / f"{drift}.csv"
            synthetic.write_csv(tape_of(drift), path)
            tree = {"source": str(path), "executor": "inline", "order": {**ORDERS, "side": side}}
            grid = {"lambda_over": 0, "lambda_under": 0, "theta_queue": 0.02}
            results[drift, str(side)] = run(build_config({**tree, "grid": grid}))
        return results[drift, str(side)]

    return sweeping


def exact(result):
    """The parts of each order of each strategy that trades over its whole span, half 1e-9 $.

    What `sweep_now` leaves at an order's start is valued at its end, so that the drift is in its leftover.
    """
    frame = result.orders_frame()
    frame = frame[~frame["strategy"].isin(["clairvoyant", "sweep_now"])].reset_index(drop=True)
    assert (frame["filled"] == frame["size"]).all()
    return frame


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("drift", [1, -1, 3])
def test_execution_is_the_same_share_by_share_and_timing_is_linear_in_the_drift(swept, drift, side):
    still, moved, one = (exact(swept(ticks, side)) for ticks in (0, drift, 1))
    assert len(still) == 30 * len({*still["strategy"]})
    assert {"optimized", "best_ask", "twap", "vwap", "best_available", "pov", "pro_rata", "touch"} == {
        *still["strategy"]
    }
    for name in ("strategy", "start", "size", "filled", "fees", "first_fill", "last_fill"):
        assert moved[name].tolist() == still[name].tolist()
    for part in ("spread", "fees", "leftover"):
        assert moved[f"shortfall_{part}"].tolist() == still[f"shortfall_{part}"].tolist()
    change = moved["shortfall_timing"] - still["shortfall_timing"]
    per_tick = one["shortfall_timing"] - still["shortfall_timing"]
    assert (change == drift * per_tick).all()
    sign = 1 if side == "buy" else -1
    twap = moved["strategy"] == "twap"
    assert (sign * drift * change[twap] > 0).all()
    # and what is paid moves with the drift of the fills: cash, twice, by the arrival's and the timing's
    arrival = (moved["arrival_mid2"] - still["arrival_mid2"]) * moved["size"]
    assert (2 * (moved["total_cash"] - still["total_cash"]) == arrival + sign * change).all()


@pytest.mark.parametrize("drift", [1, -1])
def test_timing_saved_against_twap_turns_with_the_side_and_execution_stays(swept, drift):
    saved = {
        (ticks, side): swept(ticks, side).document["shortfall"]["savings_parts_bps"]["twap"]
        for ticks in (0, drift)
        for side in ("buy", "sell")
    }
    buy, sell = saved[drift, "buy"], saved[drift, "sell"]
    assert drift * buy["timing"] > 5
    assert drift * sell["timing"] < -5
    assert abs(buy["timing"] + sell["timing"]) < 0.5
    for side in ("buy", "sell"):
        still = saved[0, side]
        assert abs(still["timing"]) < 1.5
        # the baseline's cash, of which these are basis points, moves by the drift, 1.2 $ of 100 $ at the most; and what
        # is printed is a rounded total less a rounded timing
        assert saved[drift, side]["execution"] == pytest.approx(still["execution"], abs=0.021)
        assert still["execution"] < -0.5  # it pays more than the touch at once, with and without drift
        assert saved[drift, side]["total"] == pytest.approx(
            saved[drift, side]["timing"] + saved[drift, side]["execution"], abs=0.01
        )
    lines = {side: " ".join(swept(drift, side).document["warnings"]) for side in ("buy", "sell")}
    assert "a sell over the same data shows it with the other sign" in lines["buy"]
    assert "a buy over the same data shows it with the other sign" in lines["sell"]


def test_both_sides_in_one_sweep_have_no_drift_in_their_timing(swept):
    """The book is symmetric: what a buy gains by waiting less, the sell of the same minute loses, to the last unit."""
    still, moved = (exact(swept(ticks, ["buy", "sell"])) for ticks in (0, 3))
    for strategy, frame in moved.groupby("strategy"):
        before = still[still["strategy"] == strategy]
        assert frame["shortfall_timing"].sum() == before["shortfall_timing"].sum()
        buys, bought = (each[each["side"] == "buy"]["shortfall_timing"].sum() for each in (frame, before))
        assert buys > bought
    document = swept(3, ["buy", "sell"]).document
    assert not any("timing is most" in line for line in document["warnings"])
    parts, before = (swept(t, ["buy", "sell"]).document["shortfall"]["savings_parts_bps"]["twap"] for t in (3, 0))
    assert parts["timing"] == pytest.approx(before["timing"], abs=0.05)
    assert parts["execution"] == pytest.approx(before["execution"], rel=0.04, abs=0.01)
