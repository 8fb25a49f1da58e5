"""What the TCP ports of a host answer a stranger: `python probe.py ADDRESS PORT,PORT... [TOKEN]`, JSON on stdout.

Of each port: what it refused because of the token, and what it answered. Every gRPC method is tried that Ray's
binaries name or its Python part describes, with an empty message, and some paths by HTTP. With `--own` the token is
the right one, and only methods are tried that change nothing.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import socket
import sys
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

SECONDS = 2.0
"""For a connection, and for what a port says by itself."""
ANSWER_SECONDS = 10.0
"""For a method: one that a busy machine answers late is no answer to a stranger."""
PATHS = ("/", "/metrics", "/api/version", "/api/jobs/", "/api/job_agent/jobs/")
REFUSALS = {401, 403}
HARMLESS = re.compile(r"/(Get|Is|Check)\w*$")
BINARIES = ("core/src/ray/raylet/raylet", "core/src/ray/gcs/gcs_server", "_raylet.so")
NODE = ("node_id", "ff" * 28)
"""What the nodes send with one of the methods; see docs/ec2.md for what happens without."""
METHOD = re.compile(rb"/((?:[a-z]\w*\.)+[A-Z]\w*/[A-Z]\w*)\0")


def methods() -> set[str]:
    """Every gRPC method of Ray, as a path."""
    import ray
    import ray.core.generated as described

    root = Path(ray.__file__).parent
    names = {name.decode() for binary in BINARIES for name in METHOD.findall((root / binary).read_bytes())}
    for module in pkgutil.iter_modules(described.__path__):
        if module.name.endswith("_pb2"):
            services = importlib.import_module(f"{described.__name__}.{module.name}").DESCRIPTOR.services_by_name
            names |= {f"{each.full_name}/{method.name}" for each in services.values() for method in each.methods}
    return {f"/{name}" for name in names}


def by_http(address: str, port: int, headers: dict[str, str]) -> dict[str, list[str]]:
    """What the paths gave; nothing where no HTTP is spoken."""
    by_kind: dict[str, list[str]] = {"refused": [], "answered": []}
    for path in PATHS:
        connection = HTTPConnection(address, port, timeout=ANSWER_SECONDS)
        with suppress(OSError, HTTPException):
            connection.request("GET", path, headers=headers)
            status = connection.getresponse().status
            by_kind["refused" if status in REFUSALS else "answered"].append(f"GET {path} {status}")
        connection.close()
        if not by_kind["refused"] and not by_kind["answered"]:
            break
    return by_kind


def by_grpc(address: str, port: int, headers: dict[str, str], paths: set[str]) -> dict[str, list[str]]:
    """What the methods gave; nothing where no gRPC is spoken, or none of these methods."""
    import grpc

    by_kind: dict[str, list[str]] = {"refused": [], "answered": []}
    metadata = [NODE, *((name.lower(), value) for name, value in headers.items())]
    with grpc.insecure_channel(f"{address}:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=SECONDS)
        except grpc.FutureTimeoutError:
            return by_kind
        calls = {}
        for path in sorted(paths):
            # a server takes one message and the end of a stream for either kind of request
            call = channel.unary_stream(path, bytes, bytes)(b"", timeout=ANSWER_SECONDS, metadata=metadata)
            calls[path] = call
        for path, call in calls.items():
            code = "OK"
            try:
                next(iter(call), None)
            except grpc.RpcError as error:
                code = error.code().name
            call.cancel()
            if code != "UNIMPLEMENTED":
                by_kind["refused" if code == "UNAUTHENTICATED" else "answered"].append(f"{path} {code}")
    return by_kind


def greeting(address: str, port: int) -> dict[str, list[str]]:
    """What it says before it is asked."""
    with suppress(OSError), socket.create_connection((address, port), timeout=SECONDS) as connection:
        return {"refused": [], "answered": [connection.recv(100).decode(errors="replace").strip()]}
    return {"refused": [], "answered": []}


def main(address: str, ports: list[int], token: str, *, own: bool) -> dict[int, dict[str, list[str]]]:
    """Try every port."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    paths = {path for path in methods() if not own or HARMLESS.search(path)}
    by_port = {}
    for port in ports:
        by_port[port] = by_http(address, port, headers)
        if not any(by_port[port].values()):
            by_port[port] = by_grpc(address, port, headers, paths)
        if not any(by_port[port].values()):
            by_port[port] = greeting(address, port)
    return by_port


if __name__ == "__main__":
    own = "--own" in sys.argv
    where, which, *tokens = [word for word in sys.argv[1:] if word != "--own"]
    answers = main(where, [int(port) for port in which.split(",")], tokens[0] if tokens else "", own=own)
    print(json.dumps(answers))
