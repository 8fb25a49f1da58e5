"""Slices of the combinations, and what the section says of them: held against a plain search through all."""

import json
import re
from html.parser import HTMLParser
from importlib import import_module
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.charts import thresholds
from sweep.page.element import html
from sweep.page.lattice import Lattice, Varied, first_slice, rank_of, slice_of

section = import_module("sweep.page.sections.landscape")  # its room exports the function of its name


def lattice(shape, rows, saved, in_set=None, market=(), enough=None, pruned=0):
    """Combinations at places of a lattice; `enough`: which may be the best."""
    enough = None if enough is None else np.array(enough, bool)
    axes = tuple(
        Varied(f"axis_{at}", f"axis_{at}, $", tuple(f"v{value}" for value in range(count)), at in market)
        for at, count in enumerate(shape)
    )
    places = np.array(rows, np.int64)
    positions = np.column_stack(np.unravel_index(places, shape)).astype(np.int64) if shape else np.zeros((len(rows), 0))
    saved = np.array(saved, np.int64)
    best = int(np.argmax(saved if enough is None else np.where(enough, saved, saved.min() - 1)))
    return Lattice(
        axes,
        places,
        positions,
        saved,
        None if in_set is None else np.array(in_set, bool),
        np.zeros(len(rows), np.int64),
        np.array([best]),
        ("best_ask",),
        len(rows) == prod(shape),
        tuple(thresholds(saved / 100)),
        rank_of(saved, [best], enough),
        enough,
        pruned,
    )


class Tags(HTMLParser):
    """The tags of a page, as a browser reads them."""

    def __init__(self):
        super().__init__()
        self.tags = set()

    def handle_starttag(self, tag, _):
        self.tags.add(tag)


@st.composite
def lattices(draw):
    shape = tuple(draw(st.lists(st.integers(2, 7), min_size=2, max_size=4)))
    rows = sorted(draw(st.sets(st.integers(0, prod(shape) - 1), min_size=1, max_size=60)))
    saved = draw(st.lists(st.integers(-5, 5), min_size=len(rows), max_size=len(rows)))
    some = draw(st.booleans())
    enough = draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))) if some else [True]
    return lattice(shape, rows, saved, [each > 2 for each in saved], enough=enough if not all(enough) else None)


@given(lattices(), st.data())
def test_each_cell_shows_the_best_of_its_combinations(made, data):
    x, y = data.draw(st.permutations(range(len(made.axes))))[:2]
    at = [data.draw(st.integers(-1, count - 1)) for count in made.shape]
    most = data.draw(st.integers(1, 7))
    shown = slice_of(made, x, y, at, most)
    for row, (low, high) in enumerate(shown.rows):
        for column, (left, right) in enumerate(shown.columns):
            inside = [
                number
                for number, place in enumerate(made.positions.tolist())
                if left <= place[x] <= right
                and low <= place[y] <= high
                and all(held in {-1, place[axis]} for axis, held in enumerate(at) if axis not in {x, y})
            ]
            assert shown.count[row, column] == len(inside)
            enough = np.ones(len(made.saved)) if made.enough is None else made.enough
            best = max(inside, key=lambda each: (enough[each], made.saved[each], each in made.bests, -each), default=-1)
            assert shown.best[row, column] == best


def test_first_slice_goes_through_the_best():
    made = lattice((3, 3, 4), range(36), range(36))
    shown = first_slice(made)
    assert shown.at == (-1, -1, 3)
    assert shown.best[2, 2] == 35


def test_first_slice_of_a_search_shows_the_best_over_the_others():
    made = lattice((5, 5, 50), [0, 130, 611, 1249], [1, 2, 3, 4])
    shown = first_slice(made)
    assert shown.at == (-1, -1, -1)
    assert (shown.best >= 0).sum() == 4


def test_markets_come_last_and_are_never_mixed():
    made = lattice((2, 5, 5, 60), [7, 900, 1600, 2999], [1, 2, 3, 4], market={0})
    shown = first_slice(made)
    assert (shown.x, shown.y, shown.at[0]) == (1, 2, 1)


@pytest.fixture
def drawn(monkeypatch):
    """The section of a lattice, as markup and as the figures of the script."""

    def made(of):
        monkeypatch.setattr(section, "lattice_of", lambda _: of)
        return html(section.landscape(None)), section.landscape_figures(None)

    return made


