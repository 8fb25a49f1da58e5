"""A stored run: cut short anywhere it is finished by what is missing, and its bytes are those of a run in one go."""

import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from msgspec import structs
from pyarrow import parquet

from allocator import simulate
from feed import synthetic
from feed.errors import FeedCorrupt
from sweep import driver, environment, tasks
from sweep.chunks import Cutter
from sweep.driver import resume, run
from sweep.errors import ConfigError
from sweep.progress import Silent
from sweep.runs import manifest, store
from sweep.runs.files import sha256
from sweep.runs.folder import locked
from sweep.runs.manifest import FORMAT, read_manifest
from sweep.runs.manifest import config_of as stored_config
from sweep.verification import verify
from tests.support.minute import config_of
from tests.support.runfiles import TABLES
from tests.support.runlogs import log_of

GRID = {"lambda_over": 0, "lambda_under": {"start": 0, "stop": 0.09, "num": 10}, "theta_queue": [0, 0.01, 0.02]}


class StopAt(Silent):
    """Interrupts once so many combinations are done; remembers what it was told."""

    def __init__(self, done, error=KeyboardInterrupt):
        self._done, self._error, self.lines, self.best = done, error, [], []

    def say(self, text):
        self.lines.append(text)

    def started(self, event):
        self.began = event.combinations, event.stored

    def finished(self, event):
        self.best.append(event.best)
        if self._done is not None and event.done >= self._done:
            raise self._error


@pytest.fixture
def ask(stream, monkeypatch, tmp_path):
    """A sweep of 30 combinations in chunks of 4, stored below a folder of the test."""
    monkeypatch.setattr(Cutter, "_size", lambda _: 4)

    def make(folder="out", **keys):
        return config_of(stream, **{"grid": GRID, "output": str(tmp_path / folder), "collapse": False, **keys})

    return make


@pytest.fixture
def simulated(monkeypatch):
    """The chunks that were simulated, in order."""
    chunks = []
    original = tasks.run_chunk

    def noting(book, job, chunk):
        chunks.append((chunk.first, chunk.past))
        return original(book, job, chunk)

    monkeypatch.setattr(tasks, "run_chunk", noting)
    return chunks


def homes_of(config):
    return list((Path(config.output) / "runs").iterdir())


def home_of(config):
    (home,) = homes_of(config)
    return home


def cut_short(config, done, error=KeyboardInterrupt):
    with pytest.raises(error) as stopped:
        run(config, StopAt(done, error))
    return home_of(config), stopped.value.__notes__


def said_of(done, home):
    if done == 30:
        return f"all 30 combinations are stored, the result is not; python -m sweep resume {home} makes it"
    return f"{done} of 30 combinations are stored; python -m sweep resume {home} does the rest"


@pytest.mark.parametrize("done", [4, 16, 28, 30])
def test_a_run_that_was_cut_short_is_finished_by_what_is_missing(done, ask, simulated):
    whole = ask("whole")
    document = run(whole).document
    simulated.clear()
    config = ask()
    home, notes = cut_short(config, done)
    assert notes == [said_of(done, home)]
    assert read_manifest(home).status == "running"
    assert sorted(path.name for path in home.iterdir()) == ["lock", "log.jsonl", "manifest.json", "parts"]
    before = list(simulated)
    progress = StopAt(None)
    result = resume(home, [], progress)
    assert f"{done} of 30 combinations are stored already" in progress.lines
    assert progress.began == (30, done)
    assert sorted(simulated) == [(first, min(first + 4, 30)) for first in range(0, 30, 4)]  # each once
    assert before == simulated[: len(before)]
    assert sha256(home / "results.parquet") == sha256(home_of(whole) / "results.parquet")
    for each in (document, result.document):
        about = each.pop("run")
        assert (about["simulated"] > 0, about["chunks"], about["chunk_size"]) == (True, 8, 4)
    assert result.document == document
    assert read_manifest(home).status == "complete"
    assert not (home / "parts").exists()


