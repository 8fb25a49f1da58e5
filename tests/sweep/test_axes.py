"""Axes beyond the router's parameters: each value is a sweep of its own, and a document that compares them."""

import itertools

import numpy as np
import pytest

from feed import synthetic
from feed.tape import DAY, QUOTE_DTYPES, Tape
from sweep import tasks, verification
from sweep.config.loading import build_config, load_config
from sweep.driver import resume, run
from sweep.errors import ConfigError
from sweep.forecast import forecast
from sweep.progress import Silent
from sweep.result import AXIS_COLUMN
from sweep.search import MARKET
from tests.sweep.runs.test_store import cut_short

ORDERS = {"side": ["buy", "sell"], "size": [300, 2000], "every": "3s", "horizon": "4s"}
TABLES = {"now": {"default": {"taker": 0.003}}, "uneven": {"2": {"taker": 0.01}, "default": {"taker": -0.001}}}
ALONE = {
    "policy": ["static", "pseudocode"],
    "reference": ["touch", "mid", "arrival", "best"],
    "liquidity": ["persist", "refresh"],
    "fees": TABLES,
    "depth": [1, 3, 5],
    "max_age": ["1s", None],
    "uncross": [True, False],
    "participation": [1.0, 0.3],
    "schedule": ["now", "pov"],
    "latency": {"none": 0, "near": "3ms", "far": {"default": ["5ms", "200ms"], "2": "1ms", "seed": 4}},
}
"""Axes, and values of each that matter on the stream."""


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """A file of a stream of five levels."""
    path = tmp_path_factory.mktemp("axes") / "day.csv.gz"
    synthetic.write_csv(synthetic.generate(seed=3, seconds=12.0, warmup=2.0, levels=5), path)
    return path


def config_of(source, **keys):
    return build_config({"source": str(source), "executor": "inline", "depth": 5, "order": ORDERS, **keys})


def asked(source, grid, **keys):
    depth = {} if "depth" in grid else {"depth": 5}
    return build_config({"source": str(source), "executor": "inline", "order": ORDERS, **depth, "grid": grid, **keys})


def values_of(name):
    values = ALONE[name]
    return values.items() if isinstance(values, dict) else [(value, value) for value in values]


def without_run(document):
    return {name: section for name, section in document.items() if name not in {"run", "rules", "feed"}}


@pytest.mark.parametrize("name", ALONE)
def test_each_value_of_an_axis_has_the_rows_of_a_sweep_of_its_own(day, name):
    together, split = (run(asked(day, {name: ALONE[name]}, collapse=collapse)) for collapse in (True, False))
    assert split.table.tobytes() == together.table.tobytes()
    assert without_run(split.document) == without_run(together.document)
    rows, differ = together.table, set()
    for number, (label, value) in enumerate(values_of(name)):
        keys = {} if name == "depth" else {"depth": 5}
        alone = run(build_config({"source": str(day), "executor": "inline", "order": ORDERS, **keys, name: value}))
        own = rows[(rows[:, 2] >= 27 * number) & (rows[:, 2] < 27 * (number + 1))].copy()
        own[:, 2] -= 27 * number
        assert own.tobytes() == alone.table.tobytes()
        differ.add(own.tobytes())
        frame = together.to_frame()
        shown = frame[AXIS_COLUMN.get(name, name)][frame["combination"] == 27 * number]
        assert shown.isna().all() if label is None else (shown == label).all()
        if name in MARKET:
            world = together.document["worlds"][number]
            assert world["market"] == {name: label}
            document = alone.document
            assert world["best_parameters"] == {**document["best_parameters"], name: label}
            for key in ("optimized", "baselines", "savings_vs_baselines_bps", "objective", "shortfall"):
                assert world[key] == document[key], key
            assert world["cells"] == document["orders"]["cells"]
    assert len(differ) == len(ALONE[name])  # each of them matters here


