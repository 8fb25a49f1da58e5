"""How much of what leaves the best quotes of a tape traded: python -m tools.traded_share l1_day.csv.gz.

The share at a price that stays is `allocator.queues.QueueRules.rho`, which queues need on a tape without trades: where
the price leaves, nobody is filled by it. Each venue's own best price is followed; what its prints do not explain of a
decrease was cancelled. Of the shares printed at a price that stood, `absorbed` are those that rows show to be gone,
`a row late` those of them that the row of the print's own stamp did not show yet, and `unknown` those without an
aggressor.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from allocator.book import BookRules, build_book
from allocator.order import SIGN
from allocator.queues import resting
from feed.source import read_source

if TYPE_CHECKING:
    from allocator.book import Book
    from allocator.order import Side

HEADER: Final = (
    "          decreased      traded  share  at its price  as it leaves     printed    absorbed  a row late  unknown"
)


@dataclass(slots=True)
class Share:
    """Shares of one side that decreased, and that traded of them: at a price that stays, as the price leaves.

    Attributes
    ----------
    printed, absorbed, late, unknown : int
        At a price that stood: in prints; as far as rows show it, and as far as a later row than that of the print's
        stamp does; in prints without an aggressor.
    """

    stays: list[int]
    leaves: list[int]
    printed: int = 0
    absorbed: int = 0
    late: int = 0
    unknown: int = 0

    def __add__(self, other: Share) -> Share:
        return Share(
            [one + two for one, two in zip(self.stays, other.stays, strict=True)],
            [one + two for one, two in zip(self.leaves, other.leaves, strict=True)],
            *(getattr(self, name) + getattr(other, name) for name in ("printed", "absorbed", "late", "unknown")),
        )

    def line(self, name: str) -> str:
        """A line under `HEADER`."""
        decreased, traded = (one + two for one, two in zip(self.stays, self.leaves, strict=True))
        parts = [100 * part[1] / (part[0] or 1) for part in (self.stays, self.leaves)]
        return (
            f"{name:6}{decreased:13,}{traded:12,}{100 * traded / (decreased or 1):6.1f}%{parts[0]:13.1f}%"
            f"{parts[1]:13.1f}%{self.printed:12,}{self.absorbed:12,}{self.late:12,}{self.unknown:9,}"
        )


def measure(book: Book, side: Side) -> Share:
    """Follow the best quotes that orders of a side rest beside."""
    own, sign, prints, share = resting(book, side), SIGN[side], book.prints, Share([0, 0], [0, 0])
    published = book.flags_of(book.published)
    for v in range(len(book.venues)):
        price = shown = pending = fresh = older = 0
        for t in range(len(book.ts)):
            fresh = 0
            for i in range(*prints.edges[t : t + 2].tolist()) if prints else ():
                if prints.venue[i] == v and prints.side[i] != sign and sign * prints.px[i] == price != 0:
                    shares = int(prints.sz[i])
                    share.printed += shares
                    share.unknown += shares if prints.side[i] == 0 else 0
                    pending += shares
                    fresh += shares if prints.ts[i] == book.ts[t] else 0
            ticks = int(own.ticks[t, v])
            if not published[t, v] or not ticks:
                continue
            now, size = sign * (book.base + book.tick * ticks), int(own.sz[t, v])
            if price and now <= price:
                gone = max(shown - size, 0) if now == price else shown
                absorbed = min(gone, pending)
                sums = share.stays if now == price else share.leaves
                sums[0] += gone
                sums[1] += absorbed
                share.absorbed += absorbed
                share.late += min(absorbed, older)
                pending = older = min(pending - absorbed, fresh)
            if now != price:
                price, pending, older = now, 0, 0
            shown = size
    return share


def main(source: str) -> None:
    """Print a line a side, and one for both."""
    book = build_book(read_source(source)[0], BookRules())
    bids, asks = measure(book, "buy"), measure(book, "sell")
    print(HEADER, bids.line("bids"), asks.line("asks"), (bids + asks).line("both"), sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
