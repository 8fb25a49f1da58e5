"""The log of a monitor: a line for each tape that was judged, added to at its end alone, each naming the one before."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from sweep.errors import ConfigError
from sweep.runs import MALFORMED, describe_malformed, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

LIMIT: Final = 2**26
"""Bytes of a log at most: a line has about 1,000, and a year of 250 tapes a day 62,500 lines."""

VERSION: Final = 1
"""Of a line."""


class Line(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tape, and what the champion, the challengers and the baselines paid for its orders.

    Attributes
    ----------
    version : int
    before : str
        SHA-256 of the line before, without its end; of the first line "".
    time : str
        When it was written, UTC.
    router : str
        The router's id.
    question : str
        SHA-256 of what was asked.
    code : str
        Of the sources that ran.
    date, symbol, digest : str
        Of the tape.
    place : str
        Where it was read.
    replay : str, optional
        Of a topic.
    orders : int
    notional2 : int
        Of the orders at their arrival mids, half 1e-9 $; at the cash of best_ask where one has none.
    champion : int
        What it paid less what it received, 1e-9 $.
    challengers : list of int
    baselines : dict of str to int
    """

    version: int
    before: str
    time: str
    router: str
    question: str
    code: str
    date: str
    symbol: str
    digest: str
    place: str
    replay: str | None
    orders: int
    notional2: int
    champion: int
    challengers: list[int]
    baselines: dict[str, int]


class Log:
    """An open log; no other process adds to it meanwhile.

    Parameters
    ----------
    path : Path
    file : BinaryIO
        Locked.
    router, question : str
        Whose it has to be.

    Attributes
    ----------
    lines : list of Line
        So far.
    cut : int
        Bytes of a last line without an end, which its process was killed in the middle of; they are dropped.
    """

    def __init__(self, path: Path, file: BinaryIO, router: str, question: str) -> None:
        self._path, self._file, self._router, self._question = path, file, router, question
        try:
            content = file.read(LIMIT + 1)
        except OSError as error:
            raise self._refused(f"cannot be read ({reason(error)})") from None
        if len(content) > LIMIT:
            raise self._refused(f"is over {LIMIT:,} bytes, which no log is")
        *whole, rest = content.split(b"\n")
        self.cut, self._end, self._last = len(rest), len(content) - len(rest), ""
        self.lines: list[Line] = []
        for number, text in enumerate(whole, 1):
            self.lines.append(self._read(number, text))
            self._last = hashlib.sha256(text).hexdigest()

    def _read(self, number: int, text: bytes) -> Line:
        try:
            tree = json.loads(text)
            version = tree["version"]
            line = msgspec.convert(tree, Line) if version == VERSION else None
        except (msgspec.ValidationError, *MALFORMED) as error:
            raise self._refused(
                f"line {number} is none of a monitor's, or damaged ({describe_malformed(error)})"
            ) from None
        if line is None:
            raise self._refused(f"line {number} has version {version!r:.40}, and this program reads {VERSION}")
        if line.before != self._last:
            raise self._refused(f"line {number} does not follow the line before it: lines were changed or taken out")
        if line.router != self._router:
            raise self._refused(f"line {number} is of router {line.router[:40]}, and this is router {self._router}")
        if line.question != self._question:
            raise self._refused(f"line {number} is of other orders than are asked for now")
        if line.notional2 <= 0 or line.orders < 1:
            raise self._refused(f"line {number} is of no orders")
        if self.lines and line.date < self.lines[-1].date:
            raise self._refused(f"line {number} is of a day before that of the line before it")
        if self.lines and (len(line.challengers), {*line.baselines}) != (
            len(self.lines[0].challengers),
            {*self.lines[0].baselines},
        ):
            raise self._refused(f"line {number} has other challengers or baselines than the first one")
        return line

    def append(self, facts: Sequence[dict[str, Any]]) -> None:
        """Add the tapes of a date; they are on disk when this returns. A kill may leave the first of them alone.

        Parameters
        ----------
        facts : sequence of dict
            The fields of a `Line` beyond version, before, router and question.

        Raises
        ------
        ConfigError
            The disk is full; the log is as it was.
        """
        lines, texts, last = [], [], self._last
        for each in facts:
            own = {"version": VERSION, "before": last, "router": self._router, "question": self._question, **each}
            line = msgspec.convert(own, Line)
            text = json.dumps({name: own[name] for name in Line.__struct_fields__}).encode()
            last = hashlib.sha256(text).hexdigest()
            lines.append(line)
            texts.append(text + b"\n")
        unwritten = b"".join(texts)
        end = self._end + len(unwritten)
        if end > LIMIT:
            raise self._refused(f"would be over {LIMIT:,} bytes")
        try:
            self._file.truncate(self._end)
            self._file.seek(self._end)
            while unwritten:
                unwritten = unwritten[self._file.write(unwritten) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(self._end)
            raise self._refused(f"cannot be written ({reason(error)})") from None
        self.lines += lines
        self._end, self._last, self.cut = end, last, 0

    def _refused(self, why: str) -> ConfigError:
        return ConfigError(f"{self._path}: {why}; give another log to begin anew")


@contextmanager
def open_log(path: Path, router: str, question: str) -> Iterator[Log]:
    """Open a log, new or as it was left.

    Raises
    ------
    ConfigError
        It cannot be opened or read, holds what no monitor wrote, is another router's, or is in use.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be opened ({reason(error)}); give another log") from None
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ConfigError(f"{path}: is no regular file; give another log")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{path}: another process is adding to this log; wait for it to end") from None
        yield Log(path, file, router, question)
