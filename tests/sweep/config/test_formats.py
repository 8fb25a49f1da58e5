"""A sweep is the same whatever its quotes lie in; of several tapes, symbol and window name one."""

from __future__ import annotations

import json

import pytest

import sweep
from feed.files.registry import WRITERS
from feed.instants import format_instant
from feed.synthetic import generate
from feed.tape import DAY, QUOTE_DTYPES, Tape
from sweep.config.loading import load_config

PLACES = ("source", "place", "ignored", "notes")


@pytest.fixture(scope="module")
def tape():
    return generate(seconds=20, warmup=2)


@pytest.fixture(scope="module")
def expected(tape, tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "day.csv"
    WRITERS[".csv"](tape, path)
    return run(path)


def run(place, *keys):
    return sweep.run(load_config(None, ["executor=inline", f"source={place}", "order.size=700", *keys]))


def document_of(result):
    """The document without what says where it was read, as text: NaN equals itself."""
    document = {name: value for name, value in result.document.items() if name != "run"}
    document["feed"] = {name: value for name, value in document["feed"].items() if name not in PLACES}
    return json.dumps(document)


@pytest.mark.parametrize("ending", sorted(WRITERS))
def test_every_format_gives_the_same_result(tape, expected, ending, tmp_path):
    WRITERS[ending](tape, tmp_path / f"day{ending}")
    result = run(tmp_path / f"day{ending}")
    assert (result.table == expected.table).all()
    assert document_of(result) == document_of(expected)


def test_one_tape_of_a_directory_is_named_by_symbol_and_window(tape, expected, tmp_path):
    middle = int(tape.ts[tape.rows // 3])
    WRITERS[".parquet"](tape.clip(0, middle), tmp_path / "a.parquet")
    WRITERS[".dbn.zst"](tape.clip(middle + 1, int(tape.ts[-1])), tmp_path / "b.dbn.zst")
    columns = {name: getattr(tape, name) for name in QUOTE_DTYPES}
    WRITERS[".csv.gz"](Tape.build("SYNTH", **columns | {"ts": tape.ts + DAY}), tmp_path / "c.csv.gz")
    WRITERS[".csv.gz"](Tape.build("OTHER", **columns), tmp_path / "d.csv.gz")
    tapes = run(tmp_path).document["feed"]["tapes"]
    assert [(each["symbol"], each["window"]["start"][:10]) for each in tapes] == [
        ("OTHER", "2025-03-12"),
        ("SYNTH", "2025-03-12"),
        ("SYNTH", "2025-03-13"),
    ]
    assert len(run(tmp_path, "symbol=SYNTH").document["feed"]["tapes"]) == 2
    ends = [f"window.{end}={format_instant(at)}" for end, at in zip(("start", "end"), tape.span, strict=True)]
    result = run(tmp_path, "symbol=SYNTH", *ends)
    assert (result.table == expected.table).all()
    assert result.document["feed"]["digest"] == expected.document["feed"]["digest"]
    assert result.document["feed"]["notes"][0] == "read from 2 of 4 files"
    assert run(tmp_path, *ends).document["orders"]["symbols"] == 2
