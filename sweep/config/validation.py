"""How blocks are split into a part that chooses and a part that is reported: the key `validate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from sweep.errors import ConfigError

KINDS: Final = ("rolling", "anchored", "leave_one_day_out")

LEAST_FOLDS: Final = 2
MOST_FOLDS: Final = 1000


@dataclass(frozen=True, slots=True)
class Validation:
    """A way to split blocks.

    Attributes
    ----------
    kind : str
        ``folds``, ``rolling``, ``anchored`` or ``leave_one_day_out``.
    folds : int
        Of ``folds``, how many; else 0.
    """

    kind: Literal["folds", "rolling", "anchored", "leave_one_day_out"]
    folds: int = 0

    def __str__(self) -> str:
        return f"{self.kind}={self.folds}" if self.folds else self.kind


def parse_validation(text: str) -> Validation | None:
    """Parse ``none``, ``folds=K``, ``rolling``, ``anchored`` or ``leave_one_day_out``; None for the first.

    Raises
    ------
    ConfigError
        It is none of them.
    """
    kind, has_count, count = text.strip().partition("=")
    if not has_count:
        if kind == "none":
            return None
        for known in KINDS:
            if kind == known:
                return Validation(known)
    elif kind == "folds" and count.isascii() and count.isdigit() and LEAST_FOLDS <= int(count[:9]) <= MOST_FOLDS:
        return Validation("folds", int(count[:9]))
    raise ConfigError(
        f"validate: expected none, folds=K with {LEAST_FOLDS} to {MOST_FOLDS:,} folds, {', '.join(KINDS[:-1])} or "
        f"{KINDS[-1]}, but it had {text!r:.60}"
    )