def test_every_combination_is_in_the_figures(drawn):
    of = lattice((3, 4, 2), range(24), range(-1200, 1200, 100), [each > 20 for each in range(24)])
    markup, figures = drawn(of)
    assert figures["saved"] == of.saved.tolist()
    assert figures["positions"] is None
    assert figures["numbers"] is None
    bits = f"{int(figures['inSet'], 16):024b}"
    assert [bit == "1" for bit in bits] == of.in_set.tolist()
    json.dumps(figures, allow_nan=False)
    assert "3 of them (12.5 %) cannot be told from the best" in markup
    assert "Of 24 combinations the best saves +11.00 bps against best_ask, the worst \u221212.00 bps" in markup


def test_places_of_a_search_are_in_the_figures(drawn):
    _, figures = drawn(lattice((3, 4, 2), [1, 5, 22], [1, 2, 3]))
    assert figures["numbers"] == [1, 5, 22]
    assert figures["positions"] == [[0, 0, 2], [0, 2, 3], [1, 1, 0]]
    assert figures["inSet"] is None


def test_cells_that_nobody_looked_at_are_blank(drawn):
    markup, _ = drawn(lattice((2, 2), [0, 3], [100, 200]))
    assert "not looked at" in markup
    assert len(re.findall(r'class="h\d"', re.sub("<ul.*?</ul>", "", markup))) == 4  # two colours, drawn at two widths
    assert "too few blocks" in markup


def test_one_axis_is_a_line_of_dots(drawn):
    markup, figures = drawn(lattice((5,), range(5), [5, 4, 30, 2, 1], [False, False, True, False, False]))
    assert figures is None
    assert markup.count("<circle") == 2 * 4
    assert "every other one can be told from the best" in markup


def test_one_combination_is_a_sentence(drawn):
    markup, figures = drawn(lattice((), [0], [-250]))
    assert figures is None
    assert "<svg" not in markup
    assert "One combination was looked at; it saves \u22122.50 bps against best_ask" in markup


def test_large_lattice_is_small(drawn):
    count = 100 * 100
    markup, figures = drawn(lattice((100, 100), range(count), range(count), [each > 9_900 for each in range(count)]))
    assert len(markup) < 120_000
    assert len(json.dumps(figures, separators=(",", ":"))) < 120_000
    assert markup.count("<tr>") < 60
    assert "The 20 best and the 20 worst of 900 cells; all are in combinations.parquet." in markup


def test_more_combinations_than_a_page_holds_are_drawn_without_a_script(drawn):
    count = 300 * 200
    markup, figures = drawn(lattice((300, 200), range(count), range(count)))
    assert figures is None
    assert "landscape-live" not in markup
    assert "All 60,000 are in combinations.parquet." in markup


def test_hostile_labels_are_text(drawn):
    hostile = "</script><img src=x onerror=alert(1)>"
    of = lattice((2, 2, 2), range(8), range(8))
    axes = tuple(Varied(hostile, hostile, (hostile, "b"), market=False) for _ in of.axes)
    markup, _ = drawn(Lattice(axes, *(getattr(of, name) for name in of.__slots__ if name != "axes")))
    reader = Tags()
    reader.feed(markup)
    assert not {"img", "script"} & reader.tags
    assert "&lt;img" in markup


def test_what_fills_too_little_is_drawn_and_never_the_best(drawn):
    of = lattice((2, 2, 2), range(8), range(100, 900, 100), enough=[True] * 6 + [False] * 2)
    markup, figures = drawn(of)
    assert figures["enough"] == "fc"
    assert figures["saved"] == of.saved.tolist()
    assert "the best saves +6.00 bps" in markup
    assert "best +6.00 bps at axis_0 v1, axis_1 v0" in markup
    assert "2 combinations fill less than best_ask in its world and cannot be the best" in markup
    assert "+8.00 \u2020" in markup
    untouched = drawn(lattice((2, 2, 2), range(8), range(8)))
    assert untouched[1]["enough"] is None
    assert "\u2020" not in untouched[0]


def test_pruning_is_the_reason(drawn):
    markup, _ = drawn(lattice((2, 2), range(4), range(4), pruned=1234))
    assert "as 1,234 combinations were pruned (search.prune), it is not known which cannot be told" in markup
    assert "too few blocks" not in markup
