"""Progress on stderr: a live line on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from allocator.money import NANO, rounded
from feed.console import printable
from sweep.events import Listener, NullListener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sweep.events import Finished, Started


PLAIN_SECONDS = 2.0


class Progress(Listener, Protocol):
    """A listener that also takes a line of text about each step."""

    def say(self, text: str) -> None:
        """Print one line about a step."""


class Silent(NullListener):
    """Prints nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class Plain(NullListener):
    """Lines for a log: at most one every two seconds while combinations run, and a last one.

    Parameters
    ----------
    stream : TextIO
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._total, self._before, self._began, self._printed_at = 0, 0, 0.0, 0.0

    def say(self, text: str) -> None:
        """Print the text on a line of its own."""
        with suppress(OSError):  # a log that nobody reads any more must not end a sweep
            print(printable(text), file=self._stream, flush=True)

    def started(self, event: Started) -> None:
        """Remember how many combinations there are and are stored, and the time."""
        self._total, self._before = event.combinations, event.stored
        self._began = self._printed_at = self._clock()

    def finished(self, event: Finished) -> None:
        """Print done/total, rate, time left, best so far."""
        now = self._clock()
        if event.done != self._total and now - self._printed_at < PLAIN_SECONDS:
            return
        self._printed_at = now
        elapsed = max(now - self._began, 1e-9)
        rate = (event.done - self._before) / elapsed
        time_left = f"{(self._total - event.done) / rate:.0f} s left" if rate and self._total else "time left unknown"
        done = f"{event.done:,}/{self._total:,}" if self._total else f"{event.done:,}"
        self.say(f"{done} combinations, {rate:,.0f}/s, {time_left}{_best(event.best)}")


def _best(best: int | None) -> str:
    return "" if best is None else f", best so far {rounded(best, NANO, 2):,.2f}"


class _Live(NullListener):
    """A progress bar of rich's."""

    def __init__(self, bar: Any) -> None:  # noqa: ANN401 - rich is imported only where there is a terminal
        self._bar, self._task = bar, None

    def say(self, text: str) -> None:
        self._bar.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def started(self, event: Started) -> None:
        self._task = self._bar.add_task(
            "combinations", total=event.combinations or None, completed=event.stored, rate=""
        )
        self._before, self._began = event.stored, time.monotonic()

    def finished(self, event: Finished) -> None:
        rate = (event.done - self._before) / max(time.monotonic() - self._began, 1e-9)
        self._bar.update(self._task, completed=event.done, rate=f"{rate:,.0f}/s{_best(event.best)}")


@contextmanager
def open_progress(stream: TextIO | None = None) -> Iterator[Progress]:
    """Progress on a stream, stderr by default: live where it is a terminal, plain lines elsewhere."""
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        yield Plain(stream)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
    )
    with Bar(*columns, console=Console(file=stream)) as bar:
        yield _Live(bar)
