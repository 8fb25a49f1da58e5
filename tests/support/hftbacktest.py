"""A market of one venue as hftbacktest reads it, and what its queues do with an order, restated from its behaviour.

Restated so that each difference from ours has a name: with every one of `OURS` on, the restatement is our rule; with
none, it is hftbacktest's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.tape import Tape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from allocator.book import Book
    from feed.tape import Trades

EVENT = np.dtype(
    [
        *(("ev", "u8"), ("exch_ts", "i8"), ("local_ts", "i8"), ("px", "f8"), ("qty", "f8")),
        *(("order_id", "u8"), ("ival", "i8"), ("fval", "f8")),
    ],
    align=True,
)
"""hftbacktest's `event_dtype`."""
DEPTH, TRADE, BOTH_SEE_IT, BUY, SELL = 1, 2, 1 << 31 | 1 << 30, 1 << 29, 1 << 28

FULL = 2**60
"""Shares through the front of a place that is passed whole, as `allocator.queues` has it."""
START, MILLISECOND, CENT, PAR = 1_700_000_000 * 10**9, 10**6, 10**7, 10_000
"""PAR in cents."""


# ------------------------------------------------------------------------------------------------------------ events


def events_with_prints(book: Book, trades: Trades, side: str) -> NDArray[np.void]:
    """The first levels and the prints of a book of one venue, for orders that rest on the side of `side`.

    A print comes before the rows of its instant, and who took where nobody knows took our queue. A price of our side
    that the best has risen above stays as it was last displayed, since rows of one level say nothing of it; one above
    the best goes. Of the other side there is the best alone. What goes comes before what comes.
    """
    ours, taker = (BUY, SELL) if side == "buy" else (SELL, BUY)
    market = Market(book, trades, side)
    sign, prints = market.sign, market.prints
    others = (book.ask_sz if sign > 0 else book.bid_sz)[:, 0].tolist()
    rows: list[tuple[int, int, int, int]] = []
    shown: dict[int, int] = {}
    best = (0, 0)
    k = 0
    for t, ts in enumerate(market.ts):
        while k < len(prints) and prints[k][0] <= ts:
            at, px, sz, aggressor = prints[k]
            rows.append((at, TRADE | (taker if aggressor in (0, -sign) else ours), px, sz))
            k += 1
        px, sz = market.px[t], market.sz[t]
        if px:
            for gone in [price for price in shown if price * sign > px * sign]:
                rows.append((ts, DEPTH | ours, gone, 0))
                del shown[gone]
        now = market.far[t], others[t]
        if best[0] not in (0, now[0]):
            rows.append((ts, DEPTH | taker, best[0], 0))
        if px and shown.get(px) != sz:
            rows.append((ts, DEPTH | ours, px, sz))
            shown[px] = sz
        if now[0] and now != best:
            rows.append((ts, DEPTH | taker, *now))
        best = now
    events = np.zeros(len(rows), EVENT)
    ts, ev, px, sz = np.array(rows, np.int64).T
    events["ev"], events["px"], events["qty"] = ev.astype(np.uint64) | BOTH_SEE_IT, px / 1e9, sz
    events["exch_ts"] = events["local_ts"] = ts
    return events


# ------------------------------------------------------------------------------------------------------------- rules


@dataclass(frozen=True, slots=True)
class QueueDifferences:
    """What of hftbacktest's queue is replaced by our rule.

    Attributes
    ----------
    whole : bool
        Cancels take whole shares from what is ahead, rounded down. Theirs take fractions, and a fill is what they come
        to, rounded.
    reflected : bool
        Cancels are shared out over what the row before displayed, less the prints that this row reflects. Theirs over
        what it displayed.
    next_row : bool
        What a print has taken is looked for up to the first row later than the print. Theirs up to the next change of
        the price's size, whenever that is.
    whoever : bool
        A print beyond our price fills us whoever took. Theirs only one whose aggressor takes our side.
    """

    whole: bool = False
    reflected: bool = False
    next_row: bool = False
    whoever: bool = False


OURS = QueueDifferences(whole=True, reflected=True, next_row=True, whoever=True)


class Market:
    """What the restatement reads of a book of one venue and its prints, for orders of a side: lists of numbers."""

    def __init__(self, book: Book, trades: Trades, side: str) -> None:
        bids, asks = (book.bid_px, book.bid_sz), (book.ask_px, book.ask_sz)
        own, other = (bids, asks) if side == "buy" else (asks, bids)
        self.sign = 1 if side == "buy" else -1
        self.ts = book.ts.tolist()
        self.px, self.sz, self.far = (column[:, 0].tolist() for column in (*own, other[0]))
        self.edges = np.searchsorted(trades.ts, book.ts, "right").tolist()
        self.prints = list(zip(*(getattr(trades, name).tolist() for name in ("ts", "px", "sz", "side")), strict=True))


