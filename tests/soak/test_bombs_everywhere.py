"""Small files that would unpack to a great deal, given to every command that reads a file."""

import pytest

from tests.feed.files.test_bombs import BOMBS, measured

pytestmark = [pytest.mark.command, pytest.mark.soak]

COMMANDS = {
    "check": ("feed", "check", "{path}"),
    "convert": ("feed", "convert", "{path}", "{folder}/out.parquet"),
    "sweep": ("sweep", "source={path}", "executor=inline"),
    "stored": ("sweep", "source={path}", "executor=inline", "--output", "{folder}"),
    "plan": ("sweep", "plan", "source={path}", "executor=inline"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", BOMBS)
def test_no_command_holds_a_gigabyte(tmp_path, name, command):
    make, code, _ = BOMBS[name]
    make(path := tmp_path / name)
    assert path.stat().st_size <= 4 * 10**6
    ran, kibibytes = measured(*(word.format(path=path, folder=tmp_path) for word in COMMANDS[command]))
    assert ran.returncode == code, ran.stderr
    assert ran.stderr.count("error: ") == 1
    assert kibibytes < 10**9 // 2**10
