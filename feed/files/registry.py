"""Readers and writers by the ending of a file's name; readers built in, or of a plug-in."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa

from feed.console import printable
from feed.errors import FeedCorrupt, FeedError, FeedUnavailable, NoRows
from feed.files.fragments import FileBlock, Fragment, check_symbols
from feed.files.names import book_of_messages, is_lean, is_lean_listed, is_lobster, is_taq, is_taq_name, is_tardis
from feed.files.streams import COMPRESSIONS, check_there, damage_reported, open_bytes
from feed.levels import MOST_LEVELS
from feed.plugins import Kind, Loaded, PluginError, UnknownNameError, installed, load, refusing
from feed.publishers import in_us_equities
from feed.tape import Tape

if TYPE_CHECKING:
    import io
    from pathlib import Path

    from feed.files.streams import Limit
    from feed.plugins import Plugin
    from feed.tables import QuoteMapping


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted of a file.

    Attributes
    ----------
    symbol : str, optional
        Which symbol; all by default.
    max_bytes : int or Share, optional
        Decompressed bytes that may be read; by default as many as `feed.files.streams.bounds_of` says.
    depth : int
        Levels of a side that are read at most.
    quotes : QuoteMapping, optional
        What the file does not say itself.
    """

    symbol: str | None = None
    max_bytes: Limit = None
    depth: int = MOST_LEVELS
    quotes: QuoteMapping | None = None

    def open(self, path: Path) -> io.BufferedReader:
        """Open a file for its bytes, decompressed where it ends in .gz or .zst, up to the bound (FeedCorrupt)."""
        return open_bytes(path, self.max_bytes)


Read = Callable[["Path", Request], "FileBlock"]


def _read_csv(path: Path, request: Request) -> FileBlock:
    from feed.files.csv_reader import read_csv

    return read_csv(path, request.symbol, request.max_bytes, request.depth)


def _read_dbn(path: Path, request: Request) -> FileBlock:
    from feed.files.dbn_reader import read_dbn

    return read_dbn(path, request.symbol, request.max_bytes, request.depth)


def _read_parquet(path: Path, request: Request) -> FileBlock:
    from feed.files.parquet import read_parquet

    return read_parquet(path, request.symbol, request.max_bytes, request.depth)


READERS: dict[str, Read] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".csv.zst": _read_csv,
    ".dbn": _read_dbn,
    ".dbn.zst": _read_dbn,
    ".parquet": _read_parquet,
}
"""How a file is read, by the ending of its name."""


def _read_mapped(path: Path, request: Request) -> FileBlock:
    from feed.files.table_reader import read_mapped

    if request.quotes is None:
        raise AssertionError("read by a mapping without one")
    return read_mapped(path, request.quotes, request.symbol, request.max_bytes, request.depth)


class Format(NamedTuple):
    """The layout of a vendor.

    Attributes
    ----------
    about : str
        Whose layout it is, in a few words.
    fits : callable
        Whether a file, by its name and its first bytes, is of this layout; no file fits two.
    read : callable
    lists : callable
        Whether a file of a directory is of this layout by its path alone, whatever its ending.
    beside : callable
        The path of the file that one is read with, and so passed over in a directory; None where it is read by itself.
    """

    about: str
    fits: Callable[[Path], bool]
    read: Read
    lists: Callable[[str], bool] = lambda _: False
    beside: Callable[[str], str | None] = lambda _: None


def _read_lobster(path: Path, request: Request) -> FileBlock:
    from feed.files.lobster import read_lobster

    return read_lobster(path, request)


def _read_tardis(path: Path, request: Request) -> FileBlock:
    from feed.files.tardis import read_tardis

    return read_tardis(path, request)


def _read_taq(path: Path, request: Request) -> FileBlock:
    from feed.files.taq import read_taq

    return read_taq(path, request)


def _read_lean(path: Path, request: Request) -> FileBlock:
    from feed.files.lean import read_lean

    return read_lean(path, request)


