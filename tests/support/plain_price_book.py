"""Updates of price levels folded plainly: dicts, sorted anew for each message."""

from __future__ import annotations

LEVELS = 10


def fold_plainly(rows):
    """The rows that a book shows.

    `rows` are (stamp, ts, number, snapshot, side, px, sz) of one instrument, side 0 for bids; what comes out is
    (ts, number, bids, asks) for each message that changed the best levels, pairs of price and size.
    """
    book, opened, was_snapshot, shown, made = ({}, {}), False, False, ([], []), []

    def best():
        return (
            sorted(book[0].items(), reverse=True)[:LEVELS],
            sorted(book[1].items())[:LEVELS],
        )

    for at, (stamp, ts, number, snapshot, side, px, sz) in enumerate(rows):
        if snapshot and not was_snapshot:
            book[0].clear()
            book[1].clear()
            opened = True
        was_snapshot = bool(snapshot)
        if not opened:
            continue
        if sz:
            book[side][px] = sz
        else:
            book[side].pop(px, None)
        if (at + 1 == len(rows) or rows[at + 1][0] != stamp) and best() != shown:
            shown = best()
            made.append((ts, number, *shown))
    return made
