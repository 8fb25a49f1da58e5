"""Record batches are unpacked to what the client itself makes of them, and never to more than a bound."""

import contextlib
import gzip
import zlib
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from feed.codecs.messages import Record
from feed.kafka.client import TopicPartition
from feed.kafka.headers import data_headers
from feed.kafka.record_batch import (
    COMPRESSIONS,
    MAX_BATCH,
    CorruptRecordError,
    Fetcher,
    IsolationLevel,
    decompress,
    unpack,
    unpack_lean,
)
from tests.support.examples import examples

PART = TopicPartition("q", 3)
SNAPPY, LZ4, ZSTD = 2, 3, 4
NONE, GZIP, TRANSACTIONAL, CONTROL, LOG_APPEND = 0, 1, 16, 32, 8

texts = st.one_of(st.none(), st.binary(max_size=70), st.binary(min_size=130, max_size=140))
headers = st.lists(st.tuples(st.text(max_size=3), texts), max_size=8)
ours = st.tuples(st.integers(0, 200), st.integers(0, 200)).map(lambda pair: data_headers("r", "AAPL", "json", *pair))
record = st.tuples(st.integers(0, 2**41), texts, texts, st.one_of(headers, ours, ours))
several = st.lists(record, min_size=1, max_size=8)


def xerial(data, block=100):
    """Snappy as Java writes it, in blocks: of 32 KiB there."""
    parts = [pa.compress(data[at : at + block], codec="snappy", asbytes=True) for at in range(0, len(data), block)]
    return b"\x82SNAPPY\x00\0\0\0\1\0\0\0\1" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


COMPRESS = {
    "gzip": (GZIP, gzip.compress),
    "snappy": (SNAPPY, lambda data: pa.compress(data, codec="snappy", asbytes=True)),
    "xerial": (SNAPPY, xerial),
    "lz4": (LZ4, lambda data: pa.compress(data, codec="lz4", asbytes=True)),
    "zstd": (ZSTD, lambda data: pa.compress(data, codec="zstd", asbytes=True)),
}
ways = pytest.mark.parametrize("way", COMPRESS)


def with_body(raw, compression, body):
    """A batch with other bytes after its header: the length and the checksum are made anew."""
    from kafka.record.util import calc_crc32c

    raw = bytearray(raw[:61] + body)
    raw[22] |= compression
    raw[8:12] = (len(raw) - 12).to_bytes(4, "big")
    raw[17:21] = calc_crc32c(memoryview(raw)[21:]).to_bytes(4, "big")
    return bytes(raw)


def batch_of(records, *, compression=NONE, base=0, offsets=None, flags=0):
    """The bytes of one batch as a broker hands them out: of (timestamp, key, value, headers)."""
    from kafka.record.default_records import DefaultRecordBatchBuilder
    from kafka.record.util import calc_crc32c

    builder = DefaultRecordBatchBuilder(2, compression, bool(flags & TRANSACTIONAL), 5, 0, 0, 2**25)
    for at, (timestamp, key, value, pairs) in enumerate(records):
        assert builder.append(at if offsets is None else offsets[at], timestamp, key, value, pairs)
    raw = bytearray(builder.build())
    raw[:8] = base.to_bytes(8, "big")
    raw[22] |= flags & (CONTROL | LOG_APPEND)  # what a broker sets; the checksum is made anew
    raw[17:21] = calc_crc32c(memoryview(raw)[21:]).to_bytes(4, "big")
    return bytes(raw)


def fetched(raw):
    from kafka.record import MemoryRecords

    return MemoryRecords(raw)


def take_all(kind, raw, *, at=0, isolation=IsolationLevel.READ_UNCOMMITTED, crcs=True, aborted=()):
    parts = kind(at, PART, fetched(raw), check_crcs=crcs, isolation_level=isolation, aborted_transactions=list(aborted))
    records = parts.take() if parts else []
    return [plain(each) for each in records], parts.next_fetch_offset


def plain(each):
    null = each.value is None or getattr(each, "tombstone", False)
    return each.partition, each.offset, each.timestamp, each.key, None if null else each.value, list(each.headers)


@pytest.fixture(scope="module")
def lean():
    consumer = SimpleNamespace(_fetcher=SimpleNamespace(PartitionRecords=Fetcher.PartitionRecords))
    unpack_lean(consumer)
    return consumer._fetcher.PartitionRecords


