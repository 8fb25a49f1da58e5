"""Quotes in files: a file, a directory or a glob as one plan."""

from __future__ import annotations

import errno
import glob
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from feed.console import listing, quoted
from feed.errors import FeedError, FeedUnavailable
from feed.files.registry import READER, endings, is_read, passed_over, read_file, reader_of
from feed.files.stdin import STDIN, spooled
from feed.files.streams import check_there, limits_of, unreadable_reported
from feed.plan import TapeSpan
from feed.plugins import check_same, refusing
from feed.provenance import Provenance
from feed.tape import DAY, Tape, join

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from feed.files.fragments import FileBlock, Fragment
    from feed.files.streams import Limit
    from feed.options import ReadOptions
    from feed.plan import Range
    from feed.plugins import Plugin
    from feed.tables import QuoteMapping

PASSED_OVER = "passed over what may not be looked into"
"""Beginning of the note that names such folders."""

NAMED = 10
"""Folders that a note names."""


@dataclass(frozen=True, slots=True)
class FileRange:
    """One whole file."""

    path: Path
    symbol: str | None
    max_bytes: Limit
    depth: int | None = None
    quotes: QuoteMapping | None = None
    called: str | None = None  # instead of its path
    plugin: Plugin | None = None  # whose reader it takes

    def read(self) -> FileBlock:
        """Read the file; FeedError as `read_file`."""
        with refusing(str(self.path)):
            if self.plugin is not None:
                check_same(READER, self.plugin)
        try:
            return read_file(self.path, self.symbol, self.max_bytes, self.depth, self.quotes)
        except FeedError as error:
            if self.called is None:
                raise
            raise type(error)(error.what, self.called, error.remedy) from None


@dataclass(frozen=True, slots=True)
class FilePlan:
    """Files, frozen: a range each.

    Attributes
    ----------
    source : str
        The kind of place, for the provenance.
    place : str
        The file, the directory or the glob, as the user wrote it.
    ranges : tuple of Range
        In the order of file names.
    symbol : str or None
        The only one to keep; None = all.
    joined : bool
        Whether rows of one symbol and date are joined over the files; a single file gives a tape per symbol.
    held : int
        As `feed.plan.SourcePlan.held`: by the size of the files, or as set by the user.
    shut : tuple of str
        Folders that a glob passed over because they may not be looked into.
    depth : int, optional
        Levels of a side that are asked for; None = as many as each tape shows.
    """

    source: str
    place: str
    ranges: tuple[Range, ...]
    symbol: str | None
    joined: bool
    held: int
    shut: tuple[str, ...] = ()
    depth: int | None = None

    @property
    def separate(self) -> bool:
        """Each file has its own rows."""
        return self.joined

    def spans(
        self, block: FileBlock, first: int, last: int, venues: tuple[int, ...] | None = None
    ) -> tuple[TapeSpan, ...]:
        """The symbols and dates of which a file has quotes or trades, and whether it has quotes in a window."""
        parts = ((of_day(fragment.tape, day), day) for fragment in block.fragments for day in days_of(fragment.tape))
        return tuple(
            TapeSpan(
                part.symbol, day, bool((part if venues is None else part.of_venues(venues)).clip(first, last).rows)
            )
            for part, day in parts
        )

    def merge(self, blocks: Sequence[FileBlock]) -> tuple[tuple[Tape, Provenance], ...]:
        """Join what the files hold by symbol and date, with its provenance.

        Raises
        ------
        FeedUnavailable
            No file has the symbol, or several files of one date do not name theirs.
        """
        if not any(block.fragments for block in blocks):
            symbols = {name for block in blocks for name in block.symbols}
            raise FeedUnavailable(f"no rows of symbol {quoted(self.symbol)}", self.place, listing("symbols", symbols))
        if not self.joined:
            return tuple(self._tape([fragment]) for block in blocks for fragment in block.fragments)
        parts: dict[tuple[str, int], list[Fragment]] = {}
        for fragment in (fragment for block in blocks for fragment in block.fragments):
            for day in days_of(fragment.tape):
                part = of_day(fragment.tape, day)
                parts.setdefault((part.symbol, day), []).append(replace(fragment, tape=part))
        return tuple(self._tape(fragments) for _, fragments in sorted(parts.items(), key=lambda item: item[0]))

    def _tape(self, parts: Sequence[Fragment]) -> tuple[Tape, Provenance]:
        if len(parts) > 1 and self.symbol is None and not all(part.named for part in parts):
            raise FeedUnavailable(
                f"{len(parts)} files of one date, and not all name their symbol: they may not be of one instrument",
                self.place,
                "name it: symbol=...",
            )
        tape = join([part.tape for part in parts])
        if self.depth is None and tape.levels is not None:  # a date of a file may show less than another
            tape = tape.shown()
        notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
        if self.joined:
            notes = (f"read from {len(parts)} of {len(self.ranges)} files", *self._passed_over(), *notes)
        return tape, Provenance(
            source=self.source,
            place=self.place,
            digest=tape.digest(),
            snapshots=tape.snapshots,
            rows=tape.rows,
            trades=len(tape.trades.ts),
            ignored=_sum_counts(part.ignored for part in parts),
            notes=notes,
        )

    def _passed_over(self) -> tuple[str, ...]:
        more = f" and {len(self.shut) - NAMED} more" if len(self.shut) > NAMED else ""
        named = f"{', '.join(self.shut[:NAMED])}{more}"
        return (f"{PASSED_OVER}: {named}",) if self.shut else ()


