"""The examples in public docstrings do what they show."""

from __future__ import annotations

import doctest

import pytest

import allocator
import sweep
from allocator.book import build_book
from sweep.config import load_config

SHOWN = {
    "allocator.allocate": allocator.allocate,
    "allocator.book.build_book": build_book,
    "sweep.config.load_config": load_config,
    "sweep.run": sweep.run,
}


def results_of(function):
    """(failed, attempted) examples of a function's docstring, which imports what it uses; and what went wrong."""
    assert "\n    Examples\n    --------\n" in function.__doc__, "it shows no example"
    (examples,) = doctest.DocTestFinder(recurse=False).find(function, globs={})
    lines = []
    results = doctest.DocTestRunner(verbose=False).run(examples, out=lines.append)
    return results.failed, results.attempted, "".join(lines)


@pytest.mark.parametrize("name", SHOWN)
def test_examples_show_what_is_returned(name):
    failed, attempted, report = results_of(SHOWN[name])
    assert failed == 0, report
    assert attempted > 2


def right():
    """One.

    Examples
    --------
    >>> 1 + 1
    2
    """


def wrong():
    """One.

    Examples
    --------
    >>> 1 + 1
    3
    """


def broken():
    """One.

    Examples
    --------
    >>> absent
    """


def absent():
    """None.

    >>> 1 + 1
    2
    """


def test_a_wrong_example_is_noticed():
    assert results_of(right)[:2] == (0, 1)
    failed, _, report = results_of(wrong)
    assert failed == 1
    assert "Expected:\n    3\nGot:\n    2" in report
    assert results_of(broken)[0] == 1
    with pytest.raises(AssertionError, match="it shows no example"):
        results_of(absent)
