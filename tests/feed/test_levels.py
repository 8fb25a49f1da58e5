"""Levels behind the first: what a side ends at, what order they keep to, and that every kind of file holds them."""

import re
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from feed.errors import FeedCorrupt
from feed.files import csv_reader, streams
from feed.files.parquet import write_parquet
from feed.files.registry import WRITERS, read_file
from feed.levels import LEVEL_DTYPES, LevelsError, flat_columns
from feed.options import ReadOptions
from feed.source import plan_source, read_source, read_tapes
from feed.tape import UNDEFINED_PRICE, Tape, join, same
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND, deep_tapes


def built(bids, asks, ts=(OPEN,), **options):
    """A tape of one venue: of each row the levels (cents, shares) of both sides."""
    sides = {"bid": bids, "ask": asks}
    px = {
        side: np.array([[level[0] for level in row] for row in rows], np.int64) * CENT for side, rows in sides.items()
    }
    sz = {side: np.array([[level[1] for level in row] for row in rows], np.int64) for side, rows in sides.items()}
    return Tape.build(
        "XYZ",
        ts=np.array(ts),
        venue=np.full(len(ts), 2),
        sequence=np.arange(len(ts)),
        **{f"{side}_px": px[side][:, 0] for side in sides},
        **{f"{side}_sz": sz[side][:, 0] for side in sides},
        levels={
            **{f"{side}_px": px[side][:, 1:] for side in sides},
            **{f"{side}_sz": sz[side][:, 1:] for side in sides},
        },
        **options,
    )


BIDS = [(99, 1), (98, 1), (97, 1)]


