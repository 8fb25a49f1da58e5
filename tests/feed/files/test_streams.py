"""Files as bytes: decompressed whole, with what may pad them and nothing else behind them."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.files.streams import open_bytes
from tests.support.examples import examples

PLAIN = b"".join(b"%d,hello\n" % number for number in range(30_000))
MEMBER = gzip.compress(PLAIN, mtime=0)
EMPTY = gzip.compress(b"", mtime=0)


@pytest.fixture
def read(tmp_path):
    """Write a compressed file, and read it."""

    def write_and_read(packed, name="day.csv.gz"):
        (tmp_path / name).write_bytes(packed)
        with open_bytes(tmp_path / name, 2**30) as stream:
            return stream.read()

    return write_and_read


@pytest.mark.parametrize("nuls", [0, 1, 511, 2**15 - len(MEMBER) % 2**15, 100_000])
def test_nuls_behind_the_last_member_are_padding(read, nuls):
    assert read(MEMBER + bytes(nuls)) == PLAIN
    assert read(MEMBER + EMPTY + MEMBER + bytes(nuls)) == PLAIN + PLAIN


@pytest.mark.parametrize("nuls", [1, 511, 2**15 - len(MEMBER) % 2**15 - 1, 2**15 - len(MEMBER) % 2**15, 100_000])
def test_nuls_between_members_are_padding_as_python_s_own_module_has_it(read, nuls):
    packed = MEMBER + bytes(nuls) + EMPTY + bytes(nuls) + MEMBER + bytes(nuls)
    assert read(packed) == gzip.decompress(packed) == PLAIN + PLAIN


@pytest.mark.parametrize(
    "behind",
    [
        b"x",
        b"\0x",
        bytes(100_000) + b"x",
        b"\0\x1f",
        b"\0" + MEMBER[:-1],
        b"\x1f",
        MEMBER[:-1],
        MEMBER[:5],
        b"more\n" * 9,
    ],
)
def test_anything_else_behind_the_last_member_is_damage(read, behind):
    with pytest.raises((OSError, EOFError)):
        read(MEMBER + behind)


def test_a_file_of_nuls_is_no_padding(read):
    with pytest.raises(OSError, match="incorrect header"):
        read(bytes(99))


@examples(30, deadline=None)
@given(parts=st.lists(st.binary(max_size=40), min_size=1, max_size=6), nuls=st.integers(0, 9), cut=st.integers(1, 12))
def test_members_are_read_one_after_the_other(tmp_path_factory, parts, nuls, cut):
    path = tmp_path_factory.mktemp("members") / "day.gz"
    packed = b"".join(gzip.compress(part) for part in parts)
    path.write_bytes(packed + bytes(nuls))
    with open_bytes(path, 2**20) as stream:
        assert stream.read() == b"".join(parts)
    path.write_bytes(packed[:-cut])
    with open_bytes(path, 2**20) as stream, pytest.raises(EOFError):
        stream.read()
