"""The compiled reader of plain CSV rows: unquoted, every value in the one usual form of its column.

It accepts less than the text path and never says why: a file with anything that it does not know is left to
`feed.files.csv_text` and `feed.tables.parsing`, which read all that can be read and name what cannot.
"""

from __future__ import annotations

import numpy as np
from numba import types

from feed.compiling import compiled
from feed.tape import PRICE_LIMIT, SHARES_LIMIT, UNDEFINED_PRICE, VENUE_LIMIT

SKIPPED, TS, VENUE, BID_PX, ASK_PX, BID_SZ, ASK_SZ, SEQUENCE = range(8)
RTYPE, ACTION, SIDE, PRICE, SIZE, SYMBOL, INSTRUMENT = range(8, 15)
"""Roles of columns."""
LEVELS = 15
"""From here on four of each level behind the first: bid price, ask price, bid size, ask size."""

PADDING = 64
"""Bytes beyond the rows that the kernel may look at."""

UNUSUAL = -1

_COMMA, _NEWLINE, _POINT = 44, 10, 46
_NANO = 10**9
_DAY = 86_400
_UNDEFINED_PRICE = int(UNDEFINED_PRICE)
_UNDEFINED_SIZE = 2**32 - 1

_ZERO, _ONE, _SEVEN = np.uint64(0), np.uint64(1), np.uint64(7)
_ONES = np.uint64(0x0101010101010101)
_LOW, _HIGH = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x8080808080808080)
_COMMAS, _NEWLINES, _RETURNS, _QUOTES = (np.uint64(letter * 0x0101010101010101) for letter in (44, 10, 13, 34))

_text = types.Array(types.uint8, 1, "C", readonly=True)
_words = types.Array(types.uint64, 1, "C", readonly=True)
_powers = tuple(10 ** (9 - digits) for digits in range(10))


@compiled(types.UniTuple(types.int64, 3)(_text, types.int64))
def whole_number(text, at):
    """Digits from `at` on: their value (below 0: too large), how many there are, and where they end."""
    value, first = np.int64(0), at
    while True:
        digit = np.int64(text[at]) - 48
        if digit < 0 or digit > 9:
            break
        value = value * 10 + digit
        at += 1
    count = at - first
    return (-1 if count > 19 else value), count, at  # 19 digits beyond int64 wrap around to below 0


@compiled(types.UniTuple(types.int64, 2)(_text, types.int64, types.boolean))
def price_of(text, at, points):
    """A price in 1e-9 $ and where it ends; dollars with 1 to 9 decimals (`points`) or digits alone, 0 for nothing."""
    value, count, end = whole_number(text, at)
    if count == 0:
        return 0, end
    if points:
        if count > 7 or text[end] != _POINT:
            return UNUSUAL, end
        fraction, decimals, end = whole_number(text, end + 1)
        if decimals == 0 or decimals > 9:
            return UNUSUAL, end
        value = value * _NANO + fraction * _powers[decimals]
    elif value == _UNDEFINED_PRICE:
        return 0, end
    elif count > 18:
        return UNUSUAL, end
    return (value if value < PRICE_LIMIT else UNUSUAL), end


@compiled(types.UniTuple(types.int64, 2)(_text, types.int64))
def size_of(text, at):
    """A number of shares and where it ends; 0 for nothing and for an undefined size."""
    value, _, end = whole_number(text, at)
    if value == _UNDEFINED_SIZE:
        return 0, end
    return (value if value < SHARES_LIMIT else UNUSUAL), end


@compiled(types.int64(_text, types.int64, types.int64))
def number_at(text, at, digits):
    """The value of exactly so many digits, or below 0."""
    value = np.int64(0)
    for place in range(at, at + digits):
        digit = np.int64(text[place]) - 48
        if digit < 0 or digit > 9:
            return UNUSUAL
        value = value * 10 + digit
    return value


@compiled(types.int64(types.int64, types.int64, types.int64))
def days_of(year, month, day):
    """Days since 1970-01-01 of a date of 1970 to 2261, or below 0 where there is no such day."""
    if year < 1970 or year > 2261 or month < 1 or month > 12 or day < 1 or day > 31:
        return UNUSUAL
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if (month in (4, 6, 9, 11) and day > 30) or (month == 2 and day > (29 if leap else 28)):
        return UNUSUAL
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400 - 719162
    for earlier in range(1, month):
        if earlier == 2:
            days += 29 if leap else 28
        elif earlier in (4, 6, 9, 11):
            days += 30
        else:
            days += 31
    return days + day - 1


