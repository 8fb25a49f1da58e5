"""Columns that grow as rows arrive, in the types they are kept in: nothing is joined at the end."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class GrowingColumns:
    """Columns of rows in order of arrival.

    An array of Python's grows by `realloc`, which moves large columns without a copy, and does not touch the room
    ahead: N rows take N rows of memory, where a list of parts takes twice that while the parts are joined.

    Parameters
    ----------
    dtypes : mapping of str to str
        Names and types, such as `feed.tape.QUOTE_DTYPES`.
    """

    def __init__(self, dtypes: Mapping[str, str]) -> None:
        self._columns = {name: array(np.dtype(dtype).char) for name, dtype in dtypes.items()}

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
            grown.frombytes(np.ascontiguousarray(column, grown.typecode).view(np.uint8))  # type: ignore[arg-type]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give the columns away, as arrays that may be written to, without a copy; none is left here."""
        columns, self._columns = self._columns, {}
        return {name: np.frombuffer(column, column.typecode) for name, column in columns.items()}
