"""Figures of `allocator`: one snapshot's split, tape to book, the walk of one combination."""

from __future__ import annotations

from functools import partial

import numpy as np

from allocator import Order, Parameters, Venue, allocate
from allocator.book import OFF, BookRules, build_book
from allocator.engine import execute
from allocator.order import ParameterColumns, Routing, Rules
from allocator.policies import POLICIES
from allocator.simulate import KERNELS, check_sums, run_combinations
from benchmarks.frame import Case, Duel, Scale, Side
from benchmarks.tapes import long_tape

VENUES = 8


def _walk(scale: Scale, liquidity) -> Duel:
    snapshots, few = scale.pick(200_000, 50_000), scale.pick(4_000, 1_000)
    tape = long_tape(snapshots, VENUES)
    book = build_book(tape, BookRules())
    size = int(tape.ask_sz.sum()) + 1  # more than was ever offered, so that no walk ends early
    whole = Order("buy", size, int(book.ts[0]), int(book.ts[-1]))
    part = Order("buy", size, int(book.ts[0]), int(book.ts[few - 1]))
    rules, routing = Rules(liquidity, "sweep", 50_000_000), Routing()
    fees = np.full(VENUES, 3_000_000, np.int64)
    listed = fees.tolist()
    parameters = Parameters.of("0.01", "0.01", "0.01")
    columns, policy = ParameterColumns.of([parameters]), POLICIES["static"](routing)

    def guard():
        rows = [
            run_combinations(book, part, rules, routing, listed, columns, kernel=kernel).table
            for kernel in ("walk", "reference")
        ]
        assert np.array_equal(*rows), f"kernel {rows[0]} is not reference {rows[1]}"
        check_sums(book, whole, rules, listed)
        filled, unfilled = run_combinations(book, whole, rules, routing, listed, columns).rows[0, :2].tolist()
        assert filled > 0, "nothing was bought"
        assert unfilled > 0, "the walk ended before the tape did"

    return Duel(
        Side(partial(KERNELS["walk"], book, whole, rules, routing, fees, columns), snapshots * VENUES),
        Side(partial(execute, book, part, rules, listed, policy, parameters), few * VENUES),
        guard,
        f"T={snapshots:,} V={VENUES}, one combination (baseline T={few:,})",
    )


def _book(scale: Scale) -> Duel:
    snapshots = scale.pick(200_000, 50_000)
    tape = long_tape(snapshots, VENUES)

    def forward_fill():
        instants, at = np.unique(tape.ts, return_inverse=True)
        venues, of = np.unique(tape.venue, return_inverse=True)
        row = np.full((len(instants), len(venues)), -1)
        row[at, of] = np.arange(tape.rows)  # of several rows of a venue at one instant the last one stays
        np.maximum.accumulate(row, axis=0, out=row)
        columns = (tape.bid_px, tape.ask_px, tape.bid_sz, tape.ask_sz)
        return [np.where(row >= 0, column[row], 0) for column in columns]

    def guard():
        build_book(tape, BookRules())
        book = build_book(tape, BookRules(uncross=False, stub_band=OFF))
        pairs = zip((book.bid_px, book.ask_px, book.bid_sz, book.ask_sz), forward_fill(), strict=True)
        assert all(np.array_equal(ours, theirs) for ours, theirs in pairs), "the carried quotes differ"

    work = snapshots * VENUES
    return Duel(
        Side(partial(build_book, tape, BookRules()), work),
        Side(forward_fill, work),
        guard,
        f"T={snapshots:,} V={VENUES}, {tape.rows:,} rows",
    )


def _allocate(scale: Scale) -> Duel:
    venues, lots, books = 3, 10, scale.pick(200, 50)
    rng = np.random.default_rng(7)
    snapshots = [
        [
            Venue(ask=(10_000 + int(rng.integers(4))) / 100, ask_size=int(rng.integers(4, 12)) * 100, fee=0.003)
            for _ in range(venues)
        ]
        for _ in range(books)
    ]

    def run(method):
        return [
            allocate(lots * 100, shown, 0.01, 0.03, 0.01, policy="pseudocode", infeasible="wait", method=method)
            for shown in snapshots
        ]

    def guard():
        exact, searched = run("exact"), run("exhaustive")
        assert exact == searched, "the closed form is not the search"
        assert all(answer.split for answer in exact), "an order did not fit"

    return Duel(
        Side(partial(run, "exact"), books),
        Side(partial(run, "exhaustive"), books),
        guard,
        f"V={venues}, {lots} lots, per call, over {books} generated books",
    )


CASES = (
    Case("walk_refresh", "ns per t v", "the plain-Python reference engine", partial(_walk, liquidity="refresh")),
    Case("walk_persist", "ns per t v", "the plain-Python reference engine", partial(_walk, liquidity="persist")),
    Case("book", "ns per t v", "a numpy forward fill (no uncross, band, flags, mid, volumes or counts)", _book),
    Case("allocate", "us", "the exhaustive search over whole lots", _allocate),
)
