"""Distributions that are installed for a test: a module, and the entry points that name what is in it."""

from __future__ import annotations

import sys


def install(folder, monkeypatch, name, group, points, source, version="1.0"):
    """Put a distribution with one module into a folder on the path, for this test alone.

    Parameters
    ----------
    points : dict of str to str
        Names and what they refer to.
    """
    module = name.replace("-", "_")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(source)
    about = folder / f"{module}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = "".join(f"{point} = {target}\n" for point, target in points.items())
    (about / "entry_points.txt").write_text(f"[{group}]\n{lines}")
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.syspath_prepend(str(folder))
    return module


def forget(monkeypatch, module):
    """Let a module be imported anew, as in another process."""
    monkeypatch.delitem(sys.modules, module, raising=False)
