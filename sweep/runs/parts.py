"""Stores result rows as they arrive: numbered Parquet files, each with the chunks since the one before.

A part is never changed once it is there. Many small parts are merged into one, whose name says which it replaces.
"""

from __future__ import annotations

import hashlib
import queue
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import msgspec
import numpy as np
from msgspec import Meta, Struct

from sweep.chunks import Chunk  # noqa: TC001 - msgspec reads it
from sweep.errors import ConfigError
from sweep.runs.files import PART, atomic_write, open_regular, reason
from sweep.runs.manifest import MALFORMED
from sweep.sink import COLUMNS
from sweep.tasks import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TOGETHER: Final = 256
"""How many small parts are merged into one."""

Natural = Annotated[int, Meta(ge=0, le=2**63 - 1)]

_NAME: Final = re.compile(r"(\d{8})(?:-(\d{8}))?\.parquet")
_DONE: Final = b"sor-sweep.done"
_PROOF: Final = b"sor-sweep.done.sha256"


@dataclass(frozen=True, slots=True)
class Done:
    """A chunk that arrived.

    Attributes
    ----------
    chunk : Chunk
    rows : int
        How many of its rows are in the part: failed combinations have none.
    simulated : int
        Rows that were simulated for it.
    failures : tuple of Failure
    """

    chunk: Chunk
    rows: int
    simulated: int
    failures: tuple[Failure, ...]


def write_part(path: Path, run: str, rows: NDArray[np.int64], done: Sequence[Done]) -> None:
    """Write the rows of some chunks, one after the other, atomically.

    Parameters
    ----------
    path : Path
    run : str
        The run's id.
    rows : (R, 11) int64
        The columns of `sweep.sink.COLUMNS`.
    done : sequence of Done
        In the order of the rows; stored in the file's metadata.

    Raises
    ------
    OSError
        The disk is full, or the folder went away.
    """
    import pyarrow as pa
    from pyarrow import parquet

    columns = [pa.array(np.ascontiguousarray(rows[:, index])) for index in range(len(COLUMNS))]
    packed = _pack(run, done)
    metadata = {_DONE: packed, _PROOF: hashlib.sha256(packed).hexdigest()}
    table = pa.Table.from_arrays(columns, names=list(COLUMNS), metadata=metadata)
    with atomic_write(path) as part:
        parquet.write_table(table, part, compression="zstd", write_page_checksum=True)


