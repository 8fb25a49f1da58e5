"""From published rows to the standing book: carry, age, uncross, band (model section 3), in one pass over the rows."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from allocator.kernels.compiling import kernel, record

_I64 = types.Array(types.int64, 1, "C", readonly=True)
_I16 = types.Array(types.int16, 1, "C", readonly=True)

Times = Annotated[NDArray[np.int64], _I64]
Prices = Annotated[NDArray[np.int64], _I64]
Sizes = Annotated[NDArray[np.int32], types.Array(types.int32, 1, "C", readonly=True)]
Ids = Annotated[NDArray[np.int16], _I16]

FilledRow = Annotated[NDArray[np.int64], types.int64[::1]]
FilledSizes = Annotated[NDArray[np.int32], types.int32[:, ::1]]
FilledBits = Annotated[NDArray[np.uint64], types.uint64[:, ::1]]
FilledTiles = Annotated[NDArray[np.int32], types.int32[:, :, ::1]]

COUNTS = (
    "crossed_snapshots",
    "locked_snapshots",
    "own_crossed_quotes",
    "expired_quotes",
    "uncrossed_quotes",
    "stub_quotes",
)
"""What `derive` counts, in the order of its `counts`: snapshots, or hidden (snapshot, venue, side)."""

STANDING, HIGHEST, OFF_GRID = range(len(COUNTS), len(COUNTS) + 3)

NOTHING = 2**31 - 1
"""The ticks, in a tile, of a venue that displays nothing."""

SNAPSHOTS, LEAST, MOST, TICK = range(4)
IDS = 2**16
ALONE = 10
"""Times the last sane mid, or the part of it, beyond which a side is a stub: displayed, but no market."""

FAR = 2**62


class Rows(NamedTuple):
    """A tape's columns, in its order; N rows.

    Attributes
    ----------
    ts : (N,) int64
        UTC nanoseconds, ascending.
    venue : (N,) int16
        Publisher ids.
    bid_px, ask_px : (N,) int64
        1e-9 $, 0 = none.
    bid_sz, ask_sz : (N,) int32
        Shares.
    """

    ts: Times
    venue: Ids
    bid_px: Prices
    ask_px: Prices
    bid_sz: Sizes
    ask_sz: Sizes


class Venues(NamedTuple):
    """The publishers of a book.

    Attributes
    ----------
    ids : (V,) int16
        Ascending.
    index_of : (IDS,) int64
        Venue index of publisher id - 2^15.
    """

    ids: Ids
    index_of: Times


class Rules(NamedTuple):
    """How a tape becomes a book; as `allocator.book.BookRules`.

    Attributes
    ----------
    carry : bool
        Whether quotes stand until the next one of their venue.
    uncross : bool
    band : int64
        1e-9 of the best price, negative = off.
    max_age : int64
        ns, negative = off.
    """

    carry: bool
    uncross: bool
    band: int
    max_age: int


class Columns(NamedTuple):
    """The columns of `allocator.book.Book`, to be filled."""

    bid_ticks: Any
    ask_ticks: Any
    bid_sz: FilledSizes
    ask_sz: FilledSizes
    bid_moved: FilledBits
    ask_moved: FilledBits
    published: FilledBits
    bid_shown: FilledBits
    ask_shown: FilledBits
    ts: FilledRow
    mid2: FilledRow
    bid_volume: FilledRow
    ask_volume: FilledRow


class Tiles(NamedTuple):
    """(B, V, R) int32 each, to be filled: as `allocator.book.Tiles`, complete if no quote stands."""

    bid_ticks: FilledTiles
    ask_ticks: FilledTiles
    bid_sz: FilledTiles
    ask_sz: FilledTiles


_ROWS = record(Rows)
_GRIDS = tuple(types.Array(ticks, 2, "C") for ticks in (types.int32, types.int64))


@kernel(types.UniTuple(types.int64, 2)(_I64))
def _range(px):
    """The lowest and the highest price; `FAR` and 0 where there is none."""
    least, most = np.int64(FAR), np.int64(0)
    for row in range(len(px)):
        most = max(most, px[row])
        least = min(least, px[row] if px[row] != 0 else np.int64(FAR))
    return least, most


@kernel(types.int64(_I64, _I64, types.int64, types.int64, types.int64))
def divisor(bid_px, ask_px, origin, tick, past):
    """The greatest common divisor of a tick and the distances of the first prices of both sides from the origin."""
    for px in (bid_px, ask_px):
        for row in range(min(past, len(px))):
            one, other = tick, px[row] - origin if px[row] != 0 else 0
            while other != 0:
                one, other = other, one % other
            tick = one
    return tick


@kernel(types.void(_ROWS, types.boolean[::1], types.int64[::1]))
def outline(rows, has_rows, scale):
    """Find the shape and the price scale of a book.

    Parameters
    ----------
    rows : Rows
    has_rows : (IDS,) bool, output, zeroed
        Whether publisher id - 2^15 has a row.
    scale : (4,) int64, output
        Instants; lowest and highest price, 0 where there is none; the greatest common divisor of the differences of
        the first prices, usually that of all; 0 if these are fewer than two.
    """
    ts, venue, bid_px, ask_px = rows.ts, rows.venue, rows.bid_px, rows.ask_px
    snapshots = np.int64(min(len(ts), 1))
    for row in range(1, len(ts)):
        snapshots += ts[row] != ts[row - 1]
    for row in range(len(venue)):
        has_rows[np.int64(venue[row]) + IDS // 2] = True
    (low_bid, high_bid), (low_ask, high_ask) = _range(bid_px), _range(ask_px)
    most, least = max(high_bid, high_ask), min(low_bid, low_ask)
    least = least if most > 0 else 0
    tick = divisor(bid_px, ask_px, least, 0, 1000)
    scale[SNAPSHOTS], scale[LEAST], scale[MOST], scale[TICK] = snapshots, least, most, tick


@kernel(types.int64(types.int64, types.int64))
def _share(price, fraction):
    """floor(price * fraction / 1e9) without leaving int64; fraction at most 1e9."""
    return price // 1_000_000_000 * fraction + price % 1_000_000_000 * fraction // 1_000_000_000


@kernel(types.int64(types.int64, types.int64, types.int64, types.float64))
def _ticks(px, base, tick, per_tick):
    """A price in ticks, 0 for none; exact, as there are fewer than 2^30 of them where a tick is more than 1e-9 $."""
    if px == 0 or tick == 1:
        return px - base if px != 0 else 0
    return np.int64((px - base) * per_tick + 0.5)


@kernel(types.UniTuple(types.int64, 2)(types.int64[::1]))
def _edges(ticks):
    """The lowest and the highest of the quotes displayed; `FAR` and 0 where there is none."""
    low, high = np.int64(FAR), np.int64(0)
    for v in range(len(ticks)):
        high = max(high, ticks[v])
        low = min(low, ticks[v] if ticks[v] != 0 else np.int64(FAR))
    return low, high


@kernel(types.int64(types.int64[::1], types.int64[::1], types.int64))
def _oldest(ticks, since, best):
    """The oldest venue at the best price of a side; of equals, that of the lowest index."""
    oldest = -1
    for v in range(len(ticks)):
        if ticks[v] == best and (oldest < 0 or since[v] < since[oldest]):
            oldest = v
    return oldest


@kernel(types.void(types.int64[::1], types.int64[::1], types.int64[::1], types.int64, types.int64, types.int64[::1]))
def _uncross(bid, ask, since, top_bid, low_ask, counts):
    """While the best bid is above the best ask, hide the older of the two."""
    while top_bid > low_ask:
        counts[4] += 1
        best_bid, best_ask = _oldest(bid, since, top_bid), _oldest(ask, since, low_ask)
        older = since[best_bid] - since[best_ask]
        if older < 0 or (older == 0 and best_bid < best_ask):
            bid[best_bid] = 0
            _, top_bid = _edges(bid)
        else:
            ask[best_ask] = 0
            low_ask, _ = _edges(ask)


@kernel(types.UniTuple(types.boolean, 2)(types.int64, types.int64, types.int64))
def _alone(bid, ask, sane):
    """Whether the bids, and the asks, are stubs that no quote of their own side shows up as such.

    Parameters
    ----------
    bid, ask : int64
        The best of each side, 1e-9 $, 0 = none. They are no sane pair: one is 0, or the ask is over twice the bid.
    sane : int64
        Twice the last mid of a sane pair, 0 = none yet: then the sides are only compared with each other.
    """
    if sane == 0:
        both = bid > 0 and (ask - 1) // (ALONE * ALONE) >= bid
        return both, both
    # bid < mid / 10, ask > mid * 10
    return bid > 0 and bid <= (sane - 1) // (2 * ALONE), ask > 0 and (ask - 1) // (ALONE // 2) >= sane


@kernel(types.int64(types.int64[::1]))
def _hide(ticks):
    """Hide a side; return how many quotes it displayed."""
    hidden = 0
    for v in range(len(ticks)):
        hidden += ticks[v] != 0
        ticks[v] = 0
    return hidden


@kernel(*(types.void(grid, types.int64, types.int64, types.int32, types.int32[:, :, ::1]) for grid in _GRIDS))
def _lay_out(grid, tile, rows, nothing, tiles):
    """Lay the first rows of a tile out column by column, with `nothing` for 0 and for all behind these rows."""
    part = grid[tile * tiles.shape[2] :][:rows]
    for v in range(tiles.shape[1]):
        column = tiles[tile, v]
        for at in range(len(part)):
            value = np.int32(part[at, v])
            column[at] = value if value != 0 else nothing
        for at in range(rows, len(column)):
            column[at] = nothing


@kernel(
    *(
        types.void(
            _ROWS, record(Venues), types.int64, types.int64, record(Rules),
            record(Columns, bid_ticks=grid, ask_ticks=grid), record(Tiles), types.boolean, types.int64[::1],
        )
        for grid in _GRIDS
    )
)  # fmt: skip
def derive(tape, publishers, base, tick, rules, columns, tiles, tiled, counts):
    """Fill the book's arrays from a tape's rows.

    Parameters
    ----------
    tape : Rows
    publishers : Venues
    base, tick : int64
        A price is base + tick * ticks, ticks above 0.
    rules : Rules
    columns : Columns, output
    tiles : Tiles, output
    tiled : bool
        Whether to lay out tiles, until a quote stands.
    counts : (9,) int64, output, zeroed
        See `COUNTS`; at `STANDING`, how many snapshots display a quote that was not published there; at `HIGHEST`, the
        highest price displayed, in ticks; at `OFF_GRID`, above 0 if a price is not a whole number of ticks: then no
        other output is valid.
    """
    ts, venue, row_bid_px, row_ask_px = tape.ts, tape.venue, tape.bid_px, tape.ask_px
    row_bid_sz, row_ask_sz = tape.bid_sz, tape.ask_sz
    ids, index = publishers.ids, publishers.index_of
    carry, uncross, band, max_age = rules.carry, rules.uncross, rules.band, rules.max_age
    bid_ticks, ask_ticks, bid_sz, ask_sz = columns.bid_ticks, columns.ask_ticks, columns.bid_sz, columns.ask_sz
    bid_moved, ask_moved, published = columns.bid_moved, columns.ask_moved, columns.published
    bid_shown, ask_shown, instants, mid2 = columns.bid_shown, columns.ask_shown, columns.ts, columns.mid2
    bid_volume, ask_volume = columns.bid_volume, columns.ask_volume
    bid_tiles, ask_tiles, bid_sz_tiles, ask_sz_tiles = tiles.bid_ticks, tiles.ask_ticks, tiles.bid_sz, tiles.ask_sz
    rows, venues = len(ts), bid_ticks.shape[1]
    stand_bid, stand_ask = np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    stand_bid_sz, stand_ask_sz = np.zeros(venues, np.int32), np.zeros(venues, np.int32)
    since = np.zeros(venues, np.int64)
    bid_px, ask_px = np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    bid, ask = np.zeros(venues, np.int64), np.zeros(venues, np.int64)
    own_crossed, per_tick, zero = 0, 1.0 / tick, np.uint64(0)
    ask_best, ask_edge, bid_best, bid_edge = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    sane = np.int64(0)
    row, words, lane, off = 0, published.shape[1], bid_tiles.shape[2], np.int64(0)
    for t in range(len(instants)):
        now = ts[row]
        instants[t] = now
        if words > 1:
            published[t], bid_moved[t], ask_moved[t] = zero, zero, zero
        word, all_published, bids_moved, asks_moved = 0, zero, zero, zero
        bid_shares, ask_shares = np.int64(0), np.int64(0)
        past = row + venues
        whole = venues <= 64 and past <= rows and ts[past - 1] == now and (past == rows or ts[past] != now)
        if whole:
            strangers = 0
            for v in range(venues):
                strangers += venue[np.uint64(row + v)] != ids[v]
            whole = strangers == 0
        if whole:  # every venue, once each: the rows are the standing quotes
            own_crossed = 0
            low_bid, top_bid, low_ask, top_ask = np.int64(FAR), np.int64(0), np.int64(FAR), np.int64(0)
            for v in range(venues):
                at = np.uint64(row + v)  # numba does not check an unsigned index for wraparound
                bit, new_bid, new_ask = np.uint64(1) << np.uint64(v), row_bid_px[at], row_ask_px[at]
                bids_moved |= bit if new_bid != bid_px[v] else zero
                asks_moved |= bit if new_ask != ask_px[v] else zero
                bid_px[v], ask_px[v] = new_bid, new_ask
                one, other = _ticks(new_bid, base, tick, per_tick), _ticks(new_ask, base, tick, per_tick)
                off |= (base + tick * one - new_bid) * (one != 0) | (base + tick * other - new_ask) * (other != 0)
                own_crossed += other != 0 and one > other
                stand_bid[v], stand_ask[v], bid[v], ask[v], since[v] = one, other, one, other, now
                top_bid, low_bid = max(top_bid, one), min(low_bid, one if one != 0 else np.int64(FAR))
                top_ask, low_ask = max(top_ask, other), min(low_ask, other if other != 0 else np.int64(FAR))
                stand_bid_sz[v], stand_ask_sz[v] = row_bid_sz[at], row_ask_sz[at]
                bid_shares += row_bid_sz[at]
                ask_shares += row_ask_sz[at]
            row, all_published = past, ~zero >> np.uint64(64 - venues)
        while row < rows and ts[row] == now:
            last = row + 1 == rows or ts[row + 1] != now or venue[row + 1] != venue[row]
            if last:
                v = index[np.int64(venue[row]) + IDS // 2]
                if v >> 6 != word:  # the rows of an instant ascend by venue
                    published[t, word], bid_moved[t, word], ask_moved[t, word] = all_published, bids_moved, asks_moved
                    word, all_published, bids_moved, asks_moved = v >> 6, zero, zero, zero
                bit = np.uint64(1) << np.uint64(v & 63)
                all_published |= bit
                new_bid, new_ask = row_bid_px[row], row_ask_px[row]
                if new_bid != bid_px[v] or new_ask != ask_px[v]:
                    bids_moved |= bit if new_bid != bid_px[v] else zero
                    asks_moved |= bit if new_ask != ask_px[v] else zero
                    own_crossed -= stand_ask[v] != 0 and stand_bid[v] > stand_ask[v]
                    bid_px[v], ask_px[v] = new_bid, new_ask
                    stand_bid[v] = _ticks(new_bid, base, tick, per_tick)
                    stand_ask[v] = _ticks(new_ask, base, tick, per_tick)
                    own_crossed += stand_ask[v] != 0 and stand_bid[v] > stand_ask[v]
                    off |= (base + tick * stand_bid[v] - new_bid) * (stand_bid[v] != 0)
                    off |= (base + tick * stand_ask[v] - new_ask) * (stand_ask[v] != 0)
                stand_bid_sz[v], stand_ask_sz[v] = row_bid_sz[row], row_ask_sz[row]
                since[v] = now
                bid_shares += row_bid_sz[row]
                ask_shares += row_ask_sz[row]
            row += 1
        published[t, word], bid_moved[t, word], ask_moved[t, word] = all_published, bids_moved, asks_moved
        bid_volume[t], ask_volume[t] = bid_shares, ask_shares

        if whole:
            pass
        elif carry and max_age < 0:
            bid[:], ask[:] = stand_bid, stand_ask
            (low_bid, top_bid), (low_ask, top_ask) = _edges(bid), _edges(ask)
        else:
            for v in range(venues):
                hidden = not carry and since[v] != now
                bid[v], ask[v] = 0 if hidden else stand_bid[v], 0 if hidden else stand_ask[v]
                if max_age >= 0 and now - since[v] > max_age:
                    counts[3] += (bid[v] != 0) + (ask[v] != 0)
                    bid[v] = ask[v] = 0
            (low_bid, top_bid), (low_ask, top_ask) = _edges(bid), _edges(ask)
        if top_bid > low_ask:
            counts[0] += 1
            if uncross:
                if own_crossed > 0:  # a venue's own crossed quotes are hidden first, on both sides
                    for v in range(venues):
                        if ask[v] != 0 and bid[v] > ask[v]:
                            bid[v] = ask[v] = 0
                            counts[2] += 2
                    (_, top_bid), (low_ask, _) = _edges(bid), _edges(ask)
                _uncross(bid, ask, since, top_bid, low_ask, counts)
                (low_bid, top_bid), (low_ask, top_ask) = _edges(bid), _edges(ask)
        if top_bid == low_ask:
            counts[1] += 1
        if band >= 0:
            # the edges are counted in ticks, and change with the best quote only
            if top_ask > 0:
                if low_ask != ask_best:
                    best = base + tick * low_ask
                    ask_best, ask_edge = low_ask, (best + _share(best, band) - base) // tick
                if top_ask > ask_edge:
                    for v in range(venues):
                        if ask[v] > ask_edge:
                            ask[v] = 0
                            counts[5] += 1
                    _, top_ask = _edges(ask)
            if top_bid > 0:
                if top_bid != bid_best:
                    best = base + tick * top_bid
                    bid_best, bid_edge = top_bid, -((base - best + _share(best, band)) // tick)
                if low_bid < bid_edge:
                    for v in range(venues):
                        if bid[v] != 0 and bid[v] < bid_edge:
                            bid[v] = 0
                            counts[5] += 1
            one = base + tick * top_bid if top_bid > 0 else 0
            other = base + tick * low_ask if top_ask > 0 else 0
            if one > 0 and other > 0 and other - one <= one:
                sane = np.int64(one + other)
            else:
                stub_bids, stub_asks = _alone(one, other, sane)
                if stub_bids:
                    counts[5] += _hide(bid)
                    top_bid = np.int64(0)
                if stub_asks:
                    counts[5] += _hide(ask)
                    low_ask, top_ask = np.int64(FAR), np.int64(0)
        counts[HIGHEST] = max(counts[HIGHEST], top_bid, top_ask)
        mid2[t] = 2 * base + tick * (top_bid + low_ask) if top_bid > 0 and top_ask > 0 else 0
        shows_bid, shows_ask, stands = zero, zero, False
        for v in range(venues):
            bit, one, other = np.uint64(1) << np.uint64(v & 63), bid[v], ask[v]
            shows_bid |= bit if one != 0 else zero
            shows_ask |= bit if other != 0 else zero
            bid_ticks[t, v], ask_ticks[t, v] = one, other
            bid_sz[t, v] = stand_bid_sz[v] if one != 0 else np.int32(0)
            ask_sz[t, v] = stand_ask_sz[v] if other != 0 else np.int32(0)
            if v & 63 == 63 or v == venues - 1:
                bid_shown[t, v >> 6], ask_shown[t, v >> 6] = shows_bid, shows_ask
                stands |= (shows_bid | shows_ask) & ~published[t, v >> 6] != zero
                shows_bid, shows_ask = zero, zero
        counts[STANDING] += stands
        tiled &= not stands
        if tiled and ((t + 1) % lane == 0 or t + 1 == len(instants)):
            tile, filled = t // lane, t % lane + 1
            _lay_out(bid_ticks, tile, filled, np.int32(NOTHING), bid_tiles)
            _lay_out(ask_ticks, tile, filled, np.int32(NOTHING), ask_tiles)
            _lay_out(bid_sz, tile, filled, np.int32(0), bid_sz_tiles)
            _lay_out(ask_sz, tile, filled, np.int32(0), ask_sz_tiles)
    counts[OFF_GRID] += off != 0
