"""PBO: against a plain implementation, by hand, and against the truth of generated results."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.statistics import overfitting as module
from sweep.statistics.overfitting import distinct_columns, pbo
from tests.support.examples import examples


def groups_of(blocks):
    """The even number of groups, 8 to 16, that leaves the fewest blocks out."""
    fewest = min(blocks % groups for groups in range(8, 17, 2))
    return max(groups for groups in range(8, 17, 2) if blocks % groups == fewest)


def plain_pbo(rows):
    """PBO as it is defined, a split and a column at a time, in whole numbers."""
    columns = []
    for column in zip(*rows, strict=True):
        if column not in columns:
            columns.append(column)
    groups = groups_of(len(rows))
    size = len(rows) // groups
    left = len(rows) - groups * size
    by_group = [[sum(column[left + g * size : left + (g + 1) * size]) for g in range(groups)] for column in columns]
    bad = total = 0
    for sample in combinations(range(groups), groups // 2):
        inside = [sum(column[g] for g in sample) for column in by_group]
        outside = [sum(column) - part for column, part in zip(by_group, inside, strict=True)]
        own = outside[inside.index(max(inside))]
        rank = (2 * sum(value < own for value in outside) + sum(value == own for value in outside) + 1) / 2
        share = rank / (len(columns) + 1)
        bad += math.log(share / (1 - share)) <= 0
        total += 1
    return bad / total, total


@st.composite
def matrices(draw, values):
    """Rows of whole numbers, of which many tie if they are few; columns that, at times, stand twice; few splits."""
    blocks, columns = draw(st.sampled_from([18, 20, 24, 25, 27, 30])), draw(st.integers(10, 15))
    drawn = draw(st.binary(min_size=blocks * columns, max_size=blocks * columns))
    again = draw(st.lists(st.integers(0, columns - 1), max_size=3))
    rows = [[each % values - values // 2 for each in drawn[n * columns : (n + 1) * columns]] for n in range(blocks)]
    return [[*row, *(row[number] for number in again)] for row in rows]


@examples(20, deadline=None)
@given(matrices(7) | matrices(251))
def test_pbo_is_what_its_definition_says(rows):
    results, distinct = np.array(rows), len({*zip(*rows, strict=True)})
    answer = pbo(results, repeats=0)
    if distinct < 12:
        assert answer is None
        return
    probability, splits = plain_pbo(rows)
    assert answer.probability == pytest.approx(probability, abs=1e-12)
    assert answer.splits == answer.possible == splits
    assert (answer.low, answer.high, answer.columns) == (None, None, distinct)
    for same in (results.astype(np.float64) / 1024, results.astype(np.float32) * 2.0**30, results.astype(np.int16)):
        assert pbo(same, repeats=0) == answer


def test_the_first_of_sixteen_groups_and_ties_by_hand():
    # column 0 gains 1 in the first 8 blocks and loses 1 in the others; 1 to 11 gain 0 but for what makes them distinct:
    # column c loses c at block 0, which hides nothing: in sample, the best is column 0 where it has more of its good
    # blocks than of its bad ones, and is then the worst or the best outside
    results = np.zeros((16, 12), np.int64)
    results[:8, 0], results[8:, 0] = 1000, -1000
    results[0, 1:] = -np.arange(1, 12)
    answer = pbo(results, repeats=0)
    assert (answer.groups, answer.blocks, answer.possible, answer.splits) == (16, 16, 12870, 12870)
    # good - bad > 0 in the sample: column 0 is the best, and outside good - bad < 0: the worst. good = bad: 0 for it,
    # so best where block 0 is inside (others below 0), outside then 0 as all the others: their mid-rank is the middle,
    # which counts; where block 0 is outside all are 0 inside, the first wins, and is the best outside: does not count.
    # good < bad: one of 1 to 11: with block 0 inside column 1, of which outside 11 tie at 0 below column 0: 6 <= 6.5;
    # with block 0 outside column 1 again, -1, above the ten others and below column 0: rank 11.
    by_good = [math.comb(8, good) * math.comb(8, 8 - good) for good in range(9)]
    above, middle = sum(by_good[5:]), by_good[4]
    with_first = sum(math.comb(7, good - 1) * math.comb(8, 8 - good) for good in range(1, 4))
    first_in_middle = math.comb(7, 3) * math.comb(8, 4)
    assert middle == 2 * first_in_middle
    assert answer.probability == (above + first_in_middle + with_first) / 12870


def test_copies_of_columns_change_nothing():
    results = np.random.default_rng(1).normal(size=(32, 14))
    doubled = np.concatenate([results, results[:, [3, 3, 0]]], axis=1)
    assert pbo(doubled) == pbo(results)
    assert pbo(np.repeat(results, 3, axis=1)) == pbo(results)
    assert pbo(np.repeat(results[:, :11], 3, axis=1)) is None


@pytest.mark.parametrize(
    ("blocks", "groups", "used"), [(16, 16, 16), (17, 16, 16), (20, 10, 20), (31, 10, 30), (38, 12, 36), (48, 16, 48)]
)
def test_the_first_blocks_are_left_out_where_they_do_not_fit(blocks, groups, used):
    results = np.random.default_rng(2).normal(size=(blocks, 12))
    answer = pbo(results, repeats=0)
    assert (answer.groups, answer.blocks) == (groups, used) == (groups_of(blocks), used)
    results[: blocks - used] += 100 * np.random.default_rng(3).normal(size=12)
    assert pbo(results, repeats=0) == answer


def test_too_little_is_none():
    draws = np.random.default_rng(4)
    assert pbo(draws.normal(size=(15, 30))) is None
    assert pbo(draws.normal(size=(16, 11))) is None
    assert pbo(draws.normal(size=(16, 0))) is None
    assert pbo(draws.normal(size=(16, 12)), repeats=0) is not None


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_refused(wrong):
    results = np.zeros((16, 12))
    results[3, 4] = wrong
    with pytest.raises(ValueError, match="results: expected finite numbers"):
        pbo(results)
    with pytest.raises(ValueError, match="results: expected a matrix"):
        pbo(np.zeros(16))


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_integers_whose_sums_leave_int64_are_compared_as_floats(dtype):
    results = np.random.default_rng(5).integers(0, 2**63 - 1, size=(16, 12)).astype(dtype)
    assert pbo(results, repeats=0) == pbo(results.astype(np.float64), repeats=0)
    for exact in (results.astype(np.int64) >> 5, results.astype(np.float64) * 2.0**-1000):
        assert pbo(exact, repeats=0) == pbo(results, repeats=0)


def test_pieces_tiles_and_subsets_change_no_split(monkeypatch):
    results = np.random.default_rng(6).integers(-1, 2, size=(20, 40))  # the best often tie, in one piece and in two
    whole = pbo(results, 4)
    assert whole.probability == pytest.approx(plain_pbo(results.tolist())[0], abs=1e-12)
    monkeypatch.setattr(module, "_PIECE", 7)
    monkeypatch.setattr(module, "_TILE", 7 * 5)
    assert pbo(results, 4) == whole
    monkeypatch.setattr(module, "PAIRS_BY_COLUMNS", 40 * 100)
    part = pbo(results, 4)
    assert (part.splits, part.possible) == (200, 252)
    assert abs(part.probability - whole.probability) < 0.1
    assert pbo(results, 4, seed=0) == part
    assert {pbo(results, 0, seed).probability for seed in range(5)} != {part.probability}


@examples(50)
@given(st.lists(st.lists(st.integers(0, 1), min_size=9, max_size=9), min_size=1, max_size=4), st.booleans())
def test_distinct_columns_are_the_first_of_their_kind(rows, shares_keys):
    columns = [*zip(*rows, strict=True)]
    firsts = sorted(columns.index(column) for column in {*columns})
    for dtype in (np.int64, np.float64, np.int8):
        with pytest.MonkeyPatch.context() as patch:
            if shares_keys:  # two columns with one key, as happens to one matrix in millions
                patch.setattr(module, "_MULTIPLIER", np.uint64(0))
            assert distinct_columns(np.array(rows, dtype)).tolist() == firsts


def test_minus_0_is_0():
    assert distinct_columns(np.array([[0.0, -0.0, 1.0]])).tolist() == [0, 2]


def truth(draw, repeats):
    """How likely the best of some blocks is in the middle or below on as many fresh ones."""
    bad = 0
    for _ in range(repeats):
        inside, outside = draw().sum(axis=0), draw().sum(axis=0)
        own = outside[inside.argmax()]
        bad += 2 * (outside < own).sum() + (outside == own).sum() <= len(outside)
    return bad / repeats


@pytest.mark.parametrize(("gain", "about"), [(0.0, 0.5), (0.6, 0.13)])
def test_pbo_is_near_the_truth_of_noise_and_of_one_winner_among_24(gain, about):
    random = np.random.default_rng(7)

    def draw(blocks=20):
        return random.normal(size=(blocks, 24)) + gain * (np.arange(24) == 5)

    trials = 60
    estimates = np.array([pbo(draw(40), repeats=0).probability for _ in range(trials)])
    expected = truth(draw, 4000)
    assert abs(expected - about) < 0.03
    assert abs(estimates.mean() - expected) < 3 * estimates.std() / trials**0.5 + 0.025


def test_the_range_is_that_of_rotated_groups(monkeypatch):
    drawn, raw = [], module._raw

    def draws(*arguments):
        drawn.append(raw(*arguments))
        return drawn[-1]

    monkeypatch.setattr(module, "_raw", draws)
    rows = np.random.default_rng(8).integers(-(10**6), 10**6, size=(21, 13))
    answer = pbo(rows, repeats=3)
    shares = []
    for offsets in drawn:
        rotated = [np.roll(row, -int(offsets[block // 2]) % 13).tolist() for block, row in enumerate(rows[1:])]
        shares.append(plain_pbo(rotated)[0])
    assert [len(offsets) for offsets in drawn] == [10, 10, 10]
    assert len({*shares}) == 3
    assert (answer.low, answer.high) == (min(shares), max(shares))
    monkeypatch.setattr(module, "_null_shares", lambda *_: [n / 100 for n in range(40)])  # two are 5 %
    assert (pbo(rows, repeats=40).low, pbo(rows, repeats=40).high) == (0.01, 0.38)


@pytest.mark.parametrize("alike", [False, True])
def test_the_range_holds_where_no_column_is_better_and_not_where_one_is(alike):
    random = np.random.default_rng(9)
    noise = [random.normal(size=(40, 24)) for _ in range(80)]
    judged = [pbo(np.cumsum(each, axis=1) if alike else each, repeats=100) for each in noise]
    inside = sum(answer.low <= answer.probability <= answer.high for answer in judged)
    assert inside / 80 >= 0.9 - 3 * math.sqrt(0.9 * 0.1 / 80)
    assert len({answer.probability for answer in judged}) > 20
    won = [pbo(each + (np.arange(24) == 5), repeats=100) for each in noise[:20]]
    assert all(answer.probability < answer.low for answer in won)


def test_of_many_columns_the_range_is_made_of_some(monkeypatch):
    results = np.random.default_rng(10).normal(size=(24, 60))
    monkeypatch.setattr(module, "RANGE_COLUMNS", 20)
    some, every_third = pbo(results, 20), pbo(results[:, ::3], 20)
    assert (some.low, some.high) == (every_third.low, every_third.high)
    assert some.probability != every_third.probability
