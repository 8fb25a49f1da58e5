"""Delimited text of a known layout, read block by block into exact integers; what is refused names line and column.

The kernel (`feed.files.fields_kernel`) reads blocks of whole lines in parallel; whoever asks makes of each block what
it keeps, so that no more than that is held of a file.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from feed.console import quoted
from feed.errors import FeedCorrupt, FeedUnavailable, NoRows
from feed.tape import INT64

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from feed.tape import Int64

Taken = TypeVar("Taken")

BLOCK = 2**21
"""Bytes that a call of the kernel reads; one block more than there are threads is held."""

NUMBER, CLOCK, COLONS, WORD, NAME, STAMP = range(1, 7)
"""Kinds of fields, as in `feed.files.fields_kernel`."""

_OUTSIDE, _OTHER_WORD = 10, 11
_AGAIN = "the file may be cut short or of another layout; export it again"
_REASONS = {
    1: "expected a number",
    2: "expected a smaller number",
    3: "it has more decimals than are kept",
    6: "it is empty",
    7: "expected a short word",
    8: "its quote is not closed",
    9: "expected a time of day",
}
"""In words why the kernel refuses a field."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column that is read.

    Attributes
    ----------
    name : str
    kind : int
        `NUMBER`, `CLOCK`, `COLONS`, `WORD`, `NAME` or `STAMP`.
    scale : int
        The power of ten that a number is multiplied by; what is then no whole number is refused.
    optional : bool
        An empty field is 0.
    down : bool
        A number that is not whole is taken towards minus infinity, and counted.
    low, high : int
        The smallest and the largest number, once multiplied.
    words : tuple of str
        What a word may be; its place among them is what is kept. Without, its bytes are, the first one lowest.
    """

    name: str
    kind: int = NUMBER
    scale: int = 0
    optional: bool = False
    down: bool = False
    low: int = -INT64
    high: int = INT64
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a file.

    Attributes
    ----------
    fields : tuple of Field, optional
        In the order of the file; None for a column that is not read.
    delimiter : str
    header : bool
        The first line names the columns.
    trailer : bytes
        What a last line begins with that is no row; empty where there is none.
    """

    fields: tuple[Field | None, ...]
    delimiter: str = ","
    header: bool = False
    trailer: bytes = b""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one block.

    Attributes
    ----------
    columns : dict of str to (N,) int64
        Of each field; of names the place in `names`, of words that are listed their place, int8.
    names : dict of str to list of str
        Of each field of names those of this block.
    rounded : int
        Numbers that were not whole, and stamps that name their zone.
    """

    columns: dict[str, NDArray[Any]]
    names: dict[str, list[str]]
    rounded: int

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(slots=True)
class Reading:
    """How far a file was read.

    Attributes
    ----------
    rows : int
    trailer : bytes
        The last line, where it is none of the rows.
    """

    rows: int = 0
    trailer: bytes = b""


@dataclass(slots=True)
class _Blocks:
    """Blocks of whole lines of a stream, in reused buffers."""

    stream: io.BufferedReader
    where: str
    room: int
    free: list[bytearray] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[bytearray, int]]:
        """Yield a buffer and the end of its last whole line, block after block."""
        rest = b""
        while True:
            buffer = self.free.pop() if self.free else bytearray(BLOCK + self.room)
            buffer[: len(rest)] = rest
            filled = len(rest)
            while filled < BLOCK and (count := self.stream.readinto(memoryview(buffer)[filled:BLOCK])):
                filled += count
            if not filled:
                return
            end = buffer.rfind(b"\n", 0, filled) + 1
            if filled < BLOCK and end < filled:
                raise FeedCorrupt(
                    f"its last line does not end: {quoted(_shown(buffer[end:filled]))}",
                    self.where,
                    "the file may be cut short; copy it again, or end the line",
                )
            if not end:
                raise FeedCorrupt(f"a line of more than {BLOCK} bytes", self.where, _AGAIN)
            rest = bytes(memoryview(buffer)[end:filled])
            buffer[end : end + self.room] = b"\n" * self.room  # a number at the very end ends there
            yield buffer, end
            if filled < BLOCK:
                return


@dataclass(slots=True)
class _Part:
    """What the kernel made of a block."""

    batch: Batch
    at: int
    column: int
    why: int
    lines: int


def header_of(stream: io.BufferedReader, where: str, delimiter: str = ",") -> list[str]:
    """Read the first line: the names of the columns.

    Raises
    ------
    FeedCorrupt
        It is no text, or does not end.
    """
    line = stream.readline(2**16)
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FeedCorrupt("its header is no text", where, "export it again") from None
    if not text.endswith("\n"):
        raise NoRows("the file holds no row below its header", where, "export it again")
    return [name.strip().strip('"') for name in text.rstrip("\r\n").split(delimiter)]


def layout_of(
    names: Sequence[str],
    wanted: Sequence[Field],
    where: str,
    what: str,
    delimiter: str = ",",
    trailer: bytes = b"",
) -> Layout:
    """Make the layout of a file of its header.

    Parameters
    ----------
    names : sequence of str
        Of all columns.
    wanted : sequence of Field
        What is read, in any order.
    where, what : str
        The file, and whose layout it is, for a message.
    delimiter : str
    trailer : bytes

    Raises
    ------
    FeedUnavailable
        A column is missing, or there twice.
    """
    missing = [each.name for each in wanted if each.name not in names]
    if missing:
        raise FeedUnavailable(f"missing columns: {', '.join(missing)}", where, f"expected {what}")
    twice = [each.name for each in wanted if list(names).count(each.name) > 1]
    if twice:
        raise FeedUnavailable(f"columns there more than once: {', '.join(twice)}", where, "keep one of each")
    by_name = {each.name: each for each in wanted}
    return Layout(tuple(by_name.get(name) for name in names), delimiter, header=True, trailer=trailer)


def read_batches(
    stream: io.BufferedReader,
    where: str,
    layout: Layout,
    take: Callable[[Batch], Taken],
    reading: Reading | None = None,
    *,
    alone: bool = True,
) -> Iterator[Taken]:
    """Read rows, and yield what `take` makes of each block, in the order of the file.

    Parameters
    ----------
    stream : io.BufferedReader
        Decompressed bytes, from the first row on.
    where : str
    layout : Layout
    take : callable
        Called in any thread; what it keeps of a batch is copied by itself.
    reading : Reading, optional
        Written to.
    alone : bool
        Whether who asks does little with what comes; otherwise a processor is left to it.

    Raises
    ------
    FeedCorrupt
        A row of another length, or a field that is refused; names line, column and value.
    NoRows
        There is none.
    """
    from feed.files.fields_kernel import ROOM

    reading = Reading() if reading is None else reading
    blocks = _Blocks(stream, where, ROOM)
    lines = 1 if layout.header else 0
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = threads if alone else max(1, threads - 1)
    under_way: deque[tuple[bytearray, int, Future[_Part], Future[Taken]]] = deque()

    def finish() -> Taken:
        nonlocal lines
        buffer, end, parsed, taken = under_way.popleft()
        part = parsed.result()
        if part.at >= 0:
            line = bytes(memoryview(buffer)[part.at : buffer.find(b"\n", part.at) + 1])
            following = part.at + len(line) < end or bool(under_way)
            if not (layout.trailer and line.startswith(layout.trailer)):
                raise _refused(layout, line, lines + part.lines + 1, part, where)
            if following or stream.read(1):
                raise FeedCorrupt(f"line {lines + part.lines + 1}: rows follow its last record", where, _AGAIN)
            reading.trailer = line
        reading.rows += len(part.batch)
        lines += part.lines
        result = taken.result()
        blocks.free.append(buffer)
        return result

    with ThreadPoolExecutor(threads) as pool:
        for buffer, end in blocks:
            if reading.trailer:
                raise FeedCorrupt("rows follow its last record", where, _AGAIN)
            parsed: Future[_Part] = Future()
            under_way.append((buffer, end, parsed, pool.submit(_worked, layout, buffer, end, take, parsed)))
            if len(under_way) > threads:
                yield finish()
        while under_way:
            yield finish()
    if not reading.rows:
        raise NoRows("the file holds no rows", where, "export it again")


def _worked(
    layout: Layout, buffer: bytearray, end: int, take: Callable[[Batch], Taken], parsed: Future[_Part]
) -> Taken:
    """Parse a block and take it; the first is given out before the second."""
    try:
        part = _parse(layout, buffer, end)
    except BaseException as error:
        parsed.set_exception(error)
        raise
    parsed.set_result(part)
    return take(part.batch)


def _parse(layout: Layout, buffer: bytearray, end: int) -> _Part:
    from feed.files.fields_kernel import read_fields

    text = np.frombuffer(buffer, np.uint8)
    rows = int(np.count_nonzero(text[:end] == ord("\n")))
    used = [each for each in layout.fields if each is not None]
    labels = [each for each in used if each.kind == NAME]
    kinds = np.array([0 if each is None else each.kind for each in layout.fields], np.int8)
    scales = np.array([0 if each is None else each.scale for each in layout.fields], np.int8)
    loose = np.array([0 if each is None else each.optional + 2 * each.down for each in layout.fields], np.int8)
    limits = np.array([(0, 0) if each is None else (each.low, each.high) for each in layout.fields], np.int64).T.copy()
    out = np.empty((len(used), rows), np.int64)
    table = np.full((len(labels), 1 << (2 * max(rows, 1)).bit_length()), -1, np.int32)
    names = np.empty((len(labels), 2, rows), np.int64)
    counts, below = np.zeros(len(labels), np.int64), np.zeros(len(kinds), np.int64)
    done, at, column, why = read_fields(
        text, 0, end, ord(layout.delimiter), kinds, scales, loose, limits, out, table, names, counts, below
    )
    columns: dict[str, NDArray[Any]] = {each.name: values[: int(done)] for each, values in zip(used, out, strict=True)}
    texts = {
        each.name: [_text(buffer, *map(int, names[place, :, code])) for code in range(int(counts[place]))]
        for place, each in enumerate(labels)
    }
    for number, each in enumerate(layout.fields):
        if each is not None and each.words:
            coded, bad = _coded(columns[each.name], each.words)
            columns[each.name] = coded
            if bad is not None and (at < 0 or bad < done):
                ends = np.flatnonzero(text[:end] == ord("\n"))
                done, at, column, why = bad, 0 if bad == 0 else ends[bad - 1] + 1, number, _OTHER_WORD
    columns = {name: values[: int(done)] for name, values in columns.items()}
    before = rows if at < 0 else int(np.count_nonzero(text[: int(at)] == ord("\n")))
    return _Part(Batch(columns, texts, int(below.sum())), int(at), int(column), int(why), before)


def packed(word: str) -> int:
    """A word as the kernel reads it: its bytes, the first one lowest."""
    return int.from_bytes(word.encode(), "little")


def _coded(values: Int64, words: tuple[str, ...]) -> tuple[NDArray[np.int8], int | None]:
    """The place of each value among the words, and the first row that is none of them."""
    codes = np.full(len(values), -1, np.int8)
    for code, word in enumerate(words):
        codes[values == packed(word)] = code
    return codes, int(np.argmin(codes)) if len(codes) and int(codes.min()) < 0 else None


def _text(buffer: bytearray, first: int, length: int) -> str:
    return bytes(memoryview(buffer)[first : first + length]).decode(errors="backslashreplace")


def _shown(line: bytes | bytearray) -> str:
    return bytes(line).decode(errors="backslashreplace").rstrip("\r\n")


def _unscaled(number: int, of: Field) -> str:
    return f"{Decimal(number).scaleb(-of.scale).normalize():f}"


def _refused(layout: Layout, line: bytes, number: int, part: _Part, where: str) -> FeedCorrupt:
    """Say which field of a line is refused, and why."""
    shown = _shown(line)
    values = shown.split(layout.delimiter)
    if len(values) != len(layout.fields):
        return FeedCorrupt(
            f"line {number}: {len(values)} fields, expected {len(layout.fields)}: {quoted(shown)}", where, _AGAIN
        )
    refused = layout.fields[part.column]
    name = part.column + 1 if refused is None else refused.name
    value = values[part.column]
    reason = _REASONS[1 if part.why not in _REASONS or (part.why == 6 and value.strip('"')) else part.why]
    if refused is not None and part.why == _OUTSIDE:
        reason = f"expected {_unscaled(refused.low, refused)} to {_unscaled(refused.high, refused)}"
    if refused is not None and part.why == _OTHER_WORD:
        reason = f"expected {' or '.join(refused.words)}"
    return FeedCorrupt(f"line {number}, column {name}: {quoted(value)} ({reason})", where, "export it again")
