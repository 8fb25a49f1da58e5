"""Files, directories and globs: what is read how, what is joined, and what is there where nothing fits."""

from __future__ import annotations

import errno
import gzip
import json
import os
import pickle
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.cli import main
from feed.errors import FeedCorrupt, FeedUnavailable
from feed.files.csv_writer import write_csv
from feed.files.dbn_writer import write_dbn
from feed.files.parquet import write_parquet
from feed.files.registry import READERS, WRITERS, ending_of
from feed.options import ReadOptions
from feed.source import plan_source, read_source, read_tapes
from feed.tape import DAY, QUOTE_DTYPES, UNNAMED, Tape, join, same
from tests.support import ROOT
from tests.support.examples import examples
from tests.support.strategies import CENT, OPEN, SECOND, tapes
from tests.support.waits import without_waits

FEW = examples(40)


def build(symbol, *rows):
    """A tape of rows (days, seconds, venue, sequence)."""
    day, second, venue, sequence = (list(column) for column in zip(*rows, strict=True))
    here = len(rows)
    return Tape.build(
        symbol,
        ts=[OPEN + each * DAY + at * SECOND for each, at in zip(day, second, strict=True)],
        venue=venue,
        bid_px=[100 * CENT] * here,
        ask_px=[101 * CENT] * here,
        bid_sz=[100] * here,
        ask_sz=[200] * here,
        sequence=sequence,
    )


ONE = build("AAPL", (0, 0, 2, 1), (0, 1, 2, 2))
LATER = build("AAPL", (0, 1, 3, 1), (0, 2, 2, 3), (1, 0, 2, 4))
OTHER = build("MSFT", (0, 0, 2, 1), (1, 0, 2, 2))


@pytest.fixture
def folder(tmp_path):
    """Three files of two symbols and two dates, and two that are none."""
    write_csv(ONE, tmp_path / "a.csv.gz")
    write_dbn(LATER, tmp_path / "b.dbn.zst")
    write_parquet([OTHER], tmp_path / "c.parquet")
    (tmp_path / "README.md").write_text("not quotes")
    (tmp_path / ".half.csv").write_text("half written")
    (tmp_path / "sub.csv").mkdir()
    return tmp_path


def test_every_ending_that_is_read_is_written_too():
    assert set(READERS) == set(WRITERS)


@pytest.mark.parametrize(
    ("name", "ending"),
    [("a.csv", ".csv"), ("A.CSV.GZ", ".csv.gz"), ("x.dbn.zst", ".dbn.zst"), ("x.gz", None), ("csv", None)],
)
def test_the_ending_says_how_a_file_is_read(name, ending):
    assert ending_of(name) == ending


