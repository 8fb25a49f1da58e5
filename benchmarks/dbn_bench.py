"""Figures of `feed` on DBN: files of mbp-1 and mbp-10 into a tape, orders into levels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import databento_dbn as dbn
import numpy as np
import pyarrow as pa

from benchmarks.frame import Case, Duel, Scale, Side
from feed.files.dbn_reader import read_dbn
from feed.files.dbn_writer import write_dbn
from feed.files.mbo import COLUMNS, Fold
from feed.levels import LEVEL_DTYPES
from feed.tape import QUOTE_DTYPES, Tape, same
from tests.support.orders import flow
from tests.support.plain_orders import plain_rows
from tests.support.tapes import first_rows, long_tape, with_levels

if TYPE_CHECKING:
    from pathlib import Path

VENUES = 8
TRADE_EVERY = 12
PLAIN = 4_000
NAMES = ("ts_event", "publisher_id", "bid_px_00", "ask_px_00", "bid_sz_00", "ask_sz_00", "sequence")
"""The library's names of the columns of quotes, in the tape's order."""


def sample(rows: int, depth: int) -> Tape:
    """A tape of so many rows, some of them trades."""
    tape = first_rows(long_tape(rows, VENUES), rows)
    at = np.flatnonzero(tape.ask_px[::TRADE_EVERY] > 0) * TRADE_EVERY
    trades = {name: getattr(tape, name)[at] for name in ("ts", "venue", "sequence")}
    trades |= {"px": tape.ask_px[at], "sz": tape.ask_sz[at], "side": np.ones(len(at), np.int64)}
    tape = Tape.build(tape.symbol, **{name: getattr(tape, name) for name in QUOTE_DTYPES}, trades=trades)
    return tape if depth == 1 else with_levels(tape, depth, seed=3)


def by_numpy(path: Path, depth: int) -> dict[str, Any]:
    """The columns that a tape has, as numpy copies them out of the library's layout; nothing checked, no trades."""
    data = np.fromfile(path, np.uint8)
    if path.suffix == ".zst":
        with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as stream:
            data = np.frombuffer(stream.read(), np.uint8)
    start = 8 + int.from_bytes(data[4:8].tobytes(), "little")
    message = dbn.MBP1Msg if depth == 1 else dbn.MBP10Msg
    records = data[start:].view(np.dtype(message._dtypes))  # noqa: SLF001 - it says its layout nowhere else
    columns = {name: np.ascontiguousarray(records[name]) for name in NAMES}
    for name in LEVEL_DTYPES if depth > 1 else ():
        columns[name] = np.stack([records[f"{name}_{level:02}"] for level in range(1, depth)], axis=1)
    return columns


def _read(depth: int, ending: str, scale: Scale) -> Duel:
    rows = scale.pick(1_000_000, 100_000) // (1 if depth == 1 else 2)
    tape = sample(rows, depth)
    path = scale.scratch / f"day{ending}"
    write_dbn(tape, path)
    ours, plain = partial(read_dbn, path, depth=depth), partial(by_numpy, path, depth)

    def guard():
        assert same(ours().tape, tape), "the file did not come back"
        for name, column in zip(QUOTE_DTYPES, list(plain().values())[: len(NAMES)], strict=True):
            its = getattr(tape, name)
            assert np.array_equal(its[its > 0], column[its > 0]), f"column {name} differs"

    sizes = f"{rows:,} rows of {depth} levels, {path.stat().st_size / 2**20:,.0f} MiB as {ending}"
    return Duel(Side(ours, rows), Side(plain, rows), guard, sizes)


def _orders(scale: Scale) -> Duel:
    records = flow(scale.pick(200_000, 20_000), seed=5)
    letters = {"action", "side"}
    columns = {
        name: np.array([ord(each[name]) if name in letters else each[name] for each in records], dtype)
        for name, dtype in COLUMNS.items()
    }

    def ours():
        return Fold(10).rows(columns)

    def guard():
        shown, (rows, _) = ours(), plain_rows(records[:PLAIN], 10)
        first = shown.at < PLAIN
        assert shown.at[first].tolist() == [at for at, _ in rows], "rows differ"
        expected = [[[px for px, _ in side] for side in sides] for _, sides in rows]
        assert shown.px[first].tolist() == expected, "levels differ"

    return Duel(
        Side(ours, len(records)),
        Side(partial(plain_rows, records[:PLAIN], 10), PLAIN),
        guard,
        f"{len(records):,} records of two books, ten levels; the dicts on the first {PLAIN:,}",
    )


_COLUMNS = "numpy's copy of the same columns out of the same file, nothing checked, no trades"

CASES = (
    Case("dbn", "rows/s", _COLUMNS, partial(_read, 1, ".dbn"), least_ratio=0.5),
    Case("dbn_zst", "rows/s", _COLUMNS, partial(_read, 1, ".dbn.zst"), least_ratio=0.5),
    Case("dbn_deep", "rows/s", _COLUMNS, partial(_read, 10, ".dbn"), least_ratio=0.5),
    Case("mbo", "rows/s", "dicts of orders, added up anew after each event", _orders, least_ratio=10),
)
