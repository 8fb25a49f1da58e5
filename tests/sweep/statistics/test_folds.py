"""Folds: which blocks train and which are tested, what is purged and refused, and the best of a training part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import ConfigError
from sweep.statistics import folds as module
from sweep.statistics.folds import Blocks, Fold, Validation, make_folds, out_of_sample, parse_validation
from tests.support.examples import examples

DAY = 86_400


def blocks_of(*days, length=2, pause=0, first=0):
    """Blocks of some seconds, one after the other, so many on each day; a nanosecond is a second here."""
    starts = [day * DAY + first + n * (length + pause) for day, count in enumerate(days) for n in range(count)]
    day = [day for day, count in enumerate(days) for _ in range(count)]
    spans = np.array(starts, np.int64)
    return Blocks(spans, spans + length, np.array(day, np.int64))


def shown(folds):
    """Each fold as text, a letter for each block: trains, is Tested, or neither."""
    letters = {(True, False): "t", (False, True): "T", (False, False): "."}
    return [
        "".join(letters[pair] for pair in zip(fold.train.tolist(), fold.test.tolist(), strict=True)) for fold in folds
    ]


@pytest.mark.parametrize("text", ["none", "folds=2", "folds=5", "folds=38", "rolling", "anchored", "leave_one_day_out"])
def test_each_validation_is_read(text):
    validation = parse_validation(text)
    assert str(validation) == text
    assert validation == (Validation("folds", int(text[6:])) if "=" in text else Validation(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("folds", "expected none, folds=5, rolling, anchored or leave_one_day_out, but it had 'folds'"),
        ("folds=", "but it had 'folds='"),
        ("folds=-3", "but it had 'folds=-3'"),
        ("folds=2.5", "but it had"),
        ("folds=١٢", "but it had"),
        ("Rolling", "but it had 'Rolling'"),
        ("", "but it had ''"),
        ("folds=1", "expected 2 folds or more, but it had 1"),
        ("folds=0", "expected 2 folds or more, but it had 0"),
        ("x" * 5000, "but it had 'xxx"),
    ],
)
def test_another_validation_is_refused_in_a_line(text, message):
    with pytest.raises(ConfigError, match=r"^validate: ") as raised:
        parse_validation(text)
    assert message in str(raised.value)
    assert len(str(raised.value)) <= 200


def test_folds_by_hand():
    seven = blocks_of(7)  # each begins where the one before ends
    assert shown(make_folds(Validation("folds", 3), seven, 0)) == ["TTT.ttt", "tt.TT.t", "tttt.TT"]
    assert shown(make_folds(Validation("folds", 3), seven, 1)) == ["TTT.ttt", "tt.TT.t", "tttt.TT"]
    assert shown(make_folds(Validation("folds", 3), seven, 2)) == ["TTT..tt", "t..TT..", "ttt..TT"]
    apart = blocks_of(7, pause=1)
    assert shown(make_folds(Validation("folds", 3), apart, 0)) == ["TTTtttt", "tttTTtt", "tttttTT"]
    assert shown(make_folds(Validation("folds", 3), apart, 1)) == ["TTT.ttt", "tt.TT.t", "tttt.TT"]
    assert make_folds(Validation("none"), seven, 1) == ()


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
    both = Blocks(*(np.repeat(column, 2) for column in (twice.first, twice.last, twice.day)))
    assert shown(make_folds(Validation("folds", 4), both, 1)) == [
        "TTT.tttttttt",
        "tt.TTTtttttt",
        "ttttttTTT.tt",
        "tttttttt.TTT",
    ]


def test_the_longest_tested_block_purges_not_the_last_one():
    first = np.array([0, 1, 10, 20, 30], np.int64)
    blocks = Blocks(first, first + np.array([18, 2, 2, 2, 2]), np.zeros(5, np.int64))
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
            make_folds(Validation("none"), Blocks(np.array(first), np.array(last), np.array(day)), 0)
    with pytest.raises(ValueError, match="0 or more nanoseconds"):
        make_folds(Validation("none"), Blocks(np.array([2]), np.array([1]), np.array([0])), 0)
    with pytest.raises(ValueError, match="0 or more nanoseconds"):
        make_folds(Validation("none"), blocks_of(3), -1)


@st.composite
def spans(draw):
    """Blocks of several days that may overlap, of different lengths, with pauses."""
    starts = sorted(draw(st.lists(st.integers(0, 400), min_size=2, max_size=40)))
    lengths = draw(st.lists(st.integers(0, 12), min_size=len(starts), max_size=len(starts)))
    first = np.array(starts, np.int64)
    return Blocks(first, first + np.array(lengths), first // draw(st.sampled_from([50, 150, 1000])))


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


def plain_choice(rows, folds, allowed):
    """The winners and the column of each block, with Python's integers."""
    winners, chosen = [], [-1] * len(rows)
    for fold, may in zip(folds, allowed, strict=True):
        train = [row for row, inside in zip(rows, fold.train.tolist(), strict=True) if inside]
        columns = [column for column, each in enumerate(may) if each] or list(range(len(may)))
        winner = min(columns, key=lambda column: (sum(row[column] for row in train), column))
        winners.append(winner)
        for block in np.flatnonzero(fold.test):
            chosen[block] = winner
    return winners, chosen


