"""Sweeps that place limit orders: beside other policies, in pieces, stored, exported; and their figures add up."""

import json

import numpy as np
import pytest

from allocator.book import build_book
from allocator.fills import Fills, by_venue
from allocator.order import MakerFees, Order, ParameterColumns, Parameters
from allocator.simulate import trace_combination
from feed import synthetic
from feed.instants import format_instant
from feed.tape import DAY, QUOTE_DTYPES, Tape
from sweep import verification
from sweep.config import build_config
from sweep.driver import resume, run
from sweep.forecast import forecast
from sweep.monitoring import monitor
from sweep.progress import Silent
from sweep.report.summary import WIDTH, summary
from sweep.router import config_for, document_of, export, numbers_of, read_router
from tests.sweep.runs.test_store import cut_short, home_of

SECOND = 10**9
ORDERS = {"side": ["buy", "sell"], "size": 2000, "every": "15s", "horizon": "15s"}
PARAMETERS = {"lambda_over": 0.02, "lambda_under": [0, 0.03], "theta_queue": [0, 0.001]}
FEES = {"default": {"taker": 0.003, "maker": -0.002}, "38": {"taker": -0.001, "maker": 0.001}}


@pytest.fixture(scope="module")
def tape():
    return synthetic.generate(seed=5, seconds=50.0, warmup=60.0, levels=3)


@pytest.fixture(scope="module")
def day(tape, tmp_path_factory):
    """A file of a stream with trades, a minute of which comes before the window."""
    path = tmp_path_factory.mktemp("placement") / "day.csv.gz"
    synthetic.write_csv(tape, path)
    return path


def asked(source, grid=None, **keys):
    window = {"start": format_instant(synthetic.window(50.0)[0]), "warmup": "60s"}
    tree = {"source": str(source), "executor": "inline", "order": ORDERS, "window": window}
    tree |= {"fees": FEES} if "fees" not in (grid or {}) else {}
    tree |= {"policy": "placement"} if "policy" not in (grid or {}) else {}
    tree |= {"slice": "5s"} if "slice" not in (grid or {}) else {}
    return build_config({**tree, "grid": {**PARAMETERS, **(grid or {})}, **keys})


def without_run(document):
    return {name: section for name, section in document.items() if name not in {"run", "rules", "feed"}}


@pytest.fixture(scope="module")
def placed(day):
    return run(asked(day, detail="all"))


def test_every_share_is_passive_or_taken_and_every_dollar_is_a_price_or_a_fee(placed):
    orders, venues = placed.orders_frame(), placed.venues_frame()
    keys = ["strategy", "tape", "order"]
    paid = venues.assign(
        rebates=np.minimum(venues["passive_fees"], 0) + np.minimum(venues["fees"] - venues["passive_fees"], 0)
    )
    sums = paid.groupby(keys)[["shares", "passive", "notional", "fees", "passive_fees", "rebates"]].sum()
    every = orders.merge(sums.add_prefix("of_"), on=keys, how="left").fillna(dict.fromkeys(sums.add_prefix("of_"), 0))
    every = every[every["strategy"] != "clairvoyant"]
    assert (every["filled"] + every["unfilled"] - every["overfilled"] == every["size"]).all()
    assert (every["of_shares"] == every["filled"]).all()
    sign = np.where(every["side"] == "buy", 1, -1)
    assert (every["of_notional"] + sign * every["of_fees"] == every["cash_filled"])[every["overfilled"] == 0].all()
    assert (every["shortfall_fees"] + every["shortfall_rebates"] == 2 * every["fees"]).all()
    assert (2 * every["of_rebates"] == every["shortfall_rebates"])[every["overfilled"] == 0].all()
    places = every["strategy"].str.startswith("combination") | (every["strategy"] == "optimized")
    assert (every["of_passive"][~places] == 0).all()
    assert (every["of_passive"][places] > 0).mean() > 0.9
    assert (every["of_passive"] <= every["of_shares"]).all()
    makers = MakerFees(-2_000_000, ((38, 1_000_000),)).of(venues["venue"])
    assert (venues["passive_fees"] == venues["passive"] * np.array(makers)).all()
    losses = every[[f"shortfall_{part}" for part in ("timing", "spread", "fees", "rebates", "leftover")]].sum(axis=1)
    assert (losses == sign * (2 * every["total_cash"] - every["size"] * every["arrival_mid2"])).all()


