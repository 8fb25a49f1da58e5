"""Others import of a room what its ``__all__`` names, and nothing else; and all of that is imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from importlib.util import resolve_name

import pytest

from tests.support import ROOT

ROOMS = (
    *(f"feed.{room}" for room in ("codecs", "files", "kafka", "markets", "quality", "tables")),
    *(f"sweep.{room}" for room in ("config", "executors", "executors.on_ray", "forecast", "report", "runs", "search")),
    "sweep.charts",
    "sweep.page",
    "sweep.statistics",
    "sweep.tapes",
)
"""The packages that this holds for. A room within a room is one of its own, to the modules around it as well."""

FOLDERS = {"sweep.page.sections"}
"""Folders of a room whose modules are the room's own, as there are many of a kind."""

IMPORTING = ("allocator", "feed", "sweep", "tools")
"""Where imports are looked at; tests and benchmarks may look inside, and what they alone use is not exported."""


def modules(root):
    """Each module's name, the package that it is or lies in, and its syntax tree."""
    for folder in IMPORTING:
        for path in sorted((root / folder).rglob("*.py")):
            *package, stem = path.relative_to(root).with_suffix("").parts
            name = package if stem == "__init__" else [*package, stem]
            yield ".".join(name), ".".join(package), ast.parse(path.read_bytes())


def imports(tree, package):
    """Each name that is imported, anywhere in a module: its line, from where, and the name or None for a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, each.name, None) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            yield from ((node.lineno, source, each.name) for each in node.names)


def exported(tree):
    """The names of ``__all__``."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


def room_of(module, rooms):
    """The innermost room that a module or a name lies in, or that it is; None outside."""
    return max((room for room in rooms if f"{module}.".startswith(f"{room}.")), key=len, default=None)


def faults(root, rooms):
    """What a tree does that its rooms do not allow, a line each."""
    trees = list(modules(root))
    exports = {(module, name) for module, _, tree in trees if module in rooms for name in exported(tree)}
    unused = set(exports)
    for module, package, tree in trees:
        for line, source, name in imports(tree, package):
            target = source if name is None else f"{source}.{name}"
            room = room_of(target, rooms)
            if room is not None and room == room_of(module, rooms):
                if source == room and (name is None or (room, name) in exports):
                    yield f"{module}:{line} imports {target} by way of its own room"
            elif source == room and (room, name) in exports:
                unused.discard((room, name))
            elif room is not None:
                yield f"{module}:{line} imports {target}, which {room} does not export"
    yield from (f"{room} exports {name}, which nobody imports" for room, name in sorted(unused))


def test_the_tree_keeps_to_its_rooms():
    assert list(faults(ROOT, ROOMS)) == []


@pytest.mark.parametrize("package", ["feed", "sweep"])
def test_no_room_is_forgotten(package):
    homes = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / package).rglob("__init__.py")}
    assert homes - {package, *FOLDERS} == {room for room in ROOMS if room.startswith(f"{package}.")}


TREE = {
    "feed/__init__.py": "",
    "feed/files/__init__.py": "from feed.files.plan import plan\n__all__ = ['plan']",
    "feed/files/plan.py": "from feed.files.streams import held",
    "feed/files/streams.py": "held = 1",
    "feed/files/remote/__init__.py": "__all__ = ['fetch']",
    "feed/files/remote/client.py": "from feed.files.remote.wire import send",
    "feed/files/remote/wire.py": "from feed.files import plan",
    "feed/files/store.py": "from feed.files.remote import fetch",
    "feed/filesystem.py": "from feed.filesystem import files, plan",
    "feed/source.py": "def late():\n    from feed.files import plan",
}
"""Two rooms, one in the other, and modules that keep to them."""

FAULTS = {
    "another's module": (
        "sweep/tasks.py",
        "from feed.files.plan import plan",
        "sweep.tasks:1 imports feed.files.plan.plan,",
    ),
    "a module of it": (
        "sweep/tasks.py",
        "\nfrom feed.files import streams",
        "sweep.tasks:2 imports feed.files.streams,",
    ),
    "by its full name": ("tools/list.py", "import feed.files.plan as p", "tools.list:1 imports feed.files.plan,"),
    "all of it": ("feed/cli.py", "from feed import files", "feed.cli:1 imports feed.files,"),
    "a star": ("feed/cli.py", "from feed.files import *", "feed.cli:1 imports feed.files.*,"),
    "a name not listed": ("feed/cli.py", "from feed.files import held", "feed.cli:1 imports feed.files.held,"),
    "from beside it": ("feed/cli.py", "from .files.streams import held", "feed.cli:1 imports feed.files.streams.held,"),
    "from the package": ("feed/__init__.py", "from .files import held", "feed:1 imports feed.files.held,"),
    "in a function": ("feed/cli.py", "def f():\n  import feed.files.plan", "feed.cli:2 imports feed.files.plan,"),
    "for types": ("feed/cli.py", "if T:\n  from feed.files import held", "feed.cli:2 imports feed.files.held,"),
    "around a room": (
        "feed/files/a.py",
        "from feed.files.remote.wire import send",
        "feed.files.a:1 imports feed.files.remote.wire",
    ),
    "within a room": (
        "feed/files/remote/a.py",
        "from feed.files.plan import b",
        "feed.files.remote.a:1 imports feed.files.plan.b",
    ),
    "its own room": (
        "feed/files/a.py",
        "from feed.files import plan",
        "imports feed.files.plan by way of its own room",
    ),
    "unused": ("feed/files/__init__.py", "__all__ = ['plan', 'held']", "feed.files exports held, which nobody imports"),
}
"""A file of the tree, what it holds instead, and what is said of that."""


@pytest.fixture
def tree(tmp_path):
    def made(**changed):
        for path, text in (TREE | changed).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return list(faults(tmp_path, ("feed.files", "feed.files.remote")))

    return made


def test_a_tree_that_keeps_to_its_rooms_has_no_fault(tree):
    assert tree() == []


@pytest.mark.parametrize(("path", "text", "message"), FAULTS.values(), ids=FAULTS)
def test_each_fault_is_found(tree, path, text, message):
    (fault,) = tree(**{path: text})
    assert message in fault


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_what_it_exports_from_where_a_type_checker_reads_it(room):
    package = import_module(room)
    tree = ast.parse((ROOT.joinpath(*room.split(".")) / "__init__.py").read_bytes())
    homes = {name: source for _, source, name in imports(tree, room) if room_of(source, ROOMS) == room}
    assert sorted(homes) == sorted(package.__all__)
    for name, home in homes.items():
        assert getattr(package, name) is getattr(import_module(home), name)
    with pytest.raises(AttributeError, match=f"module '{room}' has no attribute 'nothing'"):
        _ = package.nothing


SLOW = {"confluent_kafka", "kafka", "numba", "pandas", "pyarrow.compute", "pyarrow.csv"}


@pytest.mark.command
def test_of_a_room_is_loaded_what_is_used_only():
    script = (
        "import sys\n"
        "from feed import cli\n"
        "from feed.files import ending_of\n"
        "from feed.kafka import EmbeddedBroker, parse_address\n"
        "print(*sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not SLOW & set(shown.stdout.split())
