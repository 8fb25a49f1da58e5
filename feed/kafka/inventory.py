"""List the replays in a topic, by one pass over its messages' headers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from feed.console import printable
from feed.errors import FeedCorrupt
from feed.instants import format_instant
from feed.kafka.address import parse_address
from feed.kafka.bounded_read import records
from feed.kafka.client import open_consumer
from feed.kafka.headers import END, decode_end, headers_of
from feed.kafka.topic import partitions_of
from feed.options import DEFAULTS, ReadOptions

if TYPE_CHECKING:
    from typing import Any


@dataclass(slots=True)
class ListedReplay:
    """One replay.

    Attributes
    ----------
    replay : str
    messages : int
        Data messages in the topic, repeated ones included.
    promised : int or None
        Messages that its end record promises; None without one.
    symbols : list of str
        Ascending.
    codec : str
    partitions : list of int
        Ascending.
    first, last : int
        Broker time of its first and last message, UTC milliseconds.
    """

    replay: str
    messages: int = 0
    promised: int | None = None
    symbols: list[str] = field(default_factory=list)
    codec: str = ""
    partitions: list[int] = field(default_factory=list)
    first: int = 2**63
    last: int = -1

    @property
    def state(self) -> str:
        """``whole`` by count, ``short`` with too few messages, ``incomplete`` without an end record."""
        if self.promised is None:
            return "incomplete"
        return "whole" if self.messages >= self.promised else "short"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: the attributes and the state, times as ISO text."""
        return {
            "replay": self.replay,
            "state": self.state,
            "messages": self.messages,
            "promised": self.promised,
            "symbols": self.symbols,
            "codec": self.codec,
            "partitions": self.partitions,
            "first": format_instant(self.first * 10**6),
            "last": format_instant(self.last * 10**6),
        }


def ends_of(source: str, options: ReadOptions = DEFAULTS) -> dict[int, tuple[int, int]]:
    """The offsets [first, end) that each partition of a topic holds now: whether anything came, without reading it.

    Raises
    ------
    FeedError
        No broker, or no topic.
    """
    address = parse_address(source, options.access)
    with open_consumer(address) as consumer:
        return partitions_of(consumer, address)


def list_replays(source: str, options: ReadOptions = DEFAULTS) -> tuple[list[ListedReplay], int]:
    """Go through a topic and note its replays.

    Parameters
    ----------
    source : str
        As `feed.kafka.consumer.plan_replay`.
    options : ReadOptions
        `access`, `deadline` and `max_bytes` hold.

    Returns
    -------
    replays : list of ListedReplay
        By the time of the last message.
    bare : int
        Messages without headers of a replay.

    Raises
    ------
    FeedError
        No broker, no topic, or offsets that disappear while they are read.
    """
    address = parse_address(source, options.access)
    replays: dict[str, ListedReplay] = {}
    bare = 0
    with open_consumer(address) as consumer:
        for partition, (first, last) in partitions_of(consumer, address).items():
            items = records(
                consumer,
                address,
                partition,
                first,
                last,
                deadline=options.deadline,
                max_bytes=options.max_bytes,
            )
            for record in items:
                try:
                    headers = headers_of(record)
                except FeedCorrupt:
                    bare += 1
                    continue
                name = headers["replay"]
                replay = replays.setdefault(name, ListedReplay(name))
                _note(replay, headers, partition, record.timestamp)
                if headers.get("kind") == END:
                    replay.promised = decode_end(record, name).messages
                else:
                    replay.messages += 1
    for replay in replays.values():
        replay.symbols.sort()
    return sorted(replays.values(), key=lambda replay: (replay.last, replay.replay)), bare


def _note(replay: ListedReplay, headers: dict[str, str], partition: int, when: int) -> None:
    replay.codec = headers.get("codec", "")
    replay.first, replay.last = min(replay.first, max(when, 0)), max(replay.last, when, 0)
    if partition not in replay.partitions:
        replay.partitions.append(partition)
    symbol = headers.get("symbol")
    if symbol is not None and symbol not in replay.symbols:
        replay.symbols.append(symbol)


def render(replays: list[ListedReplay], bare: int) -> str:
    """Write replays as a plain table, escaped for a terminal; the newest last."""
    lines = [f"{'replay':<26} {'state':<10} {'messages':>10} {'codec':<6} {'last message':<20} symbols"]
    for each in replays:
        symbols = ", ".join(each.symbols[:5]) + (f" and {len(each.symbols) - 5} more" if len(each.symbols) > 5 else "")
        last = format_instant(each.last * 10**6)[:19] + "Z"
        lines.append(
            f"{printable(each.replay):<26} {each.state:<10} {each.messages:>10,} {printable(each.codec):<6} {last:<20} "
            f"{printable(symbols)}"
        )
    if not replays:
        lines = ["no replays"]
    if bare:
        lines.append(f"{bare:,} messages without headers of a replay")
    return "\n".join(lines)
