"""Orders folded into levels the plain way: a dict of orders for each book, all added up anew after each event."""

from __future__ import annotations

from collections import Counter

UNDEFINED_PRICE, UNDEFINED_SIZE = 2**63 - 1, 2**32 - 1
LAST, TOP, SNAPSHOT, DOUBTFUL = 128, 64, 32, 4


class PlainBook:
    """One book: orders by id as (side, price, size), and a side that a single record stands for."""

    def __init__(self, depth):
        self.orders, self.tops = {}, {}
        self.shown = self.levels(depth)
        self.changed = False

    def levels(self, depth):
        """The first levels of bids and asks, (price, size) each."""
        sides = []
        for side in "BA":
            total = Counter()
            for its, price, size in [*self.orders.values(), *([(side, *self.tops[side])] if side in self.tops else [])]:
                if its == side:
                    total[price] += size
            levels = sorted(total.items(), reverse=side == "B")[:depth]
            sides.append(levels + [(0, 0)] * (depth - len(levels)))
        return sides

    def clear(self, sides="BA"):
        self.orders = {key: order for key, order in self.orders.items() if order[0] not in sides}
        self.tops = {side: top for side, top in self.tops.items() if side not in sides}
        self.changed = True


def plain_rows(records, depth):
    """Rows (record, [[(price, size), ...] of bids, of asks]) of records (dicts), and the counts of what is odd."""
    books, rows, counts = {}, [], Counter()
    for at, record in enumerate(records):
        key = record["publisher_id"], record["instrument_id"]
        what, side, flags = record["action"], record["side"], record["flags"]
        if key not in books:
            books[key] = PlainBook(depth)
            counts["late"] += what != "R" and not flags & SNAPSHOT
        book = books[key]
        counts["doubted"] += bool(flags & DOUBTFUL)
        apply(book, record, what, side, counts)
        if flags & LAST and book.changed:
            book.changed = False
            levels = book.levels(depth)
            if levels != book.shown:
                book.shown = levels
                rows.append((at, levels))
    counts["books"] = len(books)
    counts["unfinished"] = sum(book.changed for book in books.values())
    return rows, +counts


def apply(book, record, what, side, counts):
    """Change a book by a record."""
    key, price, size = record["order_id"], record["price"], record["size"]
    known = book.orders.get(key)
    if what == "R":
        book.clear()
    elif what in "TFN":
        return
    elif what not in "AMC" or side not in "AB":
        counts["unusable_order"] += 1
    elif record["flags"] & TOP and price == UNDEFINED_PRICE:
        book.clear(side)
    elif what == "C" and known is None:
        counts["unknown_order"] += 1
    elif what == "C":
        counts["more_than_left"] += size > known[2]
        book.orders[key] = (*known[:2], max(known[2] - size, 0))
        if book.orders[key][2] == 0:
            del book.orders[key]
        book.changed = True
    elif record["flags"] & TOP and size not in {0, UNDEFINED_SIZE}:
        book.clear(side)
        book.tops[side] = price, size
    elif price == UNDEFINED_PRICE or (size in {0, UNDEFINED_SIZE} and not (known and what == "M")):
        counts["unusable_order"] += 1
    else:
        counts["repeated"] += known is not None and what == "A"
        counts["new_by_modify"] += known is None and what == "M"
        book.orders.pop(key, None)
        if size not in {0, UNDEFINED_SIZE}:
            book.orders[key] = side, price, size
        book.changed = True
