"""A router: what a stored run found, exported, read back with suspicion, and asked of other days."""

import json
import math
import random

import pytest

from feed import synthetic
from sweep import cli, router
from sweep.config.loading import build_config
from sweep.driver import run
from sweep.errors import ConfigError
from sweep.report import rules_section
from sweep.router import config_for, document_of, export, numbers_of, read_router
from tests.support.pages import unnamed
from tests.sweep.runs.test_store import home_of

ORDERS = {"side": ["buy", "sell"], "size": [300, 1000], "every": "1s", "horizon": "1s"}
GRID = {"lambda_over": 0, "lambda_under": [0, 0.03], "theta_queue": [0, 0.01, 0.02, 0.03]}


@pytest.fixture(scope="module")
def quotes(tmp_path_factory):
    path = tmp_path_factory.mktemp("quotes") / "day.csv.gz"
    synthetic.write_csv(synthetic.generate(seconds=60.0, warmup=2.0, levels=1), path)
    return path


@pytest.fixture(scope="module")
def stored(quotes, tmp_path_factory):
    kept = {}

    def make(**keys):
        key = json.dumps(keys, sort_keys=True)
        if key not in kept:
            tree = {"source": str(quotes), "executor": "inline", "order": ORDERS, "grid": GRID}
            config = build_config({**tree, "output": str(tmp_path_factory.mktemp("run")), **keys})
            result = run(config)
            kept[key] = home_of(config), result
        return kept[key]

    return make


@pytest.fixture
def written(stored, tmp_path):
    """The path of an exported router, and its content to be changed."""
    path = tmp_path / "router.json"
    made = export(stored()[0])
    assert made.challengers
    path.write_text(document_of(made))

    def change(edit=lambda _: None):
        tree = json.loads(path.read_text())
        edit(tree)
        path.write_text(json.dumps(tree))
        return path

    return change


def test_what_is_exported_is_what_the_run_found(stored):
    home, result = stored()
    made, document = export(home), result.document
    assert made.winner == (document["verdict"]["kind"] == "better")
    assert made.verdict.against == document["verdict"]["against"]
    assert made.parameters["theta_queue"] == document["best_parameters"]["theta_queue"]
    assert (made.parameters["policy"], made.parameters["reference"], made.parameters["participation"]) == (
        "static",
        "touch",
        1.0,
    )
    assert made.saving_bps.mean == document["statistics"]["saving_bps"][made.verdict.against]["mean"]
    assert made.held_out_bps.mean == document["statistics"]["held_out"]["saving_bps"]["strongest"]["mean"]
    assert (made.origin.run, made.origin.digest) == (document["run"]["id"], document["feed"]["digest"])
    assert made.rules["taker_fees"] == document["rules"]["taker_fees"] == {"default": 0.003}
    assert made.symbols == [document["feed"]["symbol"]]
    assert made.origin.combinations == 8
    assert made.orders_are_given
    words = " ".join(made.validity)
    assert document["verdict"]["sentence"] in words
    assert "buys and sells of 300, 1,000 shares that last 1 s" in words
    assert "240 orders in 30 blocks" in words or f"{document['orders']['count']} orders in" in words
    assert "Orders arrive at once." in made.validity
    assert "no order to trade" in words
    assert len(made.id) == 16


LARGE = {"side": "buy", "size": 2000, "every": "1s", "horizon": "1s"}


def test_challengers_of_the_confidence_set_come_first_then_what_pays_least(stored):
    home, result = stored(order=LARGE)
    made = export(home, 8)
    kept = result.document["statistics"]["confidence_set"]["combinations"]
    close = [each.in_confidence_set for each in made.challengers]
    assert 1 <= close.count(True) < kept + 1 < len(close) + 1
    assert close == sorted(close, reverse=True)
    cash = result.to_frame().groupby("combination")["total_cash"].sum()
    rest = [cash[each.combination] for each in made.challengers if not each.in_confidence_set]
    assert rest == sorted(rest)
    columns = {number: tuple(rows["total_cash"]) for number, rows in result.to_frame().groupby("combination")}
    chosen = [made.origin.combination, *(each.combination for each in made.challengers)]
    assert len({columns[number] for number in chosen}) == len(chosen) == len({*columns.values()})
    assert export(home, 0).challengers == []
    assert export(home, 2).challengers == made.challengers[:2]


def test_what_fills_less_than_best_ask_challenges_nobody(stored):
    grid = {"lambda_over": 0, "lambda_under": [0, 0.03], "theta_queue": [0, 0.01], "participation": [0.2, 1]}
    orders = {"side": ["buy", "sell"], "size": 30_000, "every": "1s", "horizon": "1s"}
    home, result = stored(order=orders, grid=grid, liquidity="persist")
    base, frame = result.document["baselines"]["best_ask"], result.frame()
    least = base["filled"] - base["overfilled"]
    filled = dict(zip(frame["combination"], frame["filled"] - frame["overfilled"], strict=True))
    assert min(filled.values()) < least < max(filled.values())
    made = export(home, 8)
    chosen = [made.origin.combination, *(each.combination for each in made.challengers)]
    assert sorted(chosen) == sorted(number for number, shares in filled.items() if shares >= least)


