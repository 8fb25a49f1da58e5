"""Ticks, round lots, caps and crossing by date: every rule with a source and a date, and hand-checked days."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.instants import parse_instant
from feed.markets.ticks import (
    CHECKED,
    CROSSINGS,
    FEE_CAPS,
    ROUND_LOTS,
    TICKS,
    beyond,
    elsewhere,
    round_lots,
    rule_on,
    spans_of,
    tick_sizes,
)
from tests.support.examples import examples

TABLES = {"ticks": TICKS, "lots": ROUND_LOTS, "caps": FEE_CAPS, "crossing": CROSSINGS}
DOLLAR = 10**9


def at(day):
    """15:00 UTC of a day."""
    return parse_instant(f"{day}T15:00:00Z")


@pytest.mark.parametrize("rule", [rule for table in TABLES.values() for rule in table], ids=str)
def test_every_rule_has_a_source_and_a_date(rule):
    date.fromisoformat(rule.first)
    assert "CFR" in rule.source or "SEC" in rule.source or "Alert" in rule.source


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_rules_stand_in_the_order_of_their_dates(table):
    assert all(one.first < other.first for one, other in pairwise(table))


def test_every_tick_is_a_part_of_a_cent_as_the_counts_take_it_to_be():
    assert all(10**7 % tick == 0 for rule in TICKS for tick in (rule.whole, rule.below))
    assert all(len(rule.tiers) <= 3 for rule in ROUND_LOTS)
    assert all(shares <= 100 for rule in ROUND_LOTS for shares in (rule.beyond, *(each for _, each in rule.tiers)))


@pytest.mark.parametrize(
    ("day", "dollars", "tick"),
    [
        ("2018-01-02", "157.10", "0.01"),
        ("2018-01-02", "0.9999", "0.0001"),
        ("2018-01-02", "1", "0.01"),
        ("2026-11-27", "20", "0.01"),  # compliance with half a cent was put off twice
        ("2027-10-29", "20", "0.01"),
        ("2027-11-01", "20", "0.005"),
        ("2027-11-01", "0.5", "0.0001"),
        ("2005-12-30", "20", "0"),
    ],
)
def test_ticks_by_hand(day, dollars, tick):
    (size,) = tick_sizes(np.array([at(day)]), np.array([int(Decimal(dollars) * DOLLAR)])).tolist()
    assert size == Decimal(tick) * DOLLAR


@pytest.mark.parametrize(
    ("day", "dollars", "lot"),
    [
        ("2025-11-02", "260", 100),
        ("2025-11-03", "260", 40),
        ("2025-11-03", "250.00", 100),
        ("2025-11-03", "250.01", 40),
        ("2025-11-03", "1000.00", 40),
        ("2025-11-03", "1000.01", 10),
        ("2026-11-27", "10000.00", 10),
        ("2026-11-27", "10000.01", 1),
        ("2018-01-02", "10000.01", 100),
    ],
)
def test_round_lots_by_hand(day, dollars, lot):
    assert round_lots(np.array([at(day)]), np.array([int(Decimal(dollars) * DOLLAR)])).tolist() == [lot]


@pytest.mark.parametrize(
    ("day", "amount", "parts"),
    [("2018-01-02", "0.0030", 3000), ("2026-11-27", "0.0030", 3000), ("2027-11-01", "0.0010", 1000)],
)
def test_caps_on_access_fees_by_hand(day, amount, parts):
    cap = rule_on(FEE_CAPS, day)
    assert (cap.amount, cap.parts) == (Decimal(amount) * DOLLAR, parts)


def test_before_regulation_nms_there_was_no_cap_and_quotes_could_cross():
    assert rule_on(FEE_CAPS, "2005-01-03") is None
    assert rule_on(CROSSINGS, "2005-01-03").allowed
    assert not rule_on(CROSSINGS, "2018-01-02").allowed


def test_a_date_beyond_the_tables_says_so():
    assert beyond(at(CHECKED)) == ""
    assert (
        beyond(at("2027-01-04")) == "2027-01-04 is after 2026-11-29, when the tables of these rules were last checked"
    )


def test_what_trades_elsewhere_is_known():
    assert elsewhere([2, 43, 20_000, 900, 31_000]) == ()
    assert elsewhere([20_100, 2, 1, 20]) == (1, 20, 20_100)  # a crypto exchange, futures, options


@given(st.lists(st.integers(1, 23_000), max_size=30), st.sampled_from(list(TABLES)))
@examples(60)
def test_spans_cover_every_row_from_the_first_rule_on_with_the_rule_of_its_day(days, name):
    ts = np.array(sorted(days), np.int64) * 86_400 * 10**9
    rules = [None] * len(ts)
    for rule, start, end in spans_of(TABLES[name], ts):
        rules[start:end] = [rule] * (end - start)
    isos = [date.fromordinal(719_163 + day).isoformat() for day in sorted(days)]
    assert rules == [rule_on(TABLES[name], iso) for iso in isos]
