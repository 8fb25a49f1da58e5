"""Probe within seconds whether a Kafka broker answers and lets us in; the client itself would try for long."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING, Any

from feed.access import PLAIN, Access, client_options
from feed.errors import FeedUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROBE_SECONDS = 8.0
"""Seconds that a server may take to accept a connection: a lost packet is sent again after 1, 3 and 7."""

GREET_SECONDS = 15.0
"""Seconds that it may then take for TLS, and again for versions and password: a cold or busy broker is slow, and only
a wrong address that answers nothing is waited for as long."""

START = "start one with: python -m feed broker (it prints its address), or check host and port"
_SETTINGS = "check host, port, and the kafka.* settings"

_ANSWER_BYTES = 2**20
_API_VERSIONS, _SASL_HANDSHAKE, _SASL_AUTHENTICATE = 18, 17, 36
_UNKNOWN_MECHANISM, _NOT_ASKED_FOR = 33, 34
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")
_STRANGER = "it speaks another protocol than Kafka's"


class _Refused(Exception):  # noqa: N818 - reads as what it says
    """Somebody answers, but the settings do not fit; the second argument is the remedy."""


def first_that_answers(servers: Sequence[str], place: str, access: Access = PLAIN) -> str:
    """Find the first server at which a Kafka broker answers and lets us in.

    Parameters
    ----------
    servers : sequence of str
        ``HOST:PORT`` each.
    place : str
        The source as text, for the message.
    access : Access
        Certificate, host name and password are checked too.

    Raises
    ------
    FeedUnavailable
        None does; says why for each.
    """
    options = client_options(access)
    reasons, remedy = [], START
    for server in servers:
        try:
            _ask(server, options, access.sasl_username)
        except _Refused as error:
            reason, *more = map(str, error.args)
            reasons.append(f"{server}: {reason}")
            remedy = more[0] if more else _SETTINGS
        except UnicodeError:
            reasons.append(f"{server}: it is no name of a host")
        except (OSError, struct.error) as error:
            reasons.append(f"{server}: {error or type(error).__name__}")
        else:
            return server
    what = "no Kafka broker answers" if remedy == START else "no Kafka broker lets us in"
    raise FeedUnavailable(f"{what} ({'; '.join(reasons)})", place, remedy)


def refusal(server: str, access: Access) -> str:
    """Name a server and why it is of no use; empty where it answers and lets us in."""
    try:
        first_that_answers([server], "", access)
    except FeedUnavailable as error:
        return error.what.partition("(")[2].removesuffix(")")
    return ""


def _ask(server: str, options: Mapping[str, Any], user: str | None) -> None:
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    with socket.create_connection((host, int(port)), timeout=PROBE_SECONDS) as raw:
        raw.settimeout(GREET_SECONDS)
        context = options.get("ssl_context")
        if context is None:
            _greet(_Peer(raw), options, user)
            return
        with _shake_hands(raw, host, context) as secured:
            try:
                _greet(_Peer(secured), options, user)
            except ssl.SSLError as error:
                # With TLS 1.3 a broker says only now that it asks for our certificate, or does not trust it.
                raise _Refused(
                    f"it ends the TLS connection ({_reason(error)}): it may ask for kafka.ssl_certfile and "
                    "kafka.ssl_keyfile, or not trust them"
                ) from error


def _shake_hands(raw: socket.socket, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    try:
        return context.wrap_socket(raw, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise _Refused(
            f"its certificate is refused: {error.verify_message.rstrip('.')}",
            "check the host's name, kafka.ssl_cafile, and the broker's certificate",
        ) from error
    except (ssl.SSLError, ConnectionError, TimeoutError) as error:
        reason = _reason(error) if isinstance(error, ssl.SSLError) else str(error)
        raise _Refused(f"TLS failed ({reason}): it may not speak TLS at that port") from error


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "no TLS").lower().replace("_", " ")


def _greet(peer: _Peer, options: Mapping[str, Any], user: str | None) -> None:
    """Ask for the protocol versions, as any client does first, and then log in."""
    answer = peer.ask(_API_VERSIONS, 0)
    _, count = answer.numbers(">hi")
    offered = {key: (low, high) for key, low, high in (answer.numbers(">hhh") for _ in range(count))}
    mechanism = options.get("sasl_mechanism")
    if mechanism is not None:
        _log_in(peer, mechanism, options, user)
        return
    low, high = offered.get(_SASL_HANDSHAKE, (0, 0))
    if not low <= 1 <= high:
        return
    try:
        code, mechanisms = _shake(peer, "PLAIN")
    except (OSError, struct.error):
        return  # an answer unlike Kafka's own proves nothing: leave it to the client
    if code in {0, _UNKNOWN_MECHANISM}:
        raise _Refused(
            f"it asks who we are, by SASL with {mechanisms}",
            "set kafka.security_protocol=SASL_SSL or SASL_PLAINTEXT, kafka.sasl_mechanism, kafka.sasl_username and "
            "the place of the password",
        )


def _shake(peer: _Peer, mechanism: str) -> tuple[int, str]:
    """Ask for a SASL mechanism; return the error code and the mechanisms on offer."""
    answer = peer.ask(_SASL_HANDSHAKE, 1, struct.pack(">h", len(mechanism)) + mechanism.encode())
    code, count = answer.numbers(">hi")
    return code, ", ".join(sorted(answer.text() for _ in range(count)))[:200] or "no mechanism"


def _log_in(peer: _Peer, name: str, options: Mapping[str, Any], user: str | None) -> None:
    """Log in by the client's own means, to prove that the broker knows the password; the client retries for long."""
    from kafka.net.sasl import get_sasl_mechanism

    code, mechanisms = _shake(peer, name)
    if code == _NOT_ASKED_FOR:
        raise _Refused(
            "it does not ask who we are, so it need not be who it says",
            "set kafka.security_protocol=SSL or PLAINTEXT, if that is meant",
        )
    if code:
        raise _Refused(f"it does not let anybody in by {name}, but by {mechanisms}", "set kafka.sasl_mechanism")
    mechanism = get_sasl_mechanism(name)(**options)
    while not mechanism.is_done():
        token: bytes = mechanism.auth_bytes()
        answer = peer.ask(_SASL_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
        (code,), message = answer.numbers(">h"), answer.text()
        if code:
            raise _Refused(
                f"the broker does not accept {user!r} by {name}: {message[:200] or code}",
                "check kafka.sasl_username, kafka.sasl_mechanism and the password's place",
            )
        try:
            mechanism.receive(answer.take(*answer.numbers(">i")))
        except (ValueError, LookupError):
            # The client's message may hold parts of the exchange.
            raise _Refused("it cannot prove that it knows the password, so it is not who it says") from None


class _Answer:
    """The bytes of a response, taken from front to back; struct.error where there are too few."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._content):
            raise struct.error(_STRANGER)
        self._at += max(count, 0)  # -1 stands for null
        return self._content[self._at - max(count, 0) : self._at]

    def numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def text(self) -> str:
        return self.take(*self.numbers(">h")).decode(errors="replace")


class _Peer:
    """The other end: Kafka's requests and responses, all within one deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._deadline, self._requests = sock, time.monotonic() + GREET_SECONDS, 0

    def ask(self, key: int, version: int, body: bytes = b"") -> _Answer:
        self._requests += 1
        request = struct.pack(">hhih", key, version, self._requests, -1) + body
        self._sock.settimeout(self._remaining())
        self._sock.sendall(struct.pack(">i", len(request)) + request)
        head = self._receive(4)
        if head[:2] in _TLS_RECORDS:
            raise _Refused("it speaks TLS: set kafka.security_protocol=SSL or SASL_SSL")
        (size,) = struct.unpack(">i", head)
        if not 4 <= size <= _ANSWER_BYTES:
            raise OSError(_STRANGER)
        answer = _Answer(self._receive(size))
        if answer.numbers(">i") != (self._requests,):
            raise OSError(_STRANGER)
        return answer

    def _receive(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            self._sock.settimeout(self._remaining())
            part = self._sock.recv(count - len(content))
            if not part:
                raise OSError("it closed the connection, so it is no Kafka broker")
            content += part
        return content

    def _remaining(self) -> float:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        return remaining
