"""Fee scenarios: every number with a source and a date, and no taker above the cap that the scenario is named for."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from feed.markets.fees import SCENARIOS, fees_of
from feed.markets.ticks import FEE_CAPS, rule_on
from feed.markets.venues import venue_of

ENTRIES = [(name, each) for name, scenario in SCENARIOS.items() for each in scenario.venues]


@pytest.mark.parametrize(("name", "entry"), ENTRIES, ids=[f"{name} {each.mic}" for name, each in ENTRIES])
def test_every_entry_has_a_source_and_a_date_and_is_a_venue_of_that_day(name, entry):
    assert entry.source
    assert date.fromisoformat(entry.date) <= date.fromisoformat("2026-11-29")
    assert venue_of(entry.mic, "mic", entry.date)
    assert (Decimal(entry.taker) < 0) <= (entry.model == "inverted")
    if entry.model == "maker-taker":
        assert Decimal(entry.taker) > 0


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_has_a_source_and_keeps_to_its_cap(name):
    scenario = SCENARIOS[name]
    assert scenario.source
    cap = Decimal(scenario.cap) if scenario.cap else Decimal(rule_on(FEE_CAPS, scenario.date).amount) / 10**9
    table = fees_of(name)
    assert set(table) == {"default", *(each.mic for each in scenario.venues)}
    assert len(table) == 1 + len(scenario.venues)
    assert all(Decimal(str(fee["taker"])) <= cap for fee in table.values())


def test_what_the_lower_cap_takes_from_a_taker_it_takes_from_the_maker():
    before, after = fees_of("us-2026-cap30"), fees_of("us-2026-cap10")
    assert before["EDGA"] == {"taker": 0.003, "maker": -0.0027}
    assert after["EDGA"] == {"taker": 0.001, "maker": -0.0007}
    assert before["BATY"] == after["BATY"] == {"taker": -0.0002}
