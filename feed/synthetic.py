"""A seeded synthetic stream: one US stock, quoted and traded on up to sixteen venues.

The stock trades on a penny grid. A consensus bid and spread (1 to 3 ticks) wander; each venue follows it with an offset
and a delay of its own, so that for moments a slow venue's quote is stale, and locks or crosses the others. Sizes
rise and fall together. Behind the first level each cent has a size of its own, to which it comes back over seconds once
the touch, having used it up or withdrawn, leaves it behind again; so levels hold more the deeper they are. Integers and
PCG64 generators only: a seed gives the same stream on every machine.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from feed.files import write_csv  # noqa: F401 - a stream is made to be written
from feed.instants import parse_instant
from feed.levels import LEVEL_DTYPES, MOST_LEVELS
from feed.tape import QUOTE_DTYPES, TRADE_DTYPES, Tape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from feed.tape import Int64

SEED = 92
"""Picked out of 120, as a 5,000-share buy at one level has its best tau inside the default grid: a demonstration, no
evidence."""
SYMBOL = "SYNTH"
SECONDS = 522.0
WARMUP = 78.0
VENUES = (2, 43, 38, 3, 8, 9, 5, 6, 15, 16, 7, 11, 4, 10, 12, 80)
"""Databento publisher ids of lit US equity venues; a stream of V venues has the first V, and the last of those dies."""

FEES: Mapping[int, Mapping[str, str]] = MappingProxyType(
    {
        venue: MappingProxyType({"taker": taker, "maker": maker})
        for venue, taker, maker in (
            (2, "0.0030", "-0.0020"),
            (43, "0.0030", "-0.0022"),
            (38, "0.0009", "0"),
            (3, "-0.0014", "0.0018"),
            (8, "0.0030", "-0.0016"),
            (9, "0.0028", "-0.0016"),
            (5, "0.0030", "-0.0016"),
            (6, "-0.0005", "0.0015"),
            (15, "0.0030", "-0.0026"),
            (16, "0.0029", "-0.0024"),
            (7, "-0.0016", "0.0020"),
            (11, "0.0026", "-0.0010"),
            (4, "0.0024", "-0.0012"),
            (10, "-0.0020", "0.0026"),
            (12, "0.0010", "0"),
            (80, "0", "0"),
        )
    }
)
"""Publisher id to fees in $/share, as decimal text, negative = rebate: made up, of the
usual kinds (maker-taker, flat, inverted)."""

OPENS = parse_instant("2025-03-12T13:30:00Z")
CLOSES = parse_instant("2025-03-12T20:00:00Z")
STARTS = parse_instant("2025-03-12T14:30:00Z")
CENT = 10**7
FIRST_BID = 15_642
HALF_LIFE = 2 * 10**9
"""Nanoseconds in which half of what a price lacks to its own size comes back once the touch leaves it behind."""

PULSES_PER_SECOND = 28

_ACTIVITY = (9, 7, 4, 4, 6, 5, 6, 3, 3, 2, 2, 2, 2, 1, 1, 1)
_PACE = (60, 110, 80, 230, 45, 130, 70, 180, 90)
_MICROSECOND = 1_000
_MILLISECOND = 1_000_000
_PULSE = -1


def window(seconds: float = SECONDS) -> tuple[int, int]:
    """First and last instant of a stream's window, UTC nanoseconds; the warm-up comes before.

    Parameters
    ----------
    seconds : float
        As given to `generate`.
    """
    return STARTS, STARTS + round(seconds * 1e9)


WINDOW = window()
"""The window of the default stream."""


@dataclass(slots=True)
class _Market:
    """Consensus, and what each venue shows: ticks and shares, 0 = withdrawn."""

    draw: Iterator[int]
    alive: list[int]
    agenda: list[tuple[int, int, int]]  # (ts, ticket, venue that quotes again, or _PULSE), a heap
    ticket: int
    bid: int = FIRST_BID
    spread: int = 1
    drift: int = 0
    depth: int = 5
    quotes: list[list[int]] = field(default_factory=list)  # per venue: bid tick, ask tick, bid size, ask size
    messages: list[int] = field(default_factory=list)
    rows: list[tuple[int, ...]] = field(default_factory=list)
    prints: list[tuple[int, ...]] = field(default_factory=list)

    def below(self, limit: int) -> int:
        return next(self.draw) % limit

    def later(self, ts: int, v: int) -> None:
        """Let a venue quote again at a later instant."""
        self.ticket += 1
        heapq.heappush(self.agenda, (ts, self.ticket, v))

    def size(self) -> int:
        """Draw a displayed size: round lots around the common depth, one in three an odd lot."""
        if self.below(3) == 0:
            return 1 + self.below(99)
        return 100 * (1 + self.below(1 + self.depth // 4) + (self.below(self.depth) if self.below(10) == 0 else 0))

    def offset(self) -> int:
        """Draw ticks behind the consensus; 4 and more only for a moment."""
        near = (0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, -1)[self.below(12)]
        return near if near >= 0 else 4 + self.below(8)

    def requote(self, ts: int, v: int) -> None:
        """Set both sides of a venue to the consensus, each behind it by an offset of its own; publish them."""
        bid, ask, bid_size, ask_size = self.quotes[v]
        behind = self.offset(), self.offset()
        new_bid, new_ask = self.bid - behind[0], self.bid + self.spread + behind[1]
        self.quotes[v] = [
            new_bid,
            new_ask,
            bid_size if bid == new_bid and bid_size else self.size(),
            ask_size if ask == new_ask and ask_size else self.size(),
        ]
        if max(behind) > 3:
            self.later(ts + (5 + self.below(120)) * _MILLISECOND, v)
        self.publish(ts, v)

    def resize(self, ts: int, v: int) -> None:
        """Change one side's size, and publish."""
        side = self.below(2)
        if self.quotes[v][side]:
            self.quotes[v][2 + side] = self.size()
        self.publish(ts, v)

    def publish(self, ts: int, v: int) -> int:
        """Append the venue's quotes as a row; return its message number."""
        self.messages[v] += 1 + self.below(60)
        bid, ask, bid_size, ask_size = self.quotes[v]
        self.rows.append((ts, VENUES[v], bid * CENT, ask * CENT, bid_size, ask_size, self.messages[v]))
        return self.messages[v]


