"""What a reader may be told beside its SOURCE."""

from __future__ import annotations

from dataclasses import dataclass

from feed.access import PLAIN, Access

MAX_BYTES = 16 * 2**30
"""Decompressed bytes that one read takes in."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What to read of a source, and how patiently.

    Attributes
    ----------
    symbol : str, optional
        Only this one; all that there are by default.
    replay : str, optional
        Which replay of a topic; the newest complete one by default.
    max_bad : int
        Malformed messages that are put aside instead of ending the run.
    wait : float
        Seconds to wait for a replay that has not begun, or not ended, as long as nothing new arrives; 0 = not at all.
    deadline : float
        Seconds after which a read that still goes on is an error.
    max_bytes : int
        Decompressed bytes that one read takes in.
    foreign : bool
        Read messages without headers, whose completeness nothing proves.
    access : Access
        How the broker lets us in.
    """

    symbol: str | None = None
    replay: str | None = None
    max_bad: int = 0
    wait: float = 0.0
    deadline: float = 3600.0
    max_bytes: int = MAX_BYTES
    foreign: bool = False
    access: Access = PLAIN


DEFAULTS = ReadOptions()
"""All there is, at once and without tolerance."""
