"""Security settings of the Kafka client, without the secrets themselves.

A password is named by the place that holds it, an environment variable or a file. The process that connects reads it
there, when it connects. So a plan or a range holds no secret: it can be sent, shown and stored.
"""

from __future__ import annotations

import logging
import os
import re
import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from feed.console import SENSITIVE, unknown_key
from feed.errors import FeedUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN")

KAFKA_PYTHON, CONFLUENT = CLIENTS = ("kafka-python", "confluent")
"""Clients that can send a replay."""

PREFIX = "kafka."
"""Prefix of every setting, in a configuration and on a command line."""

SECRET_BYTES = 4096
"""Maximum bytes of a password file; a larger file holds something else."""

_VERSION = re.compile(r"\d{1,3}\.\d{1,3}(\.\d{1,3})?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SECRET = re.compile(SENSITIVE, re.IGNORECASE)
_SHOWN = re.compile(r"[\w.-]{0,80}")
_TALKATIVE = ("kafka.net.connection", "kafka.protocol.parser")
"""Loggers of the client that, below INFO, show every byte it sends, passwords included."""

_PLACES = "set kafka.sasl_password_env=VARIABLE or kafka.sasl_password_file=PATH"


class Access(Struct, frozen=True, forbid_unknown_fields=True):
    """Security settings of a Kafka client: the keys ``kafka.*``, as text; `check_access` checks them.

    Attributes
    ----------
    security_protocol : str
        One of `PROTOCOLS`.
    sasl_mechanism : str, optional
        One of `MECHANISMS`.
    sasl_username : str, optional
    sasl_password_env, sasl_password_file : str, optional
        The environment variable, or the file, that holds the password.
    ssl_cafile, ssl_certfile, ssl_keyfile : str, optional
        PEM files: whom to trust (the system's authorities by default), and who we are.
    api_version : str, optional
        The protocol to speak, such as ``2.3``; None = negotiate it with the broker.
    client : str
        One of `CLIENTS`: what sends a replay. Topics are read by kafka-python.
    """

    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password_env: str | None = None
    sasl_password_file: str | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    api_version: str | None = None
    client: str = KAFKA_PYTHON

    @property
    def version(self) -> tuple[int, ...] | None:
        """`api_version` as numbers; FeedUnavailable where it is none."""
        return None if self.api_version is None else parse_version(self.api_version)

    @property
    def encrypted(self) -> bool:
        """Whether the connection is TLS."""
        return self.security_protocol.endswith("SSL")

    @property
    def named(self) -> bool:
        """Whether we log in by SASL."""
        return self.security_protocol.startswith("SASL")


PLAIN = Access()
"""No encryption and no name."""

NAMES = Access.__struct_fields__
"""Names of the settings, without ``kafka.``."""


def parse_version(text: str, where: str = "kafka.api_version", remedy: str = "") -> tuple[int, ...]:
    """Read a protocol version such as 2.3; FeedUnavailable for any other text."""
    if not _VERSION.fullmatch(text):
        raise FeedUnavailable(f"api_version {text[:40]!r} is no version such as 2.3", where, remedy)
    return tuple(map(int, text.split(".")))


def refuse_literal(key: str) -> None:
    """Refuse a key whose value would be a secret in plain text; the message repeats nothing that may be part of it.

    Parameters
    ----------
    key : str
        What a user wrote before ``=``, or as a key of a mapping.
    """
    key = key.strip()
    if key.removeprefix(PREFIX) not in NAMES and _SECRET.search(key):
        shown = _SHOWN.match(key)
        raise FeedUnavailable(
            "a password is not written here, where others can read it", shown[0] if shown else "", _PLACES
        )


def parse_words(words: Sequence[str]) -> Access:
    """Read ``kafka.KEY=VALUE ...`` of a command line; VALUE is taken as it is, the last of several wins.

    Raises
    ------
    FeedUnavailable
        As `access_of`.
    """
    settings: dict[str, str | None] = {}
    for word in words:
        key, _, value = word.partition("=")
        refuse_literal(key)
        settings[key.strip().removeprefix(PREFIX)] = value.strip() or None
    return access_of(settings)


def access_of(settings: Mapping[str, str | None]) -> Access:
    """Make an `Access` of settings, and check it.

    Parameters
    ----------
    settings : mapping of str to str
        By the names of `Access`; None = not set.

    Raises
    ------
    FeedUnavailable
        An unknown setting, a password in plain text, or as `check_access`.
    """
    values = {name: value for name, value in settings.items() if value is not None}
    for name in values:
        refuse_literal(f"{PREFIX}{name}")
        if name not in NAMES:
            valid = [f"{PREFIX}{each}" for each in NAMES]
            raise FeedUnavailable(unknown_key(f"{PREFIX}{name}", valid), "", f"there are {', '.join(NAMES)}")
    access = Access(**values)
    check_access(access)
    return access


def check_access(access: Access) -> None:
    """Refuse settings that cannot be used from here and now.

    Raises
    ------
    FeedUnavailable
        A missing setting, a contradiction, a file that cannot be read, or a variable that is not set.
    """
    _ = access.version
    if access.client not in CLIENTS:
        raise FeedUnavailable(
            f"expected {' or '.join(CLIENTS)}, but it had {access.client[:40]!r}", "kafka.client", "leave it out"
        )
    _check_protocol(access)
    if access.named:
        _check_sasl(access)
    if access.encrypted:
        tls_context(access)


def _check_protocol(access: Access) -> None:
    """Refuse settings that the protocol does not use: whoever sets them relies on them."""
    protocol = access.security_protocol
    if protocol not in PROTOCOLS:
        raise FeedUnavailable(
            f"expected one of {', '.join(PROTOCOLS)}, but it had {protocol[:40]!r}", "kafka.security_protocol"
        )
    for prefix, used in (("sasl_", access.named), ("ssl_", access.encrypted)):
        unused = [name for name in NAMES if name.startswith(prefix) and getattr(access, name) is not None]
        if unused and not used:
            protocols = " or ".join(each for each in PROTOCOLS if prefix.rstrip("_").upper() in each.split("_"))
            raise FeedUnavailable(
                f"it is not used by kafka.security_protocol={protocol}", f"kafka.{unused[0]}", f"set it to {protocols}"
            )


def _check_sasl(access: Access) -> None:
    if access.sasl_mechanism not in MECHANISMS:
        had = "nothing" if access.sasl_mechanism is None else repr(access.sasl_mechanism[:40])
        raise FeedUnavailable(f"expected one of {', '.join(MECHANISMS)}, but it had {had}", "kafka.sasl_mechanism")
    if access.sasl_mechanism == "PLAIN" and not access.encrypted:
        raise FeedUnavailable(
            "PLAIN sends the password as it is",
            "kafka.sasl_mechanism",
            "use kafka.security_protocol=SASL_SSL or a SCRAM mechanism",
        )
    if not access.sasl_username:
        raise FeedUnavailable("SASL needs a user name", "kafka.sasl_username", "set it")
    if not access.sasl_username.isprintable() or len(access.sasl_username) > 255:
        raise FeedUnavailable("expected up to 255 printable characters", "kafka.sasl_username")
    if access.sasl_password_env is not None and not _VARIABLE.fullmatch(access.sasl_password_env):
        # Not repeated: a user who mistakes this key for the password itself has written the password.
        raise FeedUnavailable(
            "expected the name of an environment variable: letters, digits and _", "kafka.sasl_password_env"
        )
    if access.sasl_password_env is not None and access.sasl_password_file is not None:
        raise FeedUnavailable("there are two places for the password", "kafka.sasl_password_env", "set one of them")
    read_password(access)


def read_password(access: Access) -> str:
    """Read the password from its place.

    Raises
    ------
    FeedUnavailable
        No place is set, or it holds nothing; the message never contains the secret.
    """
    if access.sasl_password_env is not None:
        password = os.environ.get(access.sasl_password_env)
        if not password:
            raise FeedUnavailable(
                f"the environment variable {access.sasl_password_env!r} is not set",
                "kafka.sasl_password_env",
                "export it where this runs, on a cluster on every node, or use kafka.sasl_password_file",
            )
        return password
    if access.sasl_password_file is None:
        raise FeedUnavailable("SASL needs a password", "kafka", _PLACES)
    where = "kafka.sasl_password_file"
    try:
        with Path(access.sasl_password_file).open("rb") as file:
            content = file.read(SECRET_BYTES + 1)
        password = content.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise FeedUnavailable(f"{access.sasl_password_file} cannot be read ({error.strerror})", where) from None
    except UnicodeDecodeError:
        raise FeedUnavailable(f"{access.sasl_password_file} is no text", where) from None
    if not password or len(content) > SECRET_BYTES:
        raise FeedUnavailable(f"{access.sasl_password_file} is empty or over {SECRET_BYTES} bytes", where)
    return password


def tls_context(access: Access) -> ssl.SSLContext:
    """Make a context that always checks the broker's certificate and host name.

    Raises
    ------
    FeedUnavailable
        A file that cannot be read or is no PEM of its kind.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if access.ssl_cafile is None:
        context.load_default_certs()
    else:
        with _reading("kafka.ssl_cafile", access.ssl_cafile):
            context.load_verify_locations(access.ssl_cafile)
    if access.ssl_keyfile is not None and access.ssl_certfile is None:
        raise FeedUnavailable("a key without its certificate", "kafka.ssl_keyfile", "set kafka.ssl_certfile")
    if access.ssl_certfile is not None:
        with _reading("kafka.ssl_certfile", access.ssl_certfile), _reading("kafka.ssl_keyfile", access.ssl_keyfile):
            # An encrypted key would ask at the terminal: there is no place for its password.
            context.load_cert_chain(access.ssl_certfile, access.ssl_keyfile, password=lambda: b"")
    return context


class _reading:  # noqa: N801 - used as a statement
    """Name the file that cannot be used."""

    def __init__(self, where: str, path: str | None) -> None:
        self._where, self._path = where, path

    def __enter__(self) -> None:
        if self._path is not None and not os.access(self._path, os.R_OK):
            reason = "there is no such file" if not Path(self._path).exists() else "it cannot be read"
            raise FeedUnavailable(f"{self._path}: {reason}", self._where)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (ssl.SSLError, OSError)):
            raise FeedUnavailable(
                f"{self._path} is no PEM file that fits (an encrypted key cannot be used)", self._where
            ) from None


def client_options(access: Access) -> dict[str, Any]:
    """Options for the Kafka client; the password is read now and stored nowhere.

    Raises
    ------
    FeedUnavailable
        As `read_password` and `tls_context`.
    """
    options: dict[str, Any] = {"security_protocol": access.security_protocol, "api_version": access.version}
    if access.encrypted:
        options["ssl_context"] = tls_context(access)
    if access.named:
        name = access.sasl_username or ""
        if access.sasl_mechanism != "PLAIN":
            name = name.replace("=", "=3D").replace(",", "=2C")  # RFC 5802, 5.1; the client leaves it to us
        options |= {
            "sasl_mechanism": access.sasl_mechanism,
            "sasl_plain_username": name,
            "sasl_plain_password": read_password(access),
        }
        for logger in map(logging.getLogger, _TALKATIVE):
            if logger.getEffectiveLevel() < logging.INFO:
                logger.setLevel(logging.INFO)
    return options


def exposed(access: Access) -> tuple[str, ...]:
    """Name the secret files that other users of this machine can read or change, one line each.

    A warning, not an error: containers mount secrets so that everything inside can read them. Its group may read a
    file of root's.
    """
    lines = []
    for key in ("ssl_keyfile", "sasl_password_file"):
        name = getattr(access, key)
        if name is not None and Path(name).is_file():
            status = Path(name).stat()
            mode = stat.S_IMODE(status.st_mode)
            if mode & ~(0o740 if status.st_uid == 0 else 0o700):
                lines.append(f"{PREFIX}{key}: {name} can be read or changed by others (mode {mode:03o}); chmod 600 it")
    return tuple(lines)
