"""Convert: what is written is the tape, whole, or nothing is."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.cli import main
from feed.errors import FeedUnavailable
from feed.files import conversion
from feed.files.conversion import check_place, convert, name_of
from feed.files.csv_writer import write_csv
from feed.files.registry import WRITERS, read_file
from feed.source import read_tapes
from feed.synthetic import generate
from feed.tape import DAY, QUOTE_DTYPES, Tape, no_trades, same
from tests.support.examples import examples
from tests.support.strategies import OPEN, tapes

FEW = examples(40)
ENDINGS = sorted(WRITERS)


@pytest.fixture(scope="module")
def tape():
    return generate(seconds=20, warmup=1)


@pytest.fixture
def source(tape, tmp_path):
    write_csv(tape, tmp_path / "in.csv")
    return tmp_path / "in.csv"


def columns_of(tape):
    return {name: getattr(tape, name) for name in QUOTE_DTYPES}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_gives_the_tape_back(tape, source, tmp_path, capsys, ending):
    out = tmp_path / f"out{ending}"
    assert main(["convert", str(source), str(out)]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary == {
        "place": str(out),
        "symbol": "SYNTH",
        "rows": tape.rows,
        "snapshots": tape.snapshots,
        "trades": len(tape.trades.ts),
        "depth": 10,
        "digest": tape.digest(),
        "bytes": out.stat().st_size,
    }
    assert same(read_file(out).tape, tape)
    assert len(tape.trades.ts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", f"out{ending}"]


_SYMBOLS = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable() or "\n" in text)


@FEW
@given(
    tape=tapes(),
    symbol=st.one_of(st.just("XYZ"), _SYMBOLS),
    ending=st.sampled_from(ENDINGS),
    chain=st.sampled_from(ENDINGS),
)
def test_any_tape_is_written_exactly_or_refused(tape, symbol, ending, chain, tmp_path_factory):
    tape = replace(tape, symbol=symbol)
    folder = tmp_path_factory.mktemp("any")
    for name in (f"a{ending}", f"b{chain}"):
        result = outcome(tape, folder / name)
        if isinstance(result, str):
            assert not name.endswith(".parquet")
            assert "cannot hold this tape" in result
            assert not list(folder.iterdir())
            return
        assert result["digest"] == tape.digest()
        ((tape, _),) = read_tapes(str(folder / name))
        assert tape.digest() == result["digest"]
        (folder / name).unlink()


def outcome(tape, path):
    try:
        return convert([tape], str(path))[0]
    except FeedUnavailable as error:
        return str(error)


def test_several_tapes_are_a_file_each(tape, tmp_path, capsys):
    later = Tape.build(
        "../X/1", **columns_of(tape) | {"ts": np.where(np.arange(tape.rows) < 9, tape.ts, tape.ts + DAY)}
    )
    convert([later], str(tmp_path / "both.parquet"))
    write_csv(tape, tmp_path / "one.csv")
    out = tmp_path / "out"
    assert main(["convert", str(tmp_path), f"{out}/", "--ending", ".csv.gz"]) == 0
    summary = json.loads(capsys.readouterr().out)
    names = ["%2E.%2FX%2F1-2025-03-12.csv.gz", "%2E.%2FX%2F1-2025-03-13.csv.gz", "SYNTH-2025-03-12.csv.gz"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert [each["place"] for each in summary["tapes"]] == [str(out / name) for name in names]
    assert (summary["rows"], summary["trades"]) == (2 * tape.rows, len(tape.trades.ts))
    again = read_tapes(str(out))
    assert [each.digest() for each, _ in again] == [each["digest"] for each in summary["tapes"]]
    assert main(["convert", str(out), str(tmp_path / "one.parquet")]) == 2
    assert "one file cannot hold 3 tapes; tapes there: " in capsys.readouterr().err


def test_a_symbol_is_no_path():
    for symbol in ("..", ".", "/etc/passwd", "a/../b", ".x", "C:\\x", "x\0y"):
        name = name_of(
            Tape.build(
                symbol, **{name: np.array([OPEN]) if name == "ts" else np.ones(1, int) for name in QUOTE_DTYPES}
            ),
            ".csv",
        )
        assert not set(name) & set("/\\\0:")
        assert not name.startswith(".")


def test_trades_that_no_row_carries_need_parquet(tape, tmp_path):
    alone = Tape.build(
        "X",
        **{name: values[:0] for name, values in columns_of(tape).items()},
        trades={name: getattr(tape.trades, name) for name in tape.trades.__slots__},
    )
    for ending in (".csv", ".dbn"):
        with pytest.raises(
            FeedUnavailable, match=rf"a {ending} file cannot hold this tape: \d+ trades have no row.*write \.parquet"
        ):
            convert([alone], str(tmp_path / f"x{ending}"))
    convert([alone], str(tmp_path / "x.parquet"))
    assert same(read_file(tmp_path / "x.parquet").tape, alone)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sequence": 2**32}, "a sequence is beyond 32 bits"),
        ({"symbol": "X" * 71}, "too long"),
        ({"symbol": "\N{SNOWMAN}"}, "cannot hold this tape"),
    ],
)
def test_what_dbn_cannot_hold_is_said(tmp_path, change, message):
    columns = {name: np.array([OPEN if name == "ts" else 1]) for name in QUOTE_DTYPES}
    symbol = change.pop("symbol", "X")
    columns |= {name: np.array([value]) for name, value in change.items()}
    tape = Tape.build(symbol, **columns)
    with pytest.raises(FeedUnavailable, match=message):
        convert([tape], str(tmp_path / "x.dbn"))
    assert not list(tmp_path.iterdir())


def test_what_reads_back_as_something_else_is_not_put_in_place(tape, tmp_path, monkeypatch):
    (tmp_path / "x.csv").write_text("what was there")
    monkeypatch.setitem(conversion.WRITERS, ".csv", lambda tape, path: write_csv(tape.clip(0, tape.ts[-2]), path))
    with pytest.raises(FeedUnavailable, match="what was read back differs"):
        convert([replace(tape, trades=no_trades())], str(tmp_path / "x.csv"), force=True)
    assert (tmp_path / "x.csv").read_text() == "what was there"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_interruption_leaves_nothing_behind(tape, tmp_path, monkeypatch):
    def interrupted(_tape, path):
        path.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setitem(conversion.WRITERS, ".csv", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert([tape], str(tmp_path / "x.csv"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("x.txt", r"it ends in none of \.csv, .*\.parquet, which say how it is written"),
        ("none/x.csv", "none: there is no such directory; make it first"),
        ("none/none/", "none/none/: it cannot be written: No such file or directory"),
    ],
)
def test_a_place_that_cannot_be_written_is_said_before_anything_is_read(tmp_path, capsys, out, message):
    assert main(["convert", "absent.csv", f"{tmp_path}/{out}"]) == 2
    stderr = capsys.readouterr().err
    assert "absent.csv" not in stderr
    assert re.search(message, stderr)


def test_an_unknown_ending_for_a_directory_is_refused(tmp_path, capsys):
    assert main(["convert", "absent.csv", str(tmp_path), "--ending", ".txt"]) == 2
    assert "it ends in none of" in capsys.readouterr().err


@pytest.mark.parametrize("occupy", [lambda path: path.write_text("theirs"), lambda path: path.symlink_to("nowhere")])
def test_a_file_that_is_there_is_replaced_only_by_force(source, tmp_path, capsys, occupy):
    out = tmp_path / "out.csv"
    occupy(out)
    assert main(["convert", "absent.csv", str(out)]) == 2  # before anything is read
    assert capsys.readouterr().err == f"error: {out}: it is there already; choose another place, or add --force\n"
    assert main(["convert", str(source), str(out), "--force"]) == 0
    assert not out.is_symlink()
    assert same(read_file(out).tape, read_file(source).tape)


def test_a_folder_in_which_one_file_is_there_gets_none(tape, source, tmp_path, capsys):
    later = replace(tape, symbol="Z")
    write_csv(later, tmp_path / "later.csv")
    (tmp_path / "out").mkdir()
    theirs = tmp_path / "out" / name_of(later, ".csv")
    theirs.write_text("theirs")
    words = ["convert", f"{tmp_path}/*.csv", f"{tmp_path}/out/", "--ending", ".csv"]
    assert main(words) == 2
    assert capsys.readouterr().err == f"error: {theirs}: it is there already; choose another place, or add --force\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == [theirs.name]
    assert theirs.read_text() == "theirs"
    assert main([*words, "--force"]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert main(words) == 2
    assert "there already, and 1 more of 2 files are; choose another place" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["shut/x.csv", "shut/", "shut"])
def test_a_folder_that_may_not_be_written_is_said_before_anything_is_read(tmp_path, capsys, monkeypatch, out):
    (tmp_path / "shut").mkdir()
    monkeypatch.setattr(os, "access", lambda path, _mode: path != tmp_path / "shut")
    assert main(["convert", "absent.csv", f"{tmp_path}/{out}"]) == 2
    message = f"error: {tmp_path}/shut: the directory may not be written; choose another one\n"
    assert capsys.readouterr().err == message


def test_a_file_may_be_converted_to_itself(tape, source):
    before = source.read_bytes()
    assert main(["convert", str(source), str(source)]) == 2
    assert main(["convert", str(source), str(source), "--force"]) == 0
    assert source.read_bytes() == before


def test_an_empty_tape_is_refused(tape, tmp_path):
    with pytest.raises(FeedUnavailable, match="nothing to write"):
        convert([tape.clip(0, 1)], str(tmp_path / "x.csv"))
    with pytest.raises(FeedUnavailable, match="nothing to write"):
        convert([tape.clip(0, 1)], f"{tmp_path}/days/")


def test_an_empty_tape_among_others_is_left_out(tape, tmp_path):
    (written,) = convert([tape.clip(0, 1), tape], str(tmp_path / "x.parquet"))
    assert (written["symbol"], written["rows"]) == (tape.symbol, tape.rows)


@pytest.mark.parametrize("out", ["out.dbn", "out.dbn.zst"])
def test_dbn_without_its_library_is_refused_before_anything_is_read(tmp_path, monkeypatch, out):
    monkeypatch.setitem(sys.modules, "databento_dbn", None)
    with pytest.raises(FeedUnavailable) as error:
        check_place(str(tmp_path / out))
    assert str(error.value).startswith(
        f"{tmp_path / out}: DBN needs the library databento-dbn, which is not installed;"
    )