def test_of_few_blocks_challengers_are_spread_over_the_grid(stored):
    made = export(stored(order={**LARGE, "every": "4s", "horizon": "4s"})[0], 2)
    assert [each.in_confidence_set for each in made.challengers] == [None, None]
    best = made.parameters["theta_queue"]
    far = made.challengers[0].parameters
    axis = GRID["theta_queue"]
    steps = abs(axis.index(far["theta_queue"]) - axis.index(best)) / 3
    assert steps + (far["lambda_under"] != made.parameters["lambda_under"]) >= 1


def test_it_is_read_back_as_it_was_written(written, stored):
    made = export(stored()[0])
    again = read_router(written())
    assert again == made
    assert again.id == made.id


def test_a_router_is_asked_of_another_day_by_the_same_rules(stored):
    home, result = stored(conventions="fair", liquidity="refresh", fees={"default": {"taker": 0.001}})
    made = export(home)
    config = config_for(made, "other.csv.gz", ["executor=inline"])
    question = config.question
    assert (config.source, config.executor, config.window.start) == ("other.csv.gz", "inline", None)
    assert question.orders == result.config.question.orders
    rules, before = rules_section(question), result.document["rules"]
    assert rules == before
    assert made.rules == {name: before[name] for name in made.rules}
    assert {*before} - {*made.rules} == {*made.parameters} & {*before}
    grid, numbers = question.grid, numbers_of(made, config)
    assert len(grid) == len(numbers) == 1 + len(made.challengers)
    for number, point in zip(numbers, made.points, strict=True):
        assert grid.printed(number) == {name: point[name] for name in grid.printed(number)}


def test_what_a_grid_varies_beyond_parameters_is_a_part_of_the_router(stored):
    grid = {**GRID, "reference": ["touch", "mid"], "participation": [0.5, 1], "liquidity": ["persist", "refresh"]}
    home, result = stored(grid=grid)
    made = export(home, 8)
    assert made.parameters["reference"] == result.document["best_parameters"]["reference"]
    assert "liquidity" not in made.parameters
    assert made.question["liquidity"] == "persist"
    assert any(
        "The market was varied as well; this is what is best for liquidity=persist" in line for line in made.validity
    )
    config = config_for(made, "x.csv")
    numbers = numbers_of(made, config)
    assert sorted(numbers) == list(range(len(config.question.grid)))
    assert len(config.question.variants.worlds) == 1


def test_infinite_parameters_survive(stored):
    home, _ = stored(grid={"lambda_over": 0, "lambda_under": [0, math.inf], "theta_queue": [0, 0.01]})
    made = export(home, 8)
    assert ".inf" in {point["lambda_under"] for point in made.points}
    config = config_for(made, "x.csv")
    assert len(numbers_of(made, config)) == 1 + len(made.challengers)


@pytest.mark.parametrize(
    ("keys", "given"),
    [
        ({"order": {**ORDERS, "from": "14:30", "to": "14:31"}}, True),
        ({"order": {"size": 300}}, True),
        ({"order": {"size": 300, "start": "2025-03-12T14:30:10Z", "horizon": "5s"}}, False),
        ({"window": {"start": "2025-03-12T14:30:10Z", "end": "2025-03-12T14:30:50Z"}}, False),
    ],
)
def test_orders_of_fixed_instants_are_not_those_of_other_days(stored, keys, given):
    made = export(stored(**keys)[0])
    assert made.orders_are_given is given
    if given:
        assert config_for(made, "x.csv").question.orders.starts == ()
        with pytest.raises(ConfigError, match=r"order\.size=3: would ask something else"):
            config_for(made, "x.csv", ["order.size=3"])
    else:
        with pytest.raises(ConfigError, match="the router's orders are of fixed instants; say when they start"):
            config_for(made, "x.csv")
        config = config_for(made, "x.csv", ["order.every=2s", "order.horizon=2s"])
        assert config.question.orders.clock.every == 2 * 10**9


def test_few_blocks_export_all_the_same(stored):
    made = export(stored(order={"size": 300})[0])
    assert made.winner is False
    assert made.verdict.kind == "not enough data"
    assert made.saving_bps.low is None
    assert made.validity[0].startswith("No winner is shown (not enough data)")


@pytest.mark.kafka
def test_the_embedded_source_s_fees_go_with_its_router(tmp_path):
    config = build_config({"source": "embedded", "executor": "inline", "grid": GRID, "output": str(tmp_path)})
    run(config)
    made = export(home_of(config))
    assert made.question["fees"].keys() == {str(venue) for venue in synthetic.FEES}
    assert made.rules["taker_fees"] == json.loads(json.dumps(rules_section(config.question)["taker_fees"]))
    assert not made.orders_are_given


