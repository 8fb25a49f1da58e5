"""A book kept by price levels: updates of one instrument folded to what its best levels show, compiled.

A side is two arrays in the order of its prices, the best last, so that what changes near the touch moves little.
"""

from __future__ import annotations

from numba import types

from feed.compiling import compiled

OPENED, SNAPSHOT, STAMP, TS, NUMBER, TOUCHED, PENDING, SKIPPED = range(8)
"""What is kept between calls: whether a snapshot came, whether the last row was of one, its message's stamp, its
instant and number, whether the best levels may have changed, whether a message is not over, rows before a snapshot."""


_column = types.Array(types.int64, 1, "C", readonly=True)
_marks = types.Array(types.int8, 1, "C", readonly=True)


@compiled(types.boolean(types.int64[:, ::1], types.int64[:, ::1], types.int64[::1], types.int64[:, :, ::1]))
def show(keys, sizes, counts, shown):
    """Write the best levels, (2, 2, D): price and size of bids and asks; whether they are others than before."""
    changed = False
    for side in range(2):
        for rank in range(shown.shape[2]):
            at = counts[side] - 1 - rank
            px, sz = 0, 0
            if at >= 0:
                px, sz = (keys[side, at] if side == 0 else -keys[side, at]), sizes[side, at]
            if shown[0, side, rank] != px or shown[1, side, rank] != sz:
                changed = True
                shown[0, side, rank], shown[1, side, rank] = px, sz
    return changed


@compiled(
    types.int64(
        _column,
        _column,
        _column,
        _marks,
        _marks,
        _column,
        _column,
        types.int64,
        types.int64[:, ::1],
        types.int64[:, ::1],
        types.int64[::1],
        types.int64[::1],
        types.int64[:, :, ::1],
        types.int64[:, ::1],
        types.int64[:, :, :, ::1],
    )
)
def fold(stamp, ts, number, snapshot, side, px, sz, over, keys, sizes, counts, state, shown, out, levels):
    """Apply updates, and write a row for each message that changes the best levels, once the next one begins.

    Parameters
    ----------
    stamp, ts, number : (N,) int64
        What rows of one message have in common; the instant and the number of a row.
    snapshot, side : (N,) int8
        Whether the row is of a snapshot; 0 bid, 1 ask.
    px, sz : (N,) int64
        A size of 0 takes the level away.
    over : int
        Whether the last message ends with the last row.
    keys, sizes : (2, C) int64
        Prices of bids, and of asks below 0, ascending; sizes. C is above the levels of a side, with N more.
    counts : (2,) int64
        Levels of each side.
    state : (8,) int64
    shown : (2, 2, D) int64
        What the last row that was written shows: price and size, of bids and asks.
    out : (2, M) int64
        Instant and number of each row that is written; M is N + 1 at least.
    levels : (M, 2, 2, D) int64

    Returns
    -------
    int
        Rows written.
    """
    rows, depth = 0, shown.shape[2]
    for row in range(len(stamp)):
        if state[PENDING] and stamp[row] != state[STAMP]:
            if state[TOUCHED] and show(keys, sizes, counts, shown):
                out[0, rows], out[1, rows] = state[TS], state[NUMBER]
                levels[rows] = shown
                rows += 1
            state[PENDING], state[TOUCHED] = 0, 0
        if snapshot[row] and not state[SNAPSHOT]:
            counts[0], counts[1] = 0, 0
            state[OPENED], state[TOUCHED] = 1, 1
        state[SNAPSHOT] = snapshot[row]
        if not state[OPENED]:
            state[SKIPPED] += 1
            continue
        of = side[row]
        key, count = (px[row] if of == 0 else -px[row]), counts[of]
        low, high = 0, count
        if count and key > keys[of, count - 1]:
            low = count
        while low < high:
            middle = (low + high) // 2
            if keys[of, middle] < key:
                low = middle + 1
            else:
                high = middle
        is_level = low < count and keys[of, low] == key
        if sz[row] == 0:
            if is_level:
                for at in range(low, count - 1):
                    keys[of, at], sizes[of, at] = keys[of, at + 1], sizes[of, at + 1]
                counts[of] = count - 1
        elif is_level:
            sizes[of, low] = sz[row]
        else:
            for at in range(count, low, -1):
                keys[of, at], sizes[of, at] = keys[of, at - 1], sizes[of, at - 1]
            keys[of, low], sizes[of, low] = key, sz[row]
            counts[of] = count + 1
        if count - low <= depth:
            state[TOUCHED] = 1
        state[PENDING], state[STAMP], state[TS], state[NUMBER] = 1, stamp[row], ts[row], number[row]
    if over and state[PENDING]:
        if state[TOUCHED] and show(keys, sizes, counts, shown):
            out[0, rows], out[1, rows] = state[TS], state[NUMBER]
            levels[rows] = shown
            rows += 1
        state[PENDING], state[TOUCHED] = 0, 0
    return rows
