"""The conformance suites of codecs and of readers of files, to inherit from in tests of your own; they need pytest.

Each subclass is collected as a class of tests:

    from feed.testing import CodecSuite

    class TestPacked(CodecSuite):
        codec = PACKED
"""

from __future__ import annotations

import gzip
import pickle
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pytest

from feed.codecs import Codec, Message, Record, quote_bytes, refuse
from feed.errors import FeedCorrupt, FeedError
from feed.files import READERS, read_file
from feed.instants import LAST_INSTANT
from feed.levels import LEVEL_DTYPES
from feed.tables import QuoteMapping
from feed.tape import PRICE_LIMIT, QUOTE_DTYPES, Tape, same

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

OPEN: Final = 1_722_520_800 * 10**9
CENT: Final = 10**7
SEEDS: Final = range(12)

FIXED: Final = 2**14
"""Bytes of a message beside its rows, at most."""

_NO_ROWS: Final[dict[str, Any]] = dict.fromkeys(
    ("ts", "venue", "bid_px", "ask_px", "bid_sz", "ask_sz", "sequence"), np.empty(0, np.int64)
)
NOTHING: Final = Tape.build("XYZ", **_NO_ROWS)
"""A tape without a row."""


def tape_of(seed: int, levels: int = 1, symbol: str = "XYZ", *, trades: bool = True, signed: bool = True) -> Tape:
    """A small tape of a seed: several rows of an instant, sides without a quote, numbers as large as a tape holds.

    Parameters
    ----------
    seed : int
    levels : int
        Of a side.
    symbol : str
    trades : bool
        Some, or none.
    signed : bool
        Sequences of any int64 among them, as messages hold; otherwise those that files do.
    """
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 30))
    ts = OPEN + np.sort(rng.integers(0, 8, rows)) * int(rng.choice([1, 1_000_000, 61 * 10**9]))
    bid = (10_000 - rng.integers(0, 5, rows)) * CENT + rng.integers(0, 2, rows) * (seed % 3)
    ask = bid + rng.integers(-2, 9, rows) * CENT
    shown = rng.random((2, rows)) < 0.85
    columns: dict[str, Any] = {
        "ts": ts,
        "venue": rng.choice([1, 2, 43, 2**15 - 1], rows),
        "bid_px": np.where(shown[0], bid, 0),
        "ask_px": np.where(shown[1], ask, 0),
        "bid_sz": rng.choice([1, 99, 100, 2**31 - 1], rows),
        "ask_sz": rng.choice([1, 40, 300, 2**31 - 1], rows),
        "sequence": rng.choice([-(2**63), 0, 7, 2**63 - 1] if signed else [0, 5, 7, 2**62], rows),
    }
    if seed % 4 == 0:
        columns["ts"][-1], columns["ask_px"][-1] = LAST_INSTANT, PRICE_LIMIT - 1
    behind = None
    if levels > 1:
        steps = CENT * np.arange(1, levels)
        behind = {
            "bid_px": columns["bid_px"][:, None] - steps,
            "ask_px": np.minimum(columns["ask_px"][:, None], PRICE_LIMIT - 2 * CENT * levels) + steps,
            "bid_sz": rng.integers(0, 3, (rows, levels - 1)),
            "ask_sz": rng.integers(1, 900, (rows, levels - 1)),
        }
        columns["ask_px"] = np.minimum(columns["ask_px"], PRICE_LIMIT - 2 * CENT * levels)
    prints = None
    if trades:
        count = int(rng.integers(0, 6))
        prints = {
            "ts": OPEN + rng.integers(0, 9, count),
            "venue": rng.choice([1, 2], count),
            "px": 10_000 * CENT + rng.integers(0, 9, count),
            "sz": rng.integers(1, 900, count),
            "side": rng.integers(-1, 2, count),
            "sequence": np.arange(count),
        }
    return Tape.build(symbol, **columns, trades=prints, levels=behind)


def _tapes() -> Iterator[Tape]:
    yield NOTHING
    for seed in SEEDS:
        yield tape_of(seed)
        yield tape_of(seed, levels=2 + seed % 9)


def _at_one_instant(tape: Tape, times: int) -> Tape:
    """All rows of a tape so many times, at one instant, which is one message."""
    columns: dict[str, Any] = {name: np.tile(getattr(tape, name), times) for name in QUOTE_DTYPES if name != "ts"}
    behind = None
    if tape.levels is not None:
        behind = {name: np.tile(getattr(tape.levels, name), (times, 1)) for name in LEVEL_DTYPES}
    return Tape.build(tape.symbol, ts=np.full(times * tape.rows, OPEN), **columns, levels=behind)


def _records(messages: Iterable[Message]) -> list[Record]:
    return [Record(0, offset, bytes(message.value)) for offset, message in enumerate(messages)]


