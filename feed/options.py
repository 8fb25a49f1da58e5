"""Options of a reader, beside its SOURCE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from feed.access import PLAIN, Access
from feed.console import unknown_key
from feed.errors import FeedUnavailable
from feed.instants import parse_duration
from feed.levels import MOST_LEVELS
from feed.quantities import parse_bytes, parse_count
from feed.tape import VENUE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from feed.tables import QuoteMapping

MAX_BYTES = 16 * 2**30
"""Default of `max_bytes`: decompressed bytes that one read may take in."""

BYTES_LIMIT = 2**50
"""`max_bytes` is below this."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What to read of a source, and how patiently.

    Attributes
    ----------
    symbol : str, optional
        Only this one; all by default.
    replay : str, optional
        Which replay of a topic; the newest complete one by default.
    max_bad : int
        Malformed messages to put aside before one ends the run.
    wait : float
        Seconds without anything new after which to stop waiting for a replay to begin or to end; 0 = do not wait.
    deadline : float
        Seconds that a read may take.
    max_bytes : int
        Decompressed bytes that one read may take in.
    sized : bool
        Whether the size of a file also bounds what it may unpack to, as long as `max_bytes` is the default; False where
        somebody set that number.
    foreign : bool
        Read messages without headers; nothing proves that they are complete.
    venues : tuple of int, optional
        Publisher ids of the rows and trades to keep; all by default.
    depth : int, optional
        Levels of a side to read at most; by default as many as there are, and of messages without headers, which
        nothing proves, the first.
    quotes : QuoteMapping, optional
        How a table of somebody else's becomes quotes.
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
    venues: tuple[int, ...] | None = None
    depth: int | None = None
    quotes: QuoteMapping | None = None
    access: Access = PLAIN
    sized: bool = field(default=True, compare=False)

    @property
    def of_file(self) -> int | None:
        """`max_bytes` for one file; None where its size decides (`feed.files.streams.bounds_of`)."""
        return None if self.sized and self.max_bytes == MAX_BYTES else self.max_bytes


DEFAULTS = ReadOptions()
"""Read everything, at once and without tolerance."""


def _seconds(text: str) -> float:
    return parse_duration(text) / 1e9


def _within(parse: Callable[[object], int], least: int, limit: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = parse(text)
        if not least <= number < limit:
            raise ValueError(f"expected a whole number, {least} to {limit - 1:,}, but it had {text[:40]!r}")
        return number

    return read


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(f"expected true or false, but it had {text[:40]!r}")
    return text == "true"


def parse_venues(value: object) -> tuple[int, ...]:
    """Read publisher ids from a number, a list, or text such as ``2, 43``; ascending, each once.

    Raises
    ------
    ValueError
        It is something else, or empty.
    """
    items = value.strip().removeprefix("[").removesuffix("]").split(",") if isinstance(value, str) else value
    numbers = [str(each).strip() for each in (items if isinstance(items, list | tuple) else [items])]
    if not numbers or not all(each.isascii() and each.isdigit() and len(each) <= 5 for each in numbers):
        raise ValueError(f"expected publisher ids, such as [2, 43], but it had {str(value)[:40]!r}")
    venues = tuple(sorted({int(each) for each in numbers}))
    if venues[-1] >= VENUE_LIMIT:
        raise ValueError(f"expected publisher ids of 0 to {VENUE_LIMIT - 1:,}, but it had {venues[-1]}")
    return venues


WORDS: dict[str, Callable[[str], object]] = {
    "symbol": str,
    "replay": str,
    "venues": parse_venues,
    "depth": _within(parse_count, 1, MOST_LEVELS + 1),
    "feed.max_bad": _within(parse_count, 0, 10**15),
    "feed.wait": _seconds,
    "feed.deadline": _seconds,
    "feed.max_bytes": _within(parse_bytes, 1, BYTES_LIMIT),
    "feed.foreign": _flag,
}
"""Options by their names in the sweep's configuration, and how to read their text."""


def options_of(words: Sequence[str], access: Access = PLAIN) -> ReadOptions:
    """Read the options of a command line.

    Parameters
    ----------
    words : sequence of str
        ``KEY=VALUE`` each; the last of several wins.
    access : Access

    Raises
    ------
    FeedUnavailable
        An unknown key, or a value of the wrong kind.
    """
    words, quotes = _quotes_of(words)
    options: dict[str, object] = {"access": access, "sized": not any(w.startswith("feed.max_bytes=") for w in words)}
    options["quotes"] = quotes
    for word in words:
        key, _, text = word.partition("=")
        if key not in WORDS:
            raise FeedUnavailable(unknown_key(key, WORDS), "", f"there are {', '.join(WORDS)} and kafka.*")
        try:
            options[key.removeprefix("feed.")] = WORDS[key](text)
        except ValueError as error:
            raise FeedUnavailable(str(error), key) from None
    return ReadOptions(**options)  # type: ignore[arg-type]


def _quotes_of(words: Sequence[str]) -> tuple[list[str], QuoteMapping | None]:
    """Separate the words of the section `quotes`, a file or single keys, from the others."""
    own = [word for word in words if word.startswith(("quotes=", "quotes."))]
    if not own:
        return list(words), None
    from feed.tables import parse_mapping, parse_word, read_mapping

    tree: dict[str, object] = {}
    try:
        for word in own:
            key, _, text = word.partition("=")
            if key == "quotes":
                tree |= read_mapping(text)
            else:
                tree[key.removeprefix("quotes.")] = parse_word(text, key)
        return [word for word in words if word not in own], parse_mapping(tree)
    except ValueError as error:
        raise FeedUnavailable(str(error)) from None
