"""How a broker lets us in: the security settings of the Kafka client, without the secrets themselves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """Security settings of a Kafka client; a secret is named by where it is kept, and never held.

    Attributes
    ----------
    security_protocol : str
        ``PLAINTEXT``, ``SSL``, ``SASL_PLAINTEXT`` or ``SASL_SSL``.
    sasl_mechanism, sasl_username : str, optional
    sasl_password_env, sasl_password_file : str, optional
        The environment variable, or the file, that holds the password.
    ssl_cafile, ssl_certfile, ssl_keyfile : str, optional
        PEM files.
    api_version : tuple of int, optional
        The protocol to speak; negotiated with the broker where it is None.
    """

    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password_env: str | None = None
    sasl_password_file: str | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    api_version: tuple[int, ...] | None = None


PLAIN = Access()
"""No encryption and no name."""
