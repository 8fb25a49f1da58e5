"""The run store: DIR/runs/ID holds a run's manifest, its rows as they arrive, its log, and at last its result.

One driver at a time writes a run. Nothing in a run is changed in place: parts are added, files are replaced atomically.
So whatever ends a driver, what it stored can be read, and the same command, or ``resume``, does the rest.
"""

from __future__ import annotations

import json
import shlex
import shutil
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Struct

from feed.errors import FeedCorrupt
from sweep.chunks import within
from sweep.errors import ConfigError
from sweep.runs.files import open_regular, sha256, write_text
from sweep.runs.folder import (
    ASKED,
    COMBINATIONS,
    DOCUMENT,
    ORDERS,
    PARTS,
    TABLE,
    VENUES,
    VIEWS,
    discard,
    locked,
    remove,
    tidy,
    unwritable,
)
from sweep.runs.log import RunLog
from sweep.runs.manifest import (
    MALFORMED,
    Manifest,
    Planned,
    describe_malformed,
    new_manifest,
    now,
    read_manifest,
    write_manifest,
)
from sweep.runs.manifest import NAME as MANIFEST
from sweep.runs.parts import Done, Natural, PartWriter, list_parts, read_part
from sweep.runs.table import read_result, write_columns, write_combinations, write_table
from sweep.sink import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from sweep.chunks import Chunk, Cutter, Span
    from sweep.config import Question
    from sweep.planning import Plan
    from sweep.result import Result
    from sweep.runs.log import BufferedProgress
    from sweep.tasks import ChunkRows, Failure


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    """What a round of a search asked for.

    Attributes
    ----------
    count : int
        How many points it might have.
    places : list of int
        On the lattice of the search, ascending.
    seconds : float
        How long the rounds before took.
    """

    count: Natural
    places: list[Natural]
    seconds: Annotated[float, Meta(ge=0)]


