"""Markets whose truth is known: what a sweep of each says, from its tape to the sentence of its verdict."""

import json

import numpy as np
import pytest
from msgspec import structs

from feed import synthetic
from sweep import verification
from sweep.config.loading import build_config
from sweep.driver import run
from sweep.progress import Silent
from sweep.runs.files import sha256
from sweep.runs.manifest import read_manifest, write_manifest
from tests.support import truth_tapes
from tests.support.plain_judgement import Reading, rows_of
from tests.support.truth_tapes import MID, ORDER, matrix, momentary, tape_of, taus_of, trending

FREE = {"default": {"taker": 0}}
BLOCKS = 24


@pytest.fixture(scope="module")
def sweeping(tmp_path_factory):
    """A function that sweeps the market of some dates' blocks."""
    folder = tmp_path_factory.mktemp("truths")

    def swept(*days, limits, size=100, side="buy", order=None, **keys):
        path = folder / f"{len([*folder.iterdir()])}.csv"
        synthetic.write_csv(tape_of(*days), path)
        grid = {"lambda_over": 0, "lambda_under": 0, "theta_queue": [limit / 1_000 for limit in limits]}
        return run(
            build_config(
                {
                    "source": str(path),
                    "executor": "inline",
                    "fees": FREE,
                    "order": order or {"size": size, "side": side, **ORDER},
                    "grid": grid,
                    **keys,
                }
            )
        )

    return swept


@pytest.fixture(scope="module")
def of_matrix(sweeping):
    """A function that sweeps the market of one matrix for each date."""

    def swept(*savings, **keys):
        keys = {"reference": "mid", "limits": taus_of(len(savings[0][0])), **keys}
        return sweeping(*map(matrix, savings), **keys)

    return swept