def test_limit_orders_that_were_recorded_filled_what_is_passive(tape):
    config = asked("day.csv")
    book, settings = build_book(tape, config.question.settings.book), config.question.settings
    start, _ = synthetic.window(50.0)
    for side in ("buy", "sell"):
        order = Order(side, 3000, start, start + 30 * SECOND)
        point = ParameterColumns.of([Parameters.of(0.02, 0.01, 0)])
        traced = trace_combination(book, order, settings.rules, settings.policy, settings.fees.of(book), point)
        fills = Fills.of([traced.fills])
        sums = by_venue(book, [order], [0] * 5, [0] * 5, fills.passively())
        sent = traced.placed.orders
        filled = {venue: int(sent.filled[sent.venue == venue].sum()) for venue in np.unique(sent.venue).tolist()}
        passive = dict(zip(sums.venue.tolist(), sums.shares.tolist(), strict=True))
        assert {venue: shares for venue, shares in filled.items() if shares} == passive
        assert sum(passive.values()) > 0


def test_the_section_says_what_the_tables_add_up_to(placed):
    section, venues = placed.document["placement"], placed.venues_frame()
    own = venues[venues["strategy"] == "optimized"]
    whole = section["limit_orders"]
    assert whole["filled"] == own["passive"].sum() > 0
    assert whole["passive_percent"] == pytest.approx(100 * own["passive"].sum() / own["shares"].sum(), abs=0.006)
    assert section["queues"] == {"phi": "neutral", "rho": None}
    for venue, each in section["venues"].items():
        rows = own[own["venue"] == int(venue)]
        assert each["filled"] == rows["passive"].sum()
        assert each["fees"] == pytest.approx(rows["passive_fees"].sum() / 1e9, abs=0.006)
        if each["filled"]:
            assert each["fees_per_share"] == (0.001 if venue == "38" else -0.002)
            moved = rows["passive_mark_out_1s"].sum() / rows["passive_marked_1s"].sum() / 2e9
            assert each["mark_out_per_share"]["1s"] == pytest.approx(moved, abs=0.00006)
    for name in ("sent", "refused", "shares", "filled"):
        assert whole[name] == sum(each[name] for each in section["venues"].values()), name
    calibration = section["calibration"]
    assert calibration["orders"] == whole["sent"] > 20
    for part in (calibration["bins"], calibration["terciles"], calibration["venues"].values()):
        assert sum(each["orders"] for each in part) == calibration["orders"]
    assert calibration["no_better"] == (calibration["brier"] >= calibration["brier_of_base_rate"])
    assert (f"placement: {calibration['sentence']}" in placed.document["warnings"]) == calibration["no_better"]
    decisions = section["decisions"]
    assert decisions["fallback"] == 0 < decisions["slices"]
    assert 5 < decisions["effective_rows"] < decisions["rows"] / 4


def test_the_table_at_the_end_has_limit_orders_of_each_world(day, placed):
    document = run(asked(day, {"phi": [0, "neutral", 1], "fees": {"long" * 5: FEES}})).document
    lines = [*summary(document)]
    assert max(map(len, lines)) <= WIDTH
    start = next(at for at, line in enumerate(lines) if line.startswith("  limit orders"))
    assert lines[start].split() == ["limit", "orders", "sent", "filled,", "%", "passive,", "%", "Brier", "base", "rate"]
    words = " ".join(lines[start + 1 :]).split()
    for world in document["worlds"]:
        section = world["placement"]
        orders, scores = section["limit_orders"], section["calibration"]
        shown = [f"phi={world['market']['phi']}", f"fees={'long' * 5}", f"{orders['sent']}"]
        shown += [f"{orders[name]:.2f}" for name in ("fill_rate_percent", "passive_percent")]
        shown += [f"{scores[name]:.4f}" for name in ("brier", "brier_of_base_rate")]
        assert words[: len(shown)] == shown
        words = words[len(shown) :]
    assert " ".join(words).startswith(document["placement"]["calibration"]["sentence"])
    sentence = placed.document["placement"]["calibration"]["sentence"]
    assert sentence in " ".join(" ".join(summary(placed.document)).split())
    assert not any("limit orders" in line for line in summary({**placed.document, "placement": None}))


