"""Cuts the grid into chunks, one at a time, sized by what earlier chunks took. No result depends on the cuts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import product
from math import inf
from statistics import fmean, median
from typing import TYPE_CHECKING, Final, NamedTuple

from sweep.events import NullListener

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sweep.events import Finished

    Measured = Sequence[tuple[int, float]]

TARGET_SECONDS: Final = 0.1
"""A chunk should take about this long: far above the cost of a task, short enough to lose and to balance."""

LEAST_SECONDS: Final = 0.01
"""Chunks are not cut below this much work to give every worker several."""

TASK_SECONDS: Final = 0.0007
"""What a chunk costs the driver: to keep W workers busy, a chunk has to take W times that."""

ATTEMPTS: Final = 5
"""Worker processes that a single combination may end while it runs alone, in turn with a witness."""

PER_WORKER: Final = 8
"""Chunks per worker where the work is long enough: a chunk that ends late then costs little."""

FIRST: Final = 64
"""Combinations of a chunk at most where nothing is measured yet: as many as share one pass over the tape."""

GROWTH: Final = 4
"""How many times as large as the largest measured chunk a chunk is at most."""

LARGEST: Final = 2**18
"""Combinations of a chunk at most: 18 MB of rows where no two of them share one."""

REMEMBERED: Final = 8
"""The latest measurements kept per size class; their median counts, so that one slow chunk decides nothing."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The combinations [first, past) of an order on a tape, or of several orders that share a walk.

    Attributes
    ----------
    tape, order, first, past : int
    orders : int
        How many orders, from `order` on.
    """

    tape: int
    order: int
    first: int
    past: int
    orders: int = 1

    def __len__(self) -> int:
        return self.orders * (self.past - self.first)

    def __str__(self) -> str:
        """A short name, unique in a run: tape/order/first-last, both ends included."""
        orders = f"{self.order}" if self.orders == 1 else f"{self.order}-{self.order + self.orders - 1}"
        return f"chunk {self.tape}/{orders}/{self.first}-{self.past - 1}"

    def halves(self) -> tuple[Chunk, ...]:
        """Two chunks of half the orders, or of half the combinations of one order; () for a single combination."""
        if self.orders > 1:
            half = self.orders // 2
            return replace(self, orders=half), replace(self, order=self.order + half, orders=self.orders - half)
        if self.past - self.first > 1:
            middle = (self.first + self.past) // 2
            return replace(self, past=middle), replace(self, first=middle)
        return ()


class Span(NamedTuple):
    """Neighbouring combinations [first, past) of an order on a tape that are still to be run."""

    tape: int
    order: int
    first: int
    past: int


def within(spans: Iterable[Span], ranges: Iterable[tuple[int, int]]) -> list[Span]:
    """The parts of some spans that lie in ranges of combinations [first, past), each in one."""
    return [
        span._replace(first=max(span.first, first), past=min(span.past, past))
        for span in spans
        for first, past in ranges
        if max(span.first, first) < min(span.past, past)
    ]


class Cutter(NullListener):
    """Hands out every combination once, in chunks, lazily; their sizes follow from finished chunks.

    A lost chunk is handed out again as two halves: after `take` returned None there may be more. The cutter listens to
    the run that it cuts.

    A chunk of K combinations takes about pass + each * K seconds: it shares one pass over the tape. Both are fitted to
    the chunks that finished, size class by size class. A chunk is then sized

    - to take `TARGET_SECONDS`, or, if that is longer, as long as two passes, so that the pass is at most half of it, or
      twice as long as the driver takes to hand one to each worker;
    - or smaller, so that each worker has `PER_WORKER` of them, and towards the end half of its share of what is left;
      but never below `LEAST_SECONDS` of work, nor below what its pass takes, nor what the driver does;
    - never larger than a worker's share of the whole, `GROWTH` times the largest measured, or `LARGEST`.

    Parameters
    ----------
    tapes, orders, combinations : int
        How many of each; combinations are those of the grid.
    workers : int
        How many there are at first; `workers` may be set later.
    measured : sequence of (combinations, seconds)
        Earlier measurements.
    together : bool
        Each chunk holds all orders of a tape; its combinations are then counted once, not once per order.
    spans : iterable of Span, optional
        What is left to run; everything by default.
    """

    def __init__(
        self,
        tapes: int,
        orders: int,
        combinations: int,
        workers: int,
        measured: Measured = (),
        *,
        together: bool = False,
        spans: Iterable[Span] | None = None,
    ) -> None:
        self._in_chunk = orders if together else 1
        self.workers = workers
        self._again: list[Chunk] = []
        if spans is None:
            starts = product(range(tapes), range(0, orders, self._in_chunk))
            spans = (Span(tape, order, 0, combinations) for tape, order in starts)
        self._spans = deque(span for span in spans if span.first < span.past)
        self._total = sum(span.past - span.first for span in self._spans)
        self._handed = 0
        self._pass = self._each = 0.0
        self._largest = 0
        self._classes: dict[int, deque[tuple[int, float]]] = {}
        for measurement in measured:
            self.learn(*measurement)

    def take(self) -> Chunk | None:
        """The next chunk; None while none is left."""
        if self._again:
            return self._again.pop()
        if not self._spans:
            return None
        tape, order, first, last = self._spans.popleft()
        past = min(first + self._size(), last)
        if past < last:
            self._spans.appendleft(Span(tape, order, past, last))
        self._handed += past - first
        return Chunk(tape, order, first, past, self._in_chunk)

    def finished(self, event: Finished) -> None:
        """Learn what a chunk took, unless it searched for a failure, and how many workers there are now."""
        if not event.failed:
            self.learn(event.width, event.seconds)
        self.workers = event.workers

    def learn(self, combinations: int, seconds: float) -> None:
        """Learn how many seconds a chunk took."""
        self._largest = max(self._largest, combinations)
        size_class = self._classes.setdefault(combinations.bit_length(), deque(maxlen=REMEMBERED))
        size_class.append((combinations, seconds))
        self._pass, self._each = fit(
            [tuple(map(median, zip(*points, strict=True))) for points in self._classes.values()]
        )

    def lost(self, chunk: Chunk) -> bool:
        """Hand out a chunk that ended its process again, in halves, the last lost first, which isolates the culprit.

        Returns
        -------
        bool
            Whether it is handed out again; False for a single combination.
        """
        halves = chunk.halves()
        self._again += reversed(halves)
        return bool(halves)

    def _size(self) -> int:
        share = -(-self._total // self.workers)
        if not self._largest:
            return min(share, FIRST)
        feeding = TASK_SECONDS * self.workers
        target = max(TARGET_SECONDS, 2 * self._pass, 2 * feeding)
        by_time = (target - self._pass) / self._each if self._each else inf
        least = max(LEAST_SECONDS, self._pass, feeding) / self._each if self._each else inf
        combinations_left = self._total - self._handed
        balanced = min(-(-self._total // (PER_WORKER * self.workers)), -(-combinations_left // (2 * self.workers)))
        return max(1, int(min(by_time, max(balanced, least), share, GROWTH * self._largest, LARGEST)))


class Suspects:
    """Hands out a cutter's chunks, and at the end each single combination that was lost, in turn with a witness.

    Processes end for many reasons, and a combination may only be reported as failed if it is the reason. So one that
    ended its process waits until all others are done, and then has `ATTEMPTS`, with nothing beside it. Between them a
    witness, which has run before, runs once more: if it is lost too, something outside ends the processes, and no loss
    so far says anything about any combination.

    Parameters
    ----------
    cutter : Cutter
    witness : Chunk, optional
        A chunk that has run before; larger chunks that run replace it.
    """

    def __init__(self, cutter: Cutter, witness: Chunk | None = None) -> None:
        self._cutter, self._witness = cutter, witness
        self._aside: deque[Chunk] = deque()
        self._ended = 0
        self._flying = 0
        self._testifies = self._called = False

    def take(self) -> Chunk | None:
        """The next chunk; None while none is left, or while one that has to run alone waits."""
        chunk = self._cutter.take() or self._alone()
        if chunk is not None:
            self._flying += 1
        return chunk

    def _alone(self) -> Chunk | None:
        if self._flying or not self._aside:
            return None
        self._testifies = self._called and self._witness is not None
        self._called = False
        return self._witness if self._testifies and self._witness is not None else self._aside[0]

    @property
    def witnessed(self) -> bool:
        """Whether any combination has run."""
        return self._witness is not None

    def done(self, chunk: Chunk) -> bool:
        """Note a chunk that has run.

        Returns
        -------
        bool
            Whether its rows are new; False for a witness.
        """
        self._flying -= 1
        if self._testifies:
            self._testifies = False
            return False
        if self._witness is None or len(chunk) > len(self._witness):  # the longer a witness runs, the more it tells
            self._witness = chunk
        if self._aside and chunk == self._aside[0]:
            self._aside.popleft()
            self._ended = 0
        return True

    def lost(self, chunk: Chunk) -> bool:
        """Note a chunk that ended its process.

        Returns
        -------
        bool
            Whether it runs again; False for a combination that used all its attempts.
        """
        self._flying -= 1
        if self._testifies:
            self._testifies, self._ended = False, 0
            return True
        if self._cutter.lost(chunk):
            return True
        if not self._aside or chunk != self._aside[0]:
            self._aside.append(chunk)
            return True
        self._called = True
        self._ended += 1
        if self._ended < ATTEMPTS:
            return True
        self._aside.popleft()
        self._ended = 0
        return False


def fit(points: list[tuple[float, ...]]) -> tuple[float, float]:
    """Seconds of a pass, and of each combination on top, by least squares; neither is below 0.

    Parameters
    ----------
    points : list of (combinations, seconds)
        One or more. Points of one size cannot tell the two apart: then the pass is taken to be 0.
    """
    sizes, seconds = [size for size, _ in points], [taken for _, taken in points]
    middle, mean = fmean(sizes), fmean(seconds)
    spread = sum((size - middle) ** 2 for size in sizes)
    if spread:
        per_combination = max(0.0, sum((size - middle) * taken for size, taken in points) / spread)
        if mean >= per_combination * middle:
            return mean - per_combination * middle, per_combination
    return 0.0, sum(size * taken for size, taken in points) / sum(size * size for size in sizes)
