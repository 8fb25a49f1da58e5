"""A tape as a Databento CSV with the columns of mbp-1, or of mbp-10 up to the depth of the tape."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from feed.files.streams import COMPRESSIONS
from feed.levels import LEVEL_DTYPES, flat_columns
from feed.tape import AGGRESSOR_LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from feed.tables import Arrow
    from feed.tape import Int32, Int64, Tape

ROWS = 2**17
"""Rows that become text together."""


def write_csv(tape: Tape, path: Path) -> None:
    """Write a tape as a Databento CSV; `feed.files.csv_reader` reads the same tape back.

    Parameters
    ----------
    tape : Tape
        Each trade must have a row of its own venue, instant and sequence, as in Databento's mbp-1.
    path : Path
        Compressed where it ends in .gz or .zst.

    Raises
    ------
    ValueError
        A trade without such a row.
    """
    print_of = rows_of_trades(tape)
    # only the symbol can need quotes, and the compiled reader takes files without any
    style = "needed" if set(tape.symbol) & set('",\r\n') else "none"
    body = pa_csv.WriteOptions(include_header=False, quoting_style=style)  # pyarrow would quote the header
    with _opened(path) as stream:
        stream.write(f"{','.join(_table(tape, print_of, slice(0, 0)).column_names)}\n".encode())
        for start in range(0, tape.rows, ROWS):
            pa_csv.write_csv(_table(tape, print_of, slice(start, start + ROWS)), stream, body)


@contextmanager
def _opened(path: Path) -> Iterator[Arrow | gzip.GzipFile]:
    """A new file, for the bytes that its ending says are to be compressed."""
    codec = COMPRESSIONS.get(path.suffix.lower())
    with pa.OSFile(str(path), "wb") as file:
        if codec is None:
            yield file
        elif codec == "gzip":  # pyarrow packs as hard as it can, which takes seven times as long for a tenth less
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                yield packed
        else:
            with pa.CompressedOutputStream(file, codec) as packed:
                yield packed


def _table(tape: Tape, print_of: Int64, part: slice) -> Arrow:
    """Make the columns of some rows."""
    trade_of_row = print_of[part]
    rows = len(trade_of_row)
    has_trade = trade_of_row >= 0
    trades = tape.trades
    side, price, size = np.full(rows, "N"), np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    letters = np.array([AGGRESSOR_LETTERS[sign] for sign in (-1, 0, 1)])
    side[has_trade] = letters[trades.side[trade_of_row[has_trade]] + 1]
    price[has_trade] = trades.px[trade_of_row[has_trade]]
    size[has_trade] = trades.sz[trade_of_row[has_trade]]
    # pyarrow's strftime would need a data base of time zones
    stamps = pa.array(np.datetime_as_string(tape.ts[part].astype("datetime64[ns]"), unit="ns"))
    stamps = pc.binary_join_element_wise(stamps, "Z", "")
    zeros = np.zeros(rows, np.int8)
    behind = {} if tape.levels is None else flat_columns(tape.levels.take(part))
    return pa.table(
        {
            "ts_recv": stamps,
            "ts_event": stamps,
            "rtype": np.full(rows, 10 if behind else 1, np.int8),
            "publisher_id": tape.venue[part],
            "instrument_id": np.ones(rows, np.int8),
            "action": np.where(has_trade, "T", "M"),
            "side": side,
            "depth": zeros,
            "price": _dollars(price),
            "size": size,
            "flags": zeros,
            "ts_in_delta": zeros,
            "sequence": tape.sequence[part],
            **_level(0, *(getattr(tape, name)[part] for name in LEVEL_DTYPES)),
            **{
                name: column
                for level in range(1, tape.depth)
                for name, column in _level(level, *(behind[f"{each}_{level:02}"] for each in LEVEL_DTYPES)).items()
            },
            "symbol": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), [tape.symbol]).cast(
                pa.string()
            ),
        }
    )


def _level(level: int, bid_px: Int64, ask_px: Int64, bid_sz: Int32, ask_sz: Int32) -> dict[str, Arrow]:
    """The six columns of a level."""
    return {
        f"bid_px_{level:02}": _dollars(bid_px),
        f"ask_px_{level:02}": _dollars(ask_px),
        f"bid_sz_{level:02}": bid_sz,
        f"ask_sz_{level:02}": ask_sz,
        f"bid_ct_{level:02}": (bid_px > 0).astype(np.int8),
        f"ask_ct_{level:02}": (ask_px > 0).astype(np.int8),
    }


def rows_of_trades(tape: Tape) -> Int64:
    """Pair trades with the rows that carry them; equal keys pair in order.

    Returns
    -------
    (N,) int64
        The trade of each row, -1 = none.

    Raises
    ------
    ValueError
        A trade without a row of its venue, instant and sequence.
    """
    trades = tape.trades
    waiting: dict[tuple[int, int, int], list[int]] = {}
    for at, key in enumerate(zip(trades.ts.tolist(), trades.venue.tolist(), trades.sequence.tolist(), strict=True)):
        waiting.setdefault(key, []).append(at)
    trade_of_row = np.full(tape.rows, -1, np.int64)
    for row in np.flatnonzero(np.isin(tape.ts, trades.ts)).tolist():
        queue = waiting.get((int(tape.ts[row]), int(tape.venue[row]), int(tape.sequence[row])))
        if queue:
            trade_of_row[row] = queue.pop(0)
    unmatched = sum(map(len, waiting.values()))
    if unmatched:
        raise ValueError(f"{unmatched} trades have no row of their venue, instant and sequence to be written with")
    return trade_of_row


def _dollars(px: Int64) -> Arrow:
    """Decimal dollars with nine decimals; null where there is no price."""
    whole, rest = (pa.array(part).cast(pa.string()) for part in np.divmod(px, 10**9))
    text = pc.binary_join_element_wise(whole, pc.utf8_lpad(rest, 9, "0"), ".")
    return pc.if_else(pa.array(px > 0), text, None)
