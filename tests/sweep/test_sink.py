"""Blocks in any order make one sorted table; a block twice or never is an error; failed combinations are dropped."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.order import FIELDS
from sweep import sink as module
from sweep.chunks import Chunk
from sweep.errors import ConfigError
from sweep.sink import COLUMNS, KEYS, MemorySink
from sweep.tasks import ChunkRows, Failure


def value(chunk, number):
    """A row's first field, different for each key of a small sweep."""
    return 10_000 * chunk.tape + 1000 * chunk.order + number


def rows_of(chunk, failed=()):
    """A chunk's block: pairs of combinations share a row where neither failed."""
    of, rows, failures = [], [], []
    for number in range(chunk.first, chunk.past):
        if number in failed:
            of.append(-1)
            failures.append(Failure(number, "", ""))
            continue
        if not rows or rows[-1][0] != value(chunk, number // 2):
            rows.append([value(chunk, number // 2), *range(7)])
        of.append(len(rows) - 1)
    table = np.array(rows, np.int64).reshape(-1, len(FIELDS))
    return ChunkRows(np.array(of, np.int32), table, tuple(failures), 0.0)


@given(
    st.integers(1, 2), st.integers(1, 2), st.lists(st.integers(1, 5), min_size=1, max_size=8),
    st.sets(st.integers(0, 40), max_size=12), st.randoms(use_true_random=False),
)  # fmt: skip
def test_the_table_does_not_depend_on_cuts_or_arrival(tapes, orders, sizes, failed, random):
    total = sum(sizes)
    ends = np.cumsum([0, *sizes]).tolist()
    chunks = [Chunk(t, o, a, b) for t in range(tapes) for o in range(orders) for a, b in pairwise(ends)]
    random.shuffle(chunks)
    sink = MemorySink([orders] * tapes, total)
    for chunk in chunks:
        sink.append(chunk, rows_of(chunk, failed))
    expected = [
        [t, o, n, value(Chunk(t, o, 0, 0), n // 2), *range(7)]
        for t in range(tapes)
        for o in range(orders)
        for n in range(total)
        if n not in failed
    ]
    table = sink.table()
    assert table.dtype == np.int64
    assert table.tolist() == expected


def test_the_columns_are_the_keys_and_the_fields():
    assert KEYS == ("tape", "order", "combination")
    assert (*KEYS, *FIELDS) == COLUMNS
    assert MemorySink([1], 0).table().shape == (0, len(COLUMNS))


def test_a_chunk_that_arrives_twice_or_never_is_a_bug():
    sink = MemorySink([1], 6)
    sink.append(Chunk(0, 0, 0, 4), rows_of(Chunk(0, 0, 0, 4)))
    for again in (Chunk(0, 0, 0, 4), Chunk(0, 0, 3, 6)):
        with pytest.raises(RuntimeError, match="arrived twice"):
            sink.append(again, rows_of(again))
    with pytest.raises(RuntimeError, match="2 combinations never arrived"):
        sink.table()
    with pytest.raises(RuntimeError, match="came with 2 combinations"):
        sink.append(Chunk(0, 0, 4, 5), rows_of(Chunk(0, 0, 4, 6)))


def test_all_failed_is_an_empty_table():
    sink = MemorySink([1], 3)
    sink.append(Chunk(0, 0, 0, 3), rows_of(Chunk(0, 0, 0, 3), {0, 1, 2}))
    assert sink.table().shape == (0, len(COLUMNS))


def test_dropping_failed_rows_moves_them_in_blocks(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 3)
    sink = MemorySink([1], 20)
    sink.append(Chunk(0, 0, 0, 20), rows_of(Chunk(0, 0, 0, 20), {0, 1, 7, 19}))
    assert sink.table()[:, 2].tolist() == [n for n in range(20) if n not in {0, 1, 7, 19}]


def test_memory_that_is_not_there_is_one_line(monkeypatch):
    def none(*_):
        raise MemoryError

    monkeypatch.setattr(np, "empty", none)
    with pytest.raises(ConfigError, match=r"1 x 100,000,000 rows need 8\.8 GB, which this machine .*split the grid"):
        MemorySink([1], 100_000_000)
