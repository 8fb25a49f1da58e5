"""From a source to a tape and a book in the object store."""

from typing import TYPE_CHECKING

from feed.lazy import exports

if TYPE_CHECKING:
    from sweep.tapes.materialise import Facts, Tapes
    from sweep.tapes.session import Phases, Session, open_session
else:
    __getattr__ = exports(
        __name__,
        {
            "materialise": ("Facts", "Tapes"),
            "session": ("Phases", "Session", "open_session"),
        },
    )

__all__ = ["Facts", "Phases", "Session", "Tapes", "open_session"]
