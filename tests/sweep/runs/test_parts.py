"""Parts: what was put in is read back, small ones become one, damage is seen, leftovers go."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.chunks import Chunk
from sweep.errors import ConfigError
from sweep.runs import files, parts
from sweep.runs.parts import Done, PartWriter, list_parts, read_part, write_part
from sweep.sink import COLUMNS, MemorySink
from sweep.tasks import Failure
from tests.support.examples import examples
from tests.sweep.test_sink import rows_of

GRID = 60
RUN = "0123456789abcdef"


def sink_and_done(chunks, failed=()):
    """A sink that holds some chunks, and what is kept of each."""
    sink, kept = MemorySink([1], GRID), []
    for chunk in chunks:
        rows = rows_of(chunk, failed)
        sink.append(chunk, rows)
        kept.append(Done(chunk, len(sink.rows_of(chunk)), len(rows.rows), rows.failures))
    return sink, kept


def restored(folder):
    """A sink made of the parts of a folder."""
    sink, failures = MemorySink([1], GRID), []
    for path in list_parts(folder)[0]:
        rows, done = read_part(path, RUN)
        at = 0
        for each in done:
            sink.restore(each.chunk, rows[at : at + each.rows])
            at += each.rows
            failures += each.failures
    return sink, failures


def chunks_of(sizes):
    ends = np.cumsum([0, *sizes]).tolist()
    return [Chunk(0, 0, first, past) for first, past in pairwise(ends)]


@examples(30)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=12), st.sets(st.integers(0, 59)), st.integers(2, 5))
def test_what_a_writer_wrote_is_what_the_sink_held(tmp_path_factory, sizes, failed, together):
    folder = tmp_path_factory.mktemp("parts")
    chunks = chunks_of(sizes)
    sink, kept = sink_and_done(chunks, failed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "TOGETHER", together)
        writer = PartWriter(folder, RUN, 0, sink.rows_of, len)
        for done in kept:
            writer.put(done)
        writer.close()
    again, failures = restored(folder)
    assert again.missing(0) == sink.missing(0)
    assert sorted(failures, key=lambda each: each.combination) == [
        Failure(number, "", "") for number in sorted(failed) if number < sum(sizes)
    ]
    for chunk in chunks:
        assert again.rows_of(chunk).tolist() == sink.rows_of(chunk).tolist()


def test_small_parts_are_written_anew_as_one_and_a_join_cut_short_leaves_no_doubles(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "TOGETHER", 3)
    sink, kept = sink_and_done(chunks_of([1] * 8))
    writer = PartWriter(tmp_path, RUN, 0, sink.rows_of, len)
    for done in kept:  # each in a part of its own: how many a thread finds waiting is luck
        writer._write([done])
    writer.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "00000000-00000002.parquet",
        "00000003-00000005.parquet",
        "00000006.parquet",
        "00000007.parquet",
    ]
    # the join was made, its parts were not removed yet; another was being written
    write_part(tmp_path / "00000001.parquet", RUN, sink.rows_of(kept[1].chunk), [kept[1]])
    (tmp_path / "00000008.parquet.part").write_bytes(b"PAR1")
    standing, number = list_parts(tmp_path)
    assert ([path.name for path in standing], number) == (names, 8)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert restored(tmp_path)[0].arrived == 8


def test_a_traceback_that_many_failures_share_is_kept_once(tmp_path):
    chunk = Chunk(0, 0, 0, 50)
    failures = tuple(Failure(number, "ZeroDivisionError", "the same lines\n" * 100) for number in range(50))
    path = tmp_path / "00000000.parquet"
    write_part(path, RUN, np.empty((0, len(COLUMNS)), np.int64), [Done(chunk, 0, 0, failures)])
    assert path.stat().st_size < 20_000
    assert read_part(path, RUN)[1] == [Done(chunk, 0, 0, failures)]


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "text", "other"])
def test_a_damaged_part_is_named_and_the_remedy(damage, tmp_path):
    sink, kept = sink_and_done(chunks_of([40]))
    path = tmp_path / "00000000.parquet"
    write_part(path, RUN, sink.rows_of(kept[0].chunk), kept)
    content = bytearray(path.read_bytes())
    if damage == "other":
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.table({"a": [1]}), path)
    else:
        content[40] ^= 0xFF
        path.write_bytes(
            {"cut": bytes(content[:-9]), "empty": b"", "flipped": bytes(content), "text": b"rows" * 99}[damage]
        )
    with pytest.raises(ConfigError, match=r"00000000\.parquet: is damaged or half-written \(.+\); remove it"):
        read_part(path, RUN)


def test_a_part_of_another_run_and_metadata_that_was_changed_are_refused(tmp_path):
    sink, kept = sink_and_done(chunks_of([40]))
    path = tmp_path / "00000000.parquet"
    write_part(path, RUN, sink.rows_of(kept[0].chunk), kept)
    with pytest.raises(ConfigError, match=rf"is of run {RUN}, not of another; remove it"):
        read_part(path, "another")
    content = path.read_bytes()
    assert content.count(b'"simulated":20') == 1
    path.write_bytes(content.replace(b'"simulated":20', b'"simulated":21'))
    with pytest.raises(ConfigError, match="was changed"):
        read_part(path, RUN)


def test_rows_that_are_not_the_chunks_are_refused():
    sink, _ = sink_and_done(chunks_of([4]))
    rows = sink.rows_of(Chunk(0, 0, 0, 4))
    for chunk, given_rows in (
        (Chunk(0, 0, 1, 5), rows),
        (Chunk(0, 0, 0, GRID + 1), rows),
        (Chunk(1, 0, 0, 4), rows),
        (Chunk(0, 0, 0, 4), rows[::-1]),
    ):
        with pytest.raises(ValueError, match="not those of"):
            MemorySink([1], GRID).restore(chunk, given_rows)
    with pytest.raises(ValueError, match="there twice"):
        sink.restore(Chunk(0, 0, 0, 4), rows)


def test_a_disk_that_is_full_is_said_when_the_next_chunk_comes_or_at_the_end(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    sink, kept = sink_and_done(chunks_of([1, 1]))
    monkeypatch.setattr(files, "_sync", full)
    writer = PartWriter(tmp_path, RUN, 0, sink.rows_of, len)
    writer.put(kept[0])
    with pytest.raises(ConfigError, match=r"cannot be written \(No space left on device\); make room there"):
        writer.close()
    with pytest.raises(ConfigError, match="No space left"):
        writer.put(kept[1])
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 6)), max_size=10))
def test_what_is_missing_is_what_did_not_arrive(runs):
    sizes = [size for _, size in runs]
    sink = MemorySink([1, 1], max(sum(sizes), 1))
    for (stored, _), chunk in zip(runs, chunks_of(sizes), strict=True):
        if stored:
            sink.append(chunk, rows_of(chunk))
    missing = [n for span in sink.missing(0) for n in range(span.first, span.past)]
    expected = [
        n for (stored, _), c in zip(runs, chunks_of(sizes), strict=True) if not stored for n in range(c.first, c.past)
    ]
    assert missing == (expected if runs else [0])
    assert all(a.past < b.first for a, b in pairwise(sink.missing(0)))
    assert [(span.tape, span.first) for span in sink.missing(1)] == [(1, 0)]
