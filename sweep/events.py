"""What a sweep tells while its combinations run, and who listens: one contract for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Started:
    """Combinations are about to run.

    Attributes
    ----------
    combinations : int
        Of the whole run.
    stored : int
        Of them, those that are done already.
    object_store_bytes : int
        Of tape and book, on each node.
    bad_messages : int
        Malformed messages that were put aside.
    """

    combinations: int
    stored: int
    object_store_bytes: int = 0
    bad_messages: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """A chunk is done, and its rows are kept.

    Attributes
    ----------
    chunk : str
        Its name.
    combinations, simulated, failed : int
        In it: result rows, those that were simulated for them, those that could not be.
    width : int
        Combinations of the grid that it spans, whatever the number of orders.
    seconds : float
        What it took where it ran.
    done : int
        Combinations that are done by now, stored ones included.
    best : int or None
        The best total cash so far, 1e-9 $.
    again : int
        Chunks that were run again so far.
    workers : int
        Tasks that run at once by now.
    """

    chunk: str
    combinations: int
    simulated: int
    failed: int
    width: int
    seconds: float
    done: int
    best: int | None
    again: int
    workers: int


class Listener(Protocol):
    """Whoever is told what happens to the combinations of a run."""

    def started(self, event: Started) -> None:
        """They are about to run."""

    def finished(self, event: Finished) -> None:
        """A chunk of them is done."""

    def ended(self) -> None:
        """All of them are done."""


class NullListener:
    """A listener that does nothing, to inherit what one does not care for."""

    def started(self, event: Started) -> None:
        """Nothing."""

    def finished(self, event: Finished) -> None:
        """Nothing."""

    def ended(self) -> None:
        """Nothing."""
