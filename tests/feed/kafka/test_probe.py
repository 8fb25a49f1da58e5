"""What a probe asks and concludes, of peers that answer by the byte; the real brokers are in tests/integration."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import struct
from contextlib import contextmanager

import pytest

from feed.access import access_of
from feed.errors import FeedUnavailable
from feed.kafka import probe

SECRET = "hunter2-and-more"
VERSIONS = struct.pack(">hihhhhhh", 0, 2, 17, 0, 1, 18, 0, 4)
SCRAM = {
    "security_protocol": "SASL_PLAINTEXT",
    "sasl_mechanism": "SCRAM-SHA-256",
    "sasl_username": "a=b,c",
    "sasl_password_env": "PASSWORD_HERE",
}


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def mechanisms(code, *names):
    return struct.pack(">hi", code, len(names)) + b"".join(map(text, names))


def token(value):
    return struct.pack(">hh", 0, -1) + struct.pack(">i", len(value)) + value


class Peer:
    """Stands for a socket: answers each request by the next of some functions of its body; None closes."""

    def __init__(self, *answers, lead=b""):
        self.answers, self.waiting, self.asked = list(answers), lead, []

    def settimeout(self, seconds):
        assert seconds > 0

    def sendall(self, data):
        (size,) = struct.unpack(">i", data[:4])
        assert size == len(data) - 4
        key, version, number, client = struct.unpack(">hhih", data[4:14])
        assert client == -1
        self.asked.append((key, version, data[14:]))
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            content = struct.pack(">i", number) + (answer(data[14:]) if callable(answer) else answer)
            self.waiting += struct.pack(">i", len(content)) + content

    def recv(self, count):
        part, self.waiting = self.waiting[: min(count, 3)], self.waiting[min(count, 3) :]  # by and by
        return part


@pytest.fixture
def answering(monkeypatch):
    """Let every address lead to a peer."""
    monkeypatch.setenv("PASSWORD_HERE", SECRET)

    def lead_to(peer, **settings):
        @contextmanager
        def connect(address, timeout):
            assert (address, timeout) == (("there", 9092), probe.PROBE_SECONDS)
            yield peer

        monkeypatch.setattr(socket, "create_connection", connect)
        return probe.first_that_answers(["there:9092"], "kafka://there:9092/q", access_of(settings))

    return lead_to


def refused(answering, peer, **settings):
    with pytest.raises(FeedUnavailable) as caught:
        answering(peer, **settings)
    line = str(caught.value)
    assert SECRET not in line
    assert "\n" not in line
    return line


class Server:
    """The broker's half of SCRAM-SHA-256 (RFC 5802), and whether it knows the password."""

    def __init__(self, password=SECRET):
        self.password, self.first = password, b""

    def begin(self, body):
        self.first = body[4:]
        nonce = self.first.rpartition(b"r=")[2].decode()
        self.challenge = f"r={nonce}more,s={base64.b64encode(b'salt').decode()},i=4096".encode()
        return token(self.challenge)

    def finish(self, body):
        bare, _, proof = body[4:].rpartition(b",p=")
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), b"salt", 4096)
        message = b",".join([self.first.removeprefix(b"n,,"), self.challenge, bare])
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        if bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True)) != key:
            return struct.pack(">h", 58) + text("invalid credentials") + struct.pack(">i", 0)
        return token(b"v=" + base64.b64encode(hmac.digest(self.server_key(salted), message, "sha256")))

    def server_key(self, salted):
        return hmac.digest(salted, b"Server Key", "sha256")


def test_a_broker_that_asks_nobody_is_found(answering):
    peer = Peer(VERSIONS, mechanisms(34))
    assert answering(peer) == "there:9092"
    assert [asked[:2] for asked in peer.asked] == [(18, 0), (17, 1)]


@pytest.mark.parametrize(("late", "why"), [(0, ""), (12, ""), (16, "timed out")])
def test_a_broker_may_be_busy_for_seconds_but_not_for_ever(answering, monkeypatch, late, why):
    clock = [0.0]
    monkeypatch.setattr(probe.time, "monotonic", lambda: clock[0])

    def answer_late(_):
        clock[0] += late
        return VERSIONS

    peer = Peer(answer_late, mechanisms(34))
    if why:
        assert f"no Kafka broker answers (there:9092: {why})" in refused(answering, peer)
    else:
        assert answering(peer) == "there:9092"


