"""The codecs: one table from the name in a message's header to how values are written and read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from feed.codecs.arrow_codec import SNAPSHOTS, decode_arrow, encode_arrow
from feed.codecs.json_codec import decode_json, encode_json
from feed.codecs.messages import QUOTE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from feed.codecs.messages import Decoded, Message, Record
    from feed.tape import Tape


@dataclass(frozen=True, slots=True)
class Codec:
    """How values are written and read.

    The rows of one instant lie in one message, so that the order of messages alone orders rows of equal keys.

    Attributes
    ----------
    encode : callable
        Tape -> iterator of `Message`, ascending instants.
    decode : callable
        `Record` in order of arrival, what is told of a malformed one, and how many bytes all rows may take ->
        `Decoded`, one entry for each record.
    compression : str, optional
        How the producer is to compress batches of values; None = they are compressed already.
    instants : int
        How many a message may hold.
    row_bytes : int
        What a quote or a trade takes in a message at most.
    """

    encode: Callable[[Tape], Iterator[Message]]
    decode: Callable[[Iterable[Record], Callable[[Record, str], None], int], Decoded]
    compression: str | None = "gzip"
    instants: int = 1
    row_bytes: int = 224


CODECS: dict[str, Codec] = {
    "json": Codec(encode_json, decode_json),
    "arrow": Codec(encode_arrow, decode_arrow, compression=None, instants=SNAPSHOTS, row_bytes=QUOTE_BYTES),
}