@examples(100)
@given(st.lists(several, min_size=1, max_size=3), st.sampled_from([NONE, GZIP]), st.sampled_from([0, LOG_APPEND]))
def test_records_are_the_clients_own(lean, batches, compression, flags):
    base, raw = 7, b""
    for records in batches:
        raw += batch_of(records, compression=compression, base=base, flags=flags)
        base += len(records)
    assert take_all(lean, raw, at=8) == take_all(Fetcher.PartitionRecords, raw, at=8)


def test_neighbours_with_headers_that_begin_alike_share_them(lean):
    raw = batch_of([(1, None, b"v", data_headers("r", "AAPL", "json", seq, seq * 70)) for seq in range(5)])
    records = lean(0, PART, fetched(raw)).take()
    assert [dict(each.headers)["pseq"] for each in records] == [b"0", b"70", b"140", b"210", b"280"]
    assert {id(each.common) for each in records} == {id(records[0].common)}
    assert [name for name, _ in records[0].own] == ["seq", "pseq"]
    assert isinstance(records[0], Record)


def test_offsets_that_compaction_left_out_are_passed(lean):
    raw = batch_of([(1, b"k", b"v", [])] * 3, base=10, offsets=[0, 4, 9])
    records, following = take_all(lean, raw, at=10)
    assert [offset for _, offset, *_ in records] == [10, 14, 19]
    assert following == 20


def test_control_batches_are_passed(lean):
    commit = batch_of([(1, b"\x00\x00\x00\x01", bytes(6), [])], base=1, flags=CONTROL | TRANSACTIONAL)
    raw = batch_of([(1, None, b"a", [])]) + commit
    assert take_all(lean, raw) == take_all(Fetcher.PartitionRecords, raw)
    assert take_all(lean, raw)[1] == 2


@pytest.mark.parametrize("isolation", [IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED])
def test_aborted_transactions_are_the_clients_to_leave_out(lean, isolation):
    abort = batch_of([(1, b"\x00\x00\x00\x00", bytes(6), [])], base=1, flags=CONTROL | TRANSACTIONAL)
    raw = batch_of([(1, None, b"a", [])], flags=TRANSACTIONAL) + abort + batch_of([(1, None, b"b", [])], base=2)
    aborted = [SimpleNamespace(producer_id=5, first_offset=0)]
    outcome = take_all(lean, raw, isolation=isolation, aborted=aborted)
    assert outcome == take_all(Fetcher.PartitionRecords, raw, isolation=isolation, aborted=aborted)
    assert len(outcome[0]) == (1 if isolation == IsolationLevel.READ_COMMITTED else 2)


@pytest.mark.parametrize("compression", [NONE, GZIP])
def test_aborted_records_are_handed_out_marked_where_that_is_asked_for(compression):
    consumer = SimpleNamespace(_fetcher=SimpleNamespace(PartitionRecords=Fetcher.PartitionRecords))
    unpack_lean(consumer, aborted=True)
    part = consumer._fetcher.PartitionRecords
    abort = batch_of([(1, b"\x00\x00\x00\x00", bytes(6), [])], base=3, flags=CONTROL | TRANSACTIONAL)
    commit = batch_of([(1, b"\x00\x00\x00\x01", bytes(6), [])], base=6, flags=CONTROL | TRANSACTIONAL)
    three, two = [(1, b"k", b"a", [])] * 3, [(1, None, b"b", [])] * 2
    kept = {"compression": compression, "flags": TRANSACTIONAL}
    raw = batch_of(three, **kept) + abort + batch_of(two, base=4, **kept) + commit + batch_of(two, base=7)
    aborted = [SimpleNamespace(producer_id=5, first_offset=0)]
    for isolation, marked in ((IsolationLevel.READ_COMMITTED, [1, 2]), (IsolationLevel.READ_UNCOMMITTED, [])):
        fetch = part(1, PART, fetched(raw), isolation_level=isolation, aborted_transactions=aborted)
        records = fetch.take()
        assert [each.offset for each in records] == [1, 2, 4, 5, 7, 8]
        assert [each.offset for each in records if each.aborted] == marked
        assert fetch.next_fetch_offset == 9


def test_messages_of_the_format_before_are_read(lean):
    from kafka.record.legacy_records import LegacyRecordBatchBuilder

    builder = LegacyRecordBatchBuilder(magic=1, compression_type=0, batch_size=2**20)
    builder.append(0, timestamp=9, key=None, value=b"old")
    assert take_all(lean, bytes(builder.build())) == ([(3, 0, 9, None, b"old", [])], 1)


def test_a_batch_in_part_can_be_gone_on_with(lean):
    parts = lean(0, PART, fetched(batch_of([(1, None, b"%d" % at, []) for at in range(5)])))
    assert [each.value for each in parts.take(2)] == [b"0", b"1"]
    assert parts.next_fetch_offset == 2
    assert [each.value for each in parts.take(9)] == [b"2", b"3", b"4"]


