"""Fields of delimited text turned into exact integers, compiled: whole numbers, decimals, times of day, words, names.

Every value that a layout may hold is read here; what is refused is refused with its place and a reason, so that nobody
has to read a file a second time to say what is wrong. Without numba the same lines run as plain Python.
"""

from __future__ import annotations

import numpy as np
from numba import types

from feed.compiling import compiled

SKIPPED, NUMBER, CLOCK, COLONS, WORD, NAME, STAMP = range(7)
"""Kinds of fields: not read; a decimal number; a time of day as HHMMSS and up to nine digits, or as H:MM:SS.f; up to
seven bytes; any text, as the number of its first row in a block; a date and a time of day."""

NO_NUMBER, TOO_LARGE, INEXACT, TOO_FEW, TOO_MANY, EMPTY, TOO_LONG, UNCLOSED, NO_CLOCK, OUTSIDE = range(1, 11)
"""Why a field is refused."""

ROOM = 64
"""Bytes beyond the rows that the kernel may look at."""

_NEWLINE, _RETURN, _QUOTE, _POINT, _MINUS, _PLUS, _COLON = 10, 13, 34, 46, 45, 43, 58
_DIGITS = 18
_LARGEST = 2**63 - 1
_MARK = 2**40 - 1
_powers = tuple(10**power for power in range(19))

_text = types.Array(types.uint8, 1, "C", readonly=True)
_flags = types.Array(types.int8, 1, "C", readonly=True)


@compiled(types.UniTuple(types.int64, 4)(_text, types.int64, types.int64))
def number_of(text, at, scale):
    """A decimal number times 10**scale, towards minus infinity; where it ends, why it is refused, whether it is exact.

    Up to 18 digits that count, with a point and an exponent if need be.
    """
    first = at
    negative = text[at] == _MINUS
    if negative:
        at += 1
    value, digits, decimals, seen = np.int64(0), 0, 0, 0
    pointed = False
    while True:
        letter = np.int64(text[at])
        if 48 <= letter <= 57:
            if digits or letter != 48:
                digits += 1
                if digits > _DIGITS:
                    return 0, first, TOO_LARGE, 0
            value = value * 10 + (letter - 48)
            seen += 1
            decimals += 1 if pointed else 0
        elif letter == _POINT and not pointed:
            pointed = True
        else:
            break
        at += 1
    if seen == 0:
        return 0, first, (NO_NUMBER if negative or pointed else EMPTY), 0
    exponent = np.int64(0)
    if text[at] | 32 == 101:
        at += 1
        below = text[at] == _MINUS
        if below or text[at] == _PLUS:
            at += 1
        written = 0
        while 48 <= text[at] <= 57:
            exponent = exponent * 10 + (np.int64(text[at]) - 48)
            written += 1
            at += 1
            if written > 3:
                return 0, first, NO_NUMBER, 0
        if written == 0:
            return 0, first, NO_NUMBER, 0
        if below:
            exponent = -exponent
    if value == 0:
        return 0, at, 0, 1
    shift = scale - decimals + exponent
    exact = 1
    if shift >= 0:
        if shift > _DIGITS or value > _LARGEST // _powers[shift]:
            return 0, first, TOO_LARGE, 0
        value *= _powers[shift]
    elif shift < -_DIGITS:
        return (-1 if negative else 0), at, 0, 0
    else:
        power = _powers[-shift]
        rest = value % power
        value //= power
        if rest:
            exact = 0
            value += 1 if negative else 0
    return (-value if negative else value), at, 0, exact


@compiled(types.UniTuple(types.int64, 4)(_text, types.int64, types.int64))
def usual_of(text, at, scale):
    """The same of up to 18 digits, a point among them or none; whatever else there is, `number_of` reads."""
    first, value = at, np.int64(0)
    negative = text[at] == _MINUS
    if negative:
        at += 1
    start = at
    digit = np.int64(text[at]) - 48
    while 0 <= digit <= 9:
        value = value * 10 + digit  # wraps around beyond 18 digits, which are not used then
        at += 1
        digit = np.int64(text[at]) - 48
    digits, decimals = at - start, 0
    if digit == _POINT - 48:
        at += 1
        start = at
        digit = np.int64(text[at]) - 48
        while 0 <= digit <= 9:
            value = value * 10 + digit
            at += 1
            digit = np.int64(text[at]) - 48
        decimals = at - start
    shift = scale - decimals
    if digits + decimals == 0 or digits + decimals > _DIGITS or digit | 32 == 53 or shift < 0 or shift > _DIGITS:
        return number_of(text, first, scale)
    if value > _LARGEST // _powers[shift]:
        return 0, first, TOO_LARGE, 0
    value *= _powers[shift]
    return (-value if negative else value), at, 0, 1


