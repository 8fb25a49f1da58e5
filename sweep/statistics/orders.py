"""The parent orders on a tape: every side, size and start together, in groups of a cell and a block of time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Final

from allocator.order import Order
from feed.instants import at_clock, format_instant
from feed.markets import session_on
from feed.tape import DAY
from sweep.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from allocator.order import Side
    from feed.markets import Session
    from sweep.config import Clock, ParentOrders

BLOCK_HORIZONS: Final = 2
"""How many horizons a block of time is long at least: orders that overlap mostly share one."""

MOST_ROWS: Final = 2**25
"""Result rows beyond which blocks are merged in pairs: 3 GB of them."""

MOST_ORDERS: Final = 1_000_000
"""Parent orders on a tape at most."""


class NoOrder(ConfigError):  # noqa: N818 - reads as what it says
    """No order fits into the window of a tape."""


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """The parent orders on a tape, by side, size and start, or on several, tape after tape.

    Attributes
    ----------
    orders : tuple of Order
    cells : tuple of (side, size)
        Each has the same starts.
    edges : tuple of int
        G + 1 of them: group g is the orders [edges[g], edges[g + 1]), those of one cell and one block. Groups are
        numbered cell by cell.
    left : tuple of int
        How many more were asked for on each tape that do not fit into its window.
    tapes : tuple of int
        Groups of each tape; () = all are of one.
    skipped : tuple of str
        Which tapes, files and dates are left out because nothing can be bought or sold there, and why.
    """

    orders: tuple[Order, ...]
    cells: tuple[tuple[Side, int], ...]
    edges: tuple[int, ...]
    left: tuple[int, ...] = (0,)
    tapes: tuple[int, ...] = ()
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.orders)

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self.edges) - 1

    @property
    def signs(self) -> tuple[int, ...]:
        """1 or -1 for each group, as `Order.sign`."""
        return tuple(self.orders[first].sign for first in self.edges[:-1])

    @property
    def left_out(self) -> int:
        """How many more were asked for."""
        return sum(self.left)

    @property
    def groups_of(self) -> tuple[int, ...]:
        """How many groups each tape has."""
        return self.tapes or (self.groups,)

    def span_of(self, tape: int) -> range:
        """The positions of the orders of one tape."""
        past = sum(self.groups_of[: tape + 1])
        return range(self.edges[past - self.groups_of[tape]], self.edges[past])

    def of_cells(self) -> Iterator[tuple[tuple[Side, int], list[int]]]:
        """Each cell, and the positions of its orders."""
        positions: dict[tuple[Side, int], list[int]] = {cell: [] for cell in self.cells}
        for position, order in enumerate(self.orders):
            positions[order.side, order.size].append(position)
        return iter(positions.items())

    def on_tape(self, tape: int) -> Orders:
        """The orders of one tape, by itself."""
        past = sum(self.groups_of[: tape + 1])
        edges = self.edges[past - self.groups_of[tape] : past + 1]
        own = tuple(edge - edges[0] for edge in edges)
        return Orders(self.orders[edges[0] : edges[-1]], self.cells, own, (self.left[tape],))


def no_orders(parents: ParentOrders) -> Orders:
    """The orders on a tape that has none."""
    return Orders((), tuple(product(parents.sides, parents.sizes)), (0,))


def joined(each: Sequence[Orders]) -> Orders:
    """The orders of several tapes as one."""
    edges = [0]
    for orders in each:
        edges += [edges[-1] + edge for edge in orders.edges[1:]]
    return Orders(
        tuple(order for orders in each for order in orders.orders),
        each[0].cells,
        tuple(edges),
        tuple(orders.left_out for orders in each),
        tuple(orders.groups for orders in each),
    )


def orders_on(parents: ParentOrders, start: int, end: int, combinations: int = 1) -> Orders:
    """Make the parent orders on a tape.

    Parameters
    ----------
    parents : ParentOrders
    start, end : int
        Its window, UTC nanoseconds, both included.
    combinations : int
        That differ: with so many that their rows per block go beyond `MOST_ROWS`, blocks are merged in pairs.

    Raises
    ------
    ConfigError
        There are too many; NoOrder where none fits into the window.
    """
    cells = tuple(product(parents.sides, parents.sizes))
    spans, left_out = _spans(parents, start, end)
    if len(spans) * len(cells) > MOST_ORDERS:
        raise ConfigError(
            f"order: {len(parents.sides)} sides x {len(parents.sizes)} sizes x {len(spans):,} starts are "
            f"{len(spans) * len(cells):,} orders on a tape, more than {MOST_ORDERS:,}; ask for fewer"
        )
    length = BLOCK_HORIZONS * (parents.horizon or 0) or end - start + 1
    firsts = _block_firsts([first for first, _ in spans], length)
    while len(firsts) > 1 and len(firsts) * len(cells) * combinations > MOST_ROWS:
        length *= 2
        firsts = _block_firsts([first for first, _ in spans], length)
    edges = [n * len(spans) + first for n in range(len(cells)) for first in firsts]
    orders = tuple(Order(side, size, *span) for side, size in cells for span in spans)
    return Orders(orders, cells, (*edges, len(orders)), (left_out * len(cells),))


def _block_firsts(starts: list[int], length: int) -> list[int]:
    """The position of the first start of each block that has one."""
    blocks = [(start - starts[0]) // length for start in starts]
    return [0, *(n for n, (before, block) in enumerate(pairwise(blocks), 1) if block != before)]


def _spans(parents: ParentOrders, start: int, end: int) -> tuple[list[tuple[int, int]], int]:
    """The spans that lie inside the window, ascending, and how many more do not."""
    window = f"the window, {format_instant(start)} to {format_instant(end)}"
    if parents.horizon is None:
        first = parents.starts[0] if parents.starts else start
        last = end if parents.end is None else parents.end
        if first > last:
            raise NoOrder(
                f"order.start is after order.end: {format_instant(first)} and {format_instant(last)}, of which "
                f"{window}, brings one; no order acts on warm-up"
            )
        if not start <= first <= last <= end:
            raise NoOrder(
                f"order: {format_instant(first)} to {format_instant(last)} is not inside {window}; no order acts on "
                "warm-up"
            )
        return [(first, last)], 0
    starts = list(parents.starts or (start,)) if parents.clock is None else list(_by_clock(parents.clock, start, end))
    spans = [(first, first + parents.horizon) for first in starts]
    inside = [(first, last) for first, last in spans if start <= first and last <= end]
    if not inside:
        lasting = f"of {len(starts):,} orders of {parents.horizon / 1e9:g} s" if starts else "no order starts, and"
        raise NoOrder(
            f"order: {lasting} none lies inside {window}; no order acts on warm-up; choose other starts, or a shorter "
            "order.horizon"
        )
    return inside, len(spans) - len(inside)


def _by_clock(clock: Clock, start: int, end: int) -> Iterator[int]:
    """The starts inside a window, between two times of day if there are such."""
    if (end - start) // clock.every > MOST_ORDERS:
        raise ConfigError(
            f"order.every: {clock.every / 1e9:g} s are {(end - start) // clock.every:,} starts in a window of "
            f"{(end - start) / 1e9:,.0f} s, more than {MOST_ORDERS:,}; let them lie further apart"
        )
    by_session = clock.opens or clock.closes
    if clock.first is None and clock.last is None and not by_session:
        yield from range(start, end + 1, clock.every)
        return
    # the date of a zone's clocks may be the one before or after that of UTC; a session is of one
    beside = 0 if by_session else 1
    for day in range(start // DAY - beside, end // DAY + 1 + beside):
        first = (
            max(start, at_clock(day, 0, clock.zone)) if clock.first is None else at_clock(day, clock.first, clock.zone)
        )
        midnight = at_clock(day + 1, 0, clock.zone) - 1
        last = min(end, midnight) if clock.last is None else at_clock(day, clock.last, clock.zone)
        if by_session:
            session = _session_on(day, clock)
            first = session.opens if clock.opens else max(start, day * DAY) if clock.first is None else first
            last = session.closes if clock.closes else min(end, day * DAY + DAY - 1) if clock.last is None else last
        passed = max(0, -(-(start - first) // clock.every))  # starts of that day before the window
        yield from range(first + passed * clock.every, min(last, end) + 1, clock.every)


def _session_on(day: int, clock: Clock) -> Session:
    """The session of a date that the starts are bounded by."""
    try:
        return session_on(day, clock.calendar)
    except ValueError as error:
        raise NoOrder(f"order.{'from' if clock.opens else 'to'}: {error}") from None
