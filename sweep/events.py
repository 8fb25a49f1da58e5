"""Events of a sweep while its combinations run, and the contract of those who listen to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Started:
    """Combinations are about to run.

    Attributes
    ----------
    combinations : int
        Of the whole run, at most; 0 = nobody knows.
    stored : int
        How many of them are done already.
    object_store_bytes : int
        Of tapes and books, on each node.
    bad_messages : int
        Malformed messages that were put aside.
    workers : int
        Tasks that run at once.
    dashboard : str, optional
        The address of Ray's dashboard; None where there is none.
    """

    combinations: int
    stored: int
    object_store_bytes: int = 0
    bad_messages: int = 0
    workers: int = 0
    dashboard: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A chunk is done, and its rows are kept.

    Attributes
    ----------
    chunk : str
        Its name.
    combinations, simulated, failed : int
        Its result rows; how many were simulated for them; how many combinations failed.
    width : int
        Combinations of the grid that it spans, whatever the number of orders.
    seconds : float
        What it took on its worker.
    done : int
        Combinations that are done so far, stored ones included.
    best : int or None
        The best total cash so far, 1e-9 $.
    again : int
        Chunks that were run again so far.
    workers : int
        Tasks that run at once now.
    node : str
        The node that ran it.
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
    node: str = ""


class Listener(Protocol):
    """Takes the events of a run."""

    def started(self, event: Started) -> None:
        """They are about to run."""

    def finished(self, event: Finished) -> None:
        """A chunk of them is done."""

    def ended(self) -> None:
        """All of them are done."""


class NullListener:
    """A listener that does nothing; a base class for those that need some events only."""

    def started(self, event: Started) -> None:
        """Nothing."""

    def finished(self, event: Finished) -> None:
        """Nothing."""

    def ended(self) -> None:
        """Nothing."""
