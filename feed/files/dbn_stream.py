"""The records of a DBN file, block of bytes after block, each cut into records of one kind.

The next block is read, and unpacked, while one is taken.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from feed.console import quoted
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files.dbn_layouts import LAYOUTS, LEAST_BYTES, MBO, VERSIONS, mbo_dtype, record_dtype
from feed.files.dbn_symbols import MAPPING, Mapping, Names, mapping_of, spans_of

if TYPE_CHECKING:
    import io
    from collections.abc import Generator, Iterator

    from numpy.typing import NDArray

    from feed.tape import Int64

    Bytes = NDArray[np.uint8]

BLOCK = 2**22
"""Bytes of records that are read together."""

LONGEST = 1020
"""Bytes of the longest record: its length is a byte that counts words."""

ABOUT = (21, 22, 23)
"""Records about the session rather than the market: errors, mappings, messages of the system."""

_ROOM = 1024
_ALIKE = 32
_HEADER = 16
_METADATA_LEAST, _METADATA = 104, 2**26
_DAMAGED = "the file is damaged; download it again"


@dataclass(slots=True)
class Seen:
    """What the records so far were.

    Attributes
    ----------
    records, data : int
        Of any kind; of market data.
    books : int
        Those that are read.
    others : dict of int to int
        Those that are not, beside mapping records, by rtype.
    family : str
        Of those that are read.
    """

    records: int = 0
    data: int = 0
    books: int = 0
    others: dict[int, int] = field(default_factory=dict)
    family: str = ""
    first: tuple[str, str] = ("", "")


@dataclass(slots=True)
class Block:
    """Records that are read, in the order of the file, and the mapping records among them.

    Attributes
    ----------
    records : (N,) structured
        Of `feed.files.dbn_layouts.record_dtype` or `mbo_dtype`; valid until the next block is asked for.
    rtype : int
        The deepest of their kinds, which are of one family.
    mappings : list of Mapping
    """

    records: NDArray[Any]
    rtype: int
    mappings: list[Mapping]
    _first_byte: Int64 | tuple[int, int]
    _number: Int64 | int

    def place(self, at: int) -> str:
        """Place of a record, for a message."""
        if isinstance(self._first_byte, tuple):
            start, size = self._first_byte
            return f"record {int(self.number[at])} (byte {start + size * at})"
        return f"record {int(self.number[at])} (byte {self._first_byte[at]})"

    @property
    def number(self) -> Int64:
        """(N,) int64: number of each record among all of the file."""
        if isinstance(self._number, int):
            return np.arange(self._number, self._number + len(self.records))
        return self._number


def library(where: str) -> Any:  # noqa: ANN401 - it brings types of its own, and may be absent
    """Import databento-dbn, or say how to install it (FeedUnavailable)."""
    try:
        import databento_dbn
    except ImportError:
        raise FeedUnavailable(
            "DBN needs the library databento-dbn, which is not installed", where, "pip install 'sor-sweep[dbn]'"
        ) from None
    return databento_dbn


def read_metadata(stream: io.BufferedReader, where: str) -> tuple[Names, int, str, int]:
    """Read the metadata: symbols, version, a note on the format, and its length in bytes."""
    dbn = library(where)
    head = stream.read(8)
    if not b"DBN".startswith(head[:3]):
        raise FeedCorrupt(f"it does not begin as DBN: {head!r}", where, "name a DBN file with its metadata")
    if len(head) < 8:
        raise _cut_short(where, f"inside its metadata, at byte {len(head)}")
    version, length = head[3], int.from_bytes(head[4:], "little")
    if version not in VERSIONS:
        raise FeedUnavailable(f"DBN version {version}, this reader knows {VERSIONS[0]} to {VERSIONS[-1]}", where)
    if not _METADATA_LEAST <= length <= _METADATA:  # the library panics on some that are too short
        raise FeedCorrupt(f"{length} bytes of metadata, expected {_METADATA_LEAST} to {_METADATA}", where)
    body = stream.read(length)
    if len(body) < length:
        raise _cut_short(where, f"inside its metadata, at byte {len(head) + len(body)}")
    try:
        metadata = dbn.Metadata.decode(head + body)
        spans = spans_of(metadata, dbn.SType.INSTRUMENT_ID)
    except (dbn.DBNError, ValueError) as error:
        raise FeedCorrupt(f"its metadata is damaged: {quoted(str(error))}", where, "download it again") from None
    note = f"DBN version {version}, schema {metadata.schema or 'mixed'}"
    return Names(spans), version, note, len(head) + length


def blocks(stream: io.BufferedReader, version: int, start: int, where: str, seen: Seen) -> Generator[Block]:
    """Yield the records that are read, and count all.

    Parameters
    ----------
    stream : io.BufferedReader
        From the first record on.
    version : int
        Of the encoding.
    start : int
        Byte of the first record.
    where : str
        Place of the file.
    seen : Seen
        Is counted on.

    Raises
    ------
    FeedCorrupt
        The file is cut short, or a record is shorter than its kind.
    FeedUnavailable
        Records of two families.
    """
    rest = np.zeros(0, np.uint8)
    for buffer, end in _ahead(stream, BLOCK):
        first = _ROOM - len(rest)
        buffer[first:_ROOM] = rest
        data = buffer[first:end]
        offsets, size = _offsets(data, start, where, seen.records)
        count = len(offsets) if size is None else len(data) // size
        taken = count * size if size else int(offsets[-1]) + 4 * int(data[offsets[-1]]) if count else 0
        yield _cut(data, offsets, size, count, version, start, where, seen)
        seen.records += count
        start += taken
        rest = data[taken:].copy()
    if len(rest):
        raise _cut_short(where, f"inside record {seen.records + 1} (byte {start})")


def _ahead(stream: io.BufferedReader, nbytes: int) -> Iterator[tuple[Bytes, int]]:
    """Yield a buffer with bytes from `_ROOM` on and their end; while it is looked at, the next one is filled.

    Not the second one: a short file is read before a thread has begun.
    """
    one, other = (np.empty(_ROOM + nbytes, np.uint8) for _ in range(2))
    count = _fill(stream, one)
    if not count:
        return
    yield one, _ROOM + count
    with ThreadPoolExecutor(1) as pool:
        count = _fill(stream, one)
        while count:
            following = pool.submit(_fill, stream, other) if count == nbytes else None
            yield one, _ROOM + count
            count = following.result() if following else 0
            one, other = other, one


def _fill(stream: io.BufferedReader, buffer: Bytes) -> int:
    """Read until the buffer is full or the stream ends; return how many bytes came."""
    room = memoryview(buffer)[_ROOM:]  # type: ignore[arg-type]
    filled = 0
    while filled < len(room) and (count := stream.readinto(room[filled:])):
        filled += count
    return filled


def _offsets(data: Bytes, start: int, where: str, before: int) -> tuple[Int64, int | None]:
    """First bytes of all whole records; or none of them, and the size, where all have one size."""
    size = 4 * int(data[0])
    if size >= _HEADER and (whole := len(data) // size):
        # if each step of that size meets the same length, all whole records have it
        alike = bool((data[: whole * size : size] == size // 4).all())
        behind = data[whole * size :]
        if alike and (not len(behind) or 4 * int(behind[0]) > len(behind)):
            return np.zeros(0, np.int64), size
    return _walk(data, start, where, before), None


def _walk(data: Bytes, start: int, where: str, before: int) -> Int64:
    """Go from record to record; return the first byte of each whole one."""
    parts: list[Int64] = []
    starts: list[int] = []
    at, alike, last, count = 0, 0, 0, 0
    lengths = data.tobytes()
    while at < len(lengths):
        size = 4 * lengths[at]
        if size < _HEADER:
            raise FeedCorrupt(
                f"record {before + count + 1} (byte {start + at}) says it takes {size} bytes, less than a header",
                where,
                _DAMAGED,
            )
        if at + size > len(lengths):
            break
        alike = alike + 1 if size == last else 0
        last = size
        if alike < _ALIKE:
            starts.append(at)
            at, count = at + size, count + 1
            continue
        whole = (len(lengths) - at) // size  # as far as they go on like this
        other = data[at : at + whole * size : size] != size // 4
        run = int(np.argmax(other)) if other.any() else whole
        parts += [np.array(starts, np.int64), at + np.arange(run) * size]
        starts, alike = [], 0
        at, count = at + run * size, count + run
    return np.concatenate([*parts, np.array(starts, np.int64)])


def _cut(
    data: Bytes, offsets: Int64, size: int | None, count: int, version: int, start: int, where: str, seen: Seen
) -> Block:
    """Take the records that are read out of the others."""
    if size is not None:
        rtypes = data[1 : count * size : size]
        rtype = int(rtypes[0])
        if LEAST_BYTES[rtype] and size >= LEAST_BYTES[rtype] and (rtypes == rtype).all():
            block = Block(np.ndarray(count, _dtype(rtype, size), data.data), rtype, [], (start, size), seen.records + 1)
            _keep_family(block, {rtype: 0}, where, seen)
            seen.books += count
            seen.data += count
            return block
        offsets = np.arange(count) * size
    rtypes, lengths = data[offsets + 1], 4 * data[offsets].astype(np.int64)
    least = LEAST_BYTES[rtypes]
    read = least > 0
    mapping_rows = np.flatnonzero(rtypes == MAPPING)
    data_before = seen.data + np.cumsum(~np.isin(rtypes, ABOUT))
    mappings = [
        mapping_of(
            data[at : at + 4 * int(data[at])].tobytes(),
            version,
            number,
            f"record {number} (byte {at + start})",
            where,
            before,
        )
        for at, number, before in zip(
            offsets[mapping_rows].tolist(),
            (mapping_rows + seen.records + 1).tolist(),
            data_before[mapping_rows].tolist(),
            strict=True,
        )
    ]
    seen.data = int(data_before[-1]) if count else seen.data
    for rtype, its in enumerate(np.bincount(rtypes[~read]).tolist()):
        if its and rtype != MAPPING:
            seen.others[rtype] = seen.others.get(rtype, 0) + its
    kept, kinds = offsets[read], rtypes[read]
    number = np.flatnonzero(read) + seen.records + 1
    block = Block(np.zeros(0, record_dtype(80)), 1, mappings, kept + start, number)
    short = lengths[read] < least[read]
    if short.any():
        at = int(np.argmax(short))
        raise FeedCorrupt(
            f"{block.place(at)}: {int(lengths[read][at])} bytes, expected {int(least[read][at])} of rtype {kinds[at]}",
            where,
            _DAMAGED,
        )
    if len(kept):
        present, firsts = np.unique(kinds, return_index=True)
        block.rtype = int(max(present, key=lambda rtype: LAYOUTS[rtype].levels))
        _keep_family(block, dict(zip(present.tolist(), firsts.tolist(), strict=True)), where, seen)
        block.records = _gathered(data, kept, kinds, block.rtype)
        seen.books += len(kept)
    return block


def _keep_family(block: Block, firsts: dict[int, int], where: str, seen: Seen) -> None:
    """Refuse records of a second family; `firsts` says where the first of each kind is."""
    for rtype, at in sorted(firsts.items(), key=lambda pair: pair[1]):
        layout = LAYOUTS[rtype]
        if not seen.family:
            seen.family, seen.first = layout.family, (layout.schema, block.place(at))
        elif layout.family != seen.family:
            schema, place = seen.first
            raise FeedUnavailable(
                f"{block.place(at)} is of {layout.schema}, {place} of {schema}: they would show one book twice",
                where,
                "write one of these schemas to a file",
            )


def _dtype(rtype: int, size: int) -> np.dtype[Any]:
    return mbo_dtype(size) if rtype == MBO else record_dtype(size)


def _gathered(data: Bytes, offsets: Int64, rtypes: Bytes, deepest: int) -> NDArray[Any]:
    """Copy records out of bytes that hold others too; of a shallower one what lies behind its end is 0, no level."""
    size = LAYOUTS[deepest].nbytes
    copied = np.zeros((len(offsets), size // 4), np.uint32)
    words = data[: len(data) & -4].view(np.uint32)  # a record starts, and ends, at a multiple of a word
    for rtype in np.unique(rtypes).tolist():
        of_type = np.flatnonzero(rtypes == rtype)
        width = min(LAYOUTS[rtype].nbytes, size) // 4
        copied[of_type, :width] = words[(offsets[of_type] >> 2)[:, None] + np.arange(width)]
    return copied.view(_dtype(deepest, size)).reshape(-1)


def _cut_short(where: str, place: str) -> FeedCorrupt:
    return FeedCorrupt(f"the file is cut short {place}", where, "download it again")
