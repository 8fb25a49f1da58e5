"""Quality over time: every count against a plain walk over the tape."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.quality import over_time, timeline
from feed.tape import Tape
from tests.support.strategies import tapes


def plainly(tape, start, end, stretches):
    """The same, instant by instant."""
    stretches = min(stretches, end - start + 1)
    edges = [start + at * (end - start + 1) // stretches for at in range(stretches + 1)]
    rows = [dict.fromkeys(("snapshots", "crossed", "locked", "one_sided", "longest_gap"), 0) for _ in range(stretches)]
    spreads, venues = [[] for _ in range(stretches)], [set() for _ in range(stretches)]
    standing, before = {}, None
    for ts in np.unique(tape.ts).tolist():
        at_instant = np.flatnonzero(tape.ts == ts).tolist()
        for row in at_instant:
            standing[int(tape.venue[row])] = int(tape.bid_px[row]), int(tape.ask_px[row])
        if start <= ts <= end:
            at = next(number for number in range(stretches) if edges[number] <= ts < edges[number + 1])
            own = rows[at]
            own["snapshots"] += 1
            own["longest_gap"] = max(own["longest_gap"], 0 if before is None else ts - before)
            venues[at] |= {int(tape.venue[row]) for row in at_instant}
            bid = max((bid for bid, _ in standing.values()), default=0)
            ask = min((ask for _, ask in standing.values() if ask), default=0)
            if not bid or not ask:
                own["one_sided"] += 1
            elif bid > ask:
                own["crossed"] += 1
            elif bid == ask:
                own["locked"] += 1
            else:
                spreads[at].append(ask - bid)
        before = ts
    traded = [
        sum(
            int(shares)
            for ts, shares in zip(tape.trades.ts, tape.trades.sz, strict=True)
            if edges[at] <= ts < edges[at + 1]
        )
        for at in range(stretches)
    ]
    return {
        "start": edges[:-1],
        "end": [*edges[1:-1], end],
        **{name: [row[name] for row in rows] for name in rows[0]},
        "looked_at": [row["snapshots"] for row in rows],
        "spread": [sorted(own)[(len(own) - 1) // 2] if own else -1 for own in spreads],
        "venues": list(map(len, venues)),
        "traded": traded,
    }


@given(tapes(), st.integers(1, 7), st.data())
def test_every_stretch_counts_what_a_plain_walk_counts(tape, stretches, data):
    low, high = int(tape.ts[0]), int(tape.ts[-1])
    start = data.draw(st.integers(low, high))
    end = data.draw(st.integers(start, high))
    counted = {name: column.tolist() for name, column in over_time(tape, start, end, stretches).items()}
    assert counted == plainly(tape, start, end, stretches)


def test_of_a_long_tape_even_snapshots_are_looked_at_and_all_are_counted(monkeypatch):
    monkeypatch.setattr(timeline, "LOOKED_AT", 50)
    count = 1000
    ts = np.arange(count) * 10**9
    bid = np.where(np.arange(count) % 4 == 0, 102, 100) * 10**9
    tape = Tape.build(
        "T", ts=ts, venue=np.full(count, 2), bid_px=bid, ask_px=np.full(count, 101 * 10**9),
        bid_sz=np.full(count, 5), ask_sz=np.full(count, 5), sequence=np.arange(count),
    )  # fmt: skip
    made = over_time(tape, int(ts[0]), int(ts[-1]), 4)
    assert made["snapshots"].tolist() == [250] * 4
    assert made["looked_at"].sum() == 50
    assert made["crossed"].sum() == pytest.approx(50 / 4, abs=3)