@pytest.mark.parametrize("answers", [[VERSIONS], [VERSIONS, b"\x00"], [struct.pack(">hi", 35, 0)]])
def test_who_does_not_know_that_question_is_left_to_the_client(answering, answers):
    assert answering(Peer(*answers)) == "there:9092"


@pytest.mark.parametrize("code", [0, 33])
def test_a_broker_that_asks_who_we_are_says_how(answering, code):
    line = refused(answering, Peer(VERSIONS, mechanisms(code, "SCRAM-SHA-512", "PLAIN")))
    assert "no Kafka broker lets us in (there:9092: it asks who we are, by SASL with PLAIN, SCRAM-SHA-512)" in line
    assert "set kafka.security_protocol=SASL_SSL or SASL_PLAINTEXT" in line


def test_the_password_is_proven_by_both_sides_and_sent_by_none(answering):
    server = Server()
    peer = Peer(VERSIONS, mechanisms(0, "SCRAM-SHA-256"), server.begin, server.finish)
    assert answering(peer, **SCRAM) == "there:9092"
    assert [asked[:2] for asked in peer.asked] == [(18, 0), (17, 1), (36, 0), (36, 0)]
    assert b"n=a=3Db=2Cc," in server.first
    assert all(SECRET.encode() not in body for _, _, body in peer.asked)


def test_a_wrong_password_is_said_after_one_attempt(answering):
    server = Server("another")
    peer = Peer(VERSIONS, mechanisms(0, "SCRAM-SHA-256"), server.begin, server.finish)
    line = refused(answering, peer, **SCRAM)
    assert "the broker does not accept 'a=b,c' by SCRAM-SHA-256: invalid credentials" in line
    assert "check kafka.sasl_username, kafka.sasl_mechanism and the password's place" in line
    assert peer.answers == []


@pytest.mark.parametrize("broken", [b"", b"v=AAAA", b"e=other", b"v=!"])
def test_who_does_not_know_the_password_is_not_the_broker(answering, broken):
    server = Server()
    peer = Peer(VERSIONS, mechanisms(0, "SCRAM-SHA-256"), server.begin, token(broken))
    assert "it cannot prove that it knows the password" in refused(answering, peer, **SCRAM)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            mechanisms(33, "PLAIN"),
            "it does not let anybody in by SCRAM-SHA-256, but by PLAIN); set kafka.sasl_mechanism",
        ),
        (mechanisms(33), "but by no mechanism"),
        (mechanisms(34), "it does not ask who we are, so it need not be who it says"),
        (None, "no Kafka broker answers (there:9092: it closed the connection"),
        (b"\x00", "speaks another protocol"),
    ],
)
def test_a_mechanism_that_is_not_there(answering, answer, says):
    assert says in refused(answering, Peer(VERSIONS, answer), **SCRAM)


@pytest.mark.parametrize(
    ("peer", "says"),
    [
        (Peer(), "it closed the connection, so it is no Kafka broker"),
        (Peer(lead=b"\x15\x03\x03\x00\x02\x02\x50"), "it speaks TLS: set kafka.security_protocol=SSL or SASL_SSL"),
        (Peer(lead=b"HTTP/1.1 400 Bad Request"), "it speaks another protocol than Kafka's"),
        (Peer(lead=b"\xff\xff\xff\xff"), "it speaks another protocol than Kafka's"),
        (Peer(lead=struct.pack(">ii", 4, 7)), "it speaks another protocol than Kafka's"),
        (Peer(struct.pack(">hi", 0, 2**31 - 1)), "it speaks another protocol than Kafka's"),
    ],
)
def test_who_is_no_broker_is_said(answering, peer, says):
    assert says in refused(answering, peer)


def test_a_peer_that_trickles_does_not_hold_us_up(answering, monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr(probe.time, "monotonic", lambda: float(next(ticks)))
    assert "timed out" in refused(answering, Peer(lead=struct.pack(">i", 1000) + bytes(1000)))
    assert next(ticks) < 20


@pytest.mark.parametrize("host", ["a..b", "..", "x" * 70])
def test_what_is_no_name_of_a_host_is_one_line(host):
    with pytest.raises(FeedUnavailable, match="it is no name of a host") as caught:
        probe.first_that_answers([f"{host}:9092"], "kafka://...")
    assert "\n" not in str(caught.value)
