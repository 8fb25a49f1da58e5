"""What can go wrong with a sweep, beyond the feed and the allocator."""

from __future__ import annotations


class SweepError(Exception):
    """Root of the sweep's errors; `exit_code` is the process's."""

    exit_code = 1


class ConfigError(SweepError):
    """A key, a value or a file of the configuration cannot be used; the message says what, where, and the remedy."""

    exit_code = 2


class WorkersLost(SweepError):  # noqa: N818 - reads as what it says
    """The executor lost what it needs to go on, through no fault of the configuration; what is stored stays."""

    exit_code = 3


class NotStarted(WorkersLost):
    """The executor could not start Ray, or join a cluster."""

    exit_code = 2


def with_notes(error: BaseException, raised: object) -> BaseException:
    """Copy the notes of one exception to another."""
    for note in getattr(raised, "__notes__", ()):
        error.add_note(note)
    return error
