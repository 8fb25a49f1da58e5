"""A file that is something else than its name says: what it is, and what to do, and not that it is damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sqlite3
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.feather as pa_feather
import pytest

from feed.cli import main
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files.csv_writer import write_csv
from feed.files.dbn_writer import write_dbn
from feed.files.kinds import is_text
from feed.files.parquet import write_parquet
from feed.files.registry import read_file
from feed.tape import Tape, same
from tests.support.strategies import CENT, OPEN

TAPE = Tape.build("X", ts=[OPEN], venue=[2], bid_px=[CENT], ask_px=[2 * CENT], bid_sz=[1], ask_sz=[1], sequence=[1])


def written(folder, write, name, what=TAPE):
    write(what, folder / name)
    raw = (folder / name).read_bytes()
    (folder / name).unlink()
    return raw


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Files of every kind, as their own tools make them, by a word for each."""
    folder = tmp_path_factory.mktemp("kinds")
    text = written(folder, write_csv, "day.csv")
    by_name = {
        "csv": text,
        "dbn": written(folder, write_dbn, "day.dbn"),
        "parquet": written(folder, write_parquet, "day.parquet", [TAPE]),
        "bz2": bz2.compress(text),
        "xz": lzma.compress(text),
        "lz4": pa.compress(text, "lz4", asbytes=True),
        "7z": b"7z\xbc\xaf\x27\x1c\0\4" + bytes(99),
        "dbz": b"\x51\x2a\x4d\x18" + bytes([60, 0, 0, 0]) + b"DBZ\1" + bytes(99),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(99),
        "frag": written(folder, write_dbn, "day.dbn")[-160:],
    }
    for name, inside in (("zip", "day.csv"), ("xlsx", "[Content_Types].xml")):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(inside, text)
    with tarfile.open(folder / "tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("day.csv"), io.BytesIO(b""))
    with (folder / "npz").open("wb") as file:
        np.savez(file, a=np.zeros(3))
    pa_feather.write_feather(pa.table({"a": [1]}), folder / "feather")
    with sqlite3.connect(folder / "sqlite") as base:
        base.execute("create table a (b)")
    base.close()
    by_name |= {path.name: path.read_bytes() for path in folder.iterdir()}
    by_name |= {
        f"utf-{width}{order}": text.decode().encode(f"utf-{width}-{order}") for width in (16,) for order in ("le", "be")
    }
    by_name |= {name: text.decode().encode(name) for name in ("utf-16", "utf-32")}
    by_name["gz"], by_name["zst"] = gzip.compress(text), pa.compress(text, "zstd", asbytes=True)
    by_name["dbn.zst"], by_name["dbn.gz"] = (
        pa.compress(by_name["dbn"], "zstd", asbytes=True),
        gzip.compress(by_name["dbn"]),
    )
    by_name["tar.gz"], by_name["gz.gz"] = gzip.compress(by_name["tar"]), gzip.compress(by_name["gz"])
    by_name["utf-16.gz"], by_name["parquet.gz"] = gzip.compress(by_name["utf-16"]), gzip.compress(by_name["parquet"])
    return by_name


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("zip", "day.zip", "it is a ZIP archive; unpack it, and name what is in it"),
        ("zip", "day.csv", "it is a ZIP archive; unpack it"),
        ("zip", "day.dbn", "it is a ZIP archive; unpack it"),
        ("zip", "day.csv.gz", "it is a ZIP archive; unpack it"),
        ("npz", "day.npz", "it is a ZIP archive"),
        ("xlsx", "day.xlsx", "it is an Excel workbook; save it as CSV"),
        ("7z", "day.7z", "it is a 7z archive"),
        ("tar", "day.tar", "it is a tar archive"),
        ("tar.gz", "day.tar.gz", "it is a tar archive inside gzip"),
        ("bz2", "day.csv.bz2", "it is compressed by bzip2; unpack it"),
        ("xz", "day.csv.xz", "it is compressed by xz; unpack it"),
        ("lz4", "day.csv.lz4", "it is compressed by lz4; unpack it"),
        ("dbz", "day.dbz", "it is a DBZ file, which DBN has replaced; turn it into DBN"),
        ("dbz", "day.dbn.zst", "it is a DBZ file, which DBN has replaced; turn it into DBN"),
        ("frag", "day.dbn.frag", "it is a fragment of DBN, records without their metadata; put its metadata before"),
        ("feather", "day.arrow", r"it is an Arrow IPC \(Feather\) file; write it as Parquet"),
        ("hdf5", "day.h5", "it is an HDF5 file; export CSV, DBN or Parquet"),
        ("sqlite", "day.db", "it is a SQLite data base; export"),
        ("utf-16", "day.csv", r"it is text in UTF-16; write it as UTF-8 \(iconv"),
        ("utf-16le", "day.csv", "it is text in UTF-16;"),
        ("utf-16be", "day.csv", "it is text in UTF-16;"),
        ("utf-16.gz", "day.csv.gz", "it is text in UTF-16 inside gzip;"),
        ("utf-32", "day.csv", "it is text in UTF-32;"),
        ("gz", "day.csv", "it is text inside gzip, not text; rename it to .csv.gz"),
        ("gz", "day.csv.zst", "it is text inside gzip, not text inside zstd; rename it to .csv.gz"),
        ("zst", "day.csv", "it is text inside zstd, not text; rename it to .csv.zst"),
        ("gz.gz", "day.csv.gz", "it is compressed by gzip inside gzip; unpack it"),
        ("csv", "day.csv.gz", "it is text, not text inside gzip; rename it to .csv"),
        ("csv", "day.dbn", "it is text, not DBN; rename it to .csv"),
        ("csv", "day.parquet", "it is text, not Parquet; rename it to .csv"),
        ("gz", "day.parquet", "it is text inside gzip, not Parquet; rename it to .csv.gz"),
        ("dbn.zst", "day.dbn", "it is DBN inside zstd, not DBN; rename it to .dbn.zst"),
        ("dbn", "day.dbn.zst", "it is DBN, not DBN inside zstd; rename it to .dbn"),
        ("dbn", "day.csv", "it is DBN, not text; rename it to .dbn"),
        ("dbn.gz", "day.dbn.gz", "it is DBN inside gzip, not text inside gzip; unpack it, and name it .dbn"),
        ("parquet", "day.csv", "it is Parquet, not text; rename it to .parquet"),
        ("parquet", "day.csv.gz", "it is Parquet, not text inside gzip; rename it to .parquet"),
        ("parquet", "day.dbn", "it is Parquet, not DBN; rename it to .parquet"),
        ("parquet.gz", "day.parquet.gz", "it is Parquet inside gzip, .*; unpack it, and name it .parquet"),
    ],
)
def test_a_file_that_is_something_else_says_what(contents, tmp_path, content, name, message):
    (tmp_path / name).write_bytes(contents[content])
    with pytest.raises(FeedUnavailable, match=message) as caught:
        read_file(tmp_path / name)
    assert caught.value.where == str(tmp_path / name)


