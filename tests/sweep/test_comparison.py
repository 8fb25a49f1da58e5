"""Two stored runs side by side: the same orders on the same quotes, block by block, or a refusal that says why."""

import json
import math
import shutil

import numpy as np
import pytest
from msgspec import structs
from pyarrow import parquet

from feed import synthetic
from sweep import cli
from sweep.comparison import compare
from sweep.config.loading import build_config
from sweep.driver import resume, run
from sweep.errors import ConfigError
from sweep.report import comparison_document
from sweep.report.comparison import sentence
from sweep.runs.files import sha256
from sweep.runs.manifest import read_manifest, write_manifest
from sweep.statistics import interval
from tests.support.pages import unnamed
from tests.sweep.runs.test_store import cut_short, home_of

ORDERS = {"side": ["buy", "sell"], "size": [300, 1000], "every": "1s", "horizon": "1s"}
GRID = {"lambda_over": 0, "lambda_under": [0, 0.03], "theta_queue": [0, 0.01, 0.02]}
WITHIN = {"start": "2025-03-12T14:30:10Z", "end": "2025-03-12T14:30:50Z"}
LOOSE = {"theta_queue": [0.05, 0.04], "lambda_over": [0], "lambda_under": 0}


@pytest.fixture(scope="module")
def quotes(tmp_path_factory):
    path = tmp_path_factory.mktemp("quotes") / "day.csv.gz"
    synthetic.write_csv(synthetic.generate(seconds=60.0, warmup=2.0, levels=1), path)
    return path


@pytest.fixture(scope="module")
def stored(quotes, tmp_path_factory):
    """Stores a run, and returns its folder and its result."""
    kept = {}

    def make(**keys):
        key = json.dumps(keys, sort_keys=True)
        if key not in kept:
            folder = tmp_path_factory.mktemp("run")
            tree = {"source": str(quotes), "executor": "inline", "order": ORDERS, "grid": GRID, "output": str(folder)}
            config = build_config(tree | keys)
            kept[key] = home_of_made(config)
        return kept[key]

    def home_of_made(config):
        result = run(config)
        return home_of(config), result

    return make


def plainly(one, other, number, beside, chosen=lambda _: True):
    """By the frames of two results: what a combination saves against the other's in each block, and the notional."""
    orders = one.orders_frame().query("strategy == 'best_ask'")
    sides = dict(zip(orders["group"].tolist(), orders["side"].tolist(), strict=True))
    sizes = dict(zip(orders["group"].tolist(), orders["size"].tolist(), strict=True))
    starts = orders.groupby("group")["start"].min().to_dict()
    notional_of = (orders["size"] * orders["arrival_mid2"] / 2).groupby(orders["group"]).sum().to_dict()
    cash = []
    for result, combination in ((one, number), (other, beside)):
        frame = result.to_frame().query(f"combination == {combination}")
        cash.append(dict(zip(frame["order"].tolist(), frame["total_cash"].tolist(), strict=True)))
    saved, notional = {}, {}
    for group, start in starts.items():
        if chosen((sides[group], sizes[group])):
            less = (cash[1][group] - cash[0][group]) * (-1 if sides[group] == "sell" else 1)
            saved[start] = saved.get(start, 0) + less
            notional[start] = notional.get(start, 0) + notional_of[group]
    return [saved[start] for start in sorted(saved)], [notional[start] for start in sorted(saved)]


def test_the_difference_is_that_of_the_tables(stored):
    home, result = stored()
    beside, other = stored(grid=LOOSE)
    comparison = compare(home, beside)
    numbers = comparison.first.combination, comparison.second.combination
    assert comparison.first.parameters == result.document["best_parameters"]
    for part, chosen in [
        (comparison.whole, lambda _: True),
        *((part, lambda cell, at=part: (at.side or cell[0], at.size) == cell) for part in comparison.parts),
    ]:
        saved, notional = plainly(result, other, *numbers, chosen)
        expected = interval(1e4 * np.array(saved, float), np.array(notional))
        assert part.total.mean == pytest.approx(1e4 * math.fsum(saved) / math.fsum(notional), rel=1e-12)
        assert (part.total.low, part.total.high) == pytest.approx((expected.low, expected.high), rel=1e-9)
        assert part.total.blocks == len(saved) >= 20
    cells = [(None, 300), (None, 1000), *((side, size) for side in ("buy", "sell") for size in (300, 1000))]
    assert [(part.side, part.size) for part in comparison.parts] == cells
    assert comparison.whole.orders == result.document["orders"]["count"]
    assert comparison.days == 1
    assert set(comparison.baselines.values()) == {None}
    assert set(comparison.baselines) == set(result.document["baselines"])


