"""Where a topic is: servers, topic, and the protocol to speak."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from feed.access import PLAIN, Access, parse_version
from feed.console import without_secrets
from feed.errors import FeedUnavailable

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_NAME = "set kafka.sasl_username and the place of the password, kafka.sasl_password_env or kafka.sasl_password_file"
_SHAPE = "write kafka://HOST:PORT[,HOST:PORT]/TOPIC[?api_version=X.Y]"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a topic is.

    Attributes
    ----------
    servers : tuple of str
        ``HOST:PORT`` each.
    topic : str
    api_version : tuple of int, optional
        The protocol to speak; None = negotiate it with the broker.
    access : Access
        How the broker lets us in.
    """

    servers: tuple[str, ...]
    topic: str
    api_version: tuple[int, ...] | None = None
    access: Access = PLAIN

    @property
    def place(self) -> str:
        """The address as text; `parse_address` reads it back."""
        option = "" if self.api_version is None else f"?api_version={'.'.join(map(str, self.api_version))}"
        return f"kafka://{','.join(self.servers)}/{self.topic}{option}"


def parse_address(text: str, access: Access = PLAIN) -> Address:
    """Read ``kafka://HOST:PORT[,HOST:PORT]/TOPIC[?api_version=X.Y]``.

    Parameters
    ----------
    text : str
    access : Access

    Raises
    ------
    FeedUnavailable
        It is no such address; the message does not repeat what stands before an @.
    """
    shown = without_secrets(text)
    # Checked first: the messages below may quote a part of a password.
    if "@" in text:
        raise FeedUnavailable("an address holds no user and no password", shown, f"{_SHAPE}, and {_NAME}")
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise FeedUnavailable(f"no Kafka address: {error}", shown, _SHAPE) from error
    if parts.scheme != "kafka":
        raise FeedUnavailable("no Kafka address", shown, _SHAPE)
    servers = tuple(_server(server, shown) for server in parts.netloc.split(","))
    topic = parts.path[1:]
    if not _TOPIC.fullmatch(topic) or topic in {".", ".."}:
        raise FeedUnavailable(
            f"{topic!r} is no topic: expected 1 to 249 of A-Z a-z 0-9 . _ -" if topic else "the address names no topic",
            shown,
            _SHAPE,
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(options) - {"api_version"})
    if unknown or parts.fragment:
        raise FeedUnavailable(
            f"unknown option {unknown[0][:40] if unknown else '#'!r}: there is api_version",
            shown,
            _SHAPE,
        )
    version = options.get("api_version")
    spoken = access.version if version is None else parse_version(version, shown, _SHAPE)
    return Address(servers, topic, spoken, access)


def _server(server: str, shown: str) -> str:
    match = re.fullmatch(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})", server)
    if match is None or not 1 <= int(match[2]) <= 65535:
        raise FeedUnavailable(f"{server!r} is no HOST:PORT", shown, _SHAPE)
    return server
