"""Rows of messages, taken and joined as plain lists would be; messages gathered in bounded batches; what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.codecs import messages
from feed.codecs.messages import Decoded, Record, batches, gather, malformed, refuse, too_large
from feed.errors import FeedCorrupt
from feed.tape import QUOTE_DTYPES, TRADE_DTYPES, Tape, same

small = st.integers(1, 100)
quote_rows = st.lists(st.tuples(*[small] * len(QUOTE_DTYPES)), max_size=3)
trade_rows = st.lists(st.tuples(*[small] * len(TRADE_DTYPES)), max_size=2)
several = st.lists(st.tuples(quote_rows, trade_rows), max_size=8)
"""The plain model: a list of messages, each a list of quotes and a list of trades."""


def decoded(model):
    quotes, trades = ([row for message in model for row in message[part]] for part in (0, 1))
    return Decoded(
        {name: np.array([row[i] for row in quotes], dtype) for i, (name, dtype) in enumerate(QUOTE_DTYPES.items())},
        {name: np.array([row[i] for row in trades], dtype) for i, (name, dtype) in enumerate(TRADE_DTYPES.items())},
        np.array([len(message[0]) for message in model], np.int64),
        np.array([len(message[1]) for message in model], np.int64),
        np.ones(len(model), np.int8),
    )


def model_of(rows):
    """The messages that columns and counts stand for."""
    parts = []
    for columns, dtypes, counts in (
        (rows.quotes, QUOTE_DTYPES, rows.quote_counts),
        (rows.trades, TRADE_DTYPES, rows.trade_counts),
    ):
        assert {name: column.dtype for name, column in columns.items()} == {
            name: np.dtype(dtype) for name, dtype in dtypes.items()
        }
        listed = iter(list(zip(*(column.tolist() for column in columns.values()), strict=True)))
        parts.append([[next(listed) for _ in range(count)] for count in counts.tolist()])
        assert list(listed) == []
    return list(zip(*parts, strict=True))


@given(several)
def test_the_model_is_what_the_columns_hold(model):
    assert model_of(decoded(model)) == model


@given(st.lists(several, max_size=4), st.data())
def test_messages_of_all_parts_are_gathered_in_the_order_asked_for(models, data):
    listed = [message for model in models for message in model]
    chosen = data.draw(st.permutations(range(len(listed))))[: data.draw(st.integers(0, len(listed)))]
    for order in (chosen, sorted(chosen), range(len(listed))):
        gathered = gather(list(map(decoded, models)), np.array(order, np.int64))
        assert model_of(gathered) == [listed[i] for i in order]


@given(st.lists(several, min_size=1, max_size=3))
def test_parts_are_left_as_they_are_and_share_nothing_with_what_is_gathered(models):
    parts = list(map(decoded, models))
    for column in (each for part in parts for each in (*part.quotes.values(), *part.trades.values())):
        column.flags.writeable = False  # as Ray's object store gives them out
    gathered = gather(parts, np.arange(sum(map(len, models))))
    for column in (*gathered.quotes.values(), *gathered.trades.values()):
        column[:] = 0
    assert [model_of(part) for part in parts] == models


def test_rows_become_a_tape_in_order_of_arrival():
    quote, later, trade = (5, 1, 10, 11, 1, 1, 7), (5, 1, 12, 13, 1, 1, 7), (5, 1, 11, 3, 1, 8)
    tape = decoded([([quote], []), ([], [trade]), ([later], [])]).tape("XYZ")
    again = Tape.build(
        "XYZ",
        **{name: np.array([quote[i], later[i]]) for i, name in enumerate(QUOTE_DTYPES)},
        trades={name: np.array([trade[i]]) for i, name in enumerate(TRADE_DTYPES)},
    )
    assert same(tape, again)
    assert tape.bid_px.tolist() == [10, 12]


def test_a_malformed_message_shows_where_it_is_and_how_it_begins():
    record = Record(3, 42, b"\x1b[2J\n" + b"x" * 100)
    error = malformed(record, "it is nonsense")
    where, what = "partition 3, offset 42: malformed message: it is nonsense", r"it begins '\x1b[2J\n"
    assert str(error) == f"{where}; {what}{'x' * 55}'...; replay the source again into a new topic"
    assert "..." not in str(malformed(Record(0, 0, b"x" * 60), "short"))
    with pytest.raises(FeedCorrupt) as caught:
        refuse(record, "it is nonsense")
    assert str(caught.value) == str(error)


def test_what_a_reason_takes_from_the_message_is_cut_and_escaped():
    text = str(malformed(Record(0, 0, b"x"), "unknown field `\ufeff\x1b[2J" + "x" * 10**6))
    assert r"unknown field `\ufeff\x1b[2Jxxx" in text
    assert text.isprintable()
    assert len(text) < 1200


def test_what_is_too_large_says_which_key_bounds_it():
    error = too_large(Record(1, 7, b""), 2**20)
    assert (
        str(error)
        == "partition 1, offset 7: rows of more than 1,048,576 bytes are beyond the bound; set feed.max_bytes"
    )
    assert error.exit_code == 3


class TestBatches:
    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch):
        monkeypatch.setattr(messages, "BATCH", 4)

    def test_a_batch_is_bounded_in_messages_and_in_bytes(self, monkeypatch):
        monkeypatch.setattr(messages, "BATCH_BYTES", 10)
        values = [b"x", b"", b"y", b"z", b"w", b"a" * 12, b"b" * 9, b"c", b"d"]
        assert [
            [record.value[:1] for record in batch] for batch in batches(Record(0, 0, value) for value in values)
        ] == [
            [b"x", b"", b"y", b"z"],
            [b"w", b"a"],
            [b"b", b"c"],
            [b"d"],
        ]

    def test_records_are_taken_as_they_come(self):
        given_out = []

        def source():
            for offset in range(10):
                given_out.append(offset)
                yield Record(0, offset, b"x")

        assert len(next(batches(source()))) == 4
        assert given_out == [0, 1, 2, 3]

    def test_what_came_before_a_failing_source_is_still_given(self):
        def source():
            yield Record(0, 0, b"x")
            raise FeedCorrupt("no more")

        gathered = batches(source())
        assert [record.offset for record in next(gathered)] == [0]
        with pytest.raises(FeedCorrupt, match="no more"):
            next(gathered)


@given(several, st.data())
def test_messages_are_cut_one_part_after_the_other(model, data):
    ends = sorted(data.draw(st.lists(st.integers(0, len(model)), max_size=4)))
    starts = [0, *ends[:-1]] if ends else []
    parts = decoded(model).cut([end - start for start, end in zip(starts, ends, strict=True)])
    assert [model_of(part) for part in parts] == [
        model_of(decoded(model[start:end])) for start, end in zip(starts, ends, strict=True)
    ]