@compiled(types.UniTuple(types.int64, 3)(_text, types.int64))
def clock_of(text, at):
    """Nanoseconds since midnight of HHMMSS and nothing, milli-, micro- or nanoseconds; where it ends; why not."""
    first, value, digits = at, np.int64(0), 0
    while 48 <= text[at] <= 57 and digits < 16:
        value = value * 10 + (np.int64(text[at]) - 48)
        digits += 1
        at += 1
    if digits not in {6, 9, 12, 15}:
        return 0, first, (EMPTY if digits == 0 else NO_CLOCK)
    power = _powers[digits - 6]
    clock, fraction = value // power, value % power
    hour, minute, second = clock // 10000, clock // 100 % 100, clock % 100
    if hour > 23 or minute > 59 or second > 59:
        return 0, first, NO_CLOCK
    return ((hour * 60 + minute) * 60 + second) * 10**9 + fraction * _powers[15 - digits], at, 0


@compiled(types.UniTuple(types.int64, 3)(_text, types.int64))
def colons_of(text, at):
    """Nanoseconds since midnight of H:MM:SS with up to nine decimals; where it ends; why not."""
    first, total = at, np.int64(0)
    for part in range(3):
        value, digits = np.int64(0), 0
        while 48 <= text[at] <= 57 and digits < 3:
            value = value * 10 + (np.int64(text[at]) - 48)
            digits += 1
            at += 1
        if digits == 0 or digits > 2 or (part and digits != 2) or value > (59 if part else 23):
            return 0, first, (EMPTY if part == 0 and digits == 0 else NO_CLOCK)
        total = total * 60 + value
        if part < 2:
            if text[at] != _COLON:
                return 0, first, NO_CLOCK
            at += 1
    fraction, decimals = np.int64(0), 0
    if text[at] == _POINT:
        at += 1
        while 48 <= text[at] <= 57 and decimals < 10:
            fraction = fraction * 10 + (np.int64(text[at]) - 48)
            decimals += 1
            at += 1
        if decimals == 0 or decimals > 9:
            return 0, first, NO_CLOCK
    return total * 10**9 + fraction * _powers[9 - decimals], at, 0


@compiled(types.UniTuple(types.int64, 2)(_text, types.int64, types.int64))
def digits_of(text, at, count):
    """A number of so many digits, and where it ends; -1 where one is missing."""
    value = np.int64(0)
    for place in range(at, at + count):
        if not 48 <= text[place] <= 57:
            return -1, at
        value = value * 10 + (np.int64(text[place]) - 48)
    return value, at + count


