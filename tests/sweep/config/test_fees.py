"""Fees by the names of venues, and by scenario: the same fees have one hash, however they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.markets.fees import SCENARIOS
from feed.markets.venues import VENUES, ids_of
from sweep.config import load_config
from sweep.errors import ConfigError
from tests.support.examples import examples

NASDAQ = (2, 46, 47, 52, 66, 81, 124)


def fees_of(*words):
    """The fees of a configuration, resolved: the default, and of each publisher id, 1e-9 $."""
    fees = load_config(assignments=["source=x.csv", *words]).question.settings.fees
    return fees.default, fees.venues


def hash_of(*words):
    return load_config(assignments=["source=x.csv", *words]).question.config_hash


@pytest.mark.parametrize("name", ["XNAS", "nasdaq", "Q", "NASDAQ OMX"])
def test_a_venue_by_name_has_its_fees_under_every_id(name):
    default, venues = fees_of(f"fees={{{name}: {{taker: 0.001}}}}")
    assert default == 3_000_000
    assert venues == dict.fromkeys(NASDAQ, 1_000_000)


def test_an_id_is_that_id_alone_and_its_hash_what_it_was():
    assert fees_of("fees={2: {taker: 0.001}}")[1] == {2: 1_000_000}
    written = "fees={2: {taker: 0.001}, 38: {taker: 0.0009}, default: {taker: 0.003}}"
    assert hash_of(written) == "63501e8e4ca3fd3ea964edd8f66ccb58ac1d6b909f82b68afaa54ef63ddec8e5"


def test_one_hash_for_all_spellings_of_the_same_fees():
    ids = ", ".join(f"{each}: {{taker: 0.001}}" for each in NASDAQ)
    hashes = {hash_of(f"fees={{{text}}}") for text in ("XNAS: {taker: 0.001}", "nasdaq: {taker: 1e-3}", ids)}
    assert len(hashes) == 1
    assert hash_of("fees={2: {taker: 0.001}}") not in hashes


@given(st.sampled_from(sorted(VENUES)), st.integers(-30, 30))
@examples(20)
def test_any_venue_by_its_name(number, mils):
    venue = VENUES[number]
    _, venues = fees_of(f"fees={{'{venue.name}': {{taker: {mils / 10_000}}}}}")
    assert venues == dict.fromkeys(ids_of(number), mils * 100_000)


def test_a_scenario_is_the_table_that_it_stands_for(tmp_path):
    default, venues = fees_of("fees=us-2018")
    assert default == 3_000_000
    assert (venues[5], venues[9], venues[6], venues[122]) == (3_000_000, 2_750_000, -1_600_000, 2_750_000)
    assert 38 not in venues
    (tmp_path / "fees.yaml").write_text("default: {taker: 0.003, maker: -0.002}\nedgx: {taker: 0.001}\n")
    assert fees_of(f"fees={tmp_path / 'fees.yaml'}")[1] == dict.fromkeys(ids_of(8), 1_000_000)


def test_one_number_of_a_scenario_can_be_replaced():
    _, venues = fees_of("fees=us-2018", "fees.XNYS.taker=0.001")
    assert venues[9] == venues[122] == 1_000_000
    assert venues[5] == 3_000_000


def test_under_the_amended_cap_no_taker_pays_more_than_it():
    default, venues = fees_of("fees=us-2026-cap10")
    assert max(default, *venues.values()) == 1_000_000
    before = fees_of("fees=us-2026-cap30")[1]
    assert venues == {venue: min(fee, 1_000_000) for venue, fee in before.items()}
    assert any(fee < 0 for fee in venues.values())


def test_scenarios_are_worlds_of_an_axis_by_list_or_by_name():
    by_list = load_config(assignments=["source=x.csv", f"grid.fees=[{', '.join(SCENARIOS)}]"]).question
    assert [world.point["fees"] for world in by_list.variants.worlds] == list(SCENARIOS)
    named = "grid.fees={us-2018: us-2018, us-2026-cap30: us-2026-cap30, us-2026-cap10: us-2026-cap10}"
    assert load_config(assignments=["source=x.csv", named]).question.config_hash == by_list.config_hash
    mixed = load_config(assignments=["source=x.csv", "grid.fees={then: us-2018, mine: {IEX: {taker: 0}}}"]).question
    assert [each.settings.fees.venues.get(38) for each in mixed.variants.each] == [None, 0]


def test_a_table_of_an_axis_names_its_place():
    with pytest.raises(ConfigError, match=r"grid\.fees\.mine\.nasdak: 'nasdak' is no venue"):
        load_config(assignments=["source=x.csv", "grid.fees={mine: {nasdak: {taker: 0}}, then: us-2018}"])
    with pytest.raises(ConfigError, match=r"expected tables by name, such as .* or scenarios, such as \[us-2018"):
        load_config(assignments=["source=x.csv", "grid.fees=[us-2018, us-1999]"])
