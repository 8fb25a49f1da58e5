"""Where a sweep reads: a SOURCE as it is, or the embedded broker, filled with the synthetic stream."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from feed.instants import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sweep.config import Config
    from sweep.progress import Progress

EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class Origin:
    """A source that is ready to be read.

    Attributes
    ----------
    source : str
        What `feed.source.plan_source` takes.
    start, end : int, optional
        The window asked for, UTC nanoseconds.
    fees : mapping
        The fee table that the source brings of its own.
    """

    source: str
    start: int | None
    end: int | None
    fees: Mapping[str, Mapping[str, Any]]


@contextmanager
def open_origin(config: Config, progress: Progress) -> Iterator[Origin]:
    """Make the configuration's source ready, and end what that took.

    Raises
    ------
    FeedError
        The embedded broker did not start, or did not keep the stream.
    """
    start, end = (None if at is None else parse_instant(at) for at in (config.window.start, config.window.end))
    if config.source != EMBEDDED:
        yield Origin(config.source, start, end, {})
        return
    from feed import synthetic
    from feed.broker import EmbeddedBroker
    from feed.replay import replay

    with EmbeddedBroker() as broker:
        source = broker.source()
        progress.say(f"embedded broker at {broker.server}; replaying the synthetic stream")
        sent = replay(synthetic.generate(), source)
        progress.say(f"replayed {sent.messages:,} messages in {sent.seconds:.1f} s")
        yield Origin(
            source,
            synthetic.WINDOW[0] if start is None else start,
            synthetic.WINDOW[1] if end is None else end,
            {str(venue): fee for venue, fee in synthetic.FEES.items()},
        )