@compiled(types.UniTuple(types.int64, 3)(_text, types.int64, types.int64, types.int64))
def stamp_of(text, at, date, days):
    """Nanoseconds of ``2024-08-01T13:36:32.491911683Z``, or below 0; its date and days, remembered for the next."""
    year, month, day = number_at(text, at, 4), number_at(text, at + 5, 2), number_at(text, at + 8, 2)
    hour, minute, second = number_at(text, at + 11, 2), number_at(text, at + 14, 2), number_at(text, at + 17, 2)
    nano = number_at(text, at + 20, 9)
    dashes = text[at + 4] == 45 and text[at + 7] == 45
    colons = text[at + 10] == 84 and text[at + 13] == 58 and text[at + 16] == 58
    if not (dashes and colons and text[at + 19] == _POINT and text[at + 29] == 90):
        return UNUSUAL, date, days
    if min(year, month, day, hour, minute, second, nano) < 0 or hour > 23 or minute > 59 or second > 59:
        return UNUSUAL, date, days
    named = (year * 100 + month) * 100 + day
    if named != date:
        date, days = named, days_of(year, month, day)
    if days < 0:
        return UNUSUAL, date, days
    return (days * _DAY + (hour * 60 + minute) * 60 + second) * _NANO + nano, date, days


@compiled(types.uint64(types.uint64, types.uint64))
def marks(word, letter):
    """Mark, by its highest bit, each of a word's 8 bytes that is the letter, which is repeated in all 8."""
    other = word ^ letter
    return ~(((other & _LOW) + _LOW) | other | _LOW)


@compiled(types.int64(types.uint64))
def count_of(marked):
    """Count the marked bytes."""
    return np.int64(((marked >> _SEVEN) * _ONES) >> np.uint64(56))


@compiled(types.int64(types.uint64))
def first_of(marked):
    """Place of the first marked byte, 0 to 7; at least one is marked."""
    return count_of(((marked & (~marked + _ONE)) - _ONE) & _HIGH)


@compiled(types.int64(_words, types.int64))
def next_comma(words, at):
    """Where the next comma is; below 0 where a newline, a quote or a return comes first."""
    place = at >> 3
    beyond = ~_ZERO << np.uint64(8 * (at & 7))
    while True:
        word = words[place]
        commas = marks(word, _COMMAS) & beyond
        strange = (marks(word, _NEWLINES) | marks(word, _RETURNS) | marks(word, _QUOTES)) & beyond
        if commas | strange:
            first = first_of(commas | strange)
            ends = (commas >> np.uint64(8 * first)) & np.uint64(128)
            return 8 * place + first if ends else UNUSUAL
        place += 1
        beyond = ~_ZERO


@compiled(types.UniTuple(types.int64, 2)(_words, types.int64))
def rest_of_line(words, at):
    """Where the line ends, and its commas from here on, below 0 where a quote or a return comes before its end."""
    place, commas = at >> 3, 0
    word = words[place] | ~(~_ZERO << np.uint64(8 * (at & 7)))  # masks the bytes before `at`
    if not marks(word, _NEWLINES) | marks(word, _RETURNS) | marks(word, _QUOTES):
        commas += count_of(marks(word, _COMMAS))
        place += 1
        while True:  # 64 bytes at a time: the compiler takes several words at once
            ends, many = _ZERO, _ZERO
            for each in range(place, place + 8):
                word = words[each]
                ends |= marks(word, _NEWLINES) | marks(word, _RETURNS) | marks(word, _QUOTES)
                many += marks(word, _COMMAS) >> _SEVEN
            if ends:
                break
            commas += np.int64((many * _ONES) >> np.uint64(56))
            place += 8
        word = words[place]
    while True:
        newlines = marks(word, _NEWLINES)
        if marks(word, _RETURNS) | marks(word, _QUOTES):
            return at, UNUSUAL
        if newlines:
            first = first_of(newlines)
            before = ~(~_ZERO << np.uint64(8 * first))
            return 8 * place + first, commas + count_of(marks(word, _COMMAS) & before)
        commas += count_of(marks(word, _COMMAS))
        place += 1
        word = words[place]


@compiled(types.boolean(_text, types.int64, _text))
def reads(text, at, word):
    """Whether the text from `at` on begins with the word."""
    for place in range(len(word)):  # noqa: SIM110 - numba knows no all() of a generator
        if text[at + place] != word[place]:
            return False
    return True


