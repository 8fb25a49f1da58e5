"""What columns of quotes are called in tables of others, and levels that are told apart by numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from feed.levels import MOST_LEVELS

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES: Final = {
    "time": "tsevent time timestamp ts datetime quotetime exchangetime exchangetimestamp timem tstamp when eventtime "
    "index",
    "date": "date tradedate day tradingday quotedate",
    "symbol": "symbol sym ticker symroot instrument ric security underlying",
    "venue": "venue exchange exch ex mic market participant mkt exchangeid publisherid quoteexchange",
    "sequence": "sequence seq seqnum seqno quseqnum sequencenumber",
    "bid_px": "bid bidpx bidprice bestbid bestbidprice bidpx00 bp pxbid bidp",
    "ask_px": "ask askpx askprice bestask bestaskprice askpx00 ap pxask offer offerprice askp ofr",
    "bid_sz": "bidsize bidsz bidsiz bsize bidqty bidquantity bidvolume bidvol bestbidsize bidsz00 bs bidamount bids",
    "ask_sz": "asksize asksz asksiz asize askqty askquantity askvolume askvol bestasksize asksz00 as askamount "
    "offersize ofrsiz asks",
    "side": "side bidask buysell bs",
    "px": "price px",
    "sz": "size qty quantity amount volume sz shares",
    "level": "level lvl depth position",
}
"""How columns are called, without case and what joins words."""

WIDE: Final = ("bid_px", "ask_px", "bid_sz", "ask_sz")
"""Keys of a row that holds both sides."""

_NUMBERED: Final = re.compile(r"(\D+?)[\W_]*(\d{1,2})(\D*)")


def plain_name(name: str) -> str:
    """A name without case and without what joins its words."""
    return re.sub(r"[\W_]", "", name).lower()


def levels_of(names: Sequence[str]) -> dict[str, list[str]]:
    """Columns of levels behind one another, such as bid_px_1 and bid_px_2, by key, best first."""
    numbered: dict[str, dict[int, str]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match is None:
            continue
        base = plain_name(match[1] + match[3])
        key = next((key for key in WIDE if base in NAMES[key].split()), None)
        if key is not None:
            numbered.setdefault(key, {})[int(match[2])] = name
    whole = {key: [by[at] for at in sorted(by)][:MOST_LEVELS] for key, by in numbered.items()}
    lengths = {len(each) for each in whole.values()}
    return whole if set(whole) == set(WIDE) and len(lengths) == 1 else {}