@pytest.mark.parametrize("then", [True, False])
@pytest.mark.parametrize("broken", [False, True])
def test_a_run_of_classes_is_resumed_in_classes_whatever_is_asked_for_then(then, broken, ask, monkeypatch):
    original = simulate.run_combinations

    def fails(*arguments, **keywords):
        if broken and any(p.tau == 20_000_000 for p in arguments[-1]):
            raise ZeroDivisionError("a bug")
        return original(*arguments, **keywords)

    monkeypatch.setattr(tasks, "run_combinations", fails)
    whole = run(ask("whole"))
    assert [failure.combination for failure in whole.failures] == ([2, 4, 6] if broken else [])
    home, (note,) = cut_short(ask(collapse=True), 8)
    stored = int(note.partition(" ")[0])
    progress = StopAt(None)
    result = resume(home, [f"collapse={str(then).lower()}"], progress)
    assert progress.began == (30, stored)
    assert result.document["run"]["simulated"] < 30
    assert result.failures == whole.failures
    for each in (result.document, whole.document):
        del each["run"], each["feed"]
    assert result.document == whole.document
    assert (home / "results.parquet").read_bytes() == (whole.home / "results.parquet").read_bytes()


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_the_best_so_far_of_a_resumed_run_is_that_of_all_its_rows(side, ask):
    whole, config = (ask(folder, order={"side": side, "size": 6000}) for folder in ("whole", "out"))
    uninterrupted, before, after = StopAt(None), StopAt(16), StopAt(None)
    run(whole, uninterrupted)
    with pytest.raises(KeyboardInterrupt):
        run(config, before)
    resume(home_of(config), [], after)
    assert before.best + after.best == uninterrupted.best


def test_the_same_command_goes_on_too_and_a_complete_run_is_printed_again(ask, simulated):
    config = ask()
    home, _ = cut_short(config, 12)
    first = run(config)
    assert len(simulated) == 8
    again = run(config)
    assert len(simulated) == 8
    assert again.document == first.document == json.loads((home / "result.json").read_text())
    assert again.table.tobytes() == first.table.tobytes()
    assert resume(home, [], Silent()).document == first.document
    anew = run(config, force=True)
    assert len(simulated) == 16
    assert anew.table.tobytes() == first.table.tobytes()


def test_another_place_or_executor_is_the_same_run_and_another_question_is_not(ask, tmp_path):
    config = ask()
    run(config)
    home = home_of(config)
    copy = tmp_path / "copy.csv.gz"
    shutil.copy(config.source, copy)
    assert home_of(ask(source=str(copy), collapse=True)) == home
    run(ask(source=str(copy), collapse=True))
    assert homes_of(config) == [home]
    run(ask(step=10))
    assert len(homes_of(config)) == 2


def test_what_is_stored_is_said_when_a_run_fails_too(ask):
    home, notes = cut_short(ask(), 8, ZeroDivisionError)
    assert notes == [f"8 of 30 combinations are stored; python -m sweep resume {home} does the rest"]
    events = [json.loads(line) for line in (home / "log.jsonl").read_text().splitlines()]
    assert {event["run"] for event in events} == {home.name}
    assert [event["chunk"] for event in events if event["event"] == "chunk"] == ["chunk 0/0/0-3", "chunk 0/0/4-7"]
    assert events[-1]["event"] == "ended"
    assert events[-1]["error"] == "ZeroDivisionError"
    assert any("rows" in event["text"] for event in events if event["event"] == "said")


def test_combinations_that_failed_are_stored_as_failed(ask, monkeypatch, simulated):
    original = simulate.run_combinations

    def fails(book, order, rules, policy, fees, parameters, **keywords):
        if any(p.theta_queue == 20_000_000 for p in parameters):
            raise ZeroDivisionError("a bug")
        return original(book, order, rules, policy, fees, parameters, **keywords)

    monkeypatch.setattr(tasks, "run_combinations", fails)
    whole = ask("whole")
    expected = run(whole)
    assert len(expected.failures) == 10
    home, _ = cut_short(ask(), 12)
    simulated.clear()
    result = resume(home, [], Silent())
    assert len(simulated) == 5
    assert result.failures == expected.failures
    assert sha256(home / "results.parquet") == sha256(home_of(whole) / "results.parquet")
    fresh = run(ask())
    assert [(each.combination, each.message) for each in fresh.failures] == [
        (each.combination, each.message) for each in expected.failures
    ]


