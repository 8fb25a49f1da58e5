"""Markets written as bytes, and orders that join their queues: eight bytes a record, any of which means something."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise
from random import Random

import numpy as np

from allocator.book import OFF, BookRules, build_book
from allocator.money import NANO
from allocator.order import NEUTRAL
from allocator.outflow import outflow, outflow_plain
from allocator.queues import Cleared, Joins, QueueRules, cleared, cleared_plain
from feed.tape import Tape
from tests.fuzz.mutations import damage

SIZE, MOST = 8, 64
"""Bytes of a record; records of a market."""
START, SECOND, CENT, PAR = 10**18, 10**9, 10**7, 10_000
"""PAR in cents."""
PHIS = (0, NEUTRAL, NANO, NANO // 3)
POSTINGS = ("touch", "inside", "deep:1", "deep:2")
LEVELS = 3


def _shares(count, power):
    """1 to 256, at times times a power of two: up to 2^31 - 1."""
    return min((count + 1) << max(power - 231, 0), 2**31 - 1)


def _side(first, size, gap, sign):
    """Levels of a side: a byte says where the first is, one of few places, or that there is none."""
    if first % 8 == 0:
        return [(0, 0)] * LEVELS
    return [(PAR + sign * (first % 4 + level * (1 + gap % 3)), size // (level + 1)) for level in range(LEVELS)]


def _decoded(data):
    """Head, rows, prints and orders of an input."""
    rows, prints, orders, ts = [], [], [], START
    for at in range(1, min(len(data) - SIZE, SIZE * MOST) + 1, SIZE):
        kind, gap, venue, first, second, size, other, power = data[at : at + SIZE]
        ts += (0, 1, SECOND, 20 * SECOND)[gap % 4] if kind % 4 != 3 else 0
        if kind % 4 < 2:
            bids, asks = _side(first, _shares(size, power), gap, -1), _side(second, _shares(other, power), gap, 1)
            rows.append((ts, venue % 3, bids, asks))
        elif kind % 4 == 2:
            prints.append((ts, venue % 4, PAR + first % 8 - 4, _shares(size, power), second % 3 - 1))
        else:
            orders.append((venue % 3, size, gap, PAR + first % 8 - 4, _shares(other, power)))
    return data[0] if data else 0, rows, prints, orders


def _tape(rows, prints, depth):
    """A tape of venues 0 to 2; prints are at a fourth as well, which has no quotes."""
    bids, asks = (np.array([row[side] for row in rows]) for side in (2, 3))
    ts, venue = (np.array([row[field] for row in rows]) for field in (0, 1))
    at = np.array(prints, np.int64).reshape(-1, 5).T
    return Tape.build(
        "ANY",
        ts=ts,
        venue=venue,
        bid_px=bids[:, 0, 0] * CENT,
        bid_sz=bids[:, 0, 1],
        ask_px=asks[:, 0, 0] * CENT,
        ask_sz=asks[:, 0, 1],
        sequence=np.arange(len(rows)),
        trades={
            **dict(zip(("ts", "venue", "px", "sz", "side"), (*at[:2], at[2] * CENT, *at[3:]), strict=True)),
            "sequence": np.arange(len(prints)),
        },
        levels={
            "bid_px": bids[:, 1:depth, 0] * CENT,
            "bid_sz": bids[:, 1:depth, 1],
            "ask_px": asks[:, 1:depth, 0] * CENT,
            "ask_sz": asks[:, 1:depth, 1],
        }
        if depth > 1
        else None,
    )


def _assert_equal(one, other):
    for field in fields(one):
        assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


def check_queues(data):
    """Compiled and plain queues do the same; what passes an order only grows, and none that was refused."""
    head, rows, prints, orders = _decoded(data)
    if not rows:
        return False
    tape = _tape(rows, prints if head & 1 else [], LEVELS if head & 2 else 1)
    book = build_book(tape, BookRules(uncross=bool(head & 4), stub_band=OFF))
    side, rho, snapshots = ("buy", "sell")[head >> 3 & 1], (0, NANO, NANO // 2)[head % 3], len(book.ts)
    made = [
        (venue % len(book.venues), joined % snapshots, min(joined % snapshots + rests, snapshots), price * CENT, ahead)
        for venue, joined, rests, price, ahead in orders
    ]
    joins = Joins(*np.array(made, np.int64).reshape(-1, 5).T.copy())
    for phi in PHIS:
        rules = QueueRules(phi, rho)
        done = cleared(book, side, joins, rules)
        _assert_equal(done, cleared_plain(book, side, joins, rules))
        _assert_law(done)
    rules, fees = QueueRules(PHIS[head >> 4 & 3], rho), [0] * len(book.venues)
    windows = book, side, fees, 20 * SECOND, 10 * SECOND, POSTINGS[head >> 6], rules, 0, 6
    _assert_equal(outflow(*windows), outflow_plain(*windows))
    return bool(orders)


def _assert_law(done: Cleared):
    events = {}
    for order, snapshot, through in zip(
        done.order.tolist(), done.snapshot.tolist(), done.through.tolist(), strict=True
    ):
        events.setdefault(order, []).append((snapshot, through))
    for order, steps in events.items():
        assert not done.refused[order], "an order that was refused is filled"
        assert all(one[0] < next_[0] and one[1] < next_[1] for one, next_ in pairwise([(-1, 0), *steps]))
    assert (done.ahead >= 0).all()


def markets_of(tape):
    """Markets as long as a tape: sizes that come and go, with prints that rows show at once, later or not at all."""
    rng = Random(int(tape.bid_sz.sum()) + tape.rows)
    for head in (0, 1, 3, 9, 23, 64, 131, 255):
        sizes, place, records = [120, 120], [1, 1], []
        for _ in range(max(tape.rows, 4)):
            venue = int(rng.random() < 0.2)
            if rng.random() < 0.3:
                records.append(bytes([3, rng.randrange(64), venue, 4 - place[0], 0, rng.randrange(64), 40, 0]))
            took = rng.randrange(10)
            if rng.random() < 0.6:
                px = 4 - place[0] if rng.random() < 0.5 else 4 + place[1]
                records.append(bytes([2, rng.randrange(3), venue, px, rng.randrange(3), took, 0, 0]))
            sizes = [min(max(size - took + rng.randrange(-10, 12), 1), 255) for size in sizes]
            if rng.random() < 0.1:
                place = [rng.randrange(4), rng.randrange(1, 4)]
            records.append(bytes([0, rng.randrange(3), venue, *place, *sizes, 0]))
        yield bytes([head]) + b"".join(records[:MOST])


def change_market(data, rng):
    """Change, double, move or drop a record, or the head; or bytes."""
    count = max(len(data) - 1, 0) // SIZE
    if count < 2 or rng.randrange(5) == 0:
        return damage(data, rng)
    records = [bytearray(data[at : at + SIZE]) for at in range(1, 1 + SIZE * count, SIZE)]
    one, other = rng.randrange(count), rng.randrange(count)
    how = rng.randrange(4)
    if how == 0:
        records.insert(other, records[one])
    elif how == 1:
        records.insert(other, records.pop(one))
    elif how == 2:
        del records[one]
    else:
        field = rng.randrange(SIZE)
        near = (records[one][field] + rng.choice([-1, 1])) % 256
        records[one][field] = rng.choice([near, records[other][field], rng.randrange(256)])
    head = data[0] if rng.randrange(8) else rng.randrange(256)
    return bytes([head]) + b"".join(records)
