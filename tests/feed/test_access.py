"""Security settings: what is refused, and that no secret is ever part of what they are shown as."""

from __future__ import annotations

import logging
import pickle
import ssl

import pytest

from feed.access import NAMES, PLAIN, access_of, client_options, exposed, parse_words, read_password, tls_context
from feed.errors import FeedUnavailable
from tests.support.kafka.certificates import Authority

SECRET = "hunter2-and-more"
SCRAM = {
    "security_protocol": "SASL_PLAINTEXT",
    "sasl_mechanism": "SCRAM-SHA-256",
    "sasl_username": "alice",
    "sasl_password_env": "PASSWORD_HERE",
}


@pytest.fixture(autouse=True)
def _password(monkeypatch):
    monkeypatch.setenv("PASSWORD_HERE", SECRET)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "test-ca")


@pytest.fixture(scope="module")
def client(authority):
    return authority.issue("client")


def test_without_settings_nothing_is_asked_for():
    assert access_of({}) == access_of(dict.fromkeys(NAMES)) == PLAIN
    assert client_options(PLAIN) == {"security_protocol": "PLAINTEXT", "api_version": None}


def test_the_password_is_read_when_the_client_is_made_and_shown_nowhere(tmp_path, monkeypatch):
    access = access_of(SCRAM)
    assert client_options(access)["sasl_plain_password"] == SECRET
    assert SECRET not in repr(access)
    assert SECRET.encode() not in pickle.dumps(access)
    monkeypatch.setenv("PASSWORD_HERE", "another")
    assert client_options(access)["sasl_plain_password"] == "another"
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    kept = access_of({**SCRAM, "sasl_password_env": None, "sasl_password_file": str(file)})
    assert read_password(kept) == SECRET
    file.write_text(f" {SECRET} \n\n")
    assert read_password(kept) == f" {SECRET} \n"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"security_protocol": "TLS"}, "kafka.security_protocol: expected one of PLAINTEXT, SSL"),
        ({"sasl_mechanism": None}, "kafka.sasl_mechanism: expected one of SCRAM-SHA-256, .* but it had nothing"),
        ({"sasl_mechanism": "GSSAPI"}, "kafka.sasl_mechanism: expected one of .* but it had 'GSSAPI'"),
        ({"sasl_mechanism": "PLAIN"}, "PLAIN sends the password as it is; use kafka.security_protocol=SASL_SSL"),
        ({"sasl_username": None}, "kafka.sasl_username: SASL needs a user name"),
        ({"sasl_username": ""}, "kafka.sasl_username: SASL needs a user name"),
        ({"sasl_password_env": None}, "SASL needs a password; set kafka.sasl_password_env=VARIABLE or"),
        ({"sasl_password_env": "NOT_THERE"}, "the environment variable 'NOT_THERE' is not set"),
        ({"sasl_password_file": "x"}, "there are two places for the password"),
        ({"sasl_password_env": None, "sasl_password_file": "/absent"}, "/absent cannot be read"),
        ({"sasl_password_env": None, "sasl_password_file": "/"}, "/ cannot be read"),
        ({"sasl_password_env": None, "sasl_password_file": "/dev/null"}, "/dev/null is empty"),
        ({"sasl_password_env": None, "sasl_password_file": "/dev/zero"}, "/dev/zero is empty or over 4096 bytes"),
        ({"security_protocol": "SSL"}, "kafka.sasl_mechanism: it is not used by kafka.security_protocol=SSL"),
        ({"ssl_cafile": "x"}, "kafka.ssl_cafile: it is not used by .*=SASL_PLAINTEXT; set it to SSL or SASL_SSL"),
        (
            {"security_protocol": "SASL_SSL", "ssl_cafile": "/absent"},
            "kafka.ssl_cafile: /absent: there is no such file",
        ),
        ({"security_protocol": "SASL_SSL", "ssl_cafile": "/dev/null"}, "kafka.ssl_cafile: /dev/null is no PEM file"),
        ({"security_protocol": "SASL_SSL", "ssl_keyfile": "x"}, "a key without its certificate"),
        ({"api_version": "two"}, "api_version 'two' is no version such as 2.3"),
        ({"ssl_check_hostname": "false"}, "unknown key kafka.ssl_check_hostname; .*; there are security_protocol,"),
    ],
)
def test_what_cannot_work_is_one_line(changed, says):
    with pytest.raises(FeedUnavailable, match=says) as caught:
        access_of({**SCRAM, **changed})
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "name",
    [
        "sasl_password",
        "sasl_plain_password",
        "ssl_password",
        "password",
        "Passwort_secret",
        "sasl-password",
        "sasl_jaas_config",
    ],
)
def test_a_password_that_is_written_out_is_refused_and_not_repeated(name):
    with pytest.raises(
        FeedUnavailable, match=f"kafka.{name}: a password is not written here.*sasl_password_env"
    ) as caught:
        access_of({**SCRAM, name: SECRET})
    assert SECRET not in str(caught.value)