FORMATS: dict[str, Format] = {
    "lobster": Format(
        "LOBSTER's messages and order book",
        lambda path: is_lobster(path.name),
        _read_lobster,
        is_lobster,
        book_of_messages,
    ),
    "taq": Format("quotes of NYSE's Daily TAQ, as NYSE or WRDS writes them", is_taq, _read_taq, is_taq_name),
    "lean": Format("equity quotes of QuantConnect's Lean", lambda path: is_lean(path.name), _read_lean, is_lean_listed),
    "tardis": Format("tables of tardis.dev", is_tardis, _read_tardis),
}
"""Layouts that their ending alone does not tell, by the name that `quotes.format` takes."""


def ending_of(name: str) -> str | None:
    """The ending of a file's name, one of `READERS`; None for any other."""
    return next((ending for ending in READERS if name.lower().endswith(ending)), None)


def passed_over(path: str, paths: Collection[str]) -> bool:
    """Whether a file is read with another one of those of a directory."""
    return any(each.beside(path) in paths for each in FORMATS.values())


def is_read(path: str) -> bool:
    """Whether a file of a directory is one to read, by its path."""
    known = ending_of(path) is not None or any(each.lists(path) for each in FORMATS.values())
    return known or _brought(path) is not None


def _fault(target: Any) -> str | None:  # noqa: ANN401 - whatever an entry point refers to
    return None if callable(target) else f"expected a function, but it had {type(target).__name__}"


READER: Final = Kind("reader", "sor_sweep.readers", (*FORMATS, "csv", "dbn", "parquet", "gz", "zst", "zip"), _fault)
"""Readers as plug-ins: functions of a path and a `Request` that return a tape, or several of different symbols."""


def _brought(path: str) -> str | None:
    """The plug-in that reads a file by its ending: NAME reads .NAME, .NAME.gz and .NAME.zst."""
    name = path.rpartition("/")[2].lower()
    for packed in COMPRESSIONS:
        name = name.removesuffix(packed)
    ending = name.rpartition(".")[2] if "." in name else ""
    if not ending or ending in READER.built_in or any(each.lists(path) for each in FORMATS.values()):
        return None
    return next((each for each in installed(READER) if each.lower() == ending), None)


def endings() -> list[str]:
    """The endings of files that are read, for a message."""
    return [*READERS, *(f".{name}" for name in installed(READER))]


def reader_of(path: str, quotes: QuoteMapping | None) -> Plugin | None:
    """The plug-in that reads a file; None where what is built in does.

    Raises
    ------
    FeedUnavailable
        It cannot be used.
    """
    with refusing(path):
        loaded = _loaded(path, quotes)
    return None if loaded is None else loaded.plugin


def _loaded(path: str, quotes: QuoteMapping | None) -> Loaded | None:
    if quotes is not None and (quotes.names_columns or quotes.format in FORMATS):
        return None
    name = None if quotes is None else quotes.format
    if name is None and ending_of(path) is None:
        name = _brought(path)
    return None if name is None else load(READER, name)


def _read_by(loaded: Loaded, path: Path, request: Request) -> FileBlock:
    """Read a file by a plug-in, whose errors about what it holds are damage of the file; others are the plug-in's."""

    def one_line(error: BaseException) -> str:
        return printable(" ".join(f"{type(error).__name__}: {error}".split())[:300])

    try:
        with damage_reported(path):
            made = loaded.target(path, request)
            tapes = [made] if isinstance(made, Tape) else list(made)
    except (FeedError, MemoryError, OSError):
        raise
    except (ValueError, LookupError, ArithmeticError) as error:
        raise FeedCorrupt(f"reader {loaded.plugin.name}: {one_line(error)}", str(path), "export it again") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a foreign reader does
        raise FeedUnavailable(f"{loaded.plugin} failed: {one_line(error)}", str(path), "mend or uninstall it") from None
    by_symbol = {tape.symbol: tape for tape in tapes if isinstance(tape, Tape)}
    if len(by_symbol) < len(tapes):
        raise FeedUnavailable(
            "it returned what is no tape, or two of one symbol", str(path), f"see {loaded.plugin.distribution}"
        )
    if not any(tape.rows or len(tape.trades.ts) for tape in tapes):
        raise NoRows("there are no rows in it", str(path), "export it again")
    check_symbols(by_symbol, request.symbol, str(path))
    kept = [tape.up_to(request.depth) for name, tape in sorted(by_symbol.items()) if request.symbol in {None, name}]
    return FileBlock(
        tuple(Fragment(tape) for tape in kept if tape.rows or len(tape.trades.ts)), tuple(sorted(by_symbol))
    )


