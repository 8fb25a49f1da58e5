"""What the log of a run says of it: how far it is, how fast, what leads, which nodes work, what was lost.

A log may be old, half written or anybody's: a line that does not fit is counted and passed over, and nothing of it is
kept without a bound.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_BYTES: Final = 2**16
"""Of a line at most; a longer one is passed over."""

MOST_NODES: Final = 4096
"""Names of nodes that are kept; chunks of further ones count together."""

OTHERS: Final = "other nodes"

KEPT_LOSSES: Final = 3
"""How many of the last losses are kept in words."""

WINDOW_SECONDS: Final = 30.0
"""Of the log's own time over which the rate is taken."""

Count = Annotated[int, Meta(ge=0, le=2**62)]
Seconds = Annotated[float, Meta(ge=0, le=1e12)]
Text = Annotated[str, Meta(max_length=2000)]


class _Line(Struct, frozen=True, tag_field="event"):
    time: Seconds


class _Begun(_Line, frozen=True, tag="began"):
    arrived: Count
    combinations: Count


class _Resumed(_Line, frozen=True, tag="resumed"):
    arrived: Count
    combinations: Count


class _Round(_Line, frozen=True, tag="round"):
    arrived: Count


class _Started(_Line, frozen=True, tag="started"):
    combinations: Count
    stored: Count
    bad_messages: Count
    workers: Count
    dashboard: Text | None = None


class _Chunk(_Line, frozen=True, tag="chunk"):
    combinations: Count
    seconds: Seconds
    failed: Count = 0
    node: Annotated[str, Meta(max_length=256)] = ""
    again: Count = 0
    workers: Count = 0


class _Lost(_Line, frozen=True, tag="lost"):
    chunk: Text
    why: Text
    runs_again: bool


class Leading(_Line, frozen=True, tag="incumbent"):
    """What led at a time; figures in bps, as `sweep.incumbent.Incumbent`."""

    parameters: Annotated[dict[Annotated[str, Meta(max_length=64)], bool | float | Text | None], Meta(max_length=64)]
    mean_saving_bps: float
    groups: Count
    of: Count
    low: float | None = None
    high: float | None = None
    level: Annotated[float, Meta(gt=0, lt=1)] = 0.95
    reason: Text | None = None


class _Complete(_Line, frozen=True, tag="complete"):
    """The result is stored."""


class _Ended(_Line, frozen=True, tag="ended"):
    error: Text


_DECODER: Final = msgspec.json.Decoder(
    _Begun | _Resumed | _Round | _Started | _Chunk | _Lost | Leading | _Complete | _Ended
)


@dataclass(slots=True)
class Node:
    """What one node has done.

    Attributes
    ----------
    chunks, combinations : int
    seconds : float
        That its workers computed.
    first, last : float
        When its first chunk began and its last one was done.
    """

    chunks: int = 0
    combinations: int = 0
    seconds: float = 0.0
    first: float = 0.0
    last: float = 0.0

    @property
    def load(self) -> float:
        """How many tasks ran at once, on average from its first chunk to its last."""
        return self.seconds / max(self.last - self.first, 1e-9) if self.chunks else 0.0