def test_the_document_is_about_the_first_world(day):
    grid = {"liquidity": ["refresh", "persist"], "reference": ["mid", "touch"]}
    together = run(asked(day, grid)).document
    alone = run(asked(day, {"reference": ["mid", "touch"]}, liquidity="refresh")).document
    first = {**alone, "sensitivity": None, "best_parameters": {**alone["best_parameters"], "liquidity": "refresh"}}
    apart = dict.fromkeys(("worlds", "verdict", "statistics"))
    assert without_run(together) | apart == without_run(first) | apart
    assert together["verdict"] == alone["verdict"]
    sections = [each["statistics"] for each in (together, alone, together["worlds"][0])]
    savings = [[part["saving_bps"] for part in (section, *section["parts"])] for section in sections]
    assert savings[0] == savings[1] == savings[2]
    assert together["rules"] == {**alone["rules"], "liquidity": ["refresh", "persist"]}
    one, other = together["worlds"]
    assert one["first_best"]["savings_vs_baselines_bps"] == together["savings_vs_baselines_bps"]
    assert (
        other["first_best"]["savings_vs_baselines_bps"] == alone["sensitivity"]["persist"]["savings_vs_baselines_bps"]
    )
    assert "worlds" not in alone


def test_axes_and_conditions_together_are_the_rows_of_each(day):
    grid = {"reference": ["touch", "mid"], "liquidity": ["persist", "refresh"], "fees": TABLES, "depth": [5, 1]}
    everything = run(asked(day, grid))
    frame = everything.to_frame()
    conditions = [
        "lambda_over < lambda_under",
        "depth == 5 or reference == 'mid'",
        "not (depth == 1 and fees == 'now')",
    ]
    some = run(asked(day, grid, where=conditions))
    wanted = (
        (frame["lambda_over"] < frame["lambda_under"])
        & ((frame["depth"] == 5) | (frame["reference"] == "mid"))
        & ~((frame["depth"] == 1) & (frame["fee_table"] == "now"))
    )
    expected = frame[wanted].drop(columns="combination").reset_index(drop=True)
    assert 0 < len(expected) < len(frame)
    assert some.to_frame().drop(columns="combination").equals(expected)
    numbers = some.to_frame().groupby(["tape", "order"])["combination"].apply(list)
    assert all(each == list(range(len(some.config.question.grid))) for each in numbers)
    worlds = {tuple(world["market"].values()): world for world in everything.document["worlds"]}
    kept = {tuple(world["market"].values()): world for world in some.document["worlds"]}
    assert set(worlds) - set(kept) == {("persist", "now", 1), ("refresh", "now", 1)}
    for point, world in kept.items():
        assert world["baselines"] == worlds[point]["baselines"]
        assert world["objective"]["combinations"] <= worlds[point]["objective"]["combinations"]
    for world in some.document["worlds"]:
        of_world = expected
        for name, value in world["market"].items():
            of_world = of_world[of_world[AXIS_COLUMN.get(name, name)] == value]
        names = ["reference", "lambda_over", "lambda_under", "theta_queue"]
        signs = np.where(of_world["order"] < of_world["order"].max() // 2 + 1, 1, -1)
        paid = (of_world["total_cash"] * signs).groupby([of_world[name] for name in names], sort=False).sum()
        filled = of_world.groupby(names, sort=False)["filled"].sum()
        enough = filled >= world["baselines"]["best_ask"]["filled"]
        best = paid[enough].idxmin()
        assert tuple(world["best_parameters"][name] for name in names) == best


@pytest.mark.parametrize("done", [2, 30])
def test_a_run_with_axes_is_resumed_where_it_was(day, tmp_path, done):
    grid = {"liquidity": ["persist", "refresh"], "depth": [1, 5]}
    keys = {"where": "lambda_over <= lambda_under", "order": {"size": [300], "every": "5s", "horizon": "6s"}}
    whole = run(asked(day, grid, **keys))
    home, _ = cut_short(asked(day, grid, output=str(tmp_path), **keys), done)
    again = resume(home)
    assert again.table.tobytes() == whole.table.tobytes()
    assert without_run(again.document) == without_run(whole.document)
    assert again.orders_frame().equals(whole.orders_frame())
    assert verification.verify(home, progress=Silent(), sample=40)["identical"]


def test_a_changed_row_of_any_variant_is_noticed(day, tmp_path, monkeypatch):
    result = run(asked(day, {"liquidity": ["persist", "refresh"], "depth": [1, 5]}, output=str(tmp_path)))
    original = verification.read_table
    for number in (0, 27, 54, 107):
        at = int(np.flatnonzero(result.table[:, 2] == number)[-1])

        def changed(*arguments, at=at):
            table = original(*arguments).copy()
            table[at, [3 + 3, 3 + 7]] += 1  # cash filled and total cash
            return table

        monkeypatch.setattr(verification, "read_table", changed)
        checked = verification.verify(result.home, progress=Silent(), sample=10**6)
        assert not checked["identical"]
        assert [each["where"]["combination"] for each in checked["differs"] if each["what"] == "row"] == [number]


def test_worlds_of_several_tapes_add_up(day, tmp_path):
    tape = synthetic.generate(seed=4, seconds=15.0, warmup=2.0, levels=5)
    columns = {column: getattr(tape, column) for column in QUOTE_DTYPES}
    paths = [tmp_path / "one.csv.gz", tmp_path / "two.csv.gz"]
    synthetic.write_csv(Tape.build("AAPL", **columns), paths[0])
    synthetic.write_csv(Tape.build("AAPL", **columns | {"ts": tape.ts + DAY}), paths[1])
    grid = {"liquidity": ["persist", "refresh"]}
    together = run(asked(tmp_path, grid, depth=1))
    each = [run(asked(path, grid, depth=1)).document for path in paths]
    assert together.document["orders"]["days"] == 2
    for world, *alone in zip(together.document["worlds"], *(document["worlds"] for document in each), strict=True):
        cash = [one["baselines"]["twap"]["total_cash"] for one in alone]
        assert world["baselines"]["twap"]["total_cash"] == pytest.approx(sum(cash), abs=0.02)
    orders = together.orders_frame()
    assert sorted({*orders["world"]}) == [0, 1]
    assert len(orders) == 2 * together.document["orders"]["count"] * (1 + len(together.document["baselines"]))


def test_a_plan_counts_every_variant(day):
    grid = {"liquidity": ["persist", "refresh"], "depth": [1, 5], "policy": ["static", "pseudocode"]}
    one, several = forecast(asked(day, {})), forecast(asked(day, grid))
    assert (one["combinations"], several["combinations"]) == (27, 8 * 27)
    assert several["result_rows"] == 8 * one["result_rows"]
    assert several["simulations"] > 4 * one["simulations"]
    assert several["bytes"]["object_store_per_node"] > one["bytes"]["object_store_per_node"]


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        ({"liquidity": ["persist", "sticky"]}, "grid.liquidity: expected persist or refresh, but it had 'sticky'"),
        ({"reference": []}, "grid.reference: expected one value or more"),
        ({"reference": {"touch": 1}}, "grid.reference: expected a list of values"),
        ({"reference": ["mid", "touch", "mid"]}, "grid.reference: mid stands twice"),
        ({"max_age": ["1s", "1000ms"]}, "grid.max_age: 1000ms stands twice"),
        ({"max_age": ["soon"]}, "grid.max_age: 'soon' is no duration"),
        ({"depth": [1, 11]}, "grid.depth: expected a whole number, 1 to 10, but it had 11"),
        ({"depth": ["deep"]}, "grid.depth: expected a whole number, such as 10, but it had 'deep'"),
        ({"policy": ["statc"]}, "grid.policy: expected one of static, pseudocode, placement, but it had 'statc'"),
        ({"participation": [0.5, 0]}, "grid.participation: expected above 0 and up to 1, but it had 0"),
        ({"participation": [1.5]}, "grid.participation: expected above 0 and up to 1, but it had 1.5"),
        ({"schedule": ["vwap"]}, "grid.schedule: expected now or twap or pov, but it had 'vwap'"),
        ({"fees": ["now"]}, "grid.fees: expected tables by name"),
        ({"fees": {"now": {"2": {"taker": 3000}}}}, "grid.fees.now.2.taker: 3000.0 $ per share is above 100 $"),
        ({"latency": ["1ms", "1000us"]}, "grid.latency: 1000us stands twice"),
        ({"latency": [["1ms", "2ms"]]}, "grid.latency: expected durations, or what each name stands for"),
        ({"latency": {"slow": {"XNAS": "1ms"}}}, "grid.latency.slow.XNAS: expected a Databento publisher id"),
        ({"latency": {"slow": []}}, "grid.latency.slow: expected 1 to 1,000 durations to draw from, but it had 0"),
        ({"latency": {"default": "1ms", "2": "50us"}}, "grid.latency: expected what each name stands for"),
        ({"latency": ["1ms", {"default": "2ms"}]}, "grid.latency: expected durations, or what each name stands for"),
        ({"latency": {"a": "1ms", "b": {"default": "1ms", "seed": 3}}}, "grid.latency: b stands twice, as a"),
        ({"participation": [0.1, 0.1000000000001]}, "grid.participation: 0.1000000000001 stands twice, as 0.1"),
        ({"depth": ["5", 5e0]}, "grid.depth: 5 stands twice, as 5"),
        ({"fees": {1: {}, "1": {"default": {"taker": 0}}}}, "grid.fees: 1 stands twice; each name once"),
        ({"latncy": [1]}, "unknown key grid.latncy; the nearest valid one is grid.latency"),
        ({"reference": ["mid", "touch"], "lambda_over": {"start": 0, "stop": 1, "num": 500_000},
          "lambda_under": {"start": 0, "stop": 1, "num": 500}},
         "grid: 2 x 500,000 x 500 x 3 = 1,500,000,000 combinations are above the 100,000,000 of one sweep"),
        ({"max_age": [f"{n}s" for n in range(1001)]}, "grid.max_age: 1,001 values are above the 1,000 of one sweep"),
        ({"max_age": [f"{n}s" for n in range(60)], "participation": [n / 60 for n in range(1, 60)]},
         "grid: 3,540 combinations of max_age, participation are above the 1,000 of one sweep"),
    ],
)  # fmt: skip
def test_values_that_an_axis_cannot_have_are_refused(grid, says):
    with pytest.raises(ConfigError) as error:
        build_config({"grid": grid})
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_key_and_an_axis_of_its_name_exclude_one_another():
    with pytest.raises(ConfigError, match=r"^reference: grid\.reference says which values to try"):
        build_config({"reference": "mid", "grid": {"reference": ["mid", "touch"]}})
    with pytest.raises(ConfigError, match=r"^depth: grid\.depth says which values to try"):
        build_config({"depth": 3, "grid": {"depth": [1, 5]}})


