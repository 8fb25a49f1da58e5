"""Standard input as a source: a file of any kind through a pipe, read as the file itself is."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files.registry import WRITERS
from feed.files.stdin import spooled
from feed.options import ReadOptions
from feed.source import located, read_source
from feed.synthetic import generate


@pytest.fixture(autouse=True)
def unspooled():
    spooled.cache_clear()
    yield
    spooled.cache_clear()


@pytest.fixture
def pipe(monkeypatch):
    def put(content, terminal=False):
        stdin = SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: terminal)
        monkeypatch.setattr("sys.stdin", stdin)

    return put


@pytest.fixture(scope="module")
def tape():
    return generate(seed=1, seconds=3, venues=2, levels=2)


@pytest.mark.parametrize("ending", WRITERS)
def test_what_comes_through_a_pipe_is_read_as_the_file_is_also_twice(pipe, tmp_path, tape, ending):
    path = tmp_path / f"day{ending}"
    WRITERS[ending](tape, path)
    pipe(path.read_bytes())
    for _ in range(2):
        piped, provenance = read_source("-")
        assert piped.digest() == read_source(str(path))[0].digest()
        assert (provenance.source, provenance.place) == ("stdin", "-")


@pytest.mark.parametrize(
    ("content", "options", "error", "says"),
    [
        (b"", {}, FeedUnavailable, "-: standard input holds nothing"),
        (b"a,b\n1,2\n", {}, FeedUnavailable, "-: missing columns"),
        (b"PAR1" + b"\0" * 40, {}, FeedCorrupt, "-: "),
        (b"x" * 2000, {"max_bytes": 1000}, FeedUnavailable, "-: standard input holds more than 1,000 bytes"),
    ],
)
def test_what_cannot_be_read_is_said_of_standard_input_and_not_of_its_copy(pipe, content, options, error, says):
    pipe(content)
    with pytest.raises(error) as raised:
        read_source("-", ReadOptions(**options))
    assert str(raised.value).startswith(says)


def test_a_terminal_is_refused_at_once(pipe):
    pipe(b"", terminal=True)
    with pytest.raises(FeedUnavailable, match="standard input is a terminal"):
        read_source("-")


def test_its_place_does_not_depend_on_the_working_directory():
    assert located("-", str(Path.cwd())) == "-"
