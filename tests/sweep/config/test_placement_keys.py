"""The keys of the policy `placement`: what they are read as, what they refuse, and that they change nothing else."""

from __future__ import annotations

import pytest

from allocator import queues
from allocator.money import NANO
from allocator.order import NEUTRAL, RHO, MakerFees, Rules
from allocator.placement.policy import SECOND, Placement
from allocator.policies import Static
from sweep.config import build_config, load_config
from sweep.errors import ConfigError
from sweep.report import rules_section

KEYS = {
    "slice": "10s",
    "posting": "deep:2",
    "at_T": "buy",
    "samples": "1k",
    "adverse": "none",
    "condition": "both",
    "catch_up": 0.5,
}


def settings_of(**keys):
    return build_config(keys).question.settings


def test_keys_are_read_in_the_units_of_the_policy():
    policy = settings_of(policy="placement", **KEYS, step=7, reference="mid").policy
    assert policy == Placement(10 * SECOND, 1000, "deep:2", "buy", "none", "both", NANO // 2, 7, "mid")
    assert settings_of(policy="placement").policy == Placement(30 * SECOND, 200, "touch", "roll", reference="touch")
    assert settings_of(**KEYS).policy == Static(reference="touch")  # which has no use for them


def test_the_queues_rules_are_integers():
    rules = settings_of(policy="placement", phi=0.25, rho=1).rules
    assert (rules.phi, rules.rho) == (NANO // 4, NANO)
    assert settings_of().rules.phi == settings_of(phi="neutral").rules.phi == NEUTRAL == queues.NEUTRAL
    assert settings_of().rules.rho == Rules("persist", "sweep", 0).rho == RHO  # which is measured


def test_maker_fees_are_merged_as_taker_fees_are():
    rules = settings_of(source="day.csv", fees={"2": {"taker": 0.001}, "43": {"maker": -0.003}}).rules
    assert rules.maker_fees == MakerFees(-2_000_000, ((2, -2_000_000), (43, -3_000_000)))
    assert rules.maker_fees.of([43, 8, 2]) == (-3_000_000, -2_000_000, -2_000_000)
    default = settings_of(source="day.csv", fees={"default": {"maker": 0.0005}, "2": {"taker": 0.001}}).rules.maker_fees
    assert default == MakerFees(500_000, ((2, 500_000),))
    own = settings_of().rules.maker_fees.of([2, 43, 38, 3])  # of the embedded source
    assert own == (-2_000_000, -2_200_000, 0, 1_800_000)


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("policy=placment", "policy: expected one of static, pseudocode, placement, but it had 'placment'"),
        ("slice=4s", "slice: expected 5 s to 24 h, but it had 4.0 s"),
        ("slice=25h", "slice: expected 5 s to 24 h, but it had 90000.0 s"),
        ("slice=soon", "slice: 'soon' is no duration"),
        ("slice=null", "slice: expected a duration of 5s or more, such as 30s, but it had nothing"),
        ("samples=29", "samples: expected a whole number, 30 to 5,000, but it had 29"),
        ("samples=6k", "samples: expected a whole number, 30 to 5,000, but it had 6000"),
        ("samples=many", "samples: expected a whole number, such as 200, but it had 'many'"),
        ("posting=deep:10", "posting: expected touch, inside or deep:N with N 1 to 9, but it had 'deep:10'"),
        ("posting=deep", "posting: expected touch, inside or deep:N"),
        ("at_T=sell", "at_T: expected roll or buy, but it had 'sell'"),
        ("adverse=yes_please", "adverse: expected measured or none, but it had 'yes_please'"),
        ("condition=moon", "condition: expected none or queue or volume or both, but it had 'moon'"),
        ("catch_up=-1", "catch_up: expected 0 to 100, but it had -1.0"),
        ("catch_up=1e-10", "catch_up: 1e-10 rounds to 0"),
        ("catch_up=1000", "catch_up: expected 0 to 100, but it had 1000.0"),
        ("catch_up=.nan", "catch_up: expected a number, but it had NaN"),
        ("phi=1.5", "phi: expected neutral, or 0 to 1, but it had 1.5"),
        ("phi=.nan", "phi: expected neutral, or 0 to 1, but it had nan"),
        ("phi=half", "phi: expected neutral, or a number from 0 to 1, such as 0.5, but it had 'half'"),
        ("rho=-0.1", "rho: expected 0 to 1, but it had -0.1"),
        ("rho=neutral", "rho: expected a number from 0 to 1, such as 0.2, but it had 'neutral'"),
        ("grid.phi=[0, 0.0]", "grid.phi: 0.0 stands twice"),
        ("grid.phi=[0, 2]", "grid.phi: expected neutral, or 0 to 1, but it had 2.0"),
        ("grid.slice=[10s, 10000ms]", "grid.slice: 10000ms stands twice, as 10s"),
        ("grid.posting=[touch, high]", "grid.posting: expected touch, inside or deep:N"),
        ("grid.samples=[200, 20]", "grid.samples: expected a whole number, 30 to 5,000, but it had 20"),
    ],
)
def test_what_is_no_value_is_refused_by_its_key(assignment, says):
    with pytest.raises(ConfigError) as error:
        load_config(None, [assignment]).question  # noqa: B018 - asked for its error
    assert str(error.value).startswith(says)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (
            {"conventions": "classic"},
            "policy: placement needs queues that stand, which conventions=classic has none of",
        ),
        ({"book": "event"}, "policy: placement needs queues that stand, which book=event has none of"),
    ],
)
def test_books_without_queues_are_refused(keys, says):
    with pytest.raises(ConfigError, match=says):
        build_config({"policy": "placement", **keys}).question  # noqa: B018 - the same
    with pytest.raises(ConfigError, match=f"grid.{says}"):
        build_config({"grid": {"policy": ["static", "placement"]}, **keys}).question  # noqa: B018 - the same
    assert build_config(keys).question.settings.warmup == (0 if "conventions" in keys else 300 * SECOND)