class TestRefused:
    def refused(self, path):
        with pytest.raises(ConfigError) as caught:
            read_router(path)
        message = str(caught.value)
        assert message.startswith(str(path))
        assert "\n" not in message
        assert len(message) < 600
        return message

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema": 3}', b"[" * 100_000])
    def test_what_is_no_router(self, tmp_path, content):
        path = tmp_path / "router.json"
        path.write_bytes(content)
        assert "is no router" in self.refused(path)

    def test_a_folder_and_nothing(self, tmp_path):
        assert "it is no regular file" in self.refused(tmp_path)
        assert "No such file" in self.refused(tmp_path / "none.json")

    def test_too_many_bytes(self, tmp_path):
        path = tmp_path / "router.json"
        path.write_bytes(b" " * (router.LIMIT + 1))
        assert "is over 1,048,576 bytes" in self.refused(path)

    @pytest.mark.parametrize(("schema", "version"), [("sor-sweep router", 2), ("something", 1), ("x" * 1000, 1)])
    def test_other_versions(self, written, schema, version):
        path = written(lambda tree: tree.update(schema=schema, version=version))
        assert "this version reads 'sor-sweep router' 1" in self.refused(path)

    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (lambda tree: tree.update(more=1), "unknown field `more`"),
            (lambda tree: tree.pop("rules"), "missing required field `rules`"),
            (lambda tree: tree.update(winner="yes"), "Expected `bool`"),
            (lambda tree: tree["parameters"].pop("theta_queue"), "expected the same names in each"),
            (lambda tree: tree["parameters"].update(lambda_x=1), "expected the same names in each"),
            (lambda tree: tree["challengers"].extend(tree["challengers"][:1] * 9), "expected 8 at most"),
            (lambda tree: tree["parameters"].update(theta_queue=[1, 2]), "expected text, numbers"),
            (lambda tree: tree["parameters"].update(theta_queue="much"), "theta_queue"),
            (lambda tree: tree["parameters"].update(policy="none"), "policy"),
            (lambda tree: tree["parameters"].update(step=7), "expected the same step"),
            (lambda tree: tree["question"].update(source="/etc/passwd"), "expected no source"),
            (lambda tree: tree["question"].update(kafka={"sasl_username": "x"}), "expected no kafka"),
            (lambda tree: tree["question"].update(window={"start": 0}), "expected no more than warmup"),
            (lambda tree: tree["question"].update(window=3), "expected no more than warmup"),
            (lambda tree: tree["question"].update(nothing=3), "unknown key nothing"),
            (lambda tree: tree["question"]["order"].update(size="many"), "order.size"),
            (
                lambda tree: tree["question"].update(liquidity="refresh"),
                "means other rules to this version (liquidity)",
            ),
            (lambda tree: tree["rules"].update(liquidity="refresh"), "means other rules to this version (liquidity)"),
            (lambda tree: tree["question"].update(fees={"default": {"taker": 1}}), "(taker_fees)"),
        ],
    )
    def test_what_no_export_writes(self, written, edit, message):
        assert message in self.refused(written(edit))

    def test_any_change_is_read_or_refused_in_one_line(self, written):
        path, rng = written(), random.Random(3)
        content = path.read_bytes()
        refused = []
        for _ in range(150):
            changed = bytearray(content)
            for _ in range(rng.randrange(1, 4)):
                changed[rng.randrange(len(changed))] = rng.choice(b'0123456789abc{}[]",:.-e\xff\x00 ')
            path.write_bytes(changed)
            try:
                read_router(path)
            except ConfigError as error:
                refused.append(str(error))
        assert 20 < len(refused) < 150
        assert not any("\n" in message for message in refused)

    def test_keys_that_ask_something_else(self, written):
        made = read_router(written())
        for word in ("grid.theta_queue=3", "liquidity=refresh", "output=x", "source=x", "validate=none"):
            with pytest.raises(ConfigError, match="would ask something else than the router does"):
                config_for(made, "x.csv", [word])

    def test_too_many_challengers(self, stored):
        with pytest.raises(ConfigError, match="--challengers: expected 0 to 8, but it had 9"):
            export(stored()[0], 9)


def test_the_command_prints_it(stored, capsys, tmp_path):
    home = stored()[0]
    assert cli.main(["export", str(home), "--challengers", "1"]) == 0
    out, err = capsys.readouterr()
    path = tmp_path / "router.json"
    path.write_text(out)
    made = read_router(path)
    assert made == export(home, 1)
    assert err.splitlines() == made.validity
    assert cli.main(["export", str(home), "order.size=3"]) == 2
    assert "export reads stored files alone" in capsys.readouterr().err


def test_the_page_names_every_field_and_no_other(stored):
    each = [
        export(stored()[0]),
        export(stored(order={"size": 300})[0], 0),
        export(
            stored(
                latency={"default": "1ms", "2": ["1ms", "2ms"]},
                window={"warmup": "1s"},
                fees={"default": {"taker": 0.001}},
            )[0]
        ),
    ]
    assert unnamed("router.md", "What is exported", *(json.loads(document_of(made)) for made in each)) == ([], [])
