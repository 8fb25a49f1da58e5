"""What comes out of vendors' files: each is held against a plain reading, line by line with Python's decimals."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from feed.errors import FeedCorrupt
from feed.files.fragments import FileBlock
from feed.files.lean import read_lean
from feed.files.lobster import read_lobster
from feed.files.registry import Request
from feed.files.taq import FIRM, TAQ_COLUMNS, WRDS_COLUMNS, read_taq
from feed.files.tardis import read_tardis
from feed.markets import venue_of
from feed.tables import QuoteMapping
from feed.tape import QUOTE_DTYPES, Tape
from tests.fuzz.files import SMALL, assert_same_tapes, check_block, folder, outcome
from tests.fuzz.mutations import change_table, damage, field
from tests.fuzz.oracles import UnsureError, bounded_memory, built
from tests.support.plain_price_book import fold_plainly

MIB = 2**20
DEEP = Request(max_bytes=SMALL)
UNIT = QuoteMapping(size_unit="1e-5", sizes="down")
DAY = "20180730"


def midnight(text):
    return int(datetime.strptime(text, "%Y%m%d").replace(tzinfo=ZoneInfo("America/New_York")).timestamp()) * 10**9


def lines_of(text, delimiter, columns):
    """The fields of each line that is not blank; UnsureError of what is quoted."""
    if b'"' in text:
        raise UnsureError("quoted")
    made = []
    for line in text.split(b"\n"):
        fields = line.removesuffix(b"\r").decode(errors="backslashreplace").split(delimiter)
        if fields != [""]:
            assert columns is None or len(fields) == columns, "a row of another length was read"
            made.append(fields)
    return made


def scaled(text, scale):
    """A number times a power of ten, exactly; 0 for nothing."""
    value = Decimal(text or 0).scaleb(scale)
    assert value == value.to_integral_value(), f"{text!r} was rounded"
    return int(value)


def checked(read, path, plain, request=DEEP):
    """Read a file, and hold it against the plain reading of it; whether it was accepted."""
    with bounded_memory(64 * MIB):
        block = outcome(read, path, request)
        if not isinstance(block, FileBlock):
            return False
        block = block.shown()
        check_block(block)
    try:
        expected = plain()
    except UnsureError:
        return True
    assert_same_tapes(
        block, {symbol: tape.shown() for symbol, tape in expected.items() if tape is not None}, "read plainly"
    )
    return True


def tape_of(symbol, rows, trades=(), levels=None):
    if levels is None:
        return built(symbol, rows, trades)
    columns = {
        name: np.array([row[at] for row in rows], object).astype(np.int64) for at, name in enumerate(QUOTE_DTYPES)
    }
    prints = built(symbol, [], trades).trades
    return Tape.build(
        symbol, **columns, levels=levels, trades={name: getattr(prints, name) for name in type(prints).__slots__}
    )


def sides_of(tape):
    """(bid price, bid size, ask price, ask size) of each row."""
    return list(zip(*(getattr(tape, name).tolist() for name in ("bid_px", "bid_sz", "ask_px", "ask_sz")), strict=True))


def decimal_of(number, scale):
    return f"{Decimal(int(number)).scaleb(-scale):f}"


# LOBSTER: a pair is its two files, one behind the other


def lobster_pairs(tape):
    """The tape as a pair, each row with the events of another kind."""
    messages, book = [], []
    for at, row in enumerate(zip(tape.bid_px, tape.bid_sz, tape.ask_px, tape.ask_sz, strict=True)):
        bid_px, bid_sz, ask_px, ask_sz = (int(each) for each in row)
        messages.append(
            f"{34200 + at}.{at:09d},{1 + at % 7},{at},{1 + at},{(1, 0, -1)[at % 3] if at % 7 == 6 else 10**6},1"
        )
        sides = [(ask_px // 10**5, ask_sz), (bid_px // 10**5, bid_sz)]
        book.append(
            [
                each
                for (px, sz), sign in zip(sides, (1, -1), strict=True)
                for each in ((px, sz) if px else (sign * 9999999999, 0))
            ]
        )
    for levels in (1, 2):
        rows = [",".join(map(str, row + [9999999999, 0, -9999999999, 0] * (levels - 1))) for row in book]
        yield "\n".join([*messages, "\0", *rows, ""]).encode().replace(b"\0\n", b"\0")


def change_pair(data, rng):
    messages, mark, book = data.partition(b"\0")
    if rng.randrange(6) == 0:
        return damage(data, rng)
    if rng.randrange(2):
        return change_lines(",")(messages, rng) + mark + book
    return messages + mark + change_lines(",")(book, rng)


def check_lobster(data):
    messages, _, book = data.partition(b"\0")
    width = book.partition(b"\n")[0].count(b",") + 1
    levels = width // 4 if width % 4 == 0 else 1
    paths = [folder() / f"AAPL_2018-07-30_1_2_{kind}_{levels}.csv" for kind in ("message", "orderbook")]
    for other in folder().glob("AAPL_*.csv"):
        other.unlink()
    for path, text in zip(paths, (messages, book), strict=True):
        path.write_bytes(text)
    return checked(read_lobster, paths[0], lambda: plain_lobster(messages, book, levels))


def plain_lobster(messages, book, levels):
    events, ranks = lines_of(messages, ",", 6), lines_of(book, ",", 4 * levels)
    assert len(events) == len(ranks)
    shown, day, halted, rows, trades = min(levels, 10), midnight(DAY), False, [], []
    behind = {name: [] for name in ("bid_px", "ask_px", "bid_sz", "ask_sz")}
    for number, (event, row) in enumerate(zip(events, ranks, strict=True), 1):
        time, kind, size, price, side = (event[at] for at in (0, 1, 3, 4, 5))
        halted = scaled(price, 0) != 1 if scaled(kind, 0) == 7 else halted
        sides = {
            name: [scaled(row[4 * level + at], 5 * (at % 2 == 0)) for level in range(shown)]
            for at, name in enumerate(("ask_px", "ask_sz", "bid_px", "bid_sz"))
        }
        for side_ in ("ask", "bid"):
            for level in range(shown):
                if halted or abs(sides[f"{side_}_px"][level]) == 9999999999 * 10**5:
                    sides[f"{side_}_px"][level] = sides[f"{side_}_sz"][level] = 0
        ts = day + scaled(time, 9)
        rows.append((ts, 2, *(sides[name][0] for name in ("bid_px", "ask_px", "bid_sz", "ask_sz")), number))
        for name, values in behind.items():
            values.append(sides[name][1:])
        if scaled(kind, 0) in {4, 5} and scaled(price, 5) > 0 and scaled(size, 0) > 0:
            trades.append((ts, 2, scaled(price, 5), scaled(size, 0), -scaled(side, 0), number))
    return {
        "AAPL": tape_of(
            "AAPL",
            rows,
            trades,
            {name: np.array(each, np.int64) for name, each in behind.items()} if shown > 1 else None,
        )
    }


# NYSE TAQ


def taq_files(tape):
    rows = sides_of(tape)
    header = [*TAQ_COLUMNS.values()]
    lines = []
    for at, (bid, bid_sz, ask, ask_sz) in enumerate(rows):
        first = f"0930{at % 60:02}{at:09d}", "PNTZ"[at % 4], ("A", "BRK A")[at % 2]
        quote = decimal_of(bid, 9), bid_sz % 1000, decimal_of(ask, 9), ask_sz % 1000
        lines.append("|".join(map(str, (*first, *quote, "RRRLAN "[at % 7], at, ("", "B", "A")[at % 3]))))
    yield "\n".join(["|".join(header), *lines, f"END|{DAY}|{len(rows)}|||||||", ""]).encode()
    lines = []
    for at, (bid, bid_sz, ask, ask_sz) in enumerate(rows):
        first = "2018-07-30", f"9:30:{at % 60:02}.{at:09d}", "PNTZ"[at % 4], *(("A", ""), ("BRK", "A"))[at % 2]
        quote = decimal_of(bid, 9), bid_sz % 1000, decimal_of(ask, 9), ask_sz % 1000
        lines.append(",".join(map(str, (*first, *quote, "R", at, ""))))
    yield "\n".join([",".join(WRDS_COLUMNS.values()), *lines, ""]).encode()


def check_taq(data):
    path = folder() / f"EQY_US_ALL_BBO_{DAY}"
    path.write_bytes(data)
    return checked(read_taq, path, lambda: plain_taq(data))


def plain_taq(data):
    data = data.removeprefix(b"\xef\xbb\xbf")
    first = data.partition(b"\n")[0]
    delimiter = "|" if b"|" in first else ","
    header, *lines = lines_of(data, delimiter, None)
    header = [name.strip() for name in header]
    wrds = "TIME_M" in [name.upper() for name in header]
    header = [name.upper() for name in header] if wrds else header
    names = WRDS_COLUMNS if wrds else TAQ_COLUMNS
    by_symbol = {}
    for fields in lines:
        if fields[0] == "END" and not wrds:
            continue
        row = dict(zip(header, fields, strict=True))
        of = {role: row.get(name, "") for role, name in names.items()} | ({} if wrds else {"suffix": "", "date": DAY})
        symbol, time = f"{of['symbol'].strip()} {of['suffix'].strip()}".strip(), of["time"]
        quotes = by_symbol.setdefault(symbol, [])
        if of.get("cancel") == "B":
            continue
        if wrds:
            hour, minute, second = time.split(":")
            clock = (int(hour) * 60 + int(minute)) * 60 * 10**9 + scaled(second, 9)
        else:
            clock = (int(time[:2]) * 60 + int(time[2:4])) * 60 * 10**9
            clock += int(time[4:6]) * 10**9 + int(time[6:].ljust(9, "0"))
        day = "".join(of["date"].strip()[:10].split("-"))
        lot = 100 if day < "20251103" else 1
        if len(day) != 8 or not day.isdigit():
            raise UnsureError(day)
        if day[4:6] in {"03", "04", "10", "11"}:
            raise UnsureError("the clocks may change")
        values = [scaled(of["bid_px"], 9), scaled(of["ask_px"], 9)]
        values += [scaled(of[name], 0) * lot for name in ("bid_sz", "ask_sz")]
        venue = venue_of(of["exchange"], "taq", f"{day[:4]}-{day[4:6]}-{day[6:]}")
        shown = values if of["condition"] in FIRM else [0] * 4
        quotes.append((midnight(day) + clock, venue, *shown, scaled(of["sequence"], 0)))
    return {symbol: built(symbol, quotes, []) if quotes else None for symbol, quotes in by_symbol.items()}


# Lean


def lean_archives(tape):
    rows = sides_of(tape)
    bars = [
        f"{34_200_000 + 60_000 * at},1,1,1,{bid // 10**5 or ''},{bid_sz or ''},"
        f"1,1,1,{ask // 10**5 or ''},{ask_sz or ''}"
        for at, (bid, bid_sz, ask, ask_sz) in enumerate(rows)
    ]
    yield archived("\n".join([*bars, ""]).encode(), "minute_quote")
    ticks = [
        f"{34_200_000 + at}.{at % 10},{bid // 10**5},{bid_sz},{0 if at % 3 else ask // 10**5},{ask_sz},"
        f"{'PNTZ'[at % 4]},{('1', '0', '400')[at % 3]},{int(at % 5 == 4)}"
        for at, (bid, bid_sz, ask, ask_sz) in enumerate(rows)
    ]
    yield archived("\n".join([*ticks, ""]).encode(), "Quote_Tick")


def archived(text, kind):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{DAY}_aapl_{kind}.csv"), text, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def content_of(data):
    """The one file in an archive, its name and its bytes; None where there is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            (member,) = archive.infolist()
            with archive.open(member) as stream:
                return member.filename, stream.read(SMALL)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError, zlib.error):
        return None


