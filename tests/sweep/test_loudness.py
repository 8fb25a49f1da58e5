"""-q and -v: what a command says on stderr; the document on stdout is the same. And colours that nobody wants."""

import io
import json
import re
import sys

import pytest

from sweep import cli
from sweep.events import Finished, Started
from sweep.progress import LOUDNESS, open_progress
from tests.support.terminal import DRAWN, on_terminal
from tests.sweep.test_watching import COLOURED

FINISHED = Finished("chunk 0/0/0-8", 9, 9, 1, 9, 0.25, 9, None, 0, 1, "10.0.0.1/ab")


def call(capsys, *words):
    code = cli.main([*words])
    out, err = capsys.readouterr()
    return code, json.loads(out), err.splitlines()


@pytest.fixture
def words(stream):
    """A sweep that has something to warn of."""
    return ["executor=inline", f"source={stream}", "order.size=300", "grid.theta_queue=[0, 0.01]"]


def answer(document):
    return {key: value for key, value in document.items() if key != "run"}


def test_a_quiet_command_warns_and_no_more_and_a_verbose_one_says_what_each_step_took(words, capsys):
    code, usual, lines = call(capsys, *words)
    quietly = call(capsys, "-q", *words)
    verbosely = call(capsys, *words, "run", "--verbose")
    assert code == quietly[0] == verbosely[0] == 0
    assert answer(quietly[1]) == answer(verbosely[1]) == answer(usual)
    warnings = [line for line in lines if re.match(r"(.*: )?warning", line)]
    assert warnings == quietly[2] == [line for line in verbosely[2] if line in warnings]
    assert len(warnings) >= len(usual["warnings"]) > 0
    assert re.match(r"Python 3\.\d+\.\d+, ray [\d.]+, numpy .*, sor-sweep .*sources [0-9a-f]{12}\)", verbosely[2][0])
    phases = dict(re.findall(r"^phase (\w+): ([\d.]+) s$", "\n".join(verbosely[2]), re.MULTILINE))
    assert {name: float(seconds) for name, seconds in phases.items()} == {
        name: seconds for name, seconds in verbosely[1]["run"]["seconds"].items() if name not in {"total", "reduce"}
    } | {"reduce": float(phases["reduce"])}
    assert any(re.match(r"chunk .*: 18 combinations in [\d.]+ s on \S+$", line) for line in verbosely[2])
    assert not any(line.startswith(("phase", "chunk", "Python")) for line in lines)
    assert LOUDNESS.get() == "usual"


def test_an_error_and_failed_combinations_are_said_quietly_too(words, capsys, monkeypatch):
    from allocator import simulate
    from sweep import tasks

    original = simulate.run_combinations

    def fails(book, order, rules, policy, fees, parameters, **keywords):
        if any(p.theta_queue for p in parameters):
            raise ZeroDivisionError("a bug")
        return original(book, order, rules, policy, fees, parameters, **keywords)

    monkeypatch.setattr(tasks, "run_combinations", fails)
    code, document, lines = call(capsys, "--quiet", *words)
    assert code == 4
    assert len(document["failed"]) == 9
    assert any("failed: ZeroDivisionError: a bug" in line for line in lines)
    assert cli.main(["-q", "source=absent.csv"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_both_at_once_are_refused_and_every_page_has_them(capsys):
    for name, command in cli.COMMANDS.items():
        with pytest.raises(SystemExit) as stop:
            cli.parse([name, *command.places, "-q", "-v"])
        assert stop.value.code == 2
        assert "not allowed with" in capsys.readouterr().err
        assert cli.parse([name, *command.places, "-v"]).loudness == "verbose"
        with pytest.raises(SystemExit):
            cli.parse([name, "--help"])
        assert {"-q, --quiet", "-v, --verbose"} <= set(re.findall(r"-\w, --\w+", capsys.readouterr().out))


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("loudness", "detailed"), [("quiet", False), ("usual", False), ("verbose", True)])
@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_who_prints_what(loudness, detailed, stream):
    out = stream()
    token = LOUDNESS.set(loudness)
    try:
        with open_progress(out) as progress:
            progress.say("a step")
            progress.warn("warning: \x1b[31mred")
            progress.detail("phase sweep: 1.000 s")
            progress.started(Started(9, 0))
            progress.finished(FINISHED)
    finally:
        LOUDNESS.reset(token)
    shown = out.getvalue()
    assert "warning: \\x1b[31mred" in shown
    assert ("a step" in shown) == (loudness != "quiet")
    assert ("phase sweep: 1.000 s" in shown) == detailed
    assert ("chunk 0/0/0-8: 9 combinations in 0.250 s on 10.0.0.1/ab, 1 failed" in shown) == detailed
    assert loudness != "quiet" or shown == "warning: \\x1b[31mred\n"


BAR = (
    "from sweep.progress import open_progress; from sweep.events import Finished, Started\n"
    "with open_progress() as progress:\n"
    '    progress.started(Started(9, 0)); progress.finished(Finished("c", 9, 9, 0, 9, 0.1, 9, None, 0, 1))'
)  # fmt: skip


@pytest.mark.command
def test_no_color_is_heeded_on_a_terminal_and_colour_is_never_forced_into_a_file(tmp_path):
    coloured = on_terminal(f"{sys.executable} -c '{BAR}'", 100)
    plain = on_terminal(f"{sys.executable} -c '{BAR}'", 100, NO_COLOR="1")
    assert coloured[0] == plain[0] == 0
    assert COLOURED.search(coloured[1])
    assert not COLOURED.search(plain[1])
    assert "9/9" in plain[1]
    file = tmp_path / "err"
    assert on_terminal(f"{sys.executable} -c '{BAR}' 2> '{file}'", 100, FORCE_COLOR="1")[0] == 0
    assert "9/9" in file.read_text()
    assert not DRAWN.search(file.read_text())
