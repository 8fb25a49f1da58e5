"""The arrow codec: a message holds about a thousand instants, as columns.

A value is two Arrow IPC streams, one after the other: the quotes, with the columns of `feed.tape.QUOTE_DTYPES` and, of
several levels, those of `feed.levels.FLAT_DTYPES` up to the depth, then the trades of the same instants, with those of
`feed.tape.TRADE_DTYPES`. Each is a schema, one record batch with zstd buffers, and the end-of-stream mark, so any Arrow
library reads a value by opening two streams on it. Columns are plain integers in the tape's units, never null; a batch
without rows is written too. One message holds all rows of an instant.

Two flat batches are smaller than one of nested lists of both (8.6 kB against 10.5 kB a message of a real day) and have
no offsets to check.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.codecs.arrow_guard import UNCOMPRESSED, ZSTD, layout_of
from feed.codecs.messages import (
    TRADE_BYTES,
    Decoded,
    Message,
    by_instant,
    quote_bytes,
    quote_columns,
    quote_dtypes,
    too_large,
)
from feed.console import printable
from feed.errors import FeedCorrupt
from feed.instants import format_instant
from feed.levels import FLAT_DTYPES, LEVEL_DTYPES, MOST_LEVELS, depth_of, in_order
from feed.options import MAX_BYTES
from feed.tape import BOUNDS, QUOTE_DTYPES, TRADE_DTYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from feed.codecs.messages import Record
    from feed.tape import Tape

SNAPSHOTS = 1000
"""Instants in a message; fewer where they have many rows."""

BATCH_ROWS = 2**16
"""Rows of one level after which a message is full: about 2.4 MiB before compression; fewer of several levels."""

MAX_ROWS = 2**18
"""Maximum rows of one level in a message, about 10 MiB before compression; fewer of several levels. Only a huge burst
at one instant comes near."""

_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_PADDING = 64
_SHOWN = 200

_QUOTE_BOUNDS = {
    name: BOUNDS[name.removeprefix("bid_").removeprefix("ask_")] for name in QUOTE_DTYPES if name != "sequence"
}
_LEVEL_BOUNDS = {name: BOUNDS[name[4:6]] for name in FLAT_DTYPES}  # bid_px_01
_TRADE_BOUNDS = BOUNDS | {name: (1, BOUNDS[name][1]) for name in ("px", "sz")}

_Columns = dict[str, "NDArray[Any]"]


def encode_arrow(tape: Tape) -> Iterator[Message]:
    """Write a tape as Arrow record batches.

    Parameters
    ----------
    tape : Tape

    Yields
    ------
    Message
        Ascending instants; rows in the tape's order.

    Raises
    ------
    FeedCorrupt
        An instant with more rows than a message may hold.
    """
    prints = tape.trades
    instants, *starts = by_instant(tape)
    rows = starts[0] + starts[1]
    first = 0
    while first < len(instants):
        full = int(np.searchsorted(rows, rows[first] + _at_depth(BATCH_ROWS, tape.depth), side="right")) - 1
        last = max(min(first + SNAPSHOTS, full), first + 1)
        count = int(rows[last] - rows[first])
        ts = int(instants[last - 1])
        if count > (most := _at_depth(MAX_ROWS, tape.depth)):
            raise FeedCorrupt(
                f"{format_instant(ts)} has {count} rows, more than the {most} that a message may hold",
                remedy="check the source for a burst of rows with one time stamp",
            )
        quotes, trades = (slice(int(start[first]), int(start[last])) for start in starts)
        value = _write(quote_columns(tape, quotes), {name: getattr(prints, name)[trades] for name in TRADE_DTYPES})
        yield Message(ts, value, count)
        first = last


def _at_depth(rows: int, depth: int) -> int:
    """As many rows of several levels as take the bytes of these of one."""
    return rows * quote_bytes(1) // quote_bytes(depth)


def _write(*parts: _Columns) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    for columns in parts:
        schema = _schema(tuple(columns))
        with pa.ipc.new_stream(sink, schema, options=options) as stream:
            stream.write_batch(pa.record_batch([pa.array(column) for column in columns.values()], schema=schema))
    value: bytes = sink.getvalue().to_pybytes()
    return value


@cache
def _schema(names: tuple[str, ...]) -> Any:  # noqa: ANN401 - untyped library
    """The schema of a stream of these columns."""
    import pyarrow as pa

    dtypes = TRADE_DTYPES | QUOTE_DTYPES | FLAT_DTYPES
    return pa.schema([pa.field(name, pa.from_numpy_dtype(dtypes[name]), nullable=False) for name in names])


def decode_arrow(
    records: Iterable[Record], refuse: Callable[[Record, str], None], max_bytes: int = MAX_BYTES
) -> Decoded:
    """Read Arrow record batches back into the rows they were written from.

    Parameters
    ----------
    records : iterable of Record
        In order of arrival.
    refuse : callable
        Called with each malformed message and the reason; if it returns, the message has no rows.
    max_bytes : int
        Of all rows together: many equal rows make a small message.

    Raises
    ------
    FeedCorrupt
        More bytes than that; whatever `refuse` raises.
    """
    import pyarrow as pa

    refusals = (pa.ArrowException, ValueError, OSError, EOFError)
    parts: tuple[list[_Columns], list[_Columns]] = ([], [])
    counts: tuple[list[int], list[int]] = ([], [])
    total = [0, 0]
    depths: list[int] = []
    for record in records:
        try:
            streams = _read(record.value)
        except refusals as error:
            refuse(record, _reason(error))
            streams = [{}, {}]
        depths.append(depth_of(streams[0]))
        for at, (part, count, columns) in enumerate(zip(parts, counts, streams, strict=True)):
            rows = len(columns.get("ts", ()))
            count.append(rows)
            total[at] += rows
            if rows:
                part.append(columns)
        # in the end all rows have the levels of the deepest
        if total[0] * quote_bytes(max(depths)) + total[1] * TRADE_BYTES > max_bytes:
            raise too_large(record, max_bytes)
    depth = max(depths, default=1)
    quotes, trades = (
        _joined(part, dtypes) for part, dtypes in zip(parts, (quote_dtypes(depth), TRADE_DTYPES), strict=True)
    )
    quote_counts, trade_counts = (np.array(count, np.int64) for count in counts)
    return Decoded(quotes, trades, quote_counts, trade_counts, np.array(depths, np.int8))


def _reason(error: Exception) -> str:
    """Say in one line why a message is malformed; part of the line may come from the message."""
    text = printable(" ".join(str(error).split()))[:_SHOWN]
    return text if type(error) is ValueError else f"no Arrow record batches: {text}"  # Arrow's are subclasses


def _read(value: bytes) -> list[_Columns]:
    """Read the quotes and trades of one message; an error, whose text is the reason, where it is malformed."""
    import pyarrow as pa

    buffer = pa.py_buffer(value)
    at = 0
    streams = []
    for name, bounds in (("quotes", _QUOTE_BOUNDS), ("trades", _TRADE_BOUNDS)):
        source = pa.BufferReader(buffer.slice(at))
        if pa.ipc.read_message(source).type != "schema":
            raise ValueError(f"{name}: expected a schema")
        message = pa.ipc.read_message(source)
        dtypes = _check_declared(message, name)
        end = at + source.tell()
        if value[end : end + len(_END)] != _END:
            raise ValueError(f"{name}: expected the end of the stream after one record batch")
        stream = pa.ipc.open_stream(buffer.slice(at), options=pa.ipc.IpcReadOptions(use_threads=False))
        schema = _schema(tuple(dtypes))
        if not stream.schema.equals(schema, check_metadata=True):
            raise ValueError(f"{name}: the schema is not the codec's: {schema.to_string(show_field_metadata=False)}")
        batch = stream.read_next_batch()
        batch.validate(full=True)
        columns = {field: column.to_numpy(zero_copy_only=True) for field, column in zip(dtypes, batch, strict=True)}
        _check_values(columns, name, bounds | {each: _LEVEL_BOUNDS[each] for each in dtypes if each in _LEVEL_BOUNDS})
        if len(dtypes) > len(QUOTE_DTYPES) and not in_order(columns):
            raise ValueError(f"{name}: levels are not strictly worse one after the other")
        streams.append(columns)
        at = end + len(_END)
    if at != len(value):
        raise ValueError(f"{len(value) - at} bytes follow the trades")
    if not any(len(columns["ts"]) for columns in streams):
        raise ValueError("it holds neither quotes nor trades")
    return streams


def _check_declared(message: Any, name: str) -> dict[str, str]:  # noqa: ANN401 - untyped library
    """Check what a record batch declares of itself, before it is decompressed; the columns that it has to have."""
    if message.type != "record batch":
        raise ValueError(f"{name}: expected a record batch")
    layout = layout_of(message.metadata.to_pybytes(), memoryview(message.body or b""))
    rows = layout.rows
    behind = (len(layout.nodes) - len(QUOTE_DTYPES)) // len(LEVEL_DTYPES)
    depth = min(max(1 + behind, 1), MOST_LEVELS) if name == "quotes" else 1
    dtypes = quote_dtypes(depth) if name == "quotes" else TRADE_DTYPES
    most = _at_depth(MAX_ROWS, depth)
    if not 0 <= rows <= most:
        raise ValueError(f"{name}: {rows} rows, expected at most {most}")
    if layout.codec not in {UNCOMPRESSED, ZSTD}:
        raise ValueError(f"{name}: expected zstd or no compression")
    if layout.nodes != ((rows, 0),) * len(dtypes) or len(layout.sizes) != 2 * len(dtypes):
        raise ValueError(f"{name}: expected {len(dtypes)} columns of {rows} rows without nulls")
    for dtype, nulls, values in zip(dtypes.values(), layout.sizes[::2], layout.sizes[1::2], strict=True):
        needed = rows * np.dtype(dtype).itemsize
        if not 0 <= nulls <= rows + _PADDING or not needed <= values <= needed + _PADDING:
            raise ValueError(f"{name}: a column of {rows} rows declares {max(nulls, values)} bytes")
    return dtypes


def _check_values(columns: _Columns, name: str, bounds: dict[str, tuple[int, int]]) -> None:
    for field, (low, high) in bounds.items():
        column = columns[field]
        if not len(column):
            return
        least, most = int(column.min()), int(column.max())
        if least < low or most > high:
            raise ValueError(f"{name}: {field} {least} to {most} is outside {low} to {high}")


def _joined(parts: list[_Columns], dtypes: dict[str, str]) -> _Columns:
    """Concatenate the columns of all messages, freeing them one by one."""
    empty = {name: np.zeros(0, dtype) for name, dtype in dtypes.items()}
    rows = [len(part["ts"]) for part in parts]
    return {
        name: np.concatenate(
            [
                empty[name],
                *(
                    part.pop(name, None) if name in part else np.zeros(n, dtypes[name])
                    for part, n in zip(parts, rows, strict=True)
                ),
            ]
        )
        for name in dtypes
    }