def test_slices_without_enough_past_windows_are_counted_and_warned_of(day):
    window = {"start": format_instant(synthetic.window(50.0)[0]), "warmup": "12s"}
    document = run(asked(day, window=window)).document
    decisions = document["placement"]["decisions"]
    assert 0 < decisions["fallback"] < decisions["slices"]
    line = f"placement: {decisions['fallback']} of {decisions['slices']} slices were decided as static does"
    assert sum(each.startswith(line) for each in document["warnings"]) == 1


def test_a_posting_that_no_book_shows_is_named_as_a_cause(day):
    document = run(asked(day, {"lambda_under": 0, "theta_queue": 0}, depth=1, posting="deep:1")).document
    decisions = document["placement"]["decisions"]
    assert decisions["fallback"] == decisions["slices"] > 0
    (line,) = (each for each in document["warnings"] if "were decided as static does" in each)
    assert "posting" in line


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({"participation": 0.2}, ["participation"]),
        ({"schedule": "twap", "participation": 0.5}, ["participation", "schedule"]),
        ({"grid": {"policy": ["static", "placement"], "schedule": ["now", "pov"]}}, ["schedule"]),
        ({"grid": {"participation": [1.0]}}, []),
        ({"grid": {"policy": ["static"]}, "participation": 0.2}, []),
    ],
    ids=str,
)
def test_a_cap_or_a_schedule_that_placement_does_not_have_is_warned_of(day, tmp_path, keys, names):
    grid = {"lambda_under": 0.01, "theta_queue": 0} | keys.get("grid", {})
    others = {name: value for name, value in keys.items() if name != "grid"}
    config = asked(day, grid, order={"size": 2000, "horizon": "20s"}, output=str(tmp_path), **others)
    document = run(config).document
    lines = [each for each in document["warnings"] if each.startswith("policy=placement has no")]
    expected = "policy=placement has no " + " and no ".join(names)
    assert [each.split(":")[0] for each in lines] == ([expected] if names else [])
    assert verification.verify(home_of(config), progress=Silent(), sample=2)["identical"]
    if set(keys) != {"grid"} and names:  # and indeed they change nothing
        without = run(asked(day, grid, order={"size": 2000, "horizon": "20s"})).document
        assert document["optimized"] == without["optimized"]


def test_static_and_placement_in_one_grid_are_a_sweep_of_each(day):
    together = run(asked(day, {"policy": ["static", "placement"], "slice": ["5s", "10s"]}))
    rows = together.table
    for number, (policy, each) in enumerate((p, s) for p in ("static", "placement") for s in ("5s", "10s")):
        alone = run(asked(day, {"policy": policy, "slice": each}))
        own = rows[(rows[:, 2] >= 4 * number) & (rows[:, 2] < 4 * (number + 1))].copy()
        own[:, 2] -= 4 * number
        assert own.tobytes() == alone.table.tobytes()
        assert ("placement" in alone.document) == (policy == "placement")
    frame = together.to_frame()
    assert list(frame["policy"].unique()) == ["static", "placement"]
    assert list(frame["slice"].unique()) == ["5s", "10s"]
    cash = frame.pivot_table(index=["tape", "order"], columns=["policy", "slice"], values="total_cash", aggfunc="first")
    assert (cash["static", "5s"] == cash["static", "10s"]).all()
    assert (cash["placement", "5s"] != cash["placement", "10s"]).any()
    best = together.document["best_parameters"]["policy"]
    assert (together.document["placement"] is None) == (best == "static")


