"""What every executor must do; a test class per executor inherits it and gives an `executor` fixture."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from feed.errors import FeedCorrupt
from tests.support.footprint import own_bytes, simulate_and_measure


def taking(items):
    """The items one by one, as a stream takes them."""
    return partial(next, iter(items), None)


def double(number):
    return 2 * number


def pair(number):
    return number, number + 1


def total(column, offset, number):
    assert not column.flags.writeable or column.base is None
    return int(column.sum()) + offset + number


def make_column(size):
    return np.arange(size)


def corrupt():
    raise FeedCorrupt("a hole", "topic, offset 7", "replay it")


kept = []


def keep_a_copy(book):
    """What no task may do: the figure has to show it."""
    kept[:] = [np.array(getattr(book, name)) for name in ("ask_px", "bid_px")]
    pid, _ = simulate_and_measure(book)
    return pid, own_bytes()


def broken(number):
    raise ZeroDivisionError(f"combination {number}")


class ExecutorContract:
    """Inherit, and give an `executor` fixture that is entered."""

    def test_a_call_returns_what_the_function_does(self, executor):
        assert executor.get(executor.call(double, 21)) == 42

    def test_several_answers_have_a_handle_each(self, executor):
        one, other = executor.call(pair, 1, returns=2)
        assert (executor.get(one), executor.get(other)) == (1, 2)

    def test_handles_are_arguments_of_later_calls(self, executor):
        column = executor.call(make_column, 5)
        assert executor.get(executor.call(total, column, executor.call(double, 10), 1)) == 10 + 20 + 1

    def test_a_stream_answers_every_item_once(self, executor):
        column = executor.call(make_column, 3)
        answers = list(executor.stream(total, (column, 100), taking((n,) for n in range(50))))
        assert sorted(answers) == [((n,), 103 + n) for n in range(50)]

    def test_a_stream_makes_items_when_there_is_room_only(self, executor):
        made = []

        def items():
            for n in range(1000):
                made.append(n)
                yield (n,)

        stream = executor.stream(double, (), taking(items()))
        next(stream)
        assert len(made) <= 4 * executor.workers + 1
        stream.close()

    def test_an_empty_stream_ends(self, executor):
        assert list(executor.stream(double, (), taking([]))) == []

    def test_an_error_arrives_as_what_it_was(self, executor):
        with pytest.raises(FeedCorrupt) as error:
            executor.get(executor.call(corrupt))
        assert str(error.value) == "topic, offset 7: a hole; replay it"
        with pytest.raises(ZeroDivisionError, match="combination 3"):
            list(executor.stream(broken, (), taking([(3,)])))

    def test_it_has_a_worker_or_more(self, executor):
        assert executor.workers >= 1