def generate(
    *, seed: int = SEED, seconds: float = SECONDS, venues: int = 5, warmup: float = WARMUP, levels: int = MOST_LEVELS
) -> Tape:
    """Generate a stream.

    Parameters
    ----------
    seed : int
        Not negative.
    seconds : float
        Length of the window, which starts at `STARTS`; above 0 and at most to the close.
    venues : int
        1 to 16. From two on, the last one publishes nothing after the first third of the window.
    warmup : float
        Seconds of stream before the window; at most back to the open.
    levels : int
        Of a side, 1 to `feed.levels.MOST_LEVELS`, a cent apart; those that two streams share are the same.

    Returns
    -------
    Tape
        About 38 instants per second, of `SYMBOL`, on one UTC date, in regular trading hours.

    Raises
    ------
    ValueError
        A number outside its bounds.
    """
    start, end = window(seconds)
    first = start - round(warmup * 1e9)
    if not start < end <= CLOSES:
        raise ValueError(
            f"seconds: expected more than 0 and at most {(CLOSES - STARTS) // 10**9}, but it had {seconds}"
        )
    if not OPENS <= first <= start:
        raise ValueError(f"warmup: expected 0 to {(STARTS - OPENS) // 10**9} seconds, but it had {warmup}")
    if not 1 <= venues <= len(VENUES):
        raise ValueError(f"venues: expected 1 to {len(VENUES)}, but it had {venues}")
    if not 1 <= levels <= MOST_LEVELS:
        raise ValueError(f"levels: expected 1 to {MOST_LEVELS}, but it had {levels}")
    if seed < 0:
        raise ValueError(f"seed: expected 0 or more, but it had {seed}")
    rng = np.random.Generator(np.random.PCG64(seed))
    pulses = _pulses(rng, first, end)
    agenda = [(ts, ticket, _PULSE) for ticket, ts in enumerate(pulses.tolist())]
    market = _Market(_draws(rng), list(range(venues)), agenda, len(agenda))
    market.messages = [0] * venues
    market.quotes = [[0, 0, 0, 0] for _ in range(venues)]
    for v in range(venues):
        market.requote(first, v)
    dies = start + (end - start) // 3 if venues > 1 else end + 1
    while agenda:
        ts, _, v = heapq.heappop(agenda)
        if ts > end:
            break
        if ts >= dies and len(market.alive) == venues:
            market.alive.pop()
        if v == _PULSE:
            _pulse(market, ts)
        elif v in market.alive:
            market.requote(ts, v)
    tape = _tape(market)
    return tape if levels == 1 else _deepened(tape, levels, seed)


