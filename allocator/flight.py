"""Child orders on their way: when each meets the book of its venue, and what it takes there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from allocator.book import Book
    from allocator.order import Latency

WORD: Final = 2**64 - 1


def mixed(number: int) -> int:
    """The number that splitmix64 (G. Steele, D. Lea, C. Flood, 2014) draws in a state; both of 64 bits, unsigned."""
    number = (int(number) + 0x9E3779B97F4A7C15) & WORD
    number = ((number ^ number >> 30) * 0xBF58476D1CE4E5B9) & WORD
    number = ((number ^ number >> 27) * 0x94D049BB133111EB) & WORD
    return number ^ number >> 31


def drawn(seed: int, ts: int, venue: int, choices: int) -> int:
    """Which of its choices of a latency a child order has that is sent at `ts` to a publisher id.

    Nothing else plays a part: it is the same for every combination, kernel and process.
    """
    return mixed(mixed(mixed(seed & WORD) ^ ts & WORD) ^ venue & WORD) % choices


@dataclass(frozen=True, slots=True)
class Child:
    """An immediate-or-cancel order to a venue.

    Attributes
    ----------
    venue : int
        Index.
    shares : int
        In units.
    limit : int
        The dearest signed price that it takes, without the fee, 1e-9 $.
    """

    venue: int
    shares: int
    limit: int

    def takes(self, prices: Sequence[int], left: Sequence[int], depth: int) -> Iterator[tuple[int, int]]:
        """Supplies of its venue and the units that it takes of each, the best price first.

        Parameters
        ----------
        prices, left : (V * depth,) sequence of int
            Signed, 1e-9 $; what is left of each supply, in units, 0 where nothing is displayed.
        depth : int
            Supplies of a venue, which stand in the order of their price.
        """
        missing = self.shares
        for s in range(self.venue * depth, (self.venue + 1) * depth):
            if left[s] and missing and prices[s] <= self.limit:
                shares = min(left[s], missing)
                missing -= shares
                yield s, shares


class Flight:
    """The children of one order that have been sent and have not arrived.

    Parameters
    ----------
    book : Book
    latency : Latency
    """

    def __init__(self, book: Book, latency: Latency) -> None:
        self._ts, self._seed = book.ts, latency.seed
        self._ids, self._choices = book.venues.tolist(), latency.of(book.venues.tolist())
        self._children: list[tuple[int, Child]] = []

    @property
    def shares(self) -> int:
        """Units on their way."""
        return sum(child.shares for _, child in self._children)

    def arrival(self, t: int, v: int) -> int:
        """The first snapshot that a child meets which is sent at snapshot t to a venue; t itself without latency."""
        ts, choices = int(self._ts[t]), self._choices[v]
        waits = choices[drawn(self._seed, ts, self._ids[v], len(choices))]
        return t if waits == 0 else int(np.searchsorted(self._ts, ts + waits))

    def send(self, child: Child, at: int) -> None:
        """Let a child go that arrives at a snapshot."""
        self._children.append((at, child))

    def arriving(self, t: int) -> list[Child]:
        """Those that arrive at a snapshot, in the order in which they were sent; they are on their way no more."""
        arrived = [child for at, child in self._children if at == t]
        self._children = [(at, child) for at, child in self._children if at != t]
        return arrived

    def leave(self, prices: Sequence[int], left: Sequence[int], depth: int) -> list[int]:
        """What the children would leave of each supply, in units, if they met it now in the order of sending."""
        left = list(left)
        for _, child in self._children:
            for s, shares in child.takes(prices, left, depth):
                left[s] -= shares
        return left