@compiled(
    types.UniTuple(types.int64, 3)(
        _text,
        types.int64,
        types.int64,
        types.Array(types.int8, 1, "C", readonly=True),
        _text,
        types.boolean,
        types.boolean,
        types.int64[::1],
        types.int16[::1],
        types.int64[:, ::1],
        types.int32[:, ::1],
        types.int64[::1],
        types.int64[::1],
        types.int64[:, :, ::1],
        types.int32[:, :, ::1],
        types.int64[:, ::1],
    )
)
def read_rows(
    text, start, end, roles, symbol, iso, points, ts, venue, px, sz, sequence, instrument, level_px, level_sz, trades
):
    """Read whole lines into columns.

    Parameters
    ----------
    text : (B,) uint8
        Aligned to 8 bytes, B a multiple of 8.
    start, end : int
        Where whole lines begin and end, at least `PADDING` bytes before the end of the text.
    roles : (C,) int8
        What each column is.
    symbol : (L,) uint8
        The one symbol; empty where no column has the role `SYMBOL`.
    iso, points : bool
        Stamps are ISO text, else integers; prices have a decimal point, else they are digits alone.
    ts, venue, sequence, instrument : (N,) int64, int16, int64, int64
    px : (2, N) int64
        Bid and ask, 1e-9 $.
    sz : (2, N) int32
        Bid and ask, shares.
    level_px, level_sz : (2, N, D - 1) int64, int32
        The same of the levels behind the first.
    trades : (6, N) int64
        ts, venue, px, sz, side, sequence of the usable trades.

    Returns
    -------
    rows, prints, unusable : int
        Rows read, or `UNUSUAL`; usable trades; the others.
    """
    columns = len(roles)
    walked = columns  # fields to look at one by one; of those behind them at most the last matters
    while walked > 0 and (roles[walked - 1] == SKIPPED or (walked == columns and roles[walked - 1] == SYMBOL)):
        walked -= 1
    refused = UNUSUAL, 0, 0
    date, days, row, prints, unusable, at = -1, -1, 0, 0, 0, start
    words = text.view(np.uint64)
    while at < end:
        is_trade, side, price, size = False, 0, 0, 0
        for column in range(walked):
            role = roles[column]
            if role == SKIPPED:
                at = next_comma(words, at)
                if at < 0:
                    return refused
            elif role in (BID_PX, ASK_PX, PRICE):
                value, at = price_of(text, at, points)
                if value < 0:
                    return refused
                if role == PRICE:
                    price = value
                else:
                    px[role - BID_PX, row] = value
            elif role >= LEVELS:
                level, part = (role - LEVELS) // 4, (role - LEVELS) % 4
                value, at = price_of(text, at, points) if part < 2 else size_of(text, at)
                if value < 0:
                    return refused
                if part < 2:
                    level_px[part, row, level] = value
                else:
                    level_sz[part - 2, row, level] = value
            elif role in (BID_SZ, ASK_SZ, SIZE):
                value, at = size_of(text, at)
                if value < 0:
                    return refused
                if role == SIZE:
                    size = value
                else:
                    sz[role - BID_SZ, row] = value
            elif role == TS and iso:
                if end - at < 31:
                    return refused
                value, date, days = stamp_of(text, at, date, days)
                if value < 0:
                    return refused
                ts[row] = value
                at += 30
            elif role in (ACTION, SIDE):
                letter = text[at]
                if letter < 65 or letter > 90:
                    return refused
                if role == ACTION:
                    is_trade = letter == 84
                else:
                    side = 1 if letter == 66 else (-1 if letter == 65 else 0)
                at += 1
            elif role == SYMBOL:
                if end - at <= len(symbol) or not reads(text, at, symbol):
                    return refused
                at += len(symbol)
            else:
                value, digits, at = whole_number(text, at)
                if value < 0 or digits == 0 or value == _UNDEFINED_PRICE:
                    return refused
                if role == TS:
                    ts[row] = value
                elif role == VENUE:
                    if value >= VENUE_LIMIT:
                        return refused
                    venue[row] = value
                elif role == SEQUENCE:
                    sequence[row] = value
                elif role == INSTRUMENT:
                    instrument[row] = value
                elif value not in (1, 10):  # RTYPE
                    return refused
            if text[at] != (_NEWLINE if column == columns - 1 else _COMMA):
                return refused
            at += 1
        if walked < columns:
            at, commas = rest_of_line(words, at)
            if commas != columns - 1 - walked:
                return refused
            if roles[columns - 1] == SYMBOL:
                first = at - len(symbol)
                if text[first - 1] != _COMMA or not reads(text, first, symbol):
                    return refused
            at += 1
        if is_trade and price > 0 and size > 0:
            trades[0, prints], trades[1, prints], trades[2, prints] = ts[row], venue[row], price
            trades[3, prints], trades[4, prints], trades[5, prints] = size, side, sequence[row]
            prints += 1
        elif is_trade:
            unusable += 1
        row += 1
    return row, prints, unusable