def test_of_two_worse_and_better_the_better_pays_less(stored):
    home, result = stored()
    cash = result.to_frame().groupby("combination")["total_cash"].sum()  # buys alone would do; here both sides
    paid = {}
    sides = result.orders_frame().drop_duplicates("group").set_index("group")["side"]
    for number in cash.index:
        rows = result.to_frame().query(f"combination == {number}")
        paid[number] = sum(
            total * (-1 if sides[group] == "sell" else 1)
            for group, total in zip(rows["order"], rows["total_cash"].astype(object), strict=True)
        )
    worst = max(paid, key=paid.__getitem__)
    comparison = compare(home, home, (None, worst))
    assert paid[comparison.first.combination] == min(paid.values())
    assert comparison.whole.total.mean > 0
    assert comparison.second.parameters == result.config.question.grid.printed(worst)
    assert comparison.differs == {}


def test_the_other_way_round_every_figure_is_negated(stored):
    one, other = stored()[0], stored(grid=LOOSE, fees={"default": {"taker": 0.001}}, detail="all")[0]
    forth, back = compare(one, other), compare(other, one)

    def mirrored(each, against):
        assert (each.mean, each.low, each.high) == (-against.mean, -against.high, -against.low)
        assert (each.standard_error, each.blocks, each.lag_1) == (against.standard_error, against.blocks, against.lag_1)

    pairs = [(forth.whole, back.whole), *zip(forth.parts, back.parts, strict=True)]
    for each, against in pairs:
        mirrored(each.total, against.total)
        mirrored(each.execution, against.execution)
    for name, apart in forth.baselines.items():
        assert apart is not None
        mirrored(apart.difference, back.baselines[name].difference)
        mirrored(apart.beyond, back.baselines[name].beyond)
    assert forth.differs == {name: pair[::-1] for name, pair in back.differs.items()}
    swapped = {"first": "second", "second": "first"}
    assert sentence(back).split() == [swapped.get(word, word) for word in sentence(forth).split()]


def test_fees_that_differ_are_the_difference_of_what_pays_them(stored):
    """One parameter set, fees a tenth of a cent apart: every baseline differs, and nothing is left beyond best_ask."""
    point = {"lambda_over": 0, "lambda_under": 0, "theta_queue": 0}
    cheap = stored(grid=point, fees={"default": {"taker": 0.001}})[0]
    dear = stored(grid=point, fees={"default": {"taker": 0.002}})[0]
    comparison = compare(cheap, dear)
    frame = stored(grid=point, fees={"default": {"taker": 0.001}})[1].orders_frame().query("strategy == 'touch'")
    shares, notional = frame["size"].sum(), (frame["size"] * frame["arrival_mid2"] / 2).sum()
    of_touch = comparison.baselines["touch"]
    assert of_touch.difference.mean == pytest.approx(1e4 * 10**6 * shares / notional, rel=0.01)
    assert of_touch.beyond.mean == pytest.approx(0, abs=1e-9)  # tau 0 from the touch is that baseline
    assert comparison.differs == {"taker_fees.default": (0.001, 0.002), "fees.default.taker": (0.001, 0.002)}
    assert "a part of the difference is that of the rules" in sentence(comparison)


def test_execution_is_what_is_left_without_timing(stored):
    home, result = stored(detail="all")
    beside = (result.document["objective"]["combinations"] - 1, 0)
    comparison = compare(home, home, beside)
    frame = result.orders_frame()

    def timing(number):
        name = "optimized" if number == compare(home, home).first.combination else f"combination {number}"
        return frame[frame["strategy"] == name]["shortfall_timing"].astype(object).sum()

    notional = (frame["size"] * frame["arrival_mid2"] / 2)[frame["strategy"] == "best_ask"].sum()
    moved = 1e4 * (timing(beside[1]) - timing(beside[0])) / 2 / notional
    assert comparison.whole.execution.mean == pytest.approx(comparison.whole.total.mean - moved, abs=1e-9)


