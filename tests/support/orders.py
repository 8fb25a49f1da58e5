"""Records of mbo, as dicts."""

from __future__ import annotations

import numpy as np

from tests.support.plain_orders import LAST, UNDEFINED_PRICE

CENT = 10**7


def record(order_id=1, action="A", side="B", price=100 * CENT, size=100, flags=LAST, **others):
    return {"publisher_id": 2, "instrument_id": 38, "order_id": order_id, "price": price, "size": size} | {
        "flags": flags,
        "action": action,
        "side": side,
        **others,
    }


def flow(count, seed):
    """Orders of two books that come and go about a price that wanders, in events of several records."""
    rng = np.random.default_rng(seed)
    standing, records = [[], []], []
    middle = 10_000
    for number in range(count):
        middle += int(rng.integers(-3, 4))
        book = int(rng.integers(0, 2))
        orders, where = standing[book], {"instrument_id": 38 + book}
        how = rng.random()
        flags = LAST if rng.random() < 0.7 else 0
        if how < 0.5 or not orders:
            side = "BA"[int(rng.integers(0, 2))]
            price = (middle + (1 if side == "A" else -1) * int(rng.geometric(0.05))) * CENT
            orders.append((number, side))
            records.append(record(number, "A", side, price, int(rng.integers(1, 9)) * 50, flags, **where))
        elif how < 0.51:
            orders.clear()
            records.append(record(0, "R", "N", UNDEFINED_PRICE, 0, flags, **where))
        else:
            at = int(rng.integers(0, len(orders)))
            old, side = orders[at]
            if how < 0.7:
                price = (middle + (1 if side == "A" else -1) * int(rng.geometric(0.1))) * CENT
                records.append(record(old, "M", side, price, int(rng.integers(1, 9)) * 50, flags, **where))
            else:
                records.append(record(old, "C", side, 0, int(rng.choice([50, 10**6])), flags, **where))
                if records[-1]["size"] > 50:
                    del orders[at]
    return records
