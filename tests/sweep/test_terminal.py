"""On a terminal: the document reaches stdout wherever that goes, whole, and what is for people stays on stderr."""

import json
import re
import subprocess
import sys

import pytest

from tests.support.terminal import CONTROL, DRAWN, on_terminal

pytestmark = pytest.mark.command

SWEEP = "'{python}' -m sweep"
SMALL = "executor=inline 'source={stream}' order.size=300"
DOCUMENTS = {
    "sweep": (f"{SWEEP} {SMALL}", "best_parameters"),
    "run, and store": (f"{SWEEP} run {SMALL} --output '{{folder}}/new'", "best_parameters"),
    "run what is stored": (f"{SWEEP} run {SMALL} --output '{{folder}}'", "best_parameters"),
    "resume": (f"{SWEEP} resume '{{home}}'", "best_parameters"),
    "plan": (f"{SWEEP} plan {SMALL}", "combinations"),
    "verify": (f"{SWEEP} verify '{{home}}' --sample 1", "identical"),
    "feed check": ("'{python}' -m feed check '{stream}' --json", "quality"),
    "feed convert": ("'{python}' -m feed convert '{stream}' '{folder}/{new}.parquet'", "rows"),
}
GONE = {"full": ">/dev/full", "closed": ">&-"}
PLACES = (
    ("file", 60, {}),
    ("pipe", 200, {}),
    ("file", 200, {"NO_COLOR": "1"}),
    ("pipe", 60, {"TERM": "dumb"}),
    ("terminal", 60, {}),
)
SOMEWHERE = [
    pytest.param(name, *PLACES[(at + step) % len(PLACES)], id=f"{name}, {PLACES[(at + step) % len(PLACES)][0]}")
    for at, name in enumerate(DOCUMENTS)
    for step in ((0, 3) if name in {"sweep", "verify"} else (0,))
]


@pytest.fixture(scope="module")
def words(stream, tmp_path_factory):
    """What the commands name: a stream, a folder with a complete run in it."""
    folder = tmp_path_factory.mktemp("runs of a desk")
    small = ["executor=inline", f"source={stream}", "order.size=300"]
    ran = subprocess.run(
        [sys.executable, "-m", "sweep", *small, "--output", str(folder)], capture_output=True, text=True, check=True
    )
    home = folder / "runs" / json.loads(ran.stdout)["run"]["id"]
    return {"python": sys.executable, "stream": stream, "folder": folder, "home": home}


@pytest.mark.parametrize(("name", "where", "columns", "environment"), SOMEWHERE)
def test_the_document_arrives_whole(words, tmp_path, name, where, columns, environment):
    command, key = DOCUMENTS[name]
    out = tmp_path / "out.json"
    redirected = {"file": f"> '{out}'", "pipe": f"| cat > '{out}'", "terminal": ""}[where]
    code, shown = on_terminal(f"{command.format(new=tmp_path.name, **words)} {redirected}", columns, **environment)
    assert code == 0, shown
    human = CONTROL.sub("", shown)
    if where == "terminal":
        human, brace, text = human.partition("{\r\n")
        document = json.loads(brace + text.partition("\r\n}\r\n")[0] + "\r\n}")
    else:
        document = json.loads(out.read_text())
    assert key in document
    assert not re.search(r'[{}]|": ', human)  # stderr holds nothing of the document
    assert "Traceback" not in human
    if environment:
        assert not DRAWN.search(shown)
    if name == "run, and store":  # a line that is said is not broken, however narrow the terminal
        assert re.search(rf"wrote {words['folder']}/new/runs/[0-9a-f]+: 27 rows in [0-9.]+ s\r\n", human)


@pytest.mark.parametrize(
    ("name", "gone"),
    [("sweep", "full"), ("sweep", "closed"), ("run what is stored", "full"), ("plan", "closed"), ("verify", "full")],
)
def test_a_stdout_that_takes_nothing_is_said_on_the_terminal(words, name, gone):
    code, shown = on_terminal(f"{DOCUMENTS[name][0].format(**words)} {GONE[gone]}", 60)
    assert code == 2, shown
    last = CONTROL.sub("", shown).strip().splitlines()[-1]
    assert last.startswith("error: stdout ")
    assert "Traceback" not in shown
