"""Progress on stderr: a live line on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, Protocol, TextIO

from allocator.money import NANO, rounded
from feed.console import printable
from sweep.events import Listener, NullListener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sweep.events import Finished, Started


PLAIN_SECONDS = 2.0

Loudness = Literal["quiet", "usual", "verbose"]

LOUDNESS: ContextVar[Loudness] = ContextVar("loudness", default="usual")
"""How much a command says on stderr: warnings and errors alone, or progress too, or what each step took, too."""


class Progress(Listener, Protocol):
    """A listener that also takes a line of text about each step."""

    def say(self, text: str) -> None:
        """Print one line about a step."""

    def warn(self, text: str) -> None:
        """Print one line that a quiet command prints, too."""

    def detail(self, text: str) -> None:
        """Print one line that only a verbose command prints."""


class Silent(NullListener):
    """Prints nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """As `say`."""
        self.say(text)

    def detail(self, text: str) -> None:
        """Nothing."""


class Quiet(Silent):
    """Prints warnings alone.

    Parameters
    ----------
    stream : TextIO
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def warn(self, text: str) -> None:
        """Print the text on a line of its own."""
        _print(self._stream, text)


def _print(stream: TextIO, text: str) -> None:
    with suppress(OSError):  # a log that nobody reads any more must not end a sweep
        print(printable(text), file=stream, flush=True)


class Plain(Silent):
    """Lines for a log: at most one every two seconds while combinations run, and a last one.

    Parameters
    ----------
    stream : TextIO
    clock : callable
        Seconds, monotonic.
    verbose : bool
        Print details, and a line for each chunk.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic, *, verbose: bool = False) -> None:
        self._stream, self._clock, self._verbose = stream, clock, verbose
        self._total, self._before, self._began, self._printed_at = 0, 0, 0.0, 0.0

    def say(self, text: str) -> None:
        """Print the text on a line of its own."""
        _print(self._stream, text)

    def detail(self, text: str) -> None:
        """As `say`, if it is verbose."""
        if self._verbose:
            self.say(text)

    def started(self, event: Started) -> None:
        """Remember how many combinations there are and are stored, and the time."""
        self._total, self._before = event.combinations, event.stored
        self._began = self._printed_at = self._clock()

    def finished(self, event: Finished) -> None:
        """Print done/total, rate, time left, best so far."""
        self.detail(_chunk(event))
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


def _chunk(event: Finished) -> str:
    where = f" on {event.node}" if event.node else ""
    failed = f", {event.failed:,} failed" if event.failed else ""
    return f"{event.chunk}: {event.combinations:,} combinations in {event.seconds:.3f} s{where}{failed}"


class _Live(Silent):
    """A progress bar of rich's."""

    def __init__(self, bar: Any, *, verbose: bool) -> None:  # noqa: ANN401 - rich is imported only for a terminal
        self._bar, self._task, self._verbose = bar, None, verbose

    def detail(self, text: str) -> None:
        if self._verbose:
            self.say(text)

    def say(self, text: str) -> None:
        self._bar.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def started(self, event: Started) -> None:
        self._task = self._bar.add_task(
            "combinations", total=event.combinations or None, completed=event.stored, rate=""
        )
        self._before, self._began = event.stored, time.monotonic()

    def finished(self, event: Finished) -> None:
        self.detail(_chunk(event))
        rate = (event.done - self._before) / max(time.monotonic() - self._began, 1e-9)
        self._bar.update(self._task, completed=event.done, rate=f"{rate:,.0f}/s{_best(event.best)}")


@contextmanager
def open_progress(stream: TextIO | None = None) -> Iterator[Progress]:
    """Progress on a stream, stderr by default, as loud as `LOUDNESS`: live on a terminal, plain lines elsewhere."""
    stream = sys.stderr if stream is None else stream
    verbose = LOUDNESS.get() == "verbose"
    if LOUDNESS.get() == "quiet":
        yield Quiet(stream)
        return
    if not stream.isatty():
        yield Plain(stream, verbose=verbose)
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
        yield _Live(bar, verbose=verbose)
