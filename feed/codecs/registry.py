"""The codecs: how to write and read values, by the name in a message's header; built in, or of a plug-in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from feed.codecs.arrow_codec import SNAPSHOTS, decode_arrow, encode_arrow
from feed.codecs.json_codec import decode_json, encode_json, stream_json
from feed.codecs.messages import one_by_one, quote_bytes
from feed.plugins import Kind, installed, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from feed.codecs.messages import Decoded, Message, Messages, Record
    from feed.tape import Tape


@dataclass(frozen=True, slots=True)
class Codec:
    """How values are written and read.

    One message holds all rows of an instant, so the order of messages alone orders rows with equal keys.

    Attributes
    ----------
    encode : callable
        Tape -> iterator of `Message`, ascending instants.
    stream : callable
        Tapes -> iterator of `Messages`: the same messages of all of them, by time; at one instant by tape.
    decode : callable
        Iterable of `Record` in order of arrival, a callable for malformed ones, and a bound on the bytes of all rows ->
        `Decoded`, one entry for each record.
    compressed : bool
        Whether values are compressed already; batches of others are compressed by the producer.
    instants : int
        Instants that a message may hold.
    row_bytes, level_bytes : int
        Maximum bytes of a quote or a trade in a message, and of each level of a quote behind the first.
    """

    encode: Callable[[Tape], Iterator[Message]]
    stream: Callable[[Sequence[Tape]], Iterator[Messages]]
    decode: Callable[[Iterable[Record], Callable[[Record, str], None], int], Decoded]
    compressed: bool = False
    instants: int = 1
    row_bytes: int = 224
    level_bytes: int = 128


CODECS: dict[str, Codec] = {
    "json": Codec(encode_json, stream_json, decode_json),
    "arrow": Codec(
        encode_arrow,
        partial(one_by_one, encode_arrow),
        decode_arrow,
        compressed=True,
        instants=SNAPSHOTS,
        row_bytes=quote_bytes(1),
        level_bytes=quote_bytes(2) - quote_bytes(1),
    ),
}


def _fault(target: Any) -> str | None:  # noqa: ANN401 - whatever an entry point refers to
    if isinstance(target, Codec):
        return None
    return f"expected a feed.codecs.Codec, but it had {type(target).__name__}"


CODEC: Final = Kind("codec", "sor_sweep.codecs", tuple(CODECS), _fault)
"""Codecs as plug-ins: each an instance of `Codec`."""


def codec_named(name: str) -> Codec:
    """A codec, built in or of a plug-in; PluginError where there is none of that name, or none that can be used."""
    if name in CODECS:
        return CODECS[name]
    codec: Codec = load(CODEC, name).target
    return codec


def known_codecs() -> str:
    """The names of all codecs, for a message."""
    return ", ".join(sorted((*CODECS, *installed(CODEC))))
