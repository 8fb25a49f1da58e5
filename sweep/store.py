"""The run store: DIR/runs/ID holds what a run is, its rows as they arrive, its log, and at last its result.

One driver at a time writes a run. Nothing in a run is changed in place: parts are added, files are replaced whole. So
whatever ends a driver, what it had stored can be read, and the same command, or ``resume``, does the rest.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import msgspec
import numpy as np

from feed.errors import FeedCorrupt
from sweep.durable import PART, open_regular, reason, sha256, write_text
from sweep.errors import ConfigError
from sweep.manifest import (
    MALFORMED,
    Manifest,
    Planned,
    config_of,
    describe_malformed,
    new_manifest,
    now,
    read_manifest,
    write_manifest,
)
from sweep.manifest import NAME as MANIFEST
from sweep.output import write_table
from sweep.parts import Done, PartWriter, list_parts, read_part
from sweep.result import Result
from sweep.runlog import RunLog
from sweep.sink import COLUMNS, MemorySink
from sweep.tasks import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from sweep.chunks import Chunk, Cutter
    from sweep.config import Config
    from sweep.plan import Plan
    from sweep.runlog import Remembering
    from sweep.tasks import ChunkRows

RUNS: Final = "runs"
DOCUMENT: Final = "result.json"
TABLE: Final = "results.parquet"
PARTS: Final = "parts"
LOCK: Final = "lock"


class Store:
    """A run that is under way: takes its chunks, knows which are missing, and keeps its result.

    This one keeps nothing beyond the process; `StoredRun` does.

    Attributes
    ----------
    finished : Result, optional
        The stored result, where the run was complete already.
    planned : Planned, optional
        How the run was cut when it began, where it is resumed.
    """

    finished: Result | None = None
    planned: Planned | None = None

    def begin(self, plan: Plan) -> Cutter:
        """Get ready for a plan's chunks; what is handed out is what is missing."""
        self._plan = plan
        self._sink = MemorySink(plan.tapes, len(plan.orders), len(plan.grid))
        self._simulated = self._chunks = self._largest = 0
        self._failures: list[Failure] = []
        return plan.cutter()

    @property
    def arrived(self) -> int:
        """Combinations that are there."""
        return self._sink.arrived

    def blocks(self) -> Iterator[NDArray[np.int64]]:
        """(R, 8) int64 each, the rows that are there, a block at a time, the columns of `allocator.order.FIELDS`."""
        return self._sink.blocks()

    def witness(self) -> Chunk | None:
        """A combination that is there with a row, as a chunk."""
        return self._sink.witness()

    @property
    def simulated(self) -> int:
        """Rows that were simulated for them."""
        return self._simulated

    @property
    def chunks(self) -> int:
        """Chunks in which they came."""
        return self._chunks

    @property
    def largest(self) -> int:
        """Combinations of the largest of them."""
        return self._largest

    def append(self, chunk: Chunk, rows: ChunkRows) -> None:
        """Keep the rows of a chunk."""
        self._sink.append(chunk, rows)
        self._count(chunk, len(rows.rows), rows.failures)

    def _count(self, chunk: Chunk, simulated: int, failures: tuple[Failure, ...]) -> None:
        self._simulated += simulated
        self._chunks += 1
        self._largest = max(self._largest, len(chunk))
        self._failures += failures

    def ended(self) -> tuple[NDArray[np.int64], tuple[Failure, ...]]:
        """The table and the failures, both ascending; every chunk has arrived."""
        return self._sink.table(), tuple(sorted(self._failures, key=lambda each: each.combination))

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
        What the run is; on disk already where it is resumed or complete.
    log : RunLog
    """

    def __init__(self, home: Path, manifest: Manifest, log: RunLog, *, begun: bool) -> None:
        self.home, self._manifest, self._log, self._begun = home, manifest, log, begun
        self._writer: PartWriter | None = None
        self._restored = 0
        if begun and manifest.status == "complete":
            _tidy(home)
            self.finished = read_result(home, manifest)
        elif begun:
            self.planned = manifest.plan

    def begin(self, plan: Plan) -> Cutter:
        """As `Store.begin`; what is stored is read back.

        Raises
        ------
        ConfigError
            A part is damaged, or the folder cannot be written.
        """
        super().begin(plan)
        parts = self.home / PARTS
        with self._writing():
            if not self._begun:
                _remove(parts)
            parts.mkdir(exist_ok=True)
            if not self._begun:
                self._manifest = msgspec.structs.replace(self._manifest, plan=describe(plan))
                write_manifest(self.home, self._manifest)
            stored, number = list_parts(parts)
        for path in stored:
            self._read_back(path)
        self.note("resumed" if self._begun else "began", arrived=self.arrived, combinations=plan.combinations)
        self._restored = self.arrived
        self._writer = PartWriter(parts, self._manifest.id, number, self._sink.rows_of)
        return plan.cutter(self._sink.missing(together=plan.together))

    def _read_back(self, path: Path) -> None:
        rows, done = read_part(path, self._manifest.id)
        at = 0
        for each in done:
            try:
                self._sink.restore(each.chunk, rows[at : at + each.rows])
            except ValueError as error:
                raise ConfigError(f"{path}: does not belong to this run ({error}); remove it") from None
            at += each.rows
            self._count(each.chunk, each.simulated, each.failures)

    def append(self, chunk: Chunk, rows: ChunkRows) -> None:
        """As `Store.append`, on disk soon after."""
        super().append(chunk, rows)
        kept = len(chunk) - int(np.count_nonzero(rows.of < 0))
        self._parts.put(Done(chunk, kept, len(rows.rows), rows.failures))
        self.note(
            "chunk",
            chunk=str(chunk),
            combinations=len(chunk),
            simulated=len(rows.rows),
            failed=len(rows.failures),
            seconds=round(rows.seconds, 6),
        )

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
            The disk is full, or the folder went away; what was stored stands.
        """
        self._parts.close()
        with self._writing():
            write_table(self.home / TABLE, result)
            write_text(self.home / DOCUMENT, json.dumps(result.document, indent=2, allow_nan=False) + "\n")
            files = {name: sha256(self.home / name) for name in (TABLE, DOCUMENT)}
            complete = msgspec.structs.replace(self._manifest, status="complete", finished=now(), files=files)
            write_manifest(self.home, complete)
            self._manifest = complete
            shutil.rmtree(self.home / PARTS)
        self.note("complete", failed=len(result.failures))

    def close(self) -> str:
        """Store what has arrived, of a run that was cut short; say how much that is."""
        if self._writer is None:
            return f"what was stored in {self.home} stands" if self._begun else "nothing was stored"
        with suppress(Exception):  # what is told is why the run ends
            self._writer.close()
        if self._manifest.status == "complete":
            return f"the result is stored in {self.home}"
        if not (self.home / PARTS).is_dir():
            return f"nothing is stored: {self.home / PARTS} is gone"
        stored, total = self._restored + self._writer.written, self._plan.combinations
        goes_on = f"python -m sweep resume {shlex.quote(str(self.home))}"
        if stored == total:
            return f"all {total:,} combinations are stored, the result is not; {goes_on} makes it"
        return f"{stored:,} of {total:,} combinations are stored; {goes_on} does the rest"

    def note(self, event: str, **facts: Any) -> None:  # noqa: ANN401 - JSON
        """Write a line into the run's log."""
        self._log.write(event, **facts)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            _unwritable(self.home, error)


