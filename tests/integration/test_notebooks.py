"""The notebooks of the documentation: they run from their first cell, and print what they hold."""

import nbformat
import pytest

from tools.notebook import NOTEBOOKS, executed

pytestmark = pytest.mark.command

DRAWN = "application/vnd.vegalite.v5+json"


def outputs(notebook):
    """What each cell prints: text, and the specification of a chart."""
    return [
        (output.get("text"), output.get("data", {}).get("text/plain"), output.get("data", {}).get(DRAWN))
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_they_print_what_they_hold(path):
    stored = nbformat.read(path, as_version=4)
    kept = outputs(stored)
    assert sum(chart is not None for _, _, chart in kept) == 3
    assert outputs(executed(path)) == kept, "python -m tools.notebook runs them anew"
