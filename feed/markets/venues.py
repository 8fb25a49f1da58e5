"""Venues: their names, letters and ids, each with a source and the dates between which it is known.

A venue's id is the one that Databento's direct feed of it has. What has none there has an id of our own, from 20000 up.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from datetime import date as calendar_date
from typing import TYPE_CHECKING, Final

from feed.publishers import PUBLISHERS, in_us_equities

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

US_EQUITIES: Final = "US equities"
CRYPTO: Final = "crypto"

CONSOLIDATED_QUOTE: Final = 20_000
"""The id of a best quote that names no venue: a consolidated one, or of a file that has no column of venues."""

VENUE_KINDS: Final = ("id", "mic", "name", "taq", "lean", "sip", "databento", "tardis", "any")
"""What a text may name a venue by; any: whatever fits, as long as all that fits is one venue."""

_LETTERS: Final = frozenset({"taq", "sip"})
"""Kinds of one letter, where case counts."""

_IDS: Final = 32_768
"""A tape holds ids below this."""

_NAMED: Final = 6

_LETTERS_OF = "participant letters: https://api.massive.com/v3/reference/exchanges?asset_class=stocks"
_MIC = "MIC: ISO 10383, https://www.iso20022.org/market-identifier-codes"
_LEAN = "Lean: github.com/QuantConnect/Lean, Common/Exchange.cs and Common/Global.cs"
_LISTED = f"{_MIC}; {_LETTERS_OF}; {_LEAN}"
_TARDIS = "npm tardis-dev 13.35.3, src/consts.ts EXCHANGES"
_CHECKED = "2026-11-29"


@dataclass(frozen=True, slots=True)
class Venue:
    """A venue, and what others call it.

    Attributes
    ----------
    id : int
        As a tape holds it.
    name : str
        Its present name, or its last one.
    mic : str
        Market identifier code; empty where it has none.
    market : str
        ``US equities``, ``crypto`` or ``consolidated``.
    also : tuple of str
        Other names, former ones among them.
    taq, sip : str
        Its letters in NYSE's TAQ files, and as a participant of the CTA and UTP plans; some have two.
    lean : tuple of str
        Its code and its name in QuantConnect's Lean.
    tardis : str
        The exchange's name in files of tardis.dev.
    databento : dict of str to int
        Publisher id of each data set of Databento that carries it.
    first, last : str, optional
        The dates, ISO, between which it may have quotes; None: not known, or still there.
    checked : str
        The date, ISO, on which the source was looked at.
    source : str
        Where this is from.
    note : str
        What else matters, such as gaps between the dates.
    """

    id: int
    name: str
    mic: str = ""
    market: str = US_EQUITIES
    also: tuple[str, ...] = ()
    taq: str = ""
    sip: str = ""
    lean: tuple[str, ...] = ()
    tardis: str = ""
    databento: Mapping[str, int] = field(default_factory=dict, hash=False)
    first: str | None = None
    last: str | None = None
    checked: str = _CHECKED
    source: str = ""
    note: str = ""

    def known_on(self, date: str) -> bool:
        """Whether it may have had quotes on a date, ISO."""
        return (self.first is None or self.first <= date) and (self.last is None or date <= self.last)

    def __str__(self) -> str:
        """Such as ``2 XNAS Nasdaq``."""
        return " ".join(dict.fromkeys(filter(None, (str(self.id), self.mic, self.name))))


def _american(
    number: int,
    name: str,
    mic: str,
    letters: str = "",
    *,
    also: tuple[str, ...] = (),
    lean: tuple[str, ...] = (),
    code: str | None = None,
    first: str | None = None,
    last: str | None = None,
    source: str = "",
    note: str = "",
) -> Venue:
    """An exchange of US equities.

    `letters` are those of TAQ and of the plans; `code` is the MIC that Databento uses, where it is another one.
    """
    databento = {
        each.data_set: publisher
        for publisher, each in PUBLISHERS.items()
        if each.venue == (mic if code is None else code) and in_us_equities([publisher])
    }
    return Venue(
        id=number,
        name=name,
        mic=mic,
        also=also,
        taq=letters,
        sip=letters,
        lean=lean,
        databento=databento,
        first=first,
        last=last,
        source=f"{source}; {_LISTED}" if source else _LISTED,
        note=note,
    )


_US: Final = (
    _american(9, "NYSE", "XNYS", "N", also=("New York Stock Exchange", "NYS"), lean=("N", "NYSE")),
    _american(43, "NYSE Arca", "ARCX", "P", also=("Arca", "Archipelago", "Pacific Exchange"), lean=("P", "ARCA")),
    _american(
        2,
        "Nasdaq",
        "XNAS",
        "TQ",
        also=("NASDAQ OMX", "Nasdaq Stock Market", "NSDQ", "INET"),
        lean=("Q", "T", "NASDAQ", "NASDAQ_OMX"),
        note="TAQ and the plans write T for securities of tapes A and B, Q for those of tape C",
    ),
    _american(
        5,
        "Cboe BZX",
        "BATS",
        "Z",
        also=("BATS", "BZX", "BATS BZX", "BATS Z", "BATS Exchange", "BATS Trading"),
        lean=("Z", "BATS", "BATS_Z", "BATS Z"),
        first="2008-10-01",
        source="an exchange since October 2008: https://www.thetradenews.com/direct-edge-exchange-plans-delayed/",
        note="an ECN before, whose quotes other exchanges showed",
    ),
    _american(
        6,
        "Cboe BYX",
        "BATY",
        "Y",
        also=("BYX", "BATS BYX", "BATS Y", "BATS Y-Exchange"),
        lean=("Y", "BATS_Y", "BATS Y"),
        first="2009-10-19",
        source="letter Y from 2009-10-19: http://nasdaqtrader.com/TraderNews.aspx?id=uva2009-009",
        note="first: when the letter was ready, ahead of the exchange",
    ),
    _american(
        8,
        "Cboe EDGX",
        "EDGX",
        "K",
        also=("Direct Edge X", "EDGX Exchange", "BATS EDGX"),
        lean=("K", "EDGX"),
        first="2010-07-02",
        source="https://www.thetradenews.com/direct-edge-exchange-plans-delayed/",
        note="an ECN before, whose quotes the ISE showed",
    ),
    _american(
        7,
        "Cboe EDGA",
        "EDGA",
        "J",
        also=("Direct Edge A", "EDGA Exchange", "BATS EDGA"),
        lean=("J", "EDGA"),
        first="2010-07-02",
        source="https://www.thetradenews.com/direct-edge-exchange-plans-delayed/",
        note="an ECN before, whose quotes the ISE showed",
    ),
    _american(
        3,
        "Nasdaq Texas",
        "XBOS",
        "B",
        also=("Nasdaq BX", "BX", "NASDAQ OMX BX", "Boston Stock Exchange", "Boston"),
        lean=("B", "BB", "NASDAQ_BX", "NASDAQ BX", "BOSTON"),
        source="launched as NASDAQ OMX BX on 2009-01-16: http://www.stockmarkets.com/exchanges/north-america/nasdaq-omx-bx/",
        note="the Boston Stock Exchange before 2009, with another system",
    ),
    _american(
        4,
        "Nasdaq PSX",
        "XPSX",
        "X",
        also=("PSX", "NASDAQ OMX PSX"),
        lean=("X", "NASDAQ_PSX", "NASDAQ PSX"),
        first="2010-10-08",
        source="Equity Trader Alert 2010-56, http://www.nasdaqtrader.com/Tradernews.aspx?id=eta2010-56",
        note="the letter X was that of the Philadelphia Stock Exchange before",
    ),
    _american(
        38,
        "IEX",
        "IEXG",
        "V",
        also=("Investors Exchange", "The Investors' Exchange"),
        lean=("IEX",),
        first="2016-06-17",
        source="SEC Release 34-78102: approved as an exchange on 2016-06-17, https://www.sec.gov/files/rules/interp/2016/34-78102.pdf",
        note="first: its approval, some weeks ahead of its first quotes as an exchange",
    ),
    _american(
        11,
        "NYSE American",
        "XASE",
        "A",
        also=("AMEX", "American Stock Exchange", "NYSE MKT", "NYSE Amex", "NYSE Alternext"),
        lean=("A", "AMEX"),
    ),
    _american(
        12,
        "NYSE Texas",
        "XCHI",
        "M",
        also=("NYSE Chicago", "Chicago Stock Exchange", "CHX"),
        lean=("M", "CSE"),
        source="NYSE Chicago became NYSE Texas in 2025: SEC Release 34-103765, 90 FR 41863",
    ),
    _american(
        10,
        "NYSE National",
        "XCIS",
        "C",
        also=("NSX", "National Stock Exchange", "Cincinnati Stock Exchange"),
        lean=("C", "NSE", "NSX"),
        source="https://en.wikipedia.org/wiki/NYSE_National; http://marketsmedia.com/national-stock-exchange-set-close-december-16",
        note="without trading after 2014-05-30 for about a year and a half, and after 2016-12-16 until 2018-05-21",
    ),
    _american(
        15,
        "MEMX",
        "MEMX",
        "U",
        also=("Members Exchange", "MEMX LLC"),
        lean=("MM", "MEMX"),
        first="2020-09-21",
        source="https://thetradenews.com/memx-prepares-to-complete-launch-following-delays",
    ),
    _american(
        16,
        "MIAX Pearl",
        "EPRL",
        "H",
        also=("MIAX Pearl Equities", "PEARL"),
        lean=("MP", "MIAX_PEARL", "MIAX PEARL"),
        first="2020-09-01",
        source="September 2020: https://en.wikipedia.org/wiki/MIAX_Pearl_Equities",
    ),
    _american(
        80,
        "LTSE",
        "LTSE",
        "L",
        also=("Long-Term Stock Exchange",),
        lean=("L", "LTSE"),
        first="2019-12-23",
        note="first: when its MIC was made, ahead of its first quotes in 2020",
    ),
    _american(
        115,
        "24X",
        "24EQ",
        "G",
        also=("24X National Exchange",),
        first="2025-10-14",
        source="https://www.emploi1.com/2767/24x-delays-national-exchange-debut-to-october-14-following-membership-approval-lag",
    ),
    _american(
        114,
        "TXSE",
        "TXSE",
        "F",
        also=("Texas Stock Exchange",),
        first="2026-07-03",
        source="https://www.txse.com/trading-membership/member-readiness-and-launch-guide",
        note="first: the first day of the two weeks in which it planned to begin",
    ),
    _american(
        133,
        "FINRA ADF",
        "XADF",
        "D",
        also=("Alternative Display Facility", "NASD ADF"),
        lean=("D", "FINRA"),
        note="TAQ and the plans write D for trades of FINRA's reporting facilities too, which show no quotes",
    ),
    _american(17, "FINRA/Nasdaq TRF Carteret", "FINN", also=("Nasdaq TRF", "Nasdaq TRF Carteret")),
    _american(
        18,
        "FINRA/Nasdaq TRF Chicago",
        "FINC",
        also=("Nasdaq TRF Chicago",),
        first="2018-07-23",
        note="first: when its MIC was made",
    ),
    _american(19, "FINRA/NYSE TRF", "FINY", also=("NYSE TRF",)),
    _american(
        117,
        "ISE Stock Exchange",
        "XISE",
        "I",
        also=("ISE", "ISE equities", "International Securities Exchange"),
        lean=("I", "ISE"),
        code="XISX",
        last="2010-12-31",
        source="shut when EDGA and EDGX became exchanges in 2010: https://www.marketswiki.com/wiki/Direct_Edge",
        note="last: by year",
    ),
    _american(
        20_001,
        "CBSX",
        "CBSX",
        "W",
        also=("CBOE Stock Exchange", "Cboe Stock Exchange"),
        lean=("W", "CBOE"),
        first="2007-03-01",
        last="2014-04-30",
        source="https://marketswiki.com/wiki/CBOE_Stock_Exchange_(CBSX); shut a month before NSX, which did on "
        "2014-05-30: http://www.bloomberg.com/news/2014-05-02/national-stock-exchange-files-with-sec-to-halt-operations.html",
        note="first: by month",
    ),
    _american(
        20_002,
        "Philadelphia Stock Exchange",
        "XPHL",
        "X",
        also=("PHLX", "NASDAQ OMX PHLX", "Nasdaq PHLX"),
        code="",
        last="2008-10-31",
        source="its equities ended in October 2008: SEC, 75 FR 56633",
        note="its equities, last on XLE; last: by month; Databento's XPHL is the options exchange",
    ),
)


def _crypto(number: int, name: str, tardis: str, *also: str) -> Venue:
    return Venue(number, name, market=CRYPTO, also=also, tardis=tardis, source=_TARDIS)


_COINS: Final = (
    _crypto(20_100, "Binance", "binance"),
    _crypto(20_101, "Binance US", "binance-us", "binanceus"),
    _crypto(20_102, "Binance USDT futures", "binance-futures", "binanceusdm"),
    _crypto(20_103, "Binance coin futures", "binance-delivery", "binancecoinm"),
    _crypto(20_104, "Coinbase", "coinbase", "Coinbase Pro", "GDAX", "coinbaseexchange"),
    _crypto(20_105, "Coinbase International", "coinbase-international", "coinbaseinternational"),
    _crypto(20_106, "Kraken", "kraken"),
    _crypto(20_107, "Kraken Futures", "cryptofacilities", "Crypto Facilities", "krakenfutures"),
    _crypto(20_108, "Bitstamp", "bitstamp"),
    _crypto(20_109, "Bitfinex", "bitfinex"),
    _crypto(20_110, "Bitfinex Derivatives", "bitfinex-derivatives"),
    _crypto(20_111, "OKX", "okex", "OKEx"),
    _crypto(20_112, "OKX swaps", "okex-swap"),
    _crypto(20_113, "OKX futures", "okex-futures"),
    _crypto(20_114, "Bybit derivatives", "bybit"),
    _crypto(20_115, "Bybit spot", "bybit-spot"),
    _crypto(20_116, "Gemini", "gemini"),
    _crypto(20_117, "Huobi", "huobi", "HTX"),
    _crypto(20_118, "Huobi linear swaps", "huobi-dm-linear-swap"),
    _crypto(20_119, "KuCoin", "kucoin"),
    _crypto(20_120, "KuCoin Futures", "kucoin-futures", "kucoinfutures"),
    _crypto(20_121, "Gate.io", "gate-io", "Gate", "gateio"),
    _crypto(20_122, "Gate.io futures", "gate-io-futures"),
    _crypto(20_123, "Bitget", "bitget"),
    _crypto(20_124, "Bitget futures", "bitget-futures"),
    _crypto(20_125, "Crypto.com", "crypto-com", "cryptocom"),
    _crypto(20_126, "Upbit", "upbit"),
    _crypto(20_127, "bitFlyer", "bitflyer"),
    _crypto(20_128, "Poloniex", "poloniex"),
    _crypto(20_129, "HitBTC", "hitbtc"),
    _crypto(20_130, "OKCoin", "okcoin"),
    _crypto(20_131, "BitMEX", "bitmex"),
    _crypto(20_132, "Deribit", "deribit"),
    _crypto(20_133, "dYdX v3", "dydx"),
    _crypto(20_134, "dYdX v4", "dydx-v4"),
    _crypto(20_135, "Hyperliquid", "hyperliquid"),
    _crypto(20_136, "FTX", "ftx"),
    _crypto(20_137, "FTX US", "ftx-us"),
)

_NONE: Final = Venue(
    CONSOLIDATED_QUOTE,
    "consolidated",
    market="consolidated",
    also=("NBBO", "consolidated quote", "no venue"),
    source="an id of our own",
    note="the best quote of a market, without a venue; Databento's consolidated feeds have ids of their own",
)

VENUES: Final = {each.id: each for each in (*_US, *_COINS, _NONE)}
"""Every venue of the table, by id."""

_ELSEWHERE: Final = {
    publisher: each
    for publisher, each in PUBLISHERS.items()
    if each.data_set != "OPRA.PILLAR" and not in_us_equities([publisher])
}
"""Publishers of other markets than US equities; of options, exchanges have the names of stock exchanges."""

_BY_ID: Final = VENUES | {publisher: each for each in VENUES.values() for publisher in each.databento.values()}


def venue_with(number: int) -> Venue:
    """The venue whose quotes a tape holds under an id; of an id that nothing is known of, one without a name."""
    if number in _BY_ID:
        return _BY_ID[number]
    known = PUBLISHERS.get(number)
    if known is None:
        return Venue(number, "unknown", market="unknown", source="no list has this id")
    return Venue(
        number,
        known.venue,
        known.venue,
        market=known.data_set,
        databento={known.data_set: number},
        source="databento-dbn 0.72.0, October 2026",
    )


def ids_of(venue: int) -> tuple[int, ...]:
    """The ids under which a venue's quotes may be on a tape, ascending: its own, and those of other data sets.

    Parameters
    ----------
    venue : int
        Any of them.
    """
    known = _BY_ID.get(venue)
    return (venue,) if known is None else tuple(sorted({known.id, *known.databento.values()}))


def venue_of(text: str | int, kind: str = "any", date: str | calendar_date | None = None) -> int:
    """Find the venue that a text names.

    Parameters
    ----------
    text : str or int
        A number, a market identifier code, a name, a letter. Case counts for single letters alone.
    kind : str, default "any"
        What the text is: one of `VENUE_KINDS`.
    date : str or date, optional
        The day of the data, ISO: a venue that was not there is passed over, so that a letter which was another's before
        is told apart. Without one, a venue that is still there goes before those that are not.

    Returns
    -------
    int
        Its id. A text that is a number, or a data set of Databento (``EQUS.SIP.XNAS``), names just that publisher.

    Raises
    ------
    ValueError
        No venue is called that, several are, or the one that is was not there on the date.
    """
    if kind not in VENUE_KINDS:
        raise ValueError(f"a venue's kind is one of {', '.join(VENUE_KINDS)}, but it had {str(kind)[:40]!r}")
    day = date.isoformat() if isinstance(date, calendar_date) else date
    text = str(text).strip()
    fitting = sorted(_fitting(text, kind))
    there_then = [each for each in fitting if day is None or each not in _BY_ID or _BY_ID[each].known_on(day)]
    if day is None:
        there_then = [each for each in fitting if each not in _BY_ID or _BY_ID[each].last is None] or fitting
    if len(there_then) == 1:
        return there_then[0]
    shown = f"{text[:40]!r}"
    if there_then:
        raise ValueError(f"{shown} is more than one venue: {_listed(there_then)}; write the id")
    if fitting:
        raise ValueError(f"{shown} had no quotes on {day}: {'; '.join(_lifetime(each) for each in fitting[:_NAMED])}")
    raise ValueError(f"{shown} is no venue{_closest(text, kind)}; python -m feed venues lists them")


def _fitting(text: str, kind: str) -> set[int]:
    kinds = [each for each in VENUE_KINDS if each != "any"] if kind == "any" else [kind]
    return {number for each in kinds for number in _of_kind(text, each)}


def _of_kind(text: str, kind: str) -> Iterator[int]:
    if kind == "id":
        if text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < _IDS:
            yield int(text)
    elif kind == "databento":
        yield from (
            number
            for number, each in PUBLISHERS.items()
            if text.upper() in {each.data_set, f"{each.data_set}.{each.venue}"}
        )
    elif kind in _LETTERS:
        if len(text) == 1:
            yield from (each.id for each in VENUES.values() if text in getattr(each, kind))
    else:
        wanted = _plain(text)
        yield from (each.id for each in VENUES.values() if wanted in _texts(each, kind))
        if kind == "mic":
            yield from (number for number, each in _ELSEWHERE.items() if wanted == _plain(each.venue))


def _texts(venue: Venue, kind: str) -> set[str]:
    """What a venue is called, plainly, in a kind of texts without regard to case."""
    texts = {
        "mic": (venue.mic,),
        "name": (venue.name, *venue.also),
        "lean": venue.lean,
        "tardis": (venue.tardis,),
    }[kind]
    return {_plain(each) for each in texts if each}


def _plain(text: str) -> str:
    """A text without regard to case, and to how its words are joined; of one letter, case counts."""
    return text if len(text) == 1 else " ".join(text.casefold().replace("_", " ").replace("-", " ").split())


def _listed(numbers: list[int]) -> str:
    names = [
        f"{each} {PUBLISHERS[each].venue} of {PUBLISHERS[each].data_set}" if each in PUBLISHERS else str(VENUES[each])
        for each in numbers
    ]
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _lifetime(number: int) -> str:
    known = _BY_ID[number]
    return f"{known} is known from {known.first or 'before'} to {known.last or 'now'}"


def _closest(text: str, kind: str) -> str:
    kinds = ["mic", "name", "lean", "tardis"] if kind in {"any", "id", "databento", *_LETTERS} else [kind]
    texts = {each: venue for venue in VENUES.values() for of in kinds for each in _texts(venue, of) if len(each) > 1}
    near = difflib.get_close_matches(_plain(text), texts, n=3, cutoff=0.6)
    venues = dict.fromkeys(texts[each] for each in near)
    return f", did you mean {' or '.join(map(str, venues))}?" if venues else ""
