"""The table of prices: what comes with the package, what a file of one's own changes, what is refused."""

import datetime as dt

import pytest

from sweep.errors import ConfigError
from sweep.forecast.prices import load_prices


def written(tmp_path, text):
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    return str(path)


def test_the_table_of_the_package_is_dated_and_whole():
    prices = load_prices()
    assert dt.date.fromisoformat(prices.date) <= dt.datetime.now(tz=dt.UTC).date()
    assert (prices.currency, prices.region) == ("USD", "us-east-1")
    for name, each in prices.types.items():
        assert each.on_demand, name
        assert each.date, name
        assert each.speed == 1.0
        assert each.spot is None


def test_an_hour_of_a_family_costs_the_same_per_vcpu_whatever_the_size():
    per_vcpu = {}
    for name, each in load_prices().types.items():
        per_vcpu.setdefault(name.partition(".")[0], set()).add(round(each.on_demand / each.vcpu, 9))
    assert per_vcpu == {"c7i": {0.044625}, "c7a": {0.05132}, "c6i": {0.0425}, "m7i": {0.0504}}


def test_the_types_of_the_cluster_file_are_there():
    types = load_prices().types
    assert (types["m7i.large"].vcpu, types["m7i.large"].memory_gib) == (2, 8)
    assert (types["c7i.4xlarge"].vcpu, types["c7i.4xlarge"].memory_gib) == (16, 32)


def test_a_file_is_laid_over_the_table_key_by_key(tmp_path):
    file = written(
        tmp_path,
        "date: 2026-11-20\n"
        "types:\n"
        "    c7i.4xlarge: {spot: 0.31, spot_date: 2026-11-20, speed: 1.2}\n"
        "    x9.huge: {vcpu: 512, memory_gib: 1024, on_demand: 30}\n",
    )
    prices, packaged = load_prices(file), load_prices()
    changed, before = prices.types["c7i.4xlarge"], packaged.types["c7i.4xlarge"]
    assert (changed.spot, changed.spot_date, changed.speed) == (0.31, "2026-11-20", 1.2)
    assert (changed.on_demand, changed.date, changed.vcpu) == (before.on_demand, before.date, before.vcpu)
    assert (prices.types["x9.huge"].on_demand, prices.types["x9.huge"].date) == (30, "2026-11-20")
    assert prices.types["c7i.large"] == packaged.types["c7i.large"]
    assert prices.date == "2026-11-20"
    assert file in prices.source


def test_prices_of_one_region_are_not_taken_for_those_of_another(tmp_path):
    file = written(tmp_path, "date: 2026-11-20\nregion: eu-west-1\ntypes:\n    c7i.large: {on_demand: 0.1}\n")
    types = load_prices(file).types
    assert (types["c7i.large"].on_demand, types["c7i.large"].vcpu) == (0.1, 2)
    assert (types["c7i.4xlarge"].on_demand, types["c7i.4xlarge"].date, types["c7i.4xlarge"].vcpu) == (None, None, 16)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("types: {}", "date: expected the day"),
        ("date: tomorrow", "date: expected the day"),
        ("date: 2026-11-20\nregoin: x", "unknown key regoin; the nearest valid one is region"),
        ("date: 2026-11-20\ntypes: [c7i.large]", "types: expected a mapping"),
        ("date: 2026-11-20\ntypes: {c7i.large: 3}", "types.c7i.large: expected {vcpu"),
        (
            "date: 2026-11-20\ntypes: {c7i.large: {on_demnd: 3}}",
            "unknown key types.c7i.large.on_demnd; the nearest valid one is types.c7i.large.on_demand",
        ),
        ("date: 2026-11-20\ntypes: {c7i.large: {on_demand: -1}}", "types.c7i.large.on_demand: .* 0 or more.* -1"),
        ("date: 2026-11-20\ntypes: {c7i.large: {spot: .inf}}", "types.c7i.large.spot: .* 0 or more"),
        ("date: 2026-11-20\ntypes: {c7i.large: {speed: 0}}", "types.c7i.large.speed: .* above 0"),
        ("date: 2026-11-20\ntypes: {c7i.large: {spot_date: soon}}", "types.c7i.large.spot_date: expected a day"),
        ("date: 2026-11-20\ntypes: {c7i.large: {on_demand: dear}}", "types.c7i.large: on_demand: expected `float"),
        ("date: 2026-11-20\ntypes: {x9.huge: {on_demand: 3}}", "types.x9.huge: .*missing required field `vcpu`"),
        ("date: 2026-11-20\ncurrency: 3", "currency: expected `str`"),
        ("- 3", "expected a mapping"),
        ("date: [", "no valid YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_key(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_prices(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        load_prices("nowhere.yaml")
