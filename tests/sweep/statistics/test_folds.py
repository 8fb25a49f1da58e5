"""Folds: which blocks train and which are tested, what is purged, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.config.validation import Validation, parse_validation
from sweep.errors import ConfigError
from sweep.statistics.blocks import Blocks
from sweep.statistics.folds import make_folds
from tests.support.examples import examples

DAY = 86_400


def blocks_of(*days, length=2, pause=0, first=0):
    """Blocks of some seconds, one after the other, so many on each day; a nanosecond is a second here."""
    starts = [day * DAY + first + n * (length + pause) for day, count in enumerate(days) for n in range(count)]
    day = [day for day, count in enumerate(days) for _ in range(count)]
    spans = np.array(starts, np.int64)
    return Blocks(spans, spans + length, np.array(day, np.int64), np.arange(len(spans)))


def shown(folds):
    """Each fold as text, a letter for each block: trains, is Tested, or neither."""
    letters = {(True, False): "t", (False, True): "T", (False, False): "."}
    return [
        "".join(letters[pair] for pair in zip(fold.train.tolist(), fold.test.tolist(), strict=True)) for fold in folds
    ]


def test_folds_by_hand():
    seven = blocks_of(7)  # each begins where the one before ends
    assert shown(make_folds(Validation("folds", 3), seven, 0)) == ["TTT.ttt", "tt.TT.t", "tttt.TT"]
    assert shown(make_folds(Validation("folds", 3), seven, 1)) == ["TTT.ttt", "tt.TT.t", "tttt.TT"]
    assert shown(make_folds(Validation("folds", 3), seven, 2)) == ["TTT..tt", "t..TT..", "ttt..TT"]
    apart = blocks_of(7, pause=1)
    assert shown(make_folds(Validation("folds", 3), apart, 0)) == ["TTTtttt", "tttTTtt", "tttttTT"]
    assert shown(make_folds(Validation("folds", 3), apart, 1)) == ["TTT.ttt", "tt.TT.t", "tttt.TT"]


def test_days_by_hand():
    days = blocks_of(2, 1, 2, 3)
    assert shown(make_folds(Validation("leave_one_day_out"), days, 5)) == [
        "TTtttttt",
        "ttTttttt",
        "tttTTttt",
        "tttttTTT",
    ]
    assert shown(make_folds(Validation("rolling"), days, 5)) == ["ttT.....", "..tTT...", "...ttTTT"]
    assert shown(make_folds(Validation("anchored"), days, 5)) == ["ttT.....", "tttTT...", "tttttTTT"]
    week = blocks_of(1, 1, 1, 1, 1, 1)
    assert shown(make_folds(Validation("rolling"), week, 5)) == ["ttT...", ".ttT..", "..ttT.", "...ttT"]
    assert shown(make_folds(Validation("anchored"), week, 5)) == ["ttT...", "tttT..", "ttttT.", "tttttT"]


def test_blocks_of_one_day_by_hand():
    day = blocks_of(7)
    assert shown(make_folds(Validation("rolling"), blocks_of(7, pause=1), 0))[::4] == ["ttT....", "....ttT"]
    assert shown(make_folds(Validation("rolling"), day, 1)) == [
        "t.T....",
        ".t.T...",
        "..t.T..",
        "...t.T.",
        "....t.T",
    ]
    assert shown(make_folds(Validation("anchored"), day, 1))[-1] == "ttttt.T"


def test_a_day_that_ends_at_midnight_is_purged_from_the_next():
    nights = blocks_of(2, 2, length=DAY // 2)
    assert shown(make_folds(Validation("leave_one_day_out"), nights, 1)) == ["TT.t", "t.TT"]


def test_blocks_of_two_symbols_that_share_their_time_are_never_on_both_sides():
    twice = blocks_of(6, pause=5)
    both = Blocks(*(np.repeat(column, 2) for column in (twice.first, twice.last, twice.day, twice.of_group)))
    assert shown(make_folds(Validation("folds", 4), both, 1)) == [
        "TTT.tttttttt",
        "tt.TTTtttttt",
        "ttttttTTT.tt",
        "tttttttt.TTT",
    ]


def test_the_longest_tested_block_purges_not_the_last_one():
    first = np.array([0, 1, 10, 20, 30], np.int64)
    blocks = Blocks(first, first + np.array([18, 2, 2, 2, 2]), np.zeros(5, np.int64), np.arange(5))
    assert shown(make_folds(Validation("folds", 2), blocks, 1)) == ["TTTtt", "tttTT"]
    assert shown(make_folds(Validation("folds", 2), blocks, 2)) == ["TTT.t", ".ttTT"]
    assert shown(make_folds(Validation("folds", 5), blocks, 1))[:2] == ["T..tt", ".Tttt"]


@pytest.mark.parametrize(
    ("text", "blocks", "horizon", "message"),
    [
        ("folds=5", blocks_of(4), 0, "folds=5 needs as many blocks, but there are 4; ask for fewer folds"),
        ("folds=2", blocks_of(2), 0, "folds=2 leaves fold 1 of 2 no block to train on"),
        ("folds=2", blocks_of(9), 10, "9 blocks are too few"),
        ("leave_one_day_out", blocks_of(9), 0, "needs two days or more, and all blocks are of one; folds=5"),
        ("leave_one_day_out", blocks_of(0), 0, "needs two days"),
        ("rolling", blocks_of(1), 0, "rolling needs two blocks or more, but there are 1"),
        ("anchored", blocks_of(0), 0, "anchored needs two blocks or more, but there are 0"),
        ("rolling", blocks_of(5), 0, "rolling leaves fold 1 of 4 no block to train on"),
        ("anchored", blocks_of(1, 1), DAY, "anchored leaves fold 1 of 1 no block"),
    ],
)
def test_too_little_is_refused_with_the_reason(text, blocks, horizon, message):
    with pytest.raises(ConfigError, match=r"^validate: ") as raised:
        make_folds(parse_validation(text), blocks, horizon)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_blocks_that_are_in_no_order_are_refused():
    for first, last, day in ([3, 2], [3, 3], [0, 0]), ([1, 2], [1, 2], [1, 0]):
        with pytest.raises(ValueError, match="in order of time"):
            make_folds(Validation("rolling"), Blocks(np.array(first), np.array(last), np.array(day), np.arange(2)), 0)
    with pytest.raises(ValueError, match="0 or more nanoseconds"):
        make_folds(Validation("rolling"), Blocks(np.array([2]), np.array([1]), np.array([0]), np.array([0])), 0)
    with pytest.raises(ValueError, match="0 or more nanoseconds"):
        make_folds(Validation("rolling"), blocks_of(3), -1)


@st.composite
def spans(draw):
    """Blocks of several days that may overlap, of different lengths, with pauses."""
    starts = sorted(draw(st.lists(st.integers(0, 400), min_size=2, max_size=40)))
    lengths = draw(st.lists(st.integers(0, 12), min_size=len(starts), max_size=len(starts)))
    first = np.array(starts, np.int64)
    return Blocks(
        first, first + np.array(lengths), first // draw(st.sampled_from([50, 150, 1000])), np.arange(len(first))
    )


VALIDATIONS = ["folds=2", "folds=3", "folds=7", "rolling", "anchored", "leave_one_day_out"]


@examples(300)
@given(st.sampled_from(VALIDATIONS), spans(), st.integers(0, 30))
def test_nothing_leaks_and_every_block_is_tested_once(text, blocks, horizon):
    validation, count = parse_validation(text), len(blocks)
    try:
        folds = make_folds(validation, blocks, horizon)
    except ConfigError:
        return
    first, last, day = (column.tolist() for column in (blocks.first, blocks.last, blocks.day))

    def near(one, other):
        return max(first[other] - last[one], first[one] - last[other]) <= horizon

    tested = [np.flatnonzero(fold.test).tolist() for fold in folds]
    flat = [block for blocks_tested in tested for block in blocks_tested]
    assert flat == list(range(flat[0], count))  # once each, in order, without a gap
    assert all(tested)
    units = {unit: n for n, unit in enumerate(sorted({*day}))} if len({*day}) > 1 else None
    unit_of = [units[each] for each in day] if units else list(range(count))
    width = max(1, (unit_of[-1] + 1) // 3)
    for fold, test in zip(folds, tested, strict=True):
        for block in range(count):
            purged = any(near(block, other) for other in test)
            before = unit_of[test[0]] - unit_of[block]
            used = {"rolling": 0 < before <= width, "anchored": before > 0}.get(validation.kind, True)
            assert fold.train[block] == (block not in test and used and not purged)
    sizes = [len(test) for test in tested]
    if validation.kind == "folds":
        assert flat[0] == 0
        assert len(folds) == validation.folds
        assert max(sizes) - min(sizes) <= 1
    elif validation.kind == "leave_one_day_out":
        assert flat[0] == 0
        assert [[day[block] for block in test] for test in tested] == [
            [each] * day.count(each) for each in sorted({*day})
        ]
    else:
        assert unit_of[flat[0]] == width
