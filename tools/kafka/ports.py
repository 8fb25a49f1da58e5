"""Ports for what tests start, of loopback unless an address is named."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path

HOST = "127.0.0.1"


def free_ports(count: int, host: str = HOST) -> list[int]:
    """Ports that nobody listens on.

    Below those that the kernel hands out to connections: one of these might else get the port of a broker that is
    down, even as a connection to itself.
    """
    with suppress(OSError, ValueError):
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        if first > 20_000:
            return _free(range(10_000, first), count, host)
    return _free(range(10_000, 32_768), count, host)


def _free(among: range, count: int, host: str) -> list[int]:
    ports: list[int] = []
    for port in random.sample(among, len(among)):
        if len(ports) == count:
            break
        if not taken(port, host):
            ports.append(port)
    return ports


def taken(port: int, host: str = HOST) -> bool:
    """Whether a broker could not listen there."""
    with socket.socket() as probe:
        # As the broker does: connections that have ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def listens(port: int, host: str = HOST) -> bool:
    """Whether somebody accepts connections there."""
    with suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False
