"""Writes the report of a stored run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sweep.errors import ConfigError
from sweep.page.document import page
from sweep.page.reading import read_run
from sweep.runs import reason, write_text

REPORT: Final = "report.html"


def write_report(run: Path | str, to: Path | str | None = None) -> Path:
    """Write the report of a complete stored run: one HTML file that needs no network.

    Parameters
    ----------
    run : Path or str
        Its folder.
    to : Path or str, optional
        The file, which is replaced if it is there; ``report.html`` in the run's folder by default.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ConfigError
        The run is not complete, damaged or of an earlier version; or the file cannot be written.

    Examples
    --------
    >>> import sweep
    >>> sweep.write_report("runs/0123456789abcdef")  # doctest: +SKIP
    PosixPath('runs/0123456789abcdef/report.html')
    """
    read = read_run(run)
    path = read.home / REPORT if to is None else Path(to)
    try:
        write_text(path, page(read))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({reason(error)}); name another file with --to FILE") from None
    return path