@compiled(types.UniTuple(types.int64, 4)(_text, types.int64))
def stamp_of(text, at):
    """Nanoseconds since 1970 of YYYY-MM-DD and a time of day; where it ends, why not, and whether it names its zone.

    One that names none is as the clocks of its zone show it.
    """
    first = at
    year, at = digits_of(text, at, 4)
    if year < 0:
        return 0, first, (EMPTY if at == first and not 48 <= text[first] <= 57 else NO_CLOCK), 0
    if text[at] != _MINUS:
        return 0, first, NO_CLOCK, 0
    month, at = digits_of(text, at + 1, 2)
    if month < 1 or month > 12 or text[at] != _MINUS:
        return 0, first, NO_CLOCK, 0
    day, at = digits_of(text, at + 1, 2)
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = 30 + (month + month // 8) % 2 if month != 2 else (29 if leap else 28)
    if day < 1 or day > longest or not 1970 <= year <= 2261 or (text[at] != 84 and text[at] != 32):
        return 0, first, NO_CLOCK, 0
    if not 48 <= text[at + 2] <= 57:
        return 0, first, NO_CLOCK, 0  # an hour of one digit is no ISO 8601
    since, at, why = colons_of(text, at + 1)
    if why:
        return 0, first, NO_CLOCK, 0
    # days of a year that begins in March, so that the leap day is its last
    of_year = year - 1 if month <= 2 else year
    days = of_year * 365 + of_year // 4 - of_year // 100 + of_year // 400 + (153 * ((month + 9) % 12) + 2) // 5
    stamp = (days + day - 719469) * 86_400 * 10**9 + since
    if text[at] == 90:
        return stamp, at + 1, 0, 1
    if text[at] != _PLUS and text[at] != _MINUS:
        return stamp, at, 0, 0
    west = text[at] == _MINUS
    hours, at = digits_of(text, at + 1, 2)
    if text[at] == _COLON:
        at += 1
    minutes, at = digits_of(text, at, 2)
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return 0, first, NO_CLOCK, 0
    offset = (hours * 60 + minutes) * 60 * 10**9
    stamp += offset if west else -offset
    return (stamp, at, 0, 1) if stamp >= 0 else (0, first, NO_CLOCK, 0)


@compiled(types.boolean(_text, types.int64, types.int64, types.int64))
def alike(text, one, other, length):
    """Whether two stretches of the text are the same."""
    for place in range(length):  # noqa: SIM110 - numba knows no all() of a generator
        if text[one + place] != text[other + place]:
            return False
    return True


@compiled(
    types.UniTuple(types.int64, 4)(
        _text,
        types.int64,
        types.int64,
        types.int64,
        _flags,
        _flags,
        _flags,
        types.int64[:, ::1],
        types.int64[:, ::1],
        types.int32[:, ::1],
        types.int64[:, :, ::1],
        types.int64[::1],
        types.int64[::1],
    )
)
def read_fields(text, start, end, delimiter, kinds, scales, loose, limits, out, table, names, counts, below):
    """Read whole lines into columns.

    Parameters
    ----------
    text : (B,) uint8
    start, end : int
        Where whole lines begin and end, at least `ROOM` bytes before the end of the text.
    delimiter : int
    kinds, scales, loose : (C,) int8
        Of each column: its kind, the power of ten that a number is multiplied by, and what is let pass: 1 nothing
        written, as 0; 2 a number that is not whole, towards minus infinity; 3 both.
    limits : (2, C) int64
        The smallest and the largest number of each column, as it is kept.
    out : (K, N) int64
        A row for each column that is not skipped, in their order.
    table : (M, T) int32
        Of each column of names a table of hashes, T a power of two above N, all -1.
    names : (M, 2, N) int64
        Where each name of a block begins, and how long it is.
    counts : (M,) int64
        How many names there are.
    below : (C,) int64
        Numbers of each column that were not whole, stamps that name their zone.

    Returns
    -------
    rows, at, column, why : int
        Rows read; and where the first one that is refused begins, its column, and why, 0 where none is.
    """
    columns = len(kinds)
    last = columns
    while last > 0 and kinds[last - 1] == SKIPPED:
        last -= 1
    at, row = start, 0
    while at < end:
        line = at
        if text[at] == _NEWLINE or (text[at] == _RETURN and text[at + 1] == _NEWLINE):
            at += 1 if text[at] == _NEWLINE else 2
            continue
        place, name = 0, 0
        for column in range(last):
            kind = kinds[column]
            quoted = text[at] == _QUOTE
            if quoted:
                at += 1
            why = 0
            if kind == SKIPPED:
                closing = _QUOTE if quoted else delimiter
                while text[at] != closing and text[at] != _NEWLINE:
                    at += 1
            elif kind == NUMBER:
                value, at, why, exact = usual_of(text, at, np.int64(scales[column]))
                if why == EMPTY and loose[column] & 1:
                    why = 0
                elif why == 0 and exact == 0:
                    below[column] += 1
                    why = 0 if loose[column] & 2 else INEXACT
                if why == 0 and (value < limits[0, column] or value > limits[1, column]):
                    why = OUTSIDE
                out[place, row] = value
                place += 1
            elif kind in (CLOCK, COLONS):
                value, at, why = clock_of(text, at) if kind == CLOCK else colons_of(text, at)
                out[place, row] = value
                place += 1
            elif kind == STAMP:
                value, at, why, zoned = stamp_of(text, at)
                below[column] += zoned
                out[place, row] = value
                place += 1
            elif kind == WORD:
                value, shift = np.int64(0), 0
                while np.int64(text[at]) not in (delimiter, _NEWLINE, _RETURN, _QUOTE):
                    if shift == 56 or text[at] == 0:  # it would be the same as nothing
                        why = TOO_LONG
                        break
                    value |= np.int64(text[at]) << shift
                    shift += 8
                    at += 1
                out[place, row] = value
                place += 1
            else:
                first, code = at, np.int64(-1)
                closing = _QUOTE if quoted else delimiter
                if row:  # mostly it is that of the row before
                    code = out[place, row - 1]
                    length = names[name, 1, code]
                    if not alike(text, names[name, 0, code], first, length) or text[first + length] != closing:
                        code = np.int64(-1)
                    else:
                        at = first + length
                if code < 0:
                    mark = np.int64(5381)
                    while text[at] != closing and text[at] != _NEWLINE and text[at] != _RETURN:
                        mark = (mark * 1000003 ^ np.int64(text[at])) & _MARK
                        at += 1
                    length = at - first
                    slots = table.shape[1] - 1
                    slot = (mark ^ (mark >> 20)) & slots
                    while True:
                        code = np.int64(table[name, slot])
                        if code < 0:
                            code = counts[name]
                            table[name, slot] = code
                            names[name, 0, code], names[name, 1, code] = first, length
                            counts[name] += 1
                            break
                        if names[name, 1, code] == length and alike(text, names[name, 0, code], first, length):
                            break
                        slot = (slot + 1) & slots
                out[place, row] = code
                place += 1
                name += 1
            if why:
                return row, line, column, why
            if quoted:
                if text[at] != _QUOTE:
                    return row, line, column, UNCLOSED
                at += 1
            if text[at] == _RETURN and text[at + 1] == _NEWLINE:
                at += 1
            if column == columns - 1:
                if text[at] != _NEWLINE:
                    return row, line, column, (TOO_MANY if text[at] == delimiter else NO_NUMBER)
            elif text[at] != delimiter:
                return row, line, column, (TOO_FEW if text[at] == _NEWLINE else NO_NUMBER)
            at += 1
        if last < columns:
            fields, within = last + 1, False
            while text[at] != _NEWLINE:
                if text[at] == _QUOTE:
                    within = not within
                elif text[at] == delimiter and not within:
                    fields += 1
                at += 1
            if fields != columns:
                return row, line, fields, (TOO_FEW if fields < columns else TOO_MANY)
            at += 1
        row += 1
    return row, -1, 0, 0
