"""What both command lines share: streams that are missing, or take nothing, and signals that would be lost."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from importlib import import_module
from types import ModuleType

import llvmlite.binding as llvm
import pytest

from feed import cli, source
from feed.console import _COMPILED, guard_streams, mask_secrets, reader_compiles, waiting
from feed.errors import FeedUnavailable
from feed.signals import Terminated, raise_on_signals


def test_streams_that_are_missing_go_nowhere_and_others_stay(monkeypatch):
    mine = sys.stderr
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        guard_streams()
        print("to nowhere")
        sys.stdout.close()
        assert sys.stderr is mine
        patch.setattr(sys, "stderr", None)
        guard_streams()
        print("to nowhere", file=sys.stderr)
        sys.stderr.close()


@pytest.fixture
def signals():
    """The handlers of both command lines; those of before come back."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0)  # pytest-timeout's
    unraisable = sys.unraisablehook
    raise_on_signals()
    yield
    sys.unraisablehook = unraisable
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
    signal.setitimer(signal.ITIMER_REAL, left)


def named(receive):
    class Named:
        def __set_name__(self, _owner, _name):
            receive()

    type("Made", (), {"field": Named()})


def imported(receive):
    class Loader(importlib.abc.Loader):
        def exec_module(self, _module):
            receive()

    class Finder(importlib.abc.MetaPathFinder):
        def find_spec(self, name, _path, _target=None):
            return importlib.machinery.ModuleSpec(name, Loader()) if name == "imported_meanwhile" else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
        importlib.import_module("imported_meanwhile")
    del sys.modules["imported_meanwhile"]


def finalized(receive):
    class Made:
        def __del__(self):
            receive()

    Made()


def compiled(receive):
    """As numba compiles; llvmlite has C call back."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly("define i64 @one() { ret i64 1 }")
    engine = llvm.create_mcjit_compiler(module, llvm.Target.from_default_triple().create_target_machine())
    engine.set_object_cache(lambda *_: receive(), lambda *_: None)
    engine.finalize_object()


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
@pytest.mark.parametrize("inside", [imported, finalized, compiled, named])
def test_a_signal_that_would_be_lost_is_raised_later(inside, number, error):
    went_on = []

    def receive():
        os.kill(os.getpid(), number)
        went_on.extend(range(3))

    with pytest.raises(error):  # noqa: PT012 - any line of it
        inside(receive)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            pass
    assert went_on == [0, 1, 2]


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_that_was_lost_is_raised_again(number, error, capsys):
    """In a callback of the garbage collector, which nothing is raised out of."""

    def receive(_gone):
        os.kill(os.getpid(), number)
        for _ in range(3):
            pass

    class Made:
        pass

    made = Made()
    kept = weakref.ref(made, receive)
    with pytest.raises(error):  # noqa: PT012 - any line of it
        del made
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            pass
    assert kept() is None
    assert capsys.readouterr().err == ""


_FORKS = """import os, signal, subprocess, sys, time
from feed.signals import Terminated, raise_on_signals

done = []

def receive():
    os.kill(os.getpid(), signal.SIGTERM)
    done.extend(range(3))

os.register_at_fork(after_in_parent=receive)
raise_on_signals()
try:
    subprocess.Popen([sys.executable, "-c", "pass"], preexec_fn=int).wait()
    time.sleep(10)
except Terminated:
    print("terminated", done)
"""


@pytest.mark.command
def test_a_signal_while_a_process_is_forked_is_raised_later():
    """As Ray forks its servers, with hooks of logging's that give back a lock: each is run to its end."""
    ran = subprocess.run([sys.executable, "-c", _FORKS], capture_output=True, text=True, timeout=60, check=True)
    assert (ran.stdout, ran.stderr) == ("terminated [0, 1, 2]\n", "")


@pytest.mark.usefixtures("signals")
def test_a_signal_in_our_own_code_is_raised_at_once_even_while_it_is_imported():
    ours = {"__name__": "sweep.anything", "os": os, "number": signal.SIGTERM}
    body = compile("os.kill(os.getpid(), number)\nfor _ in range(3): pass", "anything.py", "exec")
    with pytest.raises(Terminated):
        imported(lambda: exec(body, ours))  # noqa: S102 - as an import does
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_an_interrupt_that_is_ignored_stays_ignored():
    """As a shell has it that starts a command in the background."""
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_on_signals()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    for number, handler in before:
        signal.signal(number, handler)