@pytest.mark.parametrize("place", ["", "/", "/*", "/*.*", "/**"])
def test_a_directory_or_a_glob_is_a_tape_per_symbol_and_date(folder, place):
    pairs = read_tapes(f"{folder}{place}")
    assert [(tape.symbol, tape.span[0] // DAY - OPEN // DAY) for tape, _ in pairs] == [
        ("AAPL", 0),
        ("AAPL", 1),
        ("MSFT", 0),
        ("MSFT", 1),
    ]
    both = join([ONE, LATER])
    midnight = OPEN // DAY * DAY + DAY
    assert same(pairs[0][0], both.clip(0, midnight - 1))
    assert same(pairs[1][0], both.clip(midnight, midnight + DAY))
    assert [provenance.notes[0] for _, provenance in pairs] == [
        "read from 2 of 3 files",
        "read from 1 of 3 files",
        "read from 1 of 3 files",
        "read from 1 of 3 files",
    ]
    for tape, provenance in pairs:
        assert (provenance.source, provenance.place) == ("file", f"{folder}{place}")
        assert (provenance.digest, provenance.rows) == (tape.digest(), tape.rows)
        assert (provenance.snapshots, provenance.trades) == (tape.snapshots, 0)


def test_each_file_is_a_range_in_the_order_of_the_names(folder):
    plan = pickle.loads(pickle.dumps(plan_source(str(folder))))  # noqa: S301 - our own bytes
    assert [part.path.name for part in plan.ranges] == ["a.csv.gz", "b.dbn.zst", "c.parquet"]
    assert [part.path.name for part in plan_source(f"{folder}/[ab]*").ranges] == ["a.csv.gz", "b.dbn.zst"]


def test_a_symbol_is_taken_from_the_files_that_have_it(folder):
    pairs = read_tapes(str(folder), ReadOptions(symbol="MSFT"))
    assert [tape.symbol for tape, _ in pairs] == ["MSFT", "MSFT"]
    assert pairs[0][1].notes[0] == "read from 1 of 3 files"
    with pytest.raises(FeedUnavailable, match=r"no rows of symbol 'IBM'; symbols there: AAPL, MSFT$") as caught:
        read_tapes(str(folder), ReadOptions(symbol="IBM"))
    assert caught.value.where == str(folder)


def test_one_tape_is_asked_for_and_there_are_several(folder):
    with pytest.raises(FeedUnavailable, match=r"4 tapes; tapes there: AAPL 2024-08-01, AAPL 2024-08-02, MSFT.*symbol="):
        read_source(str(folder))


def test_a_file_by_itself_is_a_tape_per_symbol_whatever_its_dates(tmp_path):
    write_parquet([LATER, OTHER], tmp_path / "a.parquet")
    pairs = read_tapes(str(tmp_path / "a.parquet"))
    assert same(pairs[0][0], LATER)
    assert same(pairs[1][0], OTHER)
    assert pairs[0][1].notes == ()
    assert [tape.symbol for tape, _ in read_tapes(str(tmp_path / "*.parquet"))] == ["AAPL", "AAPL", "MSFT", "MSFT"]


def test_a_name_that_looks_like_a_glob_is_a_file_where_it_is_there(tmp_path):
    write_csv(ONE, tmp_path / "day[1].csv")
    assert same(read_source(str(tmp_path / "day[1].csv"))[0], ONE)


def unnamed_file(path, tape):
    write_csv(tape, path)
    names, *lines = path.read_text().splitlines()
    assert names.endswith(",symbol")
    path.write_text("\n".join(line.rpartition(",")[0] for line in (names, *lines)) + "\n")


def test_files_of_one_date_that_name_no_symbol_are_joined_only_where_one_is_given(tmp_path):
    first = build("X", (0, 0, 2, 1))
    unnamed_file(tmp_path / "a.csv", first)
    unnamed_file(tmp_path / "b.csv", build("X", (1, 0, 2, 2)))
    assert [tape.symbol for tape, _ in read_tapes(str(tmp_path))] == [UNNAMED, UNNAMED]
    unnamed_file(tmp_path / "c.csv", first)
    with pytest.raises(FeedUnavailable, match=r"2 files of one date, and not all name their symbol.*symbol="):
        read_tapes(str(tmp_path))
    assert [tape.rows for tape, _ in read_tapes(str(tmp_path), ReadOptions(symbol="X"))] == [2, 1]


def test_what_files_left_out_adds_up(tmp_path):
    for name in "ab":
        write_csv(ONE, tmp_path / f"{name}.csv")
        with (tmp_path / f"{name}.csv").open("a") as file:
            file.write(
                (tmp_path / f"{name}.csv").read_text().splitlines()[-1].replace(",1,2,1,M,", ",19,2,1,M,") + "\n"
            )
    ((_, provenance),) = read_tapes(str(tmp_path))
    assert provenance.ignored == {"other_rtype": 2}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("*.txt", r"no file matches; files there: \.half\.csv, README\.md, a\.csv\.gz"),
        ("none/*.csv", "no file matches; there is no directory .*none$"),
        ("*.md", r"no file there ends in one of \.csv, .*parquet; files there: README\.md"),
        ("sub.csv", "no file there ends in one of .*; there are no files"),
        ("absent.csv", "no such file"),
    ],
)
def test_nothing_there_says_what_is(folder, place, message):
    with pytest.raises(FeedUnavailable, match=message) as caught:
        plan_source(str(folder / place))
    assert caught.value.exit_code == 2


def test_a_damaged_file_among_others_is_named(folder):
    (folder / "d.csv").write_bytes((folder / "a.csv.gz").read_bytes())
    with pytest.raises((FeedUnavailable, FeedCorrupt)) as caught:
        read_tapes(str(folder))
    assert caught.value.where == str(folder / "d.csv")
    (folder / "e.csv").touch()
    with pytest.raises(FeedUnavailable, match=r"e\.csv: the file is empty"):
        plan_source(str(folder))