def describe(plan: Plan) -> Planned:
    """What a manifest keeps of a plan."""
    return Planned(
        combinations=plan.combinations,
        orders=len(plan.orders),
        kernel=plan.kernel,
        measured=list(plan.measured),
        workers=plan.workers,
        object_store_bytes=plan.nbytes,
    )


def _unwritable(home: Path, error: OSError) -> NoReturn:
    raise ConfigError(f"output: {home} cannot be written ({reason(error)}); make room there or choose another folder")


@contextmanager
def open_store(
    home: Path | None, identifier: str, config: Config, feed: dict[str, Any], progress: Remembering, *, force: bool
) -> Iterator[Store]:
    """Open a run's folder, new or as it was left; without one nothing is stored.

    Parameters
    ----------
    home : Path, optional
    identifier : str
        The run's id.
    config : Config
    feed : dict
        The document's section of that name.
    progress : Remembering
        What was said goes into the run's log.
    force : bool
        Begin anew, whatever is there.

    Raises
    ------
    ConfigError
        The folder cannot be written, another driver holds it, or it holds something else.
    """
    if home is None:
        yield Store()
        return
    with locked(home, make=True):
        log = RunLog(home, identifier)
        if force:
            discard(home)
        begun = (home / MANIFEST).exists()
        manifest = read_manifest(home) if begun else new_manifest(identifier, config, feed, _NOT_YET)
        if manifest.digest != feed["digest"]:
            raise FeedCorrupt(
                f"its digest is {feed['digest'][:12]}, but run {home} was made of {manifest.digest[:12]}",
                feed["place"],
                "name where the same quotes are: source=..., replay=...",
            )
        if manifest.id != identifier:
            raise ConfigError(f"{home}: holds run {manifest.id}, but this is run {identifier}; choose another folder")
        try:
            progress.into(log)
            store = StoredRun(home, manifest, log, begun=begun)
            try:
                yield store
            except BaseException as error:
                error.add_note(store.close())
                with suppress(ConfigError):
                    store.note("ended", error=type(error).__name__)
                raise
        finally:
            log.close()


