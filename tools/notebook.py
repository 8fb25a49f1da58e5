"""Run the notebooks of the documentation, and keep what they print: ``python -m tools.notebook``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import nbformat
from nbclient import NotebookClient

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT: Final = Path(__file__).resolve().parents[1]
NOTEBOOKS: Final = tuple(sorted((ROOT / "docs" / "notebook").glob("*.ipynb")))
SECONDS: Final = 300


def executed(path: Path) -> NotebookNode:
    """A notebook, run anew from its first cell in the folder that it lies in; an error of a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(path.parent)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def main() -> None:
    """Write each notebook back with its outputs."""
    for path in NOTEBOOKS:
        nbformat.write(executed(path), path)
        print(path.relative_to(ROOT), file=sys.stderr)


if __name__ == "__main__":
    main()
