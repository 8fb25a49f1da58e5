"""Progress on stderr: a live line on a terminal, plain lines elsewhere, nothing where none is asked for."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from allocator.money import NANO, rounded
from feed.console import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


PLAIN_SECONDS = 2.0


class Progress(Protocol):
    """What the driver tells while it works."""

    def say(self, text: str) -> None:
        """One line about a step."""

    def start(self, total: int, done: int) -> None:
        """Combinations are about to run: so many in all, of which some are done already."""

    def advance(self, done: int, best: int | None) -> None:
        """So many are done; the best total cash so far, 1e-9 $."""


class Silent:
    """Says nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def start(self, total: int, done: int) -> None:
        """Nothing."""

    def advance(self, done: int, best: int | None) -> None:
        """Nothing."""


class Plain:
    """Lines for a log: at most one every two seconds while combinations run, and the last one.

    Parameters
    ----------
    stream : TextIO
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._total, self._before, self._began, self._said = 0, 0, 0.0, 0.0

    def say(self, text: str) -> None:
        """The text on a line of its own."""
        with suppress(OSError):  # a log that nobody reads any more costs no sweep
            print(printable(text), file=self._stream, flush=True)

    def start(self, total: int, done: int) -> None:
        """Remember both and the time."""
        self._total, self._before, self._began, self._said = total, done, self._clock(), self._clock()

    def advance(self, done: int, best: int | None) -> None:
        """done/total, rate, time left, best so far."""
        now = self._clock()
        if done < self._total and now - self._said < PLAIN_SECONDS:
            return
        self._said = now
        elapsed = max(now - self._began, 1e-9)
        rate = (done - self._before) / elapsed
        left = f"{(self._total - done) / rate:.0f} s left" if rate else "time left unknown"
        self.say(f"{done:,}/{self._total:,} combinations, {rate:,.0f}/s, {left}{_best(best)}")


def _best(best: int | None) -> str:
    return "" if best is None else f", best so far {rounded(best, NANO, 2):,.2f}"


class _Live:
    """A bar of rich's."""

    def __init__(self, bar: Any) -> None:  # noqa: ANN401 - rich is imported only where there is a terminal
        self._bar, self._task = bar, None

    def say(self, text: str) -> None:
        self._bar.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def start(self, total: int, done: int) -> None:
        self._task = self._bar.add_task("combinations", total=total, completed=done, said="")
        self._before, self._began = done, time.monotonic()

    def advance(self, done: int, best: int | None) -> None:
        rate = (done - self._before) / max(time.monotonic() - self._began, 1e-9)
        self._bar.update(self._task, completed=done, said=f"{rate:,.0f}/s{_best(best)}")


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
        TextColumn("{task.fields[said]}", markup=False),
    )
    with Bar(*columns, console=Console(file=stream)) as bar:
        yield _Live(bar)


class Meter(Protocol):
    """What the driver tells of a run's figures."""

    def start(self, nbytes: int, bad: int, done: int) -> None:
        """Tape and book are there, so many bytes; so many messages were put aside; so many combinations were stored."""

    def advance(self, done: int, retries: int) -> None:
        """So many combinations are done, and chunks were run again, since the beginning."""

    def close(self) -> None:
        """Report what is left."""


class NullMeter:
    """A meter that nobody reads."""

    def start(self, nbytes: int, bad: int, done: int) -> None:
        """Nothing."""

    def advance(self, done: int, retries: int) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
