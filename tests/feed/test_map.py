"""`python -m feed map`: from a desk's file to a configuration that a sweep reads, or the question that is open."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feed import cli
from feed.files.csv_writer import write_csv
from feed.synthetic import generate
from sweep.cli import main as sweep_main
from tests.feed.tables.test_proposal import DESK

ZONE = "quotes.zone=America/New_York"


@pytest.fixture
def desk(tmp_path):
    """A desk's file of a minute, in which the price moves."""
    rows = ["Time,Exch,Ticker,Bid,Ask,BidSize,AskSize"]
    for second in range(60):
        for venue, cents in (("ARCA", second % 7), ("NASDAQ", second % 5)):
            rows.append(
                f"2024-08-01 09:30:{second:02}.5,{venue},ABC,157.{20 + cents},157.{22 + cents},300,{100 + second}"
            )
    path = tmp_path / "desk.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_two_commands_lead_from_a_desks_file_to_an_answer(desk, tmp_path, capsys):
    written = tmp_path / "desk.yaml"
    assert cli.main(["map", str(desk), ZONE, "--output", str(written)]) == 0
    assert f"python -m sweep --config {written}" in capsys.readouterr().err
    assert sweep_main(["--config", str(written), "executor=inline", "order.size=500"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["feed"]["rows"] == 120
    assert document["optimized"]["filled"] == 500
    assert any("the order of the rows stands in" in note for note in document["feed"]["notes"])


def test_the_yaml_goes_to_stdout_alone(desk, capsys):
    assert cli.main([ZONE, "map", str(desk)]) == 0
    output = capsys.readouterr()
    assert output.out.startswith(f"source: '{desk}'\nquotes:\n  time: Time  # by its name; '2024-08-01 09:30:00.5'")
    assert output.err == ""


def test_what_two_readings_fit_is_asked_in_a_line(desk, capsys):
    assert cli.main(["map", str(desk)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(
        f"error: {desk}: 'Time' names no time zone: quotes.zone=UTC makes the first row 2024-08-01T09:30"
    )
    assert error.count("\n") == 1


def test_parquet_and_other_delimiters_are_looked_at_too(tmp_path, capsys):
    pq.write_table(pa.table(DESK), tmp_path / "desk.parquet")
    assert cli.main(["map", str(tmp_path / "desk.parquet"), ZONE]) == 0
    assert "venues: name" in capsys.readouterr().out
    lines = ["|".join(DESK), *("|".join(row) for row in zip(*DESK.values(), strict=True))]
    (tmp_path / "desk.csv").write_text("\n".join(lines) + "\n")
    assert cli.main(["map", str(tmp_path / "desk.csv"), ZONE]) == 0
    assert "  delimiter: '|'  # as the first rows have it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "words", "says"),
    [
        (None, (), "no such file"),
        ("Time\n", (), "the file holds no rows"),
        ("Time,Time\n1,2\n", (), "columns there more than once: 'Time'; name each once"),
        ('Time,"Bid\nprice"\n1,2\n', (), "a line break in the name of a column: 'Bid\\nprice'; take it out"),
        ("Zeit,Börse\n1,2\n".encode("latin-1"), (), "it is no text in UTF-8; write it as UTF-8"),
        ("Time,Bid\n1\n", (), "no table: "),
        ("Time,Bid\n1,2\n", (), "which column is bid_sz"),
        ("Time,Bid\n1,2\n", ("quotes.tame=Time",), "unknown key quotes.tame"),
        ("Time,Bid\n1,2\n", ("symbol=X",), "symbol settles nothing of a mapping"),
        ("Time,Bid\n1,2\n", ("quotes.time=Tame",), "quotes.time: there is no column 'Tame'; columns there: Bid, Time"),
        ("Time,Bid\n1,2\n", ("quotes.bid_px=[Bid, 2]",), "quotes.bid_px: there is no column '2'; columns there: "),
        ("Time,Bid\n1,2\n", ("quotes.sequence=No",), "quotes.sequence: there is no column 'No'"),
        ("Time,Bid\n1,2\n", ("quotes.delimiter=||",), "quotes.delimiter: expected a character, or tab"),
    ],
)
def test_what_cannot_be_mapped_is_refused_in_a_line(tmp_path, capsys, content, words, says):
    path = tmp_path / "desk.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert cli.main(["map", str(path), *words]) in {2, 3}
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_columns_without_a_name_are_passed_over(tmp_path, capsys):
    lines = [f"{','.join(DESK)},,", *(f"{','.join(row)},x," for row in zip(*DESK.values(), strict=True))]
    (tmp_path / "desk.csv").write_text("\n".join(lines) + "\n")
    assert cli.main(["map", str(tmp_path / "desk.csv"), ZONE, "--output", str(tmp_path / "desk.yaml")]) == 0
    assert cli.main(["check", str(tmp_path / "desk.csv"), f"quotes={tmp_path / 'desk.yaml'}"]) == 0
    assert f"{len(DESK['Time'])} in" in capsys.readouterr().out


def test_a_line_break_in_a_name_of_parquet_is_kept(tmp_path, capsys):
    path = tmp_path / "desk.parquet"
    pq.write_table(pa.table({"Bid\nprice" if name == "Bid" else name: column for name, column in DESK.items()}), path)
    assert cli.main(["map", str(path), ZONE, "--output", str(tmp_path / "desk.yaml")]) == 0
    assert cli.main(["check", str(path), f"quotes={tmp_path / 'desk.yaml'}"]) == 0
    assert f"{len(DESK['Time'])} in" in capsys.readouterr().out


def test_rows_of_parquet_are_named_as_the_reading_names_them(tmp_path, capsys):
    path = tmp_path / "desk.parquet"
    pq.write_table(pa.table(DESK | {"Bid": ["1.5", *["x"] * (len(DESK["Bid"]) - 1)]}), path)
    assert cli.main(["map", str(path), ZONE]) == 3
    assert "row 1, column Bid: 'x'" in capsys.readouterr().err


def test_databentos_own_columns_need_no_mapping(tmp_path, capsys):
    write_csv(generate(seed=1, seconds=2, venues=2, levels=1), tmp_path / "day.csv")
    assert cli.main(["map", str(tmp_path / "day.csv")]) == 2
    assert "it has Databento's columns, which need no mapping" in capsys.readouterr().err


def test_a_key_that_does_nothing_for_a_file_is_refused(tmp_path, capsys):
    write_csv(generate(seed=1, seconds=2, venues=2, levels=1), tmp_path / "day.csv")
    assert cli.main(["check", str(tmp_path / "day.csv"), "quotes.zone=UTC"]) == 2
    assert "quotes.zone does nothing for day.csv" in capsys.readouterr().err


def test_sides_that_are_exchanged_are_asked_about(desk, capsys):
    assert cli.main(["map", str(desk), ZONE, "quotes.bid_px=Ask", "quotes.ask_px=Bid"]) == 2
    assert "the bid is above the ask in over half of the first rows; are they exchanged?" in capsys.readouterr().err


def test_a_vendors_layout_needs_no_mapping_either(tmp_path, capsys):
    header = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"
    path = tmp_path / "binance_incremental_book_L2_2020-09-01_BTCUSDT.csv"
    path.write_text(header + "binance,BTCUSDT,1598918400000000,1598918400000001,true,bid,11650.5,1\n")
    assert cli.main(["map", str(path)]) == 2
    assert "it is of a layout that needs no mapping: tables of tardis.dev" in capsys.readouterr().err
