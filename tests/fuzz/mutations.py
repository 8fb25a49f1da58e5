"""Changes to valid inputs that get past the parsers: tokens of JSON, fields of CSV, columns of Arrow, records of DBN.

Each takes bytes and a `random.Random` and gives other bytes; what it cannot take apart it damages byte by byte. They
draw from the random numbers alone, so that atheris repeats them by seed and hypothesis makes them smaller.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from contextlib import contextmanager, suppress

import pyarrow as pa
import pyarrow.parquet as pq

from feed.files.dbn_layouts import LAYOUTS, MBO, MBO_FIELDS, RECORD_FIELDS

MOST = 2**17
"""Bytes beyond which nothing is looked for."""

NUMBERS = (
    *("0", "-0", "1", "-1", "2", "9", "10", "38", "100", "0.1", "1e3", "1E-9", "1e-10", "0.0000000005", "0.000000001"),
    *("32767", "32768", "65535", "2147483647", "2147483648", "4294967295", "4294967296"),
    *("8388607.999999999", "8388608", "8388608.0", "2251799.813685248", "2251799.813685247", "10000000", "9999999"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
    *(
        "18446744073709551615",
        "222830000000",
        "222.83",
        "222.8300000000000000001",
        "1e308",
        "1e999",
        "-1e999",
        "1e-400",
    ),
    *("00", "01", "+1", "1.", ".5", "0x10", "1_000", "1e", "NaN", "Infinity", "-Infinity", "nan", "null", "None"),
    *("1" * 400, "0." + "0" * 40 + "1", "1" + "0" * 30, "100.0", "100.50", " 1", "1 ", "\u0661"),
)
STAMPS = (
    *("2024-08-01T13:36:32.491911683Z", "2024-08-01T13:36:32.49191168Z", "2024-08-01 13:36:32.491911683Z"),
    *("2024-08-01T13:36:60.000000000Z", "2024-02-30T00:00:00.000000000Z", "1970-01-01T00:00:00.000000000Z"),
    *("1969-12-31T23:59:59.999999999Z", "2262-04-11T23:47:16.854775807Z", "2262-04-11T23:47:16.854775808Z"),
    *("0000-00-00T00:00:00.000000000Z", "9999-12-31T23:59:59.999999999Z", "2024-08-01T24:00:00.000000000Z"),
    *("2024-08-01T13:36:32.491911683+02:00", "2024-08-01T13:36:32.491911683", "2024-08-01T13:36:32Z", "2024-08-01"),
    *("1722519392491911683", "-1", "20240801T133632.491911683Z", "2024-08-01T13:36:32.491911683z"),
    *("\u0662\u0660\u0662\u0664-08-01T13:36:32.491911683Z", "2024-08-01T13:36:32.49191168\u0663Z"),
)
WORDS = (
    *("", " ", "A", "B", "N", "T", "M", "a", "b", "AAPL", "UNKNOWN", "json", "arrow", "\u00e9", "\x00", "\x1b[2J", ","),
    *('"', '""', "'", "\n", "\r", "\r\n", "\ufeff", "x" * 70, "None", "null", "[", "{", "\\u0000", "\\ud800"),
)
KEYS = (
    *("snapshot", "trades", "ts_event", "publisher_id", "ask_px_00", "ask_sz_00", "bid_px_00", "bid_sz_00"),
    *("sequence", "price", "size", "side", "replay", "codec", "schema", "messages", "digest", "tapes", "partitions"),
    *("rows", "bytes", "start", "end", "0", "1", "-1", "x"),
)
COLUMNS = (
    *("ts_recv", "ts_event", "rtype", "publisher_id", "instrument_id", "action", "side", "depth", "price", "size"),
    *("flags", "ts_in_delta", "sequence", "bid_px_00", "ask_px_00", "bid_sz_00", "ask_sz_00", "symbol", "x", ""),
)
EDGES = (
    *(0, 1, 2, 10, 15, 16, 19, 20, 23, 38, 80, 92, 127, 128, 160, 255, 256, 1000, 2**15 - 1, 2**15, 2**16 - 1, 2**16),
    *(2**18, 2**18 + 1, 2**23 * 10**9 - 1, 2**23 * 10**9, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1),
    *(-1, -2, -(2**31), -(2**63)),
)
"""Integers at which types and bounds end."""


def damage(data, rng):
    """Change a few bytes, of any format."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(changed))
        how = rng.randrange(8)
        if how == 0:
            changed[at : at + 1] = bytes([rng.randrange(256)])
        elif how == 1:
            changed[at : at + 1] = b"\x00"
        elif how == 2:
            width = rng.choice([1, 2, 4, 8])
            changed[at : at + width] = packed_int(rng.choice(EDGES), width)
        elif how == 3:
            del changed[at : at + rng.randint(1, 40)]
        elif how == 4:
            changed[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 12)))
        elif how == 5:
            changed[at:at] = changed[at : at + rng.randint(1, 64)]
        elif how == 6:
            del changed[at:]
        elif at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def packed_int(number, width):
    return (number % 2 ** (8 * width)).to_bytes(width, "little")


TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[\[\]{},:]|\s+|[^\s\[\]{},:"]+|"', re.DOTALL)


def change_json(data, rng):
    """Change tokens of JSON, or parts of what it says."""
    how = rng.randrange(6)
    if how == 0:
        return damage(data, rng)
    if how > 2:
        return change_value(data, rng)
    if how == 1:
        tokens = TOKEN.findall(data[:MOST])
        for _ in range(rng.randint(1, 3)):
            if tokens:
                change_token(tokens, rng)
        return b"".join(tokens)
    try:
        document = json.loads(data)
        for _ in range(rng.randint(1, 2)):
            document = change_node(document, rng)
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=rng.random() < 0.5)
    except (ValueError, ArithmeticError, RecursionError):
        return damage(data, rng)
    return text.encode("utf-8", "surrogatepass")


def is_json(text):
    try:
        json.loads(text)
    except ValueError:
        return False
    return "N" not in text and "I" not in text  # NaN and Infinity are Python's own


JSON_NUMBERS = [text.encode() for text in NUMBERS if len(text) < 50 and is_json(text)]
VALUE = re.compile(rb'(?<=":)(?:"[^"\\]*"|-?[0-9][0-9.eE+-]*)')


def change_value(data, rng):
    """Put another value of its kind in one or two places of JSON, and leave the rest as it is."""
    for _ in range(rng.randint(1, 2)):
        places = list(VALUE.finditer(data[:MOST]))
        if not places:
            return damage(data, rng)
        place = rng.choice(places)
        old = place.group()
        if old.startswith(b'"'):
            value = rng.choice([*(b'"%s"' % each.encode() for each in STAMPS), b'"A"', b'"B"', b'"N"', b'"C"', b'""'])
        elif rng.randrange(3) == 0:  # a digit more, or another one
            at = rng.randint(0, len(old))
            value = old[:at] + b"%d" % rng.randrange(10) + old[at + rng.randrange(2) :]
        else:
            value = rng.choice(JSON_NUMBERS)
        data = data[: place.start()] + value + data[place.end() :]
    return data


def change_token(tokens, rng):
    at = rng.randrange(len(tokens))
    how = rng.randrange(5)
    if how == 0:
        del tokens[at]
    elif how == 1:
        tokens.insert(at, tokens[at])
    elif how == 2:
        other = rng.randrange(len(tokens))
        tokens[at], tokens[other] = tokens[other], tokens[at]
    elif tokens[at].startswith(b'"') or how == 3:
        tokens[at] = b'"' + rng.choice([*KEYS, *STAMPS, *WORDS]).encode() + b'"'
    else:
        tokens[at] = rng.choice([*NUMBERS, "[" * 200, "true", "[]", "{}"]).encode()


