"""`watch`: a stored run seen from outside, while it goes on and after; hostile names and logs do nothing."""

import fcntl
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from rich.console import Console

from sweep import cli
from sweep.driver import run
from sweep.errors import ConfigError
from sweep.runs.folder import is_held, locked
from sweep.watching import LOOK_SECONDS, SILENT_SECONDS, Follower, lines_of, watch
from sweep.watching import drawn as drawn_of
from tests.support.minute import config_of
from tests.support.terminal import CONTROL, on_terminal
from tests.sweep.runs.test_store import GRID, StopAt
from tests.sweep.test_watched import BEGAN, LEADS, STARTED, chunk, line

HOSTILE = "\x1b[2J\x1b]0;pwned\x07[red]markup[/red]\u202e"
ORDERS = {"size": 500, "every": "1s", "horizon": "1s"}


def shown(home, **keywords):
    out = io.StringIO()
    watched = watch(home, out, **keywords)
    return watched, out.getvalue()


def write_log(home, *events):
    home.mkdir(exist_ok=True)
    (home / "log.jsonl").write_bytes(b"".join(line(event, float(at)) + b"\n" for at, event in enumerate(events)))


@pytest.fixture(scope="module")
def complete(stream, tmp_path_factory):
    """A complete run of many orders."""
    folder = tmp_path_factory.mktemp("complete")
    return run(config_of(stream, grid=GRID, order=ORDERS, output=str(folder)))


def events_of(home, name):
    events = map(json.loads, (home / "log.jsonl").read_text().splitlines())
    return [event for event in events if event["event"] == name]


def test_a_complete_run_and_its_best_are_those_of_the_document(complete):
    watched, text = shown(complete.home)
    document = complete.document
    assert (watched.status, watched.done) == ("complete", len(complete.table))
    assert watched.leading.parameters == document["best_parameters"]
    saved = document["statistics"]["saving_bps"]["best_ask"]
    leading = watched.leading
    assert [leading.mean_saving_bps, leading.low, leading.high] == pytest.approx(
        [saved["mean"], saved["low"], saved["high"]], abs=0.00501
    )
    assert leading.low < leading.high
    assert leading.groups == leading.of == document["statistics"]["blocks"]
    assert watched.passed_over == 0
    assert f"{len(complete.table):,} of {len(complete.table):,} combinations (100.0 %)" in text
    assert "95 % interval" in text
    assert "dashboard: none" in text
    (started,) = events_of(complete.home, "started")
    assert (started["workers"], started["dashboard"], started["combinations"]) == (1, None, len(complete.table))
    assert {event["node"] for event in events_of(complete.home, "chunk")} == {os.uname().nodename}


def test_a_run_that_was_cut_short_says_how_it_goes_on(stream, tmp_path, monkeypatch):
    from sweep.chunks import Cutter

    monkeypatch.setattr(Cutter, "_size", lambda _: 4)
    monkeypatch.setattr("sweep.incumbent.EVERY_SECONDS", 0.0)
    monkeypatch.setattr("sweep.incumbent.SHARE", 1e9)
    config = config_of(stream, grid=GRID, output=str(tmp_path), collapse=False)
    with pytest.raises(KeyboardInterrupt):
        run(config, StopAt(12))
    (home,) = (tmp_path / "runs").iterdir()
    watched, text = shown(home)
    assert (watched.status, watched.done, watched.total) == ("cut short", 12, 30)
    assert f"cut short by KeyboardInterrupt; python -m sweep resume {home} does the rest" in text
    # one order: what leads is the best of the combinations that are done, and one block has no interval
    assert watched.leading.low is None
    assert "no interval: 1 block of time so far, and an interval takes 20" in text
    assert len(events_of(home, "incumbent")) == 2
    run(config)
    assert shown(home)[0].status == "complete"
    document = json.loads((home / "result.json").read_text())
    assert shown(home)[0].leading.parameters == document["best_parameters"]


def test_a_driver_that_is_gone_is_seen_by_its_lock(tmp_path):
    home = tmp_path / "run"
    write_log(home, BEGAN, STARTED, chunk(10))
    waits = []

    def wait(seconds):
        waits.append(seconds)

    watched, text = shown(home)
    assert watched.status == "left"
    assert "no driver works on it, and it is not complete; python -m sweep resume" in text
    with locked(home):
        assert is_held(home)

        def let_go(seconds):
            waits.append(seconds)
            if len(waits) == 3:
                os.truncate(home / "log.jsonl", (home / "log.jsonl").stat().st_size)
                with (home / "log.jsonl").open("ab") as log:
                    log.write(line(chunk(20), 3.0) + b"\n" + line(chunk(5), 4.0)[:-3])
            if len(waits) == 4:
                with (home / "log.jsonl").open("ab") as log:
                    log.write(line(chunk(5), 4.0)[-3:] + b"\n")
            if len(waits) == 20:
                with (home / "log.jsonl").open("ab") as log:
                    log.write(line({"event": "complete", "failed": 0}, 5.0) + b"\n")

        watched, text = shown(home, wait=let_go)
    assert (watched.status, watched.done) == ("complete", 35)
    assert {*waits} == {LOOK_SECONDS}
    assert len(waits) == 20
    assert len(waits) * LOOK_SECONDS > SILENT_SECONDS  # so that the lock was looked at meanwhile
    assert is_held(home) is False


