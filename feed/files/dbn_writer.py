"""A tape in Databento's binary encoding, schema mbp-1 or mbp-10: metadata by the library, records in bulk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from feed.files.csv_writer import rows_of_trades
from feed.files.dbn_layouts import LAYOUTS, record_dtype
from feed.files.dbn_stream import library
from feed.files.streams import COMPRESSIONS
from feed.levels import LEVEL_DTYPES
from feed.tape import AGGRESSOR_LETTERS, DAY, UNDEFINED_PRICE

if TYPE_CHECKING:
    from pathlib import Path

    from feed.tape import Int64, Tape

INSTRUMENT = 1
"""The instrument id that the metadata maps to the tape's symbol."""

DATASET = "SOR-SWEEP"
ROWS = 2**17
"""Records that are encoded together."""


@dataclass(frozen=True, slots=True)
class _Interval:
    """An interval of a mapping, with the fields that the library reads."""

    start_date: date
    end_date: date
    symbol: str


@dataclass(frozen=True, slots=True)
class _Mapping:
    """A mapping, with the fields that the library reads."""

    raw_symbol: str
    intervals: tuple[_Interval, ...]


def write_dbn(tape: Tape, path: Path) -> None:
    """Write a tape as DBN, schema mbp-1 or mbp-10; `feed.files.dbn_reader` reads the same tape back.

    Parameters
    ----------
    tape : Tape
        Each trade must have a row of its own venue, instant and sequence, and sequences must fit 32 bits.
    path : Path
        Compressed where it ends in .zst.

    Raises
    ------
    ValueError
        A trade without such a row, a sequence or a symbol that does not fit.
    FeedUnavailable
        The library is not installed.
    """
    dbn = library(str(path))
    print_of = rows_of_trades(tape)
    if tape.rows and not 0 <= int(tape.sequence.min()) <= int(tape.sequence.max()) < 2**32:
        raise ValueError("a sequence is beyond 32 bits")
    first, last = (date(1970, 1, 1) + timedelta(days=ts // DAY) for ts in tape.span)
    interval = _Interval(first, last + timedelta(days=1), str(INSTRUMENT))
    try:
        metadata = dbn.Metadata(
            dataset=DATASET,
            start=tape.span[0],
            end=tape.span[1] + 1,
            stype_in=dbn.SType.RAW_SYMBOL,
            stype_out=dbn.SType.INSTRUMENT_ID,
            schema=dbn.Schema.MBP_1 if tape.levels is None else dbn.Schema.MBP_10,
            symbols=[tape.symbol],
            mappings=[_Mapping(tape.symbol, (interval,))],
        ).encode()
    except dbn.DBNError as error:
        raise ValueError(str(error)) from None
    codec = COMPRESSIONS.get(path.suffix.lower())
    with pa.OSFile(str(path), "wb") as file, pa.CompressedOutputStream(file, codec) if codec else file as stream:
        stream.write(metadata)
        for start in range(0, tape.rows, ROWS):
            stream.write(_records(tape, print_of, slice(start, start + ROWS)))


def _records(tape: Tape, print_of: Int64, part: slice) -> bytes:
    """Encode some rows."""
    trade_of_row = print_of[part]
    has_trade = trade_of_row >= 0
    trades = tape.trades
    rtype = 1 if tape.levels is None else 10
    nbytes = LAYOUTS[rtype].nbytes
    records = np.zeros(len(trade_of_row), record_dtype(nbytes))
    records["length"], records["rtype"] = nbytes // 4, rtype
    records["publisher_id"], records["instrument_id"] = tape.venue[part], INSTRUMENT
    records["ts_event"] = records["ts_recv"] = tape.ts[part]
    records["action"], records["side"] = np.where(has_trade, ord("T"), ord("M")), ord("N")
    records["price"] = UNDEFINED_PRICE
    records["sequence"] = tape.sequence[part]
    records["price"][has_trade] = trades.px[trade_of_row[has_trade]]
    records["size"][has_trade] = trades.sz[trade_of_row[has_trade]]
    letters = np.array([ord(AGGRESSOR_LETTERS[sign]) for sign in (-1, 0, 1)], np.uint8)
    records["side"][has_trade] = letters[trades.side[trade_of_row[has_trade]] + 1]
    for side in ("bid", "ask"):
        px = getattr(tape, f"{side}_px")[part]
        records[f"{side}_px_00"] = np.where(px > 0, px, UNDEFINED_PRICE)
        records[f"{side}_sz_00"] = getattr(tape, f"{side}_sz")[part]
    for name in LEVEL_DTYPES if tape.levels is not None else ():
        column = getattr(tape.levels, name)[part]
        nothing = UNDEFINED_PRICE if name.endswith("px") else 0
        records["behind"][name] = nothing
        records["behind"][name][:, : column.shape[1]] = np.where(column > 0, column, nothing)
    return records.tobytes()
