"""Whether a Kafka broker answers, found out within seconds: the client itself may wait for minutes, or for ever."""

from __future__ import annotations

import socket
import ssl
import struct
from typing import TYPE_CHECKING

from feed.access import PLAIN, Access, tls_context
from feed.errors import FeedUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

PROBE_SECONDS = 2.0

START = "start one with: python -m feed broker (it prints its address), or check host and port"

_ALERT = 0x15


def first_that_answers(servers: Sequence[str], place: str, access: Access = PLAIN) -> str:
    """Find the first of some servers at which a Kafka broker answers.

    Parameters
    ----------
    servers : sequence of str
        ``HOST:PORT`` each.
    place : str
        How the source is written, for the message.
    access : Access
        With TLS the broker's certificate and host name are checked here already.

    Raises
    ------
    FeedUnavailable
        None does; says why for each.
    """
    context = tls_context(access) if access.encrypted else None
    reasons = []
    for server in servers:
        host, _, port = server.rpartition(":")
        host = host.strip("[]")
        try:
            with socket.create_connection((host, int(port)), timeout=PROBE_SECONDS) as peer:
                if context is None:
                    _greet(peer)
                else:
                    with context.wrap_socket(peer, server_hostname=host) as secured:
                        _greet(secured)
        except (OSError, struct.error) as error:
            reasons.append(f"{server}: {_said(error)}")
        else:
            return server
    remedy = START if context is None else "check host and port, kafka.ssl_cafile, and the broker's certificate"
    raise FeedUnavailable(f"no Kafka broker answers ({'; '.join(reasons)})", place, remedy)


def _said(error: Exception) -> str:
    """What went wrong, in the words of TLS where it is that."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "no TLS").lower().replace("_", " ")
        if "certificate required" in reason or "handshake failure" in reason:
            return f"TLS failed ({reason}): it may ask for kafka.ssl_certfile and kafka.ssl_keyfile"
        return f"TLS failed ({reason}): it may not speak TLS at that port"
    return str(error) or type(error).__name__


def _greet(peer: socket.socket) -> None:
    """Ask for the protocol versions, as any client does before anything else, and before it says who it is."""
    question = struct.pack(">hhih", 18, 0, 1, -1)
    peer.sendall(struct.pack(">i", len(question)) + question)
    answer = b""
    while len(answer) < 8:
        part = peer.recv(8 - len(answer))
        if answer[:1] + part[:1] == bytes([_ALERT]):
            raise OSError("it speaks TLS: set kafka.security_protocol=SSL or SASL_SSL")
        if not part:
            raise OSError("it closed the connection, so it is no Kafka broker")
        answer += part
    if struct.unpack(">ii", answer)[1] != 1:
        raise OSError("it speaks another protocol than Kafka's")
