"""Figures of queues: resting orders at every venue of a tape, and the windows in which their outflow is measured."""

from __future__ import annotations

import os
from dataclasses import fields
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from allocator.book import Book, BookRules, build_book
from allocator.outflow import Outflow, outflow, outflow_plain
from allocator.posting import joinable
from allocator.queues import Cleared, Joins, QueueRules, cleared, cleared_plain
from benchmarks.allocator_bench import carried_book, deep_tape
from benchmarks.frame import Absent, Case, Duel, Scale, Side
from feed.instants import parse_instant
from feed.source import read_source

if TYPE_CHECKING:
    from collections.abc import Callable

VENUES = 12
SECOND = 10**9
RULES = QueueRules()


@cache
def taq_day() -> Book:
    """Regular hours of a stock at twelve venues."""
    folder = os.environ.get("SOR_SWEEP_TEST_DATA")
    path = None if folder is None else Path(folder) / "taq_2018-01-02.csv.gz"
    if path is None or not path.exists():
        raise Absent("SOR_SWEEP_TEST_DATA names no folder with taq_2018-01-02.csv.gz")
    hours = (parse_instant(f"2018-01-02T{clock}:00Z") for clock in ("14:30", "21:00"))
    return build_book(read_source(str(path))[0].clip(*hours), BookRules())


def slices(book: Book, starts: np.ndarray) -> Joins:
    """At each of some snapshots an order at the best bid of every venue, up to the next of them."""
    px = joinable(book, "buy", "touch", starts[:-1])[0]
    part, venue = np.nonzero(px)
    return Joins(venue, starts[part], starts[part + 1], px[part, venue], np.zeros_like(venue))


def until(joins: Joins, past: int) -> Joins:
    """The orders that have ended by a snapshot."""
    early = joins.past <= past
    return Joins(*(getattr(joins, field.name)[early] for field in fields(Joins)))


def same(kind: type[Cleared | Outflow], one: Cleared | Outflow, other: Cleared | Outflow) -> None:
    for field in fields(kind):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), f"{field.name} differs"


def _resting(scale: Scale, book_of: Callable[[Scale], Book], snapshots: int, kept: int) -> Duel:
    """Orders at all venues, renewed every so many snapshots; plain, those of the first ones alone."""
    book = book_of(scale)
    starts = np.arange(0, len(book.ts), snapshots)
    joins, last = slices(book, starts), int(starts[-1])
    few = until(joins, kept * snapshots)

    def guard():
        done = cleared(book, "buy", joins, RULES)
        assert len(done.order) > 0, "nothing was filled"
        assert not done.refused.all(), "nothing rests"
        same(Cleared, cleared(book, "buy", few, RULES), cleared_plain(book, "buy", few, RULES))

    venues = len(book.venues)
    return Duel(
        Side(partial(cleared, book, "buy", joins, RULES), last * venues),
        Side(partial(cleared_plain, book, "buy", few, RULES), kept * snapshots * venues),
        guard,
        f"T={last:,} V={venues}, depth {book.depth}, an order at each venue's best bid, renewed every {snapshots} "
        f"snapshots: {len(joins.venue):,} (baseline T={kept * snapshots:,})",
    )


def _carried(scale: Scale) -> Book:
    return carried_book(scale.pick(500_000, 50_000), VENUES)


def _deep(scale: Scale) -> Book:
    return build_book(deep_tape(scale.pick(300_000, 50_000), VENUES), BookRules())


def _day(_: Scale) -> Book:
    return taq_day()


def _windows(scale: Scale) -> Duel:
    book, length, stride = taq_day(), 30 * SECOND, 5 * SECOND
    first = int(parse_instant("2018-01-02T16:00:00Z") - book.ts[0]) // stride
    windows, few = 40 * 60 // 5, scale.pick(12, 4)
    measure = partial(outflow, book, "buy", [3_000_000] * len(book.venues), length, stride, "touch", RULES)
    plainly = partial(outflow_plain, *measure.args)

    def guard():
        assert measure(first, first + windows).usable.sum() > windows // 2, "windows are not usable"
        same(Outflow, measure(first, first + few), plainly(first, first + few))

    return Duel(
        Side(partial(measure, first, first + windows)),
        Side(partial(plainly, first, first + few), few / windows),
        guard,
        f"the TAQ day, V={len(book.venues)}: {windows} windows of 30 s, one every 5 s, of 40 minutes (baseline {few})",
    )


PLAIN = "the plain functions"

CASES: tuple[Case, ...] = (
    Case("queues", "ns per t v", PLAIN, partial(_resting, book_of=_carried, snapshots=250, kept=2), target=4.0),
    Case("queues_deep", "ns per t v", PLAIN, partial(_resting, book_of=_deep, snapshots=250, kept=2), target=6.0),
    Case("queues_day", "ns per t v", PLAIN, partial(_resting, book_of=_day, snapshots=40, kept=10), target=4.0),
    Case("outflow", "ms", PLAIN, _windows, target=5.0),
)