def test_columns_of_passive_fills_stand_where_anything_places_and_nowhere_else(day):
    both = run(asked(day, {"policy": ["static", "placement"]}))
    plain = run(asked(day, {"policy": ["static", "pseudocode"]}))
    assert "placement" not in plain.document
    assert not [name for name in plain.venues_frame() if name.startswith("passive")]
    assert "passive_mark_out_60s" in both.venues_frame()
    assert not {"slice", "phi", "maker_fees"} & {*plain.document["rules"]}
    assert both.document["rules"]["maker_fees"] == {"default": -0.002, "38": 0.001}


VALUES = {
    "slice": ["5s", "15s"],
    "posting": ["touch", "inside", "deep:1"],
    "at_T": ["roll", "buy"],
    "samples": [30, 200],
    "adverse": ["measured", "none"],
    "condition": ["none", "queue", "volume"],
    "catch_up": [0, 1],
    "phi": [0, "neutral", 1],
}
"""Axes, and values of each that matter on the stream."""


@pytest.mark.parametrize("name", VALUES)
def test_each_value_of_an_axis_has_the_rows_of_a_sweep_of_its_own(day, name):
    grid = {"lambda_under": 0.005, "theta_queue": 0}
    together = run(asked(day, grid | {name: VALUES[name]}))
    differ = set()
    for number, value in enumerate(VALUES[name]):
        alone = run(asked(day, grid, **{name: value}))
        own = together.table[together.table[:, 2] == number].copy()
        own[:, 2] = 0
        assert own.tobytes() == alone.table.tobytes(), value
        differ.add(own.tobytes())
        if name == "phi":
            world = together.document["worlds"][number]
            assert world["market"] == {"phi": value}
            assert world["placement"] == alone.document["placement"]
            assert world["placement"]["queues"]["phi"] == value
    assert len(differ) == len(VALUES[name])  # each of them matters here


def test_without_trades_rho_decides_and_the_report_says_so(tape, tmp_path):
    columns = {column: getattr(tape, column) for column in QUOTE_DTYPES}
    path = tmp_path / "quotes.csv.gz"
    synthetic.write_csv(Tape.build("AAPL", **columns), path)
    result = run(asked(path, {"rho": [0, 0.1, 1]}))
    document = result.document
    assert [world["placement"]["queues"]["rho"] for world in document["worlds"]] == [0, 0.1, 1]
    filled = [world["placement"]["limit_orders"]["fill_rate_percent"] for world in document["worlds"]]
    assert filled[0] < filled[2]
    assert any(line.startswith("a tape shows no trades of these venues") for line in document["warnings"])
    assert not any(line.startswith("grid.rho") for line in document["warnings"])
    assumed = [line for line in document["warnings"] if line.startswith("placement")]
    assert assumed
    assert all(line.startswith("placement, rho=0.0: ") for line in assumed)


def test_with_trades_rho_plays_no_part_and_that_is_said(day):
    document = run(asked(day, {"rho": [0, 1]})).document
    first, second = (world["optimized"]["total_cash"] for world in document["worlds"])
    assert first == second
    assert any(line.startswith("grid.rho: every tape shows trades") for line in document["warnings"])


@pytest.mark.parametrize("done", [2, 5])
def test_a_run_is_resumed_where_it_was_and_verified(day, tmp_path, done):
    keys = {"order": {"size": [500], "every": "15s", "horizon": "15s"}, "detail": "all"}
    grid = {"policy": ["static", "placement"]}
    whole = run(asked(day, grid, **keys))
    home, _ = cut_short(asked(day, grid, output=str(tmp_path), **keys), done)
    again = resume(home)
    assert again.table.tobytes() == whole.table.tobytes()
    assert without_run(again.document) == without_run(whole.document)
    assert again.orders_frame().equals(whole.orders_frame())
    assert again.venues_frame().equals(whole.venues_frame())
    assert verification.verify(home, progress=Silent(), sample=40)["identical"]