class CodecSuite:
    """What every codec does; a subclass says which it is about.

    Attributes
    ----------
    codec : Codec
    """

    codec: ClassVar[Any] = None

    @pytest.fixture(autouse=True)
    def _is_one(self) -> None:
        assert isinstance(self.codec, Codec), "set codec, which it is about, a feed.codecs.Codec"

    def test_every_tape_comes_back(self) -> None:
        for tape in _tapes():
            again = self.codec.decode(_records(self.codec.encode(tape)), refuse, 2**30).tape(tape.symbol)
            assert again.digest() == tape.digest(), f"{tape} came back as {again}"
            assert same(again, tape), f"{tape} came back as {again}"

    def test_the_same_tape_makes_the_same_bytes(self) -> None:
        for seed in SEEDS:
            first, second = (list(self.codec.encode(tape_of(seed))) for _ in range(2))
            assert first == second

    def test_messages_ascend_and_count_their_rows(self) -> None:
        for tape in _tapes():
            messages = list(self.codec.encode(tape))
            assert all(one.ts < other.ts for one, other in pairwise(messages)), "two messages are of one instant"
            decoded = self.codec.decode(_records(messages), refuse, 2**30)
            counts = (decoded.quote_counts + decoded.trade_counts).tolist()
            assert counts == [message.rows for message in messages]
            assert sum(counts) == tape.rows + len(tape.trades.ts)
            ends = np.concatenate([tape.ts, tape.trades.ts])
            for before, message in pairwise([Message(-1, b"", 0), *messages]):
                within = np.unique(ends[(ends > before.ts) & (ends <= message.ts)])
                assert 0 < len(within) <= self.codec.instants, f"{len(within)} instants in a message"

    def test_a_stream_of_tapes_is_the_messages_of_each_by_time(self) -> None:
        tapes = [tape_of(seed, symbol=symbol) for seed, symbol in enumerate(("AAA", "BBB", "CCC"))]
        sent: list[tuple[int, int, bytes, int]] = []
        for messages in self.codec.stream(tapes):
            columns = messages.ts.tolist(), messages.tapes.tolist(), messages.values.to_pylist(), messages.rows.tolist()
            sent += zip(*columns, strict=True)
        expected = [
            (message.ts, number, bytes(message.value), message.rows)
            for number, tape in enumerate(tapes)
            for message in self.codec.encode(tape)
        ]
        assert sent == sorted(expected, key=lambda each: each[:2])

    def test_no_message_is_larger_than_it_says(self) -> None:
        for levels in (1, 4):
            tape = _at_one_instant(tape_of(2, levels, trades=False), 400)
            most = self.codec.row_bytes + self.codec.level_bytes * (tape.depth - 1)
            for message in self.codec.encode(tape):
                largest = FIXED + most * message.rows
                assert len(message.value) <= largest, f"{len(message.value)} bytes of {message.rows} rows"

    def test_what_is_malformed_is_refused_by_name_and_the_rest_is_read(self) -> None:
        tape = tape_of(1)
        good = _records(self.codec.encode(tape))
        rng = np.random.default_rng(0)
        values = [b"", b"hello", b"\xff" * 64, bytes(64), good[0].value[:-1], good[0].value[1:], good[0].value * 2]
        for _ in range(200):
            changed = bytearray(good[0].value)
            changed[rng.integers(len(changed))] ^= int(rng.integers(1, 256))
            values.append(bytes(changed))
        refused = 0
        for value in values:
            refused_offsets: list[int] = []
            records = [Record(0, 0, value), *(record._replace(offset=record.offset + 1) for record in good)]
            decoded = self.codec.decode(
                records, lambda record, _, refused_offsets=refused_offsets: refused_offsets.append(record.offset), 2**30
            )
            assert set(refused_offsets) <= {0}, f"{value!r:.80} had others refused"
            assert len(decoded.quote_counts) == len(records), "each message has a count, a refused one 0"
            refused += len(refused_offsets)
            if refused_offsets:
                assert decoded.quote_counts[0] == decoded.trade_counts[0] == 0
                assert same(decoded.tape("XYZ"), tape)
        assert refused >= 7, "it takes what is no message of its own"
        with pytest.raises(FeedCorrupt):
            self.codec.decode([Record(0, 0, b"hello")], refuse, 2**30)

    def test_rows_beyond_the_bound_are_refused(self) -> None:
        rows = 200
        columns: dict[str, Any] = {
            name: np.full(rows, number)
            for name, number in (("venue", 1), ("bid_px", CENT), ("ask_px", 2 * CENT), ("bid_sz", 1), ("ask_sz", 1))
        }
        tape = Tape.build("XYZ", ts=OPEN + np.arange(rows), sequence=np.arange(rows), **columns)
        records = _records(self.codec.encode(tape))
        assert self.codec.decode(records, refuse, 4 * rows * quote_bytes(1)).tape("XYZ").rows == rows
        with pytest.raises(FeedCorrupt):
            self.codec.decode(records, refuse, rows * quote_bytes(1) // 4)


class ReaderSuite:
    """What every reader of files does; a subclass says which it is about, and writes files for it.

    Attributes
    ----------
    ending : str
        Of the files, such as ``.psv``: a plug-in reads those that end in its name.
    layout : str, optional
        The name that `quotes.format` takes, where the ending alone does not say how a file is read.
    depth : int
        The most levels of a side that its files hold.
    trades : bool
        Whether they hold trades.
    symbols : bool
        Whether they name the symbol of each row.
    """

    ending: ClassVar[str] = ""
    layout: ClassVar[str | None] = None
    depth: ClassVar[int] = 1
    trades: ClassVar[bool] = True
    symbols: ClassVar[bool] = True

    def write(self, tapes: list[Tape], path: Path) -> None:
        """Write tapes of different symbols to a file, as the reader takes it."""
        raise NotImplementedError("write(tapes, path): the suite reads what it writes")

    def tapes(self) -> Iterator[Tape]:
        """Tapes that a file can hold; by default any small one of a date, of as many levels as `depth`."""
        for seed in SEEDS:
            if seed % 4:  # the others end at the last instant that there is
                yield tape_of(seed, 1 + seed % self.depth, trades=self.trades, signed=False)

    def read(self, path: Path, **asked: Any) -> Any:  # noqa: ANN401 - a FileBlock
        """Read a file as a run does."""
        quotes = None if self.layout is None else QuoteMapping(format=self.layout)
        return read_file(path, quotes=quotes, **asked)

    def test_every_tape_comes_back(self, tmp_path: Path) -> None:
        path = tmp_path / f"day{self.ending}"
        for tape in self.tapes():
            self.write([tape], path)
            again = self.read(path, symbol=None if self.symbols else tape.symbol).tape
            assert again.digest() == tape.digest(), f"{tape} came back as {again}"

    def test_a_file_is_read_the_same_twice_and_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / f"day{self.ending}"
        self.write([next(self.tapes())], path)
        before = path.read_bytes()
        one, other = (self.read(path).tape.digest() for _ in range(2))
        assert one == other
        assert path.read_bytes() == before

    def test_a_symbol_is_picked(self, tmp_path: Path) -> None:
        if not self.symbols:
            return
        path = tmp_path / f"day{self.ending}"
        several = [
            tape_of(seed, trades=self.trades, symbol=name, signed=False) for seed, name in ((1, "AAA"), (2, "BBB"))
        ]
        self.write(several, path)
        for tape in several:
            assert self.read(path, symbol=tape.symbol).tape.digest() == tape.digest()
        block = self.read(path)
        assert [each.tape.digest() for each in block.fragments] == [tape.digest() for tape in several]
        nobody = self.read(path, symbol="ZZZ")
        assert not nobody.fragments, "it returns rows of symbols that were not asked for"

    def test_as_many_levels_as_are_asked_for(self, tmp_path: Path) -> None:
        if self.depth == 1:
            return
        path, tape = tmp_path / f"day{self.ending}", tape_of(3, self.depth, trades=self.trades, signed=False)
        self.write([tape], path)
        assert self.read(path, depth=1).tape.digest() == tape.up_to(1).digest()

    def test_damage_is_one_line_and_no_bug(self, tmp_path: Path) -> None:
        path = tmp_path / f"day{self.ending}"
        self.write([tape_of(5, trades=self.trades, signed=False)], path)
        whole, rng = path.read_bytes(), np.random.default_rng(1)
        damaged = [whole[: len(whole) // 2], b"\xff\x00" * 50, b"a,b|c\n1|2\n", whole + b"\x00more", b"\n" * 20]
        for _ in range(60):
            changed = bytearray(whole)
            changed[rng.integers(len(changed))] ^= int(rng.integers(1, 256))
            damaged.append(bytes(changed))
        for content in damaged:
            path.write_bytes(content)
            try:
                self.read(path)
            except FeedError as error:
                assert "\n" not in str(error), "an error is one line"  # noqa: PT017 - not every damage is seen

    def test_a_small_file_does_not_unpack_to_any_size(self, tmp_path: Path) -> None:
        path = tmp_path / f"day{self.ending}"
        self.write([tape_of(5, trades=self.trades, signed=False)], path)
        with pytest.raises(FeedError):
            self.read(path, max_bytes=8)
        if self.ending in READERS and self.layout is None:
            return
        packed = path.with_name(f"{path.name}.gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        assert self.read(packed).tape.digest() == self.read(path).tape.digest()
        with pytest.raises(FeedError):
            self.read(packed, max_bytes=8)

    def test_what_was_read_is_sent_to_other_processes(self, tmp_path: Path) -> None:
        path = tmp_path / f"day{self.ending}"
        self.write([tape_of(5, trades=self.trades, signed=False)], path)
        block = self.read(path)
        assert pickle.loads(pickle.dumps(block)).tape.digest() == block.tape.digest()  # noqa: S301 - its own bytes
