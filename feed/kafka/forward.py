"""A port that was asked for, in front of one that was not: bytes pass both ways, on loopback only."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from contextlib import suppress
from typing import Self

from feed.errors import FeedUnavailable

HOST = "127.0.0.1"

CONNECTIONS = 100
"""How many pass at once; one more is closed at once."""

_PART = 64 * 1024
_REMEDY = "choose another --port, or leave it out for a free one"


class Forwarder:
    """A listening port whose connections are passed on to another port of this machine.

    The port is taken here and nothing is passed on before `start`, so that nobody else gets the port in between.

    Parameters
    ----------
    port : int
        1 to 65535.
    connections : int
        How many at once.

    Raises
    ------
    FeedUnavailable
        It is no port, another process listens there, or this user may not.
    """

    def __init__(self, port: int, connections: int = CONNECTIONS) -> None:
        if not 1 <= port <= 65535:
            raise FeedUnavailable(f"{port} is no port: expected 1 to 65535, or 0 for a free one")
        try:
            self._listener = socket.create_server((HOST, port))
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise FeedUnavailable(f"cannot listen: {reason}", f"{HOST}:{port}", _REMEDY) from error
        self.server = f"{HOST}:{port}"
        self._limit = connections
        self._open = 0
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, target: int) -> Self:
        """Pass connections on to the port `target`, from a thread that ends with `close`."""
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(target, ready), daemon=True, name="sor-sweep-forward")
        self._thread.start()
        ready.wait()
        return self

    def close(self) -> None:
        """Free the port, end what passes and the thread; a second call does nothing."""
        thread, self._thread = self._thread, None
        if thread is not None and self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # its loop is closed already
                self._loop.call_soon_threadsafe(self._stop.set)
            thread.join()
        self._listener.close()

    def _run(self, target: int, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(target, ready))
        finally:
            ready.set()

    async def _serve(self, target: int, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        passing: set[asyncio.Task[None]] = set()

        def serve(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
            # A task of our own: asyncio's prints a traceback when it is cancelled (Python 3.11).
            task = asyncio.create_task(self._pass(target, client, back))
            passing.add(task)
            task.add_done_callback(passing.discard)

        server = await asyncio.start_server(serve, sock=self._listener)
        ready.set()
        try:
            await self._stop.wait()
        finally:
            # What still passes is cancelled when the loop ends; waiting for the server would wait for the clients.
            server.close()

    async def _pass(self, target: int, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """One connection, until both sides have ended it or one has broken."""
        if self._open >= self._limit:
            back.close()
            return
        self._open += 1
        try:
            broker, forth = await asyncio.open_connection(HOST, target)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(_copy(client, forth))
                    both.create_task(_copy(broker, back))
            finally:
                forth.close()
        except* OSError:  # a side that breaks, or a target that is gone, ends this connection and no other
            pass
        finally:
            self._open -= 1
            back.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on to the end, never faster than they are taken."""
    while part := await reader.read(_PART):
        writer.write(part)
        await writer.drain()
    writer.write_eof()
