"""Two hundred forged runs: whatever is in a file of a run, `resume` and `verify` end with a line and a right code."""

import json
import shutil
import time
from contextlib import suppress
from random import Random

import msgspec
import pytest

from feed import synthetic
from sweep.cli import main
from sweep.runs import manifest

RUNS = 200
SECONDS = 20
VALUES = (
    *(None, True, -1, 0, 7, 2**63, -(2**80), 1.5, 1e308, float("nan"), "", "x", "a\0b", "../..", "9" * 5000),
    *([], {}, [[]], {"": {}}, [1, "x"], {"start": "x"}, "2024-08-01T25:00:00Z", "nobody", "0" * 64),
)

pytestmark = [pytest.mark.command, pytest.mark.soak, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A complete run, and one of the same question that lacks its result."""
    folder = tmp_path_factory.mktemp("stored")
    file = folder / "day.csv.gz"
    synthetic.write_csv(synthetic.generate(seconds=60.0, warmup=10.0), file)
    assert main([f"source={file}", "executor=inline", "--output", str(folder)]) == 0
    (whole,) = (folder / "runs").iterdir()
    cut = folder / "cut" / whole.name
    shutil.copytree(whole, cut)
    for name in ("results.parquet", "result.json"):
        (cut / name).unlink()
    (cut / "parts").mkdir()
    tree = json.loads((cut / "manifest.json").read_text())
    (cut / "manifest.json").write_text(json.dumps(proven(tree | {"status": "running", "files": {}})))
    return whole, cut


def proven(tree):
    """A manifest with the proof that it would have, where it can have one."""
    tree = tree | {"proof": ""}
    with suppress(msgspec.ValidationError, TypeError, ValueError):
        tree["proof"] = manifest._compute_proof(msgspec.convert(tree, manifest.Manifest))
    return tree


def places(tree, path=()):
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield *path, key
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def forge(path, rng):
    """Change a file: a value, a key, or some of its bytes."""
    data = path.read_bytes()
    how = rng.choice(["value", "value", "value", "key", "bytes", "cut"]) if path.suffix == ".json" else "bytes"
    if how in {"value", "key"}:
        tree = json.loads(data)
        where = rng.choice(list(places(tree)))
        parent = tree
        for each in where[:-1]:
            parent = parent[each]
        if how == "value":
            parent[where[-1]] = rng.choice(VALUES)
        else:
            del parent[where[-1]]
        if path.name == "manifest.json":
            tree = proven(tree)
        data = json.dumps(tree).encode(errors="replace")
    elif how == "cut":
        data = data[: rng.randrange(len(data))]
    else:
        changed = bytearray(data)
        for _ in range(rng.randint(1, 8)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        data = bytes(changed)
    path.write_bytes(data)
    return f"{how} of {path.name}"


def test_a_forged_run_is_a_line_and_a_code(stored, tmp_path, capsys):
    rng = Random(11)
    ends = {}
    for number in range(RUNS):
        home = tmp_path / f"{number}" / stored[0].name
        shutil.copytree(rng.choice(stored), home)
        files = sorted(path for path in home.rglob("*") if path.is_file() and path.stat().st_size)
        likely = [path for path in files if path.name in {"manifest.json", "result.json"}]
        done = forge(rng.choice([*likely, *likely, *files]), rng)
        for command in (["resume", str(home), "executor=inline"], ["verify", str(home), "executor=inline"]):
            began = time.monotonic()
            code = main(command)
            captured = capsys.readouterr()
            assert code in {0, 2, 3, 4}, (number, done, command[0], captured.err[-2000:])
            assert "Traceback" not in captured.err, (number, done, command[0], captured.err[-2000:])
            assert code == 0 or captured.err.count("error: ") <= 1
            assert time.monotonic() - began < SECONDS, (number, done, command[0])
            ends[command[0], code] = ends.get((command[0], code), 0) + 1
    print(f"{RUNS} forged runs: {ends}")
    assert ends.get(("resume", 2), 0) > RUNS / 4