class Store:
    """A run in progress: takes its chunks, knows which are missing, and keeps its result.

    This one keeps nothing beyond the process; `StoredRun` does.

    Attributes
    ----------
    finished : Result, optional
        The stored result, if the run is complete already.
    planned : Planned, optional
        How the run was cut when it began, if it is resumed.
    keeps : bool
        Whether a result is written to disk.
    """

    finished: Result | None = None
    planned: Planned | None = None
    keeps: bool = False

    def begin(self, plan: Plan, number: int | None = None, *, grouped: bool | None = None) -> None:
        """Get ready for a plan's chunks.

        Parameters
        ----------
        plan : Plan
        number : int, optional
            Of the round of a search, whose plan it is.
        grouped : bool, optional
            Whether a search runs classes; else the plan says it.
        """
        self._plan, self._round = plan, number
        self._grouped = len(plan.classes) < len(plan.grid) if grouped is None else grouped
        self._sink = MemorySink(plan.orders.groups_of, len(plan.classes))
        if not number:
            self._arrived = self._simulated = self._chunks = self._largest = 0
        self._failures: list[Failure] = []

    def asked(self, number: int) -> Asked | None:  # noqa: ARG002 - nothing is stored
        """What a round asked for before the run was cut short; None where it did not begin."""
        return None

    def keep_asked(self, number: int, asked: Asked) -> None:
        """Keep what a round asks for."""

    def cutter(self, tape: int, ranges: Sequence[tuple[int, int]]) -> Cutter:
        """A cutter of the chunks of a tape that are missing, of some ranges of classes [first, past)."""
        return self._plan.cutter(tape, within(self._sink.missing(tape, together=self._plan.together), ranges))

    @property
    def arrived(self) -> int:
        """Combinations that have arrived."""
        return self._arrived

    def blocks(self) -> Iterator[NDArray[np.int64]]:
        """The rows that arrived, one per class, in blocks of (R, 8) int64, the columns of `allocator.order.FIELDS`."""
        return self._sink.blocks()

    def witness(self, tape: int) -> Chunk | None:
        """A class of a tape that arrived with a row, as a chunk."""
        return self._sink.witness(tape)

    def leave_out(self, tape: int, classes: NDArray[np.int64]) -> None:
        """Note that some classes will not run on a tape."""
        self._sink.leave_out(tape, classes)

    def on_tape(self, tape: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The rows of a tape that arrived: as `sweep.sink.MemorySink.on_tape`."""
        return self._sink.on_tape(tape)

    def missing(self, tape: int) -> list[Span]:
        """The spans of classes of a tape that have not arrived."""
        return self._sink.missing(tape)

    @property
    def simulated(self) -> int:
        """Rows that were simulated for these combinations."""
        return self._simulated

    @property
    def chunks(self) -> int:
        """Chunks in which they came."""
        return self._chunks

    @property
    def largest(self) -> int:
        """Simulations of the largest of these chunks."""
        return self._largest

    def append(self, chunk: Chunk, rows: ChunkRows) -> None:
        """Keep the rows of a chunk."""
        self._sink.append(chunk, rows)
        self._count(chunk, len(rows.rows), rows.failures)

    def _count(self, chunk: Chunk, simulated: int, failures: tuple[Failure, ...]) -> None:
        self._arrived += self._plan.count(chunk)
        self._simulated += simulated
        self._chunks += 1
        self._largest = max(self._largest, len(chunk))
        self._failures += failures

    def ended(self) -> tuple[NDArray[np.int64], tuple[Failure, ...]]:
        """The rows of all classes, and the failures, both ascending; every chunk has arrived."""
        return self._sink.table(), tuple(sorted(self._failures, key=lambda failure: failure.combination))

    def finish(self, result: Result) -> None:
        """Keep the result."""

    def note(self, event: str, **facts: Any) -> None:  # noqa: ANN401 - JSON
        """Write a line into the run's log."""


class StoredRun(Store):
    """A run with a folder of its own.

    Parameters
    ----------
    home : Path
        The run's folder, locked.
    manifest : Manifest
        Of the run; on disk already if the run is resumed or complete.
    log : RunLog
    """

    keeps = True

    def __init__(self, home: Path, manifest: Manifest, log: RunLog, *, begun: bool) -> None:
        self.home, self._manifest, self._log, self._begun = home, manifest, log, begun
        self._writer: PartWriter | None = None
        self._restored = self._written = 0
        self._asked: tuple[int, Asked] | None = None
        if begun and manifest.status == "complete":
            tidy(home)
            self.finished = read_result(home, manifest)
        elif begun:
            self.planned = manifest.plan

    def begin(self, plan: Plan, number: int | None = None, *, grouped: bool | None = None) -> None:
        """As `Store.begin`, after reading back what is stored.

        Raises
        ------
        ConfigError
            A part is damaged, or the folder cannot be written.
        """
        super().begin(plan, number, grouped=grouped)
        if self._writer is not None:
            self._writer.close()
            self._written += self._writer.written
        parts = self._folder(number)
        with self._writing():
            if not number and not self._begun:
                remove(self.home / PARTS)
            parts.mkdir(parents=True, exist_ok=True)
            if not number and not self._begun:
                self._manifest = msgspec.structs.replace(self._manifest, plan=describe(plan, collapse=self._grouped))
                write_manifest(self.home, self._manifest)
            self._write_asked()
            stored, part = list_parts(parts)
        before = self.arrived
        for path in stored:
            self._read_back(path)
        about = {} if number is None else {"round": number}
        event = "resumed" if self._begun else "round" if number else "began"
        self.note(event, arrived=self.arrived, combinations=plan.combinations, **about)
        self._restored += self.arrived - before
        self._writer = PartWriter(parts, self._manifest.id, part, self._sink.rows_of, plan.count)

    def _folder(self, number: int | None) -> Path:
        """Where the parts are, those of each round of a search by themselves."""
        return self.home / PARTS if number is None else self.home / PARTS / f"{number:06}"

    def asked(self, number: int) -> Asked | None:
        """As `Store.asked`.

        Raises
        ------
        ConfigError
            The file is damaged.
        """
        path = self._folder(number) / ASKED
        if not self._begun or not path.exists():
            return None
        try:
            with open_regular(path) as file:
                return msgspec.json.decode(file.read(), type=Asked)
        except (OSError, msgspec.DecodeError, *MALFORMED) as error:
            raise ConfigError(
                f"{path}: is damaged ({describe_malformed(error)}); start the run anew with --force"
            ) from None

    def keep_asked(self, number: int, asked: Asked) -> None:
        """As `Store.keep_asked`; it is on disk before the round runs.

        Raises
        ------
        ConfigError
            It is not what the round asked for before, or the folder cannot be written.
        """
        stored = self.asked(number)
        if stored is not None and stored.places != asked.places:
            raise ConfigError(
                f"{self.home}: its search asked for other places in round {number} than it asks for now; start the run "
                "anew with --force"
            )
        self._asked = number, asked
        if self._writer is not None:  # else there is no manifest yet, which comes first
            with self._writing():
                self._write_asked()

    def _write_asked(self) -> None:
        if self._asked is None:
            return
        number, asked = self._asked
        path = self._folder(number) / ASKED
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, msgspec.json.encode(asked).decode())

    def _read_back(self, path: Path) -> None:
        rows, done = read_part(path, self._manifest.id)
        first = 0
        for record in done:
            rows_of_chunk = rows[first : first + record.rows]
            first += record.rows
            if self._is_half(record.chunk):
                continue
            try:
                self._sink.restore(record.chunk, rows_of_chunk)
            except ValueError as error:
                raise ConfigError(f"{path}: does not belong to this run ({error}); remove it") from None
            self._count(record.chunk, record.simulated, record.failures)

    def _is_half(self, chunk: Chunk) -> bool:
        """Whether a chunk is a part of one of all groups, which was lost before: the whole runs again."""
        groups_of = self._plan.orders.groups_of
        return self._plan.together and chunk.tape < len(groups_of) and chunk.orders < groups_of[chunk.tape]

    def append(self, chunk: Chunk, rows: ChunkRows) -> None:
        """As `Store.append`; the rows are on disk soon after."""
        super().append(chunk, rows)
        row_count = len(chunk) - int(np.count_nonzero(rows.of < 0))
        self._parts.put(Done(chunk, row_count, len(rows.rows), rows.failures))

    @property
    def _parts(self) -> PartWriter:
        if self._writer is None:
            raise RuntimeError("a run takes chunks after it began")
        return self._writer

    def finish(self, result: Result) -> None:
        """Write the table and the document, then say in the manifest that the run is complete.

        Raises
        ------
        ConfigError
            The disk is full, or the folder is gone; what was stored stays.
        """
        self._parts.close()
        with self._writing():
            write_table(self.home / TABLE, result)
            write_columns(self.home / ORDERS, [result.load_orders()])
            write_columns(self.home / VENUES, result.load_venues())
            write_combinations(self.home / COMBINATIONS, result)
            views = {name: result.load_view(name) for name in VIEWS}
            for name, columns in views.items():
                write_columns(self.home / VIEWS[name], [columns])
            write_text(self.home / DOCUMENT, json.dumps(result.document, indent=2, allow_nan=False) + "\n")
            files = {
                name: sha256(self.home / name)
                for name in (TABLE, ORDERS, VENUES, COMBINATIONS, *VIEWS.values(), DOCUMENT)
            }
            places = UNSET if result.config.places is None else result.config.places.tolist()
            complete = msgspec.structs.replace(
                self._manifest, status="complete", finished=now(), files=files, places=places
            )
            write_manifest(self.home, complete)
            self._manifest = complete
            shutil.rmtree(self.home / PARTS)
        self.note("complete", failed=len(result.failures))

    def close(self) -> str:
        """Store what has arrived of a run that was cut short; return a line that says how much that is."""
        if self._writer is None:
            return f"what was stored in {self.home} stands" if self._begun else "nothing was stored"
        with suppress(Exception):  # the error that ends the run is the one to report
            self._writer.close()
        if self._manifest.status == "complete":
            return f"the result is stored in {self.home}"
        if not (self.home / PARTS).is_dir():
            return f"nothing is stored: {self.home / PARTS} is gone"
        stored, total = self._restored + self._written + self._writer.written, self._plan.combinations
        resume_command = f"python -m sweep resume {shlex.quote(str(self.home))}"
        if self._round is not None:
            return f"{stored:,} combinations are stored; {resume_command} goes on from there"
        if stored == total:
            return f"all {total:,} combinations are stored, the result is not; {resume_command} makes it"
        return f"{stored:,} of {total:,} combinations are stored; {resume_command} does the rest"

    def note(self, event: str, **facts: Any) -> None:  # noqa: ANN401 - JSON
        """Write a line into the run's log."""
        self._log.write(event, **facts)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            unwritable(self.home, error)


