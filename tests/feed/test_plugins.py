"""Plug-ins: found by name, imported only when asked for, refused in one line."""

import sys
from importlib.machinery import EXTENSION_SUFFIXES

import pytest

from feed.codecs.registry import CODECS, codec_named
from feed.errors import FeedUnavailable
from feed.files.registry import ending_of, is_read, read_file
from feed.plugins import Kind, PluginError, UnknownNameError, check_same, choices, installed, load, plugin_of
from feed.tables import QuoteMapping
from tests.support.distributions import install

GROUP = "sor_sweep.tests"
KIND = Kind("thing", GROUP, ("ours",), lambda target: None if target == 1 else "expected 1")


def line_of(action):
    with pytest.raises(PluginError) as caught:
        action()
    text = str(caught.value)
    assert "\n" not in text
    assert text.isprintable()
    return text


def test_a_name_is_found_and_says_which_code_it_is(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "one-thing", GROUP, {"theirs": "one_thing:X"}, "X = 1\n", "2.5")
    assert installed(KIND) == ("theirs",)
    assert "one_thing" not in sys.modules
    loaded = load(KIND, "theirs")
    assert loaded.target == 1
    assert (loaded.plugin.kind, loaded.plugin.name) == ("thing", "theirs")
    assert (loaded.plugin.distribution, loaded.plugin.version, len(loaded.plugin.sources)) == ("one-thing", "2.5", 64)
    assert plugin_of(KIND, "ours") is None


def test_equal_sources_have_one_hash_wherever_they_lie_and_others_another(tmp_path, monkeypatch):
    hashes = []
    for place, source in (("a", "X = 1\n"), ("b", "X = 1\n"), ("c", "X = 1  # other\n")):
        with monkeypatch.context() as patch:
            install(tmp_path / place, patch, "one-thing", GROUP, {"theirs": "one_thing:X"}, source)
            hashes.append(load(KIND, "theirs").plugin.sources)
    assert hashes[0] == hashes[1] != hashes[2]


def test_all_modules_of_a_package_count(tmp_path, monkeypatch):
    hashes = []
    for place, other in (("a", "Y = 1\n"), ("b", "Y = 2\n")):
        with monkeypatch.context() as patch:
            install(tmp_path / place, patch, "packed", GROUP, {"theirs": "whole.part:X"}, "")
            (tmp_path / place / "whole").mkdir()
            for name, source in (("__init__", ""), ("part", "X = 1\n"), ("other", other)):
                (tmp_path / place / "whole" / f"{name}.py").write_text(source)
            for module in ("whole", "whole.part"):
                patch.delitem(sys.modules, module, raising=False)
            hashes.append(load(KIND, "theirs").plugin.sources)
    assert hashes[0] != hashes[1]


def test_the_package_counts_that_defines_what_another_one_names(tmp_path, monkeypatch):
    hashes = []
    for place, value in (("a", 1), ("b", 2)):
        with monkeypatch.context() as patch:
            kind = Kind("thing", GROUP, (), lambda _: None)
            install(tmp_path / place, patch, "one-thing", GROUP, {"theirs": "one_thing:X"}, "from behind import X\n")
            (tmp_path / place / "behind.py").write_text(f"class X:\n    value = {value}\n")
            patch.delitem(sys.modules, "behind", raising=False)
            hashes.append(load(kind, "theirs").plugin.sources)
    assert hashes[0] != hashes[1]


def test_compiled_modules_of_a_package_count(tmp_path, monkeypatch):
    hashes = []
    for place, content in (("a", b"1"), ("b", b"2")):
        with monkeypatch.context() as patch:
            install(tmp_path / place, patch, "packed", GROUP, {"theirs": "whole:X"}, "")
            (tmp_path / place / "whole").mkdir()
            (tmp_path / place / "whole" / "__init__.py").write_text("X = 1\n")
            (tmp_path / place / "whole" / f"fast{EXTENSION_SUFFIXES[0]}").write_bytes(content)
            patch.delitem(sys.modules, "whole", raising=False)
            hashes.append(load(KIND, "theirs").plugin.sources)
    assert hashes[0] != hashes[1]


def test_what_is_neither_built_in_nor_installed_is_named_with_what_there_is(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "one-thing", GROUP, {"theirs": "one_thing:X"}, "X = 1\n")
    assert choices(KIND) == "ours, theirs (one-thing 1.0)"
    with pytest.raises(UnknownNameError, match=r"expected one of ours, theirs \(one-thing 1\.0\), but it had 'none'"):
        load(KIND, "none")