def test_what_is_awaited_is_said_soon_and_now_and_then():
    lines, thrice = [], threading.Event()

    def tell(text):
        lines.append(text)
        if len(lines) == 3:
            thrice.set()

    with waiting(tell, lambda: "a replay", first=0.01, again=0.02):
        assert thrice.wait(10)
    count = len(lines)
    assert set(lines) == {"still waiting after 0 s: a replay"}
    with waiting(tell, lambda: "nothing", first=60.0):
        pass
    assert len(lines) == count
    assert not [each for each in threading.enumerate() if each.name == "waiting"]


def test_where_something_comes_the_time_begins_anew():
    lines, shown = [], threading.Event()

    def tell(text):
        lines.append(text)
        shown.set()

    with waiting(tell, lambda: "more", first=0.2, again=60.0) as came:
        over = time.monotonic() + 0.5
        while time.monotonic() < over:
            came()
        assert shown.wait(10)
        assert time.monotonic() - over > 0.1
    assert lines == ["still waiting after 0 s: more"]


def test_what_cannot_be_told_ends_nothing():
    asked = threading.Event()

    def what():
        asked.set()
        raise OSError

    with waiting(print, what, first=0.01, again=0.01):
        assert asked.wait(10)


def test_a_command_that_waits_for_its_source_says_so_on_stderr_alone(monkeypatch, capsys):
    shown = threading.Event()

    def slow(tell, what):
        def heard(text):
            tell(text)
            shown.set()

        return waiting(heard, what, first=0.01)

    class Waits:
        def __init__(self, *_):
            assert shown.wait(10)
            raise FeedUnavailable("nothing came")

    monkeypatch.setattr(cli, "waiting", slow)
    monkeypatch.setitem(source.SCHEMES, "kafka", Waits)
    for command in (["check"], ["convert"], ["replays"]):
        monkeypatch.setattr("feed.kafka.inventory.list_replays", Waits)
        shown.clear()
        words = ["out.parquet"] if command == ["convert"] else []
        assert cli.main([*command, "kafka://127.0.0.1:1/q", *words, "feed.wait=10m"]) == 2
        out, err = capsys.readouterr()
        place = "kafka://127.0.0.1:1/q"
        what = f"{place} is looked through" if command == ["replays"] else f"a complete replay at {place}"
        assert (out, err) == ("", f"still waiting after 0 s: {what}\nerror: nothing came\n")


@pytest.mark.parametrize(
    ("name", "made", "words"),
    [
        ("feed.files.csv_kernel", "read_rows", "the reader of large CSV files"),
        ("feed.files.fields_kernel", "read_fields", "the reader of vendors' files"),
        ("feed.files.price_book_kernel", "fold", "what folds updates to books"),
        ("feed.files.mbo_kernel", "fold", "what folds orders into levels"),
        ("feed.quality.tally_kernel", "tally", "what counts large tapes"),
    ],
)
def test_what_is_being_compiled_is_named(monkeypatch, name, made, words):
    for each in _COMPILED:
        monkeypatch.delitem(sys.modules, each, raising=False)
    assert reader_compiles() == ""
    assert hasattr(import_module(name), made)  # what the name of the real module is compiled to
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    assert reader_compiles() == f"; {words} is compiled first, once for each version"
    monkeypatch.setattr(sys.modules[name], made, print, raising=False)
    assert reader_compiles() == ""


def test_secrets_are_masked_by_the_names_of_keys_too():
    tree = {"switches": {"api_token": "hunter2", "seed": 3, "note": "password=hunter2"}, "sasl_password_file": "/run/p"}
    masked = mask_secrets(tree)
    assert "hunter2" not in str(masked)
    assert masked["switches"]["seed"] == 3
    assert masked["sasl_password_file"] == "/run/p"
    assert mask_secrets([1, None, {"x": ("a",)}]) == [1, None, {"x": ("a",)}]
