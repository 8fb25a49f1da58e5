"""The section `statistics` of a document, read from the rows of a result by loops and fractions.

From the table of sums and that of orders alone (with `detail` naming what is best of a part of the orders only), by
what docs/orders.md and the docstrings of `sweep.statistics` say. The package is asked for quantiles of Student's t, and
for two figures with tests of their own: the corrected saving and PBO.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from feed.instants import format_instant
from feed.tape import DAY
from sweep.statistics import corrected, pbo
from sweep.statistics.inference import t_quantile

AHEAD = {"vwap", "clairvoyant"}
BPS = 10_000


@dataclass
class Rows:
    """What a result holds, by (tape, group) of orders.

    Attributes
    ----------
    cells : dict of (tape, group) to (side, size)
    spans : dict of (tape, group) to (first, last)
        Nanoseconds.
    notional : dict of (tape, group) to Fraction
        1e-9 $, at the arrival mids.
    paid : dict of strategy to dict of (tape, group) to int
        Signed, 1e-9 $; combinations by number.
    timing : dict of strategy to dict of (tape, group) to int or None
        Half 1e-9 $.
    filled : dict of strategy to dict of (tape, group) to int
        Less what is overfilled.
    """

    cells: dict = field(default_factory=dict)
    spans: dict = field(default_factory=dict)
    notional: dict = field(default_factory=lambda: defaultdict(Fraction))
    paid: dict = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    timing: dict = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    filled: dict = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))


def rows_of(result, world=None, best=None):
    """The rows of a result, or of one world of it: its number, and the combinations that it has."""
    rows, orders, table = Rows(), result.orders_frame(), result.to_frame()
    if world is not None:
        number, combinations = world
        orders, table = orders[orders["world"] == number], table[table["combination"].isin(combinations)]
    for order in orders.to_dict("records"):
        name, at = order["strategy"], (order["tape"], order["group"])
        sign = 1 if order["side"] == "buy" else -1
        if name == "best_ask":
            rows.cells[at] = order["side"], order["size"]
            first, last = rows.spans.get(at, (order["start"], order["end"]))
            rows.spans[at] = min(first, order["start"]), max(last, order["end"])
            rows.notional[at] += Fraction(order["size"] * order["arrival_mid2"], 2)
        key = best if name == "optimized" else name
        if name.startswith("combination "):
            key = int(name.removeprefix("combination "))
        if not isinstance(key, int):
            rows.paid[key][at] += sign * order["total_cash"]
            rows.filled[key][at] += order["filled"] - order["overfilled"]
        if name != "clairvoyant":
            rows.timing[key][at] += order["shortfall_timing"]
    for row in table.to_dict("records"):
        at, number = (row["tape"], row["order"]), row["combination"]
        rows.paid[number][at] = row["total_cash"] * (1 if rows.cells[at][0] == "buy" else -1)
        rows.filled[number][at] = row["filled"] - row["overfilled"]
    return rows


def blocks_of(rows):
    """(first, last) of each block in time, and the block of each group."""
    dates, of_group, spans = sorted({first // DAY for first, _ in rows.spans.values()}), {}, []
    for date in dates:
        own = {at: span for at, span in rows.spans.items() if span[0] // DAY == date}
        starts = {tape: sorted({span[0] for (of, _), span in own.items() if of == tape}) for tape, _ in sorted(own)}
        most = max(len(each) for each in starts.values())
        begins = next(each for each in starts.values() if len(each) == most)
        for at, (first, _) in own.items():
            of_group[at] = len(spans) + min(range(len(begins)), key=lambda n: (abs(begins[n] - first), -n))
        spans += [None] * len(begins)
    for number in range(len(spans)):
        own = [rows.spans[at] for at, of in of_group.items() if of == number]
        spans[number] = min(first for first, _ in own), max(last for _, last in own)
    return spans, of_group


@dataclass
class Spread:
    """A ratio of sums over blocks, and how sure it is.

    Attributes
    ----------
    mean, error, skewness, lag_1 : float
    cosines : int
        That the variance is made of.
    variance : float
        Of a block, in the long run.
    """

    mean: float
    error: float
    skewness: float
    lag_1: float
    cosines: int
    variance: float

    @property
    def reach(self):
        """Half of the interval of 95 %."""
        return t_quantile(0.975, self.cosines) * self.error

    @property
    def detectable(self):
        """With 80 % power."""
        return self.reach + t_quantile(0.8, self.cosines) * self.error


def cosines_of(blocks):
    """How many cosines the variance of a mean over blocks is made of."""
    return max(4, round(0.4 * blocks ** (2 / 3)))


def spread_of(values, notionals):
    """Of the sum of values over that of notionals, by equal-weighted cosines."""
    n, total = len(values), sum(notionals)
    mean = Fraction(sum(values)) / total
    each = [
        float(mean + n * (value - mean * notional) / total) for value, notional in zip(values, notionals, strict=True)
    ]
    centre = sum(each) / n
    apart = [value - centre for value in each]
    square = sum(value**2 for value in apart) / n
    skewness = lag_1 = 0.0
    if max(map(abs, apart)) > 1e-12 * abs(centre):
        skewness = sum(value**3 for value in apart) / n / square**1.5
        lag_1 = sum(a * b for a, b in itertools.pairwise(apart)) / n / square
    b, variance = cosines_of(n), 0.0
    for j in range(1, b + 1):
        weighed = sum(math.sqrt(2) * math.cos(math.pi * j * (i + 0.5) / n) * value for i, value in enumerate(apart))
        variance += weighed**2 / n / b
    return Spread(float(mean), math.sqrt(variance / n), skewness, lag_1, b, variance)


def printed_interval(values, notionals):
    """As the document has it: nothing but a mean below 20 blocks."""
    known = spread_of(values, notionals)
    if len(values) < 20:
        return {"mean": near(known.mean, 2), "low": None, "high": None, "standard_error": None}
    return {
        "mean": near(known.mean, 2),
        "low": near(known.mean - known.reach, 2),
        "high": near(known.mean + known.reach, 2),
        "standard_error": near(known.error, 3),
    }


def near(value, digits):
    """Rounded; a zero has no sign."""
    return round(value, digits) + 0.0


def signed_of(column, *, ratios):
    """The sum of the means of groups of a column's blocks, and those of all signs of them; `ratios`: at unit length."""
    n = len(column)
    groups = 10 if n < 60 else 12
    edges = [n * group // groups for group in range(groups + 1)]
    means = [float(sum(column[a:b])) / (b - a) for a, b in itertools.pairwise(edges)]
    length = math.sqrt(sum(value**2 for value in means)) if ratios else 0
    values = [value / (length or 1) for value in means]
    signed = [0.0]
    for value in values:
        signed = [total + value for total in signed] + [total - value for total in signed]
    return sum(values) - 1e-9 * sum(map(abs, values)), signed  # as many as are equal but for rounding


def adjusted_of(columns):
    """p of each column, by mean / standard error of groups and stepdown."""
    sums, signed = zip(*(signed_of(column, ratios=True) for column in columns), strict=True)
    rising = sorted(range(len(columns)), key=sums.__getitem__)
    highest, alone = [-math.inf] * len(signed[0]), {}
    for at in rising:  # against those whose sums are no larger
        highest = [max(pair) for pair in zip(highest, signed[at], strict=True)]
        alone[at] = sum(each >= sums[at] for each in highest) / len(highest)
    return [max(alone[other] for other in rising if sums[other] >= sums[at]) for at in range(len(columns))]


def by_means(columns, place):
    """p of one column, by the largest mean of all, and what that is on average under all signs."""
    every = [signed_of(column, ratios=False) for column in columns]
    largest = [max(of_vector) for of_vector in zip(*(signed for _, signed in every), strict=True)]
    p = sum(each >= every[place][0] for each in largest) / len(largest)
    return p, sum(largest) / len(largest) / (len(largest).bit_length() - 1)


def folds_of(validation, spans, horizon):
    """(trained, tested) blocks of each fold."""
    count, dates = len(spans), [first // DAY for first, _ in spans]
    days = [[at for at in range(count) if dates[at] == date] for date in sorted(set(dates))]
    pairs = []
    if validation == "leave_one_day_out":
        pairs = [([at for at in range(count) if at not in day], day) for day in days]
    elif validation.startswith("folds="):
        parts, at = int(validation.removeprefix("folds=")), 0
        for part in range(parts):
            size = count // parts + (part < count % parts)
            tested = list(range(at, at + size))
            pairs.append(([each for each in range(count) if each not in tested], tested))
            at += size
    else:
        units = days if len(days) > 1 else [[at] for at in range(count)]
        before = max(1, len(units) // 3)
        for unit in range(before, len(units)):
            first = 0 if validation == "anchored" else unit - before
            pairs.append(([at for each in units[first:unit] for at in each], units[unit]))
    return [([at for at in train if apart(spans, at, test) > horizon], test) for train, test in pairs]


def apart(spans, at, tested):
    """The nanoseconds between a block and the nearest of some others."""
    (first, last) = spans[at]
    return min(max(begin - last, first - end) for begin, end in (spans[other] for other in tested))


class Reading:
    """Everything that is said of one world.

    Parameters
    ----------
    rows : Rows
    printed : callable
        The parameters of a combination, as the document has them.
    horizon : int
        Nanoseconds.
    """

    def __init__(self, rows, printed, horizon):
        self.rows, self.printed, self.horizon = rows, printed, horizon
        self.spans, self.block = blocks_of(rows)
        self.numbers = sorted(name for name in rows.paid if isinstance(name, int))
        self.everyone = [name for name in rows.paid if not isinstance(name, int)]
        self.honest = [name for name in self.everyone if name not in AHEAD]

    def paid(self, strategy, groups):
        return sum(self.rows.paid[strategy][at] for at in groups)

    def best(self, groups):
        """The first of the cheapest combinations that fill as much as best_ask does."""
        least = sum(self.rows.filled["best_ask"][at] for at in groups)
        may = [n for n in self.numbers if sum(self.rows.filled[n][at] for at in groups) >= least] or self.numbers
        return min(may, key=lambda number: (self.paid(number, groups), number))

    def strongest(self, groups):
        return min(self.honest, key=lambda name: self.paid(name, groups))

    def by_block(self, groups, value):
        """The sums over each block that has one of the groups, in time."""
        sums = defaultdict(Fraction)
        for at in groups:
            sums[self.block[at]] += value(at)
        return [sums[block] for block in sorted(sums)]

    def saved(self, groups, name, number):
        """What a combination saves against a baseline in each block, basis points times 1e-9 $."""
        paid = self.rows.paid
        return self.by_block(groups, lambda at: BPS * (paid[name][at] - paid[number][at]))

    def parts(self):
        """(side, size, groups) of all orders, each size, and each side and size, none twice."""
        cells = list(dict.fromkeys(self.rows.cells.values()))
        sides, sizes = (list(dict.fromkeys(each)) for each in zip(*cells, strict=True))
        wanted = [(None, None)]
        wanted += [(None, size) for size in sizes] if len(sizes) > 1 else []
        wanted += [(side, size) for side in sides for size in sizes] if len(sides) > 1 else []
        for side, size in wanted:
            inside = [
                at for at, (own, shares) in self.rows.cells.items() if side in {None, own} and size in {None, shares}
            ]
            yield side, size, inside

    def figures(self, groups, validation=None):
        """The section of some groups, and the kind of their verdict; without a validation five folds check it."""
        best, against = self.best(groups), self.strongest(groups)
        notionals = self.by_block(groups, lambda at: self.rows.notional[at])
        columns = {number: self.saved(groups, against, number) for number in self.numbers}
        blocks, days = len(notionals), len({self.spans[self.block[at]][0] // DAY for at in groups})
        known, paid, timing = spread_of(columns[best], notionals), self.rows.paid, self.rows.timing
        execution = self.by_block(
            groups,
            lambda at: BPS * (paid[against][at] - paid[best][at] - Fraction(timing[against][at] - timing[best][at], 2)),
        )
        enough = blocks >= 20
        span = float((sum(columns[best]) - min(map(sum, columns.values()))) / sum(notionals))
        section = {
            "blocks": blocks,
            "days": days,
            "looked_at": len(self.numbers),
            "distinct": len({tuple(column) for column in columns.values()}) if enough else None,
            "against": against,
            "saving_bps": {name: printed_interval(self.saved(groups, name, best), notionals) for name in self.honest},
            "execution_bps": printed_interval(execution, notionals),
            "skewness": near(known.skewness, 2),
            "lag_1": near(known.lag_1, 2),
            "undercovers_percent": None,
            "span_bps": near(span, 2),
            "best_of": None,
            "confidence_set": None,
            "corrected_bps": None,
            "pbo": None,
            "detectable_bps": None,
            "days_for_bps": {
                f"{effect:g}": -(-blocks_for(effect, known.variance) * days // blocks) for effect in (0.2, 0.5, 1.0)
            },
            "held_out": self.held_out(groups, validation or "folds=5") if enough or validation else None,
        }
        if not enough:
            return section, "not enough data"
        section |= self.of_many(columns, notionals, best) | {"detectable_bps": near(known.detectable, 2)}
        if abs(known.skewness) > 1:
            ratio = known.skewness**2 / blocks
            section["undercovers_percent"] = near(100 * min(ratio / 4 + 0.9 * ratio**2, 0.95), 1)
        tested, all_close = section["held_out"]["saving_bps"]["strongest"], section["confidence_set"]["percent"] == 100
        if section["best_of"]["p"] <= 0.05 and tested["low"] is not None and tested["low"] > 0:
            return section, "better" if section["execution_bps"]["low"] > 0 else "drift"
        if known.mean + known.reach < 0:
            return section, "worse"
        flat = section["distinct"] == 1 or (all_close and span < known.detectable)
        return section, "flat" if flat else "not enough data"

    def of_many(self, columns, notionals, best):
        """What is claimed of the best of all combinations."""
        blocks, place = len(notionals), self.numbers.index(best)
        adjusted = adjusted_of([*columns.values()])
        plain, by_chance = by_means([*columns.values()], place)
        paired = [[a - b for a, b in zip(columns[best], other, strict=True)] for other in columns.values()]
        close = [n for n, p in zip(self.numbers, adjusted_of(paired), strict=True) if p > 0.1]
        matrix = np.array([[float(value) for value in column] for column in columns.values()]).T
        fixed, overfit = corrected(matrix, np.array([float(each) for each in notionals]), place), pbo(matrix)
        return {
            "best_of": {
                "p": near(adjusted[place], 4),
                "p_plain": near(plain, 4),
                "agree": (adjusted[place] <= 0.05) == (plain <= 0.05),
                "by_chance_bps": near(by_chance * blocks / float(sum(notionals)), 2),
                "groups": 10 if blocks < 60 else 12,
                "sign_vectors": 1024 if blocks < 60 else 4096,
                "beat_it": sum(p <= 0.05 for p in adjusted),
            },
            "confidence_set": {
                "level": 0.9,
                "combinations": len(close),
                "percent": near(100 * len(close) / len(self.numbers), 2),
                "parameters": self.reach(close),
            },
            "corrected_bps": {
                "mean": near(fixed.corrected, 2),
                "low": near(fixed.low, 2),
                "high": near(fixed.high, 2),
            },
            "pbo": None
            if overfit is None
            else {
                **{name: near(getattr(overfit, name), 4) for name in ("probability", "low", "high")},
                **{name: getattr(overfit, name) for name in ("groups", "splits", "columns")},
            },
        }

    def reach(self, numbers):
        """By parameter with several values, the smallest and the largest of some combinations."""
        points = [self.printed(number) for number in numbers]
        every = [self.printed(number) for number in self.numbers]
        return {
            name: [min(point[name] for point in points), max(point[name] for point in points)]
            for name in points[0]
            if len({point[name] for point in every}) > 1 and isinstance(points[0][name], float)
        }

    def held_out(self, groups, validation):
        """What was chosen on some blocks and reported on others."""
        rows, folds = self.rows, []
        strongest, best_ask, notionals = [], [], []
        cash = {name: [0, 0] for name in self.everyone}
        for trained, tested in folds_of(validation, self.spans, self.horizon):
            train = [at for at in groups if self.block[at] in trained]
            test = [at for at in groups if self.block[at] in tested]
            best, against = self.best(train), self.strongest(train)
            strongest += self.saved(test, against, best)
            best_ask += self.saved(test, "best_ask", best)
            notionals += self.by_block(test, lambda at: rows.notional[at])
            for name, sums in cash.items():
                sums[0] += self.paid(name, test) - self.paid(best, test)
                sums[1] += sum(abs(rows.paid[name][at]) for at in test)
            first, last = min(self.spans[at][0] for at in tested), max(self.spans[at][1] for at in tested)
            folds.append(
                {
                    "from": format_instant(first),
                    "to": format_instant(last),
                    "trained_blocks": len(trained),
                    "tested_blocks": len(tested),
                    "best_parameters": self.printed(best),
                    "against": against,
                    "in_sample_bps": near(self.ratio(train, against, best), 2),
                    "saved_bps": near(self.ratio(test, against, best), 2),
                }
            )
        return {
            "validate": validation,
            "saving_bps": {
                "strongest": printed_interval(strongest, notionals),
                "best_ask": printed_interval(best_ask, notionals),
            },
            "savings_vs_baselines_bps": {
                name: float(round(Fraction(BPS * gain, base), 2)) for name, (gain, base) in cash.items()
            },
            "folds": folds,
        }

    def ratio(self, groups, against, best):
        saved = BPS * (self.paid(against, groups) - self.paid(best, groups))
        return float(saved / sum(self.rows.notional[at] for at in groups))


def blocks_for(effect, variance):
    """The fewest blocks from 20 on that would show an effect with 80 % power."""

    def enough(blocks):
        error = math.sqrt(variance / blocks)
        return Spread(0, error, 0, 0, cosines_of(blocks), variance).detectable <= effect

    step, blocks = 1, 20
    while not enough(blocks + step):
        step *= 2
    while step:
        while not enough(blocks) and not enough(blocks + step - 1):
            blocks += step
        step //= 2
    return blocks