def change_archive(data, rng):
    content = content_of(data)
    if content is None or rng.randrange(4) == 0:
        return damage(data, rng)
    name, text = content
    return archived(change_lines(",")(text, rng), "Quote_Tick" if "Tick" in name else "minute_quote")


def check_lean(data):
    path = folder() / f"{DAY}_quote.zip"
    path.write_bytes(data)
    return checked(read_lean, path, lambda: plain_lean(data))


def plain_lean(data):
    content = content_of(data)
    assert content is not None, "read although it is damaged"
    name, text = content
    day, rows, books = midnight(DAY), [], {}
    symbol = name.split("_")[1].upper()
    if name.count("_") != 3 or "trade" in name.lower():
        raise UnsureError(name)
    if "tick" not in name.lower():
        period = (60 if "minute" in name.lower() else 1) * 10**9
        for number, row in enumerate(lines_of(text, ",", 11), 1):
            bid, bid_sz, ask, ask_sz = (scaled(row[at], 5 * (at in {4, 9})) for at in (4, 5, 9, 10))
            rows.append((day + scaled(row[0], 6) + period, 20_000, bid, ask, bid_sz, ask_sz, number))
        return {symbol: built(symbol, rows, [])}
    for number, row in enumerate(lines_of(text, ",", 8), 1):
        bid, bid_sz, ask, ask_sz = (scaled(row[at], 5 * (at % 2)) for at in (1, 2, 3, 4))
        if scaled(row[7], 0):
            continue
        venue = venue_of(row[5], "lean", "2018-07-30")
        book = books.setdefault(venue, [0, 0, 0, 0])
        if int(row[6] or "0", 16) & ~0x803 or not (bid or ask):
            book[:] = [0, 0, 0, 0]
        else:
            book[:2] = [bid, bid_sz] if bid else book[:2]
            book[2:] = [ask, ask_sz] if ask else book[2:]
        rows.append((day + scaled(row[0], 6), venue, book[0], book[2], book[1], book[3], number))
    return {symbol: built(symbol, rows, []) if rows else None}