def test_without_the_detail_of_a_combination_its_timing_is_unknown(stored):
    home, result = stored()
    best = compare(home, home).first.combination
    others = [number for number in range(len(result.config.question.grid)) if number != best]
    assert compare(home, home, (None, others[0])).whole.execution is None
    document = comparison_document(compare(home, home))
    assert document["difference_bps"]["execution"]["mean"] == 0
    assert document["sentence"] == "The two pay the same over 31 blocks of time."


def test_sides_and_sizes_in_another_order_are_the_same_orders(stored):
    one = stored()[0]
    other = stored(order={**ORDERS, "side": ["sell", "buy"], "size": [1000, 300]})[0]
    comparison = compare(one, other)
    assert not comparison.whole.total.mean
    assert comparison.whole.total.high == 0
    assert all(not part.total.mean for part in comparison.parts)
    assert comparison.differs == {}


def test_books_that_differ_have_other_arrival_mids_and_no_split(stored):
    comparison = compare(stored()[0], stored(book="event")[0])
    assert not comparison.same_arrivals
    assert comparison.whole.execution is None
    assert "Arrival mids differ" in sentence(comparison)
    assert comparison.differs["book"] == ("consolidated", "event")


def test_worlds_are_compared_by_their_combinations(stored):
    home, result = stored(grid={**GRID, "liquidity": ["persist", "refresh"]})
    alone = compare(stored()[0], stored(liquidity="refresh")[0], (2, 2))
    comparison = compare(home, home, (2, 2 + 6))
    assert comparison.first.market == {"liquidity": "persist"}
    assert comparison.second.market == {"liquidity": "refresh"}
    assert comparison.whole.total == alone.whole.total
    assert comparison.differs == {"market.liquidity": ("persist", "refresh")}
    assert len(result.document["worlds"]) == 2
    assert [apart is None for apart in comparison.baselines.values()] == [
        apart is None for apart in alone.baselines.values()
    ]


def test_few_blocks_have_a_mean_alone(stored):
    few = {"side": "buy", "size": 300, "every": "5s", "horizon": "5s"}
    home = stored(order=few)[0]
    comparison = compare(home, home, (0, 5))
    assert comparison.whole.total.low is None
    assert comparison.parts == ()
    text = sentence(comparison)
    assert "are too few for an interval: it takes 20" in text or "pay the same" in text


class TestRefused:
    def refused(self, *arguments):
        with pytest.raises(ConfigError) as caught:
            compare(*arguments)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_other_quotes(self, stored, tmp_path):
        path = tmp_path / "other.csv.gz"
        synthetic.write_csv(synthetic.generate(seed=5, seconds=60.0, warmup=2.0, levels=1), path)
        message = self.refused(stored()[0], stored(source=str(path))[0])
        assert "with digest" in message
        assert "only runs of the same quotes are compared" in message
        message = self.refused(stored()[0], stored(window=WITHIN)[0])
        assert message.endswith("only runs of the same quotes are compared; they differ in window")

    def test_other_orders(self, stored):
        message = self.refused(stored()[0], stored(order={**ORDERS, "size": [300, 2000]})[0])
        assert "only runs of the same orders are compared" in message
        assert "has buy 1,000 from 20" in message
        message = self.refused(stored()[0], stored(order={**ORDERS, "every": "2s"})[0])
        assert "orders and" in message

    def test_a_combination_that_is_none(self, stored):
        message = self.refused(stored()[0], stored()[0], (None, 6))
        assert "6 is no combination; they are numbered from 0 to 5" in message

    def test_a_run_that_is_not_complete(self, stored, quotes, tmp_path):
        tree = {"source": str(quotes), "executor": "inline", "order": ORDERS, "grid": GRID, "output": str(tmp_path)}
        config = build_config(tree)
        home, _ = cut_short(config, 1)
        assert "is not complete; python -m sweep resume" in self.refused(home, stored()[0])
        resume(home)
        assert compare(home, stored()[0]).whole.total.mean == 0

    def test_no_run_at_all(self, stored, tmp_path):
        assert "expected the folder of a run" in self.refused(tmp_path, stored()[0])

    @pytest.mark.parametrize("name", ["results.parquet", "orders.parquet", "result.json"])
    def test_a_damaged_file(self, own_copy, name):
        path = own_copy / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
        assert "start the run anew with --force" in self.refused(own_copy, own_copy)

    @pytest.mark.parametrize("column", ["combination", "tape", "start", "arrival_mid2"])
    def test_a_column_that_is_missing_although_the_digests_fit(self, own_copy, column):
        path = own_copy / "orders.parquet"
        parquet.write_table(parquet.read_table(path).drop_columns([column]), path)
        signed(own_copy, path)
        assert f"is damaged (KeyError: '{column}')" in self.refused(own_copy, own_copy)

    def test_a_row_that_is_missing_although_the_digests_fit(self, own_copy):
        path = own_copy / "results.parquet"
        parquet.write_table(parquet.read_table(path).slice(1), path)
        signed(own_copy, path)
        assert "failed for some of the orders" in self.refused(own_copy, own_copy, (0, 0))

    def test_a_run_of_before_there_were_tables_of_orders(self, own_copy):
        manifest = read_manifest(own_copy)
        files = {name: digest for name, digest in manifest.files.items() if name != "orders.parquet"}
        write_manifest(own_copy, structs.replace(manifest, files=files))
        assert "has no orders.parquet" in self.refused(own_copy, own_copy)