def test_a_checksum_that_differs_is_an_error(lean):
    raw = bytearray(batch_of([(1, None, b"value", [])], base=41))
    raw[-3] ^= 1
    with pytest.raises(CorruptRecordError, match="checksum of the batch at offset 41"):
        take_all(lean, bytes(raw))


@examples(120)
@given(several, st.data())
def test_damage_that_no_checksum_shows_is_refused_or_read(lean, records, data):
    raw = bytearray(batch_of(records))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(61, len(raw) - 1))] = data.draw(st.sampled_from([0, 1, 2, 5, 0x7F, 0x80, 0xFF]))
    with contextlib.suppress(CorruptRecordError):
        read = take_all(lean, bytes(raw), crcs=False)
        with contextlib.suppress(CorruptRecordError, UnicodeDecodeError):
            assert read == take_all(Fetcher.PartitionRecords, bytes(raw), crcs=False)


@examples(100)
@given(st.binary(max_size=80), st.integers(-1, 5))
@example(b"\xff" * 11, 1)
@example(b"\x00", 2**31 - 1)
def test_no_bytes_do_anything_but_be_read_or_refused(data, count):
    with contextlib.suppress(CorruptRecordError):
        assert len(unpack(0, data, count, 0, 0)) == max(count, 0)


@pytest.mark.parametrize(
    ("data", "count", "reason"),
    [
        (b"\x00", 0, "1 bytes follow"),
        (b"\x0c\xff\x00\x00\x01\x01\x00", 1, "attributes 0xff"),
        (b"", 1, "index out of range"),
        (b"\x0e\x00\x00\x00\x01\x01\x00\x00", 0, "8 bytes follow"),
        (b"\x10\x00\x00\x00\x01\x01\x00", 1, "it takes 6 bytes and says 8"),
        (b"\x0c\x00\x00\x00\x01\x01\x01", 1, "fewer headers than none"),
        (b"\x10\x00\x00\x00\x01\x01\x02\x01\x01", 1, "a header has no name"),
        (b"\x80" * 12, 1, "beyond 64 bits"),
    ],
)
def test_what_is_wrong_with_a_record_is_said(data, count, reason):
    with pytest.raises(CorruptRecordError, match=reason):
        unpack(0, data, count, 0, 0)


# --- compression ---

BY_JAVA = {
    SNAPPY: "82534e415050590000000001000000010000005bf4023cb60100000001900171756f7465203020fe080030020c73796d626f"
    "6c084141504c015d0002155d00310d5de60800425d000004155d00320d5de60800425d000006155d00330d5de6080030020c"
    "73796d626f6c084141504c",
    LZ4: "04224d1860408258000000ff01b60100000001900171756f746520302008002dd0020c73796d626f6c084141504c5d001502"
    "5d0013315d000f0800270d5d0015045d0013325d000f0800270d5d0015065d0013335d000f080027045d0050084141504c00"
    "000000",
    ZSTD: "28b52ffd00583402007402b60100000001900171756f7465203020020c73796d626f6c084141504cb6010000023104320633"
    "0d00e0808303c01dd018cc767002b8031a83d90e4e80bbc0a0059d54c0010000",
}
"""What Apache Kafka 4.1.1 made of a batch of four, in topics of these compression types."""


@pytest.mark.parametrize("compression", BY_JAVA)
def test_what_a_broker_compressed_anew_is_read(lean, compression):
    raw = with_body(batch_of([(1, None, b"v", [])] * 4), compression, bytes.fromhex(BY_JAVA[compression]))
    records, following = take_all(lean, raw)
    assert [value for *_, value, _ in records] == [b"quote %d " % at * 9 for at in range(4)]
    assert {str(pairs) for *_, pairs in records} == {"[('symbol', b'AAPL')]"}
    assert following == 4


@ways
@examples(30)
@given(records=several)
def test_each_compression_gives_what_was_compressed(lean, way, records):
    plainly = batch_of(records)
    number, compress = COMPRESS[way]
    assert take_all(lean, with_body(plainly, number, compress(plainly[61:]))) == take_all(lean, plainly)


@ways
def test_the_bound_holds_to_the_byte(way):
    number, compress = COMPRESS[way]
    data = compress(b"xyz" * 100_000)
    assert decompress(number, data, 300_000) == b"xyz" * 100_000
    with pytest.raises(CorruptRecordError, match="more than the bound"):
        decompress(number, data, 299_999)


