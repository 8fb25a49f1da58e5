"""Quotes from any source into files: each is written beside its place, read back, and moved there if it is the same."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from feed.console import listing
from feed.errors import FeedError, FeedUnavailable
from feed.files.plan import days_of, of_day
from feed.files.registry import PARQUET_HOLDS_ANY, WRITERS, ending_of, read_file
from feed.instants import format_instant
from feed.options import MAX_BYTES
from feed.tape import DAY, same

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from feed.tape import Tape


def check_place(place: str, ending: str = ".parquet", *, force: bool = False) -> Path:
    """Refuse, before anything is read, a place that cannot be written; make a directory where it ends in ``/``.

    Raises
    ------
    FeedUnavailable
        An unknown ending, or one whose library is not installed; no such directory, no permission to write in it, or,
        without `force`, a file that exists.
    """
    out = Path(place)
    with _refusing(place):
        if place.endswith("/"):
            out.mkdir(exist_ok=True)
        is_dir = out.is_dir()
        suffix = ending if is_dir else ending_of(out.name)
        if suffix not in WRITERS:
            raise FeedUnavailable(f"it ends in none of {', '.join(WRITERS)}, which say how it is written", place)
        if suffix.startswith(".dbn"):
            from feed.files.dbn_stream import library

            library(place)
        folder = out if is_dir else out.parent
        if not folder.is_dir():
            raise FeedUnavailable("there is no such directory", str(folder), "make it first")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise FeedUnavailable("the directory may not be written", str(folder), "choose another one")
        if not is_dir:
            _refuse_overwriting([out], force=force)
    return out


def _refuse_overwriting(outs: Sequence[Path], *, force: bool) -> None:
    existing = [out for out in outs if os.path.lexists(out)]
    if existing and not force:
        more = f", and {len(existing) - 1} more of {len(outs)} files are" if len(existing) > 1 else ""
        raise FeedUnavailable(f"it is there already{more}", str(existing[0]), "choose another place, or add --force")


def convert(
    tapes: Sequence[Tape], place: str, ending: str = ".parquet", *, force: bool = False
) -> list[dict[str, Any]]:
    """Write tapes to a file, or into a directory, one file per symbol and date; empty tapes are left out.

    Parameters
    ----------
    tapes : sequence of Tape
    place : str
        A file, whose ending says how it is written; or a directory, which is made where it ends in ``/``.
    ending : str
        How the files in a directory are written.
    force : bool
        Replace files that exist; otherwise an existing one stops everything.

    Returns
    -------
    list of dict
        For each file: place, symbol, rows, snapshots, trades, depth, digest, bytes.

    Raises
    ------
    FeedUnavailable
        As `check_place`; nothing in any tape; several tapes and one file; a format that cannot hold a tape; a file
        that cannot be written.
    """
    out = check_place(place, ending, force=force)
    tapes = [tape for tape in tapes if tape.rows or len(tape.trades.ts)]
    if not tapes:
        raise FeedUnavailable("there is nothing to write", str(out), "check the source, or the symbol asked for")
    if out.is_dir():
        parts = [of_day(tape, day) for tape in tapes for day in days_of(tape)]
        outs = [out / name_of(tape, ending) for tape in parts]
        _refuse_overwriting(outs, force=force)
        return [_write(tape, each, ending) for tape, each in zip(parts, outs, strict=True)]
    if len(tapes) != 1:
        names = {f"{tape.symbol} {_date(tape)}" for tape in tapes}
        raise FeedUnavailable(
            f"one file cannot hold {len(tapes)} tapes; {listing('tapes', names)}",
            place,
            "name a directory, such as quotes/: each gets a file of its own",
        )
    return [_write(tapes[0], out, ending_of(out.name) or ending)]


def name_of(tape: Tape, ending: str) -> str:
    """Name the file of a symbol and a date; the symbol is text from outside and must not act as a path."""
    symbol = quote(tape.symbol, safe="")
    return f"{'%2E' + symbol[1:] if symbol.startswith('.') else symbol}-{_date(tape)}{ending}"


def _date(tape: Tape) -> str:
    return format_instant(tape.span[0] // DAY * DAY)[:10]


def _write(tape: Tape, out: Path, ending: str) -> dict[str, Any]:
    """Write one file, and prove it."""
    where = str(out)
    temporary = out.with_name(f".{os.getpid()}-{out.name}")  # hidden, so that reading the directory skips it
    try:
        with _refusing(where):
            WRITERS[ending](tape, temporary)
            difference = None if _reads_back(tape, temporary) else "what was read back differs"
            size = temporary.stat().st_size
            if not difference:
                temporary.replace(out)
    except ValueError as reason:
        difference = str(reason)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    if difference:
        raise FeedUnavailable(f"a {ending} file cannot hold this tape: {difference}", where, PARQUET_HOLDS_ANY)
    return {
        "place": where,
        "symbol": tape.symbol,
        "rows": tape.rows,
        "snapshots": tape.snapshots,
        "trades": len(tape.trades.ts),
        "depth": tape.depth,
        "digest": tape.digest(),
        "bytes": size,
    }


@contextmanager
def _refusing(where: str) -> Iterator[None]:
    """Say in one line why a place cannot be written."""
    try:
        yield
    except OSError as error:
        raise FeedUnavailable(f"it cannot be written: {error.strerror or error}", where) from error


def _reads_back(tape: Tape, path: Path) -> bool:
    """Whether a file holds the tape, and nothing else."""
    try:
        # our own file needs no bound by its size
        (fragment,) = read_file(path, max_bytes=MAX_BYTES, depth=tape.depth).fragments
    except (FeedError, ValueError):
        return False
    return fragment.named and not fragment.ignored and same(fragment.tape, tape)
