"""A port of the user's choice that forwards to another, both ways, on loopback only."""

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
"""Maximum open connections; a further one is closed at once."""

_PART = 64 * 1024
_REMEDY = "choose another --port, or leave it out for a free one"


class Forwarder:
    """A listening port that forwards its connections to another port of this machine.

    The constructor takes the port, so that nobody else gets it, and `start` begins to forward.

    Parameters
    ----------
    port : int
        1 to 65535.
    connections : int
        Maximum open at once.

    Raises
    ------
    FeedUnavailable
        It is no port, another process listens there, or this user may not listen.
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
        """Forward connections to the port `target`, in a thread that ends with `close`."""
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(target, ready), daemon=True, name="sor-sweep-forward")
        self._thread.start()
        ready.wait()
        return self

    def close(self) -> None:
        """Free the port, end the connections and the thread; a second call does nothing."""
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
            # A task of our own: asyncio's prints a traceback when cancelled (Python 3.11).
            task = asyncio.create_task(self._pass(target, client, back))
            passing.add(task)
            task.add_done_callback(passing.discard)

        server = await asyncio.start_server(serve, sock=self._listener)
        ready.set()
        try:
            await self._stop.wait()
        finally:
            # Open connections are cancelled when the loop ends; waiting for the server would wait for its clients.
            server.close()

    async def _pass(self, target: int, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Forward one connection, until both sides have ended it or one has broken."""
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
        except* OSError:  # a broken side or a missing target ends only this connection
            pass
        finally:
            self._open -= 1
            back.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward bytes to the end, never faster than the other side takes them."""
    while part := await reader.read(_PART):
        writer.write(part)
        await writer.drain()
    writer.write_eof()