def balanced(blocks, columns, reach, seed):
    """(n, N) of whole numbers from -reach to reach, of which each column adds up to 0, in an order that is drawn."""
    draw = np.random.Generator(np.random.PCG64(seed))
    half = draw.integers(1, reach + 1, (blocks // 2, columns))
    odd = np.zeros((blocks % 2, columns), np.int64)
    return draw.permuted(np.concatenate([half, -half, odd]), axis=0)


def span(interval):
    return f"95 % interval {interval['low']:.2f} to {interval['high']:.2f}"


def plain(result, world=None, best=None):
    """The plain reading of a result."""
    grid = result.config.question.grid

    def printed(number):
        return {name: value for name, value in grid.printed(number).items() if name in keys}

    keys = result.document["best_parameters"]
    if best is None:
        number = [n for n in range(len(grid)) if printed(n) == keys]
        best = number[0]
    return Reading(rows_of(result, world, best), printed, result.config.question.orders.horizon)


def test_a_matrix_is_what_each_limit_saves_to_the_last_unit(of_matrix):
    savings = np.random.Generator(np.random.PCG64(5)).integers(-40, 41, (3, 8))
    frame = of_matrix(savings).to_frame()
    at_once = (MID + truth_tapes.HALF) * truth_tapes.TICK * 100
    saved = (at_once - frame["total_cash"].to_numpy()).reshape(3, 8)
    assert (saved == savings * truth_tapes.TICK * 100).all()


def test_the_limit_that_saves_against_every_baseline_in_every_block_is_better(sweeping):
    blocks, premiums = momentary(BLOCKS, np.random.Generator(np.random.PCG64(1)))
    result = sweeping(blocks, limits=[0, 10, 30, 60], size=400, side=["buy", "sell"])
    document, statistics = result.document, result.document["statistics"]
    assert document["best_parameters"]["theta_queue"] == 0.01
    frame = result.orders_frame()
    cash = frame["total_cash"] * np.where(frame["side"] == "buy", 1, -1)
    paid = {name: of.to_numpy() for name, of in cash.groupby(frame["strategy"])}
    for name in statistics["saving_bps"]:
        assert (paid[name] > paid["optimized"]).all()
    # all at once pays for the last 100 of 400 shares 20 ticks and the premium, the limit 9
    saved = [100 * (11 + premium) * truth_tapes.TICK for premium in premiums]
    assert (paid["sweep_now"] - paid["optimized"]).tolist() == saved * 2
    notional = frame["arrival_mid2"][frame["strategy"] == "optimized"].sum() * 400 / 2
    mean, expected = round(1e4 * sum(saved * 2) / notional, 2), 1e4 * 100 * (11 + 19) / (400 * MID)
    for section in (statistics, *statistics["parts"]):
        known = section["saving_bps"]["sweep_now"]
        assert section["against"] == "sweep_now"
        assert section["execution_bps"] == known
        assert known["mean"] == mean
        assert known["low"] < expected < known["high"]
        assert section["best_of"]["p"] < 0.001 + 1e-9
        assert section["confidence_set"]["parameters"] == {"theta_queue": [0.01, 0.01]}
        held_out = section["held_out"]
        assert {fold["best_parameters"]["theta_queue"] for fold in held_out["folds"]} == {0.01}
        assert {fold["against"] for fold in held_out["folds"]} == {"sweep_now"}
        assert held_out["saving_bps"]["strongest"] == known
    assert [part["side"] for part in statistics["parts"]] == ["buy", "sell"]
    for verdict in (document["verdict"], *(part["verdict"] for part in statistics["parts"])):
        known = statistics["saving_bps"]["sweep_now"]
        assert verdict == {
            "kind": "better",
            "winner": {"lambda_over": 0.0, "lambda_under": 0.0, "theta_queue": 0.01},
            "against": "sweep_now",
            "sentence": (
                f"On blocks held out the best combination saves {mean:.2f} bps against sweep_now ({span(known)}; "
                f"adjusted p below 0.001 over 4 combinations); over all blocks its execution part is {mean:.2f} bps "
                f"({span(known)})."
            ),
        }


def test_where_no_parameter_matters_the_verdict_is_flat(of_matrix):
    result = of_matrix(balanced(BLOCKS, 4, 30, 1), reference="touch")
    assert result.document["statistics"]["distinct"] == 1
    assert result.document["verdict"] == {
        "kind": "flat",
        "winner": None,
        "against": "best_ask",
        "sentence": (
            "All 4 combinations give the same result, so on this data the parameters do not matter; in each of 24 "
            "blocks the best of 4 combinations costs just what best_ask costs."
        ),
    }


def test_differences_below_what_can_be_detected_are_flat(of_matrix):
    """All limits save the same noise, and a tick more or less; the last one most, .05 ticks on average."""
    savings = balanced(BLOCKS, 1, 30, 2) + balanced(BLOCKS, 4, 1, 3)
    savings[0, 3] += 1
    result = of_matrix(savings)
    statistics, verdict = result.document["statistics"], result.document["verdict"]
    assert statistics["distinct"] == 4
    assert statistics["confidence_set"]["combinations"] == 4
    means = savings.mean(axis=0) / 10  # bps
    assert statistics["span_bps"] == round(means.max() - means.min(), 2)
    known, detectable = statistics["saving_bps"]["best_ask"], statistics["detectable_bps"]
    assert statistics["span_bps"] < 0.05 < detectable
    assert known["mean"] == round(means[3], 2)
    assert (verdict["kind"], verdict["winner"]) == ("flat", None)
    assert verdict["sentence"].startswith(
        "No combination can be told from the best, and from best to worst the grid spans "
    )
    assert verdict["sentence"].endswith(
        f" bps, below the {detectable:.2f} bps that 24 blocks can show: the parameters hardly matter; 24 blocks do "
        f"not show that the best of 4 combinations saves anything against best_ask (in sample {means[3]:.2g} bps, "
        f"{span(known)}; adjusted p {statistics['best_of']['p']:.3f})."
    )


@pytest.mark.parametrize(("direction", "gains", "loses"), [(-1, "buy", "sell"), (1, "sell", "buy")])
def test_waiting_in_a_trend_is_drift_on_one_side_and_nothing_on_both(sweeping, direction, gains, loses):
    blocks = trending(balanced(BLOCKS, 2, 8, 4), direction)
    result = sweeping(blocks, limits=[0, 20, 50], side=["buy", "sell"], reference="arrival")
    document = result.document
    parts = {part["side"]: part for part in document["statistics"]["parts"]}
    drift = parts[gains]
    assert drift["best_parameters"]["theta_queue"] == 0.0
    known, execution = drift["saving_bps"]["best_ask"], drift["execution_bps"]
    assert known["mean"] == pytest.approx(6, abs=0.06)  # 60 ticks of a mid that is MID but for 2 %
    assert abs(execution["mean"]) <= 0.01
    assert drift["best_of"]["p"] < 0.001 + 1e-9
    assert drift["verdict"] == {
        "kind": "drift",
        "winner": None,
        "against": "best_ask",
        "sentence": (
            f"On blocks held out the best combination saves {known['mean']:.2f} bps against best_ask ({span(known)}; "
            "adjusted p below 0.001 over 3 combinations); its execution part over all blocks, "
            f"{execution['mean']:.2f} bps ({span(execution)}), cannot be told from 0, so the saving may be no more "
            "than what the price did while orders waited."
        ),
    }
    # who waits on the other side is left with the end of the trend, and on both sides loses more than it gains
    assert parts[loses]["verdict"]["kind"] == document["verdict"]["kind"] == "not enough data"
    for section in (document, parts[loses]):
        assert section["best_parameters"]["theta_queue"] == 0.05
        assert section["verdict"]["winner"] is None
        assert section["verdict"]["sentence"] == (
            "In each of 24 blocks the best of 3 combinations costs just what best_ask costs."
        )


def test_a_saving_whose_execution_part_is_a_loss_is_what_the_price_did(sweeping):
    result = sweeping(trending(balanced(BLOCKS, 2, 4, 4), -1, shift=6), limits=[0, 20, 50], reference="arrival")
    statistics, verdict = result.document["statistics"], result.document["verdict"]
    assert statistics["saving_bps"]["best_ask"]["mean"] == pytest.approx(6, abs=0.06)
    execution = statistics["execution_bps"]
    assert execution["mean"] == pytest.approx(-0.6, abs=0.011)
    assert (verdict["kind"], verdict["winner"]) == ("drift", None)
    assert verdict["sentence"].endswith(
        f"; its execution part over all blocks, {execution['mean']:.2f} bps ({span(execution)}), is a loss, so the "
        "saving is what the price did while orders waited."
    )


def test_where_all_combinations_lose_the_verdict_is_worse(of_matrix):
    savings = balanced(BLOCKS, 4, 8, 5) - [30, 25, 10, 20]
    result = of_matrix(savings)
    document = result.document
    assert document["best_parameters"]["theta_queue"] == taus_of(4)[2] / 1_000
    known = document["statistics"]["saving_bps"]["best_ask"]
    assert known["mean"] == -1
    assert document["statistics"]["best_of"]["beat_it"] == 0
    more = f"95 % interval {-known['high']:.2f} to {-known['low']:.2f} more"
    assert document["verdict"] == {
        "kind": "worse",
        "winner": None,
        "against": "best_ask",
        "sentence": f"Even the best of 4 combinations costs 1.00 bps more than best_ask ({more}).",
    }


def test_the_only_combination_may_be_worse_than_one_baseline_alone(sweeping):
    """Who takes nothing above the touch pays as much as best_ask, and more than who takes all at once."""
    blocks, _ = momentary(BLOCKS, np.random.Generator(np.random.PCG64(1)))
    document = sweeping(blocks, limits=[0], size=400).document
    known = document["statistics"]["saving_bps"]
    assert known["best_ask"] == {"mean": 0.0, "low": 0.0, "high": 0.0, "standard_error": 0.0}
    cost = known["sweep_now"]
    assert (document["verdict"]["kind"], document["verdict"]["against"]) == ("worse", "sweep_now")
    assert document["verdict"]["sentence"] == (
        f"The only combination costs {-cost['mean']:.2f} bps more than sweep_now (95 % interval {-cost['high']:.2f} to "
        f"{-cost['low']:.2f} more)."
    )


def test_fewer_than_20_blocks_are_too_few_whatever_they_show(of_matrix):
    result = of_matrix(balanced(19, 4, 2, 6) + 50)
    statistics = result.document["statistics"]
    assert statistics["saving_bps"]["best_ask"] == {"mean": 5.0, "low": None, "high": None, "standard_error": None}
    for name in ("distinct", "best_of", "confidence_set", "corrected_bps", "pbo", "detectable_bps", "held_out"):
        assert statistics[name] is None
    assert result.document["verdict"] == {
        "kind": "not enough data",
        "winner": None,
        "against": "best_ask",
        "sentence": "19 blocks of time are too few for an interval, which needs 20: about 1 more day at 19 a day.",
    }


def test_noise_is_not_enough_data(of_matrix):
    """Three limits are noise about 0, the fourth one loses, so that the parameters do matter."""
    savings = balanced(BLOCKS, 4, 30, 7) - [0, 0, 0, 40]
    savings[3, 1] += 24  # .1 bps: it is best
    result = of_matrix(savings)
    statistics, verdict = result.document["statistics"], result.document["verdict"]
    known, days = statistics["saving_bps"]["best_ask"], statistics["days_for_bps"]
    assert known["mean"] == 0.1
    assert statistics["best_of"]["p"] > 0.05
    assert (verdict["kind"], verdict["winner"]) == ("not enough data", None)
    assert verdict["sentence"] == (
        "24 blocks do not show that the best of 4 combinations saves anything against best_ask (in sample 0.10 bps, "
        f"{span(known)}; adjusted p {statistics['best_of']['p']:.3f}); with 24 blocks a saving of "
        f"{statistics['detectable_bps']:.2f} bps or more would show (80 % power); days needed in all: {days['0.2']} "
        f"for 0.2 bps, {days['0.5']} for 0.5 bps, {days['1']} for 1 bps."
    )


def test_what_other_blocks_do_not_confirm_is_not_enough_data(of_matrix):
    """One limit saves 10 ticks or so in every block; each of the others saves more, but loses in a fifth of them."""
    savings = np.full((25, 6), 12)
    savings[:, 0] = 10 + balanced(25, 1, 2, 8)[:, 0]
    for fold in range(5):
        savings[5 * fold : 5 * fold + 5, fold + 1] = -60
    result = of_matrix(savings)
    document, statistics = result.document, result.document["statistics"]
    assert document["best_parameters"]["theta_queue"] == taus_of(6)[0] / 1_000
    assert statistics["saving_bps"]["best_ask"]["mean"] == 1.0
    assert statistics["saving_bps"]["best_ask"]["low"] > 0
    folds = statistics["held_out"]["folds"]
    assert [fold["best_parameters"]["theta_queue"] for fold in folds] == [tau / 1_000 for tau in taus_of(6)[1:]]
    assert [(fold["in_sample_bps"], fold["saved_bps"]) for fold in folds] == [(1.2, -6.0)] * 5
    assert (document["verdict"]["kind"], document["verdict"]["winner"]) == ("not enough data", None)
    assert document["verdict"]["sentence"].startswith(
        "In sample the best of 6 combinations beats best_ask (adjusted p below 0.001), but held out its saving of "
        "-6.00 bps (95 % interval -6.00 to -6.00) is below 0; with 25 blocks a saving of "
    )


def test_too_few_blocks_held_out_confirm_nothing(of_matrix):
    """The second of two dates is tested, with 12 blocks, whatever they show."""
    days = [np.add(balanced(12, 4, 2, seed), [30, 10, 10, 10]) for seed in (6, 7)]
    document = of_matrix(*days, validate="rolling").document
    assert document["statistics"]["held_out"]["saving_bps"]["strongest"]["mean"] == 3.0
    assert (document["verdict"]["kind"], document["verdict"]["winner"]) == ("not enough data", None)
    assert document["verdict"]["sentence"].startswith(
        "In sample the best of 4 combinations beats best_ask (adjusted p below 0.001), but 12 blocks held out are too "
        "few to confirm it, which takes 20; with 24 blocks a saving of "
    )


def of_days(days, blocks, seed):
    """Matrices whose best limit changes from date to date, and noise."""
    draw = np.random.Generator(np.random.PCG64(seed))
    return [draw.integers(-30, 31, (blocks, 5)) + draw.integers(-10, 31, 5) for _ in range(days)]


@pytest.mark.parametrize(
    ("validation", "days"),
    [("folds=4", 3), ("rolling", 3), ("anchored", 3), ("leave_one_day_out", 3), ("rolling", 1), ("anchored", 1)],
)
def test_savings_are_those_of_blocks_that_did_not_choose(of_matrix, validation, days):
    result = of_matrix(*of_days(days, 24 // days, 6), validate=validation)
    reading = plain(result)
    (_, _, groups), *_ = reading.parts()
    expected = reading.held_out(groups, validation)
    document = result.document
    assert document["statistics"]["held_out"] == expected
    assert document["savings_are"] == f"held out by {validation}"
    assert document["savings_vs_baselines_bps"] == expected["savings_vs_baselines_bps"]
    assert len({json.dumps(fold["best_parameters"]) for fold in expected["folds"]}) > 1
    assert document["savings_in_sample_bps"]["best_ask"] != expected["savings_vs_baselines_bps"]["best_ask"]


def drawn(draw, name, seconds, date):
    """A tape of a market without any pattern: mids, distances and sizes are drawn each second, some quotes are gone."""
    mids = MID + draw.integers(-15, 16, len(seconds)).cumsum()
    halves, sizes = draw.integers(2, 40, (len(seconds), 3)), 100 * draw.integers(0, 8, (len(seconds), 3))
    sizes[:, 0] += 100
    frames = [
        truth_tapes.Frame(mid, tuple(zip(half, size, strict=True)))
        for mid, half, size in zip(mids.tolist(), halves.tolist(), sizes.tolist(), strict=True)
    ]
    return truth_tapes.tape_at([(date, second, frame) for second, frame in zip(seconds, frames, strict=True)], name)


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    """A folder of two symbols on two dates, of which the second symbol begins later and ends sooner."""
    folder, draw = tmp_path_factory.mktemp("drawn"), np.random.Generator(np.random.PCG64(3))
    for date in range(2):
        for name, seconds in (("AAPL", range(90)), ("MSFT", range(5, 80))):
            synthetic.write_csv(drawn(draw, name, seconds, date), folder / f"{name}-{date}.csv")
    return folder


DRAWN = {
    "order": {"side": ["buy", "sell"], "size": [200, 900], "every": "6s", "horizon": "4s"},
    "fees": {"default": {"taker": 0.003}, "38": {"taker": -0.001}},
    "grid": {
        "reference": ["touch", "mid"],
        "lambda_over": [0, 1],
        "lambda_under": 0,
        "theta_queue": [0, 0.004, 0.008, 0.012, 0.016, 0.02, 0.03],
    },
}


def of_market(market, **keys):
    return build_config({"source": str(market), "executor": "inline", **DRAWN, **keys})


def judged_as_read(document, reading, validation=None):
    """Compare all that is said of the parts of a world's orders with the plain reading of it."""
    sections = [{**document, **document["statistics"]}, *document["statistics"]["parts"]]
    parts = [*reading.parts()]
    assert len(parts) == len(sections)
    for section, (side, size, groups) in zip(sections, parts, strict=True):
        expected, kind = reading.figures(groups, validation)
        assert {name: section[name] for name in expected} == expected
        assert section["best_parameters"] == reading.printed(reading.best(groups))
        assert section["verdict"]["kind"] == kind
        assert section["verdict"]["against"] == expected["against"]
        assert section["verdict"]["winner"] == (section["best_parameters"] if kind == "better" else None)
        assert (section.get("side"), section.get("size")) == (side, size)


def test_every_figure_is_that_of_a_plain_reading_of_the_rows(market):
    result = run(of_market(market, detail=[15, 16, 17]))  # what is best of some of the orders, and not of all
    judged_as_read(result.document, plain(result))
    statistics = result.document["statistics"]
    parts = [statistics, *statistics["parts"]]
    assert {part["against"] for part in parts} == {"touch", "pov"}
    assert {part["distinct"] for part in parts} == {13, 14}
    assert len({json.dumps(part["best_parameters"]) for part in statistics["parts"]}) == 4
    assert len({part["best_of"]["beat_it"] for part in parts}) == len({part["skewness"] > 1 for part in parts}) + 1 == 3


def without(section, name):
    """A section of a document but for an axis that only a sweep of several worlds names."""
    if isinstance(section, dict):
        return {key: without(value, name) for key, value in section.items() if key != name}
    return [without(each, name) for each in section] if isinstance(section, list) else section


def test_each_world_is_judged_as_it_is_alone_in_classes_and_without(market):
    keys = {"symbol": "AAPL", "reference": "mid", "order": {**DRAWN["order"], "size": 900}}
    grid = {**DRAWN["grid"]}
    del grid["reference"]
    rules = ("persist", "refresh")
    together = run(of_market(market, **keys, grid={**grid, "liquidity": rules})).document
    alone = [
        run(of_market(market, **keys, grid=grid, liquidity=rule, collapse=collapse)).document
        for rule, collapse in zip(rules, (True, False), strict=True)
    ]
    assert [world["market"]["liquidity"] for world in together["worlds"]] == [*rules]
    for name in ("verdict", "statistics"):
        assert [without(world[name], "liquidity") for world in together["worlds"]] == [each[name] for each in alone]
        assert together[name] == together["worlds"][0][name]
    assert alone[0]["statistics"]["saving_bps"] != alone[1]["statistics"]["saving_bps"]


def altered(home, change):
    """What verification says of a stored document that somebody changed, and its hash with it."""
    path = home / "result.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    manifest = read_manifest(home)
    write_manifest(home, structs.replace(manifest, files={**manifest.files, path.name: sha256(path)}))
    return verification.verify(home, [], Silent(), sample=1)


def test_a_stored_verdict_is_verified(of_matrix, tmp_path):
    savings = balanced(BLOCKS, 4, 8, 5) - [30, 25, 10, 20]
    home = of_matrix(savings, output=str(tmp_path), validate="folds=4").home
    report = verification.verify(home, [], Silent())
    assert report["identical"]
    assert {"verdict", "statistics", "savings_are", "savings_in_sample_bps"} <= {*report["checked"]["document"]}

    def flattering(document):
        document["verdict"] |= {"kind": "better", "winner": document["best_parameters"]}

    report = altered(home, flattering)
    assert not report["identical"]
    assert [each["where"] for each in report["differs"]] == ["verdict"]
    assert report["differs"][0]["stored"]["kind"] == "better"
    assert report["differs"][0]["found"]["kind"] == "worse"

    def closer(document):
        document["statistics"]["held_out"]["folds"][0]["saved_bps"] += 0.01

    report = altered(home, closer)
    assert [each["where"] for each in report["differs"]] == ["verdict", "statistics"]
