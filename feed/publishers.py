"""Databento's publishers: the data set and venue of each id, and which ids show one market twice.

An exchange has one id in every data set that carries it. A tape of its direct feed and of another data set, or of a
consolidated feed, holds its quotes twice, and a router that reads both buys the same shares twice.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

DATA_SETS: Final = {
    "GLBX.MDP3": "1 GLBX",
    "XNAS.ITCH": "2 XNAS",
    "XBOS.ITCH": "3 XBOS",
    "XPSX.ITCH": "4 XPSX",
    "BATS.PITCH": "5 BATS",
    "BATY.PITCH": "6 BATY",
    "EDGA.PITCH": "7 EDGA",
    "EDGX.PITCH": "8 EDGX",
    "XNYS.PILLAR": "9 XNYS",
    "XCIS.PILLAR": "10 XCIS",
    "XASE.PILLAR": "11 XASE",
    "XCHI.PILLAR": "12 XCHI",
    "XCIS.BBO": "13 XCIS",
    "XCIS.TRADES": "14 XCIS",
    "MEMX.MEMOIR": "15 MEMX",
    "EPRL.DOM": "16 EPRL",
    "XNAS.NLS": "17 FINN, 18 FINC, 47 XNAS, 86 XBOS, 87 XPSX",
    "XNYS.TRADES": "19 FINY, 45 XNYS, 96 EQUS",
    "OPRA.PILLAR": (
        "20 AMXO, 21 XBOX, 22 XCBO, 23 EMLD, 24 EDGO, 25 GMNI, 26 XISX, 27 MCRY, 28 XMIO, 29 ARCO, "
        "30 OPRA, 31 MPRL, 32 XNDQ, 33 XBXO, 34 C2OX, 35 XPHL, 36 BATO, 37 MXOP, 61 SPHR, 108 MXTO, "
        "109 IEXO"
    ),
    "IEXG.TOPS": "38 IEXG",
    "DBEQ.BASIC": "39 XCHI, 40 XCIS, 41 IEXG, 42 EPRL, 59 DBEQ",
    "ARCX.PILLAR": "43 ARCX",
    "XNYS.BBO": "44 XNYS",
    "XNAS.QBBO": "46 XNAS",
    "EQUS.PLUS": "48 XCHI, 49 XCIS, 50 IEXG, 51 EPRL, 52 XNAS, 53 XNYS, 54 FINN, 55 FINY, 56 FINC, 60 EQUS",
    "IFEU.IMPACT": "57 IFEU, 84 XOFF",
    "NDEX.IMPACT": "58 NDEX, 85 XOFF",
    "EQUS.ALL": (
        "62 XCHI, 63 XCIS, 64 IEXG, 65 EPRL, 66 XNAS, 67 XNYS, 68 FINN, 69 FINY, 70 FINC, 71 BATS, "
        "72 BATY, 73 EDGA, 74 EDGX, 75 XBOS, 76 XPSX, 77 MEMX, 78 XASE, 79 ARCX, 80 LTSE, 94 EQUS"
    ),
    "XNAS.BASIC": "81 XNAS, 82 FINN, 83 FINC, 88 XBOS, 89 XPSX, 93 EQUS",
    "EQUS.SUMMARY": "90 EQUS",
    "XCIS.TRADESBBO": "91 XCIS",
    "XNYS.TRADESBBO": "92 XNYS",
    "EQUS.MINI": "95 EQUS",
    "IFUS.IMPACT": "97 IFUS, 98 XOFF",
    "IFLL.IMPACT": "99 IFLL, 100 XOFF",
    "XEUR.EOBI": "101 XEUR, 103 XOFF",
    "XEEE.EOBI": "102 XEEE, 104 XOFF",
    "XCBF.PITCH": "105 XCBF, 106 XOFF",
    "OCEA.MEMOIR": "107 OCEA",
    "MAIN.CGIF": "110 MAIN, 142 CDEF",
    "EQUS.SIP": (
        "111 XASE, 112 XBOS, 113 XCIS, 114 TXSE, 115 24EQ, 116 EPRL, 117 XISX, 118 EDGA, 119 EDGX, "
        "120 LTSE, 121 XCHI, 122 XNYS, 123 ARCX, 124 XNAS, 125 MEMX, 126 IEXG, 127 XPSX, 128 BATY, "
        "129 BATS, 130 FINN, 131 FINY, 132 FINC, 133 XADF, 134 CTA, 135 UTP"
    ),
    "MSCI.CGIF": "136 MSCI",
    "FTSE.CGIF": "137 FTSE",
    "INAV.CGIF": "138 INAV",
    "MSTAR.CGIF": "139 MSTAR",
    "CCCY.CGIF": "140 CCCY",
    "CGI.CGIF": "141 CGI",
    "XTKS.FLEX": "143 XTKS",
    "XTKT.ITCH": "144 XTKT",
    "XOSE.ITCH": "145 XOSE",
    "DBIX.CORE": "146 MAIN, 147 MSCI, 148 FTSE, 149 INAV, 150 MSTAR, 151 CCCY, 152 CGI, 153 CDEF",
}
"""Data set to its publisher ids and their venues, as of Databento's library databento-dbn 0.72.0, October 2026."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """The data set and venue of a publisher id.

    Attributes
    ----------
    data_set : str
        Such as ``XNAS.ITCH``.
    venue : str
        A market identifier code, or Databento's name of a consolidated feed.
    """

    data_set: str
    venue: str


PUBLISHERS: Final = {
    int(number): Publisher(data_set, venue)
    for data_set, members in DATA_SETS.items()
    for number, venue in (member.split() for member in members.split(", "))
}
"""Every publisher id there is."""

CONSOLIDATED: Final = frozenset({"CTA", "DBEQ", "EQUS", "OPRA", "UTP"})
"""Venues that are no exchange: the best quotes, or the trades, of all exchanges of a market."""

_US_EQUITIES: Final = "US equities"
_OVER_ALL: Final = ("DBEQ.", "EQUS.")
"""Data sets that carry, or consolidate, US exchanges that have a data set of their own as well."""

_AMERICAN: Final = {each.venue for each in PUBLISHERS.values() if each.data_set.startswith(_OVER_ALL)}
_OPTIONS: Final = "OPRA.PILLAR"
"""Options; some of their exchanges have the names of stock exchanges."""

_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class Twins:
    """Publisher ids that show one market.

    Attributes
    ----------
    venue : str
    ids : tuple of int
        Ascending; a consolidated feed comes before what it may consolidate.
    extra : tuple of int
        Those to leave out so that the market is there once.
    """

    venue: str
    ids: tuple[int, ...]
    extra: tuple[int, ...]

    def __str__(self) -> str:
        """In words."""
        first, *others = map(_named, self.ids)
        if self.venue in CONSOLIDATED:
            return f"venue {first} consolidates others, such as {' and '.join(others[:2])}"
        all_of = "both" if len(self.ids) == 2 else "all"
        return f"venues {', '.join([first, *others[:-1]])} and {others[-1]} are {all_of} {self.venue}"


def find_twins(venues: Iterable[int]) -> tuple[Twins, ...]:
    """Find the publisher ids that show one market twice.

    Parameters
    ----------
    venues : iterable of int
        Publisher ids; unknown ones are passed over.
    """
    publishers = {venue: PUBLISHERS[venue] for venue in sorted(venues) if venue in PUBLISHERS}
    places, markets = defaultdict(list), defaultdict(list)
    for venue, publisher in publishers.items():
        if publisher.venue not in CONSOLIDATED:
            places[_market(publisher), publisher.venue].append(venue)
        markets[_market(publisher)].append(venue)
    twins = [Twins(name, tuple(ids), tuple(ids[1:])) for (_, name), ids in places.items() if len(ids) > 1]
    for ids in markets.values():
        consolidated = [venue for venue in ids if publishers[venue].venue in CONSOLIDATED]
        exchanges = [venue for venue in ids if venue not in consolidated]
        for at, venue in enumerate(consolidated):
            others = exchanges or consolidated[:at]
            if others:
                twins.append(Twins(publishers[venue].venue, (venue, *others), (venue,)))
    return tuple(twins)


def in_us_equities(venues: Iterable[int]) -> bool:
    """Whether these publisher ids are there, and all of them trade US equities."""
    publishers = [PUBLISHERS.get(venue) for venue in venues]
    return bool(publishers) and all(each is not None and _market(each) == _US_EQUITIES for each in publishers)


def advice(venues: Iterable[int], twins: Iterable[Twins]) -> str:
    """Say what twins do to a result, and which venues to keep to avoid them."""
    venues, twins = sorted(venues), tuple(twins)
    summary = "; ".join(map(str, twins[:_NAMED])) + (f"; and {len(twins) - _NAMED} more" if len(twins) > _NAMED else "")
    extra = {venue for each in twins for venue in each.extra}
    choice = ", ".join(str(venue) for venue in venues if venue not in extra)
    return f"{summary}: what is displayed there counts more than once; choose, such as venues=[{choice}]"


def _market(publisher: Publisher) -> str:
    american = publisher.venue in _AMERICAN and publisher.data_set != _OPTIONS
    return _US_EQUITIES if american else publisher.data_set


def _named(venue: int) -> str:
    return f"{venue} ({PUBLISHERS[venue].data_set})"
