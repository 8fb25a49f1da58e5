"""Where quotes come from: one table from the scheme of a SOURCE to the plan that reads it.

A source is read in three steps, of which the middle one can run anywhere: `plan_source` looks at the place once and
freezes what is there; `Range.read` turns one range into a block, a pure function of the range; `SourcePlan.merge` joins
the blocks, checks that they are complete and says where they came from.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from feed.console import listing, without_secrets
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.instants import format_instant
from feed.options import DEFAULTS, ReadOptions
from feed.tape import DAY, Tape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from feed.plan import Block, Range, SourcePlan, TapeSpan
    from feed.provenance import Provenance


def _plan_file(place: str, options: ReadOptions) -> SourcePlan:
    from feed.files import plan_files

    return plan_files(place, options)


def _plan_kafka(place: str, options: ReadOptions) -> SourcePlan:
    if options.foreign:
        from feed.kafka import plan_foreign

        return plan_foreign(place, options)
    if options.quotes is not None and options.quotes.names_columns:
        raise FeedUnavailable(
            "quotes says which field of others' messages holds what, and a replay needs no mapping",
            place,
            "set feed.foreign=true where others filled the topic, or leave quotes out",
        )
    from feed.kafka import plan_replay

    return plan_replay(place, options)


def _plan_s3(place: str, options: ReadOptions) -> SourcePlan:
    from feed.files import plan_s3

    return plan_s3(place, options)


def _plan_memory(place: str, _: ReadOptions) -> SourcePlan:
    raise FeedUnavailable(
        "its quotes were a table in memory, which is gone",
        place,
        "sweep.run(source=TABLE, output=...) of the same table goes on where it ended",
    )


SCHEMES: dict[str, Callable[[str, ReadOptions], SourcePlan]] = {
    "file": _plan_file,
    "kafka": _plan_kafka,
    "memory": _plan_memory,
    "s3": _plan_s3,
}


@dataclass(frozen=True, slots=True)
class SomeVenues:
    """A plan whose tapes keep the rows and trades of some venues only.

    Attributes
    ----------
    plan : SourcePlan
    venues : tuple of int
        Publisher ids, ascending.
    """

    plan: SourcePlan
    venues: tuple[int, ...]

    @property
    def ranges(self) -> Sequence[Range]:
        """Those of the plan."""
        return self.plan.ranges

    @property
    def held(self) -> int | None:
        """That of the plan."""
        return self.plan.held

    @property
    def separate(self) -> bool:
        """That of the plan."""
        return self.plan.separate

    def spans(self, block: Block, first: int, last: int, venues: tuple[int, ...] | None = None) -> tuple[TapeSpan, ...]:
        """Those of the plan, with quotes of these venues."""
        return self.plan.spans(block, first, last, self.venues if venues is None else venues)

    def merge(self, blocks: Sequence[Block]) -> tuple[tuple[Tape, Provenance], ...]:
        """Join and prove the blocks as the plan does, then leave rows out.

        Raises
        ------
        FeedError
            As the plan's; FeedUnavailable where no tape has a venue.
        """
        tapes = self.plan.merge(blocks)
        present = {
            venue for tape, _ in tapes for part in (tape, tape.trades) for venue in np.unique(part.venue).tolist()
        }
        # of some of the blocks nothing follows: a venue may be missing on a date
        if (missing := sorted(set(self.venues) - present)) and len(blocks) == len(self.ranges):
            raise FeedUnavailable(
                f"no rows of venue {', '.join(map(str, missing))}",
                tapes[0][1].place if tapes else "",
                f"venues there: {', '.join(map(str, sorted(present)))}",
            )
        return tuple(_of_venues(tape, provenance, self.venues) for tape, provenance in tapes)


def _of_venues(tape: Tape, provenance: Provenance, venues: tuple[int, ...]) -> tuple[Tape, Provenance]:
    selection = tape.of_venues(venues)
    left_out = tape.rows - selection.rows + len(tape.trades.ts) - len(selection.trades.ts)
    return selection, replace(
        provenance,
        digest=selection.digest(),
        snapshots=selection.snapshots,
        rows=selection.rows,
        trades=len(selection.trades.ts),
        ignored=provenance.ignored | {"other_venue": left_out},
    )


def plan_source(source: str, options: ReadOptions = DEFAULTS) -> SourcePlan:
    """Freeze what there is to read at a SOURCE.

    Parameters
    ----------
    source : str
        A path or ``file:PATH``, of a file, a directory or a glob; ``-`` for standard input; ``s3://BUCKET/KEY``; or
        ``kafka://HOST:PORT[,HOST:PORT]/TOPIC[?api_version=X.Y]``.
    options : ReadOptions

    Raises
    ------
    FeedUnavailable
        An unknown scheme, a missing file, no broker, an unknown topic or replay.
    FeedCorrupt
        A topic without a complete replay.
    """
    plan = _plan(source, options)
    return plan if options.venues is None else SomeVenues(plan, options.venues)


def _plan(source: str, options: ReadOptions) -> SourcePlan:
    scheme, colon, rest = source.partition(":")
    if colon and scheme in SCHEMES:
        return SCHEMES[scheme](rest if scheme == "file" else source, options)
    if colon and rest.startswith("//"):
        raise FeedUnavailable(
            f"unknown kind of source {scheme!r}",
            without_secrets(source),
            f"use a path or one of {', '.join(sorted(SCHEMES))}",
        )
    return _plan_file(source, options)


def located(source: str, directory: str) -> str:
    """Make a SOURCE independent of the working directory: a relative path starts in `directory`."""
    if source == "-":
        return source
    scheme, colon, rest = source.partition(":")
    if colon and (scheme in SCHEMES or rest.startswith("//")):
        return source if scheme != "file" else f"file:{PurePath(directory) / rest}"
    return str(PurePath(directory) / source)


def select(tape: Tape, provenance: Provenance, start: int | None, end: int | None) -> tuple[Tape, Provenance]:
    """Cut a tape to [start, end] and bring its provenance up to date.

    Parameters
    ----------
    tape, provenance : Tape, Provenance
        The provenance of this very tape.
    start, end : int, optional
        UTC nanoseconds, both included; None leaves that end as it is. The caller subtracts the warm-up.

    Raises
    ------
    FeedUnavailable
        Nothing inside, or rows of several UTC dates: quotes are not carried over a date.
    """
    where = provenance.place
    if not tape.rows:
        raise FeedUnavailable("there are no quotes", where, "check the file, or the symbol asked for")
    whole, (first, last) = tape, tape.span
    data_span = f"the data there spans {format_instant(first)} to {format_instant(last)}"
    if start is not None or end is not None:
        tape = tape.clip(first if start is None else start, last if end is None else end)
        if not tape.rows:
            raise FeedUnavailable("no quotes in the window", where, data_span)
    first, last = tape.span
    if first // DAY != last // DAY:
        raise FeedUnavailable(
            "the window holds more than one UTC date",
            where,
            f"{data_span}; narrow the window to one date",
        )
    cut = (tape.rows, len(tape.trades.ts)) != (whole.rows, len(whole.trades.ts))
    return tape, replace(
        provenance,
        digest=tape.digest() if cut else provenance.digest,
        snapshots=tape.snapshots,
        rows=tape.rows,
        trades=len(tape.trades.ts),
    )


def inside(
    tapes: Sequence[tuple[Tape, Provenance]], start: int | None, end: int | None
) -> tuple[tuple[Tape, Provenance], ...]:
    """Keep the tapes with quotes in [start, end]; where none has any, the first, so that `select` reports it."""
    low, high = (0 if start is None else start), (2**63 - 2 if end is None else end)
    return tuple(pair for pair in tapes if pair[0].clip(low, high).rows) or tuple(tapes[:1])


def read_tapes(
    source: str, options: ReadOptions = DEFAULTS, *, clock: Callable[[], float] = time.monotonic
) -> tuple[tuple[Tape, Provenance], ...]:
    """Read a whole SOURCE in this process: the plan, its ranges one after the other, the merge.

    Parameters
    ----------
    source : str
    options : ReadOptions
    clock : callable
        Seconds, monotonic.

    Raises
    ------
    FeedError
        As `plan_source`, and FeedCorrupt for what is malformed or missing, or after the deadline.
    """
    began = clock()
    plan = plan_source(source, options)
    blocks: list[Block] = []
    for part in plan.ranges:
        if clock() - began > options.deadline:
            raise FeedCorrupt(
                f"not read within {options.deadline:.0f} s: {len(blocks)} of {len(plan.ranges)} ranges were",
                source,
                "set feed.deadline",
            )
        blocks.append(part.read())
    return plan.merge(blocks)


def read_source(source: str, options: ReadOptions = DEFAULTS) -> tuple[Tape, Provenance]:
    """Read the one tape of a SOURCE.

    Raises
    ------
    FeedError
        As `read_tapes`; FeedUnavailable where there are several.
    """
    return only(read_tapes(source, options))


def only(tapes: Sequence[tuple[Tape, Provenance]]) -> tuple[Tape, Provenance]:
    """Take the one tape there is.

    Raises
    ------
    FeedUnavailable
        There are several; lists their symbols and dates.
    """
    if len(tapes) == 1:
        return tapes[0]
    labels = [
        f"{tape.symbol} {format_instant(int(tape.ts[0]))[:10] if tape.rows else '(no quotes)'}" for tape, _ in tapes
    ]
    choices = listing("tapes", labels)
    raise FeedUnavailable(
        f"it holds {len(tapes)} tapes; {choices}", tapes[0][1].place, "name one: symbol=..., window.start, window.end"
    )