@pytest.mark.parametrize(
    ("asks", "prices"),
    [
        ([(100, 5), (101, 5), (102, 5)], [101, 102]),
        ([(100, 5), (0, 0), (102, 5)], [0, 0]),
        ([(100, 5), (101, 0), (102, 5)], [0, 0]),
        ([(100, 5), (101, 5), (-1, 5)], [101, 0]),
        ([(0, 0), (101, 5), (102, 5)], [0, 0]),
        ([(100, 0), (101, 5), (102, 5)], [0, 0]),
    ],
)
def test_a_side_ends_at_its_first_level_without_a_quote(asks, prices):
    tape = built([BIDS], [asks])
    assert (tape.levels.ask_px // CENT).tolist() == [prices]
    assert ((tape.levels.ask_px > 0) == (tape.levels.ask_sz > 0)).all()
    assert (tape.levels.bid_px // CENT).tolist() == [[98, 97]]
    assert tape.depth == 3


def test_databentos_undefined_price_is_no_level():
    asks = [(100, 5), (101, 5), (UNDEFINED_PRICE // CENT, 0)]
    assert built([BIDS], [asks]).levels.ask_px.tolist() == [[101 * CENT, 0]]


@pytest.mark.parametrize(
    ("bids", "asks", "line"),
    [
        (BIDS, [(100, 5), (100, 5), (102, 5)], "ask 2 is 1.0 $ behind 1.0 $"),
        (BIDS, [(100, 5), (102, 5), (101, 5)], "ask 3 is 1.01 $ behind 1.02 $"),
        ([(99, 1), (98, 1), (98, 1)], [(100, 5), (101, 5), (102, 5)], "bid 3 is 0.98 $ behind 0.98 $"),
    ],
)
def test_levels_that_are_not_strictly_worse_are_refused(bids, asks, line):
    where = "levels of venue 2 at 2024-08-01T14:00:00.000000000Z are out of order: "
    with pytest.raises(LevelsError, match=f"^{re.escape(where + line)}$"):
        built([bids], [asks])


def test_levels_go_with_their_rows_and_fill_up_where_tapes_are_joined():
    deep = built([BIDS] * 2, [[(100, 5), (101, 5), (102, 5)], [(200, 5), (201, 5), (202, 5)]], ts=(OPEN + SECOND, OPEN))
    assert (deep.levels.ask_px[:, 0] // CENT).tolist() == [201, 101]
    late = deep.clip(OPEN + 1, OPEN + SECOND)
    assert (late.levels.ask_px // CENT).tolist() == [[101, 102]]
    joined = join([deep, deep.up_to(2), deep.up_to(1)])
    assert joined.depth == 3
    assert (joined.levels.ask_px // CENT).tolist() == [[201, 202], [201, 0], [0, 0], [101, 102], [101, 0], [0, 0]]
    assert same(deep.of_venues([2]), deep)
    assert deep.of_venues([3]).levels.ask_px.shape == (0, 2)


def test_the_digest_of_one_level_is_that_of_a_tape_without_levels_and_covers_the_others():
    asks = [(100, 5), (101, 5), (102, 5)]
    deep, other = built([BIDS], [asks]), built([BIDS], [[*asks[:2], (103, 5)]])
    alone = Tape(deep.symbol, *(getattr(deep, name) for name in deep.__slots__[1:8]))
    assert deep.up_to(1).digest() == alone.digest()
    assert len({tape.digest() for tape in (deep, deep.up_to(2), deep.up_to(1), other)}) == 4
    assert deep.up_to(2).digest() == other.up_to(2).digest()
    assert not same(deep, other)
    assert not same(deep, deep.up_to(2))
    assert list(deep.to_frame())[-4:] == ["bid_px_02", "ask_px_02", "bid_sz_02", "ask_sz_02"]


@pytest.mark.parametrize("wrong", [{"bid_px": np.zeros((2, 1), np.int64)}, {"ask_sz": np.zeros((1, 2), np.int64)}])
def test_levels_of_another_shape_are_refused(wrong):
    levels = {name: np.zeros((1, 1), np.int64) for name in LEVEL_DTYPES} | wrong
    one = np.ones(1, np.int64)
    quotes = dict.fromkeys(("ts", "venue", "bid_px", "ask_px", "bid_sz", "ask_sz", "sequence"), one)
    with pytest.raises(ValueError, match="levels differ in shape"):
        Tape.build("XYZ", **quotes, levels=levels)
    with pytest.raises(ValueError, match="expected 2 to 10 levels, but there were 11"):
        Tape.build("XYZ", **quotes, levels={name: np.zeros((1, 10), np.int64) for name in LEVEL_DTYPES})


@examples(40)
@given(deep_tapes(max_depth=10, max_rows=12, trades=False))
def test_every_kind_of_file_holds_levels(tmp_path_factory, tape):
    folder = tmp_path_factory.mktemp("files")
    for ending in (".csv", ".dbn", ".parquet"):
        path = folder / f"day{ending}"
        WRITERS[ending](tape, path)
        assert same(read_file(path, depth=tape.depth).tape, tape)
        assert same(read_file(path).tape, tape.shown())
        assert same(read_file(path, depth=1).tape, tape.up_to(1))
        assert same(read_file(path, depth=2).tape, tape.up_to(2))
        # DBN writes ten in any case
        assert read_file(path, depth=10).tape.up_to(tape.depth).digest() == tape.digest()


@examples(40)
@given(deep_tapes(max_depth=10, max_rows=12, min_rows=1, trades=False))
def test_the_compiled_reader_reads_the_same_levels(tmp_path_factory, tape):
    path = tmp_path_factory.mktemp("files") / "day.csv"
    WRITERS[".csv"](tape, path)
    for depth in (2, tape.depth, 10):
        plain = csv_reader._read_plain(path, None, None, depth)
        if plain is None:  # without any price the form of prices is not known
            assert not (tape.bid_px + tape.ask_px).any()
        else:
            assert same(plain.tape, csv_reader._read_text(path, None, None, depth).tape)
            assert plain.tape.depth == min(depth, tape.depth)


def test_a_file_whose_levels_are_out_of_order_is_refused_in_one_line(tmp_path):
    tape = built([BIDS], [[(100, 5), (101, 5), (102, 5)]])
    path = tmp_path / "day.csv"
    WRITERS[".csv"](tape, path)
    path.write_text(path.read_text().replace("1.020000000", "1.005000000"))
    assert read_file(path, depth=2).tape.depth == 2
    with pytest.raises(FeedCorrupt) as error:
        read_file(path, depth=10)
    expected = "levels of venue 2 at 2024-08-01T14:00:00.000000000Z are out of order: ask 3 is 1.005 $ behind 1.01 $"
    assert str(error.value) == f"{path}: {expected}; export it again, or read less: depth=1"


def test_a_level_of_which_a_column_is_missing_ends_the_depth(tmp_path):
    tape = built([BIDS], [[(100, 5), (101, 5), (102, 5)]])
    path = tmp_path / "day.csv"
    WRITERS[".csv"](tape, path)
    path.write_text(path.read_text().replace("ask_sz_02", "other"))
    assert same(read_file(path, depth=10).tape, tape.up_to(2))


SHALLOW = ([(100, 5), (0, 0), (0, 0)], [(100, 5), (101, 5), (0, 0)])


def test_without_a_depth_a_file_has_as_many_levels_as_it_shows(tmp_path):
    """Whatever columns or records it has room for; one with nothing behind its first level has one."""
    for asks, depth in zip(SHALLOW, (1, 2), strict=True):
        tape = built([[(99, 1), (0, 0), (0, 0)]], [asks])
        assert tape.depth == 3
        for ending in (".csv", ".dbn", ".parquet"):
            WRITERS[ending](tape, path := tmp_path / f"day{ending}")
            plan = plan_source(str(path))
            read, provenance = read_source(str(path))
            assert same(read, tape.up_to(depth))
            assert provenance.digest == tape.up_to(depth).digest()
            assert plan.merge([plan.ranges[0].read()])[0][0].depth == depth
            assert read_source(str(path), ReadOptions(depth=3))[0].depth == 3


def test_files_of_different_depth_stand_side_by_side(tmp_path):
    """Joined, a row of the shallower file has one level; each date by itself is as deep as it is."""
    day = 86_400 * SECOND
    deep = built([BIDS, BIDS], [[(100, 5), (101, 5), (102, 5)]] * 2, ts=(OPEN, OPEN + day))
    flat = built([BIDS], [[(100, 5), (101, 5), (102, 5)]], ts=(OPEN + 1,)).up_to(1)
    shallow = built([[(99, 1), (0, 0), (0, 0)]] * 2, SHALLOW, ts=(OPEN + 2 * day, OPEN + 3 * day))
    for name, tape in (("a.csv", deep), ("b.parquet", flat), ("c.dbn", shallow)):
        WRITERS[f".{name[2:]}"](tape, tmp_path / name)
    tapes = [tape for tape, _ in read_tapes(str(tmp_path))]
    assert [tape.depth for tape in tapes] == [3, 3, 1, 2]
    assert same(tapes[0], join([deep.clip(OPEN, OPEN + 1), flat]))
    assert tapes[0].levels.ask_px.tolist() == [[101 * CENT, 102 * CENT], [0, 0]]
    assert [tape.depth for tape, _ in read_tapes(str(tmp_path), ReadOptions(depth=2))] == [2, 2, 2, 2]


def test_each_symbol_of_a_file_has_its_own_depth(tmp_path):
    deep = built([BIDS], [[(100, 5), (101, 5), (102, 5)]])
    write_parquet([deep, replace(deep.up_to(1), symbol="FLAT")], path := tmp_path / "day.parquet")
    assert [(tape.symbol, tape.depth) for tape, _ in read_tapes(str(path))] == [("FLAT", 1), ("XYZ", 3)]


def test_a_file_is_bounded_by_the_levels_that_it_has(tmp_path, monkeypatch):
    """Not by those that are asked for: without a depth a file of one level may be as large as with depth=1."""
    rows = 1000
    flat = built([[(99, 1), (98, 1)]] * rows, [[(100, 5), (101, 5)]] * rows, ts=[OPEN] * rows)
    for ending in (".csv", ".dbn", ".parquet"):
        for tape in (flat.up_to(1), flat):
            WRITERS[ending](tape, path := tmp_path / f"{tape.depth}{ending}")
            least = 0
            for bound in range(100_000, 3_000_000, 10_000):
                monkeypatch.setattr(streams, "HELD", bound)
                with suppress(FeedCorrupt):
                    read_file(path, depth=1)
                    least = bound
                    break
            assert least
            if tape.depth == 1:
                assert read_file(path).tape.rows == rows
            else:
                with pytest.raises(FeedCorrupt, match="trusted with"):
                    read_file(path)


def test_flat_columns_have_databentos_names():
    assert list(flat_columns(built([BIDS], [[(100, 5), (101, 5), (102, 5)]]).levels)) == [
        *("bid_px_01", "ask_px_01", "bid_sz_01", "ask_sz_01", "bid_px_02", "ask_px_02", "bid_sz_02", "ask_sz_02")
    ]


def test_a_real_day_of_ten_levels(l1_day):
    tape = read_file(l1_day, depth=10).tape
    assert tape.depth == 10
    assert same(tape, read_file(l1_day).tape)
    assert same(tape.up_to(1), read_file(l1_day, depth=1).tape)
    assert (tape.levels.ask_px[:, 0] > tape.ask_px)[tape.levels.ask_px[:, 0] > 0].all()
