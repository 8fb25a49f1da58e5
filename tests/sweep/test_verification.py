"""Verify: what was not touched is identical, and what was is found and told."""

import json

import pyarrow as pa
import pytest
from msgspec import structs
from pyarrow import parquet

from feed import synthetic
from sweep import cli, tasks, verification
from sweep.driver import run
from sweep.errors import ConfigError, WorkersLost
from sweep.executors.contract import Lost
from sweep.progress import Silent
from sweep.runs.files import sha256
from sweep.runs.manifest import read_manifest, write_manifest
from tests.support.minute import config_of
from tests.support.runfiles import TABLES
from tests.sweep.runs.test_store import GRID, cut_short, home_of


@pytest.fixture
def home(stream, tmp_path):
    """A complete run of 30 combinations."""
    config = config_of(stream, grid=GRID, output=str(tmp_path))
    run(config)
    return home_of(config)


def check(home, **sampling):
    return verification.verify(home, [], Silent(), **sampling)


def change_row(home, combination, column, by):
    """Change one figure of the stored table as somebody would who also mends the manifest."""
    path = home / "results.parquet"
    table = parquet.read_table(path)
    values = table.column(column).to_pylist()
    values[combination] += by
    at = table.schema.get_field_index(column)
    parquet.write_table(table.set_column(at, table.schema.field(at), pa.array(values, pa.int64())), path)
    manifest = read_manifest(home)
    write_manifest(home, structs.replace(manifest, files={**manifest.files, path.name: sha256(path)}))


def test_a_run_that_nobody_touched_is_identical(home):
    report = check(home, sample=10, seed=4)
    assert report["identical"] is True
    assert report["differs"] == []
    assert report["run"] == home.name
    assert report["checked"]["rows"] == {"computed_again": 10, "of": 30, "seed": 4}
    assert report["checked"]["files"] == sorted(["result.json", *TABLES])
    assert {"best_parameters", "baselines", "optimized", "objective", "sensitivity"} <= set(
        report["checked"]["document"]
    )
    assert report["same_code"] is True
    assert check(home)["checked"]["rows"]["computed_again"] == 30


def test_what_an_earlier_version_did_not_say_is_no_difference(home):
    path, manifest = home / "result.json", read_manifest(home)
    document = json.loads(path.read_text())
    del document["warnings"], document["shortfall"], document["rules"]["leftover_band"]
    path.write_text(json.dumps(document))
    manifest = structs.replace(manifest, files={**manifest.files, path.name: sha256(path)})
    write_manifest(home, manifest)
    assert {each["where"] for each in check(home)["differs"]} == {"warnings", "shortfall", "rules"}
    write_manifest(home, structs.replace(manifest, sources_hash="0" * len(manifest.sources_hash)))
    report = check(home)
    assert (report["identical"], report["same_code"]) == (True, False)


def test_the_sample_is_computed_one_by_one_by_the_kernel_that_runs_everything(home, monkeypatch):
    seen = []
    original = tasks.run_chunk

    def noting(book, job, chunk):
        seen.append((chunk.first, len(chunk), job.kernel, len(job.classes)))
        return original(book, job, chunk)

    monkeypatch.setattr(tasks, "run_chunk", noting)
    first, again, other = (check(home, sample=5, seed=seed) and seen[-5:] for seed in (1, 1, 2))
    assert first == again != other
    assert {each[1:] for each in seen} == {(1, None, 30)}


def test_a_row_that_was_changed_is_told_with_its_parameters(home):
    change_row(home, 17, "fees", 1)
    report = check(home)
    assert report["identical"] is False
    (row,) = [each for each in report["differs"] if each["what"] == "row"]
    assert row["where"]["combination"] == 17
    assert row["where"]["parameters"] == {"lambda_over": 0.0, "lambda_under": 0.05, "theta_queue": 0.02}
    assert sum(a != b for a, b in zip(row["stored"], row["found"], strict=True)) == 1


