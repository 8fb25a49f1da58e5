"""What a reader may be told beside its SOURCE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from feed.access import PLAIN, Access
from feed.errors import FeedUnavailable
from feed.instants import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    sized : bool
        Whether what a file may unpack to depends on its size too, while `max_bytes` is the default; not where somebody
        set the same number.
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
    sized: bool = field(default=True, compare=False)

    @property
    def of_file(self) -> int | None:
        """`max_bytes` for one file; None where its size decides, as `feed.streams.bounds_of` says."""
        return None if self.sized and self.max_bytes == MAX_BYTES else self.max_bytes


DEFAULTS = ReadOptions()
"""All there is, at once and without tolerance."""


def _seconds(text: str) -> float:
    return parse_duration(text) / 1e9


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise ValueError(f"expected a whole number, but it had {text[:40]!r}")
    return int(text)


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(f"expected true or false, but it had {text[:40]!r}")
    return text == "true"


WORDS: dict[str, Callable[[str], object]] = {
    "symbol": str,
    "replay": str,
    "feed.max_bad": _count,
    "feed.wait": _seconds,
    "feed.deadline": _seconds,
    "feed.max_bytes": _count,
    "feed.foreign": _flag,
}
"""The options by the names that the sweep's configuration has for them, and how their text is read."""


def options_of(words: Sequence[str], access: Access = PLAIN) -> ReadOptions:
    """Read options as they stand on a command line.

    Parameters
    ----------
    words : sequence of str
        ``KEY=VALUE`` each, the last repeat wins.
    access : Access

    Raises
    ------
    FeedUnavailable
        An unknown key, or a value of the wrong kind.
    """
    found: dict[str, object] = {"access": access, "sized": not any(w.startswith("feed.max_bytes=") for w in words)}
    for word in words:
        key, _, text = word.partition("=")
        if key not in WORDS:
            raise FeedUnavailable("unknown option", key[:40], f"there are {', '.join(WORDS)} and kafka.*")
        try:
            found[key.removeprefix("feed.")] = WORDS[key](text)
        except ValueError as error:
            raise FeedUnavailable(str(error), key) from None
    return ReadOptions(**found)  # type: ignore[arg-type]
