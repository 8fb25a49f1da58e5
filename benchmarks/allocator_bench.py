"""Figures of `allocator`: one snapshot's split, tape to book, walks of one combination and of many, many orders."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from allocator import Order, Parameters, Venue, allocate, exhaustive
from allocator.book import OFF, Book, BookRules, build_book
from allocator.engine import execute
from allocator.order import ParameterColumns, Rules
from allocator.policies import Static
from allocator.runners import RUNNERS, Task, WalkArguments
from allocator.simulate import SHARED, run_baselines, run_orders
from benchmarks.frame import Case, Duel, Scale, Side
from tests.support.tapes import dense_tape, long_tape, with_levels

if TYPE_CHECKING:
    from feed.tape import Tape

VENUES = 8
FEE = 3_000_000
CENT = 10**7
EVENT = BookRules("event", uncross=False, stub_band=OFF)
"""Only what is published at a snapshot is there: nothing stands, so walks over columns are exact."""

TAU = 3 * CENT


@cache
def carried_book(snapshots: int, venues: int) -> Book:
    return build_book(long_tape(snapshots, venues), BookRules())


@cache
def dense_book(snapshots: int, venues: int) -> Book:
    return build_book(dense_tape(snapshots, venues), EVENT)


def endless(book: Book, liquidity: str, snapshots: int | None = None) -> Task:
    """An order for more than is ever offered, so that no walk ends early."""
    last = int(book.ts[-1 if snapshots is None else snapshots - 1])
    size = int(book.ask_volume.sum()) + 1
    order = Order("buy", size, int(book.ts[0]), last)
    return Task.of(book, order, Rules(liquidity, "sweep", 50_000_000), Static(), [FEE] * len(book.venues))


def taus(*each: int) -> ParameterColumns:
    return ParameterColumns.of([Parameters(0, tau, 0) for tau in each])


def spread(count: int) -> ParameterColumns:
    """So many thresholds, 0 to 12 cents."""
    return taus(*(12 * CENT * k // count for k in range(count)))


def same_rows(task: Task, parameters: ParameterColumns, *runners: str) -> None:
    """Fail where runners differ, or where the order ends before the tape does."""
    first, *others = (RUNNERS[name](task, parameters) for name in runners)
    for name, other in zip(runners[1:], others, strict=True):
        assert np.array_equal(first, other), f"{name} is not {runners[0]}"
    assert first[:, 0].min() > 0, "nothing was bought"
    assert first[:, 1].min() > 0, "the walk ended before the tape did"


@njit(cache=True)
def read_all(words):
    """Every word once, nothing else: what memory allows."""
    total = np.int64(0)
    for i in range(len(words)):
        total += words[i]
    return total


def _columns(scale: Scale, venues: int) -> Duel:
    snapshots = scale.pick(1_000_000, 50_000)
    task, one = endless(dense_book(snapshots, venues), "refresh"), taus(TAU)
    tiles = task.book.ask_tiles
    words = [each.reshape(-1).view(np.int64) for each in (tiles.ticks, tiles.sz)]
    return Duel(
        Side(partial(RUNNERS["columns"], task, one), snapshots * venues),
        Side(lambda: [read_all(each) for each in words], snapshots * venues),
        lambda: (same_rows(task, one, "columns", "rows", "walk"), [read_all(each) for each in words]),
        f"T={snapshots:,} V={venues}, every venue publishes at each snapshot, one combination, 8 bytes per t v",
    )


def _rows(scale: Scale, liquidity: str, venues: int = VENUES, runner: str = "rows") -> Duel:
    snapshots, few = scale.pick(1_000_000, 50_000), scale.pick(4_000, 1_000)
    book = carried_book(snapshots, venues)
    task, part = endless(book, liquidity), endless(book, liquidity, few)
    policy, fees = Static(), [FEE] * venues
    reference = partial(execute, book, part.order, part.rules, fees, policy, Parameters(0, TAU, 0))

    def guard():
        same_rows(task, taus(TAU), "rows", "walk")
        same_rows(part, taus(TAU), runner, "reference")

    return Duel(
        Side(partial(RUNNERS[runner], task, taus(TAU)), snapshots * venues),
        Side(reference, few * venues),
        guard,
        f"T={snapshots:,} V={venues}, quotes stand, one combination (baseline T={few:,})",
    )


@cache
def deep_tape(snapshots: int, venues: int) -> Tape:
    return with_levels(long_tape(snapshots, venues), 10, 3)


def _deep_book(scale: Scale) -> Duel:
    snapshots = scale.pick(500_000, 50_000)
    tape = deep_tape(snapshots, VENUES)

    def guard():
        deep, flat = (build_book(each, BookRules()) for each in (tape, tape.up_to(1)))
        assert deep.depth == 10, "not all levels are there"
        assert np.array_equal(deep.ask_px, flat.ask_px), "the first levels differ"
        assert deep.nbytes <= 11 * flat.nbytes, "a level takes more bytes than a book"

    return Duel(
        Side(partial(build_book, tape, BookRules()), snapshots * VENUES),
        Side(partial(build_book, tape.up_to(1), BookRules()), snapshots * VENUES),
        guard,
        f"T={snapshots:,} V={VENUES}, {tape.rows:,} rows of ten levels",
    )


def _deep_walk(scale: Scale, reference: str) -> Duel:
    """The combinations of the default grid that differ, the order as large as what one level offers."""
    snapshots = scale.pick(500_000, 50_000)
    tape, few = deep_tape(snapshots, VENUES), scale.pick(2_000, 500)
    many = taus(*(k * CENT for k in (0, 1, 2, 3, 4, 5, 9, 10, 11)))
    deep, flat = (
        replace(endless(build_book(each, BookRules()), "persist"), policy=Static(reference=reference))
        for each in (tape, tape.up_to(1))
    )
    part = replace(deep, order=replace(deep.order, end=int(deep.book.ts[few - 1])))
    work = snapshots * VENUES * len(many)
    return Duel(
        Side(partial(RUNNERS["walk"], deep, many), work),
        Side(partial(RUNNERS["walk"], flat, many), work),
        lambda: same_rows(part, many, "walk", "reference"),
        f"T={snapshots:,} V={VENUES}, quotes stand, persist, {len(many)} combinations, each alone",
    )


def _together(scale: Scale, count: int) -> Duel:
    snapshots = scale.pick(1_000_000, 50_000)
    task, many = endless(carried_book(snapshots, VENUES), "persist"), spread(count)
    work = snapshots * VENUES * count
    return Duel(
        Side(partial(RUNNERS["lanes"], task, many), work),
        Side(partial(RUNNERS["rows"], task, many), work),
        lambda: same_rows(task, many, "lanes", "rows"),
        f"T={snapshots:,} V={VENUES}, quotes stand, {count} combinations",
    )


def _lanes(scale: Scale, runner: str, count: int) -> Duel:
    from allocator.kernels import stateful

    snapshots, resident, windows, repeats = scale.pick(1_000_000, 50_000), 448, 16, 20
    task, many = endless(carried_book(snapshots, VENUES), "refresh"), spread(count)
    given, tau = WalkArguments.of(task), np.tile(many.tau, repeats)
    walk = {"lanes": stateful.walk_lanes, "wide": stateful.walk_wide}[runner]
    begins = [snapshots * at // windows for at in range(windows)]

    def again_and_again():
        out = np.zeros((len(tau), 3), np.int64)
        for (
            begin
        ) in begins:  # what a walk meets differs along the tape; each window stays in the cache while it is used
            walk(
                given.quotes, given.costs, given.rules, begin + resident - 1, task.order.size,
                np.full(len(tau), begin), tau, out,
            )  # fmt: skip

    def guard():
        same_rows(task, many, runner, "rows")
        again_and_again()

    return Duel(
        Side(partial(RUNNERS[runner], task, many), snapshots * VENUES * count),
        Side(again_and_again, windows * resident * VENUES * len(tau)),
        guard,
        f"T={snapshots:,} V={VENUES}, quotes stand, {count} combinations (baseline {windows} windows of {resident} "
        f"snapshots, each {repeats} times over)",
    )


UNEVEN = (FEE, 0, -2_000_000, 500_000, CENT, 2_500_000, -500_000, 1_000_000)
"""Fees of eight venues: no two quotes of one price cost the same."""


def uneven(book: Book, liquidity: str, reference: str) -> Task:
    """An order for more than all levels offer, under fees of which no two are equal."""
    task = endless(book, liquidity)
    order = task.order if book.levels is None else replace(task.order, size=int(book.levels.ask_sz.sum()) + 1)
    return Task.of(book, order, task.rules, Static(reference=reference), UNEVEN[: len(book.venues)])


def _stairs(scale: Scale, reference: str, liquidity: str, count: int = 10_000) -> Duel:
    snapshots = scale.pick(1_000_000, 50_000)
    task = uneven(carried_book(snapshots, VENUES), liquidity, reference)
    part = uneven(carried_book(scale.pick(20_000, 5_000), VENUES), liquidity, reference)
    many, few = spread(count), spread(128)

    def guard():
        same_rows(part, spread(1_000), "stairs", "wide")
        same_rows(task, few, "stairs", "wide")

    return Duel(
        Side(partial(RUNNERS["stairs"], task, many), snapshots * VENUES * count),
        Side(partial(RUNNERS["wide"], task, few), snapshots * VENUES * len(few)),
        guard,
        f"T={snapshots:,} V={VENUES}, quotes stand, unequal fees, {count:,} combinations (baseline {len(few)})",
    )


def _stairs_alone(scale: Scale, reference: str, liquidity: str) -> Duel:
    snapshots = scale.pick(1_000_000, 50_000)
    task, one = uneven(carried_book(snapshots, VENUES), liquidity, reference), taus(TAU)
    return Duel(
        Side(partial(RUNNERS["stairs"], task, one), snapshots * VENUES),
        Side(partial(RUNNERS["rows"], task, one), snapshots * VENUES),
        lambda: same_rows(task, one, "stairs", "rows"),
        f"T={snapshots:,} V={VENUES}, quotes stand, unequal fees, one combination",
    )


def _deep_stairs(scale: Scale, reference: str, liquidity: str, count: int = 10_000) -> Duel:
    snapshots = scale.pick(300_000, 50_000)  # so that an order for all of it has exact money
    task = uneven(build_book(deep_tape(snapshots, VENUES), BookRules()), liquidity, reference)
    many, few = spread(count), spread(4)
    return Duel(
        Side(partial(RUNNERS["stairs"], task, many), snapshots * VENUES * count),
        Side(partial(RUNNERS["walk"], task, few), snapshots * VENUES * len(few)),
        lambda: same_rows(task, few, "stairs", "walk"),
        f"T={snapshots:,} V={VENUES}, ten levels, unequal fees, {count:,} combinations (baseline {len(few)})",
    )


def _orders_of_a_day(scale: Scale, reference: str, liquidity: str, count: int = 10_000) -> Duel:
    snapshots, orders = scale.pick(1_000_000, 100_000), scale.pick(400, 40)
    task, few = uneven(carried_book(snapshots, VENUES), liquidity, reference), 4
    edges = task.book.ts[np.linspace(0, snapshots - 1, orders + 1).astype(np.int64)].tolist()
    parents = [Order("buy", 20_000, first, past - 1) for first, past in pairwise(edges)]
    run = partial(run_orders, task.book, rules=task.rules, policy=task.policy, fees=task.fees, collapse=False)

    def guard():
        for one, other in zip(
            *(run(parents[:few], parameters=spread(256), kernel=name) for name in ("stairs", "lanes")), strict=True
        ):
            assert np.array_equal(one.table, other.table), "stairs is not lanes"

    return Duel(
        Side(partial(run, parents, parameters=spread(count), kernel="stairs"), orders),
        Side(partial(run, parents[:few], parameters=spread(count), kernel="lanes"), few),
        guard,
        f"T={snapshots:,} V={VENUES}, {orders} orders of 20,000 shares one after the other, unequal fees, "
        f"{count:,} combinations, per order (baseline {few} of them)",
    )


def _ladder(scale: Scale, count: int) -> Duel:
    snapshots = scale.pick(1_000_000, 50_000)
    task, many, few = endless(dense_book(snapshots, VENUES), "refresh"), spread(count), spread(64)
    return Duel(
        Side(partial(RUNNERS["ladder"], task, many), snapshots * VENUES * count),
        Side(partial(RUNNERS["columns"], task, few), snapshots * VENUES * len(few)),
        lambda: same_rows(task, few, "ladder", "columns"),
        f"T={snapshots:,} V={VENUES}, every venue publishes at each snapshot, {count:,} combinations (baseline 64)",
    )


def _book(scale: Scale, *, dense: bool) -> Duel:
    snapshots = scale.pick(1_000_000, 50_000)
    tape = (dense_tape if dense else long_tape)(snapshots, VENUES)

    def forward_fill():
        instants, at = np.unique(tape.ts, return_inverse=True)
        venues, of = np.unique(tape.venue, return_inverse=True)
        row = np.full((len(instants), len(venues)), -1)
        row[at, of] = np.arange(tape.rows)  # of several rows of a venue at one instant the last one stays
        np.maximum.accumulate(row, axis=0, out=row)
        columns = (tape.bid_px, tape.ask_px, tape.bid_sz, tape.ask_sz)
        return [np.where(row >= 0, column[row], 0) for column in columns]

    def guard():
        made = build_book(tape, BookRules())
        assert (made.ask_tiles is not None) == dense, "the layouts are not those that are meant"
        book = build_book(tape, BookRules(uncross=False, stub_band=OFF))
        pairs = zip((book.bid_px, book.ask_px, book.bid_sz, book.ask_sz), forward_fill(), strict=True)
        assert all(np.array_equal(ours, theirs) for ours, theirs in pairs), "the carried quotes differ"

    work = snapshots * VENUES
    return Duel(
        Side(partial(build_book, tape, BookRules()), work),
        Side(forward_fill, work),
        guard,
        f"T={snapshots:,} V={VENUES}, {tape.rows:,} rows, {'both layouts' if dense else 'rows and sets of venues'}",
    )


def _book_parts(scale: Scale) -> Duel:
    """Where the time of a book goes, every venue publishing at each snapshot, and where quotes stand."""
    from allocator import book as module
    from allocator.kernels import derive

    snapshots = scale.pick(1_000_000, 50_000)

    def parts_of(tape):
        columns = derive.Rows(*(getattr(tape, name)[:] for name in derive.Rows._fields))
        module.freeze(*columns)

        def run():
            seconds, marks = {}, [time.perf_counter()]

            def mark(name):
                marks.append(time.perf_counter())
                seconds[name] = marks[-1] - marks[-2]

            has_rows, outlined = np.zeros(derive.IDS, np.bool_), np.zeros(4, np.int64)
            derive.outline(columns, has_rows, outlined)
            mark("outline")
            count, least, _, tick = outlined.tolist()
            ids = (np.flatnonzero(has_rows) - derive.IDS // 2).astype(np.int16)
            publishers = derive.Venues(ids, np.cumsum(has_rows) - 1)
            module.freeze(*publishers)
            outputs = derive.Columns(**module.empty_columns(count, len(ids), np.int32))
            tiles = derive.Tiles(*module.empty_tiles(count, len(ids)))
            mark("allocate")
            for name, uncross, tiled in (
                ("derive_first_touch", True, True),
                ("derive", True, True),
                ("derive_no_uncross", False, True),
                ("derive_no_tiles", False, False),
            ):
                counts = np.zeros(len(derive.COUNTS) + 3, np.int64)
                rules = derive.Rules(carry=True, uncross=uncross, band=10**8, max_age=OFF)
                derive.derive(columns, publishers, least - tick, tick, rules, outputs, tiles, tiled, counts)
                mark(name)
            stands = bool(counts[derive.STANDING])
            for each in columns:
                read_all(each)
            for each in (*outputs, *tiles)[: 13 if stands else 17]:
                each.fill(1)
            mark("read_and_write_alone")
            return seconds

        return run

    dense, carried = parts_of(dense_tape(snapshots, VENUES)), parts_of(long_tape(snapshots, VENUES))
    return Duel(
        Side(dense),
        Side(carried),
        lambda: (dense(), carried()),
        f"T={snapshots:,} V={VENUES}; 1 ms = {1e6 / snapshots / VENUES:.3g} ns per t v",
        lambda seconds: seconds,
    )


def _plain_snapshots(book: Book, snapshots: int) -> list[list[tuple[int, int]]]:
    """(c, size) of every quote displayed, as a plain script would hold them."""
    px, sz = book.ask_px[:snapshots].tolist(), book.ask_sz[:snapshots].tolist()
    return [[(p + FEE, s) for p, s in zip(*row, strict=True) if s] for row in zip(px, sz, strict=True)]


def greedy(snapshots: list[list[tuple[int, int]]], tau: int) -> tuple[int, int]:
    """Shares and cash of the same decisions, snapshot by snapshot in plain Python."""
    shares = cash = 0
    for quotes in snapshots:
        cheapest = sorted(quotes)
        for cost, size in cheapest:
            if cost - cheapest[0][0] > tau:
                break
            shares += size
            cash += size * cost
    return shares, cash


def searched(snapshots: list[list[tuple[int, int]]], size: int, parameters: Parameters) -> tuple[int, int]:
    """The same by the exhaustive search over lots of 100."""
    shares = cash = 0
    for quotes in snapshots:
        costs, available = [c for c, _ in quotes], [s for _, s in quotes]
        relative = [2 * (c - min(costs)) for c in costs]
        split = exhaustive.static(relative, available, [0] * len(quotes), size, parameters, step=100, lots_only=True)
        shares += sum(split)
        cash += sum(sent * c for sent, c in zip(split, costs, strict=True))
    return shares, cash


def _against_python(scale: Scale, runner: str, count: int) -> Duel:
    snapshots, few, venues = scale.pick(1_000_000, 50_000), scale.pick(20_000, 5_000), 3
    book = dense_book(snapshots, venues)
    task, part, many = endless(book, "refresh"), endless(book, "refresh", few), taus(*[TAU] * count)
    plain = _plain_snapshots(book, few)

    def guard():
        same_rows(task, many, runner, "rows")
        _same_sums(part, runner, greedy(plain[:-1], TAU))

    return Duel(
        Side(partial(RUNNERS[runner], task, many), snapshots * venues * count),
        Side(partial(greedy, plain, TAU), few * venues),
        guard,
        f"T={snapshots:,} V={venues}, {count} combinations (baseline T={few:,}, one)",
    )


def _same_sums(part: Task, runner: str, expected: tuple[int, int]) -> None:
    """The leftover rule sweeps the last snapshot, so decisions are compared up to the one before."""
    before = endless(part.book, part.rules.liquidity, part.book.span(part.order)[1] - 1)
    row = RUNNERS[runner](before, taus(TAU))[0]
    last = before.book.span(before.order)[1] - 1
    swept = int(before.book.ask_sz[last].sum()) if last >= 0 else 0
    quotes = _plain_snapshots(before.book, last + 1)[-1]
    taken = greedy([quotes], TAU)
    all_of_it = greedy([quotes], 2**60)
    assert swept == all_of_it[0]
    shares, cash = row[0] - all_of_it[0] + taken[0], row[3] - all_of_it[1] + taken[1]
    assert (shares, cash) == expected, f"{runner} bought {shares, cash}, the plain script {expected}"


def _against_search(scale: Scale) -> Duel:
    snapshots, few, venues, lots = scale.pick(150_000, 50_000), scale.pick(60, 20), 3, 10
    tape = dense_tape(snapshots, venues)
    sizes = 100 * (1 + np.arange(tape.rows) % lots)
    sizes[: venues * few] = 100 * lots
    lotted = type(tape).build(
        tape.symbol,
        ts=tape.ts, venue=tape.venue, bid_px=tape.bid_px, ask_px=tape.ask_px, bid_sz=tape.bid_sz, ask_sz=sizes,
        sequence=tape.sequence,
    )  # fmt: skip
    book = build_book(lotted, EVENT)
    task, part = endless(book, "refresh"), endless(book, "refresh", few)
    plain, parameters = _plain_snapshots(book, few), Parameters(0, TAU, 0)
    search = partial(searched, plain, task.order.size, parameters)

    def guard():
        same_rows(task, taus(TAU), "columns", "rows")
        _same_sums(part, "columns", searched(plain[:-1], task.order.size, parameters))

    return Duel(
        Side(partial(RUNNERS["columns"], task, taus(TAU)), snapshots * venues),
        Side(search, few * venues),
        guard,
        f"T={snapshots:,} V={venues}, {lots} lots of 100 a quote (baseline T={few}: {lots + 1}^V splits a snapshot)",
    )


def _against_numpy(scale: Scale, runner: str, count: int) -> Duel:
    snapshots, few = scale.pick(1_000_000, 50_000), 8
    book = dense_book(snapshots, VENUES)
    task, many = endless(book, "refresh"), spread(count) if count > 1 else taus(TAU)
    px, sz = book.ask_px, book.ask_sz.astype(np.int64)

    def vectorised(thresholds):
        cost = np.where(px > 0, px + FEE, 2**62)
        best = cost.min(axis=1, keepdims=True)
        sums = []
        for tau in thresholds:
            taken = np.where(cost <= best + tau, sz, 0)
            sums.append((int(taken.sum()), int((taken * np.where(px > 0, cost, 0)).sum())))
        return sums

    def guard():
        same_rows(task, many, runner, "rows")
        ((shares, cash),) = vectorised([TAU])
        row = RUNNERS[runner](task, taus(TAU))[0]
        quotes = _plain_snapshots(book, snapshots)[-1]
        (some, some_cash), (swept, swept_cash) = greedy([quotes], TAU), greedy([quotes], 2**60)
        assert (shares - some + swept, cash - some_cash + swept_cash) == (row[0], row[3]), "numpy decides otherwise"

    thresholds = many.tau.tolist()[:few]
    return Duel(
        Side(partial(RUNNERS[runner], task, many), snapshots * VENUES * count),
        Side(partial(vectorised, thresholds), snapshots * VENUES * len(thresholds)),
        guard,
        f"T={snapshots:,} V={VENUES}, {count} combinations (baseline {len(thresholds)})",
    )


def _orders(scale: Scale, shares: int) -> Duel:
    snapshots, count = scale.pick(1_000_000, 50_000), scale.pick(1_000, 100)
    book, rng = carried_book(snapshots, VENUES), np.random.default_rng(5)
    starts = book.ts[np.sort(rng.integers(0, snapshots // 2, count))].tolist()
    sizes = rng.integers(shares // 2, shares * 3 // 2, count).tolist()
    end = int(book.ts[-1])
    orders = [Order("buy", size, start, end) for size, start in zip(sizes, starts, strict=True)]
    run = partial(run_orders, book, orders, Rules("refresh", "sweep", 50_000_000), Static(), [FEE] * VENUES, taus(TAU))

    def guard():
        shared, alone = run(kernel=SHARED), run(kernel="rows")
        assert all(np.array_equal(one.rows, other.rows) for one, other in zip(shared, alone, strict=True))

    return Duel(
        Side(partial(run, kernel=SHARED), count),
        Side(partial(run, kernel="rows"), count),
        guard,
        f"T={snapshots:,} V={VENUES}, {count:,} orders of about {shares:,} shares, one combination, per order",
    )


def _baselines(scale: Scale) -> Duel:
    snapshots = scale.pick(200_000, 20_000)
    book = carried_book(snapshots, 5)
    order, rules, fees = (
        Order("buy", 50_000, *book.ts[[0, -1]].tolist()),
        Rules("persist", "sweep", 50_000_000),
        [FEE] * 5,
    )
    run = partial(run_baselines, book, order, rules, fees, "fair")

    def guard():
        assert run() == run(engine="reference"), "the baselines differ"

    work = snapshots * 5
    return Duel(
        Side(run, work),
        Side(partial(run, engine="reference"), work),
        guard,
        f"T={snapshots:,} V=5, all of fair, 50,000 shares",
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


READING, ENGINE = "reading prices and sizes once, nothing else", "the plain-Python reference engine"
TV, TVK = "ns per t v", "ns per t v k"
ONE_LEVEL = "the same walk on one level of the same tape"
CASES = (
    Case("walk_columns_8", TV, READING, partial(_columns, venues=8), target=0.8, least_ratio=0.4),
    Case("walk_columns_16", TV, READING, partial(_columns, venues=16), target=0.8, least_ratio=0.4),
    Case("walk_refresh", TV, ENGINE, partial(_rows, liquidity="refresh"), target=1.7),
    Case("walk_refresh_16", TV, ENGINE, partial(_rows, liquidity="refresh", venues=16), target=1.7, rounds=5),
    Case("walk_any", TV, ENGINE, partial(_rows, liquidity="persist", runner="walk"), rounds=5),
    Case("depth_book", TV, "one level of the same tape", _deep_book, least_ratio=1 / 6, rounds=5),
    Case("depth_walk_touch", TVK, ONE_LEVEL, partial(_deep_walk, reference="touch"), least_ratio=1 / 3, rounds=5),
    Case("depth_walk_mid", TVK, ONE_LEVEL, partial(_deep_walk, reference="mid"), least_ratio=1 / 3, rounds=5),
    Case("walk_persist", TV, ENGINE, partial(_rows, liquidity="persist"), target=6.0),
    Case("together_27", TVK, "27 single passes", partial(_together, count=27), least_ratio=1.5, rounds=5),
    Case(
        "lanes_32",
        TVK,
        "the same loop on data in the first-level cache",
        partial(_lanes, runner="lanes", count=32),
        target=0.15,
        least_ratio=0.5,
    ),
    Case(
        "lanes_64",
        TVK,
        "the same loop on data in the first-level cache",
        partial(_lanes, runner="lanes", count=64),
        target=0.15,
        least_ratio=0.5,
    ),
    Case(
        "lanes_128",
        TVK,
        "the same loop on data in the first-level cache",
        partial(_lanes, runner="wide", count=128),
        target=0.15,
        least_ratio=0.5,
    ),
    *(
        Case(
            f"stairs_{reference}_{liquidity}",
            TVK,
            "`wide`, 128 combinations side by side",
            partial(_stairs, reference=reference, liquidity=liquidity),
            least_ratio=100 if reference != "best" else 50,
            rounds=5,
        )
        for reference in ("touch", "mid", "arrival", "best")
        for liquidity in ("refresh", "persist")
    ),
    Case(
        "stairs_1",
        TVK,
        "a single pass of `rows`",
        partial(_stairs_alone, reference="touch", liquidity="persist"),
        rounds=5,
    ),
    *(
        Case(
            f"depth_stairs_{reference}_{liquidity}",
            TVK,
            "a walk of all levels per combination",
            partial(_deep_stairs, reference=reference, liquidity=liquidity),
            least_ratio=100,
            rounds=5,
        )
        for reference in ("touch", "mid", "arrival")
        for liquidity in ("refresh", "persist")
    ),
    *(
        Case(
            f"orders_400_{reference}_{liquidity}",
            "ms",
            "`lanes`, per order",
            partial(_orders_of_a_day, reference=reference, liquidity=liquidity),
            least_ratio=10,
            rounds=3,
        )
        for reference in ("touch", "mid")
        for liquidity in ("refresh", "persist")
    ),
    Case("ladder_64", TVK, "64 single passes over columns", partial(_ladder, count=64), target=0.15),
    Case("ladder_10000", TVK, "64 single passes over columns", partial(_ladder, count=10_000), target=0.15, rounds=5),
    Case(
        "book",
        TV,
        "a numpy forward fill (no uncross, band, flags, mid, volumes or counts)",
        partial(_book, dense=False),
        target=15.0,
        rounds=5,
    ),
    Case(
        "book_dense",
        TV,
        "a numpy forward fill (no uncross, band, flags, mid, volumes or counts)",
        partial(_book, dense=True),
        target=15.0,
        rounds=5,
    ),
    Case("book_parts", "s", "the same where quotes stand", _book_parts, rounds=5),
    Case(
        "greedy_one",
        TVK,
        "a greedy allocator in plain Python",
        partial(_against_python, runner="columns", count=1),
        least_ratio=300,
    ),
    Case(
        "greedy_many",
        TVK,
        "a greedy allocator in plain Python",
        partial(_against_python, runner="ladder", count=64),
        least_ratio=2_000,
    ),
    Case("search", TV, "the exhaustive search over lots", _against_search, least_ratio=45_000, rounds=5),
    Case(
        "numpy_one",
        TVK,
        "the same walk vectorised in numpy",
        partial(_against_numpy, runner="columns", count=1),
        least_ratio=10,
        rounds=5,
    ),
    Case(
        "numpy_many",
        TVK,
        "the same walk vectorised in numpy",
        partial(_against_numpy, runner="ladder", count=64),
        least_ratio=50,
        rounds=5,
    ),
    Case("orders_long", "us", "each order walked alone", partial(_orders, shares=3_000_000), rounds=5),
    Case("orders_short", "us", "each order walked alone", partial(_orders, shares=5_000), rounds=5),
    Case("baselines", TV, ENGINE, _baselines, rounds=5),
    Case("allocate", "us", "the exhaustive search over whole lots", _allocate),
)
