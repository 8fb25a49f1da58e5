"""NYSE's Daily TAQ quotes, as NYSE writes them and as WRDS does: every exchange's best bid and offer.

Layout: https://www.nyse.com/data-products/catalog/daily-taq (client specification); WRDS names the columns otherwise
(DATE, TIME_M, EX, ...). A quote that is not firm, closed or halted, takes the exchange's quote away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files.fields import (
    CLOCK,
    COLONS,
    NAME,
    WORD,
    Batch,
    Field,
    Reading,
    header_of,
    layout_of,
    packed,
    read_batches,
)
from feed.files.fragments import FileBlock, Labels, check_symbols, make_fragments
from feed.files.kinds import PACKED
from feed.files.layouts import (
    LARGEST_PRICE,
    LARGEST_SIZE,
    NEW_YORK,
    asked,
    check_named,
    coded,
    date_of,
    day_of,
    instants_of,
    joined,
    tape_names,
    venues_named,
)
from feed.files.names import DATED, first_bytes
from feed.files.streams import check_there, damage_reported, open_bytes
from feed.markets import round_lots
from feed.tape import INT64, QUOTE_DTYPES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from feed.files.registry import Request
    from feed.tables import QuoteMapping

    Columns = dict[str, NDArray[Any]]

FIRM = ("", " ", "A", "B", "H", "O", "R", "W", "Y")
"""Quote conditions that take part in the national best bid and offer: regular, opening, one-sided (Y), and those that
are slow on one side or both (A, B, H, W). Holden and Jacobsen (2014), quote filter 5, and the SIPs' own tables."""

CANCELLED = "B"
"""What Quote_Cancel_Correction says of a quote that was cancelled, and so never stood."""

SHARES_FROM = 20_395
"""2025-11-03, in days since 1970. The SIPs publish shares from then on, round lots before (SEC, MDI rules)."""

LOT = 100

TAQ_COLUMNS = {
    "time": "Time",
    "exchange": "Exchange",
    "symbol": "Symbol",
    "bid_px": "Bid_Price",
    "bid_sz": "Bid_Size",
    "ask_px": "Offer_Price",
    "ask_sz": "Offer_Size",
    "condition": "Quote_Condition",
    "sequence": "Sequence_Number",
    "cancel": "Quote_Cancel_Correction",
}
WRDS_COLUMNS = {
    "date": "DATE",
    "time": "TIME_M",
    "exchange": "EX",
    "symbol": "SYM_ROOT",
    "suffix": "SYM_SUFFIX",
    "bid_px": "BID",
    "bid_sz": "BIDSIZ",
    "ask_px": "ASK",
    "ask_sz": "ASKSIZ",
    "condition": "QU_COND",
    "sequence": "QU_SEQNUM",
    "cancel": "QU_CANCEL",
}
_DATES = (19_930_101, 20_991_231)
_OPTIONAL = {"cancel", "suffix"}
_SENT = {"NYSE": "Participant_Timestamp", "WRDS": "PART_TIME"}
"""When the exchange says that it sent a quote; the other time is the SIP's."""


def read_taq(path: Path, request: Request) -> FileBlock:
    """Read a file of quotes of NYSE's Daily TAQ, as NYSE or WRDS writes it.

    Parameters
    ----------
    path : Path
        Compressed where it ends in .gz or .zst. NYSE's file says its date in its name, WRDS's in a column.
    request : Request

    Raises
    ------
    FeedUnavailable
        Missing columns, no date, or a letter that is no exchange of the day.
    FeedCorrupt
        A damaged file or row, or another number of rows than its last record says.
    """
    check_there(path)
    quotes, where = asked(request.quotes), str(path)
    if path.suffix.lower() not in {".gz", ".zst"} and path.open("rb").read(4).startswith(tuple(PACKED.values())):
        raise FeedUnavailable("it is compressed, and its name does not say so", where, "name it .gz or .zst")
    first = first_bytes(path)
    delimiter = "|" if b"|" in first.partition(b"\n")[0] else ","
    reading = Reading()
    with damage_reported(path), open_bytes(path, request.max_bytes) as stream:
        written = header_of(stream, where, delimiter)
        upper = [name.upper() for name in written]
        wrds = "TIME_M" in upper
        names = upper if wrds else written
        if {"Best_Bid_Price", "BEST_BID"} & {*names}:
            raise FeedUnavailable(
                "it is the national best bid and offer, not every exchange's",
                where,
                "read the quotes: ..._ALL_BBO, or cqm",
            )
        table = WRDS_COLUMNS if wrds else TAQ_COLUMNS
        if quotes.stamps == "sent":
            table = table | {"time": _SENT["WRDS" if wrds else "NYSE"]}
        columns = {role: name for role, name in table.items() if role not in _OPTIONAL or name in names}
        what = "quotes of WRDS's TAQ (DATE, TIME_M, EX, ...)" if wrds else "quotes of NYSE's Daily TAQ"
        trailer = b"" if wrds else b"END" + delimiter.encode()
        layout = layout_of(names, _fields(columns, wrds=wrds), where, what, delimiter, trailer)
        day = None if wrds and quotes.date is None else day_of(quotes, _date_in(path.name), where)
        take = _taker(columns, quotes, request.symbol)
        parts = list(read_batches(stream, where, layout, take, reading))
    _check_trailer(reading, delimiter, where)
    notes = () if wrds or reading.trailer else ("it has no last record, which would say how many rows it had",)
    return _block(parts, request, quotes, day, where, ("WRDS" if wrds else "NYSE", notes))