@dataclass(slots=True)
class Watched:
    """A run as its log has it so far.

    Attributes
    ----------
    status : str
        ``starting``, ``running``, ``complete``, ``cut short``; or ``left`` by a driver that ended without a word.
    error : str, optional
        The kind of error that cut it short.
    total, done : int
        Combinations; a total of 0 = nobody knows.
    failed, bad_messages, workers : int
    dashboard : str, optional
    reports : bool
        Whether the log says whether there is a dashboard; older ones do not.
    nodes : dict of str to Node
    lost : int
        Chunks that were lost with a worker process.
    again : int
        Chunks that the driver at work ran again, of lost nodes too.
    losses : deque of str
        The last of them in words.
    leading : Leading, optional
    passed_over : int
        Lines that are no events of a run.
    """

    status: str = "starting"
    error: str | None = None
    total: int = 0
    done: int = 0
    failed: int = 0
    bad_messages: int = 0
    workers: int = 0
    dashboard: str | None = None
    reports: bool = False
    nodes: dict[str, Node] = field(default_factory=dict)
    lost: int = 0
    again: int = 0
    losses: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LOSSES))
    leading: Leading | None = None
    passed_over: int = 0
    _recent: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=4096))
    _first: tuple[float, int] = 0.0, 0

    def add(self, line: bytes) -> None:
        """Take a line of the log."""
        try:
            event = _DECODER.decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self.passed_over += not _is_other(line)
            return
        _TAKES[type(event)](self, event)

    @property
    def rate(self) -> float | None:
        """Combinations per second by the times of the log, of the last `WINDOW_SECONDS`, or of all once it is over."""
        if len(self._recent) < 2:
            return None
        (began, before), (ended, now) = self._first if self.over else self._recent[0], self._recent[-1]
        return (now - before) / (ended - began) if ended > began and now >= before else None

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at this rate; None where nobody knows."""
        rate = self.rate
        return (self.total - self.done) / rate if rate and self.total >= self.done > 0 else None

    @property
    def over(self) -> bool:
        """Whether nobody works on it any more."""
        return self.status in {"complete", "cut short", "left"}

    def _restart(self, event: _Begun) -> None:
        fresh = Watched(passed_over=self.passed_over)
        for each in fields(Watched):
            setattr(self, each.name, getattr(fresh, each.name))
        self._continue(event)
        self.total = event.combinations
        self._begin_counting(event.time)

    def _begin_counting(self, time: float) -> None:
        self._recent.clear()
        self._first = time, self.done
        self._note(time)

    def _continue(self, event: _Begun | _Resumed | _Round) -> None:
        self.status, self.error, self.done = "running", None, event.arrived

    def _resume(self, event: _Resumed) -> None:
        self._continue(event)
        self.total = max(self.total, event.combinations)
        self.again = 0
        self._begin_counting(event.time)

    def _start(self, event: _Started) -> None:
        self.status, self.total, self.done = "running", event.combinations, event.stored
        self.bad_messages, self.workers, self.again = event.bad_messages, event.workers, 0
        self.dashboard, self.reports = event.dashboard, True
        self._begin_counting(event.time)

    def _count(self, event: _Chunk) -> None:
        self.done += event.combinations
        self.failed += event.failed
        self.again, self.workers = event.again, event.workers or self.workers
        name = event.node if event.node in self.nodes or len(self.nodes) < MOST_NODES else OTHERS
        node = self.nodes.setdefault(name, Node(first=event.time - event.seconds))
        node.chunks += 1
        node.combinations += event.combinations
        node.seconds += event.seconds
        node.first, node.last = min(node.first, event.time - event.seconds), max(node.last, event.time)
        self._note(event.time)

    def _note(self, time: float) -> None:
        if len(self._recent) > 1 and time - self._recent[-2][0] < WINDOW_SECONDS / 1000:
            self._recent[-1] = time, self.done  # many chunks in a moment
        else:
            self._recent.append((time, self.done))
        while len(self._recent) > 2 and time - self._recent[1][0] > WINDOW_SECONDS:
            self._recent.popleft()

    def _lose(self, event: _Lost) -> None:
        self.lost += 1
        self.losses.append(f"{event.chunk}: {event.why}{'' if event.runs_again else '; given up'}")

    def _lead(self, event: Leading) -> None:
        self.leading = event

    def _complete(self, _: _Complete) -> None:
        self.status, self.error = "complete", None

    def _end(self, event: _Ended) -> None:
        if self.status != "complete":
            self.status, self.error = "cut short", event.error


_TAKES: Final[dict[type, Any]] = {
    _Begun: Watched._restart,  # noqa: SLF001 - its own
    _Resumed: Watched._resume,  # noqa: SLF001
    _Round: Watched._continue,  # noqa: SLF001
    _Started: Watched._start,  # noqa: SLF001
    _Chunk: Watched._count,  # noqa: SLF001
    _Lost: Watched._lose,  # noqa: SLF001
    Leading: Watched._lead,  # noqa: SLF001
    _Complete: Watched._complete,  # noqa: SLF001
    _Ended: Watched._end,  # noqa: SLF001
}


class _Other(Struct, frozen=True):
    time: Seconds
    event: Annotated[str, Meta(pattern="^said$")]


_OTHER: Final = msgspec.json.Decoder(_Other)


def _is_other(line: bytes) -> bool:
    """Whether it is a line of a log that says nothing about these."""
    try:
        _OTHER.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


class Lines:
    """Cuts what is read from a log into whole lines; keeps no more than `LINE_BYTES` of one that has no end yet."""

    def __init__(self) -> None:
        self._begun = b""
        self._too_long = False
        self.passed_over = 0

    def whole(self, block: bytes) -> Iterator[bytes]:
        """The lines that end in a block."""
        *ended, rest = block.split(b"\n")
        for line in ended:
            if self._too_long or len(self._begun) + len(line) > LINE_BYTES:
                self.passed_over += 1
            elif line or self._begun:
                yield self._begun + line
            self._begun, self._too_long = b"", False
        if len(self._begun) + len(rest) > LINE_BYTES:
            self._begun, self._too_long = b"", True
        elif not self._too_long:
            self._begun += rest
