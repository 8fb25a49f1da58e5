"""The book derived row by row in plain Python, as model section 3 words it: the oracle of the kernel."""

from __future__ import annotations

from fractions import Fraction


def plain_book(tape, *, carry=True, uncross=True, band=Fraction(1, 10), max_age=None, require=None):
    """Per snapshot: {"ts", "bid": {venue: (px, sz)}, "ask": ..., "moved": {...}, "fresh", "volume", "mid2"}."""
    rows = zip(
        tape.ts.tolist(),
        tape.venue.tolist(),
        tape.sequence.tolist(),
        tape.bid_px.tolist(),
        tape.bid_sz.tolist(),
        tape.ask_px.tolist(),
        tape.ask_sz.tolist(),
        strict=True,
    )
    last = {}
    for ts, venue, _, bid_px, bid_sz, ask_px, ask_sz in rows:
        if require == "ask" and ask_px == 0:
            continue
        if require == "bid" and bid_px == 0:
            continue
        last.setdefault(ts, {})[venue] = {"bid": (bid_px, bid_sz), "ask": (ask_px, ask_sz), "at": ts}
    standing, snapshots, sane = {}, [], None
    for ts in sorted(last):
        published = last[ts]
        moved = {
            side: {v for v, q in published.items() if q[side][0] != standing.get(v, {}).get(side, (0, 0))[0]}
            for side in ("bid", "ask")
        }
        standing |= published
        seen = standing if carry else published
        if max_age is not None:
            seen = {v: q for v, q in seen.items() if ts - q["at"] <= max_age}
        book = {side: {v: q[side] for v, q in seen.items() if q[side][0]} for side in ("bid", "ask")}
        age = {v: q["at"] for v, q in seen.items()}
        if uncross:
            _uncross(book, age)
        if band is not None:
            for side, beyond in (
                ("ask", lambda px, best: px > best * (1 + band)),
                ("bid", lambda px, best: px < best * (1 - band)),
            ):
                if book[side]:
                    pick = min if side == "ask" else max
                    best = pick(book[side].values())[0]
                    book[side] = {v: q for v, q in book[side].items() if not beyond(q[0], best)}
            sane = _hide_alone(book, sane)
        two_sided = book["bid"] and book["ask"]
        snapshots.append(
            {
                "ts": ts,
                **book,
                "moved": moved,
                "fresh": set(published),
                "volume": {side: sum(q[side][1] for q in published.values()) for side in ("bid", "ask")},
                "mid2": _best(book, "bid") + _best(book, "ask") if two_sided else 0,
            }
        )
    return snapshots


def _hide_alone(book, sane):
    """Hide a side that is a stub although the best of its own; the last mid of two sides at most 2 to 1 apart."""
    bid, ask = (_best(book, side) if book[side] else None for side in ("bid", "ask"))
    if bid and ask and ask <= 2 * bid:
        return Fraction(bid + ask, 2)
    if sane is None:
        stubs = {"bid", "ask"} if bid and ask and ask > 100 * bid else set()
    else:
        stubs = {"bid"} if bid and 10 * bid < sane else set()
        stubs |= {"ask"} if ask and ask > 10 * sane else set()
    for side in stubs:
        book[side] = {}
    return sane


def _best(book, side):
    return (max if side == "bid" else min)(book[side].values())[0]


def _uncross(book, age):
    own = {v for v in book["bid"] if v in book["ask"] and book["bid"][v][0] > book["ask"][v][0]}
    if not (book["bid"] and book["ask"] and _best(book, "bid") > _best(book, "ask")):
        return
    for v in own:
        del book["bid"][v], book["ask"][v]
    while book["bid"] and book["ask"] and _best(book, "bid") > _best(book, "ask"):
        stands = {
            side: min((age[v], v) for v, (px, _) in book[side].items() if px == _best(book, side))
            for side in ("bid", "ask")
        }
        side = min(stands, key=lambda s: stands[s])
        del book[side][stands[side][1]]