def test_a_row_that_was_made_to_win_is_found_whatever_the_sample(home):
    """One that adds up, and with a document and hashes to match: the winner is always computed again."""
    change_row(home, 29, "total_cash", -(10**12))
    assert [each["what"] for each in check(home, sample=1, seed=0)["differs"]] == ["table"]
    change_row(home, 29, "cash_filled", -(10**12))
    report = check(home, sample=1, seed=0)["differs"]
    assert {each["where"] for each in report if each["what"] == "document"} >= {"best_parameters", "optimized"}
    assert [each["where"]["combination"] for each in report if each["what"] == "row"] == [29]


def test_a_table_that_lacks_rows_is_told(home):
    path = home / "results.parquet"
    parquet.write_table(parquet.read_table(path).slice(0, 20), path)
    manifest = read_manifest(home)
    write_manifest(home, structs.replace(manifest, files={**manifest.files, path.name: sha256(path)}))
    (differs,) = check(home)["differs"]
    assert (differs["where"], differs["stored"], differs["found"]) == ("combinations", "20 rows", "a row each of 30")


@pytest.mark.parametrize("combination", [0, 30, 2**63 - 1])
def test_a_failed_combination_that_is_in_the_table_or_in_no_grid_differs(home, combination):
    path = home / "result.json"
    document = json.loads(path.read_text())
    document["failed"] = [{"combination": combination, "parameters": {}, "error": "x"}]
    path.write_text(json.dumps(document))
    manifest = read_manifest(home)
    write_manifest(home, structs.replace(manifest, files={**manifest.files, path.name: sha256(path)}))
    differs = check(home)["differs"]
    assert (differs[0]["what"], differs[0]["where"]) == ("table", "combinations")


@pytest.mark.parametrize("change", [lambda content: content + b" ", lambda _: b"", lambda content: content[:-1]])
@pytest.mark.parametrize("name", ["results.parquet", "result.json"])
def test_a_file_that_was_changed_is_told_and_nothing_is_computed(name, change, home, monkeypatch):
    (home / name).write_bytes(change((home / name).read_bytes()))
    monkeypatch.setattr(tasks, "baselines", None)
    (differs,) = check(home)["differs"]
    assert differs["what"] == "file"
    assert name in differs["found"]


def test_a_document_that_was_changed_is_told(home):
    path = home / "result.json"
    document = json.loads(path.read_text())
    document["baselines"]["twap"]["total_cash"] += 0.01
    document["feed"]["rows"] += 1
    path.write_text(json.dumps(document))
    manifest = read_manifest(home)
    write_manifest(home, structs.replace(manifest, files={**manifest.files, path.name: sha256(path)}))
    assert [each["where"] for each in check(home)["differs"]] == ["baselines", "feed.rows"]


def test_other_data_is_told_and_nothing_is_computed(home, tmp_path, monkeypatch):
    other = tmp_path / "other.csv.gz"
    synthetic.write_csv(synthetic.generate(seed=3, seconds=60.0, warmup=10.0), other)
    monkeypatch.setattr(tasks, "baselines", None)
    report = verification.verify(home, [f"source={other}"], Silent())
    assert [each["what"] for each in report["differs"]] == ["digest"]
    assert report["identical"] is False


def test_only_a_complete_run_can_be_verified(stream, tmp_path):
    home, _ = cut_short(config_of(stream, grid=GRID, output=str(tmp_path)), 1)
    with pytest.raises(ConfigError, match=r"is not complete; python -m sweep resume .* does the rest"):
        check(home)


def test_a_worker_that_is_lost_says_nothing_about_a_row(home, monkeypatch):
    from sweep.executors.inline import Inline

    monkeypatch.setattr(Inline, "stream", lambda *_: ((item, Lost("killed")) for item in iter(_[3], None)))
    with pytest.raises(WorkersLost, match="killed"):
        check(home)


def test_the_command_line_says_identical_or_exits_3(home, capsys):
    assert cli.main(["verify", str(home), "executor=inline", "--sample", "3"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["identical"] is True
    assert err.rstrip().endswith(": identical")
    change_row(home, 0, "filled", 1)
    assert cli.main(["verify", str(home), "executor=inline", "--sample=30", "--seed=1"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["identical"] is False
    assert "differences" in err
    assert cli.main(["resume", str(home), "executor=inline"]) == 0
    assert cli.main(["verify", str(home / "absent")]) == 2
