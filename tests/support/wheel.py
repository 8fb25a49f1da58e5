"""The project as others get it: a wheel, and an environment that has this wheel and nothing of the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from numba.core.caching import _CacheLocator

from allocator.kernels import compiling
from tests.support import ROOT

OURS = ("__editable__", "sor_sweep", "sor-sweep")
"""How entries of this environment's packages begin that are the project's own, installed to be edited."""

KERNELS = ("allocator/kernels", "feed/files", "feed/quality", "sweep/statistics")
"""Folders whose functions are compiled, which takes minutes."""


def build(checkout: Path, out: Path) -> Path:
    """Build the wheel of a copy of the checkout; with the tools of this environment, so that nothing is fetched."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, checkout]
    subprocess.run(command, capture_output=True, text=True, check=True, env=outside())
    (wheel,) = out.glob("*.whl")
    return wheel


def outside() -> dict[str, str]:
    """This process's variables without those that would lead to the checkout."""
    return {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "MAKE", "MFLAGS"))}


def install(wheel: Path, place: Path) -> Path:
    """Make an environment with the wheel, and return its folder of commands.

    What the wheel needs is linked from this environment, entry by entry, as to install it takes minutes; the project
    itself is left out, however it is installed here.
    """
    venv.create(place, with_pip=False, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
    for each in Path(sysconfig.get_path("purelib")).iterdir():
        if not each.name.startswith(OURS) and each.suffix != ".pth":
            (packages / each.name).symlink_to(each)
    python = place / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel]
    subprocess.run(command, capture_output=True, text=True, check=True, env=outside())
    for folder in KERNELS:
        _bring_compiled(ROOT / folder, packages / folder, place / "cache")
    return place / "bin"


def _bring_compiled(ours: Path, theirs: Path, cache: Path) -> None:
    """Copy the machine code of a folder's kernels: numba takes it for sources of the same size and time, by path."""
    for path in theirs.glob("*.py"):
        shutil.copystat(ours / path.name, path)
    for path in (ours / "__pycache__").glob("*.nb?"):
        (theirs / "__pycache__").mkdir(exist_ok=True)
        shutil.copy(path, theirs / "__pycache__")
    if (home := compiling.cache_folder()) is not None:
        source, target = (_CacheLocator.get_suitable_cache_subpath(str(each / "x.py")) for each in (ours, theirs))
        if (home / source).exists():
            shutil.copytree(home / source, cache / home.name / target)


def environment_of(commands: Path) -> dict[str, str]:
    """What a command of such an environment is run with."""
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    return {**outside(), "PATH": path, compiling.ROOT_VARIABLE: str(commands.parent / "cache")}
