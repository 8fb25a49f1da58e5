"""A source, frozen: what all kinds of source have in common for a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feed.plugins import Plugin
    from feed.provenance import Provenance
    from feed.tape import Tape


Block = Any
"""What one range held; only the plan that made the range knows its type."""


MEMORY = "memory:table"
"""What a source is called that is a table in memory."""


def is_table(source: object) -> bool:
    """Whether a source is a table in memory: anything of the Arrow C interface."""
    return hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__")


def plugins_of(plan: SourcePlan) -> tuple[Plugin, ...]:
    """The plug-ins that ranges of a plan are read by, each once, ascending."""
    plugins = {getattr(each, "plugin", None) for each in plan.ranges}
    return tuple(sorted(plugin for plugin in plugins if plugin is not None))


class TapeSpan(NamedTuple):
    """Rows of one symbol on one UTC date, in days since 1970, and whether any lies in the window."""

    symbol: str
    day: int
    inside: bool = True


class Range(Protocol):
    """A bounded part of a source, small and picklable."""

    def read(self) -> Block:
        """Read it: a pure function of the range, so that a lost block can be read again."""


class SourcePlan(Protocol):
    """A source, frozen: its ranges and how to join what they hold. Small and picklable."""

    @property
    def ranges(self) -> Sequence[Range]: ...  # noqa: D102

    @property
    def held(self) -> int | None:
        """Bytes of memory that all that is made of it may take; None where that depends on what is read."""

    @property
    def separate(self) -> bool:
        """Whether a tape can be made of those ranges alone that hold rows of it."""

    def spans(self, block: Block, first: int, last: int, venues: tuple[int, ...] | None = None) -> tuple[TapeSpan, ...]:
        """What a block holds rows of, some of these venues in a window; only where ranges are separate."""

    def merge(self, blocks: Sequence[Block]) -> tuple[tuple[Tape, Provenance], ...]:
        """Join blocks, in the order of the ranges, to a tape per symbol, and per date where files are joined.

        FeedCorrupt where something is missing.
        """
