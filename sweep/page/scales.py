"""Scales: from values to px, and the ticks that a person reads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from feed.instants import format_instant
from sweep.page.numbers import decimal

if TYPE_CHECKING:
    from collections.abc import Iterable

_SECOND: Final = 1_000_000_000
_DAY: Final = 86_400 * _SECOND
_STEPS: Final = tuple(
    seconds * _SECOND
    for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
)
"""Of time ticks between a second and a day, ns; beyond on both sides 1, 2, 5 times a power of 10."""

_PRINTED: Final = 1e6
"""Numbers of this size or more are printed with an exponent."""

_SAME: Final = 1e-12
"""Values that differ by less than this, relative to their size, share one place."""

_NOTHING: Final = 1e-200
_MOST: Final = 1.7e308
"""Sizes that count as 0, and the ends of what is drawn: within them no step under- or overflows."""


@dataclass(frozen=True, slots=True)
class Linear:
    """From [low, high] to [start, end] px; `end` below `start` is an axis that grows upwards."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Px of a value; one beyond the ends lies beyond them."""
        # halves, so that no difference of finite values overflows
        share = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return self.start + share * (self.end - self.start)

    def held(self, value: float) -> float:
        """Px of a value; one beyond the ends lies at the end."""
        return self(min(max(value, self.low), self.high))

    def ticks(self, count: int = 5) -> tuple[list[float], list[str]]:
        """About `count` round values within the ends, and how they are printed."""
        mantissa, exponent = _step(min((self.high / 2 - self.low / 2) / max(count, 1), _MOST / 2) * 2)
        step = mantissa * 10.0**exponent
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        values = [_times(at * mantissa, exponent) for at in range(first, last + 1)]
        if max(abs(self.low), abs(self.high)) >= _PRINTED:
            return values, [f"{value:g}".replace("-", "\N{MINUS SIGN}") for value in values]
        return values, [decimal(value, max(0, -exponent)) for value in values]


@dataclass(frozen=True, slots=True)
class Log:
    """From [low, high], both above 0, to [start, end] px, by the logarithm."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Px of a value above 0."""
        lowest = math.log10(self.low)
        share = (math.log10(value) - lowest) / (math.log10(self.high) - lowest)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> tuple[list[float], list[str]]:
        """Powers of ten within the ends, and their doubles and halves where there are few."""
        span = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        every = max(1, math.ceil(len(span) / max(count, 1)))
        mantissas = (1, 2, 5) if 3 * len(span) <= count + 2 else (1,)
        values = [_times(mantissa, at) for at in span if at % every == 0 for mantissa in mantissas]
        values = [value for value in values if self.low <= value <= self.high]
        return values, [f"{value:,g}" for value in values]


@dataclass(frozen=True, slots=True)
class Time:
    """From [low, high], UTC ns, to [start, end] px."""

    low: int
    high: int
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Px of an instant, UTC ns."""
        return self.start + (int(value) - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, count: int = 5) -> tuple[list[int], list[str]]:
        """About `count` round instants within the ends, and what of them differs, in UTC.

        The day where ticks are days apart; else the time of day, after the day where the ends are not of one day.
        """
        step = time_step((self.high - self.low) / max(count, 1))
        values = list(range(-(-self.low // step) * step, self.high + 1, step))
        return values, [self._printed(value, step) for value in values]

    def _printed(self, value: int, step: int) -> str:
        day, _, clock = format_instant(value).rstrip("Z").partition("T")
        if step % _DAY == 0:
            return day
        time_of_day = clock[: 5 if step % (60 * _SECOND) == 0 else 8]
        if step < _SECOND:
            time_of_day += f".{value % _SECOND:09d}"[: 1 + min(9, math.ceil(-math.log10(step / _SECOND) - 1e-9))]
        return time_of_day if self.low // _DAY == self.high // _DAY else f"{day[5:]} {time_of_day}"


@dataclass(frozen=True, slots=True)
class Band:
    """Equal bands for `count` things from `start` to `end` px; `gap` is the share of a band that stays empty."""

    count: int
    start: float
    end: float
    gap: float = 0.2

    @property
    def step(self) -> float:
        """Px from one thing to the next."""
        return (self.end - self.start) / max(self.count, 1)

    @property
    def width(self) -> float:
        """Px of what is filled."""
        return self.step * (1 - self.gap)

    def __call__(self, at: int) -> float:
        """Where the filled part of thing `at` begins, px."""
        return self.start + self.step * (at + self.gap / 2)

    def middle(self, at: int) -> float:
        """The middle of thing `at`, px."""
        return self.start + self.step * (at + 0.5)


def linear(
    values: Iterable[float | None], start: float, end: float, *, zero: bool = False, pad: float = 0.04
) -> Linear:
    """A linear scale that holds all finite values.

    Parameters
    ----------
    values : iterable of float or None
        None, NaN and infinite ones are left out; without any the scale is from 0 to 1.
    start, end : float
        px.
    zero : bool
        Whether 0 is held too.
    pad : float
        Which share of the range is added at either end; a range that ends at 0 is not widened there.
    """
    finite = [min(max(float(value), -_MOST), _MOST) for value in values if value is not None and math.isfinite(value)]
    if zero or not finite:
        finite.append(0.0)
    low, high = min(finite), max(finite)
    most = max(-low, high)
    if high - low <= _SAME * most or most < _NOTHING:
        room = most / 10 if most >= _NOTHING else 1.0
        return Linear(low - room if low else 0.0, high + room, start, end)
    room = (high / 2 - low / 2) * 2 * pad
    low = low if low == 0 else max(low - room, -_MOST)
    return Linear(low, high if high == 0 else min(high + room, _MOST), start, end)


def log(values: Iterable[float | None], start: float, end: float) -> Log:
    """A logarithmic scale that holds all finite values above 0; from 1 to 10 without any."""
    finite = [float(value) for value in values if value is not None and math.isfinite(value) and value > 0] or [1.0]
    low, high = min(finite), max(finite)
    return Log(low, high if high > low else 10 * low, start, end)


def time(values: Iterable[int], start: float, end: float) -> Time:
    """A scale of time that holds all instants, UTC ns; of at least a microsecond."""
    instants = [int(value) for value in values] or [0]
    low = min(instants)
    return Time(low, max(*instants, low + 1000), start, end)


def _step(raw: float) -> tuple[int, int]:
    """The next round step: 1, 2 or 5, times 10 to the power of the second figure."""
    exponent = math.floor(math.log10(raw)) if raw > 0 else 0
    for mantissa in (1, 2, 5):
        if mantissa * 10.0**exponent >= raw * (1 - 1e-9):
            return mantissa, exponent
    return 1, exponent + 1


def _times(mantissa: int, exponent: int) -> float:
    """The float nearest to mantissa x 10^exponent, so that 3 x 0.1 is 0.3."""
    return float(f"{mantissa}e{exponent}")


def time_step(raw: float) -> int:
    """The next round step of time, ns: 1, 2 or 5 times a power of 10 but for steps from a second to half a day."""
    if _SECOND <= raw <= _STEPS[-1]:
        return next(step for step in _STEPS if step >= raw)
    unit = _DAY if raw > _SECOND else 1
    mantissa, exponent = _step(max(raw / unit, 1.0))
    return int(mantissa * 10**exponent) * unit