def test_certificates_and_host_names_are_always_checked(authority, client):
    for settings in ({}, {"ssl_cafile": str(authority.path)}):
        context = tls_context(access_of({"security_protocol": "SSL", **settings}))
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    mutual = {
        "ssl_cafile": str(authority.path),
        "ssl_certfile": str(client.certificate),
        "ssl_keyfile": str(client.key),
    }
    assert access_of({"security_protocol": "SSL", **mutual}).ssl_keyfile == str(client.key)
    other = authority.issue("other")
    with pytest.raises(FeedUnavailable, match="is no PEM file that fits"):
        access_of({"security_protocol": "SSL", **mutual, "ssl_keyfile": str(other.key)})


def test_an_encrypted_key_is_refused_and_asks_nobody(authority, client, tmp_path):
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(client.key.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(FeedUnavailable, match="an encrypted key cannot be used"):
        access_of(
            {"security_protocol": "SSL", "ssl_certfile": str(client.certificate), "ssl_keyfile": str(locked)},
        )


def test_words_are_settings_and_the_last_repeat_wins():
    given = [f"kafka.{name}={value}" for name, value in SCRAM.items()]
    assert parse_words([*given, "kafka.sasl_username=x = y", "kafka.ssl_cafile="]).sasl_username == "x = y"
    with pytest.raises(
        FeedUnavailable, match=r"unknown key kafka\.sasl_user; the nearest valid one is kafka\.sasl_username"
    ):
        parse_words(["kafka.sasl_user=alice"])


def test_a_password_in_the_place_of_its_variables_name_is_not_repeated():
    with pytest.raises(FeedUnavailable, match="expected the name of an environment variable") as caught:
        access_of({**SCRAM, "sasl_password_env": SECRET})
    assert SECRET not in str(caught.value)


def test_a_name_is_one_line_of_text():
    for name in ("a\0b", "a\nb", "x" * 256):
        with pytest.raises(FeedUnavailable, match="expected up to 255 printable characters"):
            access_of({**SCRAM, "sasl_username": name})


def test_details_that_are_logged_hold_no_bytes_of_a_connection_with_a_password(monkeypatch):
    names = ["kafka.net.connection", "kafka.protocol.parser"]
    root = logging.getLogger("kafka")
    before = root.level, [logging.getLogger(name).level for name in names]
    try:
        root.setLevel(logging.DEBUG)
        client_options(PLAIN)
        assert all(logging.getLogger(name).isEnabledFor(logging.DEBUG) for name in names)
        client_options(access_of(SCRAM))
        assert not any(logging.getLogger(name).isEnabledFor(logging.DEBUG) for name in names)
        assert all(logging.getLogger(name).isEnabledFor(logging.WARNING) for name in names)
    finally:
        root.setLevel(before[0])
        for name, level in zip(names, before[1], strict=True):
            logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize(("mode", "says"), [(0o600, 0), (0o400, 0), (0o644, 1), (0o660, 1), (0o602, 1)])
def test_files_with_secrets_that_others_can_read_are_named(tmp_path, monkeypatch, mode, says):
    file = tmp_path / "password"
    file.write_text(SECRET)
    file.chmod(mode)
    access = access_of({**SCRAM, "sasl_password_env": None, "sasl_password_file": str(file)})
    lines = exposed(access)
    assert len(lines) == says
    assert all(f"kafka.sasl_password_file: {file} can be read or changed by others (mode {mode:o})" in x for x in lines)
    assert exposed(access_of(SCRAM)) == ()