def _fields(columns: dict[str, str], *, wrds: bool) -> list[Field]:
    of = {
        "date": {"kind": NAME},
        "time": {"kind": COLONS if wrds else CLOCK},
        "exchange": {"kind": WORD},
        "symbol": {"kind": NAME},
        "suffix": {"kind": NAME},
        "bid_px": {"scale": 9, "optional": True, "low": -LARGEST_PRICE, "high": LARGEST_PRICE},
        "bid_sz": {"optional": True, "low": 0, "high": LARGEST_SIZE},
        "condition": {"kind": WORD},
        "sequence": {"low": 0, "high": INT64},
        "cancel": {"kind": WORD},
    }
    of |= {"ask_px": of["bid_px"], "ask_sz": of["bid_sz"]}
    return [Field(name, **of[role]) for role, name in columns.items()]  # type: ignore[arg-type]


def _date_in(name: str) -> str:
    match = DATED.search(name)
    return match[0] if match else ""


def _taker(columns: dict[str, str], quotes: QuoteMapping, symbol: str | None) -> Any:  # noqa: ANN401 - a callable
    """What is kept of a batch: the rows of the symbol, quotes that are not firm without prices."""
    firm = np.array([packed(word) for word in FIRM], np.int64)

    def take(batch: Batch) -> tuple[Columns, dict[str, list[str]], dict[str, int]]:
        of = {role: batch.columns[name] for role, name in columns.items()}
        names = {"symbol": _full_names(batch, columns, of), "date": batch.names.get(columns.get("date", ""), [])}
        kept = np.ones(len(batch), np.bool_)
        counts = {}
        if symbol is not None:
            wanted = np.array([name == symbol for name in tape_names(names["symbol"], quotes)], np.bool_)
            kept &= wanted[of["symbol"]]
            counts["other_symbol"] = len(batch) - int(np.count_nonzero(kept))
        if "cancel" in of:
            cancelled = kept & (of["cancel"] == packed(CANCELLED))
            counts["cancelled"] = int(np.count_nonzero(cancelled))
            kept &= ~cancelled
        letters = of["exchange"][kept]
        made: Columns = {"time": of["time"][kept], "sequence": of["sequence"][kept]}
        made["exchange"] = letters.astype(np.uint8) if int(letters.max(initial=0)) < 256 else letters
        made |= {"symbol": of["symbol"][kept].astype(np.int32)}
        if "date" in of:
            made["date"] = of["date"][kept].astype(np.int32)
        unfirm = ~np.isin(of["condition"][kept], firm)
        counts["not_firm"] = int(np.count_nonzero(unfirm))
        for name in ("bid_px", "ask_px", "bid_sz", "ask_sz"):
            column = of[name][kept].astype(QUOTE_DTYPES[name])
            column[unfirm] = 0
            made[name] = column
        return made, names, counts

    return take


def _full_names(batch: Batch, columns: dict[str, str], of: Columns) -> list[str]:
    """Symbols of a batch; with a suffix it stands behind a space, as NYSE writes it, and `of` numbers them so."""
    roots = [name.strip() for name in batch.names[columns["symbol"]]]
    suffixes = [name.strip() for name in batch.names.get(columns.get("suffix", ""), [""])]
    if suffixes in ([], [""]):
        return roots
    pairs = of["symbol"] * len(suffixes) + of["suffix"]
    distinct, places = np.unique(pairs, return_inverse=True)
    of["symbol"] = places.reshape(-1)
    return [f"{roots[pair // len(suffixes)]} {suffixes[pair % len(suffixes)]}".strip() for pair in distinct.tolist()]


def _check_trailer(reading: Reading, delimiter: str, where: str) -> None:
    """Hold the number of rows against what the last record says, where there is one."""
    fields = reading.trailer.decode(errors="replace").rstrip("\r\n").split(delimiter)
    numbers = [int(each) for each in map(str.strip, fields[1:]) if each.isascii() and each.isdigit() and len(each) < 16]
    counts = [number for number in numbers if _DATES[0] > number or number > _DATES[1]] or numbers
    if counts and reading.rows not in numbers:
        raise FeedCorrupt(
            f"its last record says {counts[0]:,} rows, it has {reading.rows:,}", where, "download it again"
        )


