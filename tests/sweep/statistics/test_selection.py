"""The best of many by sign vectors: by hand, against a second reading in fractions, and where columns are alike."""

import math
import subprocess
import sys
import tracemalloc
from fractions import Fraction
from itertools import pairwise, product
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.statistics import inference, selection
from sweep.statistics.inference import degrees_of, interval, t_below, t_quantile
from sweep.statistics.selection import (
    best_of,
    by_signs,
    confidence_set,
    corrected,
    groups_of,
    largest_by_signs,
    signed_sums,
)
from tests.support import ROOT
from tests.support.examples import examples

VECTORS = list(product([1, -1], repeat=10))


def group_means(column, groups):
    edges = [len(column) * group // groups for group in range(groups + 1)]
    return [Fraction(sum(column[first:past]), past - first) for first, past in pairwise(edges)]


def ratio(values):
    """mean / standard error over groups, as something that is ordered like it and exact: sign(t) t^2 / (t^2 + q - 1).

    That is sign(s) s^2 / (q * sum of squares) for the sum s, by the definition of a variance.
    """
    squares = sum(value * value for value in values)
    total = sum(values)
    return total * abs(total) / squares / len(values) if squares else Fraction(0)


def plain_adjusted(columns, statistic):
    """Adjusted p of each column: step down from the largest statistic, with all sign vectors for each of them."""
    reached = [statistic(column) for column in columns]
    p, least = [None] * len(columns), Fraction(0)
    flipped = [
        [statistic([sign * value for sign, value in zip(signs, column, strict=True)]) for column in columns]
        for signs in product([1, -1], repeat=len(columns[0]))
    ]
    for at in sorted(range(len(columns)), key=lambda at: -reached[at]):
        left = [other for other in range(len(columns)) if reached[other] <= reached[at]]
        count = sum(max(row[other] for other in left) >= reached[at] for row in flipped)
        least = max(least, Fraction(count, len(flipped)))
        p[at] = least
    return [float(each) for each in p]


def small_matrices(most_columns=4):
    """(n, N) of 10 to 13 blocks, small numbers: ties, zeros, constants and copies are common."""
    return st.tuples(st.integers(10, 13), st.integers(1, most_columns)).flatmap(
        lambda shape: st.lists(
            st.lists(st.sampled_from([0, 0, 1, -1, 2, 3, -5]), min_size=shape[1], max_size=shape[1]),
            min_size=shape[0],
            max_size=shape[0],
        )
    )


@given(small_matrices())
@examples(12, deadline=None)
def test_p_of_every_column_is_that_of_a_second_reading_in_fractions(rows):
    table = np.array(rows)
    columns = [group_means(column, 10) for column in zip(*rows, strict=True)]
    known = best_of(table)
    assert known.adjusted.tolist() == plain_adjusted(columns, ratio)
    largest = [
        max(sum(sign * value for sign, value in zip(signs, column, strict=True)) for column in columns)
        for signs in VECTORS
    ]
    assert known.p_plain == sum(each >= sum(columns[known.best]) for each in largest) / 1024
    assert known.by_chance == pytest.approx(float(sum(largest)) / 1024 / 10)
    assert known.p == known.adjusted[known.best]
    assert known.distinct == len(set(zip(*rows, strict=True)))
    sums = table.sum(axis=0).tolist()
    assert known.best == sums.index(max(sums))


@given(small_matrices(3))
@examples(8, deadline=None)
def test_the_confidence_set_is_that_of_a_second_reading(rows):
    table = np.array(rows)
    best = best_of(table).best
    columns = [group_means([row[best] - row[at] for row in rows], 10) for at in range(table.shape[1])]
    expected = [p > 0.1 for p in plain_adjusted(columns, ratio)]
    assert confidence_set(table, level=0.9).tolist() == expected
    assert expected[best]


def test_one_column_worked_by_hand():
    # ten groups of one block, all 1: only the vector of all + reaches it
    known = best_of(np.ones((10, 1)))
    assert (known.best, known.p, known.p_plain, known.agree, known.distinct) == (0, 2**-10, 2**-10, True, 1)
    assert [type(each) for each in (known.p, known.p_plain, known.agree)] == [float, float, bool]  # JSON takes no other
    assert (known.groups, known.vectors, known.rejected.tolist()) == (10, 1024, [True])
    # one group negative, all of one size: all +, or that group flipped, or (one of nine others flipped as well)
    values = np.ones((10, 1))
    values[3] = -1
    assert best_of(values).p == (1 + 10) / 1024
    # all negative: every vector reaches it
    assert best_of(-np.ones((10, 1))).p == 1


def test_groups_of_zero_tie_with_themselves_flipped():
    values = np.zeros((10, 1))
    values[:4] = 1
    assert best_of(values).p == 2**-4
    assert best_of(np.zeros((40, 3))).p == 1


def test_a_column_that_differs_in_one_group_is_seen_by_the_plain_maximum_only():
    # beside columns of small noise, one gain of 100 in one group: its ratio is 1, whichever the sign of the others
    table = np.random.default_rng(2).normal(0, 1, (40, 30))
    table[:, 7] = 0
    table[:4, 7] = 100
    known = best_of(table)
    assert known.best == 7
    assert known.p > 0.9
    assert known.p_plain == 0.5  # no other column comes near: + and - of one group
    assert known.agree

    steady = np.random.default_rng(3).normal(3, 1, (40, 30))
    steady[:, 0] = np.where(np.arange(40) // 4 % 2, 99, -100)  # wild, by groups
    disagreeing = best_of(steady, best=1)
    assert disagreeing.p <= 0.05 < disagreeing.p_plain
    assert not disagreeing.agree


def test_where_all_columns_win_all_are_rejected_and_where_none_does_none_is():
    noise = np.random.default_rng(1).normal(0, 1, (120, 50))
    won = best_of(noise + 2)
    assert won.rejected.all()
    assert (won.groups, won.vectors) == (12, 4096)
    assert not best_of(noise - 2).rejected.any()
    assert not best_of(noise).rejected.any()


def test_stepping_down_rejects_what_a_single_step_would_not():
    # a strong column leaves the maximum, so that a weaker one beside noise is compared with less
    generator = np.random.default_rng(12)
    table = generator.normal(0, 1, (40, 2))
    table[:, 0] += 3
    known = best_of(table)
    alone = best_of(table[:, 1:])
    assert known.adjusted[1] == max(alone.p, known.p)


@given(st.integers(0, 2**32 - 1), st.integers(10, 70), st.integers(1, 6), st.booleans())
@examples(30)
def test_copies_of_columns_change_nothing_but_are_not_counted(seed, blocks, columns, whole):
    generator = np.random.default_rng(seed)
    table = generator.integers(-9, 9, (blocks, columns)) if whole else generator.normal(0, 1, (blocks, columns))
    copies = generator.integers(0, columns, 9)
    copied = np.concatenate([table, table[:, copies]], axis=1)
    once, twice = best_of(table), best_of(copied)
    assert (twice.best, twice.p, twice.p_plain, twice.distinct) == (once.best, once.p, once.p_plain, once.distinct)
    assert twice.adjusted.tolist() == [*once.adjusted, *once.adjusted[copies]]
    inside = confidence_set(table)
    assert confidence_set(copied).tolist() == [*inside, *inside[copies]]


@given(st.integers(0, 2**32 - 1), st.integers(10, 70), st.integers(1, 40), st.booleans())
@examples(30)
def test_the_compiled_count_and_the_plain_one_are_the_same_in_whatever_pieces(seed, blocks, columns, whole):
    generator = np.random.default_rng(seed)
    table = generator.integers(-2, 3, (blocks, columns)) if whole else generator.normal(0, 1, (blocks, columns))
    notional = generator.integers(1, 9, blocks)
    plain, inside = best_of(table, notional), confidence_set(table, notional)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "MANY", 0)
        for module in (inference, selection):
            patch.setattr(module, "PIECE", 7)
        compiled = best_of(np.asfortranarray(table), notional)
        assert confidence_set(table, notional).tolist() == inside.tolist()
    assert compiled.adjusted.tobytes() == plain.adjusted.tobytes()
    for name in ("p", "p_plain", "by_chance", "distinct"):
        assert getattr(compiled, name) == getattr(plain, name)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-9, 3.0, 1e12]))