def change_node(node, rng):
    """Another value in one place of what JSON says."""
    if isinstance(node, dict) and node and rng.random() < 0.9:
        key = rng.choice(list(node))
        how = rng.randrange(8)
        if how == 0:
            return {name: each for name, each in node.items() if name != key}
        if how == 1:
            return {(rng.choice(KEYS) if name == key else name): each for name, each in node.items()}
        if how == 2:
            return node | {rng.choice(KEYS): node[key]}
        return node | {key: change_node(node[key], rng)}
    if isinstance(node, list) and node and rng.random() < 0.9:
        at = rng.randrange(len(node))
        how = rng.randrange(8)
        if how == 0:
            return node[:at] + node[at + 1 :]
        if how == 1:
            return [*node, node[at]]
        if how == 2:
            return node[::-1]
        return [*node[:at], change_node(node[at], rng), *node[at + 1 :]]
    how = rng.randrange(6)
    if how == 0:
        return rng.choice(EDGES)
    if how == 1:
        return rng.choice(
            [0.5, 1.0, 1e-9, 222.83, 0.1 + 0.2, 1e308, 5e-324, 2251799.813685248, -0.0, 8388607.999999999]
        )
    if how == 2:
        return rng.choice([*STAMPS, *WORDS])
    if how == 3:
        return rng.choice([None, True, False, [], {}, [[]], ""])
    if how == 4 and isinstance(node, (int, float)):
        return node + rng.choice([1, -1, 0.5, 1e-9])
    return node


def change_csv(data, rng):
    """Change fields, columns or rows of a CSV."""
    lines = [line.split(b",") for line in data[:MOST].split(b"\n")]
    for _ in range(rng.randint(1, 3)):
        change_table(lines, rng)
    text = b"\n".join(b",".join(line) for line in lines)
    how = rng.randrange(12)
    if how == 0:
        return damage(text, rng)
    if how == 1:
        return text.replace(b"\n", b"\r\n")
    if how == 2:
        return "\ufeff".encode() + text
    if how == 3:
        return text.rstrip(b"\n")
    return text


def change_table(lines, rng):
    row = rng.randrange(len(lines))
    line = lines[row]
    at = rng.randrange(len(line))
    how = rng.randrange(12)
    if how == 0:
        del lines[row]
        if not lines:
            lines.append([b""])
    elif how == 1:
        lines.insert(row, list(line))
    elif how == 2:
        lines[row] = line[:at] or [b""]
    elif how == 3:
        line[at] = b'"' + line[at] + b'"'
    elif how == 4:  # a column under another name
        at = rng.randrange(len(lines[0]))
        lines[0][at] = rng.choice(COLUMNS).encode()
    elif how == 5:  # a column less, or twice
        for each in lines:
            if at < len(each) > 1:
                each[at : at + 1] = rng.choice([[], [each[at], each[at]]])
    elif how == 6:  # a column of one other value
        value = field(rng, lines[0][at] if at < len(lines[0]) else b"")
        for each in lines[1:]:
            if at < len(each):
                each[at] = value
    elif how == 7 and at < len(lines[0]):  # prices as integers of 1e-9 $
        for each in lines[1:]:
            if at < len(each) and b"." in each[at]:
                with suppress(ValueError):
                    whole, _, rest = each[at].partition(b".")
                    each[at] = str(int(whole + rest.ljust(9, b"0"))).encode()
    elif how == 8:
        other = rng.randrange(len(lines))
        lines[row], lines[other] = lines[other], lines[row]
    else:
        line[at] = field(rng, lines[0][at] if at < len(lines[0]) else b"")


POINTED = [text for text in NUMBERS if "." in text and len(text) < 25]
PRICES = (*POINTED, "8388608.000000000", "9999999.99", "1e3", "")
WHOLE = tuple(text for text in NUMBERS if text.lstrip("-").isdigit() and len(text) < 25)


def field(rng, column=b""):
    """A value of a CSV's field: mostly one that the column might have."""
    if column and rng.randrange(3):
        named = (
            [PRICES]
            if b"_px" in column or column == b"price"
            else [STAMPS]
            if b"ts_" in column
            else [WHOLE, WHOLE, WORDS]
        )
        return rng.choice(rng.choice(named)).encode()
    return rng.choice(rng.choice([NUMBERS, NUMBERS, STAMPS, WORDS])).encode()


