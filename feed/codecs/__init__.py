"""Messages of a topic: codecs that turn a tape into messages, and messages into a tape.

CODECS : every codec, by name.
decode_json : what reads the messages of anybody.
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
from feed.codecs.json_rows import REFUSALS
from feed.codecs.messages import Decoded, Header, Messages, Record, by_instant, gather, malformed
from feed.codecs.registry import CODECS, Codec

__all__ = [
    "CODECS",
    "REFUSALS",
    "Codec",
    "Decoded",
    "Header",
    "Messages",
    "Record",
    "by_instant",
    "decode_json",
    "gather",
    "malformed",
]