@examples(20)
def test_the_unit_of_a_column_does_not_matter(seed, unit):
    table = np.random.default_rng(seed).normal(0.3, 1, (24, 5))
    known, other = best_of(table), best_of(table * unit)
    assert (known.adjusted.tolist(), known.p_plain) == (other.adjusted.tolist(), other.p_plain)


def test_a_matrix_may_make_its_columns_when_they_are_asked_for():
    table = np.random.default_rng(4).integers(-(10**9), 10**9, (40, 5000))

    class Lazy:
        shape = table.shape
        asked = 0

        def __getitem__(self, place):
            Lazy.asked = max(Lazy.asked, table[place].shape[1])
            return table[place]

    lazy, known = best_of(Lazy()), best_of(table)
    assert Lazy.asked == inference.PIECE
    assert lazy.adjusted.tobytes() == known.adjusted.tobytes()
    assert (lazy.best, lazy.p, lazy.distinct) == (known.best, known.p, 5000)
    assert confidence_set(Lazy()).tolist() == confidence_set(table).tolist()


def test_the_best_and_what_equals_it_are_in_the_set_and_what_always_loses_is_not():
    table = np.random.default_rng(6).normal(0, 1, (38, 6))
    table[:, 2] = table[:, 4] = table[:, 0] + 5
    table[:, 5] = table[:, 0] - 5
    inside = confidence_set(table)
    assert inside[[2, 4]].all()
    assert not inside[[0, 5]].any()
    assert confidence_set(np.zeros((20, 4))).all()
    assert confidence_set(table, best=4).tolist() == inside.tolist()
    assert confidence_set(table[:, :1]).tolist() == [True]