# tardis.dev


def tardis_files(tape):
    rows = sides_of(tape)
    made = ["exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"]
    for at, (bid, bid_sz, ask, ask_sz) in enumerate(rows):
        first = f"{('binance', 'coinbase')[at % 2]},BTC,{1532944800000000 + at},{1532944800000010 + at // 2}"
        for side, px, sz in (("bid", bid, bid_sz), ("ask", ask, ask_sz)):
            level = decimal_of(px // 10**5, 4), decimal_of(sz % 10**6, 5)
            made.append(f"{first},{str(at < 4 or at == 7).lower()},{side},{','.join(level)}")
    yield "\n".join([*made, ""]).encode()
    made = ["exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"]
    for at, (bid, bid_sz, ask, ask_sz) in enumerate(rows):
        first = f"binance,BTC,{1532944800000000 + at},{1532944800000010 + at}"
        made.append(
            f"{first},{ask_sz % 1000},{decimal_of(ask // 10**5, 4)},{decimal_of(bid // 10**5, 4)},{bid_sz % 1000}"
        )
    yield "\n".join([*made, ""]).encode()


def check_tardis(data):
    path = folder() / "tardis.csv"
    path.write_bytes(data)
    request = Request(max_bytes=SMALL, quotes=UNIT)
    if not checked(read_tardis, path, lambda: plain_tardis(data), request):
        return False
    packed = folder() / "tardis.csv.gz"
    packed.write_bytes(gzip.compress(data, 1)[:-9])
    assert isinstance(outcome(read_tardis, packed, request), FeedCorrupt), "cut short"
    return True


def floored(text, scale):
    return int(Decimal(text or 0).scaleb(scale) // 1)


def plain_tardis(data):
    header, *lines = lines_of(data.removeprefix(b"\xef\xbb\xbf"), ",", None)
    header = [name.strip() for name in header]
    rows = [dict(zip(header, fields, strict=True)) for fields in lines]
    if "is_snapshot" not in header and "ask_price" not in header:
        raise UnsureError("another table")
    quotes, groups = {}, {}
    for number, row in enumerate(rows, 1):
        groups.setdefault((row["exchange"], row["symbol"]), []).append((number, row))
    levels = {}
    for (exchange, symbol), own in groups.items():
        venue = named(exchange)
        listed, behind = quotes.setdefault(symbol, []), levels.setdefault(symbol, [])
        if "is_snapshot" in header:
            updates = [
                (
                    *(scaled(row["local_timestamp"], 3),) * 2,
                    number,
                    row["is_snapshot"] == "true",
                    row["side"] == "ask",
                    scaled(row["price"], 4),
                    floored(row["amount"], 5),
                )
                for number, row in own
            ]
            for ts, number, bids, asks in fold_plainly(updates):
                sides = [[*side, *[(0, 0)] * (10 - len(side))] for side in (bids, asks)]
                (bid, bid_sz), (ask, ask_sz) = sides[0][0], sides[1][0]
                listed.append((ts, venue, bid, ask, bid_sz, ask_sz, number))
                behind.append([[[pair[kind] for pair in side[1:]] for side in sides] for kind in (0, 1)])
            continue
        for number, row in own:
            px = [scaled(row[f"{side}_price"], 4) for side in ("bid", "ask")]
            sz = [floored(row[f"{side}_amount"], 5) for side in ("bid", "ask")]
            listed.append((scaled(row["local_timestamp"], 3), venue, *px, *sz, number))
    if "is_snapshot" not in header:
        return {symbol: built(symbol, listed, []) for symbol, listed in quotes.items()}
    return {
        symbol: tape_of(
            symbol,
            listed,
            (),
            {
                f"{side}_{what}": np.array([row[kind][at] for row in levels[symbol]], np.int64)
                for at, side in enumerate(("bid", "ask"))
                for kind, what in enumerate(("px", "sz"))
            },
        )
        if listed
        else None
        for symbol, listed in quotes.items()
    }


def named(exchange):
    try:
        return venue_of(exchange, "tardis")
    except ValueError:
        return venue_of(exchange, "name")


def change_lines(delimiter):
    """Change fields and rows of text of another delimiter."""

    def changed(data, rng):
        lines = [line.split(delimiter.encode()) for line in data[:8192].split(b"\n")]
        for _ in range(rng.randint(1, 3)):
            if rng.randrange(2):
                change_table(lines, rng)
            else:
                line = rng.choice(lines)
                at = rng.randrange(len(line))
                line[at] = rng.choice(
                    [field(rng, b"bid_px_00"), field(rng, b"side"), *rng.choice(lines)[:1], b"", b"-1"]
                )
        text = (
            delimiter.encode().join(lines[0])
            if len(lines) == 1
            else b"\n".join(delimiter.encode().join(line) for line in lines)
        )
        how = rng.randrange(10)
        if how == 0:
            return damage(text, rng)
        return text.replace(b"\n", b"\r\n") if how == 1 else text

    return changed


def change_taq(data, rng):
    return change_lines("|" if b"|" in data[:200] else ",")(data, rng)