@pytest.mark.parametrize("way", ["gzip", "lz4", "zstd"])
def test_the_bound_is_of_all_parts_together(way):
    number, compress = COMPRESS[way]
    assert decompress(number, compress(b"ab") + compress(b"") + compress(b"cd")) == b"abcd"
    data = compress(b"x" * 600) + compress(b"y" * 400)
    assert len(decompress(number, data, 1000)) == 1000
    with pytest.raises(CorruptRecordError, match="more than the bound"):
        decompress(number, data, 999)


@ways
@pytest.mark.parametrize("cut", [1, 8, 12])
def test_what_is_cut_is_refused(way, cut):
    number, compress = COMPRESS[way]
    with pytest.raises(CorruptRecordError, match=r"cut|cannot be decompressed"):
        decompress(number, compress(b"hello" * 90)[:-cut])


@pytest.mark.parametrize("number", COMPRESSIONS)
@pytest.mark.parametrize("data", [b"hello", zlib.compress(b"x"), gzip.compress(b"x", mtime=0) + b"rest", b"\xff" * 20])
def test_what_is_not_what_it_says_is_refused(number, data):
    with pytest.raises(CorruptRecordError, match=r"cannot be decompressed|more than the bound"):
        decompress(number, data)


@pytest.mark.parametrize("number", [5, 6, 7])
def test_a_compression_that_nobody_knows_is_named(lean, number):
    with pytest.raises(CorruptRecordError, match=f"its compression, {number}, is none that this reader knows"):
        take_all(lean, with_body(batch_of([(1, None, b"v", [])]), number, b"x"))


@ways
def test_a_bomb_is_refused_before_it_has_grown(lean, way):
    """128 MiB of zeros, in 8 kB of zstd."""
    number, compress = COMPRESS[way]
    bomb = xerial(bytes(2 * MAX_BATCH), 2**20) if way == "xerial" else compress(bytes(2 * MAX_BATCH))
    with pytest.raises(CorruptRecordError, match="more than the bound"):
        take_all(lean, with_body(batch_of([(1, None, b"v", [])]), number, bomb))


def test_what_snappy_says_of_its_size_is_checked_before_room_is_made():
    for size in (b"\xff\xff\xff\xff\x0f", b"\x81\x80\x80\x20"):  # 4 GiB; one byte more than the bound
        for data in (size + b"\0", xerial(b"")[:16] + bytes([0, 0, 0, len(size) + 1]) + size + b"\0"):
            with pytest.raises(CorruptRecordError, match="more than the bound"):
                decompress(SNAPPY, data)
    with pytest.raises(CorruptRecordError, match="cannot be decompressed"):
        decompress(SNAPPY, b"\x04\x00a")


def older_batch(way, value=b"old", magic=1):
    """A message set of a format before, compressed as a whole."""
    from kafka.record.legacy_records import LegacyRecordBatchBuilder

    number, compress = COMPRESS[way]
    inner = LegacyRecordBatchBuilder(magic=magic, compression_type=0, batch_size=2**27)
    for at in range(3):
        inner.append(at, timestamp=9, key=None, value=value)
    outer = LegacyRecordBatchBuilder(magic=magic, compression_type=0, batch_size=2**20)
    outer.append(2, timestamp=9, key=None, value=compress(bytes(inner.build())))
    raw = bytearray(outer.build())
    raw[17] |= number
    raw[12:16] = zlib.crc32(raw[16:]).to_bytes(4, "big")
    return bytes(raw)


@ways
@pytest.mark.parametrize("magic", [0, 1])
def test_compressed_messages_of_the_formats_before_are_read_and_bounded(lean, way, magic):
    records, following = take_all(lean, older_batch(way, magic=magic))
    assert [(offset, value) for _, offset, _, _, value, _ in records] == [(0, b"old"), (1, b"old"), (2, b"old")]
    assert following == 3
    if way == "zstd":
        with pytest.raises(CorruptRecordError, match="more than the bound"):
            take_all(lean, older_batch(way, bytes(MAX_BATCH // 2), magic))


@pytest.mark.parametrize("size", [-12, -1, 0, 13])
def test_a_message_of_the_formats_before_that_leads_back_is_refused(lean, monkeypatch, size):
    whole = COMPRESS["gzip"][1]
    monkeypatch.setitem(
        COMPRESS, "gzip", (GZIP, lambda data: whole(data[:8] + size.to_bytes(4, "big", signed=True) + data[12:]))
    )
    with pytest.raises(CorruptRecordError, match=f"says that it is {size} bytes long"):
        take_all(lean, older_batch("gzip"))
