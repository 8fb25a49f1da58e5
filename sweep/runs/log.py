"""The log of a run, as JSON lines; each names the run, and its chunk if it is about one."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sweep.errors import ConfigError
from sweep.runs.files import open_regular, reason

if TYPE_CHECKING:
    from pathlib import Path

    from sweep.events import Finished, Started
    from sweep.progress import Progress

LOG: Final = "log.jsonl"


class RunLog:
    """Appends lines to a run's log.

    Parameters
    ----------
    home : Path
        The run's folder.
    run : str
        Its id.

    Raises
    ------
    ConfigError
        The file cannot be opened.
    """

    def __init__(self, home: Path, run: str) -> None:
        self._path, self._run = home / LOG, run
        try:
            if self._path.exists():
                open_regular(self._path).close()
            self._file = self._path.open("a+b", buffering=0)
            size = self._file.seek(0, os.SEEK_END)
            if size and self._path.read_bytes()[-1:] != b"\n":
                self._file.write(b"\n")  # ends a line that its process was killed in the middle of
        except OSError as error:
            raise self._refused(error) from None

    def write(self, event: str, at: float | None = None, **facts: Any) -> None:  # noqa: ANN401 - JSON
        """Write one line, or nothing if that fails: seconds since 1970, run, event and its facts.

        Raises
        ------
        ConfigError
            The disk is full.
        """
        line = {"time": round(time.time() if at is None else at, 6), "run": self._run, "event": event, **facts}
        end = self._file.seek(0, os.SEEK_END)
        try:
            unwritten = json.dumps(line).encode() + b"\n"
            while unwritten:
                unwritten = unwritten[self._file.write(unwritten) :]
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(end)
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> ConfigError:
        return ConfigError(f"output: {self._path} cannot be written ({reason(error)})")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class BufferedProgress:
    """Passes progress on, and keeps it for a log that is opened later.

    Parameters
    ----------
    progress : Progress
        Gets everything.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._early: list[tuple[float, str]] = []
        self._log: RunLog | None = None

    def into(self, log: RunLog) -> None:
        """Write all lines to a log, those so far and those from now on."""
        for instant, text in self._early:
            log.write("said", instant, text=text)
        self._early.clear()
        self._log = log

    def say(self, text: str) -> None:
        """Pass a line on, and log or keep it."""
        self._progress.say(text)
        self._keep(text)

    def warn(self, text: str) -> None:
        """As `say`, of a line that a quiet command prints, too."""
        self._progress.warn(text)
        self._keep(text)

    def detail(self, text: str) -> None:
        """Pass a line on; the log says these things otherwise."""
        self._progress.detail(text)

    def _keep(self, text: str) -> None:
        if self._log is None:
            self._early.append((time.time(), text))
        else:
            self._log.write("said", text=text)

    def started(self, event: Started) -> None:
        """Write a line about what is about to run, and pass on."""
        if self._log is not None:
            self._log.write(
                "started",
                combinations=event.combinations,
                stored=event.stored,
                bad_messages=event.bad_messages,
                workers=event.workers,
                dashboard=event.dashboard,
            )
        self._progress.started(event)

    def finished(self, event: Finished) -> None:
        """Write a line about the chunk, and pass on."""
        if self._log is not None:
            self._log.write(
                "chunk",
                chunk=event.chunk,
                combinations=event.combinations,
                simulated=event.simulated,
                failed=event.failed,
                seconds=round(event.seconds, 6),
                node=event.node,
                again=event.again,
                workers=event.workers,
            )
        self._progress.finished(event)

    def ended(self) -> None:
        """Pass on."""
        self._progress.ended()
