"""A codec, a baseline and a sampler of one house, in one distribution."""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from allocator import Schedule
from feed.codecs import Codec
from feed.codecs.messages import one_by_one
from feed.codecs.registry import CODECS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from allocator import Book, Order
    from feed import Tape
    from feed.codecs.messages import Decoded, Message, Record
    from sweep.search import Space

JSON = CODECS["json"]


def half_time(book: Book, order: Order) -> Schedule:
    """A baseline: half of the order at once, the rest from the middle of its time on, at the best price left."""
    first, past = book.span(order)
    middle = (order.start + order.end) // 2
    due = np.where(book.ts[first:past] < middle, order.size // 2, order.size)
    return Schedule(first, order.size, due.astype(np.int64))


class Corners:
    """A sampler: the ends of each axis first, then every place in turn; costs play no part."""

    learns = False

    def __init__(self, space: Space, seed: int, budget: int | None) -> None:  # noqa: ARG002 - as every sampler
        self._shape, self._places, self._next = space.shape, space.places, 0
        self._seen: set[int] = set()

    def _in_turn(self) -> Iterator[int]:
        ends = np.array(np.meshgrid(*([0, length - 1] for length in self._shape), indexing="ij"))
        yield from np.ravel_multi_index(tuple(ends.reshape(len(self._shape), -1)), self._shape).tolist()
        while self._next < self._places:
            self._next += 1
            yield self._next - 1

    def ask(self, count: int) -> NDArray[np.int64]:
        """The next places that nobody has looked at."""
        places: list[int] = []
        for place in self._in_turn() if count else ():
            if place not in self._seen:
                self._seen.add(place)
                places.append(place)
            if len(places) == count:
                break
        return np.array(places, np.int64)

    def tell(self, places: NDArray[np.int64], costs: Sequence[int | None]) -> None:  # noqa: ARG002 - whatever they cost
        """Note what was looked at."""
        self._seen |= set(places.tolist())


def _encode(tape: Tape) -> Iterator[Message]:
    """The messages of the codec json, each of them packed."""
    for message in JSON.encode(tape):
        yield message._replace(value=zlib.compress(message.value))


def _unpacked(value: bytes, most: int) -> bytes:
    """The text of a message; b"", which is none, where it is damaged, or more than so many bytes."""
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(value, most)
    except zlib.error:
        return b""
    return text if unpacking.eof and not unpacking.unused_data else b""


def _decode(records: Iterable[Record], refuse: Callable[[Record, str], None], max_bytes: int) -> Decoded:
    """Read each as the codec json does; what is refused is refused as it came."""
    came: dict[tuple[int, int], Record] = {}

    def plain() -> Iterator[Record]:
        for record in records:
            came[record.partition, record.offset] = record
            yield record._replace(value=_unpacked(record.value, max_bytes))

    return JSON.decode(plain(), lambda record, why: refuse(came[record.partition, record.offset], why), max_bytes)


PACKED = Codec(
    _encode,
    partial(one_by_one, _encode),
    _decode,
    compressed=True,
    row_bytes=JSON.row_bytes,
    level_bytes=JSON.level_bytes,
)
"""The codec json, packed message by message: for brokers that do not compress."""