def _block(
    parts: list[tuple[Columns, dict[str, list[str]], dict[str, int]]],
    request: Request,
    quotes: QuoteMapping,
    day: int | None,
    where: str,
    origin: tuple[str, tuple[str, ...]],
) -> FileBlock:
    """Make the tapes of what was kept; `origin` is whose file it is, and notes on it."""
    codes, names = coded([(part.pop("symbol"), texts["symbol"]) for part, texts, _ in parts])
    dates, texts_of = coded([(part.pop("date"), texts["date"]) for part, texts, _ in parts if "date" in part])
    ignored: dict[str, int] = {}
    for reason in ("other_symbol", "cancelled", "not_firm"):
        if count := sum(counts.get(reason, 0) for _, _, counts in parts):
            ignored[reason] = count
    columns = joined([part for part, *_ in parts])
    tapes = tape_names(names, quotes)
    check_named(tapes, where)
    symbols = tuple(sorted(set(tapes)))
    if len(symbols) < len(tapes):
        raise FeedUnavailable(
            "two of its symbols are to be one tape, whose quotes would mix", where, "see quotes.symbols"
        )
    check_symbols(symbols, request.symbol, where)
    rows = len(columns["time"])
    several = len(symbols) > 1  # otherwise nobody looks at them
    label = np.array([symbols.index(tape) for tape in tapes], np.int32)[np.concatenate(codes) if several else slice(0)]
    codes.clear()
    if not rows:
        return FileBlock((), symbols)
    clock, letters = columns.pop("time"), columns.pop("exchange")
    own = None if day is not None else np.concatenate(dates)
    days = [day] if day is not None else [day_of(quotes, _iso(text), where) for text in texts_of]
    columns["ts"], columns["venue"] = clock, np.empty(rows, np.int16)
    lots = []
    for code, each in enumerate(days):
        here = slice(None) if own is None or len(days) == 1 else own == code
        columns["ts"][here] = instants_of(clock[here], each, quotes)
        columns["venue"][here] = _venues(letters[here], quotes, each, where)
        lots.append(_shares(columns, here, each, quotes, where))
    whose, more = origin
    whose_clock = "the SIP's" if quotes.stamps == "arrival" else "the exchanges'"
    notes: tuple[str, ...] = (
        f"quotes of {whose}'s Daily TAQ; times are {whose_clock}, of {quotes.zone or NEW_YORK}",
        " and ".join(dict.fromkeys(f"sizes are {lot}" for lot in lots)),
        *more,
    )
    if "not_firm" in ignored:
        notes += (f"{ignored['not_firm']} rows whose condition is none of {''.join(FIRM).strip()} show no quote",)
    return FileBlock(make_fragments(Labels(symbols, label, label), columns, None, ignored, notes, where=where), symbols)


def _iso(text: str) -> str:
    """A date as WRDS's exports write it: 2019-05-01, 20190501, or with a time of day behind it."""
    return text.strip()[:10]


def _venues(letters: NDArray[np.int64], quotes: QuoteMapping, day: int, where: str) -> NDArray[np.int16]:
    distinct, places = np.unique(letters, return_inverse=True)
    texts = [each.to_bytes(8, "little").rstrip(b"\0").decode(errors="backslashreplace") for each in distinct.tolist()]
    ids: NDArray[np.int16] = venues_named(texts, quotes, "taq", day, where).astype(np.int16)
    return ids[places.reshape(-1)]


def _shares(columns: Columns, here: Any, day: int, quotes: QuoteMapping, where: str) -> str:  # noqa: ANN401 - an index
    """Turn sizes into shares, in place, and say what they are."""
    lot = _lot_of(quotes, day)
    for side in ("bid", "ask"):
        sizes, px = columns[f"{side}_sz"], columns[f"{side}_px"]
        times = np.int64(lot) if lot else round_lots(columns["ts"][here], px[here])
        shares = sizes[here] * times
        if int(shares.max(initial=0)) > LARGEST_SIZE:
            raise FeedCorrupt(
                f"a size of {int(sizes[here].max()):,} round lots is beyond a tape",
                where,
                "are they shares? set quotes.size_unit=shares",
            )
        sizes[here] = shares
    if lot == 1:
        return "shares"
    since = "" if quotes.size_unit else f", as before {date_of(SHARES_FROM)}"
    return f"round lots of {lot or 'the date and price'}{since}"


def _lot_of(quotes: QuoteMapping, day: int) -> int:
    """Shares of a unit of size; 0 for round lots, which depend on the price."""
    if quotes.size_unit is None:
        return LOT if day < SHARES_FROM else 1
    given = quotes.shares
    if given is not None and given != int(given):
        raise FeedUnavailable("an equity has no part of a share", "quotes.size_unit", "write shares, or lots of 100")
    return 0 if given is None else int(given)
