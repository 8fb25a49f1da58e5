"""Messages of a topic: codecs that turn a tape into messages, and messages into a tape.

CODEC, codec_named, known_codecs : codecs as plug-ins; a codec by name, and all the names.
decode_json : what reads the messages of anybody.
Fields, MissingField, names_in : what reads those of another shape, what they may lack, the names of their fields.
batches, too_large : messages that are decoded together; the error of rows beyond the bound.
Codec : how values are written and read.
Record, Header : a message received, and one of its headers.
Messages : those to send, as columns.
Decoded : the rows of messages.
gather : the rows of several parts, in an order of messages.
by_instant : the rows of a tape that make one message.
malformed : the error that names a malformed message.
REFUSALS : the errors of decoding JSON.
"""

from feed.codecs.json_codec import decode_json
from feed.codecs.json_fields import Fields, MissingField, names_in
from feed.codecs.json_rows import REFUSALS
from feed.codecs.messages import (
    Decoded,
    Header,
    Message,
    Messages,
    Record,
    batches,
    by_instant,
    gather,
    malformed,
    quote_bytes,
    refuse,
    too_large,
)
from feed.codecs.registry import CODEC, Codec, codec_named, known_codecs

__all__ = [
    "CODEC",
    "REFUSALS",
    "Codec",
    "Decoded",
    "Fields",
    "Header",
    "Message",
    "Messages",
    "MissingField",
    "Record",
    "batches",
    "by_instant",
    "codec_named",
    "decode_json",
    "gather",
    "known_codecs",
    "malformed",
    "names_in",
    "quote_bytes",
    "refuse",
    "too_large",
]