_NOT_YET: Final = Planned(combinations=0, orders=0, kernel="", measured=[], workers=0, object_store_bytes=0)
"""Of a run whose plan is not made; its manifest is written when it is."""


@contextmanager
def locked(home: Path, *, make: bool = False) -> Iterator[None]:
    """Hold a run's folder, which one process at a time may.

    Raises
    ------
    ConfigError
        It cannot be made or written, or another process holds it.
    """
    try:
        if make:
            home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    except OSError as error:
        _unwritable(home, error)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{home}: another process is writing this run; wait for it to end") from None
        yield
    finally:
        os.close(descriptor)


def discard(home: Path) -> None:
    """Remove what a run stored, last the manifest that says whose it was; the log stays."""
    try:
        for name in (PARTS, TABLE, DOCUMENT, MANIFEST):
            _remove(home / name)
    except OSError as error:
        _unwritable(home, error)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _tidy(home: Path) -> None:
    """Remove what a driver left that ended between its last two steps."""
    with suppress(OSError):
        for path in (home / PARTS, *home.glob(f"*{PART}")):
            _remove(path)


def read_document(home: Path, manifest: Manifest) -> dict[str, Any]:
    """The stored document of a complete run, held against its manifest.

    Raises
    ------
    ConfigError
        It is not there, or not what the manifest names.
    """
    path = home / DOCUMENT
    try:
        with open_regular(path) as file:
            content = file.read()
        found = sha256(path)
        there = (home / TABLE).exists()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({reason(error)}); start the run anew with --force") from None
    if found != manifest.files.get(DOCUMENT) or not there:
        what = f"{path}: is not what {MANIFEST} names" if there else f"{home / TABLE}: is missing"
        raise ConfigError(f"{what}; it was changed or damaged: start the run anew with --force")
    try:
        msgspec.json.decode(content, type=_Stored)
        document: dict[str, Any] = json.loads(content)
    except (msgspec.DecodeError, *MALFORMED) as error:
        raise ConfigError(
            f"{path}: is no result, or damaged ({describe_malformed(error)}); start the run anew with --force"
        ) from None
    return document


class _Failed(msgspec.Struct):
    """What is read of a combination that failed."""

    combination: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    error: str


class _Stored(msgspec.Struct):
    """What is read of a document, beside what is printed as it stands."""

    failed: list[_Failed]
    feed: dict[str, Any]


def read_table(home: Path, manifest: Manifest) -> NDArray[np.int64]:
    """(R, 11) int64, the stored rows of a complete run, the columns of `sweep.sink.COLUMNS`.

    Raises
    ------
    ConfigError
        The file is missing, damaged, or not what the manifest names.
    """
    import pyarrow as pa
    from pyarrow import parquet

    path = home / TABLE
    try:
        open_regular(path).close()
        changed = sha256(path) != manifest.files.get(TABLE)
        read = parquet.read_table(path, columns=list(COLUMNS))
        table = np.empty((read.num_rows, len(COLUMNS)), np.int64)
        for at, name in enumerate(COLUMNS):
            table[:, at] = read.column(name).to_numpy()
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        said = reason(error) if isinstance(error, OSError) else str(error)
        said = next(iter(said.splitlines()), type(error).__name__)
        raise ConfigError(f"{path}: is damaged ({said}); start the run anew with --force") from None
    if changed:
        raise ConfigError(f"{path}: is not what {MANIFEST} names; it was changed: start the run anew with --force")
    return table


def read_result(home: Path, manifest: Manifest) -> Result:
    """The stored result of a complete run.

    Raises
    ------
    ConfigError
        Its files are not what the manifest names.
    """
    document = read_document(home, manifest)
    failures = tuple(Failure(each["combination"], each["error"], "") for each in document["failed"])
    return Result(config_of(manifest), document, lambda: read_table(home, manifest), failures, home)