def restated(
    market: Market, joined: int, past: int, price: int, *, cautious: bool, rules: QueueDifferences
) -> Iterator[tuple[int, int]]:
    """(snapshot, shares through the front so far) of an order at the best price, or better; `FULL` where all.

    `cautious` is their risk-adverse model, in which cancels are behind the order as far as they can be.
    """
    sign, ts, edges = market.sign, market.ts, market.edges
    px, sz, far = market.px, market.sz, market.far
    if far[joined] and far[joined] * sign <= price * sign:
        return
    shown = sz[joined] if px[joined] == price else 0
    ahead, pending, through = float(shown), 0, 0
    for t in range(joined + 1, past):
        before, fresh = through, 0
        for at, print_px, print_sz, aggressor in market.prints[edges[t - 1] : edges[t]]:
            takes_ours = aggressor in (0, -sign)
            if print_px * sign < price * sign and (takes_ours or rules.whoever):
                yield t, FULL
                return
            if print_px == price and takes_ours:
                ahead, pending = ahead - print_sz, pending + print_sz
                fresh += print_sz if at == ts[t] else 0
                filled = math.floor(0.5 - ahead)  # halves away from 0, as they are negative
                if filled > 0:
                    through, ahead = through + filled, 0.0
        if far[t] and far[t] * sign <= price * sign:
            yield t, FULL
            return
        if through != before:
            yield t, through
        if not px[t] or px[t] * sign > price * sign:
            continue
        size = sz[t] if px[t] == price else 0
        if size != shown:
            cancelled = shown - size - pending
            absorbed = min(max(shown - size, 0), pending)
            if cancelled >= 0 and not cautious:
                base = shown - absorbed if rules.reflected else shown
                if rules.whole:
                    ahead -= cancelled * int(ahead) // max(base, int(ahead), 1)
                elif base:
                    behind = base - ahead
                    staying = behind / (behind + ahead)
                    ahead = ahead - (1.0 - staying) * cancelled + min(behind - staying * cancelled, 0.0)
            ahead = min(ahead, size)
            pending = pending - absorbed if rules.next_row else 0
        if rules.next_row:
            pending = min(pending, fresh)
        shown = size


# ------------------------------------------------------------------------------------------------------------ streams


def stream(seed: int, count: int, *, unit: bool) -> Tape:
    """Trades, cancels, increases and moves of the touch of one venue; with them rows that show what was before a trade.

    Of unit orders, or of some to hundreds of shares.
    """
    rng = np.random.default_rng(seed)
    largest = 2 if unit else 300
    bid, ask, sizes = PAR, PAR + 3, {1: 5 * largest, -1: 5 * largest}
    ts, rows, prints = START, [], []

    def amount(most: int) -> int:
        return int(min(most, rng.integers(1, largest)))

    def row(hidden: int = 0) -> None:
        shown = [(bid, sizes[1]), (ask, sizes[-1])]
        if hidden:
            shown[hidden < 0] = (0, 0)
        rows.append((ts, *(number for pair in shown for number in pair)))

    def place() -> int:
        return 8 if unit else int(rng.integers(1, 6)) * largest

    row()
    for kind in rng.choice(["trade", "cancel", "more", "both", "up", "down", "through", "gone", "none"], count,
                           p=[0.3, 0.2, 0.2, 0.1, 0.06, 0.06, 0.02, 0.02, 0.04]):  # fmt: skip
        ts += int(rng.integers(1, 5)) * MILLISECOND
        queue = 1 if rng.integers(2) else -1
        px = bid if queue > 0 else ask
        if kind in ("trade", "both", "none"):
            for _ in range(int(rng.integers(1, 3))):
                if sizes[queue] > 1:
                    took = amount(sizes[queue] - 1)
                    prints.append((ts, px, took, 0 if rng.random() < 0.1 else -queue))
                    sizes[queue] -= took if kind != "none" else 0  # hidden shares, or such as come again at once
            if rng.random() < 0.5 and rows[-1][0] < ts:
                rows.append((ts, *rows[-1][1:]))
                ts += 1000
            if kind == "both" and sizes[queue] > 1:
                sizes[queue] -= amount(sizes[queue] - 1)
        elif kind == "cancel" and sizes[queue] > 1:
            sizes[queue] -= amount(sizes[queue] - 1)
        elif kind == "more":
            sizes[queue] += amount(largest)
        elif kind in ("up", "down"):
            step = 1 if kind == "up" else -1
            if step == queue and ask - bid > 1:  # better
                bid, ask = (bid + 1, ask) if queue > 0 else (bid, ask - 1)
                sizes[queue] = place()
            elif step != queue:
                bid, ask = (bid - 1, ask) if queue > 0 else (bid, ask + 1)
                sizes[queue] = place()
                if ask - bid > 5:  # the other side follows
                    bid, ask = (bid, ask - 1) if queue > 0 else (bid + 1, ask)
                    sizes[-queue] = place()
        elif kind == "through":
            prints.append((ts, px - queue, amount(largest), -queue))
            bid, ask = bid - queue * 2, ask - queue * 2
            sizes = {1: place(), -1: place()}
        row(queue if kind == "gone" else 0)
    return tape_of(rows, prints)


def tape_of(rows: list[tuple[int, ...]], prints: list[tuple[int, ...]]) -> Tape:
    """Rows of instant, bid, its size, ask, its size; prints of instant, price, size, aggressor; prices in cents."""
    columns: dict[str, Any] = dict(zip(("ts", "bid_px", "bid_sz", "ask_px", "ask_sz"), np.array(rows).T, strict=True))
    trades: dict[str, Any] = dict(
        zip(("ts", "px", "sz", "side"), np.array(prints, np.int64).reshape(-1, 4).T, strict=True)
    )
    for each, names in ((columns, ("bid_px", "ask_px")), (trades, ("px",))):
        for name in names:
            each[name] = each[name] * CENT
    return Tape.build(
        "ONE",
        **columns,
        venue=np.full(len(rows), 1),
        sequence=np.arange(len(rows)),
        trades={**trades, "venue": np.full(len(prints), 1), "sequence": np.arange(len(prints))},
    )