def describe(plan: Plan, *, collapse: bool) -> Planned:
    """What a manifest keeps of a plan."""
    return Planned(
        combinations=plan.combinations,
        orders=len(plan.orders),
        kernel=plan.kernel,
        measured=list(plan.measured),
        workers=plan.workers,
        object_store_bytes=plan.nbytes,
        collapse=collapse,
    )


@contextmanager
def open_store(
    home: Path | None,
    identifier: str,
    question: Question,
    feed: dict[str, Any],
    progress: BufferedProgress,
    *,
    force: bool,
) -> Iterator[Store]:
    """Open a run's folder, new or as it was left; without a folder nothing is stored.

    Parameters
    ----------
    home : Path, optional
    identifier : str
        The run's id.
    question : Question
    feed : dict
        The document's section of that name.
    progress : BufferedProgress
        Its lines go into the run's log, too.
    force : bool
        Begin anew, whatever is there.

    Raises
    ------
    ConfigError
        The folder cannot be written, another driver holds it, or it holds another run.
    """
    if home is None:
        yield Store()
        return
    with locked(home, make=True), closing(RunLog(home, identifier)) as log:
        if force:
            discard(home)
        begun = (home / MANIFEST).exists()
        manifest = read_manifest(home) if begun else new_manifest(identifier, question, feed, _NOT_YET)
        if manifest.digest != feed["digest"]:
            raise FeedCorrupt(
                f"its digest is {feed['digest'][:12]}, but run {home} was made of {manifest.digest[:12]}",
                feed["place"],
                "name where the same quotes are: source=..., replay=...",
            )
        if manifest.id != identifier:
            raise ConfigError(f"{home}: holds run {manifest.id}, but this is run {identifier}; choose another folder")
        progress.into(log)
        store = StoredRun(home, manifest, log, begun=begun)
        try:
            yield store
        except BaseException as error:
            error.add_note(store.close())
            with suppress(ConfigError):
                store.note("ended", error=type(error).__name__)
            raise


_NOT_YET: Final = Planned(combinations=0, orders=0, kernel="", measured=[], workers=0, object_store_bytes=0)
"""Stands for a plan that is not made yet; the manifest is written once it is."""
