"""A frame as a source of `sweep.run`: what it finds is what the same quotes find as a file."""

from __future__ import annotations

import json

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import sweep
from feed.errors import FeedUnavailable
from feed.files.csv_writer import write_csv
from feed.synthetic import generate
from sweep.config import Config
from sweep.errors import ConfigError

ASKED = {"executor": "inline", "order": {"size": 500}, "grid": {"lambda_under": 0.02, "theta_queue": [0, 0.01]}}


@pytest.fixture(scope="module")
def tape():
    return generate(seed=1, seconds=60, venues=2, levels=1)


@pytest.fixture(scope="module")
def desk(tape):
    """The tape as a desk has it: floats, New York's clocks, names of venues, no sequence."""
    frame = tape.to_frame()
    names = dict(zip(tape.venues.tolist(), ("XNAS", "XBOS"), strict=True))
    return pd.DataFrame(
        {
            "time": pd.to_datetime(frame["ts"], utc=True).dt.tz_convert("America/New_York"),
            "ticker": tape.symbol,
            "exchange": frame["venue"].map(names),
            "bid": frame["bid_px"] / 1e9,
            "ask": frame["ask_px"] / 1e9,
            "bid_size": frame["bid_sz"],
            "ask_size": frame["ask_sz"],
        }
    )


def answer(document):
    """What a document says, without where the quotes came from and how the run went."""
    return json.dumps({name: value for name, value in document.items() if name not in {"feed", "run"}}, sort_keys=True)


def test_a_plan_takes_a_frame_as_a_run_does(desk):
    planned, swept = sweep.plan(source=desk, **ASKED), sweep.run(source=desk, **ASKED).document
    assert planned["combinations"] == swept["objective"]["combinations"] == 6
    assert planned["feed"]["digest"] == swept["feed"]["digest"]
    assert planned["blocks"] == swept["orders"]["blocks"] == 1
    with pytest.raises(ConfigError, match="a Config is whole"):
        sweep.plan(Config(), source=desk)


def test_a_frame_of_a_desk_is_swept_as_its_file_is(desk, tmp_path):
    result = sweep.run(source=desk, **ASKED)
    desk.to_csv(tmp_path / "desk.csv", index=False)
    quotes = {
        "time": "time",
        "symbol": "ticker",
        "venue": "exchange",
        "bid_px": "bid",
        "ask_px": "ask",
        "bid_sz": "bid_size",
        "ask_sz": "ask_size",
    }
    of_file = sweep.run({"source": str(tmp_path / "desk.csv"), "quotes": quotes, **ASKED})
    assert answer(result.document) == answer(of_file.document)
    assert result.document["feed"]["digest"] == of_file.document["feed"]["digest"]
    assert (result.document["feed"]["source"], result.document["feed"]["place"]) == ("memory", "table")


def test_frames_of_others_and_an_index_are_the_same_tape(desk):
    expected = sweep.run(source=desk, **ASKED).document["feed"]["digest"]
    table = pa.Table.from_pandas(desk)
    for source in (table, pl.from_arrow(table), pa.RecordBatchReader.from_batches(table.schema, table.to_batches())):
        assert sweep.run(source=source, **ASKED).document["feed"]["digest"] == expected
    indexed = desk.set_index("time")
    assert sweep.run(source=indexed, **ASKED).document["feed"]["digest"] == expected
    assert sweep.run(source=indexed.rename_axis(None), **ASKED).document["feed"]["digest"] == expected


def test_what_is_in_doubt_is_asked_and_settled_by_a_key(desk):
    naive = desk.assign(time=desk["time"].dt.tz_localize(None))
    with pytest.raises(FeedUnavailable, match=r"memory:table: 'time' names no time zone: quotes.zone=UTC makes"):
        sweep.run(source=naive, **ASKED)
    result = sweep.run(source=naive, quotes={"zone": "America/New_York"}, **ASKED)
    assert result.document["feed"]["digest"] == sweep.run(source=desk, **ASKED).document["feed"]["digest"]


def test_a_stored_run_of_a_frame_is_found_by_its_quotes_and_says_that_they_are_gone(desk, tmp_path):
    first = sweep.run(source=desk, output=str(tmp_path), **ASKED)
    again = sweep.run(source=desk, output=str(tmp_path), **ASKED)
    assert again.home == first.home
    assert again.document == first.document
    with pytest.raises(
        FeedUnavailable, match=r"its quotes were a table in memory, which is gone; sweep.run.source=TABLE"
    ):
        sweep.verify(first.home)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (pd.DataFrame({"time": []}), "the table holds no rows"),
        (pd.DataFrame({"a": [1]}), "which column is time"),
        (pd.DataFrame({"a": [object()]}), "it is no table"),
    ],
)
def test_a_frame_that_is_none_of_quotes_is_refused_in_a_line(source, says):
    with pytest.raises(FeedUnavailable, match=says):
        sweep.run(source=source, **ASKED)


def test_keys_are_added_to_a_mapping_and_not_to_a_config(tape, tmp_path):
    write_csv(tape, tmp_path / "day.csv")
    base = {"source": str(tmp_path / "day.csv"), "executor": "inline"}
    given = sweep.run(base, grid={"theta_queue": [0, 0.01]}, order={"size": 500})
    assert given.document["objective"]["combinations"] == 2 * 9
    with pytest.raises(ConfigError, match=r"order: a Config is whole; give a mapping to add keys to"):
        sweep.run(Config(**base), order={"size": 500})
    with pytest.raises(ConfigError, match="unknown key sauce"):
        sweep.run(sauce=1)
