"""What can go wrong with a sweep, beyond the feed and the allocator."""

from __future__ import annotations


class SweepError(Exception):
    """Root of the sweep's errors; `exit_code` is the process's."""

    exit_code = 1


class ConfigError(SweepError):
    """A key, a value or a file of the configuration that cannot be used: what, where, remedy."""

    exit_code = 2


class WorkersLost(SweepError):  # noqa: N818 - reads as what it says
    """The executor lost what it needs to go on, by nothing that was asked for: what is stored stands."""

    exit_code = 3


class NotStarted(WorkersLost):
    """The executor could not start, or join what it was to join."""

    exit_code = 2


def with_notes(error: BaseException, raised: object) -> BaseException:
    """Let one exception say what another was to say beside itself."""
    for note in getattr(raised, "__notes__", ()):
        error.add_note(note)
    return error
