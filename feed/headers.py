"""What surrounds the values of a replay: the headers of its messages, and the record that ends it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from feed.messages import Record, malformed

SCHEMA = "1.0"
END = "end"

_OFFSETS = 2**62


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a replay put into one partition: data messages, the offsets [start, end) they lie in, their digest."""

    messages: Annotated[int, msgspec.Meta(ge=1, le=_OFFSETS)]
    start: Annotated[int, msgspec.Meta(ge=0, le=_OFFSETS)]
    end: Annotated[int, msgspec.Meta(ge=1, le=_OFFSETS)]
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class EndRecord(msgspec.Struct, frozen=True):
    """The last record of a replay in each partition it used: the whole table, so that any one of them is enough.

    Attributes
    ----------
    replay : str
    symbols : tuple of str
    codec, schema : str
    messages : int
        Data messages of all partitions.
    digest : str
        `Tape.digest` of what was sent.
    partitions : dict of int to Listed
    """

    replay: str
    symbols: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    codec: str
    schema: str
    messages: int
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    partitions: Annotated[dict[int, Listed], msgspec.Meta(min_length=1)]


def data_headers(replay: str, symbol: str, codec: str, seq: int, pseq: int) -> list[tuple[str, bytes]]:
    """Headers of a data message: `seq` counts the whole replay, `pseq` the partition, both from 0."""
    named = {"replay": replay, "symbol": symbol, "schema": SCHEMA, "codec": codec, "seq": str(seq), "pseq": str(pseq)}
    return [(name, text.encode()) for name, text in named.items()]


def end_headers(replay: str, codec: str) -> list[tuple[str, bytes]]:
    """Headers of an end record."""
    named = {"replay": replay, "schema": SCHEMA, "codec": codec, "kind": END}
    return [(name, text.encode()) for name, text in named.items()]


def encode_end(end: EndRecord) -> bytes:
    """Write an end record's value."""
    return msgspec.json.encode(end)


_END = msgspec.json.Decoder(EndRecord)


def decode_end(record: Record, replay: str) -> EndRecord:
    """Read the value of a replay's end record; FeedCorrupt where it is malformed or contradicts itself."""
    try:
        end = _END.decode(record.value)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise malformed(record, f"end record: {error}") from error
    if end.replay != replay:
        raise malformed(record, f"end record: header and value name different replays, {replay!r} and {end.replay!r}")
    if end.messages != sum(listed.messages for listed in end.partitions.values()):
        raise malformed(record, "end record: the partitions' counts do not add up")
    if any(listed.messages > listed.end - listed.start for listed in end.partitions.values()):
        raise malformed(record, "end record: more messages than offsets")
    return end
