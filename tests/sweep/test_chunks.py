"""The cutter with made-up seconds: every combination once, and sizes that follow what chunks take."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.chunks import (
    ATTEMPTS,
    GROWTH,
    LARGEST,
    LEAST_SECONDS,
    PER_WORKER,
    TARGET_SECONDS,
    TASK_SECONDS,
    Chunk,
    Cutter,
    Suspects,
    fit,
)

WINDOW = 4


def cut(total, workers, cost, *measured):
    """Sizes in order, where chunks finish in order and a window of them is in flight."""
    cutter = Cutter(1, 1, total, workers, [(size, cost(size)) for size in measured])
    flying, sizes = deque(), []
    while True:
        while len(flying) < WINDOW * workers and (chunk := cutter.take()):
            flying.append(len(chunk))
            sizes.append(len(chunk))
        if not flying:
            return sizes
        size = flying.popleft()
        cutter.learn(size, cost(size))


def test_a_linear_cost_settles_at_the_target():
    sizes = cut(100_000, 2, lambda k: 0.001 * k, 1, 16)
    assert sizes[0] == 64
    middle = sizes[len(sizes) // 4 : len(sizes) // 2]
    assert {round(0.001 * size, 3) for size in middle} == {TARGET_SECONDS}


def test_a_pass_that_is_all_the_cost_makes_chunks_grow():
    sizes = cut(1_000_000, 2, lambda _: 0.05, 1, 16)
    assert len(sizes) < 80
    assert max(sizes) > 50_000
    long = cut(1_000_000, 2, lambda _: 3.0, 1, 16)
    assert len(long) < 80


def test_a_long_pass_is_shared_until_it_is_half_of_the_chunk():
    sizes = cut(1_000_000, 2, lambda k: 0.5 + 0.0005 * k, 1, 16)
    assert max(sizes) == pytest.approx(1000, rel=0.05)
    assert sizes[20:60] == pytest.approx([1000] * 40, rel=0.05)


def test_chunks_grow_by_a_bounded_factor():
    sizes = cut(10_000_000, 1, lambda _: 1e-6, 1, 16)
    assert sizes[0] == 64
    largest = 64
    for size in sizes:
        assert size <= GROWTH * largest
        largest = max(largest, size)
    assert largest == LARGEST


def test_every_worker_has_several_where_the_work_is_long_enough():
    sizes = cut(4000, 2, lambda k: 0.001 * k, 1, 16)
    assert len(sizes) >= PER_WORKER * 2
    assert all(size <= 100 for size in sizes)


def test_no_chunk_is_below_ten_milliseconds_only_to_have_several():
    sizes = cut(640, 2, lambda k: 0.0002 * k, 1, 16)  # 128 ms in all: 16 chunks would be of 8 ms
    assert min(sizes[:-1]) * 0.0002 == pytest.approx(LEAST_SECONDS, rel=0.05)


@pytest.mark.parametrize("measured", [(), (1, 16)])
def test_a_tiny_grid_is_one_chunk_per_worker(measured):
    assert cut(27, 2, lambda k: 0.0002 * k, *measured) == [14, 13]
    assert cut(27, 1, lambda k: 0.0002 * k, *measured) == [27]
    assert cut(1, 8, lambda k: 0.0002 * k, *measured) == [1]


@pytest.mark.parametrize(("start", "each"), [(0.0, 0.001), (0.02, 0.001), (0.2, 0.0001)])
def test_the_last_chunks_do_not_keep_the_others_waiting(start, each):
    workers, sizes = 8, cut(200_000, 8, lambda k: start + each * k, 1, 16)
    left = sum(sizes)
    for size in sizes:
        worth = max(LEAST_SECONDS, start) / each
        assert size <= max(-(-left // (2 * workers)), worth * 1.1 + 1)
        left -= size


def test_one_slow_chunk_decides_nothing():
    calls = iter(range(10**6))
    sizes = cut(400_000, 2, lambda k: 0.001 * k + (2.0 if next(calls) % 9 == 5 else 0.0), 1, 16)
    middle = sorted(sizes[len(sizes) // 4 : len(sizes) // 2])
    assert middle[len(middle) // 2] == pytest.approx(100, rel=0.3)


@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3000), st.integers(1, 9),
    st.lists(st.tuples(st.integers(1, 100), st.sampled_from([0.0, 1e-9, 1e-4, 0.01, 10.0])), max_size=2),
    st.lists(st.sampled_from([0.0, 1e-9, 1e-5, 0.01, 0.1, 1.0, 1e3]), min_size=1, max_size=20),
)  # fmt: skip
def test_every_combination_once_whatever_is_said(tapes, orders, combinations, workers, measured, seconds):
    cutter = Cutter(tapes, orders, combinations, workers, measured)
    taken, done = 0, {}
    for at, chunk in enumerate(iter(cutter.take, None)):
        assert chunk.first < chunk.past
        assert (chunk.tape, chunk.order) == divmod(taken // combinations, orders), "by tape, then by order"
        assert chunk.first == done.get((chunk.tape, chunk.order), 0), "and by number"
        done[chunk.tape, chunk.order] = chunk.past
        taken += len(chunk)
        if at % 3:
            cutter.learn(len(chunk), seconds[at % len(seconds)])
    assert list(done.items()) == [((t, o), combinations) for t in range(tapes) for o in range(orders)]


def test_a_chunk_knows_its_length_and_its_name():
    assert len(Chunk(0, 0, 3, 7)) == 4
    assert str(Chunk(0, 0, 3, 7)) == "chunk 0/0/3-6"
    assert str(Chunk(1, 2, 3, 7, 3)) == "chunk 1/2-4/3-6"


@pytest.mark.parametrize("workers", [64, 500])
def test_one_driver_can_feed_them_all(workers):
    """However many there are, chunks take twice as long as it takes to hand one to each."""
    sizes = cut(5_000_000, workers, lambda k: 0.001 * k, 1, 16)
    middle = sizes[len(sizes) // 2 : len(sizes) * 6 // 10]
    assert min(middle) * 0.001 == pytest.approx(max(TARGET_SECONDS, 2 * TASK_SECONDS * workers), rel=0.05)


def test_no_chunk_is_below_what_the_driver_takes_to_feed_the_workers_only_to_have_several():
    cutter = Cutter(1, 1, 64 * PER_WORKER * 20, 64, [(1, 0.001), (1024, 1.024)])  # 20 ms each, were there several
    assert len(cutter.take()) * 0.001 == pytest.approx(64 * TASK_SECONDS, rel=0.05)


def test_sizes_follow_the_workers_that_there_are():
    cutter = Cutter(1, 1, 10_000, 2, [(1, 0.001), (16, 0.016)])
    assert len(cutter.take()) == 64
    cutter.learn(64, 0.064)
    assert len(cutter.take()) == 100
    cutter.workers = 100
    assert len(cutter.take()) == pytest.approx(70, abs=1), "what the driver takes to feed a hundred"
    cutter.workers = 20_000
    assert len(cutter.take()) == 1


def crash(suspects, bad):
    """Run all chunks, each losing its process where it holds a bad combination: rows, what was given up, losses."""
    done, given_up, losses = [], [], 0
    while (chunk := suspects.take()) is not None:
        held = {
            (chunk.tape, order, number)
            for order in range(chunk.order, chunk.order + chunk.orders)
            for number in range(chunk.first, chunk.past)
        }
        if not held & bad:
            if suspects.done(chunk):
                done += held
        else:
            losses += 1
            if not suspects.lost(chunk):
                given_up += held
    return done, given_up, losses


@given(
    st.integers(1, 2), st.integers(1, 3), st.integers(1, 200), st.booleans(),
    st.sets(st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(0, 199)), max_size=4),
)  # fmt: skip
def test_what_is_lost_comes_again_in_halves_until_what_is_to_blame_is_alone(tapes, orders, combinations, together, bad):
    suspects = Suspects(Cutter(tapes, orders, combinations, 2, together=together))
    whole = {(t, o, c) for t in range(tapes) for o in range(orders) for c in range(combinations)}
    bad &= whole
    done, given_up, losses = crash(suspects, bad)
    assert sorted([*done, *given_up]) == sorted(whole)
    assert set(given_up) == bad
    # the halvings of 200 combinations and of 3 orders, and it alone; then it with nothing beside it, several times
    assert losses <= len(bad) * (8 + 2 + 1 + ATTEMPTS)


def test_what_was_lost_alone_waits_for_all_the_others_and_then_takes_turns_with_one_that_has_run():
    suspects = Suspects(Cutter(1, 1, 3, 3))
    first, second, third = iter(suspects.take, None)
    assert suspects.lost(second)
    assert suspects.done(first)
    assert suspects.take() is None, "another is under way"
    assert suspects.done(third)
    for _ in range(ATTEMPTS - 1):
        assert suspects.take() == second
        assert suspects.take() is None
        assert suspects.lost(second)
        assert suspects.take() == first
        assert not suspects.done(first), "its rows are there"
    assert suspects.take() == second
    assert not suspects.lost(second)
    assert suspects.witnessed
    assert suspects.take() is None


def test_where_the_witness_is_lost_too_nothing_was_said_about_the_suspect():
    suspects = Suspects(Cutter(1, 1, 2, 2))
    first, second = iter(suspects.take, None)
    suspects.done(first)
    suspects.lost(second)
    for _ in range(10 * ATTEMPTS):
        assert suspects.take() == second
        assert suspects.lost(second)
        assert suspects.take() == first
        assert suspects.lost(first)
    assert suspects.take() == second
    assert suspects.done(second)
    assert suspects.take() is None


def test_a_combination_that_ran_in_a_run_before_is_a_witness():
    suspects = Suspects(Cutter(1, 1, 1, 2), Chunk(0, 0, 7, 8))
    assert suspects.lost(suspects.take())
    assert suspects.lost(suspects.take())
    assert suspects.take() == Chunk(0, 0, 7, 8)


def test_without_a_witness_none_is_known_to_be_to_blame():
    suspects = Suspects(Cutter(1, 1, 1, 2))
    for _ in range(ATTEMPTS):
        assert suspects.lost(suspects.take())
    assert not suspects.lost(suspects.take())
    assert not suspects.witnessed


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(10.0, 0.5)], (0.0, 0.05)),
        ([(10.0, 0.3), (20.0, 0.4)], (0.2, 0.01)),
        ([(10.0, 0.4), (20.0, 0.3)], (0.35, 0.0)),
        ([(10.0, 0.0), (20.0, 0.0)], (0.0, 0.0)),
        ([(10.0, 0.01), (100.0, 1.0)], (0.0, (0.1 + 100) / (100 + 10_000))),
    ],
)
def test_the_fit_is_never_negative(points, expected):
    assert fit(points) == pytest.approx(expected)
