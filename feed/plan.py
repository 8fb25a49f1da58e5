"""A source, frozen: what every kind of source is to whoever reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feed.provenance import Provenance
    from feed.tape import Tape


Block = Any
"""What one range held: known to the plan that made the range, and to nobody else."""


class Range(Protocol):
    """A bounded part of a source, small and picklable."""

    def read(self) -> Block:
        """Read it: a pure function of the range, so that it can be repeated after a loss."""


class SourcePlan(Protocol):
    """A source, frozen: its ranges and how to join what they hold. Small and picklable."""

    @property
    def ranges(self) -> Sequence[Range]: ...  # noqa: D102

    @property
    def held(self) -> int | None:
        """Bytes of memory that what is made of it may take; None where what is read decides."""

    def merge(self, blocks: Sequence[Block]) -> tuple[tuple[Tape, Provenance], ...]:
        """Join blocks in the order of the ranges: a tape per symbol, and date where files are joined.

        FeedCorrupt where something is missing.
        """
