"""Figures of `allocator` and `sweep` against what a person would otherwise take: numpy, hftbacktest, vectorbt, a pool.

The packages of others stand in environments of their own (`make peers`), since their pins exclude one another and ours.
A case is left out, and the reason printed, where its package is not installed. Each runs in a process of its own, which
times itself (`benchmarks.peers`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from allocator.book import OFF, BookRules, build_book
from allocator.engine import execute
from allocator.order import FIELDS, NEUTRAL
from allocator.queues import FULL, Cleared, Joins, QueueRules, cleared, cleared_plain
from allocator.runners import RUNNERS, edge_of
from allocator.simulate import kernels_for, run_combinations
from benchmarks.allocator_bench import TAU, TVK, VENUES, deep_tape, endless, same_rows, spread, taus, uneven
from benchmarks.frame import Absent, Case, Duel, Scale, Side, fastest
from benchmarks.in_numpy import FAR, by_row, by_snapshot
from benchmarks.sweep_bench import DefaultGrid
from feed.source import read_source
from tests.support import ROOT
from tests.support.hftbacktest import EVENT, events_with_prints, stream
from tests.support.tapes import long_tape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from allocator.book import Book


GRID = 27
"""Combinations of the default grid."""
DISPLAYED = BookRules(uncross=False, stub_band=OFF)
"""Quotes stand, and all that is published is displayed."""


def _numpy_cubes(scale: Scale, count: int) -> Duel:
    snapshots = scale.pick(50_000, 10_000)
    book = build_book(deep_tape(snapshots, VENUES), DISPLAYED)
    task, many = uneven(book, "refresh", "touch"), taus(TAU) if count == 1 else spread(count)
    run = partial(by_snapshot, book, task.fees, many.tau.tolist())

    def guard():
        rows = RUNNERS["stairs"](task, many)[:, [FIELDS.index("filled"), FIELDS.index("cash_filled")]]
        assert [tuple(row) for row in rows.tolist()] == run(), "numpy decides otherwise"

    work = snapshots * VENUES * count
    return Duel(
        Side(partial(RUNNERS["stairs"], task, many), work),
        Side(run, work),
        guard,
        f"T={snapshots:,} V={VENUES}, ten levels, quotes stand, unequal fees, refresh, {count} combinations",
    )


def _numpy_depth(scale: Scale, runner: str, liquidity: str, count: int) -> Duel:
    snapshots = scale.pick(200_000, 20_000)
    book = build_book(deep_tape(snapshots, VENUES), DISPLAYED)
    task, many = uneven(book, liquidity, "touch"), taus(TAU) if count == 1 else spread(count)
    few = many if count <= GRID else spread(GRID)
    run = partial(by_row, book, task.fees, liquidity, few.tau.tolist())

    def guard():
        same_rows(task, few, "stairs", "walk")
        rows = RUNNERS[runner](task, few)[:, [FIELDS.index("filled"), FIELDS.index("cash_filled")]]
        assert [tuple(row) for row in rows.tolist()] == run(), "numpy decides otherwise"

    return Duel(
        Side(partial(RUNNERS[runner], task, many), snapshots * VENUES * count),
        Side(run, snapshots * VENUES * len(few)),
        guard,
        f"T={snapshots:,} V={VENUES}, ten levels, quotes stand, unequal fees, {count:,} combinations "
        f"(baseline {len(few)})",
    )


class Peer:
    """A process that runs a module of `benchmarks.peers`, by the interpreter of an environment, as long as a case."""

    def __init__(self, scale: Scale, module: str, *arguments: str | Path, environment: str | None = None) -> None:
        command = [interpreter_of(environment), "-m", f"benchmarks.peers.{module}", *map(str, arguments)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        scale.closing.callback(self.end)

    def end(self) -> None:
        """Let it end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def ask(self, command: str) -> Any:
        """What a command returns."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(command, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, f"{command}: the peer ended with {self._process.wait()}"
        return json.loads(line)

    def side(self, command: str, work: float) -> Side:
        """A command that takes the time itself."""
        return Side(partial(self.ask, command), work, elsewhere=True)


def interpreter_of(environment: str | None) -> str:
    """The interpreter of an environment that `make peers` has made; this one where none is named."""
    if environment is None:
        return sys.executable
    python = ROOT / ".peers" / environment / "bin" / "python"
    if not python.exists():
        raise Absent(f"{environment} is not installed: make peers")
    return str(python)


DEPTH, BOTH_SIDES_SEE_IT, BID, ASK = 1, 1 << 31 | 1 << 30, 1 << 29, 1 << 28


def events_of(book: Book) -> NDArray[np.void]:
    """The changes of the best quotes of a book of one venue as hftbacktest reads them: a price goes, a price comes."""
    parts = []
    for side, px, sz in ((BID, book.bid_px[:, 0], book.bid_sz[:, 0]), (ASK, book.ask_px[:, 0], book.ask_sz[:, 0])):
        was_px, was_sz = (np.concatenate([[0], column[:-1]]) for column in (px, sz))
        goes = np.flatnonzero((was_px != px) & (was_px > 0))
        comes = np.flatnonzero(((was_px != px) | (was_sz != sz)) & (px > 0))
        for at, price, size in ((goes, was_px[goes], np.zeros(len(goes))), (comes, px[comes], sz[comes])):
            part = np.zeros(len(at), EVENT)
            part["ev"], part["px"], part["qty"] = DEPTH | BOTH_SIDES_SEE_IT | side, price / 1e9, size
            part["exch_ts"] = part["local_ts"] = book.ts[at]
            parts.append(part)
    events = np.concatenate(parts)
    return events[np.lexsort((events["qty"] > 0, events["exch_ts"]))]


def _bare_events(scale: Scale, runner: str, liquidity: str, *, real: bool) -> Duel:
    interpreter_of("hftbacktest")
    book = build_book(_real_tape() if real else long_tape(scale.pick(1_000_000, 50_000), 1), DISPLAYED)
    task, events, snapshots = endless(book, liquidity), events_of(book), len(book.ts)
    path, traced = scale.scratch / "events.npz", scale.scratch / "trace.npy"
    np.savez(path, data=events)
    cent = 10**7
    peer = Peer(scale, "bare_events", path, cent / 1e9, traced, environment="hftbacktest")
    names = [f"{depth} {loop}" for depth in ("map", "vector") for loop in ("step", "elapse")]
    loops = {name: peer.side(name, len(events)) for name in names}
    chosen, note = fastest(loops)

    def guard():
        same_rows(task, taus(TAU), runner, "walk")
        peer.ask("trace")
        ts, bids, asks = np.load(traced).T
        at = np.searchsorted(book.ts, ts)
        assert np.array_equal(ts, np.unique(events["local_ts"])[:-1]), "it did not stop at each change"
        for theirs, ours in ((bids, book.bid_px), (asks, book.ask_px)):
            shown = ours[at, 0] > 0
            assert np.array_equal(theirs[shown] * cent, ours[at, 0][shown]), "the best prices differ"

    return Duel(
        Side(partial(RUNNERS[runner], task, taus(TAU)), snapshots),
        loops[chosen],
        guard,
        f"T={snapshots:,} V=1, one combination, per snapshot (baseline {len(events):,} events, per event, "
        f"{peer.ask('version')}; {note})",
    )


def _resting_orders(scale: Scale, model: str, phi: int, *, real: bool) -> Duel:
    """One limit order after the other at the best bid, each for ten seconds."""
    interpreter_of("hftbacktest")
    tape = _real_tape() if real else stream(1, scale.pick(100_000, 5_000), unit=False)
    book, rules = build_book(tape, DISPLAYED), QueueRules(phi=phi)
    starts = np.unique(np.searchsorted(book.ts, np.arange(book.ts[1], book.ts[-1], TEN_SECONDS)))
    joined = starts[book.bid_px[starts, 0] > 0].astype(np.int64)
    none, price = np.zeros(len(joined), np.int64), book.bid_px[joined, 0]
    joins = Joins(none, joined, np.append(joined[1:], len(book.ts)), price, none)
    events, half_cent = events_with_prints(book, tape.trades, "buy"), 0.005
    np.savez(
        scale.scratch / "case.npz",
        events=events,
        stops=book.ts,
        sent=joined,
        past=joins.past,
        prices=price / 1e9,
        buy=True,
        tick=half_cent,
    )
    peer = Peer(scale, "resting_orders", scale.scratch, environment="hftbacktest")
    names = [f"{depth} {model} {loop}" for depth in ("map", "vector") for loop in ("step", "elapse")]
    loops = {name: peer.side(name, len(events)) for name in names}
    chosen, note = fastest(loops)

    def guard():
        for each in (rules, QueueRules(phi=0)):
            done, plain = (run(book, "buy", joins, each) for run in (cleared, cleared_plain))
            assert all(np.array_equal(getattr(done, name), getattr(plain, name)) for name in Cleared.__slots__)
        peer.ask(
            "fills"
        )  # of the pessimistic queue, which is theirs to the share; the others differ by rules with names
        order, stop, shares = np.load(scale.scratch / "case.fills.npz")["risk_adverse"].T
        ours = np.lexsort((done.order, done.snapshot))
        theirs = np.lexsort((order, stop))
        assert np.array_equal(done.order[ours], order[theirs]), "other orders are filled"
        assert np.array_equal(done.snapshot[ours], stop[theirs]), "they are filled at other times"
        assert np.array_equal(done.through[ours] % FULL, shares[theirs]), "other shares are filled"

    return Duel(
        Side(partial(cleared, book, "buy", joins, rules), len(events)),
        loops[chosen],
        guard,
        f"{len(joined)} orders, T={len(book.ts):,} V=1, both per event of theirs, of which there are {len(events):,} "
        f"({peer.ask('version')}; {note})",
    )


def _real_tape():
    folder = os.environ.get("SOR_SWEEP_TEST_DATA")
    path = None if folder is None else Path(folder) / "l1_day.csv.gz"
    if path is None or not path.exists():
        raise Absent("SOR_SWEEP_TEST_DATA names no folder with l1_day.csv.gz")
    return read_source(str(path))[0].up_to(1)


def _orders_of(question: DefaultGrid) -> dict[str, NDArray[Any]]:
    """What each combination buys at each snapshot, and at which average cost: (T, K), NaN = nothing."""
    book, shape = question.book, (len(question.book.ts), len(question.grid))
    size, cash = np.zeros(shape), np.zeros(shape)
    fees = question.fees
    for k, parameters in enumerate(question.parameters):
        settings = question.settings
        done = execute(book, question.order, settings.rules, fees, settings.policy, parameters, record=True)
        for fill in done.fills:
            size[fill.snapshot, k] += fill.shares
            cash[fill.snapshot, k] += fill.shares * (fill.price + fees[fill.venue]) / 1e9
    size[size == 0] = np.nan
    close = np.where(book.ask_px > 0, book.ask_px, FAR).min(axis=1, keepdims=True) / 1e9
    return {"close": close, "price": np.where(size > 0, cash / size, close), "size": size}


def _ours(question: DefaultGrid, *, whole: bool) -> tuple[Callable[[], NDArray[np.int64]], str]:
    """The whole answer, baselines included, or the combinations alone, which is all that the others do: its rows.

    By the fastest kernel, which a sweep finds by measuring them as well.
    """
    settings, order = question.settings, question.order
    arguments = question.book, order, settings.rules, settings.policy, question.fees
    runs = {
        name: lambda name=name: run_combinations(*arguments, question.parameters, kernel=name).table
        for name in kernels_for(*arguments)
    }
    kernel, _ = fastest({name: Side(run) for name, run in runs.items()})
    chosen = replace(question, job=replace(question.job, kernel=kernel))
    part = "and the baselines" if whole else "alone"
    sizes = (
        f"{len(question.grid)} combinations {part}, kernel {kernel}, {order.size:,} shares, "
        f"T={len(question.book.ts):,} V={len(question.book.venues)}"
    )
    return (lambda: chosen.inline()[0]) if whole else runs[kernel], sizes


def _grid_in_vectorbt(scale: Scale, size: int | None = None, *, whole: bool) -> Duel:
    interpreter_of("vectorbt")
    question, path = DefaultGrid.of(size), scale.scratch / "orders.npz"
    np.savez(path, **_orders_of(question))
    peer, count = Peer(scale, "order_columns", path, environment="vectorbt"), len(question.grid)
    ours, sizes = _ours(question, whole=whole)

    def guard():
        shares, cash = peer.ask("sums")
        rows = ours()
        assert shares == rows[:, FIELDS.index("filled")].tolist(), "the shares differ"
        assert np.allclose(cash, rows[:, FIELDS.index("cash_filled")] / 1e9, rtol=1e-9), "the cash differs"

    return Duel(Side(ours, count), peer.side("run", count), guard, f"{sizes} (baseline {peer.ask('version')})")


def _grid_in_pool(scale: Scale, ways: Sequence[str], size: int | None = None, *, whole: bool) -> Duel:
    question, path = DefaultGrid.of(size), scale.scratch / "tape.npz"
    book, order, rules = question.book, question.order, question.settings.rules
    span = slice(*book.span(order))
    np.savez(
        path,
        cost=np.where(book.ask_px > 0, book.ask_px + np.array(question.fees), 0)[span],
        price=book.ask_px[span],
        size=book.ask_sz[span].astype(np.int64),
        resets=book.flags_of(book.take_side(order.side).moved)[span],
        edge=edge_of(book, order, rules),
        order=order.size,
        tau=question.parameters.tau,
    )
    peer, count = Peer(scale, "pool_walk", path), len(question.grid)
    sides = {way: peer.side(way, count) for way in ways}
    chosen, note = fastest(sides)
    ours, described = _ours(question, whole=whole)

    def guard():
        rows = ours()[:, [FIELDS.index("filled"), FIELDS.index("cash_filled")]]
        assert rows.tolist() == peer.ask("sums"), "the walks differ"

    return Duel(Side(ours, count), sides[chosen], guard, f"{described}; {note}")


BY_NUMPY = "whole-array numpy on the same book"
RESTING = "hftbacktest's event loop with the same orders resting"
TEN_SECONDS = 10 * 10**9
BARE = "hftbacktest's event loop, in which nobody trades"
ORDERS = "vectorbt's bookkeeping of the orders it is given"
POOL = "a plain numba walk per combination, multiprocessing.Pool of 2"
HELD = "the same pool, standing, with the tape in it"
MADE = ("fork", "pickle")
"""How a pool that is made for the grid comes by its tape."""
LONG = 500_000
"""Shares that the default stream does not offer everyone: walks last to its end."""

CASES = (
    *(
        Case(
            f"numpy_depth_{runner}_{count}_{liquidity}",
            TVK,
            BY_NUMPY,
            partial(_numpy_depth, runner=runner, liquidity=liquidity, count=count),
            least_ratio=least,
            rounds=5,
        )
        for runner, count, least in (
            ("stairs", 1, 50),
            ("walk", 1, 50),
            ("stairs", GRID, 50),
            ("walk", GRID, None),  # 27 walks, which no sweep would make where `stairs` makes one
            ("stairs", 1_000, 50),
        )
        for liquidity in ("refresh", "persist")
    ),
    *(
        Case(
            f"numpy_cubes_{count}",
            TVK,
            "whole-array numpy, snapshot by snapshot",
            partial(_numpy_cubes, count=count),
            least_ratio=50,
            rounds=5,
        )
        for count in (1, GRID)
    ),
    *(
        Case(
            f"hftbacktest_{day}_{liquidity}",
            "ns per event",
            BARE,
            partial(_bare_events, runner=runner, liquidity=liquidity, real=day == "l1_day"),
            least_ratio=10,
        )
        for day in ("synthetic", "l1_day")
        for runner, liquidity in (("columns", "refresh"), ("rows", "persist"))
    ),
    *(
        Case(
            f"hftbacktest_resting_{day}_{kind}",
            "ns per event",
            RESTING,
            partial(_resting_orders, model=model, phi=phi, real=day == "l1_day"),
            least_ratio=8,
        )
        for day in ("synthetic", "l1_day")
        for kind, model, phi in (("pessimistic", "risk_adverse", 0), ("neutral", "power", NEUTRAL))
    ),
    *(
        Case(
            f"{name}_27{length}{part}",
            "combinations/s",
            against,
            partial(prepare, size=size, whole=not part),
            least_ratio=least,
            rounds=5,
        )
        for name, against, prepare, least in (
            ("vectorbt", ORDERS, _grid_in_vectorbt, 50),
            ("pool", POOL, partial(_grid_in_pool, ways=MADE), 50),
            ("pool_held", HELD, partial(_grid_in_pool, ways=("held",)), None),
        )
        for length, size in (("", None), ("_long", LONG))
        for part in ("", "_alone")
    ),
)
