"""The solver of `allocator.kernels.placement` once more, plainly: each step is compared by the value at both ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, product

LOOKS = 8


@dataclass(frozen=True)
class Problem:
    """What `allocator.kernels.placement.best` is given, as Python's own numbers; `through` has a row for each queue."""

    size: int
    through: list[list[int]]
    market_sizes: list[int]
    market_costs: list[int]
    gain: list[int]
    theta: int
    under: int
    over: int
    known: dict = field(default_factory=dict, compare=False, repr=False)

    @property
    def venues(self):
        return len(self.through)

    @property
    def most(self):
        return min(self.size, sum(self.market_sizes))

    def market(self, shares):
        total = 0
        for offered, cost in zip(self.market_sizes, self.market_costs, strict=True):
            total += min(offered, shares) * cost
            shares -= min(offered, shares)
        return total

    def value(self, x):
        """The sum of v(X, xi) over the samples."""
        key = tuple(x)
        if key not in self.known:
            self.known[key] = self._value(*key)
        return self.known[key]

    def _value(self, market, *limits):
        x, total = [market, *limits], 0
        for sample in zip(*self.through, strict=True):
            fills = [min(u, limit) for u, limit in zip(sample, limits, strict=True)]
            short = max(self.size - market - sum(fills), 0)
            excess = max(market + sum(fills) - self.size, 0)
            total += (
                self.market(market)
                - sum(gain * fill for gain, fill in zip(self.gain, fills, strict=True))
                + self.theta * (sum(x) + short)
                + self.under * short
                + self.over * excess
            )
        return total

    def allows(self, x):
        market, *limits = x
        enough = sum(x) >= self.size if limits else market == self.most
        return enough and 0 <= market <= self.most and all(0 <= limit <= self.size - market for limit in limits)


def moved(x, way, t):
    return [shares + t * each for shares, each in zip(x, way, strict=True)]


def room_of(problem, x, way):
    """How many steps remain allowed; what is allowed is convex."""
    low, high = 0, problem.size
    while low < high:
        middle = (low + high + 1) // 2
        if problem.allows(moved(x, way, middle)):
            low = middle
        else:
            high = middle - 1
    return low


def lines_of(problem):
    """Pairs of a giver and a taker, the last of which is nobody; and what a step changes."""
    nobody = problem.venues + 1
    for a, b in product(range(nobody + 1), repeat=2):
        if a != b:
            yield nobody in {a, b}, [(k == b) - (k == a) for k in range(nobody)]


def bundles_of(problem, x, *, pairs):
    """Groups of limit orders, for the market and against it."""
    numbers = range(1, problem.venues + 1)
    if len(numbers) < 2:
        return
    groups = [list(numbers), [k for k in numbers if x[k] == problem.size - x[0]]]
    if pairs:
        groups += [list(pair) for pair in combinations(numbers, 2)]
    for group in groups:
        for sign in (1, -1):
            if len(group) > 1:
                yield [-sign, *(sign if k in group else 0 for k in numbers)]


def bottom(problem, x, way, room):
    def goes_down(t):
        return problem.value(moved(x, way, t + 1)) < problem.value(moved(x, way, t))

    while True:
        low, high = 0, 1
        while high < room and goes_down(high):
            low, high = high, 4 * high
        high = min(high, room)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if goes_down(middle) else (low, middle)
        if problem.value(moved(x, way, high)) < problem.value(x):
            return moved(x, way, high)
        room = high // 4 + 1


def goes_down_at_once(problem, x, way):
    return room_of(problem, x, way) > 0 and problem.value(moved(x, way, 1)) < problem.value(x)


def down_lines(problem, x):
    lines = [way for _, way in lines_of(problem)]
    line = still = 0
    while still < len(lines):
        way = lines[line]
        line, still = (line + 1) % len(lines), still + 1
        if goes_down_at_once(problem, x, way):
            x, still = bottom(problem, x, way, room_of(problem, x, way)), 0
    return x


def look(problem, x, ways):
    """The lowest place looked at of the first way that has a lower one; None where none has."""
    here = problem.value(x)
    for way in ways:
        room = room_of(problem, x, way)
        places = [moved(x, way, room * i // LOOKS) for i in range(1, LOOKS + 1)]
        lowest = min(places, key=problem.value)
        if problem.value(lowest) < here:
            return lowest
    return None


def descend(problem, x, *, everywhere):
    while True:
        x = down_lines(problem, x)
        bundles = list(bundles_of(problem, x, pairs=everywhere))
        way = next((each for each in bundles if goes_down_at_once(problem, x, each)), None)
        if way is not None:
            x = bottom(problem, x, way, room_of(problem, x, way))
            continue
        lines = [way for alone, way in lines_of(problem) if alone or everywhere]
        lower = look(problem, x, lines) or look(problem, x, bundles_of(problem, x, pairs=False))
        if lower is None:
            return x
        x = lower


def feasible(problem, x):
    """Cut to what is allowed; then limit orders take what is missing, in equal parts, the last ones one share more."""
    market = min(max(x[0], 0), problem.most)
    limits = [min(max(limit, 0), problem.size - market) for limit in x[1:]]
    if not limits:
        return [problem.most]
    missing = max(problem.size - market - sum(limits), 0)
    for k in range(len(limits)):
        part = missing // (len(limits) - k)
        limits[k] += part
        missing -= part
    return [market, *limits]


def starts(problem):
    size, venues = problem.size, problem.venues
    yield [size] + [0] * venues
    yield [size // 2] + [size - size // 2] * venues
    medians = [sorted(min(u, size) for u in row)[(len(row) - 1) // 2] for row in problem.through]
    yield [size - sum(medians) // 2, *medians]


def best(problem, start=None):
    """The optimum found and its value."""
    if start is not None:
        x = descend(problem, feasible(problem, start), everywhere=False)
        return x, problem.value(x)
    ends = [descend(problem, feasible(problem, x), everywhere=True) for x in starts(problem)]
    x = min(ends, key=problem.value)
    return x, problem.value(x)
