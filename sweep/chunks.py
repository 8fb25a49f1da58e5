"""How the grid is cut into chunks, one at a time, by what the chunks before took. No result depends on the cuts."""

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
"""A chunk should take about this long: far above what a task costs, short enough to lose and to balance."""

LEAST_SECONDS: Final = 0.01
"""No chunk is cut below this much work only so that every worker has several."""

TASK_SECONDS: Final = 0.0007
"""What a chunk costs the driver: with W workers it has to be worth W times that, for one driver to feed them all."""

ATTEMPTS: Final = 5
"""Worker processes that a single combination may end while nothing else runs and what ran before runs again."""

PER_WORKER: Final = 8
"""Chunks of each worker where the work is long enough: one that ends late then costs little."""

FIRST: Final = 64
"""Combinations of a chunk at most where nothing was measured: what one pass over the tape serves."""

GROWTH: Final = 4
"""A chunk is at most so many times as large as the largest one measured."""

LARGEST: Final = 2**18
"""Combinations of a chunk at most: 18 MB of result where no two of them share a row."""

REMEMBERED: Final = 8
"""Measurements kept per size class, the latest; their median counts, so that one slow chunk decides nothing."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The combinations [first, past) of an order on a tape, or of several orders that share what they cost.

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
        """Short, and another for each chunk of a run: tape/order/first-last, all numbers included."""
        orders = f"{self.order}" if self.orders == 1 else f"{self.order}-{self.order + self.orders - 1}"
        return f"chunk {self.tape}/{orders}/{self.first}-{self.past - 1}"

    def halves(self) -> tuple[Chunk, ...]:
        """Two chunks of half the orders, or of half the combinations where there is one; nothing of a single one."""
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


class Cutter(NullListener):
    """Hands out every combination once, in chunks, lazily; sizes follow what is said about finished ones.

    A chunk that is lost is handed out again, as two halves: after it ran out, there may be more. It listens to the
    run that it cuts.

    A chunk of K combinations takes about pass + each * K seconds: it shares one pass over the tape. Both are fitted to
    the chunks that finished, size class by size class. A chunk is then sized

    - to take `TARGET_SECONDS`, or as long as two passes where those are longer, so that the pass is half of it at most,
      or twice as long as the driver takes to hand one to each worker;
    - or smaller, so that each worker has `PER_WORKER` of them, and towards the end half of its share of what is left;
      but never below `LEAST_SECONDS` of work, nor below what its pass takes, nor what the driver does;
    - never larger than a worker's share of the whole, than `GROWTH` times what was measured, or than `LARGEST`.

    Parameters
    ----------
    tapes, orders, combinations : int
        How many of each; combinations are those of the grid.
    workers : int
        As many as there are at first; `workers` may be set while it is used.
    measured : sequence of (combinations, seconds)
        What is known already.
    together : bool
        All orders of a tape are in each chunk; its combinations are then counted once, not once per order.
    spans : iterable of Span, optional
        What is left to run, where it is not everything.
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
        """Learn what a chunk took, unless what failed in it was searched for, and how many workers there are now."""
        if not event.failed:
            self.learn(event.width, event.seconds)
        self.workers = event.workers

    def learn(self, combinations: int, seconds: float) -> None:
        """Learn what a chunk of so many combinations took."""
        self._largest = max(self._largest, combinations)
        size_class = self._classes.setdefault(combinations.bit_length(), deque(maxlen=REMEMBERED))
        size_class.append((combinations, seconds))
        self._pass, self._each = fit([tuple(map(median, zip(*each, strict=True))) for each in self._classes.values()])

    def lost(self, chunk: Chunk) -> bool:
        """Hand out again what ended its process, in halves, the last lost first: soon what is to blame is alone.

        Returns
        -------
        bool
            Whether it was; not a single combination.
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
    """Hands out a cutter's chunks, and at the end what was lost alone: by itself, in turn with a witness.

    Processes end for many reasons, and a combination may only be reported as failed where it is the reason. So one that
    ended its process waits until all the others are done, and has `ATTEMPTS` then, with nothing beside it. Between them
    a witness, which has run before, runs once more: where it is lost too, something outside ends the processes, and no
    loss so far says anything about any combination.

    Parameters
    ----------
    cutter : Cutter
    witness : Chunk, optional
        A chunk that has run before; by default, and where it is smaller, the largest that runs.
    """

    def __init__(self, cutter: Cutter, witness: Chunk | None = None) -> None:
        self._cutter, self._witness = cutter, witness
        self._aside: deque[Chunk] = deque()
        self._ended = 0
        self._flying = 0
        self._testifies = self._called = False

    def take(self) -> Chunk | None:
        """The next chunk; None while none is left, or while one that is to run alone has to wait."""
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
        """Take note of a chunk that has run.

        Returns
        -------
        bool
            Whether its rows are new: not those of a witness.
        """
        self._flying -= 1
        if self._testifies:
            self._testifies = False
            return False
        if self._witness is None or len(chunk) > len(self._witness):  # the longer it runs, the more it tells
            self._witness = chunk
        if self._aside and chunk == self._aside[0]:
            self._aside.popleft()
            self._ended = 0
        return True

    def lost(self, chunk: Chunk) -> bool:
        """Take note of a chunk that ended its process.

        Returns
        -------
        bool
            Whether it is run again; not a combination that is to blame, nor one of which nobody knows.
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
    """Seconds of a pass, and of each combination beside it, by least squares; neither below 0.

    Parameters
    ----------
    points : list of (combinations, seconds)
        One or more. Points of one size cannot tell the two apart: all is then taken to be the combinations'.
    """
    sizes, seconds = [size for size, _ in points], [taken for _, taken in points]
    middle, mean = fmean(sizes), fmean(seconds)
    spread = sum((size - middle) ** 2 for size in sizes)
    if spread:
        per_combination = max(0.0, sum((size - middle) * taken for size, taken in points) / spread)
        if mean >= per_combination * middle:
            return mean - per_combination * middle, per_combination
    return 0.0, sum(size * taken for size, taken in points) / sum(size * size for size in sizes)