def read_part(path: Path, run: str) -> tuple[NDArray[np.int64], list[Done]]:
    """Read what `write_part` wrote.

    Raises
    ------
    ConfigError
        It is damaged, or of another run.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        open_regular(path).close()
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        metadata = table.schema.metadata or {}
        packed = metadata[_DONE]
        intact = metadata[_PROOF] == hashlib.sha256(packed).hexdigest().encode()
        stored_run, done = _unpack(packed) if intact else ("", [])
        rows = np.empty((table.num_rows, len(COLUMNS)), np.int64)
        for index, name in enumerate(COLUMNS):
            rows[:, index] = table.column(name).to_numpy()
    except OSError as error:
        _refuse(path, reason(error))
    except (pa.ArrowException, msgspec.DecodeError, *MALFORMED) as error:
        _refuse(path, str(error))
    if not intact or sum(record.rows for record in done) != len(rows):
        _refuse(path, "what it says of its chunks was changed")
    if stored_run != run:
        raise ConfigError(f"{path}: is of run {stored_run}, not of {run}; remove it")
    return rows, done


def _refuse(path: Path, why: str) -> NoReturn:
    problem = why.strip().splitlines()[0] if why.strip() else "cannot be read"
    raise ConfigError(f"{path}: is damaged or half-written ({problem}); remove it, and what it held is computed again")


def _pack(run: str, done: Sequence[Done]) -> bytes:
    """Encode the chunks as JSON, with each traceback once, however many failures share it."""
    details: dict[str, int] = {}
    chunks = [
        {
            "chunk": msgspec.to_builtins(record.chunk),
            "rows": record.rows,
            "simulated": record.simulated,
            "failures": [
                [failure.combination, failure.message, details.setdefault(failure.details, len(details))]
                for failure in record.failures
            ],
        }
        for record in done
    ]
    return msgspec.json.encode({"run": run, "chunks": chunks, "details": list(details)})


def _unpack(packed: bytes) -> tuple[str, list[Done]]:
    content = msgspec.json.decode(packed, type=_Packed)
    return content.run, [
        Done(
            record.chunk,
            record.rows,
            record.simulated,
            tuple(Failure(number, message, content.details[index]) for number, message, index in record.failures),
        )
        for record in content.chunks
    ]


class _Arrived(Struct):
    """An encoded chunk; failures are combination, message and the index of the details."""

    chunk: Chunk
    rows: Natural
    simulated: Natural
    failures: list[tuple[Natural, str, Natural]]


class _Packed(Struct):
    """The metadata of a part."""

    run: str
    chunks: list[_Arrived]
    details: list[str]


def list_parts(folder: Path) -> tuple[list[Path], int]:
    """The parts of a folder in order, and the next free number; removes what was left half done."""
    spans: dict[tuple[int, int], Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.endswith(PART):
            path.unlink()
        elif match := _NAME.fullmatch(path.name):
            first = int(match[1])
            spans[first, int(match[2] or first)] = path
    current: list[Path] = []
    past = 0
    for (_, last), path in sorted(spans.items(), key=lambda item: (item[0][0], -item[0][1])):
        if last < past:  # merged into a larger one, and not removed in time
            path.unlink()
        else:
            current.append(path)
            past = last + 1
    return current, past


class PartWriter:
    """Writes parts in a thread, while the driver hands out work: all chunks that wait become one part.

    `written` counts the combinations on disk.

    Parameters
    ----------
    folder : Path
    run : str
        The run's id.
    number : int
        Of the first part.
    rows_of : callable
        Returns the rows of a chunk, (R, 11) int64.
    count : callable
        Returns the combinations of a chunk.
    """

    def __init__(
        self,
        folder: Path,
        run: str,
        number: int,
        rows_of: Callable[[Chunk], NDArray[np.int64]],
        count: Callable[[Chunk], int],
    ) -> None:
        from pyarrow import parquet  # noqa: F401 - not in the thread: an import that a signal ends there stays locked

        self._folder, self._run, self._number, self._rows_of, self._count = folder, run, number, rows_of, count
        self.written = 0
        self._waiting: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        self._small: list[Path] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="parts", daemon=True)
        self._thread.start()

    def put(self, done: Done) -> None:
        """Queue a chunk to be written.

        Raises
        ------
        ConfigError
            An earlier one could not be written.
        """
        self._check()
        self._waiting.put(done)

    def close(self) -> None:
        """Write what waits, and end the thread.

        Raises
        ------
        ConfigError
            Something could not be written.
        """
        self._waiting.put(None)
        self._thread.join()
        self._check()

    def _check(self) -> None:
        if isinstance(self._error, OSError):
            raise ConfigError(f"output: {self._folder} cannot be written ({reason(self._error)}); make room there")
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        for done in self._batches():
            try:
                if self._error is None:
                    self._write(done)
            except Exception as error:  # noqa: BLE001 - raised at the driver's next call
                self._error = error

    def _batches(self) -> Iterator[list[Done]]:
        """All chunks that wait, as soon as there is one; ends when the queue does."""
        ended = False
        while not ended:
            batch = [self._waiting.get()]
            while not self._waiting.empty():
                batch.append(self._waiting.get())
            ended = None in batch
            if done := [record for record in batch if record is not None]:
                yield done

    def _write(self, done: list[Done]) -> None:
        path = self._folder / f"{self._number:08}.parquet"
        write_part(path, self._run, np.concatenate([self._rows_of(record.chunk) for record in done]), done)
        self.written += sum(map(self._count, (record.chunk for record in done)))
        self._number += 1
        self._small.append(path)
        if len(self._small) == TOGETHER:
            self._merge_small()

    def _merge_small(self) -> None:
        parts = [read_part(path, self._run) for path in self._small]
        last = self._number - 1
        write_part(
            self._folder / f"{last + 1 - TOGETHER:08}-{last:08}.parquet",
            self._run,
            np.concatenate([rows for rows, _ in parts]),
            [record for _, done in parts for record in done],
        )
        for path in self._small:
            path.unlink()
        self._small.clear()
