"""From the text of a SOURCE to a tape: schemes, cutting to a window, errors with their exit code."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feed.errors import FeedCorrupt, FeedError, FeedUnavailable
from feed.files.csv_reader import read_csv
from feed.options import ReadOptions
from feed.provenance import Provenance
from feed.source import SCHEMES, plan_source, read_source, read_tapes, select
from feed.synthetic import generate, write_csv
from feed.tape import DAY, join, no_trades, same
from tests.support.examples import examples
from tests.support.strategies import OPEN, SECOND, tapes

FEW = examples(40)


@pytest.fixture(scope="module")
def tape():
    return generate(seconds=5, warmup=1)


@pytest.fixture
def path(tape, tmp_path):
    write_csv(tape, tmp_path / "day.csv.gz")
    return tmp_path / "day.csv.gz"


def provenance_of(tape):
    counts = {"snapshots": tape.snapshots, "rows": tape.rows, "trades": len(tape.trades.ts)}
    return Provenance(source="file", place="day.csv", digest=tape.digest(), **counts)


@pytest.mark.parametrize("prefix", ["", "file:"])
def test_a_path_is_read_with_or_without_its_scheme(tape, path, prefix):
    again, provenance = read_source(f"{prefix}{path}")
    assert same(again, tape)
    assert provenance.digest == tape.digest()
    assert (provenance.source, provenance.place) == ("file", str(path))
    assert (provenance.rows, provenance.snapshots) == (tape.rows, tape.snapshots)
    assert provenance.trades == len(tape.trades.ts)
    assert len(provenance.notes) == 2


def test_a_plan_and_its_blocks_survive_pickling(tape, path):
    plan = pickle.loads(pickle.dumps(plan_source(str(path))))  # noqa: S301 - our own bytes
    blocks = [pickle.loads(pickle.dumps(part)).read() for part in plan.ranges]  # noqa: S301 - our own bytes
    assert same(plan.merge(blocks)[0][0], tape)
    error = pickle.loads(pickle.dumps(FeedCorrupt("what", "where", "remedy")))  # noqa: S301 - our own bytes
    assert str(error) == "where: what; remedy"


def test_a_colon_in_a_file_name_is_no_scheme(tape, tmp_path):
    write_csv(tape, tmp_path / "13:36.csv")
    assert same(read_source(str(tmp_path / "13:36.csv"))[0], tape)


def test_an_unknown_scheme_lists_the_known_ones():
    with pytest.raises(FeedUnavailable, match="unknown kind of source 'https'") as caught:
        plan_source("https://example.org/day.csv")
    assert all(scheme in str(caught.value) for scheme in SCHEMES)


def test_a_file_holds_no_replay(path):
    with pytest.raises(FeedUnavailable, match="no replay"):
        plan_source(str(path), ReadOptions(replay="1"))


@pytest.mark.parametrize("name", ["absent.csv", "", "file:absent.csv"])
def test_a_missing_file_is_refused_by_the_plan(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FeedUnavailable) as caught:
        plan_source(name)
    assert caught.value.exit_code == 2
    assert isinstance(caught.value, FeedError)


def test_the_symbol_reaches_the_reader(path):
    with pytest.raises(FeedUnavailable, match=r"no rows of symbol 'MSFT'.*SYNTH"):
        read_source(str(path), ReadOptions(symbol="MSFT"))


@FEW
@given(tapes(), st.integers(0, 60), st.integers(0, 60))
def test_selection_cuts_and_proves_what_is_left(tape, first, second):
    start, end = OPEN + first * SECOND, OPEN + second * SECOND
    expected = tape.clip(start, end)
    if not expected.rows:
        with pytest.raises(FeedUnavailable, match=r"no quotes in the window.*spans 2024-08-01T14:"):
            select(tape, provenance_of(tape), start, end)
        return
    part, provenance = select(tape, provenance_of(tape), start, end)
    assert same(part, expected)
    assert provenance == provenance_of(expected)


@FEW
@given(tapes())
def test_an_open_end_keeps_all(tape):
    assert same(select(tape, provenance_of(tape), None, None)[0], tape)
    assert same(select(tape, provenance_of(tape), None, tape.span[1])[0], tape)
    assert same(select(tape, provenance_of(tape), tape.span[0], None)[0], tape)


def test_two_dates_and_no_quotes_are_refused(tape):
    shifted = tape.clip(*tape.span)
    object.__setattr__(shifted, "ts", tape.ts + DAY)
    object.__setattr__(shifted, "trades", no_trades())
    both = join([tape, shifted])
    with pytest.raises(FeedUnavailable, match="more than one UTC date"):
        select(both, provenance_of(both), None, None)
    assert same(select(both, provenance_of(both), None, tape.span[1])[0], tape)
    empty = tape.clip(0, 1)
    with pytest.raises(FeedUnavailable, match="no quotes"):
        select(empty, provenance_of(empty), None, None)


def test_reading_twice_gives_the_same_block(path):
    assert same(read_csv(Path(path)).tape, read_csv(Path(path)).tape)


def test_the_deadline_holds_for_all_ranges_together(tape, tmp_path):
    for name in ("a.csv", "b.csv", "c.csv"):
        write_csv(tape, tmp_path / name)
    seconds = iter([0.0, 1.0, 4.0, 11.0])
    with pytest.raises(FeedCorrupt, match=r"not read within 10 s: 2 of 3 ranges were; set feed.deadline"):
        read_tapes(str(tmp_path), ReadOptions(deadline=10.0), clock=lambda: next(seconds))