def test_warm_up_is_longer_where_any_variant_places():
    for keys, seconds in (
        ({}, 300),
        ({"policy": "placement"}, 1800),
        ({"grid": {"policy": "placement"}}, 1800),
        ({"grid": {"policy": ["static", "placement"]}}, 1800),
        ({"grid": {"policy": ["static", "pseudocode"]}}, 300),
        ({"policy": "placement", "window": {"warmup": "60s"}}, 60),
    ):
        question = build_config(keys).question
        assert {each.settings.warmup for each in question.variants.each} == {seconds * SECOND}, keys


def test_each_key_is_an_axis_and_those_of_the_market_make_worlds():
    grid = {
        "policy": ["static", "placement"],
        "slice": ["10s", "1m"],
        "posting": ["inside", "deep:1"],
        "at_T": ["roll", "buy"],
        "samples": [30, "5k"],
        "adverse": ["measured", "none"],
        "condition": ["none", "both"],
        "catch_up": [1.5],
    }
    question = build_config({"grid": grid | {"phi": [0, "neutral", 1]}}).question
    assert len(question.variants.each) == 2**7 * 3
    assert [world.point for world in question.variants.worlds] == [{"phi": 0.0}, {"phi": "neutral"}, {"phi": 1.0}]
    assert question.variants.placing
    last = question.variants.each[-1].settings
    assert last.policy == Placement(60 * SECOND, 5000, "deep:1", "buy", "none", "both", 3 * NANO // 2)
    assert last.rules.phi == NANO
    assert question.grid.printed(len(question.grid) - 1)["samples"] == 5000
    assert len(build_config({"grid": {"rho": [0, 0.2]}}).question.variants.worlds) == 2


def test_conditions_and_points_name_the_axes():
    grid = {"policy": ["static", "placement"], "slice": ["10s", "30s"], "phi": [0, "neutral"], "samples": [100, 200]}
    where = ["policy == 'placement' or (slice == '10s' and samples == 100)", "phi == 'neutral' or samples < 150"]
    question = build_config({"grid": grid, "where": where}).question
    kept = {tuple(question.grid.printed(n)[name] for name in grid) for n in range(len(question.grid))}
    assert kept == {
        ("static", "10s", 0.0, 100),
        ("static", "10s", "neutral", 100),
        *(("placement", slice_, 0.0, 100) for slice_ in ("10s", "30s")),
        *(("placement", slice_, "neutral", samples) for slice_ in ("10s", "30s") for samples in (100, 200)),
    }
    parameters = {"lambda_over": 0.01, "lambda_under": 0.03, "theta_queue": 0}
    points = [
        {**parameters, "policy": "placement", "slice": "10s", "catch_up": 1},
        {**parameters, "policy": "static", "slice": "10000ms", "catch_up": 1.0},
    ]
    listed = build_config({"search": {"kind": "list", "points": points}}).question
    assert len(listed.grid) == 2
    assert listed.settings.warmup == 1800 * SECOND


@pytest.mark.parametrize("kind", ["random", "sobol", "zoom"])
def test_samplers_draw_from_the_axes(kind):
    grid = {"policy": ["static", "placement"], "slice": ["10s", "20s", "30s"], "catch_up": [0, 0.5, 1, 2]}
    keys = {"grid": grid, "search": {"kind": kind, "combinations": 12}}
    question = build_config(keys).question
    assert question.searching == (kind == "zoom")
    assert kind == "zoom" or len(question.grid) == 12
    assert question.most == 12


HASHES = {
    (): "2f4f5b6b0e23b79758556e7a1c785d8cdde96c2d4127fd13be603e58f0a595d3",
    (("conventions", "classic"),): "61600a817c51d380181b75966a82cbb13a1f1a78e51967d4b2cc13dae85ff05e",
}
"""Of versions that had none of these keys: their runs are found."""


@pytest.mark.parametrize("keys", HASHES)
def test_older_runs_are_found(keys):
    assert build_config(dict(keys)).question.config_hash == HASHES[keys]
    assert (
        build_config(dict(keys) | {"rho": 0.185, "catch_up": 1, "phi": "neutral"}).question.config_hash == HASHES[keys]
    )
    for name, value in (*KEYS.items(), ("phi", 0), ("rho", 0.2)):
        assert build_config(dict(keys) | {name: value}).question.config_hash != HASHES[keys]


def test_rules_name_what_placement_reads_and_nothing_of_it_elsewhere():
    plain = rules_section(build_config({"grid": {"policy": ["static", "pseudocode"]}}).question)
    assert not {*KEYS, "phi", "rho", "maker_fees"} & {*plain}
    keys = {"slice": "10s", "fees": {"default": {"maker": -0.001}, "2": {"maker": 0.001}}, "source": "day.csv"}
    placing = rules_section(build_config({"policy": "placement", "grid": {"phi": [0, "neutral"]}, **keys}).question)
    assert (placing["slice"], placing["phi"], placing["rho"], placing["samples"]) == (
        "10s",
        [0.0, "neutral"],
        0.185,
        200,
    )
    assert placing["maker_fees"] == {"default": -0.001, "2": 0.001}
    assert placing["warmup_s"] == 1800
    tables = {"one": {"default": {"maker": -0.001}}, "other": {"2": {"taker": 0.001}}}
    of_each = rules_section(build_config({"policy": "placement", "grid": {"fees": tables}, "source": "x.csv"}).question)
    assert of_each["maker_fees"] == {"one": {"default": -0.001}, "other": {"default": -0.002, "2": -0.002}}
    assert of_each["taker_fees"] == {"one": {"default": 0.003}, "other": {"default": 0.003, "2": 0.001}}
    dropped = build_config({"grid": {"policy": ["static", "placement"]}, "where": "policy == 'static'"}).question
    assert not dropped.variants.placing
    assert "slice" not in rules_section(dropped)
