"""A port in front of another: bytes pass whole in both directions, connections are bounded, nothing is left behind."""

import socket
import threading
from contextlib import contextmanager, suppress

import pytest

from feed.errors import FeedUnavailable
from feed.kafka.forward import Forwarder
from tests.support.kafka.handmade import free_port

pytestmark = pytest.mark.kafka


def echo(peer):
    """Send back what comes, until the other side ends it."""
    with peer, suppress(OSError):
        while part := peer.recv(1 << 16):
            peer.sendall(part)


@pytest.fixture
def target():
    """A server that echoes; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                threading.Thread(target=echo, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@contextmanager
def forwarding(target, **options):
    port = free_port()
    forwarder = Forwarder(port, **options).start(target)
    try:
        yield port
    finally:
        forwarder.close()


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def read(client):
    parts = []
    while part := client.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def answers(client, word=b"ping"):
    """Whether a word comes back; a refused connection is closed or reset."""
    try:
        client.sendall(word)
        return client.recv(len(word)) == word
    except OSError:
        return False


def test_bytes_pass_whole_in_both_directions_and_an_end_passes_too(target):
    sent = bytes(range(256)) * 40_000  # more than any buffer between, so that one side waits for the other
    with forwarding(target) as port, connect(port) as client:

        def send():
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        assert read(client) == sent
        sender.join()


def test_connections_are_bounded_and_one_that_ends_makes_room(target):
    with forwarding(target, connections=2) as port:
        first, second = connect(port), connect(port)
        assert answers(first)
        assert answers(second)
        with connect(port) as third:
            assert not answers(third)
        first.shutdown(socket.SHUT_WR)
        assert read(first) == b""
        first.close()
        with connect(port) as fourth:
            assert answers(fourth)
        second.close()


def test_a_connection_that_breaks_ends_no_other(target):
    with forwarding(target) as port, connect(port) as stays:
        assert answers(stays)
        broken = connect(port)
        broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close by a reset
        broken.sendall(b"x" * 100_000)
        broken.close()
        assert answers(stays)


def test_a_target_that_is_gone_closes_the_connection():
    with forwarding(free_port()) as port, connect(port) as client:
        assert not answers(client)


def test_close_ends_clients_thread_and_port(target):
    threads = {each.name for each in threading.enumerate()}
    port = free_port()
    forwarder = Forwarder(port).start(target)
    with connect(port) as client:
        assert answers(client)
        forwarder.close()
        assert not answers(client)
    forwarder.close()
    with pytest.raises(ConnectionRefusedError):
        connect(port)
    assert "sor-sweep-forward" not in {each.name for each in threading.enumerate()} - threads
    Forwarder(port).close()


def test_the_port_listens_on_loopback_only_and_belongs_to_one():
    port = free_port()
    forwarder = Forwarder(port)
    assert forwarder.server == f"127.0.0.1:{port}"
    assert forwarder._listener.getsockname() == ("127.0.0.1", port)
    with pytest.raises(FeedUnavailable, match=f"127.0.0.1:{port}: cannot listen: Address already in use") as caught:
        Forwarder(port)
    assert caught.value.exit_code == 2
    forwarder.close()


@pytest.mark.parametrize("port", [-1, 65536])
def test_what_is_no_port_is_refused(port):
    with pytest.raises(FeedUnavailable, match=f"{port} is no port: expected 1 to 65535"):
        Forwarder(port)