def test_a_bound_is_of_each_file(folder):
    with pytest.raises(FeedCorrupt, match=r"a\.csv\.gz: more than 100 bytes"):
        read_tapes(str(folder), ReadOptions(max_bytes=100))


def test_a_replay_is_not_there(folder):
    with pytest.raises(FeedUnavailable, match="no replay"):
        plan_source(str(folder), ReadOptions(replay="1"))


@FEW
@given(
    tape=tapes(trades=False),
    cuts=st.lists(st.integers(0, 40), max_size=3),
    endings=st.lists(st.sampled_from(sorted(WRITERS)), min_size=4, max_size=4),
)
def test_a_tape_cut_into_files_of_any_kind_is_joined_again(tape, cuts, endings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut")
    edges = [0, *sorted(min(cut, tape.rows) for cut in cuts), tape.rows]
    for number, (low, high) in enumerate(pairwise(edges)):
        if low < high:
            part = Tape.build("XYZ", **{name: getattr(tape, name)[low:high] for name in QUOTE_DTYPES})
            WRITERS[endings[number]](part, folder / f"{number}{endings[number]}")
    ((again, _),) = read_tapes(str(folder))
    assert same(again, tape)


def test_check_prints_each_tape_and_keeps_its_shape_for_one(folder, capsys):
    assert main(["check", f"{folder}/a*", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"feed", "quality"}
    assert main(["check", str(folder), "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)["tapes"]
    assert [(each["quality"]["symbol"], each["feed"]["rows"]) for each in answers] == [
        ("AAPL", 4),
        ("AAPL", 1),
        ("MSFT", 1),
        ("MSFT", 1),
    ]
    assert main(["check", str(folder)]) == 0
    assert capsys.readouterr().out.count("symbol       ") == 4


def test_check_is_an_error_where_one_tape_is(folder, capsys):
    (folder / "d.csv.gz").write_bytes(
        gzip.compress(
            gzip.decompress((folder / "a.csv.gz").read_bytes()).replace(b"AAPL", b"SWAP").replace(b"1.01", b"0.01")
        )
    )
    assert main(["check", str(folder)]) == 3
    assert "error" in capsys.readouterr().out


# --- what may not be read ---


@pytest.mark.parametrize("name", ["is_dir", "exists", "is_file", "iterdir", "stat", "open"])
@pytest.mark.parametrize("place", ["", "/a.csv.gz", "/c.parquet", "/b.dbn.zst", "/[ab]*", "/none*"])
def test_what_the_system_refuses_is_one_line(folder, capsys, monkeypatch, name, place):
    ours = getattr(Path, name)

    def refuse(path, *arguments, **options):
        if folder in {path, path.parent}:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return ours(path, *arguments, **options)

    monkeypatch.setattr(Path, name, refuse)
    code = main(["check", f"{folder}{place}"])
    stderr = capsys.readouterr().err
    if code:
        assert code == 2
        assert stderr.count("\n") == 1
        assert "may not be read; check its permissions" in stderr or "no file matches" in stderr


@pytest.fixture
def closed(monkeypatch):
    """Folders whose names say that they are shut, or blind: the first may not be entered, the second not be listed."""
    access, scandir = os.access, os.scandir

    def listed(path):
        if not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    closing = {"shut": 0, "lost+found": 0, "blind": os.X_OK}
    monkeypatch.setattr(
        os, "access", lambda path, mode: not mode & ~closing.get(Path(path).name, 7) and access(path, mode)
    )
    monkeypatch.setattr(os, "scandir", listed)


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("pattern", ["**", "**/*.csv", "*/*.csv", "*/a.csv", "[n-t]*/*"])
def test_a_folder_that_a_glob_cannot_look_into_is_named(folder, capsys, pattern):
    for name in ("shut", "open"):
        (folder / name).mkdir()
    assert main(["check", f"{folder}/sh*/*.csv"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {folder}/shut: it may not be read; check its permissions")
    write_csv(ONE, folder / "open" / "a.csv")
    for _, provenance in read_tapes(f"{folder}/{pattern}"):
        assert provenance.notes[1] == f"passed over what may not be looked into: {folder}/shut"
    assert main(["check", f"{folder}/{pattern}"]) == 0
    printed = capsys.readouterr()
    assert f"note         passed over what may not be looked into: {folder}/shut" in printed.out
    assert printed.err == f"warning: passed over what may not be looked into: {folder}/shut\n"
    for other in ("*.gz", "o*/*"):  # it is not on the way
        ((_, provenance),) = read_tapes(f"{folder}/{other}")
        assert provenance.notes[0] == "read from 1 of 1 files"
        assert not any("passed over" in note for note in provenance.notes)


@pytest.mark.usefixtures("closed")
def test_a_root_of_a_disk_is_read_beside_its_lost_and_found(folder, capsys):
    (folder / "lost+found").mkdir()
    (folder / "day1").mkdir()
    write_csv(ONE, folder / "day1" / "d.csv")
    ((tape, provenance),) = read_tapes(f"{folder}/*/d.csv")
    assert same(tape, ONE)
    assert provenance.notes[1] == f"passed over what may not be looked into: {folder}/lost+found"
    assert main(["convert", f"{folder}/*/d.csv", f"{folder}/new.csv"]) == 0
    assert f"warning: passed over what may not be looked into: {folder}/lost+found\n" in capsys.readouterr().err


@pytest.mark.usefixtures("closed")
def test_a_folder_that_need_not_be_listed_is_no_obstacle(folder, capsys):
    (folder / "blind" / "day").mkdir(parents=True)
    write_csv(ONE, folder / "blind" / "day" / "a.csv")
    ((_, provenance),) = read_tapes(f"{folder}/blind/day/*.csv")
    assert not any("passed over" in note for note in provenance.notes)
    assert main(["check", f"{folder}/blind/day/*.dbn"]) == 2
    assert "no file matches" in capsys.readouterr().err
    assert main(["check", f"{folder}/blind/*/a.csv"]) == 2
    assert f"{folder}/blind: it may not be read" in capsys.readouterr().err


def test_a_note_names_ten_folders(folder, monkeypatch):
    for number in range(12):
        (folder / f"shut{number:02}").mkdir()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "shut" not in Path(path).name and access(path, mode))
    note = read_tapes(f"{folder}/**")[0][1].notes[1]
    assert note.endswith("/shut09 and 2 more")


def test_a_name_that_is_too_long_is_one_line(capsys):
    assert main(["check", "x" * 5000]) == 2
    assert "it cannot be read: File name too long; check the path" in capsys.readouterr().err


@pytest.mark.command
@pytest.mark.skipif(
    not shutil.which("setpriv") and os.geteuid() == 0, reason="root may read all, and setpriv is absent"
)
def test_an_unreadable_folder_is_one_line_in_every_command(folder):
    """As a user who is not root, or as root without the privilege to pass over permissions."""
    overriding = "-dac_override,-dac_read_search"
    plain = ["setpriv", f"--bounding-set={overriding}", f"--inh-caps={overriding}"] if os.geteuid() == 0 else []
    shut, blind = folder / "shut", folder / "blind"
    for each in (shut, blind):
        each.mkdir()
        write_csv(ONE, each / "a.csv")
    shut.chmod(0o000)
    blind.chmod(0o644)
    try:
        for words in (
            ["feed", "check", str(shut)],
            ["feed", "check", f"{blind}/a.csv"],
            ["feed", "convert", str(shut), f"{folder}/new.csv"],
            ["feed", "convert", f"{folder}/a.csv.gz", f"{shut}/new.csv"],
            ["feed", "convert", f"{folder}/a.csv.gz", f"{shut}/"],
            ["sweep", f"source={shut}", "executor=inline"],
            ["sweep", f"source={folder}/a.csv.gz", f"output={shut}"],
        ):
            command = [*plain, sys.executable, "-m", *words]
            ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
            assert (ran.returncode, ran.stdout, without_waits(ran.stderr).count("\n")) == (2, "", 1), (
                words,
                ran.stderr,
            )
    finally:
        for each in (shut, blind):
            each.chmod(0o755)
