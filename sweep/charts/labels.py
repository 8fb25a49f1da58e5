"""Values of axes as text: distinct ones have distinct texts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

UNITS: Final = dict.fromkeys(("lambda_over", "lambda_under", "theta_queue"), "$ per share")
"""Of axes; the others are names or have their unit in their values."""

MINUS: Final = "\N{MINUS SIGN}"


def titled(axis: str) -> str:
    """An axis with its unit."""
    return f"{axis}, {UNITS[axis]}" if axis in UNITS else axis


def signed(saving: float) -> str:
    """A saving in bps: two decimals, signed above 0, too."""
    text = f"{round(saving, 2) + 0.0:,.2f}".replace("-", MINUS)
    return f"+{text}" if round(saving, 2) > 0 else text


def lacking(enough: NDArray[np.bool_] | None) -> str:
    """How many combinations do not fill enough to be the best, as the end of a sentence."""
    count = 0 if enough is None else int((~enough).sum())
    return f"; {count:,} of all fill less than best_ask and cannot be the best" if count else ""


def text_of(value: object) -> str:
    """One value, a fraction with six digits at most; infinity as configurations write it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value).replace("-", MINUS)
    if isinstance(value, float):
        return ".inf" if value == math.inf else f"{value:g}".replace("-", MINUS)
    return str(value)


def texts(values: Sequence[Any]) -> list[str]:
    """All values of an axis; with all their digits where six do not tell two of them apart."""
    short = [text_of(value) for value in values]
    if len(set(short)) == len(short):
        return short
    return [repr(value) if isinstance(value, float) and math.isfinite(value) else text_of(value) for value in values]


def values_of(column: pd.Series[Any]) -> list[Any]:
    """The distinct values of a column: numbers ascending, others as they come."""
    values = [_plain(value) for value in column.drop_duplicates().tolist()]
    return sorted(values) if all(isinstance(value, int | float) for value in values) else values


def positions_in(column: pd.Series[Any], values: Sequence[Any]) -> NDArray[np.int64]:
    """(K,) int64: where among `values` each value of a column stands."""
    place = {value: at for at, value in enumerate(values)}
    return np.array([place[_plain(value)] for value in column.tolist()], np.int64)


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    """A value, or None for the several kinds of none that pandas has."""
    return None if value is None or value is _na() or value != value else value  # noqa: PLR0124 - NaN


def _na() -> object:
    """What pandas has for none in columns of text."""
    import pandas as pd

    return pd.NA
