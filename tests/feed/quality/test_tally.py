"""The compiled count of a tape against the one by numpy."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feed.instants import parse_instant
from feed.quality import checks as module
from feed.quality import tally_kernel
from feed.quality.checks import check
from feed.quality.tally import tally
from feed.source import read_source
from feed.tape import PRICE_LIMIT, QUOTE_DTYPES, Tape
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND, random_tape, tapes

FEW = examples(60)

_prices = st.one_of(
    st.integers(0, 12).map(lambda cents: cents * CENT),
    st.sampled_from([0, 1, 89, 90, 100, 109, 110, 111, 200, 201, 10**4, 10**4 + 1]).map(lambda cents: cents * CENT),
    st.integers(0, 3 * 10**9),
    st.sampled_from([250, 251, 1000, 1001, 10_000, 10_001]).map(lambda dollars: dollars * 10**9),
    st.sampled_from([1, 10**9, PRICE_LIMIT // 2, PRICE_LIMIT - 1]),
)
_steps = st.sampled_from([0, 0, 0, 1, 10 * SECOND, 10 * SECOND + 1, 60 * SECOND, 60 * SECOND + 1, 86_400 * SECOND])


@st.composite
def odd_tapes(draw):
    """Tapes of any ids, ties, prices and sequences, early or late, also repeated rows."""
    ids = draw(st.lists(st.one_of(st.integers(2, 9), st.integers(-(2**15), 2**15 - 1)), min_size=1, max_size=9))
    sequences = st.one_of(st.integers(0, 3), st.integers(-(2**63), 2**63 - 1))
    row = st.tuples(
        _steps, st.sampled_from(ids), _prices, _prices, sequences, *[st.sampled_from([1, 39, 40, 99, 100])] * 2
    )
    rows = draw(st.lists(row, max_size=40))
    step, venue, bid, ask, sequence, bid_sz, ask_sz = (
        np.array(column, np.int64) for column in (zip(*rows, strict=True) if rows else [()] * 7)
    )
    again = draw(st.lists(st.integers(0, len(rows) - 1), max_size=5)) if rows else []
    at = np.concatenate([np.arange(len(rows)), np.array(again, np.int64)])
    # days at whose midnight a rule about ticks or round lots begins lie within the steps of some
    starts = [0, OPEN, *(parse_instant(f"{day}T23:59:50Z") for day in ("2006-01-30", "2025-11-02", "2027-10-31"))]
    ts = draw(st.sampled_from(starts)) + np.cumsum(step)
    columns = (ts, venue, bid, ask, bid_sz, ask_sz, sequence)
    return Tape.build("XYZ", **{name: each[at] for name, each in zip(QUOTE_DTYPES, columns, strict=True)})


@pytest.fixture
def both(monkeypatch):
    """Check a tape compiled and by numpy: whether it was compiled, and both results."""

    def compare(tape):
        taken = []

        def always(given, **_):
            taken.append(tally(given))
            return taken[-1]

        # sequences far apart wrap around either way; without its compiler numba's code would warn of it
        with monkeypatch.context() as patch, np.errstate(over="ignore"):
            patch.setattr("feed.quality.tally.COMPILED_FROM", 0)
            patch.setattr(module, "tally", always)
            compiled = check(tape).to_dict()
            patch.setattr(module, "tally", lambda _, **__: None)
            return taken[0] is not None, compiled, check(tape).to_dict()

    return compare


def agree(both, tape):
    """Assert that a tape is counted compiled, and both results are the same to the order of their keys."""
    was_compiled, compiled, plain = both(tape)
    assert was_compiled == (tape.rows > 0)
    assert compiled == plain
    for name in ("counts", "venues", "details"):
        assert list(compiled[name].items()) == list(plain[name].items())
    assert list(compiled) == list(plain)


# the fixture holds nothing from one example to the next
SHARED = settings(FEW, suppress_health_check=[HealthCheck.function_scoped_fixture])


class TestBothCount:
    @SHARED
    @given(tapes(min_rows=0))
    def test_small_markets_alike(self, both, tape):
        agree(both, tape)

    @SHARED
    @given(odd_tapes())
    def test_odd_tapes_alike(self, both, tape):
        agree(both, tape)

    @SHARED
    @given(odd_tapes(), st.integers(0, 40), st.integers(0, 40))
    def test_parts_alike(self, both, tape, one, other):
        tape = replace(tape, **{name: getattr(tape, name)[one : one + other] for name in QUOTE_DTYPES})
        agree(both, tape)

    @pytest.mark.parametrize(("venues", "dense"), [(1, False), (2, True), (12, False), (16, True), (300, False)])
    def test_long_tapes_alike(self, both, venues, dense):
        agree(both, random_tape(venues, 3000, venues, dense=dense))

    @pytest.mark.parametrize("at_once", [1, 7, 20_000])
    def test_thousands_of_ids_alike(self, both, at_once):
        rows, rng = 20_000, np.random.default_rng(at_once)
        tape = Tape.build(
            "XYZ",
            ts=OPEN + np.arange(rows) // at_once * 1000,
            venue=rng.integers(0, 10_000, rows),
            bid_px=rng.integers(90, 105, rows) * CENT,
            ask_px=rng.integers(95, 115, rows) * CENT,
            bid_sz=np.full(rows, 100),
            ask_sz=np.full(rows, 100),
            sequence=np.arange(rows) // 3,
        )
        agree(both, tape)

    def test_a_real_day_alike(self, both, taq_day):
        agree(both, read_source(str(taq_day))[0])

    def test_columns_that_are_strided_or_read_only_alike(self, both):
        tape = random_tape(3, 200, 4)
        columns = {name: np.repeat(getattr(tape, name), 2)[::2] for name in QUOTE_DTYPES}
        columns["ts"].flags.writeable = False
        agree(both, replace(tape, **columns))


class TestRefused:
    @SHARED
    @given(tapes(min_rows=2), st.sampled_from(list(QUOTE_DTYPES)), st.data())
    def test_a_damaged_tape_is_counted_by_numpy_wherever_it_matters(self, both, tape, name, data):
        column = getattr(tape, name).copy()
        limits = np.iinfo(column.dtype)
        values = st.sampled_from([limits.min, -1, 0, 1, limits.max])
        if name == "ts":
            values = st.sampled_from([-1, 0, OPEN])
        column[data.draw(st.integers(0, tape.rows - 1))] = data.draw(values)
        columns = {each.name: getattr(tape, each.name) for each in fields(tape)} | {name: column}
        was_compiled, compiled, plain = both(Tape(**columns))
        assert compiled == plain
        assert not (was_compiled and plain["errors"] not in ([], ["no_quotes"], ["sides_swapped"]))

    def test_a_price_at_the_limit(self, both):
        tape = random_tape(3, 20, 2)
        px = tape.ask_px.copy()
        px[np.flatnonzero(px)[0]] = PRICE_LIMIT
        was_compiled, compiled, plain = both(replace(tape, ask_px=px))
        assert not was_compiled
        assert compiled == plain


@FEW
@given(odd_tapes())
def test_identical_rows_are_those_beyond_one_of_each(tape):
    rows = Counter(zip(*(getattr(tape, name).tolist() for name in QUOTE_DTYPES), strict=True))
    assert check(tape).counts["identical_rows"] == tape.rows - len(rows)


@FEW
@given(tapes(min_rows=2), st.randoms())
def test_identical_rows_of_a_tape_that_is_not_ordered_are_found_too(tape, random):
    at = [*range(tape.rows), *range(tape.rows)]
    random.shuffle(at)
    mixed = replace(tape, **{name: getattr(tape, name)[at] for name in QUOTE_DTYPES})
    rows = Counter(zip(*(getattr(mixed, name).tolist() for name in QUOTE_DTYPES), strict=True))
    assert check(mixed).counts["identical_rows"] == mixed.rows - len(rows)


def test_each_count_of_the_kernel_is_one_of_the_checks():
    assert set(tally_kernel.COUNTS) < set(module.CHECKS)


def test_a_tape_is_compiled_for_from_so_many_rows_on_sooner_beside_kernels(monkeypatch):
    tape = random_tape(1, 100, 2)
    monkeypatch.setattr("feed.quality.tally.COMPILED_FROM", tape.rows + 1)
    monkeypatch.setattr("feed.quality.tally.BESIDE_KERNELS_FROM", tape.rows)
    assert tally(tape) is None
    assert tally(tape, beside_kernels=True) is not None
    monkeypatch.setattr("feed.quality.tally.BESIDE_KERNELS_FROM", tape.rows + 1)
    assert tally(tape, beside_kernels=True) is None
    monkeypatch.setattr("feed.quality.tally.COMPILED_FROM", tape.rows)
    assert tally(tape) is not None


def test_a_short_tape_imports_no_compiler():
    program = (
        "import sys; from feed.synthetic import generate; from feed.quality.checks import check; check(generate());"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