def test_the_command_ends_with_2_and_one_line(contents, tmp_path, capsys):
    (tmp_path / "day.zip").write_bytes(contents["zip"])
    assert main(["check", f"{tmp_path}/day.zip"]) == 2
    stderr = capsys.readouterr().err
    assert stderr == f"error: {tmp_path}/day.zip: it is a ZIP archive; unpack it, and name what is in it\n"


@pytest.mark.parametrize(
    ("content", "name"),
    [("csv", "day.txt"), ("csv", "day"), ("gz", "day.txt.gz"), ("zst", "DAY.CSV.ZST"), ("dbn.zst", "day.dbn.zst")],
)
def test_what_fits_its_name_or_has_none_is_read(contents, tmp_path, content, name):
    (tmp_path / name).write_bytes(contents[content])
    assert same(read_file(tmp_path / name).tape, TAPE)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_is_text_with_a_mark_and_a_letter_cut_in_two(end):
    assert is_text(f"\ufeffa,b{end}".encode())
    assert is_text(("a,b" + end + "\N{SNOWMAN}" * 200).encode()[:512])
    assert not is_text(b"a,b\xff")
    assert not is_text(b"DBN\x03,,,,")


@pytest.mark.parametrize("name", ["day.csv.gz", "day.csv.zst", "day.dbn.zst", "day.dbn", "day.parquet"])
def test_what_is_nothing_known_is_damaged(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x01\x02\x03" * 99)
    with pytest.raises(FeedCorrupt):
        read_file(tmp_path / name)
