"""Kernels give the same rows compiled, not compiled, from a cold cache and without one; the cache cannot go stale."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from allocator.kernels import compiling
from tests.support import ROOT
from tests.support.every_kernel import digest

pytestmark = pytest.mark.timeout(360)  # compiling everything takes 90 s of a core


@pytest.fixture(scope="module")
def expected():
    return digest()


def digest_of(**environment):
    """The digest that a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.support.every_kernel"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=340,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.mark.command
def test_kernels_that_are_not_compiled_give_the_same_rows(expected):
    assert digest_of(NUMBA_DISABLE_JIT="1") == expected


@pytest.mark.command
@pytest.mark.soak
def test_a_cold_cache_of_all_kernels_is_filled_and_then_used(expected, tmp_path):
    compiled = []
    for _ in range(2):
        assert digest_of(SOR_SWEEP_CACHE_DIR=str(tmp_path)) == expected
        compiled.append({path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")})
    assert len(compiled[0]) > 10
    assert compiled[0] == compiled[1]


ONE_KERNEL = "from allocator.kernels import derive; derive.outline.prepare()"


@pytest.mark.command
def test_a_cold_cache_is_filled_in_a_private_folder_and_then_used(tmp_path):
    compiled = []
    for _ in range(2):
        environment = {**os.environ, "SOR_SWEEP_CACHE_DIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", ONE_KERNEL], cwd=ROOT, env=environment, timeout=340, check=True)
        compiled.append({path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")})
    (folder,) = tmp_path.iterdir()
    assert folder.name == f"kernels-{compiling.sources_hash()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert compiled[0] == compiled[1]
    assert compiled[0]


@pytest.mark.command
@pytest.mark.soak
def test_a_place_that_cannot_hold_a_cache_costs_time_only(expected, tmp_path):
    nowhere = tmp_path / "a file"
    nowhere.write_text("where a folder should be")
    assert digest_of(SOR_SWEEP_CACHE_DIR=str(nowhere)) == expected
    assert nowhere.read_text() == "where a folder should be"


def test_the_cache_is_named_by_every_kernel_source(tmp_path, monkeypatch):
    folder = Path(compiling.__file__).parent
    copy = tmp_path / "kernels"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(compiling, "__file__", str(copy / "compiling.py"))
    names = {compiling.sources_hash()}
    for path in sorted(copy.glob("*.py")):
        path.write_text(path.read_text() + "\n# edited\n")
        names.add(compiling.sources_hash())
    assert len(names) == 1 + len(list(copy.glob("*.py")))


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv(compiling.ROOT_VARIABLE, str(tmp_path))
    folder = compiling.cache_folder()
    assert folder is not None
    folder.chmod(0o777)
    assert compiling.cache_folder() is None


def without_a_choice(monkeypatch, home, temporary):
    for name in (compiling.ROOT_VARIABLE, "NUMBA_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.setattr(compiling.tempfile, "gettempdir", lambda: str(temporary))


def test_a_place_where_others_could_exchange_the_folder_is_not_used(tmp_path, monkeypatch):
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    without_a_choice(monkeypatch, home, temporary)
    (home / "sor-sweep").mkdir(parents=True)
    (home / "sor-sweep").chmod(0o777)
    folder = compiling.cache_folder()
    assert folder is not None
    assert folder.is_relative_to(temporary)
    folder.parent.chmod(0o777)
    assert compiling.cache_folder() is None


def test_places_of_our_own_are_made_private_whatever_the_umask(tmp_path, monkeypatch):
    without_a_choice(monkeypatch, tmp_path / "home", tmp_path / "tmp")
    before = os.umask(0)
    try:
        folder = compiling.cache_folder()
    finally:
        os.umask(before)
    assert folder is not None
    assert folder.is_relative_to(tmp_path / "home")
    assert [place.stat().st_mode & 0o777 for place in (folder, folder.parent)] == [0o700, 0o700]


def test_a_user_without_a_home_has_the_temporary_place(tmp_path, monkeypatch):
    without_a_choice(monkeypatch, "", tmp_path)

    def homeless(_path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(compiling.Path, "expanduser", homeless)
    folder = compiling.cache_folder()
    assert folder is not None
    assert folder.is_relative_to(tmp_path)


def test_without_a_place_of_the_users_own_a_private_temporary_one_is_used(tmp_path, monkeypatch):
    blocked = tmp_path / "cache"
    blocked.write_text("")
    without_a_choice(monkeypatch, blocked, tmp_path / "tmp")
    folder = compiling.cache_folder()
    assert folder is not None
    assert folder.is_relative_to(tmp_path / "tmp")


def test_the_lowest_bit():
    for bits in (1, 2, 3, 12, 2**63, 2**63 + 2**40):
        assert compiling.lowest(bits) == next(v for v in range(64) if bits >> v & 1)


_FIRST_CALLS = """import sys
from allocator.kernels import stateful, walk
ready = lambda module: sorted(n for n, k in vars(module).items() if getattr(k, "_ready", False))
print(ready(stateful), ready(walk))
stateful.walk_each.prepare()
print(ready(stateful), ready(walk))
"""


_ALL = """from allocator.kernels import compile_all, derive, stairs, stateful, stateless, walk
from allocator.kernels.compiling import Kernel
compile_all()
modules = derive, stairs, stateful, stateless, walk
made = [each for module in modules for each in vars(module).values() if isinstance(each, Kernel)]
print(len(made) > 20, all(each._ready for each in made))
"""


@pytest.mark.command
def test_all_kernels_are_compiled_as_at_installation():
    command = [sys.executable, "-W", "error", "-c", _ALL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=340, check=True)
    assert done.stdout == "True True\n"


@pytest.mark.command
def test_what_is_loaded_is_what_is_called_and_a_caller_is_loaded_without_what_it_calls():
    """A process that finds machine code in the folder; the first call of each kernel is the only one that loads it."""
    digest_of()  # so that it is there
    command = [sys.executable, "-W", "error", "-c", _FIRST_CALLS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=340, check=True)
    assert done.stdout.splitlines() == ["[] []", "['walk_each'] []"]


def test_every_runner_names_the_kernels_that_it_calls():
    from allocator import runners

    assert set(runners.CALLED) == {*runners.RUNNERS, runners.SHARED}
    for names in runners.CALLED.values():
        for module, name in names:
            assert callable(getattr(import_module(f"allocator.kernels.{module}"), name))
