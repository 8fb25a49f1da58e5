"""What a report shows beside the results: the paths of some orders through the book, and quality over time.

They are looked at while the tapes are in the object store, and are stored with the run: a report needs no source.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocator.fills import Fills, stood_mids
from allocator.simulate import trace_baselines, trace_combination
from feed.quality import over_time
from sweep.asking import by_itself, on_tape, tapes_of
from sweep.statistics import in_bps, saved_by_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from allocator.book import Book
    from allocator.order import Order, ParameterColumns
    from sweep.answering import FirstWorld
    from sweep.config import Question
    from sweep.executors import Handle
    from sweep.statistics import Orders
    from sweep.tapes import Session
    from sweep.tasks import Job

    Columns = dict[str, Any]

EXTREMES: Final = 10
"""Orders of the largest savings, and of the smallest, whose paths are kept."""

SAMPLES: Final = 240
"""Snapshots of an order's span whose quotes are kept, beside those at its fills."""

STRETCHES: Final = 96
"""Of a tape whose quality is counted over time."""

MOST_STRETCHES: Final = 2_000
"""Of all tapes together, but four of each."""


def extremes(savings: Sequence[float]) -> list[int]:
    """The positions of the orders whose paths are kept, ascending: the ten largest, the ten smallest, the median one.

    Parameters
    ----------
    savings : (N,) sequence of float
        Of each order; equal ones count in their order.
    """
    ranked = sorted(range(len(savings)), key=savings.__getitem__)
    return sorted({*ranked[:EXTREMES], *ranked[-EXTREMES:], ranked[(len(ranked) - 1) // 2]})


def paths(book: Book, job: Job, parameters: ParameterColumns) -> tuple[Columns, Columns]:
    """The fills of one combination and of every baseline for each order of a job, and the market around them.

    Returns
    -------
    fills : dict of str to (F,) columns
        ``strategy``, ``position`` (of the order in the job), ``ts`` (UTC nanoseconds), ``venue`` (publisher id),
        ``shares``, ``price`` (1e-9 $, before fees), ``passive`` (1 or 0).
    market : dict of str to (M,) int64
        ``position``, ``ts``, ``bid`` and ``ask`` (best displayed, 1e-9 $, 0 = none), ``bid_shares`` and ``ask_shares``
        (displayed first levels of all venues).
    """
    settings = job.settings
    fees, stood = settings.fees.of(book), stood_mids(book)
    filled: list[Columns] = []
    market: list[Columns] = []
    for position, order in enumerate(job.orders):
        runs = {
            "optimized": trace_combination(
                book, order, settings.rules, settings.policy, fees, parameters, stood=stood, record=True
            ),
            **trace_baselines(
                book,
                order,
                settings.rules,
                fees,
                settings.conventions,
                follower=settings.baseline,
                stood=stood,
                more=dict(job.baselines),
            ),
        }
        fills = Fills.of([run.fills for run in runs.values()])
        names = list(runs)
        filled.append(
            {
                "strategy": [names[run] for run in fills.run.tolist()],
                "position": np.full(len(fills.run), position),
                "ts": book.ts[fills.snapshot],
                "venue": book.venues[fills.venue].astype(np.int64),
                "shares": fills.shares,
                "price": fills.price,
                "passive": fills.passive.astype(np.int64),
            }
        )
        market.append(_around(book, order, position, fills.snapshot[fills.run == 0]))
    return joined(filled), joined(market)


def _around(book: Book, order: Order, position: int, fills: NDArray[np.int64]) -> Columns:
    """The market while an order runs: at even times, and when it is filled."""
    times = np.linspace(order.start, order.end, SAMPLES).astype(np.int64)
    at = np.searchsorted(book.ts, times, "right") - 1
    at = np.unique(np.concatenate([at[at >= 0], fills]))
    bid_ticks, ask_ticks = (ticks[at].astype(np.int64) for ticks in (book.bid_ticks, book.ask_ticks))
    none = np.iinfo(np.int64).max
    asks = np.where(ask_ticks != 0, book.base + book.tick * ask_ticks, none).min(axis=1, initial=none)
    return {
        "position": np.full(len(at), position),
        "ts": np.maximum(book.ts[at], order.start),
        "bid": np.where(bid_ticks != 0, book.base + book.tick * bid_ticks, 0).max(axis=1, initial=0),
        "ask": np.where(asks < none, asks, 0),
        "bid_shares": np.where(bid_ticks != 0, book.bid_sz[at], 0).sum(axis=1, dtype=np.int64),
        "ask_shares": np.where(ask_ticks != 0, book.ask_sz[at], 0).sum(axis=1, dtype=np.int64),
    }


def joined(parts: Sequence[Columns]) -> Columns:
    """The columns of several tables, one after the other."""
    return {
        name: [each for part in parts for each in part[name]]
        if isinstance(parts[0][name], list)
        else np.concatenate([part[name] for part in parts])
        for name in parts[0]
    }


class Timelines:
    """The quality over time of each tape that has orders, counted while the tape is at hand for something else.

    Parameters
    ----------
    session : Session
    orders : Orders
    """

    def __init__(self, session: Session, orders: Orders) -> None:
        self._session = session
        self._stretches = min(STRETCHES, max(4, MOST_STRETCHES // len(tapes_of(orders))))
        self._begun: list[tuple[int, Handle]] = []

    def look(self, number: int) -> None:
        """Begin to count a tape, which is fetched."""
        quoted = self._session.tapes.facts[number].quoted
        if quoted is not None:
            tape = self._session.tapes.fetch(number).tape
            self._begun.append((number, self._session.executor.call(over_time, tape, *quoted, self._stretches)))

    def columns(self) -> Columns:
        """As of `feed.quality.over_time`, with the number of the ``tape`` before it."""
        each = ((number, self._session.executor.get(handle)) for number, handle in self._begun)
        return joined([{"tape": np.full(len(counted["start"]), number), **counted} for number, counted in each])


def views_of(
    session: Session, question: Question, job: Job, orders: Orders, first: FirstWorld, timelines: Timelines
) -> dict[str, Columns]:
    """Look at the market, in the first world that has an answer.

    Parameters
    ----------
    session, question, job, orders
        As of `sweep.answering.answer_of`.
    first : FirstWorld
    timelines : Timelines
        Of all tapes.

    Returns
    -------
    dict of str to columns
        ``fills`` and ``paths`` as of `paths`, positions counted over all orders; ``timeline`` as of `timelines`.
    """
    wanted = extremes(np.nan_to_num(in_bps(*saved_by_order(first.orders, first.against))).tolist())
    variant = question.variants.each[question.grid.variant_of(first.best)]
    parameters = question.grid.parameters_of(np.array([first.best]))
    filled: list[Columns] = []
    market: list[Columns] = []
    for number in tapes_of(orders):
        span = orders.span_of(number)
        inside = [position - span.start for position in wanted if position in span]
        if not inside:
            continue
        book = session.tapes.fetch(number).books[variant.book]
        whole = by_itself(on_tape(job, orders, number), variant.settings)
        few = replace(whole, edges=(), orders=tuple(whole.orders[position] for position in inside))
        each = session.executor.get(session.executor.call(paths, book, few, parameters))
        places = np.array(inside) + span.start
        for columns_of, table in zip(each, (filled, market), strict=True):
            table.append({**columns_of, "position": places[columns_of["position"]]})
    return {"fills": joined(filled), "paths": joined(market), "timeline": timelines.columns()}