FAULTY = {
    "import": ("import nothing_of_this_name\nX = 1\n", "cannot be imported (ModuleNotFoundError"),
    "exits": ("raise SystemExit('bye')\n", "cannot be imported (SystemExit: bye)"),
    "control characters": ("raise ValueError('\\x1b[2J\\n[red]')\n", "cannot be imported (ValueError"),
    "lacking": ("Y = 1\n", "cannot be imported (AttributeError"),
    "kind": ("X = 2\n", "is no thing: expected 1"),
}


@pytest.mark.parametrize(("source", "message"), FAULTY.values(), ids=FAULTY)
def test_what_cannot_be_used_is_one_line_with_its_distribution(tmp_path, monkeypatch, source, message):
    install(tmp_path, monkeypatch, "one-thing", GROUP, {"theirs": "one_thing:X"}, source)
    text = line_of(lambda: load(KIND, "theirs"))
    assert text.startswith("thing theirs of one-thing 1.0 (one_thing:X): ")
    assert message in text


def test_a_name_of_ours_is_not_taken(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "one-thing", GROUP, {"ours": "one_thing:X"}, "X = 1\n")
    text = line_of(lambda: load(KIND, "theirs"))
    assert "thing ours of one-thing 1.0" in text
    assert "built in" in text
    assert plugin_of(KIND, "ours") is None


def test_two_distributions_with_one_name_are_both_named(tmp_path, monkeypatch):
    for name in ("one-thing", "other-thing"):
        module = name.replace("-", "_")
        install(tmp_path / name, monkeypatch, name, GROUP, {"theirs": f"{module}:X"}, "X = 1\n")
    assert "one-thing 1.0 and other-thing 1.0" in line_of(lambda: load(KIND, "theirs"))


def test_a_name_that_no_header_or_file_can_hold_is_refused(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "one-thing", GROUP, {"a b": "one_thing:X"}, "X = 1\n")
    assert "letters, digits" in line_of(lambda: installed(KIND))


def test_a_process_with_other_code_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        install(tmp_path / "a", patch, "one-thing", GROUP, {"theirs": "one_thing:X"}, "X = 1\n")
        expected = load(KIND, "theirs").plugin
        check_same(KIND, expected)
    assert "lacks thing theirs of one-thing 1.0" in line_of(lambda: check_same(KIND, expected))
    install(tmp_path / "b", monkeypatch, "one-thing", GROUP, {"theirs": "one_thing:X"}, "X = 1\n", "1.1")
    assert "has thing theirs of one-thing 1.1" in line_of(lambda: check_same(KIND, expected))


READER = """
import numpy as np
from feed import Tape
def read(path, request):
    rows = np.array([line.split() for line in request.open(path).read().decode().splitlines()], object).T
    ts, bid, ask = (column.astype(np.int64) for column in rows)
    one = np.ones(len(ts), np.int64)
    return Tape.build("XYZ", ts=ts, venue=one, bid_px=bid, ask_px=ask, bid_sz=one, ask_sz=one, sequence=one)
def broken(path, request):
    return [None]
"""


def test_a_reader_reads_the_files_that_end_in_its_name(tmp_path, monkeypatch):
    points = {"gap": "gap_reader:read", "gone": "gap_reader:broken"}
    install(tmp_path / "lib", monkeypatch, "gap-reader", "sor_sweep.readers", points, READER)
    day, other = tmp_path / "day.gap", tmp_path / "day.txt"
    day.write_text("1722520800000000000 5 6\n1722520801000000000 5 7\n")
    other.write_bytes(day.read_bytes())
    assert ending_of(day.name) is None
    assert is_read(str(day))
    assert is_read(f"{day}.gz")
    assert not is_read(str(other))
    block = read_file(day)
    assert block.tape.ask_px.tolist() == [6, 7]
    assert read_file(other, quotes=QuoteMapping(format="gap")).tape.digest() == block.tape.digest()
    with pytest.raises(FeedUnavailable, match="it returned what is no tape"):
        read_file(other, quotes=QuoteMapping(format="gone"))
    with pytest.raises(FeedUnavailable, match=r"unknown layout 'none'; there are lobster.*gap, gone"):
        read_file(other, quotes=QuoteMapping(format="none"))


def test_a_codec_is_found_by_the_name_in_a_header(tmp_path, monkeypatch):
    source = "from feed.codecs.registry import CODECS\nOURS = CODECS['json']\nNONE = 5\n"
    points = {"theirs": "some_codec:OURS", "none": "some_codec:NONE"}
    install(tmp_path, monkeypatch, "some-codec", "sor_sweep.codecs", points, source)
    assert codec_named("theirs") is CODECS["json"]
    assert "expected a feed.codecs.Codec, but it had int" in line_of(lambda: codec_named("none"))
