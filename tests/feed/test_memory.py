"""What reading allocates beside the tape: parts are filled into its columns, and no column is there twice for long.

numpy and Python's arrays tell tracemalloc what they allocate; what pyarrow holds, a batch at a time, is not counted.
"""

import tracemalloc
from functools import partial

import numpy as np
import pytest

from feed import tape as of_tape
from feed.codecs import messages
from feed.codecs.json_codec import decode_json, encode_json
from feed.codecs.messages import Record, refuse
from feed.files import parquet
from feed.files.parquet import read_parquet, write_parquet
from feed.tape import QUOTE_DTYPES, Tape, join, same
from tests.support.reading import blocks_of, bytes_of, replay_of

VENUES, SNAPSHOTS = 12, 4000
COLUMN = 8 / 42
"""The share of a tape that its largest column has."""


@pytest.fixture(autouse=True)
def _short_passes(monkeypatch):
    """As small beside the tape as they are with millions of rows."""
    monkeypatch.setattr(of_tape, "PASS", 2**10)
    monkeypatch.setattr(parquet, "BATCH", 2**11)
    monkeypatch.setattr(messages, "BATCH", 2**6)


def columns_of(first=0, symbol_rows=VENUES * SNAPSHOTS):
    rows = np.arange(first, first + symbol_rows)
    ts = 1_722_519_392_000_000_000 + rows // VENUES * 10**6
    quotes = {"bid_px": 10**11 + rows % 7 * 10**7, "ask_px": 10**11 + 10**8, "bid_sz": rows % 90 + 1, "ask_sz": 5}
    columns = {"ts": ts, "venue": rows % VENUES, "sequence": rows} | quotes
    return {name: np.broadcast_to(columns[name], len(rows)).astype(dtype) for name, dtype in QUOTE_DTYPES.items()}


def build(columns=None, *, owned=False):
    return Tape.build("SYNTH", **(columns or columns_of()), owned=owned)


def peak_of(make):
    """What making a tape allocates at most, in multiples of the tape; and the tape."""
    make()  # what is imported or kept for the next time is no part of it
    tracemalloc.start()
    try:
        tape = make()
        return tracemalloc.get_traced_memory()[1] / bytes_of(tape), tape
    finally:
        tracemalloc.stop()


def test_a_tape_of_own_columns_copies_none():
    columns = columns_of()
    peak, tape = peak_of(partial(build, columns, owned=True))
    assert peak < 0.1
    assert all(getattr(tape, name) is column for name, column in columns.items())
    assert same(tape, build())


def test_a_tape_of_other_columns_copies_each_once():
    columns = columns_of()
    peak, tape = peak_of(partial(build, columns))
    assert 1 <= peak < 1.1
    assert not any(np.shares_memory(getattr(tape, name), column) for name, column in columns.items())


def test_own_columns_are_ordered_one_by_one():
    columns = {name: column[::-1].copy() for name, column in columns_of().items()}
    expected = build(columns)

    def make():
        return build({name: column.copy() for name, column in columns.items()}, owned=True)

    peak, tape = peak_of(make)
    assert peak < 1 + 4 * COLUMN  # the columns, the order, what sorting takes, a column once more
    assert same(tape, expected)


@pytest.mark.parametrize("read_only", [True, False])
def test_columns_that_may_not_be_written_to_are_left_as_they_are(read_only):
    columns = columns_of()
    columns["bid_px"][5] = -1
    before = {name: column.copy() for name, column in columns.items()}
    for column in columns.values():
        column.flags.writeable = not read_only
    tape = build(columns, owned=read_only)
    assert (tape.bid_px[5], tape.bid_sz[5]) == (0, 0)
    assert all(np.array_equal(columns[name], column) for name, column in before.items())


def test_fragments_are_joined_once():
    parts = [build(columns_of(first)) for first in (VENUES * SNAPSHOTS, 0)]
    peak, tape = peak_of(partial(join, parts))
    assert peak < 1 + 4 * COLUMN
    assert tape.rows == 2 * VENUES * SNAPSHOTS


@pytest.mark.parametrize("symbols", [1, 3])
def test_a_parquet_file_is_read_into_the_columns_of_the_tape(tmp_path, symbols):
    parts = [Tape(f"S{at}", *(getattr(build(), name) for name in QUOTE_DTYPES)) for at in range(symbols)]
    write_parquet(parts, tmp_path / "day.parquet")

    def make():
        fragments = read_parquet(tmp_path / "day.parquet").fragments
        assert [each.tape.digest() for each in fragments] == [each.digest() for each in parts]
        return fragments[0].tape

    peak, _ = peak_of(make)
    # of several symbols: all rows, the order by symbol, a column twice
    assert peak / symbols < (1.4 if symbols == 1 else 1.4 + 4 * COLUMN)


def test_json_is_decoded_into_the_columns_of_the_tape():
    tape = build()
    records = [Record(0, at, message.value) for at, message in enumerate(encode_json(tape))]
    peak, joined = peak_of(lambda: decode_json(records, refuse).tape("SYNTH", owned=True))
    assert peak < 1.5
    assert same(joined, tape)


def test_blocks_of_a_replay_are_copied_into_one_tape():
    tape = build()
    values = [message.value for message in encode_json(tape)]
    plan = replay_of(tape, values, pieces=8)
    blocks = blocks_of(plan, lambda start, end: values[start:end])
    peak, joined = peak_of(lambda: plan.merge(blocks)[0][0])
    assert peak < 1.3  # beside the blocks
    assert same(joined, tape)
