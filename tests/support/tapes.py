"""Tapes of any length for the benchmarks: the project's synthetic stream, laid end to end."""

from __future__ import annotations

import numpy as np

from allocator.book import OFF, BookRules, build_book
from feed import synthetic
from feed.instants import parse_instant
from feed.levels import LEVEL_DTYPES
from feed.tape import QUOTE_DTYPES, TRADE_DTYPES, Tape

CHEAPER = 140 * 10**9
"""1e-9 $ taken off each price: an order for all that a million snapshots offer then still has an exact sum."""

FEWER = 40
"""What sizes are divided by, for the same reason."""


def long_tape(snapshots: int, venues: int) -> Tape:
    """A tape of exactly so many snapshots, without trades.

    Each copy of the first level of the default stream (same seed, so the same tape everywhere) begins with a quote of
    every venue.
    """
    block = synthetic.generate(venues=venues, levels=1)
    copies = -(-snapshots // block.snapshots)
    first, last = block.span
    columns = {name: np.tile(getattr(block, name), copies) for name in QUOTE_DTYPES}
    columns["ts"] += np.repeat(np.arange(copies) * (last - first + 10**9), block.rows)
    for side in ("bid_px", "ask_px"):
        columns[side] = np.where(columns[side] > 0, columns[side] - CHEAPER, 0)
    for side in ("bid_sz", "ask_sz"):
        columns[side] = -(-columns[side] // FEWER)
    instant = np.concatenate([[0], np.cumsum(np.diff(columns["ts"]) != 0)])
    return Tape.build(block.symbol, **{name: column[instant < snapshots] for name, column in columns.items()})


def first_rows(tape: Tape, rows: int) -> Tape:
    """The first rows of a tape, without trades."""
    return Tape.build(tape.symbol, **{name: getattr(tape, name)[:rows] for name in QUOTE_DTYPES})


def dense_tape(snapshots: int, venues: int) -> Tape:
    """The same quotes, every venue publishing at each snapshot: no quote outlives the snapshot that shows it."""
    book = build_book(long_tape(snapshots, venues), BookRules(uncross=False, stub_band=OFF))
    return Tape.build(
        "SYNTH",
        ts=np.repeat(book.ts, venues),
        venue=np.tile(book.venues, snapshots),
        **{name: getattr(book, name).ravel() for name in ("bid_px", "ask_px", "bid_sz", "ask_sz")},
        sequence=np.arange(snapshots * venues),
    )


def with_levels(tape: Tape, depth: int, seed: int) -> Tape:
    """A tape with further levels, of a seed, a cent to three apart; a side ends early at times."""
    width, rng = depth - 1, np.random.default_rng(seed)
    gaps = rng.integers(1, 4, (2, tape.rows, width)).cumsum(axis=2) * 10**7
    sizes = rng.choice([0, 1, 50, 100, 150, 300], (2, tape.rows, width), p=[0.1, 0.1, 0.2, 0.3, 0.2, 0.1])
    return Tape.build(
        tape.symbol,
        **{name: getattr(tape, name) for name in QUOTE_DTYPES},
        trades={name: getattr(tape.trades, name) for name in TRADE_DTYPES},
        levels={
            "bid_px": tape.bid_px[:, None] - gaps[0],
            "ask_px": np.where(tape.ask_px[:, None] > 0, tape.ask_px[:, None] + gaps[1], 0),
            "bid_sz": sizes[0],
            "ask_sz": sizes[1],
        },
    )


def with_trades(tape: Tape, *rows: tuple[float, int, int, int, int]) -> Tape:
    """A tape with these trades alone: seconds since 14:00, venue, cents, shares, aggressor."""
    start = parse_instant("2024-08-01T14:00:00Z")
    return Tape.build(
        tape.symbol,
        **{name: getattr(tape, name) for name in QUOTE_DTYPES},
        trades={
            "ts": np.array([start + round(row[0] * 10**9) for row in rows], np.int64),
            "venue": np.array([row[1] for row in rows], np.int64),
            "px": np.array([row[2] * 10**7 for row in rows], np.int64),
            "sz": np.array([row[3] for row in rows], np.int64),
            "side": np.array([row[4] for row in rows], np.int64),
            "sequence": np.arange(len(rows)),
        },
        levels=None if tape.levels is None else {name: getattr(tape.levels, name) for name in LEVEL_DTYPES},
    )