def test_the_hash_of_a_question_knows_its_axes():
    hashes = [
        build_config(keys).question.config_hash
        for keys in (
            {},
            {"grid": {"reference": ["touch"]}},
            {"grid": {"reference": ["mid", "touch"]}},
            {"grid": {"reference": ["touch", "mid"]}},
            {"grid": {"fees": TABLES}},
            {"grid": {"fees": {**TABLES, "now": {"default": {"taker": 0.002}}}}},
            {"where": "lambda_over < lambda_under"},
            {"latency": "1ms"},
            {"participation": 0.5},
            {"schedule": "twap"},
        )
    ]
    assert len({*hashes}) == len(hashes)
    same = {"latency": 0, "participation": 1, "schedule": "now", "where": []}
    assert build_config(same).question.config_hash == hashes[0]


def test_a_question_has_one_hash_however_it_is_written():
    pairs = [
        ({"where": "lambda_over < lambda_under "}, {"where": ["lambda_over < lambda_under"]}),
        ({"grid": {"participation": [1, 0.5]}}, {"grid": {"participation": [1.0, 0.5]}}),
        ({"grid": {"depth": ["5", 1]}}, {"grid": {"depth": [5, 1.0]}}),
        ({"latency": "0s"}, {}),
        ({"latency": ["1ms"]}, {"latency": {"default": "1000us", "seed": 5}}),
        ({"grid": {"fees": {1: {2: {"taker": 0}}}}}, {"grid": {"fees": {"1": {"2": {"taker": 0.0}}}}}),
    ]
    for one, other in pairs:
        assert build_config(one).question.config_hash == build_config(other).question.config_hash, (one, other)


