"""What can go wrong with a feed: one root, two branches, each with its exit code."""

from __future__ import annotations


class FeedError(Exception):
    """Root of the feed's errors: what is wrong, where, and what to do about it.

    Parameters
    ----------
    what, where, remedy : str
        The three parts of the one line a user reads. `where` and `remedy` may be empty.
    """

    exit_code = 3

    def __init__(self, what: str, where: str = "", remedy: str = "") -> None:
        super().__init__(what, where, remedy)
        self.what, self.where, self.remedy = what, where, remedy

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}; {self.remedy}" if self.remedy else head


class FeedUnavailable(FeedError):  # noqa: N818 - reads as what it says
    """Nothing to read: a missing file, wrong columns, no broker, an unknown topic or replay, no data in the window."""

    exit_code = 2


class NoRows(FeedUnavailable):
    """A file is whole and holds nothing: a header, and no rows below it."""


class FeedCorrupt(FeedError):  # noqa: N818 - reads as what it says
    """The feed was opened and is malformed, truncated, incomplete, or its digest differs."""

    exit_code = 3