def _deepened(tape: Tape, depth: int, seed: int) -> Tape:
    """Put levels behind the first, a cent apart."""
    columns = {name: np.zeros((tape.rows, depth - 1), dtype) for name, dtype in LEVEL_DTYPES.items()}
    for side, away in (("bid", -1), ("ask", 1)):
        px, sz = getattr(tape, f"{side}_px"), getattr(tape, f"{side}_sz")
        for venue in tape.venues.tolist():
            rows = np.flatnonzero((tape.venue == venue) & (px > 0))
            touch, behind = px[rows] // CENT, np.arange(1, depth)
            shares = _behind(tape.ts[rows], touch, sz[rows], away, depth, (seed, venue, int(away > 0)))
            columns[f"{side}_px"][rows] = np.maximum(touch[:, None] + away * behind, 0) * CENT
            columns[f"{side}_sz"][rows] = shares
    return Tape.build(
        tape.symbol,
        **{name: getattr(tape, name) for name in QUOTE_DTYPES},
        trades={name: getattr(tape.trades, name) for name in TRADE_DTYPES},
        levels=columns,
        owned=True,
    )


def _behind(ts: Int64, touch: Int64, shown: Int64, away: int, depth: int, seed: tuple[int, ...]) -> Int64:
    """The shares of one side of a venue behind its touch.

    Each price has a usual size. The touch leaves it with what it shows there, or, where it has gone beyond it, with
    nothing; from then on half of what is missing comes back in each `HALF_LIFE`.

    Parameters
    ----------
    ts, touch, shown : (N,) integers
        Rows of the venue that quote this side: UTC nanoseconds, the touch in ticks, its shares.
    away : int
        Ticks from one level to the next, 1 or -1.
    depth : int
        D.
    seed : tuple of int

    Returns
    -------
    (N, D - 1) int64
    """
    shares = np.zeros((len(ts), depth - 1), np.int64)
    at = np.arange(len(ts))
    for tick in range(*_span(touch, away, depth)):
        level = (tick - touch) * away  # 0 at the touch, below 0 at better prices than it
        last = np.maximum.accumulate(np.where(level <= 0, at, -1))
        rows = np.flatnonzero((level > 0) & (level < depth))
        usual = _usual(seed, tick)
        left = np.where(last < 0, usual, np.where(level == 0, shown, 0)[last])[rows]
        shares[rows, level[rows] - 1] = _refilled(left, usual, ts[rows] - ts[last[rows]])
    return shares


def _span(touch: Int64, away: int, depth: int) -> tuple[int, int]:
    """The ticks that levels behind the touch lie at."""
    ends = int(touch.min()), int(touch.max())
    low, high = (ends[0] + 1, ends[1] + depth) if away > 0 else (ends[0] - depth + 1, ends[1])
    return max(low, 1), high


def _usual(seed: tuple[int, ...], tick: int) -> int:
    """The shares that a price has while nothing disturbs it."""
    return 100 * int(np.random.Generator(np.random.PCG64([*seed, tick])).integers(2, 10))


def _refilled(left: Int64, usual: int, passed: Int64) -> Int64:
    """Shares of a price so many nanoseconds after the touch has left it some; at least one."""
    halves, rest = np.divmod(passed, HALF_LIFE)
    missing = np.abs(usual - left) >> np.minimum(halves, 62)
    missing -= missing * rest // (2 * HALF_LIFE)
    return np.maximum(np.where(left < usual, usual - missing, usual + missing), 1)