def days_of(tape: Tape) -> list[int]:
    """Ascending days since 1970 with quotes or trades."""
    first, last = (ts // DAY for ts in tape.span) if tape.rows or len(tape.trades.ts) else (0, -1)
    if first == last:
        return [first]
    days: list[int] = np.unique(np.concatenate([tape.ts, tape.trades.ts]) // DAY).tolist()
    return days


def of_day(tape: Tape, day: int) -> Tape:
    """The part of a tape on one UTC date, given in days since 1970."""
    return tape.clip(day * DAY, day * DAY + DAY - 1)


def _sum_counts(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for reason, count in each.items():
            total[reason] = total.get(reason, 0) + count
    return total


def plan_files(place: str, options: ReadOptions) -> FilePlan:
    """Freeze the list of files to read.

    Parameters
    ----------
    place : str
        A file, `STDIN`, or a directory or a glob, whose files with a known ending are read in the order of their
        names.
    options : ReadOptions

    Raises
    ------
    FeedUnavailable
        No such file, an empty one, no known ending, a folder that may not be read, or a replay is asked for.
    """
    if options.replay is not None:
        raise FeedUnavailable("a file holds no replay", place, "leave replay out")
    called = STDIN if place == STDIN else None
    with unreadable_reported(place):
        paths, joined, shut = ([spooled(options.max_bytes)], False, ()) if called else _paths(place)
    for path in paths:
        check_there(path)
    sizes = [path.stat().st_size for path in paths]
    limits, held = limits_of(sizes, options.of_file)
    ranges = tuple(
        FileRange(
            path,
            options.symbol,
            limit,
            options.depth,
            options.quotes,
            called,
            reader_of(str(path), options.quotes),
        )
        for path, limit in zip(paths, limits, strict=True)
    )
    return FilePlan("stdin" if called else "file", place, ranges, options.symbol, joined, held, shut, options.depth)


def _paths(place: str) -> tuple[list[Path], bool, tuple[str, ...]]:
    """Files to read, whether they are to be joined, and the folders that a glob passed over."""
    path = Path(place)
    if place and path.is_dir():
        return list(map(Path, known(place, [str(each) for each in path.iterdir() if each.is_file()]))), True, ()
    if not glob.has_magic(place) or path.exists():
        return [path], False, ()
    matches = glob.glob(place, recursive=True)  # noqa: PTH207 - a Path's own takes no absolute pattern
    shut = _shut(place, matches if "**" in place else [])
    files = [each for each in matches if Path(each).is_file()]
    if shut and not files:
        raise PermissionError(errno.EACCES, "Permission denied", shut[0])
    if not files:
        raise FeedUnavailable("no file matches", place, _beside(place))
    return list(map(Path, known(place, files))), True, shut


def _shut(pattern: str, matches: Sequence[str]) -> tuple[str, ...]:
    """Folders of a pattern that may not be looked into, which glob silently passes over."""
    ways = zip(Path(pattern).parents, reversed(Path(pattern).parts), strict=False)
    needs = [(matches, os.R_OK | os.X_OK)]
    for above, name in ways:  # a folder before a plain name need not be listable
        need = os.R_OK | os.X_OK if glob.has_magic(name) else os.X_OK
        needs.append((glob.glob(str(above), recursive=True), need))  # noqa: PTH207
    shut = {each for folders, need in needs for each in folders if os.path.isdir(each) and not os.access(each, need)}  # noqa: PTH112 - asks, and never raises
    return tuple(sorted(shut))


def known(place: str, paths: Sequence[str]) -> list[str]:
    """Sort the paths with a known ending, or of a vendor's name; those that are read with another are passed over.

    Hidden ones, which may be half written, are left out.

    Raises
    ------
    FeedUnavailable
        There is none; lists the files there.
    """
    names = {path: path.rpartition("/")[2] for path in paths}
    with refusing(place):
        files = sorted(
            path
            for path, name in names.items()
            if is_read(path) and not name.startswith(".") and not passed_over(path, names)
        )
    if not files:
        raise FeedUnavailable(
            f"no file there ends in one of {', '.join(endings())}", place, listing("files", set(names.values()))
        )
    return files


def _beside(pattern: str) -> str:
    """List what is there instead, in the last folder of a glob before its first wildcard."""
    folder = Path(pattern)
    while glob.has_magic(str(folder)):
        folder = folder.parent
    if not folder.is_dir():
        return f"there is no directory {folder}"
    return listing("files", {path.name for path in folder.iterdir()})
