"""The headers of a replay's messages, and the record that ends it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated

import msgspec

from feed.codecs import Record, malformed
from feed.console import listing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from feed.codecs import Header


SCHEMA = "1.0"
END = "end"

OWN = ("seq", "pseq")
"""Names of a data message's last headers, which number it."""

_OFFSETS = 2**62

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a replay put into one partition.

    Attributes
    ----------
    messages, rows, bytes : int
        Data messages, the quotes and trades in them, the bytes of their values.
    start, end : int
        Offsets [start, end) that hold them.
    digest : str
        SHA-256 of the SHA-256 of each message, in the order of `pseq`.
    """

    messages: Annotated[int, msgspec.Meta(ge=1, le=_OFFSETS)]
    rows: Annotated[int, msgspec.Meta(ge=0, le=_OFFSETS)]
    bytes: Annotated[int, msgspec.Meta(ge=0, le=_OFFSETS)]
    start: Annotated[int, msgspec.Meta(ge=0, le=_OFFSETS)]
    end: Annotated[int, msgspec.Meta(ge=1, le=_OFFSETS)]
    digest: Digest


class EndRecord(msgspec.Struct, frozen=True):
    """The last record of a replay in each partition it used; each holds the whole table, so any one is enough.

    Attributes
    ----------
    replay : str
    codec, schema : str
    messages : int
        Data messages in all partitions.
    digest : str
        `replay_digest` of what was sent.
    tapes : dict of str to str
        Symbols sent, with `Tape.digest` of each.
    partitions : dict of int to Listed
    """

    replay: str
    codec: str
    schema: str
    messages: int
    digest: Digest
    tapes: Annotated[dict[str, Digest], msgspec.Meta(min_length=1)]
    partitions: Annotated[dict[int, Listed], msgspec.Meta(min_length=1)]


def replay_digest(tapes: Mapping[str, str]) -> str:
    """Digest of a replay: that of its only tape, or the SHA-256 of lines of symbol and digest, by symbol.

    Parameters
    ----------
    tapes : mapping of str to str
        Symbol to `Tape.digest`.
    """
    if len(tapes) == 1:
        return next(iter(tapes.values()))
    return hashlib.sha256(
        "".join(f"{symbol} {digest}\n" for symbol, digest in sorted(tapes.items())).encode()
    ).hexdigest()


def data_headers(replay: str, symbol: str, codec: str, seq: int, pseq: int) -> list[tuple[str, bytes]]:
    """Headers of a data message: `seq` counts the whole replay, `pseq` the partition, both from 0."""
    return [*shared_headers(replay, symbol, codec), *zip(OWN, (b"%d" % seq, b"%d" % pseq), strict=True)]


def shared_headers(replay: str, symbol: str, codec: str) -> list[tuple[str, bytes]]:
    """Headers that all messages of a symbol share; they come first, as equal beginnings are read faster."""
    headers = {"replay": replay, "symbol": symbol, "schema": SCHEMA, "codec": codec}
    return [(name, text.encode()) for name, text in headers.items()]


def end_headers(replay: str, codec: str) -> list[tuple[str, bytes]]:
    """Headers of an end record."""
    headers = {"replay": replay, "schema": SCHEMA, "codec": codec, "kind": END}
    return [(name, text.encode()) for name, text in headers.items()]


def encode_end(end: EndRecord) -> bytes:
    """Write an end record's value."""
    return msgspec.json.encode(end)


_END = msgspec.json.Decoder(EndRecord)


def decode_end(record: Record, replay: str) -> EndRecord:
    """Read the value of a replay's end record; FeedCorrupt where it is malformed or inconsistent."""
    try:
        end = _END.decode(record.value)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise malformed(record, f"end record: {error}") from error
    if end.replay != replay:
        raise malformed(record, f"end record: header and value name different replays, {replay!r} and {end.replay!r}")
    if end.messages != sum(listed.messages for listed in end.partitions.values()):
        raise malformed(record, "end record: the partitions' counts do not add up")
    if end.digest != replay_digest(end.tapes):
        raise malformed(record, "end record: the tapes' digests do not make the replay's")
    if any(listed.messages > listed.end - listed.start for listed in end.partitions.values()):
        raise malformed(record, "end record: more messages than offsets")
    return end


def check_promised(headers: Mapping[str, bytes | None], promised: Iterable[tuple[str, bytes]]) -> None:
    """Compare a message's headers with those of its whole replay; ValueError where one differs."""
    for name, value in promised:
        if headers.get(name) != value:
            raise ValueError(f"header {name} is {shown(headers.get(name))}, expected {value.decode()!r}")


def code_of(headers: Mapping[str, bytes | None], codes: Mapping[bytes, int]) -> int:
    """Index of a message's symbol among the replay's; ValueError where it is none of them."""
    code = codes.get(headers.get("symbol") or b"")
    if code is None:
        known_symbols = listing("symbols", [symbol.decode() for symbol in codes])
        raise ValueError(f"header symbol is {shown(headers.get('symbol'))}; {known_symbols}")
    return code


NO_HEADERS = "it carries no headers of a replay"


def headers_of(record: Record) -> dict[str, str]:
    """Read a record's headers.

    Raises
    ------
    FeedCorrupt
        A header is no text, or they are not those of a replay.
    """
    try:
        headers = {name: (value or b"").decode() for name, value in record.headers}
    except UnicodeDecodeError as error:
        raise malformed(record, "a header is no text") from error
    if not headers.get("replay"):
        raise malformed(record, NO_HEADERS)
    return headers


def own_numbers(own: Sequence[Header]) -> tuple[int, int] | None:
    """`seq` and `pseq` where these are a message's own headers and valid for `number_of`; else None."""
    if len(own) == 2 and own[0][0] == "seq" and own[1][0] == "pseq":
        seq, pseq = own[0][1] or b"", own[1][1] or b""
        if seq.isdigit() and pseq.isdigit() and len(seq) < 19 and len(pseq) < 19:
            return int(seq), int(pseq)
    return None


def number_of(headers: Mapping[str, bytes | None], name: str) -> int:
    """Read a number from a header; ValueError where it is no number."""
    text = headers.get(name) or b""
    if not (text.isdigit() and len(text) < 19):
        raise ValueError(f"header {name} is {shown(text)}, expected a number")
    return int(text)


def shown(value: bytes | None) -> str:
    """Show a header's value on one short line of plain ASCII."""
    return "missing" if value is None else repr(value[:40])[1:]
