"""Where an order is placed: the sample average of Cont and Kukanov's cost, minimised over market and limit orders.

Along a line on which one order grows, one shrinks, or one gives shares to another, the cost is piecewise linear in
whole shares, so whole numbers lose nothing, and need no tolerance. It is not convex (fills beyond the order's size are
paid for by the share, and the worth of fills is concave), so that no point is proven the best one. The descent follows
the slope along each line in turn, by growing steps and bisection, until no line goes down, nor any bundle. Then lines
and bundles are looked at in `LOOKS` places as far as they go; if one is lower, the descent goes on from there.

A line from a to b takes shares from the order of row a and gives them to that of row b. Row 0 is the market order,
rows 1 to K are the limit orders, the last row is none: whatever is taken from it, or given to it, is no order. A bundle
gives each of several limit orders a share for one of the market's, or the other way round. Without bundles the descent
stalls on the ridge on which the whole order fills, and where limit orders are as large as is allowed.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from allocator.kernels.compiling import kernel, ones, record

_I64 = types.Array(types.int64, 1, "C", readonly=True)
_ROWS = types.int64[:, ::1]
_ROW = types.int64[::1]

Rows = Annotated[NDArray[np.int64], _ROWS]
Row = Annotated[NDArray[np.int64], _ROW]
Given = Annotated[NDArray[np.int64], _I64]
Words = Annotated[NDArray[np.uint64], types.uint64[:, ::1]]
Word = Annotated[NDArray[np.uint64], types.uint64[::1]]

LOOKS = 8
"""Places of a line that are looked at, evenly spaced up to its end."""

SURE_BUNDLES = 4
"""All limit orders, and those that are as large as is allowed; both ways. Pairs of them follow."""

STARTS = 3
"""All at the market; half the order everywhere; and limit orders of the median that passes each queue, the market order
less by half of them. From there, of 530 random problems, none ended more than .003 cents per share above the best of 24
starts; with equal shares of the order, and the medians in full, seven did."""


class Problem(NamedTuple):
    """What is minimised; money in any one unit.

    Attributes
    ----------
    size, most : int64
        Shares of the order, and how many of them a market order can buy.
    passed : (K + 2, n) int64
        Shares that pass the front of our place in each queue and sample; `size` for the market.
        For no order it is less than any order may become, so that nothing of it ever fills: -1 - `size`.
    sizes, costs : (B,) int64
        Steps of the market's cost.
    gains : (K + 2,) int64
        What a filled share of each order is worth, beside the shortfall that it spares; 0 for the market.
    theta, short, over : int64
        Of a share sent, a share missing (its own theta included), and a share too many.
    """

    size: int
    most: int
    passed: Rows
    sizes: Given
    costs: Given
    gains: Row
    theta: int
    short: int
    over: int


class Marks(NamedTuple):
    """What a step of each order would meet in each sample, a bit each; W = n / 64 words, rounded up.

    Attributes
    ----------
    lost, won : (K + 2, W) uint64
        Where the last share of each order is filled, and where one more would be.
    short, within : (W,) uint64
        Where fewer shares than S are bought, and where no more are.
    """

    lost: Words
    won: Words
    short: Word
    within: Word


_PROBLEM, _MARKS = record(Problem), record(Marks)


@kernel(types.int64(_PROBLEM, types.int64), counts=False)
def _swept(problem, shares):
    """What a market order costs."""
    total = 0
    for i in range(len(problem.sizes)):
        step = min(problem.sizes[i], shares)
        total += step * problem.costs[i]
        shares -= step
    return total


@kernel(types.void(_PROBLEM, _ROW, _ROW, types.int64, types.int64, _ROW))
def _without(problem, at, filled, a, b, rest):
    """What is missing in each sample without the orders a and b."""
    passed_a, passed_b, at_a, at_b = problem.passed[a], problem.passed[b], at[a], at[b]
    for i in range(len(filled)):
        rest[i] = problem.size - filled[i] + min(passed_a[i], at_a) + min(passed_b[i], at_b)


@kernel(types.UniTuple(types.int64, 3)(_ROW, types.int64, _ROW, types.int64, _ROW))
def _one_of(passed_a, at_a, passed_b, at_b, rest):
    """One share from a to b: in how many samples it was filled at a, and is at b; the change of all shortfalls."""
    lost, won, short = 0, 0, 0
    for i in range(len(rest)):
        u_a, u_b = passed_a[i], passed_b[i]
        missing = rest[i] - min(u_a, at_a) - min(u_b, at_b)
        one_lost, one_won = int(u_a >= at_a), int(u_b > at_b)
        lost += one_lost
        won += one_won
        short += max(missing + one_lost - one_won, 0) - max(missing, 0)
    return lost, won, short


@kernel(types.UniTuple(types.int64, 3)(_ROW, types.int64, _ROW, types.int64, _ROW))
def _all_of(passed_a, at_a, passed_b, at_b, rest):
    """Fills of two orders and all shortfalls, over all samples."""
    filled_a, filled_b, short = 0, 0, 0
    for i in range(len(rest)):
        fill_a, fill_b = min(passed_a[i], at_a), min(passed_b[i], at_b)
        filled_a += fill_a
        filled_b += fill_b
        short += max(rest[i] - fill_a - fill_b, 0)
    return filled_a, filled_b, short


@kernel(types.int64(_PROBLEM, *[types.int64] * 7), counts=False)
def _worth(problem, a, b, before, after, lost, won, short):
    """What a change along a line costs, of the market orders before and after it and what its fills change."""
    total = problem.gains[a] * lost - problem.gains[b] * won
    total += problem.short * short + problem.over * (won - lost + short)
    if a == 0 or b == 0:
        total += problem.passed.shape[1] * (_swept(problem, after) - _swept(problem, before))
    return total


@kernel(types.int64(_PROBLEM, _ROW, _ROW, types.int64, types.int64, types.int64))
def _slope(problem, at, rest, a, b, t):
    """What share t + 1 from a to b costs."""
    passed, none = problem.passed, len(at) - 1
    lost, won, short = _one_of(passed[a], at[a] - t, passed[b], at[b] + t, rest)
    sign = int(b == 0) - int(a == 0)
    market = at[0] + sign * t
    sent = problem.theta * (int(b != none) - int(a != none)) * len(rest)
    return sent + _worth(problem, a, b, market, market + sign, lost, won, short)


@kernel(types.int64(_PROBLEM, _ROW, _ROW, types.int64, types.int64, types.int64))
def _change(problem, at, rest, a, b, t):
    """What t shares from a to b cost."""
    passed, none = problem.passed, len(at) - 1
    filled_a, filled_b, short = _all_of(passed[a], at[a], passed[b], at[b], rest)
    then_a, then_b, then = _all_of(passed[a], at[a] - t, passed[b], at[b] + t, rest)
    sign = int(b == 0) - int(a == 0)
    sent = problem.theta * (int(b != none) - int(a != none)) * len(rest) * t
    lost, won = filled_a - then_a, then_b - filled_b
    return sent + _worth(problem, a, b, at[0], at[0] + sign * t, lost, won, then - short)


@kernel(types.int64(_PROBLEM, _ROW, types.int64, types.int64))
def _room(problem, at, a, b):
    """How many shares a can give b."""
    none = len(at) - 1
    room = problem.size
    if a != none:
        room = min(room, at[a])
        if b == none:
            room = min(room, at[:none].sum() - problem.size)
    if b == 0:
        room = min(room, problem.most - at[0])
        for k in range(1, none):
            if k != a:
                room = min(room, problem.size - at[0] - at[k])
    elif b != none and a != 0:
        room = min(room, problem.size - at[0] - at[b])
    return room


@kernel(types.void(_PROBLEM, _ROW, _ROW, types.int64, types.int64, types.int64))
def _move(problem, at, filled, a, b, t):
    """Give t shares of a to b."""
    none = len(at) - 1
    for i in range(len(filled)):
        u_a, u_b = problem.passed[a, i], problem.passed[b, i]
        filled[i] += min(u_a, at[a] - t) - min(u_a, at[a]) + min(u_b, at[b] + t) - min(u_b, at[b])
    at[a] -= t
    at[b] += t
    at[none] = 0


@kernel(types.int64(_PROBLEM, _ROW, _ROW, types.int64, types.int64, types.int64))
def _bottom(problem, at, rest, a, b, room):
    """Where the line from a to b, which goes down at first, stops doing so: by quadrupled steps, then halving.

    It may have risen in between, to an end that is higher than its beginning: then the bottom of a shorter part.
    """
    while True:
        low, high = 0, 1
        while high < room and _slope(problem, at, rest, a, b, high) < 0:
            low, high = high, 4 * high
        high = min(high, room)
        while high - low > 1:
            middle = (low + high) // 2
            if _slope(problem, at, rest, a, b, middle) < 0:
                low = middle
            else:
                high = middle
        if high == 1 or _change(problem, at, rest, a, b, high) < 0:
            return high
        room = high // 4 + 1


@kernel(types.void(_ROW, types.int64, types.uint64[::1]))
def _mark(values, least, words):
    """Set a bit where a value is at least so much."""
    for w in range(len(values) // 64):
        word = np.uint64(0)
        for bit in range(64):
            word |= np.uint64(values[64 * w + bit] >= least) << np.uint64(bit)
        words[w] = word
    done = len(values) // 64 * 64
    if done < len(values):
        word = np.uint64(0)
        for bit in range(len(values) - done):
            word |= np.uint64(values[done + bit] >= least) << np.uint64(bit)
        words[len(words) - 1] = word


@kernel(types.int64(_PROBLEM, _ROW, _MARKS, types.int64, types.int64))
def _first(problem, at, marks, a, b):
    """What the first share from a to b costs: `_slope` where t = 0, 64 samples at a time."""
    lost, won, short = 0, 0, 0
    for w in range(len(marks.short)):
        less, more = marks.lost[a, w], marks.won[b, w]
        lost += ones(less)
        won += ones(more)
        short += ones(less & ~more & marks.within[w]) - ones(more & ~less & marks.short[w])
    none = len(at) - 1
    sign = int(b == 0) - int(a == 0)
    sent = problem.theta * (int(b != none) - int(a != none)) * problem.passed.shape[1]
    return sent + _worth(problem, a, b, at[0], at[0] + sign, lost, won, short)


@kernel(types.void(_PROBLEM, _ROW, _MARKS, types.int64))
def _mark_order(problem, at, marks, k):
    """Renew the marks of an order."""
    _mark(problem.passed[k], at[k], marks.lost[k])
    _mark(problem.passed[k], at[k] + 1, marks.won[k])


@kernel(types.void(_PROBLEM, _ROW, _MARKS))
def _mark_samples(problem, filled, marks):
    """Renew the marks of all samples."""
    _mark(filled, problem.size, marks.short)
    _mark(filled, problem.size + 1, marks.within)
    for w in range(len(marks.short)):
        marks.short[w] = ~marks.short[w]
        marks.within[w] = ~marks.within[w]


@kernel(types.void(_PROBLEM, _ROW, _ROW))
def _go_down(problem, at, filled):
    """Along each line in turn, until none goes down."""
    rows, words = len(at), (len(filled) + 63) // 64
    lost, won = np.zeros((rows, words), np.uint64), np.zeros((rows, words), np.uint64)
    marks = Marks(lost, won, np.zeros(words, np.uint64), np.zeros(words, np.uint64))
    for k in range(rows):
        _mark_order(problem, at, marks, k)
    _mark_samples(problem, filled, marks)
    rest = np.empty_like(filled)
    lines = rows * rows
    line, still = 0, 0
    while still < lines:
        a, b = line // rows, line % rows
        line = (line + 1) % lines
        still += 1
        if a != b and _first(problem, at, marks, a, b) < 0:
            room = _room(problem, at, a, b)
            if room > 0:
                _without(problem, at, filled, a, b, rest)
                _move(problem, at, filled, a, b, _bottom(problem, at, rest, a, b, room))
                _mark_order(problem, at, marks, a)
                _mark_order(problem, at, marks, b)
                _mark_samples(problem, filled, marks)
                still = 0


@kernel(types.boolean(_PROBLEM, _ROW, _ROW, types.boolean))
def _look_around(problem, at, filled, everywhere):
    """Go to the lowest place looked at of the first line that has a lower one."""
    passed, rows, samples = problem.passed, len(at), len(filled)
    none, rest = rows - 1, np.empty_like(filled)
    for a in range(rows):
        for b in range(rows):
            if a == b or not (everywhere or none in (a, b)):
                continue
            room = _room(problem, at, a, b)
            if room == 0:
                continue
            _without(problem, at, filled, a, b, rest)
            filled_a, filled_b, short = _all_of(passed[a], at[a], passed[b], at[b], rest)
            sign = int(b == 0) - int(a == 0)
            sent = problem.theta * (int(b != none) - int(a != none)) * samples
            least, best = 0, 0
            for i in range(1, LOOKS + 1):
                t = room * i // LOOKS
                if t > 0:
                    then_a, then_b, then = _all_of(passed[a], at[a] - t, passed[b], at[b] + t, rest)
                    lost, won = filled_a - then_a, then_b - filled_b
                    change = _worth(problem, a, b, at[0], at[0] + sign * t, lost, won, then - short) + sent * t
                    if change < least:
                        least, best = change, t
            if best > 0:
                _move(problem, at, filled, a, b, best)
                return True
    return False


@kernel(types.int64(_PROBLEM, _ROW, _ROW))
def _value(problem, at, filled):
    """The sum of the cost over all samples; and what each of them fills."""
    passed, none = problem.passed, len(at) - 1
    total = len(filled) * (_swept(problem, at[0]) + problem.theta * at[:none].sum())
    filled[:] = at[0]
    for k in range(1, none):
        fills = 0
        for i in range(len(filled)):
            fill = min(passed[k, i], at[k])
            fills += fill
            filled[i] += fill
        total -= problem.gains[k] * fills
    short, excess = 0, 0
    for i in range(len(filled)):
        short += max(problem.size - filled[i], 0)
        excess += max(filled[i] - problem.size, 0)
    return total + problem.short * short + problem.over * excess


@kernel(types.int64(_PROBLEM, _ROW, types.int64, _ROW))
def _bundle(problem, at, number, way):
    """Set what a bundle gives each order; how many times it can, 0 where there is no such bundle."""
    none = len(at) - 1
    sign = 1 - number % 2 * 2
    way[:] = 0
    way[0] = -sign
    members = 0
    if number < SURE_BUNDLES:
        for k in range(1, none):
            if number < 2 or at[k] == problem.size - at[0]:
                way[k] = sign
                members += 1
    else:
        pair = (number - SURE_BUNDLES) // 2
        first = 1
        while pair >= none - 1 - first:
            pair -= none - 1 - first
            first += 1
        way[first] = way[first + 1 + pair] = sign
        members = 2
    if members < 2:
        return 0
    room = at[0] if sign > 0 else problem.most - at[0]
    for k in range(1, none):
        if way[k] < 0:
            room = min(room, at[k])
        elif way[k] == 0 and sign < 0:
            room = min(room, problem.size - at[0] - at[k])
    if sign < 0:
        room = min(room, (at[:none].sum() - problem.size) // (members - 1))
    return room


@kernel(types.int64(_PROBLEM, _ROW, _ROW, types.int64, _ROW, _ROW))
def _value_along(problem, at, way, t, to, scratch):
    """The value where t bundles are given."""
    for k in range(len(at)):
        to[k] = at[k] + t * way[k]
    return _value(problem, to, scratch)


@kernel(types.boolean(_PROBLEM, _ROW, _ROW, types.int64, _ROW, _ROW))
def _goes_down(problem, at, way, t, to, scratch):
    here = _value_along(problem, at, way, t, to, scratch)
    return _value_along(problem, at, way, t + 1, to, scratch) < here


@kernel(types.int64(_PROBLEM, _ROW, _ROW, types.int64, _ROW, _ROW))
def _bottom_along(problem, at, way, room, to, scratch):
    """As `_bottom`, of a bundle; it may be higher than the beginning."""
    low, high = 0, 1
    while high < room and _goes_down(problem, at, way, high, to, scratch):
        low, high = high, 4 * high
    high = min(high, room)
    while high - low > 1:
        middle = (low + high) // 2
        if _goes_down(problem, at, way, middle, to, scratch):
            low = middle
        else:
            high = middle
    return high


@kernel(types.boolean(_PROBLEM, _ROW, _ROW, types.int64))
def _bundles_down(problem, at, filled, bundles):
    """Follow the first bundle that goes down."""
    to, way, scratch = np.empty_like(at), np.empty_like(at), np.empty_like(filled)
    here = _value(problem, at, filled)
    for number in range(bundles):
        room = _bundle(problem, at, number, way)
        if room < 1 or _value_along(problem, at, way, 1, to, scratch) >= here:
            continue
        high = _bottom_along(problem, at, way, room, to, scratch)
        while _value_along(problem, at, way, high, to, scratch) >= here:
            high = _bottom_along(problem, at, way, high // 4 + 1, to, scratch)
        at[:] = at + high * way
        return True
    return False


@kernel(types.boolean(_PROBLEM, _ROW, _ROW, types.int64))
def _look_at_bundles(problem, at, filled, bundles):
    """Go to the lowest place looked at of the first bundle that has a lower one."""
    to, way, scratch = np.empty_like(at), np.empty_like(at), np.empty_like(filled)
    least = _value(problem, at, filled)
    for number in range(bundles):
        room, best = _bundle(problem, at, number, way), 0
        for i in range(1, LOOKS + 1):
            t = room * i // LOOKS
            if t > 0:
                value = _value_along(problem, at, way, t, to, scratch)
                if value < least:
                    least, best = value, t
        if best > 0:
            at[:] = at + best * way
            return True
    return False


@kernel(types.void(_PROBLEM, _ROW))
def _allow(problem, at):
    """Cut orders to what is allowed, then raise all limit orders alike until the whole order is sent."""
    none = len(at) - 1
    at[0] = min(max(at[0], 0), problem.most) if none > 1 else problem.most
    total = at[0]
    for k in range(1, none):
        at[k] = min(max(at[k], 0), problem.size - at[0])
        total += at[k]
    for k in range(1, none):
        more = max(problem.size - total, 0) // (none - k)
        at[k] += more
        total += more


@kernel(types.void(_PROBLEM, types.int64, _ROW))
def _begin(problem, start, at):
    """Set a start."""
    passed, size, none = problem.passed, problem.size, len(at) - 1
    at[:] = 0
    if start == 0:
        at[0] = size
    elif start == 1:
        at[0] = size // 2
        at[1:none] = size - size // 2
    else:
        total = 0
        for k in range(1, none):
            low, high = 0, size
            while low < high:
                middle = (low + high) // 2
                below = 0
                for i in range(passed.shape[1]):
                    below += passed[k, i] <= middle
                if 2 * below >= passed.shape[1]:
                    high = middle
                else:
                    low = middle + 1
            at[k] = low
            total += low
        at[0] = size - total // 2
    _allow(problem, at)


@kernel(types.int64(_PROBLEM, _ROW, _ROW, types.boolean))
def _descend(problem, at, filled, everywhere):
    """To a point from which nothing goes down, and nothing that is looked at is lower; its value."""
    limits = len(at) - 2
    bundles = SURE_BUNDLES if limits > 1 else 0
    more = limits * (limits - 1) if everywhere else 0
    while True:
        _value(problem, at, filled)
        _go_down(problem, at, filled)
        if _bundles_down(problem, at, filled, bundles + more):
            continue
        if _look_around(problem, at, filled, everywhere) or _look_at_bundles(problem, at, filled, bundles):
            continue
        return _value(problem, at, filled)


@kernel(
    types.int64(
        types.int64,
        types.Array(types.int64, 2, "C", readonly=True),
        _I64,
        _I64,
        _I64,
        types.int64,
        types.int64,
        types.int64,
        _ROW,
    )
)
def best(size, through, market_sizes, market_costs, gain, theta, under, over, x):
    """Minimise a sum over samples: of each the cost of the market order, of impact, and of a miss, less fills' worth.

    With A = M + sum over k of min(u_k, L_k) that is, of one sample, market(M) - sum gain_k min(u_k, L_k)
    + theta (M + sum L_k + max(S - A, 0)) + under max(S - A, 0) + over max(A - S, 0), over whole 0 <= M <= S,
    0 <= L_k <= S - M, M + sum L_k >= S, and M at most what the market has. No queue at all: M is as much as there is.

    Of points with equal cost the first one met is kept: a descent moves to lower ones only, lines are gone through from
    the market order on, and of starts that end alike the first counts, in the order of `STARTS`.

    Parameters
    ----------
    size : int64
        S, shares.
    through : (K, n) int64
        u: shares that pass the front of our place in queue k in sample i; above S as good as S.
    market_sizes, market_costs : (B,) int64
        What a market order can buy, ascending in cost: shares, and the cost of each of these.
    gain : (K,) int64
        h + r_k, what a passive fill earns against the mid.
    theta, under, over : int64
        Not negative. n * S * (the dearest cost + under + (K + 1) * (the largest gain + theta + over)) is below 2^62.
    x : (K + 1,) int64, also output
        (M, L_1 .. L_K): where to start, made feasible; x[0] = -1: from all of `STARTS`. Then, the optimum.

    Returns
    -------
    int64
        The sum of the cost over all n samples.
    """
    venues, samples = through.shape
    passed = np.empty((venues + 2, samples), np.int64)
    passed[0] = size
    for k in range(venues):
        for i in range(samples):
            passed[1 + k, i] = min(through[k, i], size)
    passed[venues + 1] = -1 - size
    gains = np.zeros(venues + 2, np.int64)
    gains[1 : venues + 1] = gain
    most = min(market_sizes.sum(), size)
    problem = Problem(size, most, passed, market_sizes, market_costs, gains, theta, theta + under, over)
    at, filled = np.zeros(venues + 2, np.int64), np.zeros(samples, np.int64)
    none = venues + 1
    cold = x[0] < 0
    least = 0
    for start in range(STARTS if cold else 1):
        if cold:
            _begin(problem, start, at)
        else:
            at[:none] = x
            _allow(problem, at)
        value = _descend(problem, at, filled, cold)
        if start == 0 or value < least:
            least = value
            x[:] = at[:none]
    return least


LIMIT = 2**61
LEAST_CAP = 2**32
"""A share's costs are cut at this many units of money or more (2.15 $ in half 1e-9 $), so that sums over all samples
fit 64 bits. Where an order is too large for that, shares are counted by more than one while it is decided."""


@kernel(types.UniTuple(types.int64, 2)(types.int64, types.int64, types.int64))
def unit_and_cap(size, samples, venues):
    """How many shares are counted as one, and at what a share's costs are cut."""
    terms = samples * (2 * venues + 6)
    unit = max(1, -(-(terms * size) // (LIMIT // LEAST_CAP)))
    return unit, LIMIT // (terms * -(-size // unit))


@kernel(
    types.void(
        _I64,
        types.Array(types.int64, 2, "C", readonly=True),
        types.Array(types.int64, 2, "C", readonly=True),
        *[_I64] * 5,
        _ROWS,
    )
)
def best_each(sizes, through, market_sizes, market_costs, gain, theta, under, over, x):
    """`best` for C combinations that share their samples; large sizes and amounts are cut as `unit_and_cap` says.

    Parameters
    ----------
    sizes : (C,) int64
        Shares to be placed; of 0 nothing is decided, and its row of x is 0.
    through : (K, n) int64
    market_sizes : (C, B) int64
        What each may buy.
    market_costs : (B,) int64
    gain : (K,) int64
    theta, under, over : (C,) int64
    x : (C, K + 1) int64, also output
        As of `best`, in shares.
    """
    venues, samples = through.shape
    counted, steps = np.empty_like(through), np.empty(len(market_costs), np.int64)
    costs, gains = np.empty(len(market_costs), np.int64), np.empty(venues, np.int64)
    for c in range(len(sizes)):
        if sizes[c] == 0:
            x[c, :] = 0
            continue
        unit, cap = unit_and_cap(sizes[c], samples, venues)
        offered = 0
        for b in range(len(steps)):
            # what is left of a level beyond whole units counts with the next, dearer one
            steps[b] = (offered + market_sizes[c, b]) // unit - offered // unit
            offered += market_sizes[c, b]
            costs[b] = min(market_costs[b], cap)
        for k in range(venues):
            gains[k] = max(min(gain[k], cap), -cap)
            if unit > 1:
                for i in range(samples):
                    counted[k, i] = min(through[k, i], sizes[c]) // unit
        if x[c, 0] > 0:
            for k in range(venues + 1):
                x[c, k] //= unit
        amounts = min(theta[c], cap), min(under[c], cap), min(over[c], cap)
        wanted = -(-sizes[c] // unit)
        best(wanted, counted if unit > 1 else through, steps, costs, gains, *amounts, x[c])
        x[c, 0] = min(x[c, 0] * unit, sizes[c])
        for k in range(1, venues + 1):
            x[c, k] = min(x[c, k] * unit, sizes[c] - x[c, 0])
