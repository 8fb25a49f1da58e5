"""Large Databento CSV files in their usual form, read by a compiled kernel, blocks of lines in parallel.

A file is in the usual form if nothing is quoted, all rows are book rows of one symbol, and each column's values have
the form that Databento writes, which `feed.files.csv_kernel` reads. Nothing is taken from any other file: the text path
of `feed.files.csv_reader` reads it from the start, and it alone says what is wrong and where.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.levels import LEVEL_DTYPES, level_names

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from feed.tape import Int64

BLOCK = 2**21
"""Bytes that a call of the kernel reads; one block more than there are threads is held."""

ROLES = (
    *("ts_event", "publisher_id", "bid_px_00", "ask_px_00", "bid_sz_00", "ask_sz_00", "sequence"),
    *("rtype", "action", "side", "price", "size", "symbol", "instrument_id"),
)
"""Names of the columns that the kernel knows, in the order of its roles from 1 on."""

LEVELS = 15
"""The first role of the levels behind the first: four each, in the order of `feed.levels.LEVEL_DTYPES`."""

_STAMP = 30


@dataclass(frozen=True, slots=True)
class PlainRows:
    """What a file in the usual form held.

    Attributes
    ----------
    symbol : str
        Empty where there is no column of symbols.
    iso, points : bool
        Stamps are ISO text, else integers; prices are decimal dollars, else integers of 1e-9 $.
    columns : dict of (N,) integers
        Columns of the quotes, as in `feed.tape.Tape`.
    levels : dict of (N, D - 1) integers, optional
        Columns of `feed.levels.Levels`; None where only first levels are read.
    trades : dict of (M,) int64, optional
        Columns of `feed.tape.Trades` for the usable trades, where the file has all four columns of a trade.
    unusable : int
        The other trades.
    instrument : (N,) int64, optional
        Where there is such a column.
    """

    symbol: str
    iso: bool
    points: bool
    columns: dict[str, NDArray[Any]]
    levels: dict[str, NDArray[Any]] | None
    trades: dict[str, Int64] | None
    unusable: int
    instrument: Int64 | None


@dataclass(frozen=True, slots=True)
class _Form:
    """What the first lines tell about the whole file."""

    roles: NDArray[np.int8]
    symbol: bytes
    iso: bool
    points: bool
    depth: int


@dataclass(slots=True)
class _Part:
    """Rows of one block, with the room for them."""

    ts: Int64
    venue: NDArray[np.int16]
    px: Int64
    sz: NDArray[np.int32]
    sequence: Int64
    instrument: Int64
    level_px: Int64
    level_sz: NDArray[np.int32]
    trades: Int64
    unusable: int = 0


class _Unusual(Exception):  # noqa: N818 - it is no error, and is seen nowhere else
    """The text path has to read this file."""


@dataclass(slots=True)
class _Blocks:
    """Blocks of whole lines of a stream, in reused buffers."""

    stream: io.BufferedReader
    padding: int
    free: list[bytearray] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[bytearray, int]]:
        """Yield a buffer and the end of its last whole line, block after block."""
        rest = b""
        while True:
            buffer = self.free.pop() if self.free else bytearray(BLOCK + self.padding)
            buffer[: len(rest)] = rest
            filled = len(rest)
            while filled < BLOCK and (count := self.stream.readinto(memoryview(buffer)[filled:BLOCK])):
                filled += count
            if not filled:
                return
            last = filled < BLOCK
            if last and buffer[filled - 1] != ord("\n"):
                buffer[filled] = ord("\n")
                filled += 1
            end = buffer.rfind(b"\n", 0, filled) + 1
            if not end:
                raise _Unusual  # a line longer than a block
            rest = bytes(memoryview(buffer)[end:filled])
            yield buffer, end
            if last:
                return


def read_plain(stream: io.BufferedReader, depth: int = 1) -> PlainRows | None:
    """Read a file in the usual form; None where its form is another, or it is damaged.

    Parameters
    ----------
    stream : io.BufferedReader
        Decompressed bytes, from the header on.
    depth : int
        Levels of a side that are read at most.
    """
    if sys.byteorder != "little":  # the kernel takes eight bytes as one little-endian number
        return None
    try:
        from feed.files.csv_kernel import PADDING

        return _read(_Blocks(stream, PADDING), depth)
    except (_Unusual, OSError, EOFError):
        return None


def _read(blocks: _Blocks, depth: int) -> PlainRows:
    form: _Form | None = None
    parts: list[_Part] = []
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    under_way: deque[tuple[bytearray, Future[_Part]]] = deque()

    def finish() -> None:
        buffer, part = under_way.popleft()
        parts.append(part.result())
        blocks.free.append(buffer)

    with ThreadPoolExecutor(threads) as pool:
        for buffer, end in blocks:
            start = 0
            if form is None:
                start = buffer.find(b"\n", 0, end) + 1
                form = _form_of(bytes(memoryview(buffer)[:end]), depth)
            under_way.append((buffer, pool.submit(_part, form, buffer, start, end)))
            if len(under_way) > threads:
                finish()
        while under_way:
            finish()
    if form is None or not sum(len(part.ts) for part in parts):
        raise _Unusual
    return _joined(form, parts)


def _form_of(text: bytes, depth: int) -> _Form:
    """Find the form by the header, the first row and the first price."""
    header, *lines = text[:-1].split(b"\n")
    if b'"' in header or not header.isascii() or not header.decode().isprintable() or len(header) >= 2**20:
        raise _Unusual
    names = header.split(b",")
    if b"ts_recv" in names and b"action" not in names:  # it may be a sample, whose stamp this reader does not look at
        raise _Unusual
    roles = np.zeros(len(names), np.int8)
    for role, name in enumerate(ROLES, 1):
        positions = [place for place, each in enumerate(names) if each == name.encode()]
        if len(positions) > 1:
            raise _Unusual
        roles[positions] = role
    if not lines or not set(range(1, 8)) <= set(roles.tolist()):
        raise _Unusual
    width = 0
    for level in zip(*level_names(depth).values(), strict=True):
        if any(names.count(name.encode()) > 1 for name in level):
            raise _Unusual
        if not all(name.encode() in names for name in level):
            break
        for part, name in enumerate(level):
            roles[names.index(name.encode())] = LEVELS + 4 * width + part
        width += 1
    place = {name: int(np.argmax(roles == role)) for role, name in enumerate(ROLES, 1) if role in roles}
    first = lines[0].split(b",")
    if len(first) != len(names):
        raise _Unusual
    symbol = first[place["symbol"]] if "symbol" in place else b""
    if not symbol.isascii() or not symbol.decode().isprintable() or b'"' in symbol:
        raise _Unusual
    if "symbol" in place and not symbol:
        raise _Unusual
    prices = [place[name] for name in ("bid_px_00", "ask_px_00", "price") if name in place]
    for line in lines:
        fields = line.split(b",", max(prices) + 1)
        present = [fields[at] for at in prices if at < len(fields) and fields[at]]
        if present:
            return _Form(roles, symbol, len(first[place["ts_event"]]) == _STAMP, b"." in present[0], 1 + width)
    raise _Unusual


def _part(form: _Form, buffer: bytearray, start: int, end: int) -> _Part:
    """Read the lines of a block."""
    from feed.files.csv_kernel import read_rows

    capacity = (end - start) // len(form.roles) + 1  # a row has a comma or a newline per column
    part = _Part(
        ts=np.empty(capacity, np.int64),
        venue=np.empty(capacity, np.int16),
        px=np.empty((2, capacity), np.int64),
        sz=np.empty((2, capacity), np.int32),
        sequence=np.empty(capacity, np.int64),
        instrument=np.empty(capacity, np.int64),
        level_px=np.empty((2, capacity, form.depth - 1), np.int64),
        level_sz=np.empty((2, capacity, form.depth - 1), np.int32),
        trades=np.empty((6, capacity), np.int64),
    )
    rows, prints, part.unusable = read_rows(
        np.frombuffer(buffer, np.uint8),
        start,
        end,
        form.roles,
        np.frombuffer(form.symbol, np.uint8),
        form.iso,
        form.points,
        part.ts,
        part.venue,
        part.px,
        part.sz,
        part.sequence,
        part.instrument,
        part.level_px,
        part.level_sz,
        part.trades,
    )
    if rows < 0:
        raise _Unusual
    for name in ("ts", "venue", "px", "sz", "sequence", "instrument"):
        setattr(part, name, getattr(part, name)[..., :rows].copy())  # frees the unused room
    part.level_px, part.level_sz = part.level_px[:, :rows].copy(), part.level_sz[:, :rows].copy()
    part.trades = part.trades[:, :prints].copy()
    return part


def _joined(form: _Form, parts: list[_Part]) -> PlainRows:
    def whole(name: str, axis: int = -1) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts], axis=axis)

    has_trades = _has(form, "action", "side", "price", "size")
    (bid_px, ask_px), (bid_sz, ask_sz), trades = whole("px"), whole("sz"), whole("trades")
    return PlainRows(
        symbol=form.symbol.decode(),
        iso=form.iso,
        points=form.points,
        columns={
            "ts": whole("ts"),
            "venue": whole("venue"),
            "bid_px": bid_px,
            "ask_px": ask_px,
            "bid_sz": bid_sz,
            "ask_sz": ask_sz,
            "sequence": whole("sequence"),
        },
        levels=dict(zip(LEVEL_DTYPES, (*whole("level_px", 1), *whole("level_sz", 1)), strict=True))
        if form.depth > 1
        else None,
        trades=dict(zip(("ts", "venue", "px", "sz", "side", "sequence"), trades, strict=True)) if has_trades else None,
        unusable=sum(part.unusable for part in parts) if has_trades else 0,
        instrument=whole("instrument") if _has(form, "instrument_id") else None,
    )


def _has(form: _Form, *names: str) -> bool:
    return all(ROLES.index(name) + 1 in form.roles for name in names)