def test_one_driver_at_a_time_writes_a_run(ask):
    config = ask()
    home, _ = cut_short(config, 4)
    with locked(home):
        with pytest.raises(ConfigError, match="another process is writing this run"):
            run(config)
        with pytest.raises(ConfigError, match="another process is writing this run"):
            resume(home, [], Silent())
    run(config)


def test_a_damaged_part_is_refused_and_without_it_the_run_is_finished(ask):
    whole, config = ask("whole"), ask()
    run(whole)
    home, _ = cut_short(config, 20)
    part = max((home / "parts").iterdir())
    part.write_bytes(part.read_bytes()[:-5])
    (home / "parts" / "00000077.parquet.part").write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match=r"is damaged or half-written .* remove it, and what it held is computed"):
        resume(home, [], Silent())
    part.unlink()
    resume(home, [], Silent())
    assert sha256(home / "results.parquet") == sha256(home_of(whole) / "results.parquet")


def test_parts_of_another_run_are_refused_and_those_of_nobody_are_removed(ask, tmp_path):
    whole, config = ask("whole", step=10), ask(step=10)
    run(whole)
    other, _ = cut_short(ask("other"), 12)
    home, _ = cut_short(config, 4)
    for part in (other / "parts").iterdir():
        shutil.copy(part, home / "parts" / part.name)
    with pytest.raises(ConfigError, match=rf"is of run {other.name}, not of {home.name}; remove it"):
        resume(home, [], Silent())
    (home / "manifest.json").unlink()
    run(config)
    assert sha256(home / "results.parquet") == sha256(home_of(whole) / "results.parquet")


def test_what_is_said_to_be_stored_is_on_the_disk(ask, tmp_path):
    home, notes = cut_short(ask(), 12)
    assert [event["event"] for event in log_of(home)].count("chunk") == 3
    assert notes[0].startswith("12 of 30")
    progress = StopAt(None)
    resume(home, [], progress)
    assert "12 of 30 combinations are stored already" in progress.lines

    class Removing(StopAt):
        def finished(self, event):
            if event.done == 20:
                (home_of(self.config) / "parts").rename(tmp_path / "moved")  # at once: its writer is at work
            super().finished(event)

    gone = Removing(24)
    gone.config = ask("gone")
    with pytest.raises((KeyboardInterrupt, ConfigError)) as stopped:
        run(gone.config, gone)
    assert stopped.value.__notes__ == [f"nothing is stored: {home_of(gone.config) / 'parts'} is gone"]


def test_a_log_line_that_a_full_disk_cut_short_is_ended(ask):
    home, _ = cut_short(ask(), 4)
    with (home / "log.jsonl").open("ab") as log:
        log.write(b'{"time": 1, "ev')
    resume(home, [], Silent())
    torn = [line for line in (home / "log.jsonl").read_text().splitlines() if not line.endswith("}")]
    assert torn == ['{"time": 1, "ev']


def test_force_removes_nothing_where_it_cannot_write(ask):
    config = ask()
    run(config)
    home = home_of(config)
    (home / "log.jsonl").unlink()
    (home / "log.jsonl").mkdir()
    with pytest.raises(ConfigError, match=r"log\.jsonl cannot be written"):
        run(config, force=True)
    assert {"manifest.json", "result.json", "results.parquet"} <= {path.name for path in home.iterdir()}


def test_what_a_driver_left_that_ended_at_the_very_end_is_removed(ask):
    config = ask()
    run(config)
    home = home_of(config)
    (home / "parts").mkdir()
    (home / "result.json.part").write_text("{")
    run(config)
    assert not {"parts", "result.json.part"} & {path.name for path in home.iterdir()}