def signed(home, path):
    manifest = read_manifest(home)
    write_manifest(home, structs.replace(manifest, files={**manifest.files, path.name: sha256(path)}))


@pytest.fixture
def own_copy(stored, tmp_path):
    return shutil.copytree(stored()[0], tmp_path / "copy")


def test_the_command_prints_a_document_and_a_sentence(stored, capsys):
    home, beside = str(stored()[0]), str(stored(grid=LOOSE)[0])
    assert cli.main(["compare", home, beside, "--second", "1"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert err == document["sentence"] + "\n"
    assert document["second"]["combination"] == 1
    assert document["first"]["home"] == home
    assert document["difference_bps"]["total"].keys() == {"mean", "low", "high", "standard_error"}
    assert document["baselines"]["best_ask"] == {"identical": True, "difference_bps": None, "beyond_bps": None}
    assert "grid.theta_queue" in document["differs"]
    assert cli.main(["compare", home, beside, "order.size=3"]) == 2
    assert "compare reads stored files alone" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["compare", home])
    assert "expected RUN RUN" in capsys.readouterr().err


def test_long_axes_are_shortened(stored):
    axis = {"start": 0, "stop": 0.03, "num": 31}
    many = [round(n * 0.001, 3) for n in range(31)]
    comparison = compare(stored()[0], stored(grid={**GRID, "theta_queue": many})[0])
    shown = comparison_document(comparison)["differs"]["grid.theta_queue"][1]
    assert len(shown) == 21
    assert shown[10] == "11 more"
    assert compare(stored(grid={**GRID, "theta_queue": axis})[0], stored()[0]).differs["grid.theta_queue"][0] == axis


def test_the_page_names_every_field_and_no_other(stored):
    home = stored()[0]
    pairs = [
        (home, stored(grid=LOOSE, fees={"default": {"taker": 0.001}}, detail="all")[0], (None, None)),
        (home, home, (0, 0)),
        (stored(grid={**GRID, "liquidity": ["persist", "refresh"]})[0], home, (0, 0)),
        (home, stored(grid={**GRID, "liquidity": ["persist", "refresh"]})[0], (0, 0)),
    ]
    documents = [comparison_document(compare(*pair)) for pair in pairs]
    for document in documents:  # names of keys and rules hold dots
        document["differs"] = {name.replace(".", "_"): pair for name, pair in document["differs"].items()} or {"a": 0}
    assert unnamed("runs.md", "Two runs side by side", *documents) == ([], [])


def test_a_search_is_compared_by_what_it_looked_at(stored):
    home, result = stored(search={"kind": "list", "points": [{"theta_queue": 0.02, "lambda_under": 0.03}]})
    assert len(result.config.question.grid) == 1
    whole = stored()[0]
    number = next(
        number
        for number in range(6)
        if stored()[1].config.question.grid.printed(number) == compare(home, home).first.parameters
    )
    comparison = compare(home, whole, (None, number))
    assert not comparison.whole.total.mean
    assert comparison.whole.total.high == 0
    assert "search.kind" in comparison.differs