UNFIT = (pa.ArrowException, ValueError, TypeError, OverflowError, OSError, EOFError, MemoryError)
"""What taking damaged bytes apart, or making a column of values that it cannot hold, may raise."""


@contextmanager
def apart():
    """What a change asks for is not the reader's doing: it is taken from another pool of memory."""
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


@apart()
def change_arrow(data, rng):
    """Change what Arrow streams hold, how they are written, or their bytes."""
    how = rng.randrange(6)
    if how == 0:
        return damage(data, rng)
    if how == 1:  # lengths and places in the metadata are aligned
        changed = bytearray(data)
        for _ in range(rng.randint(1, 2)):
            width = rng.choice([2, 4, 8])
            at = rng.randrange(max(len(changed) // width, 1)) * width
            changed[at : at + width] = packed_int(rng.choice(EDGES), width)
        return bytes(changed)
    try:
        tables = read_streams(data)
        at = rng.randrange(len(tables))
        tables[at] = change_columns(tables[at], rng)
        if rng.randrange(8) == 0:
            tables = tables[::-1]
        return write_streams(tables, rng)
    except UNFIT:
        return damage(data, rng)


def read_streams(data):
    """Tables of the streams that lie one after the other; only of what is small."""
    if len(data) > MOST:
        raise ValueError
    tables = []
    source = pa.BufferReader(data)
    while source.tell() < len(data) and len(tables) < 4:
        stream = pa.ipc.open_stream(source)
        tables.append(stream.read_all())
        if tables[-1].num_rows > 1000 or tables[-1].nbytes > MOST:
            raise ValueError
    if not tables:
        raise ValueError
    return tables


def write_streams(tables, rng):
    sink = pa.BufferOutputStream()
    compression = rng.choice(["zstd", "zstd", "zstd", None, "lz4"])
    for table in tables:
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as stream:
            for batch in table.to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]:
                stream.write_batch(batch)
    return sink.getvalue().to_pybytes()


def change_columns(table, rng):
    """Another value, name, type or number of rows in a table of Arrow."""
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(table.num_columns)
        column, each = table.column(at), table.schema.field(at)
        how = rng.randrange(18)
        if how == 0:
            table = table.slice(rng.randint(0, table.num_rows), rng.choice([0, 1, 3]))
        elif how == 1:
            table = pa.concat_tables([table, table]).combine_chunks()
        elif how == 2:
            name = rng.choice([*table.schema.names, "x"])
            table = table.rename_columns([*table.schema.names[:at], name, *table.schema.names[at + 1 :]])
        elif how == 3 and pa.types.is_integer(each.type):
            kind = rng.choice([pa.int64(), pa.int32(), pa.int16(), pa.uint64(), pa.float64(), pa.string()])
            table = table.set_column(at, pa.field(each.name, kind), column.cast(kind, safe=False))
        elif how == 4:
            table = table.remove_column(at) if table.num_columns > 1 else table
        elif how == 5:
            table = table.take(pa.array(range(table.num_rows)[::-1], pa.int64())).combine_chunks()
        else:
            values = column.to_pylist()
            if values:
                values[rng.randrange(len(values))] = changed_value(each.type, rng)
                array = pa.array(values, each.type) if not pa.types.is_dictionary(each.type) else pa.array(values)
                table = table.set_column(at, pa.field(each.name, array.type, nullable=each.nullable), array)
    return table


def changed_value(kind, rng):
    if rng.randrange(10) == 0:
        return None
    if pa.types.is_integer(kind):
        limit = 2 ** (kind.bit_width - 1)
        if rng.randrange(2):
            return rng.choice([-limit, -1, 0, 1, 2, limit - 1])
        return rng.choice([each for each in EDGES if -limit <= each < limit])
    if pa.types.is_timestamp(kind):
        return pa.scalar(rng.choice(EDGES[:30]), pa.int64()).cast(kind)
    return rng.choice(WORDS)


@apart()
def change_parquet(data, rng):
    """Change what a Parquet file holds, how it is written, or its bytes."""
    if rng.randrange(3) == 0:
        return damage(data, rng)
    try:
        if len(data) > MOST:
            raise ValueError
        source = pq.ParquetFile(pa.BufferReader(data))
        if source.metadata.num_rows > 1000 or source.metadata.num_columns > 50:
            raise ValueError
        table = change_columns(source.read(), rng)
        sink = pa.BufferOutputStream()
        pq.write_table(
            table,
            sink,
            compression=rng.choice(["zstd", "zstd", "snappy", "none", "gzip"]),
            write_page_checksum=rng.random() < 0.7,
            use_dictionary=rng.random() < 0.7,
            row_group_size=rng.choice([1, 7, 1000]),
            data_page_version=rng.choice(["1.0", "2.0"]),
        )
        return sink.getvalue().to_pybytes()
    except UNFIT:
        return damage(data, rng)


LETTERS = {"action", "side"}
FIELD_PLACES = [(name in LETTERS, *place) for name, place in RECORD_FIELDS.items()]
FIELD_PLACES += [(False, "u1", 68 + 4), (False, "<u8", 72)]
ORDER_PLACES = [(name in LETTERS, *place) for name, place in MBO_FIELDS.items()]


def change_dbn(data, rng):
    """Change fields of records, their number and order, or the metadata."""
    if len(data) < 8 or rng.randrange(4) == 0:
        return damage(data, rng)
    start = min(8 + int.from_bytes(data[4:8], "little"), len(data))
    head, body = data[:start], bytearray(data[start:])
    if rng.randrange(5) == 0:
        changed = bytearray(damage(head[8:], rng))
        if rng.random() < 0.5:
            changed = changed[: start - 8].ljust(start - 8, b"\x00")
        return head[:3] + bytes([rng.choice([head[3], 1, 2, 3])]) + struct.pack("<I", len(changed)) + changed + body
    for _ in range(rng.randint(1, 3)):
        of_orders = len(body) > 1 and body[1] == MBO
        size = LAYOUTS[MBO if of_orders else rng.choice([1, 1, 10])].nbytes
        count = len(body) // size
        if not count:
            break
        at = rng.randrange(count) * size
        how = rng.randrange(8)
        if how == 0:
            del body[at : at + size]
        elif how == 1:
            body[at:at] = body[at : at + size]
        elif how == 2:  # a record of another kind between the others
            words = rng.choice([4, 12, 20, 23, 92, 255])
            record = bytes([words, rng.choice([0, 1, 10, 19, 22, 160, 177, 195])]).ljust(4 * words, b"\x00")
            body[at:at] = record
        else:
            is_letter, kind, place = rng.choice(ORDER_PLACES if of_orders else FIELD_PLACES)
            width = int(kind[-1])
            value = rng.choice([*b"TABNMCFR", *EDGES]) if is_letter else rng.choice(EDGES)
            body[at + place : at + place + width] = packed_int(value, width)
    return bytes(head + body)


def change_packed(codec, change):
    """Change compressed bytes: what they hold, or themselves."""

    def changed(data, rng):
        if rng.randrange(3) == 0:
            return damage(data, rng)
        plain = unpacked(data, codec)
        if plain is None:
            return damage(data, rng)
        text = change(plain, rng)
        how = rng.randrange(8)
        if how == 0 and text:  # in two parts, one after the other
            at = rng.randrange(len(text))
            return packed(text[:at], codec) + packed(text[at:], codec)
        if how == 1:
            return packed(text, codec) + damage(b"", rng)
        return packed(text, codec)

    return changed


def packed(data, codec):
    """Compress; gzip without a time stamp, so that the same is the same."""
    if codec == "gzip":
        squeezed = zlib.compressobj(6, zlib.DEFLATED, 31)
        return squeezed.compress(data) + squeezed.flush()
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def unpacked(data, codec, most=MOST):
    """Decompress up to a bound; None where that fails or there is more."""
    plain = bytearray(most + 1)
    filled = 0
    try:  # not by read: where that fails, pyarrow never frees what it was to be read into
        with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
            while count := stream.readinto(memoryview(plain)[filled:]):
                filled += count
    except (OSError, EOFError, ValueError, pa.ArrowException):
        return None
    return bytes(plain[:filled]) if filled <= most else None
