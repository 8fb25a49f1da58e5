"""The codecs: how to write and read values, by the name in a message's header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from feed.codecs.arrow_codec import SNAPSHOTS, decode_arrow, encode_arrow
from feed.codecs.json_codec import decode_json, encode_json
from feed.codecs.messages import quote_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from feed.codecs.messages import Decoded, Message, Record
    from feed.tape import Tape


@dataclass(frozen=True, slots=True)
class Codec:
    """How values are written and read.

    One message holds all rows of an instant, so the order of messages alone orders rows with equal keys.

    Attributes
    ----------
    encode : callable
        Tape -> iterator of `Message`, ascending instants.
    decode : callable
        Iterable of `Record` in order of arrival, a callable for malformed ones, and a bound on the bytes of all rows ->
        `Decoded`, one entry for each record.
    compression : str, optional
        How the producer compresses batches of values; None = they are compressed already.
    instants : int
        Instants that a message may hold.
    row_bytes, level_bytes : int
        Maximum bytes of a quote or a trade in a message, and of each level of a quote behind the first.
    """

    encode: Callable[[Tape], Iterator[Message]]
    decode: Callable[[Iterable[Record], Callable[[Record, str], None], int], Decoded]
    compression: str | None = "gzip"
    instants: int = 1
    row_bytes: int = 224
    level_bytes: int = 128


CODECS: dict[str, Codec] = {
    "json": Codec(encode_json, decode_json),
    "arrow": Codec(
        encode_arrow,
        decode_arrow,
        compression=None,
        instants=SNAPSHOTS,
        row_bytes=quote_bytes(1),
        level_bytes=quote_bytes(2) - quote_bytes(1),
    ),
}