def _pulse(market: _Market, ts: int) -> None:
    """Let one thing happen."""
    below = market.below
    v = _pick(market)
    roll = below(1000)
    if roll < 30:
        _move(market, ts, v)
    elif roll < 110:
        _trade(market, ts, v)
    elif roll < 120:
        side = below(2)
        market.quotes[v][side] = market.quotes[v][side + 2] = 0
        market.publish(ts, v)
        market.later(ts + (200 + below(4_000)) * _MILLISECOND, v)
    elif roll < 400:
        if roll < 160:
            market.spread = (1, 1, 1, 2, 2, 3)[below(6)]
        market.requote(ts, v)
    elif roll < 480:
        for other in market.alive:
            if other == v or below(3):
                market.requote(ts, other)
    else:
        if below(16) == 0:
            market.depth = min(max(market.depth + below(3) - 1, 2), 9)
        market.resize(ts, v)


def _move(market: _Market, ts: int, v: int) -> None:
    """Move the consensus by a tick or a few: one venue leads, each other follows after its own delay."""
    below = market.below
    if below(12) == 0:
        market.drift = below(3) - 1
    step = (1, 1, 1, 1, 2, 3)[below(6)]
    market.bid += step if below(8) + market.drift >= 4 else -step
    market.requote(ts, v)
    for other in market.alive:
        if other == v:
            continue
        if below(5) == 0:  # at the very same instant
            market.requote(ts, other)
        else:
            slow = below(6) == 0
            delay = (20_000 + below(380_000)) if slow else (30 + below(900))
            market.later(ts + delay * _MICROSECOND, other)


def _trade(market: _Market, ts: int, v: int) -> None:
    """Hit the best bid or lift the best ask, in one print or two; a side used up falls back or is withdrawn."""
    below = market.below
    buyer = below(2)  # 1: the ask, index 1 of a quote
    shown = [other for other in market.alive if market.quotes[other][buyer]]
    if not shown:
        return
    best = min(market.quotes[other][1] for other in shown) if buyer else max(market.quotes[other][0] for other in shown)
    candidates = [other for other in shown if market.quotes[other][buyer] == best]
    v = v if v in candidates else candidates[below(len(candidates))]
    quote = market.quotes[v]
    for _ in range(1 + (below(4) == 0)):
        size = min(quote[2 + buyer], market.size())
        quote[2 + buyer] -= size
        if not quote[2 + buyer]:
            if below(20) == 0:
                quote[buyer] = 0
            else:
                quote[buyer] += (1 if buyer else -1) * (1 + below(2))
                quote[2 + buyer] = market.size()
            market.later(ts + (5 + below(3_000)) * _MILLISECOND, v)
        message = market.publish(ts, v)
        market.prints.append((ts, VENUES[v], best * CENT, size, 1 if buyer else -1, message))
        if quote[buyer] != best:
            break


def _pick(market: _Market) -> int:
    """Draw a venue that is alive, by activity."""
    ladder = list(accumulate(_ACTIVITY[: len(market.alive)]))
    return bisect_right(ladder, market.below(ladder[-1]))


def _pulses(rng: np.random.Generator, first: int, end: int) -> Int64:
    """Draw the instants at which something happens: quiet and busy minutes, quiet and busy seconds inside them."""
    seconds = -(-(end - first) // 10**9)
    pace = np.array(_PACE, np.int64)[np.arange(seconds) // 60 % len(_PACE)] * rng.integers(4, 17, seconds)
    edges = np.cumsum(pace)
    amount = max(PULSES_PER_SECOND * (end - first) // 10**9, 1)
    second = np.searchsorted(edges, rng.integers(0, edges[-1], amount), side="right")
    pulses: Int64 = np.unique(first + second * 10**9 + rng.integers(1, 10**9, amount))
    return pulses[pulses <= end]


def _draws(rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.integers(0, 2**40, 65_536).tolist()


def _tape(market: _Market) -> Tape:
    quotes = np.array(market.rows, np.int64).reshape(-1, len(QUOTE_DTYPES)).T
    prints = np.array(market.prints, np.int64).reshape(-1, len(TRADE_DTYPES)).T
    return Tape.build(
        SYMBOL,
        **dict(zip(QUOTE_DTYPES, quotes, strict=True)),
        trades=dict(zip(TRADE_DTYPES, prints, strict=True)),
        levels=None,
        owned=True,
    )