def test_conditions_on_the_command_line_are_taken_as_they_are():
    for text in ("- lambda_over < 0.02", "lambda_over in [0, 0.01]", "reference == 'touch'", "'touch' == reference"):
        config = load_config(None, ["grid.reference=[touch, mid]", f"where={text}"])
        assert config.where == text
    several = load_config(None, ["where=[lambda_over < lambda_under, theta_queue > 0]"])
    assert several.where == ("lambda_over < lambda_under", "theta_queue > 0")


def test_depth_beyond_the_source_says_what_it_has(day):
    from feed.errors import FeedUnavailable

    with pytest.raises(FeedUnavailable, match=r"depth: 7 levels of a side are asked for, and the quotes have 5"):
        run(asked(day, {"depth": [1, 7]}))
    with pytest.raises(FeedUnavailable, match=r"depth: 7 levels of a side are asked for, and the quotes have 5"):
        run(asked(day, {"depth": [None, 7]}))


def test_the_order_of_axes_is_that_of_the_configuration_and_the_parameters_vary_fastest(day):
    grid = {
        "theta_queue": [0, 0.01],
        "fees": TABLES,
        "reference": ["mid", "touch"],
        "lambda_over": 0,
        "lambda_under": 0,
    }
    frame = run(asked(day, grid)).to_frame()
    first = frame[(frame["tape"] == 0) & (frame["order"] == 0)]
    points = list(zip(first["fee_table"], first["reference"], first["theta_queue"], strict=True))
    assert points == list(itertools.product(TABLES, ["mid", "touch"], [0, 0.01]))


