"""The suite that every policy passes, and what this one is for."""

import pytest
from patient_policy import Patient

from allocator import AllocatorError, Parameters, View
from sweep.testing import PolicySuite

CENT = 10_000_000


class TestPatient(PolicySuite):
    name = "patient"
    policies = (Patient(), Patient(patience=0.01), Patient(participation=200_000_000))


def test_it_takes_the_cheapest_up_to_what_the_penalties_allow():
    prices = (10_003 * CENT, 10_001 * CENT, 10_002 * CENT)
    view = View(0, prices, prices, (50, 60, 70), (50, 60, 70), prices[1], None, 2 * 10_000 * CENT, can_sell_back=True)
    sent = [(each.venue, each.shares) for each in Patient().decide(view, 100, Parameters.of(0, 0.02, 0))]
    assert sent == [(1, 60), (2, 40)]
    assert [each.venue for each in Patient(0.01).decide(view, 100, Parameters.of(0, 0.02, 0))] == [1]


def test_patience_is_no_penalty():
    with pytest.raises(AllocatorError, match="patience: expected 0 to 100"):
        Patient(patience=-0.01)