def test_signed_sums_are_all_sums_but_those_of_opposite_vectors():
    values = np.array([1.0, 10.0, 100.0])
    assert signed_sums(values).tolist() == [111, 91, -89, -109]
    # the larger of 1 and 2 under +, of -1 and -2 under -
    table = np.array([[1.0, 0.0], [2.0, 0.0]])
    assert by_signs(table).tolist() == [0.5, 0.5]
    assert sorted(largest_by_signs(table).tolist()) == [-1, -1, 2, 2]


def test_columns_are_counted_by_their_values_whatever_their_type():
    table = np.array([[0.0, -0.0, 1.0, 0.0]] * 10)
    assert selection.count_distinct(table) == 2
    for kind in (np.int8, np.int64, np.float32):
        assert selection.count_distinct(table.astype(kind)) == selection.count_distinct(table.T.astype(kind).T) == 2
    pairs = np.array(list(product(range(-3, 4), repeat=4)))
    assert selection.count_distinct(np.concatenate([pairs, pairs]).T) == 7**4


@pytest.mark.command
def test_numba_is_loaded_for_many_columns_only():
    script = (
        "import sys\nimport numpy as np\nfrom sweep.statistics.selection import best_of, corrected\n"
        "best_of(np.ones((20, 9)))\ncorrected(np.ones((20, 9)))\nprint(*sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"numba", "scipy"} & set(shown.stdout.split())


def test_how_many_groups_there_are():
    assert [groups_of(n) for n in (10, 59, 60, 10_000)] == [10, 10, 12, 12]
    with pytest.raises(ValueError, match="at least 10 blocks, but there are 9"):
        best_of(np.ones((9, 2)))


def test_a_column_that_is_not_there_and_what_is_not_finite_are_refused():
    with pytest.raises(IndexError):
        best_of(np.ones((20, 2)), best=2)
    with pytest.raises(ValueError, match="finite"):
        best_of(np.full((20, 2), np.nan))
    with pytest.raises(ValueError, match="a matrix of blocks and columns"):
        confidence_set(np.ones(20))


def plain_corrected(columns, best, level):
    """The hybrid correction by its formulas, one column after the other, and by plain bisection."""
    n, distinct = len(columns[0]), len(set(map(tuple, columns)))
    degrees = degrees_of(n)

    def weighted(column, j):
        terms = [math.sqrt(2) * math.cos(math.pi * j * (b + 0.5) / n) * value for b, value in enumerate(column)]
        return sum(terms) / math.sqrt(n)

    cosines = [[weighted(column, j) for j in range(1, degrees + 1)] for column in columns]
    means = [sum(column) / n for column in columns]

    def covariance(one, other):
        return sum(a * b for a, b in zip(cosines[one], cosines[other], strict=True)) / degrees / n

    variance, mean = covariance(best, best), means[best]
    low, high = -math.inf, math.inf
    for at, column in enumerate(columns):
        if column == columns[best]:
            continue
        r = covariance(at, best) / variance
        free = means[at] - r * mean  # what of it is not correlated with the best: picked where mean >= free + r mean
        if r < 1:
            low = max(low, free / (1 - r))
        elif r > 1:
            high = min(high, free / (1 - r))
    error = math.sqrt(variance)
    beta = (1 - level) / 10

    def solved(part, c, law):
        below, above = mean - c * error, mean + c * error
        for _ in range(200):
            truth = (below + above) / 2
            first, last = max(low, truth - c * error), min(high, truth + c * error)
            a, x, b = (law((each - truth) / error) for each in (first, mean, last))
            below, above = (truth, above) if x - a > (1 - part) * (b - a) else (below, truth)
        return below

    tail = (1 - level - beta) / (1 - beta) / 2
    estimate = solved(0.5, NormalDist().inv_cdf(1 - beta / 2 / distinct), NormalDist().cdf)
    far = t_quantile(1 - beta / 2 / distinct, degrees)
    ends = [solved(part, far, lambda value: t_below(value, degrees)) for part in (tail, 1 - tail)]
    return estimate, min(estimate, *ends), max(estimate, *ends)


@given(st.integers(0, 2**32 - 1), st.integers(20, 45), st.integers(1, 6), st.sampled_from([0.8, 0.95]))
@examples(40, deadline=None)
def test_the_corrected_saving_is_that_of_a_second_reading(seed, blocks, columns, level):
    generator = np.random.default_rng(seed)
    table = generator.normal(0, 1, (blocks, columns)) + generator.normal(0, 1, (blocks, 1))  # alike, as on a grid
    table = np.concatenate([table, table[:, :1]], axis=1)
    known = corrected(table, level=level)
    assert known.mean == pytest.approx(table.mean(axis=0).max())
    expected = plain_corrected(table.T.tolist(), known.best, level)
    assert (known.corrected, known.low, known.high) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert known.distinct == columns


def test_one_column_is_corrected_by_nothing():
    values = np.random.default_rng(3).normal(1, 1, (38, 1))
    known, plain = corrected(values), interval(values[:, 0])
    assert known.corrected == pytest.approx(plain.mean)
    # cut off at c standard errors, the law has a little less room: 94.5 of 99.5 %
    assert known.low == pytest.approx(plain.low, rel=0.02)
    assert known.high == pytest.approx(plain.high, rel=0.02)


def test_a_winner_far_ahead_is_corrected_by_next_to_nothing_and_one_by_a_hair_by_much():
    generator = np.random.default_rng(5)
    table = generator.normal(0, 1, (120, 10))
    ahead = table.copy()
    ahead[:, 3] += 5
    far = corrected(ahead)
    assert far.corrected == pytest.approx(far.mean, abs=1e-6)
    close = table - table.mean(axis=0)
    close[:, 3] += 0.01
    near = corrected(close)
    assert near.best == 3
    assert near.corrected < near.mean - 0.05


def test_copies_do_not_change_what_is_corrected_and_exact_ties_of_others_do():
    table = np.random.default_rng(8).integers(-9, 9, (38, 5))
    known = corrected(table)
    copied = corrected(np.concatenate([table, table], axis=1))
    assert copied == known
    # a rotation of the best has its mean to the last bit: it was picked over it by nothing
    tied = np.column_stack([table, np.roll(table[:, known.best], 7)])
    assert corrected(tied).corrected < known.corrected


def test_of_few_blocks_or_without_variance_nothing_is_corrected():
    few = corrected(np.arange(38).reshape(19, 2))
    assert (few.best, few.corrected, few.low, few.high) == (1, None, None, None)
    still = corrected(np.zeros((20, 3)))
    assert (still.best, still.mean, still.corrected, still.low, still.high, still.distinct) == (0, 0, 0, 0, 0, 1)


def test_columns_that_were_not_to_be_chosen_do_not_count():
    table = np.random.default_rng(9).normal(0, 1, (38, 4))
    best = int(np.argsort(table.mean(axis=0))[-2])
    named, alone = (
        corrected(table, best=best, distinct=4),
        corrected(np.delete(table, best_of(table).best, 1), distinct=4),
    )
    assert (named.mean, named.corrected, named.low) == (alone.mean, alone.corrected, alone.low)


@given(st.integers(0, 2**32 - 1), st.booleans())
@examples(20)
def test_what_is_corrected_is_the_same_in_whatever_pieces_and_unit(seed, weighted):
    generator = np.random.default_rng(seed)
    table, notional = generator.integers(-9, 9, (38, 20)), generator.integers(1, 9, 38) if weighted else None
    known = corrected(table, notional)
    with pytest.MonkeyPatch.context() as patch:
        for module in (inference, selection):
            patch.setattr(module, "PIECE", 3)
        assert corrected(np.asfortranarray(table), notional) == known
    other = corrected(table * 2**20, notional)
    assert [other.mean, other.corrected, other.low, other.high] == pytest.approx(
        [each * 2**20 for each in (known.mean, known.corrected, known.low, known.high)], rel=1e-8
    )


def test_a_saving_by_chance_is_in_the_unit_of_the_mean():
    generator = np.random.default_rng(10)
    table, notional = generator.normal(0, 1, (40, 12)), np.full(40, 4.0)
    plain, ratio = best_of(table), best_of(table, notional)
    assert ratio.by_chance == pytest.approx(plain.by_chance / 4)
    assert best_of(table[:, :1]).by_chance == pytest.approx(0, abs=1e-15)
    assert best_of(np.column_stack([table[:, 0], -table[:, 0]])).by_chance > 0


def test_of_a_large_matrix_little_is_held_beside_it():
    # a million columns may take 200 MB; by_signs is compiled before it is measured
    table = np.random.default_rng(7).integers(-(10**9), 10**9, (40, 50_000))
    best = best_of(table).best
    tracemalloc.start()
    best_of(table)
    confidence_set(table, best=best)
    corrected(table, best=best)
    inference.estimates(table)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200 * 50_000