def test_a_world_in_which_everything_fails_is_left_out(day, tmp_path, monkeypatch):
    original = tasks._run

    def fails(book, job, orders, parameters, kernel):
        if job.settings.rules.liquidity == "refresh":
            raise ZeroDivisionError("a bug under refresh")
        return original(book, job, orders, parameters, kernel)

    grid = {"liquidity": ["refresh", "persist"], "uncross": [True, False]}
    whole = run(asked(day, grid))
    monkeypatch.setattr(tasks, "_run", fails)
    monkeypatch.setattr(tasks._Sums, "run", lambda *_: False)
    result = run(asked(day, grid, output=str(tmp_path)))
    assert [world["market"]["liquidity"] for world in result.document["worlds"]] == ["persist", "persist"]
    assert result.document["best_parameters"] == whole.document["worlds"][2]["best_parameters"]
    assert result.document["worlds"][1]["optimized"] == whole.document["worlds"][3]["optimized"]
    assert len(result.failures) == 54
    lines = [line for line in result.document["warnings"] if "every combination failed" in line]
    line = "every combination failed with liquidity=refresh, uncross={}; it is left out"
    assert lines == [line.format(True), line.format(False)]
    assert verification.verify(result.home, progress=Silent())["identical"]


def test_dear_fees_of_any_world_are_warned_of(day):
    tables = {"ok": {"default": {"taker": 0.003}}, "dear": {"default": {"taker": 3}}}
    warnings = run(asked(day, {"fees": tables})).document["warnings"]
    assert [line.partition(" is ")[0] for line in warnings if "basis points" in line] == [
        "grid.fees.dear.default.taker"
    ]


def test_worlds_that_a_condition_drops_are_not_spoken_of(day):
    document = run(asked(day, {"liquidity": ["persist", "refresh"]}, where="liquidity == 'refresh'")).document
    assert "worlds" not in document
    assert document["rules"]["liquidity"] == ["refresh"]
    assert list(document["sensitivity"]) == ["persist"]
    alone = run(asked(day, {}, liquidity="refresh")).document
    assert document["sensitivity"] == alone["sensitivity"]
    plan = forecast(asked(day, {"liquidity": ["persist", "refresh"]}, where="liquidity == 'refresh'"))
    assert plan["kernel"] != ""


@pytest.mark.parametrize(
    ("condition", "edges", "inert"),
    [
        ("theta_queue < 0.05", ["theta_queue"], ["lambda_over"]),  # of two values each is an end
        ("theta_queue == 0.02", [], ["lambda_over"]),  # one value has no ends
        ("lambda_over == theta_queue", ["lambda_over", "theta_queue"], []),  # no two differ in one axis alone
    ],
)
def test_ends_and_inert_axes_are_of_what_was_tried(day, condition, edges, inert):
    grid = {"lambda_over": [0, 0.02], "lambda_under": 0, "theta_queue": [0, 0.02, 0.05]}
    objective = run(asked(day, grid, where=condition, reference="mid")).document["objective"]
    assert (objective["edges"], objective["inert"]) == (edges, inert)