@st.composite
def choices(draw):
    """Costs with ties and with sums beyond int64, folds of any shape, and who may be picked."""
    blocks, columns, count = draw(st.integers(1, 8)), draw(st.integers(1, 9)), draw(st.integers(0, 4))
    value = draw(
        st.sampled_from([st.integers(-2, 2), st.integers(-(2**63), 2**63 - 1), st.sampled_from([-(2**63), 2**63 - 1])])
    )
    rows = draw(st.lists(st.lists(value, min_size=columns, max_size=columns), min_size=blocks, max_size=blocks))
    bits = st.lists(st.sampled_from("tT."), min_size=blocks, max_size=blocks)
    folds = [
        Fold(np.array(letters) == "t", np.array(letters) == "T")
        for letters in draw(st.lists(bits, min_size=count, max_size=count))
    ]
    mask = st.lists(st.booleans(), min_size=columns, max_size=columns)
    return rows, folds, draw(st.lists(mask, min_size=count, max_size=count)), draw(st.sampled_from([1, 3, 100]))


@examples(300)
@given(choices())
def test_the_winner_of_each_training_part_is_what_plain_sums_say(case):
    rows, folds, allowed, piece = case
    costs = np.array(rows, np.int64)
    everyone = [[True] * len(rows[0]) for _ in folds]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        masked = np.array(allowed, np.bool_).reshape(len(folds), len(rows[0]))
        for may, plain in [(None, everyone), (masked, allowed)]:
            answer = out_of_sample(costs, folds, may)
            winners, chosen = plain_choice(rows, folds, plain)
            assert answer.winners.tolist() == winners
            assert answer.chosen.tolist() == chosen


def test_out_of_sample_by_hand():
    costs = np.array([[5, 1, 3], [5, 1, 3], [0, 9, 3], [0, 9, 3]], np.int64)
    folds = make_folds(Validation("folds", 2), blocks_of(4, pause=1), 0)
    # the first half is tested with the best of the second, and the other way round: the worst each time
    answer = out_of_sample(costs, folds)
    assert (answer.winners.tolist(), answer.chosen.tolist()) == ([0, 1], [0, 0, 1, 1])
    answer = out_of_sample(costs, folds, np.array([False, True, True]))
    assert (answer.winners.tolist(), answer.chosen.tolist()) == ([2, 1], [2, 2, 1, 1])
    rolling = make_folds(Validation("rolling"), blocks_of(4, pause=1), 0)
    assert out_of_sample(costs, rolling).chosen.tolist() == [-1, 1, 1, 0]


def test_a_shape_that_does_not_fit_is_refused():
    folds = make_folds(Validation("folds", 2), blocks_of(4, pause=1), 0)
    for costs in np.zeros((3, 2), np.int64), np.zeros((4, 0), np.int64):
        with pytest.raises(ValueError, match="folds: expected those of"):
            out_of_sample(costs, folds)
    with pytest.raises(ValueError, match="broadcast"):
        out_of_sample(np.zeros((4, 2), np.int64), folds, np.ones((3, 2), np.bool_))
