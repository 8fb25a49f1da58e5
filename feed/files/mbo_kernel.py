"""The compiled fold of orders into price levels: what a book shows after each event that changes it.

An order is found by its book and id in a table (linear probing, closed up where one leaves). The levels of a side are
a skip list, best first, so that the first few are read one after the other and any other is found in logarithmic time,
whatever the file holds. Nothing is allocated here: where a table is full the fold stops, and goes on at that record.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numba import njit, types

from feed.compiling import compiled
from feed.files.dbn_layouts import DOUBTFUL, LAST, SNAPSHOT, TOP
from feed.tape import PRICE_LIMIT, SHARES_LIMIT, UNDEFINED_PRICE

HEIGHT = 12
"""Of the skip lists: a quarter of the levels of a side reach each further height."""

DONE, ROWS, ORDERS, LEVELS, BOOKS, PRICE, SIZE = range(7)
"""Why the fold stops: there are no more records; a table is full, of rows, orders, levels or books; a number that no
tape holds, of this record, or shown after it."""

(
    USED, FRESH, FREE, FREED, BOOK_COUNT, SEED, UNKNOWN, UNUSABLE, NEW_BY_MODIFY, REPEATED, OVER, LATE, DOUBTED,
    AT_SIDE, AT_LEVEL, VALUE,
) = range(16)  # fmt: skip
"""Places of the state. Slots of the table of orders in use; levels used so far, the first that is free again, and how
many are; books; the seed of the heights. Counts: cancels of unknown orders; records without a side, a price or a size;
modifies of unknown orders; adds of known ones; cancels of more than is left; books that begin with neither a clear nor
a snapshot; records flagged as perhaps of a wrong book. Where a size stops the fold: its side, level and value."""

STATE = 16

_ADD, _CANCEL, _MODIFY, _CLEAR, _TRADE, _FILL, _NONE = (ord(letter) for letter in "ACMRTFN")
_BID, _ASK = ord("B"), ord("A")
_UNDEFINED_PRICE = int(UNDEFINED_PRICE)
_UNDEFINED_SIZE = 2**32 - 1
_13, _7, _17, _32 = (np.uint64(by) for by in (13, 7, 17, 32))


_compiled = partial(compiled, error_model="numpy")


_part = njit(nogil=True, error_model="numpy")
"""Compiled into what calls it: there is one piece of code to load."""


@_part
def home_of(key, book, slots):
    """Where a key of a book belongs in a table of so many slots, a power of two; shifts alone, which never overflow."""
    mixed = key ^ (np.uint64(book) << _32)
    mixed ^= mixed >> _32
    mixed ^= mixed << _13
    mixed ^= mixed >> _7
    mixed ^= mixed << _17
    mixed ^= mixed >> _32
    return np.int64(mixed & np.uint64(slots - 1))


@_part
def slot_of(order_keys, order_sides, key, book):
    """The slot of an order, or the free one where it would go."""
    slots = len(order_keys)
    at = home_of(key, book, slots)
    while order_sides[at] >= 0 and not (order_keys[at] == key and order_sides[at] >> 1 == book):
        at = (at + 1) & (slots - 1)
    return at


@_part
def close_up(order_keys, order_sides, order_levels, order_sizes, order_epochs, at):
    """Free a slot, and move those behind it that would not be found any more."""
    slots = len(order_keys)
    behind = at
    while True:
        behind = (behind + 1) & (slots - 1)
        if order_sides[behind] < 0:
            break
        home = home_of(order_keys[behind], order_sides[behind] >> 1, slots)
        if (behind - home) & (slots - 1) >= (behind - at) & (slots - 1):
            order_keys[at], order_sides[at] = order_keys[behind], order_sides[behind]
            order_levels[at], order_sizes[at] = order_levels[behind], order_sizes[behind]
            order_epochs[at] = order_epochs[behind]
            at = behind
    order_sides[at] = -1


@_part
def before(keys, following, head, key, path):
    """The level at or behind a key, or -1; `path` is filled with those before it, by height."""
    at = np.int64(head)
    for height in range(HEIGHT - 1, -1, -1):
        ahead = np.int64(following[at, height])
        while ahead >= 0 and keys[ahead] < key:
            at = ahead
            ahead = np.int64(following[at, height])
        path[height] = at
    return np.int64(following[at, 0])


@_part
def new_level(following, state):
    """A level that is not in use."""
    if state[FREED] > 0:
        at = state[FREE]
        state[FREE], state[FREED] = following[at, 0], state[FREED] - 1
    else:
        at = state[FRESH]
        state[FRESH] = at + 1
    following[at, :] = -1
    return at


@_part
def add_to_level(keys, sizes, following, head, key, size, path, state):
    """Add shares to a side at a price; return the level."""
    at = before(keys, following, head, key, path)
    if at >= 0 and keys[at] == key:
        sizes[at] += size
        return at
    at = new_level(following, state)
    keys[at], sizes[at] = key, size
    seed = state[SEED]
    seed ^= (seed << 13) & 0xFFFFFFFF
    seed ^= seed >> 17
    seed ^= (seed << 5) & 0xFFFFFFFF
    state[SEED] = seed
    height = 0
    while True:
        following[at, height] = following[path[height], height]
        following[path[height], height] = at
        height += 1
        if height == HEIGHT or seed & 3 != 0:
            return at
        seed >>= 2


@_part
def take_from_level(keys, sizes, following, head, at, size, path, state):
    """Take shares from a level, and with the last ones the level from its side."""
    sizes[at] -= size
    if sizes[at] > 0:
        return
    before(keys, following, head, keys[at], path)
    for height in range(HEIGHT):
        if following[path[height], height] != at:
            break
        following[path[height], height] = following[at, height]
    following[at, 0] = state[FREE]
    state[FREE], state[FREED] = at, state[FREED] + 1


@_part
def clear_side(following, heads, epochs, side, state):
    """Free all levels of a side; its orders are of an epoch that is over."""
    head = heads[side]
    at = np.int64(following[head, 0])
    while at >= 0:
        ahead = np.int64(following[at, 0])
        following[at, 0] = state[FREE]
        state[FREE], state[FREED] = at, state[FREED] + 1
        at = ahead
    following[head, :] = -1
    epochs[side] += 1


@_part
def book_of(book_keys, book_slots, key):
    """The slot of a book in the table of books."""
    slots = len(book_keys)
    at = home_of(key, 0, slots)
    while book_slots[at] >= 0 and book_keys[at] != key:
        at = (at + 1) & (slots - 1)
    return at


@_part
def show(keys, sizes, following, heads, book, shown_px, shown_sz, px, sz, row, state):
    """Write what a book shows into a row: 1 where that is new, 0 where it is not, -1 for a size that no tape holds."""
    depth = shown_px.shape[2]
    changed = False
    for side in range(2):
        at = np.int64(following[heads[2 * book + side], 0])
        for level in range(depth):
            price, size = np.int64(0), np.int64(0)
            if at >= 0:
                price, size = keys[at] if side else ~keys[at], sizes[at]
                if size >= SHARES_LIMIT:
                    state[AT_SIDE], state[AT_LEVEL], state[VALUE] = side, level, size
                    return -1
                at = np.int64(following[at, 0])
            changed |= price != shown_px[book, side, level] or size != shown_sz[book, side, level]
            px[row, side, level], sz[row, side, level] = price, size
    if changed:
        shown_px[book], shown_sz[book] = px[row], sz[row]
        return 1
    return 0


_U64, _I64, _I32, _U8 = types.uint64[::1], types.int64[::1], types.int32[::1], types.uint8[::1]


def _column(kind: Any) -> Any:
    return types.Array(kind, 1, "A", readonly=True)


@_compiled(types.void(_U64, _I32, _I32, _I64, _I32, _I32, _U64, _I32, _I32, _I64, _I32, _I64))
def move_orders(
    old_keys, old_sides, old_levels, old_sizes, old_epochs, epochs,
    order_keys, order_sides, order_levels, order_sizes, order_epochs, state,
):  # fmt: skip
    """Move the orders that still stand into another, empty table."""
    used = np.int64(0)
    for at in range(len(old_keys)):
        if old_sides[at] >= 0 and old_epochs[at] == epochs[old_sides[at]]:
            to = slot_of(order_keys, order_sides, old_keys[at], old_sides[at] >> 1)
            order_keys[to], order_sides[to], order_levels[to] = old_keys[at], old_sides[at], old_levels[at]
            order_sizes[to], order_epochs[to] = old_sizes[at], old_epochs[at]
            used += 1
    state[USED] = used


@_compiled(types.void(_U64, _I32, _U64, _I32))
def move_books(old_keys, old_slots, book_keys, book_slots):
    """Move the books into another, empty table."""
    for at in range(len(old_keys)):
        if old_slots[at] >= 0:
            to = home_of(old_keys[at], 0, len(book_keys))
            while book_slots[to] >= 0:
                to = (to + 1) & (len(book_keys) - 1)
            book_keys[to], book_slots[to] = old_keys[at], old_slots[at]


@_compiled(
    types.UniTuple(types.int64, 3)(
        _column(types.uint16), _column(types.uint32), _column(types.uint64), _column(types.int64),
        _column(types.uint32), _column(types.uint8), _column(types.uint8), _column(types.uint8),
        types.int64,
        _U64, _I32, _I32, _I64, _I32,
        _I64, _I64, types.int32[:, ::1],
        _U64, _I32, _I32, _I32, types.int64[:, :, ::1], types.int32[:, :, ::1], _U8,
        _I64, types.int64[:, :, ::1], types.int32[:, :, ::1], _I64,
    )
)  # fmt: skip
def fold(
    publisher, instrument, order_id, price, size, flags, action, side, start,
    order_keys, order_sides, order_levels, order_sizes, order_epochs,
    keys, sizes, following,
    book_keys, book_slots, heads, epochs, shown_px, shown_sz, changed,
    row_at, row_px, row_sz, state,
):  # fmt: skip
    """Apply records from `start` on, and write a row after each event that changed what its book shows.

    Parameters
    ----------
    publisher, instrument, order_id, price, size, flags, action, side : (N,)
        Of records of mbo.
    start : int
    order_keys, order_sides, order_levels, order_sizes, order_epochs : (O,)
        The table of orders: id, 2 x book + side (0 bid, 1 ask; -1 = free), level, shares left, epoch of the side.
    keys, sizes, following : (L,) int64, int64, (L, HEIGHT) int32
        Levels: price, of bids its complement, so that the best is the least; shares; the next one at each height.
    book_keys, book_slots : (S,)
        The table of books: publisher and instrument, number (-1 = free).
    heads, epochs : (2 B,) int32
        Of each side: what stands before its first level; how often it was cleared.
    shown_px, shown_sz, changed : (B, 2, D), (B, 2, D), (B,)
        What the last row of a book showed; whether an order of it changed since.
    row_at, row_px, row_sz : (R,), (R, 2, D), (R, 2, D), output
        Record that ended the event, 1e-9 $, shares; 0 = no level.
    state : (STATE,) int64

    Returns
    -------
    why, at, rows : int
        Why it stopped, at which record, which is not applied yet (or is what is wrong); rows written.
    """
    rows, path = np.int64(0), np.zeros(HEIGHT, np.int64)
    last_key, last_book = np.uint64(0), np.int64(-1)
    for at in range(start, len(action)):
        if rows == len(row_at):
            return ROWS, at, rows
        if 3 * state[USED] >= 2 * len(order_keys):
            return ORDERS, at, rows
        if state[FRESH] + 3 > len(keys) and state[FREED] < 3:
            return LEVELS, at, rows
        what, bits = np.int64(action[at]), np.int64(flags[at])
        key = np.uint64(publisher[at]) << _32 | np.uint64(instrument[at])
        if last_book >= 0 and key == last_key:
            book = last_book
        else:
            slot = book_of(book_keys, book_slots, key)
            if book_slots[slot] < 0:
                book = state[BOOK_COUNT]
                if book == len(changed) or 3 * book >= 2 * len(book_keys):
                    return BOOKS, at, rows
                state[BOOK_COUNT] = book + 1
                book_keys[slot], book_slots[slot] = key, book
                heads[2 * book], heads[2 * book + 1] = new_level(following, state), new_level(following, state)
                state[LATE] += what != _CLEAR and bits & SNAPSHOT == 0
            book = np.int64(book_slots[slot])
            last_key, last_book = key, book
        state[DOUBTED] += bits & DOUBTFUL != 0
        if what == _CLEAR:
            clear_side(following, heads, epochs, 2 * book, state)
            clear_side(following, heads, epochs, 2 * book + 1, state)
            changed[book] = 1
        elif what in (_ADD, _MODIFY, _CANCEL):
            letter, px, shares = np.int64(side[at]), np.int64(price[at]), np.int64(size[at])
            of_side = 2 * book + (letter == _ASK)
            if shares == _UNDEFINED_SIZE and what != _CANCEL:
                shares = np.int64(0)
            slot = slot_of(order_keys, order_sides, order_id[at], book)
            known = order_sides[slot] >= 0 and order_epochs[slot] == epochs[order_sides[slot]]
            if letter not in (_BID, _ASK):
                state[UNUSABLE] += 1
            elif bits & TOP and px == _UNDEFINED_PRICE:
                clear_side(following, heads, epochs, of_side, state)
                changed[book] = 1
            elif what == _CANCEL:
                if known:
                    state[OVER] += shares > order_sizes[slot]
                    shares = min(shares, order_sizes[slot])
                    head = heads[order_sides[slot]]
                    take_from_level(keys, sizes, following, head, order_levels[slot], shares, path, state)
                    order_sizes[slot] -= shares
                    if order_sizes[slot] == 0:
                        close_up(order_keys, order_sides, order_levels, order_sizes, order_epochs, slot)
                        state[USED] -= 1
                    changed[book] = 1
                else:
                    state[UNKNOWN] += 1
            elif px >= PRICE_LIMIT and px != _UNDEFINED_PRICE:
                return PRICE, at, rows
            elif bits & TOP and shares > 0:
                clear_side(following, heads, epochs, of_side, state)
                add_to_level(keys, sizes, following, heads[of_side], px if letter == _ASK else ~px, shares, path, state)
                changed[book] = 1
            elif px == _UNDEFINED_PRICE or (shares == 0 and not (known and what == _MODIFY)):
                state[UNUSABLE] += 1
            else:
                if known:
                    state[REPEATED] += what == _ADD
                    head = heads[order_sides[slot]]
                    take_from_level(keys, sizes, following, head, order_levels[slot], order_sizes[slot], path, state)
                else:
                    state[NEW_BY_MODIFY] += what == _MODIFY
                    state[USED] += order_sides[slot] < 0
                if shares > 0:
                    order_keys[slot], order_sides[slot], order_epochs[slot] = order_id[at], of_side, epochs[of_side]
                    order_sizes[slot] = shares
                    order_levels[slot] = add_to_level(
                        keys, sizes, following, heads[of_side], px if letter == _ASK else ~px, shares, path, state
                    )
                else:
                    close_up(order_keys, order_sides, order_levels, order_sizes, order_epochs, slot)
                    state[USED] -= 1
                changed[book] = 1
        elif what not in (_TRADE, _FILL, _NONE):
            state[UNUSABLE] += 1
        if bits & LAST and changed[book]:
            new = show(keys, sizes, following, heads, book, shown_px, shown_sz, row_px, row_sz, rows, state)
            if new < 0:
                return SIZE, at, rows
            changed[book] = 0
            row_at[rows] = at
            rows += new
    return DONE, len(action), rows