def _reader(path: Path, quotes: QuoteMapping | None) -> Read:
    """How a file is read: by the layout that is named, or seen, or by its ending; as CSV where none is known."""
    if quotes is not None and quotes.names_columns:
        return _read_mapped
    if quotes is not None and quotes.format in FORMATS:
        return FORMATS[quotes.format].read
    try:
        loaded = _loaded(str(path), quotes)
    except UnknownNameError:
        layouts = ", ".join((*FORMATS, *installed(READER)))
        raise FeedUnavailable(
            f"unknown layout {quotes and quotes.format!r}", "quotes.format", f"there are {layouts}"
        ) from None
    except PluginError as error:
        raise FeedUnavailable(str(error), str(path)) from None
    if loaded is not None:
        return partial(_read_by, loaded)
    seen = next((format_.read for format_ in FORMATS.values() if format_.fits(path)), None)
    if seen is None and quotes is not None and (idle := sorted({*quotes.given} - {"prices"})):
        raise FeedUnavailable(
            f"quotes.{idle[0]} does nothing for {path.name}, whose columns of prices and sizes are not named",
            "quotes",
            "name them: quotes.bid_px, ...; python -m feed map proposes them",
        )
    return seen or READERS[ending_of(path.name) or ".csv"]


def _refuse_below_0(block: FileBlock, where: str) -> None:
    """Refuse (FeedUnavailable) US equities with prices below 0, of which they have none."""
    below_0 = sum(each.below_0 for each in block.fragments if in_us_equities(each.tape.venues.tolist()))
    if below_0:
        count = f"{below_0:,} prices are" if below_0 > 1 else "a price is"
        raise FeedUnavailable(
            f"{count} below 0", where, "US equities have none; quotes.prices=signed takes them as no quotes"
        )


def read_file(
    path: Path,
    symbol: str | None = None,
    max_bytes: Limit = None,
    depth: int | None = None,
    quotes: QuoteMapping | None = None,
) -> FileBlock:
    """Read a file by its layout, or its ending; as CSV where neither is known.

    Parameters
    ----------
    path : Path
    symbol : str, optional
        Which symbol; all by default.
    max_bytes : int or Share, optional
        Decompressed bytes that may be read; by default as many as `feed.files.streams.bounds_of` says.
    depth : int, optional
        Levels of a side that are read at most; fewer where the file has fewer. By default as many as each symbol shows
        in any row, whatever columns or records the file has room for.
    quotes : QuoteMapping, optional
        What the file does not say itself.

    Raises
    ------
    FeedUnavailable
        No such file, nothing in it, missing columns, or its library is not installed.
    FeedCorrupt
        The file is damaged, or holds a number that no tape holds; says where.
    """
    check_there(path)
    block = _reader(path, quotes)(path, Request(symbol, max_bytes, depth or MOST_LEVELS, quotes))
    if quotes is None or quotes.prices == "positive":
        _refuse_below_0(block, str(path))
    if depth is None:
        block = block.shown()
    pa.default_memory_pool().release_unused()  # it keeps its buffers, twice the size of a tape or more
    return block


PARQUET_HOLDS_ANY = "write .parquet, which holds any tape"


def _write_csv(tape: Tape, path: Path) -> None:
    from feed.files.csv_writer import write_csv

    write_csv(tape, path)


def _write_dbn(tape: Tape, path: Path) -> None:
    from feed.files.dbn_writer import write_dbn

    write_dbn(tape, path)


def _write_parquet(tape: Tape, path: Path) -> None:
    from feed.files.parquet import write_parquet

    write_parquet([tape], path)


WRITERS: dict[str, Callable[[Tape, Path], None]] = {
    ".csv": _write_csv,
    ".csv.gz": _write_csv,
    ".csv.zst": _write_csv,
    ".dbn": _write_dbn,
    ".dbn.zst": _write_dbn,
    ".parquet": _write_parquet,
}
"""How a tape is written, by the ending of the file's name; ValueError where a format cannot hold it."""
