"""Completion in shells: what bash proposes for a line, and that the scripts of all shells are made of the tables."""

import re
import shutil
import subprocess

import pytest

from sweep import cli
from sweep.completion import SHELLS, values_by_key
from sweep.config import load_config
from sweep.config.keys import keys_of
from sweep.config.schema import Config

pytestmark = pytest.mark.command

PROPOSE = """\
source "$1"
complete -p sor-sweep > /dev/null || exit 9
shift
for line in "$@"; do
    COMP_LINE="$line" COMP_POINT=${#line} COMPREPLY=()
    _sor_sweep
    printf '%s\\n' "${COMPREPLY[@]}" @@
done
"""


def script(shell, capsys):
    assert cli.main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.fixture
def propose(capsys, tmp_path):
    """What bash proposes for lines that are typed in a folder with some files."""
    (tmp_path / "completion").write_text(script("bash", capsys))
    (tmp_path / "runs" / "one run").mkdir(parents=True)
    (tmp_path / "day.csv.gz").touch()
    (tmp_path / "daily").mkdir()

    def proposed(*lines):
        ran = subprocess.run(
            ["bash", "--norc", "-c", PROPOSE, "bash", "./completion", *lines],
            capture_output=True, text=True, cwd=tmp_path, check=True,
        )  # fmt: skip
        assert ran.stderr == ""
        return [set(each.split("\n")) - {""} for each in ran.stdout.split("@@\n")[:-1]]

    return proposed


def test_bash_completes_commands_options_keys_values_and_paths(propose):
    cases = {
        "sor-sweep re": {"reference=", "report", "resume", "replay="},
        "sor-sweep verify --s": {"--sample", "--seed"},
        "sor-sweep --": {f"--{name}" for name in (*cli.COMMANDS["run"].options, *cli.LOUD_OPTIONS, "help")},
        "sor-sweep plan order.s": {"order.side=", "order.size=", "order.start="},
        "sor-sweep policy=": {"static", "pseudocode", "placement"},
        "sor-sweep policy=st": {"static"},
        "sor-sweep order.side=s": {"sell"},
        "sor-sweep lots_only=": {"true", "false"},
        "sor-sweep search.kind=r": {"random"},
        "sor-sweep step=": set(),
        "sor-sweep source=da": {"day.csv.gz", "daily"},
        "sor-sweep --config da": {"day.csv.gz", "daily"},
        "sor-sweep run --config=da": {"day.csv.gz", "daily"},
        "sor-sweep --output da": {"daily"},
        "sor-sweep verify runs/": {"runs/one run"},
        "sor-sweep --config day.csv.gz verify --sample ": set(),
        "sor-sweep completion ": {"bash", "zsh", "fish"},
        "sor-sweep monitor router.json day.c": {"day.csv.gz"},
        "sor-sweep config --j": {"--json"},
    }
    found_by_line = dict(zip(cases, propose(*cases), strict=True))
    assert found_by_line == cases


def test_every_command_and_key_is_proposed(propose):
    (proposed, within) = propose("sor-sweep ", "sor-sweep plan ")
    keys = {f"{key}=" for key in keys_of(Config)}
    assert keys | set(cli.COMMANDS) <= proposed
    assert keys <= within
    assert not within & set(cli.COMMANDS)


def test_a_value_that_is_proposed_is_one_that_is_taken():
    needing = {"placement", "session", "confluent", "CONFLUENT"}
    for key, values in values_by_key().items():
        for value in values:
            assert re.fullmatch(r"[A-Za-z0-9_.+-]+", value)  # nothing that a shell would expand
            more = {
                "kafka.security_protocol": [],
                "order.from": ["order.every=5m", "order.horizon=5m"],
                "order.to": ["order.every=5m", "order.horizon=5m"],
            }.get(key, [])
            if key.startswith(("kafka.", "search.", "quotes.")) or value in needing:
                continue
            load_config(assignments=[f"{key}={value}", *more])


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_has_every_command_option_and_key(shell, capsys):
    text = script(shell, capsys)
    assert not re.search(r"@[A-Z]+@", text)
    for name, command in cli.COMMANDS.items():
        assert re.search(rf"\b{name}\b", text)
        assert all(re.search(rf"(--|-l ){option}\b", text) for option in command.options)
    assert all(f"{key}=" in text for key in keys_of(Config))
    if (program := shutil.which(shell)) is not None:
        flags = ["--no-config", "-n"] if shell == "fish" else ["-n"]
        checked = subprocess.run([program, *flags], input=text, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_another_shell_is_refused(capsys):
    assert cli.main(["completion", "tcsh"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "error: completion: expected bash, zsh, fish, but it had 'tcsh'\n")
    assert cli.main(["completion", "bash", "step=5"]) == 2
