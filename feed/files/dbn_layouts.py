"""Where the fields of DBN records lie, and which schemas hold books: by the rtype that begins each record.

Sources: databento-dbn 0.72.0 (the layouts, as the tests check), databento.com/docs/schemas (what a stamp means).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np

from feed.levels import MOST_LEVELS

VERSIONS: Final = (1, 2, 3)
"""Versions of the encoding; the records of the schemas that are read are the same in all."""

CONSOLIDATED_QUOTE: Final = 20_000
"""The venue of a best quote over all venues: an id of our own, as no publisher shows it."""

RECORD_FIELDS: Final = {
    "length": ("u1", 0),  # in words of four bytes
    "rtype": ("u1", 1),
    "publisher_id": ("<u2", 2),
    "instrument_id": ("<u4", 4),
    "ts_event": ("<u8", 8),
    "price": ("<i8", 16),
    "size": ("<u4", 24),
    "action": ("u1", 28),
    "side": ("u1", 29),
    "ts_recv": ("<u8", 32),
    "sequence": ("<u4", 44),
    "bid_px_00": ("<i8", 48),
    "ask_px_00": ("<i8", 56),
    "bid_sz_00": ("<u4", 64),
    "ask_sz_00": ("<u4", 68),
}
"""Type and offset of the fields that are read of a record that shows a book; not every schema uses all of them."""

LEVEL_FIELDS: Final = {"bid_px": ("<i8", 0), "ask_px": ("<i8", 8), "bid_sz": ("<u4", 16), "ask_sz": ("<u4", 20)}
LEVEL_BYTES: Final = 32

MBO_FIELDS: Final = {
    "length": ("u1", 0),
    "rtype": ("u1", 1),
    "publisher_id": ("<u2", 2),
    "instrument_id": ("<u4", 4),
    "ts_event": ("<u8", 8),
    "order_id": ("<u8", 16),
    "price": ("<i8", 24),
    "size": ("<u4", 32),
    "flags": ("u1", 36),
    "action": ("u1", 38),
    "side": ("u1", 39),
    "ts_recv": ("<u8", 40),
    "sequence": ("<u4", 52),
}
"""The same of a record of mbo."""

MBO: Final = 160

LAST, TOP, SNAPSHOT, DOUBTFUL = 128, 64, 32, 4
"""Flags of a record of mbo: the last of an event; a whole side rather than an order; of a snapshot; behind a gap."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A kind of record that shows a book, or changes one.

    Attributes
    ----------
    schema : str
        As in a message.
    nbytes : int
        Its least length; a stamp may follow.
    family : str
        Records of one family may stand in one file: of two they would show one book twice.
    levels : int
        Of a side; 0 of mbo.
    sampled : bool
        It shows the book at the end of an interval, which is its ts_recv. Its ts_event is that of the last trade, and
        its price and size are that trade's, as often as it is sampled.
    consolidated : bool
        It shows the best of all venues, and has no sequence.
    """

    schema: str
    nbytes: int
    family: str
    levels: int = 1
    sampled: bool = False
    consolidated: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What its rows are, where that has to be said."""
        notes = []
        if self.consolidated:
            notes.append(
                f"{self.schema} shows the best of all venues: its quotes are those of one venue, {CONSOLIDATED_QUOTE}"
            )
        if self.sampled:
            notes.append(f"{self.schema} is sampled: a row is the book at ts_recv; its last trades are not taken")
        return tuple(notes)


LAYOUTS: Final = {
    1: Layout("mbp-1 or tbbo", 80, "mbp"),
    10: Layout("mbp-10", 368, "mbp", MOST_LEVELS),
    MBO: Layout("mbo", 56, "mbo", 0),
    177: Layout("cmbp-1", 80, "cmbp-1", consolidated=True),
    192: Layout("cbbo-1s", 80, "cbbo-1s", sampled=True, consolidated=True),
    193: Layout("cbbo-1m", 80, "cbbo-1m", sampled=True, consolidated=True),
    194: Layout("tcbbo", 80, "tcbbo", consolidated=True),
    195: Layout("bbo-1s", 80, "bbo-1s", sampled=True),
    196: Layout("bbo-1m", 80, "bbo-1m", sampled=True),
}
"""What is read, by rtype."""

SCHEMAS: Final = "mbp-1, tbbo, mbp-10, mbo, cmbp-1, tcbbo, bbo-1s, bbo-1m, cbbo-1s or cbbo-1m"
"""The schemas that are read, for a message."""

OTHERS: Final = {
    0: "trades",
    17: "ohlcv",
    18: "status",
    19: "definition",
    20: "imbalance",
    21: "error",
    22: "symbol mapping",
    23: "system",
    24: "statistics",
    32: "ohlcv-1s",
    33: "ohlcv-1m",
    34: "ohlcv-1h",
    35: "ohlcv-1d",
    36: "ohlcv-eod",
}
"""What holds no book, by rtype."""

LEAST_BYTES: Final = np.array([LAYOUTS[rtype].nbytes if rtype in LAYOUTS else 0 for rtype in range(256)], np.int64)
"""(256,) int64: least length of a record of each rtype that is read; 0 of any other."""


@cache
def record_dtype(size: int) -> np.dtype[Any]:
    """The fields of a book record of some bytes; with `behind`, the further levels, where there is room for them."""
    fields: dict[str, tuple[Any, int]] = dict(RECORD_FIELDS)
    if size >= LAYOUTS[10].nbytes:
        names, (formats, offsets) = list(LEVEL_FIELDS), zip(*LEVEL_FIELDS.values(), strict=True)
        level = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": LEVEL_BYTES})
        fields["behind"] = ((level, (MOST_LEVELS - 1,)), LAYOUTS[1].nbytes)
    return _packed(fields, size)


@cache
def mbo_dtype(size: int) -> np.dtype[Any]:
    """The fields of a record of mbo of some bytes."""
    return _packed(dict(MBO_FIELDS), size)


def _packed(fields: dict[str, tuple[Any, int]], size: int) -> np.dtype[Any]:
    formats, offsets = zip(*fields.values(), strict=True)
    return np.dtype({"names": list(fields), "formats": formats, "offsets": offsets, "itemsize": size})


def named(rtypes: dict[int, int], most: int = 3) -> str:
    """Schemas of records that show no book, by how many there are; the most first."""
    ordered = sorted(rtypes.items(), key=lambda pair: (-pair[1], pair[0]))
    names = [f"{OTHERS.get(rtype, 'an unknown schema')} (rtype {rtype})" for rtype, _ in ordered]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