def test_a_stored_table_that_was_changed_is_not_given(ask):
    config = ask()
    result = run(config)
    path = home_of(config) / "results.parquet"
    result.to_frame(0, 20).to_parquet(path)
    with pytest.raises(ConfigError, match="it was changed"):
        _ = run(config).table


def test_a_manifest_that_was_changed_by_hand_is_refused(ask):
    config = ask()
    home, _ = cut_short(config, 4)
    path = home / "manifest.json"
    path.write_text(path.read_text().replace('"combinations": 30', '"combinations": 31'))
    with pytest.raises(ConfigError, match="is damaged, or was changed"):
        resume(home, [], Silent())


def test_resume_stores_nowhere_else(ask):
    home, _ = cut_short(ask(), 4)
    with pytest.raises(ConfigError, match="output: a stored run stays in its folder"):
        resume(home, ["output=elsewhere"], Silent())


def test_a_part_that_is_there_twice_is_refused(ask):
    home, _ = cut_short(ask(), 8)
    part = min((home / "parts").iterdir())
    shutil.copy(part, home / "parts" / "00000050.parquet")
    with pytest.raises(ConfigError, match=r"00000050\.parquet: does not belong to this run .*is there twice.*remove"):
        resume(home, [], Silent())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace('"format": 1', '"format": 99'), "has format 99, written by version .*, but this"),
        (lambda text: text[:200], "is no manifest, or damaged"),
        (lambda _: "", "is no manifest, or damaged"),
        (lambda _: "[]", "is no manifest, or damaged"),
        (lambda text: text.replace('"status"', '"state"'), "is no manifest, or damaged"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_said(change, says, ask):
    assert FORMAT == 1
    config = ask()
    home, _ = cut_short(config, 4)
    path = home / "manifest.json"
    path.write_text(change(path.read_text()))
    for go_on in (lambda: resume(home, [], Silent()), lambda: run(config)):
        with pytest.raises(ConfigError, match=says):
            go_on()
    run(config, force=True)


FORGED = {
    "kernel": ("plan.kernel", "nobody", r"plan\.kernel: expected one of .*, but it had 'nobody'"),
    "measured": ("plan.measured", [[1, -1.0]], "plan.measured: expected counts and seconds"),
    "counts": ("plan.workers", 0, "expected a combination, an order and a worker at least"),
    "source": ("config.source", 7, "config.source: expected text"),
    "no source": ("config", {}, "config.source: expected text"),
    "grid": ("config.grid", [1, 2], "config.grid: expected a mapping"),
    "search": ("config.search", [1, 2], "config.search: expected a mapping"),
    "points": ("config.search.points", [7], "search.points: expected a list of points"),
    "axis": ("config.grid.theta_queue", {"start": "x"}, "grid"),
    "kafka": ("config.kafka", 3, "config.kafka: expected a mapping"),
    "path": ("config.feed.quarantine", 3, "config.feed.quarantine: expected text"),
    "unknown key": ("config.nothing", 3, "nothing"),
    "replay": ("feed.replay", 3, "feed: expected text for replay and place"),
    "directory": ("directory", "/a\0b", "expected text without NUL"),
    "another question": ("config.order.size", 77, "its configuration means something else"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_manifest_that_was_forged_with_its_proof_is_one_line(name, ask):
    where, value, says = FORGED[name]
    home, _ = cut_short(ask(), 4)
    path = home / "manifest.json"
    whole = json.loads(path.read_text())
    *parents, last = where.split(".")
    place = whole
    for each in parents:
        place = place[each]
    place[last] = value
    whole["proof"] = ""
    with suppress(msgspec.ValidationError):
        whole["proof"] = manifest._compute_proof(msgspec.convert(whole, manifest.Manifest))
    path.write_text(json.dumps(whole))
    for command in (lambda: resume(home, [], Silent()), lambda: stored_config(read_manifest(home))):
        with pytest.raises(ConfigError, match=says) as error:
            command()
        assert error.value.exit_code == 2
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe{}", b"[" * 100_000, b'{"a":' * 50_000, b'{"format": {}}', b'{"format": 1e999}', b"null", b"\0", b'"x"'],
    ids=lambda content: content[:8].hex(),
)
def test_a_manifest_of_any_bytes_is_one_line(content, ask):
    home, _ = cut_short(ask(), 4)
    (home / "manifest.json").write_bytes(content)
    for command in (lambda: resume(home, [], Silent()), lambda: verify(home, [], Silent())):
        with pytest.raises(ConfigError, match=r"manifest\.json: ") as error:
            command()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "document",
    [b"\xff", b"[]", b'{"failed": 1}', b'{"failed": [1]}', b'{"failed": [], "feed": 1}', b"[" * 100_000],
    ids=lambda content: content[:24].decode("latin-1"),
)
def test_a_document_of_any_bytes_that_the_manifest_names_is_one_line(document, ask):
    config = ask()
    home = Path(config.output) / "runs" / run(config).document["run"]["id"]
    (home / "result.json").write_bytes(document)
    read = read_manifest(home)
    manifest.write_manifest(
        home, structs.replace(read, files={**read.files, "result.json": sha256(home / "result.json")})
    )
    for command in (lambda: resume(home, [], Silent()), lambda: run(config)):
        with pytest.raises(ConfigError, match=r"result\.json: is no result, or damaged"):
            command()


@pytest.mark.parametrize("name", ["manifest.json", "log.jsonl", "parts"])
def test_a_file_of_a_run_that_is_a_pipe_waits_for_nobody(name, ask):
    home, _ = cut_short(ask(), 4)
    path = min((home / "parts").iterdir()) if name == "parts" else home / name
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="it is no regular file"):
        resume(home, [], Silent())


@pytest.mark.parametrize("name", ["result.json", "results.parquet"])
def test_a_file_of_a_complete_run_that_is_a_pipe_waits_for_nobody(name, ask):
    config = ask()
    home = Path(config.output) / "runs" / run(config).document["run"]["id"]
    (home / name).unlink()
    os.mkfifo(home / name)
    with pytest.raises(ConfigError, match="it is no regular file"):
        print(resume(home, [], Silent()).table)


@pytest.mark.parametrize(
    "packed",
    [b"[]", b"{}", b'{"run": 1}', b'{"run": "x", "chunks": [3], "details": []}', b"[" * 100_000, b"\xff"],
    ids=lambda content: content[:24].decode("latin-1"),
)
def test_a_part_whose_own_words_are_any_bytes_is_one_line(packed, ask):
    home, _ = cut_short(ask(), 4)
    part = min((home / "parts").iterdir())
    table = parquet.read_table(part).replace_schema_metadata(
        {b"sor-sweep.done": packed, b"sor-sweep.done.sha256": hashlib.sha256(packed).hexdigest()}
    )
    parquet.write_table(table, part)
    with pytest.raises(ConfigError, match="is damaged or half-written") as error:
        resume(home, [], Silent())
    assert "\n" not in str(error.value)


def test_no_run_where_one_was_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read .*expected the folder of a run, such as DIR/runs/ID"):
        resume(tmp_path, [], Silent())


def test_a_result_that_was_changed_is_not_printed(ask):
    config = ask()
    run(config)
    home = home_of(config)
    stored = home / "result.json"
    original = stored.read_bytes()
    stored.write_bytes(original.replace(b"27", b"28").replace(b"0.0", b"0.1"))
    with pytest.raises(ConfigError, match=r"is not what manifest\.json names; .* --force"):
        run(config)
    stored.unlink()
    with pytest.raises(ConfigError, match=r"cannot be read .* --force"):
        run(config)
    stored.write_bytes(original)
    (home / "results.parquet").unlink()
    with pytest.raises(ConfigError, match=r"results\.parquet: is missing"):
        run(config)


def test_resume_refuses_other_data_other_code_and_another_question(ask, monkeypatch, tmp_path):
    home, _ = cut_short(ask(), 4)
    with pytest.raises(ConfigError, match=r"order\.size=7: would ask something else .* source, replay, feed"):
        resume(home, ["order.size=7"], Silent())
    other = tmp_path / "other.csv.gz"
    synthetic.write_csv(synthetic.generate(seed=3, seconds=60.0, warmup=10.0), other)
    with pytest.raises(FeedCorrupt, match=r"other\.csv\.gz: its digest is \w{12}, but run .* was made of \w{12}; name"):
        resume(home, [f"source={other}"], Silent())
    monkeypatch.setattr(driver, "sources_hash", lambda: "0" * 64)
    with pytest.raises(ConfigError, match=r"was begun by other code, version 0\.1\.0"):
        resume(home, [], Silent())


def test_a_folder_of_another_run_is_refused(ask):
    config = ask()
    home, _ = cut_short(config, 4)
    with pytest.raises(ConfigError, match=r"holds run \w{16}, but this is run \w{16}; choose another folder"):
        run(ask(step=10), home=home)


def test_relative_paths_of_a_run_begin_where_it_did(ask, tmp_path, monkeypatch):
    config = ask()
    shutil.copy(config.source, tmp_path / "day.csv.gz")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    home, _ = cut_short(ask(source="day.csv.gz"), 4)
    monkeypatch.chdir(tmp_path / "elsewhere")
    kept = read_manifest(home)
    again = stored_config(structs.replace(kept, config={**kept.config, "kafka": {"ssl_cafile": "ca.pem"}}))
    assert again.source == str(tmp_path / "day.csv.gz")
    assert again.kafka.ssl_cafile == str(tmp_path / "ca.pem")
    assert again.feed.quarantine == str(tmp_path / "quarantine.jsonl")
    assert resume(home, [], Silent()).document["objective"]["combinations"] == 30


def test_a_grid_without_bounds_survives_the_manifest(ask):
    home, _ = cut_short(ask(grid={"theta_queue": [0, float("inf")], "lambda_over": 0}), 4)
    assert ".inf" in (home / "manifest.json").read_text()
    assert stored_config(read_manifest(home)).grid == {"theta_queue": [0, float("inf")], "lambda_over": 0}
    resume(home, [], Silent())


def test_a_manifest_says_what_ran_where(ask):
    config = ask()
    run(config)
    stored = read_manifest(home_of(config))
    assert stored.digest == stored.feed["digest"]
    assert stored.plan.combinations == 30
    assert stored.plan.object_store_bytes > 0
    assert stored.versions.keys() >= {"python", "sor-sweep", "ray", "numpy", "numba"}
    assert stored.host.keys() == {"cpu", "cpus", "machine", "system"}
    assert stored.sources_hash == environment.sources_hash()
    assert stored.files.keys() == {"result.json", *TABLES}
    assert stored.created <= stored.finished
    assert stored.config["grid"] == GRID
    if (environment.HOME / ".git").exists():
        assert environment.revision().rstrip("+").isalnum()


@pytest.mark.parametrize("name", ["result.json", "results.parquet", "manifest.json"])
def test_a_full_disk_is_one_line_and_what_was_stored_stands(name, ask, monkeypatch):
    config = ask()
    home, _ = cut_short(config, 20)
    original = store.write_text if name != "results.parquet" else store.write_table

    def full(path, *rest):
        if path.name == name:
            raise OSError(28, "No space left on device")
        return original(path, *rest)

    with monkeypatch.context() as patch:
        if name == "manifest.json":
            patch.setattr(manifest, "write_text", full)
        else:
            patch.setattr(store, original.__name__, full)
        with pytest.raises(ConfigError, match=r"cannot be written \(No space left on device\); make room") as stopped:
            resume(home, [], Silent())
    assert stopped.value.__notes__ == [said_of(30, home)]
    resume(home, [], Silent())
    assert read_manifest(home).status == "complete"