def test_whoever_watches_keeps_no_driver_out(tmp_path):
    write_log(tmp_path, BEGAN)
    with locked(tmp_path):
        pass
    looking = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    with pytest.raises(ConfigError, match="another process"), locked(tmp_path):
        pass  # one that keeps the lock
    os.close(looking)
    for _ in range(200):
        assert is_held(tmp_path) is False
        with locked(tmp_path):
            assert is_held(tmp_path) is True


@pytest.mark.parametrize("make", ["nothing", "folder", "pipe"])
def test_what_is_no_run_is_refused(make, tmp_path, capsys):
    if make == "folder":
        (tmp_path / "log.jsonl").mkdir()
    if make == "pipe":
        os.mkfifo(tmp_path / "log.jsonl")
    assert cli.main(["watch", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {tmp_path}/log.jsonl: cannot be read (")
    assert "expected the folder of a run" in err
    assert cli.main(["watch", str(tmp_path), "workers=2"]) == 2


def hostile_log(home):
    write_log(
        home,
        BEGAN,
        {**STARTED, "dashboard": f"http://{HOSTILE}"},
        chunk(10, HOSTILE),
        {**LEADS, "parameters": {HOSTILE: HOSTILE}, "low": None, "reason": HOSTILE},
        {"event": "lost", "chunk": HOSTILE, "why": HOSTILE, "runs_again": True},
        {"event": "ended", "error": HOSTILE},
    )
    with (home / "log.jsonl").open("ab") as log:
        log.write(b"[red]\x1b[31m\n" * 5 + b"q" * 200_000 + b"\n" + b'{"time": 1, "event": "comp')


def test_hostile_names_are_printed_as_text(tmp_path):
    home = tmp_path / "run[bold]"
    hostile_log(home)
    watched, text = shown(home)
    assert watched.passed_over == 6
    assert all(letter.isprintable() for each in text.splitlines() for letter in each)
    assert text.count("[red]markup[/red]") >= 7
    assert "run[bold]" in text


@pytest.mark.command
def test_on_a_terminal_hostile_names_are_drawn_as_text_and_no_color_is_heeded(tmp_path):
    home = tmp_path / "run[bold]"
    hostile_log(home)
    command = (
        f"{sys.executable} -c 'import sys; from pathlib import Path; from rich.console import Console;"
        "from sweep import watching; f = watching.Follower(Path(sys.argv[1])); f.read();"
        "Console().print(watching.drawn(f.watched, Path(sys.argv[1])))'"
    )
    code, drawn = on_terminal(f"{command} '{home}'", 300, NO_COLOR="1")
    assert code == 0, drawn
    assert drawn.count("[red]markup[/red]") >= 7
    assert "[bold]" in drawn
    assert "\x1b[2J" not in drawn
    assert "\x07" not in drawn
    assert not COLOURED.search(drawn)
    follower, coloured = Follower(home), io.StringIO()
    follower.read()
    Console(file=coloured, force_terminal=True, color_system="standard").print(drawn_of(follower.watched, home))
    assert COLOURED.search(coloured.getvalue())


def interrupted_on_terminal(words, awaited):
    """Run a command on a terminal until it has drawn something, and press ctrl-C: exit code, and what it drew."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env={**os.environ, "COLUMNS": "100"}
    )
    os.close(theirs)
    drawn = bytearray()
    with suppress(OSError):
        while data := os.read(ours, 65536):
            drawn += data
            if awaited.encode() in drawn:
                awaited = "\0"
                process.send_signal(signal.SIGINT)
    os.close(ours)
    return process.wait(60), drawn.decode()


COLOURED = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")


@pytest.mark.command
def test_a_running_run_is_watched_live_until_its_driver_is_killed(tmp_path):
    """A driver in another process that holds the lock, writes, and is gone without a word."""
    home = tmp_path / "run"
    write_log(home, BEGAN, STARTED, chunk(10), LEADS)
    driver = (
        "import sys, time; from pathlib import Path; from sweep.runs.folder import locked\n"
        "home = Path(sys.argv[1])\n"
        "with locked(home):\n"
        "    print('locked', flush=True)\n"
        "    with (home / 'log.jsonl').open('a') as log:\n"
        "        sys.stdin.readline()\n"
        "        log.write(sys.argv[2] + chr(10)); log.flush()\n"
        "        sys.stdin.readline()\n"
    )
    words = [sys.executable, "-c", driver, str(home), line(chunk(32), 4.0).decode()]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        process.stdin.write("\n")
        process.stdin.flush()
        assert f"{home}: running" in shown(home, once=True)[1]
        code, drawn = interrupted_on_terminal([sys.executable, "-m", "sweep", "watch", str(home)], "best so far")
        process.kill()
    assert code == 130, drawn
    assert "stored" not in drawn, "of the run that is watched nothing is lost"
    assert "42 of 100 combinations" in CONTROL.sub("", drawn)
    assert "best so far" in drawn
    assert "Traceback" not in drawn
    assert shown(home)[0].status == "left"


@pytest.mark.command
def test_a_reader_that_goes_away_is_no_error(complete):
    command = f"set -o pipefail; {sys.executable} -m sweep watch {complete.home} --once | true"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_lines_without_any_fact_are_lines(tmp_path):
    from sweep.watched import Watched

    assert lines_of(Watched(), tmp_path)[1] == "0 combinations"
