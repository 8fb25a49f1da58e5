"""Columns that grow as rows arrive, in the types they are kept in: nothing is joined at the end."""

from __future__ import annotations

import mmap
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_LARGE = 2**19
"""Bytes from which a column is kept in pages of its own."""

_HUGE = 2**22
"""Bytes from which those may be large ones."""

_WAITING = 2**12
"""Rows that come one by one until they are moved to such pages together."""

_PAGED = hasattr(mmap, "MAP_PRIVATE") and hasattr(mmap, "MADV_HUGEPAGE")
"""Whether the system can move pages as they grow, and has large ones: Linux."""


class GrowingColumns:
    """Columns of rows in order of arrival.

    A column grows where it lies or is moved without a copy, and the room ahead is not touched: N rows take N rows of
    memory, where a list of parts takes twice that while the parts are joined.

    Parameters
    ----------
    dtypes : mapping of str to str
        Names and types, such as `feed.tape.QUOTE_DTYPES`.
    """

    def __init__(self, dtypes: Mapping[str, str]) -> None:
        self._columns: dict[str, array[Any] | _Pages] = {
            name: array(np.dtype(dtype).char) for name, dtype in dtypes.items()
        }

    def __len__(self) -> int:
        """Rows."""
        return len(next(iter(self._columns.values())))

    def append(self, **row: int) -> None:
        """Add a row; a number of each column, within its type."""
        for name, number in row.items():
            self._columns[name].append(number)

    def extend(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Add rows.

        Parameters
        ----------
        columns : mapping of str to (N,) integers
            Each column, within its type; or none, which adds no row.
        """
        for name, column in columns.items():
            grown = self._columns[name]
            if isinstance(grown, _Pages):
                grown.extend(column)
            elif _PAGED and (len(grown) + len(column)) * grown.itemsize >= _LARGE:
                self._columns[name] = pages = _Pages(grown.typecode)
                pages.extend(np.frombuffer(grown, grown.typecode))
                pages.extend(column)
            else:
                content = np.ascontiguousarray(column, grown.typecode)
                grown.frombytes(content.view(np.uint8))  # type: ignore[arg-type]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give the columns away, as arrays that may be written to, without a copy; none is left here."""
        columns, self._columns = self._columns, {}
        return {
            name: column.whole() if isinstance(column, _Pages) else np.frombuffer(column, column.typecode)
            for name, column in columns.items()
        }


class _Pages:
    """A large column: pages that the system moves as they grow, and hands out in large ones, several times as fast."""

    def __init__(self, typecode: str) -> None:
        self._dtype = np.dtype(typecode)
        self._map = mmap.mmap(-1, 2 * _LARGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._count = 0
        self._waiting = array(typecode)  # rows that came one by one

    def __len__(self) -> int:
        return self._count + len(self._waiting)

    def append(self, number: int) -> None:
        self._waiting.append(number)
        if len(self._waiting) >= _WAITING:
            self._settle()

    def extend(self, column: NDArray[Any]) -> None:
        if self._waiting:
            self._settle()
        end = self._count + len(column)
        if end * self._dtype.itemsize > len(self._map):
            self._resize(max(end * self._dtype.itemsize, 2 * len(self._map)))
        np.frombuffer(self._map, self._dtype)[self._count : end] = column
        self._count = end

    def whole(self) -> NDArray[Any]:
        """The column, without the room ahead."""
        self._settle()
        self._resize(max(self._count * self._dtype.itemsize, 1))
        return np.frombuffer(self._map, self._dtype, self._count)

    def _settle(self) -> None:
        waiting, self._waiting = self._waiting, array(self._waiting.typecode)
        self.extend(np.frombuffer(waiting, self._dtype))

    def _resize(self, nbytes: int) -> None:
        before = len(self._map)
        try:
            self._map.resize(nbytes)
        except OSError as error:  # there is no more
            raise MemoryError(str(error)) from None
        if before < _HUGE <= nbytes:
            self._map.madvise(mmap.MADV_HUGEPAGE)