@pytest.mark.parametrize(
    "search",
    [
        {"kind": "random", "combinations": 6},
        {"kind": "sobol", "combinations": 6},
        {"kind": "zoom", "combinations": 10},
        {
            "kind": "list",
            "points": [
                {"policy": "placement", "slice": "5s", "posting": "touch", "lambda_under": 0.03},
                {"policy": "static", "slice": "5s", "posting": "touch", "lambda_under": 0},
            ],
        },
    ],
    ids=lambda search: search["kind"],
)
def test_a_search_looks_at_rows_of_the_whole_grid(day, search):
    grid = {"policy": ["static", "placement"], "slice": ["5s", "10s"], "posting": ["touch", "inside"]}
    grid |= {"lambda_under": [0, 0.03], "theta_queue": 0}
    keys = {"order": {"size": [2000], "every": "20s", "horizon": "20s"}}
    names = ["policy", "slice", "posting", "lambda_under", "order"]
    everything = run(asked(day, grid, **keys)).to_frame().set_index(names)["total_cash"]
    some = run(asked(day, grid, search=search, **keys)).to_frame()
    assert 0 < some["combination"].nunique() < 16
    assert (everything.loc[[*map(tuple, some[names].to_numpy())]].to_numpy() == some["total_cash"]).all()


def test_a_router_that_places_is_exported_and_asks_the_same(day, tmp_path):
    grid = {"policy": ["static", "placement"], "catch_up": [0.5, 1]}
    config = asked(day, grid, output=str(tmp_path), order=ORDERS | {"from": "09:30", "zone": "America/New_York"})
    result = run(config)
    made = export(home_of(config))
    path = tmp_path / "router.json"
    path.write_text(document_of(made))
    router = read_router(path)
    assert router == made
    best = result.document["best_parameters"]
    assert (made.parameters["policy"], made.parameters["catch_up"]) == (best["policy"], best["catch_up"])
    assert made.parameters["slice"] == "5s"
    assert (made.question["phi"], made.question["rho"]) == ("neutral", 0.185)
    assert any("phi=neutral is assumed" in line for line in made.validity) == (best["policy"] == "placement")
    words = [] if made.orders_are_given else ["order.every=15s", "order.horizon=15s"]
    again = config_for(router, str(day), [*words, "executor=inline"])
    assert again.question.settings.warmup == 60 * SECOND
    assert len(numbers_of(router, again)) == 1 + len(made.challengers)
    assert again.question.variants.placing


def test_a_router_that_places_is_watched_on_new_days(tape, tmp_path):
    columns, paths = {column: getattr(tape, column) for column in QUOTE_DTYPES}, []
    for number in range(2):
        paths.append(tmp_path / f"{number}.csv.gz")
        synthetic.write_csv(Tape.build("AAPL", **columns | {"ts": tape.ts + number * DAY}), paths[-1])
    grid = {"catch_up": [0.5, 1]}
    found_on, next_day = (asked(path, grid, window={}, output=str(tmp_path / "runs")) for path in paths)
    run(found_on)
    made, router = export(home_of(found_on)), tmp_path / "router.json"
    router.write_text(document_of(made))
    assert made.orders_are_given
    log = tmp_path / "log.jsonl"
    document = monitor(router, [str(paths[1])], log, ["executor=inline"])
    assert document["days"] == 1
    rows = run(next_day).to_frame()
    line = json.loads(log.read_text().splitlines()[0])
    assert len(line["challengers"]) == len(made.challengers) > 0
    for point, cash in zip(made.points, [line["champion"], *line["challengers"]], strict=True):
        own = rows[np.logical_and.reduce([rows[name] == point[name] for name in (*PARAMETERS, "catch_up")])]
        half = len(own) // 2  # the groups of buys come before those of sells
        assert cash == own["total_cash"].iloc[:half].sum() - own["total_cash"].iloc[half:].sum()


def test_warm_up_of_a_mixed_grid_is_that_of_every_day(day, tmp_path):
    config = asked(day, {"policy": ["static", "placement"]}, output=str(tmp_path), window={}, order={"size": 500})
    assert config.question.settings.warmup == 1800 * SECOND
    run(config)
    assert export(home_of(config)).question["window"]["warmup"] == "1800s"


def test_a_plan_is_made_of_it(day):
    made = forecast(asked(day, {"policy": ["static", "placement"]}))
    assert (made["combinations"], made["simulations"] > 0) == (8, True)
    json.dumps(made)
