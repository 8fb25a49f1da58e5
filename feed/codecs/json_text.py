"""The text of JSON messages, a column at a time: what a value is written as is looked up, and whole columns are joined.

Most values of a stretch of quotes repeat: prices, venues, sizes. Arrow finds the distinct ones in a few nanoseconds
each, these alone become text, together with what stands before and after them in a row, and the rest is copying.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from feed.tape import AGGRESSOR_LETTERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from feed.tape import Int64, Tape

_NANO = 10**9
_TEXT = pa.large_string()
_NOTHING = pa.scalar("", _TEXT)


def json_texts(tape: Tape, instants: Int64, quotes: Int64, trades: Int64) -> pa.LargeBinaryArray:
    """Write the messages of some instants.

    Parameters
    ----------
    tape : Tape
    instants : (K,) int64
        UTC nanoseconds, ascending.
    quotes, trades : (K + 1,) int64
        Where the rows of each instant begin in the tape; the last entry is the end.

    Returns
    -------
    (K,) pyarrow.LargeBinaryArray
        Prices in dollars, as exact decimal text.
    """
    stamps = pc.binary_replace_slice(pa.array(instants.view("datetime64[ns]")).cast(_TEXT), 10, 11, "T")
    heads = _joined('{"ts_event":"', stamps, 'Z","publisher_id":')
    snapshots = _by_message(heads, _quote_columns(tape, slice(quotes[0], quotes[-1])), quotes)
    parts = ['{"snapshot":[', snapshots, "]"]
    if trades[-1] > trades[0]:
        prints = _by_message(heads, _trade_columns(tape.trades, slice(trades[0], trades[-1])), trades)
        parts.append(pc.if_else(np.diff(trades) > 0, _joined(',"trades":[', prints, "]"), _NOTHING))
    return _joined(*parts, "}").cast(pa.large_binary())


def _quote_columns(tape: Tape, rows: slice) -> list[Any]:
    """The columns of quotes behind the head, each with what stands after it."""
    columns = [
        _words(tape.venue[rows], _whole, after=',"ask_px_00":'),
        _words(tape.ask_px[rows], _dollars, after=',"ask_sz_00":'),
        _words(tape.ask_sz[rows], _whole, after=',"bid_px_00":'),
        _words(tape.bid_px[rows], _dollars, after=',"bid_sz_00":'),
        _words(tape.bid_sz[rows], _whole, after=","),
    ]
    levels = None if tape.levels is None else tape.levels.take(rows)
    for level in range(tape.depth - 1):
        for side in ("ask", "bid"):
            px, sz = (getattr(levels, f"{side}_{kind}")[:, level] for kind in ("px", "sz"))
            name = f"{level + 1:02}"
            columns.append(_words(px, _dollars, f'"{side}_px_{name}":', f',"{side}_sz_{name}":'))
            columns.append(_words(sz, _whole, after=","))
    return [*columns, '"sequence":', _whole(tape.sequence[rows]), "}"]


def _trade_columns(trades: Any, rows: slice) -> list[Any]:  # noqa: ANN401 - feed.tape.Trades
    """The same of trades."""
    return [
        _words(trades.venue[rows], _whole, after=',"price":'),
        _words(trades.px[rows], _dollars, after=',"size":'),
        _words(trades.sz[rows], _whole, after=',"side":"'),
        _words(trades.side[rows], _letters, after='","sequence":'),
        _whole(trades.sequence[rows]),
        "}",
    ]


def _by_message(heads: pa.Array, columns: list[Any], bounds: Int64) -> pa.Array:
    """Rows of a head and columns, those of each message with commas between them."""
    rows = _joined(heads.take(pa.array(np.repeat(np.arange(len(heads)), np.diff(bounds)))), *columns)
    return pc.binary_join(pa.LargeListArray.from_arrays(pa.array(bounds - bounds[0]), rows), pa.scalar(",", _TEXT))


def _joined(*parts: pa.Array | str) -> pa.Array:
    """Columns of text and texts, joined."""
    return pc.binary_join_element_wise(
        *(pa.scalar(part, _TEXT) if isinstance(part, str) else part for part in parts), _NOTHING
    )


def _words(column: NDArray[Any], write: Callable[[NDArray[Any]], pa.Array], before: str = "", after: str = "") -> Any:  # noqa: ANN401
    """A column as text, between two texts; each distinct value is written once."""
    coded = pa.array(column).dictionary_encode()
    return _joined(before, write(coded.dictionary.to_numpy()), after).take(coded.indices)


def _whole(numbers: NDArray[Any]) -> pa.Array:
    return pa.array(numbers).cast(_TEXT)


def _letters(sides: NDArray[Any]) -> pa.Array:
    return pa.array([AGGRESSOR_LETTERS[side] for side in sides.tolist()], _TEXT)


def _dollars(prices: NDArray[Any]) -> pa.Array:
    """Prices in dollars, exactly: up to nine decimals, one at least."""
    whole, nano = np.divmod(prices, _NANO)
    decimals = pc.ascii_rtrim(pc.ascii_lpad(_whole(nano), 9, "0"), "0")
    return _joined(_whole(whole), ".", pc.if_else(nano > 0, decimals, pa.scalar("0", _TEXT)))
